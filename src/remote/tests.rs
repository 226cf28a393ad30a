//! Against the real `sh` of this machine.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::testing::{ShellConnector, session, session_on};
use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn three_outcomes_of_a_command() {
    let folder = folder();
    let session = session(folder.path());
    let fine = session
        .run(Command::new("cat"), Bytes::from_static(b"hello"))
        .await
        .unwrap();
    assert_eq!(
        (fine.success(), fine.stdout_text().as_str()),
        (true, "hello")
    );
    let failed = session
        .run(
            Command::script("echo no >&2; exit 3", [""; 0]),
            Bytes::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        (failed.status.code(), failed.stderr_text().as_str()),
        (3, "no\n")
    );
    let limited = session
        .with_timeout(Some(Duration::from_millis(300)))
        .run(Command::new("sleep 77"), Bytes::new())
        .await;
    assert!(matches!(limited, Err(TransportError::TimedOut { .. })));
}

#[tokio::test]
async fn a_cancelled_step_is_ended_with_all_its_children() {
    let folder = folder();
    let session = session(folder.path());
    let file = path(&folder, "pids");
    let script = "sleep 1234 & echo $! >\"$1\"; trap '' TERM; echo $$ >>\"$1\"; wait";
    let step = session.run(Command::script(script, [file.clone()]), Bytes::new());
    let cancel = session.cancel().clone();
    let give_up = async {
        while std::fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .count()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(step, give_up);
    assert_eq!(result, Err(TransportError::Cancelled));
    for pid in std::fs::read_to_string(&file).unwrap().lines() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(
            status.is_empty() || status.contains("State:\tZ"),
            "{pid} still runs: {status}"
        );
    }
}

