//! A host as modules see it: commands with privilege, file operations, uploads, downloads, the run lock and the ledger.
//!
//! Everything here is built from [`Connector::exec`](crate::connect::Connector::exec): scripts for a POSIX `sh`, data
//! as arguments or standard input, never pasted into the script. It knows neither modules nor tasks.

mod download;
mod environment;
mod files;
mod forward;
mod found;
mod hold;
mod ledger;
mod lock;
mod privilege;
mod relay;
mod stop;
#[cfg(test)]
pub(crate) mod testing;
mod tree;
mod upload;
mod wrap;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::connect::{
    Command, Connector, ExecRequest, KeptStep, Output, ParentProcess, Sharing, Stdin,
    TransportError,
};

pub use download::{Download, Received};
use environment::Environment;
pub use environment::check_variable;
pub use files::check_removable;
pub(crate) use files::{aside_function, settle_function};
pub(crate) use files::{digest_function, look_function};
pub use forward::Forward;
pub use found::{FileContent, Found, FoundKind};
pub use lock::RunLock;
pub use privilege::{Become, Method};
pub use relay::Relay;
pub use tree::{Asked, Belongs, Branch, BranchKind, Leaf, LeafSource, Looked, Tree};
pub(crate) use upload::Sums;
pub use upload::Upload;
#[doc(hidden)]
pub use upload::bytes_read;
pub(crate) use upload::hexadecimal;
pub(crate) use upload::small_file;
pub(crate) use wrap::last_line;

/// Who is told how many bytes have gone or come, of how many.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Where kk keeps what it must remember on a host: the ledger, its locks, packages on their way.
pub const STATE_DIR: &str = "/var/lib/kk";

/// What is written to a ledger before a step runs, in the same round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The ledger's name: lower-case letters, digits, `-` and `_`.
    pub component: String,
    /// One JSON object each. Lines that the ledger has already are not written again.
    pub lines: Vec<String>,
}

/// One host, one user on it. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Session {
    connector: Arc<dyn Connector>,
    privilege: Become,
    timeout: Option<Duration>,
    cancel: CancellationToken,
    state_dir: Arc<str>,
    note: Option<Arc<Note>>,
    environment: Environment,
    relay: Option<Relay>,
}

