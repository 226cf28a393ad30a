//! The `ipaddr` family of ansible.utils.

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

use super::address_math::{
    cidr_merge, ip4_hex, ipmath, ipsubnet, ipv6form, ipwrap, network_in_network, network_in_usable,
    nth_usable, nthhost, reduce_on_network, usable_range,
};
use super::call::{Call, Filter};
use super::hardware;
use super::network::Network;
use super::python::{self, Number, integer, is_list, items, list, number};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "ipaddr",
        parameters: QUERY,
        apply: |_, call| ipaddr(call, None),
    },
    Filter {
        name: "ipv4",
        parameters: QUERY,
        apply: |_, call| ipaddr(call, Some(4)),
    },
    Filter {
        name: "ipv6",
        parameters: QUERY,
        apply: |_, call| ipaddr(call, Some(6)),
    },
    Filter {
        name: "ipwrap",
        parameters: QUERY,
        apply: ipwrap,
    },
    Filter {
        name: "ipsubnet",
        parameters: &["query", "index"],
        apply: ipsubnet,
    },
    Filter {
        name: "ipmath",
        parameters: &["amount"],
        apply: ipmath,
    },
    Filter {
        name: "ipv6form",
        parameters: &["format"],
        apply: ipv6form,
    },
    Filter {
        name: "ip4_hex",
        parameters: &["delimiter"],
        apply: ip4_hex,
    },
    Filter {
        name: "nthhost",
        parameters: &["query"],
        apply: nthhost,
    },
    Filter {
        name: "next_nth_usable",
        parameters: &["offset"],
        apply: |_, call| nth_usable(call, 1),
    },
    Filter {
        name: "previous_nth_usable",
        parameters: &["offset"],
        apply: |_, call| nth_usable(call, -1),
    },
    Filter {
        name: "network_in_network",
        parameters: &["test"],
        apply: network_in_network,
    },
    Filter {
        name: "network_in_usable",
        parameters: &["test"],
        apply: network_in_usable,
    },
    Filter {
        name: "reduce_on_network",
        parameters: &["network"],
        apply: reduce_on_network,
    },
    Filter {
        name: "cidr_merge",
        parameters: &["action"],
        apply: cidr_merge,
    },
    Filter {
        name: "usable_range",
        parameters: &[],
        apply: usable_range,
    },
    Filter {
        name: "slaac",
        parameters: &["query"],
        apply: hardware::slaac,
    },
    Filter {
        name: "hwaddr",
        parameters: QUERY,
        apply: hardware::hwaddr,
    },
    Filter {
        name: "macaddr",
        parameters: QUERY,
        apply: hardware::hwaddr,
    },
];

const QUERY: &[&str] = &["query"];

/// An address, the text that it was given as, and whether that named a network.
pub(super) struct Given {
    pub(super) network: Network,
    pub(super) text: Value,
    pub(super) has_prefix: bool,
}

impl Given {
    pub(super) fn read(value: &Value, version: Option<u32>) -> Option<Self> {
        let digits = match number(value) {
            Some(Number::Integer(number)) if value.kind() == ValueKind::Number => {
                number.to_string()
            }
            _ => value.as_str()?.to_owned(),
        };
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_digits(&digits) {
            let network = Network::from_number(digits.parse().ok()?, None, version)?;
            return Some(Self {
                network,
                text: Value::from(network.cidr()),
                has_prefix: false,
            });
        }
        if let Some(network) = Network::parse(&digits) {
            return Some(Self {
                network,
                text: value.clone(),
                has_prefix: digits.contains('/'),
            });
        }
        let (address, prefix) = digits.split_once('/')?;
        let network =
            Network::from_number(address.parse().ok()?, Some(prefix.parse().ok()?), None)?;
        Some(Self {
            network,
            text: Value::from(network.cidr()),
            has_prefix: true,
        })
    }

    /// `network` where the text names a network, `address` where it is an address in one.
    pub(super) fn is_network(&self) -> bool {
        !self.network.is_single() && self.network.address == self.network.first()
    }
}

/// The network that a value stands for, host bits kept for an address.
pub(super) fn network_of(value: &Value) -> Option<Network> {
    let given = Given::read(value, None)?;
    Some(if given.is_network() {
        given.network.whole()
    } else {
        given.network
    })
}

fn ipaddr(call: &Call, version: Option<u32>) -> Result<Value, Error> {
    let query = match call.optional("query")? {
        None => String::new(),
        Some(query) => python::text(query)?,
    };
    query_all(call, &call.value, &query, version)
}

/// Of a list, what is left of it.
fn query_all(
    call: &Call,
    value: &Value,
    query: &str,
    version: Option<u32>,
) -> Result<Value, Error> {
    if !is_list(value) {
        return query_one(call, value, query, version);
    }
    let mut found = Vec::new();
    for item in items(value)? {
        let answer = query_all(call, &item, query, version)?;
        if python::truth(&answer) {
            found.push(answer);
        }
    }
    Ok(list(found))
}

