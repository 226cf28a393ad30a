//! What fits each host alone and not all of them together: jumps in a circle, two names for one machine.

use std::collections::{BTreeMap, HashMap};

use super::{Connection, Host, Inventory, address};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// A jump host that is a host of the inventory must not be reached through the host that jumps.
pub fn check_jumps(
    inventory: &Inventory,
    places: &BTreeMap<String, Place>,
    found: &mut Diagnostics,
) {
    for (name, place) in places {
        let mut chain = vec![name.as_str()];
        let mut current = name.as_str();
        while let Some(next) = next_hop(inventory, current) {
            chain.push(next);
            if next == name {
                found.push(
                    Diagnostic::at(
                        place,
                        format!(
                            "host `{name}` is reached through itself: {}",
                            chain.join(" \u{2192} ")
                        ),
                    )
                    .hint("name a jump host that is reached without it"),
                );
                break;
            }
            if chain.iter().filter(|other| **other == next).count() > 1 {
                break;
            }
            current = next;
        }
    }
}

/// The host of the inventory that a host is reached through first, if any.
fn next_hop<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a str> {
    let Connection::Ssh(ssh) = &inventory.hosts.get(name)?.connection else {
        return None;
    };
    let hop = ssh
        .proxy_jump
        .as_deref()?
        .rsplit(',')
        .find_map(address::hop_name)?;
    inventory
        .hosts
        .get_key_value(hop)
        .map(|(key, _)| key.as_str())
}

/// Two names for one machine are nearly always a slip of copy and paste.
pub fn warn_of_twins(inventory: &Inventory, found: &mut Diagnostics) {
    let mut seen: HashMap<(&str, String), &Host> = HashMap::new();
    for host in inventory.hosts.values() {
        let way = match &host.connection {
            Connection::Local => ("this machine", String::new()),
            Connection::Ssh(ssh) => (
                "the machine at",
                format!(" `{}` port {}", ssh.host.to_lowercase(), ssh.port)
                    + &ssh
                        .proxy_jump
                        .as_ref()
                        .map_or_else(String::new, |jump| format!(" through `{jump}`")),
            ),
        };
        let internal = host
            .internal_ipv4
            .as_ref()
            .map(|address| ("the machine with `internal_ipv4`", format!(" {address}")));
        for key in [Some(way), internal].into_iter().flatten() {
            let text = format!("{}{}", key.0, key.1);
            let Some(first) = seen.get(&key) else {
                seen.insert(key, host);
                continue;
            };
            let mut diagnostic = Diagnostic::warning(format!(
                "hosts `{}` and `{}` are both {text}",
                first.name, host.name
            ))
            .hint("everything would be done there twice: use one name, or correct the address");
            diagnostic.place.clone_from(&host.place);
            if let Some(place) = &first.place {
                diagnostic = diagnostic.related(place, "the other one");
            }
            found.push(diagnostic);
            break;
        }
    }
}
