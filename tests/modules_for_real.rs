//! Modules on this machine through the local connector, in a folder of their own: what they do, and that doing it twice
//! changes nothing.

use std::path::Path;
use std::sync::Arc;

use kk::connect::local::LocalConnector;
use kk::modules::{
    Arguments, FileSource, Files, Look, Module, ModuleError, Verdict, apply_plan, spec,
};
use kk::remote::{Become, Session};
use kk::template::Syntax;
use serde_json::{Map, Value, json};

struct Own<'a>(&'a Path);

impl Files for Own<'_> {
    fn file(&self, src: &str) -> Result<FileSource, ModuleError> {
        Ok(FileSource::Path(self.0.join(src)))
    }

    fn template(&self, src: &str, _: &Syntax, _: &str) -> Result<String, ModuleError> {
        std::fs::read_to_string(self.0.join(src))
            .map_err(|error| ModuleError::failed(error.to_string()))
    }

    fn own_path(&self, path: &str) -> std::path::PathBuf {
        self.0.join(path)
    }
}

/// A folder that goes away, and this machine.
struct Place {
    folder: tempfile::TempDir,
    session: Session,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::new(
            Arc::new(LocalConnector::new()),
            Become::default(),
            tokio_util::sync::CancellationToken::new(),
        )
        .with_state_dir(folder.path().join("state").to_str().unwrap());
        Self { folder, session }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Whether it changed anything, and the result.
    async fn run(
        &self,
        name: &str,
        args: Value,
    ) -> Result<(bool, Map<String, Value>), ModuleError> {
        self.run_in(name, args, false).await
    }

    async fn run_in(
        &self,
        name: &str,
        args: Value,
        check_mode: bool,
    ) -> Result<(bool, Map<String, Value>), ModuleError> {
        let spec = spec(name).unwrap_or_else(|| panic!("no module `{name}`"));
        let mut checked = Map::new();
        for (key, value) in args.as_object().unwrap() {
            let argument = spec
                .arguments
                .iter()
                .find(|argument| argument.name == key || argument.aliases.contains(&key.as_str()))
                .unwrap_or_else(|| panic!("`{name}` has no argument `{key}`"));
            let value = argument.kind.coerce(value).map_err(ModuleError::failed)?;
            checked.insert(argument.name.to_owned(), value);
        }
        let module: Box<dyn Module> = (spec.build)(Arguments(checked))?;
        let files = Own(self.folder.path());
        let look = Look {
            session: &self.session,
            host: "here",
            facts: None,
            files: &files,
            check_mode,
            diff: true,
        };
        let plan = module.plan(&look).await?;
        let foreseen = !matches!(plan.verdict, Verdict::Satisfied | Verdict::Skipped { .. });
        let mut result = plan.result.clone();
        if !foreseen || check_mode {
            return Ok((foreseen, result));
        }
        let outputs = apply_plan(&self.session, None, &plan, &|_, _| {}).await?;
        let conclusion = module.conclude(&outputs)?;
        result.extend(conclusion.result);
        Ok((conclusion.changed.unwrap_or(true), result))
    }

    /// Does it and does it again: the check foresees the change, the first time changes something, the second nothing.
    async fn twice(&self, name: &str, args: Value) -> Map<String, Value> {
        let (foreseen, _) = self.run_in(name, args.clone(), true).await.unwrap();
        assert!(foreseen, "{name} {args}: the check foresees nothing");
        let (changed, result) = self.run(name, args.clone()).await.unwrap();
        assert!(changed, "{name} {args}: nothing changed");
        let (again, _) = self.run(name, args.clone()).await.unwrap();
        assert!(!again, "{name} {args}: the second time changed something");
        result
    }

    /// The message of a failure.
    async fn fails(&self, name: &str, args: Value) -> String {
        match self.run(name, args.clone()).await {
            Err(error) => error.to_string(),
            Ok(result) => panic!("{name} {args} did not fail: {result:?}"),
        }
    }
}

