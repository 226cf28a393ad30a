//! Commands over a session: output, input, status, limits, many at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{
    Command, Connector, ExecRequest, ExitStatus, OUTPUT_LIMIT, Stdin, TransportError,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::process::memory;
use super::server::{self, Server};

/// A script with arguments.
pub(super) fn script(text: &'static str, arguments: &[&str]) -> ExecRequest {
    ExecRequest::new(Command::script(text, arguments.iter().copied()))
}

/// The output of a command that must succeed.
pub(super) async fn said(session: &Arc<dyn Connector>, request: ExecRequest) -> String {
    let output = session.exec(request).await.unwrap();
    assert!(output.success(), "{output:?}");
    output.stdout_text()
}

#[tokio::test(flavor = "multi_thread")]
async fn output_status_and_input() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let request = script(
        "cat; echo \"error: $1 $LC_ALL\" >&2; exit 3",
        &["it's \u{fc}!\n\\"],
    );
    let output = session
        .exec(request.stdin(Stdin::Bytes("the input".into())))
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert_eq!(output.stdout_text(), "the input");
    assert_eq!(output.stderr_text(), "error: it's \u{fc}!\n\\ C\n");
    assert_eq!(session.user(), server::me());
    assert!(
        session
            .describe()
            .ends_with(&format!("@127.0.0.1:{}", server.port))
    );
    // Without input the command sees an end at once.
    assert_eq!(said(&session, script("cat; echo end", &[])).await, "end\n");
    session.close().await;
    let error = session.exec(script("true", &[])).await.unwrap_err();
    assert!(error.did_not_run(), "{error}");
    assert!(error.to_string().contains("session is closed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_told_from_a_status() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    for (name, number) in [("KILL", 137), ("TERM", 143)] {
        let output = session.exec(script("kill -$1 $$", &[name])).await.unwrap();
        assert_eq!(output.status, ExitStatus::Signal(name.to_owned()));
        assert_eq!(output.status.code(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_input_is_streamed() {
    const PIECE: usize = 256 * 1024;
    const PIECES: usize = 256;
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let (sender, receiver) = mpsc::channel(2);
    let feeder = tokio::spawn(async move {
        let mut hash = Sha256::new();
        for number in 0..PIECES {
            let mut piece = vec![u8::try_from(number % 251).unwrap(); PIECE];
            piece[number] = 255;
            hash.update(&piece);
            sender.send(Ok(Bytes::from(piece))).await.unwrap();
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    });
    let before = memory("VmHWM");
    let request = script("sha256sum", &[]).stdin(Stdin::Stream(Bytes::new(), receiver));
    let hash = said(&session, request).await;
    let grown = memory("VmHWM").saturating_sub(before);
    assert_eq!(hash.split(' ').next().unwrap(), feeder.await.unwrap());
    // Other tests of this process use memory too, so this is far from tight; all of it would be 64 MiB.
    assert!(grown < 32 * 1024, "{grown} KiB more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_while_its_input_comes_still_has_its_output() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    for text in [
        "head -c 100000 >/dev/null; echo full >&2; exit 7",
        "exec <&-; sleep 0.3; echo full >&2; exit 7",
        "echo full >&2; exit 7",
    ] {
        let (sender, receiver) = mpsc::channel(2);
        let feeder = tokio::spawn(async move {
            let piece = Bytes::from(vec![0; 256 * 1024]);
            while sender.send(Ok(piece.clone())).await.is_ok() {}
        });
        let request = script(text, &[]).stdin(Stdin::Stream("start".into(), receiver));
        let output = tokio::time::timeout(Duration::from_secs(20), session.exec(request))
            .await
            .expect("it hangs")
            .unwrap();
        assert_eq!(output.status, ExitStatus::Code(7), "{text}");
        assert_eq!(output.stderr_text(), "full\n", "{text}");
        feeder.await.unwrap();
    }
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_breaks_off_never_looks_complete() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let target = server.path("target");
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        let _ = sender.send(Ok(Bytes::from(vec![1; 100_000]))).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = sender
            .send(Err(std::io::Error::other("disk on fire")))
            .await;
    });
    let request = script(
        "cat >\"$1.new\" && mv \"$1.new\" \"$1\"",
        &[target.to_str().unwrap()],
    )
    .stdin(Stdin::Stream(Bytes::new(), receiver));
    let error = session.exec(request).await.unwrap_err();
    assert_eq!(
        error,
        TransportError::Input {
            reason: "disk on fire".to_owned()
        }
    );
    // The caller has time to end it; whether it does or not, it sees no end of its input.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(server.path("target.new").exists());
    assert!(!target.exists());
    session.close().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!target.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_at_once() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        for _ in 0..64 {
            sender
                .send(Ok(Bytes::from(vec![b'x'; 256 * 1024])))
                .await
                .unwrap();
        }
    });
    let request = script("tee /dev/stderr", &[]).stdin(Stdin::Stream(Bytes::new(), receiver));
    let output = session.exec(request).await.unwrap();
    assert_eq!(output.stdout.len(), 16 * 1024 * 1024);
    assert_eq!(output.stderr.len(), 16 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_at_once_within_what_the_host_allows() {
    if !server::is_available() {
        return;
    }
    for sessions in [10, 2, 1] {
        let server = Server::with(&format!("MaxSessions {sessions}"));
        let session = connect(server.options()).await.unwrap();
        let mut all = tokio::task::JoinSet::new();
        for number in 0..24 {
            let session = Arc::clone(&session);
            all.spawn(async move {
                let number = number.to_string();
                let request = script("sleep 0.1; echo \"$1\"", &[&number]);
                assert_eq!(said(&session, request).await, format!("{number}\n"));
            });
        }
        while let Some(result) = all.join_next().await {
            result.unwrap();
        }
        let log = server.log();
        let refused = log.matches("no more sessions").count();
        assert!(refused <= 60, "MaxSessions {sessions}: {refused} refusals");
        if sessions == 10 {
            // Only sessions that the host has not cleared away yet may get in the way.
            assert!(refused < 8, "{refused} refusals");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_sessions_is_an_error_before_the_start() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("MaxSessions 0");
    let session = connect(server.options()).await.unwrap();
    let error = session.exec(script("true", &[])).await.unwrap_err();
    assert!(error.did_not_run(), "{error}");
    assert!(error.to_string().contains("MaxSessions"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_passes_ends_the_wait_and_tells_the_command() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let left = server.path("left");
    let limit = Duration::from_millis(500);
    let start = Instant::now();
    let error = session
        .exec(script("sleep 4; touch \"$1\"", &[left.to_str().unwrap()]).timeout(limit))
        .await
        .unwrap_err();
    assert_eq!(error, TransportError::TimedOut { limit });
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
    // Who waits no more may end it; closing the session does in any case.
    session.close().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_no_more_can_end_the_command_before_it_sees_an_end_of_its_input() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let target = server.path("target");
    let target = target.to_str().unwrap();
    let (_sender, receiver) = mpsc::channel(1);
    let limit = Duration::from_secs(1);
    let request = script(
        "echo $$ >\"$1.pid\"; cat >\"$1.new\" && mv \"$1.new\" \"$1\"",
        &[target],
    )
    .stdin(Stdin::Stream("a part".into(), receiver))
    .timeout(limit);
    let error = session.exec(request).await.unwrap_err();
    assert_eq!(error, TransportError::TimedOut { limit });
    let stop = script(
        "kill -KILL -- -$(cat \"$1.pid\"); cat \"$1.new\"",
        &[target],
    );
    assert_eq!(said(&session, stop).await, "a part");
    session.close().await;
    assert!(!server.path("target").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_is_at_once_and_ends_the_commands() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    // More than there are channels for: some of them wait for one.
    let token = CancellationToken::new();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (session, token) = (Arc::clone(&session), token.clone());
        let left = server.path(&format!("left{number}"));
        all.spawn(async move {
            let left = left.to_str().unwrap();
            session
                .exec(script("sleep 3; touch \"$1\"", &[left]).cancel(token))
                .await
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    token.cancel();
    while let Some(result) = all.join_next().await {
        assert_eq!(result.unwrap().unwrap_err(), TransportError::Cancelled);
    }
    assert!(start.elapsed() < Duration::from_millis(500));
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
    let error = session
        .exec(script("true", &[]).cancel(token))
        .await
        .unwrap_err();
    assert_eq!(error, TransportError::Cancelled);
    session.close().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    for number in 0..12 {
        assert!(
            !server.path(&format!("left{number}")).exists(),
            "{number} {}",
            server.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_commands_that_are_being_ended() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for delay in [0, 30, 500] {
        let session = connect(server.options()).await.unwrap();
        let left = server.path(&format!("left-{delay}"));
        let token = CancellationToken::new();
        let request = script("sleep 1; touch \"$1\"", &[left.to_str().unwrap()]);
        let running = session.exec(request.cancel(token.clone()));
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            token.cancel();
        };
        let (result, ()) = tokio::join!(running, cancel);
        assert_eq!(result.unwrap_err(), TransportError::Cancelled);
        session.close().await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!left.exists(), "{delay}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_request_gives_its_channel_back() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    for round in 0..30 {
        let request = session.exec(script("sleep 30", &[]));
        let _ = tokio::time::timeout(Duration::from_millis(round * 5), request).await;
    }
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_output_is_an_error_and_the_session_goes_on() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let error = session
        .exec(script("cat /dev/zero", &[]))
        .await
        .unwrap_err();
    assert_eq!(error, TransportError::TooMuchOutput);
    let exact = OUTPUT_LIMIT.to_string();
    let output = session
        .exec(script("head -c $1 /dev/zero", &[&exact]))
        .await
        .unwrap();
    assert_eq!(output.stdout.len(), OUTPUT_LIMIT);
    let error = session
        .exec(script(": $1", &["x".repeat(200_000).as_str()]))
        .await
        .unwrap_err();
    assert!(error.did_not_run(), "{error}");
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
}
