//! A registry on an object store: what one host takes the other has, and the store's secret stays where it belongs.

use std::path::PathBuf;
use std::time::Instant;

use super::failover::holder;
use super::registry::assert_no_readable_secret;
use crate::lab_tests::client::{DockerClient, Image};
use crate::lab_tests::lab::{Case, lab};
use crate::lab_tests::objects::ObjectStore;
use crate::lab_tests::site::Site;

/// Writes a Config file.
fn config(site: &Site, name: &str, spec: &serde_json::Value) -> PathBuf {
    let path = site.path().join(name);
    let document = serde_json::json!({
        "apiVersion": "kubekey.kubesphere.io/v1", "kind": "Config", "spec": spec,
    });
    std::fs::write(&path, document.to_string()).unwrap();
    path
}

#[test]
fn two_registries_on_one_object_store() {
    let case = Case::new(
        "storage: two registries on S3 with its own authority",
        &[1, 2],
    );
    let site = Site::of(&case.hosts, 2);
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("the object store");
    let store = ObjectStore::start(site.path(), 9700);
    site.keep_secret(&store.secretkey);
    site.keep_secret(&store.accesskey);
    let good = config(&site, "good.yaml", &store.settings());
    let kk = |words: &str| site.kk(words).arg("-c").arg(good.display().to_string());

    case.step("what is wrong with the store is said, and nothing is changed");
    let precheck =
        |what: &str, change: &dyn Fn(&mut serde_json::Value), host: &str, words: &[&str]| {
            let mut settings = store.settings();
            change(&mut settings["image_registry"]["docker_registry"]);
            let file = config(&site, &format!("{what}.yaml"), &settings);
            let ran = site
                .kk("precheck image_registry -o json")
                .arg("-c")
                .arg(file.display().to_string())
                .run()
                .expect(3);
            ran.expect_finding("storage-access", Some(host), "fail", words);
            ran
        };
    precheck(
        "another key",
        &|registry| registry["storage"]["s3"]["accesskey"] = "AKIANOBODY".into(),
        "node1",
        &["does not know the access key"],
    );
    site.keep_secret("not-the-secret");
    precheck(
        "another secret",
        &|registry| registry["storage"]["s3"]["secretkey"] = "not-the-secret".into(),
        "node1",
        &["the secret key is wrong"],
    );
    precheck(
        "another bucket",
        &|registry| registry["storage"]["s3"]["bucket"] = "nothing-here".into(),
        "node1",
        &["no bucket `nothing-here`"],
    );
    precheck(
        "no authority",
        &|registry| drop(registry.as_object_mut().unwrap().remove("storage_ca")),
        "node1",
        &["authority that is not trusted", "storage_ca"],
    );
    let gone = "iptables -A OUTPUT -p tcp --dport 9700 -j";
    node2.sh(&format!("{gone} DROP"));
    precheck(
        "one gets no answer",
        &|_| {},
        "node2",
        &["`node2` does not reach it", "did not answer within 10 s"],
    );
    node2.sh(&format!("{} DROP; {gone} REJECT", gone.replace("-A", "-D")));
    let ran = precheck(
        "one is cut off",
        &|_| {},
        "node2",
        &["`node2` does not reach it"],
    );
    ran.expect_finding(
        "storage-access",
        Some("node1"),
        "fail",
        &["`node2` does not reach it"],
    );
    node2.sh(&format!("{} REJECT", gone.replace("-A", "-D")));
    assert_eq!(store.leftovers(), Vec::<String>::new());
    assert!(!site.workdir().join("secrets.yaml").exists());

    case.step("a host that forwards nothing");
    let sshd = "/etc/ssh/sshd_config.d/forward.conf";
    node2.sh(&format!(
        "echo AllowTcpForwarding no >{sshd}; systemctl reload ssh"
    ));
    let ran = kk("precheck image_registry -o json").run().expect(0);
    let words = ["read back on `node1`", "asked from this machine"];
    ran.expect_finding("storage-access", Some("node2"), "pass", &words);
    node2.sh(&format!("rm {sshd}; systemctl reload ssh"));

    case.step("install");
    let ran = kk("precheck image_registry -o json").run().expect(0);
    ran.expect_finding(
        "storage-access",
        Some("node1"),
        "pass",
        &["read back on `node2`", "deleted"],
    );
    kk("init registry -o json").run().expect(0);
    let folder = "/etc/docker-registry";
    let modes =
        format!("cd {folder} && stat -c '%a %U %n' . config.yml storage storage/trust/ca.crt");
    assert_eq!(
        node1.sh(&modes),
        "700 root .\n600 root config.yml\n700 root storage\n644 root storage/trust/ca.crt"
    );
    assert!(node1.is(&format!("grep -q 'disable: true' {folder}/config.yml")));

    case.step("pushed to one, pulled from the other");
    let password = site.password();
    let client = DockerClient::new(node1);
    client.login(&node1.address, &password).unwrap();
    let image = client.push(&node1.address, "some/image:1").unwrap();
    let same = Image {
        reference: image.reference.replace(&node1.address, &node2.address),
        ..image.clone()
    };
    let other = DockerClient::new(node2);
    other.login(&node2.address, &password).unwrap();
    other.pull(&same).unwrap();

    drop((client, other));

    case.step("a second run finds nothing to do");
    let ran = kk("init registry -o json").run().expect(0);
    ran.expect_recap(&[("changed", 0), ("failed", 0), ("bytes_sent", 0)]);

    case.step("the secret is in no log, no difference and no other file");
    let mut changed = store.settings();
    changed["image_registry"]["docker_registry"]["storage"]["s3"]["rootdirectory"] =
        "/other".into();
    let changed = config(&site, "changed.yaml", &changed);
    let ran = site
        .kk("init registry -o json --check --diff")
        .arg("-c")
        .arg(changed.display().to_string())
        .run()
        .expect(0);
    assert!(ran.changed_tasks()["node1"].contains(&"configuration".to_owned()));
    let secrets = [store.secretkey.clone(), store.accesskey.clone()];
    for host in &case.hosts {
        assert_no_readable_secret(host, &secrets);
        for secret in &secrets {
            let found = host.feed(
                "read -r secret; grep -qF -- \"$secret\" /etc/docker-registry/config.yml || echo 'not looked for'; { journalctl --no-pager -q; docker logs kk-registry 2>&1; docker inspect kk-registry; grep -rF . /etc/docker-registry/compose.yaml /var/lib/kk; } | grep -cF -- \"$secret\"",
                format!("{secret}\n").as_bytes(),
            );
            assert_eq!(
                String::from_utf8_lossy(&found.stdout).trim(),
                "0",
                "{}: a secret in a log",
                host.name
            );
        }
        host.assert_no_remains();
    }
    let mut folders = vec![site.workdir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            for secret in &secrets {
                assert!(!text.contains(secret), "a secret in {}", path.display());
            }
        }
    }

    case.step("images outlive the registries");
    assert_eq!(store.leftovers(), Vec::<String>::new());
    kk("delete registry -o json").run().expect(0);
    assert!(node1.is(&format!("[ ! -e {folder} ]")));
    kk("init registry -o json").run().expect(0);
    let client = DockerClient::new(node2);
    client.login(&node1.address, &password).unwrap();
    client.pull(&image).unwrap();

    case.step("behind one address: a host that loses the store gives it up");
    let vip = lab().get("VIP");
    kk("init registry -o json")
        .set("image_registry.ha_vip", vip)
        .set("keepalived_version", lab().get("KEEPALIVED_VERSION"))
        .run()
        .expect(0);
    let registries = [node1, node2];
    let held = holder(&registries, vip);
    let (first, second) = match held.name.as_str() {
        "node1" => (node1, node2),
        _ => (node2, node1),
    };
    let rule = |what: &str| format!("iptables {what} DOCKER-USER -p tcp --dport 9700 -j DROP");
    first.sh(&rule("-I"));
    let began = Instant::now();
    second.wait_until(
        "the other has the address",
        Site::PATIENCE,
        &format!("ip -o addr show to {vip} | grep -q ."),
    );
    println!(
        "           {:5.1} s  until the other had it",
        began.elapsed().as_secs_f64()
    );
    let image = Image {
        reference: image.reference.replace(&node1.address, vip),
        ..image
    };
    let client = DockerClient::new(second);
    client.login(vip, &password).unwrap();
    client.pull(&image).unwrap();

    case.step("the store is gone, and back");
    second.sh(&rule("-I"));
    for host in registries {
        host.wait_until(
            "nobody has the address",
            Site::PATIENCE,
            &format!("! ip -o addr show to {vip} | grep -q ."),
        );
    }
    registries.map(|host| host.sh(&rule("-D")));
    holder(&registries, vip);
    client.pull(&image).unwrap();
}

