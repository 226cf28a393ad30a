//! Where the time of a run went: one page with a lane for each host, and tables of the slowest tasks.
//!
//! It is made of the same events as everything else, while a run goes on or later from its journal.

mod page;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use super::Renderer;
use super::board::title;
use crate::engine::event::{Event, EventKind, Outcome, Recap, Wait};

/// What a host did for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Doing {
    /// Its connection came up.
    Connect,
    /// It waited for its turn: for one of the `forks`, or because of `throttle`.
    Turn,
    /// It worked on a task, which ended so.
    Task(Ended),
    /// It waited before the next attempt.
    Retry,
    /// It waited before the next item of a loop.
    Pause,
    /// Bytes were on their way to it.
    Transfer,
}

/// How a task ended, as far as a colour tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ended {
    /// Nothing to do.
    Ok,
    /// Something changed.
    Changed,
    /// Not run.
    Skipped,
    /// Failed, ignored or rescued.
    Forgiven,
    /// Failed or lost.
    Failed,
    /// The run ended first.
    CutOff,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Changed => Self::Changed,
            Outcome::Skipped => Self::Skipped,
            Outcome::Ignored | Outcome::Rescued => Self::Forgiven,
            Outcome::Failed | Outcome::Unreachable => Self::Failed,
        }
    }
}

/// A stretch of time on a lane.
#[derive(Debug, Clone, Copy)]
struct Bar {
    from: Duration,
    to: Duration,
    doing: Doing,
    /// The task, where it belongs to one.
    task: Option<u64>,
}

/// One task over all hosts.
#[derive(Debug, Default)]
struct Task {
    title: String,
    module: String,
    place: String,
    began: Duration,
    ended: Duration,
    total: Duration,
    waited: Duration,
    /// The slowest host.
    longest: Option<(String, Duration)>,
    results: BTreeMap<Ended, usize>,
}

/// One play.
#[derive(Debug)]
struct Play {
    name: String,
    hosts: usize,
    began: Duration,
    ended: Duration,
    tasks: usize,
}

/// What is known of the time of a run.
#[derive(Debug, Default)]
pub struct Timings {
    command: String,
    run: String,
    time: String,
    version: String,
    check_mode: bool,
    exit_code: Option<u8>,
    end: Duration,
    hosts: IndexMap<String, Vec<Bar>>,
    tasks: IndexMap<u64, Task>,
    plays: Vec<Play>,
    recap: IndexMap<String, Recap>,
    /// Tasks that hosts have begun: since when.
    open: HashMap<(u64, String), Duration>,
    /// Transfers that have begun: since when.
    sending: HashMap<(String, String), Duration>,
}

/// Waiting that nobody sees.
const TOO_SHORT: Duration = Duration::from_millis(1);

impl Timings {
    /// From the events of a run that is over or was cut off.
    pub fn of(events: &[Event]) -> Self {
        let mut timings = Self::default();
        for event in events {
            timings.follow(event);
        }
        timings
    }

    fn bar(&mut self, host: &str, bar: Bar) {
        self.end = self.end.max(bar.to);
        match self.hosts.get_mut(host) {
            Some(lane) => lane.push(bar),
            None => {
                self.hosts.insert(host.to_owned(), vec![bar]);
            }
        }
    }

