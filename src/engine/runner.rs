//! One run: its plays one after the other, the hosts that are left, what is reported at the end.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::event::{EventKind, NoticeLevel};
use super::resume::StepId;
use super::state::{HostState, PlayView, Standing, Variables};
use super::{Control, Events, Fleet, LOCALHOST, RunOptions, RunReport};
use crate::connect::TransportError;
use crate::inventory::Inventory;
use crate::playbook::{Included, Library, Play, Playbook, Resolved};
use crate::remote::Relay;
use crate::secret::hidden::Hidden;
use crate::template::Layer;

/// Hosts of a pattern; an error in words.
pub(super) fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<String>, String> {
    if pattern == LOCALHOST {
        return Ok(vec![pattern.to_owned()]);
    }
    inventory.select(pattern).map_err(|error| error.to_string())
}

/// Where a task runs within its play.
#[derive(Clone, Copy)]
pub(super) struct Around<'p> {
    pub(super) play: &'p Play,
    pub(super) view: &'p Arc<PlayView>,
    /// A block around it has a `rescue`.
    pub(super) rescuable: bool,
    pub(super) handler: bool,
    /// What includes around it give: the item of their loop.
    pub(super) given: &'p [Layer],
    /// How many includes are around it.
    pub(super) depth: usize,
    /// Where it is within the run.
    pub(super) step: StepId,
}

/// What a host was at when it was lost.
#[derive(Clone, Copy)]
pub(super) struct LostAt<'a> {
    pub(super) task: u64,
    pub(super) name: &'a str,
    /// A step was begun, and its end was not seen.
    pub(super) may_have_run: bool,
}

/// One run.
pub(super) struct Runner<'a> {
    pub(super) playbook: &'a Playbook,
    pub(super) library: &'a Library,
    /// The inventory, with hosts and groups that tasks added.
    pub(super) inventory: RwLock<Inventory>,
    pub(super) fleet: &'a Fleet,
    pub(super) options: &'a RunOptions,
    pub(super) events: &'a Events,
    pub(super) control: &'a Control,
    pub(super) variables: Arc<Variables>,
    /// Includes that were read while the run went on.
    pub(super) included: Mutex<HashMap<(usize, Resolved), Included>>,
    /// The task that `--start-at-task` names has been found, or none is named.
    pub(super) is_started: AtomicBool,
    /// `--step`: every further task runs.
    pub(super) is_continuing: AtomicBool,
    /// Results of `async` tasks that nobody waited for.
    pub(super) background: Mutex<HashMap<String, Map<String, Json>>>,
    /// How many hosts may be at a task with `throttle` at the same time, where each host goes its own way.
    pub(super) throttles: Mutex<HashMap<usize, Arc<tokio::sync::Semaphore>>>,
    /// Who has which big files, where hosts serve their neighbours.
    pub(super) relay: Option<Relay>,
    /// How often `meta: clear_host_errors` came.
    pub(super) forgiven: AtomicU64,
    /// Hosts that tasks added.
    pub(super) added: Mutex<Vec<String>>,
    /// The hosts that the run may touch; all without it.
    limit: Option<HashSet<&'a str>>,
    numbers: AtomicU64,
    /// What tasks with `no_log` said.
    pub(super) hidden: Hidden,
    /// No further play begins.
    pub(super) halted: AtomicBool,
    /// A play could not begin.
    pub(super) aborted: AtomicBool,
    /// The run was ended for hosts that had not failed themselves.
    pub(super) failed: AtomicBool,
}

