//! The loop under every shell that a host may have.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command as Process, Stdio};

use super::*;
use crate::connect::{KeptStep, Stdin};

/// Shells that may be a host's `sh`, as far as this machine has them.
fn shells() -> Vec<Vec<&'static str>> {
    let all: [&[&str]; 8] = [
        &["sh"],
        &["dash"],
        &["bash"],
        &["bash", "--posix"],
        &["busybox", "sh"],
        &["ksh"],
        &["mksh"],
        &["yash"],
    ];
    let found: Vec<Vec<&str>> = all
        .iter()
        .filter(|shell| {
            Process::new(shell[0])
                .arg("--help")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        })
        .map(|shell| shell.to_vec())
        .collect();
    assert!(found.len() >= 3);
    found
}

/// The loop in a shell, with this home; it leads a process group, as under sshd.
fn start(shell: &[&str], home: &std::path::Path) -> Child {
    Process::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &LOOP, "sh", "M", ""])
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// What it says for some lines, after what it says of itself.
fn say(shell: &[&str], lines: &str) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(shell, home.path());
    let process = child.id();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{shell:?}: {output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&output.stdout);
    let (itself, rest) = stdout.split_once(':').unwrap();
    let (number, ticks) = itself
        .strip_prefix("M.0=")
        .unwrap()
        .split_once('-')
        .unwrap();
    assert_eq!(number, process.to_string());
    assert!(ticks.parse::<u64>().unwrap() > 0);
    (rest.to_owned(), text(&output.stderr))
}

/// One request as the shell reads it.
fn line(number: u64, checks: &str, script: &'static str, input: &'static [u8]) -> String {
    let request = ExecRequest::new(Command::script(script, [""; 0])).shared();
    let request = request.stdin(Stdin::Bytes(input.into()));
    let mut scripts = Scripts::with(None);
    Shared::of(&request)
        .unwrap()
        .text(number, checks, 0, &mut scripts)
}

#[test]
fn every_shell_runs_the_loop() {
    let scripts: [(&str, &[u8]); 8] = [
        ("echo a; echo b >&2; exit 3", b""),
        (
            "set -- \"x y\" '\\z'; printf '%s|' \"$@\"; printf '\n\n'; read -r x; echo $?",
            b"",
        ),
        ("exit 0\n", b""),
        ("kk_mark=other; kk_number=9; cd /; exec false", b""),
        ("echo $#", b""),
        // Bytes that some shells keep for themselves.
        ("printf %s '\u{81}\u{88}\u{101} \\n'", b""),
        (
            "IFS= read -r a; echo \"[$a]\"; cat",
            b" one\\\t \ntwo\nthree",
        ),
        ("echo \"${kk_line-none}\"", b"not read"),
    ];
    let mut lines = String::new();
    for (number, (script, input)) in scripts.into_iter().enumerate() {
        lines.push_str(&line(number as u64 + 1, "-", script, input));
    }
    let stdout = "M.1?:a\nM.1=3:M.2?:x y|\\z|\n\n1\nM.2=0:M.3?:M.3=0:M.4?:M.4=1:M.5?:0\nM.5=0:\
                  M.6?:\u{81}\u{88}\u{101} \\nM.6=0:M.7?:[ one\\\t ]\ntwo\nthreeM.7=0:M.8?:none\nM.8=0:";
    let stderr = "b\nM.1:M.2:M.3:M.4:M.5:M.6:M.7:M.8:";
    for shell in shells() {
        assert_eq!(
            say(&shell, &lines),
            (stdout.to_owned(), stderr.to_owned()),
            "{shell:?}"
        );
    }
}

/// A shell that is asked one thing after the other.
struct Talk {
    child: Child,
    scripts: Scripts,
    number: u64,
    last_step: u32,
}

impl Talk {
    fn new(shell: &[&str], home: &std::path::Path) -> Self {
        Self {
            child: start(shell, home),
            scripts: Scripts::with(None),
            number: 0,
            last_step: 0,
        }
    }

