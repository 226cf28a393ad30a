//! Connections as the inventory, the command line and OpenSSH's configuration describe them.
//!
//! What the inventory says about a host goes first, then the command line, then the configuration of ssh, then this
//! program's own defaults. The configuration is asked about the name that would stand on the command line of `ssh`: the
//! address of the inventory.

mod route;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use trust::Trust;

use super::{Dial, EventKind, Events};
use crate::connect::config::{ClientConfig, HostSettings, Question, Route};
use crate::connect::local::LocalConnector;
use crate::connect::ssh::{self, AskPerson, Pace, SshOptions};
use crate::connect::{Connector, TransportError};
use crate::inventory::{Connection, Host, Inventory, SshConnection};
use crate::secret::SecretString;

/// How long a connection may take to come up where nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials what an inventory says, with what the command line adds.
pub struct InventoryDial {
    /// Names of other hosts that `proxy_jump` may use.
    pub inventory: Arc<Inventory>,
    /// OpenSSH's configuration.
    pub config: ClientConfig,
    /// Which host keys are trusted, and what happens with others.
    pub trust: Trust,
    /// Limit for a connection to come up, if the command line says one.
    pub timeout: Option<Duration>,
    /// How fast uploads may go out, all of them together.
    pub pace: Option<Arc<Pace>>,
    /// Whether hosts may fetch from each other.
    pub lends_keys: bool,
    /// Key for hosts that name none.
    pub private_key: Option<std::path::PathBuf>,
    /// User for hosts that name none (the inventory's default, `root`).
    pub user: Option<String>,
    /// Login password for hosts that have none.
    pub password: Option<SecretString>,
    /// Who can be asked for passphrases.
    pub person: Option<Arc<dyn AskPerson>>,
    /// Where it is said how connections come up.
    pub events: Events,
}

/// What of the command line is for a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Everything: it is a host of the inventory.
    All,
    /// All but the user: it is a jump host that has a user already.
    ButUser,
    /// Nothing: it is a jump host of OpenSSH's configuration, which `ssh` tells nothing either.
    Nothing,
}

impl InventoryDial {
    /// The options of one host, without the hosts before it, and the way that the configuration knows.
    async fn single(
        &self,
        connection: &SshConnection,
        given: Given,
    ) -> Result<(SshOptions, Option<Route>), TransportError> {
        let of_flag = self
            .user
            .as_deref()
            .filter(|_| given == Given::All && !connection.user_given);
        let of_inventory = Some(connection.user.as_str()).filter(|_| connection.user_given);
        let settings = self
            .config
            .look_up(Question {
                host: &connection.host,
                user: of_inventory.or(of_flag),
                port: connection.port_given.then_some(connection.port),
                default_user: &connection.user,
            })
            .await?;
        let user = settings.user.as_ref().unwrap_or(&connection.user);
        let mut options = SshOptions::new(
            settings.address.clone(),
            settings.port.unwrap_or(connection.port),
            user,
            self.trust.known_hosts(&settings, &self.events)?,
        );
        self.add_credentials(&mut options, connection, given);
        options.host_key_policy = self.trust.policy(&settings, &connection.host, &self.events);
        let HostSettings {
            identity_files,
            certificate_files,
            identities_only,
            identity_agent,
            route,
            host_key_alias,
            connect_timeout,
            alive_interval,
            alive_count,
            address_family,
            batch_mode,
            ..
        } = settings;
        if let Some(files) = identity_files {
            options.identity_files = files;
            options.default_keys = Vec::new();
        }
        options.certificate_files = certificate_files;
        options.identities_only = identities_only;
        if let Some(agent) = identity_agent {
            options.use_agent = agent.is_some();
            options.agent_socket = agent;
        }
        options.host_key_alias = host_key_alias;
        options.address_family = address_family;
        options.connect_timeout = self.timeout.or(connect_timeout).unwrap_or(DEFAULT_TIMEOUT);
        options.keepalive_interval = alive_interval.unwrap_or(options.keepalive_interval);
        options.keepalive_count = alive_count.unwrap_or(options.keepalive_count).max(1);
        options.pace.clone_from(&self.pace);
        options.person = self.person.clone().filter(|_| !batch_mode);
        Ok((options, route))
    }

    fn add_credentials(&self, options: &mut SshOptions, connection: &SshConnection, given: Given) {
        options.password.clone_from(&connection.password);
        options
            .private_key_content
            .clone_from(&connection.private_key_content);
        options.private_key.clone_from(&connection.private_key);
        options
            .passphrase
            .clone_from(&connection.private_key_passphrase);
        if given == Given::Nothing {
            return;
        }
        let names_nothing = options.private_key.is_none()
            && options.private_key_content.is_none()
            && connection.password.is_none();
        if names_nothing {
            options.private_key.clone_from(&self.private_key);
        }
        if options.password.is_none() {
            options.password.clone_from(&self.password);
        }
    }
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
                    let mut options = self.options(connection).await?;
                    options.lends_keys = self.lends_keys;
                    options.neighbours_address.clone_from(&host.internal_ipv4);
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
