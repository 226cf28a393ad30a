//! `kk run PLAYBOOK`.

use std::path::Path;

use super::arguments::{GlobalFlags, RunArguments};
use super::execution::{load_checked, options, pending};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::prepare::Prepared;
use crate::engine::{self, RunOptions};
use crate::exit::Exit;
use crate::playbook::Library;
use crate::report::FindingsView;
use crate::template::Layer;

/// Runs a user's playbook.
pub async fn playbook(arguments: RunArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let folder = arguments
        .playbook
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let library = Library::folder(folder);
    let name = arguments
        .playbook
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let playbook = load_checked(&library, &name, &prepared)?;
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "the playbook")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let command = format!("run {}", arguments.playbook.display());
    let live_options = LiveOptions {
        command: &command,
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
    };
    let live = Live::start(&prepared, &live_options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let run_options = RunOptions {
        variables: vec![Layer::raw(prepared.settings.tree.clone())],
        ..options(&prepared, &arguments.connection, &arguments.execution)
    };
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
    Live::close(&fleet).await;
    let exit = pending(&arguments.execution, &report);
    Ok(live.finish(&report, exit).await)
}
