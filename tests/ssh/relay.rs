//! Hosts that serve a package to their neighbours: one copy goes over the line from here, nothing is left on any host, and
//! whatever goes wrong between them is made good from here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kk::connect::ssh::{SshOptions, connect};
use kk::remote::{Become, Method, Relay, Session, Upload};
use tokio_util::sync::CancellationToken;

use super::files::{assert_arrived, sha256_of_file, upload_of};
use super::people::{PASSWORD, User};
use super::privilege::{self, Rule, to};
use super::proxy::Proxy;
use super::runs::Play;
use super::server::{self, Server, Setup, public_key, run};

const SIZE: u64 = 18 * 1024 * 1024 + 5;

/// A package, and what the relay warned of.
struct Stage {
    folder: tempfile::TempDir,
    package: Upload,
    relay: Relay,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let package = folder.path().join("package");
        let mut bytes = vec![0_u8; usize::try_from(SIZE).unwrap()];
        rand::fill(&mut bytes[..]);
        fs::write(&package, bytes).unwrap();
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&warnings);
        Self {
            package: upload_of(package, Path::new("")),
            folder,
            relay: Relay::new(move |words| noted.lock().unwrap().push(words)),
            warnings,
        }
    }

    fn upload(&self, dest: &Path) -> Upload {
        Upload {
            dest: dest.to_str().unwrap().to_owned(),
            ..self.package.clone()
        }
    }

    async fn session(&self, mut options: SshOptions, privilege: Become) -> Session {
        options.lends_keys = true;
        let connector = connect(options).await.unwrap();
        Session::new(connector, privilege, CancellationToken::new())
            .with_relay(Some(self.relay.clone()))
    }

    async fn session_on(&self, server: &Server) -> Session {
        self.session(server.options(), Become::default()).await
    }

    /// Sends the package; answers how many bytes went from here.
    async fn send(&self, session: &Session, dest: &Path) -> u64 {
        let upload = self.upload(dest);
        let sent = session
            .upload(&upload, &|_, _| {})
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.warned()));
        assert_arrived(&upload);
        sent
    }

    fn warned(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
}

/// Servers whose files of keys end with and without a line break.
fn servers(count: usize) -> Vec<(Server, Vec<u8>)> {
    (0..count)
        .map(|number| {
            let server = Server::start();
            let file = server.path("authorized_keys");
            let mut keys = fs::read_to_string(&file).unwrap();
            keys.insert_str(0, "# of the user\n");
            if number % 2 == 0 {
                keys.truncate(keys.trim_end().len());
            }
            fs::write(&file, &keys).unwrap();
            (server, keys.into_bytes())
        })
        .collect()
}

fn assert_keys_as_before(servers: &[(Server, Vec<u8>)]) {
    for (number, (server, keys)) in servers.iter().enumerate() {
        let now = fs::read(server.path("authorized_keys")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&now),
            String::from_utf8_lossy(keys),
            "host {number}"
        );
    }
}

