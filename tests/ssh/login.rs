//! Ways to log in, and what is said when none works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::{SshOptions, connect};
use kk::connect::{Command, ExecRequest, TransportError};
use kk::secret::Secret;

use super::people::{Agent, PASSWORD, User};
use super::server::{self, Server, new_key, run};

/// Logs in and runs a command.
async fn enters(options: SshOptions) -> Result<(), TransportError> {
    let session = connect(options).await?;
    let output = session
        .exec(ExecRequest::new(Command::new("echo in")))
        .await?;
    assert_eq!(output.stdout_text(), "in\n");
    session.close().await;
    Ok(())
}

/// The reason and the hint of a refused login.
async fn refusal(options: SshOptions) -> (String, String) {
    match connect(options).await.map(|_| ()).unwrap_err() {
        TransportError::Authentication { reason, hint, .. } => (reason, hint),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_files_of_every_kind_and_format() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let kinds: [&[&str]; 8] = [
        &["ed25519"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "2048", "-m", "PEM"],
        &["rsa", "-b", "2048", "-m", "PKCS8"],
        &["ecdsa", "-b", "256", "-m", "PKCS8"],
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let file = server.path(&format!("key{number}"));
        new_key(&file, kind, "");
        server.authorize(&file);
        let mut options = server.options();
        options.private_key = Some(file.clone());
        enters(options)
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        // The same as text, as it may come out of YAML.
        let mut options = server.options();
        options.private_key = None;
        let text = fs::read_to_string(&file).unwrap().replace('\n', "\r\n    ");
        options.private_key_content = Some(Secret::new(format!("\n    {text}")));
        enters(options)
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

/// A key for P-256 whose secret number has 31 bytes, as one in 256 that `ssh-keygen` makes. It opens nothing.
const SHORT_KEY: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSXHTA0hBdU+mmCVvtwYdzx7a3+JEOd
KQn5zH3sYmd3dk3YgG8vYcgqQ2xwXLylDZwQpKLRTRF3UDLDZosM53d2AAAAoM7welzO8H
pcAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJcdMDSEF1T6aYJW
+3Bh3PHtrf4kQ50pCfnMfexiZ3d2TdiAby9hyCpDbHBcvKUNnBCkotFNEXdQMsNmiwznd3
YAAAAfJ0IGl92uQq6u25kDoLbmK5MfTRvMfCERxyQAomAAzQAAAAdyb290QHZtAQI=
-----END OPENSSH PRIVATE KEY-----
";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_secret_number_is_short() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let file = server.path("short");
    fs::write(&file, SHORT_KEY).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let public = run("ssh-keygen", &["-y", "-f", file.to_str().unwrap()]);
    fs::write(file.with_extension("pub"), public).unwrap();
    server.authorize(&file);
    let mut options = server.options();
    options.private_key = Some(file.clone());
    enters(options.clone()).await.unwrap();
    let mut old = "";
    for cipher in [
        "aes256-ctr",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ] {
        let text = file.to_str().unwrap();
        run(
            "ssh-keygen",
            &[
                "-p",
                "-q",
                "-Z",
                cipher,
                "-P",
                old,
                "-N",
                "the passphrase",
                "-f",
                text,
            ],
        );
        old = "the passphrase";
        options.passphrase = Some(Secret::new(old.to_owned()));
        enters(options.clone())
            .await
            .unwrap_or_else(|error| panic!("{cipher}: {error}"));
        options.passphrase = Some(Secret::new("wrong".to_owned()));
        let error = enters(options.clone()).await.unwrap_err();
        assert!(error.to_string().contains("cannot be decrypted"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_keys() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for (number, kind) in [
        ["ed25519"].as_slice(),
        &["rsa", "-b", "2048", "-m", "PEM"],
        &["ecdsa", "-m", "PKCS8"],
    ]
    .into_iter()
    .enumerate()
    {
        let file = server.path(&format!("locked{number}"));
        new_key(&file, kind, "the passphrase");
        server.authorize(&file);
        let with = |passphrase: Option<&str>| {
            let mut options = server.options();
            options.private_key = Some(file.clone());
            options.passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
            // Whatever is wrong is found before anything is connected.
            if passphrase != Some("the passphrase") {
                options.port = server::free_port();
            }
            options
        };
        enters(with(Some("the passphrase")))
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        for (passphrase, reason, hint) in [
            (None, "is encrypted and there is no passphrase", "ssh-add"),
            (
                Some("wrong"),
                "cannot be decrypted",
                "private_key_passphrase",
            ),
        ] {
            let error = enters(with(passphrase)).await.unwrap_err();
            assert!(matches!(error, TransportError::Local { .. }), "{error:?}");
            assert!(error.to_string().contains(reason), "{kind:?}: {error}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert!(!error.to_string().contains("wrong"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_are_found_before_connecting() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    new_key(&good, &["ed25519"], "");
    let write = |name: &str, content: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let text = fs::read_to_string(&good).unwrap();
    let cut: String = text.chars().take(text.len() / 2).collect();
    let cases = [
        (folder.path().join("missing"), "no such file", "private_key"),
        (folder.path().to_path_buf(), "not a file", "private_key"),
        (
            write("open", &text, 0o644),
            "can be read by others (mode 0644)",
            "chmod 600",
        ),
        (
            write("garbage", "not a key\n", 0o600),
            "not a private key",
            "ssh-keygen",
        ),
        (write("cut", &cut, 0o600), "not a private key", "ssh-keygen"),
        (write("empty", "", 0o600), "is empty", "ssh-keygen"),
        (
            folder.path().join("good.pub"),
            "can be read by others",
            "chmod 600",
        ),
        (
            write(
                "public",
                &fs::read_to_string(good.with_extension("pub")).unwrap(),
                0o600,
            ),
            "is a public key",
            "without `.pub`",
        ),
    ];
    for (path, reason, hint) in cases {
        let mut options = SshOptions::new(
            "127.0.0.1",
            server::free_port(),
            "nobody",
            Arc::new(KnownHosts::default()),
        );
        options.private_key = Some(path.clone());
        let error = enters(options).await.unwrap_err();
        assert!(matches!(error, TransportError::Local { .. }), "{error:?}");
        assert!(error.to_string().to_lowercase().contains(reason), "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_with_what_was_tried() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let wrong = server.path("wrong");
    new_key(&wrong, &["ed25519"], "");
    let mut options = server.options();
    options.private_key = Some(wrong.clone());
    let (reason, hint) = refusal(options).await;
    let print = run("ssh-keygen", &["-lf", wrong.to_str().unwrap()]);
    let print = print.split(' ').nth(1).unwrap();
    assert_eq!(
        reason,
        format!(
            "tried the private key `{}` ({print}): refused; the server offers publickey",
            wrong.display()
        )
    );
    assert!(hint.contains("authorized_keys"), "{hint}");
    // Nothing at all to log in with.
    let mut options = server.options();
    options.private_key = None;
    let (reason, _) = refusal(options).await;
    assert_eq!(
        reason,
        "there is nothing to log in with; the server offers publickey"
    );
    // A password where none is taken.
    let mut options = server.options();
    options.private_key = None;
    options.password = Some(Secret::new("canary".to_owned()));
    let (reason, hint) = refusal(options).await;
    assert!(reason.contains("the server offers publickey"), "{reason}");
    assert!(hint.contains("does not take passwords"), "{hint}");
    assert!(!format!("{reason}{hint}").contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let agent = Agent::start();
    let options = || {
        let mut options = server.options();
        options.private_key = None;
        options.use_agent = true;
        options.agent_socket = Some(agent.socket.clone());
        options
    };
    let (reason, _) = refusal(options()).await;
    assert!(reason.contains("nothing to log in with"), "{reason}");
    for kind in [["ed25519"].as_slice(), &["rsa", "-b", "2048"], &["ecdsa"]] {
        agent.clear();
        let file = server.path(&format!("agent-{}", kind[0]));
        new_key(&file, kind, "");
        agent.add(&file);
        let (reason, _) = refusal(options()).await;
        assert!(reason.contains("the agent's key `test`"), "{reason}");
        server.authorize(&file);
        enters(options())
            .await
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
    // Without the agent, or without one that answers.
    let mut without = options();
    without.use_agent = false;
    refusal(without).await;
    let mut dead = options();
    dead.agent_socket = Some(server.path("nobody"));
    let (reason, _) = refusal(dead).await;
    assert!(reason.contains("not reachable"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_that_the_agent_holds() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let agent = Agent::start();
    let file = server.path("locked");
    new_key(&file, &["ed25519"], "");
    agent.add(&file);
    run(
        "ssh-keygen",
        &[
            "-q",
            "-p",
            "-P",
            "",
            "-N",
            "secret",
            "-f",
            file.to_str().unwrap(),
        ],
    );
    server.authorize(&file);
    let mut options = server.options();
    options.private_key = Some(file);
    options.use_agent = true;
    options.agent_socket = Some(agent.socket.clone());
    enters(options.clone()).await.unwrap();
    agent.clear();
    let error = enters(options).await.unwrap_err();
    assert!(matches!(error, TransportError::Local { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_full_of_keys_does_not_use_up_the_attempts() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("MaxAuthTries 3");
    let agent = Agent::start();
    for number in 0..6 {
        let file = server.path(&format!("other{number}"));
        new_key(&file, &["ed25519"], "");
        agent.add(&file);
    }
    let mut options = server.options();
    options.use_agent = true;
    options.agent_socket = Some(agent.socket.clone());
    enters(options.clone()).await.unwrap();
    options.private_key = None;
    let (reason, hint) = refusal(options).await;
    assert!(
        reason.contains("Too many authentication failures"),
        "{reason}"
    );
    assert!(reason.contains("the agent's key"), "{reason}");
    assert!(hint.contains("MaxAuthTries"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn default_keys_only_when_nothing_is_given() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let locked = server.path("locked");
    new_key(&locked, &["ed25519"], "secret");
    let mut options = server.options();
    options.default_keys = vec![server.path("missing"), locked, server.path("user")];
    let wrong = server.path("wrong");
    new_key(&wrong, &["ed25519"], "");
    options.private_key = Some(wrong);
    let (reason, _) = refusal(options.clone()).await;
    assert!(!reason.contains("user"), "{reason}");
    options.private_key = None;
    enters(options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_beside_the_key() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority");
    let server = Server::trusting(folder.path());
    let file = server.path("certified");
    new_key(&file, &["ed25519"], "");
    let mut options = server.options();
    options.private_key = Some(file.clone());
    refusal(options.clone()).await;
    run(
        "ssh-keygen",
        &[
            "-q",
            "-s",
            authority.to_str().unwrap(),
            "-I",
            "test",
            "-n",
            &server::me(),
            file.with_extension("pub").to_str().unwrap(),
        ],
    );
    enters(options).await.unwrap();
}

fn with_password(server: &Server, user: &User, password: &str) -> SshOptions {
    let mut options = server.options();
    options.user.clone_from(&user.name);
    options.private_key = None;
    options.password = Some(Secret::new(password.to_owned()));
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    for config in [
        "PasswordAuthentication yes",
        "UsePAM yes\nKbdInteractiveAuthentication yes",
        "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication yes",
    ] {
        let server = Server::with(config);
        let user = User::new(server.folder.path(), "/bin/sh");
        enters(with_password(&server, &user, PASSWORD))
            .await
            .unwrap_or_else(|error| panic!("{config}: {error}\n{}", server.log()));
        let (reason, hint) = refusal(with_password(&server, &user, "canary")).await;
        assert!(
            reason.starts_with("tried the password: refused"),
            "{reason}"
        );
        assert!(hint.contains(&user.name), "{hint}");
        assert!(!format!("{reason}{hint}").contains("canary"));
        // The server writes its log after it has answered.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let log = server.log();
        let failures = log
            .lines()
            .filter(|line| line.starts_with("Failed "))
            .count();
        assert_eq!(failures, 1, "it is judged once: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_password_where_both_are_demanded() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    for order in ["publickey,password", "password,publickey"] {
        let server = Server::with(&format!(
            "PasswordAuthentication yes\nAuthenticationMethods {order}"
        ));
        let user = User::new(server.folder.path(), "/bin/sh");
        let mut options = with_password(&server, &user, PASSWORD);
        options.private_key = Some(server.path("user"));
        enters(options.clone())
            .await
            .unwrap_or_else(|error| panic!("{order}: {error}"));
        options.password = None;
        let (reason, _) = refusal(options).await;
        let words = if order.starts_with("publickey") {
            "accepted, but more is demanded"
        } else {
            "not asked for"
        };
        assert!(reason.contains(words), "{reason}");
        assert!(reason.contains("the server offers password"), "{reason}");
    }
}

/// Runs a script with awkward characters as this user, whose start files talk.
async fn survives(server: &Server, user: &User) -> Result<(), TransportError> {
    let mut options = server.options();
    options.user.clone_from(&user.name);
    let session = connect(options).await?;
    let output = session
        .exec(ExecRequest::new(Command::script(
            "printf '%s|' \"$@\"\necho 'err!' >&2\nexit 3",
            ["it's", "a!b", "c\nd", "\\e\\\\", "$HOME"],
        )))
        .await?;
    assert_eq!(output.stdout_text(), "it's|a!b|c\nd|\\e\\\\|$HOME|");
    assert_eq!(output.stderr_text(), "err!\n");
    assert_eq!(output.status.code(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn login_shells_that_talk_or_are_not_posix() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_banner(folder.path(), &"Authorised use only!\n".repeat(50)).await;
    let shells: [(&str, &str, &str); 5] = [
        (
            "/bin/bash",
            ".bashrc",
            "echo Welcome\necho 'warning: odd' >&2\n",
        ),
        ("/bin/sh", ".profile", "echo unused\n"),
        ("/bin/csh", ".cshrc", "echo Welcome\n"),
        ("/bin/tcsh", ".tcshrc", "echo Welcome\n"),
        (
            "/usr/bin/fish",
            ".config/fish/config.fish",
            "echo Welcome\necho warning >&2\n",
        ),
    ];
    let mut checked = 0;
    for (shell, file, content) in shells {
        if !Path::new(shell).exists() {
            continue;
        }
        let user = User::new(server.folder.path(), shell);
        let start = user.home.join(file);
        fs::create_dir_all(start.parent().unwrap()).unwrap();
        fs::write(&start, content).unwrap();
        run("chown", &["-R", &user.name, user.home.to_str().unwrap()]);
        survives(&server, &user)
            .await
            .unwrap_or_else(|error| panic!("{shell}: {error}"));
        checked += 1;
    }
    assert!(checked >= 2);
    // A shell that runs nothing.
    for (shell, words) in [
        ("/usr/sbin/nologin", "account is currently not available"),
        ("/bin/false", "status 1"),
    ] {
        let user = User::new(server.folder.path(), shell);
        let error = survives(&server, &user).await.unwrap_err();
        assert!(error.did_not_run(), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_command_runs_nothing_of_ours() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("ForceCommand echo only this");
    let session = connect(server.options()).await.unwrap();
    let error = session
        .exec(ExecRequest::new(Command::new("true")))
        .await
        .unwrap_err();
    assert!(error.did_not_run(), "{error:?}");
    assert!(error.to_string().contains("only this"), "{error}");
}
