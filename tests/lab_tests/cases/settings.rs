//! A changed setting changes what it touches, and nothing else; images stay.

use crate::lab_tests::client::{DockerClient, assert_registry_works, status_from};
use crate::lab_tests::lab::{Case, lab};
use crate::lab_tests::program::Ran;
use crate::lab_tests::site::Site;

/// Configuration files are sent as well, but they are small.
const SMALL: u64 = 20_000;

#[track_caller]
fn assert_no_package(ran: &Ran) {
    let sent = ran.recap("node1", "bytes_sent");
    assert!(sent < SMALL, "{sent} bytes are no configuration");
}

#[test]
fn port_password_and_version_change_without_losing_images() {
    let case = Case::new("changed settings", &[1, 2]);
    // A registry on the first host; the second one is only somebody who uses it.
    let mut site = Site::of(&case.hosts, 1);
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("install");
    site.init(0);
    let first = site.password();
    let client = DockerClient::new(node1);
    client.login(&node1.address, &first).unwrap();
    let mut image = client.push(&node1.address, "kept/image:1").unwrap();
    let engine = "systemctl show -p MainPID -p ActiveEnterTimestampMonotonic docker";
    let engine_before = node1.sh(engine);

    case.step("another port");
    let before =
        node1.sh("cat /etc/docker-registry/htpasswd; sha256sum /etc/docker-registry/tls/*");
    site.set("image_registry.https_port", "8443");
    let ran = site.init(0);
    let endpoint = format!("{}:8443", node1.address);
    assert_registry_works(&site, node2, &endpoint);
    assert_no_package(&ran);
    assert_eq!(
        node1.sh("ss -Hltn 'sport = :443'"),
        "",
        "the old port is free"
    );
    assert_eq!(
        node1.sh("cat /etc/docker-registry/htpasswd; sha256sum /etc/docker-registry/tls/*"),
        before
    );
    assert_eq!(
        node1.sh(engine),
        engine_before,
        "the engine was not restarted"
    );
    let touched = ran.changed_tasks()["node1"].join("\n");
    for untouched in [
        "binaries",
        "plugin",
        "image of the registry",
        "user and password",
        "key of the certificate",
    ] {
        assert!(!touched.contains(untouched), "{touched}");
    }
    client.login(&endpoint, &first).unwrap();
    image.reference = format!("{endpoint}/kept/image:1");
    client.pull(&image).unwrap();
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("another password");
    let second = "a new Pass-word, with 'quotes' and $igns";
    site.keep_secret(second);
    // A comma would end the value.
    let quoted = second.replace(',', "\\,");
    site.set("image_registry.auth.password", &quoted);
    let before =
        node1.sh("sha256sum /etc/docker-registry/config.yml /etc/docker-registry/compose.yaml");
    let ran = site.init(0);
    assert_no_package(&ran);
    assert_eq!(ran.recap("node2", "changed"), 0);
    assert_eq!(
        node1.sh("sha256sum /etc/docker-registry/config.yml /etc/docker-registry/compose.yaml"),
        before
    );
    assert_eq!(status_from(node2, &endpoint, "/v2/", Some(second)), "200");
    assert_eq!(
        status_from(node2, &endpoint, "/v2/", Some(&first)),
        "401",
        "the old password"
    );
    client.login(&endpoint, second).unwrap();
    client.pull(&image).unwrap();
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("another version");
    let package = std::fs::metadata(format!(
        "{}/image-registry/docker-registry/{version}/{arch}/docker-registry-{version}-linux-{arch}.tgz",
        lab().get("BINARY_DIR"),
        version = lab().get("REGISTRY_VERSION_2"),
        arch = lab().get("ARCH"),
    ))
    .unwrap()
    .len();
    site.set("docker_registry_version", lab().get("REGISTRY_VERSION_2"));
    let ran = site.init(0);
    let sent = ran.recap("node1", "bytes_sent");
    assert!(
        (package..package + SMALL).contains(&sent),
        "the one package of {package} bytes, once: {sent}"
    );
    assert_eq!(ran.recap("node2", "changed"), 0);
    let running = node1.sh("docker inspect -f '{{.Config.Image}}' kk-registry");
    assert_eq!(
        running,
        format!("registry:{}", lab().get("REGISTRY_VERSION_2"))
    );
    client.pull(&image).unwrap();
    assert_eq!(
        node1.sh(engine),
        engine_before,
        "the engine was not restarted"
    );
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("a storage folder that would hide the images is refused");
    let ran = site
        .kk("init registry -o json")
        .set(
            "image_registry.docker_registry.storage.filesystem.rootdir",
            "/data/elsewhere",
        )
        .run()
        .expect(3);
    ran.expect_finding(
        "existing-data",
        Some("node1"),
        "fail",
        &["/var/lib/docker-registry/data", "/data/elsewhere"],
    );
    client.pull(&image).unwrap();
}
