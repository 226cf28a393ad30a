//! Big files to a real host: hashed while they arrive, in slices over a long line, resumed after a cut.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kk::connect::ssh::connect;
use kk::remote::{Become, RemoteError, Session, Upload};
use tokio_util::sync::CancellationToken;

use super::files::{MEBIBYTE, assert_arrived, parts_beside, source, upload_of};
use super::proxy::Proxy;
use super::server::{self, Server, session_over};

/// The upload of a file of so many MiB.
fn file(server: &Server, mebibytes: u64) -> Upload {
    upload_of(source(server, mebibytes), &server.path("dest"))
}

/// A folder with an `openssl` that counts how often it is called, and is `text` the first time.
fn counting_openssl(server: &Server, text: &str) -> (String, PathBuf) {
    let folder = server.path("programs");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("openssl");
    let count = folder.join("count");
    let script = format!(
        "#!/bin/sh\necho once >>'{0}'\nif [ \"$(wc -l <'{0}')\" -eq 1 ]; then {text}; fi\nexec /usr/bin/openssl \"$@\"\n",
        count.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    (path, count)
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_file_is_hashed_while_it_arrives_and_once_more_if_that_went_wrong() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let upload = file(&server, 240);
    let connector = connect(server.options()).await.unwrap();
    // The first one overtakes: it takes what is there for all there is.
    let (path, count) = counting_openssl(
        &server,
        "head -c 1000000 | exec /usr/bin/openssl \"$@\"; exit",
    );
    let session = session_over(connector).with_environment(&[("PATH".to_owned(), path)]);
    let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
    // On a machine that is so busy that it was not begun while the file arrived, the only answer was wrong.
    assert!(sent == upload.size || sent == 2 * upload.size, "{sent}");
    assert_eq!(lines(&count), 2);
    assert_arrived(&upload);

    std::fs::remove_file(&upload.dest).unwrap();
    std::fs::remove_file(&count).unwrap();
    let (began, first) = (Instant::now(), Mutex::new(None));
    let watch = |_, _| {
        if lines(&count) > 0 {
            first.lock().unwrap().get_or_insert(began.elapsed());
        }
    };
    let plain = format!(
        "#!/bin/sh\necho once >>'{}'\nexec /usr/bin/openssl \"$@\"\n",
        count.display()
    );
    std::fs::write(server.path("programs/openssl"), plain).unwrap();
    session.upload(&upload, &watch).await.unwrap();
    let all = began.elapsed();
    assert_arrived(&upload);
    match first.into_inner().unwrap() {
        Some(first) => assert!(first < all, "{first:?} of {all:?}"),
        None => {
            eprintln!("SKIPPED: this machine is too busy to see the file hashed while it arrives");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_leaves_no_process_and_the_upload_goes_on() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let proxy = Proxy::new(&server, Duration::ZERO).await;
    let upload = file(&server, 260);
    let session = session_over(connect(proxy.options(&server)).await.unwrap());
    proxy.end_after(190 * MEBIBYTE, false);
    let error = session.upload(&upload, &|_, _| {}).await.unwrap_err();
    assert!(matches!(error, RemoteError::Transport(_)), "{error}");
    server.no_session_left().await;
    assert!(!Path::new(&upload.dest).exists());
    proxy.mend();
    let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
    assert!(
        sent < upload.size - 150 * MEBIBYTE,
        "{sent} of {}",
        upload.size
    );
    assert_arrived(&upload);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_leaves_no_process() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let upload = file(&server, 400);
    let connector = connect(server.options()).await.unwrap();
    let token = CancellationToken::new();
    let session = Session::new(
        std::sync::Arc::clone(&connector),
        Become::default(),
        token.clone(),
    );
    let stop = move |done, _| {
        if done > 150 * MEBIBYTE {
            token.cancel();
        }
    };
    session.upload(&upload, &stop).await.unwrap_err();
    connector.close().await;
    server.no_session_left().await;
    // A program that was stopped would not be the server's any more.
    let part = parts_beside(&upload.dest)
        .first()
        .cloned()
        .expect("what arrived stays");
    for process in std::fs::read_dir("/proc").unwrap() {
        let files = process.unwrap().path().join("fd");
        for file in std::fs::read_dir(files).into_iter().flatten() {
            let target = file.and_then(|file| std::fs::read_link(file.path()));
            assert!(
                target.ok().as_ref() != Some(&part),
                "a process still has the file"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_long_line_a_file_goes_in_slices() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let line = Proxy::new(&server, Duration::from_millis(10)).await;
    let upload = file(&server, 200);
    let session = session_over(connect(line.options(&server)).await.unwrap());
    let seen = Mutex::new(Vec::new());
    let sent = session
        .upload(&upload, &|done, all| seen.lock().unwrap().push((done, all)))
        .await
        .unwrap();
    assert_eq!(sent, upload.size);
    assert_arrived(&upload);
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&(upload.size, upload.size)));
    // Seven slices, and what hashes them.
    let sessions = server.log().matches("Starting session: ").count();
    assert!(sessions >= 8, "{sessions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_go_on_after_a_cut_and_on_hosts_with_few_sessions() {
    if !server::is_available() {
        return;
    }
    for allowed in [1, 2, 10] {
        let server = Server::with(&format!("MaxSessions {allowed}"));
        let line = Proxy::new(&server, Duration::from_millis(10)).await;
        let upload = file(&server, 130);
        let session = session_over(connect(line.options(&server)).await.unwrap());
        line.end_after(115 * MEBIBYTE, false);
        let error = session.upload(&upload, &|_, _| {}).await.unwrap_err();
        assert!(
            matches!(error, RemoteError::Transport(_)),
            "{allowed}: {error}"
        );
        assert!(!Path::new(&upload.dest).exists());
        line.mend();
        let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
        if allowed < 3 {
            assert!(sent <= 100 * MEBIBYTE, "{allowed}: {sent}");
        }
        assert_arrived(&upload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_slices_are_sent_anew_from_the_beginning() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let upload = file(&server, 100);
    let part = format!("{}.kk-{}.part", upload.dest, &upload.sha256[..16]);
    std::fs::write(&part, vec![1; 70 * 1024 * 1024]).unwrap();
    // Numbers that cannot be, and one of a slice that is not whole.
    std::fs::write(part.replace(".part", ".slices.part"), "0\n1\n2\n77\nx\n").unwrap();
    let session = session_over(connect(server.options()).await.unwrap());
    let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
    assert_eq!(sent, 2 * upload.size - 64 * MEBIBYTE);
    assert_arrived(&upload);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_bytes_of_a_file_of_20_gb_are_sent_where_they_belong() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for is_sliced in [false, true] {
        let mut upload = file(&server, 1);
        let size = 20_000 * MEBIBYTE + 5;
        let source = std::fs::File::options()
            .write(true)
            .open(&upload.source)
            .unwrap();
        source.set_len(size).unwrap();
        let mut end = &source;
        end.seek(SeekFrom::Start(size - 5)).unwrap();
        end.write_all(b"end.\n").unwrap();
        upload.size = size;
        // Nobody hashes so much here: what stands for openssl knows what is wanted.
        upload.sha256 = "7".repeat(64);
        let part = format!("{}.kk-{}.part", upload.dest, &upload.sha256[..16]);
        let there = std::fs::File::create(&part).unwrap();
        let (programs, had) = if is_sliced {
            there.set_len(size).unwrap();
            let all: String = (0..625)
                .filter(|number| *number != 300)
                .map(|number| format!("{number}\n"))
                .collect();
            std::fs::write(part.replace(".part", ".slices.part"), all).unwrap();
            ("many", 20_000 * MEBIBYTE - 32 * MEBIBYTE)
        } else {
            there.set_len(19_990 * MEBIBYTE).unwrap();
            ("one", 19_990 * MEBIBYTE)
        };
        let folder = server.path(programs);
        std::fs::create_dir(&folder).unwrap();
        for (name, text) in [
            ("openssl", format!("echo {} '*stdin'", upload.sha256)),
            (
                "dd",
                "case $* in if=*) ;; *) exec /bin/dd \"$@\" ;; esac".to_owned(),
            ),
        ] {
            std::fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755))
                .unwrap();
        }
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let session = session_over(connect(server.options()).await.unwrap())
            .with_environment(&[("PATH".to_owned(), path)]);
        let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
        assert_eq!(sent, size - had, "{programs}");
        let arrived = std::fs::metadata(&upload.dest).unwrap();
        assert_eq!(arrived.len(), size);
        assert!(
            arrived.blocks() * 512 < 100 * MEBIBYTE,
            "{}",
            arrived.blocks()
        );
        let mut end = vec![0; 5];
        std::os::unix::fs::FileExt::read_exact_at(
            &std::fs::File::open(&upload.dest).unwrap(),
            &mut end,
            size - 5,
        )
        .unwrap();
        assert_eq!(end, b"end.\n");
        std::fs::remove_file(&upload.dest).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_as_they_are() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let line = Proxy::new(&server, Duration::from_millis(6)).await;
    let session = session_over(connect(line.options(&server)).await.unwrap());
    let folder = server.path("-a folder");
    std::fs::create_dir(&folder).unwrap();
    for (mebibytes, name) in [
        (1, "-rf"),
        (1, "two\nlines"),
        (70, "it's \"quoted\" $HOME `id` \\"),
        (70, "--help *"),
        (1, "\u{e4} ; exit 3"),
    ] {
        let upload = Upload {
            dest: folder.join(name).to_str().unwrap().to_owned(),
            ..file(&server, mebibytes)
        };
        session.upload(&upload, &|_, _| {}).await.unwrap();
        assert_arrived(&upload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_rate_is_kept_by_all_connections_together() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let upload = file(&server, 6);
    let rate = std::num::NonZeroU64::new(6 * MEBIBYTE).unwrap();
    let pace = std::sync::Arc::new(kk::connect::ssh::Pace::new(rate));
    let mut uploads = tokio::task::JoinSet::new();
    let began = Instant::now();
    for number in 0..2 {
        let mut options = server.options();
        options.pace = Some(std::sync::Arc::clone(&pace));
        let upload = Upload {
            dest: format!("{}-{number}", upload.dest),
            ..upload.clone()
        };
        uploads.spawn(async move {
            let session = session_over(connect(options).await.unwrap());
            session.upload(&upload, &|_, _| {}).await.unwrap();
            upload
        });
    }
    let arrived = uploads.join_all().await;
    let took = began.elapsed();
    for upload in &arrived {
        assert_arrived(upload);
    }
    // 12 MiB; what was begun before the limit is reached counts as well.
    assert!(took > Duration::from_millis(1900), "{took:?}");
}
