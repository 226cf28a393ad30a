//! Host keys with what the configuration of ssh adds: aliases, the system's file beside the user's, new keys that are
//! remembered, lists of revoked keys. This program and OpenSSH's own client must give the same decision in every row,
//! and leave the same file behind.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kk::connect::TransportError;
use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::{HostKeyPolicy, connect};

use super::server::{self, Server, Setup, new_key, public_key, run};

/// One file, or two, and what both programs are told beside.
#[derive(Default)]
struct Row {
    name: &'static str,
    host: &'static str,
    alias: Option<&'static str>,
    user: String,
    system: String,
    revoked: Option<String>,
    /// New keys are remembered.
    accepts_new: bool,
}

/// Whether ssh accepts, and the user's file afterwards.
fn by_ssh(server: &Server, row: &Row) -> (bool, String) {
    let (user, system, revoked) = (
        server.path("theirs"),
        server.path("system"),
        server.path("revoked"),
    );
    fs::write(&user, &row.user).unwrap();
    fs::write(&system, &row.system).unwrap();
    let mut command = Command::new("ssh");
    let checking = if row.accepts_new { "accept-new" } else { "yes" };
    command
        .args(["-F", "/dev/null", "-p", &server.port.to_string()])
        .args(["-o", &format!("StrictHostKeyChecking={checking}")])
        .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "UpdateHostKeys=no", "-o", "HashKnownHosts=no"])
        .args(["-o", &format!("UserKnownHostsFile={}", user.display())])
        .args(["-o", &format!("GlobalKnownHostsFile={}", system.display())]);
    if let Some(alias) = row.alias {
        command.args(["-o", &format!("HostKeyAlias={alias}")]);
    }
    if let Some(text) = &row.revoked {
        fs::write(&revoked, text).unwrap();
        command.args(["-o", &format!("RevokedHostKeys={}", revoked.display())]);
    }
    let output = command
        .arg("-i")
        .arg(server.path("user"))
        .args([row.host, "true"])
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // Any other failure would prove nothing.
        assert!(
            said.contains("Host key verification failed"),
            "{}: {said}",
            row.name
        );
    }
    (output.status.success(), fs::read_to_string(user).unwrap())
}

/// The same by this program.
async fn by_us(server: &Server, row: &Row) -> (bool, String) {
    let (user, system, revoked) = (
        server.path("ours"),
        server.path("system"),
        server.path("revoked"),
    );
    fs::write(&user, &row.user).unwrap();
    fs::write(&system, &row.system).unwrap();
    let (mut known, _) = KnownHosts::load(std::slice::from_ref(&user), &[system]);
    if let Some(text) = &row.revoked {
        fs::write(&revoked, text).unwrap();
        known.revoke(&revoked).unwrap();
    }
    let mut options = server.options();
    options.host = row.host.to_owned();
    options.host_key_alias = row.alias.map(str::to_owned);
    options.known_hosts = Arc::new(known);
    options.host_key_policy = if row.accepts_new {
        HostKeyPolicy::AcceptNew
    } else {
        HostKeyPolicy::Strict
    };
    let accepted = match connect(options).await {
        Ok(session) => {
            session.close().await;
            true
        }
        Err(TransportError::HostKey { .. }) => false,
        Err(other) => panic!("{}: {other:?}", row.name),
    };
    (accepted, fs::read_to_string(user).unwrap())
}

