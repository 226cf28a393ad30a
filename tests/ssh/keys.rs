//! Keys that need somebody else: a person who knows the passphrase, an authority, an agent, a security token.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kk::connect::ssh::{AskPerson, KeyCache, PersonQuestion, SshOptions, connect};
use kk::connect::{Command, ExecRequest, TransportError};
use kk::secret::{Secret, SecretString};
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::people::{Agent, PASSWORD, User};
use super::server::{self, Server, Setup, new_key, public_key, run};

async fn enters(options: SshOptions) -> Result<(), TransportError> {
    let session = connect(options).await?;
    let output = session
        .exec(ExecRequest::new(Command::new("echo in")))
        .await?;
    assert_eq!(output.stdout_text(), "in\n");
    session.close().await;
    Ok(())
}

/// Gives answers in their order, and keeps the questions.
struct Person {
    answers: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<PersonQuestion>>,
    delay: Duration,
}

impl Person {
    fn new(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().rev().copied().collect()),
            asked: Mutex::default(),
            delay: Duration::ZERO,
        })
    }

    fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl AskPerson for Person {
    fn ask(&self, question: &PersonQuestion) -> Option<SecretString> {
        self.asked.lock().unwrap().push(question.clone());
        std::thread::sleep(self.delay);
        let answer = self.answers.lock().unwrap().pop()?;
        Some(Secret::new(answer.to_owned()))
    }
}

/// Options with a person, and with keys that nobody has unlocked before.
fn asking(server: &Server, person: &Arc<Person>) -> SshOptions {
    let mut options = server.options();
    options.private_key = None;
    options.keys = Arc::new(KeyCache::default());
    options.person = Some(Arc::clone(person) as Arc<dyn AskPerson>);
    options
}

