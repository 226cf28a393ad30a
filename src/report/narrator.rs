//! Tells people what happens: the same story for a terminal that can draw and for lines in a file.
//!
//! The story is told on a [`Screen`]. Lines of a terminal come when a task is over, because what runs is drawn below
//! them; elsewhere the heading comes first and what happened under it, with a heartbeat while nothing happens.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::board::{Board, Task};
use super::findings;
use super::lines;
use super::recap;
use super::style::{Line, Paint, outcome_word};
use super::text;
use super::{FindingsView, Renderer};
use crate::engine::event::{Event, EventKind, Outcome};
use crate::precheck::Finding;

/// Where the story is told.
pub trait Screen: Send {
    /// Progress: lines for people, said `at` a time since the start of the run.
    fn say(&mut self, at: Duration, lines: &[Line]);
    /// Lines of what the user asked for.
    fn data(&mut self, lines: &[Line]);
    /// Columns of what [`Screen::data`] writes to.
    fn data_width(&self) -> usize;
    /// Draws what is going on, where that is possible. Called a few times a second.
    fn draw(&mut self, board: &Board, now: Duration);
    /// Whether [`Screen::draw`] shows what is going on.
    fn draws(&self) -> bool;
}

/// No line for this long makes a heartbeat due, and so does a task that runs this long.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Tells the story of a run on a screen.
pub struct Narrator<S> {
    screen: S,
    verbosity: u8,
    view: FindingsView,
    board: Board,
    findings: Vec<Finding>,
    /// The task whose heading was said last.
    heading: Option<u64>,
    /// Outcomes that were already said item by item, by task and host.
    itemised: HashSet<(u64, String, &'static str)>,
    /// How many hosts have a line of their own although they were fine, by task.
    told: HashMap<u64, usize>,
    /// Hosts of which it was said why they cannot be reached.
    lost: HashSet<String>,
    /// What lost hosts were at, for the end.
    losses: Vec<recap::Loss>,
    check_mode: bool,
    /// What is to be read last, until the recap is there.
    summary: Vec<Line>,
    last_said: Duration,
}

impl<S: Screen> Narrator<S> {
    /// A narrator that says more the higher `verbosity` is.
    pub fn new(screen: S, verbosity: u8, view: FindingsView) -> Self {
        Self {
            screen,
            verbosity,
            view,
            board: Board::default(),
            findings: Vec::new(),
            heading: None,
            itemised: HashSet::new(),
            told: HashMap::new(),
            lost: HashSet::new(),
            losses: Vec::new(),
            check_mode: false,
            summary: Vec::new(),
            last_said: Duration::ZERO,
        }
    }

    fn say(&mut self, at: Duration, line: Line) {
        self.say_all(at, &[line]);
    }

    fn say_all(&mut self, at: Duration, lines: &[Line]) {
        if !lines.is_empty() {
            self.screen.say(at, lines);
            self.last_said = at;
        }
    }

    /// An empty line on a terminal; elsewhere the times are guide enough.
    fn leave_room(&mut self, at: Duration) {
        if self.screen.draws() {
            self.say(at, Line::new(Paint::Plain, ""));
        }
    }

    /// Says the heading of a task unless it was the last heading.
    fn under_heading(&mut self, at: Duration, number: u64, title: &str, handler: bool) {
        if self.heading != Some(number) {
            self.say(at, lines::task_heading(title, handler));
            self.heading = Some(number);
        }
    }

    /// Says the heading of a running task unless it was the last heading.
    fn under_heading_of(&mut self, at: Duration, number: u64) {
        if let Some(task) = self.board.tasks.get(&number) {
            let (title, handler, place) = (task.title.clone(), task.handler, task.place.clone());
            let is_new = self.heading != Some(number);
            self.under_heading(at, number, &title, handler);
            if is_new && self.verbosity > 1 && !place.is_empty() {
                let line = format!("  at {}", text::tame(&place));
                self.say(at, Line::new(Paint::Faint, line));
            }
        }
    }

    /// Whether a task is there to say something.
    fn speaks(&self, number: u64) -> bool {
        self.board
            .tasks
            .get(&number)
            .is_some_and(|task| task.speaks)
    }

