//! Commands that are one built-in playbook and little else.

use serde_json::{Map, Value};

use super::arguments::{BuiltInFlags, GlobalFlags};
use super::execution::{load_checked, options, pending};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::prepare::Prepared;
use crate::engine::{self, RunOptions};
use crate::exit::Exit;
use crate::playbook::Library;
use crate::report::FindingsView;
use crate::template::Layer;

/// Such a command.
pub struct BuiltIn<'a> {
    /// Its words, as they are shown and logged.
    pub command: &'a str,
    /// What somebody who changes this machine is asked about.
    pub asks: &'a str,
    /// The playbook.
    pub playbook: &'a str,
    /// Where and how.
    pub flags: &'a BuiltInFlags,
    /// What the playbook finds under `kk`, beside the run's id, by what was prepared.
    pub variables: &'a (dyn Fn(&Prepared) -> Map<String, Value> + Sync),
}

impl BuiltIn<'_> {
    /// Runs it, holding the lock of every host.
    pub async fn run(self, global: &GlobalFlags) -> anyhow::Result<Exit> {
        let flags = self.flags;
        let prepared = Prepared::load(&flags.target)?;
        let library = Library::built_in(flags.execution.playbooks.as_deref());
        let playbook = load_checked(&library, self.playbook, &prepared)?;
        let check_mode = flags.execution.check;
        if !check_mode {
            confirm_local(&prepared, flags.execution.yes, self.asks)?;
        }
        let asked = Asked::ask(&flags.connection, &prepared)?;
        let live_options = LiveOptions {
            command: self.command,
            global,
            output: flags.output.output,
            findings: FindingsView::Problems,
            check_mode,
            log: true,
            timings: None,
        };
        let live = Live::start(&prepared, &live_options)?;
        let fleet = live.connect(&prepared, &flags.connection, &asked).await;
        let mut kk = (self.variables)(&prepared);
        kk.insert("run_id".to_owned(), live.run_id.clone().into());
        let kk = Map::from_iter([("kk".to_owned(), Value::Object(kk))]);
        let run_options = RunOptions {
            variables: vec![Layer::raw(prepared.settings.tree.clone()), Layer::raw(kk)],
            ..options(&prepared, &flags.connection, &flags.execution)
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
        let exit = pending(&flags.execution, &report);
        Ok(live.finish(&report, exit).await)
    }
}
