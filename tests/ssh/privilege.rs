//! Becoming another user over a real connection: sudo, su and doas, whatever the login shell is and says, and in plain
//! words why not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kk::connect::{Command, TransportError, ssh};
use kk::remote::{Become, Method, Session};
use kk::secret::Secret;
use tokio_util::sync::CancellationToken;

use super::people::{PASSWORD, User};
use super::server::{self, Server, run};

/// A file of the system for the time of a test.
pub(super) struct Rule(PathBuf);

impl Rule {
    /// In sudoers; `USER` stands for the user.
    pub(super) fn sudo(user: &User, text: &str) -> Self {
        let path = Path::new("/etc/sudoers.d").join(&user.name);
        fs::write(&path, text.replace("USER", &user.name)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        Self(path)
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether a program is there; says loudly if not.
fn has(program: &str) -> bool {
    let found = ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        eprintln!("SKIPPED: this test needs `{program}`");
    }
    found
}

pub(super) fn can_run() -> bool {
    server::is_available() && server::is_root() && has("sudo")
}

/// A session as this user, who becomes another.
pub(super) async fn session(server: &Server, user: &User, privilege: Become) -> Session {
    let mut options = server.options();
    options.user.clone_from(&user.name);
    let connector = ssh::connect(options)
        .await
        .unwrap_or_else(|error| panic!("{error}: {}", server.log()));
    Session::new(connector, privilege, CancellationToken::new())
        .with_state_dir(server.path("state").to_str().unwrap())
}

pub(super) fn to(user: &str, method: Method, password: Option<&str>) -> Become {
    Become {
        user: Some(user.to_owned()),
        password: password.map(|text| Secret::new(text.to_owned())),
        method,
        ..Become::default()
    }
}

/// What went wrong, and the hint. Nothing of the command may have run.
async fn refusal(session: &Session) -> (String, String) {
    let error = session.probe(Command::new("id")).await.unwrap_err();
    assert!(error.did_not_run(), "{error:?}");
    match error {
        TransportError::Privilege { reason, hint, .. } => (reason, hint),
        other => panic!("{other:?}"),
    }
}

/// Awkward words, input and outputs come through.
async fn works(session: &Session, user: &str) {
    let script = "id -un; cat; printf '%s|' \"$@\"; echo said >&2; exit 7";
    for _ in 0..2 {
        let output = session
            .run(
                Command::script(script, ["it's", "a!b", "c\nd", "\\e\\\\", "$HOME"]),
                Bytes::from_static(b"\ndata\n"),
            )
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.hint()));
        assert_eq!(output.status.code(), 7, "{output:?}");
        assert_eq!(
            output.stdout_text(),
            format!("{user}\n\ndata\nit's|a!b|c\nd|\\e\\\\|$HOME|")
        );
        assert_eq!(output.stderr_text(), "said\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_with_and_without_a_password() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let other = User::new(server.folder.path(), "/bin/sh");
    for (rule, password) in [
        ("USER ALL=(ALL) NOPASSWD: ALL\n", None),
        // It is not asked for, and must not become input.
        ("USER ALL=(ALL) NOPASSWD: ALL\n", Some(PASSWORD)),
        (
            "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n",
            Some(PASSWORD),
        ),
        (
            "Defaults:USER timestamp_timeout=5\nUSER ALL=(ALL) ALL\n",
            Some(PASSWORD),
        ),
    ] {
        let _rule = Rule::sudo(&user, rule);
        for target in ["root", &other.name] {
            let session = session(&server, &user, to(target, Method::Sudo, password)).await;
            works(&session, target).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_which_sudo_refuses_is_told_apart() {
    if !can_run() {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let all = "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n";
    for (rule, password, target, reason, hint) in [
        (
            all,
            None,
            "root",
            "sudo asks for a password and none was given",
            "become_password",
        ),
        (
            all,
            Some("wrong"),
            "root",
            "sudo did not take the password",
            "it is the login user's",
        ),
        (
            all,
            Some(""),
            "root",
            "sudo did not take the password",
            "it is the login user's",
        ),
        (
            all,
            Some(PASSWORD),
            "kk-is-nobody",
            "there is no user `kk-is-nobody`",
            "correct the name",
        ),
        (
            "# nothing\n",
            Some(PASSWORD),
            "root",
            "not allowed to by sudoers",
            "`wheel` group",
        ),
        (
            "USER ALL=(games) NOPASSWD: ALL\n",
            Some(PASSWORD),
            "root",
            "not allowed to by sudoers",
            "`wheel` group",
        ),
        (
            "Defaults:USER requiretty\nUSER ALL=(ALL) NOPASSWD: ALL\n",
            Some(PASSWORD),
            "root",
            "sudo wants a terminal (`requiretty`)",
            "!requiretty",
        ),
    ] {
        let _rule = Rule::sudo(&user, rule);
        let session = session(&server, &user, to(target, Method::Sudo, password)).await;
        let (said, advice) = refusal(&session).await;
        assert!(said.contains(reason), "{reason}: {said}");
        assert!(advice.contains(hint), "{hint}: {advice}");
        assert!(!format!("{said}{advice}").contains(PASSWORD));
    }
    // No sudo at all, and one that is none.
    let _rule = Rule::sudo(&user, all);
    for (program, words) in [
        ("/no/such/sudo", "`sudo` is not installed"),
        ("/bin/false", "sudo ended with status 1 and said nothing"),
    ] {
        let mut privilege = to("root", Method::Sudo, Some(PASSWORD));
        privilege.executable = Some(program.to_owned());
        let (said, _) = refusal(&session(&server, &user, privilege).await).await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_locked_is_told_from_a_wrong_password() {
    if !can_run() || !has("chage") {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let _rule = Rule::sudo(
        &user,
        "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n",
    );
    let asks = to("root", Method::Sudo, Some(PASSWORD));
    let session = session(&server, &user, asks).await;
    works(&session, "root").await;
    // The connection is up: what follows happens to the account meanwhile.
    run("chage", &["-E", "0", &user.name]);
    let (said, hint) = refusal(&session).await;
    assert!(said.contains("is locked or has expired"), "{said}");
    assert!(hint.contains("chage -l"), "{hint}");
    run("chage", &["-E", "-1", &user.name]);
    works(&session, "root").await;
    run("chage", &["-d", "0", &user.name]);
    let (said, _) = refusal(&session).await;
    assert!(said.contains("is locked or has expired"), "{said}");
    run("chage", &["-d", "2026-01-01", &user.name]);
    run("passwd", &["-q", "-l", &user.name]);
    let (said, hint) = refusal(&session).await;
    assert!(said.contains("did not take the password"), "{said}");
    assert!(hint.contains("login user's"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn su_with_a_password_and_every_way_in_which_it_refuses() {
    if !can_run() || !has("chage") {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let other = User::new(server.folder.path(), "/bin/sh");
    let as_other = to(&other.name, Method::Su, Some(PASSWORD));
    let session_of = async |privilege| session(&server, &user, privilege).await;
    works(&session_of(as_other.clone()).await, &other.name).await;
    for (target, password, reason) in [
        (
            other.name.as_str(),
            Some("wrong"),
            "su did not take the password",
        ),
        (
            other.name.as_str(),
            None,
            "su asks for a password and none was given",
        ),
        (
            "kk-is-nobody",
            Some(PASSWORD),
            "there is no user `kk-is-nobody`",
        ),
    ] {
        let (said, _) = refusal(&session_of(to(target, Method::Su, password)).await).await;
        assert!(said.contains(reason), "{said}");
    }
    run("chage", &["-E", "0", &other.name]);
    let (said, _) = refusal(&session_of(as_other.clone()).await).await;
    assert!(said.contains("is locked or has expired"), "{said}");
    let mut missing = as_other;
    missing.executable = Some("/no/such/su".to_owned());
    let (said, _) = refusal(&session_of(missing).await).await;
    assert!(said.contains("`su` is not there"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doas_and_every_way_in_which_it_refuses() {
    if !can_run() || !has("doas") {
        return;
    }
    let path = Path::new("/etc/doas.conf");
    assert!(
        !path.exists(),
        "this machine has a configuration of doas of its own"
    );
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let other = User::new(server.folder.path(), "/bin/sh");
    let session_of = async |target: &str, password| {
        session(&server, &user, to(target, Method::Doas, password)).await
    };
    let (said, hint) = refusal(&session_of("root", None).await).await;
    assert!(said.contains("no configuration that it trusts"), "{said}");
    assert!(hint.contains("/etc/doas.conf"), "{hint}");
    let rule = |text: &str, mode: u32| {
        fs::write(path, text.replace("USER", &user.name)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        Rule(path.to_owned())
    };
    {
        let _rule = rule("permit nopass USER\n", 0o600);
        for target in ["root", &other.name] {
            works(&session_of(target, None).await, target).await;
            // It is not asked for, and must not become input.
            works(&session_of(target, Some(PASSWORD)).await, target).await;
        }
        let (said, _) = refusal(&session_of("kk-is-nobody", None).await).await;
        assert!(said.contains("there is no user `kk-is-nobody`"), "{said}");
        let mut missing = to("root", Method::Doas, None);
        missing.executable = Some("/no/such/doas".to_owned());
        let (said, _) = refusal(&session(&server, &user, missing).await).await;
        assert!(said.contains("`doas` is not installed"), "{said}");
    }
    for (text, mode, reason) in [
        (
            "permit USER\n",
            0o600,
            "doas asks for a password, which it reads from a terminal only",
        ),
        (
            "permit nopass USER as nobody\n",
            0o600,
            "not allowed to by doas.conf",
        ),
        ("deny USER\n", 0o600, "not allowed to by doas.conf"),
        (
            "permit nopass USER\n",
            0o666,
            "no configuration that it trusts",
        ),
        (
            "permit nonsense nonsense\n",
            0o600,
            "no configuration that it trusts",
        ),
    ] {
        let _rule = rule(text, mode);
        let (said, _) = refusal(&session_of("root", Some(PASSWORD)).await).await;
        assert!(said.contains(reason), "{text}: {said}");
        assert!(!said.contains(PASSWORD));
    }
}

/// Start files that talk, fail, wait for nobody and change what a shell is.
#[tokio::test(flavor = "multi_thread")]
async fn privilege_whatever_the_login_shell_is_and_says() {
    if !can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let banner = "sudo: 3 incorrect password attempts\nkk-0000\n".repeat(20);
    let server = Server::with_banner(folder.path(), &banner).await;
    let noise = "echo Welcome\necho 'sudo: a password is required'\necho 'Last login: now'\n";
    let mut checked = 0;
    for (shell, file, content) in [
        (
            "/bin/bash",
            ".bashrc",
            format!("{noise}echo odd >&2\nset -u\nalias cat=false\nfalse\n"),
        ),
        (
            "/bin/csh",
            ".cshrc",
            format!("{noise}alias cat false\nset noclobber\n"),
        ),
        ("/bin/tcsh", ".tcshrc", format!("{noise}alias cat false\n")),
        (
            "/usr/bin/fish",
            ".config/fish/config.fish",
            format!("{noise}echo odd >&2\nfunction cat; false; end\n"),
        ),
        (
            "/usr/bin/zsh",
            ".zshenv",
            format!("{noise}echo odd >&2\nsetopt noclobber\nalias cat=false\n"),
        ),
    ] {
        if !has(shell.rsplit('/').next().unwrap()) {
            continue;
        }
        let user = User::new(server.folder.path(), shell);
        let start = user.home.join(file);
        fs::create_dir_all(start.parent().unwrap()).unwrap();
        fs::write(&start, content).unwrap();
        run("chown", &["-R", &user.name, user.home.to_str().unwrap()]);
        let _rule = Rule::sudo(
            &user,
            "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n",
        );
        let asks = to("root", Method::Sudo, Some(PASSWORD));
        works(&session(&server, &user, asks).await, "root").await;
        let wrong = to("root", Method::Sudo, Some("wrong"));
        let (said, _) = refusal(&session(&server, &user, wrong).await).await;
        assert!(
            said.contains("did not take the password"),
            "{shell}: {said}"
        );
        // And to a user who has such a shell.
        let root = Session::new(
            ssh::connect(server.options()).await.unwrap(),
            to(&user.name, Method::Su, None),
            CancellationToken::new(),
        );
        let output = root.probe(Command::new("id -un")).await.unwrap();
        assert!(
            output.stdout_text().ends_with(&format!("{}\n", user.name)),
            "{shell}: {output:?}"
        );
        checked += 1;
    }
    assert!(checked >= 3, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_costs_no_round_trip_of_its_own() {
    if !can_run() {
        return;
    }
    let server = Server::with("LogLevel DEBUG3");
    let user = User::new(server.folder.path(), "/bin/sh");
    let _rule = Rule::sudo(&user, "USER ALL=(ALL) NOPASSWD: ALL\n");
    let count = |text: &str| server.log().matches(text).count();
    let mut costs = Vec::new();
    for privilege in [Become::default(), to("root", Method::Sudo, None)] {
        let session = session(&server, &user, privilege).await;
        session.probe(Command::new("true")).await.unwrap();
        let before = (count("Starting session: "), count(": sent ext data "));
        for _ in 0..5 {
            session.probe(Command::new("true")).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        costs.push((
            count("Starting session: ") - before.0,
            count(": sent ext data ") - before.1,
        ));
    }
    assert_eq!(costs[0].0, 0, "{costs:?}");
    assert_eq!(costs[1].0, 0, "{costs:?}");
    // Standard error carries the end of a command, and the gate's mark: not one answer more for each.
    assert!(costs[0].1 <= 5 && costs[1].1 <= 10, "{costs:?}");
}