/// An encrypted key that the server takes.
fn locked(server: &Server, name: &str, kind: &[&str]) -> PathBuf {
    let file = server.path(name);
    new_key(&file, kind, "the passphrase");
    server.authorize(&file);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_asked_for_once_whatever_the_number_of_hosts() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for kind in [
        ["ed25519"].as_slice(),
        &["ecdsa", "-b", "384"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "2048", "-m", "PEM"],
        &["ecdsa", "-m", "PKCS8"],
    ] {
        let file = locked(&server, &kind.join(""), kind);
        let person = Person::new(&["wrong", "the passphrase"]);
        let mut options = asking(&server, &person);
        options.private_key = Some(file.clone());
        let all: Vec<_> = (0..6)
            .map(|_| tokio::spawn(enters(options.clone())))
            .collect();
        for one in all {
            one.await
                .unwrap()
                .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        }
        let key = format!("the private key `{}`", file.display());
        let question = |was_wrong| PersonQuestion::Passphrase {
            key: key.clone(),
            was_wrong,
        };
        assert_eq!(
            *person.asked.lock().unwrap(),
            [question(false), question(true)],
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_passphrase_is_not_asked_for_ever() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let file = locked(&server, "locked", &["ed25519"]);
    for (answers, count) in [(["a", "b", "c", "d"].as_slice(), 3), (&[], 1)] {
        let person = Person::new(answers);
        let mut options = asking(&server, &person);
        options.private_key = Some(file.clone());
        // Before anything is connected.
        options.port = server::free_port();
        for _ in 0..3 {
            let error = enters(options.clone()).await.unwrap_err();
            assert!(matches!(error, TransportError::Local { .. }), "{error:?}");
            assert!(error.to_string().contains("is encrypted"), "{error}");
        }
        assert_eq!(person.questions(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_when_an_agent_or_the_inventory_knows() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let file = locked(&server, "locked", &["ed25519"]);
    let person = Person::new(&[]);
    let mut options = asking(&server, &person);
    options.private_key = Some(file.clone());
    options.passphrase = Some(Secret::new("the passphrase".to_owned()));
    enters(options.clone()).await.unwrap();
    options.passphrase = None;
    let agent = Agent::start();
    let open = server.path("open");
    fs::copy(&file, &open).unwrap();
    run(
        "ssh-keygen",
        &[
            "-q",
            "-p",
            "-P",
            "the passphrase",
            "-N",
            "",
            "-f",
            open.to_str().unwrap(),
        ],
    );
    agent.add(&open);
    options.use_agent = true;
    options.agent_socket = Some(agent.socket.clone());
    enters(options.clone()).await.unwrap();
    options.private_key = None;
    options.identity_files = vec![file];
    enters(options).await.unwrap();
    assert_eq!(person.questions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_configuration_is_unlocked_only_when_the_host_takes_it() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let strange = server.path("strange");
    new_key(&strange, &["ed25519"], "the passphrase");
    for kind in [["ed25519"].as_slice(), &["rsa", "-b", "2048"]] {
        let file = locked(&server, &format!("locked{}", kind[0]), kind);
        let person = Person::new(&["the passphrase"]);
        let mut options = asking(&server, &person);
        options.identity_files = vec![strange.clone(), file.clone()];
        for _ in 0..3 {
            enters(options.clone()).await.unwrap();
        }
        let asked = person.asked.lock().unwrap().clone();
        assert!(
            matches!(&asked[..], [PersonQuestion::Passphrase { key, .. }] if key.contains(file.to_str().unwrap())),
            "{asked:?}"
        );
    }
    // The same for those that are tried when nobody names one.
    let file = locked(&server, "default", &["ed25519"]);
    let person = Person::new(&["the passphrase"]);
    let mut options = asking(&server, &person);
    options.default_keys = vec![file];
    enters(options.clone()).await.unwrap();
    assert_eq!(person.questions(), 1);
    options.person = None;
    options.keys = Arc::new(KeyCache::default());
    enters(options).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_take_longer_than_a_host() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let file = locked(&server, "locked", &["ed25519"]);
    let person = Arc::new(Person {
        answers: Mutex::new(vec!["the passphrase"]),
        asked: Mutex::default(),
        delay: Duration::from_secs(5),
    });
    let mut options = asking(&server, &person);
    options.identity_files = vec![file];
    // Logging in has three times as long.
    options.connect_timeout = Duration::from_secs(1);
    enters(options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_every_kind() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority");
    let server = Server::trusting(folder.path());
    let certify = |key: &Path, validity: &str| {
        let public = key.with_extension("pub");
        run(
            "ssh-keygen",
            &[
                "-q",
                "-s",
                authority.to_str().unwrap(),
                "-I",
                "the bearer",
                "-n",
                &server::me(),
                "-V",
                validity,
                public.to_str().unwrap(),
            ],
        );
        let mut beside = key.as_os_str().to_owned();
        beside.push("-cert.pub");
        PathBuf::from(beside)
    };
    for (number, kind) in [
        ["ed25519"].as_slice(),
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
    ]
    .into_iter()
    .enumerate()
    {
        let key = server.path(&format!("certified{number}"));
        new_key(&key, kind, "");
        let beside = certify(&key, "-1h:+1h");
        let mut options = server.options();
        options.private_key = Some(key.clone());
        enters(options.clone())
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert!(server.log().contains("-CERT SHA256:"), "{}", server.log());
        // Elsewhere, and named.
        let elsewhere = server.path(&format!("elsewhere{number}.pub"));
        fs::rename(&beside, &elsewhere).unwrap();
        enters(options.clone()).await.unwrap_err();
        options.certificate_files = vec![PathBuf::from("/no/such"), elsewhere.clone()];
        enters(options.clone()).await.unwrap();
        // The key below it in an agent only, which does not know the certificate.
        let agent = Agent::start();
        agent.add(&key);
        options.private_key = None;
        options.use_agent = true;
        options.agent_socket = Some(agent.socket.clone());
        options.identity_files = vec![server.path(&format!("gone{number}"))];
        fs::write(server.path(&format!("gone{number}.pub")), public_key(&key)).unwrap();
        enters(options)
            .await
            .unwrap_or_else(|error| panic!("{kind:?} in the agent: {error}"));
        // Encrypted, with a person.
        run(
            "ssh-keygen",
            &[
                "-q",
                "-p",
                "-P",
                "",
                "-N",
                "a secret",
                "-f",
                key.to_str().unwrap(),
            ],
        );
        let person = Person::new(&["a secret"]);
        let mut options = asking(&server, &person);
        options.identity_files = vec![key.clone()];
        options.certificate_files = vec![elsewhere];
        enters(options)
            .await
            .unwrap_or_else(|error| panic!("{kind:?} encrypted: {error}"));
        assert_eq!(person.questions(), 1);
    }
    let key = server.path("late");
    new_key(&key, &["ed25519"], "");
    certify(&key, "-2h:-1h");
    let mut options = server.options();
    options.private_key = Some(key);
    let error = enters(options.clone()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("with the certificate `the bearer`: refused"),
        "{error}"
    );
    let wrong = server.path("wrong");
    fs::write(&wrong, "no certificate\n").unwrap();
    options.certificate_files = vec![wrong];
    let error = enters(options).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not a certificate of OpenSSH"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_keys_sign_with_sha2_only() {
    if !server::is_available() {
        return;
    }
    for (accepted, works) in [
        ("rsa-sha2-512", true),
        ("rsa-sha2-256,rsa-sha2-512", true),
        ("ssh-rsa", false),
    ] {
        let server = Server::with(&format!("PubkeyAcceptedAlgorithms {accepted}"));
        let key = server.path("rsa");
        new_key(&key, &["rsa", "-b", "2048"], "");
        server.authorize(&key);
        let agent = Agent::start();
        agent.add(&key);
        for by_agent in [false, true] {
            let mut options = server.options();
            options.private_key = Some(key.clone()).filter(|_| !by_agent);
            options.use_agent = by_agent;
            options.agent_socket = Some(agent.socket.clone());
            let outcome = enters(options).await;
            assert_eq!(outcome.is_ok(), works, "{accepted} {by_agent}: {outcome:?}");
        }
    }
}

/// A number of the agent's protocol, and what follows it.
async fn answer(stream: &mut UnixStream, kind: u8, body: &[u8]) {
    let length = u32::try_from(body.len() + 1).unwrap();
    stream.write_u32(length).await.unwrap();
    stream.write_u8(kind).await.unwrap();
    stream.write_all(body).await.unwrap();
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut all = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

/// A security token with one key, behind an agent.
struct Token {
    pair: Ed25519Keypair,
    blob: Vec<u8>,
}

impl Token {
    const KIND: &'static str = "sk-ssh-ed25519@openssh.com";

    fn new(key: &Path) -> Self {
        let key = russh::keys::load_secret_key(key, None).unwrap();
        let KeypairData::Ed25519(pair) = key.key_data() else {
            panic!("an Ed25519 key");
        };
        let blob = [Self::KIND.as_bytes(), &pair.public.0, b"ssh:"]
            .map(text)
            .concat();
        Self {
            pair: pair.clone(),
            blob,
        }
    }

    fn authorized(&self) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.blob);
        format!("{} {text} token\n", Self::KIND)
    }

    /// As a token signs: the hashes of its name and of the data, that somebody touched it, and how often it signed.
    fn sign(&self, data: &[u8]) -> Vec<u8> {
        use sha2::{Digest as _, Sha256};
        let mut signed = Sha256::digest(b"ssh:").to_vec();
        let (flags, counter) = ([1], 7_u32.to_be_bytes());
        signed.extend(flags);
        signed.extend(counter);
        signed.extend(Sha256::digest(data));
        let signature = self.pair.try_sign(&signed).unwrap();
        let mut all = text(Self::KIND.as_bytes());
        all.extend(text(signature.as_bytes()));
        all.extend(flags);
        all.extend(counter);
        all
    }

    async fn serve(self, listener: UnixListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u32().await {
                let mut request = vec![0; usize::try_from(length).unwrap()];
                stream.read_exact(&mut request).await.unwrap();
                match request[0] {
                    11 => {
                        let mut body = 1_u32.to_be_bytes().to_vec();
                        body.extend(text(&self.blob));
                        body.extend(text(b"a token"));
                        answer(&mut stream, 12, &body).await;
                    }
                    13 => {
                        let rest = &request[1 + 4 + self.blob.len()..];
                        let size = u32::from_be_bytes(rest[..4].try_into().unwrap());
                        let data = &rest[4..4 + usize::try_from(size).unwrap()];
                        answer(&mut stream, 14, &text(&self.sign(data))).await;
                    }
                    _ => answer(&mut stream, 5, &[]).await,
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_security_token_through_an_agent() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let token = Token::new(&server.path("user"));
    fs::write(server.path("authorized_keys"), token.authorized()).unwrap();
    let socket = server.path("token");
    let serving = tokio::spawn(token.serve(UnixListener::bind(&socket).unwrap()));
    let mut options = server.options();
    options.private_key = None;
    options.use_agent = true;
    options.agent_socket = Some(socket);
    enters(options)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", server.log()));
    assert!(server.log().contains("ED25519-SK"), "{}", server.log());
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_fail() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let key = server.path("user");
    // Nobody listens; what listens is no agent; it goes away; it hangs; it does not want to sign.
    let folder = tempfile::tempdir().unwrap();
    let socket = |name: &str| folder.path().join(name);
    let gone = socket("gone");
    drop(UnixListener::bind(&gone).unwrap());
    let closing = UnixListener::bind(socket("closing")).unwrap();
    let hanging = UnixListener::bind(socket("hanging")).unwrap();
    let babbling = UnixListener::bind(socket("babbling")).unwrap();
    let all = [
        tokio::spawn(async move { while closing.accept().await.is_ok() {} }),
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = hanging.accept().await {
                kept.push(stream);
            }
        }),
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = babbling.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        }),
    ];
    let locked_agent = Agent::start();
    locked_agent.add(&key);
    for (name, words) in [
        ("absent", "not reachable"),
        ("gone", "not reachable"),
        ("closing", "the agent"),
        ("hanging", "no answer within 5 s"),
        ("babbling", "the agent"),
    ] {
        let mut options = server.options();
        options.private_key = None;
        options.use_agent = true;
        options.agent_socket = Some(socket(name));
        let start = Instant::now();
        let error = enters(options.clone()).await.unwrap_err();
        assert!(
            matches!(error, TransportError::Authentication { .. }),
            "{name}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{name}: {:?}",
            start.elapsed()
        );
        // What else there is to log in with is tried all the same.
        options.default_keys = vec![key.clone()];
        enters(options.clone())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for task in all {
        task.abort();
    }
}

/// A PAM service of a name of its own; removed when dropped.
struct Service(PathBuf);

impl Service {
    fn new(name: &str, text: &str) -> Self {
        let path = Path::new("/etc/pam.d").join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_several_questions() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    // A password, and then something else: the module for guests asks for an address of e-mail.
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(
        home.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let user = User::new(home.path(), "/bin/sh");
    let name = format!("kkt-sshd-{}", std::process::id());
    let _service = Service::new(
        &name,
        &format!(
            "auth required pam_unix.so\nauth required pam_ftp.so users={} ignore\naccount required pam_permit.so\nsession required pam_permit.so\n",
            user.name
        ),
    );
    let server = Server::set_up(&Setup {
        config: "UsePAM yes\nKbdInteractiveAuthentication yes".to_owned(),
        program: name.clone(),
        ..Setup::default()
    });
    let with = |person: Option<&Arc<Person>>| {
        let mut options = server.options();
        options.private_key = None;
        options.user.clone_from(&user.name);
        options.password = Some(Secret::new(PASSWORD.to_owned()));
        options.person = person.map(|person| Arc::clone(person) as Arc<dyn AskPerson>);
        options
    };
    let person = Person::new(&["me@example.org"]);
    enters(with(Some(&person)))
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", server.log()));
    let asked = person.asked.lock().unwrap().clone();
    assert!(
        matches!(&asked[..], [PersonQuestion::Prompt { target, words, echo: false }]
            if words.starts_with("Guest login ok") && target.starts_with(&user.name)),
        "{asked:?}"
    );
    // A wrong password beside it.
    let person = Person::new(&["me@example.org"]);
    let mut options = with(Some(&person));
    options.password = Some(Secret::new("canary".to_owned()));
    let error = enters(options).await.unwrap_err();
    assert!(
        !format!("{error}{:?}", error.hint()).contains("canary"),
        "{error}"
    );
    // A second proof after a key: a person is asked for all of it.
    let both = Server::set_up(&Setup {
        config: "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive"
            .to_owned(),
        program: name,
        ..Setup::default()
    });
    let person = Person::new(&[PASSWORD, "me@example.org"]);
    let mut options = with(Some(&person));
    options.port = both.port;
    options.known_hosts = both.known_hosts(&both.known_line("ed25519"));
    options.private_key = Some(both.path("user"));
    options.password = None;
    enters(options.clone())
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", both.log()));
    assert_eq!(person.questions(), 2);
    options.person = None;
    let error = enters(options).await.unwrap_err();
    assert!(error.to_string().contains("more is demanded"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_ipv6() {
    if !server::is_available() {
        return;
    }
    let Some(server) = Server::on_ipv6().await else {
        return;
    };
    let key = public_key(&server.path("host_ed25519"));
    let mut options = server.options();
    options.host = "::1".to_owned();
    options.known_hosts = server.known_hosts(&format!("[::1]:{} {key}\n", server.port));
    let session = connect(options.clone()).await.unwrap();
    assert!(
        session
            .describe()
            .ends_with(&format!("@[::1]:{}", server.port)),
        "{}",
        session.describe()
    );
    session.close().await;
    // Behind a jump host as well, and as one.
    let mut behind = options.clone();
    behind.proxy_jump = vec![server.options()];
    enters(behind).await.unwrap();
    let mut behind = server.options();
    behind.proxy_jump = vec![options.clone()];
    enters(behind).await.unwrap();
    // The key of the one address is not that of the other.
    options.known_hosts = server.known_hosts(&server.known_line("ed25519"));
    let error = enters(options).await.unwrap_err();
    assert!(matches!(error, TransportError::HostKey { .. }), "{error:?}");
}
