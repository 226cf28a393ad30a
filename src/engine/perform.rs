//! One task on one host: conditions, loops, retries, the result.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};

use super::attempt::Attempt;
use super::event::{EventKind, Outcome, Wait};
use super::keywords::{is_set, number, seconds, setting};
use super::runner::{Around, Runner};

use crate::connect::TransportError;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Action, Frame, Task};
use crate::template::{Layer, Scope, Template, display};

/// The result of a task on a host.
#[derive(Debug, Clone)]
pub(super) struct Performed {
    pub(super) outcome: Outcome,
    /// What `register` takes.
    pub(super) result: Map<String, Json>,
    /// Why the host was lost, when it was.
    pub(super) lost: Option<TransportError>,
    /// The step that it was lost in may have run.
    pub(super) may_have_run: bool,
    /// The ledger of the host says that handlers are owed.
    pub(super) is_noted: bool,
    /// Hosts that get the facts it found, where it is another one.
    pub(super) fact_hosts: Option<Vec<String>>,
    /// An earlier run did it.
    pub(super) is_taken_over: bool,
    /// What it was, where that was known only while running.
    pub(super) late: Option<Arc<Action>>,
}

impl Performed {
    /// What the task was on the host.
    pub(super) fn action<'a>(&'a self, task: &'a Task) -> &'a Action {
        self.late.as_deref().unwrap_or(&task.action)
    }
}

/// The names that a task notifies.
pub(super) fn notified(task: &Task, scope: &Scope) -> Vec<String> {
    let names = task.notify.iter();
    names
        .map(|name| {
            name.render(scope)
                .unwrap_or_else(|_| name.source().to_owned())
        })
        .collect()
}

/// One task on one host, with everything that its parts need.
pub(super) struct Doing<'r> {
    pub(super) runner: &'r Runner<'r>,
    pub(super) task: &'r Task,
    pub(super) number: u64,
    pub(super) host: &'r str,
    /// The hosts that `set_fact` reaches: all of them with `run_once`.
    pub(super) receivers: &'r [String],
    pub(super) around: &'r Around<'r>,
    pub(super) check_mode: bool,
    pub(super) diff: bool,
    pub(super) no_log: bool,
    /// The host that does the work, if another.
    pub(super) delegate: Option<String>,
    /// The ledger of the host says that handlers are owed.
    pub(super) is_noted: AtomicBool,
    /// What the task is, where that is known only while running.
    pub(super) late: Mutex<Option<Arc<Action>>>,
}

impl Runner<'_> {
    /// Runs a task on a host and says so. Never fails: failures are outcomes.
    pub(super) async fn perform(
        &self,
        task: &Task,
        number: u64,
        host: &str,
        receivers: &[String],
        around: &Around<'_>,
    ) -> Performed {
        let started = Instant::now();
        let scope = self.scope(host, &task.frame, around);
        let set = |pick: fn(&Frame) -> Option<&Template>| is_set(&task.frame, &scope, pick);
        let check_mode = set(|frame| frame.check_mode.as_ref()).unwrap_or(self.options.check_mode);
        let diff = set(|frame| frame.diff.as_ref()).unwrap_or(self.options.diff);
        // What is secret only when nobody can tell stays secret.
        let no_log = setting(&task.frame, &scope, |frame| frame.no_log.as_ref());
        let no_log = no_log.map_or(true, |flag| flag.unwrap_or(false));
        let mut doing = Doing {
            runner: self,
            task,
            number,
            host,
            receivers,
            around,
            check_mode,
            diff,
            no_log,
            delegate: None,
            is_noted: AtomicBool::new(false),
            late: Mutex::default(),
        };
        let mut attempt = doing.whole(&scope).await;
        if task.asynchronous.is_some() {
            attempt = doing.in_background(attempt, &scope);
        }
        if attempt.lost.is_some() && set(|frame| frame.ignore_unreachable.as_ref()).unwrap_or(false)
        {
            attempt.lost = None;
            attempt.outcome = Outcome::Ignored;
            attempt.result.insert("unreachable".to_owned(), true.into());
            attempt.result.insert("failed".to_owned(), false.into());
            attempt
                .result
                .insert("skip_reason".to_owned(), "unreachable".into());
        }
        if attempt.outcome == Outcome::Failed {
            attempt.outcome = if doing.ignores_errors(&scope) {
                Outcome::Ignored
            } else if around.rescuable {
                Outcome::Rescued
            } else {
                Outcome::Failed
            };
        }
        Doing::complete(&mut attempt.result, attempt.outcome);
        if task.repeat.is_some() && attempt.result.get("failed") == Some(&Json::Bool(false)) {
            // Of a loop Ansible says only that it failed.
            attempt.result.remove("failed");
        }
        self.count(host, attempt.outcome);
        let is_changed = attempt.result.get("changed") == Some(&Json::Bool(true));
        if attempt.outcome == Outcome::Ignored
            && is_changed
            && let Some(state) = self.variables.host(host)
        {
            state.count(|recap| recap.changed += 1);
        }
        let performed = Performed {
            outcome: attempt.outcome,
            result: attempt.result.clone(),
            lost: attempt.lost.clone(),
            may_have_run: attempt.may_have_run,
            is_noted: doing.is_noted.load(Ordering::Relaxed),
            fact_hosts: doing
                .delegate
                .is_some()
                .then(|| doing.fact_receivers(&scope)),
            is_taken_over: false,
            late: doing
                .late
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        };
        self.note_done(task, number, host, &attempt, !doing.no_log, around);
        doing.announce(attempt, None, started.elapsed());
        performed
    }

    pub(super) fn count(&self, host: &str, outcome: Outcome) {
        let Some(state) = self.variables.host(host) else {
            return;
        };
        state.count(|recap| match outcome {
            Outcome::Ok => recap.ok += 1,
            Outcome::Changed => {
                recap.ok += 1;
                recap.changed += 1;
            }
            Outcome::Skipped => recap.skipped += 1,
            Outcome::Failed => recap.failed += 1,
            Outcome::Ignored => {
                recap.ok += 1;
                recap.ignored += 1;
            }
            Outcome::Rescued => recap.rescued += 1,
            Outcome::Unreachable => recap.unreachable += 1,
        });
    }
}

