//! What is going on right now: tasks that run, hosts that work on them, bytes on their way.
//!
//! Follows the events; prints nothing. Live progress and the heartbeat of plain output are drawn from it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use indexmap::IndexMap;

use super::text;
use crate::engine::event::{Event, EventKind, Outcome};

/// The state of a run.
#[derive(Debug, Default)]
pub struct Board {
    /// Tasks that are not over on every host, by number.
    pub tasks: BTreeMap<u64, Task>,
    /// Transfers that are not over, by host and name.
    pub transfers: IndexMap<(String, String), Transfer>,
}

/// A task on its hosts.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its number.
    pub number: u64,
    /// `role : name`, tame.
    pub title: String,
    /// Runs as a handler.
    pub handler: bool,
    /// Its only purpose is to say something (`debug`).
    pub speaks: bool,
    /// Where it is written.
    pub place: String,
    /// How many hosts will run it.
    pub hosts: usize,
    /// Those of them that are not done.
    pending: HashSet<String>,
    /// How many hosts have begun it.
    began: usize,
    /// When it began.
    pub since: Duration,
    /// Hosts at work: since when, and what is said about them.
    pub running: IndexMap<String, Running>,
    /// Hosts that are done.
    pub results: IndexMap<String, HostResult>,
}

/// A host at work on a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Since when.
    pub since: Duration,
    /// What is said about it, for instance the attempt.
    pub note: Option<String>,
    /// How many hosts began this task before it.
    rank: usize,
}

/// How a host ended a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostResult {
    /// How.
    pub outcome: Outcome,
    /// One line, tame.
    pub message: Option<String>,
}

impl Task {
    /// Whether every host is done.
    pub fn is_over(&self) -> bool {
        self.pending.is_empty()
    }

    /// Hosts at work, in the order in which they began.
    pub fn at_work(&self) -> Vec<(&str, &Running)> {
        touch(self.running.len());
        let mut hosts: Vec<(&str, &Running)> = self
            .running
            .iter()
            .map(|(host, running)| (host.as_str(), running))
            .collect();
        hosts.sort_by_key(|(_, running)| running.rank);
        hosts
    }

    /// Hosts with an outcome, in the order in which they ended.
    pub fn hosts_with(&self, outcome: Outcome) -> Vec<&str> {
        touch(self.results.len());
        self.results
            .iter()
            .filter(|(_, result)| result.outcome == outcome)
            .map(|(host, _)| host.as_str())
            .collect()
    }
}

/// Bytes on their way to a host.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// What, tame.
    pub name: String,
    /// Bytes that the host has.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// When it began.
    pub since: Duration,
    /// The last few seconds: when, and how many bytes by then.
    samples: VecDeque<(Duration, u64)>,
}

/// The rate is that of the last few seconds, so that a stall shows.
const RATE_WINDOW: Duration = Duration::from_secs(5);

impl Transfer {
    fn new(name: String, done: u64, total: u64, at: Duration) -> Self {
        Self {
            name,
            done,
            total,
            since: at,
            samples: VecDeque::from([(at, done)]),
        }
    }

    fn advance(&mut self, done: u64, total: u64, at: Duration) {
        self.done = done;
        self.total = total;
        self.samples.push_back((at, done));
        while self.samples.len() > 2
            && self
                .samples
                .front()
                .is_some_and(|(first, _)| at.saturating_sub(*first) > RATE_WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Bytes per second over the last few seconds, if that can be said yet.
    pub fn rate(&self, now: Duration) -> Option<u64> {
        let (first, from) = self.samples.front()?;
        let time = now.saturating_sub(*first).as_secs_f64();
        let bytes = self.done.saturating_sub(*from);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "shown with one decimal; never negative"
        )]
        (time >= 0.2 && bytes > 0).then(|| (bytes as f64 / time) as u64)
    }

