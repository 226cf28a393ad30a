//! The modules around Docker, one after the other on a host that has nothing, without the engine: what each changes, that
//! it changes nothing the second time, and that the ledger takes all of it away again.
//!
//! Commands reach the host past SSH, which has cases of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use kk::connect::{Connector, ExecRequest, ExitStatus, Output, Stdin, TransportError};
use kk::modules::{
    Arguments, FileSource, Files, Look, ModuleError, Plan, Verdict, apply_plan, spec,
};
use kk::remote::{Become, Session};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use crate::lab_tests::lab::{self, Case, lab};

struct LabHost(String);

impl Connector for LabHost {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        async move {
            let text = request.command.to_string();
            let script = lab::script(300, &["exec", &self.0, "--", "sh", "-c", &text]);
            let mut child = tokio::process::Command::from(script)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            let feed = async move {
                let (first, rest) = match request.stdin {
                    Stdin::Empty => (bytes::Bytes::new(), None),
                    Stdin::Bytes(bytes) => (bytes, None),
                    Stdin::Stream(first, rest) => (first, Some(rest)),
                };
                let _ = input.write_all(&first).await;
                if let Some(mut rest) = rest {
                    while let Some(Ok(piece)) = rest.recv().await {
                        if input.write_all(&piece).await.is_err() {
                            break;
                        }
                    }
                }
            };
            let (output, ()) = tokio::join!(child.wait_with_output(), feed);
            let output = output.unwrap();
            let code = u32::try_from(output.status.code().unwrap()).unwrap();
            Ok(Output {
                status: ExitStatus::Code(code),
                stdout: output.stdout,
                stderr: output.stderr,
            })
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn user(&self) -> &'static str {
        "root"
    }

