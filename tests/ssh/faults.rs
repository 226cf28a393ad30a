//! Connections that are cut or hang in each phase, hosts that close what is idle, and hosts that allow few sessions: a
//! command runs once or not at all, and which of the two is known or said to be unknown.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{Command, TransportError};
use kk::remote::Session;

use super::commands::{said, script};
use super::proxy::Proxy;
use super::server::{self, Server, session_over};

/// Appends a line for each time that it runs.
const NOTE: &str = "printf '%s\\n' \"$2\" >>\"$1\"";

/// How often a command with this name ran.
fn times(file: &Path, name: &str) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| *line == name).count()
}

/// A step that notes that it ran.
async fn note(session: &Session, file: &Path, name: &str) -> Result<(), TransportError> {
    let words = [file.to_str().unwrap(), name];
    let output = session
        .run(Command::script(NOTE, words), Bytes::new())
        .await?;
    assert!(output.success(), "{output:?}");
    Ok(())
}

/// What must hold of a command, whatever became of it.
fn check(result: &Result<(), TransportError>, ran: usize, when: &str) {
    match result {
        Ok(()) => assert_eq!(ran, 1, "{when}: it said that it ran"),
        Err(error) if error.did_not_run() => assert_eq!(ran, 0, "{when}: {error}"),
        Err(TransportError::Lost { .. }) => assert!(ran <= 1, "{when}: it ran {ran} times"),
        Err(other) => panic!("{when}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_in_any_phase_never_runs_a_command_twice() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let file = server.path("ran");
    let mut options = proxy.options(&server);
    // A host that drops connections is tried again within this time.
    options.connect_timeout = Duration::from_millis(300);
    let (mut refused, mut lost, mut done) = (0, 0, 0);
    // Greeting, key exchange, login, channel, command, answer: all of it is less than 20 KB.
    for bytes in (0..20_000).step_by(390) {
        proxy.end_after(bytes, false);
        let name = format!("cut-{bytes}");
        let result = match connect(options.clone()).await {
            Err(error) => {
                assert!(error.did_not_run(), "{bytes}: {error}");
                Err(error)
            }
            Ok(connector) => note(&session_over(connector), &file, &name).await,
        };
        // One that was on its way may need a moment.
        if matches!(result, Err(TransportError::Lost { .. })) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match &result {
            Ok(()) => done += 1,
            Err(TransportError::Lost { .. }) => lost += 1,
            Err(_) => refused += 1,
        }
        check(&result, times(&file, &name), &name);
    }
    assert!(
        refused > 4 && done > 4,
        "{refused} refused, {lost} lost, {done} done"
    );
    proxy.mend();
    let connector = connect(options).await.unwrap();
    note(&session_over(connector), &file, "after")
        .await
        .unwrap();
    assert_eq!(times(&file, "after"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_hangs_in_any_phase_is_given_up_in_time() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let file = server.path("ran");
    let mut options = proxy.options(&server);
    options.connect_timeout = Duration::from_millis(500);
    options.keepalive_interval = Duration::from_millis(300);
    let mut all = tokio::task::JoinSet::new();
    for bytes in (0..6_000).step_by(1_000) {
        proxy.end_after(bytes, true);
        let name = format!("hang-{bytes}");
        let start = Instant::now();
        let result = match connect(options.clone()).await {
            Err(error) => Err(error),
            Ok(connector) => {
                let session = session_over(connector);
                let result = note(&session, &file, &name).await;
                all.spawn(async move { drop(session) });
                result
            }
        };
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{name}: {:?}",
            start.elapsed()
        );
        check(&result, times(&file, &name), &name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_closes_idle_sessions_gets_a_new_connection() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let file = server.path("ran");
    let session = session_over(connect(proxy.options(&server)).await.unwrap());
    for round in 0..3_u64 {
        let name = format!("idle-{round}");
        note(&session, &file, &name).await.unwrap();
        assert_eq!(times(&file, &name), 1);
        assert_eq!(proxy.opened(), round + 1);
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_server_ends_for_idleness_is_replaced_on_the_same_connection() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("ChannelTimeout session:*=1s");
    let file = server.path("ran");
    let session = session_over(connect(server.options()).await.unwrap());
    for name in ["first", "second", "third"] {
        note(&session, &file, name).await.unwrap();
        assert_eq!(times(&file, name), 1);
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    assert_eq!(server.logins(), 1);
    assert!(
        server.log().contains("of inactivity"),
        "the server ended none: {}",
        server.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_for_idleness_is_replaced() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("ChannelTimeout session:*=1s\nUnusedConnectionTimeout 1s");
    let file = server.path("ran");
    let session = session_over(connect(server.options()).await.unwrap());
    for (round, name) in ["first", "second", "third"].into_iter().enumerate() {
        note(&session, &file, name).await.unwrap();
        assert_eq!(times(&file, name), 1);
        assert_eq!(server.logins(), round + 1);
        tokio::time::sleep(Duration::from_millis(3500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_server_ends_for_silence_is_lost_and_not_run_again() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("ChannelTimeout session:*=1s");
    let file = server.path("ran");
    let session = session_over(connect(server.options()).await.unwrap());
    let words = [file.to_str().unwrap(), "silent"];
    let script = "printf '%s\\n' \"$2\" >>\"$1\"; sleep 5; echo end";
    let began = Instant::now();
    let result = session
        .run(Command::script(script, words), Bytes::new())
        .await;
    match &result {
        Err(TransportError::Lost { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(4), "not seen in time");
    assert_eq!(times(&file, "silent"), 1);
    note(&session, &file, "next").await.unwrap();
    assert_eq!((times(&file, "silent"), times(&file, "next")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_whether_somebody_is_there_gets_an_answer() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("ClientAliveInterval 1\nClientAliveCountMax 1");
    let file = server.path("ran");
    let session = session_over(connect(server.options()).await.unwrap());
    note(&session, &file, "before").await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    note(&session, &file, "after").await.unwrap();
    assert_eq!(server.logins(), 1, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_is_not_started_again_and_what_follows_is() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let file = server.path("ran");
    let session = session_over(connect(proxy.options(&server)).await.unwrap());
    let running = {
        let (session, file) = (session.clone(), file.clone());
        tokio::spawn(async move {
            let words = [file.to_str().unwrap(), "long"];
            let script = "printf '%s\\n' \"$2\" >>\"$1\"; sleep 2";
            session
                .run(Command::script(script, words), Bytes::new())
                .await
        })
    };
    while times(&file, "long") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.cut();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, TransportError::Lost { .. }), "{error:?}");
    note(&session, &file, "next").await.unwrap();
    assert_eq!((times(&file, "long"), times(&file, "next")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_held_the_run_lock_is_not_replaced_unseen() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let file = server.path("ran");
    let state = server.path("state");
    let session = session_over(connect(proxy.options(&server)).await.unwrap())
        .with_state_dir(state.to_str().unwrap());
    let lock = session
        .lock("a-run", "a test", Duration::from_secs(1))
        .await
        .unwrap()
        .expect("the host has flock");
    proxy.cut();
    let began = Instant::now();
    while lock.is_held() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the loss is not seen"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = note(&session, &file, "unlocked").await.unwrap_err();
    assert!(error.did_not_run(), "{error}");
    assert_eq!(times(&file, "unlocked"), 0);
    // Who asks for it gets it.
    session.reconnect().await.unwrap();
    note(&session, &file, "asked").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_run_once_each_for_every_number_of_sessions_that_is_allowed() {
    if !server::is_available() {
        return;
    }
    for allowed in 1..=10 {
        let server = Server::with(&format!("MaxSessions {allowed}"));
        let session = session_over(connect(server.options()).await.unwrap());
        let file = server.path("ran");
        let mut all = tokio::task::JoinSet::new();
        for number in 0..16 {
            let (session, file) = (session.clone(), file.clone());
            all.spawn(async move { note(&session, &file, &number.to_string()).await });
        }
        while let Some(result) = all.join_next().await {
            result.unwrap().unwrap();
        }
        for number in 0..16 {
            assert_eq!(
                times(&file, &number.to_string()),
                1,
                "MaxSessions {allowed}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_few_logins_at_once_gets_all_in_the_end() {
    if !server::is_available() {
        return;
    }
    // The log counts what it turned away.
    let server = Server::with("MaxStartups 3:50:6");
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let options = server.options();
        all.spawn(async move {
            let session = connect(options).await.unwrap();
            assert_eq!(said(&session, script("echo in", &[])).await, "in\n");
        });
    }
    while let Some(result) = all.join_next().await {
        result.unwrap();
    }
    let dropped = server.log().matches("MaxStartups").count();
    assert!(dropped > 0, "nothing was turned away");
}
