//! The virtual address of several registry hosts.

use std::net::IpAddr;

use super::super::requirements::address;
use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::list;
use crate::facts::{Facts, Interface};

pub(in crate::precheck) fn vip(look: &Look<'_>) -> Judgements {
    let Some(text) = look.settings().image_registry.ha_vip.as_deref() else {
        return Vec::new();
    };
    let required = "an address that nobody has, in a network of every registry host";
    let Some(vip) = look.vip() else {
        return vec![(
            None,
            Judgement::fail(
                format!("`{text}`"),
                required,
                "set `image_registry.ha_vip` to one address without a prefix length",
            ),
        )];
    };
    let mut findings = vec![(None, as_a_whole(look, vip, required))];
    for (host, facts) in look.registry_facts() {
        let interface = look.settings().image_registry.ha_interface.as_deref();
        findings.push((Some(host.to_owned()), on_host(vip, interface, facts)));
    }
    findings
}

fn as_a_whole(look: &Look<'_>, vip: IpAddr, required: &str) -> Judgement {
    let odd = match vip {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unspecified() || address.is_multicast()
        }
    };
    if odd {
        return Judgement::fail(
            format!("`{vip}`"),
            required,
            "choose an address that a host can have",
        );
    }
    if let Some(owner) = owner(look, vip) {
        return Judgement::fail(
            format!("`{vip}` is the address of {owner}"),
            required,
            "choose an address that no host has",
        );
    }
    let holder = holder(look, vip);
    if look.input.vip_answers == Some(true) && holder.is_none() {
        return Judgement::fail(
            format!("something answers at `{vip}`"),
            required,
            "choose an address that nobody has, or turn off who has it",
        );
    }
    if look.registry.len() < 2 {
        return Judgement::warn(
            format!("`{vip}` for one host"),
            "at least two registry hosts",
            "name a second host in the group `image_registry`, or remove `image_registry.ha_vip`",
        );
    }
    match (holder, look.input.vip_answers) {
        (Some(host), _) => {
            Judgement::pass(format!("`{vip}`, held by our own on `{host}`"), required)
        }
        (None, Some(_)) => Judgement::pass(format!("`{vip}`, nobody answers"), required),
        (None, None) => Judgement::warn(
            format!("`{vip}`, no host of the inventory has it"),
            required,
            "it was not tried whether another machine answers there: `ping` it",
        ),
    }
}

/// Who has the address as their own by the inventory, or is this machine.
fn owner(look: &Look<'_>, vip: IpAddr) -> Option<String> {
    let is = |text: &str| text.parse() == Ok(vip);
    for (name, host) in &look.input.inventory.hosts {
        let own = [
            address(host),
            host.internal_ipv4.clone(),
            host.internal_ipv6.clone(),
        ];
        if own.iter().flatten().any(|address| is(address)) {
            return Some(format!("`{name}`"));
        }
    }
    for (name, facts) in look.facts() {
        if facts.addresses().any(is) && !keeps_vip(look, name, facts) {
            return Some(format!("`{name}`"));
        }
    }
    let control = &look.input.control;
    let here = control.addresses.iter().any(|address| is(address));
    // This machine may be the registry host that holds it.
    (here && holder(look, vip).is_none()).then(|| "this machine".to_owned())
}

/// Whether an address on a host can be the virtual one, put there by keepalived.
fn keeps_vip(look: &Look<'_>, host: &str, facts: &Facts) -> bool {
    let container = facts
        .containers
        .iter()
        .any(|container| container.running && container.image.contains("keepalived"));
    let unit = facts
        .services
        .get("keepalived")
        .is_some_and(|unit| unit.active == "active");
    look.is_registry(host) && (container || unit)
}

/// The registry host whose keepalived holds the address now.
fn holder<'a>(look: &Look<'a>, vip: IpAddr) -> Option<&'a str> {
    look.registry_facts()
        .find(|(name, facts)| {
            facts.addresses().any(|address| address.parse() == Ok(vip))
                && keeps_vip(look, name, facts)
        })
        .map(|(name, _)| name)
}

