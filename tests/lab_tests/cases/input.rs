//! Bad input is refused with its place and a hint, before any host is touched: no sshd sees a connection.

use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::Case;
use crate::lab_tests::site::Site;

/// Everything that sshd of a host ever said about somebody who came.
fn visits(host: &Host) -> usize {
    let said = host.sh("journalctl -q -o cat -u ssh; journalctl -q -o cat -t sshd; :");
    said.lines().count()
}

/// An inventory of the lab's first host, some lines of it changed.
fn inventory(site: &Site, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(site.inventory()).unwrap();
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    text.replacen(from, to, 1)
}

#[test]
fn bad_input_touches_no_host() {
    let case = Case::new("bad input", &[1]);
    let node = &case.hosts[0];
    let site = Site::of(&case.hosts, 1);
    let sane = std::fs::read_to_string(site.inventory()).unwrap();
    // The door does say so when somebody comes.
    let before = visits(node);
    site.kk("precheck image_registry").run().expect(0);
    assert!(visits(node) > before, "this test would not notice a visit");
    let before = visits(node);

    case.step("inventories");
    let unreadable = site.path().join("no such key");
    let inventories = [
        // YAML itself.
        (
            inventory(&site, "  hosts:\n", "  hosts: [\n"),
            vec!["inventory.yaml:"],
        ),
        (
            inventory(&site, "    image_registry:", "\timage_registry:"),
            vec!["inventory.yaml:"],
        ),
        // Unknown words, each with the nearest right one.
        (
            inventory(&site, "connector:", "connetor:"),
            vec!["`connetor`", "`connector`", "inventory.yaml:8"],
        ),
        (
            inventory(&site, "private_key:", "privat_key:"),
            vec!["`privat_key`", "`private_key`"],
        ),
        (
            inventory(&site, "  groups:", "  group:"),
            vec!["`group`", "`groups`"],
        ),
        (
            inventory(&site, "kind: Inventory", "kind: Inventroy"),
            vec!["Inventroy"],
        ),
        // Wrong types.
        (
            inventory(&site, "type: ssh", "type: telnet"),
            vec!["telnet", "ssh"],
        ),
        (
            inventory(&site, "host: ", "port: many, host: "),
            vec!["many"],
        ),
        (
            inventory(&site, "hosts: [node1]", "hosts: {a: 1}"),
            vec!["inventory.yaml:"],
        ),
        // Hosts and groups.
        (
            inventory(&site, "[node1]", "[node1, nod2]"),
            vec!["`nod2`", "image_registry"],
        ),
        (
            inventory(
                &site,
                "      hosts: [node1]",
                "      groups: [a]\n    a: {groups: [b]}\n    b: {groups: [a]}",
            ),
            vec!["`a`", "`b`"],
        ),
        // Keys.
        (
            sane.replace(
                &format!("{:?}", crate::lab_tests::lab::lab().get("SSH_KEY")),
                &format!("{:?}", unreadable.display().to_string()),
            ),
            vec!["no such key"],
        ),
    ];
    for (text, words) in &inventories {
        std::fs::write(site.inventory(), text).unwrap();
        for command in [
            "precheck image_registry",
            "init registry",
            "delete registry",
        ] {
            let ran = site.kk(command).run();
            assert_eq!(ran.code, Some(1), "{text}\n{}", ran.everything());
            ran.says(words);
        }
    }
    std::fs::write(site.inventory(), &sane).unwrap();

    case.step("settings");
    let settings: [(&str, &str, &[&str]); 10] = [
        (
            "image_registry.type",
            "dockerregistry",
            &["dockerregistry", "docker-registry"],
        ),
        ("docker_registry_version", "two", &["two"]),
        ("docker_version", "../../etc", &["docker_version"]),
        (
            "image_registry.auth.pasword",
            "x",
            &[
                "image_registry.auth.pasword",
                "image_registry.auth.password",
            ],
        ),
        ("image_registry.https_port", "65536", &["https_port"]),
        ("image_registry.auth.plain_http", "maybe", &["plain_http"]),
        (
            "image_registry.auth.registry",
            "no such/../name!",
            &["image_registry.auth.registry"],
        ),
        (
            "image_registry.docker_registry.storage.s3.bucket",
            "b",
            &["s3"],
        ),
        (
            "image_registry.docker_registry.storage",
            "{\"filesystem\": {}, \"s3\": {\"bucket\": \"b\", \"region\": \"r\"}}",
            &["filesystem", "s3"],
        ),
        ("requirements.disk_gb", "much", &["disk_gb"]),
    ];
    for (key, value, words) in settings {
        for command in ["precheck image_registry", "init registry"] {
            let ran = site.kk(command).set(key, value).run();
            assert_eq!(ran.code, Some(1), "{key}={value}\n{}", ran.everything());
            ran.says(words);
            assert!(
                ran.stderr.contains("hint") || ran.stderr.contains("-->"),
                "{}",
                ran.stderr
            );
        }
    }

    assert_eq!(visits(node), before, "somebody came to the host");

    case.step("what the precheck finds: no group, no package");
    std::fs::write(site.inventory(), inventory(&site, "[node1]", "[]")).unwrap();
    let ran = site.kk("init registry").run();
    assert!(matches!(ran.code, Some(1 | 3)), "{}", ran.everything());
    ran.says(&["image_registry"]);
    std::fs::write(site.inventory(), &sane).unwrap();
    let empty = site.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let ran = site
        .kk("init registry -o json")
        .set("binary_dir", empty.to_str().unwrap())
        .run();
    // They are held against the hosts' architectures, so this is a finding of the precheck.
    let ran = ran.expect(3);
    ran.expect_finding("package", None, "fail", &["empty/docker/", "docker"]);
    assert!(node.is("! command -v docker && [ ! -e /var/lib/kk ]"));
    let visited = visits(node);
    assert!(visited > before);

    case.step("the command line");
    for (words, code) in [
        ("init registri", 5),
        ("init registry --sett a=b", 5),
        ("precheck image_registry --forks 0", 5),
        ("init registry --set nonsense", 1),
    ] {
        let ran = site.kk(words).run();
        assert!(
            ran.code == Some(code) || ran.code == Some(5),
            "{}",
            ran.everything()
        );
    }
    assert_eq!(visits(node), visited, "somebody came to the host");
}
