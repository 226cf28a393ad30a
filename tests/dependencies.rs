//! The bans of `deny.toml`, against `Cargo.lock`: without a tool and without a network.

use std::collections::BTreeSet;
use std::path::Path;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The value of `key = "…"` in a line.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = &line[line.find(key)? + key.len()..];
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

/// Names and reasons of the crates that `[bans]` denies.
fn banned() -> Vec<(String, String)> {
    let text = read("deny.toml");
    let bans = text.split("[bans]").nth(1).unwrap();
    bans.lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| {
            let name = quoted(line, "crate")?;
            Some((
                name.to_owned(),
                quoted(line, "reason").unwrap_or_default().to_owned(),
            ))
        })
        .collect()
}

/// Names and sources of the packages that are built from.
fn locked() -> Vec<(String, Option<String>)> {
    read("Cargo.lock")
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let field = |key: &str| {
                package
                    .lines()
                    .find(|line| line.starts_with(key))
                    .and_then(|line| quoted(line, key))
                    .map(str::to_owned)
            };
            (field("name").unwrap(), field("source"))
        })
        .collect()
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let banned = banned();
    assert!(banned.len() > 10, "{banned:?}");
    let names: BTreeSet<String> = locked().into_iter().map(|(name, _)| name).collect();
    assert!(
        names.contains("tokio") && names.len() > 100,
        "{}",
        names.len()
    );
    let found: Vec<String> = banned
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, reason)| format!("`{name}` is banned: {reason}"))
        .collect();
    assert!(
        found.is_empty(),
        "{}\nhint: `cargo tree --invert CRATE` says who brings it",
        found.join("\n")
    );
}

#[test]
fn every_ban_and_every_ignored_advisory_has_a_reason() {
    assert!(banned().iter().all(|(_, reason)| !reason.is_empty()));
    let text = read("deny.toml");
    for line in text.lines().filter(|line| line.contains("RUSTSEC-")) {
        assert!(
            quoted(line, "reason").is_some_and(|reason| reason.len() > 20),
            "{line}"
        );
    }
}

#[test]
fn every_crate_comes_from_the_registry() {
    for (name, source) in locked() {
        match source.as_deref() {
            None => assert!(name == "kk" || name == "kk-fuzz", "{name}"),
            Some(source) => assert_eq!(
                source, "registry+https://github.com/rust-lang/crates.io-index",
                "{name}"
            ),
        }
    }
}