    fn describe(&self) -> String {
        self.0.clone()
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

/// One host, a task at a time.
struct Tasks(Session);

impl Tasks {
    async fn plan(&self, name: &str, arguments: &Value, check_mode: bool) -> Plan {
        let spec = spec(name).unwrap();
        let mut checked = Map::new();
        for (key, value) in arguments.as_object().unwrap() {
            let mut known = spec.arguments.iter();
            let argument = known
                .find(|argument| argument.name == key || argument.aliases.contains(&key.as_str()))
                .unwrap();
            checked.insert(argument.name.into(), argument.kind.coerce(value).unwrap());
        }
        let look = Look {
            session: &self.0,
            host: "lab",
            facts: None,
            files: &NoFiles,
            check_mode,
            diff: false,
        };
        let module = (spec.build)(Arguments(checked)).unwrap();
        let plan = module.plan(&look).await;
        plan.unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// What was changed, `None` when nothing had to be.
    async fn run(&self, name: &str, arguments: Value) -> Option<String> {
        let plan = self.plan(name, &arguments, false).await;
        apply_plan(&self.0, Some("registry"), &plan, &|_, _| {})
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        match plan.verdict {
            Verdict::Satisfied | Verdict::Skipped { .. } => None,
            Verdict::Change(change) => Some(change.summary),
            Verdict::Unknown { reason } => Some(reason),
        }
    }

    async fn shell(&self, text: &'static str) -> String {
        let command = kk::connect::Command::script(text, [""; 0]);
        let output = self.0.probe(command).await.unwrap();
        assert!(output.success(), "{text}: {}", output.stderr_text());
        output.stdout_text().trim().to_owned()
    }
}

const UNIT: &str = "[Unit]\nDescription=Docker\n[Service]\nType=notify\nExecStart=/usr/local/bin/dockerd\nKillMode=process\nDelegate=yes\n[Install]\nWantedBy=multi-user.target\n";

const COMPOSE: &str = "services:\n  registry:\n    image: registry:VERSION\n    container_name: kk-registry\n    pull_policy: never\n    restart: always\n    command: [serve, /etc/registry/config.yml]\n    volumes: [\"/etc/kk-reg:/etc/registry:ro\", \"/srv/kk-reg/data:/var/lib/registry\"]\n";

const CONFIG: &str = "version: 0.1\nstorage:\n  filesystem: {rootdirectory: /var/lib/registry}\nhttp: {addr: ':5000'}\n";

const TREE: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/systemd -o -path /var/lib/docker -o -path /root \\) -prune -o -print | sort";

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, from bare to bare")]
async fn an_engine_an_image_and_a_project_come_stay_change_and_go() {
    let case = Case::new("modules, one after the other", &[3]);
    let value = |key: &str| lab().get(key).to_owned();
    let session = Session::new(
        Arc::new(LabHost(case.hosts[0].name.clone())),
        Become::default(),
        tokio_util::sync::CancellationToken::new(),
    );
    let host = Tasks(session);
    let before = host.shell(TREE).await;

    let folder = PathBuf::from(value("BINARY_DIR"));
    let (docker, registry, arch) = (
        value("DOCKER_VERSION"),
        value("REGISTRY_VERSION"),
        value("ARCH"),
    );
    let engine = package(&folder.join(format!("docker/{docker}/{arch}/docker-{docker}.tgz")));
    let compose_version = value("COMPOSE_VERSION");
    let compose = package(&folder.join(format!(
        "image-registry/docker-compose/{compose_version}/{arch}/docker-compose"
    )));
    let archive = folder.join(format!(
        "image-registry/docker-registry/{registry}/{arch}/docker-registry-{registry}-linux-{arch}.tgz"
    ));
    let mut image = package(&archive);
    image["image_id"] = image_id(&archive).into();
    image["references"] = json!([format!("registry:{registry}")]);
    let up = json!({"project_name": "kk-reg", "project_src": "/etc/kk-reg", "config_files": ["/etc/kk-reg/config.yml"]});

    case.step("a bare host");
    // Nothing is there yet, and check mode says so without failing.
    for (name, arguments) in [("docker_image", &image), ("docker_compose", &up)] {
        let plan = host.plan(name, arguments, true).await;
        assert!(
            matches!(plan.verdict, Verdict::Unknown { .. }),
            "{name}: {plan:?}"
        );
    }

    let mut engine_arguments = engine.clone();
    engine_arguments["binaries"] =
        binaries(&folder.join(format!("docker/{docker}/{arch}/docker-{docker}.tgz")));
    let mut plugin = compose;
    plugin["dest"] = "/usr/local/lib/docker/cli-plugins/docker-compose".into();
    plugin["mode"] = "0755".into();
    let service =
        json!({"name": "docker", "state": "started", "enabled": true, "daemon_reload": true});
    let text = COMPOSE.replace("VERSION", &registry);
    let story = [
        ("docker_engine", engine_arguments),
        (
            "copy",
            json!({"content": UNIT, "dest": "/etc/systemd/system/docker.service"}),
        ),
        ("systemd", service),
        (
            "file",
            json!({"path": "/usr/local/lib/docker/cli-plugins", "state": "directory"}),
        ),
        ("package_file", plugin),
        ("docker_image", image),
        (
            "file",
            json!({"path": "/etc/kk-reg", "state": "directory", "mode": "0700"}),
        ),
        (
            "file",
            json!({"path": "/srv/kk-reg/data", "state": "directory", "data": true}),
        ),
        (
            "copy",
            json!({"content": CONFIG, "dest": "/etc/kk-reg/config.yml", "mode": "0600"}),
        ),
        (
            "copy",
            json!({"content": text, "dest": "/etc/kk-reg/compose.yaml"}),
        ),
        ("docker_compose", up.clone()),
    ];
    case.step("from nothing to a registry");
    for (name, arguments) in &story {
        assert!(
            host.run(name, arguments.clone()).await.is_some(),
            "{name} changed nothing"
        );
    }
    case.step("the same again");
    for (name, arguments) in &story {
        assert_eq!(
            host.run(name, arguments.clone()).await,
            None,
            "{name} changed something again"
        );
    }
    let id = "docker inspect -f '{{.Id}} {{.State.Status}}' kk-registry";
    let first = host.shell(id).await;
    assert!(first.ends_with("running"), "{first}");

    case.step("changes");
    // A mounted file makes the container anew, a stopped container is started, and once each.
    let config = format!("{CONFIG}log: {{level: debug}}\n");
    host.run(
        "copy",
        json!({"content": config, "dest": "/etc/kk-reg/config.yml"}),
    )
    .await
    .unwrap();
    assert_eq!(
        host.run("docker_compose", up.clone()).await.unwrap(),
        "/etc/kk-reg/config.yml changed"
    );
    let second = host.shell(id).await;
    assert_ne!(first, second);
    assert_eq!(host.run("docker_compose", up.clone()).await, None);
    host.shell("docker stop kk-registry").await;
    assert_eq!(
        host.run("docker_compose", up.clone()).await.unwrap(),
        "registry is exited"
    );
    assert_eq!(host.shell(id).await, second);

    // The image goes by accident and comes back; its name moved to another image is put right.
    host.shell("docker rm -f kk-registry && docker image rm registry:* >/dev/null 2>&1; docker image rm $(docker image ls -q)").await;
    assert!(
        host.run("docker_image", story[5].1.clone())
            .await
            .unwrap()
            .starts_with("load")
    );
    host.run("docker_compose", up.clone()).await.unwrap();
    host.shell("echo precious >/srv/kk-reg/data/blob").await;

    case.step("removal");
    // A container of somebody else keeps the engine, and only that.
    host.shell("docker run -d --name other $(docker image ls -q | head -n 1) serve /nothing")
        .await;
    host.run("ledger_remove", json!({"component": "registry"}))
        .await
        .unwrap();
    let left = host.shell("docker ps -a --format '{{.Names}}'; systemctl is-active docker; ls /etc/kk-reg 2>&1 || :; cat /srv/kk-reg/data/blob").await;
    assert_eq!(left.lines().next(), Some("other"), "{left}");
    assert!(
        left.contains("active") && left.contains("No such file") && left.contains("precious"),
        "{left}"
    );
    host.shell("docker rm -f other; docker image rm -f $(docker image ls -q)")
        .await;
    host.run("ledger_remove", json!({"component": "registry"}))
        .await
        .unwrap();
    assert_eq!(
        host.shell("cat /srv/kk-reg/data/blob; command -v dockerd || :")
            .await,
        "precious"
    );
    host.run(
        "ledger_remove",
        json!({"component": "registry", "with_data": true}),
    )
    .await
    .unwrap();
    host.shell("rmdir /var/lib/kk 2>/dev/null || :").await;
    let after = host.shell(TREE).await;
    let appeared: Vec<&str> = after
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line))
        .collect();
    let vanished: Vec<&str> = before
        .lines()
        .filter(|line| !after.lines().any(|new| new == *line))
        .collect();
    assert!(vanished.is_empty(), "{vanished:?}");
    assert!(appeared.is_empty(), "{appeared:?}");
}

fn package(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap();
    json!({"src": path, "sha256": hex::encode(Sha256::digest(&bytes)), "size": bytes.len()})
}

fn inspected(path: &Path, kind: kk::artifact::Kind) -> kk::artifact::Contents {
    let watch = |_| std::ops::ControlFlow::Continue(());
    kk::artifact::read(path, kind, &watch).unwrap().contents
}

fn binaries(path: &Path) -> Value {
    match inspected(path, kk::artifact::Kind::Engine) {
        kk::artifact::Contents::Engine { binaries, .. } => binaries
            .iter()
            .map(
                |binary| json!({"name": binary.name, "sha256": binary.sha256, "size": binary.size}),
            )
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn image_id(path: &Path) -> String {
    match inspected(path, kk::artifact::Kind::Image) {
        kk::artifact::Contents::Image { images, .. } => images[0].id.clone(),
        other => panic!("{other:?}"),
    }
}
