//! `include_tasks` and `include_role`: which hosts get which tasks, when the run comes to them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::attempt::Attempt;
use super::event::{EventKind, Outcome};
use super::keywords::is_set;
use super::resume::StepId;
use super::runner::{Around, Runner};
use super::schedule::{Failure, title};
use crate::playbook::{Frame, Include, Included, Resolved, Task, read_included};
use crate::template::{Layer, Scope};

/// What some hosts include together.
struct Group {
    what: Resolved,
    given: Vec<Layer>,
    step: StepId,
    hosts: Vec<String>,
}

/// How deep includes may be nested: one that includes itself must come to an end.
const MAX_DEPTH: usize = 64;

/// One thing that a host includes: what, and the variables of the loop.
type Wanted = (Resolved, Option<Map<String, Json>>);

impl Runner<'_> {
    /// Runs what an include brings on the hosts that want it.
    pub(super) async fn include(
        &self,
        task: &Task,
        include: &Arc<Include>,
        number: u64,
        hosts: &[String],
        around: Around<'_>,
    ) -> Vec<Failure> {
        let mut failures: Vec<Failure> = Vec::new();
        if around.depth > MAX_DEPTH {
            let attempt = Attempt::failed(format!("includes are nested deeper than {MAX_DEPTH}"));
            for host in hosts {
                failures.extend(self.failed(task, number, host, &attempt, false, around));
            }
            return failures;
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for host in hosts {
            let scope = self.scope(host, &task.frame, &around);
            match self.wanted(task, include, &scope, host) {
                Ok(Err(reason)) => {
                    let skipped = Attempt::skipped(&reason);
                    self.say(task, number, host, Outcome::Skipped, skipped);
                }
                Ok(Ok(wanted)) => {
                    let mut seen: HashMap<String, usize> = HashMap::new();
                    for (what, vars) in wanted {
                        let mut key = format!("{what:?} {}", serde_json::json!(vars));
                        let times = seen.entry(key.clone()).or_insert(0);
                        key.push_str(&format!(" {times}"));
                        *times += 1;
                        // The key may hold secrets: what comes of it must not tell them.
                        let name = self
                            .library
                            .reads()
                            .map(|reads| reads.fingerprints().of(key.as_bytes()));
                        let step = around.step.named(name.unwrap_or_default().as_bytes());
                        let index = *known.entry(key).or_insert_with(|| {
                            groups.push(Group {
                                what,
                                given: vars.map(Layer::raw).into_iter().collect(),
                                step,
                                hosts: Vec::new(),
                            });
                            groups.len() - 1
                        });
                        if let Some(group) = groups.get_mut(index) {
                            group.hosts.push(host.clone());
                        }
                    }
                }
                Err(attempt) => {
                    failures.extend(self.failed(task, number, host, &attempt, true, around));
                }
            }
        }
        for group in groups {
            let failed = super::schedule::failed_hosts(&failures);
            let hosts: Vec<String> = group
                .hosts
                .into_iter()
                .filter(|host| self.is_running(host) && !failed.contains(host.as_str()))
                .collect();
            if hosts.is_empty() || self.control.stop.is_cancelled() {
                continue;
            }
            let included = match self.read(include, &group.what, task, around) {
                Ok(included) => included,
                Err(diagnostics) => {
                    let attempt = Attempt::failed(diagnostics);
                    for host in &hosts {
                        failures.extend(self.failed(task, number, host, &attempt, false, around));
                    }
                    continue;
                }
            };
            for host in &hosts {
                let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
                attempt.message = Some(named(&group.what));
                attempt
                    .result
                    .insert("include".to_owned(), included_name(&group.what).into());
                attempt
                    .result
                    .insert("include_args".to_owned(), Json::Object(Map::new()));
                self.say(task, number, host, Outcome::Ok, attempt);
            }
            around.view.join(&included.handlers, &included.roles);
            let mut given: Vec<Layer> = around.given.to_vec();
            given.extend(group.given);
            let inner = Around {
                given: &given,
                depth: around.depth + 1,
                step: group.step,
                ..around
            };
            failures.extend(self.items(&included.items, hosts, inner).await);
        }
        failures
    }

    /// What a host includes: nothing when the condition does not hold, several things with a loop.
    fn wanted(
        &self,
        task: &Task,
        include: &Include,
        scope: &Scope,
        host: &str,
    ) -> Result<Result<Vec<Wanted>, String>, Attempt> {
        let Some(repeat) = &task.repeat else {
            return match unmet(&task.frame, scope)? {
                Some(reason) => Ok(Err(reason)),
                None => Ok(Ok(vec![(resolved(include, scope)?, None)])),
            };
        };
        let items = match self.loop_items(repeat, scope, task, host) {
            Ok(items) => items,
            Err(attempt) => {
                return match unmet(&task.frame, scope) {
                    Ok(Some(reason)) => Ok(Err(reason)),
                    _ => Err(*attempt),
                };
            }
        };
        let mut wanted = Vec::new();
        let mut first = None;
        for index in 0..items.len() {
            let vars = super::repeat::item_variables(repeat, &items, index, scope)
                .map_err(|attempt| *attempt)?;
            let inner = scope.with(Layer::raw(vars.clone()));
            match unmet(&task.frame, &inner)? {
                None => wanted.push((resolved(include, &inner)?, Some(vars))),
                Some(reason) => {
                    first.get_or_insert(reason);
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Err(
                first.unwrap_or_else(|| "no items in the list".to_owned())
            ));
        }
        Ok(Ok(wanted))
    }

    /// The tasks of an include, read now unless they were read before.
    fn read(
        &self,
        include: &Arc<Include>,
        what: &Resolved,
        task: &Task,
        around: Around<'_>,
    ) -> Result<Included, String> {
        if let Some(read) = &include.read {
            return Ok(read.clone());
        }
        let key = (Arc::as_ptr(include).addr(), what.clone());
        let cached = self
            .included
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(cached) = cached {
            return Ok(cached);
        }
        let included = read_included(
            self.library,
            what,
            &include.frame,
            &task.place,
            around.handler,
        )
        .map_err(|found| found.to_string())?;
        self.included
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, included.clone());
        Ok(included)
    }

    fn failed(
        &self,
        task: &Task,
        number: u64,
        host: &str,
        attempt: &Attempt,
        can_be_ignored: bool,
        around: Around<'_>,
    ) -> Option<Failure> {
        let scope = self.scope(host, &task.frame, &around);
        let is_ignored = can_be_ignored
            && is_set(&task.frame, &scope, |frame| frame.ignore_errors.as_ref()).unwrap_or(false);
        let outcome = if is_ignored {
            Outcome::Ignored
        } else if around.rescuable {
            Outcome::Rescued
        } else {
            Outcome::Failed
        };
        let mut said = Attempt::ended(outcome, attempt.result.clone());
        said.message.clone_from(&attempt.message);
        said.hint.clone_from(&attempt.hint);
        self.say(task, number, host, outcome, said);
        let mut result = attempt.result.clone();
        result.insert("failed".to_owned(), true.into());
        (!is_ignored).then(|| Failure {
            host: host.to_owned(),
            task: title(task, &scope),
            action: task.action.name().to_owned(),
            result,
            lost: false,
            forgiven: self.forgiven.load(Ordering::Relaxed),
        })
    }

    fn say(&self, task: &Task, number: u64, host: &str, outcome: Outcome, attempt: Attempt) {
        self.count(host, outcome);
        if let Some(name) = &task.register
            && let Some(state) = self.variables.host(host)
        {
            let mut result = attempt.result.clone();
            result.entry("changed").or_insert(false.into());
            let failed = matches!(
                outcome,
                Outcome::Failed | Outcome::Rescued | Outcome::Ignored
            );
            if failed {
                result.insert("failed".to_owned(), true.into());
            }
            state.set_variable(name, Json::Object(result));
        }
        self.events.send(EventKind::HostTaskFinished {
            task: number,
            host: host.to_owned(),
            outcome,
            item: None,
            message: attempt.message,
            hint: attempt.hint,
            diff: None,
            details: None,
            duration: Duration::ZERO,
            delegated_to: None,
            result: None,
        });
    }
}

