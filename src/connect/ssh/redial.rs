//! A connection that can be opened anew: for a host that boots, or that is not there yet.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::SshOptions;
use crate::connect::{Connector, Duplex, ExecRequest, Output, TransportError};

/// The longest that saying goodbye to the old connection may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// One connection after another to the same host.
pub(super) struct Redialing {
    options: SshOptions,
    current: RwLock<Arc<dyn Connector>>,
    user: String,
    name: String,
}

impl Redialing {
    /// Over a connection that is open.
    pub(super) fn new(options: SshOptions, current: Arc<dyn Connector>) -> Self {
        Self {
            options,
            user: current.user().to_owned(),
            name: current.describe(),
            current: RwLock::new(current),
        }
    }

    fn current(&self) -> Arc<dyn Connector> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connector for Redialing {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        let current = self.current();
        async move { current.exec(request).await }.boxed()
    }

    fn open_tcp<'a>(
        &'a self,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        let current = self.current();
        async move { current.open_tcp(address, port).await }.boxed()
    }

    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        let current = self.current();
        async move { current.round_trip().await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let current = self.current();
        async move { current.close().await }.boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn reconnect(&self) -> BoxFuture<'_, Result<(), TransportError>> {
        async {
            let old = self.current();
            // A host that is gone does not answer; nobody waits for that.
            let _ = tokio::time::timeout(GOODBYE, old.close()).await;
            let new = super::open(self.options.clone()).await?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
            Ok(())
        }
        .boxed()
    }
}