pub(super) fn query_one(
    call: &Call,
    value: &Value,
    query: &str,
    version: Option<u32>,
) -> Result<Value, Error> {
    let no = Value::from(false);
    if !python::truth(value) || value.kind() == ValueKind::Bool {
        return Ok(no);
    }
    let Some(given) = Given::read(value, version) else {
        return Ok(no);
    };
    if version.is_some_and(|version| version != given.network.version()) {
        return Ok(no);
    }
    if let Some(answer) = simple_query(&given, query).or_else(|| network_query(&given, query)) {
        return Ok(answer);
    }
    if let Some(answer) = network_only_query(call, &given, query)? {
        return Ok(answer);
    }
    match range_query(&given, query) {
        Some(answer) => Ok(answer),
        None => index_query(call, &given, query),
    }
}

fn none() -> Value {
    Value::from(())
}

/// Questions about the address; nothing for another kind of question.
fn simple_query(given: &Given, query: &str) -> Option<Value> {
    let network = given.network;
    let text = |text: String| Some(Value::from(text));
    let is_network_address = network.address == network.first();
    let same = || Some(given.text.clone());
    let answer = match query {
        "" => text(if given.has_prefix {
            network.cidr()
        } else {
            network.ip()
        }),
        "bool" => Some(Value::from(true)),
        "version" => Some(Value::from(network.version())),
        "address" | "ip" => {
            // The first address of a network of version 6 may be a host's.
            let has_none = is_network_address && !network.is_v6 && network.broadcast().is_some();
            (!has_none).then(|| network.ip()).map(Value::from)
        }
        "host" => {
            let has_none =
                !network.is_single() && is_network_address && network.broadcast().is_some();
            (!has_none).then(|| network.cidr()).map(Value::from)
        }
        "host/prefix" | "hostnet" | "address/prefix" | "gateway" | "gw" | "router" => {
            let is_edge = is_network_address || Some(network.address) == network.broadcast();
            if network.is_larger_than(2) && is_edge {
                Some(Value::from(false))
            } else {
                text(network.cidr())
            }
        }
        "ip/prefix" => match network.size() {
            Some(1) => None,
            Some(2) => text(network.cidr()),
            _ => (!is_network_address)
                .then(|| network.cidr())
                .map(Value::from),
        },
        "ip_netmask" => match network.size() {
            Some(1) => None,
            Some(2) => text(format!(
                "{} {}",
                network.ip(),
                network.show(network.netmask())
            )),
            _ => (!is_network_address)
                .then(|| format!("{} {}", network.ip(), network.show(network.netmask())))
                .map(Value::from),
        },
        "int" if given.has_prefix => text(format!("{}/{}", network.address, network.prefix)),
        "int" => Some(Value::from(network.address)).map(|value| match number(&value) {
            Some(Number::Integer(number)) => integer(number),
            _ => value,
        }),
        "type" => text(
            if given.is_network() {
                "network"
            } else {
                "address"
            }
            .to_owned(),
        ),
        "revdns" => text(network.reverse()),
        "loopback" | "lo" => network.is_loopback().then(same).flatten(),
        "multicast" => network.is_multicast().then(same).flatten(),
        "unicast" => (!network.is_multicast()).then(same).flatten(),
        "link-local" => network.is_link_local().then(same).flatten(),
        "private" => (!network.is_global()).then(same).flatten(),
        "public" => {
            let is_public = network.is_global()
                && !network.is_multicast()
                && !network.is_loopback()
                && !network.looks_like_mask();
            is_public.then(same).flatten()
        }
        "wrap" | "ipv4" | "v4" if !network.is_v6 => same(),
        "wrap" if given.has_prefix => text(format!("[{}]/{}", network.ip(), network.prefix)),
        "wrap" => text(format!("[{}]", network.ip())),
        "ipv4" | "v4" => Some(
            as_v4(network)
                .map_or_else(|| Value::from(false), |network| Value::from(network.cidr())),
        ),
        "ipv6" | "v6" if network.is_v6 => same(),
        "ipv6" | "v6" => text(format!("{}/{}", mapped(network), network.prefix + 96)),
        "6to4" => Some(six_to_four(given)),
        _ => return None,
    };
    Some(answer.unwrap_or_else(none))
}

fn mapped(network: Network) -> String {
    std::net::Ipv6Addr::from(0xffff_0000_0000 | network.address).to_string()
}

fn as_v4(network: Network) -> Option<Network> {
    let high = network.address >> 32;
    let low = network.address & 0xffff_ffff;
    (high == 0 || high == 0xffff).then_some(Network {
        address: low,
        prefix: network.prefix.checked_sub(96)?,
        is_v6: false,
    })
}

