//! Hosts, groups and variables: KubeKey's Inventory, Ansible's YAML and INI; host patterns; merging of variables.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::diagnostic::Place;
use crate::secret::SecretString;

/// A whole inventory, checked.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Hosts in the order declared.
    pub hosts: IndexMap<String, Host>,
    /// Groups in the order declared; `all` and `ungrouped` are always there.
    pub groups: IndexMap<String, Group>,
    /// The file it came from, for messages; `None` for the implicit localhost.
    pub source: Option<String>,
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// How to reach it.
    pub connection: Connection,
    /// `internal_ipv4`.
    pub internal_ipv4: Option<String>,
    /// `internal_ipv6`.
    pub internal_ipv6: Option<String>,
    /// Its own variables, without those of its groups.
    pub vars: Map<String, Value>,
    /// Where it is declared, if in a file.
    pub place: Option<Place>,
}

/// How to reach a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// This machine.
    Local,
    /// Over SSH.
    Ssh(SshConnection),
}

/// Parameters of an SSH connection as the inventory gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshConnection {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Default 22.
    pub port: u16,
    /// Default `root`.
    pub user: String,
    /// For password authentication.
    pub password: Option<SecretString>,
    /// Key file, `~` expanded.
    pub private_key: Option<PathBuf>,
    /// Key itself.
    pub private_key_content: Option<SecretString>,
    /// Passphrase of the key.
    pub private_key_passphrase: Option<SecretString>,
    /// Password for sudo; the login password where absent.
    pub become_password: Option<SecretString>,
    /// `proxy_jump`: `[user@]host[:port]` or the name of another host of the inventory.
    pub proxy_jump: Option<String>,
}

/// One group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Hosts named directly, in order.
    pub hosts: Vec<String>,
    /// Groups nested in it, in order.
    pub groups: Vec<String>,
    /// Its variables.
    pub vars: Map<String, Value>,
    /// Where it is declared, if in a file.
    pub place: Option<Place>,
}