/// Compares both; how many were accepted and refused.
async fn compare(server: &Server, rows: Vec<Row>) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for row in rows {
        let ours = by_us(server, &row).await;
        let theirs = by_ssh(server, &row);
        assert_eq!(
            ours, theirs,
            "{} (ssh: {}):\n{}\n{}",
            row.name, theirs.0, row.user, row.system
        );
        if theirs.0 {
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    (accepted, refused)
}

fn row(name: &'static str, user: String) -> Row {
    Row {
        name,
        host: "127.0.0.1",
        user,
        ..Row::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_files_and_new_keys_are_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    let server = Server::set_up(&Setup {
        host_keys: vec!["ed25519", "ecdsa", "rsa"],
        ..Setup::default()
    });
    let other = server.path("other");
    new_key(&other, &["ed25519"], "");
    let (key, wrong) = (public_key(&server.path("host_ed25519")), public_key(&other));
    let rsa = public_key(&server.path("host_rsa"));
    let name = format!("[127.0.0.1]:{}", server.port);
    let line = |name: &str, key: &str| format!("{name} {key}\n");
    let alias = |name, alias, user: String| Row {
        alias: Some(alias),
        ..row(name, user)
    };
    let system = |name, user: String, system: String| Row {
        system,
        ..row(name, user)
    };
    let new = |name, user: String| Row {
        accepts_new: true,
        ..row(name, user)
    };
    let revoked = |name, list: String| Row {
        revoked: Some(list),
        ..row(name, line(&format!("[127.0.0.1]:{}", server.port), &key))
    };
    let rows = vec![
        alias("an alias", "web", line("web", &key)),
        alias("an alias in capitals, asked for", "WEB", line("web", &key)),
        alias("an alias in capitals, known", "web", line("WEB", &key)),
        alias("an alias that is unknown", "web", line("other", &key)),
        alias("an alias with another key", "web", line("web", &wrong)),
        alias("the address instead of the alias", "web", line(&name, &key)),
        alias(
            "an alias with the port",
            "web",
            line(&format!("[web]:{}", server.port), &key),
        ),
        alias(
            "an alias and a wrong address",
            "web",
            line("web", &key) + &line(&name, &wrong),
        ),
        alias(
            "a wrong alias and the address",
            "web",
            line("web", &wrong) + &line(&name, &key),
        ),
        alias(
            "an alias by a pattern",
            "web.example",
            line("*.example", &key),
        ),
        alias(
            "an alias by another pattern",
            "web.example",
            line("*.example,!web.*", &key),
        ),
        alias(
            "an alias that is revoked",
            "web",
            line("web", &key) + &line("@revoked web", &key),
        ),
        alias(
            "an address that is revoked",
            "web",
            line("web", &key) + &line(&format!("@revoked {name}"), &key),
        ),
        alias("an alias with another type", "web", line("web", &rsa)),
        system("the system's file alone", String::new(), line(&name, &key)),
        system("the same in both", line(&name, &key), line(&name, &key)),
        system(
            "the system's is wrong",
            line(&name, &key),
            line(&name, &wrong),
        ),
        system(
            "the user's is wrong",
            line(&name, &wrong),
            line(&name, &key),
        ),
        system("both are wrong", line(&name, &wrong), line(&name, &wrong)),
        system(
            "revoked by the system",
            line(&name, &key),
            line("@revoked *", &key),
        ),
        system(
            "revoked by the user",
            line("@revoked *", &key),
            line(&name, &key),
        ),
        system(
            "without the port in the system's",
            String::new(),
            line("127.0.0.1", &key),
        ),
        system(
            "wrong without the port in the system's",
            line(&name, &key),
            line("127.0.0.1", &wrong),
        ),
        system("another type in each", line(&name, &rsa), line(&name, &key)),
        system(
            "another type in each, one wrong",
            line(&name, &rsa),
            line(&name, &wrong),
        ),
        new("new", String::new()),
        new("new beside others", line("other", &wrong)),
        new("changed", line(&name, &wrong)),
        new("known", line(&name, &key)),
        new("known without a port", line("127.0.0.1", &key)),
        new("changed without a port", line("127.0.0.1", &wrong)),
        new("known by another type", line(&name, &rsa)),
        new("revoked", line("@revoked *", &key)),
        new("another is revoked", line("@revoked *", &wrong)),
        new("a pattern with another key", line("*", &wrong)),
        Row {
            accepts_new: true,
            ..alias("new by an alias", "web", String::new())
        },
        Row {
            accepts_new: true,
            ..alias("new by an alias in capitals", "Web.Example", String::new())
        },
        Row {
            accepts_new: true,
            ..alias("changed by an alias", "web", line("web", &wrong))
        },
        Row {
            accepts_new: true,
            ..system("known to the system", String::new(), line(&name, &key))
        },
        Row {
            accepts_new: true,
            ..system("changed for the system", String::new(), line(&name, &wrong))
        },
        Row {
            accepts_new: true,
            host: "localhost",
            ..row("new by name", String::new())
        },
        Row {
            accepts_new: true,
            host: "LocalHost",
            ..row("new by name in capitals", String::new())
        },
        revoked("a list with the key", format!("{key}\n")),
        revoked("a list with another key", format!("{wrong}\n")),
        revoked(
            "a list with both",
            format!("# a comment\n{wrong}\n\n{key}\n"),
        ),
        revoked("a list with another type", format!("{rsa}\n")),
        revoked("an empty list", String::new()),
        Row {
            accepts_new: true,
            user: String::new(),
            ..revoked("a list with a new key", format!("{key}\n"))
        },
    ];
    let count = rows.len();
    let (accepted, refused) = compare(&server, rows).await;
    assert_eq!(accepted + refused, count);
    assert!(
        count >= 45 && accepted >= 15 && refused >= 15,
        "{accepted} {refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lost_the_types_that_are_known_is_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let server = Server::set_up(&Setup {
            host_keys: vec![kind],
            ..Setup::default()
        });
        let name = format!("[127.0.0.1]:{}", server.port);
        let key = public_key(&server.path(&format!("host_{kind}")));
        let mut rows = vec![row("the key", format!("{name} {key}\n"))];
        for gone in ["ed25519", "ecdsa", "rsa"] {
            let file = server.path(&format!("gone_{gone}"));
            new_key(&file, &[gone], "");
            let gone = public_key(&file);
            rows.push(row("another key", format!("{name} {gone}\n")));
            rows.push(row(
                "another key beside it",
                format!("{name} {gone}\n{name} {key}\n"),
            ));
            rows.push(row(
                "another key without a port",
                format!("127.0.0.1 {gone}\n"),
            ));
            rows.push(row(
                "another key, revoked",
                format!("{name} {key}\n@revoked * {gone}\n"),
            ));
            rows.push(Row {
                accepts_new: true,
                ..row("another key, new ones accepted", format!("{name} {gone}\n"))
            });
        }
        let (accepted, refused) = compare(&server, rows).await;
        assert!(
            accepted >= 7 && refused >= 6,
            "{kind}: {accepted} {refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_with_aliases_are_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["authority", "host", "stranger"] {
        new_key(&path(name), &["ed25519"], "");
    }
    let authority = public_key(&path("authority"));
    let host = public_key(&path("host"));
    let stranger = public_key(&path("stranger"));
    let public = path("host.pub");
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
            "web,127.0.0.1",
            public.to_str().unwrap(),
        ],
    );
    let server = Server::with(&format!(
        "HostKey {0}\nHostCertificate {0}-cert.pub",
        path("host").display()
    ));
    let trusted = |pattern: &str| format!("@cert-authority {pattern} {authority}\n");
    let alias = |name, alias, user: String| Row {
        alias: Some(alias),
        ..row(name, user)
    };
    let rows = vec![
        row("the address", trusted("*")),
        alias("an alias that it is for", "web", trusted("*")),
        alias("an alias in capitals", "WEB", trusted("*")),
        alias("an alias that it is not for", "other", trusted("*")),
        alias("an authority for the alias", "web", trusted("web")),
        alias("an authority for the address", "web", trusted("127.0.0.1")),
        alias("an authority for another", "web", trusted("other")),
        alias(
            "the key by an alias",
            "other",
            trusted("*") + &format!("other {host}\n"),
        ),
        alias(
            "another key by an alias",
            "other",
            trusted("*") + &format!("other {stranger}\n"),
        ),
        Row {
            system: trusted("*"),
            ..row("an authority of the system", String::new())
        },
        Row {
            system: format!("@revoked * {authority}\n"),
            ..row("an authority that the system revokes", trusted("*"))
        },
        Row {
            revoked: Some(format!("{authority}\n")),
            ..row("a list with the authority", trusted("*"))
        },
        Row {
            revoked: Some(format!("{stranger}\n")),
            ..row("a list with another", trusted("*"))
        },
        Row {
            accepts_new: true,
            ..row("an authority, new keys accepted", trusted("*"))
        },
    ];
    let (accepted, refused) = compare(&server, rows).await;
    assert!(accepted >= 5 && refused >= 4, "{accepted} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_ipv6_are_decided_as_ssh_decides() {
    if !server::is_available() {
        return;
    }
    let Some(server) = Server::on_ipv6().await else {
        return;
    };
    let key = public_key(&server.path("host_ed25519"));
    let port = server.port;
    let six = |name, user: String| Row {
        host: "::1",
        ..row(name, user)
    };
    let rows = vec![
        six("with its port", format!("[::1]:{port} {key}\n")),
        six("without a port", format!("::1 {key}\n")),
        six("in brackets without a port", format!("[::1] {key}\n")),
        six(
            "another port",
            format!("[::1]:{} {key}\n", port.wrapping_add(1)),
        ),
        six(
            "written at length",
            format!("[0:0:0:0:0:0:0:1]:{port} {key}\n"),
        ),
        six("by a pattern", format!("[::?]:* {key}\n")),
        six("unknown", format!("[127.0.0.1]:{port} {key}\n")),
        Row {
            accepts_new: true,
            ..six("new", String::new())
        },
    ];
    let (accepted, refused) = compare(&server, rows).await;
    assert!(accepted >= 3 && refused >= 3, "{accepted} {refused}");
}
