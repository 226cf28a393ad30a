//! Interfaces, their addresses and the default route, from `ip` or from `/proc/net`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::frame::Frames;
use super::model::{Facts, Interface};

/// Reads the sections about the network into `facts`.
pub(super) fn read(frames: &Frames<'_>, facts: &mut Facts) {
    // The details begin with the same words, and one of the two is there.
    let links = frames.lines("links").chain(frames.lines("link-details"));
    let mut interfaces: Vec<Interface> = links.filter_map(link).collect();
    let mut addresses: Vec<(String, String)> =
        addresses(frames).filter_map(address_of_ip).collect();
    if addresses.is_empty() {
        addresses = addresses_of_proc(frames);
    }
    for (name, address) in addresses {
        if let Some(interface) = interfaces
            .iter_mut()
            .find(|interface| interface.name == name)
        {
            if !interface.addresses.contains(&address) {
                interface.addresses.push(address);
            }
        } else {
            interfaces.push(Interface {
                name,
                addresses: vec![address],
                up: true,
            });
        }
    }
    facts.interfaces = interfaces;
    facts.default_interface = default_of_ip(default_routes(frames, false))
        .or_else(|| default_of_proc(frames.text("proc-route")))
        .or_else(|| default_of_ip(default_routes(frames, true)));
}

/// What `ip -o addr show` says.
pub(super) fn addresses<'a>(frames: &Frames<'a>) -> impl Iterator<Item = &'a str> {
    let section = if frames.has("addresses") {
        "addresses"
    } else {
        "ip"
    };
    frames.lines(section)
}

/// What `ip route show default` says of one of the two protocols. Asked for both at once it does not name them; then an
/// IPv6 route is told by what such a route alone has.
pub(super) fn default_routes<'a>(
    frames: &Frames<'a>,
    is_ipv6: bool,
) -> impl Iterator<Item = &'a str> {
    let section = if is_ipv6 { "routes6" } else { "routes" };
    let has_ipv6 = |line: &str| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "pref" || word.parse::<Ipv6Addr>().is_ok())
    };
    let of_both = frames.lines("ip").filter(move |line| {
        let other_table = line.contains(" table ");
        line.starts_with("default ") && !other_table && has_ipv6(line) == is_ipv6
    });
    let of_both = (!frames.has(section)).then_some(of_both);
    frames.lines(section).chain(of_both.into_iter().flatten())
}

/// `eth0 0x1003 up`: name, flags (bit 0: up) and operational state.
fn link(line: &str) -> Option<Interface> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let flags = u32::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
    Some(Interface {
        name: name.to_owned(),
        addresses: Vec::new(),
        up: flags & 1 == 1 && words.next() != Some("down"),
    })
}

/// A line of `ip -o addr show`: interface and address with prefix length.
fn address_of_ip(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace().skip(1);
    let name = words.next()?.trim_end_matches(':');
    let name = name.split('@').next().unwrap_or(name);
    if !matches!(words.next()?, "inet" | "inet6") {
        return None;
    }
    let address = words.next()?;
    let mut address = address.to_owned();
    // A point-to-point address: the prefix length stands at the other end's.
    if !address.contains('/') && words.next() == Some("peer") {
        let prefix = words.next()?.split_once('/')?.1;
        address = format!("{address}/{prefix}");
    }
    Some((name.to_owned(), address))
}

/// The interface of the default route with the lowest metric, from `ip route show default`.
fn default_of_ip<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first() != Some(&"default") {
                return None;
            }
            let after = |key: &str| {
                words
                    .iter()
                    .position(|word| *word == key)
                    .and_then(|index| words.get(index + 1))
            };
            let metric: u32 = after("metric")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            Some((metric, (*after("dev")?).to_owned()))
        })
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, name)| name)
}

/// One line of `/proc/net/route`.
struct Route {
    interface: String,
    destination: u32,
    mask: u32,
    gateway: bool,
    metric: u32,
}

