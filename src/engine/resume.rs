//! Going on where an earlier run stopped: what each host was done with then, and what is noted for the next time.
//!
//! A task that a host was done with does not run again on it: its result, variables and notifications are taken over.
//! Whatever is only about this run (facts, new hosts and groups, included files, `meta`) is done again instead: it
//! changes no host.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::attempt::Attempt;
use super::event::{Again, Done, Event, EventKind, Note, NoticeLevel, Outcome};
use super::perform::Performed;
use super::runner::{Around, Runner};
use super::schedule::Failure;
use crate::playbook::{Action, Block, EngineAction, Task};

/// The place of a task within a run: the same in every run of the same playbook, whatever became of its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StepId(u64);

impl StepId {
    /// Of a play.
    pub(super) fn of_play(index: usize) -> Self {
        Self(0xcbf2_9ce4_8422_2325).at(index)
    }

    /// The part of it with this number.
    #[must_use]
    pub(super) fn at(self, index: usize) -> Self {
        self.named(&index.to_le_bytes())
    }

    /// The part of it with this name.
    #[must_use]
    pub(super) fn named(self, name: &[u8]) -> Self {
        // FNV-1a: must stay the same from one build to the next.
        let bytes = self.0.to_le_bytes();
        let hash = bytes.iter().chain(name).fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash)
    }
}

impl std::fmt::Display for StepId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// What hosts were done with in an earlier run.
#[derive(Debug, Default)]
pub struct Resume {
    /// The earlier run.
    run: String,
    hosts: Mutex<HashMap<String, Past>>,
    taken: AtomicUsize,
    /// Tasks of which it was said that they run again.
    said: Mutex<Vec<String>>,
}

/// What one host was done with, by the place within the run.
type Past = HashMap<String, Done>;

impl Resume {
    /// From the journal of an earlier run.
    pub fn new(run: &str, events: &[Event]) -> Self {
        let mut hosts: HashMap<String, Past> = HashMap::new();
        for event in events {
            match &event.kind {
                EventKind::Journal(Note::Done(done)) => {
                    let past = hosts.entry(done.host.clone()).or_default();
                    past.insert(done.step.clone(), done.clone());
                }
                EventKind::Journal(Note::Undone { host, since }) => {
                    if let Some(past) = hosts.get_mut(host) {
                        past.retain(|_, done| done.task < *since);
                    }
                }
                _ => {}
            }
        }
        Self {
            run: run.to_owned(),
            hosts: Mutex::new(hosts),
            taken: AtomicUsize::new(0),
            said: Mutex::default(),
        }
    }

    /// How many results there are to take over, and of how many hosts.
    pub fn size(&self) -> (usize, usize) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        (hosts.values().map(HashMap::len).sum(), hosts.len())
    }

    /// How many results were taken over so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn take(&self, host: &str, step: StepId) -> Option<Done> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get_mut(host)?.remove(&step.to_string())
    }

    /// A host runs this again whatever it did.
    pub(super) fn forget(&self, host: &str, step: StepId) {
        self.take(host, step);
    }

    /// A host runs everything again from here on.
    fn forget_all(&self, host: &str) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.remove(host).is_some_and(|past| !past.is_empty())
    }

    /// Whether it has not been said yet of a task that it runs again.
    fn says_first(&self, task: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !said.iter().any(|known| known == task);
        if is_first {
            said.push(task.to_owned());
        }
        is_first
    }
}

/// What is left to do for a task on a host.
pub(super) enum Left {
    /// All of it.
    Everything,
    /// All of it, and its result is held against the earlier one.
    Again(Again),
    /// Nothing.
    Nothing(Performed),
}

/// Results with more text are not kept.
const MOST: usize = 1 << 20;

