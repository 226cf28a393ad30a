//! What the parts of a connection may look like: names, addresses, ports, users, key files, jump hosts.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Place};
use crate::yaml::Node;

/// A name or an address, without brackets around an IPv6 one.
pub fn check_host(text: &str, node: &Node) -> Result<String, Diagnostic> {
    let wrong = |message: String, hint: &str| Diagnostic::at(&node.place, message).hint(hint);
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if is_ipv6(bare) {
        return Ok(bare.to_owned());
    }
    if let Some((_, scheme_free)) = text.split_once("://") {
        let name = scheme_free.split('/').next().unwrap_or_default();
        return Err(wrong(
            format!("expected a name or an address, found the URL `{text}`"),
            &format!("write `{name}`"),
        ));
    }
    if let Some((user, rest)) = text.split_once('@') {
        return Err(wrong(
            format!("expected a name or an address, found `{text}`"),
            &format!("write `host: {rest}` and `user: {user}`"),
        ));
    }
    if let Some((name, port)) = text.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (!name.contains(':') || name.starts_with('['))
    {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        return Err(wrong(
            format!("expected a name or an address, found `{text}`"),
            &format!("write `host: {name}` and `port: {port}`"),
        ));
    }
    if looks_like_ipv4(text) && text.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(wrong(
            format!("`{text}` is not an IPv4 address"),
            "an IPv4 address has four numbers from 0 to 255, such as `10.0.0.11`",
        ));
    }
    if text.contains(':') {
        return Err(wrong(
            format!("`{text}` is not an IPv6 address"),
            "an IPv6 address looks like `2001:db8::11`",
        ));
    }
    if is_host_name(text) {
        Ok(text.to_owned())
    } else {
        Err(wrong(
            format!("`{text}` is neither a host name nor an address"),
            "write a name such as `node1.example.org` or an address such as `10.0.0.11`",
        ))
    }
}

/// An IPv6 address, with or without a zone (`fe80::1%eth0`).
pub fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "eth0"));
    address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
        && zone
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character))
}

fn looks_like_ipv4(text: &str) -> bool {
    text.contains('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Labels of letters, digits, `-` and `_`, with dots between.
pub fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label
                    .chars()
                    .all(|character| character.is_alphanumeric() || "-_".contains(character))
        })
}

/// A TCP port.
pub fn check_port(text: &str, place: &Place) -> Result<u16, Diagnostic> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Diagnostic::at(
            place,
            format!("expected a port from 1 to 65535, found `{text}`"),
        )),
    }
}

pub fn check_user(text: &str, node: &Node) -> Result<String, Diagnostic> {
    let is_fine = !text.starts_with('-')
        && !text
            .chars()
            .any(|character| character.is_whitespace() || character.is_control())
        && !text.contains([':', '/', '\'', '"', '`', '$', ';', '&', '|', '<', '>']);
    if is_fine {
        Ok(text.to_owned())
    } else {
        Err(
            Diagnostic::at(&node.place, format!("`{text}` is not a user name"))
                .hint("write the login name alone, such as `root`"),
        )
    }
}

/// A path with `~` as the home folder of whoever runs the program.
pub fn expand_home(text: &str, place: &Place) -> Result<PathBuf, Diagnostic> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(PathBuf::from(text));
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(
            Diagnostic::at(place, format!("`{text}` names another user's home folder"))
                .hint("write the path out, such as `/home/admin/.ssh/id_ed25519`"),
        );
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let Some(home) = home else {
        return Err(Diagnostic::at(
            place,
            "`~` cannot be expanded: the home folder is not known",
        )
        .hint("set HOME, or write the path out"));
    };
    Ok(home.join(rest.trim_start_matches('/')))
}

/// One hop: `[user@]host[:port]`, an IPv6 address with a port in brackets.
pub fn check_hop(hop: &str) -> Result<(), &'static str> {
    let (user, address) = hop.rsplit_once('@').unwrap_or(("root", hop));
    if user.is_empty() || user.starts_with('-') || user.contains(char::is_whitespace) {
        return Err("the user before `@` is missing or malformed");
    }
    if is_ipv6(address) {
        return Ok(());
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Err("the port behind `:` is not a number from 1 to 65535");
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_fine = bracketed.map_or_else(|| is_host_name(host), is_ipv6);
    if is_fine {
        Ok(())
    } else {
        Err("the host is missing or malformed")
    }
}

/// The part of a hop that may be the name of a host of the inventory.
pub fn hop_name(hop: &str) -> Option<&str> {
    let hop = hop.trim();
    (!hop.contains('@') && !hop.contains(':')).then_some(hop)
}
