use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::connect::Command;

fn script(text: &'static str, arguments: &[&str]) -> ExecRequest {
    ExecRequest::new(Command::script(text, arguments.iter().copied()))
}

#[tokio::test]
async fn output_status_and_input() {
    let output = LocalConnector::new()
        .exec(
            script(
                "cat; echo \"$1 $LC_ALL\" >&2; exit 3",
                &["it's a \u{e4} !\nb"],
            )
            .stdin(Stdin::Bytes("the input".into())),
        )
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert_eq!(output.stdout_text(), "the input");
    assert_eq!(output.stderr_text(), "it's a \u{e4} !\nb C\n");
}

#[tokio::test]
async fn a_signal_is_told_from_a_status() {
    let output = LocalConnector::new()
        .exec(script("kill -TERM $$", &[]))
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Signal("TERM".to_owned()));
    assert_eq!(output.status.code(), 143);
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_still_ends() {
    let (sender, receiver) = mpsc::channel(1);
    let feeder = tokio::spawn(async move {
        while sender
            .send(Ok(Bytes::from(vec![0; 64 * 1024])))
            .await
            .is_ok()
        {}
    });
    let output = LocalConnector::new()
        .exec(
            script("head -c 5 >/dev/null; exit 4", &[])
                .stdin(Stdin::Stream(Bytes::new(), receiver)),
        )
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Code(4));
    feeder.await.unwrap();
}

#[tokio::test]
async fn broken_input_kills_the_command_before_it_sees_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let (sender, receiver) = mpsc::channel(1);
    let request = script(
        "cat >\"$1.new\" && mv \"$1.new\" \"$1\"",
        &[target.to_str().unwrap()],
    )
    .stdin(Stdin::Stream("some".into(), receiver));
    let feeder = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = sender
            .send(Err(std::io::Error::other("disk on fire")))
            .await;
    });
    let error = LocalConnector::new().exec(request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "read the input of the command: disk on fire"
    );
    assert!(!error.did_not_run());
    feeder.await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!target.exists());
}

#[tokio::test]
async fn limit_and_cancellation_end_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let connector = LocalConnector::new();
    for is_cancelled in [false, true] {
        let left = folder.path().join(format!("left-{is_cancelled}"));
        let token = CancellationToken::new();
        let mut request = script("(sleep 1; touch \"$1\") & wait", &[left.to_str().unwrap()])
            .cancel(token.clone());
        if is_cancelled {
            let token = token.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                token.cancel();
            });
        } else {
            request = request.timeout(Duration::from_millis(200));
        }
        let start = Instant::now();
        let error = connector.exec(request).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_millis(900), "{error}");
        if is_cancelled {
            assert_eq!(error, TransportError::Cancelled);
        } else {
            assert!(matches!(error, TransportError::TimedOut { .. }), "{error}");
        }
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!left.exists());
    }
}

#[tokio::test]
async fn what_made_itself_a_session_or_does_not_listen_is_ended_too() {
    let folder = tempfile::tempdir().unwrap();
    let connector = LocalConnector {
        grace: Duration::from_millis(300),
        ..LocalConnector::new()
    };
    for (number, text) in [
        "setsid sh -c 'sleep 2; touch \"$1\"' sh \"$1\" & wait",
        "setsid sh -c 'trap \"\" TERM; sleep 2; touch \"$1\"' sh \"$1\" & wait",
    ]
    .into_iter()
    .enumerate()
    {
        let left = folder.path().join(number.to_string());
        let request = script(text, &[left.to_str().unwrap()]);
        let limit = Duration::from_millis(500);
        let start = Instant::now();
        let error = connector.exec(request.timeout(limit)).await.unwrap_err();
        assert_eq!(error, TransportError::TimedOut { limit });
        assert!(start.elapsed() < Duration::from_secs(2));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!folder.path().join("0").exists());
    assert!(!folder.path().join("1").exists());
}

#[tokio::test]
async fn a_dropped_request_ends_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("left");
    let connector = LocalConnector::new();
    let request = connector.exec(script("sleep 1; touch \"$1\"", &[left.to_str().unwrap()]));
    let _ = tokio::time::timeout(Duration::from_millis(300), request).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!left.exists());
}

#[tokio::test]
async fn too_much_output_is_an_error() {
    let error = LocalConnector::new()
        .exec(script("cat /dev/zero", &[]))
        .await
        .unwrap_err();
    assert_eq!(error, TransportError::TooMuchOutput);
}

#[tokio::test]
async fn a_closed_session_runs_nothing() {
    let connector = LocalConnector::new();
    connector.close().await;
    let error = connector.exec(script("true", &[])).await.unwrap_err();
    assert!(error.did_not_run());
}

#[test]
fn the_user_is_named() {
    let name = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    assert_eq!(
        current_user(),
        String::from_utf8(name.stdout).unwrap().trim()
    );
}
