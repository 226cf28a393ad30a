//! Every parameter of every storage driver of docker-registry, through settings and template into its configuration:
//! the names are those that the driver reads in that version, and the values have the types that it reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use kk::diagnostic::Source;
use kk::settings::Kind;
use kk::settings::drivers::{DRIVERS, Driver, FILESYSTEM, Parameter};

use super::built_in_playbooks::World;

/// Texts that YAML reads as something else where nobody quotes them, for Go's reader as for others.
const TEXTS: [&str; 9] = [
    "12345",
    "off",
    "yes",
    "1e3",
    "null",
    "0x10",
    "2001-01-01",
    "a: b #c",
    "plain",
];

/// What the drivers read, by version and driver.
fn read_by_drivers() -> BTreeMap<String, BTreeMap<String, Map<String, Value>>> {
    let text = include_str!("fixtures/storage/drivers.yaml");
    let node = kk::yaml::parse(&Source::new("drivers.yaml", text)).unwrap();
    serde_json::from_value(node.to_json()).unwrap()
}

/// A value for a parameter that its setting takes.
fn sample(driver: &str, parameter: &Parameter, text: &str) -> Value {
    match parameter.name {
        "authurl" | "regionendpoint" | "endpoint" | "serviceurl" | "redirectendpoint" => {
            return "https://storage.example.com:9000".into();
        }
        "storageclass" => return "STANDARD".into(),
        _ => {}
    }
    match parameter.kind {
        Kind::Text => text.into(),
        Kind::Boolean => true.into(),
        Kind::Between { least, .. } => least.max(0).into(),
        Kind::Choice(words) => words[0].into(),
        Kind::Duration => "100ms".into(),
        Kind::List => json!(["GET", text]),
        Kind::Free => {
            json!({"type": "service_account", "private_key": "one\ntwo", "client_id": text})
        }
        Kind::LocalPath => "/home/admin/key.json".into(),
        Kind::HostFolder => "/srv/data".into(),
        other => panic!("{driver}.{}: {other:?}", parameter.name),
    }
}

/// The configuration with every parameter that this version knows and `leave_out` has not, and what was given.
fn configuration(
    driver: &Driver,
    version: &str,
    text: &str,
    leave_out: &str,
) -> (Map<String, Value>, Map<String, Value>) {
    let mut given = Map::new();
    for parameter in driver.parameters {
        // One of kk's own: the hosts mount it, and the registry sees a folder.
        if !parameter.known.by(version)
            || parameter.name == "nfs_mount"
            || parameter.name == leave_out
        {
            continue;
        }
        let mut map = &mut given;
        let mut words: Vec<&str> = parameter.name.split('.').collect();
        let last = words.pop().unwrap();
        for word in words {
            map = map
                .entry(word)
                .or_insert_with(|| json!({}))
                .as_object_mut()
                .unwrap();
        }
        map.insert(last.to_owned(), sample(driver.name, parameter, text));
    }
    let spec = format!(
        "  docker_registry_version: {version}\n  image_registry: {}\n",
        json!({"docker_registry": {"storage": {driver.name: given}}})
    );
    let config = World::new(&[], Some(&spec), &json!({})).yaml("docker_registry", "config.yml.j2");
    let storage = config["storage"].as_object().unwrap();
    let written = storage[driver.name]
        .as_object()
        .cloned()
        .unwrap_or_default();
    (written, given)
}

/// Whether a value has the type that a driver reads.
fn fits(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("any") => value.is_string() || value.is_number(),
        Some("text") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_i64() || value.is_u64(),
        Some("texts") => value
            .as_array()
            .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string)),
        Some("mapping") => value.as_object().is_some_and(|map| !map.is_empty()),
        Some(other) => panic!("{other}"),
        None => {
            let (value, kind) = (value.as_object(), kind.as_object().unwrap());
            value.is_some_and(|value| {
                value.keys().collect::<BTreeSet<_>>() == kind.keys().collect()
                    && value.iter().all(|(name, value)| fits(value, &kind[name]))
            })
        }
    }
}

#[test]
fn every_parameter_arrives_as_its_driver_reads_it() {
    let read = read_by_drivers();
    for (version, table) in [("2.8.3", "2.8.3"), ("3.0.0", "3.1.1"), ("3.1.1", "3.1.1")] {
        let expected = &read[table];
        let known: BTreeSet<&str> = DRIVERS
            .iter()
            .filter(|driver| driver.known.by(version))
            .map(|driver| driver.name)
            .collect();
        let names: BTreeSet<&str> = expected.keys().map(String::as_str).collect();
        assert_eq!(known, names, "drivers of {version}");
        for driver in DRIVERS.iter().filter(|driver| driver.known.by(version)) {
            let expected = &expected[driver.name];
            for text in TEXTS {
                // A key is given as a file or as itself, not both ways.
                let (mut written, mut given) = configuration(driver, version, text, "keyfile");
                let (other, also) = configuration(driver, version, text, "credentials");
                written.extend(other);
                given.extend(also);
                assert_eq!(
                    written.keys().collect::<BTreeSet<_>>(),
                    expected.keys().collect::<BTreeSet<_>>(),
                    "{} of {version}",
                    driver.name
                );
                for (name, kind) in expected {
                    let value = &written[name];
                    assert!(
                        fits(value, kind),
                        "{}.{name} of {version} reads {kind}, and is {value}",
                        driver.name
                    );
                    let is_ours = driver.name == FILESYSTEM || name == "keyfile";
                    assert!(
                        is_ours || *value == given[name],
                        "{}.{name} of {version}: {} became {value}",
                        driver.name,
                        given[name]
                    );
                }
            }
        }
    }
}
