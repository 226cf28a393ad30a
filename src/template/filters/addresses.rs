//! The `ipaddr` family of ansible.utils.

use ipnet::IpNet;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

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
struct Given {
    network: Network,
    text: Value,
    has_prefix: bool,
}

impl Given {
    fn read(value: &Value, version: Option<u32>) -> Option<Self> {
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
    fn is_network(&self) -> bool {
        !self.network.is_single() && self.network.address == self.network.first()
    }
}

/// The network that a value stands for, host bits kept for an address.
fn network_of(value: &Value) -> Option<Network> {
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

fn query_one(
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

fn ipwrap(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let query = call.text("query")?.unwrap_or_default();
    let wrap = |value: &Value| -> Result<Value, Error> {
        let answer = query_one(call, value, &query, None)?;
        if python::truth(&answer) {
            query_one(call, &answer, "wrap", None)
        } else {
            Ok(value.clone())
        }
    };
    if is_list(&call.value) {
        let wrapped = call
            .value_items()?
            .iter()
            .map(wrap)
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(list(wrapped));
    }
    if call.value.as_str().is_none() && call.value.kind() != ValueKind::Bool {
        return Err(call.error("a text or a list is needed"));
    }
    wrap(&call.value)
}

fn ipsubnet(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let no = Value::from(false);
    let Some(given) = Given::read(&call.value, None) else {
        return Ok(no);
    };
    let value = given.network.whole();
    let is_network = !value.is_single();
    let query = call
        .optional("query")?
        .map(python::text)
        .transpose()?
        .unwrap_or_default();
    if query.is_empty() {
        return Ok(Value::from(value.cidr()));
    }
    let bits = value.bits();
    if !query.bytes().all(|byte| byte.is_ascii_digit()) {
        return position_in(call, value, &query);
    }
    let Some(prefix) = query.parse::<u32>().ok().filter(|prefix| *prefix <= bits) else {
        return Ok(no);
    };
    let cut = |address: u128| {
        Network {
            address,
            prefix,
            ..value
        }
        .whole()
    };
    let Some(index) = call.integer("index")? else {
        if !is_network {
            return Ok(Value::from(cut(value.address).cidr()));
        }
        let Some(width) = prefix.checked_sub(value.prefix) else {
            return Err(call.error(&format!("a /{prefix} does not fit into {}", value.cidr())));
        };
        return Ok(Value::from(
            1_u128
                .checked_shl(width)
                .map_or_else(String::new, |count| count.to_string()),
        ));
    };
    let index = i128::from(index);
    if !is_network {
        // The networks around an address, the largest first.
        let bits = i128::from(bits);
        let prefix = i128::from(prefix);
        if index > bits + 1 - index || index < prefix - bits {
            return Ok(no);
        }
        let count = bits - prefix;
        let position = if index < 0 { count + index } else { index };
        let prefix = u32::try_from(prefix + position)
            .ok()
            .filter(|_| (0..count).contains(&position));
        let prefix = prefix.ok_or_else(|| call.error("the index is out of range"))?;
        return Ok(Value::from(Network { prefix, ..value }.whole().cidr()));
    }
    let Some(count) = prefix
        .checked_sub(value.prefix)
        .and_then(|width| 1_i128.checked_shl(width))
    else {
        return Ok(no);
    };
    let index = if index < 0 { index + count } else { index };
    if !(0..count).contains(&index) {
        return Ok(no);
    }
    let offset = index
        .unsigned_abs()
        .checked_shl(bits - prefix)
        .unwrap_or_default();
    Ok(Value::from(
        Network {
            address: value.address + offset,
            prefix,
            ..value
        }
        .cidr(),
    ))
}

/// The place of a network among those of its size in a larger one, from 1 on.
fn position_in(call: &Call, value: Network, query: &str) -> Result<Value, Error> {
    let outer = network_of(&Value::from(query))
        .ok_or_else(|| call.error(&format!("`{query}` is neither a network nor an address")))?;
    let whole = outer.whole();
    if outer.is_v6 != value.is_v6 || !(whole.first()..=whole.last()).contains(&value.address) {
        return Err(call.error(&format!("{} is not in {}", value.cidr(), whole.cidr())));
    }
    let offset = (value.address - whole.first())
        .checked_shr(value.bits() - value.prefix)
        .unwrap_or_default();
    Ok(Value::from((offset + 1).to_string()))
}

fn ipmath(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let network =
        Network::parse(text).ok_or_else(|| call.error(&format!("`{text}` is no address")))?;
    call.required("amount")?;
    let amount = call
        .integer("amount")?
        .ok_or_else(|| call.error("`amount` must be a number"))?;
    network
        .offset(i128::from(amount))
        .map(|moved| Value::from(moved.ip()))
        .ok_or_else(|| call.error("there is no address that far away"))
}

fn ipv6form(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let address = Network::parse(text)
        .filter(|network| network.is_single() && !text.contains('/'))
        .ok_or_else(|| call.error(&format!("`{text}` is no address")))?;
    let groups = |width: usize| -> String {
        let digits = format!("{:032x}", address.address);
        let groups: Vec<String> = digits
            .as_bytes()
            .chunks(4)
            .map(|group| {
                let group = String::from_utf8_lossy(group);
                let short = group.trim_start_matches('0');
                if width == 4 {
                    group.into_owned()
                } else {
                    format!("{short:0>1}")
                }
            })
            .collect();
        groups.join(":")
    };
    match call.required_text("format")?.as_str() {
        "expand" if address.is_v6 => Ok(Value::from(groups(4))),
        "x509" if address.is_v6 => Ok(Value::from(groups(1))),
        "expand" | "compress" => Ok(Value::from(address.ip())),
        other => Err(call.error(&format!("`{other}` is none of expand, compress, x509"))),
    }
}

fn ip4_hex(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let address: std::net::Ipv4Addr = text
        .parse()
        .map_err(|_| call.error(&format!("`{text}` is no address of version 4")))?;
    let delimiter = call.text("delimiter")?.unwrap_or_default();
    let parts: Vec<String> = address
        .octets()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    Ok(Value::from(parts.join(&delimiter)))
}

fn nthhost(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let no = Value::from(false);
    let Some(network) = network_of(&call.value) else {
        return Ok(no);
    };
    let query = call
        .optional("query")?
        .map(python::text)
        .transpose()?
        .unwrap_or_default();
    let Ok(index) = query.trim().parse::<i128>() else {
        return Ok(no);
    };
    if index < 0
        && network
            .size()
            .is_some_and(|size| index.unsigned_abs() > size)
    {
        return Err(call.error("the index is out of range"));
    }
    Ok(network.nth(index).map_or(no, |nth| Value::from(nth.ip())))
}

fn nth_usable(call: &Call, sign: i128) -> Result<Value, Error> {
    let Some(network) = network_of(&call.value) else {
        return Ok(Value::from(false));
    };
    call.required("offset")?;
    let offset = call
        .integer("offset")?
        .ok_or_else(|| call.error("`offset` must be a number"))?;
    let Some((first, last)) = network.usable() else {
        return Ok(Value::from(()));
    };
    let moved = network
        .offset(sign * i128::from(offset))
        .ok_or_else(|| call.error("there is no address that far away"))?;
    Ok(if (first..=last).contains(&moved.address) {
        Value::from(moved.ip())
    } else {
        Value::from(())
    })
}

fn whole_of(call: &Call, value: &Value) -> Result<Network, Error> {
    Given::read(value, None)
        .map(|given| given.network.whole())
        .ok_or_else(|| call.error(&format!("`{value}` is no network")))
}

/// The first and last address, or the usable ones.
fn ends(network: Network, is_usable: bool) -> (u128, u128) {
    match network.usable() {
        Some(usable) if is_usable => usable,
        _ if network.broadcast().is_none() && !is_usable && network.is_larger_than(2) => {
            (network.first(), network.last())
        }
        _ => (network.first(), network.last()),
    }
}

fn network_in_network(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    is_within(call, false)
}

fn network_in_usable(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    is_within(call, true)
}

fn is_within(call: &Call, is_usable: bool) -> Result<Value, Error> {
    let outer = whole_of(call, &call.value)?;
    let inner = whole_of(call, call.required("test")?)?;
    let (first, last) = ends(outer, is_usable);
    let is_inside = outer.is_v6 == inner.is_v6 && first <= inner.first() && inner.last() <= last;
    Ok(Value::from(is_inside))
}

fn reduce_on_network(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let outer = whole_of(call, call.required("network")?)?;
    let mut kept = Vec::new();
    for item in call.value_items()? {
        if outer.contains(whole_of(call, &item)?) {
            kept.push(item);
        }
    }
    Ok(list(kept))
}

fn cidr_merge(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut networks = Vec::new();
    for item in call.value_items()? {
        let network = item.as_str().and_then(Network::parse);
        networks.push(network.ok_or_else(|| call.error(&format!("`{item}` is no network")))?);
    }
    match call.text("action")?.as_deref().unwrap_or("merge") {
        "merge" => {
            let mut nets: Vec<IpNet> = Vec::new();
            for network in &networks {
                let net = network.whole().cidr().parse();
                nets.push(net.map_err(|_| call.error("this is no network"))?);
            }
            let merged = IpNet::aggregate(&nets);
            Ok(list(
                merged
                    .into_iter()
                    .map(|net| Value::from(net.to_string()))
                    .collect(),
            ))
        }
        "span" => {
            let Some(first) = networks.first().copied() else {
                return Ok(Value::from(()));
            };
            if networks.len() == 1 {
                return Ok(Value::from(first.cidr()));
            }
            if networks.iter().any(|network| network.is_v6 != first.is_v6) {
                return Err(call.error("networks of different versions have no common one"));
            }
            let low = networks
                .iter()
                .map(|network| network.first())
                .min()
                .unwrap_or_default();
            let high = networks
                .iter()
                .map(|network| network.last())
                .max()
                .unwrap_or_default();
            let mut spanning = Network {
                address: low,
                ..first
            };
            while spanning.prefix > 0 && (spanning.first() > low || spanning.last() < high) {
                spanning.prefix -= 1;
            }
            Ok(Value::from(spanning.whole().cidr()))
        }
        other => Err(call.error(&format!("`{other}` is neither merge nor span"))),
    }
}

fn usable_range(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let network = Network::parse(text)
        .filter(|network| network.address == network.first())
        .ok_or_else(|| call.error(&format!("`{text}` is no network")))?;
    let size = network
        .size()
        .filter(|size| *size <= super::MAX_ELEMENTS as u128);
    let size = size.ok_or_else(python::too_many)?;
    let all = (0..size).map(|offset| Value::from(network.show(network.first() + offset)));
    Ok(python::mapping(vec![
        (Value::from("usable_ips"), list(all.collect())),
        (
            Value::from("number_of_ips"),
            Value::from(u64::try_from(size).unwrap_or_default()),
        ),
    ]))
}
