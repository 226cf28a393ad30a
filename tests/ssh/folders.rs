//! Folders with many files to a real host: one request to look, one stream to send.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use kk::connect::ssh::{Pace, SshOptions, connect};
use kk::connect::{Connector, ExecRequest, Output, TransportError};
use kk::modules::{
    Arguments, FileSource, Files, Look, ModuleError, Plan, Step, StepOutput, Verdict, apply_plan,
    spec,
};
use kk::remote::{Become, Method, Session};
use serde_json::{Map, Value, json};

use super::people::{PASSWORD, User};
use super::privilege::{self, Rule, to};
use super::process::is_alone;
use super::proxy::Proxy;
use super::server::{self, Server, session_over};

/// Counts the commands that a host is given.
struct Counting {
    inner: Arc<dyn Connector>,
    commands: AtomicUsize,
    /// The last one, and how many bytes it read.
    last: Mutex<String>,
}

impl Connector for Counting {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.commands.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = request.command.to_string();
        self.inner.exec(request)
    }

    fn round_trip(&self) -> BoxFuture<'_, Option<Duration>> {
        self.inner.round_trip()
    }

    fn pace(&self) -> Option<Arc<Pace>> {
        self.inner.pace()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }

    fn user(&self) -> &str {
        self.inner.user()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn file(&self, src: &str) -> Result<FileSource, ModuleError> {
        Ok(FileSource::Path(src.into()))
    }

    fn template(
        &self,
        src: &str,
        _: &kk::template::Syntax,
        _: &str,
    ) -> Result<String, ModuleError> {
        Err(ModuleError::failed(src))
    }
}

/// What a task does.
async fn plan(session: &Session, arguments: &Value) -> Result<Plan, ModuleError> {
    let spec = spec("copy").unwrap();
    let mut checked = Map::new();
    for (key, value) in arguments.as_object().unwrap() {
        let mut known = spec.arguments.iter();
        let argument = known.find(|argument| argument.name == key).unwrap();
        checked.insert(key.clone(), argument.kind.coerce(value).unwrap());
    }
    let look = Look {
        session,
        host: "node1",
        facts: None,
        files: &NoFiles,
        check_mode: false,
        diff: false,
    };
    let module = (spec.build)(Arguments(checked))?;
    module.plan(&look).await
}

/// Does it; the summary, and how many bytes went.
async fn copy(session: &Session, arguments: &Value) -> Result<(String, u64), ModuleError> {
    let plan = plan(session, arguments).await?;
    let outputs = apply_plan(session, None, &plan, &|_, _| {}).await?;
    let sent = outputs.iter().map(|output| match output {
        StepOutput::Done { bytes_sent } | StepOutput::Wrote { bytes_sent, .. } => *bytes_sent,
        _ => 0,
    });
    let summary = match &plan.verdict {
        Verdict::Change(change) => change.summary.clone(),
        other => format!("{other:?}"),
    };
    Ok((summary, sent.sum()))
}

async fn counted(server: &Server) -> (Arc<Counting>, Session) {
    counted_over(server.options()).await
}

async fn counted_over(options: SshOptions) -> (Arc<Counting>, Session) {
    let counting = Arc::new(Counting {
        inner: connect(options).await.unwrap(),
        commands: AtomicUsize::new(0),
        last: Mutex::default(),
    });
    let connector: Arc<dyn Connector> = Arc::<Counting>::clone(&counting);
    (counting, session_over(connector))
}

/// Everything in a folder: its mode, and what a file holds or a link points at.
fn all_in(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let found = std::fs::symlink_metadata(&path).unwrap();
            let holds = if found.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if found.is_symlink() {
                use std::os::unix::ffi::OsStringExt as _;
                std::fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_vec()
            } else {
                std::fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(folder).unwrap().to_owned();
            all.insert(name, (found.permissions().mode() & 0o7777, holds));
        }
    }
    all
}