    /// What a step says and its status; `None` when the shell refuses it.
    fn step(&mut self, script: &'static str) -> Option<String> {
        let request = ExecRequest::new(Command::script(script, [""; 0])).shared_step(KeptStep {
            bare: Some((Command::script(script, ["x"]), "/nowhere".into())),
            ..KeptStep::default()
        });
        self.number += 1;
        let checks = if self.number == 1 { "s" } else { "hs" };
        let text = Shared::of(&request).unwrap();
        let text = text.text(self.number, checks, self.last_step, &mut self.scripts);
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        let begin = format!("M.{}?", self.number);
        let end = format!("M.{}=", self.number);
        let mut said = String::new();
        loop {
            let mut piece = [0; 512];
            let count = self
                .child
                .stdout
                .as_mut()
                .unwrap()
                .read(&mut piece)
                .unwrap();
            assert!(count > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&piece[..count]));
            if said.contains(&format!("M.{}!", self.number)) {
                return None;
            }
            if let Some((_, rest)) = said.split_once(&begin)
                && let Some((answer, status)) = rest.split_once(&end)
                && status.ends_with(':')
            {
                let (process, answer) = answer.split_once(':').unwrap();
                self.last_step = process.parse().unwrap();
                return Some(format!("{answer}={status}"));
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs these, then asks for one more; what the last of them said and the answer. Again, as what this process starts
/// meanwhile has the other end of the outputs for a moment, and no host has that.
fn after(shell: &[&str], scripts: &[&'static str]) -> (String, Option<String>) {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..50 {
        let mut talk = Talk::new(shell, home.path());
        let said: Option<Vec<String>> = scripts.iter().map(|script| talk.step(script)).collect();
        if let Some(said) = said {
            return (said.last().unwrap().clone(), talk.step("echo next"));
        }
    }
    panic!("{shell:?}: never");
}

fn end(said: &str) {
    if let Some(process) = said.lines().next()
        && process.parse::<u32>().is_ok()
    {
        let _ = Process::new("kill").arg(process).status();
    }
}

#[test]
fn a_shell_that_a_process_was_left_in_is_used_up() {
    let harmless = "sleep 0 & wait; (sleep 0; echo) | cat";
    for shell in shells() {
        for holder in [
            "sleep 50 2>/dev/null & echo $!",
            "sleep 50 >/dev/null & echo $!",
            "setsid sh -c 'exec 7>&1 >/dev/null 2>&1; sleep 50 & echo $! >&7' & wait",
            // It has nothing of the shell's but its process group.
            "sleep 50 >/dev/null 2>&1 & echo $!",
            // Its parent has nothing of the shell's at all.
            "setsid sh -c 'exec 7>&1 >/dev/null 2>&1; sh -c \"echo \\$\\$; exec sleep 50\" >&7 7>&- & exec 7>&-; wait' & sleep 0.2",
        ] {
            let (said, next) = after(&shell, &[harmless, holder]);
            end(&said);
            assert_eq!(next, None, "{shell:?}: {holder}: {said}");
            // Many processes since then, and not each is looked for.
            let many: &'static str =
                format!("{holder}\nfor i in 1 2 3 4 5 6 7 8 9; do (:); done").leak();
            let (said, next) = after(&shell, &[harmless, many]);
            end(&said);
            assert_eq!(next, None, "{shell:?}: {many}: {said}");
        }
    }
    let _ = Process::new("pkill")
        .args(["-x", "-f", "sleep 50"])
        .status();
}

#[test]
fn numbers_of_processes_may_begin_anew() {
    // The first process of its own, as the shell of a host is never that.
    let apart: Vec<&str> = "unshare --pid --fork --mount-proc sh -c"
        .split(' ')
        .collect();
    let is_possible = Process::new(apart[0]).args(&apart[1..]).arg(":").status();
    if !is_possible.is_ok_and(|status| status.success()) {
        assert!(!rustix::process::geteuid().is_root(), "unshare failed");
        eprintln!("SKIPPED numbers that begin anew: needs root");
        return;
    }
    for shell in shells() {
        let shell: Vec<&str> = [&apart[..], &["\"$@\"; exit", "sh"], &shell].concat();
        let home = tempfile::tempdir().unwrap();
        let mut talk = Talk::new(&shell, home.path());
        assert!(talk.step("true").is_some(), "{shell:?}");
        for _ in 0..2 {
            talk.last_step = 30_000;
            assert_eq!(talk.step("echo next").as_deref(), Some("next\n=0:"));
        }
        talk.step("setsid sleep 51 2>/dev/null &");
        talk.last_step = 30_000;
        assert_eq!(talk.step("echo next"), None, "{shell:?}");
    }
}

#[test]
fn a_shell_outlives_what_leaves_it() {
    for shell in shells() {
        for (script, expected) in [
            (
                "setsid sleep 1 >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9; do (:); done; sleep 0.1",
                "=0:",
            ),
            ("sleep 0 & wait; (sleep 0; echo) | cat", "\n=0:"),
            ("setsid sleep 1 >/dev/null 2>&1 & sleep 0.1", "=0:"),
            // What a script has to clean up it does, though its shell goes on.
            ("trap 'echo gone' EXIT; exit 3", "gone\n=3:"),
            // To the whole process group, as a script's `trap 'kill 0' EXIT` does.
            ("kill 0; sleep 5", "=143:"),
            ("trap '' TERM; kill 0; echo a", "a\n=0:"),
        ] {
            let home = tempfile::tempdir().unwrap();
            let next = (0..50).find_map(|_| {
                let mut talk = Talk::new(&shell, home.path());
                let said = talk.step(script).unwrap();
                assert_eq!(said, expected, "{shell:?}: {script}");
                talk.step("echo next")
            });
            assert_eq!(next.as_deref(), Some("next\n=0:"), "{shell:?}: {script}");
        }
    }
}

/// What it says until this; somebody else may hold its outputs for longer.
fn said_until(shell: &[&str], lines: &str, last: char) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(shell, home.path());
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let mut stdout = child.stdout.take().unwrap();
    let mut said = Vec::new();
    let end = loop {
        if let Some(end) = said.iter().position(|&byte| char::from(byte) == last) {
            break end + 1;
        }
        let mut piece = [0; 512];
        let count = stdout.read(&mut piece).unwrap();
        assert!(count > 0, "{shell:?}: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..count]);
    };
    // It still says how the command ended that it refused.
    let _ = stdout.read_to_end(&mut Vec::new());
    assert!(child.wait().unwrap().success(), "{shell:?}");
    String::from_utf8_lossy(&said[..end]).into_owned()
}

#[test]
fn a_shell_older_than_its_start_files_is_used_up() {
    for shell in shells() {
        let mut lines = line(1, "-s", "true", b"");
        lines.push_str(&line(
            2,
            "-sr",
            "sleep 0.05; echo x >>\"$HOME/.profile\"",
            b"",
        ));
        lines.push_str(&line(
            3,
            "-sr",
            "sleep 0.05; echo x >>\"$HOME/.bashrc\"",
            b"",
        ));
        lines.push_str(&line(4, "-", "echo looks all the same", b""));
        lines.push_str(&line(5, "-sr", "echo never", b""));
        let stdout = said_until(&shell, &lines, '!');
        assert!(
            stdout.ends_with("M.3=0:M.4?:looks all the same\nM.4=0:M.5!"),
            "{shell:?}: {stdout}"
        );
    }
}
