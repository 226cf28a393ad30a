//! Becoming another user: the composition, and the real sudo of this machine.

use std::process::{Command as Program, Stdio};
use std::sync::Arc;

use super::testing::ShellConnector;
use super::*;
use crate::secret::Secret;

fn become_root(password: Option<&str>) -> Become {
    Become {
        user: Some("root".into()),
        password: password.map(|text| Secret::new(text.to_owned())),
        ..Become::default()
    }
}

#[test]
fn the_session_user_needs_no_sudo() {
    let command = Command::new("id -u").arg("a b");
    let wrapped = wrap::privilege(command, &become_root(Some("x")), "root", "h").unwrap();
    assert_eq!(wrapped.command.to_string(), "env LC_ALL=C id -u 'a b'");
    assert!(matches!(wrapped.stdin(Stdin::Empty), Stdin::Empty));
}

#[test]
fn a_password_goes_over_standard_input_only() {
    let step = wrap::step(Command::new("id"), "1", "/s", None);
    let wrapped = wrap::privilege(step, &become_root(Some("canary-123")), "ubuntu", "h").unwrap();
    let text = wrapped.command.to_string();
    assert!(!text.contains("canary"), "{text}");
    assert!(!format!("{:?}", become_root(Some("canary-123"))).contains("canary"));
    assert!(
        text.starts_with("env LC_ALL=C sudo -H -S -p '' -u root -- sh -c "),
        "{text}"
    );
    let Stdin::Bytes(bytes) = wrapped.stdin(Stdin::Bytes(Bytes::from_static(b"data"))) else {
        panic!("no bytes");
    };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!((lines[0], lines[2]), ("canary-123", "data"));
    assert!(wrapped.command.to_string().contains(lines[1]));
    let broken = wrap::privilege(
        Command::new("id"),
        &become_root(Some("a\nb")),
        "ubuntu",
        "h",
    );
    assert!(matches!(broken, Err(TransportError::Privilege { .. })));
}

#[tokio::test]
async fn the_environment_follows_the_password_on_standard_input() {
    let host = crate::connect::fake::FakeConnector::named("ubuntu", "ubuntu@h:22");
    host.containing("sudo", crate::connect::fake::Reply::ok(""));
    let session = Session::new(
        host.clone(),
        become_root(Some("canary-123")),
        CancellationToken::new(),
    );
    let session = session.with_environment(&[("TOKEN".to_owned(), "canary-456".to_owned())]);
    let _ = session.run(Command::new("id"), "data".into()).await;
    let _ = session.probe_with(Command::new("id"), "data".into()).await;
    let executed = host.executed();
    assert_eq!(executed.len(), 2);
    for one in executed {
        assert!(!one.command.contains("canary"), "{}", one.command);
        let text = String::from_utf8(one.stdin.to_vec()).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(
            [lines[0], lines[2], lines[3], lines[4]],
            ["canary-123", "TOKEN=canary-456", "", "data"]
        );
    }
}

#[test]
fn without_a_password_sudo_must_not_ask() {
    let wrapped = wrap::privilege(Command::new("id"), &become_root(None), "ubuntu", "h").unwrap();
    let text = wrapped.command.to_string();
    assert!(
        text.starts_with("env LC_ALL=C sudo -H -n -u root -- sh -c "),
        "{text}"
    );
}

#[test]
fn every_way_in_which_sudo_fails_has_words_of_its_own() {
    let explain = |password: Option<&str>, code: u32, stderr: &str| {
        let wrapped =
            wrap::privilege(Command::new("id"), &become_root(password), "ubuntu", "h").unwrap();
        let output = Output {
            status: crate::connect::ExitStatus::Code(code),
            stdout: Vec::new(),
            stderr: stderr.into(),
        };
        wrapped
            .judge(output, "ubuntu@h:22")
            .unwrap_err()
            .to_string()
    };
    let cases = [
        (
            None,
            127,
            "env: 'sudo': No such file or directory\n",
            "`sudo` is not installed",
        ),
        (
            None,
            1,
            "sudo: a password is required\n",
            "asks for a password and none was given",
        ),
        (
            None,
            1,
            "sudo: sorry, you must have a tty to run sudo\n",
            "requiretty",
        ),
        (
            Some("x"),
            1,
            "Sorry, try again.\nsudo: 3 incorrect password attempts\n",
            "did not take the password",
        ),
        (
            Some("x"),
            1,
            "sudo: no password was provided\nsudo: 1 incorrect password attempt\n",
            "did not take the password",
        ),
        (
            Some("x"),
            1,
            "ubuntu is not in the sudoers file.\n",
            "not allowed to by sudoers",
        ),
        (
            Some("x"),
            1,
            "sudo: unknown user nobody2\n",
            "no user `root`",
        ),
        (
            Some("x"),
            1,
            "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n",
            "sudo itself does not work",
        ),
        (Some("x"), 1, "something new\n", "something new"),
    ];
    for (password, code, stderr, words) in cases {
        let message = explain(password, code, stderr);
        assert!(message.contains(words), "{stderr} -> {message}");
        assert!(
            message.starts_with("become `root` on ubuntu@h:22: "),
            "{message}"
        );
    }
}

