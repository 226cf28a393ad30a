//! One channel with one command on it: what came so far, and how the command is ended before its time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::time::timeout;

use super::channels::{Channels, Slot};
use super::session::SshConnector;
use crate::connect::wire::AfterMarker;
use crate::connect::{ExitStatus, OUTPUT_LIMIT, Output, TransportError};

/// How long a command that was only just requested may take to say that it has started.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How long signalling a command may take before its channel is closed all the same.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);

/// How long the caller has to end a command with the privilege it may need.
const LINGER: Duration = Duration::from_secs(15);

/// What becomes of a command that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandon {
    /// The channel stays open for a while, so that the caller can end the command before it sees an end of its input.
    /// Then the signal.
    Linger(&'static str),
    /// The signal at once.
    Signal(&'static str),
    /// Only the channel is closed.
    Close,
}

/// A channel that a command was, or is about to be, requested on.
pub(super) struct Line {
    pub(super) reader: ChannelReadHalf,
    pub(super) writer: ChannelWriteHalf<Msg>,
    /// The channel's place, kept until it is closed.
    pub(super) slot: Slot,
    pub(super) progress: Progress,
    pub(super) is_requested: bool,
}

impl Line {
    /// Ends the command in one of the ways, then closes the channel. In this order: a command whose channel is closed
    /// sees an end of its input, and would take what it got for all there was.
    pub(super) async fn end(self, channels: Arc<Channels>, how: Abandon) {
        let Self {
            reader,
            writer,
            slot,
            progress,
            is_requested,
        } = self;
        let mut rest = Rest { reader, progress };
        let signal = match how {
            _ if !is_requested => None,
            Abandon::Close => None,
            Abandon::Signal(signal) => Some(signal),
            Abandon::Linger(signal) => {
                // The caller needs a channel to end it.
                drop(slot);
                let closed = tokio::select! {
                    () = rest.drain() => true,
                    () = channels.closing() => false,
                    () = tokio::time::sleep(LINGER) => false,
                };
                (!closed).then_some(signal)
            }
        };
        if let Some(signal) = signal {
            // sshd does this for ordinary users; for root, and older ones, it is done by a command.
            let _ = writer.signal(Sig::Custom(signal.to_owned())).await;
            let _ = timeout(START_LIMIT, rest.wait_for_start()).await;
            if let Some(process) = rest.progress.process() {
                rest.signal(channels, process, signal).await;
            }
        }
        let _ = writer.close().await;
    }
}

/// What still comes on a channel, which must be taken: or the whole session would stop.
struct Rest {
    reader: ChannelReadHalf,
    progress: Progress,
}

impl Rest {
    async fn wait_for_start(&mut self) {
        while self.progress.process().is_none() {
            match self.reader.wait().await {
                None | Some(ChannelMsg::Close) => return,
                Some(message) => self.progress.note_start(&message),
            }
        }
    }

    /// Until the command has ended.
    async fn drain(&mut self) {
        loop {
            match self.reader.wait().await {
                None | Some(ChannelMsg::Close) => return,
                Some(message) if self.progress.process().is_none() => {
                    self.progress.note_start(&message);
                }
                Some(_) => {}
            }
        }
    }

    /// Signals the process group.
    async fn signal(&mut self, channels: Arc<Channels>, process: u32, signal: &'static str) {
        // In a task of its own: it may be signalling other commands too when this one ends.
        let signalled = tokio::spawn(async move {
            let _ = timeout(SIGNAL_LIMIT, channels.signal(process, signal)).await;
        });
        tokio::select! {
            () = self.drain() => {}
            _ = signalled => {}
        }
    }
}

/// What is known of a command so far.
pub(super) struct Progress {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stdout_start: AfterMarker,
    stderr_start: AfterMarker,
    status: Option<ExitStatus>,
    is_accepted: bool,
    is_output_complete: bool,
}

impl Progress {
    /// Nothing yet; the command says `marker` when it starts.
    pub(super) fn new(marker: &str) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: Vec::new(),
            stdout_start: AfterMarker::new(marker),
            stderr_start: AfterMarker::new(marker),
            status: None,
            is_accepted: false,
            is_output_complete: false,
        }
    }

    /// What came so far on both outputs.
    pub(super) fn outputs(&self) -> (&[u8], &[u8]) {
        (&self.stdout, &self.stderr)
    }

    /// What came so far on standard output, for somebody else to keep.
    pub(super) fn take_stdout(&mut self) -> Bytes {
        std::mem::take(&mut self.stdout).into()
    }

    /// How it ended, once it has.
    pub(super) fn status(&self) -> Option<&ExitStatus> {
        self.status.as_ref()
    }

    /// Leaves out what came so far.
    pub(super) fn forget_outputs(&mut self) {
        self.stdout = Vec::new();
        self.stderr = Vec::new();
    }

    /// Everything, leaving nothing.
    pub(super) fn take_all(&mut self) -> Self {
        std::mem::replace(self, Self::new(""))
    }

    /// The number of the command's process and process group, once it has started.
    fn process(&self) -> Option<u32> {
        let starts = [&self.stdout_start, &self.stderr_start];
        // 0 and 1 would be everybody's.
        starts
            .iter()
            .find_map(|start| start.process())
            .filter(|&number| number > 1)
    }

    /// Takes one message. Whether it was the last.
    pub(super) fn take(
        &mut self,
        message: ChannelMsg,
        connector: &SshConnector,
    ) -> Result<bool, TransportError> {
        match message {
            ChannelMsg::Data { data } => self.stdout_start.take(&data, &mut self.stdout),
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                self.stderr_start.take(&data, &mut self.stderr);
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.status = Some(ExitStatus::Code(exit_status));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.status = Some(ExitStatus::Signal(signal_text(&signal_name)));
            }
            ChannelMsg::Success => self.is_accepted = true,
            ChannelMsg::Failure if !self.is_accepted => {
                return Err(connector.not_started("the host refuses to run commands".to_owned()));
            }
            ChannelMsg::Eof => self.is_output_complete = true,
            ChannelMsg::Close => return Ok(true),
            _ => {}
        }
        if self.stdout.len() > OUTPUT_LIMIT || self.stderr.len() > OUTPUT_LIMIT {
            return Err(TransportError::TooMuchOutput);
        }
        Ok(false)
    }

    /// Looks for the start in a message of a command that nobody waits for any more.
    fn note_start(&mut self, message: &ChannelMsg) {
        match message {
            ChannelMsg::Data { data } => self.stdout_start.take(data, &mut self.stdout),
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                self.stderr_start.take(data, &mut self.stderr);
            }
            _ => {}
        }
    }

    /// The host closed the channel in order.
    pub(super) fn after_close(self, connector: &SshConnector) -> Result<Output, TransportError> {
        if !self.stdout_start.seen() && !self.stderr_start.seen() {
            return Err(connector.not_started(self.why_not_started(connector)));
        }
        let Some(status) = self.status else {
            return Err(TransportError::Lost {
                target: connector.name.clone(),
                reason: "the host did not say how the command ended".to_owned(),
            });
        };
        Ok(Output {
            status,
            stdout: self.stdout,
            stderr: self.stderr,
        })
    }

    /// The connection ended before the channel was closed.
    pub(super) fn after_loss(self, connector: &SshConnector) -> Result<Output, TransportError> {
        if self.status.is_some() && self.is_output_complete {
            return self.after_close(connector);
        }
        Err(TransportError::Lost {
            target: connector.name.clone(),
            reason: connector.channels.ending().reason(),
        })
    }

    /// The login shell ended without having started the command: what it said, or how it ended.
    fn why_not_started(&self, connector: &SshConnector) -> String {
        let said = [self.stdout_start.noise(), self.stderr_start.noise()].join("\n");
        let said = said.trim();
        let user = &connector.user;
        match (&self.status, said.is_empty()) {
            (_, false) => format!("the login shell of `{user}` does not run commands: {said}"),
            (Some(ExitStatus::Code(code)), true) => {
                format!(
                    "the login shell of `{user}` does not run commands: it ended with status {code}"
                )
            }
            (Some(ExitStatus::Signal(signal)), true) => {
                format!(
                    "the login shell of `{user}` does not run commands: it was ended by {signal}"
                )
            }
            (None, true) => format!("the login shell of `{user}` does not run commands"),
        }
    }
}

/// The name of a signal as the protocol has it.
fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