/// The registry of the lab has no driver for Google Cloud, so this goes as far as what would be done.
#[test]
fn the_key_of_a_service_account() {
    let case = Case::new("storage: a key file", &[1]);
    let site = Site::of(&case.hosts, 1);
    let key = site.path().join("key.json");
    let spec = serde_json::json!({"image_registry": {"docker_registry": {"storage": {
        "gcs": {"bucket": "images", "keyfile": key},
    }}}});
    let file = config(&site, "gcs.yaml", &spec);
    let kk = |words: &str| site.kk(words).arg("-c").arg(file.display().to_string());

    case.step("no file, and one that is no key");
    let ran = kk("precheck image_registry -o json").run().expect(3);
    ran.expect_finding("storage", None, "fail", &["cannot read", "key.json"]);
    let canary = "canary-of-the-private-key";
    site.keep_secret(canary);
    std::fs::write(
        &key,
        format!("{{\"type\": \"user\", \"private_key\": \"{canary}\"}}"),
    )
    .unwrap();
    let ran = kk("precheck image_registry -o json").run().expect(3);
    ran.expect_finding("storage", None, "fail", &["no key of a service account"]);

    case.step("what would be done does not show the key");
    let good = serde_json::json!({
        "type": "service_account", "client_email": "kk@example", "private_key": canary,
    });
    std::fs::write(&key, good.to_string()).unwrap();
    for output in ["text", "json", "jsonl"] {
        let ran = kk(&format!("init registry -o {output} --check --diff"))
            .run()
            .expect(0);
        ran.says(&["key of the storage"]);
    }
}

