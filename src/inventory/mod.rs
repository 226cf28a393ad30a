//! Hosts, groups and variables: KubeKey's Inventory, Ansible's YAML and INI; host patterns; merging of variables.
//!
//! This room reads what the user wrote and checks it whole: everything that is wrong is found in one go, each mistake
//! with its place. It opens no connection and reads no key file (but see [`Inventory::check_private_keys`]).
//!
//! **Order.** Hosts stand in the order in which they are declared, then those that exist only because a group names
//! `localhost`. Groups stand in the order in which they are declared, behind `all` and before `ungrouped`, which are
//! always there. The hosts of a group are its own in the order written, then those of its nested groups in the order
//! written, each host once. So are those of `all`, which names the hosts of a KubeKey inventory, `ungrouped`, and every
//! group that no other names.
//!
//! **Precedence of variables**, as in Ansible: `all` < parent group < child group (by depth, then
//! `ansible_group_priority`, then name) < host, where a `group_vars/` folder beside the inventory beats the groups of
//! the file, and `host_vars/` the hosts of the file. A later value replaces an earlier one whole.

mod address;
mod ansible;
mod connection;
mod directories;
mod finish;
mod graph;
mod ini;
mod kubekey;
mod listing;
mod load;
mod machine;
mod pattern;
mod range;
mod raw;
mod sanity;
mod skeleton;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostics, Place};
use crate::secret::SecretString;
use crate::yaml::Node;

pub use machine::LocalMachine;
pub use pattern::PatternError;
pub use skeleton::skeleton;

/// A whole inventory, checked.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Hosts in the order declared.
    pub hosts: IndexMap<String, Host>,
    /// Groups in the order declared; `all` and `ungrouped` are always there.
    pub groups: IndexMap<String, Group>,
    /// The file it came from, for messages; `None` for the implicit localhost.
    pub source: Option<String>,
    /// The variables of `all` as they were written, with their places: some of them are settings.
    pub settings: Vec<(Node, Node)>,
    /// The variables of single groups and hosts: whose they are (``group `web` ``) and their key as it was written.
    /// What is the name of a setting among them has no effect as one.
    pub nearer_variables: Vec<(String, Node)>,
    /// Folders of playbooks whose `group_vars/` count.
    pub(super) playbook_folders: Vec<std::path::PathBuf>,
    /// Where each host's `private_key` is named.
    pub(super) private_key_places: BTreeMap<String, Place>,
}

/// What reading an inventory gives.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The inventory.
    pub inventory: Inventory,
    /// What the user should know, although the run goes on.
    pub warnings: Diagnostics,
}

/// One host.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// How to reach it.
    pub connection: Connection,
    /// Password for sudo on it, over SSH or not; the login password where absent.
    pub become_password: Option<SecretString>,
    /// `internal_ipv4`.
    pub internal_ipv4: Option<String>,
    /// `internal_ipv6`.
    pub internal_ipv6: Option<String>,
    /// Its own variables, without those of its groups.
    pub vars: Map<String, Value>,
    /// Its variables from `host_vars/`, which beat [`vars`](Self::vars).
    pub directory_vars: Map<String, Value>,
    /// Its variables from `host_vars/` beside the playbook, which beat those beside the inventory.
    pub playbook_vars: Map<String, Value>,
    /// Where it is declared, if in a file.
    pub place: Option<Place>,
}

/// How to reach a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Connection {
    /// This machine.
    #[default]
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
    /// The inventory names the port; OpenSSH's configuration does not change it then.
    pub port_given: bool,
    /// Default `root`.
    pub user: String,
    /// The inventory names the user; `-u` does not change it then.
    pub user_given: bool,
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
    /// `proxy_jump`: `[user@]host[:port]` or the name of another host of the inventory; several with commas between.
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
    /// Its variables from `group_vars/`, which beat [`vars`](Self::vars) of every group.
    pub directory_vars: Map<String, Value>,
    /// Its variables from `group_vars/` beside the playbook, which beat those beside the inventory.
    pub playbook_vars: Map<String, Value>,
    /// Where it is declared, if in a file.
    pub place: Option<Place>,
}

/// The name of the group of all hosts.
pub const ALL: &str = "all";

/// The name of the group of hosts that no other group has.
pub const UNGROUPED: &str = "ungrouped";

/// The host that is this machine and needs no declaration.
pub const LOCALHOST: &str = "localhost";

impl Host {
    /// A host without variables.
    pub fn new(name: impl Into<String>, connection: Connection) -> Self {
        Self {
            name: name.into(),
            connection,
            ..Self::default()
        }
    }

    /// The name or address that it is reached at; for this machine its internal address or its name.
    pub fn address(&self) -> &str {
        match &self.connection {
            Connection::Ssh(ssh) => &ssh.host,
            Connection::Local => self
                .internal_ipv4
                .as_deref()
                .or(self.internal_ipv6.as_deref())
                .unwrap_or(&self.name),
        }
    }

    /// The address that other hosts reach it at: `internal_ipv4`, else `internal_ipv6`, else the connection's.
    pub fn internal_address(&self) -> &str {
        self.internal_ipv4
            .as_deref()
            .or(self.internal_ipv6.as_deref())
            .unwrap_or_else(|| self.address())
    }

    /// Every secret of its connection.
    pub fn secrets(&self) -> Vec<&SecretString> {
        let mut secrets: Vec<&SecretString> = self.become_password.iter().collect();
        if let Connection::Ssh(ssh) = &self.connection {
            secrets.extend(
                [
                    &ssh.password,
                    &ssh.private_key_content,
                    &ssh.private_key_passphrase,
                    &ssh.become_password,
                ]
                .into_iter()
                .flatten(),
            );
        }
        secrets
    }
}
