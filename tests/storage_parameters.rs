//! Every parameter of every storage driver of docker-registry, through settings and template into its configuration:
//! the names are those that the driver reads in that version, and the values have the types that it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use kk::diagnostic::Source;
use kk::settings::Kind;
use kk::settings::drivers::{DRIVERS, Driver, FILESYSTEM, Parameter, driver};

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
        "authurl" => return "https://storage.example.com:9000/v3".into(),
        "regionendpoint" | "endpoint" | "serviceurl" | "redirectendpoint" => {
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

/// A world with every parameter that this version knows, without `leave_out`, and what was given.
fn every_parameter(
    driver: &Driver,
    version: &str,
    text: &str,
    leave_out: &str,
) -> (World, Map<String, Value>) {
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
        json!({"auth": {"plain_http": true}, "docker_registry": {"storage": {driver.name: given}}})
    );
    (World::new(&[], Some(&spec), &json!({})), given)
}

/// The part of the configuration that the driver reads, and what was given.
fn configuration(
    driver: &Driver,
    version: &str,
    text: &str,
    leave_out: &str,
) -> (Map<String, Value>, Map<String, Value>) {
    let (world, given) = every_parameter(driver, version, text, leave_out);
    let config = world.yaml("docker_registry", "config.yml.j2");
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

/// What the real registry (2.8, with the drivers that Debian builds) says to a configuration, until it listens or ends.
fn started(config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    // It is no container: everything lies in one folder, and the port is any.
    let config = config
        .replace("/etc/docker/registry", &path)
        .replace("/var/lib/registry", &path)
        .replace("addr: :5000", "addr: 127.0.0.1:0")
        .replace("storage.example.com:9000", "127.0.0.1:1");
    std::fs::write(folder.path().join("config.yml"), config).unwrap();
    let mut child = Command::new(super::registry::binary())
        // What a user of Amazon's tools has in the environment is no part of the test.
        .env_clear()
        .arg("serve")
        .arg(folder.path().join("config.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said.push_str(&line.unwrap());
        said.push('\n');
        if said.contains("listening on") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said
}

#[test]
fn the_real_registry_takes_every_parameter() {
    for name in ["filesystem", "inmemory", "s3"] {
        let driver = driver(name).unwrap();
        let (world, _) = every_parameter(driver, "2.8.3", "plain", "");
        let config = world.render("docker_registry", "config.yml.j2");
        let said = started(&config);
        assert!(said.contains("listening on"), "{name}: {said}\n{config}");
    }
    // Swift is asked at once, so that the parameters were read when it cannot be reached.
    let (world, _) = every_parameter(driver("swift").unwrap(), "2.8.3", "plain", "");
    let config = world.render("docker_registry", "config.yml.j2");
    let said = started(&config);
    assert!(
        said.contains("swift authentication failed") && said.contains("connection refused"),
        "{said}\n{config}"
    );
    // It does say so when one cannot be read.
    let wrong = config.replace("insecureskipverify: true", "insecureskipverify: maybe");
    assert_ne!(wrong, config);
    let said = started(&wrong);
    assert!(said.contains("InsecureSkipVerify"), "{said}");
}