impl Doing<'_> {
    /// Where the host that does the work is.
    fn address_of(&self, delegate: &str) -> Json {
        let state = self.runner.variables.host(delegate);
        let inventory = state.map(|state| state.inventory());
        inventory
            .and_then(|layer| layer.variables().get("ansible_host").cloned())
            .unwrap_or_else(|| delegate.into())
    }

    fn ignores_errors(&self, scope: &Scope) -> bool {
        let flag = self.task.frame.find(|frame| frame.ignore_errors.clone());
        flag.is_some_and(|flag| flag.is_true(scope).unwrap_or(false))
    }

    /// Fills in what every result has.
    fn complete(result: &mut Map<String, Json>, outcome: Outcome) {
        let failed = matches!(
            outcome,
            Outcome::Failed | Outcome::Ignored | Outcome::Rescued
        );
        result
            .entry("changed")
            .or_insert_with(|| (outcome == Outcome::Changed).into());
        let is_unreachable = result.get("unreachable") == Some(&Json::Bool(true));
        // What was not run did not fail and did not succeed: Ansible says neither.
        let gave_up = result.contains_key("attempts")
            && result.get("failed_when_result") == Some(&Json::Bool(false))
            && result.get("failed") == Some(&Json::Bool(true));
        if outcome != Outcome::Skipped && !gave_up {
            result.insert("failed".to_owned(), (failed && !is_unreachable).into());
        }
        if outcome == Outcome::Unreachable {
            result.insert("unreachable".to_owned(), true.into());
        }
        if failed && result.get("msg").is_none_or(Json::is_null) {
            result.insert("msg".to_owned(), "failed".into());
        }
    }

    fn announce(&self, attempt: Attempt, item: Option<String>, duration: Duration) {
        let is_shown = self.runner.options.verbosity > 0 && !self.no_log;
        let result = is_shown.then(|| attempt.result.clone());
        let hide = |text: Option<String>| {
            if self.no_log {
                text.map(|_| "hidden by `no_log`".to_owned())
            } else {
                text
            }
        };
        self.runner.events.send(EventKind::HostTaskFinished {
            task: self.number,
            host: self.host.to_owned(),
            outcome: attempt.outcome,
            item: hide(item),
            message: if attempt.outcome == Outcome::Skipped {
                attempt.message
            } else {
                hide(attempt.message)
            },
            hint: hide(attempt.hint),
            diff: if self.no_log { None } else { attempt.diff },
            details: hide(attempt.details),
            duration,
            delegated_to: self.delegate.clone(),
            result,
        });
    }

    /// What an `async` task says: with `poll: 0` only that it has begun; `async_status` knows the rest.
    fn in_background(&self, attempt: Attempt, scope: &Scope) -> Attempt {
        let mut attempt = attempt;
        if attempt.outcome == Outcome::Skipped || attempt.lost.is_some() {
            return attempt;
        }
        let job = format!("j{:012}.{}", rand::random::<u32>(), self.number);
        let waits = number(self.task.poll.as_ref(), scope, 15).unwrap_or(15) > 0;
        attempt
            .result
            .insert("ansible_job_id".to_owned(), job.clone().into());
        attempt.result.insert("started".to_owned(), 1.into());
        attempt.result.insert("finished".to_owned(), 1.into());
        if waits {
            return attempt;
        }
        Self::complete(&mut attempt.result, attempt.outcome);
        self.runner
            .background
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(job.clone(), attempt.result);
        let mut begun = Attempt::ended(Outcome::Changed, Map::new());
        for (name, value) in [
            ("ansible_job_id", Json::from(job)),
            ("started", 1.into()),
            ("finished", 0.into()),
            ("changed", true.into()),
        ] {
            begun.result.insert(name.to_owned(), value);
        }
        begun
    }

    /// The task with its loop.
    async fn whole(&mut self, scope: &Scope) -> Attempt {
        if let Some(diagnostic) = self.runner.variables.unusable.get() {
            return Attempt::from_diagnostic(diagnostic);
        }
        let Some(repeat) = &self.task.repeat else {
            return self.tries(scope).await;
        };
        let items = match self.runner.loop_items(repeat, scope, self.task, self.host) {
            Ok(items) => items,
            // The list need not be there when a condition that needs no item does not hold.
            Err(failed) => return self.condition_without_item(scope).unwrap_or(*failed),
        };
        let pause = match seconds(repeat.pause.as_ref(), scope, 0) {
            Ok(pause) => pause,
            Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
        };
        let mut scope = scope.clone();
        let mut results: Vec<Json> = Vec::new();
        let mut whole = Attempt::ended(Outcome::Skipped, Map::new());
        let mut is_changed = false;
        let mut reasons: Vec<Option<String>> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if self.runner.control.cancel.is_cancelled() && index > 0 {
                break;
            }
            if index > 0 && !pause.is_zero() {
                self.waits(pause, Wait::Pause);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.runner.control.stop.cancelled() => break,
                }
            }
            let extra = match super::repeat::item_variables(repeat, &items, index, &scope) {
                Ok(extra) => extra,
                Err(attempt) => return *attempt,
            };
            let with_item = scope.with(Layer::raw(extra.clone()));
            let started = Instant::now();
            let mut attempt = self.tries(&with_item).await;
            let label = match &repeat.label {
                Some(label) => label.render(&with_item).unwrap_or_else(|_| display(item)),
                None => display(item),
            };
            Self::complete(&mut attempt.result, attempt.outcome);
            attempt.result.extend(extra);
            is_changed |= attempt.result.get("changed") == Some(&Json::Bool(true));
            results.push(Json::Object(attempt.result.clone()));
            whole.outcome = worse(whole.outcome, attempt.outcome);
            if attempt.outcome == Outcome::Skipped {
                reasons.push(attempt.message.clone());
            }
            let (lost, may_have_run) = (attempt.lost.clone(), attempt.may_have_run);
            self.announce(attempt, Some(label), started.elapsed());
            if lost.is_some() {
                whole.lost = lost;
                // Of a task whose earlier items did something nobody can say that it did not run.
                whole.may_have_run = may_have_run || is_changed;
                break;
            }
            if matches!(
                self.task.action,
                Action::SetFact { .. } | Action::Engine { .. } | Action::Late(_)
            ) {
                // The next item sees what this one has set.
                scope = self.runner.scope(self.host, &self.task.frame, self.around);
            }
        }
        whole
            .result
            .insert("results".to_owned(), Json::Array(results));
        whole.result.insert("changed".to_owned(), is_changed.into());
        if whole.outcome != Outcome::Skipped {
            whole.result.insert("skipped".to_owned(), false.into());
        }
        let said = match whole.outcome {
            Outcome::Failed => "One or more items failed",
            Outcome::Skipped => "All items skipped",
            _ => "All items completed",
        };
        match whole.outcome {
            Outcome::Failed => whole.message = Some("one or more items failed".to_owned()),
            Outcome::Skipped => {
                whole.result.insert("skipped".to_owned(), true.into());
                let first = reasons.first().cloned().flatten();
                let is_same = reasons.iter().all(|reason| *reason == first);
                whole.message = Some(match first {
                    None if items.is_empty() => "no items in the list".to_owned(),
                    Some(reason) if is_same => reason,
                    _ => "all items were skipped".to_owned(),
                });
            }
            _ => {}
        }
        if items.is_empty() {
            let reason = "No items in the list".into();
            whole.result.insert("skipped_reason".to_owned(), reason);
        } else {
            whole.result.insert("msg".to_owned(), said.into());
        }
        whole
    }

    /// The first condition that is false without an item, as a skipped task.
    fn condition_without_item(&self, scope: &Scope) -> Option<Attempt> {
        self.conditions()
            .into_iter()
            .find(|condition| condition.is_true(scope) == Ok(false))
            .map(Attempt::unmet)
    }

    /// All conditions, the outermost first.
    fn conditions(&self) -> Vec<&Template> {
        let frames: Vec<_> = self.task.frame.chain().collect();
        frames
            .into_iter()
            .rev()
            .flat_map(|frame| frame.when.iter())
            .collect()
    }

    /// One item: conditions, then attempts until it is well.
    async fn tries(&mut self, scope: &Scope) -> Attempt {
        for condition in self.conditions() {
            match condition.is_true(scope) {
                Ok(true) => {}
                Ok(false) => {
                    return Attempt::unmet(condition);
                }
                Err(diagnostic) => return Attempt::undecided(condition, &diagnostic),
            }
        }
        if let Some(template) = self.task.frame.find(|frame| frame.delegate_to.clone()) {
            match template.render(scope) {
                Ok(name) => self.delegate = Some(host_called(name)),
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            }
        }
        let with_delegate = self.delegate.as_ref().map(|delegate| {
            let known = serde_json::json!({delegate: {"inventory_hostname": self.host}});
            let mut extra = Map::from_iter([("ansible_delegated_vars".to_owned(), known)]);
            if scope.raw("ansible_host").is_none() {
                extra.insert("ansible_host".to_owned(), self.address_of(delegate));
            }
            scope.with(Layer::raw(extra))
        });
        let scope = with_delegate.as_ref().unwrap_or(scope);
        let has_until = !self.task.until.is_empty();
        let retries = number(
            self.task.retries.as_ref(),
            scope,
            if has_until { 3 } else { 0 },
        );
        let (retries, delay) = match (retries, seconds(self.task.delay.as_ref(), scope, 5)) {
            (Ok(retries), Ok(delay)) => (retries, delay),
            (Err(diagnostic), _) | (_, Err(diagnostic)) => {
                return Attempt::from_diagnostic(&diagnostic);
            }
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let mut attempt = self.attempt(scope).await;
            // What decides about the result may look at how often it was tried.
            if retries > 0 {
                attempt.result.insert("attempts".to_owned(), tried.into());
            }
            let seen = scope.with(self.registered(&attempt));
            self.judge(&mut attempt, &seen);
            if attempt.lost.is_some() || attempt.outcome == Outcome::Skipped {
                return attempt;
            }
            let unmet = match self.unmet(scope, &attempt) {
                Ok(unmet) => unmet,
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            };
            let again = unmet.is_some() || !has_until && attempt.outcome == Outcome::Failed;
            if !again || self.check_mode && has_until {
                return attempt;
            }
            if tried > retries || self.runner.control.stop.is_cancelled() {
                // Ansible does not count the last one.
                if retries > 0 {
                    attempt.result.insert("attempts".to_owned(), retries.into());
                }
                // Where the task says itself what a failure is, `until` does not.
                let is_judged = !self.task.failed_when.is_empty();
                if is_judged && unmet.is_some() {
                    // The result says it all the same.
                    attempt.result.insert("failed".to_owned(), true.into());
                }
                let decides = attempt.outcome != Outcome::Failed && !is_judged;
                if let Some(until) = unmet.filter(|_| decides) {
                    attempt.outcome = Outcome::Failed;
                    let message = format!(
                        "`{}` did not become true in {}",
                        until.source(),
                        if tried == 1 {
                            "1 attempt".to_owned()
                        } else {
                            format!("{tried} attempts")
                        }
                    );
                    attempt
                        .result
                        .insert("msg".to_owned(), message.clone().into());
                    attempt.message = Some(message);
                }
                return attempt;
            }
            self.runner.events.send(EventKind::HostTaskRetry {
                task: self.number,
                host: self.host.to_owned(),
                attempt: u32::try_from(tried).unwrap_or(u32::MAX),
                attempts: u32::try_from(retries + 1).unwrap_or(u32::MAX),
                message: if self.no_log {
                    "hidden by `no_log`".to_owned()
                } else {
                    attempt.message.clone().unwrap_or_default()
                },
            });
            self.waits(delay, Wait::Retry);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.runner.control.stop.cancelled() => {}
            }
        }
    }

    fn waits(&self, duration: Duration, why: Wait) {
        if !duration.is_zero() {
            self.runner.events.send(EventKind::HostWaits {
                task: self.number,
                host: self.host.to_owned(),
                duration,
                why,
            });
        }
    }

    /// The first condition of `until` that does not hold yet.
    fn unmet(&self, scope: &Scope, attempt: &Attempt) -> Result<Option<&Template>, Diagnostic> {
        if self.task.until.is_empty() {
            return Ok(None);
        }
        let seen = scope.with(self.registered(attempt));
        for until in &self.task.until {
            if !until.is_true(&seen)? {
                return Ok(Some(until));
            }
        }
        Ok(None)
    }

    fn registered(&self, attempt: &Attempt) -> Layer {
        let mut extra = Map::new();
        if let Some(name) = &self.task.register {
            let mut result = attempt.result.clone();
            Self::complete(&mut result, attempt.outcome);
            extra.insert(name.clone(), Json::Object(result));
        }
        Layer::raw(extra)
    }

    /// Applies `changed_when` and `failed_when`.
    fn judge(&self, attempt: &mut Attempt, scope: &Scope) {
        if attempt.lost.is_some() || attempt.outcome == Outcome::Skipped {
            return;
        }
        let all = |conditions: &[Template]| -> Result<Option<bool>, Diagnostic> {
            let mut verdict = None;
            for condition in conditions {
                verdict = Some(verdict.unwrap_or(true) && condition.is_true(scope)?);
            }
            Ok(verdict)
        };
        let verdicts = all(&self.task.changed_when)
            .map_err(|diagnostic| ("changed_when_result", diagnostic))
            .and_then(|changed| match all(&self.task.failed_when) {
                Ok(failed) => Ok((changed, failed)),
                Err(diagnostic) => Err(("failed_when_result", diagnostic)),
            });
        let (changed, failed) = match verdicts {
            Ok(verdicts) => verdicts,
            Err((name, diagnostic)) => {
                // What the task brought stays: it has been done.
                attempt.outcome = Outcome::Failed;
                let said = diagnostic.to_string();
                attempt.message = Some(said.clone());
                attempt.hint = diagnostic.hint;
                attempt.result.insert(name.to_owned(), said.into());
                return;
            }
        };
        if let Some(failed) = failed {
            attempt
                .result
                .insert("failed_when_result".to_owned(), failed.into());
        }
        match failed {
            Some(true) => {
                if attempt.outcome != Outcome::Failed {
                    attempt.message = Some("`failed_when` holds".to_owned());
                }
                attempt.outcome = Outcome::Failed;
            }
            Some(false) if attempt.outcome == Outcome::Failed => {
                let changed = attempt
                    .result
                    .get("changed")
                    .and_then(Json::as_bool)
                    .unwrap_or(false);
                attempt.outcome = if changed {
                    Outcome::Changed
                } else {
                    Outcome::Ok
                };
            }
            _ => {}
        }
        if let (Some(changed), Outcome::Ok | Outcome::Changed) = (changed, attempt.outcome) {
            attempt.outcome = if changed {
                Outcome::Changed
            } else {
                Outcome::Ok
            };
            attempt.result.insert("changed".to_owned(), changed.into());
        }
    }
}

/// How a loop ended so far, and one more item.
const fn worse(so_far: Outcome, item: Outcome) -> Outcome {
    match (so_far, item) {
        (Outcome::Unreachable, _) | (_, Outcome::Unreachable) => Outcome::Unreachable,
        (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
        (Outcome::Changed, _) | (_, Outcome::Changed) => Outcome::Changed,
        (Outcome::Skipped, other) | (other, _) => other,
    }
}

/// The host that a name in `delegate_to` means.
fn host_called(name: String) -> String {
    match name.as_str() {
        "127.0.0.1" | "::1" => super::LOCALHOST.to_owned(),
        _ => name,
    }
}
