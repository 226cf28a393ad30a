//! Hosts that cannot be got into, beside one that can: each is named with its fault, and the healthy one is looked at in full.

use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{Case, lab};
use crate::lab_tests::program::Ran;
use crate::lab_tests::site::{Entry, Site};

/// The known hosts of the lab, line by line changed.
fn known_hosts(site: &Site, change: impl Fn(&str) -> Option<String>) -> std::path::PathBuf {
    let text = std::fs::read_to_string(lab().get("KNOWN_HOSTS")).unwrap();
    let lines: Vec<String> = text.lines().filter_map(change).collect();
    let path = site.path().join("known_hosts");
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

fn has_full_precheck(ran: &Ran, host: &Host) {
    for check in [
        "login",
        "privilege",
        "os",
        "memory",
        "disk",
        "space-plan",
        "ports",
        "existing-data",
        "docker",
    ] {
        ran.expect_finding(check, Some(&host.name), "pass", &[]);
    }
}

#[test]
fn hosts_that_refuse_or_are_not_there_do_not_hide_the_healthy_ones() {
    let case = Case::new(
        "wrong password, changed and unknown key, unreachable host",
        &[1, 2, 3],
    );
    let [node1, node2, node3] = &case.hosts[..] else {
        unreachable!()
    };
    let wrong = "not-the-login-password";
    let nobody = lab().unused_address();
    let mut site = Site::of(&case.hosts, 3);
    site.keep_secret(wrong);
    let unreachable = Entry::root(node3)
        .named("ghost")
        .at(&nobody)
        .login("password: labpass");

    case.step("wrong password and an address without a host");
    site.write_inventory(
        &[
            Entry::root(node1),
            Entry::user(node2, "ubuntu").login(&format!("password: {wrong}")),
            unreachable,
        ],
        3,
    );
    for words in ["precheck image_registry -o json", "init registry -o json"] {
        let ran = site.kk(words).run().expect(3);
        assert!(ran.took.as_secs() < 40, "{:?}", ran.took);
        has_full_precheck(&ran, node1);
        ran.expect_finding("login", Some("node2"), "fail", &["ubuntu", "password"]);
        ran.expect_finding("reachable", Some("ghost"), "fail", &[&nobody]);
        ran.expect_finding("memory", Some("ghost"), "unknown", &[]);
        assert!(node1.is("! command -v docker"), "nothing was changed");
    }

    case.step("delete, which has no precheck");
    let ran = site.kk("delete registry -o json").run().expect(4);
    assert_eq!(ran.recap("node2", "unreachable"), 1);
    assert_eq!(ran.recap("ghost", "unreachable"), 1);
    assert_eq!(ran.recap("node1", "failed"), 0);

    case.step("a changed host key and an unknown one");
    let text = std::fs::read_to_string(lab().get("KNOWN_HOSTS")).unwrap();
    let key_of_1 = |kind: &str| -> String {
        text.lines()
            .find(|line| line.starts_with("node1,") && line.contains(kind))
            .and_then(|line| line.split(' ').nth(2))
            .unwrap()
            .to_owned()
    };
    let path = known_hosts(&site, |line| {
        let words: Vec<&str> = line.split(' ').collect();
        if line.starts_with("node2,") {
            // As if another machine had taken its place.
            Some(format!("{} {} {}", words[0], words[1], key_of_1(words[1])))
        } else if line.starts_with("node3,") {
            None
        } else {
            Some(line.to_owned())
        }
    });
    let before = std::fs::read_to_string(&path).unwrap();
    site.trust(path.clone());
    site.write_inventory(&case.hosts.iter().map(Entry::root).collect::<Vec<_>>(), 3);
    let ran = site
        .kk("init registry -o json --host-key-checking strict")
        .run()
        .expect(3);
    has_full_precheck(&ran, node1);
    ran.expect_finding("host-key", Some("node2"), "fail", &["known_hosts"]);
    ran.expect_finding("host-key", Some("node3"), "fail", &["SHA256:"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert!(case.hosts.iter().all(|host| host.is("! command -v docker")));

    case.step("accept-new takes the unknown one, never the changed one");
    let ran = site
        .kk("precheck image_registry -o json --host-key-checking accept-new")
        .run()
        .expect(3);
    ran.expect_finding("host-key", Some("node2"), "fail", &[]);
    ran.expect_finding("host-key", Some("node3"), "pass", &[]);
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(
        after.contains(&node3.address) && after.starts_with(&before),
        "{after}"
    );
}