#[tokio::test]
async fn files_are_written_whole_with_their_mode_and_keep_their_owner() {
    let folder = folder();
    let session = session(folder.path());
    let file = path(&folder, "it's a file");
    let content = Bytes::from_static(b"one\0two\n");
    session
        .write_file(&file, &content, 0o640, None, None)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), content);
    std::os::unix::fs::chown(&file, Some(4321), Some(1234)).unwrap();
    session
        .write_file(&file, &Bytes::from_static(b"x"), 0o600, None, None)
        .await
        .unwrap();
    let want = FileContent {
        digest: Some(Some(1)),
        limit: 10,
        ..FileContent::default()
    };
    let found = session.look_at(&file, &want).await.unwrap();
    assert_eq!(found.kind, FoundKind::File);
    assert_eq!((found.mode, found.size), (0o600, 1));
    assert!(found.is_owned_by("4321") && found.is_of_group("1234"));
    assert_eq!(found.content, Some(Bytes::from_static(b"x")));
    assert_eq!(
        found.sha256.as_deref(),
        Some("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    );
    let rest: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(rest.len(), 1, "temporary files were left");
    let nowhere = session
        .write_file(&path(&folder, "no/file"), &content, 0o600, None, None)
        .await
        .unwrap_err();
    assert!(nowhere.to_string().contains("is not there"), "{nowhere}");
}

#[tokio::test]
async fn absence_needs_evidence() {
    let folder = folder();
    let session = session(folder.path());
    let plain = FileContent::default();
    let absent = session
        .look_at(&path(&folder, "a/b/c"), &plain)
        .await
        .unwrap();
    assert_eq!(absent.kind, FoundKind::Absent);
    std::os::unix::fs::symlink("loop", folder.path().join("loop")).unwrap();
    let looped = session.look_at(&path(&folder, "loop/x"), &plain).await;
    assert!(
        matches!(looped, Err(RemoteError::Failed { .. })),
        "{looped:?}"
    );
}

#[tokio::test]
async fn removing_takes_folders_and_refuses_the_systems() {
    let folder = folder();
    let session = session(folder.path());
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    std::fs::write(folder.path().join("a/b/c"), "x").unwrap();
    let target = path(&folder, "a");
    session.remove(&target).await.unwrap();
    session.remove(&target).await.unwrap();
    assert!(!folder.path().join("a").exists());
    for bad in [
        "/",
        "//",
        "/etc",
        "/usr/",
        "/var/lib",
        "/home/somebody",
        "x",
        "/etc/../home/x",
        "/usr/./bin",
    ] {
        let error = session.remove(bad).await.unwrap_err();
        assert!(matches!(error, RemoteError::Failed { .. }), "{bad}");
    }
}

#[tokio::test]
async fn the_ledger_takes_a_line_once_and_goes_with_its_last() {
    let folder = folder();
    let session = session(folder.path());
    let lines = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let first = lines(&[
        r#"{"kind":"file","path":"/it's"}"#,
        r#"{"kind":"user","name":"x"}"#,
    ]);
    assert!(session.ledgers().await.unwrap().is_empty());
    session.ledger_add("registry", first.clone()).await.unwrap();
    session.ledger_add("registry", first.clone()).await.unwrap();
    session.ledger_add("other", lines(&["{}"])).await.unwrap();
    assert_eq!(session.ledger("registry").await.unwrap(), first);
    session
        .ledger_forget("registry", &first[..1])
        .await
        .unwrap();
    assert_eq!(session.ledger("registry").await.unwrap(), first[1..]);
    session.ledger_forget("registry", &first).await.unwrap();
    assert_eq!(
        session.ledgers().await.unwrap(),
        [("other".to_owned(), lines(&["{}"]))]
    );
    let mode = std::fs::metadata(folder.path().join("state/ledger"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    assert!(session.ledger_add("../x", lines(&["{}"])).await.is_err());
}

#[tokio::test]
async fn a_noted_step_tells_the_ledger_first_and_runs_in_one_round_trip() {
    let folder = folder();
    let connector = Arc::new(ShellConnector::new());
    let session = session_on(connector.clone(), folder.path()).noting(Some(Note {
        component: "demo".into(),
        lines: vec!["{\"a\":1}".into()],
    }));
    let output = session
        .run(Command::new("cat"), Bytes::from_static(b"data"))
        .await
        .unwrap();
    assert_eq!(output.stdout_text(), "data");
    assert_eq!(connector.ran.lock().unwrap().len(), 1);
    assert_eq!(session.ledger("demo").await.unwrap(), ["{\"a\":1}"]);
}

fn big_file(folder: &tempfile::TempDir) -> Upload {
    let source = folder.path().join("source");
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .flat_map(u32::to_le_bytes)
        .take(5_000_001)
        .collect();
    std::fs::write(&source, bytes).unwrap();
    let Sums { sha256, size, .. } = Sums::of_file(&source).unwrap();
    Upload {
        source,
        sha256,
        size,
        dest: path(folder, "dest"),
        mode: 0o755,
        owner: None,
        group: None,
    }
}

fn part_of(upload: &Upload) -> String {
    format!("{}.kk-{}.part", upload.dest, &upload.sha256[..16])
}

#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on_where_it_stopped() {
    let folder = folder();
    let connector = Arc::new(ShellConnector::new());
    let session = session_on(connector.clone(), folder.path());
    let upload = big_file(&folder);
    std::fs::write(format!("{}.kk-0123456789abcdef.part", upload.dest), "old").unwrap();
    // The first exec of an upload asks, the second one sends.
    *connector.break_after.lock().unwrap() = None;
    let cut = {
        let connector = connector.clone();
        move |done: u64, _: u64| {
            if done == 0 {
                *connector.break_after.lock().unwrap() = Some(1_000_000);
            }
        }
    };
    let lost = session.upload(&upload, &cut).await.unwrap_err();
    assert!(
        matches!(lost, RemoteError::Transport(TransportError::Lost { .. })),
        "{lost}"
    );
    let part = part_of(&upload);
    for _ in 0..100 {
        if std::fs::metadata(&part).is_ok_and(|meta| meta.len() == 1_000_000) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        !std::path::Path::new(&upload.dest).exists(),
        "a part became the whole"
    );
    let seen = std::sync::Mutex::new(Vec::new());
    let sent = session
        .upload(&upload, &|done, total| {
            seen.lock().unwrap().push((done, total));
        })
        .await
        .unwrap();
    assert_eq!(sent, upload.size - 1_000_000);
    assert_eq!(
        seen.lock().unwrap().first(),
        Some(&(1_000_000, upload.size))
    );
    assert_eq!(
        seen.lock().unwrap().last(),
        Some(&(upload.size, upload.size))
    );
    let sha256 = Sums::of_file(upload.dest.as_ref()).unwrap().sha256;
    assert_eq!(sha256, upload.sha256);
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn a_wrong_partial_file_is_sent_again_from_zero() {
    let folder = folder();
    let session = session(folder.path());
    let upload = big_file(&folder);
    std::fs::write(part_of(&upload), vec![7_u8; 400_000]).unwrap();
    let sent = session.upload(&upload, &|_, _| {}).await.unwrap();
    assert_eq!(sent, 2 * upload.size - 400_000);
    let sha256 = Sums::of_file(upload.dest.as_ref()).unwrap().sha256;
    assert_eq!(sha256, upload.sha256);
}

#[tokio::test]
async fn wrong_bytes_never_become_the_file() {
    let folder = folder();
    let session = session(folder.path());
    let mut upload = big_file(&folder);
    upload.sha256 = "0".repeat(64);
    let error = session.upload(&upload, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("the host has sha256"), "{error}");
    assert!(!std::path::Path::new(&upload.dest).exists());
    upload.size += 1;
    let error = session.upload(&upload, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("size changed"), "{error}");
}

#[tokio::test]
async fn an_upload_that_does_not_fit_is_refused_before_it_is_sent() {
    let folder = folder();
    let session = session(folder.path());
    let mut upload = big_file(&folder);
    upload.size = u64::MAX / 2;
    let error = session.upload(&upload, &|_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(!std::path::Path::new(&part_of(&upload)).exists());
}

#[tokio::test]
async fn one_run_at_a_time_holds_the_lock_and_says_who() {
    let folder = folder();
    let session = session(folder.path());
    let wait = Duration::from_secs(1);
    let first = session
        .lock("r1", "anna@control, run r1", wait)
        .await
        .unwrap()
        .unwrap();
    let other = session.lock("r2", "b", wait).await.unwrap_err();
    assert!(
        other
            .to_string()
            .contains("another run holds it: anna@control, run r1"),
        "{other}"
    );
    assert!(first.is_held());
    first.release().await;
    session
        .lock("r3", "c", wait)
        .await
        .unwrap()
        .unwrap()
        .release()
        .await;
}

#[tokio::test]
async fn a_new_run_waits_for_the_step_of_a_killed_one_but_not_for_its_daemons() {
    let folder = folder();
    let session = session(folder.path());
    let wait = Duration::from_secs(10);
    let killed = session.lock("r1", "a", wait).await.unwrap().unwrap();
    let marker = path(&folder, "pid");
    let go = path(&folder, "go");
    let step = "setsid sleep 300 >/dev/null 2>&1 & echo $! >\"$1\"; until [ -e \"$2\" ]; do sleep 0.05; done";
    let left_behind = tokio::spawn({
        let session = session.clone();
        let words = [marker.clone(), go.clone()];
        async move {
            session
                .run(Command::script(step, words), Bytes::new())
                .await
        }
    });
    while !std::path::Path::new(&marker).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.release().await;
    let short = session.lock("r2", "b", Duration::ZERO).await.unwrap_err();
    assert!(
        short.to_string().contains("step of an earlier run"),
        "{short}"
    );
    assert!(!session.settle(Duration::ZERO).await.unwrap());
    let patient = tokio::spawn({
        let session = session.clone();
        async move { session.lock("r3", "c", Duration::from_secs(60)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!patient.is_finished(), "did not wait");
    std::fs::write(&go, "").unwrap();
    // The daemon sleeps for five minutes: only a lock that it had inherited would make this wait.
    assert!(session.settle(wait).await.unwrap());
    let lock = patient.await.unwrap().unwrap().unwrap();
    lock.release().await;
    left_behind.await.unwrap().unwrap();
    let daemon = std::fs::read_to_string(&marker).unwrap();
    std::process::Command::new("kill")
        .arg(daemon.trim())
        .status()
        .unwrap();
}

#[tokio::test]
async fn the_lock_ends_with_its_connector_whichever_that_is() {
    let folder = folder();
    let state = folder.path().join("state");
    let open = || {
        Session::new(
            Arc::new(crate::connect::local::LocalConnector::new()),
            Become::default(),
            CancellationToken::new(),
        )
        .with_state_dir(state.to_str().unwrap())
    };
    let (first, second) = (open(), open());
    let wait = Duration::from_secs(2);
    let lock = first.lock("r1", "a", wait).await.unwrap().unwrap();
    let refused = second.lock("r2", "b", wait).await.unwrap_err();
    assert!(
        refused.to_string().contains("another run holds it: a"),
        "{refused}"
    );
    drop(lock);
    let mut tries = 0;
    let next = loop {
        match second.lock("r3", "c", wait).await {
            Ok(lock) => break lock,
            Err(error) if tries < 50 => {
                assert!(error.to_string().contains("another run"), "{error}");
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    next.unwrap().release().await;
}