/// Whether the host can hold the address: on the interface that is named, or on any.
fn on_host(vip: IpAddr, wanted: Option<&str>, facts: &Facts) -> Judgement {
    let required = match wanted {
        Some(name) => format!("`{name}` in the network of `{vip}`"),
        None => format!("an interface in the network of `{vip}`"),
    };
    if let Some(name) = wanted
        && !facts.interfaces.iter().any(|found| found.name == name)
    {
        let names: Vec<&str> = facts
            .interfaces
            .iter()
            .map(|found| found.name.as_str())
            .filter(|name| *name != "lo")
            .collect();
        return Judgement::fail(
            format!("no interface `{name}`; there are {}", list(&names, 4)),
            required,
            "set `image_registry.ha_interface` to one that every registry host has, or leave it empty",
        );
    }
    match interface_in_network(vip, wanted, facts) {
        Some((interface, address)) if interface.up => {
            Judgement::pass(format!("`{}` has `{address}`", interface.name), required)
        }
        Some((interface, _)) => Judgement::fail(
            format!("`{}` is down", interface.name),
            required,
            format!("bring it up: `ip link set {} up`", interface.name),
        ),
        None => Judgement::fail(
            "no interface in that network",
            required,
            "choose a virtual address in a network that all registry hosts share",
        ),
    }
}

/// The first interface, or the one that is named, with an address in the network of the virtual one.
fn interface_in_network<'a>(
    vip: IpAddr,
    wanted: Option<&str>,
    facts: &'a Facts,
) -> Option<(&'a Interface, &'a String)> {
    let mut interfaces = facts.interfaces.iter();
    interfaces.find_map(|interface| {
        let mut addresses = interface.addresses.iter();
        let address = addresses.find(|address| contains(address, vip))?;
        wanted
            .is_none_or(|name| interface.name == name)
            .then_some((interface, address))
    })
}

/// The interface of a host that a virtual address is put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipInterface {
    /// Its name.
    pub name: String,
    /// The host's own addresses on it in the network of the virtual one.
    pub addresses: Vec<IpAddr>,
}

/// Finds the interface for a virtual address: the one that is named, else the first whose network holds the address.
pub fn interface_of_vip(vip: IpAddr, wanted: Option<&str>, facts: &Facts) -> Option<VipInterface> {
    let (interface, _) = interface_in_network(vip, wanted, facts)?;
    let addresses = interface.addresses.iter();
    let own = addresses
        .filter(|address| contains(address, vip))
        .filter_map(|address| address.split('/').next()?.parse().ok())
        .filter(|address| *address != vip);
    Some(VipInterface {
        name: interface.name.clone(),
        addresses: own.collect(),
    })
}

