//! The command line as a user meets it: the real program in an empty environment.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory as _;

/// The program with no environment but an empty home.
fn kk(words: &[&str]) -> (Command, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kk"));
    command
        .args(words)
        .env_clear()
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null());
    (command, home)
}

fn run(line: &str) -> Output {
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let (mut command, _home) = kk(&words);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every command line that names a subcommand, `kk` itself first.
fn commands() -> Vec<String> {
    fn collect(command: &clap::Command, path: &str, into: &mut Vec<String>) {
        into.push(path.to_owned());
        for subcommand in command.get_subcommands() {
            collect(
                subcommand,
                &format!("{path} {}", subcommand.get_name()),
                into,
            );
        }
    }
    let mut all = Vec::new();
    collect(&kk::cli::Arguments::command(), "kk", &mut all);
    all
}

#[test]
fn the_help_of_every_subcommand() {
    let all = commands();
    assert!(all.len() > 20, "{all:?}");
    for line in all {
        let output = run(&format!("{line} --help"));
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(text(&output.stderr), "", "{line}");
        insta::assert_snapshot!(line.replace(' ', "-"), text(&output.stdout));
    }
}

#[test]
fn wrong_use_is_explained_and_ends_with_5() {
    let lines = [
        "kk initt",
        "kk init image_registry",
        "kk precheck registry",
        "kk create cluster",
        "kk artifact export",
        "kk help init",
        "kk init registry --fork 3",
        "kk init registry -a packages.tgz",
        "kk init registry --forks 0",
        "kk init registry --timeout soon",
        "kk init registry --waive all",
        "kk init registry --exit-code",
        "kk init registry now",
        "kk init registry -i",
        "kk init registry --host-key-checking no",
        "kk init registry -o yaml",
        "kk create inventory --force",
        "kk run",
        "kk completion tcsh",
    ];
    let mut all = String::new();
    for line in lines {
        let output = run(line);
        assert_eq!(output.status.code(), Some(5), "{line}");
        assert_eq!(text(&output.stdout), "", "{line}");
        all.push_str(&format!("$ {line}\n{}\n", text(&output.stderr)));
    }
    insta::assert_snapshot!("wrong-use", all);
}

#[test]
fn a_command_that_is_not_complete_shows_its_help_on_standard_error() {
    for line in ["kk", "kk init", "kk precheck", "kk playbooks"] {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let (mut command, _home) = kk(&words);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{line}");
        assert_eq!(text(&output.stdout), "", "{line}");
        assert!(text(&output.stderr).contains("Usage: kk"), "{line}");
    }
}

#[test]
fn version() {
    let output = run("kk version");
    assert_eq!(
        text(&output.stdout),
        format!("kk {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(output.stdout, run("kk --version").stdout);
    let output = run("kk version -o json");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn completion_scripts_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&format!("kk completion {shell}"));
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        assert!(
            script.contains("image_registry") && script.contains("host-key-checking"),
            "{shell}"
        );
    }
}

#[test]
fn bash_completes_a_subcommand() {
    let script = text(&run("kk completion bash").stdout);
    let output = Command::new("bash")
        .args(["--norc", "-c"])
        .arg(format!(
            "{script}\nCOMP_WORDS=(kk prec); COMP_CWORD=1; _kk kk prec kk; echo \"${{COMPREPLY[@]}}\""
        ))
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout).trim(),
        "precheck",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn manual_pages_for_every_subcommand() {
    let page = text(&run("kk man").stdout);
    assert!(
        page.contains(".TH kk 1") && page.contains("kk\\-init(1)"),
        "{page}"
    );
    let (mut command, home) = kk(&["man", "pages"]);
    assert!(command.status().unwrap().success());
    for line in commands() {
        let path = home
            .path()
            .join("pages")
            .join(format!("{}.1", line.replace(' ', "-")));
        let page =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(
            page.contains(".SH SYNOPSIS")
                && page.contains(&format!("\\fB{}\\fR", line.replace('-', "\\-"))),
            "{page}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (mut command, _home) = kk(&["completion", "zsh"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_module_that_is_not_there() {
    let output = run("kk doc no_such_module_at_all");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`no_such_module_at_all`"));
    assert!(text(&output.stderr).contains("hint:"));
}

#[test]
fn modules_are_described() {
    let list: serde_json::Value = serde_json::from_slice(&run("kk doc -o json").stdout).unwrap();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|module| module["name"].as_str().unwrap())
        .collect();
    let text_list = text(&run("kk doc").stdout);
    assert_eq!(text_list.lines().count(), names.len());
    for name in names {
        let page = run(&format!("kk doc {name}"));
        assert_eq!(page.status.code(), Some(0), "{name}");
        assert!(
            text(&page.stdout).starts_with(&format!("{name}: ")),
            "{name}"
        );
    }
}

#[test]
fn the_variables_that_are_read_are_in_the_help() {
    let help = text(&run("kk init registry --help").stdout);
    for variable in [kk::env::INVENTORY, kk::env::WORKDIR] {
        assert!(help.contains(variable), "{variable}");
    }
    assert!(!help.contains(&Path::new("/").join("root").display().to_string()));
}

/// A playbook for this machine: one task that looks, one that is slow, one that fails where `fails`.
fn playbook(folder: &Path, fails: bool) {
    let status = if fails { 3 } else { 0 };
    let text = format!(
        "- name: try\n  hosts: all\n  gather_facts: false\n  tasks:\n    \
         - name: look\n      stat: {{path: /}}\n    \
         - name: take a while\n      shell: sleep 0.4; echo to nobody; exit {status}\n"
    );
    std::fs::write(folder.join("site.yaml"), text).unwrap();
}

#[test]
fn a_run_in_json_has_nothing_else_on_standard_output() {
    for (format, fails, code) in [("json", false, 0), ("json", true, 2), ("jsonl", false, 0)] {
        let (mut command, home) = kk(&["run", "site.yaml", "--yes", "-o", format]);
        playbook(home.path(), fails);
        let output = command.output().unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(
            stderr.contains("TASK [take a while]") && stderr.contains("RECAP"),
            "{stderr}"
        );
        if format == "json" {
            let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!(document["run"]["exit_code"], code);
            assert_eq!(
                document["tasks"][0]["results"]["localhost"]["outcome"],
                "ok"
            );
            assert_eq!(document["recap"]["localhost"]["failed"], u8::from(fails));
        } else {
            let events: Vec<serde_json::Value> = stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(events.first().unwrap()["event"], "run_started");
            assert!(events.iter().any(|event| event["event"] == "run_finished"));
        }
        let logs: Vec<_> = std::fs::read_dir(home.path().join("kubekey/logs"))
            .unwrap()
            .collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
    }
}

#[test]
fn a_run_goes_on_when_nobody_reads_it() {
    let (mut command, home) = kk(&["run", "site.yaml", "--yes", "-o", "jsonl"]);
    playbook(home.path(), false);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (error_reader, error_writer) = std::io::pipe().unwrap();
    drop(error_reader);
    let status = command
        .stdout(writer)
        .stderr(error_writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let log = std::fs::read_dir(home.path().join("kubekey/logs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("exit code 0"), "{log}");
}

/// What `kk run site.yaml` writes to a terminal of 100 columns.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    playbook(home.path(), false);
    let line = format!(
        "stty rows 24 cols 100; exec {} run site.yaml --yes",
        env!("CARGO_BIN_EXE_kk")
    );
    let output = Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .envs(variables.iter().copied())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(
        shown.contains("RECAP") && shown.contains("take a while"),
        "{shown}"
    );
    shown
}

#[test]
fn a_terminal_gets_live_progress_and_what_cannot_draw_gets_lines() {
    const UP: &str = "\x1b[1A";
    let live = on_a_terminal(&[("TERM", "xterm")]);
    assert!(
        live.contains("take a while  0/1 host") && live.contains("\x1b[2K"),
        "{live}"
    );
    assert!(
        live.contains("\x1b[33m") && live.contains("changed      take a while"),
        "{live}"
    );
    let colourless = on_a_terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
    assert!(
        colourless.contains("\x1b[2K") && !colourless.contains("\x1b[33m"),
        "{colourless}"
    );
    for variables in [
        &[("TERM", "dumb")][..],
        &[("TERM", "xterm"), ("CI", "true")],
    ] {
        let lines = on_a_terminal(variables);
        assert!(!lines.contains('\x1b') && !lines.contains(UP), "{lines}");
        assert!(lines.contains("TASK [take a while]"), "{lines}");
    }
}

#[test]
fn one_command_or_module_on_hosts() {
    let run = |words: &[&str]| {
        let (mut command, home) = kk(words);
        std::fs::write(
            home.path().join("hosts"),
            "[web]\none ansible_connection=local\ntwo ansible_connection=local\n",
        )
        .unwrap();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        let output = command.output().unwrap();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, stdout, _) = run(&[
        "exec", "web", "-i", "hosts", "-y", "--", "echo", "a  b", "$HOME",
    ]);
    assert_eq!(
        (code, stdout.as_str()),
        (
            Some(0),
            "one: changed, rc 0\na  b $HOME\ntwo: changed, rc 0\na  b $HOME\n"
        )
    );
    let (code, stdout, _) = run(&[
        "exec",
        "two",
        "-i",
        "hosts",
        "-y",
        "-m",
        "shell",
        "-a",
        "echo out; echo err >&2; exit 3",
    ]);
    assert_eq!(
        (code, stdout.as_str()),
        (Some(2), "two: failed, rc 3\nout\nerr\n")
    );
    let (code, stdout, stderr) = run(&[
        "exec",
        "all",
        "-i",
        "hosts",
        "-y",
        "-m",
        "stat",
        "-a",
        "path={{ folder }}",
        "-e",
        "folder=/",
        "-o",
        "json",
    ]);
    assert_eq!(code, Some(0), "{stderr}");
    let results: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(results["one"]["stat"]["isdir"], true);
    assert_eq!(results["two"]["stat"]["isdir"], true);
    for (words, message) in [
        (&["exec", "all", "-i", "hosts"][..], "there is no command"),
        (
            &["exec", "all", "-i", "hosts", "-m", "stat", "--", "x"],
            "`stat` takes its arguments with `-a`",
        ),
        (
            &["exec", "all", "-i", "hosts", "-m", "stta", "-a", "path=/"],
            "unknown module or keyword `stta`",
        ),
        (&["exec", "nobody", "-i", "hosts", "--", "true"], "nobody"),
    ] {
        let (code, stdout, stderr) = run(words);
        assert_eq!(
            (code, stdout.as_str()),
            (Some(1), ""),
            "{words:?}: {stderr}"
        );
        assert!(stderr.contains(message), "{words:?}: {stderr}");
    }
}
