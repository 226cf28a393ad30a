//! What a connection needs to know, in plain data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::keys::KeyCache;
use super::lent::Lending;
use super::pace::Pace;
use crate::connect::config::AddressFamily;
use crate::connect::known_hosts::KnownHosts;
use crate::secret::SecretString;

/// Everything about one SSH connection.
#[derive(Clone)]
pub struct SshOptions {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Usually 22.
    pub port: u16,
    /// Who to log in as.
    pub user: String,
    /// For password and keyboard-interactive authentication.
    pub password: Option<SecretString>,
    /// Key file.
    pub private_key: Option<PathBuf>,
    /// The key itself; may be there beside a file.
    pub private_key_content: Option<SecretString>,
    /// Key files that OpenSSH's configuration names, tried after the key above; those that are missing are passed over.
    pub identity_files: Vec<PathBuf>,
    /// Certificates that OpenSSH's configuration names, for whichever key they are.
    pub certificate_files: Vec<PathBuf>,
    /// Of the agent's keys only those are tried whose files are named.
    pub identities_only: bool,
    /// Passphrase of the key file, the key content and the default key files.
    pub passphrase: Option<SecretString>,
    /// Who can be asked for passphrases and for what a host wants to know; nobody by default.
    pub person: Option<Arc<dyn AskPerson>>,
    /// Whether the keys of the agent are tried.
    pub use_agent: bool,
    /// Where the agent listens; `None` where there is none.
    pub agent_socket: Option<PathBuf>,
    /// Key files tried when neither a key nor a password is given; those that are missing or encrypted are passed over.
    pub default_keys: Vec<PathBuf>,
    /// Keys that were decoded already; that of the process by default.
    pub keys: Arc<KeyCache>,
    /// The name that its key goes by, where that is not the address.
    pub host_key_alias: Option<String>,
    /// Which addresses of a name are tried.
    pub address_family: AddressFamily,
    /// A command of the user's shell whose input and output are the connection. Not used behind another hop.
    pub proxy_command: Option<String>,
    /// The host keys that are trusted, shared by all connections of a run.
    pub known_hosts: Arc<KnownHosts>,
    /// What happens with a host whose key is not known.
    pub host_key_policy: HostKeyPolicy,
    /// The most time from the first packet to the end of the key exchange, for each hop; waiting for a person's answer
    /// does not count. Logging in has three times as long.
    pub connect_timeout: Duration,
    /// How long nothing may come from the host before it is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// After how many intervals without anything from the host the connection is lost.
    pub keepalive_count: u32,
    /// Hosts to go through, the first one is connected to directly. Their own `proxy_jump` is ignored.
    pub proxy_jump: Vec<SshOptions>,
    /// How fast what commands read in a stream, as uploads do, may go out. Shared by whoever has the same one.
    pub pace: Option<Arc<Pace>>,
    /// Whether commands that fetch from other hosts are lent keys.
    pub lends_keys: bool,
    /// What is lent on this connection.
    pub(super) lending: Arc<Lending>,
    /// Where other hosts reach it, if not at the address.
    pub neighbours_address: Option<String>,
    /// The most channels open at once, at least 1.
    pub max_channels: usize,
}

impl SshOptions {
    /// Options with the defaults of this program: strict host keys, the agent and default keys of the environment,
    /// 10 s to connect, 15 s × 3 keepalive, 8 channels.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        known_hosts: Arc<KnownHosts>,
    ) -> Self {
        let default_keys = std::env::home_dir()
            .map(|home| {
                ["id_ed25519", "id_ecdsa", "id_rsa"]
                    .map(|name| home.join(".ssh").join(name))
                    .to_vec()
            })
            .unwrap_or_default();
        Self {
            host: host.into(),
            port,
            user: user.into(),
            password: None,
            private_key: None,
            private_key_content: None,
            identity_files: Vec::new(),
            certificate_files: Vec::new(),
            identities_only: false,
            passphrase: None,
            person: None,
            use_agent: true,
            agent_socket: std::env::var_os("SSH_AUTH_SOCK")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            default_keys,
            keys: KeyCache::shared(),
            host_key_alias: None,
            address_family: AddressFamily::Any,
            proxy_command: None,
            known_hosts,
            host_key_policy: HostKeyPolicy::Strict,
            connect_timeout: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(15),
            keepalive_count: 3,
            proxy_jump: Vec::new(),
            pace: None,
            lends_keys: false,
            lending: Arc::default(),
            neighbours_address: None,
            max_channels: 8,
        }
    }

    /// `host:port`, an IPv6 address in brackets.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The name and port that its key goes by.
    pub(super) fn known_as(&self) -> (&str, u16) {
        match &self.host_key_alias {
            Some(alias) => (alias, 22),
            None => (&self.host, self.port),
        }
    }

    /// `user@host:port`.
    pub fn target(&self) -> String {
        format!("{}@{}", self.user, self.address())
    }
}

/// Without the secrets, which mask themselves anyway, and the shared parts.
impl std::fmt::Debug for SshOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SshOptions")
            .field("target", &self.target())
            .field("private_key", &self.private_key)
            .field("host_key_policy", &self.host_key_policy)
            .field("proxy_jump", &self.proxy_jump)
            .finish_non_exhaustive()
    }
}

/// What happens with a host whose key is not known. A changed or revoked key is refused in every case.
#[derive(Clone)]
pub enum HostKeyPolicy {
    /// It is refused.
    Strict,
    /// Its key is added to the user's file.
    AcceptNew,
    /// A person decides; the key is added to the user's file if accepted.
    Ask(Arc<dyn AskHostKey>),
}

impl std::fmt::Debug for HostKeyPolicy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Strict => "strict",
            Self::AcceptNew => "accept-new",
            Self::Ask(_) => "ask",
        })
    }
}

/// Asks a person about the key of an unknown host. Connections ask at the same time; the implementation queues them.
pub trait AskHostKey: Send + Sync {
    /// Whether the key is accepted.
    fn ask(&self, question: HostKeyQuestion) -> BoxFuture<'_, bool>;
}

/// What a person has to know to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyQuestion {
    /// `host:port`.
    pub address: String,
    /// For instance `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The file that the key is added to.
    pub file: Option<PathBuf>,
}

/// Asks a person for what is needed to log in, and blocks until there is an answer. Connections ask at the same time; the
/// implementation queues them.
pub trait AskPerson: Send + Sync {
    /// The answer; `None` where nobody gave one.
    fn ask(&self, question: &PersonQuestion) -> Option<SecretString>;
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonQuestion {
    /// The passphrase of a key.
    Passphrase {
        /// What the key is called.
        key: String,
        /// Whether there was an answer already that was wrong.
        was_wrong: bool,
    },
    /// What a host asks in a keyboard-interactive login: a code, for instance.
    Prompt {
        /// `user@host:port`.
        target: String,
        /// The host's words.
        words: String,
        /// Whether the answer may be seen.
        echo: bool,
    },
}