fn mode(path: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode();
    format!("{:04o}", mode & 0o7777)
}

#[tokio::test]
async fn a_file_is_checked_kept_and_put_in_place() {
    let place = Place::new();
    let dest = place.path("a");
    let first = place
        .twice("copy", json!({"content": "one\n", "dest": dest, "mode": "u=rw,g=r,o=", "validate": "grep -q one %s"}))
        .await;
    assert_eq!(
        (&first["mode"], &first["state"], &first["size"]),
        (&json!("0640"), &json!("file"), &json!(4))
    );
    assert_eq!(mode(&dest), "0640");
    let wrong = place
        .fails(
            "copy",
            json!({"content": "two\n", "dest": dest, "validate": "grep -q one %s"}),
        )
        .await;
    assert!(wrong.contains("failed to validate"), "{wrong}");
    assert_eq!(place.read("a"), "one\n");
    let kept = place
        .twice(
            "copy",
            json!({"content": "two\n", "dest": dest, "backup": true}),
        )
        .await;
    let backup = kept["backup_file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(backup).unwrap(), "one\n");
    assert_eq!(mode(&dest), "0640", "the mode stays");
    let big = place.write("big", vec![7_u8; 2 * 1024 * 1024]);
    place
        .twice("copy", json!({"src": "big", "dest": dest, "backup": true, "validate": "test -s %s", "mode": "0600"}))
        .await;
    assert_eq!(std::fs::read(&dest).unwrap(), std::fs::read(big).unwrap());
    assert_eq!(mode(&dest), "0600");
}

#[tokio::test]
async fn folders_are_copied_from_here_and_on_the_host() {
    let place = Place::new();
    place.write("from/a", "1\n");
    place.write("from/sub/b", "2\n");
    std::fs::create_dir_all(place.path("from/empty")).unwrap();
    std::os::unix::fs::symlink("a", place.path("from/link")).unwrap();
    let to = place.path("to");
    place
        .twice("copy", json!({"src": "from", "dest": format!("{to}/"), "mode": "0600", "directory_mode": "0711", "local_follow": false}))
        .await;
    assert_eq!(place.read("to/from/sub/b"), "2\n");
    assert!(Path::new(&place.path("to/from/empty")).is_dir());
    assert_eq!(
        std::fs::read_link(place.path("to/from/link")).unwrap(),
        Path::new("a")
    );
    assert_eq!(
        (
            mode(&place.path("to/from/a")),
            mode(&place.path("to/from/sub"))
        ),
        ("0600".into(), "0711".into())
    );
    place.write("to/from/a", "other\n");
    place
        .twice(
            "copy",
            json!({"src": "from/", "dest": place.path("to/from"), "local_follow": false}),
        )
        .await;
    assert_eq!(place.read("to/from/a"), "1\n");
    place
        .twice(
            "copy",
            json!({"src": place.path("from"), "dest": place.path("there"), "remote_src": true}),
        )
        .await;
    assert_eq!(place.read("there/from/sub/b"), "2\n");
    place
        .twice("copy", json!({"src": place.path("from/a"), "dest": place.path("one/"), "remote_src": true, "mode": "0700"}))
        .await;
    assert_eq!(
        (
            place.read("one/a").as_str(),
            mode(&place.path("one/a")).as_str()
        ),
        ("1\n", "0700")
    );
}

#[tokio::test]
async fn attributes_links_and_times() {
    let place = Place::new();
    place.write("tree/a", "");
    place.write("tree/sub/run", "");
    std::process::Command::new("chmod")
        .args(["755", &place.path("tree/sub/run")])
        .status()
        .unwrap();
    place
        .twice("file", json!({"path": place.path("tree"), "state": "directory", "recurse": true, "mode": "u=rwX,go="}))
        .await;
    assert_eq!(
        ["tree", "tree/a", "tree/sub", "tree/sub/run"].map(|name| mode(&place.path(name))),
        ["0700", "0600", "0700", "0700"]
    );
    place
        .twice(
            "file",
            json!({"path": place.path("hard"), "src": place.path("tree/a"), "state": "hard"}),
        )
        .await;
    let refused = place
        .fails(
            "file",
            json!({"path": place.path("soft"), "src": "gone", "state": "link"}),
        )
        .await;
    assert!(refused.contains("is not there"), "{refused}");
    place
        .twice(
            "file",
            json!({"path": place.path("soft"), "src": "gone", "state": "link", "force": true}),
        )
        .await;
    place
        .twice(
            "file",
            json!({"path": place.path("touched"), "state": "touch", "mode": "0604",
            "modification_time": "202401020304.05", "access_time": "preserve"}),
        )
        .await;
    place
        .twice(
            "file",
            json!({"path": place.path("tree"), "state": "absent"}),
        )
        .await;
    assert!(!Path::new(&place.path("tree")).exists());
}

#[tokio::test]
async fn texts_are_edited() {
    let place = Place::new();
    let path = place.write("conf", "a=1\n#b=2\n[s]\nx = 1\n");
    let line = place
        .twice("lineinfile", json!({"path": path, "regexp": "^#?(b)=.*", "line": r"\1=3", "backrefs": true, "backup": true}))
        .await;
    assert_eq!(line["msg"], "line replaced");
    assert!(Path::new(line["backup"].as_str().unwrap()).exists());
    let count = place
        .twice(
            "replace",
            json!({"path": path, "regexp": r"^(\w)=(\d)$", "replace": r"\g<1>: \2"}),
        )
        .await;
    assert_eq!(count["msg"], "2 replacements made");
    place
        .twice(
            "ini_file",
            json!({"path": path, "section": "s", "option": "y", "value": "2"}),
        )
        .await;
    place
        .twice(
            "blockinfile",
            json!({"path": path, "block": "z", "insertbefore": "BOF", "append_newline": true}),
        )
        .await;
    assert_eq!(
        place.read("conf"),
        "# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n\na: 1\nb: 3\n[s]\nx = 1\ny = 2\n"
    );
    place
        .twice(
            "lineinfile",
            json!({"path": path, "search_string": "b:", "state": "absent"}),
        )
        .await;
    place
        .twice(
            "ini_file",
            json!({"path": path, "section": "s", "state": "absent"}),
        )
        .await;
    assert!(!place.read("conf").contains("[s]"));
    place
        .twice("known_hosts", json!({"path": place.path("ssh/known"), "name": "git", "key": "git ssh-rsa AAAA", "hash_host": true}))
        .await;
    assert!(place.read("ssh/known").starts_with("|1|"));
    place
        .twice("sysctl", json!({"sysctl_file": place.path("sysctl.conf"), "name": "vm.swappiness", "value": "10", "reload": false}))
        .await;
    place
        .twice("mount", json!({"fstab": place.path("fstab"), "path": "/nowhere/at all", "src": "/dev/x", "fstype": "ext4", "state": "present"}))
        .await;
    assert_eq!(
        place.read("fstab"),
        "/dev/x /nowhere/at\\040all ext4 defaults 0 0\n"
    );
    place
        .twice(
            "cron",
            json!({"cron_file": place.path("cron"), "name": "n", "job": "true", "hour": "3"}),
        )
        .await;
    assert_eq!(place.read("cron"), "#Ansible: n\n* 3 * * * root true\n");
}

#[tokio::test]
async fn commands_scripts_and_their_words() {
    let place = Place::new();
    let (_, expanded) = place
        .run(
            "command",
            json!({"cmd": "echo $HOME ${HOME}x '$NOT_SET_ANYWHERE' ~/a"}),
        )
        .await
        .unwrap();
    let home = std::env::var("HOME").unwrap();
    assert_eq!(
        expanded["stdout"],
        format!("{home} {home}x $NOT_SET_ANYWHERE {home}/a")
    );
    assert!(expanded["delta"].as_str().unwrap().starts_with("0:00:0"));
    let (_, plain) = place
        .run(
            "command",
            json!({"cmd": "echo $HOME", "expand_argument_vars": false}),
        )
        .await
        .unwrap();
    assert_eq!(plain["stdout"], "$HOME");
    let Err(ModuleError::Failed { result, .. }) = place
        .run("command", json!({"cmd": "no-such-program-at-all x"}))
        .await
    else {
        panic!("it did not fail")
    };
    assert_eq!(result["rc"], 2);
    let made = place.path("made");
    place
        .run(
            "shell",
            json!({"cmd": format!("touch {made}"), "creates": made}),
        )
        .await
        .unwrap();
    let (changed, again) = place
        .run(
            "shell",
            json!({"cmd": format!("touch {made}"), "creates": made}),
        )
        .await
        .unwrap();
    assert!(!changed && again["stdout"].as_str().unwrap().contains("exists"));
    place.write("do.sh", "#!/bin/sh\nprintf '%s,' \"$PWD\" \"$@\"\n");
    let folder = place.path("");
    let folder = folder.trim_end_matches('/');
    let (_, said) = place
        .run(
            "script",
            json!({"cmd": "do.sh one 'two three'", "chdir": folder}),
        )
        .await
        .unwrap();
    assert_eq!(said["stdout"], format!("{folder},one,two three,"));
    let (_, said) = place
        .run("script", json!({"cmd": "do.sh", "executable": "sh -e"}))
        .await
        .unwrap();
    assert_eq!(said["rc"], 0);
    let (_, said) = place
        .run("raw", json!({"cmd": "echo a; exit 0"}))
        .await
        .unwrap();
    assert_eq!(said["stdout"], "a\n");
    assert_eq!(
        place.run("ping", json!({})).await.unwrap().1["ping"],
        "pong"
    );
}

#[tokio::test]
async fn files_are_found_fetched_and_temporary() {
    let place = Place::new();
    place.write("logs/a.log", "error: x\n");
    place.write("logs/sub/b.log", "fine\n");
    place.write("logs/.hidden.log", "");
    let found = |args: Value| async { place.run("find", args).await.unwrap().1 };
    let logs = place.path("logs");
    let names = |result: &Map<String, Value>| {
        let mut names: Vec<String> = result["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| {
                file["path"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&found(json!({"paths": logs, "patterns": "*.log"})).await),
        ["a.log"]
    );
    assert_eq!(
        names(&found(json!({"paths": logs, "recurse": true, "hidden": true})).await),
        [".hidden.log", "a.log", "b.log"]
    );
    assert_eq!(
        names(&found(json!({"paths": logs, "recurse": true, "contains": r"err\w+: x"})).await),
        ["a.log"]
    );
    assert_eq!(
        names(&found(json!({"paths": logs, "file_type": "directory"})).await),
        ["sub"]
    );
    assert_eq!(names(&found(json!({"paths": logs, "recurse": true, "use_regex": true, "patterns": r"^[ab]\.log$", "size": "6"})).await), ["a.log"]);
    let hashed = found(json!({"paths": logs, "patterns": "a.log", "get_checksum": true})).await;
    assert_eq!(
        hashed["files"][0]["checksum"],
        "c7e339d7cf866a891e8c22d1249dfde9111466be"
    );
    let (changed, fetched) = place
        .run(
            "fetch",
            json!({"src": place.path("logs/a.log"), "dest": "got"}),
        )
        .await
        .unwrap();
    assert!(changed);
    assert_eq!(
        std::fs::read_to_string(fetched["dest"].as_str().unwrap()).unwrap(),
        "error: x\n"
    );
    assert!(fetched["dest"].as_str().unwrap().contains("/got/here/"));
    assert!(
        !place
            .run(
                "fetch",
                json!({"src": place.path("logs/a.log"), "dest": "got"})
            )
            .await
            .unwrap()
            .0
    );
    let (_, made) = place
        .run("tempfile", json!({"path": place.path(""), "suffix": "-x"}))
        .await
        .unwrap();
    let path = made["path"].as_str().unwrap();
    assert!(path.ends_with("-x") && mode(path) == "0600", "{path}");
    let (_, made) = place
        .run(
            "tempfile",
            json!({"path": place.path(""), "state": "directory"}),
        )
        .await
        .unwrap();
    assert_eq!(mode(made["path"].as_str().unwrap()), "0700");
}

#[tokio::test]
async fn archives_are_packed_and_unpacked() {
    let place = Place::new();
    place.write("data/a", "1\n");
    place.write("data/sub/b c", "2\n");
    place.write("data/skip", "");
    std::os::unix::fs::symlink("a", place.path("data/link")).unwrap();
    let zip = ["zip", "unzip"].iter().all(|tool| {
        std::process::Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output()
            .unwrap()
            .status
            .success()
    });
    for format in ["gz", "bz2", "xz", "tar", "zip"] {
        if format == "zip" && !zip {
            continue;
        }
        let archive = place.path(&format!("data.{format}"));
        let packed = place
            .twice("archive", json!({"path": place.path("data"), "dest": archive, "format": format, "exclude_path": [place.path("data/skip")]}))
            .await;
        assert_eq!(
            packed["archived"].as_array().unwrap().len(),
            3,
            "{format} {packed:?}"
        );
        let to = place.path(&format!("to-{format}"));
        std::fs::create_dir(&to).unwrap();
        let unpacked = place
            .twice(
                "unarchive",
                json!({"src": archive, "dest": to, "remote_src": true, "list_files": true}),
            )
            .await;
        assert!(
            unpacked["files"]
                .as_array()
                .unwrap()
                .contains(&json!("data/sub/b c")),
            "{unpacked:?}"
        );
        assert_eq!(place.read(&format!("to-{format}/data/sub/b c")), "2\n");
        assert!(!Path::new(&format!("{to}/data/skip")).exists());
        place.write(&format!("to-{format}/data/a"), "other");
        place
            .twice(
                "unarchive",
                json!({"src": format!("data.{format}"), "dest": to, "mode": "u=rwX,go=rX"}),
            )
            .await;
        assert_eq!(place.read(&format!("to-{format}/data/a")), "1\n");
    }
    place
        .twice(
            "archive",
            json!({"path": place.path("data/a"), "format": "gz"}),
        )
        .await;
    let plain = std::process::Command::new("gzip")
        .args(["-dc", &place.path("data/a.gz")])
        .output()
        .unwrap();
    assert_eq!(plain.stdout, b"1\n");
    let none = place
        .fails(
            "archive",
            json!({"path": place.path("none*"), "dest": place.path("none.gz")}),
        )
        .await;
    assert!(none.contains("no source paths"), "{none}");
}

#[tokio::test]
async fn requests_are_made_by_the_host() {
    let has_curl = std::process::Command::new("curl")
        .arg("--version")
        .output()
        .is_ok();
    if !has_curl {
        return;
    }
    let place = Place::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let count = stream.read(&mut piece).unwrap_or(0);
                request.extend_from_slice(&piece[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")
                        .and_then(|text| text.parse::<usize>().ok())
                });
                if body.len() >= length.unwrap_or(0) || count == 0 {
                    let answer = if head.starts_with("GET /missing") {
                        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
                            .to_owned()
                    } else if head.starts_with("GET /file") {
                        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfile\n"
                            .to_owned()
                    } else {
                        let echo = json!({"line": head.lines().next(), "body": body, "auth": head.contains("Authorization: Basic"), "type": head.lines().find(|line| line.starts_with("Content-Type"))}).to_string();
                        format!(
                            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Some-Thing: y\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{echo}",
                            echo.len()
                        )
                    };
                    stream.write_all(answer.as_bytes()).unwrap();
                    break;
                }
            }
        }
    });
    let (changed, said) = place
        .run("uri", json!({"url": format!("http://{address}/x"), "method": "POST", "body": {"a": "b \"c\"\n"}, "body_format": "json",
            "status_code": [201], "url_username": "u", "url_password": "p"}))
        .await
        .unwrap();
    assert!(!changed);
    assert_eq!(
        said["json"],
        json!({"line": "POST /x HTTP/1.1", "body": "{\"a\":\"b \\\"c\\\"\\n\"}", "auth": true, "type": "Content-Type: application/json"})
    );
    assert_eq!(
        (&said["status"], &said["x_some_thing"]),
        (&json!(201), &json!("y"))
    );
    let failed = place
        .fails("uri", json!({"url": format!("http://{address}/missing")}))
        .await;
    assert!(
        failed.contains("Status code was 404 and not [200]"),
        "{failed}"
    );
    let file =
        json!({"url": format!("http://{address}/file"), "dest": place.path("got"), "mode": "0600"});
    let (changed, got) = place.run("get_url", file.clone()).await.unwrap();
    assert!(changed);
    assert_eq!(
        (
            place.read("got").as_str(),
            &got["status_code"],
            &got["mode"]
        ),
        ("file\n", &json!(200), &json!("0600"))
    );
    assert!(!place.run("get_url", file).await.unwrap().0);
    let wrong = place
        .fails("get_url", json!({"url": format!("http://{address}/file"), "dest": place.path("got"), "checksum": "sha256:00"}))
        .await;
    assert!(wrong.contains("did not match"), "{wrong}");
    assert_eq!(place.read("got"), "file\n");
}