/// Why an operation on the host failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The session failed: it did not run, or its end was not seen.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It ran and failed.
    #[error("{purpose}: {reason}")]
    Failed {
        /// What was tried: `write /etc/x`.
        purpose: String,
        /// The last line of standard error, or what was wrong.
        reason: String,
        /// Everything it said.
        details: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl RemoteError {
    /// The failure of a script of ours, from what it said.
    pub(crate) fn from_output(purpose: impl Into<String>, output: &Output) -> Self {
        let stderr = output.stderr_text();
        let reason = match wrap::last_line(&stderr) {
            line if line.is_empty() => format!("exit status {}", output.status.code()),
            line => line,
        };
        let hint = if stderr.contains("No space left on device") {
            Some("make room on that file system, then run again")
        } else if stderr.contains("Read-only file system") {
            Some("the file system is mounted read-only; remount it writable")
        } else if stderr.contains("Permission denied") || stderr.contains("Operation not permitted")
        {
            Some("this needs root: log in as root, or become it with sudo")
        } else {
            None
        };
        Self::Failed {
            purpose: purpose.into(),
            reason,
            details: stderr,
            hint: hint.map(str::to_owned),
        }
    }

    /// A failure that has no output.
    pub(crate) fn failed(purpose: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Failed {
            purpose: purpose.into(),
            reason: reason.into(),
            details: String::new(),
            hint: None,
        }
    }

    /// Adds what to do (no effect on a transport error).
    #[must_use]
    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}

impl Session {
    /// A session for one user on a connected host.
    pub fn new(
        connector: Arc<dyn Connector>,
        privilege: Become,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            connector,
            privilege,
            timeout: None,
            cancel,
            state_dir: STATE_DIR.into(),
            note: None,
            environment: Environment::default(),
            relay: None,
        }
    }

    /// The same connection, whose commands see these environment variables; each has passed [`check_variable`].
    #[must_use]
    pub fn with_environment(&self, variables: &[(String, String)]) -> Self {
        Self {
            environment: Environment::new(variables),
            ..self.clone()
        }
    }

    /// The same connection, whose big uploads may come from hosts that have the file already.
    #[must_use]
    pub fn with_relay(&self, relay: Option<Relay>) -> Self {
        Self {
            relay,
            ..self.clone()
        }
    }

    /// The same connection with another limit for each command.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The same connection as another user.
    #[must_use]
    pub fn with_become(&self, privilege: Become) -> Self {
        Self {
            privilege,
            ..self.clone()
        }
    }

    /// The same connection with another token that cancels its commands.
    #[must_use]
    pub fn with_cancel(&self, cancel: CancellationToken) -> Self {
        Self {
            cancel,
            ..self.clone()
        }
    }

    /// The same session with something around its connection.
    #[must_use]
    pub fn through(&self, wrap: impl FnOnce(Arc<dyn Connector>) -> Arc<dyn Connector>) -> Self {
        Self {
            connector: wrap(Arc::clone(&self.connector)),
            ..self.clone()
        }
    }

    /// The same connection with another folder in place of [`STATE_DIR`].
    #[must_use]
    pub fn with_state_dir(&self, folder: &str) -> Self {
        Self {
            state_dir: folder.into(),
            ..self.clone()
        }
    }

    /// The same connection, whose next steps first write this to the ledger, each in its own round trip. Meant for the
    /// first step of a plan: the lines are written once, but every step of this session looks.
    #[must_use]
    pub fn noting(&self, note: Option<Note>) -> Self {
        Self {
            note: note.filter(|note| !note.lines.is_empty()).map(Arc::new),
            ..self.clone()
        }
    }

    /// The user that commands run as.
    pub fn user(&self) -> &str {
        self.privilege
            .user
            .as_deref()
            .unwrap_or_else(|| self.connector.user())
    }

    /// Whether the other end is this machine, without SSH.
    pub fn is_local(&self) -> bool {
        self.connector.is_local()
    }

    /// How a person names the other end.
    pub fn describe(&self) -> String {
        self.connector.describe()
    }

    /// The folder that kk keeps on the host, [`STATE_DIR`] outside of tests.
    pub fn state_dir(&self) -> &str {
        &self.state_dir
    }

    /// The time limit of each command.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The token that cancels this session's commands.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Opens the connection anew, for instance after the host has booted.
    pub async fn reconnect(&self) -> Result<(), TransportError> {
        self.connector.reconnect().await
    }

    /// Runs a command that only reads. Modules call this while they plan.
    ///
    /// The command must be a program with arguments; shell syntax belongs into [`Command::script`].
    pub async fn probe(&self, command: Command) -> Result<Output, TransportError> {
        self.probe_with(command, Bytes::new()).await
    }

    /// [`Session::probe`] with standard input.
    pub async fn probe_with(
        &self,
        command: Command,
        input: Bytes,
    ) -> Result<Output, TransportError> {
        let command = self.environment.around(command);
        let stdin = wrap::after(self.environment.input(), Stdin::Bytes(input));
        self.send(command, stdin, Sharing::Look).await
    }

    /// Runs a command that changes something, with privilege and standard input: in its own session, so that it can
    /// be ended whole when the run is cancelled or its time is up; under the step lock, so that the next run waits
    /// for it when this one is killed; and after the ledger was told, when [`Session::noting`] says so.
    pub async fn run(&self, command: Command, input: Bytes) -> Result<Output, TransportError> {
        self.run_reading(command, Stdin::Bytes(input)).await
    }

    /// [`Session::run`] with any standard input.
    pub async fn run_reading(
        &self,
        command: Command,
        stdin: Stdin,
    ) -> Result<Output, TransportError> {
        self.run_step(command, stdin, Sharing::Step).await
    }

    async fn run_step(
        &self,
        command: Command,
        stdin: Stdin,
        sharing: impl FnOnce(KeptStep) -> Sharing,
    ) -> Result<Output, TransportError> {
        let name = wrap::random_name();
        let command = self.environment.around(command);
        let stdin = wrap::after(self.environment.input(), stdin);
        let bare = match &self.note {
            None => Some((command.clone(), self.state_dir.clone())),
            Some(_) => None,
        };
        let step = wrap::step(command, &name, &self.state_dir, self.note.as_deref());
        let parent = Arc::new(OnceLock::new());
        let sharing = sharing(KeptStep {
            parent: Arc::clone(&parent),
            bare,
        });
        let result = self.send(step, stdin, sharing).await;
        if let Err(
            TransportError::Cancelled
            | TransportError::TimedOut { .. }
            | TransportError::Input { .. }
            | TransportError::TooMuchOutput,
        ) = &result
        {
            self.stop(&name, parent.get()).await;
        }
        result
    }

    /// Ends what still runs under a step's wrapper, or under the shell that it runs in. A failure changes nothing about
    /// why we came here.
    async fn stop(&self, name: &str, parent: Option<&ParentProcess>) {
        let patient = Self {
            cancel: CancellationToken::new(),
            timeout: Some(Duration::from_secs(stop::GRACE_SECONDS + 15)),
            ..self.clone()
        };
        let command = Command::script(
            stop::STOP,
            [
                wrap::STEP_NAME.to_owned(),
                name.to_owned(),
                stop::GRACE_SECONDS.to_string(),
                parent.map_or_else(String::new, |parent| parent.number.to_string()),
                parent.map_or_else(String::new, |parent| parent.started_ticks.to_string()),
            ],
        );
        let _ = patient.send(command, Stdin::Empty, Sharing::Alone).await;
    }

    /// Runs a command that only reads and whose standard output somebody takes as it arrives.
    async fn probe_into(
        &self,
        command: Command,
        stdin: Stdin,
        taker: mpsc::Sender<Bytes>,
    ) -> Result<Output, TransportError> {
        let command = self.environment.around(command);
        let stdin = wrap::after(self.environment.input(), stdin);
        self.send_to(command, stdin, Sharing::Alone, Some(taker))
            .await
    }

    async fn send(
        &self,
        command: Command,
        stdin: Stdin,
        sharing: Sharing,
    ) -> Result<Output, TransportError> {
        self.send_to(command, stdin, sharing, None).await
    }

    async fn send_to(
        &self,
        command: Command,
        stdin: Stdin,
        sharing: Sharing,
        taker: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Output, TransportError> {
        let target = self.connector.describe();
        let wrapped = wrap::privilege(command, &self.privilege, self.connector.user(), &target)?;
        let stdin = wrapped.stdin(stdin);
        let mut request = ExecRequest::new(wrapped.command.clone())
            .stdin(stdin)
            .cancel(self.cancel.clone());
        request.timeout = self.timeout;
        request.sharing = wrapped.sharing(sharing);
        request.taker = taker;
        let output = self.connector.exec(request).await?;
        wrapped.judge(output, &target)
    }
}

#[cfg(test)]
mod shell_tests;
#[cfg(test)]
mod sudo_tests;
#[cfg(test)]
mod tests;
