//! Runs playbooks: who runs what when, loops, handlers, retries, limits, cancellation.
//!
//! The engine executes what modules plan; it alone decides `changed`, writes the ledger, and stops after the plan in
//! check mode. It says what happens through [`event`] and prints nothing.

mod act;
mod actions;
mod attempt;
mod dial;
pub mod event;
mod fleet;
mod grown;
mod handlers;
mod homes;
mod hosts;
mod include;
mod keywords;
mod learn;
mod lookups;
mod metas;
mod note;
mod outline;
mod outside;
mod perform;
mod play;
mod privilege;
mod prompts;
mod repeat;
mod resume;
mod runner;
mod schedule;
mod session;
mod state;
mod tags;
mod task_files;
mod template_facts;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::inventory::Inventory;
use crate::playbook::{Library, Playbook};
use crate::template::Layer;

pub use dial::{InventoryDial, Trust};
pub use event::{Event, EventKind, Events, NoticeLevel, Outcome, Recap};
pub use fleet::{Dial, Fleet, LOCALHOST, Member};
pub use note::Source;
pub use outline::{Outline, OutlinedPlay, OutlinedTask, outline, reached};
pub use resume::Resume;

/// What a person answers before a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAnswer {
    /// Run it.
    Yes,
    /// Leave it out.
    No,
    /// Run it and everything after it.
    Continue,
}

/// Asks whether a task with this name is to run.
#[derive(Clone)]
pub struct Step(pub Arc<dyn Fn(&str) -> StepAnswer + Send + Sync>);

/// Reads the inventory again.
#[derive(Clone)]
pub struct Refresh(pub Arc<dyn Fn() -> Result<Inventory, Diagnostics> + Send + Sync>);

/// Shows a text and waits for an answer, shown while it is typed or not.
#[derive(Clone)]
pub struct Ask(pub Arc<Asking>);

/// The prompt, and whether what is typed is shown; the answer.
type Asking = dyn Fn(&str, bool) -> Option<String> + Send + Sync;

impl std::fmt::Debug for Step {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Step")
    }
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Refresh")
    }
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Ask")
    }
}

/// What a run is asked to do beside its playbook.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The most hosts that work at once.
    pub forks: usize,
    /// Plan only.
    pub check_mode: bool,
    /// Show diffs.
    pub diff: bool,
    /// Run only tasks with one of these tags; empty runs all.
    pub tags: Vec<String>,
    /// Leave out tasks with one of these tags.
    pub skip_tags: Vec<String>,
    /// Run only on these hosts; `None` runs on all.
    pub limit: Option<Vec<String>>,
    /// What `--limit` says, for playbooks that ask.
    pub limit_pattern: Option<String>,
    /// Variables that are weaker than everything else.
    pub weakest: Vec<Layer>,
    /// The strongest variables: settings, `-e`.
    pub variables: Vec<Layer>,
    /// How many `-v` there are.
    pub verbosity: u8,
    /// Hosts that failed run the handlers that they owe.
    pub force_handlers: bool,
    /// Tasks run as another user where nothing says otherwise.
    pub elevate: bool,
    /// That user, where nothing names another; root when absent.
    pub become_user: Option<String>,
    /// How, where nothing says.
    pub become_method: Option<crate::remote::Method>,
    /// The first task that runs, by its name.
    pub start_at: Option<String>,
    /// Asks before each task.
    pub step: Option<Step>,
    /// A host without connection is lost only once a task needs it.
    pub patient: bool,
    /// Reads the inventory again, for `meta: refresh_inventory`.
    pub refresh: Option<Refresh>,
    /// Waits for a person to press a key, for `pause`; `None` where nobody is there.
    pub ask: Option<Ask>,
    /// What an earlier run was done with.
    pub resume: Option<Arc<Resume>>,
    /// The ledger that what is created is written to; `None` keeps no ledger.
    pub ledger: Option<String>,
    /// Hosts that have a big file serve it to their neighbours.
    pub relay: bool,
    /// Limit of each task that sets none.
    pub task_timeout: Option<Duration>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            forks: 10,
            check_mode: false,
            diff: false,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            limit: None,
            limit_pattern: None,
            weakest: Vec::new(),
            verbosity: 0,
            force_handlers: false,
            elevate: false,
            become_user: None,
            become_method: None,
            start_at: None,
            step: None,
            patient: false,
            refresh: None,
            ask: None,
            resume: None,
            variables: Vec::new(),
            ledger: None,
            relay: false,
            task_timeout: None,
        }
    }
}

