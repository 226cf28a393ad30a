//! What a module wants done, as data.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::connect::{Command, Output};
use crate::remote::{Download, Received, Tree};

/// The answer of a look at the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Whether something has to be done.
    pub verdict: Verdict,
    /// What will be done, in order. Empty when satisfied.
    pub steps: Vec<Step>,
    /// What the steps create on the host that was not there before; written to the ledger before they run, so that
    /// `kk delete` can take away exactly that.
    pub creates: Vec<LedgerEntry>,
    /// Return values that are known without running anything (`dest`, `stat` …).
    pub result: serde_json::Map<String, serde_json::Value>,
}

/// Whether something has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The host is as wanted.
    Satisfied,
    /// It is not, and this is what would change.
    Change(Change),
    /// It is not done in this mode; the task counts as skipped.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It cannot be known without doing it; counts as changed when it ran, unless the conclusion says otherwise.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// One line for people: `mode 0644 -> 0600`.
    pub summary: String,
    /// Unified diff, when it was asked for and the content is not secret.
    pub diff: Option<String>,
}

impl Plan {
    /// Nothing to do.
    pub fn satisfied() -> Self {
        Self {
            verdict: Verdict::Satisfied,
            steps: Vec::new(),
            creates: Vec::new(),
            result: serde_json::Map::new(),
        }
    }

    /// Whether there is nothing to do.
    pub fn is_satisfied(&self) -> bool {
        self.verdict == Verdict::Satisfied
    }

    /// These steps, because of this.
    pub fn change(summary: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            verdict: Verdict::Change(Change {
                summary: summary.into(),
                diff: None,
            }),
            steps,
            ..Self::satisfied()
        }
    }

    /// These steps, whose effect cannot be foreseen.
    pub fn unknown(reason: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            verdict: Verdict::Unknown {
                reason: reason.into(),
            },
            steps,
            ..Self::satisfied()
        }
    }

    /// Not done, and why: what Ansible's modules without check mode do in it.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Skipped {
                reason: reason.into(),
            },
            ..Self::satisfied()
        }
    }

    /// With a return value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.result.insert(key.to_owned(), value.into());
        self
    }

    /// With an entry for the ledger.
    #[must_use]
    pub fn creating(mut self, entry: LedgerEntry) -> Self {
        self.creates.push(entry);
        self
    }

    /// With a diff, when there is a change.
    #[must_use]
    pub fn with_diff(mut self, text: Option<String>) -> Self {
        if let Verdict::Change(change) = &mut self.verdict {
            change.diff = text;
        }
        self
    }
}

/// One thing to do on the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Run a command. Fails the task unless its status is 0, or `any_status` is set.
    Run {
        /// What.
        command: Command,
        /// What it reads; may be secret.
        stdin: Option<Content>,
        /// Its own time limit, on top of the task's.
        timeout: Option<Duration>,
        /// The module judges the status in `conclude`.
        any_status: bool,
        /// What it is for, as a fragment that fits "failed to …": `start docker`.
        purpose: String,
    },
    /// Write a small file: temporary file beside it, mode and owner from the first byte, rename.
    Write {
        /// Absolute path.
        path: String,
        /// The bytes.
        content: Content,
        /// Permission bits.
        mode: u32,
        /// Owner, or whoever owns the file now (else the session's user).
        owner: Option<String>,
        /// Group, likewise.
        group: Option<String>,
    },
    /// Stream a file of the control machine: resumable, verified by sha256 on the host, renamed into place.
    Upload {
        /// The file here.
        source: PathBuf,
        /// Its sha256, 64 lower-case hexadecimal digits.
        sha256: String,
        /// Its size in bytes.
        size: u64,
        /// Absolute path there.
        dest: String,
        /// Permission bits.
        mode: u32,
        /// Owner and group as for `Write`.
        owner: Option<String>,
        /// Group.
        group: Option<String>,
    },
    /// Make and change many paths by one command, the files in one stream: unpacked aside, verified by sha256, renamed into
    /// place.
    Tree(Tree),
    /// Bring a file of the host to this machine: streamed, resumable, verified by sha256, renamed into place.
    Download(Download),
    /// Remove a file, link or whole folder. Refuses `/` and the top-level folders.
    Remove {
        /// Absolute path.
        path: String,
    },
    /// Connect anew, again and again, until the host answers.
    Reconnect(Reconnect),
    /// Something the control machine does against an API of what was installed.
    Control(crate::registry::ApiCall),
}

