//! What every command that runs a playbook does alike: reading it, the options of the run, the exit code.

use super::arguments::{ConnectionFlags, ExecutionFlags};
use super::live::{Asked, Live};
use super::prepare::Prepared;
use crate::engine::{self, RunOptions, RunReport};
use crate::exit::Exit;
use crate::playbook::{Library, Playbook, load};

/// Reads a playbook and holds it against the inventory.
pub fn load_checked(
    library: &Library,
    path: &str,
    prepared: &Prepared,
) -> anyhow::Result<Playbook> {
    let playbook = load(library, path)?;
    engine::validate(&playbook, &prepared.inventory)?;
    Ok(playbook)
}

/// What the flags ask of a run.
pub fn options(
    prepared: &Prepared,
    connection: &ConnectionFlags,
    execution: &ExecutionFlags,
) -> RunOptions {
    RunOptions {
        forks: usize::from(connection.forks),
        relay: connection.relay,
        check_mode: execution.check,
        diff: execution.diff,
        tags: execution.tags.clone(),
        skip_tags: execution.skip_tags.clone(),
        limit: prepared.limit.is_some().then(|| prepared.names.clone()),
        ..RunOptions::default()
    }
}

/// Connects to the hosts that a playbook reaches, runs it on them and ends the connections.
pub async fn carry_out(
    live: &Live,
    prepared: &Prepared,
    library: &Library,
    playbook: &Playbook,
    connection: &ConnectionFlags,
    asked: &Asked,
    options: &RunOptions,
) -> RunReport {
    let names = engine::reached(playbook, &prepared.inventory, &prepared.names, options);
    let fleet = live.connect_to(prepared, &names, connection, asked).await;
    let report = engine::run(
        playbook,
        library,
        &prepared.inventory,
        &fleet,
        options,
        &live.events,
        &live.control,
    )
    .await;
    Live::close(&fleet).await;
    report
}

/// The exit code that says that changes are pending, where that was asked for and is so.
pub fn pending(execution: &ExecutionFlags, report: &RunReport) -> Option<Exit> {
    let is_pending =
        execution.check && execution.exit_code && report.exit() == Exit::Ok && report.changed();
    is_pending.then_some(Exit::ChangesPending)
}
