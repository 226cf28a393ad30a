//! Modules on this machine's real shell and files.

use serde_json::json;

use super::testing::{module, plan, run};
use super::*;
use crate::remote::testing::session;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn summary(plan: &Plan) -> &str {
    match &plan.verdict {
        Verdict::Change(change) => &change.summary,
        Verdict::Satisfied => "satisfied",
        Verdict::Unknown { reason } => reason,
    }
}

#[tokio::test]
async fn a_copied_text_is_written_once_and_noted() {
    let folder = folder();
    let session = session(folder.path());
    let dest = path(&folder, "file");
    let wanted = json!({"content": "one\n", "dest": dest, "mode": "0640"});
    let (first, _, _) = run(&session, "copy", &wanted).await.unwrap();
    assert_eq!(summary(&first), "create");
    assert_eq!(
        session.ledger("test").await.unwrap(),
        [format!("{{\"kind\":\"file\",\"path\":\"{dest}\"}}")]
    );
    assert!(
        plan(&session, "copy", &wanted)
            .await
            .unwrap()
            .is_satisfied()
    );
    let other = json!({"content": "two\n", "dest": dest, "mode": "0600"});
    let changed = plan(&session, "copy", &other).await.unwrap();
    assert_eq!(summary(&changed), "content, mode 0640 -> 0600");
    let public = json!({"content": "two\n", "dest": dest});
    let Verdict::Change(change) = plan(&session, "copy", &public).await.unwrap().verdict else {
        panic!("no change");
    };
    assert!(change.diff.unwrap().contains("-one\n+two\n"));
    let (modes, _, _) = run(
        &session,
        "copy",
        &json!({"content": "one\n", "dest": dest, "mode": "0604"}),
    )
    .await
    .unwrap();
    assert_eq!(summary(&modes), "mode 0640 -> 0604");
    assert_eq!(std::fs::read_to_string(&dest).unwrap(), "one\n");
}

#[tokio::test]
async fn a_copy_into_a_folder_takes_the_name_of_its_source() {
    let folder = folder();
    let session = session(folder.path());
    let source = path(&folder, "source.bin");
    std::fs::write(&source, vec![5_u8; 3 * 1024 * 1024]).unwrap();
    std::fs::create_dir(folder.path().join("there")).unwrap();
    let wanted = json!({"src": source, "dest": path(&folder, "there")});
    let (first, outputs, _) = run(&session, "copy", &wanted).await.unwrap();
    assert!(matches!(first.steps[..], [Step::Upload { .. }]));
    assert_eq!(
        outputs,
        [StepOutput::Done {
            bytes_sent: 3 * 1024 * 1024
        }]
    );
    assert!(folder.path().join("there/source.bin").is_file());
    assert!(
        plan(&session, "copy", &wanted)
            .await
            .unwrap()
            .is_satisfied()
    );
}

#[tokio::test]
async fn secret_files_show_no_diff() {
    let folder = folder();
    let session = session(folder.path());
    let dest = path(&folder, "secret");
    std::fs::write(&dest, "canary-old\n").unwrap();
    let wanted = json!({"content": "canary-new\n", "dest": dest, "mode": "0600"});
    let plan = plan(&session, "copy", &wanted).await.unwrap();
    assert!(!format!("{:?}", plan.verdict).contains("canary"));
}

#[tokio::test]
async fn folders_are_made_with_those_above_and_each_is_noted() {
    let folder = folder();
    let session = session(folder.path());
    let wanted = json!({"path": path(&folder, "a/b/c/"), "state": "directory", "mode": "0750", "data": true});
    let (first, _, _) = run(&session, "file", &wanted).await.unwrap();
    assert_eq!(
        first.creates,
        [
            LedgerEntry::Directory {
                path: path(&folder, "a"),
                recursive: false
            },
            LedgerEntry::Directory {
                path: path(&folder, "a/b"),
                recursive: false
            },
            LedgerEntry::Data {
                path: path(&folder, "a/b/c")
            },
        ]
    );
    assert!(
        plan(&session, "file", &wanted)
            .await
            .unwrap()
            .is_satisfied()
    );
    let gone = json!({"path": path(&folder, "a"), "state": "absent"});
    run(&session, "file", &gone).await.unwrap();
    assert!(plan(&session, "file", &gone).await.unwrap().is_satisfied());
    assert!(!folder.path().join("a").exists());
    let root = plan(
        &session,
        "file",
        &json!({"path": "/etc/", "state": "absent"}),
    )
    .await;
    assert!(
        root.unwrap_err()
            .to_string()
            .contains("folder of the system")
    );
}

