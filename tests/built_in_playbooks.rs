//! The built-in playbooks: they load against every example inventory, a copy of them is the same, and what their
//! templates write is what the programs that read it expect.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use kk::diagnostic::{Colour, Source, render_all};
use kk::engine::{Control, Dial, Events, Fleet, LOCALHOST, RunOptions};
use kk::inventory::{Host, Inventory, LocalMachine};
use kk::playbook::{Library, load};
use kk::secret::Redactor;
use kk::settings::{SetFlag, Settings, SettingsInput};
use kk::template::{Layer, Scope, Syntax, render_file};

const PLAYBOOKS: [&str; 4] = [
    "collect_garbage.yaml",
    "init_registry.yaml",
    "prove_registry.yaml",
    "delete_registry.yaml",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository().join("inventory-examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_str().unwrap().contains("-config"))
        .collect();
    files.sort();
    files
}

#[test]
fn they_load_against_every_example_inventory() {
    let examples = examples();
    assert!(examples.len() >= 8, "{examples:?}");
    let library = Library::built_in(None);
    for example in examples {
        let text = std::fs::read_to_string(&example).unwrap();
        let source = Source::new(example.display().to_string(), text);
        let inventory = Inventory::parse(&source, &LocalMachine::default())
            .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)))
            .inventory;
        assert!(
            inventory.groups.contains_key("image_registry"),
            "{}",
            example.display()
        );
        for name in PLAYBOOKS {
            let playbook = load(&library, name)
                .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
            kk::engine::validate(&playbook, &inventory)
                .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
        }
    }
}

#[test]
fn an_exported_copy_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (written, kept) = Library::export(folder.path(), false).unwrap();
    assert!(kept.is_empty());
    let again = Library::export(folder.path(), false).unwrap();
    assert_eq!(again, (Vec::new(), written));
    let root = folder.path().to_str().unwrap();
    for name in PLAYBOOKS {
        let describe = |library: &Library| {
            let playbook = load(library, name).unwrap();
            format!("{playbook:#?}").replace(root, "<built-in>")
        };
        let built_in = describe(&Library::built_in(None));
        assert_eq!(describe(&Library::built_in(Some(folder.path()))), built_in);
        assert_eq!(describe(&Library::folder(folder.path())), built_in);
    }
}

#[test]
fn a_folder_of_the_user_goes_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = folder.path().join("roles/docker_compose/tasks");
    std::fs::create_dir_all(&tasks).unwrap();
    std::fs::write(tasks.join("main.yaml"), "- {name: mine, debug: {}}\n").unwrap();
    let library = Library::built_in(Some(folder.path()));
    let playbook = format!("{:?}", load(&library, "init_registry.yaml").unwrap());
    assert!(playbook.contains("\"mine\""));
    std::fs::write(tasks.join("main.yaml"), "- {name: mine, debgu: {}}\n").unwrap();
    let found = load(&library, "init_registry.yaml").unwrap_err();
    assert!(
        found
            .to_string()
            .contains("unknown module or keyword `debgu`"),
        "{found}"
    );
}

/// Variables as `kk init registry` gives them, with settings from flags and a Config file.
pub(crate) struct World {
    layers: Vec<Layer>,
}

