//! The linear strategy: a task runs on all hosts of the play before the next one begins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value as Json, json};

use super::event::{EventKind, NoticeLevel, Outcome};
use super::perform::Performed;
use super::state::{HostState, Standing, Variables};
use super::{Control, Events, Fleet, RunOptions, RunReport};
use crate::inventory::Inventory;
use crate::modules::LedgerEntry;
use crate::playbook::{Action, Block, Item, Library, Meta, Play, Playbook, Task};

/// Hosts of a pattern; an error in words.
pub(super) fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<String>, String> {
    if pattern == super::LOCALHOST {
        return Ok(vec![pattern.to_owned()]);
    }
    inventory.select(pattern).map_err(|error| error.to_string())
}

/// A host whose task failed, and what a rescue may want to know.
struct Failure {
    host: String,
    task: String,
    result: Map<String, Json>,
    /// Lost hosts are not rescued.
    lost: bool,
}

/// Where a task runs within its play.
#[derive(Clone, Copy)]
struct Around<'p> {
    play: &'p Play,
    play_hosts: &'p [String],
    /// A block around it has a `rescue`.
    rescuable: bool,
    handler: bool,
}

/// One run.
pub(super) struct Runner<'a> {
    playbook: &'a Playbook,
    pub(super) library: &'a Library,
    inventory: &'a Inventory,
    pub(super) fleet: &'a Fleet,
    pub(super) options: &'a RunOptions,
    pub(super) events: &'a Events,
    pub(super) control: &'a Control,
    pub(super) variables: Arc<Variables>,
    numbers: AtomicU64,
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
            shared,
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
        }
    }

    pub(super) async fn run(self) -> RunReport {
        for member in self.fleet.members() {
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
            if self.control.stop.is_cancelled() {
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
            variables: variables
                .map(|(host, state)| (host.clone(), state.set_variables()))
                .collect(),
        }
    }

    fn lose(&self, host: &str, error: &crate::connect::TransportError) {
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
        let scope = self
            .variables
            .scope(super::LOCALHOST, Some(&play.frame), &[]);
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
                return;
            }
        };
        let limited = |host: &String| {
            self.options
                .limit
                .as_ref()
                .is_none_or(|limit| limit.contains(host) || host == super::LOCALHOST)
        };
        let mut hosts: Vec<String> = hosts
            .into_iter()
            .filter(|host| limited(host) && self.fleet.member(host).is_some())
            .collect();
        for host in &hosts {
            if let Some(state) = self.variables.hosts.get(host) {
                state.set_ended(false);
            }
        }
        hosts.retain(|host| self.is_running(host));
        self.events.send(EventKind::PlayStarted {
            name: play.name.clone(),
            hosts: hosts.clone(),
        });
        if hosts.is_empty() {
            return;
        }
        if play.gather_facts {
            self.gather_facts(&hosts).await;
        }
        let around = Around {
            play,
            play_hosts: &hosts,
            rescuable: false,
            handler: false,
        };
        for section in &play.sections {
            let failures = self.items(section, hosts.clone(), around).await;
            self.settle(&failures);
            self.flush_handlers(around).await;
            if play.any_errors_fatal && hosts.iter().any(|host| !self.is_active(host)) {
                break;
            }
        }
    }

    async fn gather_facts(&self, hosts: &[String]) {
        let missing = hosts
            .iter()
            .filter_map(|host| self.fleet.member(host))
            .filter(|member| member.facts().is_none());
        let wanted = crate::facts::Wanted::default();
        let results: Vec<_> = futures::stream::iter(missing.map(|member| {
            let wanted = &wanted;
            async move {
                let result = match member.session(&self.control.cancel) {
                    Ok(session) => crate::facts::gather(&session, wanted).await,
                    Err(error) => Err(error.into()),
                };
                (member, result)
            }
        }))
        .buffer_unordered(self.options.forks)
        .collect()
        .await;
        for (member, result) in results {
            let Some(state) = self.variables.hosts.get(&member.name) else {
                continue;
            };
            match result {
                Ok(facts) => {
                    state.set_facts(facts.to_vars());
                    member.set_facts(Ok(facts));
                }
                Err(error) => {
                    self.events.notice(
                        NoticeLevel::Error,
                        format!("{}: cannot gather facts: {error}", member.name),
                    );
                    state.set_standing(Standing::Failed);
                    state.count(|recap| recap.failed += 1);
                }
            }
        }
    }

    fn is_running(&self, host: &str) -> bool {
        self.variables
            .hosts
            .get(host)
            .is_some_and(|state| state.is_running())
    }

    fn is_active(&self, host: &str) -> bool {
        self.variables
            .hosts
            .get(host)
            .is_some_and(|state| state.standing() == Standing::Active)
    }

    /// Hosts that failed without being rescued run nothing any more.
    fn settle(&self, failures: &[Failure]) {
        for failure in failures.iter().filter(|failure| !failure.lost) {
            if let Some(state) = self.variables.hosts.get(&failure.host) {
                state.set_standing(Standing::Failed);
            }
        }
    }

    /// Runs a list on hosts; answers those that failed in it.
    fn items<'s>(
        &'s self,
        items: &'s [Item],
        hosts: Vec<String>,
        around: Around<'s>,
    ) -> BoxFuture<'s, Vec<Failure>> {
        Box::pin(async move {
            let mut hosts = hosts;
            let mut failures: Vec<Failure> = Vec::new();
            for item in items {
                hosts.retain(|host| {
                    self.is_running(host) && !failures.iter().any(|failure| failure.host == *host)
                });
                if hosts.is_empty() || self.control.stop.is_cancelled() {
                    break;
                }
                failures.extend(match item {
                    Item::Task(task) => self.task(task, &hosts, around).await,
                    Item::Block(block) => self.block(block, &hosts, around).await,
                });
                if around.play.any_errors_fatal && !around.rescuable && !failures.is_empty() {
                    for host in hosts
                        .iter()
                        .filter(|host| !failures.iter().any(|failure| failure.host == **host))
                    {
                        if let Some(state) = self.variables.hosts.get(host) {
                            state.set_ended(true);
                        }
                    }
                    self.events.notice(
                        NoticeLevel::Error,
                        "a host failed and `any_errors_fatal` is set: the play ends for all hosts",
                    );
                    break;
                }
            }
            failures
        })
    }

    async fn block(&self, block: &Block, hosts: &[String], around: Around<'_>) -> Vec<Failure> {
        let inner = Around {
            rescuable: around.rescuable || !block.rescue.is_empty(),
            ..around
        };
        let mut failures = self.items(&block.items, hosts.to_vec(), inner).await;
        if !block.rescue.is_empty() && !failures.is_empty() && !self.control.stop.is_cancelled() {
            let (rescued, lost): (Vec<Failure>, Vec<Failure>) =
                failures.into_iter().partition(|failure| !failure.lost);
            for failure in &rescued {
                if let Some(state) = self.variables.hosts.get(&failure.host) {
                    state.set_variable("ansible_failed_task", json!({ "name": failure.task }));
                    state.set_variable(
                        "ansible_failed_result",
                        Json::Object(failure.result.clone()),
                    );
                }
            }
            let names: Vec<String> = rescued.into_iter().map(|failure| failure.host).collect();
            failures = lost;
            failures.extend(self.items(&block.rescue, names, around).await);
        }
        if !block.always.is_empty() {
            let present: Vec<String> = hosts
                .iter()
                .filter(|host| self.is_active(host))
                .cloned()
                .collect();
            failures.extend(self.items(&block.always, present, around).await);
        }
        failures
    }

    fn is_selected(&self, task: &Task) -> bool {
        let tags = task.frame.all_tags();
        let has = |wanted: &String| match wanted.as_str() {
            "all" => true,
            "tagged" => !tags.is_empty(),
            "untagged" => tags.is_empty(),
            tag => tags.contains(&tag),
        };
        let named = self.options.tags.iter().any(|tag| tag != "all" && has(tag));
        let wanted = if tags.contains(&"never") {
            named
        } else {
            self.options.tags.is_empty()
                || tags.contains(&"always")
                || self.options.tags.iter().any(has)
        };
        let skipped = self
            .options
            .skip_tags
            .iter()
            .any(|tag| has(tag) && !(tag == "all" && tags.contains(&"always")));
        wanted && !skipped
    }

    async fn task(&self, task: &Task, hosts: &[String], around: Around<'_>) -> Vec<Failure> {
        let is_include = matches!(task.action, Action::Include { .. });
        if !around.handler && !is_include && !self.is_selected(task) {
            return Vec::new();
        }
        if let Action::Meta(meta) = task.action {
            return self.meta(meta, task, hosts, around).await;
        }
        let once = task.frame.find(|frame| frame.run_once).unwrap_or(false);
        let mut runners: Vec<String> = hosts.to_vec();
        if once {
            runners.truncate(1);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let title = runners
            .first()
            .map(|host| self.title(task, host, around))
            .unwrap_or_default();
        if !is_include {
            self.events.send(EventKind::TaskStarted {
                task: number,
                name: title.clone(),
                role: task.frame.role().map(|role| role.name.clone()),
                module: task.action.name().to_owned(),
                place: task.place.to_string(),
                handler: around.handler,
                hosts: runners.clone(),
            });
        }
        if let Action::Include { items, .. } = &task.action {
            return self.include(task, items, &runners, number, around).await;
        }
        let title = &title;
        let results: Vec<(String, Performed)> =
            futures::stream::iter(runners.into_iter().map(|host| async move {
                self.events.send(EventKind::HostTaskStarted {
                    task: number,
                    host: host.clone(),
                });
                let performed = self
                    .perform(task, number, &host, around.play_hosts, around.rescuable)
                    .await;
                (host, performed)
            }))
            .buffer_unordered(self.options.forks.max(1))
            .collect()
            .await;
        let mut failures = Vec::new();
        for (host, performed) in results {
            self.remember(
                task,
                &host,
                &performed,
                if once {
                    hosts
                } else {
                    std::slice::from_ref(&host)
                },
                around,
            );
            let failed = matches!(performed.outcome, Outcome::Failed | Outcome::Rescued);
            if let Some(error) = &performed.lost {
                self.lose(&host, error);
            }
            if failed || performed.lost.is_some() {
                let lost = performed.lost.is_some();
                let affected: &[String] = if once {
                    hosts
                } else {
                    std::slice::from_ref(&host)
                };
                for host in affected {
                    failures.push(Failure {
                        host: host.clone(),
                        task: title.clone(),
                        result: performed.result.clone(),
                        lost,
                    });
                }
            }
        }
        failures
    }

    fn title(&self, task: &Task, host: &str, around: Around<'_>) -> String {
        let Some(name) = &task.name else {
            return task.title().to_owned();
        };
        let scope = self
            .variables
            .scope(host, Some(&task.frame), around.play_hosts);
        name.render(&scope)
            .unwrap_or_else(|_| task.title().to_owned())
    }

    /// Registers the result, and remembers which handlers it notifies.
    fn remember(
        &self,
        task: &Task,
        host: &str,
        performed: &Performed,
        hosts: &[String],
        around: Around<'_>,
    ) {
        if let Some(name) = &task.register {
            for host in hosts {
                if let Some(state) = self.variables.hosts.get(host) {
                    state.set_variable(name, Json::Object(performed.result.clone()));
                }
            }
        }
        if performed.outcome == Outcome::Changed
            && let Some(state) = self.variables.hosts.get(host)
        {
            let scope = self
                .variables
                .scope(host, Some(&task.frame), around.play_hosts);
            for name in &task.notify {
                state.notify(
                    &name
                        .render(&scope)
                        .unwrap_or_else(|_| name.source().to_owned()),
                );
            }
        }
    }

    /// Runs the tasks of an include on those hosts where its condition holds.
    async fn include(
        &self,
        task: &Task,
        items: &[Item],
        hosts: &[String],
        number: u64,
        around: Around<'_>,
    ) -> Vec<Failure> {
        let mut chosen = Vec::new();
        let mut failures = Vec::new();
        for host in hosts {
            let performed = self
                .perform(task, number, host, around.play_hosts, around.rescuable)
                .await;
            match performed.outcome {
                Outcome::Ok => chosen.push(host.clone()),
                Outcome::Failed | Outcome::Rescued => {
                    failures.push(Failure {
                        host: host.clone(),
                        task: task.title().to_owned(),
                        result: performed.result,
                        lost: false,
                    });
                }
                _ => {}
            }
        }
        failures.extend(self.items(items, chosen, around).await);
        failures
    }

    async fn meta(
        &self,
        meta: Meta,
        task: &Task,
        hosts: &[String],
        around: Around<'_>,
    ) -> Vec<Failure> {
        let holds = |host: &String| {
            let scope = self
                .variables
                .scope(host, Some(&task.frame), around.play_hosts);
            task.frame
                .chain()
                .flat_map(|frame| &frame.when)
                .all(|condition| condition.is_true(&scope).unwrap_or(false))
        };
        match meta {
            Meta::FlushHandlers => self.flush_handlers(around).await,
            Meta::EndHost | Meta::EndPlay => {
                let ending: Vec<&String> = hosts.iter().filter(|host| holds(host)).collect();
                let all = meta == Meta::EndPlay && !ending.is_empty();
                for host in if all {
                    around.play_hosts.iter().collect()
                } else {
                    ending
                } {
                    if let Some(state) = self.variables.hosts.get(host) {
                        state.set_ended(true);
                    }
                }
            }
            Meta::Noop => {}
        }
        Vec::new()
    }

    /// Runs notified handlers in the order in which they are written.
    fn flush_handlers<'s>(&'s self, around: Around<'s>) -> BoxFuture<'s, ()> {
        Box::pin(async move {
            let around = Around {
                handler: true,
                rescuable: false,
                ..around
            };
            for handler in &around.play.handlers {
                if self.control.stop.is_cancelled() {
                    return;
                }
                let Some(name) = handler.name.as_ref() else {
                    continue;
                };
                let mut names: Vec<&str> = handler.listen.iter().map(String::as_str).collect();
                names.push(name.source());
                let hosts: Vec<String> = around
                    .play_hosts
                    .iter()
                    .filter(|host| self.is_active(host))
                    .filter(|host| {
                        self.variables
                            .hosts
                            .get(*host)
                            .is_some_and(|state| state.take_notification(&names))
                    })
                    .cloned()
                    .collect();
                if hosts.is_empty() {
                    continue;
                }
                let failures = self.task(handler, &hosts, around).await;
                self.settle(&failures);
                let done = hosts
                    .iter()
                    .filter(|host| !failures.iter().any(|failure| failure.host == **host));
                for host in done {
                    self.forget_pending(host, &names).await;
                }
            }
        })
    }

    /// A handler that ran is no longer pending in the host's ledger.
    async fn forget_pending(&self, host: &str, names: &[&str]) {
        let (Some(component), false) = (&self.options.ledger, self.options.check_mode) else {
            return;
        };
        let Some(Ok(session)) = self
            .fleet
            .member(host)
            .map(|member| member.session_as("root", &self.control.cancel))
        else {
            return;
        };
        let lines = names.iter().map(|name| LedgerEntry::PendingHandler {
            name: (*name).to_owned(),
        });
        let lines: Vec<String> = lines
            .filter_map(|entry| serde_json::to_string(&entry).ok())
            .collect();
        if let Err(error) = session.ledger_forget(component, &lines).await {
            self.events.notice(
                NoticeLevel::Warning,
                format!("{host}: cannot note that a handler ran: {error}"),
            );
        }
    }

    /// Handlers that an earlier run notified and did not live to run are notified again.
    async fn recall_pending(&self) {
        let (Some(component), false) = (&self.options.ledger, self.options.check_mode) else {
            return;
        };
        let active = self.fleet.members().filter(|member| {
            self.inventory.hosts.contains_key(&member.name) && self.is_active(&member.name)
        });
        let reading = active.map(|member| async move {
            let session = member.session_as("root", &self.control.cancel).ok()?;
            Some((member, session.ledger(component).await.ok()?))
        });
        for (member, lines) in futures::future::join_all(reading)
            .await
            .into_iter()
            .flatten()
        {
            let Some(state) = self.variables.hosts.get(&member.name) else {
                continue;
            };
            for line in lines {
                if let Ok(LedgerEntry::PendingHandler { name }) = serde_json::from_str(&line) {
                    state.notify(&name);
                }
            }
        }
    }
}
