//! Whether one host reaches another, tried by every program that hosts may have for it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use kk::connect::local::LocalConnector;
use kk::facts::{PEERS_SCRIPT, PeerResult, parse_peers, peers};
use kk::remote::{Become, Session};
use tokio_util::sync::CancellationToken;

use super::{has, is_root, shells};

const PROGRAMS: [&str; 5] = ["bash", "python3", "perl", "curl", "nc"];

fn target(name: &str, address: &str, port: u16) -> (String, String, u16) {
    (name.to_owned(), address.to_owned(), port)
}

/// A port on which nothing listens: one that was just given back.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The script with one program to try with, and the few others that it needs.
fn with_program(program: &str, folder: &Path) -> String {
    let link = |name: &str, from: &Path| {
        std::os::unix::fs::symlink(from, folder.join(name)).unwrap();
    };
    for name in ["timeout", "sleep", "tr", "cat", "head", "true", program] {
        // The interpreter itself, not a script that chooses one.
        let find = match name {
            "python3" => "python3 -c 'import sys; print(sys.executable)'".to_owned(),
            name => format!("command -v {name}"),
        };
        let said = Command::new("sh").args(["-c", &find]).output().unwrap();
        let path = String::from_utf8(said.stdout).unwrap();
        let path = Path::new(path.trim());
        if path.is_absolute() {
            link(name, path);
        }
    }
    let assignment = PEERS_SCRIPT
        .lines()
        .find(|line| line.starts_with("PATH="))
        .unwrap();
    PEERS_SCRIPT.replacen(assignment, &format!("PATH='{}'", folder.display()), 1)
}

fn results(output: &Output, targets: &[(String, String, u16)]) -> Vec<PeerResult> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_peers(&text, targets)
        .into_iter()
        .map(|probe| probe.result)
        .collect()
}

fn arguments(targets: &[(String, String, u16)]) -> Vec<String> {
    targets
        .iter()
        .flat_map(|(_, address, port)| [address.clone(), port.to_string()])
        .collect()
}

#[tokio::test]
async fn a_session_tries_paths() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let targets = [
        target("open", "127.0.0.1", open),
        target("closed", "127.0.0.1", closed_port()),
    ];
    let session = Session::new(
        Arc::new(LocalConnector::new()),
        Become::default(),
        CancellationToken::new(),
    );
    let found = peers(&session, &targets).await.unwrap();
    assert_eq!(found[0].result, PeerResult::Open);
    assert_eq!(found[1].result, PeerResult::Refused);
    assert_eq!(found[1].to, "closed");
    assert!(peers(&session, &[]).await.unwrap().is_empty());
}

#[test]
fn every_program_tells_open_from_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().port();
    let targets = [
        target("closed", "127.0.0.1", closed_port()),
        target("open", "127.0.0.1", open),
        target("nowhere", "no-such-host.invalid", 443),
    ];
    let mut tried = 0;
    for program in PROGRAMS {
        if !has(program) {
            eprintln!("SKIPPED trying paths with {program}: it is not installed");
            continue;
        }
        tried += 1;
        let folder = tempfile::tempdir().unwrap();
        let script = with_program(program, folder.path());
        let output = Command::new("/bin/sh")
            .args(["-c", &script, "sh"])
            .args(arguments(&targets))
            .output()
            .unwrap();
        assert_eq!(
            results(&output, &targets),
            [
                PeerResult::Refused,
                PeerResult::Open,
                PeerResult::Unresolved
            ],
            "{program}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    assert!(tried > 0);
}

#[test]
fn without_any_program_nothing_is_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let script = with_program("no-such-program", folder.path());
    let targets = [target("closed", "127.0.0.1", closed_port())];
    let output = Command::new("/bin/sh")
        .args(["-c", &script, "sh"])
        .args(arguments(&targets))
        .output()
        .unwrap();
    assert!(matches!(
        results(&output, &targets)[0],
        PeerResult::Unknown(_)
    ));
}

/// In a network of its own: an address whose packets vanish, and one that a route says is not to be reached.
const NETWORK: &str = "ip link set lo up
ip link add kk0 type veth peer name kk1 || exit 77
ip link set kk0 up && ip link set kk1 up
ip addr add 10.9.0.1/24 dev kk0
ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev kk0
ip route add unreachable 10.8.0.0/24
script=$1; shift
exec sh -c \"$script\" sh \"$@\"";

#[test]
fn silence_and_no_route_are_told_apart() {
    if !is_root() || !has("unshare") || !has("ip") {
        eprintln!("SKIPPED paths that are closed: needs root, unshare and ip");
        return;
    }
    let targets = [
        target("silent", "10.9.0.2", 443),
        target("no-route", "10.8.0.2", 443),
    ];
    let run = |script: &str| {
        Command::new("unshare")
            .args(["-n", "sh", "-c", NETWORK, "sh", script])
            .args(arguments(&targets))
            .output()
            .unwrap()
    };
    let first = run(PEERS_SCRIPT);
    if first.status.code() == Some(77) || first.stdout.is_empty() {
        eprintln!("SKIPPED paths that are closed: no network namespace here");
        return;
    }
    let one = &|program: &str| {
        let folder = tempfile::tempdir().unwrap();
        let began = std::time::Instant::now();
        let output = run(&with_program(program, folder.path()));
        assert_eq!(
            results(&output, &targets),
            [PeerResult::TimedOut, PeerResult::NoRoute],
            "{program}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        // All of them at once, and none longer than its limit.
        assert!(began.elapsed().as_secs() < 12, "{program}");
    };
    std::thread::scope(|scope| {
        for program in PROGRAMS.into_iter().filter(|program| has(program)) {
            scope.spawn(move || one(program));
        }
    });
}

#[test]
fn every_shell_runs_it() {
    let targets = [target("closed", "127.0.0.1", closed_port())];
    for shell in shells() {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", PEERS_SCRIPT, "sh"])
            .args(arguments(&targets))
            .output()
            .unwrap();
        assert_eq!(
            results(&output, &targets),
            [PeerResult::Refused],
            "{shell:?}"
        );
    }
}
