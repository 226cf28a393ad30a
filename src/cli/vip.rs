//! The virtual address of several registry hosts, as keepalived on each of them is told of it.

use std::net::IpAddr;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::live::Live;
use super::prepare::Prepared;
use crate::engine::Fleet;
use crate::facts::{self, Facts, VrrpProbe};
use crate::inventory::Connection;
use crate::precheck::{HeardVrrp, VipInterface, interface_of_vip};

/// The priority of the first host; each one after it has [`STEP`] less, so that two of them never send for the address at
/// the same moment (the skew time of RFC 5798, section 6.1, follows from it).
const HIGHEST: u8 = 250;
const STEP: u8 = 10;

/// The virtual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// VRRP's virtual router id.
    pub router_id: u8,
    /// Each registry host's part in it, in inventory order.
    pub hosts: IndexMap<String, VipHost>,
}

/// A host that may hold the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipHost {
    /// The interface that the address is put on; `None` as long as the host was not looked at.
    pub interface: Option<String>,
    /// The host's own address of the same family: where its peers find it.
    pub source: Option<IpAddr>,
    /// The higher, the sooner it takes the address.
    pub priority: u8,
}

impl Vip {
    /// Works it out for `hosts`, the registry's hosts. `None` without a virtual address, and where it is none; the precheck
    /// says so.
    pub fn of(prepared: &Prepared, fleet: &Fleet, hosts: &[String]) -> Option<Self> {
        let registry = &prepared.settings.image_registry;
        let address: IpAddr = registry.ha_vip.as_deref()?.trim().parse().ok()?;
        let mut priority = HIGHEST;
        let hosts = hosts.iter().map(|name| {
            let facts = fleet.member(name).and_then(|member| member.facts());
            let interface = facts.as_deref().and_then(|facts| {
                interface_of_vip(address, registry.ha_interface.as_deref(), facts)
            });
            let host = VipHost {
                source: source(prepared, name, address, interface.as_ref()),
                interface: interface.map(|interface| interface.name),
                priority,
            };
            priority = priority.saturating_sub(STEP).max(1);
            (name.clone(), host)
        });
        Some(Self {
            address,
            router_id: registry
                .ha_virtual_router_id
                .unwrap_or_else(|| derived_router_id(address)),
            hosts: hosts.collect(),
        })
    }

    /// The addresses of the other hosts.
    pub fn peers_of(&self, name: &str) -> Vec<IpAddr> {
        let others = self.hosts.iter().filter(|(other, _)| *other != name);
        others.filter_map(|(_, other)| other.source).collect()
    }

    /// For templates.
    pub fn variables(&self) -> Value {
        let of_host = |(name, host): (&String, &VipHost)| {
            let peers = self.peers_of(name);
            let value = json!({
                "interface": host.interface,
                "source": host.source,
                "priority": host.priority,
                "peers": peers,
            });
            (name.clone(), value)
        };
        let hosts: Map<String, Value> = self.hosts.iter().map(of_host).collect();
        json!({
            "address": self.address,
            // The address alone: a network of its own would bring a second route for the host's network.
            "prefix": if self.address.is_ipv4() { 32 } else { 128 },
            "is_ipv6": self.address.is_ipv6(),
            "router_id": self.router_id,
            "hosts": hosts,
        })
    }
}

/// What the registry hosts hear of VRRP, all listening at once. Where one of them runs keepalived already, nothing is sent.
pub async fn hear(live: &Live, fleet: &Fleet, vip: Option<&Vip>) -> Option<HeardVrrp> {
    let vip = vip?;
    let runs = |facts: &Facts| {
        let mut containers = facts.containers.iter();
        containers.any(|container| container.running && container.image.contains("keepalived"))
    };
    let only_listened = vip.hosts.keys().any(|name| {
        let facts = fleet.member(name).and_then(|member| member.facts());
        facts.is_some_and(|facts| runs(&facts))
    });
    let probes = vip.hosts.iter().map(|(name, host)| async move {
        let (source, interface) = (host.source?, host.interface.as_deref()?);
        let member = fleet.member(name)?;
        let peers = if only_listened {
            Vec::new()
        } else {
            vip.peers_of(name)
        };
        let heard = match member.session_as_root(&live.control.cancel) {
            Ok(session) => facts::vrrp(&session, interface, source, &peers).await,
            Err(error) => Err(error),
        };
        let heard = heard.unwrap_or_else(|error| VrrpProbe::Unknown(error.to_string()));
        Some((name.clone(), (source, heard)))
    });
    let hosts = futures::future::join_all(probes).await;
    Some(HeardVrrp {
        router_id: vip.router_id,
        hosts: hosts.into_iter().flatten().collect(),
        only_listened,
    })
}

/// Two clusters of one network rarely have addresses with the same last byte, and an operator can tell it by heart.
fn derived_router_id(address: IpAddr) -> u8 {
    let last = match address {
        IpAddr::V4(address) => address.octets().last().copied(),
        IpAddr::V6(address) => address.octets().last().copied(),
    };
    last.filter(|id| *id > 0).unwrap_or(u8::MAX)
}

/// The host's own address that its peers send to: one of the inventory that is on the interface, else what is on the
/// interface, else the inventory's.
fn source(
    prepared: &Prepared,
    name: &str,
    vip: IpAddr,
    interface: Option<&VipInterface>,
) -> Option<IpAddr> {
    let host = prepared.inventory.host(name)?;
    let ssh = match &host.connection {
        Connection::Ssh(ssh) => Some(ssh.host.as_str()),
        Connection::Local => None,
    };
    let known = [
        host.internal_ipv4.as_deref(),
        host.internal_ipv6.as_deref(),
        ssh,
    ];
    let known: Vec<IpAddr> = known
        .into_iter()
        .flatten()
        .filter_map(|text| text.parse().ok())
        .filter(|address: &IpAddr| address.is_ipv4() == vip.is_ipv4() && *address != vip)
        .collect();
    let on_interface = interface.map_or(&[][..], |interface| &interface.addresses);
    let of_both = known.iter().find(|address| on_interface.contains(address));
    of_both
        .or_else(|| on_interface.first())
        .or_else(|| known.first())
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_id_is_the_last_byte() {
        let id = |text: &str| derived_router_id(text.parse().unwrap());
        assert_eq!(id("10.0.0.100"), 100);
        assert_eq!(id("10.0.1.0"), 255);
        assert_eq!(id("fd00::1:7"), 7);
        assert_eq!(id("fd00::"), 255);
    }

    #[test]
    fn every_host_has_the_others_as_peers_and_a_priority_of_its_own() {
        let host = |last: u8, priority| VipHost {
            interface: Some("eth0".to_owned()),
            source: Some(IpAddr::from([10, 0, 0, last])),
            priority,
        };
        let vip = Vip {
            address: IpAddr::from([10, 0, 0, 100]),
            router_id: 100,
            hosts: IndexMap::from_iter([
                ("a".to_owned(), host(11, 250)),
                ("b".to_owned(), host(12, 240)),
                ("c".to_owned(), host(13, 230)),
            ]),
        };
        let variables = vip.variables();
        assert_eq!(variables["prefix"], 32);
        let b = &variables["hosts"]["b"];
        assert_eq!(b["peers"], json!(["10.0.0.11", "10.0.0.13"]));
        assert_eq!(b["source"], "10.0.0.12");
        assert_eq!(b["priority"], 240);
    }
}