impl World {
    pub(crate) fn new(sets: &[&str], config: Option<&str>, kk: &Value) -> Self {
        let mut flags = vec![SetFlag::set("image_registry.type=docker-registry")];
        flags.extend(sets.iter().map(|set| SetFlag::set(*set)));
        let head = "apiVersion: kubekey.kubesphere.io/v1\nkind: Config\nspec:\n";
        let input = SettingsInput {
            config: config.map(|spec| Source::new("config.yaml", format!("{head}{spec}"))),
            sets: &flags,
            ..SettingsInput::default()
        };
        let settings = Settings::load(&input)
            .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)))
            .settings;
        let mut all = json!({
            "registry": {"name": "10.0.0.11", "endpoint": "10.0.0.11", "endpoints": ["10.0.0.11"], "port": 443},
            "secrets": {"password": "pw", "http_secret": "http-secret"},
            "storage": {"ca_file": null, "keyfile": settings.image_registry.storage_keyfile},
        });
        for (key, value) in kk.as_object().unwrap() {
            all[key] = value.clone();
        }
        Self {
            layers: vec![
                Layer::raw(settings.tree),
                Layer::raw(Map::from_iter([("kk".to_owned(), all)])),
            ],
        }
    }

    /// What a template of a role writes.
    pub(crate) fn render(&self, role: &str, template: &str) -> String {
        let library = Library::built_in(None);
        let read = |path: String| {
            let entry = library.read(&path).unwrap()?;
            Some(String::from_utf8(entry.bytes.into_owned()).unwrap())
        };
        let mut layers = Vec::new();
        if let Some(text) = read(format!("roles/{role}/defaults/main.yaml")) {
            let node = kk::yaml::parse(&Source::new("defaults", text)).unwrap();
            let Value::Object(defaults) = node.to_json() else {
                panic!("defaults")
            };
            layers.push(Layer::templated(defaults));
        }
        layers.extend(self.layers.iter().cloned());
        let text = read(format!("roles/{role}/templates/{template}")).unwrap();
        render_file(template, &text, &Syntax::default(), &Scope::new(layers))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn yaml(&self, role: &str, template: &str) -> Value {
        let text = self.render(role, template);
        kk::yaml::parse(&Source::new(template, text.clone()))
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
            .to_json()
    }
}

/// What nobody should have in a name, and somebody has.
const NASTY: &str = "a $HOME ${x} {{ no }} {% if %} # : ' \" \\ %i é";

#[test]
fn the_registrys_configuration() {
    let world = World::new(&[], None, &json!({}));
    insta::assert_snapshot!(
        "config-filesystem",
        world.render("docker_registry", "config.yml.j2")
    );
    let config = world.yaml("docker_registry", "config.yml.j2");
    assert_eq!(
        config["storage"]["filesystem"]["rootdirectory"],
        "/var/lib/registry"
    );
    assert_eq!(config["storage"]["delete"]["enabled"], true);
    assert_eq!(config["http"]["tls"]["minimumtls"], "tls1.2");

    let plain = World::new(&["image_registry.auth.plain_http=true"], None, &json!({}));
    let config = plain.yaml("docker_registry", "config.yml.j2");
    assert_eq!(config["http"].get("tls"), None);

    let s3 =
        std::fs::read_to_string(repository().join("inventory-examples/s3-config.yaml")).unwrap();
    let spec = s3.split_once("spec:\n").unwrap().1;
    let world = World::new(&[], Some(spec), &json!({}));
    insta::assert_snapshot!(
        "config-s3",
        world.render("docker_registry", "config.yml.j2")
    );
    let config = world.yaml("docker_registry", "config.yml.j2");
    let drivers: Vec<&String> = config["storage"].as_object().unwrap().keys().collect();
    assert_eq!(
        drivers,
        ["s3", "redirect", "delete", "cache", "maintenance"]
    );
    assert_eq!(config["storage"]["delete"]["enabled"], true);
    assert!(config["storage"]["s3"]["bucket"].is_string());
}

/// Clients are not sent to an object store that they may not reach.
#[test]
fn redirects_to_the_object_store() {
    let storage = "image_registry.docker_registry.storage.s3";
    let bucket = format!("{storage}.bucket=images");
    let region = format!("{storage}.region=eu-central-1");
    let endpoint = format!("{storage}.regionendpoint=http://minio:9000");
    let asked = "image_registry.docker_registry.redirect.disable";
    let (on, off) = (format!("{asked}=true"), format!("{asked}=false"));
    for (sets, expected) in [
        (vec![&region], Value::Null),
        (vec![&region, &endpoint], json!({"disable": true})),
        (vec![&region, &on], json!({"disable": true})),
        (vec![&region, &endpoint, &off], Value::Null),
    ] {
        let sets: Vec<&str> = sets
            .iter()
            .map(|set| set.as_str())
            .chain([bucket.as_str()])
            .collect();
        let config = World::new(&sets, None, &json!({})).yaml("docker_registry", "config.yml.j2");
        assert_eq!(config["storage"]["redirect"], expected, "{sets:?}");
    }
}