/// Behind one address the hosts' folders have to be one: that is seen by using them.
#[test]
fn a_folder_that_two_hosts_share() {
    let case = Case::new("storage: a shared folder", &[1, 2]);
    let mut site = Site::of(&case.hosts, 2);
    site.set("image_registry.ha_vip", lab().get("VIP"));
    site.set("keepalived_version", lab().get("KEEPALIVED_VERSION"));
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    let mut precheck = |folder: &str, code: i32| {
        site.set(
            "image_registry.docker_registry.storage.filesystem.rootdir",
            folder,
        );
        site.kk("precheck image_registry -o json")
            .run()
            .expect(code)
    };

    case.step("one folder");
    let shared = format!("/shared/{}", std::process::id());
    node1.sh(&format!("mkdir {shared}"));
    let ran = precheck(&shared, 0);
    for (host, other) in [("node1", "node2"), ("node2", "node1")] {
        let reader = format!("read back on `{other}`");
        ran.expect_finding("storage-access", Some(host), "pass", &[&shared, &reader]);
    }
    ran.expect_finding("storage", None, "pass", &["another one reads"]);
    assert_eq!(node2.sh(&format!("ls -A {shared}; rmdir {shared}")), "");

    case.step("two folders of one name, and one that cannot be written");
    for host in &case.hosts {
        host.sh("mkdir /data/own");
    }
    let ran = precheck("/data/own", 3);
    let words = ["`node2` does not see in `/data/own` what `node1` wrote there"];
    ran.expect_finding("storage-access", Some("node1"), "fail", &words);
    ran.expect_finding("storage", None, "fail", &["on the disks of"]);
    node2.sh("mount -o remount,bind,ro /data");
    let ran = precheck("/data/own", 3);
    let words = ["`node2` cannot write into `/data/own`", "Read-only"];
    ran.expect_finding("storage-access", Some("node2"), "fail", &words);
    node2.sh("mount -o remount,bind,rw /data");
    for host in &case.hosts {
        assert_eq!(host.sh("ls -A /data/own"), "");
    }
}
