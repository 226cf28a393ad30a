//! The main job, whole: three bare hosts, and a registry on each that a Docker client can use.

use std::os::unix::fs::PermissionsExt as _;

use crate::lab_tests::client::{DockerClient, assert_registry_works};
use crate::lab_tests::hosts::{Endless, Host};
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::Ran;
use crate::lab_tests::site::Site;

/// Watches the words and the environment of every process of a host. A word once seen is not said again.
fn watch(host: &Host) -> Endless {
    let script = r"while :; do
  cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null
  sleep 0.03
done | tr '\0' '\n' | awk '!seen[$0]++ { print; fflush() }'
";
    host.start_endless(script)
}

/// Nobody but their owner can read a secret on the host.
pub(super) fn assert_no_readable_secret(host: &Host, secrets: &[String]) {
    let patterns = format!("{}\n", secrets.join("\n"));
    let output = host.feed(
        "cat >/run/patterns; find / /var/lib/docker /tmp /run -xdev \\( -path /proc -o -path /sys -o -path /var/lib/docker/overlay2 -o -path /run/patterns -o -path /usr/share -o -path /etc/shadow -o -path /etc/shadow- \\) -prune -o -type f -perm /077 -exec grep -lFf /run/patterns {} + ; rm /run/patterns",
        patterns.as_bytes(),
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "{}: files that others can read and that hold a secret",
        host.name
    );
}

/// The lines `log in: …` of what a run said last.
fn login_lines(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines();
    lines
        .filter_map(|line| line.strip_prefix("log in:"))
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn three_hosts_from_nothing_to_push_and_pull_and_through_a_reboot() {
    let case = Case::new(
        "three hosts: install, push, pull, second run, reboot",
        &[1, 2, 3],
    );
    let site = Site::of(&case.hosts, 3);
    let [node1, node2, node3] = &case.hosts[..] else {
        unreachable!()
    };

    case.step("what would be done, without doing it");
    let ran = site
        .kk("init registry -o json --check --exit-code")
        .run()
        .expect(10);
    assert!(ran.recap("node1", "changed") > 0);
    assert!(!site.workdir().join("secrets.yaml").exists());
    assert!(node1.is("! command -v docker && [ ! -e /etc/docker-registry ]"));

    case.step("install, while all processes are watched");
    let watches: Vec<Endless> = case.hosts.iter().map(watch).collect();
    let ran = site.kk("init registry").run().expect(0);
    let seen: Vec<String> = watches.into_iter().map(Endless::end).collect();
    ran.says(&[
        "RECAP",
        "node1",
        "node2",
        "node3",
        "failed=0",
        "unreachable=0",
        "admin",
        "secrets.yaml",
    ]);
    let login_lines = login_lines(&ran);
    assert_eq!(login_lines.len(), 3, "{}", ran.stdout);

    case.step("secrets");
    let password = site.password();
    assert!(password.len() >= 16, "a generated password");
    let mode = std::fs::metadata(site.workdir().join("secrets.yaml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let secrets = [
        password.clone(),
        site.secret("image_registry.http_secret").unwrap(),
    ];
    for (host, seen) in case.hosts.iter().zip(&seen) {
        // It has seen what goes on at all.
        for word in ["dockerd", "load", "compose"] {
            assert!(
                seen.contains(word),
                "{}: no process `{word}` was seen",
                host.name
            );
        }
        for secret in &secrets {
            let line = seen.lines().find(|line| line.contains(secret));
            assert_eq!(
                line, None,
                "{}: a secret among the words of a process",
                host.name
            );
        }
        assert_no_readable_secret(host, &secrets);
        host.assert_no_remains();
    }

    case.step("login, push and pull from other hosts");
    let client = DockerClient::new(node2);
    let stranger = DockerClient::new(node3);
    let endpoint = node1.address.as_str();
    let refused = client.login(endpoint, "not the password").unwrap_err();
    assert!(refused.to_lowercase().contains("unauthorized"), "{refused}");
    let refused = stranger.push(endpoint, "anonymous/image:1").unwrap_err();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    client.login(endpoint, &password).unwrap();
    let image = client.push(endpoint, "some/image:1").unwrap();
    client.pull(&image).unwrap();
    let refused = stranger.pull(&image).unwrap_err();
    assert!(
        refused.contains("no basic auth credentials") || refused.contains("unauthorized"),
        "{refused}"
    );
    stranger.login(endpoint, &password).unwrap();
    stranger.pull(&image).unwrap();
    for host in &case.hosts {
        let other = if host.name == "node1" { node2 } else { node1 };
        assert_registry_works(&site, other, &host.address);
    }

    case.step("the printed line logs in as it stands");
    // It reads the file with the password, so a client has that at the same place.
    let file = site.workdir().join("secrets.yaml");
    let folder = site.workdir().display().to_string();
    let copied = node3.feed(
        &format!(
            "umask 077; mkdir -p '{folder}' && cat >'{}'",
            file.display()
        ),
        &std::fs::read(&file).unwrap(),
    );
    assert!(copied.status.success());
    for line in &login_lines {
        assert!(!line.contains(&password));
        let output = node3.feed("DOCKER_CONFIG=$(mktemp -d /tmp/line.XXXXXX); export DOCKER_CONFIG; sh; status=$?; rm -r $DOCKER_CONFIG; exit $status", line.as_bytes());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("Login Succeeded"),
            "{line}\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    node3.sh(&format!("rm -r '{}'", site.path().display()));

    case.step("a second run finds nothing to do");
    let ran = site.init(0);
    ran.expect_recap(&[
        ("changed", 0),
        ("failed", 0),
        ("unreachable", 0),
        ("bytes_sent", 0),
    ]);

    case.step("a run beside another one is refused");
    let mut first = site.kk("init registry -o jsonl").start();
    first.wait_for("a task", |event| event["event"] == "task_started");
    first.frozen(|| {
        let second = site.kk("init registry").run().expect(2);
        second.says(&["node1", "another run holds it"]);
    });
    let first = first.wait();
    site.over(&first);
    first.expect(0);

    case.step("neither does --check");
    let ran = site
        .kk("init registry -o json --check --exit-code")
        .run()
        .expect(0);
    ran.expect_recap(&[("changed", 0), ("failed", 0)]);

    case.step("a reboot");
    let container = "docker inspect -f '{{.State.StartedAt}}' kk-registry";
    let started = node1.sh(container);
    node1.lab("reboot");
    node1.wait_until(
        "the registry is back by itself",
        Site::PATIENCE,
        &format!("{container} && [ \"$({container})\" != '{started}' ]"),
    );
    assert_registry_works(&site, node2, endpoint);
    stranger.pull(&image).unwrap();
    let ran = site.init(0);
    ran.expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("status");
    let ran = site.kk("status").run().expect(0);
    ran.says(&["node1", "node2", "node3", "docker-registry", "kk-registry"]);
}
