//! Names in the certificate, and the user's own certificate.

use std::net::IpAddr;

use super::super::requirements::{address, registry_name};
use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::list;
use crate::diagnostic::{Diagnostic, Severity};
use crate::settings::RegistryName;

/// Every name that the certificate covers: the registry's, the virtual address, each registry host's names and addresses.
fn wanted_names(look: &Look<'_>) -> Vec<String> {
    let inventory = look.input.inventory;
    let registry = &look.settings().image_registry;
    let mut names: Vec<String> = Vec::new();
    names.extend(registry_name(inventory, look.settings()));
    names.extend(registry.ha_vip.clone());
    for name in &look.registry {
        names.push(name.clone());
        if let Some(host) = inventory.host(name) {
            names.extend(address(&host));
            names.extend(host.internal_ipv4.clone());
            names.extend(host.internal_ipv6.clone());
        }
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
    let not_parsed = registry
        .registry
        .clone()
        .filter(|text| !text.is_empty() && RegistryName::parse(text).is_err());
    let wrong = not_parsed.or_else(|| own_name.filter(|name| odd.contains(name)));
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
    let Some(problems) = &look.input.own_certificate else {
        let judgement = Judgement::unknown(
            format!("`{file}` was not read"),
            required,
            "check the path in `image_registry.certificate.cert_file`",
        );
        return vec![(None, judgement)];
    };
    let pick = |severity: Severity| {
        let found: Vec<&Diagnostic> = problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .collect();
        let messages: Vec<&str> = found
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        let hints: Vec<&str> = found
            .iter()
            .filter_map(|problem| problem.hint.as_deref())
            .collect();
        (!found.is_empty()).then(|| {
            (
                format!("`{file}`: {}", messages.join("; ")),
                hints.join("; "),
            )
        })
    };
    let judgement = match (pick(Severity::Error), pick(Severity::Warning)) {
        (Some((measured, remedy)), _) => Judgement::fail(measured, required, remedy),
        (None, Some((measured, remedy))) => Judgement::warn(measured, required, remedy),
        (None, None) => Judgement::pass(format!("`{file}`"), required),
    };
    vec![(None, judgement)]
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

    fn own_is(problems: Vec<Diagnostic>) -> Finding {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.certificate = Some(OwnCertificate {
            cert_file: "hub.crt".into(),
            key_file: "hub.key".into(),
            ca_file: None,
        });
        world.own_certificate = Some(problems);
        world.finding("own-certificate", None)
    }

    #[test]
    fn ones_own_certificate() {
        assert_eq!(own_is(Vec::new()).status, Status::Pass);
        let soon = Diagnostic::warning("expires in 3 days").hint("get a new one");
        assert_eq!(own_is(vec![soon.clone()]).status, Status::Warn);
        let found = own_is(vec![
            soon,
            Diagnostic::error("the key belongs to another certificate").hint("give its key"),
        ]);
        assert_eq!(found.status, Status::Fail);
        assert_eq!(
            found.measured,
            "`hub.crt`: the key belongs to another certificate"
        );
        assert_eq!(found.remedy, "give its key");
        assert!(
            World::new(&["node1"])
                .findings("own-certificate")
                .is_empty()
        );
    }
}
