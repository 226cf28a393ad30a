//! Interfaces and default routes by Ansible's names.

use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::ansible::number;
use super::frame::Frames;
use super::network;

/// One address of an interface.
fn ipv4(address: &str, broadcast: Option<&str>) -> Value {
    let (plain, prefix) = address.split_once('/').unwrap_or((address, "32"));
    let bits: u32 = prefix.parse().unwrap_or(32);
    let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
    let network = plain
        .parse::<Ipv4Addr>()
        .map(|plain| Ipv4Addr::from(u32::from(plain) & mask).to_string());
    json!({
        "address": plain, "broadcast": broadcast.unwrap_or_default(), "netmask": Ipv4Addr::from(mask).to_string(),
        "network": network.unwrap_or_default(), "prefix": prefix,
    })
}

/// `ansible_eth0` and the like, `ansible_default_ipv4` and `ansible_default_ipv6`.
pub(super) fn read(frames: &Frames<'_>) -> Value {
    let mut all = Map::new();
    for line in frames.lines("link-details") {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, flags, state, address, mtu, kind, speed, bus] = words.as_slice() else {
            continue;
        };
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        let kind = match *kind {
            "1" => "ether",
            "772" => "loopback",
            "512" => "ppp",
            "65534" => "tunnel",
            _ => "unknown",
        };
        let mut interface = json!({
            "device": name, "active": *state != "down", "mtu": number(Some(mtu)), "promisc": flags & 0x100 != 0, "type": kind,
        });
        if let Value::Object(interface) = &mut interface {
            if !matches!(*address, "-" | "00:00:00:00:00:00") {
                interface.insert("macaddress".to_owned(), (*address).into());
            }
            if let Ok(speed) = speed.parse::<i64>() {
                interface.insert("speed".to_owned(), speed.into());
            }
            if *bus != "-" {
                interface.insert("pciid".to_owned(), (*bus).into());
            }
            addresses(frames, name, interface);
        }
        all.insert((*name).to_owned(), interface);
    }
    super::ansible_links::add(frames, &mut all);
    let mut facts = Map::new();
    facts.insert(
        "ansible_locally_reachable_ips".to_owned(),
        reachable(frames),
    );
    for (is_ipv6, version) in [(false, "ipv4"), (true, "ipv6")] {
        let default = default_route(network::default_routes(frames, is_ipv6), version, &all);
        facts.insert(format!("ansible_default_{version}"), default);
    }
    facts.extend(all.into_iter().map(|(name, value)| {
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        (format!("ansible_{plain}"), value)
    }));
    Value::Object(facts)
}

/// The addresses that the host answers to, as its table of local routes has them.
fn reachable(frames: &Frames<'_>) -> Value {
    let mut all: [std::collections::BTreeSet<&str>; 2] = Default::default();
    let [ipv4, ipv6] = &mut all;
    for line in network::addresses(frames) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, on, family, address, ..] = words.as_slice() else {
            continue;
        };
        let plain = address.split('/').next().unwrap_or(address);
        match *family {
            "inet" => {
                if *on == "lo" && plain.starts_with("127.") {
                    ipv4.insert("127.0.0.0/8");
                }
                ipv4.insert(plain);
            }
            "inet6" => {
                ipv6.insert(plain);
            }
            _ => {}
        }
    }
    json!({"ipv4": ipv4, "ipv6": ipv6})
}

/// Puts the addresses of an interface into its fact.
fn addresses(frames: &Frames<'_>, name: &str, interface: &mut Map<String, Value>) {
    let mut ipv6 = Vec::new();
    let mut secondaries = Vec::new();
    for line in network::addresses(frames) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, on, family, address, rest @ ..] = words.as_slice() else {
            continue;
        };
        let on = on.trim_end_matches(':');
        if on.split('@').next() != Some(name) {
            continue;
        }
        let after = |word: &str| {
            let at = rest.iter().position(|other| *other == word)?;
            rest.get(at + 1).copied()
        };
        match *family {
            "inet" => {
                let address = ipv4(address, after("brd"));
                if interface.contains_key("ipv4") {
                    secondaries.push(address);
                } else {
                    interface.insert("ipv4".to_owned(), address);
                }
            }
            "inet6" => {
                let (plain, prefix) = address.split_once('/').unwrap_or((address, "128"));
                ipv6.push(json!({"address": plain, "prefix": prefix, "scope": after("scope")}));
            }
            _ => {}
        }
    }
    if !ipv6.is_empty() {
        interface.insert("ipv6".to_owned(), ipv6.into());
    }
    if !secondaries.is_empty() {
        interface.insert("ipv4_secondaries".to_owned(), secondaries.into());
    }
}

/// The interface of a default route, with its address and its gateway.
fn default_route<'a>(
    mut lines: impl Iterator<Item = &'a str>,
    version: &str,
    interfaces: &Map<String, Value>,
) -> Value {
    let words: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let after = |word: &str| {
        let at = words.iter().position(|other| *other == word)?;
        words.get(at + 1).copied()
    };
    let Some((name, interface)) = after("dev").and_then(|name| Some((name, interfaces.get(name)?)))
    else {
        return json!({});
    };
    let address = if version == "ipv4" {
        interface.get("ipv4").cloned()
    } else {
        let all = interface.get("ipv6").and_then(Value::as_array);
        all.and_then(|all| {
            let is_global =
                |address: &&Value| address.get("scope").and_then(Value::as_str) == Some("global");
            all.iter().find(is_global).cloned()
        })
    };
    let mut route = match address {
        Some(Value::Object(address)) => address,
        _ => Map::new(),
    };
    route.insert("interface".to_owned(), name.into());
    if version == "ipv4" {
        route.insert("alias".to_owned(), name.into());
    }
    if let Some(gateway) = after("via") {
        route.insert("gateway".to_owned(), gateway.into());
    }
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = interface.get(key) {
            route.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(route)
}
