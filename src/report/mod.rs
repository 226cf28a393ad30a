//! Renderers of [events](crate::engine::event): what people and programs get to see of a run.
//!
//! Nothing else prints while a run goes on. Progress goes to standard error: drawn live on a terminal, as lines with
//! times elsewhere. What the user asked for goes to standard output: the table of a precheck and the summary, or with
//! [`Format::Json`] and [`Format::JsonLines`] the machine-readable form and nothing else. The log file has everything.
//! This room takes events as they are: secrets were masked where the events entered the channel.

mod board;
mod findings;
pub mod history;
pub mod journal;
mod json;
mod lines;
mod live;
mod log;
mod narrator;
mod output;
mod plain;
mod recap;
mod style;
mod surroundings;
#[cfg(test)]
mod tests;
mod text;
pub mod timings;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use log::LogError;
pub use surroundings::{DEFAULT_WIDTH, StreamStyle, Surroundings};
pub use text::{bytes as show_bytes, duration as show_duration, tame};

use crate::engine::event::Event;
use live::{LiveScreen, Pause};
use log::Log;
use narrator::Narrator;
use output::Output;
use plain::PlainScreen;

/// What goes to standard output, and how progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text for people; progress is drawn live where standard error can do that.
    #[default]
    Auto,
    /// Text for people; progress as lines, even on a terminal.
    Plain,
    /// One JSON document at the end; progress as with `Auto`.
    Json,
    /// One JSON object per event; progress as with `Auto`.
    JsonLines,
}

/// What becomes of the findings of a precheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FindingsView {
    /// They are what the user asked for: the whole table, on standard output.
    Data,
    /// They are a step on the way: what is not in order and the counts, as progress.
    #[default]
    Problems,
}

/// How a run is reported.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// What goes to standard output.
    pub format: Format,
    /// Terminals, widths and colours.
    pub surroundings: Surroundings,
    /// How much is said: 1 counts hosts that were fine and shows retries and uploads, 2 names every host.
    pub verbosity: u8,
    /// Where the log of the run goes, if anywhere.
    pub log_file: Option<PathBuf>,
    /// Where its journal goes, if anywhere.
    pub journal: Option<PathBuf>,
    /// Where the page with its timings goes, if anywhere.
    pub timings: Option<PathBuf>,
    /// What becomes of findings.
    pub findings: FindingsView,
}

impl ReportOptions {
    /// What fits this process, without a log.
    pub fn detect(format: Format, verbosity: u8) -> Self {
        Self {
            format,
            surroundings: Surroundings::read(),
            verbosity,
            log_file: None,
            journal: None,
            timings: None,
            findings: FindingsView::default(),
        }
    }
}

/// One way to show events.
trait Renderer: Send {
    /// Shows an event, or remembers it.
    fn event(&mut self, event: &Event);
    /// No other event is there yet: what was held back to be written together is written.
    fn settle(&mut self) {}
    /// Time has passed; `now` is the time since the start of the run.
    fn tick(&mut self, now: Duration) {
        let _ = now;
    }
    /// There are no more events.
    fn finish(&mut self, now: Duration) {
        let _ = now;
    }
    /// Something that went wrong with the rendering itself and that the user should know, once.
    fn warning(&mut self) -> Option<String> {
        None
    }
}

/// The running reporter.
#[derive(Debug)]
pub struct ReportHandle {
    worker: JoinHandle<()>,
    stop: CancellationToken,
    pauser: Pauser,
}

impl ReportHandle {
    /// Shows everything that was sent until now, and ends. Does not wait for clones of the sender to be dropped.
    pub async fn finish(self) {
        self.stop.cancel();
        // A renderer that panicked has nothing more to show; the run's result does not depend on it.
        let _ = self.worker.await;
    }

    /// For questions to the user while progress is shown.
    pub fn pauser(&self) -> Pauser {
        self.pauser.clone()
    }
}

/// Holds progress back while a person is asked something. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pauser {
    gate: Arc<Mutex<()>>,
    pause: Pause,
}

impl Pauser {
    /// Runs `ask` while nothing is drawn and nothing is said. Blocks; call it where blocking is allowed.
    pub fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        let _closed = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.pause.during(ask)
    }
}

