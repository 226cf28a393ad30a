//! What has to be looked at before the rules can judge: folders, programs, units, paths between hosts; and where an
//! installation puts things.

use crate::facts::{Extent, Wanted};
use crate::inventory::{Connection, Host, Inventory};
use crate::settings::{RegistryKind, RegistryName, Settings, Storage};

/// The Compose project of a docker-registry that kk installed.
pub const OUR_PROJECT: &str = "kk-registry";
/// Where programs are put.
pub const BINARIES: &str = "/usr/local/bin";
/// Where Docker keeps images unless the host says otherwise.
pub const IMAGES: &str = "/var/lib/docker";
/// Where uploads wait until they are used.
pub const STAGING: &str = "/var/lib/kk";
/// Data folders that are in use unless the user says otherwise.
const DEFAULT_DATA: [&str; 2] = ["/var/lib/docker-registry/data", "/var/lib/harbor/data"];

/// Programs that an installation uses on a host, or that say something about it.
const TOOLS: [&str; 14] = [
    "tar",
    "gzip",
    "sha256sum",
    "openssl",
    "iptables",
    "nft",
    "systemctl",
    "firewall-cmd",
    "ufw",
    "mount",
    "mktemp",
    "dd",
    "curl",
    "wget",
];

/// What to ask each host for.
pub fn wanted(settings: &Settings) -> Wanted {
    let mut folders: Vec<String> = [BINARIES, IMAGES, STAGING]
        .into_iter()
        .chain(data_folder(settings))
        .chain(DEFAULT_DATA)
        .map(str::to_owned)
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    Wanted {
        extent: Extent::Whole,
        folders,
        tools: TOOLS.map(str::to_owned).to_vec(),
        units: vec![format!("{OUR_PROJECT}.service")],
        fact_path: None,
    }
}

/// The registry's data folder on the hosts; `None` when the data lie elsewhere.
pub(super) fn data_folder(settings: &Settings) -> Option<&str> {
    let registry = &settings.image_registry;
    match (registry.kind, &registry.storage) {
        (RegistryKind::Harbor, _) => Some(&registry.harbor_data_dir),
        (RegistryKind::DockerRegistry, Storage::Filesystem { rootdir, .. }) => Some(rootdir),
        (RegistryKind::DockerRegistry, Storage::Object { .. }) => None,
    }
}

/// The ports of a registry host that clients and other hosts use.
pub(super) fn registry_ports(settings: &Settings) -> Vec<u16> {
    let registry = &settings.image_registry;
    match (registry.kind, registry.plain_http) {
        (_, true) => vec![registry.http_port],
        (RegistryKind::DockerRegistry, false) => vec![registry.https_port],
        // Harbor's proxy always publishes the plain port as well and sends clients on from there.
        (RegistryKind::Harbor, false) => vec![registry.https_port, registry.http_port],
    }
}

/// Members of the group `image_registry`, nested groups resolved, in order.
pub fn registry_hosts(inventory: &Inventory) -> Vec<String> {
    members(inventory, "image_registry")
}

/// Members of a group, nested groups resolved, each once, in order.
pub(super) fn members(inventory: &Inventory, group: &str) -> Vec<String> {
    inventory
        .hosts_of(group)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// One path between hosts that has to be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTarget {
    /// The host to reach.
    pub host: String,
    /// Its address as other hosts see it.
    pub address: String,
    /// The port.
    pub port: u16,
}

/// What `from` has to reach: the registry's ports on every other registry host. Hosts without an address of their own
/// (this machine, connected locally and without `internal_ipv4`) are left out.
pub fn peer_targets(inventory: &Inventory, settings: &Settings, from: &str) -> Vec<PeerTarget> {
    registry_hosts(inventory)
        .into_iter()
        .filter(|name| name != from)
        .filter_map(|name| {
            let address = address(inventory.host(&name)?.as_ref())?;
            Some((name, address))
        })
        .flat_map(|(name, address)| {
            registry_ports(settings)
                .into_iter()
                .map(move |port| PeerTarget {
                    host: name.clone(),
                    address: address.clone(),
                    port,
                })
        })
        .collect()
}

/// The address at which other hosts reach a host.
pub(super) fn address(host: &Host) -> Option<String> {
    host.internal_ipv4
        .clone()
        .or_else(|| host.internal_ipv6.clone())
        .or_else(|| match &host.connection {
            Connection::Ssh(ssh) => Some(ssh.host.clone()),
            Connection::Local => None,
        })
}

/// The name of the registry as clients use it, without port and project: as set, else the virtual address, else the
/// first registry host's address.
pub(super) fn registry_name(inventory: &Inventory, settings: &Settings) -> Option<String> {
    let registry = &settings.image_registry;
    if let Some(text) = registry.registry.as_deref().filter(|text| !text.is_empty()) {
        return Some(RegistryName::parse(text).map_or_else(|_| text.to_owned(), |name| name.host));
    }
    registry.ha_vip.clone().or_else(|| {
        registry_hosts(inventory)
            .iter()
            .find_map(|name| address(inventory.host(name)?.as_ref()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn nested_groups_and_cycles() {
        let mut inventory = testing::inventory(&["node1", "node2", "node3"]);
        inventory.groups.insert(
            "image_registry".to_owned(),
            testing::group(&["node2"], &["more", "missing"]),
        );
        inventory.groups.insert(
            "more".to_owned(),
            testing::group(&["node1", "node2"], &["image_registry"]),
        );
        assert_eq!(registry_hosts(&inventory), ["node2", "node1"]);
    }

    #[test]
    fn every_other_registry_host_is_a_target() {
        let inventory = testing::inventory(&["node1", "node2"]);
        let settings = testing::settings();
        let targets = peer_targets(&inventory, &settings, "node1");
        assert_eq!(
            targets,
            [PeerTarget {
                host: "node2".to_owned(),
                address: "10.0.0.12".to_owned(),
                port: 443,
            }]
        );
    }

    #[test]
    fn names_without_port_and_project() {
        let inventory = testing::inventory(&["node1"]);
        let mut settings = testing::settings();
        let mut name = |registry: Option<&str>| {
            settings.image_registry.registry = registry.map(str::to_owned);
            registry_name(&inventory, &settings).unwrap()
        };
        assert_eq!(name(Some("hub.kk.local:8443/library")), "hub.kk.local");
        assert_eq!(name(Some("[fd00::1]:8443")), "fd00::1");
        assert_eq!(name(None), "10.0.0.11");
    }

    #[test]
    fn folders_are_asked_for_once() {
        let wanted = wanted(&testing::settings());
        assert_eq!(
            wanted.folders,
            [
                "/usr/local/bin",
                "/var/lib/docker",
                "/var/lib/kk",
                "/var/lib/docker-registry/data",
                "/var/lib/harbor/data"
            ]
        );
    }
}
