//! Ten thousand commands over twenty connections that are cut at random: nothing is lost, done twice or left behind, and
//! memory does not grow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kk::connect::ssh::connect;
use kk::connect::{Command, TransportError};
use kk::remote::Session;

use super::process::{is_alone, memory};
use super::proxy::Proxy;
use super::server::{self, Server, session_over};

const COMMANDS: usize = 10_000;
const CONNECTIONS: usize = 20;

/// What became of the commands of one connection.
#[derive(Default)]
struct Outcomes {
    done: Vec<usize>,
    /// Their end was not seen: they ran once or not at all.
    unknown: Vec<usize>,
}

async fn work(session: Session, file: String, next: Arc<AtomicUsize>) -> Outcomes {
    let mut outcomes = Outcomes::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= COMMANDS {
            return outcomes;
        }
        loop {
            let words = [file.clone(), number.to_string()];
            let command = Command::script("echo \"$2\" >>\"$1\"; echo \"$2\"", words);
            match session.run(command, Bytes::new()).await {
                Ok(output) => {
                    // What it says is its own and not another one's.
                    assert_eq!(output.stdout_text(), format!("{number}\n"));
                    assert!(output.success());
                    outcomes.done.push(number);
                    break;
                }
                Err(TransportError::Lost { .. }) => {
                    outcomes.unknown.push(number);
                    break;
                }
                Err(error) if error.did_not_run() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{number}: {error:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_commands_over_connections_that_are_cut() {
    if !server::is_available() {
        return;
    }
    // Other tests use memory too.
    let name = "ssh::soak::ten_thousand_commands_over_connections_that_are_cut";
    if !is_alone(name, " done, ") {
        return;
    }
    let server = Server::start();
    let file = server.path("ran").to_str().unwrap().to_owned();
    let mut proxies = Vec::new();
    let mut sessions = Vec::new();
    let mut connectors = Vec::new();
    for _ in 0..CONNECTIONS {
        let proxy = Proxy::new(&server, Duration::ZERO).await;
        let connector = connect(proxy.options(&server)).await.unwrap();
        proxies.push(proxy);
        connectors.push(Arc::clone(&connector));
        sessions.push(session_over(connector));
    }
    let proxies = Arc::new(proxies);
    let is_over = Arc::new(AtomicBool::new(false));
    let cutter = {
        let (proxies, is_over) = (Arc::clone(&proxies), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut cuts = 0;
            while !is_over.load(Ordering::Acquire) {
                let wait = rand::random_range(20..160);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                proxies[rand::random_range(0..CONNECTIONS)].cut();
                cuts += 1;
            }
            cuts
        })
    };
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for session in &sessions {
        workers.spawn(work(session.clone(), file.clone(), Arc::clone(&next)));
    }
    while next.load(Ordering::Relaxed) < COMMANDS / 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let early = memory("VmRSS");
    let mut all = Outcomes::default();
    while let Some(outcomes) = workers.join_next().await {
        let outcomes = outcomes.unwrap();
        all.done.extend(outcomes.done);
        all.unknown.extend(outcomes.unknown);
    }
    let late = memory("VmRSS");
    is_over.store(true, Ordering::Release);
    let cuts: usize = cutter.await.unwrap();

    let mut ran: HashMap<usize, usize> = HashMap::new();
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        *ran.entry(line.parse().unwrap()).or_default() += 1;
    }
    assert_eq!(all.done.len() + all.unknown.len(), COMMANDS);
    for number in &all.done {
        assert_eq!(ran.get(number), Some(&1), "{number} said that it was done");
    }
    for number in &all.unknown {
        assert!(
            ran.get(number).is_none_or(|&times| times == 1),
            "{number}: {ran:?}"
        );
    }
    assert!(cuts >= 20, "{cuts} cuts");
    let reconnects: u64 = proxies.iter().map(Proxy::opened).sum::<u64>() - CONNECTIONS as u64;
    assert!(reconnects >= 10, "{reconnects} connections were made anew");
    assert!(
        late < early + 8 * 1024,
        "{early} KiB of memory became {late} KiB"
    );

    for connector in &connectors {
        connector.close().await;
    }
    server.no_session_left().await;
    eprintln!(
        "{} done, {} unknown, {cuts} cuts, {reconnects} connections anew, {early} and {late} KiB",
        all.done.len(),
        all.unknown.len()
    );
}
