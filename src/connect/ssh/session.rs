//! One session as a [`Connector`]: a command over a channel, from the request to its end.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};

use super::channels::{Channels, Lease, Slot};
use super::hop::Hop;
use crate::connect::wire::{AfterMarker, login_shell_text, new_marker};
use crate::connect::{
    Connector, ExecRequest, ExitStatus, OUTPUT_LIMIT, Output, Stdin, TransportError, expiry,
};

/// A session to one host.
pub(super) struct SshConnector {
    channels: Arc<Channels>,
    user: String,
    /// `user@host:port`, and through what.
    name: String,
    marker: String,
    /// The sessions this one goes through, the first hop first.
    hops: Vec<Hop>,
}

impl SshConnector {
    /// A connector over a session that is logged in.
    pub(super) fn new(channels: Arc<Channels>, hops: Vec<Hop>, user: String, name: String) -> Self {
        Self {
            channels,
            user,
            name,
            marker: new_marker(),
            hops,
        }
    }

    fn not_started(&self, reason: String) -> TransportError {
        TransportError::NotStarted {
            target: self.name.clone(),
            reason,
        }
    }

    async fn run(&self, request: ExecRequest) -> Result<Output, TransportError> {
        let ExecRequest {
            command,
            stdin,
            timeout,
            cancel,
        } = request;
        if cancel.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        let text = login_shell_text(&command.to_script(), &self.marker)
            .map_err(|reason| self.not_started(reason))?;
        let expired = expiry(timeout);
        tokio::pin!(expired);
        let lease = tokio::select! {
            lease = self.channels.acquire() => lease?,
            () = cancel.cancelled() => return Err(TransportError::Cancelled),
            limit = &mut expired => {
                return Err(self.not_started(format!(
                    "no channel came free within {} s",
                    limit.as_secs()
                )));
            }
        };
        let mut running = Running::new(lease, self);
        let outcome = tokio::select! {
            outcome = running.talk(text, stdin) => outcome,
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            limit = &mut expired => Err(TransportError::TimedOut { limit }),
        };
        match &outcome {
            Ok(_) => running.finish(),
            // It must not take the end of what it got for the end of what there was.
            Err(TransportError::Input { .. }) => running.abandon(Sig::KILL),
            Err(_) => running.abandon(Sig::TERM),
        }
        outcome
    }
}

impl Connector for SshConnector {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.run(request).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.channels.close().await;
            for hop in self.hops.iter().rev() {
                hop.close().await;
            }
        }
        .boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

/// A command on its channel; told to end when it is dropped before it has ended.
struct Running<'a> {
    connector: &'a SshConnector,
    reader: ChannelReadHalf,
    /// `None` once the channel is done with.
    writer: Option<(ChannelWriteHalf<Msg>, Slot)>,
}

impl<'a> Running<'a> {
    fn new(lease: Lease, connector: &'a SshConnector) -> Self {
        let (reader, writer) = lease.channel.split();
        Self {
            connector,
            reader,
            writer: Some((writer, lease.slot)),
        }
    }

    /// Starts the command, feeds it and collects what it says, until its channel is closed.
    async fn talk(&mut self, text: String, stdin: Stdin) -> Result<Output, TransportError> {
        let connector = self.connector;
        let Some((writer, _)) = &self.writer else {
            return Err(connector.not_started("the channel is done with".to_owned()));
        };
        // The reply is not waited for: it only tells whether the command started.
        if writer.exec(true, text).await.is_err() {
            return Err(connector.channels.gone());
        }
        let feed = feed(writer, stdin);
        tokio::pin!(feed);
        let mut is_fed = false;
        let mut progress = Progress::new(&connector.marker);
        loop {
            tokio::select! {
                message = self.reader.wait() => {
                    let Some(message) = message else {
                        break progress.after_loss(connector);
                    };
                    if progress.take(message, connector)? {
                        break progress.after_close(connector);
                    }
                }
                result = &mut feed, if !is_fed => {
                    is_fed = true;
                    result?;
                }
            }
        }
    }

    /// The channel is closed on both sides.
    fn finish(&mut self) {
        self.writer = None;
    }

    /// Asks the host to signal the command, as far as the login user may, and closes the channel; does not wait.
    fn abandon(&mut self, signal: Sig) {
        let Some((writer, slot)) = self.writer.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = writer.signal(signal).await;
                let _ = writer.close().await;
                drop(slot);
            });
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.abandon(Sig::TERM);
    }
}

/// Sends the input and its end. A host that takes no more is seen by who reads.
async fn feed(writer: &ChannelWriteHalf<Msg>, stdin: Stdin) -> Result<(), TransportError> {
    let (first, rest) = match stdin {
        Stdin::Empty => (Bytes::new(), None),
        Stdin::Bytes(bytes) => (bytes, None),
        Stdin::Stream(bytes, receiver) => (bytes, Some(receiver)),
    };
    if writer.data_bytes(first).await.is_err() {
        return Ok(());
    }
    if let Some(mut receiver) = rest {
        while let Some(piece) = receiver.recv().await {
            let piece = piece.map_err(|error| TransportError::Input {
                reason: error.to_string(),
            })?;
            if writer.data_bytes(piece).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = writer.eof().await;
    Ok(())
}

/// What is known of a command so far.
struct Progress {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stdout_start: AfterMarker,
    stderr_start: AfterMarker,
    status: Option<ExitStatus>,
    is_accepted: bool,
    is_output_complete: bool,
}

impl Progress {
    fn new(marker: &str) -> Self {
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

    /// Takes one message. Whether it was the last.
    fn take(
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

    /// The host closed the channel in order.
    fn after_close(self, connector: &SshConnector) -> Result<Output, TransportError> {
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
    fn after_loss(self, connector: &SshConnector) -> Result<Output, TransportError> {
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
