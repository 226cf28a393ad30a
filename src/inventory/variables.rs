//! Merged variables, by the order of precedence that the room's documentation states.

use serde_json::{Map, Value};

use super::{ALL, Group, Host, Inventory};

impl Inventory {
    /// Everything that a host's groups and the host itself define, later ones replacing earlier ones whole, with
    /// `internal_ipv4` and `internal_ipv6` where they are set. Passwords and keys of the connection are not in it.
    /// Empty for a host that is not there.
    pub fn host_vars(&self, host: &str) -> Map<String, Value> {
        let Some(host) = self.hosts.get(host) else {
            return Map::new();
        };
        self.merged(host, &self.groups_of(&host.name))
    }

    /// [`Inventory::host_vars`] of every host, in time that grows with their number and not with its square.
    pub fn host_vars_of_all(&self) -> Vec<(&str, Map<String, Value>)> {
        let memberships = self.memberships();
        let parents = self.parents();
        self.hosts
            .iter()
            .map(|(name, host)| {
                let direct = memberships
                    .get(name.as_str())
                    .map_or(&[][..], Vec::as_slice);
                let groups = self.groups_from(direct, &parents);
                (name.as_str(), self.merged(host, &groups))
            })
            .collect()
    }

    fn merged(&self, host: &Host, groups: &[&str]) -> Map<String, Value> {
        let groups: Vec<&Group> = groups
            .iter()
            .filter_map(|name| self.groups.get(*name))
            .collect();
        let (all, others): (Vec<&Group>, Vec<&Group>) =
            groups.iter().copied().partition(|group| group.name == ALL);
        let layers = groups
            .iter()
            .map(|group| &group.vars)
            .chain(all.iter().map(|group| &group.directory_vars))
            .chain(all.iter().map(|group| &group.playbook_vars))
            .chain(others.iter().map(|group| &group.directory_vars))
            .chain(others.iter().map(|group| &group.playbook_vars))
            .chain([&host.vars, &host.directory_vars, &host.playbook_vars]);
        let mut merged = Map::new();
        for layer in layers {
            lay_over(&mut merged, layer);
        }
        for (key, value) in [
            ("internal_ipv4", &host.internal_ipv4),
            ("internal_ipv6", &host.internal_ipv6),
        ] {
            if let Some(value) = value {
                merged.insert(key.to_owned(), value.clone().into());
            }
        }
        merged
    }

    /// The variables of `all`: what holds for every host unless something nearer says otherwise.
    pub fn all_vars(&self) -> Map<String, Value> {
        let mut merged = Map::new();
        if let Some(group) = self.groups.get(ALL) {
            lay_over(&mut merged, &group.vars);
            lay_over(&mut merged, &group.directory_vars);
        }
        merged
    }
}

fn lay_over(merged: &mut Map<String, Value>, layer: &Map<String, Value>) {
    for (key, value) in layer {
        merged.insert(key.clone(), value.clone());
    }
}
