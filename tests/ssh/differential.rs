//! The same known_hosts files under this program and under OpenSSH's own client must give the same decision.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kk::connect::TransportError;
use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::connect;

use super::server::{self, Server, Setup, new_key, public_key, run};

/// Whether ssh accepts the host key, with this file and nothing else.
fn ssh_accepts(server: &Server, host: &str, known_hosts: &Path) -> bool {
    let output = Command::new("ssh")
        .args(["-F", "/dev/null", "-p", &server.port.to_string()])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"])
        .args(["-o", "IdentitiesOnly=yes", "-o", "UpdateHostKeys=no"])
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(server.path("user"))
        .args([host, "true"])
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // Any other failure would prove nothing.
        assert!(said.contains("Host key verification failed"), "{said}");
    }
    output.status.success()
}

/// Whether we do.
async fn we_accept(server: &Server, host: &str, known_hosts: &Path) -> bool {
    let (known, _) = KnownHosts::load(&[known_hosts.to_path_buf()], &[]);
    let mut options = server.options();
    options.host = host.to_owned();
    options.known_hosts = Arc::new(known);
    match connect(options).await {
        Ok(session) => {
            session.close().await;
            true
        }
        Err(TransportError::HostKey { .. }) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// Compares both for each file; returns how many were accepted and refused.
async fn compare(server: &Server, rows: Vec<(&str, &str, String)>) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for (name, host, text) in rows {
        let file = server.path("row");
        fs::write(&file, &text).unwrap();
        let ours = we_accept(server, host, &file).await;
        let theirs = ssh_accepts(server, host, &file);
        assert_eq!(ours, theirs, "{name} (ssh: {theirs}): {text}");
        if theirs {
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    (accepted, refused)
}

/// The file with its names hashed by ssh-keygen.
fn hashed(server: &Server, text: &str) -> String {
    let file = server.path("to-hash");
    fs::write(&file, text).unwrap();
    run("ssh-keygen", &["-q", "-H", "-f", file.to_str().unwrap()]);
    fs::read_to_string(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_keys_are_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    let server = Server::set_up(&Setup {
        host_keys: vec!["ed25519", "ecdsa", "rsa"],
        ..Setup::default()
    });
    let other = server.path("other");
    new_key(&other, &["ed25519"], "");
    let wrong = public_key(&other);
    let key = |kind: &str| public_key(&server.path(&format!("host_{kind}")));
    let (ed, rsa, ecdsa) = (key("ed25519"), key("rsa"), key("ecdsa"));
    let ip = "127.0.0.1";
    let name = format!("[127.0.0.1]:{}", server.port);
    let local = format!("[localhost]:{}", server.port);
    let good = format!("{name} {ed}\n");
    let rows = vec![
        ("nothing", ip, String::new()),
        ("right", ip, good.clone()),
        ("wrong", ip, format!("{name} {wrong}\n")),
        ("wrong and right", ip, format!("{name} {wrong}\n{good}")),
        ("right without a port", ip, format!("127.0.0.1 {ed}\n")),
        ("wrong without a port", ip, format!("127.0.0.1 {wrong}\n")),
        (
            "right with a port, wrong without",
            ip,
            format!("{good}127.0.0.1 {wrong}\n"),
        ),
        (
            "wrong with a port, right without",
            ip,
            format!("{name} {wrong}\n127.0.0.1 {ed}\n"),
        ),
        ("hashed", ip, hashed(&server, &good)),
        (
            "hashed, another name",
            ip,
            hashed(&server, &format!("[127.0.0.2]:{} {ed}\n", server.port)),
        ),
        (
            "hashed and wrong",
            ip,
            hashed(&server, &format!("{name} {wrong}\n")),
        ),
        ("stars", ip, format!("[127.*.1]:* {ed}\n")),
        (
            "question marks",
            ip,
            format!("[127.0.0.?]:{} {ed}\n", server.port),
        ),
        ("a star for everything", ip, format!("* {ed}\n")),
        (
            "a pattern that is too short",
            ip,
            format!("[127.0.?]:{} {ed}\n", server.port),
        ),
        ("a list", ip, format!("a,{name},b {ed}\n")),
        ("excepted", ip, format!("*,!{name} {ed}\n")),
        ("excepted first", ip, format!("!{name},* {ed}\n")),
        ("another is excepted", ip, format!("*,!other {ed}\n")),
        ("only an exception", ip, format!("!other {ed}\n")),
        ("revoked", ip, format!("{good}@revoked * {ed}\n")),
        (
            "revoked before",
            ip,
            format!("@revoked {name} {ed}\n{good}"),
        ),
        (
            "revoked elsewhere",
            ip,
            format!("{good}@revoked other {ed}\n"),
        ),
        (
            "revoked without a port",
            ip,
            format!("{good}@revoked 127.0.0.1 {ed}\n"),
        ),
        (
            "another is revoked",
            ip,
            format!("{good}@revoked * {wrong}\n"),
        ),
        (
            "one type is revoked, another known",
            ip,
            format!("{name} {rsa}\n@revoked * {ed}\n"),
        ),
        ("only RSA", ip, format!("{name} {rsa}\n")),
        ("only ECDSA", ip, format!("{name} {ecdsa}\n")),
        (
            "right RSA, wrong Ed25519",
            ip,
            format!("{name} {rsa}\n{name} {wrong}\n"),
        ),
        ("all", ip, format!("{name} {rsa}\n{name} {ecdsa}\n{good}")),
        (
            "line ends of another system",
            ip,
            good.replace('\n', "\r\n"),
        ),
        ("no line end", ip, good.trim_end().to_owned()),
        (
            "blanks and tabs",
            ip,
            format!("  \t{name}\t  {}\n", ed.replace(' ', "\t ")),
        ),
        (
            "comments",
            ip,
            format!("# {good}\n\n   # x\n{name} {ed} and more # text\n"),
        ),
        ("only comments", ip, format!("#{good}")),
        (
            "garbage around",
            ip,
            format!("garbage\n{name} ssh-ed25519 ???\n{good}@\n"),
        ),
        ("a cut key", ip, format!("{}\n", &good[..good.len() - 30])),
        (
            "the wrong type",
            ip,
            good.replace("ssh-ed25519 ", "ssh-rsa "),
        ),
        ("an unknown marker", ip, format!("@odd {good}")),
        ("a marker without a blank", ip, format!("@revoked{good}")),
        ("the other name of the host", ip, format!("{local} {ed}\n")),
        ("its name", "localhost", format!("{local} {ed}\n")),
        (
            "its name in capitals",
            "localhost",
            format!("{} {ed}\n", local.to_uppercase()),
        ),
        (
            "asked for in capitals",
            "LOCALHOST",
            format!("{local} {ed}\n"),
        ),
        (
            "its name hashed",
            "LocalHost",
            hashed(&server, &format!("{local} {ed}\n")),
        ),
        ("an authority", ip, format!("@cert-authority * {ed}\n")),
    ];
    let (accepted, refused) = compare(&server, rows).await;
    assert!(accepted >= 15 && refused >= 15, "{accepted} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["authority", "host", "stranger"] {
        new_key(&path(name), &["ed25519"], "");
    }
    let authority = public_key(&path("authority"));
    let stranger = public_key(&path("stranger"));
    let host = public_key(&path("host"));
    let (mut accepted, mut refused) = (0, 0);
    for (principals, validity) in [
        ("127.0.0.1,localhost", "-1h:+1h"),
        ("127.0.0.*", "-1h:+1h"),
        ("LOCALHOST", "-1h:+1h"),
        ("other", "-1h:+1h"),
        ("127.0.0.1", "-2h:-1h"),
    ] {
        run(
            "ssh-keygen",
            &[
                "-q",
                "-s",
                path("authority").to_str().unwrap(),
                "-h",
                "-I",
                "test",
                "-n",
                principals,
                "-V",
                validity,
                path("host.pub").to_str().unwrap(),
            ],
        );
        let server = Server::with(&format!(
            "HostKey {0}\nHostCertificate {0}-cert.pub",
            path("host").display()
        ));
        let name = format!("[127.0.0.1]:{}", server.port);
        let ip = "127.0.0.1";
        let rows = vec![
            (
                "trusted everywhere",
                ip,
                format!("@cert-authority * {authority}\n"),
            ),
            (
                "trusted by name",
                "localhost",
                format!("@cert-authority * {authority}\n"),
            ),
            (
                "trusted here",
                ip,
                format!("@cert-authority {name} {authority}\n"),
            ),
            (
                "trusted on the usual port",
                ip,
                format!("@cert-authority {ip} {authority}\n"),
            ),
            (
                "trusted elsewhere",
                ip,
                format!("@cert-authority other {authority}\n"),
            ),
            (
                "another is trusted",
                ip,
                format!("@cert-authority * {stranger}\n"),
            ),
            (
                "the key itself is known",
                ip,
                format!("@cert-authority * {authority}\n{name} {host}\n"),
            ),
            (
                "only the key itself is known",
                ip,
                format!("{name} {host}\n"),
            ),
            (
                "another key is known",
                ip,
                format!("@cert-authority * {authority}\n{name} {stranger}\n"),
            ),
            (
                "the authority as a host key",
                ip,
                format!("{name} {authority}\n"),
            ),
            (
                "the authority is revoked",
                ip,
                format!("@cert-authority * {authority}\n@revoked * {authority}\n"),
            ),
        ];
        let (yes, no) = compare(&server, rows).await;
        accepted += yes;
        refused += no;
    }
    assert!(accepted >= 10 && refused >= 10, "{accepted} {refused}");
}