    fn run_started(&mut self, event: &Event) {
        let EventKind::RunStarted {
            command,
            version,
            hosts,
            check_mode,
            log_file,
            ..
        } = &event.kind
        else {
            return;
        };
        let mut line = format!(
            "kk {version}: {} on {}",
            text::tame(command),
            text::count(hosts.len(), "host")
        );
        if *check_mode {
            line.push_str("; nothing is changed");
        }
        self.check_mode = *check_mode;
        self.say(event.at, Line::new(Paint::Heading, line));
        if let Some(path) = log_file {
            self.say(event.at, Line::new(Paint::Faint, format!("log: {path}")));
        }
    }

    fn host_task_finished(&mut self, event: &Event) {
        let EventKind::HostTaskFinished {
            task,
            host,
            outcome,
            item,
            message,
            hint,
            diff,
            details,
            result,
            ..
        } = &event.kind
        else {
            return;
        };
        let word = outcome_word(*outcome);
        let shown = match outcome {
            // On a terminal the line of the whole task says who changed; here every host has its own.
            Outcome::Changed => !self.screen.draws() || diff.is_some() || self.verbosity > 0,
            Outcome::Ok if message.is_some() && self.speaks(*task) => true,
            Outcome::Ok => self.verbosity > 1 || self.verbosity > 0 && result.is_some(),
            Outcome::Skipped => self.verbosity > 1,
            // Said once, by the event of the host or by the task that noticed it.
            Outcome::Unreachable => !self.lost.contains(host),
            Outcome::Failed | Outcome::Ignored | Outcome::Rescued => true,
        };
        if !shown {
            return;
        }
        let key = (*task, host.clone(), word);
        if item.is_some() {
            self.itemised.insert(key);
        } else if self.itemised.contains(&key)
            && diff.is_none()
            && result.is_none()
            && hint.is_none()
            && details.is_none()
            && (message.is_none() || !lines::is_failure(*outcome))
        {
            return;
        }
        if *outcome == Outcome::Unreachable && message.is_some() {
            self.lost.insert(host.clone());
        }
        self.under_heading_of(event.at, *task);
        if item.is_none() && *outcome == Outcome::Ok {
            *self.told.entry(*task).or_default() += 1;
        }
        self.say_all(event.at, &lines::result(event, self.verbosity > 2));
    }

    /// What is said when a task is over on its last host.
    fn task_over(&mut self, at: Duration, task: &Task) {
        self.itemised
            .retain(|(number, _, _)| *number != task.number);
        if self.screen.draws() {
            self.say(at, lines::task_over(task, at));
            // The next line belongs to another task, whatever was the last heading.
            self.heading = None;
            return;
        }
        let ok = task.hosts_with(Outcome::Ok);
        let told = self.told.remove(&task.number).unwrap_or(0);
        if self.verbosity == 1 && ok.len() > told {
            self.under_heading(at, task.number, &task.title, task.handler);
            let line = format!("  ok: {}", text::count(ok.len() - told, "host"));
            self.say(at, Line::new(Paint::Good, line));
        }
        let skipped = task.hosts_with(Outcome::Skipped);
        if self.verbosity < 2 && !skipped.is_empty() {
            self.under_heading(at, task.number, &task.title, task.handler);
            self.say(at, lines::skipped(task, &skipped));
        }
    }

    fn show_findings(&mut self, at: Duration) {
        if self.findings.is_empty() {
            return;
        }
        let found = std::mem::take(&mut self.findings);
        let width = self.screen.data_width();
        match self.view {
            FindingsView::Data => {
                self.screen.data(&findings::table(&found, width));
                self.last_said = at;
            }
            FindingsView::Problems => {
                let lines = findings::problems(&found, width);
                self.say_all(at, &lines);
            }
        }
    }

    fn show_summary(&mut self, at: Duration) {
        if !self.summary.is_empty() {
            self.leave_room(at);
            let lines = std::mem::take(&mut self.summary);
            self.screen.data(&lines);
        }
    }

