//! Ways to a host: through jump hosts, to busy hosts, to hosts that are not there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::{HostKeyPolicy, SshOptions, connect};
use kk::connect::{Command, ExecRequest, Stdin, TransportError};
use kk::remote::{Become, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::server::{self, Server, new_key, public_key};

/// What an address that cannot be reached is refused with.
async fn refusal(options: SshOptions) -> String {
    match connect(options).await.map(|_| ()).unwrap_err() {
        TransportError::Unreachable { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_one_and_two_jump_hosts() {
    if !server::is_available() {
        return;
    }
    let (first, second, last) = (Server::start(), Server::start(), Server::start());
    for jumps in [vec![&first], vec![&first, &second]] {
        let mut options = last.options();
        options.proxy_jump = jumps.iter().map(|jump| jump.options()).collect();
        let session = connect(options).await.unwrap();
        assert!(
            session.describe().contains(" through "),
            "{}",
            session.describe()
        );
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            // Many windows: whoever waits for the other in between waits for ever.
            for _ in 0..1024 {
                sender
                    .send(Ok(Bytes::from(vec![1; 256 * 1024])))
                    .await
                    .unwrap();
            }
        });
        let request = ExecRequest::new(Command::script("wc -c; echo $SSH_CONNECTION", [""; 0]))
            .stdin(Stdin::Stream(Bytes::new(), receiver));
        let output = session.exec(request).await.unwrap();
        let text = output.stdout_text();
        assert!(text.starts_with(&(256 * 1024 * 1024).to_string()), "{text}");
        assert!(text.trim().ends_with(&format!(" {}", last.port)), "{text}");
        session.close().await;
    }
    assert!(second.log().contains("Accepted publickey"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_has_its_own_host_key_and_login() {
    if !server::is_available() {
        return;
    }
    let (jump, last) = (Server::start(), Server::start());
    let mut options = last.options();
    options.known_hosts = Arc::new(KnownHosts::default());
    options.proxy_jump = vec![jump.options()];
    let error = connect(options).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, TransportError::HostKey { target, .. } if target.ends_with(&last.port.to_string())),
        "{error:?}"
    );
    let mut options = last.options();
    let mut hop = jump.options();
    let other = jump.path("other");
    new_key(&other, &["ed25519"], "");
    hop.known_hosts = jump.known_hosts(&format!(
        "[127.0.0.1]:{} {}\n",
        jump.port,
        public_key(&other)
    ));
    options.proxy_jump = vec![hop];
    let error = connect(options).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, TransportError::HostKey { target, .. } if target.ends_with(&jump.port.to_string())),
        "{error:?}"
    );
    let mut options = last.options();
    let mut hop = jump.options();
    hop.private_key = None;
    options.proxy_jump = vec![hop];
    let error = connect(options).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(error, TransportError::Authentication { .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jumps_that_lead_nowhere() {
    if !server::is_available() {
        return;
    }
    let last = Server::start();
    let jump = Server::start();
    let mut options = last.options();
    options.port = server::free_port();
    options.proxy_jump = vec![jump.options()];
    let reason = refusal(options).await;
    assert!(
        reason.contains("cannot connect to it: connect failed"),
        "{reason}"
    );
    let closed = Server::with("AllowTcpForwarding no");
    let mut options = last.options();
    options.proxy_jump = vec![closed.options()];
    let reason = refusal(options).await;
    assert!(reason.contains("does not forward"), "{reason}");
    // The jump host dies under a command.
    let mut options = last.options();
    let mut jump = jump;
    options.proxy_jump = vec![jump.options()];
    let session = connect(options).await.unwrap();
    let running = tokio::spawn(async move {
        session
            .exec(ExecRequest::new(Command::new("sleep 30")))
            .await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    jump.kill();
    let error = tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_host_is_asked_again() {
    if !server::is_available() {
        return;
    }
    // Of the connections that are not logged in yet, all above one are dropped.
    let server = Server::with("MaxStartups 1:100:1");
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let options = server.options();
        all.spawn(async move { connect(options).await.map(|_| ()) });
    }
    while let Some(result) = all.join_next().await {
        result.unwrap().unwrap();
    }
    assert!(
        server.log().contains("past MaxStartups"),
        "{}",
        server.log()
    );
}

/// Options for a port where no SSH server is.
fn stranger(port: u16) -> SshOptions {
    let mut options = SshOptions::new("127.0.0.1", port, "nobody", Arc::new(KnownHosts::default()));
    options.use_agent = false;
    options.default_keys = Vec::new();
    options.host_key_policy = HostKeyPolicy::Strict;
    options.connect_timeout = Duration::from_millis(1500);
    options
}

/// A server that says something and then closes, or stays silent.
async fn talker(words: &'static [u8], is_closing: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(words).await;
            if is_closing {
                let _ = stream.shutdown().await;
            } else {
                kept.push(stream);
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_not_there() {
    let start = Instant::now();
    let reason = refusal(stranger(server::free_port())).await;
    assert_eq!(reason, "connection refused");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "it is not tried again"
    );
    let mut options = stranger(22);
    options.host = "no-such-host.invalid".to_owned();
    let reason = refusal(options).await;
    assert!(
        reason.contains("name") || reason.contains("lookup"),
        "{reason}"
    );
    // Silence, before and after the identification.
    for words in [b"".as_slice(), b"SSH-2.0-mute\r\n"] {
        let start = Instant::now();
        let reason = refusal(stranger(talker(words, false).await)).await;
        assert_eq!(reason, "no answer within 1.5 s");
        assert!(start.elapsed() < Duration::from_secs(3));
    }
    // What is no SSH server, or does not want us, is quoted.
    for (words, part) in [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
            "HTTP/1.1 400 Bad Request",
        ),
        (b"Not allowed at this time\r\n", "Not allowed at this time"),
        (b"", "closed the connection"),
        (b"\0\x01\x02\xff\n", "connection"),
    ] {
        let reason = refusal(stranger(talker(words, true).await)).await;
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_host_reaches_is_reached_through_it() {
    if !server::is_available() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
    });
    let session = |server: &Server| {
        let options = server.options();
        async {
            Session::new(
                connect(options).await.unwrap(),
                Become::default(),
                CancellationToken::new(),
            )
        }
    };
    let host = Server::start();
    let through = session(&host).await;
    let forward = through.forward("127.0.0.1", port).await.unwrap();
    let echo = |text: Vec<u8>| {
        let entrance = forward.entrance;
        async move {
            let stream = tokio::net::TcpStream::connect(entrance).await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            let sent = text.clone();
            let sending = tokio::spawn(async move {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut back = Vec::new();
            reader.read_to_end(&mut back).await.unwrap();
            sending.await.unwrap();
            assert!(back == text, "{} of {} bytes", back.len(), text.len());
        }
    };
    echo(vec![7; 3_000_000]).await;
    tokio::join!(echo(vec![1; 10]), echo(vec![2; 700_000]), echo(Vec::new()));
    // Nobody listens there: who connects sees the end.
    let nobody = through
        .forward("127.0.0.1", server::free_port())
        .await
        .unwrap();
    let mut stream = tokio::net::TcpStream::connect(nobody.entrance)
        .await
        .unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
    // A forwarding that is dropped is closed.
    let entrance = nobody.entrance;
    drop(nobody);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tokio::net::TcpStream::connect(entrance).await.is_err());
    let closed = Server::with("AllowTcpForwarding no");
    let error = session(&closed)
        .await
        .forward("127.0.0.1", port)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, TransportError::NotStarted { reason, .. } if reason.contains("prohibited")),
        "{error:?}"
    );
}