/// What lies on this machine is named where it lies in the container.
#[test]
fn files_that_the_storage_needs() {
    let gcs = "  image_registry:\n    docker_registry:\n      storage:\n        gcs: {bucket: images, keyfile: here.json}\n";
    let world = World::new(
        &[],
        Some(gcs),
        &json!({"storage": {"ca_file": "/home/ca.pem", "keyfile": "/home/here.json"}}),
    );
    let config = world.yaml("docker_registry", "config.yml.j2");
    let inside = "/etc/docker/registry/storage/key.json";
    assert_eq!(
        config["storage"]["gcs"],
        json!({"bucket": "images", "keyfile": inside})
    );
    let compose = world.yaml("docker_registry", "compose.yaml.j2");
    let environment = &compose["services"]["registry"]["environment"];
    assert_eq!(
        environment["SSL_CERT_DIR"],
        "/etc/docker/registry/storage/trust:/etc/ssl/certs"
    );
    let world = World::new(&[], None, &json!({}));
    let compose = world.yaml("docker_registry", "compose.yaml.j2");
    let environment = &compose["services"]["registry"]["environment"];
    assert_eq!(environment.as_object().unwrap().len(), 1, "{environment}");
}

#[test]
fn whatever_a_secret_is_made_of_comes_through_the_configuration() {
    let nasty = format!("{NASTY}\nsecond line\t");
    let kk = json!({
        "secrets": {"password": nasty, "http_secret": nasty},
        "registry": {"name": "hub.kk.local", "endpoint": "hub.kk.local", "endpoints": [], "port": 443},
    });
    let spec = format!(
        "  image_registry:\n    docker_registry:\n      storage:\n        s3: {{region: us-east-1, bucket: b-ucket, accesskey: AKIA, secretkey: {}}}\n",
        Value::from(NASTY)
    );
    let world = World::new(&[], Some(&spec), &kk);
    let config = world.yaml("docker_registry", "config.yml.j2");
    assert_eq!(config["http"]["secret"], *nasty);
    assert_eq!(config["storage"]["s3"]["secretkey"], NASTY);
    assert_eq!(config["auth"]["htpasswd"]["realm"], "hub.kk.local");
}

/// What a shell, Compose or systemd would read as something else never gets as far as a template.
#[test]
fn a_folder_that_programs_would_misread_is_refused() {
    for folder in [
        "/srv/$HOME",
        "/srv/a b",
        "/srv/a:b",
        "/srv/{{ x }}",
        "/srv/'",
    ] {
        let flag = SetFlag::string(format!(
            "image_registry.docker_registry.storage.filesystem.rootdir={folder}"
        ));
        let found = Settings::load(&SettingsInput {
            sets: &[SetFlag::set("image_registry.type=docker-registry"), flag],
            ..SettingsInput::default()
        });
        assert!(found.is_err(), "{folder}");
    }
}