#[tokio::test]
async fn links_and_touched_files() {
    let folder = folder();
    let session = session(folder.path());
    let link = json!({"path": path(&folder, "link"), "src": "/nowhere", "state": "link"});
    run(&session, "file", &link).await.unwrap();
    assert!(plan(&session, "file", &link).await.unwrap().is_satisfied());
    let other = json!({"path": path(&folder, "link"), "src": "/other", "state": "link"});
    assert_eq!(
        summary(&run(&session, "file", &other).await.unwrap().0),
        "link /nowhere -> /other"
    );
    let touch = json!({"path": path(&folder, "t"), "state": "touch", "mode": "0600",
        "access_time": "preserve", "modification_time": "preserve"});
    run(&session, "file", &touch).await.unwrap();
    assert!(plan(&session, "file", &touch).await.unwrap().is_satisfied());
}

#[tokio::test]
async fn commands_run_unless_their_traces_are_there() {
    let folder = folder();
    let session = session(folder.path());
    let wanted = json!({"cmd": "sh -c 'echo made; touch \"it is\"'", "chdir": path(&folder, ""), "creates": "it*"});
    let (_, _, conclusion) = run(&session, "command", &wanted).await.unwrap();
    assert_eq!(conclusion.result["stdout"], "made");
    assert_eq!(conclusion.changed, Some(true));
    assert!(
        plan(&session, "command", &wanted)
            .await
            .unwrap()
            .is_satisfied()
    );
    let removes = json!({"argv": ["true"], "removes": path(&folder, "nothing")});
    assert!(
        plan(&session, "command", &removes)
            .await
            .unwrap()
            .is_satisfied()
    );
    let shell = json!({"cmd": "cat | tr a-z A-Z; exit 4", "stdin": "abc"});
    let failed = run(&session, "shell", &shell).await.unwrap_err();
    let ModuleError::Failed {
        message, result, ..
    } = failed
    else {
        panic!("{failed}")
    };
    assert_eq!(message, "run the command: exit status 4: ABC");
    assert_eq!(
        (&result["rc"], &result["stdout"]),
        (&json!(4), &json!("ABC"))
    );
}

#[tokio::test]
async fn stat_speaks_ansibles_words() {
    let folder = folder();
    let session = session(folder.path());
    std::fs::write(folder.path().join("file"), "abc").unwrap();
    let plan_of = |name: &str| json!({"path": path(&folder, name)});
    let found = plan(&session, "stat", &plan_of("file")).await.unwrap();
    let stat = &found.result["stat"];
    assert_eq!(stat["checksum"], "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(
        (&stat["exists"], &stat["isreg"], &stat["mode"]),
        (&json!(true), &json!(true), &json!("0644"))
    );
    let absent = plan(&session, "stat", &plan_of("no")).await.unwrap();
    assert_eq!(absent.result["stat"], json!({"exists": false}));
}

#[test]
fn modules_are_in_order_and_their_names_are_unique() {
    let names: Vec<&str> = specs().iter().map(|spec| spec.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    let mut all: Vec<&str> = specs()
        .iter()
        .flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]))
        .collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(spec("ansible.builtin.copy").is_some());
    for spec in specs() {
        let mut names: Vec<&str> = spec
            .arguments
            .iter()
            .flat_map(|argument| argument.aliases.iter().copied().chain([argument.name]))
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", spec.name);
        assert!(spec.free_form.is_none_or(|name| names.contains(&name)));
    }
    assert!(module("copy", &json!({"dest": "/x"})).is_err());
}
