//! An address with the length of its prefix: what `ipaddr` and its relatives calculate with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the network that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: u128,
    pub(super) prefix: u32,
    pub(super) is_v6: bool,
}

impl Network {
    /// `192.168.0.1`, `192.168.0.1/24`, `192.168.0.1/255.255.255.0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let host = Self::of(address);
        let prefix = match prefix {
            None => host.bits(),
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok()?
            }
            Some(mask) => {
                let mask = Self::of(mask.parse().ok()?);
                (mask.is_v6 == host.is_v6)
                    .then(|| mask.as_mask())
                    .flatten()?
            }
        };
        (prefix <= host.bits()).then_some(Self { prefix, ..host })
    }

    /// A single address.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self {
                address: u128::from(u32::from(address)),
                prefix: 32,
                is_v6: false,
            },
            IpAddr::V6(address) => Self {
                address: u128::from(address),
                prefix: 128,
                is_v6: true,
            },
        }
    }

    /// A number as an address: of version 4 where it fits.
    pub(super) fn from_number(
        number: u128,
        prefix: Option<u32>,
        version: Option<u32>,
    ) -> Option<Self> {
        let fits = |is_v6: bool| {
            let bits = if is_v6 { 128 } else { 32 };
            let prefix = prefix.unwrap_or(bits);
            let is_small = is_v6 || u32::try_from(number).is_ok();
            (is_small && prefix <= bits).then_some(Self {
                address: number,
                prefix,
                is_v6,
            })
        };
        match version {
            Some(6) => fits(true),
            _ => fits(false).or_else(|| fits(true)),
        }
    }

    /// The length of a prefix that is written as a mask, of the network or of the hosts.
    fn as_mask(self) -> Option<u32> {
        (0..=self.bits()).find(|prefix| {
            let other = Self {
                prefix: *prefix,
                ..self
            };
            other.netmask() == self.address || other.hostmask() == self.address
        })
    }

    pub(super) fn bits(self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    pub(super) fn version(self) -> u32 {
        if self.is_v6 { 6 } else { 4 }
    }

    fn largest(self) -> u128 {
        if self.is_v6 {
            u128::MAX
        } else {
            u128::from(u32::MAX)
        }
    }

    pub(super) fn hostmask(self) -> u128 {
        self.largest().checked_shr(self.prefix).unwrap_or(0)
    }

    pub(super) fn netmask(self) -> u128 {
        self.largest() & !self.hostmask()
    }

    /// The first address.
    pub(super) fn first(self) -> u128 {
        self.address & self.netmask()
    }

    /// The last address.
    pub(super) fn last(self) -> u128 {
        self.first() | self.hostmask()
    }

    /// How many addresses there are; all of version 6 are one too many to say.
    pub(super) fn size(self) -> Option<u128> {
        self.hostmask().checked_add(1)
    }

    pub(super) fn is_single(self) -> bool {
        self.prefix == self.bits()
    }

    pub(super) fn is_larger_than(self, size: u128) -> bool {
        self.size().is_none_or(|own| own > size)
    }

    /// The first and the last address that a host may have.
    pub(super) fn usable(self) -> Option<(u128, u128)> {
        match self.size() {
            Some(1) => None,
            Some(2) => Some((self.first(), self.last())),
            _ => Some((self.first() + 1, self.last() - 1)),
        }
    }

    /// The last address, which is the one for everybody: not in the smallest networks of version 4.
    pub(super) fn broadcast(self) -> Option<u128> {
        (self.is_v6 || self.bits() - self.prefix > 1).then(|| self.last())
    }

    /// The network alone.
    pub(super) fn whole(self) -> Self {
        Self {
            address: self.first(),
            ..self
        }
    }

    /// The same with another address.
    pub(super) fn at(self, address: u128) -> Option<Self> {
        (address <= self.largest()).then_some(Self { address, ..self })
    }

    /// An address that lies so far away.
    pub(super) fn offset(self, by: i128) -> Option<Self> {
        let moved = if by < 0 {
            self.address.checked_sub(by.unsigned_abs())
        } else {
            self.address.checked_add(by.unsigned_abs())
        };
        moved.and_then(|moved| self.at(moved))
    }

    /// The n-th address, from the end where it is negative.
    pub(super) fn nth(self, index: i128) -> Option<Self> {
        let size = self.size();
        let offset = if index < 0 {
            size.unwrap_or(u128::MAX)
                .checked_sub(index.unsigned_abs())?
        } else {
            index.unsigned_abs()
        };
        size.is_none_or(|size| offset < size)
            .then(|| self.first() + offset)
            .and_then(|address| self.at(address))
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.is_v6 == other.is_v6 && self.first() <= other.first() && other.last() <= self.last()
    }

    pub(super) fn is_in(self, networks: &[&str]) -> bool {
        let single = Self {
            prefix: self.bits(),
            ..self
        };
        networks
            .iter()
            .filter_map(|network| Self::parse(network))
            .any(|network| network.contains(single))
    }

    pub(super) fn is_multicast(self) -> bool {
        self.is_in(&["224.0.0.0/4", "ff00::/8"])
    }

    pub(super) fn is_loopback(self) -> bool {
        self.is_in(&["127.0.0.0/8", "::1/128"])
    }

    pub(super) fn is_link_local(self) -> bool {
        self.is_in(&["169.254.0.0/16", "fe80::/10"])
    }

    /// Whether the registries of special addresses say that the world can reach it.
    pub(super) fn is_global(self) -> bool {
        !self.is_in(SPECIAL) || self.is_in(REACHABLE)
    }

    /// Whether the bits are those of a mask.
    pub(super) fn looks_like_mask(self) -> bool {
        self.as_mask().is_some()
    }

    /// An address alone, as a text.
    pub(super) fn show(self, address: u128) -> String {
        if self.is_v6 {
            Ipv6Addr::from(address).to_string()
        } else {
            Ipv4Addr::from(u32::try_from(address).unwrap_or_default()).to_string()
        }
    }

    pub(super) fn ip(self) -> String {
        self.show(self.address)
    }

    /// Address and prefix.
    pub(super) fn cidr(self) -> String {
        format!("{}/{}", self.ip(), self.prefix)
    }

    /// The name under which the address is looked up backwards.
    pub(super) fn reverse(self) -> String {
        if self.is_v6 {
            let digits = format!("{:032x}", self.address);
            let digits: String = digits
                .chars()
                .rev()
                .flat_map(|digit| [digit, '.'])
                .collect();
            return format!("{digits}ip6.arpa.");
        }
        let mut parts: Vec<String> = self.ip().split('.').map(str::to_owned).collect();
        parts.reverse();
        format!("{}.in-addr.arpa.", parts.join("."))
    }
}

/// What the registries of IANA list as not reachable from everywhere.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "::/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "fc00::/7",
    "fe80::/10",
];

/// Parts of them that are.
const REACHABLE: &[&str] = &[
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
];
