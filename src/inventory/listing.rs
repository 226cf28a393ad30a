//! What was understood of an inventory, as JSON for people and programs; secrets are masked.

use serde_json::{Map, Value, json};

use super::{ALL, Connection, Host, Inventory, UNGROUPED};
use crate::secret::{MASK, Redactor, SecretString, is_secret_name};

impl Inventory {
    /// Hosts with their connection, groups and merged variables; groups with all their hosts and own variables.
    ///
    /// Passwords and keys are masked, and so is every variable whose name says that it is secret.
    pub fn to_json(&self) -> Value {
        let redactor = self.redactor();
        let hosts: Map<String, Value> = self
            .hosts
            .iter()
            .map(|(name, host)| (name.clone(), self.one_to_json(host, &redactor)))
            .collect();
        let groups: Map<String, Value> = self
            .groups
            .iter()
            .map(|(name, group)| {
                let mut vars = group.vars.clone();
                vars.extend(group.directory_vars.clone());
                let group = json!({
                    "hosts": self.hosts_of(name),
                    "groups": group.groups,
                    "vars": redactor.mask_json(&masked(&vars)),
                });
                (name.clone(), group)
            })
            .collect();
        json!({"source": self.source, "hosts": hosts, "groups": groups})
    }

    /// One host as in [`Inventory::to_json`].
    pub fn host_to_json(&self, name: &str) -> Option<Value> {
        let host = self.host(name)?;
        Some(self.one_to_json(&host, &self.redactor()))
    }

    /// Groups, the groups in them and their hosts as a tree, `all` first. A group that stands in several is drawn in each.
    pub fn to_tree(&self) -> String {
        let mut tree = "all\n".to_owned();
        let nested: std::collections::HashSet<&str> = self
            .groups
            .iter()
            .filter(|(name, _)| *name != ALL)
            .flat_map(|(_, group)| group.groups.iter().map(String::as_str))
            .collect();
        let is_top = |name: &str| name != ALL && name != UNGROUPED && !nested.contains(name);
        for name in self.groups.keys().filter(|name| is_top(name)) {
            self.draw(name, 1, &mut tree);
        }
        let ungrouped = self.hosts_of(UNGROUPED);
        if !ungrouped.is_empty() {
            tree.push_str(&format!("  {UNGROUPED}\n"));
            for host in ungrouped {
                tree.push_str(&format!("    - {host}\n"));
            }
        }
        tree
    }

    fn draw(&self, name: &str, depth: usize, tree: &mut String) {
        let indent = "  ".repeat(depth);
        tree.push_str(&format!("{indent}{name}\n"));
        let Some(group) = self.groups.get(name) else {
            return;
        };
        for nested in &group.groups {
            self.draw(nested, depth + 1, tree);
        }
        for host in &group.hosts {
            tree.push_str(&format!("{indent}  - {host}\n"));
        }
    }

    /// Knows every password and key of a connection, wherever else a variable repeats one.
    fn redactor(&self) -> Redactor {
        let redactor = Redactor::new();
        for host in self.hosts.values() {
            for secret in host.secrets() {
                redactor.learn(secret.expose());
            }
        }
        redactor
    }

    fn one_to_json(&self, host: &Host, redactor: &Redactor) -> Value {
        let groups: Vec<&str> = self.groups_of(&host.name);
        json!({
            "connection": connection_to_json(host),
            "internal_ipv4": host.internal_ipv4,
            "internal_ipv6": host.internal_ipv6,
            "groups": groups,
            "vars": redactor.mask_json(&masked(&self.host_vars(&host.name))),
        })
    }
}

fn connection_to_json(host: &Host) -> Value {
    let mask = |secret: &Option<SecretString>| secret.as_ref().map(|_| MASK);
    let fields = match &host.connection {
        Connection::Local => vec![
            ("type", json!("local")),
            ("become_password", json!(mask(&host.become_password))),
        ],
        Connection::Ssh(ssh) => vec![
            ("type", json!("ssh")),
            ("host", json!(ssh.host)),
            ("port", json!(ssh.port)),
            ("user", json!(ssh.user)),
            ("password", json!(mask(&ssh.password))),
            ("private_key", json!(ssh.private_key)),
            ("private_key_content", json!(mask(&ssh.private_key_content))),
            (
                "private_key_passphrase",
                json!(mask(&ssh.private_key_passphrase)),
            ),
            ("become_password", json!(mask(&ssh.become_password))),
            ("proxy_jump", json!(ssh.proxy_jump)),
        ],
    };
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<Map<String, Value>>()
        .into()
}

/// Variables with the values of secret names masked, at any depth.
fn masked(vars: &Map<String, Value>) -> Value {
    fn mask(value: &Value, vault: &Redactor) -> Value {
        match value {
            Value::Object(map) => masked(map),
            Value::Array(items) => items.iter().map(|item| mask(item, vault)).collect(),
            // As `ansible-inventory` writes it.
            Value::String(text) => match crate::vault::envelope_of(text) {
                Some(envelope) => json!({"__ansible_vault": envelope}),
                None => vault.mask(text).into(),
            },
            other => other.clone(),
        }
    }
    let vault = crate::vault::redactor();
    vars.iter()
        .map(|(key, value)| {
            let is_hidden = is_secret_name(key) && !value.is_null();
            let value = if is_hidden {
                MASK.into()
            } else {
                mask(value, &vault)
            };
            (key.clone(), value)
        })
        .collect::<Map<String, Value>>()
        .into()
}