impl Runner<'_> {
    /// What an earlier run left to do for a task on a host. `hosts` are those that get its result.
    pub(super) fn left(
        &self,
        task: &Task,
        number: u64,
        host: &str,
        hosts: &[String],
        around: &Around<'_>,
    ) -> Left {
        let Some(resume) = &self.options.resume else {
            return Left::Everything;
        };
        // With `run_once` it does not matter which host did it.
        let others = hosts.iter().map(String::as_str);
        let found = std::iter::once(host)
            .chain(others.filter(|other| *other != host))
            .find_map(|host| resume.take(host, around.step));
        let Some(done) = found else {
            return Left::Everything;
        };
        if let Some(again) = done.again {
            let title = task.title();
            if resume.says_first(title) {
                self.events.notice(
                    NoticeLevel::Info,
                    format!("the task `{title}` runs again: {}", again.why),
                );
            }
            return Left::Again(again);
        }
        resume.taken.fetch_add(1, Ordering::Relaxed);
        let result = done.result.clone().unwrap_or_default();
        if matches!(task.action, Action::SetFact { .. }) {
            for (name, value) in facts_in(&result) {
                for state in hosts.iter().filter_map(|host| self.variables.host(host)) {
                    state.set_variable(name, value.clone());
                }
            }
        }
        self.count(host, Outcome::Skipped);
        let words = match done.outcome {
            Outcome::Ok => "ok",
            Outcome::Changed => "changed",
            Outcome::Skipped => "skipped",
            Outcome::Rescued => "failed and rescued",
            Outcome::Ignored => "failed and ignored",
            Outcome::Failed | Outcome::Unreachable => "failed",
        };
        let outcome = done.outcome;
        self.events.send(EventKind::Journal(Note::Done(Done {
            task: number,
            host: host.to_owned(),
            ..done
        })));
        self.events.send(EventKind::HostTaskFinished {
            task: number,
            host: host.to_owned(),
            outcome: Outcome::Skipped,
            item: None,
            message: Some(format!("{words} in run {}", resume.run)),
            hint: None,
            diff: None,
            details: None,
            duration: Duration::ZERO,
            delegated_to: None,
            result: None,
        });
        Left::Nothing(Performed {
            outcome,
            result,
            lost: None,
            may_have_run: false,
            is_noted: false,
            fact_hosts: None,
            is_taken_over: true,
            late: None,
        })
    }

    /// A task that an earlier run could not keep has run again: with another result, nothing that came after it
    /// counts any more.
    pub(super) fn compare(&self, task: &Task, host: &str, again: &Again, performed: &Performed) {
        let (Some(resume), Some(reads)) = (&self.options.resume, self.library.reads()) else {
            return;
        };
        let is_same = reads.fingerprints().of(&essence(&performed.result)) == again.print;
        if !is_same && resume.forget_all(host) {
            let title = task.title();
            self.events.notice(
                NoticeLevel::Info,
                format!(
                    "{host}: the task `{title}` came to something else than in run {}: all that follows runs again",
                    resume.run
                ),
            );
        }
    }

    /// Notes for the journal that a host is done with a task.
    pub(super) fn note_done(
        &self,
        task: &Task,
        number: u64,
        host: &str,
        attempt: &Attempt,
        is_kept: bool,
        around: &Around<'_>,
    ) {
        let Some(reads) = self.library.reads() else {
            return;
        };
        let fresh = reads.take();
        if !fresh.is_empty() {
            let files: BTreeMap<String, String> = fresh.into_iter().collect();
            self.events.send(EventKind::Journal(Note::Files { files }));
        }
        let is_past = matches!(
            attempt.outcome,
            Outcome::Ok | Outcome::Changed | Outcome::Skipped | Outcome::Ignored | Outcome::Rescued
        );
        if !is_past || !can_be_taken_over(task, attempt) {
            return;
        }
        let is_set = matches!(task.action, Action::SetFact { .. });
        let is_needed = task.register.is_some() || is_set;
        let mut done = Done {
            task: number,
            host: host.to_owned(),
            step: around.step.to_string(),
            outcome: attempt.outcome,
            result: None,
            again: None,
        };
        if is_needed || attempt.outcome == Outcome::Rescued {
            match self.keepable(attempt, is_kept) {
                Ok(result) => done.result = Some(result),
                Err(why) if is_needed => {
                    let print = reads.fingerprints().of(&essence(&attempt.result));
                    done.again = Some(Again { why, print });
                }
                // A rescue does without it.
                Err(_) => {}
            }
        }
        self.events.send(EventKind::Journal(Note::Done(done)));
    }

    /// A result as the journal may have it.
    fn keepable(&self, attempt: &Attempt, is_kept: bool) -> Result<Map<String, Json>, String> {
        let result = Json::Object(attempt.result.clone());
        if !is_kept {
            self.hidden.learn(&result);
            return Err("`no_log` keeps its result out of the journal".to_owned());
        }
        let text = result.to_string();
        if !self.events.redactor().is_free_of_secrets(&result) || self.hidden.is_in(&text) {
            return Err("its result is secret and not in the journal".to_owned());
        }
        if text.len() > MOST {
            return Err("its result is too large for the journal".to_owned());
        }
        Ok(attempt.result.clone())
    }

    /// Hosts may have failed for good in a block that does something about failures: a later run begins it anew.
    pub(super) fn note_undone(
        &self,
        block: &Block,
        failures: &[Failure],
        since: u64,
        around: Around<'_>,
    ) {
        let does_something = !(block.rescue.is_empty() && block.always.is_empty());
        // What a block around it rescues is not for good.
        if self.library.reads().is_none() || around.rescuable || !does_something {
            return;
        }
        for failure in failures.iter().filter(|failure| !failure.lost) {
            self.events.send(EventKind::Journal(Note::Undone {
                host: failure.host.clone(),
                since,
            }));
        }
    }
}

