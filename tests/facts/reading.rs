//! The proof that looking changes nothing: every system call of the scripts that could change something is watched.

use std::process::Command;

use kk::facts::{PEERS_SCRIPT, SCRIPT, SYSTEM_SCRIPT};

use super::{has, shells};

/// Calls that change a file system, or more.
const CHANGING: &str = "mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,\
                        symlinkat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utime,utimes,utimensat,futimesat,\
                        truncate,ftruncate,setxattr,lsetxattr,fsetxattr,removexattr,mount,umount2,swapon,swapoff,\
                        init_module,finit_module,delete_module,sethostname,settimeofday,clock_settime,reboot,kill,tkill";

/// Lines of strace that show a change.
fn changes(trace: &str) -> Vec<&str> {
    trace
        .lines()
        .filter(|line| !line.contains("= -1 ") && !line.contains("resumed>"))
        .filter(|line| {
            if line.contains("openat(") || line.contains("open(") || line.contains("creat(") {
                let writes = [
                    "O_WRONLY",
                    "O_RDWR",
                    "O_CREAT",
                    "O_TRUNC",
                    "O_TMPFILE",
                    "creat(",
                ];
                return writes.iter().any(|flag| line.contains(flag))
                    && !line.contains("\"/dev/null\"")
                    && !line.contains("\"/dev/tty\"");
            }
            line.contains('(') && !line.contains("+++") && !line.contains("---")
        })
        .collect()
}

fn watch(shell: &[&str], script: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    let output = Command::new("strace")
        // Stops at the calls that are watched only.
        .args(["--seccomp-bpf", "-f", "-qq", "-o"])
        .arg(&file)
        .args(["-e", &format!("trace=open,openat,creat,{CHANGING}")])
        .args(shell)
        .args(["-c", script, "sh"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success() || !output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read_to_string(&file).unwrap()
}

fn can_trace() -> bool {
    let works = has("strace")
        && Command::new("strace")
            .args(["--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "true"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "SKIPPED the proof that looking changes nothing: strace is not there or may not trace"
        );
    }
    works
}

#[test]
fn facts_are_read_without_a_change() {
    if !can_trace() {
        return;
    }
    for shell in shells() {
        let arguments = [
            "tar iptables",
            "kk-registry.service",
            "/",
            "/var/lib/kk",
            "/var/lib/docker",
        ];
        for (script, arguments) in [
            (&SCRIPT, &arguments[..]),
            (&SYSTEM_SCRIPT, &["", "", "", "/"]),
        ] {
            let trace = watch(&shell, script.as_str(), arguments);
            assert!(
                trace.contains("/etc/os-release"),
                "nothing was watched: {trace}"
            );
            let found = changes(&trace);
            assert!(found.is_empty(), "{shell:?}: {found:#?}");
        }
    }
}

#[test]
fn paths_are_tried_without_a_change() {
    if !can_trace() {
        return;
    }
    for shell in shells() {
        let trace = watch(&shell, PEERS_SCRIPT, &["127.0.0.1", "9"]);
        let found = changes(&trace);
        assert!(found.is_empty(), "{shell:?}: {found:#?}");
    }
}

#[test]
fn a_change_would_be_seen() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file").to_str().unwrap().to_owned();
    for script in [": >\"$1\"", "mkdir -p \"$1.d\"", "touch \"$1\""] {
        let trace = watch(&["sh"], script, &[&path]);
        assert!(!changes(&trace).is_empty(), "{script}: {trace}");
    }
}
