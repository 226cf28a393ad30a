//! A host set up, changed, booted and taken down by a user's own playbooks (`tests/fixtures/provision`): the modules that
//! change a system, on systems. What only looks changes nothing, what is done is not done again, and in the end the
//! host is as it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::Case;
use crate::lab_tests::program::Ran;
use crate::lab_tests::site::{Entry, Site};
use crate::lab_tests::snapshot::{Snapshot, Strictness};

/// Real packages for a repository of files, with a service and a script of their own.
fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("provision");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/fetch-packages");
    let output = Command::new(script)
        .arg(&folder)
        .args(["cron", "cron-daemon-common", "tzdata"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join("packages")
}

/// Two hosts and the playbooks for them.
struct Provision<'a> {
    case: &'a Case,
    site: Site,
    packages: PathBuf,
}

impl Provision<'_> {
    #[track_caller]
    fn run(&self, playbook: &str, more: &[&str]) -> Ran {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/provision");
        let mut kk = self
            .site
            .kk("run -o json")
            .arg(format!("{folder}/{playbook}.yaml"))
            .arg("-e")
            .arg(format!("debian_packages={:?}", self.packages));
        for word in more {
            kk = kk.arg(*word);
        }
        kk.run().expect(0)
    }

    fn look(&self) -> Vec<Snapshot> {
        self.case.hosts.iter().map(Snapshot::of).collect()
    }

    /// Looks first, then does it, then once more.
    #[track_caller]
    fn twice(&self, playbook: &str) {
        let before = self.look();
        let would = self.run(playbook, &["--check", "--diff"]);
        would.expect_recap(&[("failed", 0), ("unreachable", 0)]);
        for (host, before) in self.case.hosts.iter().zip(&before) {
            before.assert_same(host, Strictness::Untouched, &[]);
            assert!(would.recap(&host.name, "changed") > 5, "{playbook}");
        }
        let done = self.run(playbook, &[]);
        done.expect_recap(&[("failed", 0), ("unreachable", 0)]);
        for host in &self.case.hosts {
            assert!(done.recap(&host.name, "changed") > 5, "{playbook}");
        }
        self.run(playbook, &[])
            .expect_recap(&[("changed", 0), ("failed", 0), ("bytes_sent", 0)]);
    }
}

#[test]
fn playbooks_set_hosts_up_change_them_and_take_everything_away() {
    let case = Case::new("provision", &[1, 2]);
    let [node1, node2] = &case.hosts[..] else {
        unreachable!()
    };
    let provision = Provision {
        site: Site::new(&[Entry::root(node1), Entry::user(node2, "deploy")], 0),
        packages: packages(),
        case: &case,
    };
    provision.site.keep_secret("a password of ada");
    let pristine = provision.look();

    case.step("a repository of packages");
    provision.run("prepare", &[]);
    provision
        .run("prepare", &[])
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("install");
    provision.twice("install");
    for host in &case.hosts {
        assert_installed(host, "1.0", "/bin/sh", "7", "1024");
    }

    case.step("change");
    provision.twice("change");
    for host in &case.hosts {
        assert_installed(host, "2.0", "/bin/bash", "*/9", "2048");
    }

    case.step("boot");
    provision.run("reboot", &[]);

    case.step("remove");
    provision.twice("remove");
    for (host, pristine) in case.hosts.iter().zip(&pristine) {
        assert!(host.is("! getent passwd ada && ! getent group provision && ! getent group 4100"));
        // What packages, and the programs that manage packages, users and names, leave behind themselves.
        let left = [
            "/etc/group",
            "/etc/gshadow",
            "/etc/hostname",
            "/etc/passwd-",
            "/etc/shadow-",
            "/etc/subgid",
            "/etc/subuid",
            "/var/backups",
            "/var/cache",
            "/var/lib/apt",
            "/var/lib/dpkg",
            "/var/spool",
            "/run/crond",
            "listens tcp 127.0.0.11:",
            "listens udp 127.0.0.11:",
            "unit systemd-hostnamed.service",
            "unit systemd-timedated.service",
            "process root     /lib/systemd/systemd-hostnamed",
            "process root     /lib/systemd/systemd-timedated",
        ];
        pristine.assert_same(host, Strictness::Restored, &left);
    }
}

/// What the playbooks say, seen past them.
#[track_caller]
fn assert_installed(host: &Host, hello: &str, shell: &str, minute: &str, backlog: &str) {
    assert_eq!(
        host.sh("dpkg-query -W -f '${Version} ' kk-alone kk-extra kk-hello; cat /etc/kk-hello"),
        format!("1.0 1.0 {hello} kk-hello {hello}")
    );
    assert_eq!(
        host.sh("getent passwd ada; id -nG ada; stat -c '%U %a' /home/ada/.ssh/id_ed25519 /home/ada/.ssh/authorized_keys"),
        format!("ada:x:4101:4100:Ada, of the tests:/home/ada:{shell}\nprovision staff\nada 600\nada 600")
    );
    assert!(host.is("grep -q '^ada:\\$6\\$saltofada\\$' /etc/shadow"));
    assert_eq!(
        host.sh("crontab -l | tail -n 1; systemctl is-active cron pages.socket; systemctl is-enabled cron pages.socket"),
        format!("{minute} * * * * /bin/true\nactive\nactive\nenabled\nenabled")
    );
    assert!(host.is("[ \"$(systemctl is-enabled debug-shell.service)\" = masked ]"));
    assert_eq!(host.sh("sysctl -n net.core.somaxconn"), backlog);
    assert!(host.is("mountpoint -q /mnt/scratch && mountpoint -q /mnt/data && grep -c '^[^#]' /etc/fstab | grep -qx 2"));
    assert!(host.is("ssh-keygen -F other.provision.test -f /etc/ssh/ssh_known_hosts"));
    assert!(host.is("grep -q ^no-port-forwarding /root/.ssh/authorized_keys"));
    assert!(host.is("cmp /srv/fetched /srv/unpacked/pages/page.html"));
}
