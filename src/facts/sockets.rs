//! Listening TCP sockets: the kernel's tables say which, `ss` or the file descriptors of processes say whose.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::frame::Frames;
use super::model::Listener;

/// The listening sockets, sorted by port.
pub(super) fn read(frames: &Frames<'_>) -> Vec<Listener> {
    let of_ss: Vec<Listener> = frames
        .lines("listening-processes")
        .filter_map(line_of_ss)
        .collect();
    let owners = owners_by_inode(frames);
    let mut listening: Vec<Listener> = frames
        .lines("listening")
        .filter_map(line_of_proc)
        .map(|(address, port, inode)| {
            let process = owners.get(&inode).cloned().or_else(|| {
                let same_port = || of_ss.iter().filter(|listener| listener.port == port);
                same_port()
                    .find(|listener| listener.address == address)
                    .or_else(|| same_port().next())?
                    .process
                    .clone()
            });
            Listener {
                port,
                address,
                process,
            }
        })
        .collect();
    if listening.is_empty() {
        listening = of_ss;
    }
    listening.sort();
    listening.dedup();
    listening
}

/// A line of `/proc/net/tcp` or `tcp6`: address, port, inode.
fn line_of_proc(line: &str) -> Option<(String, u16, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((
        hexadecimal_address(address)?,
        port,
        words.get(9)?.parse().ok()?,
    ))
}

/// An address as the kernel prints it: words of four bytes in the machine's order (ours are all little-endian).
fn hexadecimal_address(text: &str) -> Option<String> {
    if text.len() == 8 {
        let address = Ipv4Addr::from(u32::from_str_radix(text, 16).ok()?.swap_bytes());
        return Some(star(address.is_unspecified(), &address));
    }
    let mut bits = 0_u128;
    for index in 0..4 {
        let word = u32::from_str_radix(text.get(index * 8..index * 8 + 8)?, 16).ok()?;
        bits = bits << 32 | u128::from(word.swap_bytes());
    }
    let address = Ipv6Addr::from(bits);
    Some(star(address.is_unspecified(), &address))
}

fn star(unspecified: bool, address: &dyn std::fmt::Display) -> String {
    if unspecified {
        "*".to_owned()
    } else {
        address.to_string()
    }
}

/// A line of `ss -ltnp`, whatever its version.
fn line_of_ss(line: &str) -> Option<Listener> {
    let words: Vec<&str> = line.split_whitespace().collect();
    (words.first() == Some(&"LISTEN")).then_some(())?;
    let (address, port) = words.get(3)?.rsplit_once(':')?;
    let address = address.trim_matches(['[', ']']);
    let address = address.split('%').next().unwrap_or(address);
    let address = match address.trim_matches(['[', ']']) {
        "0.0.0.0" | "::" | "*" | "" => "*",
        other => other,
    };
    let process = line
        .split_once("((\"")
        .and_then(|(_, rest)| rest.split('"').next());
    Some(Listener {
        port: port.parse().ok()?,
        address: address.to_owned(),
        process: process.map(str::to_owned),
    })
}

/// Names of processes by the inode of a socket they hold, from `ls -l /proc/*/fd` and `/proc/*/comm`.
fn owners_by_inode(frames: &Frames<'_>) -> BTreeMap<u64, String> {
    let names: BTreeMap<&str, &str> = frames
        .lines("process-names")
        .filter_map(|line| {
            let (path, name) = line.strip_prefix("/proc/")?.split_once(':')?;
            Some((path.strip_suffix("/comm")?, name))
        })
        .collect();
    let mut process = "";
    let mut owners = BTreeMap::new();
    for line in frames.lines("descriptors") {
        if let Some(path) = line.strip_prefix("/proc/") {
            process = path.split('/').next().unwrap_or_default();
        } else if let Some(inode) = line
            .split_once("socket:[")
            .and_then(|(_, rest)| rest.trim_end().strip_suffix(']'))
            .and_then(|inode| inode.parse().ok())
            && let Some(name) = names.get(process)
        {
            owners.entry(inode).or_insert_with(|| (*name).to_owned());
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "
=kk= listening
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1074 1 0 100 0 0 10 0
   1: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2000 1 0 100 0 0 10 0
   2: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3000 1 0
   3: 000080FE00000000FF005450010000FE:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3001 1 0
";

    #[test]
    fn the_kernels_table_and_ss_together() {
        let text = format!(
            "{TCP}\n=kk= listening-processes\nState  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=1,fd=3))\nLISTEN 0 128 [::]:443 [::]:* users:((\"docker-proxy\",pid=9,fd=4))\n"
        );
        let found = read(&Frames::new(&text));
        let short: Vec<(u16, &str, Option<&str>)> = found
            .iter()
            .map(|listener| {
                (
                    listener.port,
                    listener.address.as_str(),
                    listener.process.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (22, "*", Some("sshd")),
                (80, "fe80::5054:ff:fe00:1", None),
                (443, "*", Some("docker-proxy")),
                (5001, "127.0.0.1", None),
            ]
        );
    }

    #[test]
    fn without_ss_file_descriptors_say_whose_it_is() {
        let text = format!(
            "{TCP}\n=kk= listening-processes\n\n=kk= descriptors\n/proc/1/fd:\nlrwx------ 1 root root 64 Jan 1 00:00 3 -> socket:[1074]\n/proc/77/fd:\nlrwx------ 1 root root 64 Jan 1 00:00 9 -> socket:[3000]\n\n=kk= process-names\n/proc/1/comm:sshd\n/proc/77/comm:nginx: master\n"
        );
        let found = read(&Frames::new(&text));
        let of = |port: u16| {
            found
                .iter()
                .find(|listener| listener.port == port)
                .unwrap()
                .process
                .clone()
        };
        assert_eq!(of(22).as_deref(), Some("sshd"));
        assert_eq!(of(443).as_deref(), Some("nginx: master"));
        assert_eq!(of(5001), None);
    }

    #[test]
    fn ss_of_old_and_new_systems() {
        for (line, address) in [
            (
                "LISTEN     0      128          *:22                       *:*                   users:((\"sshd\",pid=1024,fd=3))",
                "*",
            ),
            (
                "LISTEN     0      128         :::22                      :::*",
                "*",
            ),
            (
                "LISTEN 0      4096   127.0.0.53%lo:22        0.0.0.0:*    users:((\"systemd-resolve\",pid=6,fd=14))",
                "127.0.0.53",
            ),
            (
                "LISTEN 0      4096   [fe80::1]%eth0:22        [::]:*",
                "fe80::1",
            ),
        ] {
            let listener = line_of_ss(line).unwrap();
            assert_eq!(
                (listener.address.as_str(), listener.port),
                (address, 22),
                "{line}"
            );
        }
        assert_eq!(line_of_ss("State Recv-Q Send-Q Local Address:Port"), None);
    }
}
