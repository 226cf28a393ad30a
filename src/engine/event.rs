//! What happened in a run: the one stream that every renderer, the log file and the journal read.
//!
//! Events are plain data with secrets already masked. Adding a variant is how the engine says something new;
//! nothing but `report` prints.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use super::note::{Again, Done, Note};

/// One event and when it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Time since the run began.
    #[serde(with = "seconds")]
    pub at: Duration,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Times as seconds with three decimals.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A run begins.
    RunStarted {
        /// What the user asked for, for instance `init registry`.
        command: String,
        /// Identifies the run in the log, the journal and the ledger.
        run_id: String,
        /// When it began, in UTC.
        time: String,
        /// kk's version.
        version: String,
        /// Hosts that may take part.
        hosts: Vec<String>,
        /// Nothing is changed.
        check_mode: bool,
        /// Where the log of this run lies.
        log_file: Option<String>,
    },
    /// Something the user should know, in words, that belongs to no task.
    Notice {
        /// How bad it is.
        level: NoticeLevel,
        /// One line.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A play begins.
    PlayStarted {
        /// Its name.
        name: String,
        /// The hosts it runs on.
        hosts: Vec<String>,
    },
    /// A task begins on the hosts of its batch.
    TaskStarted {
        /// Number of the task within the run, from 1.
        task: u64,
        /// Its name, templates resolved where that is possible.
        name: String,
        /// The role it comes from.
        role: Option<String>,
        /// The module.
        module: String,
        /// Where it is written.
        place: String,
        /// Runs as a handler.
        handler: bool,
        /// Hosts that will run it.
        hosts: Vec<String>,
    },
    /// A host begins a task (after waiting for its turn).
    HostTaskStarted {
        /// The task's number.
        task: u64,
        /// The host.
        host: String,
    },
    /// A host is done with a task, or with one item of its loop.
    HostTaskFinished {
        /// The task's number.
        task: u64,
        /// The host.
        host: String,
        /// How it ended.
        outcome: Outcome,
        /// The item of a loop, as its label says; `None` for the task as a whole.
        item: Option<String>,
        /// One line for people: why skipped, what failed, what changed.
        message: Option<String>,
        /// What to do about a failure.
        hint: Option<String>,
        /// The change as a unified diff, where asked for and not secret.
        diff: Option<String>,
        /// Full standard error or details of a failure.
        details: Option<String>,
        /// Time it took.
        #[serde(with = "seconds")]
        duration: Duration,
        /// The host that did the work, if another.
        delegated_to: Option<String>,
        /// What `register` would take; only with `-v`, and never with `no_log`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Map<String, Value>>,
    },
    /// A host does nothing for a while because the playbook says so: between attempts, between items of a loop.
    HostWaits {
        /// The task's number.
        task: u64,
        /// The host.
        host: String,
        /// For how long.
        #[serde(with = "seconds")]
        duration: Duration,
        /// Why.
        why: Wait,
    },
    /// A command ran on a host for a task; only with `-vvv`, and never with `no_log`.
    HostCommand {
        /// The task's number.
        task: u64,
        /// The host.
        host: String,
        /// `user@address:port`, or `this machine`.
        target: String,
        /// What the host's shell was given.
        command: String,
        /// `exit status 0`, or the signal that ended it.
        status: Option<String>,
        /// What came back on both streams.
        bytes: u64,
        /// How long it took.
        #[serde(with = "seconds")]
        duration: Duration,
        /// Why it did not run to its end.
        error: Option<String>,
    },
    /// A connection to a host is there, or was given up.
    HostConnected {
        /// The host.
        host: String,
        /// `user@address:port`, or `this machine`.
        target: String,
        /// How long that took.
        #[serde(with = "seconds")]
        duration: Duration,
        /// Why there is none.
        error: Option<String>,
    },
    /// A retry of a task is about to happen.
    HostTaskRetry {
        /// The task's number.
        task: u64,
        /// The host.
        host: String,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How many there will be at most.
        attempts: u32,
        /// Why.
        message: String,
    },
    /// Bytes on their way to a host.
    Transfer {
        /// The host.
        host: String,
        /// What is sent, for people.
        name: String,
        /// Bytes that the host has.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// The transfer has ended (verified).
        finished: bool,
    },
    /// A host cannot be reached (any more) and takes no further part.
    HostUnreachable {
        /// The host.
        host: String,
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The number of the task that it was lost in, if it was there before.
        #[serde(default)]
        task: Option<u64>,
        /// The name of that task.
        #[serde(default)]
        task_name: Option<String>,
        /// A step of the task was begun and its end was not seen: nobody knows here whether it ran.
        #[serde(default)]
        may_have_run: bool,
    },
    /// A finding of a precheck.
    #[serde(skip_deserializing)]
    Finding(crate::precheck::Finding),
    /// The user asked to stop.
    CancelRequested {
        /// How urgently: 1 lets running steps end, 2 ends them.
        level: u8,
    },
    /// The run is over.
    RunFinished {
        /// Counters of each host, in inventory order.
        recap: Vec<(String, Recap)>,
        /// Time it took.
        #[serde(with = "seconds")]
        duration: Duration,
        /// The exit code of the program.
        exit_code: u8,
    },
    /// What the user should read last, after the recap: address, user, commands.
    Summary {
        /// Lines of `label: value`; an empty label is a paragraph.
        lines: Vec<(String, String)>,
        /// The same as data.
        data: BTreeMap<String, Value>,
    },
    /// What only the journal keeps.
    Journal(Note),
}

