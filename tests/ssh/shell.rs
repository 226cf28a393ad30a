//! The shell that a connection keeps: the same answers as a session of its own gives, and nothing worse when it dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kk::connect::ssh::connect;
use kk::connect::{Command, ExecRequest, Stdin, TransportError};
use tokio_util::sync::CancellationToken;

use super::commands::script;
use super::server::{self, Server};

fn shared(text: &'static str, arguments: &[&str]) -> ExecRequest {
    script(text, arguments).shared()
}

/// How many commands sshd was asked to start.
fn started(server: &Server) -> usize {
    server.log().matches("Starting session: command").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answers_as_alone_in_one_session() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("LogLevel DEBUG1");
    let session = connect(server.options()).await.unwrap();
    let scripts: [(&'static str, &[&str]); 12] = [
        ("true", &[]),
        ("false", &[]),
        ("exit 7", &[]),
        ("printf 'no line end'", &[]),
        ("printf 'a\\n\\n'; printf 'b\\n\\n' >&2", &[]),
        (
            "printf '\\000\\001\\377%s' \"$1\"",
            &["it's \u{fc}!\n\\ $(id) `id`"],
        ),
        ("cat; echo end; read -r a; echo $?", &[]),
        ("exec sh -c 'echo other >&2; exit 3'", &[]),
        ("cd /; umask 077; export X=1; set -f; exec 6>&1; pwd", &[]),
        ("pwd; umask; echo \"$X\" $- $#", &["one"]),
        ("no-such-command", &[]),
        (
            "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done",
            &[],
        ),
    ];
    for round in 0..3 {
        for (text, arguments) in scripts {
            let alone = session.exec(script(text, arguments)).await.unwrap();
            let shared = session.exec(shared(text, arguments)).await.unwrap();
            // A shell says at which line of what it stumbled.
            let same_errors = shared.stderr == alone.stderr || text == "no-such-command";
            assert!(
                shared.stdout == alone.stdout && shared.status == alone.status && same_errors,
                "{round} {text}: {shared:?}\nalone: {alone:?}"
            );
        }
    }
    assert_eq!(started(&server), 3 * scripts.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_broken_off_is_ended_and_the_next_goes_on() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("process");
    let path = file.to_str().unwrap().to_owned();
    let lasting = || shared("sh -c 'echo $$ >\"$1\"; sleep 60; :' sh \"$1\"", &[&path]);
    let process = || {
        let began = Instant::now();
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.ends_with('\n') {
                std::fs::remove_file(&file).unwrap();
                return text.trim().to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let is_gone_within = |process: String, limit: u64| {
        let began = Instant::now();
        while std::path::Path::new(&format!("/proc/{process}")).exists() {
            assert!(began.elapsed() < Duration::from_secs(limit), "{process}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // Dropped.
    let running = tokio::spawn({
        let (session, request) = (Arc::clone(&session), lasting());
        async move { session.exec(request).await }
    });
    let first = process();
    running.abort();
    is_gone_within(first, 10);
    // Out of time.
    let error = session
        .exec(lasting().timeout(Duration::from_secs(1)))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
    let second = process();
    // Cancelled.
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (session, request) = (Arc::clone(&session), lasting().cancel(cancel.clone()));
        async move { session.exec(request).await }
    });
    let third = process();
    cancel.cancel();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error, TransportError::Cancelled);
    // Others go on meanwhile.
    let output = session.exec(shared("echo still here", &[])).await.unwrap();
    assert_eq!(output.stdout_text(), "still here\n");
    session.close().await;
    is_gone_within(second, 20);
    is_gone_within(third, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_dies_takes_no_other_command_along() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let pid = |output: kk::connect::Output| output.stdout_text().trim().parse::<u32>().unwrap();
    let shell = pid(session.exec(shared("echo $$", &[])).await.unwrap());
    assert_eq!(
        pid(session.exec(shared("echo $$", &[])).await.unwrap()),
        shell
    );
    // While it waits: the next command does not even notice.
    server::signal(shell, "KILL");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let next = pid(session.exec(shared("echo $$", &[])).await.unwrap());
    assert_ne!(next, shell);
    // Under a command: its end was not seen, and it may have run.
    let error = session
        .exec(shared("kill -9 $$; sleep 5", &[]))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    let output = session.exec(shared("echo again", &[])).await.unwrap();
    assert_eq!(output.stdout_text(), "again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_counts_its_sessions_has_none_for_it() {
    if !server::is_available() {
        return;
    }
    for most in ["1", "2", "3"] {
        let server = Server::with(&format!("MaxSessions {most}"));
        let session = connect(server.options()).await.unwrap();
        let both = |number: usize| {
            let session = Arc::clone(&session);
            async move {
                let request = if number.is_multiple_of(2) {
                    shared("sleep 0.05; echo $1", &["x"])
                } else {
                    script("cat", &[]).stdin(Stdin::Bytes("x\n".into()))
                };
                assert_eq!(session.exec(request).await.unwrap().stdout_text(), "x\n");
            }
        };
        for number in 0..4 {
            both(number).await;
        }
        futures::future::join_all((0..12).map(both)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_their_own_answers() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let ask = |number: usize| {
        let session = Arc::clone(&session);
        async move {
            let text = number.to_string();
            let request = ExecRequest::new(Command::script(
                "echo out $1; echo err $1 >&2; exit $(($1 % 100))",
                [text.clone()],
            ));
            let request = if number.is_multiple_of(3) {
                request
            } else {
                request.shared()
            };
            let output = session.exec(request).await.unwrap();
            assert_eq!(output.stdout_text(), format!("out {text}\n"));
            assert_eq!(output.stderr_text(), format!("err {text}\n"));
            assert_eq!(output.status.code() as usize, number % 100);
        }
    };
    futures::future::join_all((0..200).map(ask)).await;
}
