//! What this machine is called, to tell whether a host of the inventory is this very machine.

use std::net::IpAddr;

/// Names and addresses of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalMachine {
    /// Host names, lower case: the whole one and its first label.
    pub names: Vec<String>,
    /// Addresses of its interfaces, loopback included.
    pub addresses: Vec<IpAddr>,
}

impl LocalMachine {
    /// Asks the system. What cannot be read is left out.
    pub fn gather() -> Self {
        let mut machine = Self::default();
        if let Ok(name) = rustix::system::uname().nodename().to_str() {
            machine.add_name(name);
        }
        if let Ok(interfaces) = if_addrs::get_if_addrs() {
            machine
                .addresses
                .extend(interfaces.iter().map(if_addrs::Interface::ip));
        }
        machine
    }

    /// A machine with a name and addresses, for tests.
    pub fn new(name: &str, addresses: &[IpAddr]) -> Self {
        let mut machine = Self {
            names: Vec::new(),
            addresses: addresses.to_vec(),
        };
        machine.add_name(name);
        machine
    }

    fn add_name(&mut self, name: &str) {
        let name = name.trim_end_matches('.').to_lowercase();
        let short = name.split('.').next().unwrap_or_default().to_owned();
        for name in [name, short] {
            if !name.is_empty() && !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }

    /// Whether a name or address means this machine: `localhost`, a loopback address, its name or one of its
    /// addresses. Names are not resolved.
    pub fn is_local(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_lowercase();
        if let Some(address) = parse_address(&host) {
            return address.is_loopback() || self.addresses.contains(&address);
        }
        host == super::LOCALHOST || self.names.contains(&host)
    }
}

/// An address, IPv6 with or without brackets, an IPv4 one inside IPv6 as IPv4. A zone (`%eth0`) does not count.
fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let inner = inner.split('%').next().unwrap_or(inner);
    let address: IpAddr = inner.parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_names_and_addresses() {
        let machine = LocalMachine::new(
            "Control.example.org",
            &["10.0.0.1".parse().unwrap(), "fe80::1".parse().unwrap()],
        );
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "[::1]",
            "control",
            "control.example.org",
            "control.example.org.",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
        ] {
            assert!(machine.is_local(host), "{host}");
        }
        for host in ["node1", "10.0.0.2", "control.example.com", "fe80::2", ""] {
            assert!(!machine.is_local(host), "{host}");
        }
    }

    #[test]
    fn the_real_machine_has_loopback() {
        let machine = LocalMachine::gather();
        assert!(machine.addresses.iter().any(IpAddr::is_loopback));
        assert!(machine.names.iter().all(|name| machine.is_local(name)));
    }
}
