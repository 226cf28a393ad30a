//! Filters that count with addresses and networks.

use ipnet::IpNet;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::addresses::{Given, network_of, query_one};
use super::call::Call;
use super::network::Network;
use super::python::{self, is_list, list};

pub(super) fn ipwrap(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn ipsubnet(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn ipmath(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn ipv6form(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn ip4_hex(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn nthhost(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn nth_usable(call: &Call, sign: i128) -> Result<Value, Error> {
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

pub(super) fn network_in_network(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    is_within(call, false)
}

pub(super) fn network_in_usable(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    is_within(call, true)
}

fn is_within(call: &Call, is_usable: bool) -> Result<Value, Error> {
    let outer = whole_of(call, &call.value)?;
    let inner = whole_of(call, call.required("test")?)?;
    let (first, last) = ends(outer, is_usable);
    let is_inside = outer.is_v6 == inner.is_v6 && first <= inner.first() && inner.last() <= last;
    Ok(Value::from(is_inside))
}

pub(super) fn reduce_on_network(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let outer = whole_of(call, call.required("network")?)?;
    let mut kept = Vec::new();
    for item in call.value_items()? {
        if outer.contains(whole_of(call, &item)?) {
            kept.push(item);
        }
    }
    Ok(list(kept))
}

pub(super) fn cidr_merge(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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

pub(super) fn usable_range(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
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