/// Whether the network of `address/prefix` contains another address. The address's own whole length is no network.
fn contains(address: &str, other: IpAddr) -> bool {
    let Some((address, prefix)) = address.split_once('/') else {
        return false;
    };
    let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), prefix.parse::<u32>()) else {
        return false;
    };
    match (address, other) {
        (IpAddr::V4(address), IpAddr::V4(other)) if (1..32).contains(&prefix) => {
            let shift = 32 - prefix;
            u32::from(address) >> shift == u32::from(other) >> shift
        }
        (IpAddr::V6(address), IpAddr::V6(other)) if (1..128).contains(&prefix) => {
            let shift = 128 - prefix;
            u128::from(address) >> shift == u128::from(other) >> shift
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};
    use super::*;
    use crate::facts::{Container, ServiceFact};

    fn world(vip: &str) -> World {
        let mut world = World::new(&["node1", "node2"]);
        world.settings.image_registry.ha_vip = Some(vip.to_owned());
        world.vip_answers = Some(false);
        world
    }

    fn whole(world: &World) -> Finding {
        world.finding("vip", None)
    }

    #[test]
    fn none_is_not_judged() {
        assert!(World::new(&["node1"]).findings("vip").is_empty());
    }

    #[test]
    fn well_formed_unused_and_in_the_network() {
        let mut good = world("10.0.0.100");
        assert_eq!(whole(&good).measured, "`10.0.0.100`, nobody answers");
        let host = good.finding("vip", Some("node1"));
        assert_eq!(
            (host.status, host.measured.as_str()),
            (Status::Pass, "`eth0` has `10.0.0.11/24`")
        );
        good.vip_answers = None;
        assert_eq!(whole(&good).status, Status::Warn);
        good.vip_answers = Some(true);
        assert_eq!(whole(&good).status, Status::Fail);
        assert_eq!(whole(&world("10.0.0.100/24")).status, Status::Fail);
        assert_eq!(whole(&world("127.0.0.1")).status, Status::Fail);
        assert_eq!(
            world("10.9.0.100").finding("vip", Some("node2")).status,
            Status::Fail
        );
    }

    #[test]
    fn the_address_of_a_host_is_not_free() {
        assert_eq!(
            whole(&world("10.0.0.12")).measured,
            "`10.0.0.12` is the address of `node2`"
        );
        let mut second = world("10.0.0.100");
        second.facts("node1").interfaces[0]
            .addresses
            .push("10.0.0.100/24".to_owned());
        assert_eq!(whole(&second).status, Status::Fail);
        let mut control = world("10.0.0.100");
        control.control.addresses = vec!["10.0.0.100".to_owned()];
        assert!(whole(&control).measured.contains("this machine"));
    }

    #[test]
    fn our_own_keepalived_may_hold_it() {
        let mut held = world("10.0.0.100");
        held.vip_answers = Some(true);
        let facts = held.facts("node1");
        facts.interfaces[0]
            .addresses
            .push("10.0.0.100/32".to_owned());
        facts.containers = vec![Container {
            image: "osixia/keepalived:2.0.20".to_owned(),
            running: true,
            ..Container::default()
        }];
        assert_eq!(
            whole(&held).measured,
            "`10.0.0.100`, held by our own on `node1`"
        );
        let facts = held.facts("node1");
        facts.containers.clear();
        facts.services.insert(
            "keepalived".to_owned(),
            ServiceFact {
                active: "active".to_owned(),
                enabled: String::new(),
            },
        );
        assert_eq!(whole(&held).status, Status::Pass);
    }

    #[test]
    fn one_host_needs_none() {
        let mut one = world("10.0.0.100");
        one.registry(&["node1"]);
        assert_eq!(whole(&one).status, Status::Warn);
    }

    #[test]
    fn an_interface_that_is_down() {
        let mut down = world("10.0.0.100");
        down.facts("node1").interfaces[0].up = false;
        assert_eq!(
            down.finding("vip", Some("node1")).measured,
            "`eth0` is down"
        );
    }

    #[test]
    fn the_interface_that_is_named_has_to_be_there() {
        let mut named = world("10.0.0.100");
        named.settings.image_registry.ha_interface = Some("eth0".to_owned());
        assert_eq!(named.finding("vip", Some("node1")).status, Status::Pass);
        named.settings.image_registry.ha_interface = Some("ens18".to_owned());
        assert_eq!(
            named.finding("vip", Some("node1")).measured,
            "no interface `ens18`; there are eth0"
        );
        named
            .facts("node1")
            .interfaces
            .push(crate::facts::Interface {
                name: "ens18".to_owned(),
                addresses: vec!["10.9.0.1/24".to_owned()],
                up: true,
            });
        assert_eq!(named.finding("vip", Some("node1")).status, Status::Fail);
    }

    #[test]
    fn networks() {
        let is = |address: &str, other: &str| contains(address, other.parse().unwrap());
        assert!(is("10.0.0.11/24", "10.0.0.100"));
        assert!(!is("10.0.0.11/24", "10.0.1.100"));
        assert!(!is("10.0.0.11/32", "10.0.0.11"));
        assert!(is("fd00::1/64", "fd00::ffff"));
        assert!(!is("fd00::1/64", "fd01::1"));
        assert!(!is("fd00::1/64", "10.0.0.1"));
        assert!(!is("odd", "10.0.0.1"));
    }
}
