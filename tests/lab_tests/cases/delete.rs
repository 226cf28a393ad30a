//! `kk delete registry`: exactly what kk brought goes, and nothing that was there before or that users stored.

use crate::lab_tests::client::DockerClient;
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{Case, lab};
use crate::lab_tests::site::Site;
use crate::lab_tests::snapshot::{Snapshot, Strictness};

const DATA: &str = "/var/lib/docker-registry/data";

/// What an engine that ran and went leaves: layers of images in its own volume, which are data of the host; and that the
/// kernel forwards packets, with the policy that goes with it, which nobody can know to be Docker's alone.
const OF_THE_ENGINE: &[&str] = &[
    "/var/lib/docker/",
    "/var/lib/docker\t",
    "sysctl net.",
    "iptables :FORWARD ",
];

#[test]
fn a_deleted_registry_leaves_the_data_and_nothing_else() {
    let case = Case::new("delete, install again, delete with data", &[1, 2]);
    let site = Site::of(&case.hosts, 1);
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    // Something of its own in every place that kk writes to.
    for host in &case.hosts {
        host.sh("mkdir -p /etc/docker/certs.d/other.example && echo theirs >/etc/docker/certs.d/other.example/ca.crt && echo '10.9.8.7 other.example' >>/etc/hosts && iptables -N OURS && iptables -A OURS -p tcp --dport 9999 -j ACCEPT");
    }
    let before: Vec<Snapshot> = case.hosts.iter().map(Snapshot::of).collect();

    case.step("install and push");
    let endpoint = "registry.lab.example";
    let install = || {
        site.kk("init registry -o json")
            .set("image_registry.auth.registry", endpoint)
            .set("image_registry.trust.system_store", "true")
    };
    install().run().expect(0);
    assert!(node2.is(&format!(
        "grep -q '{} {endpoint}' /etc/hosts",
        node1.address
    )));
    assert!(
        node2.is(&format!("curl -s https://{endpoint}/v2/ >/dev/null")),
        "the system's own store trusts it"
    );
    let client = DockerClient::new(node1);
    client.login(endpoint, &site.password()).unwrap();
    let image = client.push(endpoint, "kept/image:1").unwrap();
    drop(client);

    case.step("delete");
    let ran = site.kk("delete registry -o json --check").run().expect(0);
    assert!(ran.recap("node1", "changed") > 0);
    let ran = site.kk("delete registry -o json").run().expect(0);
    assert!(ran.recap("node1", "changed") > 0);
    let kept: Vec<&str> = OF_THE_ENGINE
        .iter()
        .copied()
        .chain(["/var/lib/docker-registry", "/var/lib/kk"])
        .collect();
    before[0].assert_same(node1, Strictness::Restored, &kept);
    before[1].assert_same(node2, Strictness::Restored, &[]);
    assert!(
        node1.is(&format!(
            "[ -d {DATA}/docker/registry/v2/repositories/kept/image ]"
        )),
        "the data are kept"
    );
    site.kk("delete registry -o json")
        .run()
        .expect(0)
        .expect_recap(&[("changed", 0), ("failed", 0)]);

    case.step("install again: the image is still there");
    let ran = install().run().expect(0);
    ran.expect_finding("existing-data", Some("node1"), "warn", &[DATA]);
    let client = DockerClient::new(node1);
    client.login(endpoint, &site.password()).unwrap();
    client.pull(&image).unwrap();
    drop(client);

    case.step("delete with data");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    before[0].assert_same(node1, Strictness::Restored, OF_THE_ENGINE);
    before[1].assert_same(node2, Strictness::Restored, &[]);
    assert!(node1.is(&format!("[ ! -e {DATA} ] && [ ! -e /var/lib/kk ]")));
}

/// What an administrator did before kk came: Docker from the same package, in another place, with a container.
fn install_docker_by_hand(host: &Host) {
    let version = lab().get("DOCKER_VERSION");
    let package = format!(
        "{}/docker/{version}/{}/docker-{version}.tgz",
        lab().get("BINARY_DIR"),
        lab().get("ARCH")
    );
    let unpacked = host.feed(
        "tar -xzf - -C /usr/bin --strip-components=1",
        &std::fs::read(package).unwrap(),
    );
    assert!(unpacked.status.success());
    host.sh(
        "mkdir -p /etc/docker && echo '{\"log-driver\": \"json-file\"}' >/etc/docker/daemon.json &&
cat >/etc/systemd/system/docker.service <<'UNIT' && systemctl daemon-reload && systemctl enable -q --now docker
[Unit]
After=network-online.target
[Service]
Type=notify
ExecStart=/usr/bin/dockerd
Delegate=yes
KillMode=process
Restart=on-failure
[Install]
WantedBy=multi-user.target
UNIT",
    );
    host.sh("tar -C / -c etc/hostname bin/busybox 2>/dev/null | docker import - theirs:1 >/dev/null || tar -C / -c etc/hostname | docker import - theirs:1 >/dev/null; docker volume create theirs >/dev/null");
}

#[test]
fn a_docker_that_was_there_is_kept_and_never_restarted() {
    let case = Case::new("a Docker that was there before", &[3]);
    let site = Site::of(&case.hosts, 1);
    let [node] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("Docker by hand");
    install_docker_by_hand(node);
    // A container that would not survive a restart of the engine.
    let archive = format!(
        "{0}/image-registry/docker-registry/{1}/{2}/docker-registry-{1}-linux-{2}.tgz",
        lab().get("BINARY_DIR"),
        lab().get("REGISTRY_VERSION_2"),
        lab().get("ARCH")
    );
    assert!(
        node.feed("docker load", &std::fs::read(archive).unwrap())
            .status
            .success()
    );
    node.sh(&format!(
        "docker tag registry:{0} theirs:2 && docker rmi registry:{0} && docker run -d --name theirs --entrypoint sleep theirs:2 1000000",
        lab().get("REGISTRY_VERSION_2")
    ));
    let alive = "systemctl show -p MainPID -p ActiveEnterTimestampMonotonic docker; docker inspect -f '{{.State.StartedAt}} {{.State.Pid}}' theirs; sha256sum /usr/bin/dockerd /etc/docker/daemon.json /etc/systemd/system/docker.service";
    let engine = node.sh(alive);
    let before = Snapshot::of(node);

    case.step("install");
    let ran = site.init(0);
    ran.expect_finding(
        "docker",
        Some("node3"),
        "pass",
        &[lab().get("DOCKER_VERSION")],
    );
    assert_eq!(node.sh(alive), engine, "the engine and its container go on");
    assert!(node.is("[ ! -e /usr/local/bin/dockerd ]"));
    let docker = std::fs::metadata(format!(
        "{0}/docker/{1}/{2}/docker-{1}.tgz",
        lab().get("BINARY_DIR"),
        lab().get("DOCKER_VERSION"),
        lab().get("ARCH")
    ))
    .unwrap()
    .len();
    assert!(
        ran.recap("node3", "bytes_sent") < docker + 100_000_000
            && ran.recap("node3", "bytes_sent") > 0
    );
    let client = DockerClient::new(node);
    client.login(&node.address, &site.password()).unwrap();
    let image = client.push(&node.address, "some/image:1").unwrap();
    client.pull(&image).unwrap();
    drop(client);
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("delete");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    assert_eq!(node.sh(alive), engine, "the engine and its container go on");
    before.assert_same(
        node,
        Strictness::Restored,
        &["/var/lib/docker/", "/run/docker/netns/"],
    );
}