    fn heartbeat(&mut self, now: Duration) {
        if self.screen.draws() || now.saturating_sub(self.last_said) < HEARTBEAT {
            return;
        }
        let long: Vec<Line> = self
            .board
            .tasks
            .values()
            .filter(|task| now.saturating_sub(task.since) >= HEARTBEAT)
            .map(|task| lines::still_running(&self.board, task, now))
            .collect();
        self.say_all(now, &long);
    }
}

impl<S: Screen> Renderer for Narrator<S> {
    fn event(&mut self, event: &Event) {
        let at = event.at;
        if matches!(
            event.kind,
            EventKind::PlayStarted { .. }
                | EventKind::TaskStarted { .. }
                | EventKind::RunFinished { .. }
                | EventKind::Summary { .. }
        ) {
            self.show_findings(at);
        }
        let sending_since = match &event.kind {
            EventKind::Transfer { host, name, .. } => self
                .board
                .transfers
                .get(&(host.clone(), name.clone()))
                .map(|transfer| transfer.since),
            _ => None,
        };
        if let EventKind::HostUnreachable {
            host,
            message,
            task_name,
            may_have_run,
            ..
        } = &event.kind
            && self.losses.iter().all(|loss| loss.host != *host)
        {
            self.losses.push(recap::Loss {
                host: host.clone(),
                message: message.clone(),
                task_name: task_name.clone(),
                may_have_run: *may_have_run,
            });
        }
        // A result is told before the board forgets its task.
        self.host_task_finished(event);
        let over = self.board.follow(event);
        match &event.kind {
            EventKind::RunStarted { .. } => self.run_started(event),
            EventKind::Notice {
                level,
                message,
                hint,
            } => self.say_all(at, &lines::notice(*level, message, hint.as_deref())),
            EventKind::PlayStarted { name, hosts } => {
                let line = format!(
                    "PLAY [{}] {}",
                    text::tame(name),
                    text::tame(&text::names(hosts.iter().map(String::as_str), 5))
                );
                self.heading = None;
                self.say(at, Line::new(Paint::Heading, line));
            }
            EventKind::TaskStarted { task, .. } if !self.screen.draws() => {
                self.under_heading_of(at, *task);
            }
            EventKind::HostTaskRetry { task, .. } if self.verbosity > 0 => {
                self.under_heading_of(at, *task);
                self.say_all(at, lines::retry(event).as_slice());
            }
            EventKind::HostCommand { task, .. } if self.verbosity > 2 => {
                self.under_heading_of(at, *task);
                self.say_all(at, &lines::command(event));
            }
            EventKind::HostConnected { .. } if self.verbosity > 2 => {
                self.say_all(at, lines::connected(event).as_slice());
            }
            EventKind::Transfer { finished: true, .. } if self.verbosity > 0 => {
                let took = sending_since.map(|since| at.saturating_sub(since));
                self.say_all(at, lines::sent(event, took).as_slice());
            }
            EventKind::HostUnreachable {
                host,
                message,
                hint,
                ..
            } if self.lost.insert(host.clone()) => {
                self.say_all(at, &lines::unreachable(host, message, hint.as_deref()));
            }
            EventKind::Finding(finding) => self.findings.push(finding.clone()),
            EventKind::CancelRequested { level } => self.say(at, lines::cancel(*level)),
            EventKind::RunFinished {
                recap: rows,
                duration,
                exit_code,
            } => {
                self.screen.draw(&self.board, at);
                if !rows.is_empty() {
                    self.leave_room(at);
                    self.say_all(at, &recap::table(rows));
                    self.say_all(at, &recap::losses(&self.losses));
                    let verdict = recap::verdict(rows, *duration, *exit_code, self.check_mode);
                    self.say(at, verdict);
                }
                self.show_summary(at);
            }
            EventKind::Summary { lines, .. } => {
                self.summary.extend(recap::summary(lines));
            }
            _ => {}
        }
        if let Some(task) = over {
            // What is over is not drawn below the line that says so.
            self.screen.draw(&self.board, at);
            self.task_over(at, &task);
        }
    }

    fn tick(&mut self, now: Duration) {
        self.heartbeat(now);
        self.screen.draw(&self.board, now);
    }

    fn finish(&mut self, now: Duration) {
        self.show_findings(now);
        self.show_summary(now);
        self.board = Board::default();
        self.screen.draw(&self.board, now);
    }
}
