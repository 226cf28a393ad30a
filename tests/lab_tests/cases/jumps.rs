//! A host that only another one reaches: everything goes through SSH, the proof of the registry too.

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::lab::Case;
use crate::lab_tests::site::{Entry, Site};

#[test]
fn a_registry_behind_a_jump_host() {
    let case = Case::new("a registry behind a jump host", &[1, 2]);
    let [bastion, node] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("the host hears the jump host alone");
    node.sh(&format!(
        "iptables -I INPUT ! -s {} -i eth0 -j DROP",
        bastion.address
    ));
    let site = Site::new(&[Entry::root(node)], 1);
    let ran = site.kk("precheck image_registry -o json").run().expect(3);
    ran.expect_finding("reachable", Some(&node.name), "fail", &[&node.address]);

    case.step("install through it");
    site.write_inventory(
        &[
            Entry::root(node).and("proxy_jump: bastion"),
            Entry::user(bastion, "deploy").named("bastion"),
        ],
        1,
    );
    let ran = site.init(0);
    ran.expect_recap(&[("failed", 0), ("unreachable", 0)]);
    assert_registry_works(&site, bastion, &node.address);
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("delete");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    assert!(node.is("[ ! -e /var/lib/kk ] && ! command -v docker"));
}