/// The first condition of an include that does not hold, in words.
fn unmet(frame: &Frame, scope: &Scope) -> Result<Option<String>, Attempt> {
    let frames: Vec<&Frame> = frame.chain().collect();
    for condition in frames.into_iter().rev().flat_map(|frame| &frame.when) {
        let holds = condition
            .is_true(scope)
            .map_err(|diagnostic| Attempt::from_diagnostic(&diagnostic))?;
        if !holds {
            return Ok(Some(format!(
                "the condition `{}` is false",
                condition.source()
            )));
        }
    }
    Ok(None)
}

/// The names in an include, for one host.
fn resolved(include: &Include, scope: &Scope) -> Result<Resolved, Attempt> {
    include.what.resolve(|template| {
        let text = template.render(scope);
        let text = text.map_err(|diagnostic| Attempt::from_diagnostic(&diagnostic))?;
        Ok(text.trim().to_owned())
    })
}

/// What a registered include says that it included.
fn included_name(what: &Resolved) -> String {
    match what {
        Resolved::Tasks(file) => file.clone(),
        Resolved::Role { name, .. } => name.clone(),
    }
}

/// What is included, for output.
fn named(what: &Resolved) -> String {
    match what {
        Resolved::Tasks(file) => format!("included: {file}"),
        Resolved::Role { name, .. } => format!("included: role {name}"),
    }
}
