//! Users that are not root: sudo without and with a password, over standard input.

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::lab::Case;
use crate::lab_tests::site::{Entry, Site};

#[test]
fn users_with_sudo_install_as_root_does() {
    let case = Case::new("users with sudo", &[1, 2]);
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    let deploy = Entry::user(node1, "deploy");
    let ubuntu = Entry::user(node2, "ubuntu").and("become_password: labpass");
    let site = Site::new(&[deploy.clone(), ubuntu.clone()], 2);

    case.step("a wrong sudo password");
    let wrong = "not the sudo password";
    site.keep_secret(wrong);
    site.write_inventory(
        &[
            deploy.clone(),
            Entry::user(node2, "ubuntu").and(&format!("become_password: {wrong}")),
        ],
        2,
    );
    let ran = site.kk("init registry -o json").run().expect(3);
    ran.expect_finding("privilege", Some("node2"), "fail", &["sudo", "ubuntu"]);
    ran.expect_finding("privilege", Some("node1"), "pass", &["root"]);
    assert!(node1.is("! command -v docker"), "nothing was changed");

    case.step("none at all");
    site.write_inventory(&[deploy.clone(), Entry::user(node2, "ubuntu")], 2);
    let ran = site.kk("precheck image_registry -o json").run().expect(3);
    ran.expect_finding(
        "privilege",
        Some("node2"),
        "fail",
        &["password", "become_password"],
    );

    case.step("install: deploy without, ubuntu with a password");
    site.write_inventory(&[deploy.clone(), ubuntu.clone()], 2);
    site.init(0)
        .expect_recap(&[("failed", 0), ("unreachable", 0)]);
    assert_registry_works(&site, node2, &node1.address);
    assert_registry_works(&site, node1, &node2.address);
    for host in &case.hosts {
        host.assert_no_remains();
        // Nothing belongs to the user that logged in.
        assert_eq!(host.sh("find /etc /usr/local /var/lib/kk /var/lib/docker-registry -user deploy -o -user ubuntu"), "");
        assert_eq!(
            host.sh("stat -c '%U %a' /etc/docker-registry/config.yml"),
            "root 600"
        );
    }
    assert!(
        node2.is("! journalctl -q -o cat | grep -q labpass"),
        "sudo's log has no password"
    );

    case.step("the login by password, the same password for sudo");
    let by_password = Entry::user(node2, "ubuntu").login("password: labpass");
    site.write_inventory(&[deploy, by_password], 2);
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("delete");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    for host in &case.hosts {
        assert!(
            host.is("[ ! -e /var/lib/kk ] && [ ! -e /etc/docker-registry ] && ! command -v docker")
        );
    }
}