    /// `45 %  12.0/66.1 MiB  31.0 MiB/s  2 s left`.
    pub fn describe(&self, now: Duration) -> String {
        let mut words = format!(
            "{:>3} %  {}",
            text::percent(self.done, self.total),
            text::bytes_of(self.done, self.total)
        );
        if let Some(rate) = self.rate(now).filter(|rate| *rate > 0) {
            let left = self.total.saturating_sub(self.done).div_ceil(rate);
            words.push_str(&format!(
                "  {}/s  {} left",
                text::bytes(rate),
                text::duration(Duration::from_secs(left))
            ));
        }
        words
    }
}

/// A task's name with its role, as it is shown everywhere.
pub fn title(role: Option<&str>, name: &str) -> String {
    match role {
        Some(role) => text::tame(&format!("{role} : {name}")),
        None => text::tame(name),
    }
}

/// Counts the hosts that were looked at, where a test wants to know.
fn touch(count: usize) {
    #[cfg(test)]
    testing::TOUCHED.with(|touched| touched.set(touched.get() + count));
    let _ = count;
}

#[cfg(test)]
pub mod testing {
    //! How much work it was.

    std::thread_local! {
        /// Hosts that were looked at by this thread.
        pub static TOUCHED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
}

impl Board {
    /// Follows an event. Returns the task that it ended, if it ended one on its last host.
    pub fn follow(&mut self, event: &Event) -> Option<Task> {
        let at = event.at;
        match &event.kind {
            EventKind::TaskStarted {
                task,
                name,
                role,
                module,
                place,
                handler,
                hosts,
                ..
            } => {
                touch(hosts.len());
                self.tasks.insert(
                    *task,
                    Task {
                        number: *task,
                        title: title(role.as_deref(), name),
                        handler: *handler,
                        speaks: module == "debug",
                        place: place.clone(),
                        hosts: hosts.len(),
                        pending: hosts.iter().cloned().collect(),
                        began: 0,
                        since: at,
                        running: IndexMap::new(),
                        results: IndexMap::new(),
                    },
                );
                None
            }
            EventKind::HostTaskStarted { task, host } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    let running = Running {
                        since: at,
                        note: None,
                        rank: task.began,
                    };
                    task.began += 1;
                    task.running.insert(host.clone(), running);
                }
                None
            }
            EventKind::HostTaskRetry {
                task,
                host,
                attempt,
                attempts,
                message,
            } => {
                let running = self.tasks.get_mut(task)?.running.get_mut(host)?;
                let message = text::tame(message.lines().next().unwrap_or_default());
                running.note = Some(format!("attempt {attempt} of {attempts} failed: {message}"));
                None
            }
            EventKind::HostTaskFinished {
                task,
                host,
                outcome,
                item,
                message,
                ..
            } => {
                let found = self.tasks.get_mut(task)?;
                if let Some(item) = item {
                    if let Some(running) = found.running.get_mut(host) {
                        let word = super::style::outcome_word(*outcome);
                        running.note = Some(text::tame(&format!("{word}: {item}")));
                    }
                    return None;
                }
                let message = message
                    .as_deref()
                    .and_then(|message| message.lines().next())
                    .map(text::tame);
                self.host_ends(*task, host, *outcome, message)
            }
            EventKind::HostUnreachable { host, .. } => {
                touch(self.transfers.len() + self.tasks.len());
                self.transfers.retain(|(other, _), _| other != host);
                let affected: Vec<u64> = self
                    .tasks
                    .values()
                    .filter(|task| task.pending.contains(host))
                    .map(|task| task.number)
                    .collect();
                let mut over = None;
                for number in affected {
                    over = self
                        .host_ends(number, host, Outcome::Unreachable, None)
                        .or(over);
                }
                over
            }
            EventKind::Transfer {
                host,
                name,
                done,
                total,
                finished,
            } => {
                let key = (host.clone(), name.clone());
                if *finished {
                    self.transfers.swap_remove(&key);
                } else {
                    self.transfers
                        .entry(key)
                        .or_insert_with(|| Transfer::new(text::tame(name), *done, *total, at))
                        .advance(*done, *total, at);
                }
                None
            }
            EventKind::RunFinished { .. } => {
                self.transfers.clear();
                self.tasks.clear();
                None
            }
            _ => None,
        }
    }

    fn host_ends(
        &mut self,
        number: u64,
        host: &str,
        outcome: Outcome,
        message: Option<String>,
    ) -> Option<Task> {
        let task = self.tasks.get_mut(&number)?;
        touch(1);
        task.running.swap_remove(host);
        task.pending.remove(host);
        task.results
            .insert(host.to_owned(), HostResult { outcome, message });
        if task.is_over() {
            return self.tasks.remove(&number);
        }
        None
    }

    /// Transfers to a host.
    pub fn transfers_to<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Transfer> {
        touch(self.transfers.len());
        self.transfers
            .iter()
            .filter(move |((other, _), _)| other == host)
            .map(|(_, transfer)| transfer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, begins, ends, hosts, task_started};
    use super::super::{FindingsView, Renderer as _, live, narrator::Narrator};
    use super::*;

    /// How many hosts are looked at to tell, and to draw, some tasks on this many hosts.
    fn work(count: usize, tasks: u64) -> usize {
        let names = hosts(count);
        let terminal = live::testing::Terminal::new(100);
        let style = super::super::tests::STYLE;
        let output = super::super::output::Output::new(std::io::sink());
        let screen = live::LiveScreen::new(terminal.target(), output, style, None, style);
        let mut narrator = Narrator::new(screen, 0, FindingsView::Problems);
        let before = testing::TOUCHED.with(std::cell::Cell::get);
        for task in 1..=tasks {
            let mut started = task_started(task, None, "a task");
            if let EventKind::TaskStarted { hosts, .. } = &mut started {
                hosts.clone_from(&names);
            }
            narrator.event(&at(task * 100, started));
            for host in &names {
                narrator.event(&at(task * 100, begins(task, host)));
            }
            narrator.tick(Duration::from_millis(task * 100 + 1));
            for (index, host) in names.iter().enumerate() {
                let outcome = match index % 3 {
                    0 => Outcome::Ok,
                    1 => Outcome::Changed,
                    _ => Outcome::Skipped,
                };
                narrator.event(&at(task * 100 + 50, ends(task, host, outcome)));
            }
        }
        testing::TOUCHED.with(std::cell::Cell::get) - before
    }

    #[test]
    fn the_work_grows_with_hosts_and_tasks_and_not_with_their_squares() {
        let one = work(50, 4);
        assert!(one > 50 * 4, "{one}");
        assert!(work(500, 4) <= one * 11, "ten times the hosts");
        assert!(work(50, 40) <= one * 11, "ten times the tasks");
        // 500 hosts and 1000 tasks: a few looks for each result.
        assert!(work(500, 10) < 500 * 10 * 30);
    }

    #[test]
    fn a_lost_host_is_done_with_what_it_was_at() {
        let mut board = Board::default();
        board.follow(&at(0, task_started(1, None, "one")));
        for host in hosts(3) {
            board.follow(&at(0, begins(1, &host)));
        }
        assert_eq!(
            board.tasks[&1]
                .at_work()
                .iter()
                .map(|(host, _)| *host)
                .collect::<Vec<_>>(),
            hosts(3)
        );
        board.follow(&at(1, ends(1, "node1", Outcome::Ok)));
        let lost = |host: &str| EventKind::HostUnreachable {
            host: host.to_owned(),
            message: "gone".to_owned(),
            hint: None,
            task: None,
            task_name: None,
            may_have_run: false,
        };
        assert!(board.follow(&at(2, lost("node2"))).is_none());
        let over = board.follow(&at(3, lost("node3"))).unwrap();
        assert_eq!(over.hosts_with(Outcome::Unreachable), ["node2", "node3"]);
        assert!(board.tasks.is_empty());
    }
}
