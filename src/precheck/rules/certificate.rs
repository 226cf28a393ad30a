//! Names in the certificate, and the user's own certificate.

use std::net::IpAddr;

use super::super::OwnCertificateState;
use super::super::requirements::{address, registry_name};
use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::list;

const DAY: i64 = 86_400;

/// Every name that the certificate covers: the registry's, the virtual address, each registry host's names and addresses.
fn wanted_names(look: &Look<'_>) -> Vec<String> {
    let inventory = look.input.inventory;
    let registry = &look.settings().image_registry;
    let mut names: Vec<String> = Vec::new();
    names.extend(registry_name(inventory, look.settings()));
    names.extend(registry.ha_vip.clone());
    for name in &look.registry {
        names.push(name.clone());
        if let Some(host) = inventory.hosts.get(name) {
            names.extend(address(host));
            names.extend(host.internal_ipv4.clone());
            names.extend(host.internal_ipv6.clone());
        }
        let facts = look
            .input
            .hosts
            .get(name)
            .and_then(|state| state.connection.facts());
        names.extend(facts.map(|facts| facts.hostname.clone()));
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.to_lowercase()));
    names
}

/// Whether a text is a host name of the internet: labels of letters, digits and inner dashes.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty() && text.len() <= 253 && text.split('.').all(label)
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

pub(in crate::precheck) fn names(look: &Look<'_>) -> Judgements {
    let registry = &look.settings().image_registry;
    let required = "host names or addresses";
    if registry.plain_http {
        return vec![(
            None,
            Judgement::warn(
                "no certificate: plain HTTP",
                "TLS",
                "user names and passwords cross the network in the open; remove `image_registry.auth.plain_http` outside of tests",
            ),
        )];
    }
    let names = wanted_names(look);
    let own_name = registry_name(look.input.inventory, look.settings());
    let odd: Vec<String> = names
        .iter()
        .filter(|name| !is_name(name) && !is_address(name))
        .cloned()
        .collect();
    let with_scheme = registry
        .registry
        .clone()
        .filter(|name| name.contains("://"));
    let wrong = with_scheme.or_else(|| own_name.filter(|name| odd.contains(name)));
    let judgement = if let Some(name) = wrong {
        Judgement::fail(
            format!("`{name}`"),
            required,
            "set `image_registry.auth.registry` to `NAME[:PORT][/PROJECT]` without a scheme, NAME made of letters, digits, dashes and dots",
        )
    } else if odd.is_empty() {
        Judgement::pass(list(&names, 6), required)
    } else {
        let odd: Vec<String> = odd.iter().map(|name| format!("`{name}`")).collect();
        Judgement::warn(
            format!("{} cannot be a host name", list(&odd, 4)),
            required,
            "clients cannot reach a host by such a name over TLS, only by its address; rename it if that is wanted",
        )
    };
    vec![(None, judgement)]
}

/// Whether a name in a certificate covers a host's name; a wildcard covers one label.
fn covers(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_lowercase();
    let name = name.to_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    match pattern.strip_prefix("*.") {
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(_, parent)| parent == rest),
        None => pattern == name,
    }
}

fn has(certificate: &OwnCertificateState, name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => certificate
            .addresses
            .iter()
            .any(|found| found.parse() == Ok(address)),
        Err(_) => certificate
            .names
            .iter()
            .any(|pattern| covers(pattern, name)),
    }
}

pub(in crate::precheck) fn own(look: &Look<'_>) -> Judgements {
    let settings = look.settings();
    let Some(files) = &settings.image_registry.certificate else {
        return Vec::new();
    };
    if settings.image_registry.plain_http {
        return vec![(
            None,
            Judgement::warn(
                "given, and plain HTTP is asked for",
                "one or the other",
                "remove `image_registry.auth.plain_http`, or the certificate",
            ),
        )];
    }
    let file = files.cert_file.display().to_string();
    let required = "valid now, for servers, with its key, covering the registry's name";
    let judgement = match &look.input.own_certificate {
        None => Judgement::unknown(
            format!("`{file}` was not read"),
            required,
            "check the path in `image_registry.certificate.cert_file`",
        ),
        Some(Err(reason)) => Judgement::fail(
            format!("`{file}`: {reason}"),
            required,
            "check `image_registry.certificate.cert_file` and `key_file`: PEM, the server's certificate first",
        ),
        Some(Ok(certificate)) => judge(look, certificate, &file, required),
    };
    vec![(None, judgement)]
}

