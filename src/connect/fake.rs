//! For tests only: a host that answers from a script and records what it was asked.
//!
//! It is strict: a command that nothing was said about fails, and the error shows the expectation that is nearest to it.
//! Answers are looked for in the order they were given; one that is used up ([`FakeConnector::once`]) is passed over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Connector, ExecRequest, ExitStatus, Output, Stdin, TransportError, expiry};

/// What the host does with a command that matches.
#[derive(Clone)]
pub enum Reply {
    /// It runs to its end.
    Output(Output),
    /// The transport fails.
    Error(TransportError),
    /// The reply comes after a while (tokio's clock, so a paused one does not wait).
    After(Duration, Box<Reply>),
    /// Computed from what was asked.
    Computed(Arc<dyn Fn(&Executed) -> Reply + Send + Sync>),
}

impl Reply {
    /// Status 0 and this on standard output.
    pub fn ok(stdout: impl Into<Vec<u8>>) -> Self {
        Self::Output(Output {
            stdout: stdout.into(),
            ..Output::default()
        })
    }

    /// A status other than 0, and this on standard error.
    pub fn failed(status: u32, stderr: impl Into<Vec<u8>>) -> Self {
        Self::Output(Output {
            status: ExitStatus::Code(status),
            stderr: stderr.into(),
            ..Output::default()
        })
    }

    /// Computed from what was asked.
    pub fn computed(reply: impl Fn(&Executed) -> Reply + Send + Sync + 'static) -> Self {
        Self::Computed(Arc::new(reply))
    }

    /// The same after a while.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }
}

/// One command that was asked for, matched or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The text of the command, as [`Command`](super::Command) shows it.
    pub command: String,
    /// All that was on its standard input.
    pub stdin: Bytes,
    /// Its time limit.
    pub timeout: Option<Duration>,
}

type Predicate = Box<dyn Fn(&str) -> bool + Send + Sync>;

struct Expectation {
    /// The exact text, or what a predicate looks for in words.
    label: String,
    /// `None` for an exact text.
    predicate: Option<Predicate>,
    reply: Reply,
    /// How often it may still be used; `None` is without limit.
    left: Option<usize>,
    used: usize,
}

impl Expectation {
    fn matches(&self, command: &str) -> bool {
        self.left != Some(0)
            && match &self.predicate {
                None => self.label == command,
                Some(predicate) => predicate(command),
            }
    }
}

#[derive(Default)]
struct State {
    expectations: Vec<Expectation>,
    executed: Vec<Executed>,
    unexpected: Vec<String>,
    is_closed: bool,
}

/// A scripted host.
pub struct FakeConnector {
    user: String,
    name: String,
    state: Mutex<State>,
}

impl FakeConnector {
    /// A host that answers nothing yet, for the user `root`.
    pub fn new() -> Arc<Self> {
        Self::named("root", "root@fake:22")
    }

    /// The same with another user and name.
    pub fn named(user: impl Into<String>, name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            user: user.into(),
            name: name.into(),
            state: Mutex::default(),
        })
    }

    /// Answers a command of exactly this text, as often as it comes.
    pub fn on(&self, command: impl Into<String>, reply: Reply) -> &Self {
        self.expect(command.into(), None, reply, None)
    }

    /// Answers a command of exactly this text once. Several of the same are used in their order.
    pub fn once(&self, command: impl Into<String>, reply: Reply) -> &Self {
        self.expect(command.into(), None, reply, Some(1))
    }

    /// Answers commands that a predicate accepts, as often as they come; `label` says in words which these are.
    pub fn when(
        &self,
        label: impl Into<String>,
        predicate: impl Fn(&str) -> bool + Send + Sync + 'static,
        reply: Reply,
    ) -> &Self {
        self.expect(label.into(), Some(Box::new(predicate)), reply, None)
    }

    /// Answers commands that contain a text, as often as they come.
    pub fn containing(&self, part: impl Into<String>, reply: Reply) -> &Self {
        let part = part.into();
        let label = format!("a command that contains `{part}`");
        self.when(label, move |command| command.contains(&part), reply)
    }

    fn expect(
        &self,
        label: String,
        predicate: Option<Predicate>,
        reply: Reply,
        left: Option<usize>,
    ) -> &Self {
        self.lock().expectations.push(Expectation {
            label,
            predicate,
            reply,
            left,
            used: 0,
        });
        self
    }

    /// Everything that was asked for so far, in its order, matched or not.
    pub fn executed(&self) -> Vec<Executed> {
        self.lock().executed.clone()
    }

    /// The texts of the commands asked for so far.
    pub fn commands(&self) -> Vec<String> {
        let state = self.lock();
        state
            .executed
            .iter()
            .map(|executed| executed.command.clone())
            .collect()
    }

    /// What is wrong at the end of a test: expectations that nothing matched, and commands that matched none. Empty if
    /// all is well.
    pub fn complaints(&self) -> Vec<String> {
        let state = self.lock();
        let unused = state
            .expectations
            .iter()
            .filter(|expectation| expectation.used == 0)
            .map(|expectation| format!("never asked for: {}", expectation.label));
        let unexpected = state
            .unexpected
            .iter()
            .map(|command| format!("unexpected: {command}"));
        unused.chain(unexpected).collect()
    }

    /// Whether the session was closed.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, request: ExecRequest) -> Result<Output, TransportError> {
        if request.cancel.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        let cancel = request.cancel.clone();
        let timeout = request.timeout;
        tokio::select! {
            outcome = self.answer(request) => outcome,
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            limit = expiry(timeout) => Err(TransportError::TimedOut { limit }),
        }
    }

    async fn answer(&self, request: ExecRequest) -> Result<Output, TransportError> {
        let taker = request.taker;
        let executed = Executed {
            command: request.command.to_shell(),
            timeout: request.timeout,
            stdin: read_all(request.stdin).await?,
        };
        let mut reply = self.find(&executed)?;
        loop {
            reply = match reply {
                Reply::Output(mut output) => {
                    if let Some(taker) = taker {
                        let _ = taker.send(std::mem::take(&mut output.stdout).into()).await;
                    }
                    return Ok(output);
                }
                Reply::Error(error) => return Err(error),
                Reply::After(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                Reply::Computed(compute) => compute(&executed),
            };
        }
    }

    fn find(&self, executed: &Executed) -> Result<Reply, TransportError> {
        let mut state = self.lock();
        state.executed.push(executed.clone());
        if state.is_closed {
            return Err(self.refused("the session is closed".to_owned()));
        }
        let found = state
            .expectations
            .iter_mut()
            .find(|expectation| expectation.matches(&executed.command));
        if let Some(expectation) = found {
            expectation.used += 1;
            expectation.left = expectation.left.map(|left| left - 1);
            return Ok(expectation.reply.clone());
        }
        state.unexpected.push(executed.command.clone());
        let reason = nearest(&state.expectations, &executed.command);
        Err(self.refused(reason))
    }

    fn refused(&self, reason: String) -> TransportError {
        TransportError::NotStarted {
            target: self.name.clone(),
            reason,
        }
    }
}