#[test]
fn the_compose_file() {
    let world = World::new(&[], None, &json!({}));
    insta::assert_snapshot!(
        "compose-filesystem",
        world.render("docker_registry", "compose.yaml.j2")
    );
    let world = World::new(
        &["image_registry.docker_registry.storage.filesystem.rootdir=/srv/images_1.0/data-2%i"],
        None,
        &json!({}),
    );
    let compose = world.yaml("docker_registry", "compose.yaml.j2");
    let volumes = &compose["services"]["registry"]["volumes"];
    assert_eq!(volumes[0]["source"], "/etc/docker-registry");
    assert_eq!(volumes[1]["source"], "/srv/images_1.0/data-2%i");
    assert_eq!(volumes[1]["target"], "/var/lib/registry");
    let unit = world.render("docker_registry", "kk-registry.service.j2");
    assert!(
        unit.contains("\nRequiresMountsFor=/srv/images_1.0/data-2%%i\n"),
        "{unit}"
    );

    let s3 = "  image_registry:\n    docker_registry:\n      storage:\n        s3: {region: us-east-1, bucket: b-ucket}\n";
    let world = World::new(
        &[],
        Some(s3),
        &json!({"registry": {"name": "x", "endpoint": "x:8443", "endpoints": [], "port": 8443}}),
    );
    let compose = world.yaml("docker_registry", "compose.yaml.j2");
    let service = &compose["services"]["registry"];
    assert_eq!(service["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(service["ports"], json!(["8443:5000"]));
    assert!(
        !world
            .render("docker_registry", "kk-registry.service.j2")
            .contains("RequiresMountsFor")
    );
}

#[test]
fn units_and_the_engines_configuration() {
    let kk = json!({"registry": {"name": "fd00::1", "endpoint": "[fd00::1]:8443", "endpoints": ["[fd00::1]:8443", "hub.kk.local"], "port": 8443}});
    for (name, sets) in [
        ("tls", &[][..]),
        ("plain", &["image_registry.auth.plain_http=true"][..]),
    ] {
        let mut world = World::new(sets, None, &kk);
        let item = json!({"item": "[fd00::1]:8443"})
            .as_object()
            .unwrap()
            .clone();
        world.layers.push(Layer::raw(item));
        let toml = world.render("registry_trust", "hosts.toml.j2");
        insta::assert_snapshot!(format!("hosts-toml-{name}"), toml);
        let daemon = world.render("docker", "daemon.json.j2");
        insta::assert_snapshot!(format!("daemon-json-{name}"), daemon);
        let daemon: Value = serde_json::from_str(&daemon).unwrap();
        assert_eq!(daemon["live-restore"], true);
        assert_eq!(daemon.get("insecure-registries").is_some(), name == "plain");
    }
    let world = World::new(&[], None, &kk);
    insta::assert_snapshot!("unit-docker", world.render("docker", "docker.service.j2"));
    check_script("up.sh", &world.render("docker_registry", "up.sh.j2"));
    insta::assert_snapshot!(
        "unit-registry",
        world.render("docker_registry", "kk-registry.service.j2")
    );
}

/// What a template of a shell script became is one without mistakes.
fn check_script(name: &str, text: &str) {
    if !text.starts_with("#!/bin/sh") {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let output = std::process::Command::new("shellcheck")
        .args(["-s", "sh"])
        .arg(file.path())
        .output();
    match output {
        Ok(output) => assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(error) => eprintln!("SKIPPED shellcheck of {name}: {error}"),
    }
}

#[test]
fn the_virtual_address() {
    let vip = |address: &str, hosts: Value| {
        let is_ipv6 = address.contains(':');
        json!({"address": address, "prefix": if is_ipv6 { 128 } else { 32 }, "is_ipv6": is_ipv6, "router_id": 100, "hosts": hosts})
    };
    let four = vip(
        "10.0.0.100",
        json!({"node1": {"interface": "bond0.7", "source": "10.0.0.11", "priority": 250, "peers": ["10.0.0.12", "10.0.0.13"]}}),
    );
    let six = vip(
        "fd00::100",
        json!({"node1": {"interface": "eth0", "source": "fd00::11", "priority": 250, "peers": []}}),
    );
    let secrets = json!({"password": "a \"b\" \\c", "http_secret": "h", "ha_password": "8letters"});
    for (name, vip, registry, sets) in [
        (
            "ipv4",
            four,
            json!({"name": "hub.kk.local", "endpoint": "hub.kk.local", "port": 443}),
            &[][..],
        ),
        (
            "ipv6",
            six,
            json!({"name": "fd00::100", "endpoint": "[fd00::100]:8443", "port": 8443}),
            &[
                "image_registry.ha_nopreempt=false",
                "image_registry.auth.plain_http=true",
            ][..],
        ),
    ] {
        let kk = json!({"vip": vip, "secrets": secrets, "registry": registry});
        let mut world = World::new(sets, None, &kk);
        let host = json!({"inventory_hostname": "node1"});
        world
            .layers
            .push(Layer::raw(host.as_object().unwrap().clone()));
        let mut all = String::new();
        for template in [
            "keepalived.conf",
            "check.sh",
            "release.sh",
            "run.sh",
            "compose.yaml",
            "kk-keepalived.service",
        ] {
            let text = world.render("keepalived", &format!("{template}.j2"));
            check_script(template, &text);
            all.push_str(&format!("==== {template}\n{text}"));
        }
        for item in ["anonymous", "user"] {
            let variables = json!({"item": item}).as_object().unwrap().clone();
            world.layers.push(Layer::raw(variables));
            let text = world.render("keepalived", "ask.conf.j2");
            all.push_str(&format!("==== {item}.conf\n{text}"));
        }
        insta::assert_snapshot!(format!("keepalived-{name}"), all);
        let compose = world.yaml("keepalived", "compose.yaml.j2");
        let service = &compose["services"]["keepalived"];
        assert_eq!(service["restart"], "no");
        assert_eq!(service["network_mode"], "host");
    }
}

struct Local;

impl Dial for Local {
    fn dial<'a>(
        &'a self,
        _: &'a Host,
    ) -> futures::future::BoxFuture<
        'a,
        Result<Arc<dyn kk::connect::Connector>, kk::connect::TransportError>,
    > {
        let local: Arc<dyn kk::connect::Connector> =
            Arc::new(kk::connect::local::LocalConnector::new());
        Box::pin(std::future::ready(Ok(local)))
    }
}

/// From the variable through engine, module and shell into the file.
#[tokio::test]
async fn whatever_a_password_is_made_of_is_the_one_that_the_registry_accepts() {
    for password in [
        NASTY,
        "{{ kk.secrets.password }}",
        "two\nlines",
        " spaces around ",
        "-n",
        "$1$2`id`$(id)",
        "'",
        "\u{1f600}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("htpasswd");
        std::fs::write(
            folder.path().join("site.yaml"),
            format!(
                "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - htpasswd: {{path: '{}', name: admin, password: '{{{{ kk.secrets.password }}}}', exclusive: true, mode: '0600'}}\n",
                file.display()
            ),
        )
        .unwrap();
        let library = Library::folder(folder.path());
        let playbook = load(&library, "site.yaml").unwrap();
        let inventory = Inventory::implicit();
        let fleet = Fleet::connect(&inventory, &[LOCALHOST.to_owned()], &Local, 1, None).await;
        let (events, mut receiver) = Events::channel(Redactor::new());
        let options = RunOptions {
            variables: World::new(&[], None, &json!({"secrets": {"password": password}})).layers,
            ..RunOptions::default()
        };
        let control = Control::default();
        for expected in [1, 0] {
            let report = kk::engine::run(
                &playbook, &library, &inventory, &fleet, &options, &events, &control,
            )
            .await;
            assert_eq!(report.exit().code(), 0, "{password}");
            assert_eq!(report.recap[0].1.changed, expected, "{password}");
        }
        let line = std::fs::read_to_string(&file).unwrap();
        let hash = line.trim_end().strip_prefix("admin:").unwrap();
        assert!(bcrypt::verify(password, hash).unwrap(), "{password}");
        receiver.close();
        while let Some(event) = receiver.recv().await {
            let text = serde_json::to_string(&event).unwrap();
            assert!(
                password.len() < 4 || !text.contains(&Value::from(password).to_string()),
                "{text}"
            );
        }
    }
}
