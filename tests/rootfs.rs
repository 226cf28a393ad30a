//! Modules that change a system, in a root file system and namespaces of their own: users, cron, mounts, the host's name,
//! settings of the kernel. Fixtures say what such modules would run; here it runs.

use std::path::Path;
use std::process::Command;

/// The text between two headings.
fn part<'a>(text: &'a str, heading: &str, nth: usize) -> &'a str {
    let rest = text.split(&format!("== {heading}\n")).nth(nth + 1);
    rest.unwrap_or_else(|| panic!("no `{heading}` in {text}"))
        .split("\n== ")
        .next()
        .unwrap()
}

#[test]
fn a_system_is_changed_once_and_back() {
    let has = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        found.is_ok_and(|found| found.status.success())
    };
    let is_root = std::fs::metadata("/proc/self/root/root").is_ok_and(|_| {
        let id = Command::new("id").arg("-u").output().unwrap();
        id.stdout == b"0\n"
    });
    if !is_root || !has("mmdebstrap") || !has("unshare") {
        eprintln!("left out: it needs root, mmdebstrap and unshare");
        return;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(manifest.join("tests/rootfs/run"))
        .arg(env!("CARGO_BIN_EXE_kk"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("rootfs"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(!text.contains("ended: "), "{said}");
    assert!(
        part(&text, "first --check", 0).contains("failed=0"),
        "{said}"
    );
    let first = part(&text, "first", 0);
    assert!(
        first.contains("failed=0") && !first.contains("changed=0 "),
        "{said}"
    );
    let system = part(&text, "system", 0);
    for line in [
        "uid=2500(app) gid=2500(app) groups=2500(app),",
        "app:x:2500:2500:An App:/srv/app:/bin/bash",
        "id_ed25519.pub",
        "authorized_keys",
        "#Ansible: nightly\n5 2 * * * /bin/true",
        "PATH=\"/usr/bin:/bin\"",
        "#Ansible: of app\n@daily /bin/echo hi",
        "* * * * 1-5 root /bin/true",
        "realhost\nrealhost\nEurope/Berlin\n",
        "vm.swappiness=33",
        "kk.example",
        "tmpfs /mnt/t tmpfs size=1m,mode=0700 0 0",
        "/dev/none /mnt/p ext4 defaults 0 0",
        "640 /etc/sysctl.d/kk.conf",
        "tmpfs /mnt/t tmpfs rw",
        "/usr/share/zoneinfo/Europe/Berlin",
        "# Host h.example found",
        "Jan 01, 2030",
    ] {
        assert!(system.contains(line), "`{line}` is not in {said}");
    }
    assert!(part(&text, "second", 0).contains("changed=0 "), "{said}");
    let gone = part(&text, "system", 1);
    for line in ["app", "nightly", "PATH", "kk\n", "swappiness", "/mnt/"] {
        let line_is_there = gone
            .lines()
            .filter(|gone| !gone.contains("no such user"))
            .any(|gone| gone.contains(line.trim_end()) && !gone.starts_with('#'));
        assert!(!line_is_there, "`{line}` is still in {said}");
    }
}
