//! `kk delete registry`: takes away what the ledgers of the hosts say that kk brought.

use serde_json::{Map, json};

use super::arguments::{DeleteRegistryArguments, GlobalFlags};
use super::execution::{load_checked, options, pending};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::prepare::Prepared;
use crate::engine::{self, RunOptions};
use crate::exit::Exit;
use crate::playbook::Library;
use crate::report::FindingsView;
use crate::template::Layer;

/// Takes the registry away.
pub async fn run(arguments: DeleteRegistryArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let library = Library::built_in(arguments.execution.playbooks.as_deref());
    let playbook = load_checked(&library, "delete_registry.yaml", &prepared)?;
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "`kk delete registry`")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let command = if arguments.with_data {
        "delete registry --with-data"
    } else {
        "delete registry"
    };
    let live_options = LiveOptions {
        command,
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
        timings: None,
    };
    let live = Live::start(&prepared, &live_options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let kk = json!({"kk": {"run_id": live.run_id, "delete": {"with_data": arguments.with_data, "component": prepared.installation()}}});
    let kk = kk.as_object().cloned().unwrap_or_else(Map::new);
    let run_options = RunOptions {
        variables: vec![Layer::raw(prepared.settings.tree.clone()), Layer::raw(kk)],
        ..options(&prepared, &arguments.connection, &arguments.execution)
    };
    let locks = live.lock(&prepared, &fleet, &run_options).await;
    let report = engine::run(
        &playbook,
        &library,
        &prepared.inventory,
        &fleet,
        &run_options,
        &live.events,
        &live.control,
    )
    .await;
    locks.release().await;
    Live::close(&fleet).await;
    let exit = pending(&arguments.execution, &report);
    Ok(live.finish(&report, exit).await)
}
