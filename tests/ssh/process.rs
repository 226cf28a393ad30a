//! The process that runs the tests: one of its own for a test that measures it, and what is measured.

use std::process::Command;

const ALONE: &str = "KK_TEST_ALONE";

/// Whether this process runs one test alone, so that nothing else in it reads files or takes memory. In the process of all
/// tests this starts the test of this name in one of its own, where it must succeed and say `sign` at its end.
pub fn is_alone(name: &str, sign: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(sign), "{said}");
    eprintln!("{said}");
    false
}

/// What the kernel says of this process's memory, in KiB: `VmRSS` is what it has, `VmHWM` the most that it has had.
pub fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
