//! A small world for tests of rules: healthy hosts, sensible settings, and ways to spoil them.

use indexmap::IndexMap;

use super::{
    ControlFacts, Finding, HeardVrrp, HostConnection, HostState, Input, OUR_PROJECT, Package,
    PackageCondition, PackageKind, PackageState, StorageProof, Waivers, check,
};
use crate::diagnostic::Diagnostic;
use crate::facts::{Container, Engine, Facts, Folder, Interface, Os};
use crate::inventory::{Connection, Group, Host, Inventory, SshConnection};
use crate::settings::{RegistryKind, Settings, Storage};

/// The time of all tests, in seconds since 1970.
pub(super) const NOW: i64 = 1_750_000_000;

/// Everything that goes into an [`Input`], owned.
pub(super) struct World {
    pub(super) inventory: Inventory,
    pub(super) settings: Settings,
    pub(super) hosts: IndexMap<String, HostState>,
    pub(super) packages: Vec<PackageState>,
    pub(super) control: ControlFacts,
    pub(super) own_certificate: Option<Vec<Diagnostic>>,
    pub(super) storage_files: Vec<Diagnostic>,
    pub(super) storage_proofs: Vec<StorageProof>,
    pub(super) vip_answers: Option<bool>,
    pub(super) vrrp: Option<HeardVrrp>,
    pub(super) waivers: Waivers,
}

impl World {
    /// Healthy hosts, all of them in the group `image_registry`.
    pub(super) fn new(names: &[&str]) -> Self {
        let hosts = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut facts = healthy(name);
                facts.machine_id = Some(format!("{index:032x}"));
                facts.interfaces[0].addresses = vec![format!("10.0.0.{}/24", index + 11)];
                let state = HostState {
                    connection: HostConnection::Up(Box::new(facts)),
                    reachability: Vec::new(),
                };
                ((*name).to_owned(), state)
            })
            .collect();
        Self {
            inventory: inventory(names),
            settings: settings(),
            hosts,
            packages: Vec::new(),
            control: ControlFacts::default(),
            own_certificate: None,
            storage_files: Vec::new(),
            storage_proofs: Vec::new(),
            vip_answers: None,
            vrrp: None,
            waivers: Waivers::default(),
        }
    }

    pub(super) fn state(&mut self, host: &str) -> &mut HostState {
        self.hosts.get_mut(host).unwrap()
    }

    pub(super) fn facts(&mut self, host: &str) -> &mut Facts {
        match &mut self.state(host).connection {
            HostConnection::Up(facts) => facts,
            other => panic!("no facts: {other:?}"),
        }
    }

    pub(super) fn group(&mut self, name: &str, hosts: &[&str]) {
        self.inventory
            .groups
            .insert(name.to_owned(), group(hosts, &[]));
    }

    pub(super) fn registry(&mut self, hosts: &[&str]) {
        self.group("image_registry", hosts);
    }

    pub(super) fn waive(&mut self, value: &str) {
        self.waivers = Waivers::parse(&[value]).unwrap();
    }

    pub(super) fn object_storage(&mut self, driver: &str, parameters: serde_json::Value) {
        let serde_json::Value::Object(parameters) = parameters else {
            panic!("parameters are a map");
        };
        self.settings.image_registry.storage = Storage::Object {
            driver: driver.to_owned(),
            parameters,
        };
    }

    pub(super) fn all(&self) -> Vec<Finding> {
        check(&Input {
            inventory: &self.inventory,
            settings: &self.settings,
            hosts: self.hosts.clone(),
            packages: self.packages.clone(),
            control: self.control.clone(),
            own_certificate: self.own_certificate.clone(),
            storage_files: self.storage_files.clone(),
            storage_proofs: self.storage_proofs.clone(),
            vip_answers: self.vip_answers,
            vrrp: self.vrrp.clone(),
            waivers: self.waivers.clone(),
            now: NOW,
        })
    }

    pub(super) fn findings(&self, check: &str) -> Vec<Finding> {
        let mut found = self.all();
        found.retain(|finding| finding.check == check);
        found
    }

    pub(super) fn has(&self, check: &str, host: &str) -> bool {
        self.findings(check)
            .iter()
            .any(|finding| finding.host.as_deref() == Some(host))
    }

    /// The one finding of a check for a host or for the whole.
    pub(super) fn finding(&self, check: &str, host: Option<&str>) -> Finding {
        let mut found = self.findings(check);
        found.retain(|finding| finding.host.as_deref() == host);
        assert_eq!(found.len(), 1, "{check} {host:?}: {found:?}");
        found.remove(0)
    }
}

pub(super) fn inventory(names: &[&str]) -> Inventory {
    let mut inventory = Inventory::default();
    for (index, name) in names.iter().enumerate() {
        let address = format!("10.0.0.{}", index + 11);
        let host = Host {
            name: (*name).to_owned(),
            connection: Connection::Ssh(SshConnection {
                host: address.clone(),
                port: 22,
                user: "root".to_owned(),
                ..SshConnection::default()
            }),
            internal_ipv4: Some(address),
            ..Host::default()
        };
        inventory.hosts.insert((*name).to_owned(), host);
    }
    inventory
        .groups
        .insert("image_registry".to_owned(), group(names, &[]));
    inventory
}

