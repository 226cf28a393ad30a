//! The names and addresses that a registry's certificate must be valid for.

use std::net::IpAddr;

/// Names and addresses, each once, in a stable order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Host names in lower case; may start with `*.`.
    pub dns: Vec<String>,
    /// Addresses of both families.
    pub addresses: Vec<IpAddr>,
}

/// What one registry host is known by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostNames<'a> {
    /// Its name in the inventory.
    pub name: &'a str,
    /// `internal_ipv4`.
    pub internal_ipv4: Option<&'a str>,
    /// `internal_ipv6`.
    pub internal_ipv6: Option<&'a str>,
    /// What kk connects to: a name or an address.
    pub address: Option<&'a str>,
}

impl CertificateNames {
    /// Only these, for instance the one name that a certificate of the user's own must have.
    pub fn only<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in texts {
            names.add(text);
        }
        names
    }

    /// Adds a name or an address, in brackets or not. What no certificate can hold (an empty text, a name with a
    /// blank) is left out: nobody can connect to it either.
    pub fn add(&mut self, text: &str) {
        let text = text.trim();
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        // The zone of a link-local address is of this machine only.
        let address = inner.split('%').next().unwrap_or(inner);
        if let Ok(address) = address.parse::<IpAddr>() {
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
            return;
        }
        let name = text.trim_end_matches('.').to_lowercase();
        if is_name(&name) && !self.dns.contains(&name) {
            self.dns.push(name);
        }
    }

    /// Those of `self` that `other` does not cover, wildcards respected.
    pub fn missing_in(&self, other: &Self) -> Vec<String> {
        let names = self
            .dns
            .iter()
            .filter(|name| !other.dns.iter().any(|pattern| matches(pattern, name)));
        let addresses = self
            .addresses
            .iter()
            .filter(|address| !other.addresses.contains(address));
        names
            .cloned()
            .chain(addresses.map(IpAddr::to_string))
            .collect()
    }

    /// All of them as texts.
    pub fn texts(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        self.dns.iter().cloned().chain(addresses).collect()
    }
}

/// The names of a registry's certificate: its own name without port and project, the virtual address, every registry
/// host by each of its names and addresses, and this machine's loopback.
pub fn certificate_names(
    registry: Option<&str>,
    vip: Option<&str>,
    hosts: &[HostNames<'_>],
) -> CertificateNames {
    let mut names = CertificateNames::default();
    if let Some(registry) = registry {
        names.add(registry_host(registry));
    }
    if let Some(vip) = vip {
        // A virtual address may be written with its prefix length.
        names.add(vip.split('/').next().unwrap_or(vip));
    }
    for host in hosts {
        names.add(host.name);
        for text in [host.internal_ipv4, host.internal_ipv6, host.address]
            .into_iter()
            .flatten()
        {
            names.add(text.split('/').next().unwrap_or(text));
        }
    }
    for text in ["localhost", "127.0.0.1", "::1"] {
        names.add(text);
    }
    names
}

/// The host part of `[scheme://]host[:port][/project]`, without the brackets of an IPv6 address.
pub fn registry_host(registry: &str) -> &str {
    let rest = registry
        .split_once("://")
        .map_or(registry, |(_, rest)| rest)
        .trim();
    let authority = rest.split('/').next().unwrap_or(rest);
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    if authority.parse::<IpAddr>().is_ok() {
        return authority;
    }
    authority.split(':').next().unwrap_or(authority)
}

/// Whether a name may stand in a certificate; `*` only as the whole first label.
fn is_name(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    !rest.is_empty()
        && rest.len() <= 253
        && rest.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// Whether a name in a certificate, perhaps a wildcard, is valid for a host name.
fn matches(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(suffix), Some((label, rest))) => suffix == rest && label != "*",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_client_may_call_it() {
        let names = certificate_names(
            Some("Registry.Example.com:5443/project"),
            Some("10.0.0.100/24"),
            &[
                HostNames {
                    name: "node1",
                    internal_ipv4: Some("10.0.0.11"),
                    internal_ipv6: Some("fd00::11"),
                    address: Some("node1.example.com"),
                },
                HostNames {
                    name: "node 2",
                    address: Some("10.0.0.11"),
                    ..HostNames::default()
                },
            ],
        );
        assert_eq!(
            names.texts(),
            [
                "registry.example.com",
                "node1",
                "node1.example.com",
                "localhost",
                "10.0.0.100",
                "10.0.0.11",
                "fd00::11",
                "127.0.0.1",
                "::1",
            ]
        );
    }

    #[test]
    fn the_host_of_a_registry() {
        for (text, host) in [
            ("registry.example.com", "registry.example.com"),
            ("registry.example.com:5000", "registry.example.com"),
            ("10.0.0.1/library", "10.0.0.1"),
            ("https://r.example.com:1/a/b", "r.example.com"),
            ("[fd00::1]:5000/p", "fd00::1"),
            ("fd00::1", "fd00::1"),
            ("", ""),
        ] {
            assert_eq!(registry_host(text), host);
        }
    }

    #[test]
    fn wildcards_cover_one_label() {
        let has = CertificateNames::only(["*.example.com", "10.0.0.1"]);
        let wanted = CertificateNames::only([
            "a.example.com",
            "a.b.example.com",
            "example.com",
            "10.0.0.1",
            "10.0.0.2",
            "*.example.com",
        ]);
        assert_eq!(
            wanted.missing_in(&has),
            ["a.b.example.com", "example.com", "10.0.0.2"]
        );
    }
}
