//! Commands that may change something, in the shell that a connection keeps.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{Command, Output, TransportError};
use kk::remote::Session;
use tokio_util::sync::CancellationToken;

use super::people::User;
use super::server::{self, Server, session_over};

/// A session on the server, and how many commands sshd was asked to start.
async fn session_on(server: &Server) -> Session {
    session_over(connect(server.options()).await.unwrap())
}

fn started(server: &Server) -> usize {
    server.log().matches("Starting session: ").count()
}

async fn run(session: &Session, script: &'static str, input: &'static [u8]) -> Output {
    session
        .run(Command::script(script, [""; 0]), Bytes::from_static(input))
        .await
        .unwrap()
}

async fn said(session: &Session, script: &'static str) -> String {
    run(session, script, b"").await.stdout_text()
}

fn wait_until_gone(process: &str, limit: Duration) {
    let began = Instant::now();
    while Path::new(&format!("/proc/{process}")).exists() {
        assert!(began.elapsed() < limit, "{process} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_steps_cost_one_session() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    for number in 0..20_u32 {
        let output = session
            .run(
                Command::script("cat; echo \"$1\" >&2; exit \"$1\"", [number.to_string()]),
                Bytes::from(format!("in {number}\n\0\\ \u{e4}")),
            )
            .await
            .unwrap();
        assert_eq!(output.status.code(), number);
        assert_eq!(output.stdout_text(), format!("in {number}\n\0\\ \u{e4}"));
        assert_eq!(output.stderr_text(), format!("{number}\n"));
    }
    // Each leads a session of its own on the host, so that it can be ended whole.
    let leader =
        "read -r line </proc/self/stat; set -- ${line##*) }; [ \"$4\" = $$ ] && echo alone";
    assert_eq!(said(&session, leader).await, "alone\n");
    // A program that is not there, and one that reads nothing of what it is given.
    let missing = session
        .run(Command::program("no-such-program"), Bytes::new())
        .await
        .unwrap();
    assert_eq!(missing.status.code(), 127);
    assert!(run(&session, "exit 0", &[7; 3000]).await.success());
    assert_eq!(started(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn big_and_binary_outputs_arrive_whole() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    let output = run(
        &session,
        "head -c 6000000 /dev/zero | tr '\\0' '\\377' | tee /dev/stderr; printf '\\n'",
        b"",
    )
    .await;
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (6_000_001, 6_000_000)
    );
    assert!(output.stderr.iter().all(|&byte| byte == 0xff));
    // Too much input for the shell goes elsewhere.
    let input = Bytes::from(vec![b'x'; 3_000_000]);
    let output = session
        .run(Command::script("wc -c", [""; 0]), input)
        .await
        .unwrap();
    assert_eq!(output.stdout_text().trim(), "3000000");
    assert_eq!(said(&session, "echo still there").await, "still there\n");
    assert_eq!(started(&server), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_leaves_behind_speaks_into_no_other() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    let began = Instant::now();
    // One that keeps the outputs, one out of its process group, and one that has let go of them.
    for (script, sessions) in [
        (
            "(while :; do echo noise; echo noise >&2; sleep 0.01; done) & echo $!",
            2,
        ),
        ("setsid sh -c 'sleep 0.2; exec sleep 30' & echo $!", 3),
        ("sleep 30 >/dev/null 2>&1 & echo $!", 3),
    ] {
        let process = said(&session, script).await;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let output = run(&session, "sleep 0.05; echo mine; echo mine >&2", b"").await;
            assert_eq!(output.stdout_text(), "mine\n", "{script}");
            assert_eq!(output.stderr_text(), "mine\n", "{script}");
        }
        let process = process.lines().find_map(|line| line.parse().ok());
        server::signal(process.unwrap(), "KILL");
        // Now and then somebody else on this machine has the outputs' other end for a moment.
        assert!(started(&server) >= sessions, "{script}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it waited for what was left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_broken_off_is_ended_whole() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("processes");
    let lasting = || {
        Command::script(
            // A child, one with a session of its own, and one whose parent is gone.
            "trap '' TERM; sleep 300 & echo $! >\"$1\"; setsid sleep 301 & echo $! >>\"$1\"; \
             (sleep 303 & echo $! >>\"$1\"); wait; sleep 302",
            [file.to_str().unwrap()],
        )
    };
    // What an earlier step left behind is no part of it.
    let daemon = said(&session, "sleep 304 >/dev/null 2>&1 & echo $!").await;
    for is_first in [true, false] {
        // The first command of its shell, and a later one.
        if !is_first {
            assert_eq!(said(&session, "echo between").await, "between\n");
        }
        let limited = session.with_timeout(Some(Duration::from_millis(800)));
        let error = limited.run(lasting(), Bytes::new()).await.unwrap_err();
        assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
        let processes = std::fs::read_to_string(&file).unwrap();
        assert_eq!(processes.lines().count(), 3);
        for process in processes.lines() {
            wait_until_gone(process, Duration::from_secs(2));
        }
    }
    assert!(Path::new(&format!("/proc/{}", daemon.trim())).exists());
    server::signal(daemon.trim().parse().unwrap(), "KILL");
    // Cancelled before it can have said anything.
    let cancel = CancellationToken::new();
    let cancelled = session.with_cancel(cancel.clone());
    let step = cancelled.run(Command::script("sleep 4321", [""; 0]), Bytes::new());
    let (result, ()) = tokio::join!(step, async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        cancel.cancel();
    });
    assert_eq!(result, Err(TransportError::Cancelled));
    let left = Command::script(
        "! grep -l 4321 /proc/[0-9]*/cmdline | grep -vxF /proc/$$/cmdline",
        [""; 0],
    );
    let left = session.probe(left).await.unwrap();
    assert!(!left.stdout_text().contains("sleep"), "{left:?}");
    assert_eq!(said(&session, "echo goes on").await, "goes on\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_may_end_its_shell() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    assert_eq!(said(&session, "echo before").await, "before\n");
    // The parent of a user's command is the shell.
    let kill = Command::user_shell("/bin/sh", "echo said; kill -9 $PPID; sleep 1");
    let output = session.run(kill, Bytes::new()).await.unwrap();
    assert!(!output.success(), "{output:?}");
    assert_eq!(output.stdout_text(), "said\n");
    assert_eq!(said(&session, "echo after").await, "after\n");
    // What it sends to its whole process group ends the command alone.
    let output = run(&session, "kill 0; sleep 1", b"").await;
    assert_eq!(output.status.code(), 143);
    assert_eq!(said(&session, "echo after").await, "after\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_sees_what_an_earlier_one_wrote_into_start_files() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_on(&server).await;
    let write = "sleep 0.05; printf 'export KK_STARTED=%s\\n' yes >\"$HOME/.bashrc\"";
    assert!(run(&session, write, b"").await.success());
    let shared = said(&session, "echo \"${KK_STARTED-no}\"").await;
    let alone = super::commands::script("echo \"${KK_STARTED-no}\"", &[]);
    let connector: Arc<dyn kk::connect::Connector> = connect(server.options()).await.unwrap();
    let alone = connector.exec(alone).await.unwrap();
    assert_eq!(shared, alone.stdout_text());
    assert!(started(&server) >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_few_sessions_runs_steps_too() {
    if !server::is_available() {
        return;
    }
    for most in ["1", "2", "10"] {
        let server = Server::with(&format!("MaxSessions {most}"));
        let session = session_on(&server).await;
        let each = |number: usize| {
            let session = session.clone();
            async move {
                let text = number.to_string();
                let command = Command::script("sleep 0.02; echo \"$1\"; cat", [text.clone()]);
                let output = session.run(command, "in".into()).await.unwrap();
                assert_eq!(output.stdout_text(), format!("{text}\nin"));
            }
        };
        for number in 0..3 {
            each(number).await;
        }
        futures::future::join_all((3..15).map(each)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_login_shell_will_do() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    let server = Server::start();
    for shell in [
        "/bin/bash",
        "/bin/sh",
        "/usr/bin/fish",
        "/bin/csh",
        "/bin/tcsh",
        "/bin/zsh",
    ] {
        if !Path::new(shell).exists() {
            eprintln!("SKIPPED for {shell}: it is not installed");
            continue;
        }
        let user = User::new(server.folder.path(), shell);
        let mut options = server.options();
        options.user.clone_from(&user.name);
        let session = session_over(connect(options).await.unwrap());
        let before = started(&server);
        for _ in 0..3 {
            let output = run(&session, "cat; id -un; exit 4", b"it's !\\ \n").await;
            assert_eq!(output.status.code(), 4, "{shell}: {output:?}");
            assert_eq!(output.stdout_text(), format!("it's !\\ \n{}\n", user.name));
        }
        assert!(started(&server) > before);
    }
}