pub(super) fn group(hosts: &[&str], groups: &[&str]) -> Group {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Group {
        hosts: owned(hosts),
        groups: owned(groups),
        ..Group::default()
    }
}

/// What holds when a user asks for a docker-registry and says little else.
pub(super) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.image_registry.kind = RegistryKind::DockerRegistry;
    settings.versions.docker = "24.0.7".to_owned();
    settings
}

/// A folder that is not there yet, on a file system with this much room.
pub(super) fn folder(mount: &str, free_bytes: u64) -> Folder {
    Folder {
        mount: mount.to_owned(),
        fstype: "ext4".to_owned(),
        free_bytes: Some(free_bytes),
        free_inodes: Some(1_000_000),
        ..Folder::default()
    }
}

/// The facts of a host that nothing is wrong with.
pub(super) fn healthy(name: &str) -> Facts {
    Facts {
        os: Os {
            system: "Linux".to_owned(),
            id: "debian".to_owned(),
            version_id: "12".to_owned(),
            pretty_name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            ..Os::default()
        },
        kernel: "6.1.0-18-amd64".to_owned(),
        machine: "x86_64".to_owned(),
        binary_type: "amd64".to_owned(),
        hostname: name.to_owned(),
        machine_id: Some("1".repeat(32)),
        cores: 4,
        memory_bytes: 16_000_000_000,
        uid: Some(0),
        folders: [
            ("/usr/local/bin", "/", 50_000_000_000),
            ("/var/lib/docker", "/", 50_000_000_000),
            ("/var/lib/kk", "/", 50_000_000_000),
            ("/var/lib/docker-registry/data", "/data", 500_000_000_000),
            ("/var/lib/harbor/data", "/data", 500_000_000_000),
        ]
        .into_iter()
        .map(|(path, mount, free)| (path.to_owned(), folder(mount, free)))
        .collect(),
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            addresses: vec!["10.0.0.11/24".to_owned()],
            up: true,
        }],
        default_interface: Some("eth0".to_owned()),
        init: "systemd".to_owned(),
        cgroup: Some(2),
        time_offset_seconds: Some(0.01),
        time_uncertainty_seconds: Some(0.01),
        tools: ["tar", "gzip", "mktemp", "sha256sum", "openssl", "iptables"]
            .map(|name| (name.to_owned(), format!("/usr/bin/{name}")))
            .into(),
        package_manager: Some("apt-get".to_owned()),
        ..Facts::default()
    }
}

/// A running engine.
pub(super) fn docker_engine(version: &str, owner: Option<&str>) -> Engine {
    Engine {
        version: version.to_owned(),
        running: true,
        process: true,
        path: "/usr/bin/dockerd".to_owned(),
        owner: owner.map(str::to_owned),
        containers: 2,
    }
}

/// The registry that kk installed, serving.
pub(super) fn our_registry() -> Container {
    Container {
        name: "kk-registry".to_owned(),
        image: "registry:2.8.3".to_owned(),
        running: true,
        ports: vec![443],
        project: Some(OUR_PROJECT.to_owned()),
        mounts: vec!["/var/lib/docker-registry/data".to_owned()],
    }
}

/// A package that is there and good.
pub(super) fn good_package(
    name: &str,
    kind: PackageKind,
    size: u64,
    unpacked_bytes: u64,
    loaded_bytes: u64,
) -> PackageState {
    let version = match name {
        "docker" => "24.0.7",
        "docker_compose" => "v2.20.3",
        _ => "2.8.3",
    };
    PackageState {
        package: Package {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            kind,
        },
        condition: PackageCondition::Found {
            path: format!("{name}.tgz"),
            size,
            sha256: Some("0123456789abcdef".repeat(4)),
            expected_sha256: None,
            unpacked_bytes,
            loaded_bytes,
            architecture: Some("amd64".to_owned()),
            version: Some(version.to_owned()),
        },
    }
}

#[test]
fn a_healthy_world_has_nothing_to_say() {
    use super::{Status, Verdict, verdict};
    let mut world = World::new(&["node1", "node2"]);
    world.packages = vec![good_package("docker", PackageKind::Programs, 80, 200, 0)];
    let findings = world.all();
    let odd: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.status != Status::Pass)
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert_eq!(verdict(&findings), Verdict::Pass);
}

#[test]
fn a_waived_failure_is_shown_and_does_not_count() {
    use super::{Status, Verdict, verdict};
    let mut world = World::new(&["node1"]);
    world.facts("node1").memory_bytes = 1_000_000_000;
    assert_eq!(verdict(&world.all()), Verdict::Fail);
    world.waive("memory=a test machine");
    let found = world.finding("memory", Some("node1"));
    assert_eq!(found.status, Status::Fail);
    assert_eq!(found.waived.as_deref(), Some("a test machine"));
    assert_eq!(verdict(&world.all()), Verdict::Pass);
    assert_eq!(world.waivers.unused(&world.all()).count(), 0);
    world.facts("node1").memory_bytes = 16_000_000_000;
    let findings = world.all();
    assert_eq!(
        world.waivers.unused(&findings).collect::<Vec<_>>(),
        ["memory"]
    );
}

