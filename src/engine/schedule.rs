//! The linear strategy: a task runs on all hosts of the play before the next one begins.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value as Json, json};

use super::event::{EventKind, Outcome};
use super::perform::{Performed, notified};
use super::runner::{Around, Runner};
use super::state::Standing;
use super::tags;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Action, Block, Item, Meta, Task};

/// A host whose task failed, and what a rescue may want to know.
pub(super) struct Failure {
    pub(super) host: String,
    task: String,
    result: Map<String, Json>,
    /// Lost hosts are not rescued.
    lost: bool,
}

impl Runner<'_> {
    /// Hosts that failed without being rescued run nothing any more.
    pub(super) fn settle(&self, failures: &[Failure]) {
        for failure in failures.iter().filter(|failure| !failure.lost) {
            if let Some(state) = self.variables.hosts.get(&failure.host) {
                state.set_standing(Standing::Failed);
            }
        }
    }

    /// Runs a list on hosts; answers those that failed in it.
    pub(super) fn items<'s>(
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
        if let Action::Meta(meta) = task.action {
            return self.meta(meta, task, hosts, around).await;
        }
        let once = task.frame.find(|frame| frame.run_once).unwrap_or(false);
        let mut runners: Vec<String> = hosts.to_vec();
        if once {
            runners.truncate(1);
        }
        let number = self.next_number();
        let title = runners
            .first()
            .map(|host| self.title(task, host, around))
            .unwrap_or_default();
        self.events.send(EventKind::TaskStarted {
            task: number,
            name: title.clone(),
            role: task.frame.role().map(|role| role.name.clone()),
            module: task.action.name().to_owned(),
            place: task.place.to_string(),
            handler: around.handler,
            hosts: runners.clone(),
        });
        let around = &around;
        let results: Vec<(String, Performed)> =
            futures::stream::iter(runners.into_iter().map(|host| async move {
                if self.control.stop.is_cancelled() {
                    return None;
                }
                self.events.send(EventKind::HostTaskStarted {
                    task: number,
                    host: host.clone(),
                });
                let receivers = if once {
                    hosts
                } else {
                    std::slice::from_ref(&host)
                };
                let performed = self.perform(task, number, &host, receivers, around).await;
                Some((host, performed))
            }))
            .buffer_unordered(self.options.forks.max(1))
            .filter_map(std::future::ready)
            .collect()
            .await;
        let mut failures = Vec::new();
        let mut chosen = Vec::new();
        for (host, performed) in results {
            let affected = if once {
                hosts
            } else {
                std::slice::from_ref(&host)
            };
            self.remember(task, &host, &performed, affected, around)
                .await;
            let lost = performed.lost.as_ref();
            if let Some(error) = lost {
                self.lose(&host, error);
            }
            if lost.is_some() || matches!(performed.outcome, Outcome::Failed | Outcome::Rescued) {
                failures.extend(affected.iter().map(|affected| Failure {
                    host: affected.clone(),
                    task: title.clone(),
                    result: performed.result.clone(),
                    lost: lost.is_some() && *affected == host,
                }));
            } else if performed.outcome == Outcome::Ok {
                chosen.extend(affected.iter().cloned());
            }
        }
        // As if they had come in the order of the hosts, whoever was the fastest.
        let rank = |name: &String| hosts.iter().position(|host| host == name);
        chosen.sort_by_key(rank);
        failures.sort_by_key(|failure| rank(&failure.host));
        let is_fatal = task
            .frame
            .find(|frame| frame.any_errors_fatal)
            .unwrap_or(false);
        if is_fatal && !around.rescuable && !failures.is_empty() {
            self.settle(&failures);
            self.halt(
                around.view,
                "a host failed and `any_errors_fatal` is set: the run ends for all hosts",
            );
        }
        if let Action::Include { items, .. } = &task.action {
            failures.extend(self.items(items, chosen, *around).await);
        }
        failures
    }

    fn title(&self, task: &Task, host: &str, around: Around<'_>) -> String {
        let Some(name) = &task.name else {
            return task.title().to_owned();
        };
        let scope = self.variables.scope(host, Some(&task.frame), around.view);
        name.render(&scope)
            .unwrap_or_else(|_| task.title().to_owned())
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
                if let Some(state) = self.variables.hosts.get(host) {
                    state.set_variable(name, Json::Object(performed.result.clone()));
                }
            }
        }
        if task.notify.is_empty() {
            return;
        }
        let scope = self.variables.scope(host, Some(&task.frame), around.view);
        let names = notified(task, &scope);
        if !matches!(
            performed.outcome,
            Outcome::Failed | Outcome::Rescued | Outcome::Unreachable
        ) {
            self.owe_recalled(host, &names, around);
        }
        match performed.outcome {
            Outcome::Changed => self.notify(host, &names, around),
            // It was noted before it was known that nothing would change.
            Outcome::Ok if performed.is_noted => self.forget_pending(host, &names, around).await,
            _ => {}
        }
    }

    async fn meta(
        &self,
        meta: Meta,
        task: &Task,
        hosts: &[String],
        around: Around<'_>,
    ) -> Vec<Failure> {
        let mut chosen = Vec::new();
        let mut failures = Vec::new();
        for host in hosts {
            let scope = self.variables.scope(host, Some(&task.frame), around.view);
            let mut conditions = task.frame.chain().flat_map(|frame| &frame.when);
            let holds = conditions.try_fold(true, |all, condition| {
                Ok::<_, Diagnostic>(all && condition.is_true(&scope)?)
            });
            match holds {
                Ok(true) => chosen.push(host.clone()),
                Ok(false) => {}
                Err(diagnostic) => failures.push(self.meta_failed(task, host, &diagnostic, around)),
            }
        }
        match meta {
            Meta::FlushHandlers => self.flush_handlers(&chosen, around).await,
            Meta::EndHost | Meta::EndPlay => {
                // The first host decides for all, as in Ansible.
                let all = meta == Meta::EndPlay && chosen.first() == hosts.first();
                let ending = match meta {
                    Meta::EndPlay if all => around.view.hosts.as_slice(),
                    Meta::EndPlay => &[],
                    _ => chosen.as_slice(),
                };
                for state in ending
                    .iter()
                    .filter_map(|host| self.variables.hosts.get(host))
                {
                    state.set_ended(true);
                }
            }
            Meta::Noop => {}
        }
        failures
    }

    /// The condition of a `meta` task has no value.
    fn meta_failed(
        &self,
        task: &Task,
        host: &str,
        diagnostic: &Diagnostic,
        around: Around<'_>,
    ) -> Failure {
        let outcome = if around.rescuable {
            Outcome::Rescued
        } else {
            Outcome::Failed
        };
        self.count(host, outcome);
        let number = self.next_number();
        self.events.send(EventKind::TaskStarted {
            task: number,
            name: task.title().to_owned(),
            role: task.frame.role().map(|role| role.name.clone()),
            module: task.action.name().to_owned(),
            place: task.place.to_string(),
            handler: around.handler,
            hosts: vec![host.to_owned()],
        });
        self.events.send(EventKind::HostTaskFinished {
            task: number,
            host: host.to_owned(),
            outcome,
            item: None,
            message: Some(diagnostic.to_string()),
            hint: diagnostic.hint.clone(),
            diff: None,
            details: None,
            duration: std::time::Duration::ZERO,
            delegated_to: None,
        });
        let result = json!({ "failed": true, "changed": false, "msg": diagnostic.to_string() });
        Failure {
            host: host.to_owned(),
            task: task.title().to_owned(),
            result: result.as_object().cloned().unwrap_or_default(),
            lost: false,
        }
    }
}
