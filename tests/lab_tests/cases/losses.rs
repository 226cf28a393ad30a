//! Hosts that are lost in the middle: one whose plug is pulled, one whose cable is.

use std::time::Duration;

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::uploading;
use crate::lab_tests::site::Site;

#[test]
fn hosts_that_are_lost_while_they_get_packages_do_not_stop_the_others() {
    let case = Case::new("two of three hosts lost while uploading", &[1, 2, 3]);
    let site = Site::of(&case.hosts, 3);
    let [node1, node2, node3] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("plug and cable are pulled");
    let mut running = site.kk("init registry -o jsonl").start();
    running.wait_for("an upload to node2", |event| uploading(event, "node2"));
    running.frozen(|| node2.lab("power-off"));
    running.wait_for("an upload to node3", |event| uploading(event, "node3"));
    running.frozen(|| node3.lab("cut"));
    let ran = running.wait();
    site.over(&ran);
    let ran = ran.expect(4);
    assert!(ran.took < Duration::from_secs(120), "{:?}", ran.took);
    ran.says(&["node2", "node3"]);
    let logs = site.logs();
    for host in ["node2", "node3"] {
        let told = logs
            .lines()
            .any(|line| line.contains(host) && line.contains("unreachable"));
        assert!(told, "no word about {host}\n{logs}");
    }

    case.step("the third host came through");
    assert!(node1.is("docker inspect -f '{{.State.Running}}' kk-registry | grep -qx true"));
    assert_registry_works(&site, node1, &node1.address);
    node1.assert_no_remains();

    case.step("both are back");
    std::thread::scope(|scope| {
        scope.spawn(|| node2.lab("power-on"));
        scope.spawn(|| node3.lab("heal"));
    });
    let (half2, half3) = (arrived(node2), arrived(node3));

    case.step("the next run goes on where it was cut off");
    let ran = site.init(0);
    ran.expect_recap(&[("failed", 0), ("unreachable", 0)]);
    assert_eq!(ran.recap("node1", "bytes_sent"), 0);
    let full = package_bytes();
    for (host, half) in [("node2", half2), ("node3", half3)] {
        let sent = ran.recap(host, "bytes_sent");
        // What had arrived is not sent again; a host may have had whole packages before it was lost. Beside packages
        // only configuration files are sent.
        assert!(
            sent < full && sent + half < full + 20_000,
            "{host}: {half} of {full} bytes were there already, {sent} were sent"
        );
    }
    for host in &case.hosts {
        let other = if host.name == "node1" { node2 } else { node1 };
        assert_registry_works(&site, other, &host.address);
        host.assert_no_remains();
    }
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);
}

/// Bytes of a cut-off upload that need not be sent again. To a host that answers late, as a busy one does, a big file goes
/// in slices of 32 MiB, of which the whole ones count.
fn arrived(host: &Host) -> u64 {
    let parts = host.sh(r#"find / -xdev -name '*.part' ! -name '*.slices.part' -size +0 2>/dev/null | while read -r part; do
  record=${part%.part}.slices.part
  if [ -e "$record" ]; then echo "slices $(sort -u "$record" | grep -c .)"; else echo "bytes $(wc -c <"$part")"; fi
done"#);
    assert!(!parts.is_empty(), "{}: nothing has arrived", host.name);
    let bytes = |line: &str| match line.split_once(' ') {
        Some(("slices", whole)) => whole.parse::<u64>().unwrap() * 32 * 1024 * 1024,
        Some(("bytes", count)) => count.parse().unwrap(),
        _ => panic!("{line}"),
    };
    parts.lines().map(bytes).sum()
}

/// Bytes of the three packages that a bare host gets.
fn package_bytes() -> u64 {
    let lab = crate::lab_tests::lab::lab();
    let (arch, docker, registry) = (
        lab.get("ARCH"),
        lab.get("DOCKER_VERSION"),
        lab.get("REGISTRY_VERSION"),
    );
    let paths = [
        format!("docker/{docker}/{arch}/docker-{docker}.tgz"),
        format!(
            "image-registry/docker-compose/{}/{arch}/docker-compose",
            lab.get("COMPOSE_VERSION")
        ),
        format!(
            "image-registry/docker-registry/{registry}/{arch}/docker-registry-{registry}-linux-{arch}.tgz"
        ),
    ];
    let size = |path: &String| {
        std::fs::metadata(format!("{}/{path}", lab.get("BINARY_DIR")))
            .unwrap()
            .len()
    };
    paths.iter().map(size).sum()
}
