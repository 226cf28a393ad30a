//! Sessions over lines that are long, and over lines and hosts that die.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{Stdin, TransportError};
use tokio::sync::mpsc;

use super::commands::{said, script};
use super::proxy::Proxy;
use super::server::{self, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_costs_one_round_trip() {
    const COUNT: u32 = 6;
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let one_way = Duration::from_millis(150);
    let line = Proxy::new(&server, one_way).await;
    let session = connect(line.options(&server)).await.unwrap();
    // The first channel is on its way by now.
    tokio::time::sleep(one_way * 3).await;
    let start = Instant::now();
    for _ in 0..COUNT {
        said(&session, script("true", &[])).await;
    }
    let each = start.elapsed() / COUNT;
    assert!(each >= one_way * 2, "{each:?}");
    // Two round trips would be four times the way.
    assert!(each < one_way * 7 / 2, "{each:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_in_the_middle_is_lost() {
    if !server::is_available() {
        return;
    }
    let mut server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let running = {
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.exec(script("sleep 30", &[])).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.kill();
    let error = tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .expect("the end of the connection is not seen")
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    assert!(!error.did_not_run());
    // It is connected to anew, in vain.
    let error = session.exec(script("true", &[])).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );
}

/// Stops all that a host does without closing anything, as a cut cable does.
fn freeze(server: &Server) {
    for id in server.sessions() {
        server::signal(id, "STOP");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_hangs_is_lost_when_the_signs_of_life_stop() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let mut options = server.options();
    options.keepalive_interval = Duration::from_millis(400);
    let session = connect(options).await.unwrap();
    // Signs of life are answered: nothing is lost while the host lives.
    assert_eq!(
        said(&session, script("sleep 3; echo on", &[])).await,
        "on\n"
    );
    let running = {
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.exec(script("sleep 30", &[])).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    freeze(&server);
    let start = Instant::now();
    let error = tokio::time::timeout(Duration::from_secs(10), running)
        .await
        .expect("the hung link is not noticed")
        .unwrap()
        .unwrap_err();
    let took = start.elapsed();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    assert!(
        took > Duration::from_millis(700) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_hangs_under_an_upload_is_lost_too() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let mut options = server.options();
    options.keepalive_interval = Duration::from_millis(400);
    let session = connect(options).await.unwrap();
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let piece = Bytes::from(vec![0; 256 * 1024]);
            while sender.send(Ok(piece.clone())).await.is_ok() {}
        });
        let session = Arc::clone(&session);
        uploads.spawn(async move {
            let request = script("cat >/dev/null", &[]);
            session
                .exec(request.stdin(Stdin::Stream(Bytes::new(), receiver)))
                .await
        });
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    freeze(&server);
    while let Some(result) = tokio::time::timeout(Duration::from_secs(10), uploads.join_next())
        .await
        .expect("the hung link is not noticed")
    {
        let error = result.unwrap().unwrap_err();
        assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_anew_in_a_long_upload() {
    const PIECE: usize = 1024 * 1024;
    if !server::is_available() {
        return;
    }
    // The host asks for it every 16 MiB; this side after 1 GiB.
    let server = Server::with("RekeyLimit 16M");
    let session = connect(server.options()).await.unwrap();
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        let piece = Bytes::from(vec![7; PIECE]);
        for _ in 0..1100 {
            sender.send(Ok(piece.clone())).await.unwrap();
        }
    });
    let request = script("wc -c", &[]).stdin(Stdin::Stream(Bytes::new(), receiver));
    let count = said(&session, request).await;
    assert_eq!(count.trim(), (1100 * PIECE).to_string());
    assert_eq!(said(&session, script("echo on", &[])).await, "on\n");
}
