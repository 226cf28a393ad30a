//! `-vvv`: what is sent to a host for a task, command by command.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::event::{EventKind, Events};
use crate::connect::ssh::Pace;
use crate::connect::{
    Connector, Duplex, ExecRequest, ExitStatus, Neighbour, Output, TransportError,
};

/// A connection that tells of each command that ran through it.
pub(super) struct Told {
    pub(super) inner: Arc<dyn Connector>,
    pub(super) events: Events,
    pub(super) task: u64,
    pub(super) host: String,
}

impl Connector for Told {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        Box::pin(async move {
            let started = Instant::now();
            let command = request.command.to_string();
            let output = self.inner.exec(request).await;
            let (status, bytes, error) = match &output {
                Ok(output) => (
                    Some(match &output.status {
                        ExitStatus::Code(code) => format!("exit status {code}"),
                        ExitStatus::Signal(name) => format!("signal {name}"),
                    }),
                    output.stdout.len() + output.stderr.len(),
                    None,
                ),
                Err(error) => (None, 0, Some(error.to_string())),
            };
            self.events.send(EventKind::HostCommand {
                task: self.task,
                host: self.host.clone(),
                target: self.inner.describe(),
                command,
                status,
                bytes: bytes as u64,
                duration: started.elapsed(),
                error,
            });
            output
        })
    }

    fn open_tcp<'a>(
        &'a self,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        self.inner.open_tcp(address, port)
    }

    fn neighbour(&self) -> Option<Neighbour> {
        self.inner.neighbour()
    }

    fn is_crowded(&self) -> bool {
        self.inner.is_crowded()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }

    fn reconnect(&self) -> BoxFuture<'_, Result<(), TransportError>> {
        self.inner.reconnect()
    }

    fn user(&self) -> &str {
        self.inner.user()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        self.inner.round_trip()
    }

    fn pace(&self) -> Option<Arc<Pace>> {
        self.inner.pace()
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }
}