/// A user of this machine for the time of a test, with a rule in sudoers.
struct Tester {
    name: String,
    rule: String,
}

impl Tester {
    /// `None`, with words, where this machine does not let us.
    fn new(kind: &str, rule: &str) -> Option<Self> {
        Self::with_shell(kind, rule, "/bin/sh")
    }

    /// With another login shell.
    fn with_shell(kind: &str, rule: &str, shell: &str) -> Option<Self> {
        let name = format!("kk{kind}{}", std::process::id());
        let has_sudo = Program::new("sudo").arg("-V").output().is_ok();
        let made = has_sudo
            && rustix::process::geteuid().is_root()
            && Program::new("useradd")
                .args(["-M", "-s", shell, &name])
                .status()
                .is_ok_and(|status| status.success());
        if !made {
            eprintln!("SKIPPED: needs root, sudo and useradd on this machine");
            return None;
        }
        let mut chpasswd = Program::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(
            &mut chpasswd.stdin.take().unwrap(),
            format!("{name}:right one\n").as_bytes(),
        )
        .unwrap();
        assert!(chpasswd.wait().unwrap().success());
        let file = format!("/etc/sudoers.d/{name}");
        std::fs::write(&file, rule.replace("USER", &name)).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o440))
            .unwrap();
        Some(Self { name, rule: file })
    }

    fn session(&self, folder: &std::path::Path, password: Option<&str>) -> Session {
        let connector = ShellConnector {
            shell: vec!["su".into(), self.name.clone(), "-c".into()],
            user: self.name.clone(),
            ..ShellConnector::new()
        };
        super::testing::session_on(Arc::new(connector), folder).with_become(become_root(password))
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.rule);
        let _ = Program::new("userdel")
            .arg(&self.name)
            .stderr(Stdio::null())
            .status();
    }
}

#[tokio::test]
async fn real_sudo_takes_the_password_from_standard_input() {
    let Some(tester) = Tester::new(
        "p",
        "Defaults:USER timestamp_timeout=5\nUSER ALL=(ALL) ALL\n",
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let session = tester.session(folder.path(), Some("right one"));
    // The second time sudo may still remember, and the password must not become input.
    for _ in 0..2 {
        let output = session
            .run(
                Command::script("id -un; cat; echo said >&2; exit 7", [""; 0]),
                Bytes::from_static(b"data\nmore"),
            )
            .await
            .unwrap();
        assert_eq!(output.status.code(), 7);
        assert_eq!(output.stdout_text(), "root\ndata\nmore");
        assert_eq!(output.stderr_text(), "said\n");
    }
    let file = folder.path().join("written");
    session
        .write_file(
            file.to_str().unwrap(),
            &Bytes::from_static(b"x\n"),
            0o600,
            None,
            None,
        )
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"x\n");
    let source = folder.path().join("source");
    std::fs::write(&source, vec![9_u8; 2_000_000]).unwrap();
    let Sums { sha256, size, .. } = Sums::of_file(&source).unwrap();
    let dest = folder.path().join("dest").to_str().unwrap().to_owned();
    let upload = Upload {
        source,
        sha256,
        size,
        dest: dest.clone(),
        mode: 0o755,
        owner: None,
        group: None,
    };
    session.upload(&upload, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(dest).unwrap().len(), 2_000_000);

    let wrong = tester.session(folder.path(), Some("wrong one"));
    Program::new("su")
        .args([&tester.name, "-c", "sudo -K"])
        .status()
        .unwrap();
    let error = wrong.probe(Command::new("id")).await.unwrap_err();
    assert!(
        error.to_string().contains("did not take the password"),
        "{error}"
    );
    let none = tester.session(folder.path(), None);
    let error = none.probe(Command::new("id")).await.unwrap_err();
    assert!(error.to_string().contains("none was given"), "{error}");
}