impl<'a> Runner<'a> {
    pub(super) fn new(
        playbook: &'a Playbook,
        library: &'a Library,
        inventory: &'a Inventory,
        fleet: &'a Fleet,
        options: &'a RunOptions,
        events: &'a Events,
        control: &'a Control,
    ) -> Self {
        let mut hosts = IndexMap::new();
        for (name, variables) in inventory.host_vars_of_all() {
            hosts.insert(name.to_owned(), Arc::new(HostState::new(variables)));
        }
        for member in fleet.members() {
            hosts.entry(member.name.clone()).or_insert_with(|| {
                let local = Map::from_iter([("ansible_connection".to_owned(), "local".into())]);
                Arc::new(HostState::new(local))
            });
        }
        let variables = Arc::new(Variables {
            hosts: RwLock::new(hosts),
            shared: RwLock::new(Layer::raw(Map::new())),
            group_names: RwLock::default(),
            weakest: options.weakest.clone(),
            strongest: options.variables.clone(),
            files: Mutex::default(),
            unusable: OnceLock::new(),
            library: library.clone(),
        });
        let runner = Self {
            playbook,
            library,
            inventory: RwLock::new(inventory.clone()),
            fleet,
            options,
            events,
            control,
            variables,
            included: Mutex::default(),
            is_started: AtomicBool::new(options.start_at.is_none()),
            is_continuing: AtomicBool::new(false),
            background: Mutex::default(),
            throttles: Mutex::default(),
            relay: options.relay.then(|| {
                let events = events.clone();
                Relay::new(move |words| events.notice(NoticeLevel::Warning, words))
            }),
            forgiven: AtomicU64::new(0),
            added: Mutex::default(),
            limit: options
                .limit
                .as_ref()
                .map(|limit| limit.iter().map(String::as_str).collect()),
            numbers: AtomicU64::new(0),
            hidden: Hidden::default(),
            halted: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        };
        runner.tell_groups();
        runner
    }

    /// Groups and the like as the inventory has them now.
    pub(super) fn tell_groups(&self) {
        let inventory = self
            .inventory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut group_names: HashMap<String, Vec<String>> = HashMap::new();
        let mut groups = Map::new();
        for name in inventory.groups.keys() {
            let hosts = inventory.hosts_of(name);
            if name != "all" {
                for host in &hosts {
                    group_names
                        .entry((*host).to_owned())
                        .or_default()
                        .push(name.clone());
                }
            }
            groups.insert(name.clone(), json!(hosts));
        }
        for names in group_names.values_mut() {
            names.sort();
        }
        let mut shared = Map::new();
        shared.insert("groups".to_owned(), Json::Object(groups));
        let options = self.options;
        shared.insert("ansible_check_mode".to_owned(), options.check_mode.into());
        shared.insert("ansible_diff_mode".to_owned(), options.diff.into());
        shared.insert("ansible_forks".to_owned(), options.forks.into());
        shared.insert("ansible_verbosity".to_owned(), options.verbosity.into());
        shared.insert("ansible_config_file".to_owned(), Json::Null);
        let run_tags = if options.tags.is_empty() {
            json!(["all"])
        } else {
            json!(options.tags)
        };
        shared.insert("ansible_run_tags".to_owned(), run_tags);
        shared.insert("ansible_skip_tags".to_owned(), json!(options.skip_tags));
        shared.insert("ansible_playbook_python".to_owned(), python().into());
        if let Some(limit) = &options.limit_pattern {
            shared.insert("ansible_limit".to_owned(), limit.clone().into());
        }
        shared.insert("ansible_version".to_owned(), version());
        if let Some(source) = &inventory.source {
            let sources: Vec<String> = source.split(", ").map(absolute).collect();
            shared.insert("ansible_inventory_sources".to_owned(), json!(sources));
            let first = source.split(", ").next().unwrap_or(source);
            let path = std::path::absolute(first).unwrap_or_else(|_| first.into());
            let folder = if path.is_dir() {
                Some(path.as_path())
            } else {
                path.parent()
            };
            let folder = folder.map(|folder| folder.display().to_string());
            shared.insert("inventory_dir".to_owned(), json!(folder));
            shared.insert(
                "inventory_file".to_owned(),
                path.display().to_string().into(),
            );
        }
        *self
            .variables
            .group_names
            .write()
            .unwrap_or_else(PoisonError::into_inner) = group_names;
        *self
            .variables
            .shared
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Layer::raw(shared);
    }

