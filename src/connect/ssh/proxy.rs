//! The byte stream of a `ProxyCommand`: the input and output of a command of the user.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::AbortHandle;

/// How much of what the command complains about is kept, in bytes.
const WORDS_KEPT: usize = 1024;

/// How long a command that closed its output is waited for, to know how it ended.
const ENDING: Duration = Duration::from_millis(500);

/// What a command says on its standard error.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(Arc<Mutex<Vec<u8>>>);

impl Words {
    /// For people: one line, without control characters.
    fn shown(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|character| !character.is_control()))
            .map(Iterator::collect)
            .filter(|line: &String| !line.trim().is_empty())
            .collect();
        lines.join("; ").trim().to_owned()
    }

    async fn collect(self, mut from: ChildStderr) {
        let mut piece = [0; 256];
        while let Ok(count) = from.read(&mut piece).await {
            if count == 0 {
                return;
            }
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = WORDS_KEPT.saturating_sub(kept.len()).min(count);
            kept.extend_from_slice(piece.get(..room).unwrap_or_default());
        }
    }
}

/// The stream of a running command.
pub(super) struct Proxy {
    stream: Join<ChildStdout, ChildStdin>,
    fate: Fate,
}

/// How a command ended, and what it said. The command is ended when nobody holds this any more, the stream included.
#[derive(Clone)]
pub(super) struct Fate(Arc<Running>);

struct Running {
    child: Mutex<Child>,
    words: Words,
    listening: AbortHandle,
}

impl Proxy {
    /// Starts a command with the user's shell. It has a process group of its own: a Ctrl-C is meant for the run, which
    /// lets steps end over this very connection.
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let shell = std::env::var_os("SHELL")
            .filter(|shell| !shell.is_empty())
            .unwrap_or_else(|| "/bin/sh".into());
        let mut child = Command::new(shell)
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the command has no input or output");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let words = Words::default();
        let listening = tokio::spawn(words.clone().collect(stderr)).abort_handle();
        Ok(Self {
            stream: tokio::io::join(stdout, stdin),
            fate: Fate(Arc::new(Running {
                child: Mutex::new(child),
                words,
                listening,
            })),
        })
    }

    /// For messages about its end.
    pub(super) fn fate(&self) -> Fate {
        self.fate.clone()
    }
}

impl Fate {
    /// What to say about a connection that did not come up, and whether the command itself failed.
    pub(super) async fn told(&self, reason: &str) -> (String, bool) {
        let status = self.status().await;
        let said = self.0.words.shown();
        let has_failed = status.is_some_and(|status| !status.success());
        let mut text = match status.map(|status| status.code()) {
            None => reason.to_owned(),
            Some(Some(0)) => format!("the `ProxyCommand` ended ({reason})"),
            Some(Some(code)) => format!("the `ProxyCommand` ended with status {code}"),
            Some(None) => "the `ProxyCommand` was ended by a signal".to_owned(),
        };
        if !said.is_empty() {
            text = format!("{text}; the `ProxyCommand` says `{said}`");
        }
        (text, has_failed)
    }

    async fn status(&self) -> Option<ExitStatus> {
        let look = || {
            let mut child = self.0.child.lock().unwrap_or_else(PoisonError::into_inner);
            child.try_wait().ok().flatten()
        };
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            let status = look();
            // What it said last may still be on its way.
            if (status.is_some() && self.0.listening.is_finished()) || waited >= ENDING {
                return status;
            }
            tokio::time::sleep(step).await;
            waited += step;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // The command may be a shell with others below it; the group is theirs.
        if let Some(group) = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        }
        let _ = child.start_kill();
        self.listening.abort();
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
