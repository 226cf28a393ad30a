//! A connection that can be opened anew: for a host that boots, or that is not there yet, and when it was lost between two
//! commands, as by a host that closes what is idle or after a cut that ended another command.
//!
//! Only a command that certainly did not run is given to the new connection. And none is when the lost one had a command
//! that held something, as the run lock: what came after would run without it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::SshOptions;
use super::pace::Pace;
use super::session::SshConnector;
use crate::connect::{Connector, Duplex, ExecRequest, Neighbour, Output, Sharing, TransportError};

/// The longest that saying goodbye to the old connection may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// One connection after another to the same host.
pub(super) struct Redialing {
    options: SshOptions,
    current: RwLock<Arc<Link>>,
    /// Held by whoever opens it anew.
    dialing: tokio::sync::Mutex<()>,
    user: String,
    name: String,
}

/// One of them.
struct Link {
    connector: Arc<SshConnector>,
    /// A command holds something for as long as it lasts.
    is_held: AtomicBool,
}

impl Link {
    fn new(connector: Arc<SshConnector>) -> Arc<Self> {
        Arc::new(Self {
            connector,
            is_held: AtomicBool::new(false),
        })
    }

    /// Whether it is of no use any more and another one may take its place.
    fn may_be_replaced(&self) -> bool {
        self.connector.channels.is_lost() && !self.is_held.load(Ordering::Acquire)
    }

    async fn exec(&self, request: ExecRequest) -> Result<Output, TransportError> {
        if !matches!(request.sharing, Sharing::Hold) {
            return self.connector.exec(request).await;
        }
        self.is_held.store(true, Ordering::Release);
        let result = self.connector.exec(request).await;
        if !matches!(result, Err(TransportError::Lost { .. })) {
            self.is_held.store(false, Ordering::Release);
        }
        result
    }
}

impl Redialing {
    /// Over a connection that is open.
    pub(super) fn new(options: SshOptions, current: Arc<SshConnector>) -> Self {
        Self {
            options,
            user: current.user().to_owned(),
            name: current.describe(),
            current: RwLock::new(Link::new(current)),
            dialing: tokio::sync::Mutex::new(()),
        }
    }

    fn current(&self) -> Arc<Link> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    async fn dial(&self) -> Result<(), TransportError> {
        let new = super::open(self.options.clone()).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Link::new(new);
        Ok(())
    }

    /// The connection, opened anew if it was lost.
    async fn living(&self) -> Result<Arc<Link>, TransportError> {
        let current = self.current();
        if !current.may_be_replaced() {
            return Ok(current);
        }
        let _alone = self.dialing.lock().await;
        // Somebody else may have done it.
        if self.current().may_be_replaced() {
            self.dial().await?;
        }
        Ok(self.current())
    }

    async fn run(&self, request: ExecRequest) -> Result<Output, TransportError> {
        let cancel = request.cancel.clone();
        let living = || async {
            tokio::select! {
                link = self.living() => link,
                () = cancel.cancelled() => Err(TransportError::Cancelled),
            }
        };
        let again = request.again();
        let link = living().await?;
        let result = link.exec(request).await;
        // That the connection is gone may have been seen only by using it.
        match (&result, again) {
            (Err(TransportError::NotStarted { .. }), Some(again)) if link.may_be_replaced() => {
                living().await?.exec(again).await
            }
            _ => result,
        }
    }
}

impl Connector for Redialing {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.run(request).boxed()
    }

    fn open_tcp<'a>(
        &'a self,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        async move {
            let link = self.living().await?;
            link.connector.open_tcp(address, port).await
        }
        .boxed()
    }

    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        let current = self.current();
        async move { current.connector.round_trip().await }.boxed()
    }

    fn neighbour(&self) -> Option<Neighbour> {
        self.current().connector.neighbour()
    }

    fn is_crowded(&self) -> bool {
        self.current().connector.is_crowded()
    }

    fn pace(&self) -> Option<Arc<Pace>> {
        self.options.pace.clone()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let current = self.current();
        async move { current.connector.close().await }.boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn reconnect(&self) -> BoxFuture<'_, Result<(), TransportError>> {
        async {
            let _alone = self.dialing.lock().await;
            let old = self.current();
            // A host that is gone does not answer; nobody waits for that.
            let _ = tokio::time::timeout(GOODBYE, old.connector.close()).await;
            self.dial().await
        }
        .boxed()
    }
}
