//! Hosts and groups that tasks add, and how a task reaches its host.

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value as Json};

use super::Member;
use super::runner::Runner;
use super::state::HostState;
use crate::inventory::{Connection, Host, SshConnection};
use crate::playbook::Frame;
use crate::template::{Scope, Template, display};

/// `host:port` says the port.
pub(super) fn name_and_port(name: &str) -> (&str, Option<u16>) {
    match name.rsplit_once(':') {
        Some((short, port)) if !short.contains(':') && port.parse::<u16>().is_ok() => {
            (short, port.parse::<u16>().ok())
        }
        _ => (name, None),
    }
}

impl Runner<'_> {
    /// `add_host`: answers whether anything is new.
    pub(super) fn add_host(&self, name: &str, groups: &[String], vars: &Map<String, Json>) -> bool {
        let mut changed = false;
        {
            let mut inventory = self
                .inventory
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let (name, port) = name_and_port(name);
            let host = inventory.hosts.entry(name.to_owned()).or_insert_with(|| {
                changed = true;
                Host::new(name, Connection::Ssh(ssh_to(name)))
            });
            let mut connection = host.connection.clone();
            for (key, value) in vars {
                changed |= host.vars.get(key) != Some(value);
                host.vars.insert(key.clone(), value.clone());
            }
            apply(&mut connection, name, vars);
            if let (Connection::Ssh(ssh), Some(port)) = (&mut connection, port) {
                ssh.port = port;
                ssh.port_given = true;
            }
            host.connection = connection;
            for group in groups {
                let group = inventory.group_or_new(group);
                if !group.hosts.iter().any(|member| member == name) {
                    group.hosts.push(name.to_owned());
                    changed = true;
                }
            }
            let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
            if !added.iter().any(|known| known == name) {
                added.push(name.to_owned());
            }
        }
        self.tell_hosts();
        self.tell_groups();
        changed
    }

    /// `group_by`: answers whether anything is new.
    pub(super) fn add_to_group(&self, host: &str, group: &str, parents: &[String]) -> bool {
        let mut changed = false;
        {
            let mut inventory = self
                .inventory
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let mut named = |name: &str| {
                let is_new = !inventory.groups.contains_key(name);
                inventory.group_or_new(name);
                is_new
            };
            changed |= named(group);
            for parent in parents {
                changed |= named(parent);
            }
            for parent in parents.iter().filter(|parent| *parent != "all") {
                if let Some(parent) = inventory.groups.get_mut(parent)
                    && !parent.groups.iter().any(|child| child == group)
                {
                    parent.groups.push(group.to_owned());
                    changed = true;
                }
            }
            if let Some(group) = inventory.groups.get_mut(group)
                && !group.hosts.iter().any(|member| member == host)
            {
                group.hosts.push(host.to_owned());
                changed = true;
            }
        }
        if changed {
            if let Some(state) = self.variables.host(host) {
                let inventory = self
                    .inventory
                    .read()
                    .unwrap_or_else(PoisonError::into_inner);
                state.set_inventory(inventory.host_vars(host));
            }
            self.tell_groups();
        }
        changed
    }

    /// The hosts and their variables as the inventory has them now.
    pub(super) fn tell_hosts(&self) {
        let inventory = self
            .inventory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut hosts = self
            .variables
            .hosts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, variables) in inventory.host_vars_of_all() {
            match hosts.get(name) {
                Some(state) => state.set_inventory(variables),
                None => {
                    hosts.insert(name.to_owned(), Arc::new(HostState::new(variables)));
                }
            }
        }
    }

    /// The connection to a host, as the inventory and the keywords around a task say. `None` when there is no such host.
    pub(super) async fn reach(
        &self,
        host: &str,
        frame: &Frame,
        scope: &Scope,
    ) -> Option<Arc<Member>> {
        let text = |template: Option<&Template>| {
            template
                .and_then(|template| template.render(scope).ok())
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let kind = text(frame.chain().find_map(|frame| frame.connection.as_ref()));
        let user = text(frame.chain().find_map(|frame| frame.remote_user.as_ref()));
        let port = text(frame.chain().find_map(|frame| frame.port.as_ref()));
        let known = {
            let inventory = self
                .inventory
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            inventory.host(host).map(std::borrow::Cow::into_owned)
        };
        let mut wanted = match known {
            Some(known) => known,
            None if self.fleet.member(host).is_some() => Host::new(host, Connection::Local),
            None => Host::new(host, Connection::Ssh(ssh_to(host))),
        };
        let mut how = wanted.name.clone();
        // What the inventory says about a host is stronger than a play's keywords, as in Ansible.
        let says = |name: &str| scope.raw(name).is_some();
        let is_implicit = !self.is_of_inventory(host);
        if let Some(kind) = kind
            && !says("ansible_connection")
        {
            let is_local = kind.ends_with("local");
            let was_local = wanted.connection == Connection::Local;
            if is_local && !was_local {
                wanted.connection = Connection::Local;
                how = format!("{host} local");
            } else if !is_local && was_local && !is_implicit {
                wanted.connection = Connection::Ssh(ssh_to(host));
                how = format!("{host} ssh");
            }
        } else if let Some(Json::String(kind)) = scope.raw("ansible_connection").as_deref()
            && !is_implicit
            && kind == "local"
            && wanted.connection != Connection::Local
        {
            wanted.connection = Connection::Local;
            how = format!("{host} local");
        }
        if let Connection::Ssh(ssh) = &mut wanted.connection {
            if let Some(user) =
                user.filter(|user| !says("ansible_user") && (*user != ssh.user || !ssh.user_given))
            {
                how = format!("{how} as {user}");
                ssh.user = user;
                ssh.user_given = true;
            }
            if let Some(port) = port
                .and_then(|port| port.parse::<u16>().ok())
                .filter(|port| !says("ansible_port") && (*port != ssh.port || !ssh.port_given))
            {
                how = format!("{how} at {port}");
                ssh.port = port;
                ssh.port_given = true;
            }
        }
        self.fleet.reach(&how, &wanted).await
    }
}

/// A connection to a host of which nothing but the name is known.
fn ssh_to(name: &str) -> SshConnection {
    SshConnection {
        host: name.to_owned(),
        port: 22,
        user: "root".to_owned(),
        ..SshConnection::default()
    }
}

/// What Ansible's variables say about a connection.
fn apply(connection: &mut Connection, name: &str, vars: &Map<String, Json>) {
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| vars.get(*name))
            .map(display)
            .filter(|text| !text.is_empty())
    };
    if let Some(kind) = text(&["ansible_connection"]) {
        *connection = if kind.ends_with("local") {
            Connection::Local
        } else {
            Connection::Ssh(ssh_to(name))
        };
    } else if name == super::LOCALHOST {
        *connection = Connection::Local;
    }
    let Connection::Ssh(ssh) = connection else {
        return;
    };
    if let Some(host) = text(&["ansible_host", "ansible_ssh_host"]) {
        ssh.host = host;
    }
    if let Some(port) =
        text(&["ansible_port", "ansible_ssh_port"]).and_then(|port| port.parse().ok())
    {
        ssh.port = port;
        ssh.port_given = true;
    }
    if let Some(user) = text(&["ansible_user", "ansible_ssh_user"]) {
        ssh.user = user;
        ssh.user_given = true;
    }
    if let Some(key) = text(&["ansible_ssh_private_key_file", "ansible_private_key_file"]) {
        ssh.private_key = Some(key.into());
    }
    if let Some(password) = text(&["ansible_password", "ansible_ssh_pass"]) {
        ssh.password = Some(crate::secret::SecretString::new(password));
    }
}