#[tokio::test]
async fn what_the_host_is_becomes_facts() {
    let place = Place::new();
    let facts = |result: &Map<String, Value>| result["ansible_facts"].clone();
    let (_, root) = place
        .run("getent", json!({"database": "passwd", "key": "root"}))
        .await
        .unwrap();
    assert_eq!(facts(&root)["getent_passwd"]["root"][1], "0");
    let (_, only) = place
        .run("setup", json!({"filter": ["distribution*"]}))
        .await
        .unwrap();
    let names: Vec<String> = facts(&only).as_object().unwrap().keys().cloned().collect();
    assert!(
        !names.is_empty()
            && names
                .iter()
                .all(|name| name.starts_with("ansible_distribution")),
        "{names:?}"
    );
    let (_, packages) = place.run("package_facts", json!({})).await.unwrap();
    assert!(!facts(&packages)["packages"].as_object().unwrap().is_empty());
    let (changed, user) = place
        .run("user", json!({"name": "root", "home": "/root"}))
        .await
        .unwrap();
    assert!(!changed);
    assert_eq!((&user["uid"], &user["group"]), (&json!(0), &json!(0)));
    assert!(
        !place
            .run("group", json!({"name": "root", "gid": 0}))
            .await
            .unwrap()
            .0
    );
    let (_, stat) = place
        .run(
            "stat",
            json!({"path": "/etc/passwd", "checksum_algorithm": "sha512"}),
        )
        .await
        .unwrap();
    assert_eq!(
        (
            stat["stat"]["checksum"].as_str().unwrap().len(),
            &stat["stat"]["roth"]
        ),
        (128, &json!(true))
    );
    place.write("log", "starting\nready on port 8080\n");
    let (_, waited) = place
        .run(
            "wait_for",
            json!({"path": place.path("log"), "search_regex": r"port (?P<port>\d+)", "timeout": 5}),
        )
        .await
        .unwrap();
    assert_eq!(
        (&waited["match_groups"], &waited["match_groupdict"]),
        (&json!(["8080"]), &json!({"port": "8080"}))
    );
    let (changed, connected) = place
        .run("wait_for_connection", json!({"timeout": 5}))
        .await
        .unwrap();
    assert!(!changed);
    assert_eq!(connected["elapsed"], 0);
}