    /// Follows an event.
    pub fn follow(&mut self, event: &Event) {
        let at = event.at;
        self.end = self.end.max(at);
        match &event.kind {
            EventKind::RunStarted {
                command,
                run_id,
                time,
                version,
                hosts,
                check_mode,
                ..
            } => {
                self.command.clone_from(command);
                self.run.clone_from(run_id);
                self.time.clone_from(time);
                self.version.clone_from(version);
                self.check_mode = *check_mode;
                for host in hosts {
                    self.hosts.entry(host.clone()).or_default();
                }
            }
            EventKind::PlayStarted { name, hosts } => {
                self.close_play(at);
                self.plays.push(Play {
                    name: name.clone(),
                    hosts: hosts.len(),
                    began: at,
                    ended: at,
                    tasks: 0,
                });
            }
            EventKind::TaskStarted {
                task,
                name,
                role,
                module,
                place,
                handler,
                ..
            } => {
                let mut title = title(role.as_deref(), name);
                if *handler {
                    title.push_str(" (handler)");
                }
                let entry = Task {
                    title,
                    module: module.clone(),
                    place: place.clone(),
                    began: at,
                    ended: at,
                    ..Task::default()
                };
                self.tasks.insert(*task, entry);
                if let Some(play) = self.plays.last_mut() {
                    play.tasks += 1;
                }
            }
            EventKind::HostTaskStarted { task, host } => {
                let waiting = self.tasks.get_mut(task).map(|task| {
                    let waited = at.saturating_sub(task.began);
                    task.waited += waited;
                    (task.began, waited)
                });
                self.open.insert((*task, host.clone()), at);
                if let Some((from, _)) = waiting.filter(|(_, waited)| *waited > TOO_SHORT) {
                    let bar = Bar {
                        from,
                        to: at,
                        doing: Doing::Turn,
                        task: Some(*task),
                    };
                    self.bar(host, bar);
                }
            }
            EventKind::HostTaskFinished {
                task,
                host,
                outcome,
                item: None,
                ..
            } => {
                let from = self.open.remove(&(*task, host.clone())).unwrap_or(at);
                self.ends(*task, host, from, at, (*outcome).into());
            }
            EventKind::HostWaits {
                task,
                host,
                duration,
                why,
            } => {
                let doing = match why {
                    Wait::Retry => Doing::Retry,
                    Wait::Pause => Doing::Pause,
                };
                let bar = Bar {
                    from: at,
                    to: at + *duration,
                    doing,
                    task: Some(*task),
                };
                self.bar(host, bar);
            }
            EventKind::HostConnected { host, duration, .. } => {
                let bar = Bar {
                    from: at.saturating_sub(*duration),
                    to: at,
                    doing: Doing::Connect,
                    task: None,
                };
                self.bar(host, bar);
            }
            EventKind::Transfer {
                host,
                name,
                finished,
                ..
            } => {
                let key = (host.clone(), name.clone());
                if !*finished {
                    self.sending.entry(key).or_insert(at);
                } else if let Some(from) = self.sending.remove(&key) {
                    let bar = Bar {
                        from,
                        to: at,
                        doing: Doing::Transfer,
                        task: None,
                    };
                    self.bar(host, bar);
                }
            }
            EventKind::RunFinished {
                recap, exit_code, ..
            } => {
                self.exit_code = Some(*exit_code);
                self.recap = recap.iter().cloned().collect();
                self.close_play(at);
            }
            _ => {}
        }
    }

    fn ends(&mut self, number: u64, host: &str, from: Duration, to: Duration, ended: Ended) {
        let took = to.saturating_sub(from);
        if let Some(task) = self.tasks.get_mut(&number) {
            task.ended = task.ended.max(to);
            task.total += took;
            *task.results.entry(ended).or_default() += 1;
            if task
                .longest
                .as_ref()
                .is_none_or(|(_, longest)| took > *longest)
            {
                task.longest = Some((host.to_owned(), took));
            }
        }
        let bar = Bar {
            from,
            to,
            doing: Doing::Task(ended),
            task: Some(number),
        };
        self.bar(host, bar);
    }

    fn close_play(&mut self, at: Duration) {
        if let Some(play) = self.plays.last_mut() {
            play.ended = at;
        }
    }

    /// The page. Whatever is still open ends with the last event.
    pub fn page(&mut self) -> String {
        let end = self.end;
        if self.exit_code.is_none() {
            self.close_play(end);
        }
        let mut open: Vec<((u64, String), Duration)> = self.open.drain().collect();
        open.sort();
        for ((task, host), from) in open {
            self.ends(task, &host, from, end, Ended::CutOff);
        }
        let mut sending: Vec<((String, String), Duration)> = self.sending.drain().collect();
        sending.sort();
        for ((host, _), from) in sending {
            let bar = Bar {
                from,
                to: end,
                doing: Doing::Transfer,
                task: None,
            };
            self.bar(&host, bar);
        }
        page::page(self)
    }

    /// Writes the page for its owner alone, whole or not at all. Its folder is made.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(&mut self, path: &Path) -> std::io::Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut draft = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        draft.write_all(self.page().as_bytes())?;
        draft.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// How a task ended, in a word.
const fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Ok => "ok",
        Ended::Changed => "changed",
        Ended::Skipped => "skipped",
        Ended::Forgiven => "ignored or rescued",
        Ended::Failed => "failed",
        Ended::CutOff => "cut off",
    }
}

/// Writes the page when the run is over.
pub struct TimingsFile {
    timings: Timings,
    path: PathBuf,
    failure: Option<std::io::Error>,
}

impl TimingsFile {
    /// A page at this path.
    pub fn new(path: &Path) -> Self {
        Self {
            timings: Timings::default(),
            path: path.to_owned(),
            failure: None,
        }
    }
}

impl Renderer for TimingsFile {
    fn event(&mut self, event: &Event) {
        self.timings.follow(event);
    }

    fn finish(&mut self, _: Duration) {
        self.failure = self.timings.write(&self.path).err();
    }

    fn warning(&mut self) -> Option<String> {
        let error = self.failure.take()?;
        Some(format!(
            "the timings `{}` are not written: {error}",
            self.path.display()
        ))
    }
}
