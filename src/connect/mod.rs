//! One live session to one host: run a command, feed its standard input, collect what it says.
//!
//! A connector knows neither tasks nor sudo nor templates. Everything else (uploads, privilege, files) is a command
//! with standard input, built in `remote`. Only this room turns a [`Command`] into text for a shell.

pub mod command;
pub mod config;
#[doc(hidden)]
pub mod fake;
pub mod known_hosts;
pub mod local;
pub mod ssh;
mod wire;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use command::Command;
pub(crate) use wire::one_line;

/// A live session to one host. Many requests may run at once on it; the session bounds how many channels are open.
pub trait Connector: Send + Sync {
    /// Runs a command. `Ok` whenever it ran to its end, whatever its exit status; `Err` only when it did not run
    /// ([`TransportError::did_not_run`]) or its end was not seen.
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>>;

    /// Opens a TCP connection that begins on the host, as `ssh -W` does: for what only the host can reach.
    /// `None` when the host could not reach anybody there; [`TransportError::NotStarted`] when it makes no connections.
    fn open_tcp<'a>(
        &'a self,
        _address: &'a str,
        _port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        let target = self.describe();
        let reason = "no connections are made through it".to_owned();
        Box::pin(async { Err(TransportError::NotStarted { target, reason }) })
    }

    /// How long the host takes to answer, where that is known. One command takes in no more than a host's window in that
    /// time, however fast the line is, and several at once take more.
    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        Box::pin(async { None })
    }

    /// How other hosts reach this one and know it, where it may fetch from them and they from it.
    fn neighbour(&self) -> Option<Neighbour> {
        None
    }

    /// Whether a command waits because the host allows no more sessions.
    fn is_crowded(&self) -> bool {
        false
    }

    /// The limit on how fast this program may send and receive, if there is one. Who sends by a stream of input need not
    /// ask; who receives takes no more at once than it lets him.
    fn pace(&self) -> Option<Arc<ssh::Pace>> {
        None
    }

    /// Ends the session politely. Requests after it fail.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Opens the connection anew, for instance after the host has booted. Nothing to do where there is none.
    fn reconnect(&self) -> BoxFuture<'_, Result<(), TransportError>> {
        Box::pin(async { Ok(()) })
    }

    /// The user that commands run as, as the host knows it.
    fn user(&self) -> &str;

    /// How a person names the other end: `root@10.0.0.11:22` or `local`.
    fn describe(&self) -> String;

    /// Whether the other end is this machine, without SSH.
    fn is_local(&self) -> bool {
        false
    }
}

/// What another host has to know to log in to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The key that it has shown, type and key.
    pub host_key: String,
}

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One command to run.
pub struct ExecRequest {
    /// What to run, by the user's login shell (ssh) or `sh` (local).
    pub command: Command,
    /// What the command reads.
    pub stdin: Stdin,
    /// The most time the command may take, from the request to its end; `None` is no limit.
    pub timeout: Option<Duration>,
    /// When it fires the request returns [`TransportError::Cancelled`] at once; ending the remote process group is
    /// the caller's part, because it may need privilege. The same holds when the time is up or the input breaks off.
    /// Meanwhile, for about 15 s and at most until the session is closed, the command sees no end of its input; then it
    /// gets a signal from the login user.
    pub cancel: CancellationToken,
    /// Whether it may run in a shell that the connection keeps.
    pub sharing: Sharing,
    /// Who takes its standard output piece by piece as it arrives, instead of [`Output::stdout`]. While they take nothing,
    /// nothing else of the connection is taken either, so they must not wait for anything that comes over it.
    pub taker: Option<mpsc::Sender<Bytes>>,
}

/// Whether a command may run in a shell that the connection keeps, which spares the host a session and a login shell.
///
/// There a signal may be a status (`128 + number`), and a command whose input or script is long gets a session of its own
/// all the same.
#[derive(Debug, Clone, Default)]
pub enum Sharing {
    /// It gets a session of its own.
    #[default]
    Alone,
    /// The same for a command that holds something as long as the connection lasts. A connection that was lost under it
    /// is not opened anew for what comes after it.
    Hold,
    /// It gets a session of its own, and an agent with this key: `SSH_AUTH_SOCK` names it, where the host forwards agents.
    Fetch(Arc<ssh::LentKey>),
    /// It may. It leaves no process behind.
    Look,
    /// It may, and may leave anything behind.
    Step(KeptStep),
}

/// How a step runs in a shell that the connection keeps.
#[derive(Debug, Clone, Default)]
pub struct KeptStep {
    /// When its end was not seen, the process of its shell is put here: what runs under that, and in the process group
    /// that it leads, is the command. It stays empty when the command got a session of its own.
    pub parent: Arc<OnceLock<ParentProcess>>,
    /// What runs there instead of the request's command: the same without what makes it a step, which that shell does
    /// itself. The folder is the one whose `step.lock`, if there is one, is held meanwhile.
    pub bare: Option<(Command, Arc<str>)>,
}

/// A process of the host, and when it started: so that another one that got its number later is told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentProcess {
    /// Its number.
    pub number: u32,
    /// When it started, as the kernel counts.
    pub started_ticks: u64,
}

impl ExecRequest {
    /// The same once more, if what it reads can be had twice.
    fn again(&self) -> Option<Self> {
        let stdin = match &self.stdin {
            Stdin::Empty => Stdin::Empty,
            Stdin::Bytes(bytes) => Stdin::Bytes(bytes.clone()),
            Stdin::Stream(..) => return None,
        };
        if self.taker.is_some() {
            return None;
        }
        Some(Self {
            command: self.command.clone(),
            stdin,
            timeout: self.timeout,
            cancel: self.cancel.clone(),
            sharing: self.sharing.clone(),
            taker: None,
        })
    }