fn judge(
    look: &Look<'_>,
    certificate: &OwnCertificateState,
    file: &str,
    required: &str,
) -> Judgement {
    let now = look.input.now;
    let fail =
        |what: String, remedy: &str| Judgement::fail(format!("`{file}`: {what}"), required, remedy);
    let days = |seconds: i64| (seconds.abs() + DAY - 1) / DAY;
    if !certificate.key_matches {
        return fail(
            "the key belongs to another certificate".to_owned(),
            "give the key it was made with as `image_registry.certificate.key_file`",
        );
    }
    if certificate.not_after <= now {
        return fail(
            format!("expired {} days ago", days(now - certificate.not_after)),
            "get a new certificate",
        );
    }
    if certificate.not_before > now {
        return fail(
            format!("valid only in {} days", days(certificate.not_before - now)),
            "check this machine's clock, or wait",
        );
    }
    if !certificate.server_use {
        return fail(
            "not for servers".to_owned(),
            "get one whose extended key usage has server authentication",
        );
    }
    if certificate.chain_complete == Some(false) {
        return fail(
            "not signed by the authority given".to_owned(),
            "put the certificates between into `cert_file`, after the server's, or give the right `ca_file`",
        );
    }
    let names = wanted_names(look);
    let missing: Vec<String> = names
        .iter()
        .filter(|name| !has(certificate, name))
        .map(|name| format!("`{name}`"))
        .collect();
    let own_name = registry_name(look.input.inventory, look.settings()).unwrap_or_default();
    if !has(certificate, &own_name) {
        return fail(
            format!("does not cover `{own_name}`"),
            "get one that has this name among its alternative names, or set `image_registry.auth.registry` to a name it has",
        );
    }
    let left = certificate.not_after - now;
    if left < 30 * DAY {
        Judgement::warn(
            format!("`{file}`: expires in {} days", days(left)),
            required,
            "get a new certificate soon",
        )
    } else if missing.is_empty() {
        Judgement::pass(format!("`{file}`: valid for {} days", left / DAY), required)
    } else {
        Judgement::warn(
            format!("`{file}`: does not cover {}", list(&missing, 4)),
            required,
            "clients reach the registry by its name; by these names they get an error",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};
    use super::*;
    use crate::settings::OwnCertificate;

    #[test]
    fn all_names_are_shown() {
        let mut world = World::new(&["node1", "node2"]);
        world.settings.image_registry.registry = Some("hub.kk.local:8443/library".to_owned());
        let found = world.finding("certificate-names", None);
        assert_eq!(found.status, Status::Pass);
        assert_eq!(
            found.measured,
            "hub.kk.local, node1, 10.0.0.11, node2, 10.0.0.12"
        );
    }

    #[test]
    fn names_that_are_none() {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.registry = Some("https://hub.kk.local".to_owned());
        assert_eq!(
            world.finding("certificate-names", None).status,
            Status::Fail
        );
        let mut world = World::new(&["node_1"]);
        world.registry(&["node_1"]);
        let found = world.finding("certificate-names", None);
        assert_eq!(found.status, Status::Warn);
        assert!(found.measured.contains("`node_1`"));
        for (text, good) in [
            ("a.b-c.d", true),
            ("-a", false),
            ("a..b", false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(text), good, "{text}");
        }
        assert!(!is_name(&"a".repeat(64)));
    }

    #[test]
    fn plain_http_is_warned_of() {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.plain_http = true;
        assert_eq!(
            world.finding("certificate-names", None).status,
            Status::Warn
        );
    }

    fn certificate() -> OwnCertificateState {
        OwnCertificateState {
            names: vec!["*.kk.local".to_owned(), "node1".to_owned()],
            addresses: vec!["10.0.0.11".to_owned()],
            not_before: NOW - DAY,
            not_after: NOW + 365 * DAY,
            key_matches: true,
            server_use: true,
            chain_complete: None,
        }
    }

    fn own_with(change: impl FnOnce(&mut OwnCertificateState)) -> Finding {
        let mut certificate = certificate();
        change(&mut certificate);
        own_is(Ok(certificate))
    }

    fn own_is(state: Result<OwnCertificateState, String>) -> Finding {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.registry = Some("hub.kk.local".to_owned());
        world.settings.image_registry.certificate = Some(OwnCertificate {
            cert_file: "hub.crt".into(),
            key_file: "hub.key".into(),
            ca_file: None,
        });
        world.own_certificate = Some(state);
        world.finding("own-certificate", None)
    }

    #[test]
    fn ones_own_certificate() {
        assert_eq!(own_with(|_| ()).measured, "`hub.crt`: valid for 365 days");
        for (change, status) in [
            (
                (|it| it.key_matches = false) as fn(&mut OwnCertificateState),
                Status::Fail,
            ),
            (|it| it.not_after = NOW, Status::Fail),
            (|it| it.not_before = NOW + 1, Status::Fail),
            (|it| it.server_use = false, Status::Fail),
            (|it| it.chain_complete = Some(false), Status::Fail),
            (|it| it.names = vec!["node1".to_owned()], Status::Fail),
            (|it| it.not_after = NOW + 29 * DAY, Status::Warn),
            (|it| it.addresses.clear(), Status::Warn),
        ] {
            assert_eq!(own_with(change).status, status);
        }
        assert_eq!(
            own_is(Err("no PEM in it".to_owned())).measured,
            "`hub.crt`: no PEM in it"
        );
        assert!(
            World::new(&["node1"])
                .findings("own-certificate")
                .is_empty()
        );
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(covers("*.kk.local", "hub.KK.local"));
        assert!(!covers("*.kk.local", "a.hub.kk.local"));
        assert!(!covers("*.kk.local", "kk.local"));
        assert!(covers("Hub", "hub."));
    }
}