impl Connector for FakeConnector {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.run(request).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lock().is_closed = true;
        futures::future::ready(()).boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

async fn read_all(stdin: Stdin) -> Result<Bytes, TransportError> {
    match stdin {
        Stdin::Empty => Ok(Bytes::new()),
        Stdin::Bytes(bytes) => Ok(bytes),
        Stdin::Stream(first, mut receiver) => {
            let mut all = BytesMut::from(first.as_ref());
            while let Some(piece) = receiver.recv().await {
                let piece = piece.map_err(|error| TransportError::Input {
                    reason: error.to_string(),
                })?;
                all.extend_from_slice(&piece);
            }
            Ok(all.freeze())
        }
    }
}

/// The message for a command that nothing matches.
fn nearest(expectations: &[Expectation], command: &str) -> String {
    let mut reason = format!("unexpected command\n       got: {command}");
    let near = expectations.iter().max_by(|one, other| {
        strsim::normalized_damerau_levenshtein(&one.label, command).total_cmp(
            &strsim::normalized_damerau_levenshtein(&other.label, command),
        )
    });
    match near {
        None => reason.push_str("\n  nothing is expected"),
        Some(near) => {
            reason.push_str("\n   nearest: ");
            reason.push_str(&near.label);
            if near.left == Some(0) {
                reason.push_str(" (used up)");
            }
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Command;

    fn request(command: &'static str) -> ExecRequest {
        ExecRequest::new(Command::new(command))
    }

    #[tokio::test]
    async fn answers_and_records() {
        let host = FakeConnector::new();
        host.once("id -u", Reply::ok("0\n"))
            .on("id -u", Reply::ok("1000\n"))
            .containing("mkdir", Reply::failed(1, "read-only"));
        for expected in ["0\n", "1000\n", "1000\n"] {
            let output = host.exec(request("id -u")).await.unwrap();
            assert_eq!(output.stdout_text(), expected);
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(Ok("b".into())).await.unwrap();
        drop(sender);
        let output = host
            .exec(request("mkdir x").stdin(Stdin::Stream("a".into(), receiver)))
            .await
            .unwrap();
        assert_eq!(output.status, ExitStatus::Code(1));
        assert_eq!(host.executed().last().unwrap().stdin, "ab");
        assert!(host.complaints().is_empty());
    }

    #[tokio::test]
    async fn an_unexpected_command_shows_the_nearest() {
        let host = FakeConnector::new();
        host.on("systemctl is-active docker", Reply::ok("active\n"))
            .once("uname -m", Reply::ok("x86_64\n"));
        let error = host
            .exec(request("systemctl is-active dokcer"))
            .await
            .unwrap_err();
        assert!(error.did_not_run());
        insta::assert_snapshot!(error, @r"
        start a command on root@fake:22: unexpected command
               got: systemctl is-active dokcer
           nearest: systemctl is-active docker
        ");
        host.exec(request("uname -m")).await.unwrap();
        let error = host.exec(request("uname -m")).await.unwrap_err();
        assert!(error.to_string().contains("uname -m (used up)"), "{error}");
        assert_eq!(host.complaints().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn limits_and_cancellation_work_as_on_a_host() {
        let host = FakeConnector::new();
        host.on("sleep", Reply::ok("").after(Duration::from_secs(60)));
        let limit = Duration::from_secs(5);
        let error = host
            .exec(request("sleep").timeout(limit))
            .await
            .unwrap_err();
        assert_eq!(error, TransportError::TimedOut { limit });
        let token = tokio_util::sync::CancellationToken::new();
        token.cancel();
        let error = host.exec(request("sleep").cancel(token)).await.unwrap_err();
        assert_eq!(error, TransportError::Cancelled);
        host.close().await;
        assert!(host.exec(request("sleep")).await.unwrap_err().did_not_run());
    }
}
