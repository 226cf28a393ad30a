//! Whether one host reaches others on given ports: one request per host, all tries at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connect::{Command, TransportError};
use crate::remote::Session;

/// The script. Arguments: address and port, alternating.
pub const PEERS_SCRIPT: &str = include_str!("probes/peers.sh");

/// One way from a host to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerProbe {
    /// The host to reach, by its name in the inventory.
    pub to: String,
    /// Its address as it was tried.
    pub address: String,
    /// The port.
    pub port: u16,
    /// What came of it.
    pub result: PeerResult,
}

/// What came of a try to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerResult {
    /// Something listens there and took the connection.
    Open,
    /// The host answered that nothing listens: the way there is open.
    Refused,
    /// No answer within the limit: a firewall drops the packets, or the host is off.
    TimedOut,
    /// A router or firewall answered that there is no way.
    NoRoute,
    /// The name has no address.
    Unresolved,
    /// It could not be tried, and why.
    Unknown(String),
}

/// Tries to connect from the session's host to every target: `(name, address, port)`. Each try is given 3 seconds.
///
/// # Errors
///
/// When the session fails. A target that cannot be reached is a result.
pub async fn peers(
    session: &Session,
    targets: &[(String, String, u16)],
) -> Result<Vec<PeerProbe>, TransportError> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let limit = Duration::from_secs(15 + targets.len() as u64 / 4);
    let arguments = targets
        .iter()
        .flat_map(|(_, address, port)| [address.clone(), port.to_string()]);
    let output = session
        .with_timeout(Some(limit))
        .probe(Command::script(PEERS_SCRIPT, arguments))
        .await?;
    Ok(parse(&output.stdout_text(), targets))
}

/// Results from the script's answer, in the order of the targets; lines are `number result words…`.
pub fn parse(text: &str, targets: &[(String, String, u16)]) -> Vec<PeerProbe> {
    targets
        .iter()
        .enumerate()
        .map(|(index, (to, address, port))| {
            let mark = format!("=peer= {} ", index + 1);
            let result = text
                .lines()
                .find_map(|line| line.strip_prefix(&mark))
                .map_or_else(|| PeerResult::Unknown("no answer".to_owned()), result);
            PeerProbe {
                to: to.clone(),
                address: address.clone(),
                port: *port,
                result,
            }
        })
        .collect()
}

/// `status words`: the exit status of the try and what it said, for whichever program tried.
fn result(text: &str) -> PeerResult {
    let (status, words) = text.split_once(' ').unwrap_or((text, ""));
    let lower = words.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if status == "0" {
        PeerResult::Open
    } else if says(&["refused"]) {
        PeerResult::Refused
    } else if says(&["no route", "unreachable", "prohibited"]) {
        PeerResult::NoRoute
    } else if says(&[
        "name or service not known",
        "name does not resolve",
        "could not resolve",
        "bad address",
        "bad hostname",
        "temporary failure in name resolution",
        "nodename nor servname",
    ]) {
        PeerResult::Unresolved
    } else if says(&["timed out", "timeout"]) || matches!(status, "124" | "137" | "143" | "28") {
        PeerResult::TimedOut
    } else if status == "tool" {
        PeerResult::Unknown("no bash, nc, python3, perl or curl on the host to try with".to_owned())
    } else {
        PeerResult::Unknown(words.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say() {
        for (said, expected) in [
            ("0 ", PeerResult::Open),
            ("1 bash: connect: Connection refused", PeerResult::Refused),
            (
                "1 nc: can't connect to remote host (10.0.0.2): Connection refused",
                PeerResult::Refused,
            ),
            ("1 sh: connect: No route to host", PeerResult::NoRoute),
            ("1 connect: Network is unreachable", PeerResult::NoRoute),
            ("124 ", PeerResult::TimedOut),
            ("137 ", PeerResult::TimedOut),
            (
                "28 curl: (28) Connection timed out after 3001 milliseconds",
                PeerResult::TimedOut,
            ),
            ("1 nc: bad address 'nosuch'", PeerResult::Unresolved),
            (
                "1 bash: nosuch: Name or service not known",
                PeerResult::Unresolved,
            ),
            ("1 odd", PeerResult::Unknown("odd".to_owned())),
        ] {
            assert_eq!(result(said), expected, "{said}");
        }
        assert!(matches!(result("tool"), PeerResult::Unknown(_)));
    }

    #[test]
    fn answers_find_their_targets_in_any_order() {
        let targets = [
            ("b".to_owned(), "10.0.0.2".to_owned(), 443),
            ("c".to_owned(), "10.0.0.3".to_owned(), 443),
            ("d".to_owned(), "10.0.0.4".to_owned(), 443),
        ];
        let found = parse(
            "motd\n=peer= 2 0 \n=peer= 1 1 Connection refused\n",
            &targets,
        );
        let results: Vec<&PeerResult> = found.iter().map(|probe| &probe.result).collect();
        assert_eq!(
            results,
            [
                &PeerResult::Refused,
                &PeerResult::Open,
                &PeerResult::Unknown("no answer".to_owned())
            ]
        );
        assert_eq!(found[2].to, "d");
    }
}
