//! Our scripts under every shell that a host may have: dash, bash, and busybox with its own programs.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use super::testing::{ShellConnector, session_on};
use super::*;

/// Names of shells, and what starts them. Each has a folder that is its whole search path, or begins it.
fn shells(folder: &std::path::Path) -> Vec<(&'static str, Vec<String>)> {
    let mut shells = Vec::new();
    for name in ["dash", "bash", "busybox"] {
        let Some(program) = ["/bin", "/usr/bin"]
            .iter()
            .map(|place| std::path::Path::new(place).join(name))
            .find(|path| path.exists())
        else {
            eprintln!("SKIPPED for {name}: it is not installed");
            continue;
        };
        let bin = folder.join(name);
        std::fs::create_dir(&bin).unwrap();
        let path = if name == "busybox" {
            let list = std::process::Command::new(&program)
                .arg("--list")
                .output()
                .unwrap();
            for applet in String::from_utf8(list.stdout).unwrap().lines() {
                symlink(&program, bin.join(applet)).unwrap();
            }
            bin.to_str().unwrap().to_owned()
        } else {
            symlink(&program, bin.join("sh")).unwrap();
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
        };
        let shell = bin.join("sh").to_str().unwrap().to_owned();
        let start = [
            "/usr/bin/env".to_owned(),
            format!("PATH={path}"),
            shell,
            "-c".into(),
        ];
        shells.push((name, start.to_vec()));
    }
    shells
}

#[tokio::test]
async fn every_operation_works_under_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shell) in shells(folder.path()) {
        let home = folder.path().join(format!("{name}-home"));
        std::fs::create_dir(&home).unwrap();
        let connector = Arc::new(ShellConnector {
            shell,
            ..ShellConnector::new()
        });
        let session = session_on(connector, &home);
        operations(&session, &home)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

async fn operations(session: &Session, home: &std::path::Path) -> Result<(), RemoteError> {
    let path = |name: &str| home.join(name).to_str().unwrap().to_owned();
    // Without `flock` there is no lock, and everything else works all the same.
    let lock = session.lock("r1", "me", Duration::from_secs(5)).await?;
    if lock.is_some() {
        let other = session.lock("r2", "you", Duration::ZERO).await.unwrap_err();
        assert!(
            other.to_string().contains("another run holds it: me"),
            "{other}"
        );
    } else {
        let flock = session
            .probe(Command::script("command -v flock", [""; 0]))
            .await?;
        assert!(!flock.success());
    }

    let file = path("it's");
    session
        .write_file(&file, &Bytes::from_static(b"abc"), 0o640, None, None)
        .await?;
    let want = FileContent {
        digest: Some(None),
        limit: 10,
        ..FileContent::default()
    };
    let found = session.look_at(&file, &want).await?;
    assert_eq!(
        (found.kind, found.mode, found.size),
        (FoundKind::File, 0o640, 3)
    );
    assert_eq!(found.content, Some(Bytes::from_static(b"abc")));
    assert_eq!(
        found.sha256.as_deref(),
        Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
    let absent = session.look_at(&path("a/b/c"), &want).await?;
    assert_eq!(absent.kind, FoundKind::Absent);
    assert_eq!(absent.missing, [path("a"), path("a/b")]);

    let told = [
        ("KK_A", "two\nlines\n"),
        ("KK_B", "it's \\0101 \\ $HOME `id` \"%s\" = \u{e4}"),
        ("KK_C", ""),
        ("KK_A", "the later\n\n"),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let shown = session
        .with_environment(&told)
        .run(
            Command::script(
                "printf '%s|%s|%s|' \"$KK_A\" \"$KK_B\" \"${KK_C-none}\"; cat; env | grep -c ^kk_",
                [""; 0],
            ),
            Bytes::from_static(b"KK_D=input\n\n\\n"),
        )
        .await?;
    assert_eq!(
        shown.stdout_text(),
        format!("the later\n\n|{}||KK_D=input\n\n\\n0\n", told[1].1)
    );

    let source = home.join("source");
    std::fs::write(&source, vec![3_u8; 5_000_000]).unwrap();
    let Sums { sha256, size, .. } = Sums::of_file(&source).unwrap();
    let upload = Upload {
        source,
        sha256: sha256.clone(),
        size,
        dest: format!("{}/packages/big", session.state_dir()),
        mode: 0o600,
        owner: None,
        group: None,
    };
    assert_eq!(session.upload(&upload, &|_, _| {}).await?, size);
    assert_eq!(session.upload(&upload, &|_, _| {}).await?, 0);
    assert_eq!(Sums::of_file(upload.dest.as_ref()).unwrap().sha256, sha256);

    let lines = vec!["{\"a\":\"it's\"}".to_owned(), "{\"b\":2}".to_owned()];
    session.ledger_add("demo", lines.clone()).await?;
    session.ledger_add("demo", lines.clone()).await?;
    assert_eq!(session.ledger("demo").await?, lines);
    session.ledger_forget("demo", &lines[..1]).await?;
    assert_eq!(session.ledger("demo").await?, lines[1..]);
    session.ledger_forget("demo", &lines).await?;

    let step = session
        .with_timeout(Some(Duration::from_millis(400)))
        .run(
            Command::script("echo $$ >\"$1\"; sleep 444 & wait", [path("pid")]),
            Bytes::new(),
        )
        .await;
    assert!(
        matches!(step, Err(TransportError::TimedOut { .. })),
        "{step:?}"
    );
    let pid = std::fs::read_to_string(home.join("pid")).unwrap();
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    assert!(
        status.is_empty() || status.contains("State:\tZ"),
        "the step still runs: {status}"
    );

    session.remove(&file).await?;
    session.remove(&upload.dest).await?;
    session
        .remove(&format!("{}/packages", session.state_dir()))
        .await?;
    if let Some(lock) = lock {
        lock.release().await;
        assert!(
            !home.join("state").exists(),
            "nothing was left, so nothing should be"
        );
    }
    Ok(())
}
