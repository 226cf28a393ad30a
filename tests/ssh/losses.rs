//! What a run says at its end of hosts that were lost: which, in which task, why, and whether its step may have run.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::proxy::Proxy;
use super::runs::Play;
use super::server::{self, Server};

/// Two hosts, the first over a line that a test commands, and a playbook for both.
struct Stage {
    play: Play,
    servers: [Server; 2],
    proxy: Proxy,
}

impl Stage {
    async fn new(tasks: &str) -> Self {
        let servers = [Server::start(), Server::start()];
        let proxy = Proxy::new(&servers[0], Duration::ZERO).await;
        let ports = [proxy.port, servers[1].port];
        Self {
            play: Play::new(servers.iter().zip(ports), tasks),
            servers,
            proxy,
        }
    }

    /// Runs the playbook; `meanwhile` happens once the first host has made the file `sign`.
    async fn run(&self, output: &[&str], meanwhile: impl FnOnce()) -> Output {
        let sign = self.servers[0].path("sign");
        let _ = std::fs::remove_file(&sign);
        let child = self.play.start(&[&["--timeout", "2"], output].concat());
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
    let output = stage.run(&[], || stage.proxy.cut()).await;
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

    let output = stage.run(&["-o", "json"], || stage.proxy.cut()).await;
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
        .run(&["-o", "json"], || {
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