/// Whether a later run may take over what this task came to, instead of running it again.
fn can_be_taken_over(task: &Task, attempt: &Attempt) -> bool {
    match &task.action {
        // What it began is only known to this run.
        _ if attempt.result.contains_key("ansible_job_id") => false,
        // Facts are of this run.
        Action::Module { .. } => !has_facts(&attempt.result),
        Action::SetFact { cacheable, .. } => {
            cacheable.is_none() && !task.frame.chain().any(|frame| frame.delegate_to.is_some())
        }
        Action::Engine { kind, .. } => {
            matches!(kind, EngineAction::Pause | EngineAction::ValidateArguments)
        }
        Action::Debug { .. } | Action::Assert { .. } | Action::Fail { .. } => true,
        Action::Include(_) | Action::Meta(_) | Action::Mistaken { .. } | Action::Late(_) => false,
    }
}

fn has_facts(result: &Map<String, Json>) -> bool {
    let items = result.get("results").and_then(Json::as_array);
    let mut items = items.into_iter().flatten().filter_map(Json::as_object);
    result.contains_key(FACTS) || items.any(|item| item.contains_key(FACTS))
}

/// The variables that `set_fact` set, of each item of a loop too.
fn facts_in(result: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    let items = result.get("results").and_then(Json::as_array);
    let items = items.into_iter().flatten().filter_map(Json::as_object);
    items
        .chain(std::iter::once(result))
        .filter_map(|result| result.get(FACTS)?.as_object())
        .flatten()
}

const FACTS: &str = "ansible_facts";

/// A result without what is different each time.
fn essence(result: &Map<String, Json>) -> Vec<u8> {
    fn strip(value: &Json) -> Json {
        match value {
            Json::Object(map) => Json::Object(
                map.iter()
                    .filter(|(name, _)| !matches!(name.as_str(), "start" | "end" | "delta"))
                    .map(|(name, value)| (name.clone(), strip(value)))
                    .collect(),
            ),
            Json::Array(items) => Json::Array(items.iter().map(strip).collect()),
            other => other.clone(),
        }
    }
    strip(&Json::Object(result.clone()))
        .to_string()
        .into_bytes()
}