/// What both hold, whatever the modes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = all_in(folder).into_iter();
    all.map(|(name, (_, holds))| (name, holds)).collect()
}

/// A folder with so many files in ten others.
fn many(folder: &Path, count: usize) {
    for number in 0..count {
        let below = folder.join(format!("d{}", number % 10));
        std::fs::create_dir_all(&below).unwrap();
        let text = format!("file {number}\n").repeat(number % 7 * 20);
        std::fs::write(below.join(format!("file-{number}.txt")), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_files_take_two_commands_and_none_the_second_time_but_one() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let (counting, session) = counted(&server).await;
    let (source, dest) = (server.path("source"), server.path("dest"));
    many(&source, 1000);
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest, "mode": "0640", "directory_mode": "0750"});
    let began = Instant::now();
    let (summary, sent) = copy(&session, &wanted).await.unwrap();
    eprintln!("1000 files: {:?}", began.elapsed());
    assert!(summary.starts_with("make dest/, make d0/"), "{summary}");
    assert!(summary.ends_with("1007 more"), "{summary}");
    assert_eq!(counting.commands.swap(0, Ordering::Relaxed), 2);
    assert_eq!(contents(&source), contents(&dest));
    let size: usize = contents(&source).values().map(Vec::len).sum();
    assert_eq!(sent, size as u64);
    for (name, (mode, _)) in all_in(&dest) {
        let expected = if name.components().count() == 1 {
            0o750
        } else {
            0o640
        };
        assert_eq!(mode, expected, "{}", name.display());
    }
    // There already.
    let began = Instant::now();
    assert_eq!(
        copy(&session, &wanted).await.unwrap(),
        ("Satisfied".to_owned(), 0)
    );
    eprintln!("1000 files again: {:?}", began.elapsed());
    assert_eq!(counting.commands.swap(0, Ordering::Relaxed), 1);
    // A few have changed: one of the same size, one of another, one is gone, two have another mode.
    std::fs::write(dest.join("d1/file-1.txt"), "File 1\n".repeat(20)).unwrap();
    std::fs::write(dest.join("d2/file-2.txt"), "x").unwrap();
    std::fs::remove_file(dest.join("d3/file-3.txt")).unwrap();
    for path in ["d4/file-4.txt", "d5"] {
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(dest.join(path), mode).unwrap();
    }
    let number = std::fs::metadata(dest.join("d6/file-6.txt")).unwrap().ino();
    let (summary, _) = copy(&session, &wanted).await.unwrap();
    assert_eq!(
        summary,
        "d5/: mode 0700 -> 0750, file-1.txt: content, file-2.txt: content, file-3.txt: create, 1 more"
    );
    assert_eq!(counting.commands.swap(0, Ordering::Relaxed), 2);
    assert_eq!(contents(&source), contents(&dest));
    // What was right was left alone.
    let same = std::fs::metadata(dest.join("d6/file-6.txt")).unwrap().ino();
    assert_eq!(number, same);
    assert_eq!(copy(&session, &wanted).await.unwrap().0, "Satisfied");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_links_are_taken_as_they_are() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let source = server.path("source");
    let long = "l".repeat(250);
    for folder in [
        "-rf",
        "two\nlines",
        "it's \"quoted\" $HOME `id` \\n",
        "kind=absent",
    ] {
        let folder = source.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for name in [
            "-rf",
            "two\nlines",
            "0-\n1:0:0:root:root:644:1:3:regular file",
            "it's \"quoted\" $HOME `id` \\",
            "\\n",
            "--help *",
            "\u{e4} ; exit 3",
            " ",
            "plain",
            &long,
        ] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("two\nlines", folder.join("link")).unwrap();
        std::os::unix::fs::symlink("plain", folder.join("to plain")).unwrap();
    }
    for (takes_tar, dest) in [(true, server.path("-d")), (false, server.path("e e"))] {
        let (counting, session) = counted(&server).await;
        let session = if takes_tar {
            session
        } else {
            session.with_environment(&[("PATH".to_owned(), without(&server, "tar"))])
        };
        let wanted =
            json!({"src": format!("{}/", source.display()), "dest": dest, "local_follow": false});
        copy(&session, &wanted).await.unwrap();
        let commands = counting.commands.swap(0, Ordering::Relaxed);
        assert_eq!(takes_tar, commands == 2, "{commands}");
        assert_eq!(contents(&source), contents(&dest));
        let (summary, sent) = copy(&session, &wanted).await.unwrap();
        // The target of a link with a line break in it cannot be told from another one.
        assert_eq!(sent, 0);
        assert_eq!(summary, "link link, link link, link link, link link");
    }
}

