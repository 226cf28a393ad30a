//! What the registry is called: its own name, the name of each host's registry, and where they are reached.

use std::net::{IpAddr, ToSocketAddrs as _};

use indexmap::{IndexMap, IndexSet};
use serde_json::{Value, json};

use super::prepare::Prepared;
use super::vip::Vip;
use crate::engine::Fleet;
use crate::inventory::Connection;
use crate::pki::{CertificateNames, HostNames, certificate_names};
use crate::settings::{RegistryName, Settings};

/// One registry: the name that clients use, and the host behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEndpoint {
    /// Name or address without port: what its certificate is asked for.
    pub name: String,
    /// The host's own address, to connect to; `None` when it has a name that this machine cannot resolve.
    pub address: Option<IpAddr>,
    /// `host` or `host:port`, as images name it.
    pub endpoint: String,
}

/// Every name of an installation.
#[derive(Debug, Clone)]
pub struct Names {
    /// The port that is published.
    pub port: u16,
    /// The project behind the name, if any.
    pub project: Option<String>,
    /// The registry of each host, in inventory order. The first one carries the registry's own name; behind a virtual
    /// address all do, because they are one registry.
    pub hosts: IndexMap<String, HostEndpoint>,
    /// The virtual address, where there is one.
    pub vip: Option<Vip>,
    /// What the certificate must be valid for.
    pub certificate: CertificateNames,
}

impl Names {
    /// Works the names out. `hosts` are the registry's hosts.
    pub fn of(prepared: &Prepared, fleet: &Fleet, hosts: &[String]) -> Self {
        let settings = &prepared.settings;
        let given = settings
            .image_registry
            .registry
            .as_deref()
            .and_then(|text| RegistryName::parse(text).ok());
        let port = port(settings);
        let mut endpoints = IndexMap::new();
        let addresses: Vec<(String, String)> = hosts
            .iter()
            .map(|name| (name.clone(), address_of(prepared, fleet, name)))
            .collect();
        let vip = Vip::of(prepared, fleet, hosts);
        for (index, (host, address)) in addresses.iter().enumerate() {
            let name = match (index, &vip, &given) {
                (0, _, Some(given)) | (_, Some(_), Some(given)) => given.host.clone(),
                (_, Some(vip), None) => vip.address.to_string(),
                _ => address.clone(),
            };
            let endpoint = endpoint(settings, &name, port);
            endpoints.insert(
                host.clone(),
                HostEndpoint {
                    name,
                    address: resolve(address),
                    endpoint,
                },
            );
        }
        let known: Vec<HostNames<'_>> = addresses
            .iter()
            .filter_map(|(name, address)| {
                let host = prepared.inventory.hosts.get(name)?;
                Some(HostNames {
                    name,
                    internal_ipv4: host.internal_ipv4.as_deref(),
                    internal_ipv6: host.internal_ipv6.as_deref(),
                    address: Some(match &host.connection {
                        Connection::Ssh(ssh) => &ssh.host,
                        Connection::Local => address,
                    }),
                })
            })
            .collect();
        let registry = given.as_ref().map(|given| given.host.as_str());
        let certificate =
            certificate_names(registry, settings.image_registry.ha_vip.as_deref(), &known);
        Self {
            port,
            project: given.and_then(|given| given.project),
            hosts: endpoints,
            vip,
            certificate,
        }
    }

    /// The registry itself: the first host's name and endpoint.
    pub fn registry(&self) -> Option<&HostEndpoint> {
        self.hosts.values().next()
    }

    /// Lines for `/etc/hosts`: the registry's name, where it is no address.
    pub fn hosts_lines(&self) -> Vec<String> {
        let lines = self.hosts.values().filter_map(|host| {
            let address = self.vip.as_ref().map(|vip| vip.address).or(host.address)?;
            host.name
                .parse::<IpAddr>()
                .is_err()
                .then(|| format!("{address} {}", host.name))
        });
        let lines: IndexSet<String> = lines.collect();
        lines.into_iter().collect()
    }

    /// What clients call the registries: each once.
    pub fn endpoints(&self) -> Vec<&str> {
        let endpoints = self.hosts.values().map(|host| host.endpoint.as_str());
        let endpoints: IndexSet<&str> = endpoints.collect();
        endpoints.into_iter().collect()
    }

    /// For templates: the registry, and each host's.
    pub fn variables(&self) -> (Value, Value) {
        let endpoints = self.endpoints();
        let registry = json!({
            "name": self.registry().map(|host| &host.name),
            "endpoint": self.registry().map(|host| &host.endpoint),
            "endpoints": endpoints,
            "port": self.port,
            "project": self.project,
        });
        let hosts: serde_json::Map<String, Value> = self
            .hosts
            .iter()
            .map(|(name, host)| {
                (
                    name.clone(),
                    json!({"name": host.name, "address": host.address, "endpoint": host.endpoint}),
                )
            })
            .collect();
        (registry, Value::Object(hosts))
    }
}

/// The port that the registry publishes.
pub fn port(settings: &Settings) -> u16 {
    if settings.image_registry.plain_http {
        settings.image_registry.http_port
    } else {
        settings.image_registry.https_port
    }
}

fn endpoint(settings: &Settings, name: &str, port: u16) -> String {
    let host = if name.contains(':') {
        format!("[{name}]")
    } else {
        name.to_owned()
    };
    // Clients leave the port out only where TLS has its own: Docker reads `host/image` as port 443.
    if port == 443 && !settings.image_registry.plain_http
        || port == 80 && settings.image_registry.plain_http
    {
        host
    } else {
        format!("{host}:{port}")
    }
}

/// What other hosts reach a host at. For this machine without an address in the inventory: its default interface's.
fn address_of(prepared: &Prepared, fleet: &Fleet, name: &str) -> String {
    let Some(host) = prepared.inventory.hosts.get(name) else {
        return name.to_owned();
    };
    let address = host.internal_address();
    if host.connection == Connection::Local
        && resolve(address).is_none_or(|address| address.is_loopback())
    {
        let facts = fleet.member(name).and_then(|member| member.facts());
        let own = facts.and_then(|facts| {
            let wanted = facts.default_interface.clone();
            let interfaces = || {
                facts
                    .interfaces
                    .iter()
                    .filter(|interface| interface.up && interface.name != "lo")
            };
            let interface = interfaces()
                .find(|interface| Some(&interface.name) == wanted.as_ref())
                .or_else(|| interfaces().next())?;
            let address = interface
                .addresses
                .iter()
                .find(|address| !address.starts_with("fe80"))?;
            Some(address.split('/').next().unwrap_or(address).to_owned())
        });
        return own.unwrap_or_else(|| "127.0.0.1".to_owned());
    }
    address.to_owned()
}

fn resolve(address: &str) -> Option<IpAddr> {
    if let Ok(address) = address.parse() {
        return Some(address);
    }
    (address, 0_u16)
        .to_socket_addrs()
        .ok()?
        .next()
        .map(|socket| socket.ip())
}
