//! One run: its plays one after the other, the hosts that are left, what is reported at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures::StreamExt as _;
use serde_json::{Map, Value as Json, json};

use super::event::{EventKind, NoticeLevel, Outcome};
use super::state::{HostState, PlayView, Standing, Variables};
use super::{Control, Events, Fleet, LOCALHOST, Member, RunOptions, RunReport};
use crate::connect::TransportError;
use crate::facts::FactsError;
use crate::inventory::Inventory;
use crate::playbook::{Library, Play, Playbook};
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
}

/// One run.
pub(super) struct Runner<'a> {
    playbook: &'a Playbook,
    pub(super) library: &'a Library,
    pub(super) inventory: &'a Inventory,
    pub(super) fleet: &'a Fleet,
    pub(super) options: &'a RunOptions,
    pub(super) events: &'a Events,
    pub(super) control: &'a Control,
    pub(super) variables: Arc<Variables>,
    numbers: AtomicU64,
    /// No further play begins.
    halted: AtomicBool,
    /// A play could not begin.
    aborted: AtomicBool,
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
        let mut hosts = HashMap::new();
        let mut group_names = HashMap::new();
        for member in fleet.members() {
            let variables = inventory.host_vars(&member.name);
            hosts.insert(member.name.clone(), Arc::new(HostState::new(variables)));
            let groups = inventory
                .groups_of(&member.name)
                .into_iter()
                .filter(|group| *group != "all")
                .map(str::to_owned);
            group_names.insert(member.name.clone(), groups.collect());
        }
        let mut groups = Map::new();
        for name in inventory.groups.keys() {
            groups.insert(name.clone(), json!(inventory.hosts_of(name)));
        }
        let mut shared = Map::new();
        shared.insert("groups".to_owned(), Json::Object(groups));
        shared.insert("ansible_check_mode".to_owned(), options.check_mode.into());
        shared.insert("ansible_diff_mode".to_owned(), options.diff.into());
        shared.insert("ansible_run_tags".to_owned(), json!(options.tags));
        shared.insert("ansible_skip_tags".to_owned(), json!(options.skip_tags));
        let folder = std::path::Path::new(&playbook.name)
            .parent()
            .map(|parent| parent.display().to_string());
        shared.insert(
            "playbook_dir".to_owned(),
            folder
                .filter(|folder| !folder.is_empty())
                .unwrap_or_else(|| ".".to_owned())
                .into(),
        );
        let variables = Arc::new(Variables {
            hosts,
            shared: Layer::raw(shared),
            group_names,
            strongest: options.variables.clone(),
        });
        Self {
            playbook,
            library,
            inventory,
            fleet,
            options,
            events,
            control,
            variables,
            numbers: AtomicU64::new(0),
            halted: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
        }
    }

    pub(super) async fn run(self) -> RunReport {
        super::learn::learn(self.playbook, self.events.redactor());
        for member in self
            .fleet
            .members()
            .filter(|member| self.is_limited_to(&member.name))
        {
            let Some(state) = self.variables.hosts.get(&member.name) else {
                continue;
            };
            if let Err(error) = &member.link {
                self.lose(&member.name, error);
                continue;
            }
            if let Some(facts) = member.facts() {
                state.set_facts(facts.to_vars());
            }
            if let Some(reason) = member.refusal() {
                self.events
                    .notice(NoticeLevel::Error, format!("{}: {reason}", member.name));
                state.set_standing(Standing::Failed);
                state.count(|recap| recap.failed += 1);
            }
        }
        self.recall_pending().await;
        for play in &self.playbook.plays {
            if self.control.stop.is_cancelled() || self.halted.load(Ordering::Relaxed) {
                break;
            }
            self.play(play).await;
        }
        let recap = self.fleet.members().filter_map(|member| {
            let recap = self.variables.hosts.get(&member.name)?.recap();
            let took_part =
                recap != super::Recap::default() || self.inventory.hosts.contains_key(&member.name);
            took_part.then(|| (member.name.clone(), recap))
        });
        let variables = self.variables.hosts.iter();
        RunReport {
            recap: recap.collect(),
            interrupted: self.control.stop.is_cancelled(),
            aborted: self.aborted.load(Ordering::Relaxed),
            variables: variables
                .map(|(host, state)| (host.clone(), state.set_variables()))
                .collect(),
        }
    }

    /// Whether the run may touch a host. This machine does not count as a host unless the inventory has it.
    fn is_limited_to(&self, host: &str) -> bool {
        let Some(limit) = &self.options.limit else {
            return true;
        };
        limit.iter().any(|name| name == host)
            || host == LOCALHOST && !self.inventory.hosts.contains_key(host)
    }

    /// No further play begins, and the running one ends for every host that is left.
    pub(super) fn halt(&self, view: &PlayView, why: &str) {
        if self.halted.swap(true, Ordering::Relaxed) {
            return;
        }
        for host in &view.hosts {
            if let Some(state) = self.variables.hosts.get(host) {
                state.set_ended(true);
            }
        }
        self.events.notice(NoticeLevel::Error, why);
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn lose(&self, host: &str, error: &TransportError) {
        if let Some(state) = self.variables.hosts.get(host) {
            state.set_standing(Standing::Unreachable);
            state.count(|recap| recap.unreachable = 1);
        }
        self.events.send(EventKind::HostUnreachable {
            host: host.to_owned(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        });
    }

    async fn play(&self, play: &Play) {
        let nobody = PlayView::new(play, Vec::new());
        let scope = self.variables.scope(LOCALHOST, Some(&play.frame), &nobody);
        let selected = play
            .hosts
            .render(&scope)
            .map_err(|diagnostic| diagnostic.to_string())
            .and_then(|pattern| select(self.inventory, &pattern));
        let hosts = match selected {
            Ok(hosts) => hosts,
            Err(message) => {
                self.events.notice(
                    NoticeLevel::Error,
                    format!("play `{}`: {message}", play.name),
                );
                self.aborted.store(true, Ordering::Relaxed);
                self.halted.store(true, Ordering::Relaxed);
                return;
            }
        };
        let mut hosts: Vec<String> = hosts
            .into_iter()
            .filter(|host| self.is_limited_to(host))
            .collect();
        for state in hosts
            .iter()
            .filter_map(|host| self.variables.hosts.get(host))
        {
            state.set_ended(false);
        }
        hosts.retain(|host| self.is_running(host));
        self.events.send(EventKind::PlayStarted {
            name: play.name.clone(),
            hosts: hosts.clone(),
        });
        if hosts.is_empty() {
            return;
        }
        let view = PlayView::new(play, hosts);
        let around = Around {
            play,
            view: &view,
            rescuable: false,
            handler: false,
        };
        if play.gather_facts {
            self.gather_facts(around).await;
        }
        for section in &play.sections {
            let failures = self.items(section, view.hosts.clone(), around).await;
            self.settle(&failures);
            self.flush_handlers(&view.hosts, around).await;
        }
        for state in view
            .hosts
            .iter()
            .filter_map(|host| self.variables.hosts.get(host))
        {
            state.forget_owed();
        }
        if !view.hosts.iter().any(|host| self.is_active(host)) && !self.is_last(play) {
            let why = format!("no host of the play `{}` is left: the run ends", play.name);
            self.halt(&view, &why);
        }
    }

    fn is_last(&self, play: &Play) -> bool {
        self.playbook
            .plays
            .last()
            .is_some_and(|last| std::ptr::eq(last, play))
    }

    /// Asks hosts for their facts, those that nobody has asked yet.
    async fn gather_facts(&self, around: Around<'_>) {
        let missing: Vec<&Arc<Member>> = around
            .view
            .hosts
            .iter()
            .filter_map(|host| self.fleet.member(host))
            .filter(|member| member.facts().is_none())
            .collect();
        if missing.is_empty() {
            return;
        }
        let task = self.next_number();
        let place = around.play.hosts.place();
        self.events.send(EventKind::TaskStarted {
            task,
            name: "gather facts".to_owned(),
            role: None,
            module: "setup".to_owned(),
            place: place.map(ToString::to_string).unwrap_or_default(),
            handler: false,
            hosts: missing.iter().map(|member| member.name.clone()).collect(),
        });
        let wanted = crate::facts::Wanted {
            extent: crate::facts::Extent::System,
            ..crate::facts::Wanted::default()
        };
        futures::stream::iter(missing)
            .for_each_concurrent(self.options.forks.max(1), |member| {
                self.gather_facts_of(task, member, &wanted)
            })
            .await;
    }

    async fn gather_facts_of(&self, task: u64, member: &Member, wanted: &crate::facts::Wanted) {
        let host = member.name.clone();
        let started = Instant::now();
        if self.control.stop.is_cancelled() {
            return;
        }
        self.events.send(EventKind::HostTaskStarted {
            task,
            host: host.clone(),
        });
        let result = match member.session(&self.control.cancel) {
            Ok(session) => crate::facts::gather(&session, wanted).await,
            Err(error) => Err(error.into()),
        };
        let (outcome, error) = match result {
            Ok(facts) => {
                if let Some(state) = self.variables.hosts.get(&host) {
                    state.set_facts(facts.to_vars());
                }
                member.set_facts(Ok(facts));
                (Outcome::Ok, None)
            }
            Err(FactsError::Transport(error)) if error.loses_host() => {
                self.lose(&host, &error);
                (Outcome::Unreachable, Some(error.to_string()))
            }
            Err(error) => {
                if let Some(state) = self.variables.hosts.get(&host) {
                    state.set_standing(Standing::Failed);
                }
                (Outcome::Failed, Some(error.to_string()))
            }
        };
        self.count(&host, outcome);
        self.events.send(EventKind::HostTaskFinished {
            task,
            host,
            outcome,
            item: None,
            message: error,
            hint: None,
            diff: None,
            details: None,
            duration: started.elapsed(),
            delegated_to: None,
        });
    }

    pub(super) fn is_running(&self, host: &str) -> bool {
        self.variables
            .hosts
            .get(host)
            .is_some_and(|state| state.is_running())
    }

    pub(super) fn is_active(&self, host: &str) -> bool {
        self.variables
            .hosts
            .get(host)
            .is_some_and(|state| state.standing() == Standing::Active)
    }
}