/// How a run is stopped: gently, then hard.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// No new task is started.
    pub stop: CancellationToken,
    /// Running commands are ended.
    pub cancel: CancellationToken,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct RunReport {
    /// Counters by host, in inventory order.
    pub recap: Vec<(String, Recap)>,
    /// It was stopped before its end.
    pub interrupted: bool,
    /// A play could not begin: its hosts could not be told.
    pub aborted: bool,
    /// It was ended for hosts that had not failed themselves.
    pub failed_for_all: bool,
    /// Hosts whose failures `meta: clear_host_errors` took back.
    pub forgiven: Vec<String>,
    /// What tasks registered and set, by host. May hold secrets.
    pub variables: BTreeMap<String, Map<String, Json>>,
}

impl RunReport {
    /// Adds the counters of another run of the same command.
    pub fn merge(&mut self, other: &Self) {
        for (host, more) in &other.recap {
            let Some((_, recap)) = self.recap.iter_mut().find(|(name, _)| name == host) else {
                self.recap.push((host.clone(), *more));
                continue;
            };
            recap.ok += more.ok;
            recap.changed += more.changed;
            recap.unreachable = recap.unreachable.max(more.unreachable);
            recap.failed += more.failed;
            recap.skipped += more.skipped;
            recap.rescued += more.rescued;
            recap.ignored += more.ignored;
            recap.bytes_sent += more.bytes_sent;
        }
        self.interrupted |= other.interrupted;
        self.aborted |= other.aborted;
        self.failed_for_all |= other.failed_for_all;
        self.forgiven.extend(other.forgiven.iter().cloned());
    }

    /// Whether a host went through the run without failing or being lost.
    pub fn came_through(&self, host: &str) -> bool {
        let recap = self.recap.iter().find(|(name, _)| name == host);
        recap.is_some_and(|(_, recap)| recap.failed == 0 && recap.unreachable == 0)
    }

    /// Whether any host failed.
    pub fn failed(&self) -> bool {
        let counts = |host: &String| !self.forgiven.contains(host);
        self.failed_for_all
            || self
                .recap
                .iter()
                .any(|(host, recap)| recap.failed > 0 && counts(host))
    }

    /// Whether any host could not be reached.
    pub fn unreachable(&self) -> bool {
        let counts = |host: &String| !self.forgiven.contains(host);
        self.recap
            .iter()
            .any(|(host, recap)| recap.unreachable > 0 && counts(host))
    }

    /// Whether anything was (in check mode: would be) changed.
    pub fn changed(&self) -> bool {
        self.recap.iter().any(|(_, recap)| recap.changed > 0)
    }

    /// The exit code that says this.
    pub fn exit(&self) -> crate::exit::Exit {
        use crate::exit::Exit;
        match (self.failed(), self.unreachable(), self.interrupted) {
            (_, _, true) => Exit::Interrupted,
            (_, true, _) => Exit::Unreachable,
            (true, false, _) => Exit::HostFailed,
            (false, false, false) if self.aborted => Exit::Error,
            (false, false, false) => Exit::Ok,
        }
    }
}

/// Checks what can be checked of a playbook against an inventory: every literal host pattern must select something
/// that exists.
pub fn validate(playbook: &Playbook, inventory: &Inventory) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    // Tasks may add the hosts and groups of later plays.
    let mut may_grow = false;
    for play in &playbook.plays {
        let grows = std::mem::replace(&mut may_grow, outline::adds_hosts(play));
        may_grow |= grows;
        let Some(pattern) = play.hosts.literal().filter(|_| !grows) else {
            continue;
        };
        if pattern == LOCALHOST {
            continue;
        }
        if let Err(error) = inventory.select(pattern) {
            found.push(match play.hosts.place() {
                Some(place) => error.at(place),
                None => Diagnostic::error(error.to_string()),
            });
        }
    }
    found.check(())
}

/// Runs a playbook on a connected fleet. Failures of hosts are in the report, not an error.
pub async fn run(
    playbook: &Playbook,
    library: &Library,
    inventory: &Inventory,
    fleet: &Fleet,
    options: &RunOptions,
    events: &Events,
    control: &Control,
) -> RunReport {
    runner::Runner::new(
        playbook, library, inventory, fleet, options, events, control,
    )
    .run()
    .await
}