/// Begins to show events. Fails when the log cannot be begun, before anything was shown. Needs a tokio runtime.
pub fn spawn(
    receiver: UnboundedReceiver<Event>,
    options: &ReportOptions,
) -> Result<ReportHandle, LogError> {
    let log = match &options.log_file {
        Some(path) => Some(Log::create(path, SystemTime::now())?),
        None => None,
    };
    let mut pauser = Pauser::default();
    let mut renderers: Vec<Box<dyn Renderer>> = Vec::new();
    if let Some(log) = log {
        renderers.push(Box::new(log));
    }
    if let Some(path) = &options.journal {
        renderers.push(Box::new(journal::Journal::create(path)?));
    }
    if let Some(path) = &options.timings {
        renderers.push(Box::new(timings::TimingsFile::new(path)));
    }
    let data = match options.format {
        Format::Auto | Format::Plain => Some(Output::stdout()),
        Format::Json => {
            renderers.push(Box::new(json::JsonDocument::new(Output::stdout())));
            None
        }
        Format::JsonLines => {
            renderers.push(Box::new(json::JsonLines::new(Output::stdout())));
            None
        }
    };
    // Where standard output belongs to a program, findings are progress.
    let view = match data {
        Some(_) => options.findings,
        None => FindingsView::Problems,
    };
    let Surroundings {
        stdout,
        stderr,
        live,
        ..
    } = options.surroundings;
    let narrator: Box<dyn Renderer> = if live && options.format != Format::Plain {
        let screen = LiveScreen::stderr(stderr, data, stdout);
        pauser.pause = screen.pause();
        Box::new(Narrator::new(screen, options.verbosity, view))
    } else {
        let screen = PlainScreen::new(Output::stderr(), stderr, data, stdout);
        Box::new(Narrator::new(screen, options.verbosity, view))
    };
    renderers.push(narrator);

    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Handle::current();
    let work = consume(receiver, renderers, stop.clone(), Arc::clone(&pauser.gate));
    // A terminal that is held back (Ctrl-S) blocks writes: they must not block the runtime's own threads.
    let worker = tokio::task::spawn_blocking(move || runtime.block_on(work));
    Ok(ReportHandle {
        worker,
        stop,
        pauser,
    })
}

/// Between two drawings of what is going on.
const TICK: Duration = Duration::from_millis(100);

/// Events that are shown before it is looked whether time has passed.
const MOST_AT_ONCE: usize = 256;

async fn consume(
    mut receiver: UnboundedReceiver<Event>,
    mut renderers: Vec<Box<dyn Renderer>>,
    stop: CancellationToken,
    gate: Arc<Mutex<()>>,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut clock = Clock::new();
    let mut stopping = false;
    let mut events = Vec::new();
    loop {
        tokio::select! {
            count = receiver.recv_many(&mut events, MOST_AT_ONCE) => {
                if count == 0 {
                    break;
                }
                let _open = gate.lock().unwrap_or_else(PoisonError::into_inner);
                for event in events.drain(..) {
                    clock.set(event.at);
                    for renderer in &mut renderers {
                        renderer.event(&event);
                    }
                }
                for renderer in &mut renderers {
                    renderer.settle();
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                receiver.close();
            }
            _ = ticks.tick() => {
                let _open = gate.lock().unwrap_or_else(PoisonError::into_inner);
                let now = clock.now();
                for renderer in &mut renderers {
                    renderer.tick(now);
                }
                warn(&mut renderers, now);
            }
        }
    }
    let now = clock.now();
    for renderer in &mut renderers {
        renderer.finish(now);
    }
    warn(&mut renderers, now);
}

/// Lets every renderer show what went wrong with another one.
fn warn(renderers: &mut [Box<dyn Renderer>], now: Duration) {
    use crate::engine::event::{EventKind, NoticeLevel};

    let warnings: Vec<String> = renderers
        .iter_mut()
        .filter_map(|renderer| renderer.warning())
        .collect();
    for message in warnings {
        let event = Event {
            at: now,
            kind: EventKind::Notice {
                level: NoticeLevel::Warning,
                message,
                hint: None,
            },
        };
        for renderer in renderers.iter_mut() {
            renderer.event(&event);
        }
    }
}

/// The time since the start of the run, carried on from the last event.
struct Clock {
    at: Duration,
    seen: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            at: Duration::ZERO,
            seen: Instant::now(),
        }
    }

    fn set(&mut self, at: Duration) {
        self.at = at;
        self.seen = Instant::now();
    }

    fn now(&self) -> Duration {
        self.at + self.seen.elapsed()
    }
}