    /// A command that reads nothing and is not limited.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            stdin: Stdin::Empty,
            timeout: None,
            cancel: CancellationToken::new(),
            sharing: Sharing::Alone,
            taker: None,
        }
    }

    /// A command that only looks and may run in a shell that the connection keeps.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.sharing = Sharing::Look;
        self
    }

    /// The same for a command that may change something.
    #[must_use]
    pub fn shared_step(mut self, step: KeptStep) -> Self {
        self.sharing = Sharing::Step(step);
        self
    }

    /// With standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// With somebody who takes its standard output as it arrives.
    #[must_use]
    pub fn taker(mut self, taker: mpsc::Sender<Bytes>) -> Self {
        self.taker = Some(taker);
        self
    }

    /// With a time limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// With a token that cancels it.
    #[must_use]
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }
}

/// What a command reads. May hold secrets, so it is never shown.
pub enum Stdin {
    /// End of file at once.
    Empty,
    /// These bytes, then end of file.
    Bytes(Bytes),
    /// First these bytes, then whatever arrives, until the sender is dropped. An `Err` aborts the request.
    Stream(Bytes, mpsc::Receiver<std::io::Result<Bytes>>),
}

/// What came back from a command that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, at most [`OUTPUT_LIMIT`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, at most [`OUTPUT_LIMIT`] bytes.
    pub stderr: Vec<u8>,
}

/// The most bytes of each stream that are kept; a command that says more ends in an error, not in lost output.
pub const OUTPUT_LIMIT: usize = 64 * 1024 * 1024;

impl Output {
    /// Whether the exit status is 0.
    pub fn success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }

    /// Standard output as text, bad UTF-8 replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text, bad UTF-8 replaced.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Code(u32),
    /// A signal ended it, for instance `KILL`.
    Signal(String),
}

impl Default for ExitStatus {
    fn default() -> Self {
        Self::Code(0)
    }
}

impl ExitStatus {
    /// The number a shell would show: the code, or 128 + 9 and the like.
    pub fn code(&self) -> u32 {
        match self {
            Self::Code(code) => *code,
            Self::Signal(name) => {
                128 + match name.as_str() {
                    "HUP" => 1,
                    "INT" => 2,
                    "QUIT" => 3,
                    "ABRT" => 6,
                    "KILL" => 9,
                    "SEGV" => 11,
                    "PIPE" => 13,
                    "TERM" => 15,
                    _ => 0,
                }
            }
        }
    }
}

/// Why a command did not run, or why its end was not seen.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum TransportError {
    /// No connection: name not resolved, refused, no route, time limit.
    #[error("connect to {target}: {reason}")]
    Unreachable {
        /// The address tried.
        target: String,
        /// What the system said.
        reason: String,
    },
    /// The server's host key is not one that is trusted for it.
    #[error("verify the host key of {target}: {reason}")]
    HostKey {
        /// The address.
        target: String,
        /// What is wrong, with the fingerprints.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The server took none of the ways to authenticate.
    #[error("log in to {target}: {reason}")]
    Authentication {
        /// User and address.
        target: String,
        /// What was tried and what the server offers.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The login worked, and becoming the wanted user did not: no sudo, a wrong password, not allowed.
    #[error("become `{user}` on {target}: {reason}")]
    Privilege {
        /// The address.
        target: String,
        /// The user to become.
        user: String,
        /// What sudo said, in plain words.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Something on this machine: an unreadable key file, no agent, an unknown jump host.
    #[error("{reason}")]
    Local {
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The connection was there and the request was refused before the command started.
    #[error("start a command on {target}: {reason}")]
    NotStarted {
        /// The address.
        target: String,
        /// What the server said.
        reason: String,
    },
    /// What the command was to read could not be read on this side. It may have read a part, and it may still be running.
    #[error("read the input of the command: {reason}")]
    Input {
        /// What the system said.
        reason: String,
    },
    /// The connection ended while the command may have been running.
    #[error("lost the connection to {target}: {reason}")]
    Lost {
        /// The address.
        target: String,
        /// What was seen.
        reason: String,
    },
    /// The command took longer than allowed; it may still be running.
    #[error("the command did not end within {} s", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The run was cancelled; the command may still be running.
    #[error("cancelled")]
    Cancelled,
    /// The command said more than [`OUTPUT_LIMIT`].
    #[error("the command wrote more than {OUTPUT_LIMIT} bytes")]
    TooMuchOutput,
}

impl TransportError {
    /// Whether it is certain that the command did not run, so that running it again is safe.
    pub fn did_not_run(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::HostKey { .. }
                | Self::Authentication { .. }
                | Self::Privilege { .. }
                | Self::Local { .. }
                | Self::NotStarted { .. }
        )
    }

    /// Whether the host itself cannot be reached, or no longer, and not only this one command was not run.
    pub const fn loses_host(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::HostKey { .. }
                | Self::Authentication { .. }
                | Self::Lost { .. }
        )
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::HostKey { hint, .. }
            | Self::Authentication { hint, .. }
            | Self::Privilege { hint, .. }
            | Self::Local { hint, .. }
                if !hint.is_empty() =>
            {
                Some(hint)
            }
            _ => None,
        }
    }
}

/// A connector that can be shared.
pub type SharedConnector = Arc<dyn Connector>;

/// Never, without a limit; otherwise the limit itself once it has passed.
async fn expiry(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}
