//! `kk registry gc`: what no image has any more goes, reads go on, writes come back whatever happens.

use rustix::process::Signal;

use crate::lab_tests::client::{DockerClient, answer_to, assert_registry_works};
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::task_starts;
use crate::lab_tests::site::Site;

/// Blobs in the storage.
fn blobs(host: &Host) -> usize {
    let said = host.sh("find /shared/registry/docker/registry/v2/blobs -name data | wc -l");
    said.trim().parse().unwrap()
}

/// What the registry answers to who wants to upload something.
fn upload(host: &Host, endpoint: &str, password: &str) -> String {
    let script = format!(
        "curl -K - -s -o /dev/null -w '%{{http_code}}' -X POST --cacert /etc/docker/certs.d/{endpoint}/ca.crt https://{endpoint}/v2/app/new/blobs/uploads/"
    );
    let output = host.feed(&script, format!("user = \"admin:{password}\"\n").as_bytes());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Deletes an image by its digest, as a client of the registry does.
fn delete(host: &Host, endpoint: &str, password: &str, repository: &str, tag: &str) {
    let script = format!(
        "set -e; url=https://{endpoint}/v2/{repository}/manifests
cat >/run/curlrc; trap 'rm /run/curlrc' EXIT
ask() {{ curl -K /run/curlrc -fsS --cacert /etc/docker/certs.d/{endpoint}/ca.crt -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \"$@\"; }}
digest=$(ask -I $url/{tag} | tr -d '\\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
ask -X DELETE $url/$digest"
    );
    let output = host.feed(&script, format!("user = \"admin:{password}\"\n").as_bytes());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn garbage_goes_and_images_stay() {
    let case = Case::new("garbage collection", &[1, 2]);
    let [one, two] = &case.hosts[..] else {
        unreachable!()
    };
    let mut site = Site::of(&case.hosts, 2);
    let vip = site.share(one);
    site.init(0);
    let password = site.password();
    let client = DockerClient::new(two);
    client.login(vip, &password).unwrap();

    case.step("what the proof of the installation left, and then nothing");
    let ran = site.kk("registry gc -o json").run().expect(0);
    assert_eq!(ran.recap("node1", "changed"), 1);
    let ran = site.kk("registry gc").run().expect(0);
    ran.says(&["0 blobs belong to no image", "nothing changed"]);

    case.step("what would go");
    let kept = client.push(vip, "app/kept:1").unwrap();
    client.push(vip, "app/gone:1").unwrap();
    delete(two, vip, &password, "app/gone", "1");
    let before = blobs(one);
    let ran = site.kk("registry gc --dry-run").run().expect(0);
    ran.says(&["blobs of", "belong to no image"]);
    assert_eq!(blobs(one), before);

    case.step("killed while writes are refused");
    // What is begun goes on on the host, whatever becomes of who began it.
    let mut running = site.kk("registry gc -o jsonl").start();
    running.wait_for("the collection", |event| task_starts(event, "garbage goes"));
    running.frozen(|| {
        // Reads go on, writes are refused.
        client.pull(&kept).unwrap();
        for host in [one, two] {
            let args = host.sh("docker inspect -f '{{.Args}}' kk-registry");
            assert!(args.contains("config-readonly"), "{args}");
        }
        assert_eq!(upload(two, vip, &password), "405");
    });
    running.signal(Signal::KILL);
    running.wait();

    case.step("writes come back by themselves, also over a reboot");
    for host in [one, two] {
        host.sh("cd /etc/docker-registry && echo $(($(date +%s) + 30)) >readonly-until && sh ./up.sh 2>/dev/null");
    }
    one.lab("reboot");
    let is_readonly = "docker inspect -f '{{.Args}}' kk-registry | grep -q config-readonly";
    one.wait_until(
        "the registry is back, and read-only still",
        Site::PATIENCE,
        is_readonly,
    );
    for host in [one, two] {
        host.wait_until(
            "writes are taken",
            Site::PATIENCE * 2,
            &format!("! {is_readonly} && [ ! -e /etc/docker-registry/readonly-until ]"),
        );
    }
    assert_registry_works(&site, two, vip);
    assert_eq!(upload(two, vip, &password), "202");

    case.step("again, after one that was cut off");
    client.push(vip, "app/gone:2").unwrap();
    delete(two, vip, &password, "app/gone", "2");
    two.sh("cd /etc/docker-registry && echo $(($(date +%s) + 900)) >readonly-until && sh ./up.sh 2>/dev/null");
    let ran = site.kk("registry gc").run().expect(0);
    ran.says(&["are gone"]);
    assert!(blobs(one) < before, "{} of {before}", blobs(one));
    client.pull(&kept).unwrap();
    client.push(vip, "app/after:1").unwrap();
    let tags = answer_to(two, vip, "/v2/app/kept/tags/list", &password);
    assert!(tags.contains("\"1\""), "{tags}");
    for host in [one, two] {
        let left = host.sh("ls /etc/docker-registry | grep -i readonly; systemctl list-timers --all | grep kk-registry; :");
        assert_eq!(left, "", "{}", host.name);
    }
    let ran = site.init(0);
    ran.expect_recap(&[("changed", 0), ("failed", 0)]);

    case.step("a host that does not take part");
    let ran = site.kk("registry gc --limit node1").run().expect(2);
    ran.says(&["all registry hosts have to take part"]);

    case.step("images that lie in memory");
    let installed = "/var/lib/kk/registry.json";
    one.sh(&format!("cp {installed} /run/installed"));
    for (change, words) in [
        (
            "s/\"filesystem\"/\"inmemory\"/",
            "keeps its images in memory",
        ),
        ("s,/shared/registry,/run,", "the images are on tmpfs"),
    ] {
        one.sh(&format!("sed '{change}' /run/installed >{installed}"));
        site.kk("registry gc").run().expect(2).says(&[words]);
    }
    one.sh(&format!("cp /run/installed {installed}"));

    case.step("hosts with disks of their own, each by itself");
    site.kk("delete registry --with-data").run().expect(0);
    let site = Site::of(&case.hosts, 2);
    site.init(0);
    let ran = site.kk("registry gc -o json --limit node1").run().expect(0);
    assert_eq!(ran.recap("node1", "changed"), 1);
    let ran = site.kk("registry gc -o json").run().expect(0);
    assert_eq!(ran.recap("node1", "changed"), 0);
    assert_eq!(ran.recap("node2", "changed"), 1);
    let password = site.password();
    assert_eq!(upload(two, &one.address, &password), "202");
}
