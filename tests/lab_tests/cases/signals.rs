//! Ctrl-C and SIGTERM: what runs ends in an orderly way, the exit code says so, and the next run converges.

use std::time::Duration;

use rustix::process::Signal;

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::{task_starts, uploading};
use crate::lab_tests::site::Site;

#[test]
fn ctrl_c_and_sigterm_stop_in_order_and_the_next_run_converges() {
    let case = Case::new("Ctrl-C and SIGTERM", &[1]);
    let site = Site::of(&case.hosts, 1);
    let node = &case.hosts[0];

    case.step("SIGTERM while a package arrives");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("an upload", |event| uploading(event, "node1"));
    running.signal(Signal::TERM);
    let told = running.elapsed();
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(143);
    assert!(ran.took < told + Duration::from_secs(15), "{:?}", ran.took);
    node.assert_ended();

    case.step("Ctrl-C while a task runs: it ends, nothing follows");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("the engine's start", |event| {
        task_starts(event, "running, also after a reboot")
    });
    running.signal(Signal::INT);
    let told = running.elapsed();
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(130);
    assert!(ran.took < told + Duration::from_secs(30), "{:?}", ran.took);
    assert!(ran.stdout.contains("cancel_requested"));
    let after = ran.stdout.split("cancel_requested").nth(1).unwrap();
    assert!(
        !after.contains("image of the registry"),
        "a task began after Ctrl-C\n{after}"
    );
    node.assert_ended();
    // The step that ran was not broken off.
    node.wait_until(
        "the engine runs",
        Site::PATIENCE,
        "docker version >/dev/null",
    );

    case.step("Ctrl-C three times: at once");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("the image's task", |event| {
        task_starts(event, "image of the registry")
    });
    for _ in 0..3 {
        running.signal(Signal::INT);
        std::thread::sleep(Duration::from_millis(100));
    }
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(130);
    assert!(ran.took.as_secs() < 60, "{:?}", ran.took);

    case.step("the next run converges");
    site.init(0);
    assert_registry_works(&site, node, &node.address);
    node.assert_no_remains();
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);
}
