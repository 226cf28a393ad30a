//! Whether hosts hear each other by VRRP (IP protocol 112, RFC 5798), and who else speaks it in their network.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connect::{Command, TransportError};
use crate::remote::Session;

/// The script; it says what its arguments are.
pub const VRRP_SCRIPT: &str = include_str!("probes/vrrp.sh");

/// For how many seconds a host listens. Who holds an address says so every second, and the hosts do not begin at the same
/// moment.
const SECONDS: u32 = 4;

/// What one host heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VrrpProbe {
    /// It listened.
    Listened {
        /// Whose trials it heard.
        heard: Vec<IpAddr>,
        /// Who sends advertisements, and with which virtual router id.
        speakers: Vec<(IpAddr, u8)>,
    },
    /// It could not be tried, and why.
    Unknown(String),
}

/// Listens on the session's host, on an interface with an address of its own, and sends to `peers` meanwhile. All hosts
/// have to do it at the same time.
///
/// # Errors
///
/// When the session fails.
pub async fn vrrp(
    session: &Session,
    interface: &str,
    source: IpAddr,
    peers: &[IpAddr],
) -> Result<VrrpProbe, TransportError> {
    let family = if source.is_ipv4() { "4" } else { "6" };
    let words = [
        family.to_owned(),
        interface.to_owned(),
        source.to_string(),
        SECONDS.to_string(),
    ];
    let peers = peers.iter().map(IpAddr::to_string);
    let limit = Duration::from_secs(u64::from(SECONDS) + 15);
    let output = session
        .with_timeout(Some(limit))
        .probe(Command::script(VRRP_SCRIPT, words.into_iter().chain(peers)))
        .await?;
    Ok(parse(&output.stdout_text()))
}

/// What the script said.
pub fn parse(text: &str) -> VrrpProbe {
    let lines = || text.lines().filter_map(|line| line.strip_prefix("=vrrp= "));
    let mut heard = Vec::new();
    let mut speakers = Vec::new();
    for line in lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["heard", address] => heard.extend(address.parse::<IpAddr>()),
            ["speaker", address, id] => {
                if let (Ok(address), Ok(id)) = (address.parse(), id.parse()) {
                    speakers.push((address, id));
                }
            }
            ["done"] => return VrrpProbe::Listened { heard, speakers },
            ["tool"] => {
                return VrrpProbe::Unknown("no perl and no python3 on the host to try with".into());
            }
            _ => {}
        }
    }
    let error = lines().find_map(|line| line.strip_prefix("error "));
    VrrpProbe::Unknown(error.unwrap_or("no answer").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_says() {
        let said = "motd\n=vrrp= heard 10.0.0.12\n=vrrp= speaker 10.0.0.7 51\n=vrrp= done\n";
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let listened = VrrpProbe::Listened {
            heard: vec![address(12)],
            speakers: vec![(address(7), 51)],
        };
        assert_eq!(parse(said), listened);
        assert_eq!(
            parse("=vrrp= heard 10.0.0.12\n"),
            VrrpProbe::Unknown("no answer".to_owned())
        );
        assert_eq!(
            parse("=vrrp= error open a socket: Operation not permitted\n"),
            VrrpProbe::Unknown("open a socket: Operation not permitted".to_owned())
        );
    }

    /// With each of the programs that hosts may have, for both families, over the loopback interface.
    #[test]
    fn a_host_hears_itself() {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED a raw socket wants root");
            return;
        }
        for hidden in ["perl", "none"] {
            for (family, address) in [("4", "127.0.0.1"), ("6", "::1")] {
                let script = VRRP_SCRIPT.replace(&format!("command -v {hidden} "), "false ");
                let output = std::process::Command::new("sh")
                    .args(["-c", &script, "sh", family, "lo", address, "1", address])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stdout);
                // Machines without IPv6, and without one of the programs.
                if said.contains("=vrrp= tool") || family == "6" && said.contains("=vrrp= error") {
                    println!("SKIPPED IPv{family} without {hidden}: {said}");
                    continue;
                }
                let VrrpProbe::Listened { heard, .. } = parse(&said) else {
                    panic!(
                        "{family}: {said}{}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                };
                assert_eq!(heard, [address.parse::<IpAddr>().unwrap()], "{said}");
            }
        }
    }
}
