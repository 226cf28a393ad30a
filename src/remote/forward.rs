//! A port of this machine that leads to a port which the host can reach: HTTP clients here speak to what only the host sees.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Session;
use crate::connect::{Connector, Duplex, TransportError};

/// A forwarding; ends with everything that goes through it when it is dropped.
#[derive(Debug)]
pub struct Forward {
    /// Where to connect on this machine.
    pub entrance: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    /// Opens a port on this machine's loopback, through the host's connection, to `address`:`port` as the host sees it. One
    /// connection is tried at once, so that a host which forwards nothing is told here; nobody listening there is seen by
    /// who connects.
    pub async fn forward(&self, address: &str, port: u16) -> Result<Forward, TransportError> {
        let connector = Arc::clone(&self.connector);
        let first = connector.open_tcp(address, port).await?;
        let local = |error: std::io::Error| TransportError::Local {
            reason: format!("open a port on this machine: {error}"),
            hint: "the loopback interface has to be up".to_owned(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(local)?;
        let entrance = listener.local_addr().map_err(local)?;
        let address = address.to_owned();
        let task = tokio::spawn(async move {
            let first = Mutex::new(first);
            let mut streams = tokio::task::JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                while streams.try_join_next().is_some() {}
                let spare = first.lock().unwrap_or_else(PoisonError::into_inner).take();
                let (connector, address) = (Arc::clone(&connector), address.clone());
                streams.spawn(async move { carry(near, spare, &*connector, &address, port).await });
            }
        });
        Ok(Forward { entrance, task })
    }
}

/// Carries one connection. Who is here sees the far end's loss as the end of the connection.
async fn carry(
    mut near: TcpStream,
    spare: Option<Box<dyn Duplex>>,
    connector: &dyn Connector,
    address: &str,
    port: u16,
) {
    let far = match spare {
        Some(far) => Ok(Some(far)),
        None => connector.open_tcp(address, port).await,
    };
    if let Ok(Some(mut far)) = far {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