    pub(super) async fn run(self) -> RunReport {
        super::learn::learn(self.playbook, self.events.redactor());
        for member in self
            .fleet
            .members()
            .filter(|member| self.is_limited_to(&member.name))
        {
            let Some(state) = self.variables.host(&member.name) else {
                continue;
            };
            if let Err(error) = &member.link
                && !self.options.patient
            {
                self.lose(&member.name, error, None);
                state.count(|recap| recap.unreachable += 1);
                continue;
            }
            if let Some(facts) = member.facts() {
                state.add_fact_texts(facts.to_texts());
            }
            if let Some(reason) = member.refusal() {
                self.events
                    .notice(NoticeLevel::Error, format!("{}: {reason}", member.name));
                state.set_standing(Standing::Failed);
                state.count(|recap| recap.failed += 1);
            }
        }
        self.recall_pending().await;
        for (index, play) in self.playbook.plays.iter().enumerate() {
            if self.control.stop.is_cancelled() || self.halted.load(Ordering::Relaxed) {
                break;
            }
            self.play(play, StepId::of_play(index)).await;
        }
        if let Some(relay) = &self.relay {
            relay.release().await;
        }
        let inventory = self
            .inventory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let hosts = self
            .variables
            .hosts
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let is_asked =
            |name: &str| inventory.hosts.contains_key(name) && self.fleet.member(name).is_some();
        let recap = hosts.iter().filter_map(|(name, state)| {
            let recap = state.recap();
            let took_part = recap != super::Recap::default() || is_asked(name);
            took_part.then(|| (name.clone(), recap))
        });
        RunReport {
            recap: recap.collect(),
            interrupted: self.control.stop.is_cancelled(),
            aborted: self.aborted.load(Ordering::Relaxed),
            forgiven: hosts
                .iter()
                .filter(|(_, state)| state.is_forgiven() && state.standing() == Standing::Active)
                .map(|(name, _)| name.clone())
                .collect(),
            failed_for_all: self.failed.load(Ordering::Relaxed),
            variables: hosts
                .iter()
                .filter(|(name, _)| self.fleet.member(name).is_some())
                .map(|(host, state)| (host.clone(), state.set_variables()))
                .collect(),
        }
    }

    /// Whether the run may touch a host. This machine does not count as a host unless the inventory has it.
    pub(super) fn is_limited_to(&self, host: &str) -> bool {
        let Some(limit) = &self.limit else {
            return true;
        };
        limit.contains(host)
            || host == LOCALHOST && !self.is_of_inventory(host)
            || self.is_added(host)
    }

    /// Whether the inventory has a host.
    pub(super) fn is_of_inventory(&self, host: &str) -> bool {
        self.inventory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .hosts
            .contains_key(host)
    }

    /// Whether a task added a host.
    fn is_added(&self, host: &str) -> bool {
        self.added
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|added| added == host)
    }

    /// No further play begins, and the running one ends for every host that is left.
    pub(super) fn halt(&self, view: &PlayView, why: &str) {
        if self.halted.swap(true, Ordering::Relaxed) {
            return;
        }
        self.end_all(view);
        self.events.notice(NoticeLevel::Error, why);
    }

    /// The running play ends for every host that is left.
    pub(super) fn end_all(&self, view: &PlayView) {
        for host in &view.hosts {
            if let Some(state) = self.variables.host(host) {
                state.end();
            }
        }
    }

    /// The number of the next task.
    pub(super) fn coming_number(&self) -> u64 {
        self.numbers.load(Ordering::Relaxed) + 1
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A host takes no further part; `at` is the task that it was lost in, if it was there before.
    pub(super) fn lose(&self, host: &str, error: &TransportError, at: Option<LostAt<'_>>) {
        if let Some(state) = self.variables.host(host) {
            state.set_standing(Standing::Unreachable);
        }
        self.events.send(EventKind::HostUnreachable {
            host: host.to_owned(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            task: at.map(|at| at.task),
            task_name: at.map(|at| at.name.to_owned()),
            may_have_run: at.is_some_and(|at| at.may_have_run),
        });
    }

    pub(super) fn is_running(&self, host: &str) -> bool {
        self.variables
            .host(host)
            .is_some_and(|state| state.is_running())
    }

    pub(super) fn is_active(&self, host: &str) -> bool {
        self.variables
            .host(host)
            .is_some_and(|state| state.standing() == Standing::Active)
    }
}

/// An inventory as `ansible_inventory_sources` has it.
fn absolute(source: &str) -> String {
    let path = std::path::absolute(source).unwrap_or_else(|_| source.into());
    if path.exists() {
        path.display().to_string()
    } else {
        source.to_owned()
    }
}

/// Playbooks name the Python that Ansible itself runs in. There is none here: the machine's own stands in for it.
fn python() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .find(|file| file.is_file())
        .map_or_else(
            || "/usr/bin/python3".to_owned(),
            |file| file.display().to_string(),
        )
}

/// Playbooks ask for the version of Ansible whose grammar this is.
fn version() -> Json {
    json!({"full": "2.17.0", "major": 2, "minor": 17, "revision": 0, "string": "2.17.0"})
}
