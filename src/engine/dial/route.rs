//! The hosts that a connection goes through.

use futures::future::BoxFuture;

use super::{Given, InventoryDial};
use crate::connect::TransportError;
use crate::connect::config::{Hop, Route};
use crate::connect::ssh::SshOptions;
use crate::inventory::{Connection, SshConnection};

/// The most jump hosts before each other.
const MOST_HOPS: usize = 8;

impl InventoryDial {
    /// The options of a host with the hosts before it. A way that the inventory names goes before that of the
    /// configuration.
    pub(super) async fn options(
        &self,
        connection: &SshConnection,
    ) -> Result<SshOptions, TransportError> {
        let (mut options, route) = self.single(connection, Given::All).await?;
        let Some(jump) = &connection.proxy_jump else {
            self.follow(&mut options, route, 0).await?;
            return Ok(options);
        };
        for hop in jump.split(',').map(str::trim).filter(|hop| !hop.is_empty()) {
            let host = self.inventory.hosts.get(hop).map(|host| &host.connection);
            let (mut hop_options, route) = match host {
                Some(Connection::Ssh(ssh)) => self.single(ssh, Given::All).await?,
                Some(Connection::Local) => {
                    return Err(TransportError::Local {
                        reason: format!("`proxy_jump: {hop}` names this machine"),
                        hint: "leave `proxy_jump` out: connections start here anyway".to_owned(),
                    });
                }
                None => {
                    self.single(&self.parse_hop(hop, connection)?, Given::ButUser)
                        .await?
                }
            };
            if options.proxy_jump.is_empty() {
                self.follow(&mut hop_options, route, 1).await?;
            }
            push(&mut options, hop_options);
        }
        Ok(options)
    }

    /// Adds the way of the configuration. Only the first of several hosts has a way of its own, as with `ssh -J`.
    fn follow<'a>(
        &'a self,
        options: &'a mut SshOptions,
        route: Option<Route>,
        depth: usize,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(async move {
            let hops = match route {
                None => return Ok(()),
                Some(Route::Command(command)) => {
                    options.proxy_command = Some(command);
                    return Ok(());
                }
                Some(Route::Jump(hops)) => hops,
            };
            if depth >= MOST_HOPS {
                return Err(TransportError::Local {
                    reason: format!(
                        "the jump hosts before `{}` lead to each other without an end",
                        options.host
                    ),
                    hint: "write `ProxyJump none` for the jump host in the configuration of ssh"
                        .to_owned(),
                });
            }
            for (number, hop) in hops.into_iter().enumerate() {
                let connection = self.configured(hop);
                let (mut hop_options, route) = self.single(&connection, Given::Nothing).await?;
                if number == 0 {
                    self.follow(&mut hop_options, route, depth + 1).await?;
                }
                push(options, hop_options);
            }
            Ok(())
        })
    }

    /// A jump host of the configuration: `ssh` logs in to it as its own user where nobody names one.
    fn configured(&self, hop: Hop) -> SshConnection {
        SshConnection {
            host: hop.host,
            port: hop.port.unwrap_or(22),
            port_given: hop.port.is_some(),
            user_given: hop.user.is_some(),
            user: hop
                .user
                .unwrap_or_else(|| self.config.local_user().to_owned()),
            ..SshConnection::default()
        }
    }

    /// `[user@]host[:port]`, with the key of the host behind it.
    fn parse_hop(
        &self,
        hop: &str,
        behind: &SshConnection,
    ) -> Result<SshConnection, TransportError> {
        let of_host = match &self.user {
            Some(user) if !behind.user_given => user,
            _ => &behind.user,
        };
        let (user, rest) = match hop.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, hop),
        };
        let wrong = || TransportError::Local {
            reason: format!("`proxy_jump: {hop}` is not `[user@]host[:port]`"),
            hint: String::new(),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                (host, after.strip_prefix(':'))
            }
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest
                .split_once(':')
                .map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        Ok(SshConnection {
            host: host.to_owned(),
            port: port.map_or(Ok(22), str::parse).map_err(|_| wrong())?,
            port_given: port.is_some(),
            user: user.unwrap_or(of_host).to_owned(),
            user_given: user.is_some(),
            password: behind.password.clone(),
            private_key: behind.private_key.clone(),
            private_key_content: behind.private_key_content.clone(),
            private_key_passphrase: behind.private_key_passphrase.clone(),
            become_password: None,
            proxy_jump: None,
        })
    }
}

/// Puts a hop, with the hosts before it, before a host.
fn push(options: &mut SshOptions, mut hop: SshOptions) {
    options.proxy_jump.append(&mut hop.proxy_jump);
    options.proxy_jump.push(hop);
}
