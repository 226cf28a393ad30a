//! `kk precheck image_registry`: sees what would go wrong, and writes nothing anywhere.

use std::path::{Path, PathBuf};

use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{Case, lab};
use crate::lab_tests::site::Site;
use crate::lab_tests::snapshot::{Snapshot, Strictness};

fn snapshots(hosts: &[Host]) -> Vec<Snapshot> {
    std::thread::scope(|scope| {
        let taken: Vec<_> = hosts
            .iter()
            .map(|host| scope.spawn(|| Snapshot::of(host)))
            .collect();
        taken
            .into_iter()
            .map(|taken| taken.join().unwrap())
            .collect()
    })
}

fn assert_untouched(hosts: &[Host], before: &[Snapshot]) {
    for (host, before) in hosts.iter().zip(before) {
        before.assert_same(host, Strictness::Untouched, &[]);
    }
}

#[test]
fn precheck_of_healthy_hosts_passes_and_only_reads() {
    let case = Case::new("precheck of healthy hosts", &[1, 2, 3]);
    let site = Site::of(&case.hosts, 3);
    case.step("snapshots");
    let before = snapshots(&case.hosts);

    case.step("as a table");
    let ran = site.kk("precheck image_registry").run().expect(0);
    ran.says(&["CHECK", "STATUS", "MEASURED", "REQUIRED", "3 hosts"]);
    for check in [
        "reachable",
        "memory",
        "disk",
        "space-plan",
        "clock",
        "peers",
        "ports",
        "package",
    ] {
        assert!(ran.stdout.contains(check), "{check}\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("FAIL"), "{}", ran.stdout);

    case.step("as JSON");
    let ran = site.kk("precheck image_registry -o json").run().expect(0);
    let document = ran.json();
    let findings = document["findings"].as_array().unwrap();
    for finding in findings {
        assert_eq!(finding["status"], "pass", "{finding}");
    }
    for host in &case.hosts {
        let of_host = |finding: &&serde_json::Value| finding["host"] == host.name.as_str();
        let count = findings.iter().filter(of_host).count();
        assert!(count >= 20, "{count} findings of {}", host.name);
        ran.expect_finding("os", Some(&host.name), "pass", &["Debian GNU/Linux 12"]);
        ran.expect_finding("ports", Some(&host.name), "pass", &["443 free"]);
    }
    // The plan is made from the packages that are there, not from a constant.
    for (name, package) in [
        ("docker", package("docker")),
        ("docker_compose", package("compose")),
        ("docker_registry", package("registry")),
    ] {
        let megabytes = std::fs::metadata(package).unwrap().len() / 1_000_000;
        let words = format!("{name} as sent {megabytes}.");
        ran.expect_finding("space-plan", Some("node1"), "pass", &[&words]);
    }

    case.step("the hosts are as they were");
    assert_untouched(&case.hosts, &before);
    assert!(!site.workdir().join("secrets.yaml").exists());
    assert!(!site.workdir().join("pki").exists());
}

fn package(name: &str) -> PathBuf {
    Path::new(lab().get("BINARY_DIR")).join(relative(name))
}

/// Where a package lies below the folder of packages.
fn relative(name: &str) -> String {
    let lab = lab();
    let arch = lab.get("ARCH");
    match name {
        "docker" => {
            let version = lab.get("DOCKER_VERSION");
            format!("docker/{version}/{arch}/docker-{version}.tgz")
        }
        "compose" => {
            let version = lab.get("COMPOSE_VERSION");
            format!("image-registry/docker-compose/{version}/{arch}/docker-compose")
        }
        _ => {
            let version = lab.get("REGISTRY_VERSION");
            format!(
                "image-registry/docker-registry/{version}/{arch}/docker-registry-{version}-linux-{arch}.tgz"
            )
        }
    }
}

/// A folder of packages of its own: what `change` makes of each package's bytes, or none.
fn packages(folder: &Path, change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) {
    for name in ["docker", "compose", "registry"] {
        let bytes = std::fs::read(package(name)).unwrap();
        if let Some(bytes) = change(name, bytes) {
            let path = folder.join(relative(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn precheck_of_broken_hosts_names_every_fault_and_only_reads() {
    let case = Case::new("precheck of broken hosts and packages", &[1, 2, 3]);
    let site = Site::of(&case.hosts, 3);
    let [node1, node2, node3] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("faults");
    node1.sh("systemd-run -q --unit squatter systemd-socket-activate --accept -l 443 /bin/cat");
    node1.wait_until(
        "somebody listens on 443",
        Site::PATIENCE,
        "ss -Hltn 'sport = :443' | grep -q .",
    );
    node2.sh("mkdir -p /var/lib/docker-registry/data && echo precious >/var/lib/docker-registry/data/notes.txt");
    node3.sh("printf '#!/bin/sh\\nexit 1\\n' >/usr/local/bin/docker && chmod 755 /usr/local/bin/docker && mv /usr/bin/gzip /usr/bin/gzip.away");
    let before = snapshots(&case.hosts);

    case.step("precheck of hosts");
    let precheck = || {
        site.kk("precheck image_registry -o json")
            .set("requirements.disk_gb", "100000")
            .set("requirements.memory_gb", "9000")
    };
    let ran = precheck().run().expect(3);
    ran.expect_finding("ports", Some("node1"), "fail", &["443", "systemd-socket"]);
    ran.expect_finding("existing-data", Some("node2"), "fail", &["notes.txt"]);
    ran.expect_finding("tools", Some("node3"), "fail", &["gzip"]);
    for host in &case.hosts {
        ran.expect_finding("disk", Some(&host.name), "fail", &["100 TB"]);
        ran.expect_finding("memory", Some(&host.name), "fail", &["9 TB"]);
    }
    ran.expect_finding("ports", Some("node2"), "pass", &["443 free"]);
    ran.expect_finding("existing-data", Some("node1"), "pass", &["not there"]);

    case.step("the same faults stop an installation");
    let ran = site.kk("init registry").run().expect(3);
    ran.says(&["443", "notes.txt", "nothing was changed", "node1", "node2"]);
    assert!(!site.workdir().join("secrets.yaml").exists());
    assert_untouched(&case.hosts, &before);

    case.step("what may be waived, by its name");
    let ran = site
        .kk("precheck image_registry -o json --limit node1")
        .set("requirements.disk_gb", "100000")
        .set("image_registry.https_port", "8443")
        .arg("--waive")
        .arg("disk=a test, no more")
        .run()
        .expect(0);
    ran.expect_finding("disk", Some("node1"), "fail", &["100 TB"]);
    assert!(ran.stdout.contains("a test, no more"), "{}", ran.stdout);
    let refused = site
        .kk("precheck image_registry")
        .arg("--waive")
        .arg("ports")
        .run();
    assert!(matches!(refused.code, Some(1 | 5)), "{refused:?}");
    refused.says(&["ports", "two programs cannot listen on one port"]);
    for all in ["all", "*"] {
        let refused = site
            .kk("precheck image_registry")
            .arg("--waive")
            .arg(all)
            .run();
        assert!(matches!(refused.code, Some(1 | 5)), "{refused:?}");
    }

    case.step("precheck of packages");
    let folder = site.path().join("packages");
    packages(&folder, |name, mut bytes| match name {
        "docker" => {
            bytes.truncate(bytes.len() / 3);
            Some(bytes)
        }
        "compose" => {
            // The machine in the header of an ELF file: AArch64.
            bytes[18] = 0xb7;
            Some(bytes)
        }
        _ => None,
    });
    let ran = site
        .kk("precheck image_registry -o json --limit node2")
        .set("binary_dir", folder.to_str().unwrap())
        .run()
        .expect(3);
    let said: Vec<String> = ran
        .finding("package", None)
        .into_iter()
        .filter(|(status, _)| status == "fail")
        .map(|(_, said)| said)
        .collect();
    let about = |word: &str| -> &String {
        said.iter()
            .find(|said| said.contains(word))
            .unwrap_or_else(|| panic!("no failed package says `{word}`: {said:#?}"))
    };
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(
        about(&relative("docker")).contains("cut off")
            || about(&relative("docker")).contains("truncated"),
        "{said:#?}"
    );
    assert!(about(&relative("compose")).contains("arm64"), "{said:#?}");
    // What is missing: where it was looked for, and how to get it.
    assert!(
        about(&relative("registry")).contains("docker save"),
        "{said:#?}"
    );

    case.step("a package that is not what its sha256 says");
    let ran = site
        .kk("precheck image_registry -o json --limit node3")
        .set(
            &format!("artifact.sha256.docker.{}", lab().get("ARCH")),
            &"0".repeat(64),
        )
        .run()
        .expect(3);
    ran.expect_finding("package", None, "fail", &["0000"]);

    case.step("the hosts are as they were");
    assert_untouched(&case.hosts, &before);
    assert_eq!(
        node2.sh("cat /var/lib/docker-registry/data/notes.txt"),
        "precious"
    );
}
