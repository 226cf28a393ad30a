//! Connections as the inventory and the command line describe them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Dial, EventKind, Events};
use crate::connect::known_hosts::KnownHosts;
use crate::connect::local::LocalConnector;
use crate::connect::ssh::{self, HostKeyPolicy, SshOptions};
use crate::connect::{Connector, TransportError};
use crate::inventory::{Connection, Host, Inventory, SshConnection};
use crate::secret::SecretString;

/// Dials what an inventory says, with what the command line adds.
pub struct InventoryDial {
    /// Names of other hosts that `proxy_jump` may use.
    pub inventory: Arc<Inventory>,
    /// Trusted host keys.
    pub known_hosts: Arc<KnownHosts>,
    /// What happens with unknown host keys.
    pub host_key_policy: HostKeyPolicy,
    /// Limit for a connection to come up.
    pub timeout: Duration,
    /// Key for hosts that name none.
    pub private_key: Option<std::path::PathBuf>,
    /// User for hosts that name none (the inventory's default, `root`).
    pub user: Option<String>,
    /// Login password for hosts that have none.
    pub password: Option<SecretString>,
    /// Where it is said how connections come up.
    pub events: Events,
}

impl InventoryDial {
    fn options(&self, connection: &SshConnection) -> Result<SshOptions, TransportError> {
        let mut options = self.single(connection);
        let Some(jump) = &connection.proxy_jump else {
            return Ok(options);
        };
        for hop in jump.split(',').map(str::trim).filter(|hop| !hop.is_empty()) {
            let host = self.inventory.hosts.get(hop).map(|host| &host.connection);
            let hop_options = match host {
                Some(Connection::Ssh(ssh)) => self.single(ssh),
                Some(Connection::Local) => {
                    return Err(TransportError::Local {
                        reason: format!("`proxy_jump: {hop}` names this machine"),
                        hint: "leave `proxy_jump` out: connections start here anyway".to_owned(),
                    });
                }
                None => self.single(&parse_hop(hop, connection)?),
            };
            options.proxy_jump.push(hop_options);
        }
        Ok(options)
    }

    fn single(&self, connection: &SshConnection) -> SshOptions {
        let known_hosts = Arc::clone(&self.known_hosts);
        let user = match &self.user {
            Some(user) if !connection.user_given => user.clone(),
            _ => connection.user.clone(),
        };
        let mut options =
            SshOptions::new(connection.host.clone(), connection.port, user, known_hosts);
        options.password = connection
            .password
            .clone()
            .or_else(|| self.password.clone());
        options
            .private_key_content
            .clone_from(&connection.private_key_content);
        options.private_key.clone_from(&connection.private_key);
        if options.private_key.is_none()
            && options.private_key_content.is_none()
            && connection.password.is_none()
        {
            options.private_key.clone_from(&self.private_key);
        }
        options
            .passphrase
            .clone_from(&connection.private_key_passphrase);
        options.host_key_policy = self.host_key_policy.clone();
        options.connect_timeout = self.timeout;
        options
    }
}

/// `[user@]host[:port]`, with the key of the host behind it.
fn parse_hop(hop: &str, behind: &SshConnection) -> Result<SshConnection, TransportError> {
    let (user, rest) = hop
        .split_once('@')
        .map_or((behind.user.as_str(), hop), |(user, rest)| (user, rest));
    let wrong = || TransportError::Local {
        reason: format!("`proxy_jump: {hop}` is not `[user@]host[:port]`"),
        hint: String::new(),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            (host, after.strip_prefix(':'))
        }
        None => rest
            .split_once(':')
            .map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    Ok(SshConnection {
        host: host.to_owned(),
        port: port.map_or(Ok(22), str::parse).map_err(|_| wrong())?,
        user: user.to_owned(),
        user_given: true,
        password: behind.password.clone(),
        private_key: behind.private_key.clone(),
        private_key_content: behind.private_key_content.clone(),
        private_key_passphrase: behind.private_key_passphrase.clone(),
        become_password: None,
        proxy_jump: None,
    })
}

impl Dial for InventoryDial {
    fn dial<'a>(
        &'a self,
        host: &'a Host,
    ) -> BoxFuture<'a, Result<Arc<dyn Connector>, TransportError>> {
        Box::pin(async move {
            let started = std::time::Instant::now();
            let (target, link) = match &host.connection {
                Connection::Local => {
                    let connector: Arc<dyn Connector> = Arc::new(LocalConnector::new());
                    ("this machine".to_owned(), Ok(connector))
                }
                Connection::Ssh(connection) => {
                    let options = self.options(connection)?;
                    let target = options.target();
                    (target, ssh::connect(options).await)
                }
            };
            self.events.send(EventKind::HostConnected {
                host: host.name.clone(),
                target,
                duration: started.elapsed(),
                error: link.as_ref().err().map(ToString::to_string),
            });
            link
        })
    }
}
