//! Sessions over lines that are long, and over lines and hosts that die.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{Stdin, TransportError};
use tokio::sync::mpsc;

use super::commands::{said, script};
use super::server::{self, Server};

/// Passes bytes on in both directions, each piece after a while, as a long line does.
async fn long_line(port: u16, delay: Duration) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let far = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            stream.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let (near_read, near_write) = stream.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(pass_on(near_read, far_write, delay));
            tokio::spawn(pass_on(far_read, near_write, delay));
        }
    });
    near
}

async fn pass_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (sender, mut receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut piece).await {
            let due = tokio::time::Instant::now() + delay;
            if count == 0 || sender.send((due, piece[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    while let Some((due, piece)) = receiver.recv().await {
        tokio::time::sleep_until(due).await;
        if to.write_all(&piece).await.is_err() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_costs_one_round_trip() {
    const COUNT: u32 = 6;
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let one_way = Duration::from_millis(150);
    let line = long_line(server.port, one_way).await;
    let mut options = server.options();
    let key = server::public_key(&server.path("host_ed25519"));
    options.known_hosts = server.known_hosts(&format!("[127.0.0.1]:{line} {key}\n"));
    options.port = line;
    let session = connect(options).await.unwrap();
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
    let error = session.exec(script("true", &[])).await.unwrap_err();
    assert!(
        matches!(error, TransportError::NotStarted { .. }),
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