/// Why a host waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// `delay`, before the next attempt.
    Retry,
    /// `loop_control.pause`, before the next item.
    Pause,
}

/// How bad a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// For information.
    Info,
    /// Something odd.
    Warning,
    /// Something failed.
    Error,
}

/// How a host ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing had to be changed.
    Ok,
    /// Changed (in check mode: would change).
    Changed,
    /// Not run, because of `when` or a missing item.
    Skipped,
    /// Failed.
    Failed,
    /// Failed, and `ignore_errors` says to go on.
    Ignored,
    /// Failed inside a block that has a `rescue`.
    Rescued,
    /// The host was lost.
    Unreachable,
}

/// Counters of one host, as Ansible's recap has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recap {
    /// Tasks that ended well, changed ones included.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// 1 when the host was lost.
    pub unreachable: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Tasks that were not run.
    pub skipped: u32,
    /// Failures that a `rescue` handled.
    pub rescued: u32,
    /// Failures that were ignored.
    pub ignored: u32,
    /// Bytes sent as uploads.
    pub bytes_sent: u64,
}

/// Where events go. Cheap to clone; masks secrets once, here.
#[derive(Clone)]
pub struct Events {
    sender: tokio::sync::mpsc::UnboundedSender<Event>,
    started: std::time::Instant,
    redactor: crate::secret::Redactor,
}

impl Events {
    /// A stream and its reading end.
    pub fn channel(
        redactor: crate::secret::Redactor,
    ) -> (Self, tokio::sync::mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (
            Self {
                sender,
                started: std::time::Instant::now(),
                redactor,
            },
            receiver,
        )
    }

    /// The masking of this stream; secrets that become known during the run are added to it.
    pub fn redactor(&self) -> &crate::secret::Redactor {
        &self.redactor
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sends one event. A renderer that has gone away is not an error.
    pub fn send(&self, kind: EventKind) {
        let kind = kind.masked(&self.redactor);
        let _ = self.sender.send(Event {
            at: self.started.elapsed(),
            kind,
        });
    }

    /// Sends a notice.
    pub fn notice(&self, level: NoticeLevel, message: impl Into<String>) {
        self.send(EventKind::Notice {
            level,
            message: message.into(),
            hint: None,
        });
    }
}

impl EventKind {
    fn masked(mut self, redactor: &crate::secret::Redactor) -> Self {
        let mask = |text: &mut String| *text = redactor.mask(text);
        let mask_option = |text: &mut Option<String>| {
            if let Some(text) = text {
                *text = redactor.mask(text);
            }
        };
        match &mut self {
            Self::Notice { message, hint, .. } => {
                mask(message);
                mask_option(hint);
            }
            Self::HostUnreachable {
                message,
                hint,
                task_name,
                ..
            } => {
                mask(message);
                mask_option(hint);
                mask_option(task_name);
            }
            Self::TaskStarted { name, .. }
            | Self::Transfer { name, .. }
            | Self::PlayStarted { name, .. } => mask(name),
            Self::HostTaskFinished {
                item,
                message,
                hint,
                diff,
                details,
                delegated_to,
                result,
                ..
            } => {
                for text in [item, message, hint, diff, details, delegated_to] {
                    mask_option(text);
                }
                if let Some(result) = result {
                    *result = redactor.mask_map(result);
                }
            }
            Self::HostCommand { command, error, .. } => {
                mask(command);
                mask_option(error);
            }
            Self::HostConnected { target, error, .. } => {
                mask(target);
                mask_option(error);
            }
            Self::Journal(note) => note.mask(redactor),
            Self::HostTaskRetry { message, .. } => mask(message),
            Self::Finding(finding) => {
                for text in [
                    &mut finding.measured,
                    &mut finding.required,
                    &mut finding.remedy,
                ] {
                    mask(text);
                }
                mask_option(&mut finding.waived);
            }
            Self::RunStarted { command, .. } => mask(command),
            Self::Summary { lines, data } => {
                for (_, value) in lines {
                    mask(value);
                }
                for value in data.values_mut() {
                    *value = redactor.mask_json(value);
                }
            }
            Self::HostTaskStarted { .. }
            | Self::HostWaits { .. }
            | Self::CancelRequested { .. }
            | Self::RunFinished { .. } => {}
        }
        self
    }
}
