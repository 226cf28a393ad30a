//! A connector for tests: the real `sh` of this machine, each command in its own session as sshd would have it.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Mutex;

use futures::future::{BoxFuture, FutureExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Become, Session};
use crate::connect::{Connector, ExecRequest, ExitStatus, Output, Stdin, TransportError};

/// Runs commands by `shell … TEXT`.
pub(crate) struct ShellConnector {
    /// The program and its arguments before the text: `sh -c`, `su tester -c`.
    pub(crate) shell: Vec<String>,
    /// Whom commands run as.
    pub(crate) user: String,
    /// Every text that ran.
    pub(crate) ran: Mutex<Vec<String>>,
    /// Breaks the connection after so many bytes of standard input.
    pub(crate) break_after: Mutex<Option<usize>>,
}

impl ShellConnector {
    pub(crate) fn new() -> Self {
        Self {
            shell: vec!["sh".into(), "-c".into()],
            user: "root".into(),
            ran: Mutex::new(Vec::new()),
            break_after: Mutex::new(None),
        }
    }
}

impl Connector for ShellConnector {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        async move {
            let text = request.command.to_string();
            self.ran.lock().unwrap().push(text.clone());
            let (program, arguments) = self.shell.split_first().unwrap();
            let mut child = tokio::process::Command::new(program)
                .args(arguments)
                .arg(text)
                .env("LC_ALL", "C")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0)
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            let mut out = child.stdout.take().unwrap();
            let mut err = child.stderr.take().unwrap();
            let break_after = self.break_after.lock().unwrap().take();
            let feed = async move {
                let (first, rest) = match request.stdin {
                    Stdin::Empty => (bytes::Bytes::new(), None),
                    Stdin::Bytes(bytes) => (bytes, None),
                    Stdin::Stream(first, rest) => (first, Some(rest)),
                };
                let mut fed = first.len();
                let _ = input.write_all(&first).await;
                if let Some(mut rest) = rest {
                    while let Some(piece) = rest.recv().await {
                        let Ok(piece) = piece else { return false };
                        if break_after.is_some_and(|limit| fed + piece.len() > limit) {
                            let keep = break_after.unwrap() - fed;
                            let _ = input.write_all(&piece[..keep]).await;
                            return false;
                        }
                        fed += piece.len();
                        if input.write_all(&piece).await.is_err() {
                            break;
                        }
                    }
                }
                true
            };
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let work = async {
                // The end of the command ends the request, whether or not more input was to come.
                let told = async {
                    tokio::join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr))
                };
                tokio::pin!(feed, told);
                let whole = tokio::select! {
                    whole = &mut feed => { let _ = told.await; whole }
                    _ = &mut told => true,
                };
                (whole, child.wait().await.unwrap())
            };
            let limit = request.timeout;
            let timer = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let (whole, status) = tokio::select! {
                done = work => done,
                () = request.cancel.cancelled() => return Err(TransportError::Cancelled),
                () = timer => return Err(TransportError::TimedOut { limit: limit.unwrap() }),
            };
            if !whole {
                return Err(TransportError::Lost {
                    target: "test".into(),
                    reason: "cut off".into(),
                });
            }
            let status = match (status.code(), status.signal()) {
                (Some(code), _) => ExitStatus::Code(code.try_into().unwrap()),
                (None, Some(9)) => ExitStatus::Signal("KILL".into()),
                (None, _) => ExitStatus::Signal("TERM".into()),
            };
            Ok(Output {
                status,
                stdout,
                stderr,
            })
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        "test".into()
    }
}

/// A session on this machine that keeps its state in `folder`.
pub(crate) fn session(folder: &std::path::Path) -> Session {
    session_on(std::sync::Arc::new(ShellConnector::new()), folder)
}

/// The same on a connector that the test looks at afterwards.
pub(crate) fn session_on(
    connector: std::sync::Arc<ShellConnector>,
    folder: &std::path::Path,
) -> Session {
    Session::new(
        connector,
        Become::default(),
        tokio_util::sync::CancellationToken::new(),
    )
    .with_state_dir(folder.join("state").to_str().unwrap())
}
