//! The linear strategy: a task runs on all hosts of the play before the next one begins. With `free` every host is a
//! list of one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value as Json, json};
use tokio::sync::Semaphore;

use super::StepAnswer;
use super::event::{EventKind, NoticeLevel, Outcome};
use super::keywords::is_set;
use super::perform::{Performed, notified};
use super::resume::Left;
use super::runner::{Around, LostAt, Runner};
use super::state::Standing;
use super::tags;
use crate::playbook::{Action, Block, Frame, Item, Task};
use crate::template::Scope;

/// A host whose task failed, and what a rescue may want to know.
pub(super) struct Failure {
    pub(super) host: String,
    pub(super) task: String,
    /// The name of its module.
    pub(super) action: String,
    pub(super) result: Map<String, Json>,
    /// Lost hosts are not rescued.
    pub(super) lost: bool,
    /// How often errors had been cleared when it failed.
    pub(super) forgiven: u64,
}

/// The hosts that failed.
pub(super) fn failed_hosts(failures: &[Failure]) -> std::collections::HashSet<&str> {
    failures
        .iter()
        .map(|failure| failure.host.as_str())
        .collect()
}

impl Runner<'_> {
    /// Runs a list on hosts; answers those that failed in it.
    pub(super) fn items<'s>(
        &'s self,
        items: &'s [Item],
        hosts: Vec<String>,
        around: Around<'s>,
    ) -> BoxFuture<'s, Vec<Failure>> {
        Box::pin(async move {
            let mut failures: Vec<Failure> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let around = Around {
                    step: around.step.at(index),
                    ..around
                };
                let forgiven = self.forgiven.load(Ordering::Relaxed);
                // Of those whose errors were cleared only the lost ones go on.
                let out: std::collections::HashSet<&str> = failures
                    .iter()
                    .filter(|failure| !(failure.lost && failure.forgiven < forgiven))
                    .map(|failure| failure.host.as_str())
                    .collect();
                let running: Vec<String> = hosts
                    .iter()
                    .filter(|host| self.is_running(host) && !out.contains(host.as_str()))
                    .cloned()
                    .collect();
                if running.is_empty() || self.control.stop.is_cancelled() {
                    break;
                }
                failures.extend(match item {
                    Item::Task(task) => self.task(task, &running, around).await,
                    Item::Block(block) => self.block(block, &running, around).await,
                });
            }
            failures
        })
    }

    async fn block(&self, block: &Block, hosts: &[String], around: Around<'_>) -> Vec<Failure> {
        if !block.is_role {
            return self.block_items(block, hosts, around).await;
        }
        let mut before: Vec<(String, u64)> = Vec::new();
        for host in hosts {
            let Some(state) = self.variables.host(host) else {
                continue;
            };
            if block
                .once
                .as_ref()
                .is_none_or(|role| !state.has_completed(role))
            {
                before.push((host.clone(), state.role_tasks()));
            }
        }
        let mine: Vec<String> = before.iter().map(|(host, _)| host.clone()).collect();
        if mine.is_empty() {
            return Vec::new();
        }
        let failures = self.block_items(block, &mine, around).await;
        for (host, count) in before {
            let Some(state) = self.variables.host(&host) else {
                continue;
            };
            state.set_role_ended(false);
            if let Some(role) = &block.once
                && state.role_tasks() > count
            {
                state.complete_role(role);
            }
        }
        failures
    }

    async fn block_items<'s>(
        &'s self,
        block: &'s Block,
        hosts: &[String],
        around: Around<'s>,
    ) -> Vec<Failure> {
        let inner = Around {
            rescuable: around.rescuable || !block.rescue.is_empty(),
            ..around
        };
        let since = self.coming_number();
        let part = |around: Around<'s>, part: &[u8]| Around {
            step: around.step.named(part),
            ..around
        };
        let mut failures = self
            .items(&block.items, hosts.to_vec(), part(inner, b"block"))
            .await;
        if !block.rescue.is_empty() && !failures.is_empty() && !self.control.stop.is_cancelled() {
            let (rescued, lost): (Vec<Failure>, Vec<Failure>) =
                failures.into_iter().partition(|failure| !failure.lost);
            for failure in rescued.iter().filter(|failure| !failure.result.is_empty()) {
                if let Some(state) = self.variables.host(&failure.host) {
                    state.set_variable(
                        "ansible_failed_task",
                        json!({ "name": failure.task, "action": failure.action }),
                    );
                    state.set_variable(
                        "ansible_failed_result",
                        Json::Object(failure.result.clone()),
                    );
                }
            }
            let names: Vec<String> = rescued.into_iter().map(|failure| failure.host).collect();
            failures = lost;
            failures.extend(
                self.items(&block.rescue, names, part(around, b"rescue"))
                    .await,
            );
        }
        // Noted before the end as well: a run may be killed there.
        self.note_undone(block, &failures, since, around);
        if !block.always.is_empty() {
            let present: Vec<String> = hosts
                .iter()
                .filter(|host| self.is_active(host))
                .cloned()
                .collect();
            let forgiven = self.forgiven.load(Ordering::Relaxed);
            let more = self
                .items(&block.always, present, part(around, b"always"))
                .await;
            // What `always` itself clears has not happened: the play goes on behind the block.
            if self.forgiven.load(Ordering::Relaxed) != forgiven {
                failures.retain(|failure| failure.lost);
            }
            let known = failed_hosts(&failures);
            let is_new = |more: &Failure| !known.contains(more.host.as_str());
            let more: Vec<Failure> = more.into_iter().filter(is_new).collect();
            failures.extend(more);
            self.note_undone(block, &failures, since, around);
        }
        failures
    }

    /// Whether `--start-at-task` and `--step` let a task run.
    fn is_let_through(&self, title: &str, task: &Task) -> bool {
        if !self.is_started.load(Ordering::Relaxed) {
            let wanted = self.options.start_at.as_deref().unwrap_or_default();
            let role = task
                .frame
                .role()
                .map(|role| format!("{} : {title}", role.name));
            let is_it = [Some(title.to_owned()), role]
                .into_iter()
                .flatten()
                .any(|name| name == wanted || matches_glob(wanted, &name));
            if !is_it {
                return false;
            }
            self.is_started.store(true, Ordering::Relaxed);
        }
        let Some(step) = &self.options.step else {
            return true;
        };
        if self.is_continuing.load(Ordering::Relaxed) {
            return true;
        }
        match (step.0)(title) {
            StepAnswer::Yes => true,
            StepAnswer::No => false,
            StepAnswer::Continue => {
                self.is_continuing.store(true, Ordering::Relaxed);
                true
            }
        }
    }

    /// Runs a task on hosts, at most `forks` at once; answers those that failed.
    pub(super) async fn task(
        &self,
        task: &Task,
        hosts: &[String],
        around: Around<'_>,
    ) -> Vec<Failure> {
        let (only, skip) = (&self.options.tags, &self.options.skip_tags);
        if !around.handler && !tags::selects(&task.frame.all_tags(), only, skip) {
            return Vec::new();
        }
        let Some(first) = hosts.first() else {
            return Vec::new();
        };
        if self.cannot_go_on(hosts, &task.frame, around) {
            return Vec::new();
        }
        let scope = self.scope(first, &task.frame, &around);
        let title = title(task, &scope);
        if !around.handler && !self.is_let_through(&title, task) {
            return Vec::new();
        }
        if let Action::Meta(meta) = task.action {
            return self.meta(meta, task, hosts, around).await;
        }
        let is_free = around.view.is_free;
        let is_shared = !is_free
            && is_set(&task.frame, &scope, |frame| frame.run_once.as_ref()).unwrap_or(false);
        let known = self.known(&task.action, &task.frame, &scope);
        let once = is_shared || known.as_deref().unwrap_or(&task.action).bypasses_hosts();
        let mut runners: Vec<String> = hosts.to_vec();
        if once {
            runners.truncate(1);
        }
        let number = self.next_number();
        self.events.send(EventKind::TaskStarted {
            task: number,
            name: title.clone(),
            role: task.frame.role().map(|role| role.name.clone()),
            module: task.action.name().to_owned(),
            place: task.place.to_string(),
            handler: around.handler,
            hosts: runners.clone(),
        });
        if let Action::Include(include) = &task.action {
            return self.include(task, include, number, &runners, around).await;
        }
        let throttle = task
            .frame
            .chain()
            .find_map(|frame| frame.throttle.as_ref())
            .and_then(|template| template.render(&scope).ok())
            .and_then(|text| text.trim().parse::<usize>().ok())
            .filter(|limit| *limit > 0)
            .unwrap_or(usize::MAX);
        // Hosts that do not wait for each other come to a task one by one.
        let turns = (is_free && throttle < usize::MAX).then(|| self.turns(task, throttle));
        let turns = turns.as_deref();
        let relay = self.relay.as_ref();
        if let Some(relay) = relay {
            relay.expect(if is_free { usize::MAX } else { runners.len() });
        }
        let around = &around;
        let results: Vec<(String, Performed)> =
            futures::stream::iter(runners.into_iter().map(|host| async move {
                let _turn = match turns {
                    Some(turns) => turns.acquire().await.ok(),
                    None => None,
                };
                if self.control.stop.is_cancelled() {
                    return None;
                }
                self.events.send(EventKind::HostTaskStarted {
                    task: number,
                    host: host.clone(),
                });
                let receivers = if is_shared {
                    hosts
                } else {
                    std::slice::from_ref(&host)
                };
                let performed = match self.left(task, number, &host, receivers, around) {
                    Left::Nothing(performed) => performed,
                    left => {
                        let performed = self.perform(task, number, &host, receivers, around).await;
                        if let Left::Again(again) = left {
                            self.compare(task, &host, &again, &performed);
                        }
                        performed
                    }
                };
                Some((host, performed))
            }))
            .buffer_unordered(self.options.forks.max(1).min(throttle))
            .filter_map(std::future::ready)
            .collect()
            .await;
        if let Some(relay) = relay.filter(|_| !is_free) {
            relay.release().await;
        }
        let mut failures = Vec::new();
        for (host, performed) in results {
            let affected = if is_shared {
                hosts
            } else {
                std::slice::from_ref(&host)
            };
            self.remember(task, &host, &performed, affected, around)
                .await;
            let lost = performed.lost.as_ref();
            if let Some(error) = lost {
                let at = LostAt {
                    task: number,
                    name: &title,
                    may_have_run: performed.may_have_run,
                };
                self.lose(&host, error, Some(at));
                around.view.remove(&host);
            }
            if task.frame.role().is_some()
                && !matches!(performed.outcome, Outcome::Skipped | Outcome::Unreachable)
                && let Some(state) = self.variables.host(&host)
            {
                state.count_role_task();
            }
            if lost.is_some() || matches!(performed.outcome, Outcome::Failed | Outcome::Rescued) {
                failures.extend(affected.iter().map(|affected| Failure {
                    host: affected.clone(),
                    task: title.clone(),
                    action: performed.action(task).name().to_owned(),
                    result: performed.result.clone(),
                    lost: lost.is_some() && *affected == host,
                    forgiven: self.forgiven.load(Ordering::Relaxed),
                }));
            }
        }
        if !around.rescuable {
            for failure in &failures {
                around.view.remove(&failure.host);
            }
        }
        self.spread(task, hosts, &scope, &mut failures, *around);
        // As if they had come in the order of the hosts, whoever was the fastest.
        let ranks: std::collections::HashMap<&str, usize> = hosts
            .iter()
            .enumerate()
            .map(|(rank, host)| (host.as_str(), rank))
            .collect();
        failures.sort_by_key(|failure| ranks.get(failure.host.as_str()).copied());
        failures
    }

    /// Who may be at a task at the same time.
    fn turns(&self, task: &Task, most: usize) -> Arc<Semaphore> {
        let mut throttles = self
            .throttles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let turns = throttles
            .entry(std::ptr::from_ref(task).addr())
            .or_insert_with(|| Arc::new(Semaphore::new(most)));
        Arc::clone(turns)
    }

    /// What an action is on a host whose name is known only while running; nothing where it is known already, or not yet.
    pub(super) fn known(
        &self,
        action: &Action,
        frame: &Arc<Frame>,
        scope: &Scope,
    ) -> Option<Arc<Action>> {
        match action {
            Action::Late(late) => late.action(self.library, frame, scope).ok(),
            _ => None,
        }
    }

    /// `any_errors_fatal` and `max_fail_percentage`: some failures are failures of all hosts.
    fn spread(
        &self,
        task: &Task,
        hosts: &[String],
        scope: &Scope,
        failures: &mut Vec<Failure>,
        around: Around<'_>,
    ) {
        if failures.is_empty() || around.view.is_free {
            return;
        }
        let is_fatal = is_set(&task.frame, scope, |frame| frame.any_errors_fatal.as_ref());
        let mut why = is_fatal.filter(|fatal| *fatal).map(|_| {
            "a host failed and `any_errors_fatal` is set: the run ends for all hosts".to_owned()
        });
        if why.is_none()
            && !around.rescuable
            && let Some(most) = around
                .play
                .max_fail_percentage
                .as_ref()
                .and_then(|template| template.render(scope).ok())
                .and_then(|text| text.trim().parse::<f64>().ok())
        {
            let is_failed = |host: &&String| {
                around.view.is_removed(host)
                    && self.variables.host(host).is_some_and(|state| {
                        state.standing() != Standing::Unreachable && !state.is_ended()
                    })
            };
            let failed = around.view.hosts.iter().filter(is_failed).count();
            #[expect(clippy::cast_precision_loss, reason = "numbers of hosts are small")]
            let share = 100.0 * failed as f64 / around.view.hosts.len().max(1) as f64;
            if share > most {
                why = Some(format!(
                    "{failed} of {} hosts failed, more than `max_fail_percentage` allows: the run ends for all hosts",
                    around.view.hosts.len()
                ));
            }
        }
        let Some(why) = why else {
            return;
        };
        let known = failed_hosts(failures);
        let others: Vec<Failure> = hosts
            .iter()
            .filter(|host| !known.contains(host.as_str()))
            .map(|host| Failure {
                host: host.clone(),
                task: task.title().to_owned(),
                action: task.action.name().to_owned(),
                result: Map::new(),
                lost: false,
                forgiven: self.forgiven.load(Ordering::Relaxed),
            })
            .collect();
        failures.extend(others);
        if !around.rescuable && !self.halted.swap(true, Ordering::Relaxed) {
            self.failed.store(true, Ordering::Relaxed);
            self.events.notice(NoticeLevel::Error, why);
        }
    }

    /// The scope of a task on a host, with what includes around it give.
    pub(super) fn scope(&self, host: &str, frame: &Frame, around: &Around<'_>) -> Scope {
        let scope = self.variables.scope(host, Some(frame), around.view);
        around
            .given
            .iter()
            .fold(scope, |scope, layer| scope.with(layer.clone()))
    }

    /// Registers the result, and remembers which handlers it notifies.
    async fn remember(
        &self,
        task: &Task,
        host: &str,
        performed: &Performed,
        hosts: &[String],
        around: &Around<'_>,
    ) {
        if let Some(name) = &task.register {
            for host in hosts {
                if let Some(state) = self.variables.host(host) {
                    state.set_variable(name, Json::Object(performed.result.clone()));
                }
            }
        }
        if matches!(
            performed.action(task),
            Action::Module { .. }
                | Action::Engine {
                    kind: crate::playbook::EngineAction::Setup
                        | crate::playbook::EngineAction::GatherFacts,
                    ..
                }
        ) {
            let receivers = performed.fact_hosts.as_deref().unwrap_or(hosts);
            self.take_facts(&performed.result, receivers);
        }
        if task.notify.is_empty() {
            return;
        }
        let scope = self.scope(host, &task.frame, around);
        let names = notified(task, &scope);
        if !matches!(
            performed.outcome,
            Outcome::Failed | Outcome::Rescued | Outcome::Unreachable
        ) {
            self.owe_recalled(host, &names, around);
        }
        match performed.outcome {
            Outcome::Changed => {
                let is_fresh = !performed.is_taken_over;
                let known = self.notify(host, &names, &scope, around, is_fresh);
                if let Some(name) = names.iter().find(|name| !known.contains(name)) {
                    self.no_handler(task, name, around);
                }
            }
            // It was noted before it was known that nothing would change.
            Outcome::Ok if performed.is_noted => self.forget_pending(host, &names, around).await,
            _ => {}
        }
    }
}

impl Runner<'_> {
    /// Facts that a module found, of each item of a loop too.
    fn take_facts(&self, result: &Map<String, Json>, hosts: &[String]) {
        let items = result.get("results").and_then(Json::as_array);
        let inner = items.into_iter().flatten().filter_map(Json::as_object);
        for facts in std::iter::once(result)
            .chain(inner)
            .filter_map(|result| result.get("ansible_facts")?.as_object())
        {
            for state in hosts.iter().filter_map(|host| self.variables.host(host)) {
                state.add_facts(facts);
            }
        }
    }
}

/// What a task is called on a host.
pub(super) fn title(task: &Task, scope: &Scope) -> String {
    let Some(name) = &task.name else {
        return task.title().to_owned();
    };
    name.render(scope)
        .unwrap_or_else(|_| task.title().to_owned())
}

/// Whether a name matches a pattern of `*` and `?`.
pub(super) fn matches_glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(c) if *c == '?' || Some(c) == name.get(from) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|c| *c == '*')
}
