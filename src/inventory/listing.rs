//! What was understood of an inventory, as JSON for people and programs; secrets are masked.

use serde_json::{Map, Value, json};

use super::{ALL, Connection, Host, Inventory, UNGROUPED};
use crate::secret::{MASK, Redactor, SecretString, is_secret_name};

impl Inventory {
    /// Groups with their own hosts and groups, and the variables of every host, in the form of a dynamic inventory and
    /// of `ansible-inventory --list`.
    ///
    /// Passwords and keys are masked, and so is every variable whose name says that it is secret.
    pub fn to_json(&self) -> Value {
        let redactor = self.redactor();
        let mut json = Map::new();
        let hostvars: Map<String, Value> = self
            .host_vars_of_all()
            .into_iter()
            .filter(|(_, variables)| !variables.is_empty())
            .map(|(name, variables)| (name.to_owned(), redactor.mask_json(&masked(&variables))))
            .collect();
        json.insert("_meta".to_owned(), json!({ "hostvars": hostvars }));
        for name in self.groups.keys() {
            let mut group = Map::new();
            let children = self.children_of(name);
            if !children.is_empty() {
                group.insert("children".to_owned(), json!(children));
            }
            let hosts = self.own_hosts_of(name);
            if !hosts.is_empty() {
                group.insert("hosts".to_owned(), json!(hosts));
            }
            if !group.is_empty() {
                json.insert(name.clone(), Value::Object(group));
            }
        }
        Value::Object(json)
    }

    /// The variables of a host.
    pub fn host_to_json(&self, name: &str) -> Option<Value> {
        let host = self.host(name)?;
        Some(
            self.redactor()
                .mask_json(&masked(&self.host_vars(&host.name))),
        )
    }

    /// How a host is reached, and which groups it is in.
    pub fn connection_to_json(&self, name: &str) -> Option<Value> {
        let host = self.host(name)?;
        Some(json!({
            "connection": connection_to_json(&host),
            "internal_ipv4": host.internal_ipv4,
            "internal_ipv6": host.internal_ipv6,
            "groups": self.groups_of(&host.name),
        }))
    }

    /// A group, the groups in it and their hosts as a tree. A group that stands in several is drawn in each. With
    /// variables where it is known how one looks.
    pub fn to_tree(&self, group: &str, shown: Option<fn(&Value) -> String>) -> String {
        let mut tree = String::new();
        self.draw(group, 0, shown, &self.redactor(), &mut tree);
        tree
    }

    fn draw(
        &self,
        name: &str,
        depth: usize,
        shown: Option<fn(&Value) -> String>,
        redactor: &Redactor,
        tree: &mut String,
    ) {
        let row = |tree: &mut String, depth: usize, text: &str| {
            let lead = "  |".repeat(depth);
            let dashes = if depth == 0 { "" } else { "--" };
            tree.push_str(&format!("{lead}{dashes}{text}\n"));
        };
        let variables = |tree: &mut String, depth: usize, variables: &Map<String, Value>| {
            let Some(show) = shown else {
                return;
            };
            let variables = redactor.mask_json(&masked(variables));
            let mut pairs: Vec<(&String, &Value)> =
                variables.as_object().into_iter().flatten().collect();
            pairs.sort_by_key(|(name, _)| *name);
            for (name, value) in pairs {
                row(tree, depth, &format!("{{{name} = {}}}", show(value)));
            }
        };
        row(tree, depth, &format!("@{name}:"));
        for child in self.children_of(name) {
            self.draw(child, depth + 1, shown, redactor, tree);
        }
        for host in self.own_hosts_of(name) {
            row(tree, depth + 1, host);
            if shown.is_some() {
                variables(tree, depth + 2, &self.host_vars(host));
            }
        }
        if let Some(group) = self.groups.get(name) {
            let mut own = group.vars.clone();
            own.extend(group.directory_vars.clone());
            variables(tree, depth + 1, &own);
        }
    }

    /// The groups right below a group; below `all` those that stand in no other.
    fn children_of(&self, name: &str) -> Vec<&str> {
        let own = |name: &str| {
            let group = self.groups.get(name);
            group
                .into_iter()
                .flat_map(|group| group.groups.iter().map(String::as_str))
        };
        if name != ALL {
            return own(name).collect();
        }
        let nested: std::collections::HashSet<&str> = self
            .groups
            .keys()
            .filter(|name| *name != ALL)
            .flat_map(|name| own(name))
            .collect();
        let mut children = vec![UNGROUPED];
        let named: Vec<&str> = own(ALL).collect();
        let others = self.groups.keys().map(String::as_str);
        let others = others.filter(|name| *name != ALL && !nested.contains(name));
        for child in named.into_iter().chain(others) {
            if !children.contains(&child) {
                children.push(child);
            }
        }
        children
    }

    /// The hosts that a group names itself; none of `all`, whose hosts are in other groups.
    fn own_hosts_of(&self, name: &str) -> Vec<&str> {
        match name {
            ALL => Vec::new(),
            UNGROUPED => self.hosts_of(UNGROUPED),
            name => {
                let group = self.groups.get(name);
                let hosts = group.into_iter().flat_map(|group| &group.hosts);
                hosts.map(String::as_str).collect()
            }
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
