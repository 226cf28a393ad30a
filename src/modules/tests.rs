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
        Verdict::Unknown { reason } | Verdict::Skipped { reason } => reason,
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
    let link =
        json!({"path": path(&folder, "link"), "src": "/nowhere", "state": "link", "force": true});
    run(&session, "file", &link).await.unwrap();
    assert!(plan(&session, "file", &link).await.unwrap().is_satisfied());
    let other =
        json!({"path": path(&folder, "link"), "src": "/other", "state": "link", "force": true});
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

#[test]
fn every_module_has_a_doc_with_an_example_that_is_right() {
    for spec in specs() {
        assert!(spec.summary.len() > 10, "{}", spec.name);
        // What a module that returns nothing of its own has is said by its list being empty on purpose.
        let silent = ["sysctl"];
        assert_eq!(
            spec.returns.is_empty(),
            silent.contains(&spec.name),
            "{}",
            spec.name
        );
        let source = crate::diagnostic::Source::new(spec.name, spec.examples);
        let node =
            crate::yaml::parse(&source).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        let tasks = node.to_json();
        let tasks = tasks.as_array().unwrap_or_else(|| panic!("{}", spec.name));
        let mut count = 0;
        for task in tasks {
            for (key, given) in task.as_object().unwrap() {
                let Some(used) = crate::modules::spec(key) else {
                    continue;
                };
                count += usize::from(used.name == spec.name);
                for name in given.as_object().into_iter().flat_map(|given| given.keys()) {
                    let is_known = used.arguments.iter().any(|argument| {
                        argument.name == name || argument.aliases.contains(&name.as_str())
                    });
                    assert!(is_known, "the example of {} gives {key} {name}", spec.name);
                }
            }
        }
        assert!(count > 0, "the example of {} does not use it", spec.name);
    }
}

#[tokio::test]
async fn lines_blocks_and_users_are_put_in_once() {
    let folder = folder();
    let session = session(folder.path());
    let file = path(&folder, "hosts");
    std::fs::write(&file, "127.0.0.1 localhost").unwrap();
    let link = path(&folder, "link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let cases = [
        (
            "lineinfile",
            json!({"path": file, "line": "PORT=2", "regexp": "^PORT="}),
        ),
        (
            "blockinfile",
            json!({"path": link, "block": "10.0.0.1 reg", "marker": "# {mark} kk"}),
        ),
        (
            "htpasswd",
            json!({"path": path(&folder, "htpasswd"), "name": "admin", "password": "it's", "cost": 5}),
        ),
    ];
    for (name, arguments) in &cases {
        run(&session, name, arguments).await.unwrap();
        let again = plan(&session, name, arguments).await.unwrap();
        assert!(again.is_satisfied(), "{name}: {:?}", again.verdict);
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "127.0.0.1 localhost\nPORT=2\n# BEGIN kk\n10.0.0.1 reg\n# END kk\n"
    );
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let other =
        json!({"path": path(&folder, "htpasswd"), "name": "admin", "password": "other", "cost": 5});
    let changed = plan(&session, "htpasswd", &other).await.unwrap();
    assert!(!format!("{changed:?}").contains("$2y$"), "a hash is shown");
    assert_eq!(summary(&changed), "content");
    std::fs::remove_file(folder.path().join("state/ledger/test.jsonl")).unwrap();
}

#[tokio::test]
async fn docker_binaries_come_from_a_plain_or_packed_archive() {
    let folder = folder();
    let session = session(folder.path());
    let source = folder.path().join("source/docker");
    std::fs::create_dir_all(&source).unwrap();
    let mut binaries = Vec::new();
    for (name, text) in [
        ("dockerd", "#!/bin/sh\necho 1\n"),
        ("runc", "#!/bin/sh\necho 2\n"),
    ] {
        std::fs::write(source.join(name), text).unwrap();
        let crate::remote::Sums { sha256, size, .. } =
            crate::remote::Sums::of_file(&source.join(name)).unwrap();
        binaries.push(json!({"name": name, "sha256": sha256, "size": size}));
    }
    for (kind, flags) in [("plain", "-cf"), ("packed", "-czf")] {
        let package = path(&folder, kind);
        let tar = std::process::Command::new("tar")
            .args(["-C", &path(&folder, "source"), flags, &package, "docker"])
            .status()
            .unwrap();
        assert!(tar.success());
        let crate::remote::Sums { sha256, size, .. } =
            crate::remote::Sums::of_file(package.as_ref()).unwrap();
        let dest = path(&folder, &format!("bin-{kind}"));
        let wanted = json!({"package": package, "sha256": sha256, "size": size,
            "binaries": binaries, "dest": dest});
        let (first, _, _) = run(&session, "docker_engine", &wanted).await.unwrap();
        assert_eq!(summary(&first), "Docker: dockerd, runc");
        assert!(
            plan(&session, "docker_engine", &wanted)
                .await
                .unwrap()
                .is_satisfied()
        );
        let ran = std::process::Command::new(format!("{dest}/runc"))
            .output()
            .unwrap();
        assert_eq!(ran.stdout, b"2\n");
        std::fs::write(format!("{dest}/runc"), "other").unwrap();
        let repaired = plan(&session, "docker_engine", &wanted).await.unwrap();
        assert_eq!(summary(&repaired), "Docker: runc");
        let mut left: Vec<_> = std::fs::read_dir(&dest)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["dockerd", "runc"]);
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("state/packages"))
            .unwrap()
            .count(),
        0
    );
}

