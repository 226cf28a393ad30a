//! A screen that draws: what is going on stays at the bottom of the terminal, what is over scrolls away above it.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::StreamStyle;
use super::board::{Board, Task};
use super::narrator::Screen;
use super::output::Output;
use super::style::Line;
use super::text;

/// Lines to a terminal with a drawn region below them; data to standard output.
pub struct LiveScreen {
    multi: MultiProgress,
    rows: Vec<ProgressBar>,
    style: StreamStyle,
    height: usize,
    data: Option<Output>,
    data_style: StreamStyle,
}

/// Takes the drawn region away for a while, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Pause(Option<MultiProgress>);

impl Pause {
    /// Runs something while nothing is drawn.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(multi) => multi.suspend(work),
            None => work(),
        }
    }
}

impl LiveScreen {
    /// A screen on standard error.
    pub fn stderr(style: StreamStyle, data: Option<Output>, data_style: StreamStyle) -> Self {
        let height = rustix::termios::tcgetwinsize(std::io::stderr())
            .map_or(24, |size| usize::from(size.ws_row));
        Self::new(
            ProgressDrawTarget::stderr_with_hz(10),
            style,
            height,
            data,
            data_style,
        )
    }

    /// A screen on any terminal of `height` rows.
    pub fn new(
        target: ProgressDrawTarget,
        style: StreamStyle,
        height: usize,
        data: Option<Output>,
        data_style: StreamStyle,
    ) -> Self {
        Self {
            multi: MultiProgress::with_draw_target(target),
            rows: Vec::new(),
            style,
            height,
            data,
            data_style,
        }
    }

    /// For questions while the screen is in use.
    pub fn pause(&self) -> Pause {
        Pause(Some(self.multi.clone()))
    }
}

impl Screen for LiveScreen {
    fn say(&mut self, _: Duration, line: &Line) {
        // An error here means a terminal that has gone away.
        let _ = self.multi.println(line.render(self.style.colour));
    }

    fn data(&mut self, line: &Line) {
        let style = self.data_style;
        match &mut self.data {
            Some(output) => self
                .multi
                .suspend(|| output.line(&line.render(style.colour))),
            None => self.say(Duration::ZERO, line),
        }
    }

    fn data_width(&self) -> usize {
        match self.data {
            Some(_) => self.data_style.width,
            None => self.style.width,
        }
    }

    fn draw(&mut self, board: &Board, now: Duration) {
        let lines = frame(board, now, self.style.width, self.height);
        while self.rows.len() > lines.len() {
            if let Some(row) = self.rows.pop() {
                row.finish_and_clear();
                self.multi.remove(&row);
            }
        }
        while self.rows.len() < lines.len() {
            let row = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                row.set_style(style);
            }
            self.rows.push(self.multi.add(row));
        }
        for (row, line) in self.rows.iter().zip(lines) {
            row.set_message(line);
        }
    }

    fn draws(&self) -> bool {
        true
    }
}

/// The drawn region: each running task with its hosts, at most as many lines as fit below some of what scrolled by.
pub fn frame(board: &Board, now: Duration, width: usize, height: usize) -> Vec<String> {
    // The last column stays free: some terminals wrap as soon as it is written.
    let width = width.saturating_sub(1);
    let most = (height / 2).clamp(3, 20);
    let tasks = board.tasks.len();
    let room = most.saturating_sub(tasks.min(most));
    let mut lines = Vec::new();
    let mut left = room;
    for task in board.tasks.values().take(most) {
        lines.push(text::shorten(&task_row(task, now), width));
        let hosts = host_rows(board, task, now, left);
        left -= hosts.len();
        lines.extend(hosts.iter().map(|row| text::shorten(row, width)));
    }
    lines
}

fn task_row(task: &Task, now: Duration) -> String {
    let spinner = ["-", "\\", "|", "/"];
    let turn = usize::try_from(now.as_millis() / 200).unwrap_or(0) % spinner.len();
    let spinner = spinner.get(turn).copied().unwrap_or("-");
    format!(
        "{spinner} {}  {}/{}  {}",
        task.title,
        task.results.len(),
        text::count(task.hosts.len(), "host"),
        text::duration(now.saturating_sub(task.since)),
    )
}

/// A row for each host at work, the ones with transfers first; the last row says how many did not fit.
fn host_rows(board: &Board, task: &Task, now: Duration, room: usize) -> Vec<String> {
    let name_width = task
        .running
        .keys()
        .map(|host| host.chars().count())
        .max()
        .unwrap_or(0)
        .min(24);
    let mut rows = Vec::new();
    let mut quiet = Vec::new();
    for (host, running) in &task.running {
        let name = format!(
            "{:<name_width$}",
            text::shorten(&text::tame(host), name_width)
        );
        let before = rows.len();
        for transfer in board.transfers_to(host) {
            rows.push(format!(
                "    {name}  {}  {}  {}",
                bar(transfer.done, transfer.total),
                transfer.describe(now),
                transfer.name
            ));
        }
        if rows.len() == before {
            let time = text::duration(now.saturating_sub(running.since));
            let note = running.note.as_deref().unwrap_or_default();
            quiet.push(format!("    {name}  {time}  {note}").trim_end().to_owned());
        }
    }
    rows.append(&mut quiet);
    if rows.len() > room {
        let shown = room.saturating_sub(1);
        let more = rows.len() - shown;
        rows.truncate(shown);
        if room > 0 {
            rows.push(format!("    and {more} more"));
        }
    }
    rows
}

const BAR: usize = 20;

/// `[=========>          ]`.
fn bar(done: u64, total: u64) -> String {
    let percent = usize::try_from(text::percent(done, total)).unwrap_or(100);
    let filled = (percent * BAR / 100).min(BAR);
    let mut bar = "=".repeat(filled);
    if filled < BAR {
        bar.push('>');
    }
    format!("[{bar:<BAR$}]")
}
