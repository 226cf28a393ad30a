//! Whole answers of hosts of several distributions, each read as it is in the field.

use std::time::Duration;

use super::{Facts, FolderContent, parse};

const SENT: Duration = Duration::from_secs(1_750_000_000);

/// The facts in a captured answer, pinned whole, with `SENT` as the time of the request and a round trip of 0.8 s.
fn read(name: &str) -> Facts {
    let path = format!(
        "{}/tests/fixtures/facts/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let facts = parse(&text, SENT, SENT + Duration::from_millis(800)).unwrap();
    insta::assert_json_snapshot!(name, facts, {
        ".time_offset_seconds" => insta::rounded_redaction(3),
        ".time_uncertainty_seconds" => insta::rounded_redaction(3),
    });
    facts
}

fn offset(facts: &Facts) -> (f64, f64) {
    let round = |seconds: Option<f64>| (seconds.unwrap() * 1000.0).round() / 1000.0;
    (
        round(facts.time_offset_seconds),
        round(facts.time_uncertainty_seconds),
    )
}

#[test]
fn a_bare_debian() {
    let facts = read("debian-12");
    assert_eq!(facts.os.pretty_name, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(facts.binary_type, "amd64");
    assert_eq!((facts.uid, facts.init.as_str()), (Some(0), "systemd"));
    assert_eq!(facts.package_manager.as_deref(), Some("apt-get"));
    assert!(facts.docker.is_none() && facts.compose.is_none() && facts.containers.is_empty());
    assert!(facts.services.is_empty());
    assert_eq!(facts.default_address(false), Some("10.0.0.12"));
    let data = &facts.folders["/var/lib/docker-registry/data"];
    assert!(!data.exists && data.free_bytes.is_some() && data.mount == "/");
}

#[test]
fn a_debian_on_which_our_registry_runs() {
    let facts = read("debian-12-kk-registry");
    let docker = facts.docker.as_ref().unwrap();
    assert_eq!(docker.version, "26.1.5+dfsg1");
    assert_eq!(docker.owner.as_deref(), Some("kk"));
    assert!(docker.running && docker.process);
    assert_eq!(docker.containers, 2);
    assert_eq!(facts.compose.as_deref(), Some("2.40.3-3"));
    // The containerd process is Docker's own child.
    assert!(!facts.containerd.as_ref().unwrap().running);
    let ours = facts
        .containers
        .iter()
        .find(|container| container.project.as_deref() == Some("kk-registry"))
        .unwrap();
    assert_eq!(ours.ports, [443]);
    assert!(
        ours.mounts
            .contains(&"/var/lib/docker-registry/data".to_owned())
    );
    let other = facts
        .containers
        .iter()
        .find(|container| container.name == "other")
        .unwrap();
    assert_eq!(other.ports, [8080, 8081]);
    assert!(
        !facts
            .containers
            .iter()
            .any(|container| container.name == "stopped" && container.running)
    );
    assert_eq!(
        facts.folders["/var/lib/docker-registry/data"].content,
        FolderContent::Distribution {
            repositories: Some(1)
        }
    );
    assert_eq!(facts.ledgers.get("docker"), Some(&2));
    assert_eq!(facts.own_data, ["/var/lib/docker-registry/data"]);
    let holder = facts
        .listening
        .iter()
        .find(|listener| listener.port == 443)
        .unwrap();
    assert_eq!(holder.process.as_deref(), Some("docker-proxy"));
}

#[test]
fn an_arm64_ubuntu_with_dockers_own_packages_and_ufw() {
    let facts = read("ubuntu-22.04-arm64-docker");
    assert_eq!(
        (facts.machine.as_str(), facts.binary_type.as_str()),
        ("aarch64", "arm64")
    );
    assert_eq!(
        facts.docker.as_ref().unwrap().owner.as_deref(),
        Some("docker-ce")
    );
    assert_eq!(
        facts.containerd.as_ref().unwrap().owner.as_deref(),
        Some("containerd.io")
    );
    assert_eq!(facts.firewall.as_deref(), Some("ufw"));
    assert!(facts.apparmor && facts.selinux.is_none());
    assert_eq!(facts.services["docker.socket"].active, "active");
    let data = &facts.folders["/srv/registry"];
    assert_eq!(
        (data.mount.as_str(), data.fstype.as_str()),
        ("/srv/registry", "xfs")
    );
    assert_eq!(data.content, FolderContent::Nothing);
    assert_eq!(facts.default_address(true), Some("2001:db8:1::21"));
    assert_eq!(offset(&facts), (0.0, 0.25));
    let resolver = facts
        .listening
        .iter()
        .find(|listener| listener.port == 53)
        .unwrap();
    assert_eq!(resolver.address, "127.0.0.53");
    assert_eq!(resolver.process.as_deref(), Some("systemd-resolve"));
}

#[test]
fn a_centos_7_under_a_kubelet() {
    let facts = read("centos-7-kubelet");
    assert_eq!(facts.os.id_like, ["rhel", "fedora"]);
    assert_eq!(facts.package_manager.as_deref(), Some("yum"));
    assert_eq!(facts.docker.as_ref().unwrap().version, "19.03.15");
    assert_eq!(
        facts.docker.as_ref().unwrap().owner.as_deref(),
        Some("docker-ce")
    );
    assert_eq!(facts.kubelet_running.as_deref(), Some("kubelet"));
    assert_eq!(facts.selinux.as_deref(), Some("permissive"));
    assert_eq!(facts.firewall, None);
    // The lowest metric, not the first line.
    assert_eq!(facts.default_interface.as_deref(), Some("eth0"));
    assert_eq!(offset(&facts), (30.8, 0.2));
    let kubelet = facts
        .listening
        .iter()
        .find(|listener| listener.port == 10250)
        .unwrap();
    assert_eq!(kubelet.process.as_deref(), Some("kubelet"));
}

#[test]
fn a_rocky_9_with_podman_for_docker() {
    let facts = read("rocky-9-podman");
    assert_eq!(facts.docker, None);
    assert_eq!(facts.docker_stand_in.as_deref(), Some("podman"));
    assert_eq!(facts.docker_client, None);
    assert_eq!(facts.selinux.as_deref(), Some("enforcing"));
    assert_eq!(facts.firewall.as_deref(), Some("firewalld"));
    assert_eq!(facts.package_manager.as_deref(), Some("dnf"));
    assert!(!facts.tools.contains_key("iptables"));
    let web = facts
        .listening
        .iter()
        .find(|listener| listener.port == 443)
        .unwrap();
    assert_eq!(
        (web.address.as_str(), web.process.as_deref()),
        ("*", Some("nginx"))
    );
}

#[test]
fn an_alpine_with_busybox_alone() {
    let facts = read("alpine-3.20");
    assert_eq!(facts.init, "init");
    assert_eq!(facts.package_manager.as_deref(), Some("apk"));
    assert_eq!(facts.cores, 2);
    assert_eq!(facts.machine_id, None);
    // From the kernel's tables, without `ip` and `ss`.
    assert_eq!(facts.default_address(false), Some("192.168.122.44"));
    assert!(
        facts
            .listening
            .iter()
            .all(|listener| listener.process.as_deref() == Some("sshd"))
    );
    // A `date` of whole seconds.
    assert_eq!(offset(&facts), (3.1, 0.9));
    let docker = facts.docker.as_ref().unwrap();
    assert_eq!((docker.running, docker.version.as_str()), (false, "26.1.5"));
    assert_eq!(facts.docker_root.as_deref(), Some("/data/docker"));
    assert_eq!(facts.services["docker"].active, "active");
}

#[test]
fn an_ubuntu_with_kubekeys_harbor_and_a_dead_nfs_server() {
    let facts = read("ubuntu-20.04-harbor");
    assert_eq!(
        facts.folders["/var/lib/harbor/data"].content,
        FolderContent::Harbor {
            repositories: Some(17)
        }
    );
    let dead = &facts.folders["/mnt/registry"];
    assert!(dead.hangs && dead.free_bytes.is_none());
    assert_eq!(
        facts.leftovers,
        ["/opt/harbor", "/etc/systemd/system/harbor.service"]
    );
    assert_eq!(
        facts.docker.as_ref().unwrap().path,
        "/usr/local/bin/dockerd"
    );
    assert_eq!(facts.docker.as_ref().unwrap().owner, None);
    assert_eq!(facts.docker.as_ref().unwrap().containers, 3);
    assert_eq!(facts.services["harbor"].active, "active");
    assert_eq!(facts.firewall, None);
}

#[test]
fn lines_lost_anywhere_never_lose_the_rest() {
    // Every answer with one of its lines gone, and cut after every line: no panic, and facts as long as the end is there.
    for name in [
        "debian-12-kk-registry",
        "alpine-3.20",
        "ubuntu-20.04-harbor",
    ] {
        let path = format!(
            "{}/tests/fixtures/facts/{name}.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            let mut fewer = lines.clone();
            let gone = fewer.remove(index);
            let facts = parse(&fewer.join("\n"), SENT, SENT);
            assert_eq!(facts.is_none(), gone == "=kk= end", "{name}: `{gone}`");
            assert!(parse(&lines[..index].join("\n"), SENT, SENT).is_none());
        }
    }
}