/// Everything under a folder, but for kk's own state, with the text of files.
fn tree(folder: &std::path::Path) -> std::collections::BTreeMap<String, String> {
    let mut found = std::collections::BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path.clone());
            }
            found.insert(
                path.to_str().unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap_or_default(),
            );
        }
    }
    found
}

#[tokio::test]
async fn removing_by_the_ledger_leaves_what_was_there_before() {
    let folder = folder();
    let session = session(folder.path());
    std::fs::write(folder.path().join("hosts"), "127.0.0.1 localhost\n").unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let before = tree(folder.path());
    let data = path(&folder, "srv/data");
    for (name, arguments) in [
        (
            "file",
            json!({"path": path(&folder, "etc/reg"), "state": "directory"}),
        ),
        (
            "file",
            json!({"path": data, "state": "directory", "data": true}),
        ),
        (
            "copy",
            json!({"content": "a", "dest": path(&folder, "etc/reg/config.yml"), "mode": "0600"}),
        ),
        (
            "copy",
            json!({"content": "b", "dest": path(&folder, "mine/file")}),
        ),
        (
            "file",
            json!({"path": path(&folder, "mine/link"), "src": "file", "state": "link"}),
        ),
        (
            "blockinfile",
            json!({"path": path(&folder, "hosts"), "block": "x", "marker": "# {mark} kk"}),
        ),
    ] {
        run(&session, name, &arguments).await.unwrap();
    }
    std::fs::write(format!("{data}/blob"), "precious").unwrap();
    let remove = json!({"component": "test"});
    let plan_first = plan(&session, "ledger_remove", &remove).await.unwrap();
    // Broken off after every single step, the next attempt must still come to the same end.
    for count in 1..=plan_first.steps.len() {
        let mut part = plan(&session, "ledger_remove", &remove).await.unwrap();
        part.steps.truncate(count);
        apply_plan(&session, None, &part, &|_, _| {}).await.unwrap();
    }
    let again = plan(&session, "ledger_remove", &remove).await.unwrap();
    assert!(again.is_satisfied(), "{again:?}");
    assert_eq!(
        std::fs::read_to_string(format!("{data}/blob")).unwrap(),
        "precious"
    );
    assert_eq!(
        again.result["kept"].as_array().unwrap().len(),
        2,
        "{:?}",
        again.result
    );
    let with_data = json!({"component": "test", "with_data": true});
    run(&session, "ledger_remove", &with_data).await.unwrap();
    // The lock's holder takes the state folder away at the end of a run; here there is none.
    std::fs::remove_dir(folder.path().join("state")).unwrap();
    assert_eq!(tree(folder.path()), before);
}

#[tokio::test]
async fn waiting_sees_ports_and_paths() {
    let folder = folder();
    let session = session(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(
        plan(&session, "wait_for", &json!({"port": port}))
            .await
            .unwrap()
            .is_satisfied()
    );
    drop(listener);
    let closed = json!({"port": port, "timeout": 1});
    let error = run(&session, "wait_for", &closed).await.unwrap_err();
    assert!(error.to_string().contains("waited 1 s for port"), "{error}");
    let gone = json!({"port": port, "state": "stopped"});
    assert!(
        plan(&session, "wait_for", &gone)
            .await
            .unwrap()
            .is_satisfied()
    );
    let file = path(&folder, "soon");
    let wanted = json!({"path": file, "timeout": 20});
    let make = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        std::fs::write(&file, "").unwrap();
    };
    let (outcome, ()) = tokio::join!(run(&session, "wait_for", &wanted), make);
    assert_eq!(outcome.unwrap().2.changed, Some(false));
}

#[tokio::test]
async fn a_folder_with_many_files_is_noted_whole() {
    let folder = folder();
    let session = session(folder.path());
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for number in 0..700 {
        let name = format!("{number}-{}", "n".repeat(80));
        std::fs::write(source.join(name), number.to_string()).unwrap();
    }
    let dest = path(&folder, "dest");
    let wanted = json!({"src": format!("{}/", source.display()), "dest": dest});
    let (first, _, _) = run(&session, "copy", &wanted).await.unwrap();
    assert!(matches!(first.steps[..], [Step::Tree(_)]));
    let noted = session.ledger("test").await.unwrap();
    assert_eq!(noted, ledger_lines(&first.creates).unwrap());
    assert_eq!(noted.len(), 701);
    assert_eq!(std::fs::read_dir(&dest).unwrap().count(), 700);
}
