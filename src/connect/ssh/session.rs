//! One session as a [`Connector`]: a command over a channel, from the request to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelWriteHalf};
use tokio::sync::mpsc;

use super::channels::{Channels, Lease};
use super::hop::Hop;
use super::lent::Lending;
use super::line::{Abandon, Line, Progress};
use super::pace::Pace;
use crate::connect::wire::login_shell_text;
use crate::connect::{
    Connector, Duplex, ExecRequest, Neighbour, Output, Sharing, Stdin, TransportError, expiry,
};

/// A session to one host.
pub(super) struct SshConnector {
    pub(super) channels: Arc<Channels>,
    pub(super) user: String,
    /// `user@host:port`, and through what.
    pub(super) name: String,
    pub(super) marker: String,
    /// The sessions this one goes through, the first hop first.
    pub(super) hops: Vec<Hop>,
    /// How fast it sends.
    pub(super) pace: Option<Arc<Pace>>,
    pub(super) neighbourhood: Neighbourhood,
}

/// How other hosts reach this one and know it, and what is lent to it.
pub(super) struct Neighbourhood {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) lending: Arc<Lending>,
}

impl SshConnector {
    /// The error for a command that certainly did not start.
    pub(super) fn not_started(&self, reason: String) -> TransportError {
        TransportError::NotStarted {
            target: self.name.clone(),
            reason,
        }
    }

    async fn run(&self, request: ExecRequest) -> Result<Output, TransportError> {
        if request.cancel.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        if let Some(result) = self.run_shared(&request).await {
            return result;
        }
        let ExecRequest {
            command,
            stdin,
            timeout,
            cancel,
            sharing,
            taker,
        } = request;
        let (shell_name, script) = command.to_named_script();
        let text = login_shell_text(&shell_name, &script, &self.marker)
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
        let borrowed = match &sharing {
            Sharing::Fetch(key) => Some(self.neighbourhood.lending.borrow(key)),
            _ => None,
        };
        let outcome = tokio::select! {
            outcome = running.talk(text, stdin, taker, borrowed.is_some()) => outcome,
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            limit = &mut expired => Err(TransportError::TimedOut { limit }),
        };
        match &outcome {
            Ok(_) => running.finish(),
            Err(TransportError::Cancelled | TransportError::TimedOut { .. }) => {
                running.abandon(Abandon::Linger("TERM"));
            }
            // It must not take the end of what it got for the end of what there was.
            Err(TransportError::Input { .. }) => running.abandon(Abandon::Linger("KILL")),
            Err(_) => running.abandon(Abandon::Close),
        }
        outcome
    }
}

impl Connector for SshConnector {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.run(request).boxed()
    }

    fn open_tcp<'a>(
        &'a self,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        async move {
            match self.channels.open_tcp(address, port).await {
                Ok(channel) => Ok(Some(Box::new(channel.into_stream()) as Box<dyn Duplex>)),
                Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
                    Ok(None)
                }
                Err(russh::Error::ChannelOpenFailure(failure)) => Err(self.not_started(format!(
                    "connect from there to {address}:{port}: {}",
                    failure.description().to_lowercase()
                ))),
                Err(_) => Err(self.channels.gone()),
            }
        }
        .boxed()
    }

    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        self.channels.round_trip().boxed()
    }

    fn neighbour(&self) -> Option<Neighbour> {
        let Neighbourhood {
            host,
            port,
            lending,
        } = &self.neighbourhood;
        Some(Neighbour {
            host: host.clone(),
            port: *port,
            host_key: lending.host_key()?.to_owned(),
        })
    }

    fn is_crowded(&self) -> bool {
        self.channels.is_crowded()
    }

    fn pace(&self) -> Option<Arc<Pace>> {
        self.pace.clone()
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

/// A command on its channel; ended when it is dropped before it has ended by itself.
struct Running<'a> {
    connector: &'a SshConnector,
    /// `None` once the channel is done with.
    line: Option<Line>,
}

impl<'a> Running<'a> {
    fn new(lease: Lease, connector: &'a SshConnector) -> Self {
        let (reader, writer) = lease.channel.split();
        Self {
            connector,
            line: Some(Line {
                reader,
                writer,
                slot: lease.slot,
                progress: Progress::new(&connector.marker),
                is_requested: false,
            }),
        }
    }

    /// Starts the command, feeds it and collects what it says, until its channel is closed.
    async fn talk(
        &mut self,
        text: String,
        stdin: Stdin,
        taker: Option<mpsc::Sender<Bytes>>,
        borrows: bool,
    ) -> Result<Output, TransportError> {
        let connector = self.connector;
        let Some(line) = &mut self.line else {
            return Err(connector.not_started("the channel is done with".to_owned()));
        };
        if borrows && line.writer.agent_forward(false).await.is_err() {
            return Err(connector.channels.gone());
        }
        line.is_requested = true;
        // The reply is not waited for: it only tells whether the command started.
        if line.writer.exec(true, text).await.is_err() {
            return Err(connector.channels.gone());
        }
        let feed = feed(&line.writer, stdin, connector.pace.as_deref());
        tokio::pin!(feed);
        let mut is_fed = false;
        loop {
            tokio::select! {
                message = line.reader.wait() => {
                    let Some(message) = message else {
                        return line.progress.take_all().after_loss(connector);
                    };
                    let is_last = line.progress.take(message, connector)?;
                    if let Some(taker) = &taker {
                        let piece = line.progress.take_stdout();
                        if !piece.is_empty() {
                            // Who takes no more has given up; what still comes is for nobody.
                            let _ = taker.send(piece).await;
                        }
                    }
                    if is_last {
                        return line.progress.take_all().after_close(connector);
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
        self.line = None;
    }

    /// Ends the command, as far as the login user may, and closes the channel; does not wait for it.
    fn abandon(&mut self, how: Abandon) {
        let Some(line) = self.line.take() else {
            return;
        };
        let channels = Arc::clone(&self.connector.channels);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let ending = channels.end_command();
            runtime.spawn(async move {
                line.end(channels, how).await;
                drop(ending);
            });
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.abandon(Abandon::Signal("TERM"));
    }
}

/// Sends the input and its end. A host that takes no more is seen by who reads.
async fn feed(
    writer: &ChannelWriteHalf<Msg>,
    stdin: Stdin,
    pace: Option<&Pace>,
) -> Result<(), TransportError> {
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
            if let Some(pace) = pace {
                pace.wait_for(piece.len()).await;
            }
            if writer.data_bytes(piece).await.is_err() {
                return Ok(());
            }
        }
    }
    let _ = writer.eof().await;
    Ok(())
}
