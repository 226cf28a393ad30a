//! Lookups of what the run knows: variables, hosts, chance.

use rand::seq::IndexedRandom as _;
use serde_json::Value as Json;

use super::Asker;
use super::options::Options;
use crate::inventory::{Connection, Group, Host, Inventory};
use crate::template::display;

/// The values of variables that are named by texts.
pub(super) fn variables(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let default = options.value("default");
    let mut values = Vec::new();
    for term in terms {
        let Json::String(name) = term else {
            let term = display(term);
            return Err(format!(
                "Invalid setting identifier, \"{term}\" is not a string"
            ));
        };
        let value = match (asker.scope.variable(name), default) {
            (Ok(Some(value)), _) => value,
            (_, Some(default)) => default.clone(),
            (Ok(None), None) => return Err(format!("No variable found with this name: {name}")),
            (Err(message), None) => return Err(message),
        };
        values.push(value);
    }
    Ok(values)
}

/// Names of variables that match patterns.
pub(super) fn names(terms: &[Json], asker: &Asker<'_>) -> Result<Vec<Json>, String> {
    let all = asker.scope.names();
    let mut names = Vec::new();
    for term in terms {
        let pattern = display(term);
        let pattern = regex::Regex::new(&pattern)
            .map_err(|error| format!("`{pattern}` is no pattern: {error}"))?;
        let found = all.iter().filter(|name| pattern.is_match(name));
        names.extend(found.map(|name| Json::from(name.as_str())));
    }
    Ok(names)
}

/// Hosts of patterns; none where a pattern means nothing.
pub(super) fn hostnames(terms: &[Json], asker: &Asker<'_>) -> Vec<Json> {
    let mut inventory = Inventory::default();
    if let Some(Json::Object(groups)) = asker.scope.raw("groups").as_deref() {
        for (name, hosts) in groups {
            let hosts = hosts.as_array().into_iter().flatten();
            let hosts: Vec<String> = hosts.filter_map(Json::as_str).map(str::to_owned).collect();
            for host in &hosts {
                let known = Host::new(host, Connection::Local);
                inventory.hosts.insert(host.clone(), known);
            }
            let group = Group {
                name: name.clone(),
                hosts,
                ..Group::default()
            };
            inventory.groups.insert(name.clone(), group);
        }
    }
    let pattern: Vec<String> = terms.iter().map(|term| parted(&display(term))).collect();
    let found = inventory.select(&pattern.join(",")).unwrap_or_default();
    found.into_iter().map(Json::from).collect()
}

/// A pattern with commas between its parts, and not colons.
fn parted(pattern: &str) -> String {
    let mut depth = 0;
    let parted = pattern.chars().map(|character| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            ':' if depth == 0 => return ',',
            _ => {}
        }
        character
    });
    if pattern.contains(',') || pattern.parse::<std::net::Ipv6Addr>().is_ok() {
        return pattern.to_owned();
    }
    parted.collect()
}

/// One of the terms.
pub(super) fn random_choice(terms: &[Json]) -> Vec<Json> {
    terms
        .choose(&mut rand::rng())
        .cloned()
        .into_iter()
        .collect()
}
