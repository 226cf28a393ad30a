//! Files brought here from a real host: verified, in their place at once, gone on with after a cut, with constant memory.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kk::connect::ssh::connect;
use kk::remote::{Become, Download, Method, RemoteError, Session};
use tokio_util::sync::CancellationToken;

use super::files::{MEBIBYTE, assert_is_at, mode_of, parts_beside, sha256_of_file, source};
use super::people::{PASSWORD, User};
use super::privilege::{self, Rule, to};
use super::process::{is_alone, memory};
use super::proxy::Proxy;
use super::server::{self, Server, session_over};

/// The download of a file of so many MiB.
fn file(server: &Server, mebibytes: u64) -> Download {
    of(server, &source(server, mebibytes))
}

/// The download of a file.
fn of(server: &Server, source: &Path) -> Download {
    let (sha256, size) = sha256_of_file(source);
    Download {
        source: source.to_str().unwrap().to_owned(),
        sha256,
        size,
        dest: server.path("here/a folder/dest"),
    }
}

fn assert_here(download: &Download) {
    assert_is_at(&download.dest, &download.sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_whole_and_for_its_owner_alone_until_it_is() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    for mebibytes in [0, 3, 40] {
        let download = file(&server, mebibytes);
        let seen = Mutex::new(Vec::new());
        let modes = Mutex::new(Vec::new());
        let watch = |done, all| {
            seen.lock().unwrap().push((done, all));
            for part in parts_beside(&download.dest) {
                modes.lock().unwrap().push(mode_of(&part));
            }
        };
        let received = session.download(&download, &watch).await.unwrap();
        assert_eq!(received.bytes, download.size);
        assert_eq!(received.sha256, download.sha256);
        assert_here(&download);
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(seen.last(), Some(&(download.size, download.size)));
        let finished = seen.iter().filter(|(done, all)| done >= all).count();
        assert_eq!(finished, 1, "{seen:?}");
        let modes = modes.into_inner().unwrap();
        assert!(modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
        let sha1 = server::run("sha1sum", &[download.dest.to_str().unwrap()]);
        assert_eq!(sha1.split(' ').next().unwrap(), received.sha1);
        // What is there keeps its mode, and a new one has that of any new file.
        if mebibytes > 0 {
            assert_eq!(mode_of(&download.dest), 0o640);
        } else {
            let plain = server.path("plain");
            std::fs::write(&plain, "").unwrap();
            assert_eq!(mode_of(&download.dest), mode_of(&plain));
            let mode = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(&download.dest, mode).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_and_a_block_come_too() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    for size in [0, 1, MEBIBYTE - 1, MEBIBYTE, 8 * MEBIBYTE, 8 * MEBIBYTE + 1] {
        let source = server.path("source");
        std::fs::File::create(&source)
            .unwrap()
            .set_len(size)
            .unwrap();
        let download = of(&server, &source);
        // Without the time limit of a hang.
        let limit = Duration::from_secs(20);
        let work = session.download(&download, &|_, _| {});
        let received = tokio::time::timeout(limit, work).await.unwrap().unwrap();
        assert_eq!(received.bytes, size);
        assert_here(&download);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_download_goes_on_when_the_beginning_is_the_same() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for delay in [0, 10] {
        let line = Proxy::new(&server, Duration::from_millis(delay)).await;
        let download = file(&server, 90);
        let session = session_over(connect(line.options(&server)).await.unwrap());
        line.end_after(60 * MEBIBYTE, false);
        let error = session.download(&download, &|_, _| {}).await.unwrap_err();
        assert!(matches!(error, RemoteError::Transport(_)), "{error}");
        server.no_session_left().await;
        assert!(!download.dest.exists());
        let part = parts_beside(&download.dest)
            .pop()
            .expect("what arrived stays");
        assert_eq!(mode_of(&part), 0o600);
        line.mend();
        let received = session.download(&download, &|_, _| {}).await.unwrap();
        assert!(
            received.bytes < 50 * MEBIBYTE,
            "{} of {}",
            received.bytes,
            download.size
        );
        assert_here(&download);
        std::fs::remove_file(&download.dest).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_that_is_not_the_files_is_not_gone_on_with() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let download = file(&server, 20);
    let session = session_over(connect(server.options()).await.unwrap());
    std::fs::create_dir_all(download.dest.parent().unwrap()).unwrap();
    let part = |sum: &str| {
        let name = format!("dest.kk-{sum}.part");
        download.dest.parent().unwrap().join(name)
    };
    let own = part(&download.sha256[..16]);
    // Too long, wrong, and not written by this program alone: a link, and one that others may write.
    for bad in [21, 12] {
        std::fs::write(&own, vec![1; bad * 1024 * 1024]).unwrap();
        let received = session.download(&download, &|_, _| {}).await.unwrap();
        assert_eq!(received.bytes, download.size);
        assert_here(&download);
    }
    let victim = server.path("victim");
    std::fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, &own).unwrap();
    // Of another content, and somebody's own files that look like it.
    std::fs::write(part("0123456789abcdef"), "old").unwrap();
    let kept = download.dest.parent().unwrap().join("dest.kk-notes.part");
    std::fs::write(&kept, "kept").unwrap();
    session.download(&download, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    assert_eq!(parts_beside(&download.dest), [kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_again_or_refused() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    let old = file(&server, 30);
    let source = PathBuf::from(&old.source);
    // After it was looked at: grown, as a log; then what was there at that time is right.
    let mut log = std::fs::File::options().append(true).open(&source).unwrap();
    log.write_all(&vec![2; 3_000_000]).unwrap();
    session.download(&old, &|_, _| {}).await.unwrap();
    assert_eq!(sha256_of_file(&old.dest), (old.sha256.clone(), old.size));
    // Changed, and shorter: it is looked at anew.
    for change in ["other", "shorter"] {
        let before = file(&server, 30);
        let writer = std::fs::File::options().write(true).open(&source).unwrap();
        match change {
            "other" => {
                std::os::unix::fs::FileExt::write_all_at(&writer, b"other", 9_000_000).unwrap();
            }
            _ => writer.set_len(9_000_000).unwrap(),
        }
        let now = of(&server, &source);
        let received = session.download(&before, &|_, _| {}).await.unwrap();
        assert_eq!(received.sha256, now.sha256, "{change}");
        assert_eq!(received.size, now.size);
        assert_here(&now);
    }
    // Changed again and again.
    let download = file(&server, 30);
    let before = std::fs::read(&download.dest).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let changing = tokio::task::spawn_blocking(move || {
        let writer = std::fs::File::options().write(true).open(&source).unwrap();
        let mut stopped = stopped;
        for number in 0_u64.. {
            let text = format!("{number:20}");
            for place in 0..30 {
                std::os::unix::fs::FileExt::write_all_at(
                    &writer,
                    text.as_bytes(),
                    place * MEBIBYTE,
                )
                .unwrap();
            }
            if stopped.try_recv().is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let error = session.download(&download, &|_, _| {}).await.unwrap_err();
    stop.send(()).unwrap();
    changing.await.unwrap();
    assert!(
        error.to_string().contains("it changed while it was read"),
        "{error}"
    );
    assert_eq!(std::fs::read(&download.dest).unwrap(), before);
    assert_eq!(parts_beside(&download.dest), Vec::<PathBuf>::new());
    // Gone.
    std::fs::remove_file(&download.source).unwrap();
    let error = session.download(&download, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("not a file any more"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_makes_when_it_is_read_comes_whole() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    for path in [
        "/proc/version",
        "/proc/filesystems",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/proc/uptime",
    ] {
        let Ok(text) = std::fs::read(path) else {
            eprintln!("SKIPPED: no `{path}` here");
            continue;
        };
        let download = Download {
            size: std::fs::metadata(path).unwrap().size(),
            ..of(&server, Path::new(path))
        };
        assert_ne!(download.size, text.len() as u64);
        let received = session.download(&download, &|_, _| {}).await.unwrap();
        let here = std::fs::read(&download.dest).unwrap();
        assert_eq!(received.size, here.len() as u64);
        if path == "/proc/uptime" {
            assert!(here.len() > 5 && here.ends_with(b"\n"), "{here:?}");
        } else {
            assert_eq!(here, text, "{path}");
        }
        assert_eq!(parts_beside(&download.dest), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_as_they_are() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    let folder = server.path("-a folder");
    std::fs::create_dir(&folder).unwrap();
    for name in [
        "-rf",
        "two\nlines",
        "kind=absent\nsha256=1",
        "it's \"quoted\" $HOME `id` \\",
        "--help *",
        "\u{e4} ; exit 3",
    ] {
        let source = folder.join(name);
        std::fs::write(&source, name).unwrap();
        let download = Download {
            dest: server.path("here").join(name),
            ..of(&server, &source)
        };
        session.download(&download, &|_, _| {}).await.unwrap();
        assert_eq!(std::fs::read_to_string(&download.dest).unwrap(), name);
        assert_eq!(parts_beside(&download.dest), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_here_is_not_replaced() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    let download = file(&server, 1);
    let to = |dest: PathBuf| Download {
        dest,
        ..download.clone()
    };
    let pipe = server.path("pipe");
    server::run("mkfifo", &[pipe.to_str().unwrap()]);
    for (dest, reason) in [
        (server.path("home"), "is a folder"),
        (pipe, "neither a file nor a folder"),
        ("/dev/null".into(), "neither a file nor a folder"),
        (server.path("source/below"), "Not a directory"),
    ] {
        let error = session.download(&to(dest), &|_, _| {}).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    // A link is followed.
    let (real, link) = (server.path("real"), server.path("link"));
    std::fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    session
        .download(&to(link.clone()), &|_, _| {})
        .await
        .unwrap();
    assert!(link.is_symlink());
    assert_eq!(sha256_of_file(&real).0, download.sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_to_the_same_place_do_not_mix() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let download = file(&server, 60);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (download, options) = (download.clone(), server.options());
        all.spawn(async move {
            let session = session_over(connect(options).await.unwrap());
            session.download(&download, &|_, _| {}).await.unwrap();
        });
    }
    all.join_all().await;
    assert_here(&download);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_rate_is_kept() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let rate = std::num::NonZeroU64::new(4 * MEBIBYTE).unwrap();
    let mut options = server.options();
    options.pace = Some(Arc::new(kk::connect::ssh::Pace::new(rate)));
    let download = file(&server, 9);
    let session = session_over(connect(options).await.unwrap());
    let began = Instant::now();
    session.download(&download, &|_, _| {}).await.unwrap();
    let took = began.elapsed();
    assert_here(&download);
    // The first block need not be waited for, and the last one's time is not either.
    assert!(took > Duration::from_millis(1900), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_download_leaves_no_process() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let download = file(&server, 300);
    let connector = connect(server.options()).await.unwrap();
    let token = CancellationToken::new();
    let session = Session::new(Arc::clone(&connector), Become::default(), token.clone());
    let stop = move |done, _| {
        if done > 20 * MEBIBYTE {
            token.cancel();
        }
    };
    session.download(&download, &stop).await.unwrap_err();
    connector.close().await;
    server.no_session_left().await;
    assert!(!download.dest.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_root_may_read_comes_by_sudo() {
    if !privilege::can_run() {
        return;
    }
    let server = Server::start();
    let user = User::new(server.folder.path(), "/bin/sh");
    let asks = "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n";
    let _rule = Rule::sudo(&user, asks);
    let download = file(&server, 20);
    std::fs::set_permissions(&download.source, std::fs::Permissions::from_mode(0o600)).unwrap();
    let plain = privilege::session(&server, &user, Become::default()).await;
    let error = plain.download(&download, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
    let root = to("root", Method::Sudo, Some(PASSWORD));
    let session = privilege::session(&server, &user, root).await;
    session.download(&download, &|_, _| {}).await.unwrap();
    assert_here(&download);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_small_programs_sends_as_well() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let Some(programs) = super::folders::busybox(&server) else {
        return;
    };
    let line = Proxy::new(&server, Duration::ZERO).await;
    let session = session_over(connect(line.options(&server)).await.unwrap())
        .with_environment(&[("PATH".to_owned(), programs)]);
    let download = file(&server, 30);
    line.end_after(20 * MEBIBYTE, false);
    session.download(&download, &|_, _| {}).await.unwrap_err();
    line.mend();
    let received = session.download(&download, &|_, _| {}).await.unwrap();
    assert!(received.bytes < 20 * MEBIBYTE, "{}", received.bytes);
    assert_here(&download);
    // Looked at anew.
    let before = file(&server, 3);
    std::fs::write(&before.source, "other").unwrap();
    let received = session.download(&before, &|_, _| {}).await.unwrap();
    assert_eq!(received.size, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_file() {
    if !server::is_available() {
        return;
    }
    let name = "ssh::downloads::memory_does_not_grow_with_the_file";
    if !is_alone(name, "grew by ") {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    let small = file(&server, 24);
    session.download(&small, &|_, _| {}).await.unwrap();
    let before = memory("VmHWM");
    let big = file(&server, 1200);
    session.download(&big, &|_, _| {}).await.unwrap();
    let grew = (memory("VmHWM") - before) * 1024;
    eprintln!("grew by {grew}");
    assert!(grew < 12 * MEBIBYTE, "{grew}");
    assert_eq!(std::fs::metadata(&big.dest).unwrap().size(), big.size);
    assert_eq!(parts_beside(&big.dest), Vec::<PathBuf>::new());
}
