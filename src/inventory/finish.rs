//! From what the files say to one checked inventory: references, cycles, duplicates, connections.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::address;
use super::connection::{self, Reached};
use super::raw::{Raw, RawHost, Reference, Variables, merge};
use super::sanity::{check_jumps, warn_of_twins};
use super::{
    ALL, Connection, Group, Host, Inventory, LOCALHOST, Loaded, LocalMachine, UNGROUPED, graph,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::yaml::Node;

/// Puts everything together, or says everything that is wrong.
pub fn finish(
    mut raw: Raw,
    source: Option<String>,
    machine: &LocalMachine,
) -> Result<Loaded, Diagnostics> {
    let mut found = std::mem::take(&mut raw.found);
    raw.declare_localhost();
    check_references(&mut raw, &mut found);
    let nesting = graph::check_nesting(&raw.groups);
    nesting
        .found
        .into_iter()
        .for_each(|fault| found.push(fault));
    if nesting.is_too_deep {
        return Err(unique(found));
    }
    for name in raw.groups.keys().filter(|name| *name != ALL) {
        if let (Some(host), Some(group)) = (raw.hosts.get(name), raw.groups.get(name)) {
            let mut diagnostic =
                Diagnostic::warning(format!("`{name}` is the name of a host and of a group"))
                    .hint("in host patterns it means the group: rename one of them");
            diagnostic.place.clone_from(&group.place);
            if let Some(place) = &host.place {
                diagnostic = diagnostic.related(place, "the host");
            }
            found.push(diagnostic);
        }
    }
    let mut inventory = skeleton_of(&raw, source);
    inventory.nearer_variables = nearer_variables(&raw);
    let connectors = group_connectors(&raw, &mut found);
    let mut jumps: BTreeMap<String, Place> = BTreeMap::new();
    let groups = groups_of_all(&inventory);
    for (name, host) in &raw.hosts {
        let groups = groups.get(name).map_or(&[][..], Vec::as_slice);
        let vars = merged(&raw, groups, host);
        let connector = merged_connector(groups, &connectors, name, host, &mut found);
        let reached = connection::read(name, &connector, &vars, machine, &mut found);
        let internal_ipv4 = internal(&vars, "internal_ipv4", false, &mut found);
        let internal_ipv6 = internal(&vars, "internal_ipv6", true, &mut found);
        let Reached {
            connection,
            become_password,
            private_key_place,
            proxy_jump_place,
        } = reached;
        if let Some(place) = private_key_place {
            inventory.private_key_places.insert(name.clone(), place);
        }
        if let Some(place) = proxy_jump_place {
            jumps.insert(name.clone(), place);
        }
        let built = Host {
            name: name.clone(),
            connection,
            become_password,
            internal_ipv4,
            internal_ipv6,
            vars: plain(&host.vars),
            directory_vars: plain(&host.directory_vars),
            playbook_vars: Map::new(),
            place: host.place.clone(),
        };
        inventory.hosts.insert(name.clone(), built);
    }
    check_jumps(&inventory, &jumps, &mut found);
    warn_of_twins(&inventory, &mut found);
    let found = unique(found);
    if found.has_errors() {
        return Err(found);
    }
    Ok(Loaded {
        inventory,
        warnings: found,
    })
}

/// Names in groups must stand for something; `localhost` needs no declaration.
fn check_references(raw: &mut Raw, found: &mut Diagnostics) {
    for (group_name, group) in &mut raw.groups {
        drop_repeated(&mut group.hosts, group_name, "host", found);
        drop_repeated(&mut group.groups, group_name, "group", found);
    }
    for (group_name, group) in &raw.groups {
        for reference in &group.hosts {
            let name = reference.name.as_str();
            if raw.hosts.contains_key(name) {
                continue;
            }
            let diagnostic = Diagnostic::at(
                &reference.place,
                format!("group `{group_name}` names the host `{name}`, which is not declared"),
            );
            found.push(if raw.groups.contains_key(name) {
                diagnostic.hint(format!("`{name}` is a group: name it under `groups:`"))
            } else {
                let known = raw.hosts.keys().map(String::as_str);
                let suggested = diagnostic.suggest(name, known.chain([LOCALHOST]));
                if suggested.hint.is_some() {
                    suggested
                } else {
                    suggested.hint(format!("declare `{name}:` under `spec.hosts`"))
                }
            });
        }
        for reference in &group.groups {
            let name = reference.name.as_str();
            if raw.groups.contains_key(name) || name == UNGROUPED {
                continue;
            }
            let diagnostic = Diagnostic::at(
                &reference.place,
                format!("group `{group_name}` names the group `{name}`, which is not declared"),
            );
            found.push(if raw.hosts.contains_key(name) || name == LOCALHOST {
                diagnostic.hint(format!("`{name}` is a host: name it under `hosts:`"))
            } else {
                let suggested = diagnostic.suggest(name, raw.groups.keys().map(String::as_str));
                if suggested.hint.is_some() {
                    suggested
                } else {
                    suggested.hint(format!("declare a group `{name}`, or take the name out"))
                }
            });
        }
    }
}

fn drop_repeated(
    references: &mut Vec<Reference>,
    group: &str,
    kind: &str,
    found: &mut Diagnostics,
) {
    let mut first: HashMap<String, Place> = HashMap::new();
    references.retain(|reference| {
        let Some(place) = first.get(&reference.name) else {
            first.insert(reference.name.clone(), reference.place.clone());
            return true;
        };
        // A file that says again what another file says is no mistake.
        if place.source == reference.place.source {
            let warning = Diagnostic::warning(format!(
                "group `{group}` names the {kind} `{}` twice",
                reference.name
            ));
            found.push(
                Diagnostic {
                    place: Some(reference.place.clone()),
                    ..warning
                }
                .related(place, "first here")
                .hint("remove one of them"),
            );
        }
        false
    });
}

/// Hosts and groups without connections, so that the graph can be asked.
fn skeleton_of(raw: &Raw, source: Option<String>) -> Inventory {
    let mut inventory = Inventory {
        source,
        ..Inventory::default()
    };
    for name in raw.hosts.keys() {
        inventory
            .hosts
            .insert(name.clone(), Host::new(name.clone(), Connection::Local));
    }
    let rest = raw
        .groups
        .keys()
        .map(String::as_str)
        .filter(|name| ![ALL, UNGROUPED].contains(name));
    for name in [ALL].into_iter().chain(rest).chain([UNGROUPED]) {
        let mut group = Group {
            name: name.to_owned(),
            ..Group::default()
        };
        if let Some(written) = raw.groups.get(name) {
            let names = |references: &[Reference]| {
                references
                    .iter()
                    .map(|reference| reference.name.clone())
                    .collect()
            };
            group.hosts = names(&written.hosts);
            group.groups = names(&written.groups);
            group.vars = plain(&written.vars);
            group.directory_vars = plain(&written.directory_vars);
            group.place.clone_from(&written.place);
            if name == ALL {
                inventory.settings.clone_from(&written.vars);
                merge(&mut inventory.settings, written.directory_vars.clone());
                inventory
                    .settings
                    .retain(|(key, _)| key.as_str() != Some("connector"));
            }
        }
        inventory.groups.insert(name.to_owned(), group);
    }
    inventory
}

fn nearer_variables(raw: &Raw) -> Vec<(String, Node)> {
    let of_groups = raw
        .groups
        .iter()
        .filter(|(name, _)| *name != ALL)
        .map(|(name, group)| {
            (
                format!("group `{name}`"),
                &group.vars,
                &group.directory_vars,
            )
        });
    let of_hosts = raw
        .hosts
        .iter()
        .map(|(name, host)| (format!("host `{name}`"), &host.vars, &host.directory_vars));
    of_groups
        .chain(of_hosts)
        .flat_map(|(owner, vars, directory_vars)| {
            vars.iter()
                .chain(directory_vars)
                .map(move |(key, _)| (owner.clone(), key.clone()))
        })
        .collect()
}

/// Variables as plain data, without what belongs to the connection and is secret.
pub fn plain(vars: &Variables) -> Map<String, Value> {
    vars.iter()
        .filter_map(|(key, node)| {
            let value = node.to_json();
            if node.place.source.is_hidden {
                crate::vault::learn(&value);
            }
            Some((key.as_str()?.to_owned(), value))
        })
        .filter(|(name, value)| !connection::is_secret_variable(name, value))
        .collect()
}

/// The groups of every host, as [`Inventory::groups_of`] has them, in time that grows with the number of hosts.
fn groups_of_all(inventory: &Inventory) -> HashMap<String, Vec<String>> {
    let memberships = inventory.memberships();
    let parents = inventory.parents();
    let groups = |host: &str| {
        let direct = memberships.get(host).map_or(&[][..], Vec::as_slice);
        let groups = inventory.groups_from(direct, &parents);
        groups.into_iter().map(str::to_owned).collect()
    };
    inventory
        .hosts
        .keys()
        .map(|host| (host.clone(), groups(host)))
        .collect()
}

type Merged = IndexMap<String, (Node, Node)>;

fn lay_over(merged: &mut Merged, vars: &[(Node, Node)]) {
    for (key, value) in vars {
        let name = key.as_str().unwrap_or_default().to_owned();
        merged.insert(name, (key.clone(), value.clone()));
    }
}

/// All variables of a host with their places; what is where a connection's variables come from.
fn merged(raw: &Raw, groups: &[String], host: &RawHost) -> Merged {
    let mut merged = Merged::new();
    let written = |group: &String| raw.groups.get(group);
    for group in groups.iter().filter_map(written) {
        lay_over(&mut merged, &group.vars);
    }
    for group in groups.iter().filter_map(written) {
        lay_over(&mut merged, &group.directory_vars);
    }
    lay_over(&mut merged, &host.vars);
    lay_over(&mut merged, &host.directory_vars);
    merged
}

/// The `connector` mappings among the variables of groups: defaults for the hosts in them.
fn group_connectors(raw: &Raw, found: &mut Diagnostics) -> HashMap<String, Vec<(Node, Node)>> {
    let mut connectors = HashMap::new();
    for (name, group) in &raw.groups {
        let mut pairs = connector_in(&group.vars, found);
        merge(&mut pairs, connector_in(&group.directory_vars, found));
        connection::check_keys(&pairs, &format!("group `{name}`"), found);
        if !pairs.is_empty() {
            connectors.insert(name.clone(), pairs);
        }
    }
    connectors
}

fn connector_in(vars: &Variables, found: &mut Diagnostics) -> Variables {
    let Some((_, value)) = vars
        .iter()
        .find(|(key, value)| key.as_str() == Some("connector") && !value.is_null())
    else {
        return Variables::new();
    };
    if let Some(pairs) = value.as_mapping() {
        return pairs.to_vec();
    }
    found.push(value.unexpected("a mapping"));
    Variables::new()
}

fn merged_connector(
    groups: &[String],
    connectors: &HashMap<String, Vec<(Node, Node)>>,
    name: &str,
    host: &RawHost,
    found: &mut Diagnostics,
) -> Merged {
    let mut merged = Merged::new();
    for group in groups {
        if let Some(pairs) = connectors.get(group) {
            lay_over(&mut merged, pairs);
        }
    }
    let mut own = connector_in(&host.vars, found);
    merge(&mut own, connector_in(&host.directory_vars, found));
    merge(&mut own, host.connector.clone());
    connection::check_keys(&own, &format!("host `{name}`"), found);
    lay_over(&mut merged, &own);
    merged
}

/// `internal_ipv4` and `internal_ipv6`.
fn internal(vars: &Merged, key: &str, wants_ipv6: bool, found: &mut Diagnostics) -> Option<String> {
    let (_, node) = vars.get(key)?;
    if node.is_null() {
        return None;
    }
    let text = match node.expect_str() {
        Ok("") => return None,
        Ok(text) => text,
        Err(diagnostic) => {
            found.push(diagnostic);
            return None;
        }
    };
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let (is_fine, family, example) = if wants_ipv6 {
        (address::is_ipv6(bare), "IPv6", "2001:db8::11")
    } else {
        (
            bare.parse::<std::net::Ipv4Addr>().is_ok(),
            "IPv4",
            "10.0.0.11",
        )
    };
    if is_fine {
        return Some(bare.to_owned());
    }
    found.push(
        Diagnostic::at(&node.place, format!("`{key}` is not an {family} address"))
            .label(format!("found `{text}`"))
            .hint(format!(
                "write one address without a prefix length, such as `{example}`"
            )),
    );
    None
}

/// A mistake in a variable of a group shows up at every host in it: say it once.
fn unique(found: Diagnostics) -> Diagnostics {
    let mut seen: HashSet<(String, Option<(String, usize)>)> = HashSet::new();
    let kept = found.0.into_iter().filter(|diagnostic| {
        let place = diagnostic
            .place
            .as_ref()
            .map(|place| (place.source.name.clone(), place.span.start));
        seen.insert((diagnostic.message.clone(), place))
    });
    Diagnostics(kept.collect())
}
