//! Addresses of network cards: `hwaddr`, `macaddr` and what is made of them.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::Call;
use super::network::Network;
use super::python;

/// Reads six pairs of digits, with whatever usually stands between them.
fn parse(text: &str) -> Option<u64> {
    let groups: Vec<&str> = text.split([':', '-', '.']).collect();
    let most = match groups.len() {
        6 => 2,
        3 => 4,
        2 => 6,
        1 => 12,
        _ => return None,
    };
    let mut all = String::new();
    for group in groups {
        let is_right = !group.is_empty() && group.len() <= most && (most < 12 || group.len() == 12);
        if !is_right || !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        all.push_str(&format!("{group:0>most$}"));
    }
    u64::from_str_radix(&all, 16).ok()
}

fn address(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some(text) => parse(text),
        None => u64::try_from(value.as_i64()?)
            .ok()
            .filter(|number| *number < 1 << 48),
    }
}

fn pairs(address: u64, separator: &str) -> String {
    let octets = address.to_be_bytes();
    let pairs: Vec<String> = octets
        .iter()
        .skip(2)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    pairs.join(separator)
}

pub(super) fn hwaddr(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let query = call.text("query")?.unwrap_or_default();
    let Some(address) = address(&call.value) else {
        return match query.as_str() {
            "" | "bool" => Ok(Value::from(())),
            _ => Err(call.error(&format!("`{}` is no address of a network card", call.value))),
        };
    };
    let digits = pairs(address, "");
    let groups = |width: usize, separator: &str| -> String {
        let groups: Vec<&str> = (0..digits.len())
            .step_by(width)
            .filter_map(|from| digits.get(from..from + width))
            .collect();
        groups.join(separator)
    };
    let octets = address.to_be_bytes();
    Ok(Value::from(match query.as_str() {
        "" => return Ok(call.value.clone()),
        "bool" => return Ok(Value::from(true)),
        "int" => return Ok(Value::from(address)),
        "bare" => digits.to_uppercase(),
        "linux" => pairs(address, ":"),
        "unix" => {
            let short: Vec<String> = octets
                .iter()
                .skip(2)
                .map(|octet| format!("{octet:x}"))
                .collect();
            short.join(":")
        }
        "cisco" => groups(4, "."),
        "pgsql" | "postgresql" | "psql" => groups(6, ":"),
        "eui48" | "win" => pairs(address, "-").to_uppercase(),
        other => return Err(call.error(&format!("`{other}` is no question that it knows"))),
    }))
}

/// The address that a card gives itself in a network of version 6.
pub(super) fn slaac(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let no = Value::from(false);
    let network = python::text(&call.value)
        .ok()
        .and_then(|text| Network::parse(&text));
    let card = call.optional("query")?.and_then(address);
    let (Some(network), Some(card)) = (network.filter(|network| network.is_v6), card) else {
        return Ok(no);
    };
    let (vendor, number) = (card >> 24, card & 0xff_ffff);
    let identifier = (vendor << 40 | 0xff_fe00_0000 | number) ^ 1 << 57;
    let address = network.first() + u128::from(identifier);
    Ok(network
        .at(address)
        .map_or(no, |network| Value::from(network.ip())))
}
