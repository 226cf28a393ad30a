//! A disk that fills up: a clear word, nothing half-done, and all is well once there is room again.

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::{task_starts, uploading};
use crate::lab_tests::site::Site;

#[test]
fn a_full_disk_is_named_and_the_next_run_converges() {
    let case = Case::new("full disk", &[1]);
    let site = Site::of(&case.hosts, 1);
    let node = &case.hosts[0];

    case.step("too small from the start: the precheck says so");
    node.sh("mkdir -p /var/lib/kk && mount -t tmpfs -o size=40m tmpfs /var/lib/kk");
    let ran = site.kk("init registry -o json").run().expect(3);
    ran.expect_finding("space-plan", Some("node1"), "fail", &["/var/lib/kk", "81."]);

    case.step("waived all the same: the upload does not even begin");
    let waived = || {
        site.kk("init registry -o json")
            .arg("--waive")
            .arg("space-plan=a test")
    };
    let ran = waived().run().expect(2);
    ran.says(&["node1", "/var/lib/kk", "free"]);
    assert_eq!(ran.recap("node1", "failed"), 1);
    assert!(ran.recap("node1", "bytes_sent") < 1_000_000);
    node.assert_no_remains();
    assert!(node.is("! command -v docker"));

    case.step("fills up while a package arrives");
    node.sh("mount -o remount,size=600m /var/lib/kk");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("an upload", |event| uploading(event, "node1"));
    running.frozen(|| node.try_sh("dd if=/dev/zero of=/var/lib/kk/filler bs=1M 2>/dev/null"));
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(2);
    ran.says(&["node1", "no space left", "make room"]);
    assert!(node.is("! command -v docker && [ ! -e /usr/local/bin/dockerd ]"));
    node.sh("rm /var/lib/kk/filler");

    case.step("fills up while the image is loaded");
    node.sh("mount -t tmpfs -o size=300m tmpfs /var/lib/docker");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("the image's task", |event| {
        task_starts(event, "image of the registry")
    });
    running.frozen(|| node.try_sh("dd if=/dev/zero of=/var/lib/docker/filler bs=1M 2>/dev/null"));
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(2);
    ran.says(&["node1", "no space left on device"]);

    case.step("with room again");
    node.sh("rm /var/lib/docker/filler");
    site.init(0).expect_recap(&[("failed", 0)]);
    assert_registry_works(&site, node, &node.address);
    node.assert_no_remains();
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);
}
