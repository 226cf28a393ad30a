//! Who a host is: what is accepted, what is refused, and what is said about it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::{AskHostKey, HostKeyPolicy, HostKeyQuestion, SshOptions, connect};
use kk::connect::{Command, ExecRequest, TransportError};

use super::server::{self, Server, Setup, new_key, public_key, run};

async fn enters(options: SshOptions) -> Result<(), TransportError> {
    let session = connect(options).await?;
    session.exec(ExecRequest::new(Command::new("true"))).await?;
    session.close().await;
    Ok(())
}

/// What is wrong with the host key, and the hint.
async fn refusal(options: SshOptions) -> (String, String) {
    match connect(options).await.map(|_| ()).unwrap_err() {
        TransportError::HostKey { reason, hint, .. } => (reason, hint),
        other => panic!("{other:?}"),
    }
}

/// `SHA256:…` as ssh-keygen has it.
fn print_of(key: &Path) -> String {
    run("ssh-keygen", &["-lf", key.to_str().unwrap()])
        .split(' ')
        .nth(1)
        .unwrap()
        .to_owned()
}

/// Options with this text in known_hosts.
fn knowing(server: &Server, text: &str) -> SshOptions {
    let mut options = server.options();
    options.known_hosts = server.known_hosts(text);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_refused() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let (reason, hint) = refusal(knowing(&server, "")).await;
    let print = print_of(&server.path("host_ed25519"));
    assert_eq!(
        reason,
        format!("it is not known; it presents ssh-ed25519 {print}")
    );
    let file = server.path("known_hosts");
    let command = format!(
        "ssh-keyscan -p {} -t ed25519 127.0.0.1 >> {}",
        server.port,
        file.display()
    );
    assert!(hint.contains(&command), "{hint}");
    assert!(hint.contains("--host-key-checking accept-new"), "{hint}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    // What the hint says does help.
    run("sh", &["-c", &format!("{command} 2>/dev/null")]);
    let text = fs::read_to_string(&file).unwrap();
    enters(knowing(&server, &text)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_is_refused_by_every_policy() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let other = server.path("other");
    new_key(&other, &["ed25519"], "");
    let text = format!(
        "# old\n[127.0.0.1]:{} {}\n",
        server.port,
        public_key(&other)
    );
    for policy in [
        HostKeyPolicy::Strict,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Ask(Arc::new(Answer::new(true))),
    ] {
        let mut options = knowing(&server, &text);
        options.host_key_policy = policy;
        let (reason, hint) = refusal(options).await;
        let file = server.path("known_hosts");
        assert_eq!(
            reason,
            format!(
                "it has changed; it presents ssh-ed25519 {}, and known is ssh-ed25519 {} ({}:2)",
                print_of(&server.path("host_ed25519")),
                print_of(&other),
                file.display()
            )
        );
        let command = format!(
            "ssh-keygen -f {} -R '[127.0.0.1]:{}'",
            file.display(),
            server.port
        );
        assert!(hint.contains(&command), "{hint}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    // What the hint says makes the host unknown.
    let file = server.path("known_hosts");
    run(
        "ssh-keygen",
        &[
            "-f",
            file.to_str().unwrap(),
            "-R",
            &format!("[127.0.0.1]:{}", server.port),
        ],
    );
    let left = fs::read_to_string(&file).unwrap();
    assert!(
        refusal(knowing(&server, &left))
            .await
            .0
            .contains("not known")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_by_every_policy() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let line = server.known_line("ed25519");
    let text = format!(
        "{line}@revoked * {}\n",
        public_key(&server.path("host_ed25519"))
    );
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        let mut options = knowing(&server, &text);
        options.host_key_policy = policy;
        let (reason, _) = refusal(options).await;
        assert!(reason.contains("is revoked by"), "{reason}");
        assert!(reason.contains("known_hosts:2"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_new_remembers_once() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let file = server.path("new/.ssh/known_hosts");
    let (known, _) = KnownHosts::load(std::slice::from_ref(&file), &[]);
    let mut options = server.options();
    options.known_hosts = Arc::new(known);
    options.host_key_policy = HostKeyPolicy::AcceptNew;
    enters(options.clone()).await.unwrap();
    enters(options.clone()).await.unwrap();
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 1, "{written}");
    // From now on strictly, by this program and by ssh's own tool.
    options.host_key_policy = HostKeyPolicy::Strict;
    options.known_hosts = Arc::new(KnownHosts::load(std::slice::from_ref(&file), &[]).0);
    enters(options).await.unwrap();
    run(
        "ssh-keygen",
        &[
            "-F",
            &format!("[127.0.0.1]:{}", server.port),
            "-f",
            file.to_str().unwrap(),
        ],
    );
}

/// Answers questions, and keeps them.
struct Answer {
    accepts: bool,
    delay: Duration,
    asked: Mutex<Vec<HostKeyQuestion>>,
}

impl Answer {
    fn new(accepts: bool) -> Self {
        Self {
            accepts,
            delay: Duration::ZERO,
            asked: Mutex::default(),
        }
    }
}

impl AskHostKey for Answer {
    fn ask(&self, question: HostKeyQuestion) -> BoxFuture<'_, bool> {
        self.asked.lock().unwrap().push(question);
        async move {
            tokio::time::sleep(self.delay).await;
            self.accepts
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_about_an_unknown_host_only() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let mut options = knowing(&server, "");
    let no = Arc::new(Answer::new(false));
    options.host_key_policy = HostKeyPolicy::Ask(Arc::clone(&no) as Arc<dyn AskHostKey>);
    assert!(refusal(options.clone()).await.0.contains("not known"));
    assert_eq!(
        *no.asked.lock().unwrap(),
        [HostKeyQuestion {
            address: format!("127.0.0.1:{}", server.port),
            algorithm: "ssh-ed25519".to_owned(),
            fingerprint: print_of(&server.path("host_ed25519")),
            file: Some(server.path("known_hosts")),
        }]
    );
    // People take longer than hosts.
    let yes = Arc::new(Answer {
        delay: Duration::from_secs(3),
        ..Answer::new(true)
    });
    options.host_key_policy = HostKeyPolicy::Ask(Arc::clone(&yes) as Arc<dyn AskHostKey>);
    options.connect_timeout = Duration::from_secs(2);
    enters(options.clone()).await.unwrap();
    enters(options).await.unwrap();
    assert_eq!(yes.asked.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_is_known_is_the_one_that_is_asked_for() {
    if !server::is_available() {
        return;
    }
    let server = Server::set_up(&Setup {
        host_keys: vec!["ed25519", "ecdsa", "rsa"],
        ..Setup::default()
    });
    for kind in ["ed25519", "ecdsa", "rsa"] {
        enters(knowing(&server, &server.known_line(kind)))
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    // Only a type is known that the host does not have any more.
    let other = Server::start();
    let rsa = other.path("gone");
    new_key(&rsa, &["rsa", "-b", "2048"], "");
    let text = format!("[127.0.0.1]:{} {}\n", other.port, public_key(&rsa));
    let (reason, _) = refusal(knowing(&other, &text)).await;
    assert!(reason.contains("it has changed"), "{reason}");
    assert!(reason.contains("known is ssh-rsa"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_certificates() {
    if !server::is_available() {
        return;
    }
    for kind in [["ed25519"].as_slice(), &["ecdsa"], &["rsa", "-b", "2048"]] {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority");
        new_key(&authority, kind, "");
        let host = folder.path().join("host");
        new_key(&host, kind, "");
        let certify = |names: &str, validity: &str| {
            run(
                "ssh-keygen",
                &[
                    "-q",
                    "-s",
                    authority.to_str().unwrap(),
                    "-h",
                    "-I",
                    "the host",
                    "-n",
                    names,
                    "-V",
                    validity,
                    host.with_extension("pub").to_str().unwrap(),
                ],
            );
            Server::with(&format!(
                "HostKey {0}\nHostCertificate {0}-cert.pub",
                host.display()
            ))
        };
        let trust = format!("@cert-authority 127.0.0.* {}\n", public_key(&authority));
        let trust_all = trust.replace("127.0.0.*", "*");
        let server = certify("other,127.0.0.1", "-1h:+1h");
        enters(knowing(&server, &trust_all))
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        // The pattern is for port 22, which counts for the others as well.
        enters(knowing(&server, &trust)).await.unwrap();
        for (names, validity, words) in [
            ("other", "-1h:+1h", "for `other`, not for `127.0.0.1`"),
            ("127.0.0.1", "-2h:-1h", "has expired"),
            ("127.0.0.1", "+1h:+2h", "is not valid yet"),
        ] {
            let server = certify(names, validity);
            let (reason, _) = refusal(knowing(&server, &trust_all)).await;
            assert!(reason.contains(words), "{reason}");
            assert!(reason.contains("the certificate `the host`"), "{reason}");
        }
    }
}