#[test]
fn findings_come_in_the_order_of_the_table_and_the_inventory() {
    let world = World::new(&["node2", "node1"]);
    let findings = world.all();
    let position = |id: &str| super::RULES.iter().position(|rule| rule.id == id);
    let places: Vec<_> = findings
        .iter()
        .map(|finding| position(&finding.check))
        .collect();
    assert!(places.is_sorted());
    let memory: Vec<_> = world
        .findings("memory")
        .into_iter()
        .filter_map(|finding| finding.host)
        .collect();
    assert_eq!(memory, ["node2", "node1"]);
}

#[test]
fn every_finding_says_what_is_needed_and_every_failure_what_to_do() {
    use super::Status;
    let mut world = World::new(&["node1", "node2"]);
    world.settings.image_registry.ha_vip = Some("10.0.0.100".to_owned());
    *world.facts("node1") = Facts::default();
    world.state("node2").connection = HostConnection::Unreachable {
        message: "connection refused".to_owned(),
        hint: None,
    };
    for finding in world.all() {
        if finding.status == Status::Unknown && finding.host.as_deref() == Some("node2") {
            // What to do is said once, by the check that failed.
            assert_eq!(finding.measured, "not looked at");
            continue;
        }
        assert!(
            !finding.measured.is_empty() && !finding.required.is_empty(),
            "{finding:?}"
        );
        assert_eq!(
            finding.remedy.is_empty(),
            finding.status == Status::Pass,
            "{finding:?}"
        );
    }
    let unreached = world.finding("reachable", Some("node2"));
    assert!(unreached.remedy.contains("ssh -p 22"));
    let checks = |host: &str| {
        let all = world.all();
        let of_host = all
            .iter()
            .filter(|finding| finding.host.as_deref() == Some(host));
        of_host.count()
    };
    assert!(checks("node2") >= checks("node1"));
}

/// What is not in order on a host of which a whole answer was kept: check and status.
fn odd_on(fixture: &str, change: impl FnOnce(&mut World)) -> Vec<(String, super::Status)> {
    let path = format!(
        "{}/tests/fixtures/facts/{fixture}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let sent = std::time::Duration::from_secs(NOW.unsigned_abs());
    let received = sent + std::time::Duration::from_millis(800);
    let mut world = World::new(&["node1"]);
    *world.facts("node1") = crate::facts::parse(&text, sent, received).unwrap();
    change(&mut world);
    world
        .all()
        .into_iter()
        .filter(|finding| finding.status != super::Status::Pass && finding.check != "clock")
        .map(|finding| (finding.check, finding.status))
        .collect()
}

#[test]
fn hosts_as_they_are_found() {
    use super::Status::{Fail, Unknown, Warn};
    let expect = |list: &[(&str, super::Status)]| -> Vec<(String, super::Status)> {
        list.iter()
            .map(|(check, status)| ((*check).to_owned(), *status))
            .collect()
    };
    let rootdir = |world: &mut World, path: &str| {
        world.settings.image_registry.storage = Storage::Filesystem {
            rootdir: path.to_owned(),
            nfs_mount: None,
        };
    };
    assert_eq!(odd_on("debian-12", |_| ()), expect(&[("disk", Fail)]));
    assert_eq!(
        odd_on("debian-12-kk-registry", |_| ()),
        expect(&[
            ("disk", Warn),
            ("existing-data", Warn),
            ("existing-registry", Warn)
        ])
    );
    assert_eq!(
        odd_on("ubuntu-22.04-arm64-docker", |world| rootdir(
            world,
            "/srv/registry"
        )),
        expect(&[])
    );
    assert_eq!(
        odd_on("centos-7-kubelet", |_| ()),
        expect(&[("disk", Fail), ("docker", Fail), ("kubelet", Warn)])
    );
    assert_eq!(
        odd_on("rocky-9-podman", |_| ()),
        expect(&[
            ("memory", Fail),
            ("disk", Fail),
            ("ports", Fail),
            ("docker", Fail),
            ("selinux", Warn)
        ])
    );
    assert_eq!(
        odd_on("alpine-3.20", |world| rootdir(world, "/data/images")),
        expect(&[
            ("os", Fail),
            ("init", Fail),
            ("memory", Fail),
            ("disk", Unknown),
            ("docker", Fail),
            ("existing-data", Unknown)
        ])
    );
    assert_eq!(
        odd_on("ubuntu-20.04-harbor", |world| rootdir(
            world,
            "/var/lib/harbor/data"
        )),
        expect(&[
            ("disk", Warn),
            ("ports", Fail),
            ("tools", Fail),
            ("existing-data", Fail),
            ("existing-registry", Warn),
            ("leftovers", Warn)
        ])
    );
    assert!(
        odd_on("ubuntu-20.04-harbor", |world| rootdir(
            world,
            "/mnt/registry"
        ))
        .contains(&("disk".to_owned(), Fail))
    );
}
