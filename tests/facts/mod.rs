//! The script that reads facts, run for real: by this machine's shells, watched by strace, between network namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code, also outside of test functions"
)]

mod paths;
mod reading;
mod shells;

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kk::facts::{Facts, SCRIPT, parse};

/// The shells of this machine that hosts may have, each with the words that start it.
fn shells() -> Vec<Vec<&'static str>> {
    let mut found = vec![vec!["sh"]];
    for (name, words) in [("bash", vec!["bash"]), ("busybox", vec!["busybox", "sh"])] {
        if has(name) {
            found.push(words);
        } else {
            eprintln!("SKIPPED the shell of {name}: it is not installed");
        }
    }
    found
}

/// Whether a program is there.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether the tests may make network namespaces and look at every process.
fn is_root() -> bool {
    let said = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&said.stdout).trim() == "0"
}

/// Runs the script and reads its answer.
fn facts_by(command: &mut Command, arguments: &[&str]) -> Facts {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let sent: Duration = now();
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse(&text, sent, now()).unwrap_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        panic!("{:?} ended early: {said}\n{text}", output.status)
    })
}

/// The command that runs the script by a shell, without its arguments.
fn script_by(shell: &[&str]) -> Command {
    by(shell, &SCRIPT)
}

/// The command that runs any script by a shell, without its arguments.
fn by(shell: &[&str], script: &str) -> Command {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", script, "sh"]);
    command
}