fn route(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let hexadecimal = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok();
    let flags = hexadecimal(3)?;
    (flags & 1 == 1).then_some(())?;
    Some(Route {
        interface: (*words.first()?).to_owned(),
        destination: hexadecimal(1)?.swap_bytes(),
        gateway: flags & 2 == 2,
        metric: words.get(6)?.parse().ok()?,
        mask: hexadecimal(7)?.swap_bytes(),
    })
}

fn default_of_proc(text: &str) -> Option<String> {
    text.lines()
        .filter_map(route)
        .filter(|route| route.destination == 0 && route.mask == 0)
        .min_by_key(|route| route.metric)
        .map(|route| route.interface)
}

/// Addresses where there is no `ip`: IPv4 ones from the kernel's routing trie, placed on interfaces by the connected
/// routes; IPv6 ones from their own list.
fn addresses_of_proc(frames: &Frames<'_>) -> Vec<(String, String)> {
    let connected: Vec<Route> = frames
        .lines("proc-route")
        .filter_map(route)
        .filter(|route| !route.gateway && route.mask != 0)
        .collect();
    let mut found = Vec::new();
    for address in local_addresses(frames.text("proc-fib-trie")) {
        let bits = u32::from(address);
        if address.is_loopback() {
            found.push(("lo".to_owned(), format!("{address}/8")));
        } else if let Some(route) = connected
            .iter()
            .filter(|route| bits & route.mask == route.destination)
            .max_by_key(|route| route.mask)
        {
            let prefix = route.mask.count_ones();
            found.push((route.interface.clone(), format!("{address}/{prefix}")));
        }
    }
    found.extend(frames.lines("proc-if-inet6").filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
        let prefix = u32::from_str_radix(words.get(2)?, 16).ok()?;
        Some(((*words.get(5)?).to_owned(), format!("{address}/{prefix}")))
    }));
    found
}

/// Leaves of `/proc/net/fib_trie` that are `/32 host LOCAL`.
fn local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = leaf
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_of_ip() {
        assert_eq!(
            address_of_ip("2: eth0@if5    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0"),
            Some(("eth0".to_owned(), "10.0.0.11/24".to_owned()))
        );
        assert_eq!(
            address_of_ip("5: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0"),
            Some(("tun0".to_owned(), "10.8.0.1/32".to_owned()))
        );
        assert_eq!(address_of_ip("5: tun0    link/none"), None);
    }

    #[test]
    fn the_lowest_metric_wins() {
        let text = "default via 10.1.0.1 dev wlan0 proto dhcp metric 600\ndefault via 10.0.0.1 dev eth0 proto dhcp metric 100\n";
        assert_eq!(default_of_ip(text.lines()).as_deref(), Some("eth0"));
        assert_eq!(default_of_ip("".lines()), None);
    }

    #[test]
    fn an_interface_that_is_set_up_without_a_carrier_is_down() {
        assert!(link("eth0 0x1003 up").unwrap().up);
        assert!(link("lo 0x9 unknown").unwrap().up);
        assert!(!link("eth1 0x1003 down").unwrap().up);
        assert!(!link("eth2 0x1002 down").unwrap().up);
    }

    #[test]
    fn without_ip_the_kernels_tables_say_the_same() {
        let text = "
=kk= links
eth0 0x1003 up
lo 0x9 unknown

=kk= proc-route
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0

=kk= proc-fib-trie
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
Local:
     |-- 10.0.0.11
        /32 host LOCAL
     |-- 10.0.0.255
        /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL

=kk= proc-if-inet6
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000000000fffe000001 02 40 20 80     eth0
";
        let mut facts = Facts::default();
        read(&Frames::new(text), &mut facts);
        assert_eq!(facts.default_interface.as_deref(), Some("eth0"));
        let eth0 = facts
            .interfaces
            .iter()
            .find(|interface| interface.name == "eth0")
            .unwrap();
        assert_eq!(eth0.addresses, ["10.0.0.11/24", "fe80::ff:fe00:1/64"]);
        assert_eq!(facts.default_address(false), Some("10.0.0.11"));
        assert_eq!(facts.default_address(true), None);
        assert!(facts.addresses().any(|address| address == "127.0.0.1"));
    }
}