/// A search path with everything but one program.
fn without(server: &Server, program: &str) -> String {
    let folder = server.path("programs");
    std::fs::create_dir_all(&folder).unwrap();
    for place in ["/usr/bin", "/bin"] {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if name != program {
                let _ = std::os::unix::fs::symlink(&path, folder.join(name));
            }
        }
    }
    folder.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_right_and_kept_and_nobody_else_sees_a_file_before() {
    if !privilege::can_run() {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let asks = "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n";
    let _rule = Rule::sudo(&user, asks);
    let (source, dest) = (server.path("source"), server.path("dest"));
    many(&source, 30);
    let root = to("root", Method::Sudo, Some(PASSWORD));
    let session = privilege::session(&server, &user, root).await;
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest, "owner": user.name, "mode": "0600"});
    copy(&session, &wanted).await.unwrap();
    let id = std::fs::metadata(&user.home).unwrap().uid();
    assert_eq!(contents(&source), contents(&dest));
    for (name, _) in all_in(&dest) {
        assert_eq!(
            std::fs::metadata(dest.join(&name)).unwrap().uid(),
            id,
            "{}",
            name.display()
        );
    }
    // Nobody asks for an owner now: it is kept, also by a file that is written anew. A new one is root's.
    std::fs::write(source.join("d1/file-1.txt"), "new").unwrap();
    std::fs::write(source.join("d1/more"), "more").unwrap();
    let group = std::fs::metadata(&user.home).unwrap().gid();
    std::os::unix::fs::chown(dest.join("d2"), None, Some(group)).unwrap();
    std::fs::set_permissions(dest.join("d2"), std::fs::Permissions::from_mode(0o2755)).unwrap();
    std::fs::write(source.join("d2/inherits"), "more").unwrap();
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    copy(&session, &wanted).await.unwrap();
    assert_eq!(contents(&source), contents(&dest));
    for (name, owner, its_group, mode) in [
        ("d1/file-1.txt", id, 0, 0o600),
        ("d1/more", 0, 0, 0o644),
        ("d2/inherits", 0, group, 0o644),
        ("d2/file-2.txt", id, 0, 0o600),
    ] {
        let found = std::fs::metadata(dest.join(name)).unwrap();
        let mode_found = found.permissions().mode() & 0o7777;
        assert_eq!(
            (found.uid(), found.gid(), mode_found),
            (owner, its_group, mode),
            "{name}"
        );
    }
    // As the user, who may not write there.
    let plain = privilege::session(&server, &user, Become::default()).await;
    std::fs::write(source.join("d1/file-1.txt"), "newer").unwrap();
    std::fs::write(source.join("d2/file-2.txt"), "newer").unwrap();
    std::os::unix::fs::chown(&dest, Some(0), Some(0)).unwrap();
    std::os::unix::fs::chown(dest.join("d2"), Some(0), Some(0)).unwrap();
    let error = copy(&plain, &wanted).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("Operation not permitted"), "{said}");
    assert!(
        !all_in(&dest)
            .keys()
            .any(|name| name.to_string_lossy().contains(".kk-new"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_leaves_nothing_behind_and_what_is_there_is_not_sent_again() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let line = Proxy::new(&server, Duration::ZERO).await;
    let (source, dest) = (server.path("source"), server.path("dest"));
    std::fs::create_dir(&source).unwrap();
    for number in 0..15 {
        let bytes: Vec<u8> = (0..10_000_000_u32)
            .map(|at| ((at * number) >> 3).to_le_bytes()[0])
            .collect();
        std::fs::write(source.join(format!("{number:02}")), bytes).unwrap();
    }
    let session = session_over(connect(line.options(&server)).await.unwrap());
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    line.end_after(90_000_000, false);
    let error = copy(&session, &wanted).await.unwrap_err();
    assert!(matches!(error, ModuleError::Transport(_)), "{error}");
    server.no_session_left().await;
    let there = contents(&dest);
    assert_eq!(there.len(), 6, "{:?}", there.keys());
    let all = contents(&source);
    assert!(there.iter().all(|(name, holds)| all[name] == *holds));
    line.mend();
    let (_, sent) = copy(&session, &wanted).await.unwrap();
    assert_eq!(sent, 90_000_000);
    assert_eq!(contents(&source), contents(&dest));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_stream_left_is_taken_away() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let (source, dest) = (server.path("source"), server.path("dest"));
    many(&source, 5);
    std::fs::create_dir(&dest).unwrap();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let left = |machine: &str, holder: u32| {
        let folder = dest.join(format!(".kk-new.{machine}.{holder}.aaaaaa"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("list"), "").unwrap();
        folder
    };
    // More than any process's number, and this one's.
    let dead = left(machine.trim(), 99_999_999);
    let living = left(machine.trim(), std::process::id());
    let elsewhere = left("another", 99_999_999);
    let link = dest.join(format!(".kk-new.{}.99999998.aaaaaa", machine.trim()));
    std::os::unix::fs::symlink(&source, &link).unwrap();
    let (_, session) = counted(&server).await;
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    copy(&session, &wanted).await.unwrap();
    assert!(!dead.exists());
    assert!(living.join("list").exists() && elsewhere.join("list").exists());
    assert!(link.is_symlink());
    assert!(source.join("d1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_takes_its_place_when_not_all_is_right() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let (_, session) = counted(&server).await;
    let (source, dest) = (server.path("source"), server.path("dest"));
    many(&source, 20);
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    for change in ["file 13\n", "longer or shorter"] {
        let changed = source.join("d3/file-13.txt");
        let before = std::fs::read(&changed).unwrap();
        let plan = plan(&session, &wanted).await.unwrap();
        assert!(matches!(plan.steps[..], [Step::Tree(_)]));
        std::fs::write(
            &changed,
            change.to_uppercase().repeat(before.len() / change.len()),
        )
        .unwrap();
        let error = apply_plan(&session, None, &plan, &|_, _| {})
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("what arrived is not what was to be sent")
                || said.contains("its size changed"),
            "{said}"
        );
        assert!(!dest.exists());
        std::fs::write(&changed, before).unwrap();
    }
    // Something in the way of one.
    std::fs::create_dir_all(dest.join("d3/file-13.txt")).unwrap();
    let error = copy(&session, &wanted).await.unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    assert_eq!(all_in(&dest).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compressed_on_a_slow_line_and_what_is_compressed_is_not() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let source = server.path("source");
    let text: String = (0..60_000_u64)
        .map(|number| format!("{} is line {number}\n", number.wrapping_mul(number)))
        .collect();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(text.len())
    .collect();
    let mut took = Vec::new();
    for (dest, rate, bytes, is_packed) in [
        ("fast", None, text.as_bytes(), false),
        ("above", Some(17), text.as_bytes(), false),
        ("text", Some(1), text.as_bytes(), true),
        ("noise", Some(1), noise.as_slice(), false),
    ] {
        std::fs::create_dir_all(source.join("below")).unwrap();
        for name in ["one", "below/two"] {
            std::fs::write(source.join(name), bytes).unwrap();
        }
        let mut options = server.options();
        options.pace = rate.map(|mebibytes| {
            let rate = std::num::NonZeroU64::new(mebibytes * 1024 * 1024).unwrap();
            Arc::new(Pace::new(rate))
        });
        let (counting, session) = counted_over(options).await;
        let dest = server.path(dest);
        let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
        let began = Instant::now();
        copy(&session, &wanted).await.unwrap();
        took.push(began.elapsed());
        let last = counting.last.lock().unwrap().clone();
        assert_eq!(last.ends_with(" gzip"), is_packed, "{}", dest.display());
        assert_eq!(contents(&source), contents(&dest));
    }
    eprintln!("2 x {} bytes: {took:?}", text.len());
    assert!(took[2] * 2 < took[3], "{took:?}");
    // A host without gzip, and a long way without a limit.
    let mut options = server.options();
    let rate = std::num::NonZeroU64::new(2 * 1024 * 1024).unwrap();
    options.pace = Some(Arc::new(Pace::new(rate)));
    let (counting, session) = counted_over(options).await;
    let session = session.with_environment(&[("PATH".to_owned(), without(&server, "gzip"))]);
    for name in ["one", "below/two"] {
        std::fs::write(source.join(name), &text).unwrap();
    }
    let wanted = json!({"src": format!("{}/", source.display()), "dest": server.path("bare")});
    copy(&session, &wanted).await.unwrap();
    assert!(!counting.last.lock().unwrap().ends_with(" gzip"));
    for name in ["one", "below/two"] {
        std::fs::write(source.join(name), text.repeat(2)).unwrap();
    }
    let line = Proxy::new(&server, Duration::from_millis(12)).await;
    let (counting, session) = counted_over(line.options(&server)).await;
    let wanted = json!({"src": format!("{}/", source.display()), "dest": server.path("far")});
    copy(&session, &wanted).await.unwrap();
    assert!(counting.last.lock().unwrap().ends_with(" gzip"));
    assert_eq!(contents(&source), contents(&server.path("far")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_hosts_get_is_read_and_hashed_once() {
    if !server::is_available() {
        return;
    }
    let name = "ssh::folders::what_many_hosts_get_is_read_and_hashed_once";
    if !is_alone(name, "read once: ") {
        return;
    }
    let server = Server::start();
    let (small, big, source) = (
        server.path("small"),
        server.path("big"),
        server.path("source"),
    );
    std::fs::write(&small, "small\n".repeat(1000)).unwrap();
    std::fs::write(&big, vec![7; 3_000_000]).unwrap();
    many(&source, 50);
    let in_folder: usize = contents(&source).values().map(Vec::len).sum();
    let mut read = Vec::new();
    for round in 0..2 {
        let mut hosts = tokio::task::JoinSet::new();
        for number in 0..6 {
            let host = server.path(&format!("host{number}.{round}"));
            std::fs::create_dir(&host).unwrap();
            let options = server.options();
            let sources = [
                small.to_str().unwrap().to_owned(),
                big.to_str().unwrap().to_owned(),
                source.to_str().unwrap().to_owned(),
            ];
            hosts.spawn(async move {
                let (_, session) = counted_over(options).await;
                for src in sources {
                    let wanted = json!({"src": src, "dest": format!("{}/", host.display())});
                    copy(&session, &wanted).await.unwrap();
                }
                host
            });
        }
        for host in hosts.join_all().await {
            assert_eq!(
                std::fs::read(host.join("big")).unwrap(),
                std::fs::read(&big).unwrap()
            );
            assert_eq!(
                std::fs::read(host.join("small")).unwrap(),
                std::fs::read(&small).unwrap()
            );
            assert_eq!(contents(&host.join("source")), contents(&source));
        }
        read.push(kk::remote::bytes_read());
    }
    let all = (6000 + 3_000_000 + in_folder) as u64;
    assert_eq!(read, [all, all]);
    // What has changed is read anew, also when its size is the same.
    std::fs::write(&big, vec![8; 3_000_000]).unwrap();
    let (_, session) = counted(&server).await;
    let dest = server.path("changed");
    copy(&session, &json!({"src": big, "dest": dest}))
        .await
        .unwrap();
    assert_eq!(std::fs::read(&dest).unwrap(), vec![8; 3_000_000]);
    assert_eq!(kk::remote::bytes_read(), all + 3_000_000);
    eprintln!("read once: {all}");
}

/// A search path with busybox's programs alone.
pub(super) fn busybox(server: &Server) -> Option<String> {
    let folder = server.path("busybox");
    std::fs::create_dir(&folder).unwrap();
    let output = std::process::Command::new("busybox").arg("--list").output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: this test needs `busybox`");
        return None;
    };
    for name in String::from_utf8(output.stdout).unwrap().lines() {
        std::os::unix::fs::symlink("/usr/bin/busybox", folder.join(name)).unwrap();
    }
    Some(folder.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_small_programs_takes_streams_as_well() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let Some(programs) = busybox(&server) else {
        return;
    };
    let source = server.path("source");
    many(&source, 40);
    for name in [
        "-rf",
        "two\nlines",
        "it's \"q\" $HOME `id` \\",
        &"l".repeat(200),
    ] {
        std::fs::write(source.join(name), name).unwrap();
    }
    let rate = std::num::NonZeroU64::new(8 * 1024 * 1024).unwrap();
    for pace in [None, Some(Arc::new(Pace::new(rate)))] {
        let mut options = server.options();
        options.pace.clone_from(&pace);
        let (counting, session) = counted_over(options).await;
        let session = session.with_environment(&[("PATH".to_owned(), programs.clone())]);
        let dest = server.path(if pace.is_some() { "packed" } else { "plain" });
        let wanted = json!({"src": format!("{}/", source.display()), "dest": dest, "mode": "0640"});
        copy(&session, &wanted).await.unwrap();
        assert_eq!(counting.commands.load(Ordering::Relaxed), 2);
        let last = counting.last.lock().unwrap().clone();
        assert_eq!(last.ends_with(" gzip"), pace.is_some());
        assert_eq!(contents(&source), contents(&dest));
        assert_eq!(copy(&session, &wanted).await.unwrap().0, "Satisfied");
        std::fs::write(dest.join("two\nlines"), "TWO\nLINES").unwrap();
        std::fs::write(dest.join("d1/file-1.txt"), "other").unwrap();
        copy(&session, &wanted).await.unwrap();
        assert_eq!(contents(&source), contents(&dest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_on_another_file_system_gets_its_files_by_a_rename_too() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let (source, dest) = (server.path("source"), server.path("dest"));
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    std::fs::create_dir(&dest).unwrap();
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    if device(&dest) == device(other.path()) {
        eprintln!("SKIPPED: this test needs /dev/shm to be a file system of its own");
        return;
    }
    many(&source, 30);
    std::fs::write(source.join("d1/two\nlines"), "odd").unwrap();
    std::os::unix::fs::symlink(other.path(), dest.join("d1")).unwrap();
    std::fs::write(other.path().join("file-1.txt"), "old").unwrap();
    let mode = std::fs::Permissions::from_mode(0o604);
    std::fs::set_permissions(other.path().join("file-1.txt"), mode).unwrap();
    let (counting, session) = counted(&server).await;
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    copy(&session, &wanted).await.unwrap();
    assert_eq!(counting.commands.load(Ordering::Relaxed), 2);
    assert!(dest.join("d1").is_symlink());
    assert_eq!(contents(&source.join("d1")), contents(other.path()));
    assert_eq!(contents(&source.join("d2")), contents(&dest.join("d2")));
    assert_eq!(all_in(other.path())[Path::new("file-1.txt")].0, 0o604);
}