/// Three hosts, the first of which has the package and is reached over a line that a test commands.
async fn the_first_over_a_line() -> (Stage, Vec<(Server, Vec<u8>)>, Proxy, Session) {
    let (stage, servers) = (Stage::new(), servers(3));
    let first = &servers[0].0;
    let proxy = Proxy::new(first, Duration::ZERO).await;
    let session = stage.session(proxy.options(first), Become::default()).await;
    assert_eq!(stage.send(&session, &first.path("package")).await, SIZE);
    (stage, servers, proxy, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_goes_from_here_and_the_hosts_serve_each_other() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(6);
    stage.relay.expect(servers.len());
    let mut sessions = Vec::new();
    for (server, _) in &servers {
        sessions.push(stage.session_on(server).await);
    }
    let sending = sessions.iter().zip(&servers).map(|(session, (server, _))| {
        let dest = server.path("a 'package' of 100%");
        let stage = &stage;
        async move { stage.send(session, &dest).await }
    });
    let sent: Vec<u64> = futures::future::join_all(sending).await;
    assert_eq!(stage.warned(), Vec::<String>::new());
    assert_eq!(sent.iter().sum::<u64>(), SIZE, "{sent:?}");
    let served: Vec<usize> = servers
        .iter()
        .map(|(server, _)| server.logins() - 1)
        .collect();
    assert_eq!(served.iter().sum::<usize>(), 5, "{served:?}");
    assert!(
        served.iter().filter(|count| **count > 0).count() > 1,
        "{served:?}"
    );
    stage.relay.release().await;
    assert_keys_as_before(&servers);
    for (server, _) in &servers {
        let owner = fs::metadata(server.path("a 'package' of 100%"))
            .unwrap()
            .uid();
        assert_eq!(owner.to_string(), run("id", &["-u"]).trim());
        assert!(
            !server.log().contains("Failed publickey"),
            "{}",
            server.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_is_a_line_that_reads_one_file_and_is_cut_off_again() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(1);
    let (server, keys) = &servers[0];
    let session = stage.session_on(server).await;
    let dest = server.path("package");
    stage.send(&session, &dest).await;
    let file = server.path("authorized_keys");
    let now = fs::read_to_string(&file).unwrap();
    let added = now
        .strip_prefix(std::str::from_utf8(keys).unwrap())
        .unwrap();
    let line = added.trim();
    assert!(line.starts_with("restrict,expiry-time=\"20"), "{line}");
    assert!(line.contains(",command=\"cat /proc/"), "{line}");
    assert!(line.contains("/fd/4\" ssh-ed25519 "), "{line}");
    assert_eq!(added.lines().filter(|line| !line.is_empty()).count(), 1);
    // A later step takes the file away: whoever has the right reads it all the same.
    fs::remove_file(&dest).unwrap();
    let path = line
        .split("cat ")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(sha256_of_file(path).0, stage.package.sha256);
    // Somebody else adds a key meanwhile.
    fs::write(&file, format!("{now}ssh-ed25519 AAAA of-another\n")).unwrap();
    stage.relay.release().await;
    let text = String::from_utf8(keys.clone()).unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("{text}\nssh-ed25519 AAAA of-another\n")
    );
    assert!(!Path::new(path).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rights_leave_a_file_of_keys_as_it_was_before_the_first() {
    if !server::is_available() {
        return;
    }
    // One that ends without a line break.
    let servers = servers(1);
    let (server, _) = &servers[0];
    serve_two_files(server).await;
    assert_keys_as_before(&servers);
    // One that is not there, and its folder neither.
    let folder = tempfile::tempdir().unwrap();
    let (made, login) = (folder.path().join("made"), folder.path().join("login"));
    let server = Server::with(&format!(
        "AuthorizedKeysFile {} {}",
        made.join("keys").display(),
        login.display()
    ));
    fs::write(&login, format!("{}\n", public_key(&server.path("user")))).unwrap();
    serve_two_files(&server).await;
    assert!(!made.exists());
}

/// Lets a host serve two files at once, and no more.
async fn serve_two_files(server: &Server) {
    let stage = Stage::new();
    let session = stage.session_on(server).await;
    let first = stage.upload(&server.path("package"));
    let source = stage.folder.path().join("another");
    let mut bytes = fs::read(&first.source).unwrap();
    bytes[0] ^= 1;
    fs::write(&source, bytes).unwrap();
    let second = upload_of(source, &server.path("another"));
    let files = [&first, &second].map(|upload| session.upload(upload, &|_, _| {}));
    for sent in futures::future::join_all(files).await {
        assert_eq!(sent.unwrap(), SIZE);
    }
    assert_eq!(stage.warned(), Vec::<String>::new());
    stage.relay.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_that_died_has_left_is_taken_away_by_the_next_run() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(1);
    let (server, keys) = &servers[0];
    let file = server.path("authorized_keys");
    let text = String::from_utf8(keys.clone()).unwrap();
    let here: String = run("uname", &["-n"])
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let left = |host: &str| {
        format!(
            "restrict,command=\"cat /proc/4194303/fd/4\" ssh-ed25519 AAAA kk-relay-{host}-4194303-0123456789abcdef\n"
        )
    };
    // The home may be another host's too.
    let others = left("another");
    fs::write(&file, format!("{text}\n{}{others}", left(&here))).unwrap();
    let session = stage.session_on(server).await;
    stage.send(&session, &server.path("package")).await;
    stage.relay.release().await;
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("{text}\n{others}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_with_another_host_key_is_refused() {
    if !server::is_available() {
        return;
    }
    let (stage, servers, proxy, _first) = the_first_over_a_line().await;
    // Whoever has its address now is another.
    proxy.lead_to(&servers[2].0);
    let second = stage.session_on(&servers[1].0).await;
    assert_eq!(
        stage.send(&second, &servers[1].0.path("package")).await,
        SIZE
    );
    let warned = stage.warned();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("ost key verification failed")
            || warned[0].contains("IDENTIFICATION HAS CHANGED")
            || warned[0].contains("@@@@"),
        "{warned:?}"
    );
    assert_eq!(servers[2].0.logins(), 0);
    stage.relay.release().await;
    assert_keys_as_before(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_sends_something_else_is_found_out_and_serves_nobody_any_more() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(3);
    let dest = |number: usize| servers[number].0.path("package");
    let first = stage.session_on(&servers[0].0).await;
    assert_eq!(stage.send(&first, &dest(0)).await, SIZE);
    {
        use std::io::{Seek as _, SeekFrom, Write as _};
        let mut file = fs::OpenOptions::new().write(true).open(dest(0)).unwrap();
        file.seek(SeekFrom::Start(SIZE / 2)).unwrap();
        file.write_all(b"something else").unwrap();
    }
    let second = stage.session_on(&servers[1].0).await;
    assert_eq!(stage.send(&second, &dest(1)).await, SIZE);
    let warned = stage.warned();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("what it sent is another file"),
        "{warned:?}"
    );
    let third = stage.session_on(&servers[2].0).await;
    assert_eq!(stage.send(&third, &dest(2)).await, 0);
    assert_eq!((servers[0].0.logins(), servers[1].0.logins()), (2, 2));
    stage.relay.release().await;
    assert_keys_as_before(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_cannot_fetch_get_it_from_here_and_are_not_asked_again() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(2);
    let first = stage.session_on(&servers[0].0).await;
    let dest = |number: usize| servers[number].0.path("package");
    assert_eq!(stage.send(&first, &dest(0)).await, SIZE);
    // No client.
    let programs = servers[1].0.path("programs");
    fs::create_dir(&programs).unwrap();
    for entry in fs::read_dir("/usr/bin").unwrap().map(Result::unwrap) {
        if entry.file_name() != "ssh" {
            std::os::unix::fs::symlink(entry.path(), programs.join(entry.file_name())).unwrap();
        }
    }
    let path = programs.to_str().unwrap().to_owned();
    let second = stage
        .session_on(&servers[1].0)
        .await
        .with_environment(&[("PATH".to_owned(), path)]);
    assert_eq!(stage.send(&second, &dest(1)).await, SIZE);
    let warned = stage.warned();
    assert!(warned[0].contains("there is no `ssh` on it"), "{warned:?}");
    // The same host once more: it is known by then.
    let other = servers[1].0.path("other");
    assert_eq!(stage.send(&second, &other).await, SIZE);
    // No agent.
    let closed = Server::with("AllowAgentForwarding no");
    let third = stage.session_on(&closed).await;
    assert_eq!(stage.send(&third, &closed.path("package")).await, SIZE);
    let warned = stage.warned();
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(
        warned[1].contains("its sshd forwards no agent"),
        "{warned:?}"
    );
    stage.relay.release().await;
    assert_keys_as_before(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_cannot_be_reached_or_breaks_off_is_made_good_from_here() {
    if !server::is_available() {
        return;
    }
    let (stage, servers, proxy, _first) = the_first_over_a_line().await;
    // The host is lost when a third of it has been handed on.
    proxy.end_after(SIZE / 3, false);
    let second = stage.session_on(&servers[1].0).await;
    let sent = stage.send(&second, &servers[1].0.path("package")).await;
    // What had arrived is not sent again.
    assert!(sent > SIZE / 3 && sent < SIZE - SIZE / 6, "{sent}");
    let warned = stage.warned();
    assert_eq!(warned.len(), 1, "{warned:?}");
    // Another address for neighbours, where nobody listens.
    let third = {
        let mut options = servers[2].0.options();
        options.neighbours_address = Some("127.99.99.99".to_owned());
        stage.session(options, Become::default()).await
    };
    assert_eq!(stage.send(&third, &servers[2].0.path("package")).await, 0);
    stage.relay.release().await;
    let began = Instant::now();
    while fs::read(servers[0].0.path("authorized_keys")).unwrap() != servers[0].1 {
        assert!(began.elapsed() < Duration::from_secs(10), "the line stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_keys_as_before(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_kept_from_each_other_stop_trying() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(4);
    for (server, _) in &servers {
        let mut options = server.options();
        // Nobody listens there.
        options.neighbours_address = Some("127.99.99.99".to_owned());
        let session = stage.session(options, Become::default()).await;
        assert_eq!(stage.send(&session, &server.path("package")).await, SIZE);
    }
    let warned = stage.warned();
    let hopeless = warned
        .iter()
        .filter(|words| words.starts_with("no host gets to its neighbours"));
    assert_eq!((warned.len(), hopeless.count()), (4, 1), "{warned:?}");
    assert!(warned[0].contains("Connection refused"), "{warned:?}");
    stage.relay.release().await;
    assert_keys_as_before(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_makes_room_for_commands_where_few_sessions_are_allowed() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let server = Server::with("MaxSessions 1");
    let before = fs::read(server.path("authorized_keys")).unwrap();
    let session = stage.session_on(&server).await;
    stage.send(&session, &server.path("package")).await;
    let warned = stage.warned();
    assert!(
        warned[0].contains("it allows too few sessions"),
        "{warned:?}"
    );
    let began = Instant::now();
    let output = session
        .run(kk::connect::Command::new("echo here"), bytes::Bytes::new())
        .await
        .unwrap();
    assert_eq!(output.stdout_text(), "here\n");
    assert!(began.elapsed() < Duration::from_secs(10));
    stage.relay.release().await;
    assert_eq!(fs::read(server.path("authorized_keys")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_file_of_keys_cannot_be_changed_serves_nobody() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    let stage = Stage::new();
    let user = User::new(stage.folder.path(), "/bin/sh");
    for number in 0..5 {
        let (server, keys) = server_of(&user, number);
        run("chown", &["root", keys.to_str().unwrap()]);
        run("chmod", &["644", keys.to_str().unwrap()]);
        let mut options = server.options();
        options.user.clone_from(&user.name);
        let session = stage.session(options, Become::default()).await;
        let dest = user.home.join(format!("package-{number}"));
        assert_eq!(stage.send(&session, &dest).await, SIZE);
    }
    // The others are not asked any more, and wait for nobody.
    let warned = stage.warned();
    let denied = |words: &String| words.contains("Permission denied");
    assert!(warned.len() == 3 && warned.iter().all(denied), "{warned:?}");
    stage.relay.release().await;
}

/// A server, and the file of keys in the user's home that it looks into.
fn server_of(user: &User, number: usize) -> (Server, PathBuf) {
    let keys = user.home.join(format!("keys-{number}"));
    let server = Server::set_up(&Setup {
        config: format!("AuthorizedKeysFile {}\n", keys.display()),
        ..Setup::default()
    });
    fs::write(&keys, format!("{}\n", public_key(&server.path("user")))).unwrap();
    run("chown", &[&user.name, keys.to_str().unwrap()]);
    (server, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_any_shell_serve_and_fetch_without_more_rights() {
    if !server::is_available() || !server::is_root() {
        return;
    }
    for shell in ["/bin/sh", "/bin/bash", "/usr/bin/fish", "/bin/tcsh"] {
        if !Path::new(shell).exists() {
            eprintln!("SKIPPED: there is no {shell}");
            continue;
        }
        let stage = Stage::new();
        let user = User::new(stage.folder.path(), shell);
        let mut sent = 0;
        let mut hosts = Vec::new();
        for number in 0..2 {
            let (server, keys) = server_of(&user, number);
            let before = fs::read(&keys).unwrap();
            let mut options = server.options();
            options.user.clone_from(&user.name);
            let session = stage.session(options, Become::default()).await;
            let dest = user.home.join(format!("package-{number}"));
            sent += stage.send(&session, &dest).await;
            let owner = run("stat", &["-c", "%U", dest.to_str().unwrap()]);
            assert_eq!(owner.trim(), user.name);
            hosts.push((server, session, keys, before));
        }
        assert_eq!(stage.warned(), Vec::<String>::new(), "{shell}");
        assert_eq!(sent, SIZE, "{shell}");
        stage.relay.release().await;
        for (_, _, keys, before) in &hosts {
            assert_eq!(&fs::read(keys).unwrap(), before, "{shell}");
        }
        drop(hosts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_root_are_served_and_fetched_by_users_who_become_root() {
    if !privilege::can_run() {
        return;
    }
    let stage = Stage::new();
    let user = User::new(stage.folder.path(), "/bin/sh");
    let _rule = Rule::sudo(&user, "USER ALL=(ALL) ALL\n");
    let mut hosts = Vec::new();
    for number in 0..3 {
        let (server, keys) = server_of(&user, number);
        let closed = server.path("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let mut options = server.options();
        options.user.clone_from(&user.name);
        let privilege = to("root", Method::Sudo, Some(PASSWORD));
        let session = stage.session(options, privilege).await;
        hosts.push((server, keys, session));
    }
    let before: Vec<Vec<u8>> = hosts
        .iter()
        .map(|(_, keys, _)| fs::read(keys).unwrap())
        .collect();
    let sending = hosts.iter().map(|(server, _, session)| {
        let stage = &stage;
        async move { stage.send(session, &server.path("closed/package")).await }
    });
    let sent: Vec<u64> = futures::future::join_all(sending).await;
    assert_eq!(stage.warned(), Vec::<String>::new());
    assert_eq!(sent.iter().sum::<u64>(), SIZE, "{sent:?}");
    stage.relay.release().await;
    for ((server, keys, _), before) in hosts.iter().zip(before) {
        assert_eq!(fs::read(keys).unwrap(), before);
        assert_eq!(
            fs::metadata(server.path("closed/package")).unwrap().uid(),
            0
        );
    }
    let left: Vec<String> = fs::read_dir("/tmp")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let holder = fs::read_to_string(entry.path().join("holder")).unwrap_or_default();
            entry.file_name().to_string_lossy().starts_with("kk-relay-")
                && !Path::new("/proc").join(holder.trim()).exists()
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Whether one of its sessions still runs a client.
fn is_fetching(server: &Server) -> bool {
    server.sessions().iter().any(|id| {
        let program = fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default();
        program.ends_with("ssh")
    })
}

fn has_right(server: &Server) -> bool {
    let keys = fs::read_to_string(server.path("authorized_keys")).unwrap();
    keys.contains("kk-relay-")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_leaves_no_right_behind_and_the_next_run_does_the_rest() {
    if !server::is_available() {
        return;
    }
    let stage = Stage::new();
    let servers = servers(3);
    let task = format!(
        "    - copy: {{src: {}, dest: '{{{{ at }}}}/package', mode: '0640'}}\n",
        stage.package.source.display()
    );
    let play = Play::new(
        servers.iter().map(|(server, _)| (server, server.port)),
        &task,
    );
    let start = || play.start(&["--relay", "-o", "json"]);
    for wait in [0, 60, 120, 200] {
        for (server, _) in &servers {
            let _ = fs::remove_file(server.path("package"));
        }
        let mut killed = start();
        let began = Instant::now();
        while !servers.iter().any(|(server, _)| has_right(server)) {
            assert!(began.elapsed() < Duration::from_secs(60));
            assert!(killed.try_wait().unwrap().is_none(), "it has ended already");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Others begin to fetch, and are in the middle of it.
        tokio::time::sleep(Duration::from_millis(wait)).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        let began = Instant::now();
        while servers
            .iter()
            .any(|(server, _)| has_right(server) || is_fetching(server))
        {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "something is left"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_keys_as_before(&servers);
    }
    let output = start().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent: u64 = report["recap"]
        .as_object()
        .unwrap()
        .values()
        .map(|host| host["bytes_sent"].as_u64().unwrap_or(0))
        .sum();
    // One had all of it; whether another had begun does not matter.
    assert!(sent <= SIZE, "{sent}: {report}");
    for (server, _) in &servers {
        assert_arrived(&stage.upload(&server.path("package")));
    }
    assert_keys_as_before(&servers);
}
