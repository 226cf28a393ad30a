//! What a run says at its end of hosts that were lost: which, in which task, why, and whether its step may have run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::proxy::Proxy;
use super::server::{self, Server, public_key};

/// Two hosts, the first over a line that a test commands, and a playbook for both.
struct Stage {
    folder: tempfile::TempDir,
    servers: [Server; 2],
    proxy: Proxy,
}

impl Stage {
    async fn new(tasks: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = [Server::start(), Server::start()];
        let proxy = Proxy::new(&servers[0], Duration::ZERO).await;
        let (mut inventory, mut known) = (String::new(), String::new());
        for (number, (server, port)) in servers
            .iter()
            .zip([proxy.port, servers[1].port])
            .enumerate()
        {
            inventory.push_str(&format!(
                "web{number} ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={port} ansible_user={} \
                 ansible_ssh_private_key_file={} at={}\n",
                server::me(),
                server.path("user").display(),
                server.folder.path().display(),
            ));
            let key = public_key(&server.path("host_ed25519"));
            known.push_str(&format!("[127.0.0.1]:{port} {key}\n"));
        }
        fs::write(folder.path().join("inventory"), inventory).unwrap();
        fs::write(folder.path().join("known"), known).unwrap();
        fs::write(
            folder.path().join("play.yaml"),
            format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"),
        )
        .unwrap();
        Self {
            folder,
            servers,
            proxy,
        }
    }

    /// Runs the playbook; `meanwhile` happens once the first host has made this file.
    async fn run(&self, output: &[&str], sign: &str, meanwhile: impl FnOnce()) -> Output {
        let at = |name: &str| self.folder.path().join(name);
        let sign: PathBuf = self.servers[0].path(sign);
        let _ = fs::remove_file(&sign);
        let child = Command::new(env!("CARGO_BIN_EXE_kk"))
            .arg("run")
            .arg(at("play.yaml"))
            .arg("-i")
            .arg(at("inventory"))
            .args(["-F", "none", "--timeout", "2", "--known-hosts"])
            .arg(at("known"))
            .args(output)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !sign.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "no sign");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        meanwhile();
        tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
            .await
            .unwrap()
    }
}

const LONG: &str = "    - name: first\n      command: \"true\"\n    - name: the long step\n      \
                    command: sh -c 'touch {{ at }}/sign; sleep 2'\n    - name: after\n      command: \"true\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_lost_under_a_step_is_named_with_it() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new(LONG).await;
    let output = stage.run(&[], "sign", || stage.proxy.cut()).await;
    let said =
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    let recap = said.split("RECAP").nth(1).unwrap();
    assert!(
        recap.contains(
            "unreachable: web0 in [the long step], whose step may have run: lost the connection to"
        ),
        "{said}"
    );
    assert!(!recap.contains("unreachable: web1"), "{said}");

    let output = stage
        .run(&["-o", "json"], "sign", || stage.proxy.cut())
        .await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lost = &report["hosts"]["web0"];
    assert_eq!(lost["reachable"], false);
    assert_eq!(lost["task_name"], "the long step");
    assert_eq!(lost["may_have_run"], true);
    assert!(
        lost["message"]
            .as_str()
            .unwrap()
            .starts_with("lost the connection")
    );
    let of_task = |name: &str| {
        let tasks = report["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["name"] == name).unwrap()
    };
    let task = of_task("the long step");
    assert_eq!(task["task"], lost["task"]);
    assert_eq!(task["results"]["web0"]["outcome"], "unreachable");
    assert_eq!(task["results"]["web1"]["outcome"], "changed");
    // It was not begun on the one, and the other went on.
    assert!(of_task("after")["results"].get("web0").is_none());
    assert_eq!(of_task("after")["results"]["web1"]["outcome"], "changed");
    assert_eq!(report["hosts"]["web1"]["reachable"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_gone_before_a_step_is_told_from_one_that_was_lost_under_it() {
    if !server::is_available() {
        return;
    }
    // While the others wait, the line ends and nobody answers any more.
    let tasks = "    - name: first\n      command: touch {{ at }}/sign\n    - pause: {seconds: 2}\n    \
                 - name: the next step\n      command: \"true\"\n";
    let stage = Stage::new(tasks).await;
    let output = stage
        .run(&["-o", "json"], "sign", || {
            std::thread::sleep(Duration::from_millis(500));
            stage.proxy.end_after(0, false);
            stage.proxy.cut();
        })
        .await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lost = &report["hosts"]["web0"];
    assert_eq!(lost["task_name"], "the next step", "{report:#}");
    assert_eq!(lost["may_have_run"], false, "{report:#}");
    assert_eq!(output.status.code(), Some(4));
}