#[tokio::test]
async fn real_sudo_that_asks_nothing_does_not_leak_the_password_into_the_input() {
    let Some(tester) = Tester::new("n", "USER ALL=(ALL) NOPASSWD: ALL\n") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for password in [Some("right one"), Some("not even right"), None] {
        let session = tester.session(folder.path(), password);
        let output = session
            .run(Command::new("cat"), Bytes::from_static(b"data"))
            .await
            .unwrap();
        assert_eq!(
            (output.stdout_text().as_str(), output.stderr_text().as_str()),
            ("data", "")
        );
    }
    let cancel = CancellationToken::new();
    let session = tester
        .session(folder.path(), None)
        .with_cancel(cancel.clone());
    let file = folder.path().join("pid").to_str().unwrap().to_owned();
    let step = session.run(
        Command::script(
            "echo $$ >\"$1.new\"; mv \"$1.new\" \"$1\"; sleep 321",
            [file.clone()],
        ),
        Bytes::new(),
    );
    let give_up = async {
        while !std::path::Path::new(&file).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(step, give_up);
    assert_eq!(result, Err(TransportError::Cancelled));
    let pid = std::fs::read_to_string(&file).unwrap();
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    assert!(
        status.is_empty() || status.contains("State:\tZ"),
        "root's step still runs"
    );
}

#[tokio::test]
async fn real_sudo_refuses_who_is_not_allowed() {
    let Some(tester) = Tester::new("x", "# USER has no rule\n") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let session = tester.session(folder.path(), Some("right one"));
    let error = session
        .run(Command::new("id"), Bytes::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not allowed to by sudoers"),
        "{error}"
    );
    assert!(error.did_not_run());
}

#[tokio::test]
async fn real_su_runs_the_same_under_every_login_shell() {
    for (number, shell) in ["sh", "bash", "fish", "csh", "tcsh", "zsh"]
        .iter()
        .enumerate()
    {
        let path = format!("/bin/{shell}");
        if !std::path::Path::new(&path).exists() {
            eprintln!("SKIPPED su to a user of {shell}: it is not installed");
            continue;
        }
        let Some(tester) = Tester::with_shell(&format!("su{number}"), "# none\n", &path) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let root = super::testing::session_on(Arc::new(ShellConnector::new()), folder.path());
        let session = root.with_become(Become {
            user: Some(tester.name.clone()),
            method: Method::Su,
            ..Become::default()
        });
        // An empty line in front of the data stands for the password that root is not asked for.
        let script = "id -un; cat; printf '%s\\n' \"$1\" \"it's !x\"; echo said >&2; exit 7";
        let output = session
            .run(
                Command::script(script, ["a \\ 'b'! $HOME\n\"c\""]),
                Bytes::from_static(b"\ndata\n"),
            )
            .await
            .unwrap();
        assert_eq!(output.status.code(), 7, "{shell}: {output:?}");
        let expected = format!("{}\n\ndata\na \\ 'b'! $HOME\n\"c\"\nit's !x\n", tester.name);
        assert_eq!(output.stdout_text(), expected, "{shell}");
        assert_eq!(output.stderr_text(), "said\n", "{shell}");
    }
}

#[tokio::test]
async fn real_su_says_why_it_cannot() {
    let Some(locked) = Tester::with_shell("sl", "# none\n", "/usr/sbin/nologin") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let as_user = |session: Session, user: &str, password: Option<&str>, flags: &[&str]| {
        session.with_become(Become {
            user: Some(user.to_owned()),
            password: password.map(|text| Secret::new(text.to_owned())),
            method: Method::Su,
            flags: Some(flags.iter().map(|flag| (*flag).to_owned()).collect()),
            executable: None,
        })
    };
    let root = super::testing::session_on(Arc::new(ShellConnector::new()), folder.path());
    for (session, words) in [
        (
            as_user(root.clone(), &locked.name, None, &[]),
            "has no login shell",
        ),
        (
            as_user(root.clone(), "kk-is-nobody", None, &[]),
            "there is no user `kk-is-nobody`",
        ),
    ] {
        let error = session.probe(Command::new("id")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.did_not_run());
    }
    let output = as_user(root, &locked.name, None, &["-s", "/bin/sh"])
        .probe(Command::new("id -un"))
        .await
        .unwrap();
    assert_eq!(output.stdout_text(), format!("{}\n", locked.name));

    let Some(asks) = Tester::new("sa", "# none\n") else {
        return;
    };
    let session = || asks.session(folder.path(), None);
    let output = as_user(
        session(),
        &locked.name,
        Some("right one"),
        &["-s", "/bin/sh"],
    )
    .probe_with(Command::new("cat"), Bytes::from_static(b"data"))
    .await;
    // Only root may choose the shell of somebody who has none.
    assert!(output.is_err());
    for (password, words) in [
        (Some("wrong one"), "su did not take the password"),
        (None, "su asks for a password and none was given"),
    ] {
        let error = as_user(session(), "root", password, &[])
            .probe_with(Command::new("cat"), Bytes::from_static(b"data"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
