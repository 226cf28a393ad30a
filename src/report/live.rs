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
    region: Option<ProgressBar>,
    progress: Output,
    style: StreamStyle,
    size: Size,
    data: Option<Output>,
    data_style: StreamStyle,
}

/// Columns and rows of the terminal at this moment: people resize their windows.
type Size = Box<dyn Fn() -> (usize, usize) + Send>;

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
        let size = move || {
            rustix::termios::tcgetwinsize(std::io::stderr()).map_or((style.width, 24), |size| {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            })
        };
        Self {
            size: Box::new(size),
            ..Self::new(
                ProgressDrawTarget::stderr_with_hz(10),
                Output::stderr(),
                style,
                data,
                data_style,
            )
        }
    }

    /// A screen on any terminal that is 24 rows high: where to draw, and where to write lines.
    pub fn new(
        target: ProgressDrawTarget,
        progress: Output,
        style: StreamStyle,
        data: Option<Output>,
        data_style: StreamStyle,
    ) -> Self {
        Self {
            multi: MultiProgress::with_draw_target(target),
            region: None,
            progress,
            style,
            size: Box::new(move || (style.width, 24)),
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
    fn say(&mut self, _: Duration, lines: &[Line]) {
        let (output, style) = (&mut self.progress, self.style);
        self.multi.suspend(|| output.lines(lines, style));
    }

    fn data(&mut self, lines: &[Line]) {
        let (output, style) = match &mut self.data {
            Some(output) => (output, self.data_style),
            None => (&mut self.progress, self.style),
        };
        self.multi.suspend(|| output.lines(lines, style));
    }

    fn data_width(&self) -> usize {
        match self.data {
            Some(_) => self.data_style.width,
            None => self.style.width,
        }
    }

    fn draw(&mut self, board: &Board, now: Duration) {
        let (width, height) = (self.size)();
        let lines = frame(board, now, width, height);
        if lines.is_empty() {
            if let Some(region) = self.region.take() {
                region.finish_and_clear();
                self.multi.remove(&region);
            }
            return;
        }
        // One bar for the whole region: a bar for each row would be drawn row by row, and flicker.
        let region = self.region.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            self.multi.add(bar)
        });
        region.set_message(lines.join("\n"));
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
        text::count(task.hosts, "host"),
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
    for (host, running) in task.at_work() {
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

#[cfg(test)]
pub mod testing {
    //! A terminal in memory: what is on it now, and all that was ever written to it.

    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::Output;

    /// A terminal with room for everything, so that nothing scrolls out of sight.
    #[derive(Clone, Debug)]
    pub struct Terminal {
        width: u16,
        state: Arc<Mutex<State>>,
    }

    #[derive(Debug, Default)]
    struct State {
        lines: Vec<Vec<char>>,
        row: usize,
        column: usize,
        written: String,
    }

    impl Terminal {
        /// An empty terminal.
        pub fn new(width: u16) -> Self {
            Self {
                width,
                state: Arc::default(),
            }
        }

        /// To draw on, as often as asked.
        pub fn target(&self) -> ProgressDrawTarget {
            ProgressDrawTarget::term_like_with_hz(Box::new(self.clone()), 255)
        }

        /// To write lines to.
        pub fn output(&self) -> Output {
            Output::new(self.clone())
        }

        /// What can be seen now, without blanks at the ends of lines.
        pub fn screen(&self) -> String {
            let state = self.state.lock().unwrap();
            let lines: Vec<String> = state
                .lines
                .iter()
                .map(|line| line.iter().collect())
                .collect();
            let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
            lines.join("\n").trim_end().to_owned()
        }

        /// Everything that was ever written.
        pub fn written(&self) -> String {
            self.state.lock().unwrap().written.clone()
        }

        fn put(&self, text: &str) {
            let mut state = self.state.lock().unwrap();
            state.written.push_str(text);
            for character in text.chars() {
                match character {
                    '\n' => {
                        state.row += 1;
                        state.column = 0;
                    }
                    '\r' => state.column = 0,
                    other => {
                        if state.column == usize::from(self.width) {
                            state.row += 1;
                            state.column = 0;
                        }
                        let (row, column) = (state.row, state.column);
                        if state.lines.len() <= row {
                            state.lines.resize(row + 1, Vec::new());
                        }
                        let line = &mut state.lines[row];
                        if line.len() <= column {
                            line.resize(column + 1, ' ');
                        }
                        line[column] = other;
                        state.column += 1;
                    }
                }
            }
        }
    }

    impl std::io::Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.put(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            self.width
        }

        fn move_cursor_up(&self, rows: usize) -> std::io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.row = state.row.saturating_sub(rows);
            Ok(())
        }

        fn move_cursor_down(&self, rows: usize) -> std::io::Result<()> {
            self.state.lock().unwrap().row += rows;
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.put(&format!("{text}\n"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.put(text);
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            let mut state = self.state.lock().unwrap();
            let row = state.row;
            if let Some(line) = state.lines.get_mut(row) {
                line.clear();
            }
            state.column = 0;
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STYLE, at, begins, ends, hosts, sends, story, task_started, tell};
    use super::super::{FindingsView, Renderer as _, narrator::Narrator, output::testing::Written};
    use super::testing::Terminal;
    use super::*;
    use crate::engine::event::{EventKind, Outcome};

    fn board(events: &[crate::engine::event::Event]) -> Board {
        let mut board = Board::default();
        for event in events {
            board.follow(event);
        }
        board
    }

    fn busy() -> Board {
        let mut events = vec![at(0, task_started(7, Some("docker"), "load the image"))];
        events.extend(hosts(3).iter().map(|host| at(100, begins(7, host))));
        events.push(at(1000, sends("node2", 0, false)));
        events.push(at(3000, sends("node2", 30, false)));
        events.push(at(3000, ends(7, "node3", Outcome::Ok)));
        events.push(at(
            3000,
            EventKind::HostTaskRetry {
                task: 7,
                host: "node1".into(),
                attempt: 2,
                attempts: 5,
                message: "connection refused\nmore".into(),
            },
        ));
        board(&events)
    }

    #[test]
    fn a_frame_shows_tasks_hosts_and_bytes() {
        let lines = frame(&busy(), Duration::from_millis(3500), 100, 40);
        insta::assert_snapshot!(lines.join("\n"), @r"
        \ docker : load the image  1/3 hosts  3.5 s
            node2  [=========>          ]   45 %  30.0/66.0 MiB  12.0 MiB/s  3.0 s left  docker-24.0.7.tgz
            node1  3.4 s  attempt 2 of 5 failed: connection refused
        ");
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let many: Vec<String> = hosts(50);
        let mut events = vec![at(0, task_started(1, None, &"long ".repeat(60)))];
        if let EventKind::TaskStarted { hosts, .. } = &mut events[0].kind {
            hosts.clone_from(&many);
        }
        events.extend(many.iter().map(|host| at(100, begins(1, host))));
        let board = board(&events);
        for height in [0, 1, 5, 24, 200] {
            let lines = frame(&board, Duration::from_secs(3), 40, height);
            assert!(
                lines.len() <= (height / 2).clamp(3, 20),
                "{height}: {lines:?}"
            );
            assert!(
                lines.iter().all(|line| line.chars().count() < 40),
                "{lines:?}"
            );
        }
        let lines = frame(&board, Duration::from_secs(3), 40, 24);
        assert_eq!(lines.last().unwrap(), "    and 40 more");
    }

    #[test]
    fn the_story_on_a_terminal() {
        let terminal = Terminal::new(100);
        let data = Written::default();
        let screen = LiveScreen::new(
            terminal.target(),
            terminal.output(),
            STYLE,
            Some(data.output()),
            STYLE,
        );
        tell(
            &mut Narrator::new(screen, 0, FindingsView::Problems),
            &story(),
        );
        insta::assert_snapshot!("live", terminal.screen());
        insta::assert_snapshot!("live_data", data.text());
    }

    #[test]
    fn what_runs_is_drawn_below_what_is_over() {
        let terminal = Terminal::new(100);
        let screen = LiveScreen::new(terminal.target(), terminal.output(), STYLE, None, STYLE);
        let mut narrator = Narrator::new(screen, 0, FindingsView::Problems);
        let events = story();
        // Up to the middle of the task that unpacks.
        let middle = events
            .iter()
            .position(|event| event.at > Duration::from_secs(3));
        for event in &events[..middle.unwrap()] {
            narrator.event(event);
        }
        narrator.tick(Duration::from_secs(3));
        let screen = terminal.screen();
        let last: Vec<&str> = screen.lines().rev().take(5).collect();
        assert!(last[4].starts_with("ok           gather facts"), "{screen}");
        assert!(
            last[3].contains("docker : unpack the engine  0/3 hosts"),
            "{screen}"
        );
        assert!(last[2].contains("node1  [======>"), "{screen}");
        assert!(last[0].contains("node3  2.0 s"), "{screen}");
    }
}
