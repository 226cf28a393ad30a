//! The examples that are shipped load as they stand, without a warning.

use std::path::Path;

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory-examples")
}

fn example(name: &str) -> Inventory {
    let loaded = Inventory::load(&[folder().join(name)], &machine())
        .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assert_eq!(render_all(&loaded.warnings, Colour::Never), "", "{name}");
    loaded.inventory
}

fn users(inventory: &Inventory) -> Vec<&str> {
    inventory
        .hosts
        .values()
        .filter_map(|host| match &host.connection {
            Connection::Ssh(ssh) => Some(ssh.user.as_str()),
            Connection::Local => None,
        })
        .collect()
}

#[test]
fn every_example_loads() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{name} begins with what it is for");
        if text.contains("\nkind: Inventory") {
            let inventory = example(&name);
            assert!(!inventory.hosts_of("image_registry").is_empty(), "{name}");
            names.push(name);
        }
    }
    names.sort();
    assert_eq!(
        names,
        [
            "arm64-mixed.yaml",
            "jump-host.yaml",
            "localhost.yaml",
            "nfs.yaml",
            "non-root-sudo.yaml",
            "one-host.yaml",
            "s3.yaml",
            "three-hosts-ha.yaml"
        ]
    );
}

#[test]
fn what_the_examples_say() {
    assert_eq!(
        example("localhost.yaml").hosts["localhost"].connection,
        Connection::Local
    );
    assert_eq!(example("one-host.yaml").hosts_of("image_registry").len(), 1);
    assert_eq!(
        example("three-hosts-ha.yaml")
            .hosts_of("image_registry")
            .len(),
        3
    );
    let sudo = example("non-root-sudo.yaml");
    assert!(users(&sudo).iter().all(|user| *user != "root"));
    assert!(
        sudo.hosts
            .values()
            .all(|host| host.become_password.is_some())
    );
    let jump = example("jump-host.yaml");
    assert!(jump.hosts_of("image_registry").iter().all(|host| {
        matches!(&jump.hosts[*host].connection, Connection::Ssh(ssh) if ssh.proxy_jump.is_some())
    }));
    assert_eq!(example("nfs.yaml").hosts_of("nfs").len(), 1);
}