impl Step {
    /// A command that must end with status 0.
    pub fn run(purpose: impl Into<String>, command: Command) -> Self {
        Self::Run {
            command,
            stdin: None,
            timeout: None,
            any_status: false,
            purpose: purpose.into(),
        }
    }

    /// A command that reads something.
    pub fn run_with(purpose: impl Into<String>, command: Command, stdin: Content) -> Self {
        Self::Run {
            command,
            stdin: Some(stdin),
            timeout: None,
            any_status: false,
            purpose: purpose.into(),
        }
    }
}

/// How to wait for a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconnect {
    /// Before the first attempt.
    pub delay: Duration,
    /// For how long to try.
    pub timeout: Duration,
    /// Between attempts.
    pub pause: Duration,
    /// For how long one attempt may take.
    pub attempt: Duration,
    /// What must succeed on the host.
    pub test: Command,
    /// What it must not answer, because that was the answer before.
    pub unlike: Option<String>,
}

/// Bytes that may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes.
    pub bytes: Bytes,
    /// Never shown in diffs or logs.
    pub secret: bool,
}

impl Content {
    /// Bytes that anybody may see.
    pub fn public(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            secret: false,
        }
    }

    /// Bytes that nobody may see.
    pub fn secret(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            secret: true,
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.secret {
            formatter.write_str(crate::secret::MASK)
        } else {
            write!(formatter, "{:?}", String::from_utf8_lossy(&self.bytes))
        }
    }
}

/// What a step gave back.
#[derive(Debug, Clone, PartialEq)]
pub enum StepOutput {
    /// A command ran to its end.
    Ran(Output),
    /// A file was written, sent or removed; bytes that went over the wire.
    Done {
        /// Bytes sent.
        bytes_sent: u64,
    },
    /// A small file was written.
    Wrote {
        /// Bytes sent.
        bytes_sent: u64,
        /// What the host says about the file now.
        about: String,
    },
    /// A file was brought here.
    Received(Received),
    /// An API answered.
    Answered(serde_json::Value),
}

/// Something on a host that kk made and may take away again. One JSON object per line in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LedgerEntry {
    /// A file or link.
    File {
        /// Absolute path.
        path: String,
    },
    /// A folder; removed only when empty, unless `recursive`.
    Directory {
        /// Absolute path.
        path: String,
        /// Everything under it is kk's.
        recursive: bool,
    },
    /// A folder with the user's data; removed only with `--with-data`.
    Data {
        /// Absolute path.
        path: String,
    },
    /// A systemd unit that kk wrote; stopped and disabled before its file goes.
    Unit {
        /// Its name with suffix.
        name: String,
    },
    /// A compose project; taken down before its files go.
    ComposeProject {
        /// Project name.
        name: String,
        /// Its file.
        file: String,
    },
    /// An image loaded into the engine.
    Image {
        /// `name:tag`.
        reference: String,
        /// `sha256:…` of its configuration.
        id: String,
    },
    /// A marked block in a file that was there before.
    Block {
        /// The file.
        path: String,
        /// The marker's text, as `blockinfile` has it.
        marker: String,
    },
    /// A user.
    User {
        /// Login name.
        name: String,
    },
    /// A group.
    Group {
        /// Name.
        name: String,
    },
    /// An opened port.
    FirewallPort {
        /// `firewalld` or `ufw`.
        firewall: String,
        /// `443/tcp`.
        port: String,
        /// firewalld's zone; nothing for the default zone and for ufw.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        zone: String,
    },
    /// A certificate in the system's trust store; the store is rebuilt after its file went.
    TrustAnchor {
        /// The file in the anchors' folder.
        path: String,
    },
    /// A handler that a change has notified and that has not run yet. Not removed by `kk delete`, only forgotten.
    PendingHandler {
        /// The handler's name.
        name: String,
    },
}