fn six_to_four(given: &Given) -> Value {
    let network = given.network;
    let is_network_address = !network.is_single() && network.address == network.first();
    if network.is_v6 {
        let is_one = network.is_in(&["2002::/16"]);
        let is_asked = !given.has_prefix || !is_network_address;
        return if is_one && is_asked {
            given.text.clone()
        } else {
            Value::from(false)
        };
    }
    if is_network_address {
        return Value::from(false);
    }
    let [one, two, three, four] = u32::try_from(network.address)
        .unwrap_or_default()
        .to_be_bytes();
    Value::from(format!(
        "2002:{one:02x}{two:02x}:{three:02x}{four:02x}::1/48"
    ))
}

/// Questions about the network.
fn network_query(given: &Given, query: &str) -> Option<Value> {
    let network = given.network;
    let text = |text: String| Some(Value::from(text));
    let size = |less: u128| -> Option<Value> {
        let size = network.size()?.checked_sub(less)?;
        Some(i128::try_from(size).map_or_else(|_| Value::from(size), integer))
    };
    let answer = match query {
        "network" | "network_id" => text(network.show(network.first())),
        "netmask" => text(network.show(network.netmask())),
        "hostmask" | "wildcard" => text(network.show(network.hostmask())),
        "network_netmask" => text(format!(
            "{} {}",
            network.show(network.first()),
            network.show(network.netmask())
        )),
        "network_wildcard" => text(format!(
            "{} {}",
            network.show(network.first()),
            network.show(network.hostmask())
        )),
        "prefix" => Some(Value::from(network.prefix)),
        "cidr" => text(network.cidr()),
        "subnet" | "network/prefix" => text(network.whole().cidr()),
        "net" => given.is_network().then(|| network.cidr()).map(Value::from),
        "size" => size(0),
        "size_usable" => match network.size() {
            Some(1) => Some(Value::from(0)),
            Some(2) => Some(Value::from(2)),
            _ => size(2),
        },
        "broadcast" if network.is_larger_than(2) => Some(network.broadcast().map_or_else(
            || Value::from("None"),
            |last| Value::from(network.show(last)),
        )),
        "broadcast" => None,
        _ => return None,
    };
    Some(answer.unwrap_or_else(none))
}

/// Questions that make no sense of an address without a prefix.
fn network_only_query(call: &Call, given: &Given, query: &str) -> Result<Option<Value>, Error> {
    let network = given.network;
    let known = [
        "first_usable",
        "last_usable",
        "next_usable",
        "previous_usable",
        "range_usable",
        "peer",
    ];
    if !known.contains(&query) {
        return Ok(None);
    }
    if !given.has_prefix {
        return Err(call.error(&format!(
            "`{query}` needs a network, and `{}` has no prefix",
            network.ip()
        )));
    }
    let show = |address: u128| Value::from(network.show(address));
    if query == "peer" {
        let last_bits = network.address & 3;
        return match network.size() {
            Some(2) => Ok(Some(show(network.address ^ 1))),
            Some(4) if last_bits == 0 || last_bits == 3 => {
                Err(call.error("the first and the last address of a /30 have no peer"))
            }
            Some(4) => Ok(Some(show(network.address ^ 3))),
            _ => Err(call.error("only a network of two or four addresses has peers")),
        };
    }
    let Some((first, last)) = network.usable() else {
        return Ok(Some(none()));
    };
    let near = |by: i128| {
        let address = network.offset(by)?.address;
        (first..=last).contains(&address).then(|| show(address))
    };
    let answer = match query {
        "first_usable" => Some(show(first)),
        "last_usable" => Some(show(last)),
        "range_usable" => Some(Value::from(format!(
            "{}-{}",
            network.show(first),
            network.show(last)
        ))),
        "next_usable" => near(1),
        _ => near(-1),
    };
    Ok(Some(answer.unwrap_or_else(none)))
}

/// A network as the question: whether the address is in it.
fn range_query(given: &Given, query: &str) -> Option<Value> {
    if query.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let range = Network::parse(query)?;
    let is_inside = range.contains(given.network);
    Some(if is_inside {
        given.text.clone()
    } else {
        Value::from(())
    })
}

/// A number as the question: the n-th address of the network.
fn index_query(call: &Call, given: &Given, query: &str) -> Result<Value, Error> {
    let network = given.network;
    let index: f64 = query
        .parse()
        .map_err(|_| call.error(&format!("`{query}` is no question that it knows")))?;
    if network.is_single() {
        let text = if given.has_prefix {
            network.cidr()
        } else {
            network.ip()
        };
        return Ok(Value::from(text));
    }
    let nth = query
        .parse::<i128>()
        .ok()
        .filter(|_| index.is_finite())
        .and_then(|index| network.nth(index));
    Ok(nth.map_or_else(|| Value::from(false), |nth| Value::from(nth.cidr())))
}
