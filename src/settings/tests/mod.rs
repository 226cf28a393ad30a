//! Tests of the whole room; those of a single piece stand beside it.

mod bad_input;
mod properties;
mod set_flags;

use super::*;
use crate::diagnostic::{Colour, Source, render_all};

/// Loads settings from flags alone.
fn sets(flags: &[&str]) -> Settings {
    let flags: Vec<SetFlag> = flags.iter().map(|text| SetFlag::set(*text)).collect();
    load(&SettingsInput {
        sets: &flags,
        ..SettingsInput::default()
    })
}

/// Loads settings from the `spec` of a Config file.
fn config(spec: &str) -> Settings {
    load(&SettingsInput {
        config: Some(config_source(spec)),
        ..SettingsInput::default()
    })
}

fn config_source(spec: &str) -> std::sync::Arc<Source> {
    let head = "apiVersion: kubekey.kubesphere.io/v1\nkind: Config\nspec:\n";
    Source::new("config.yaml", format!("{head}{spec}"))
}

/// Loads settings that must be fine.
fn load(input: &SettingsInput<'_>) -> Settings {
    match Settings::load(input) {
        Ok(loaded) => {
            assert_eq!(render_all(&loaded.warnings, Colour::Never), "");
            loaded.settings
        }
        Err(found) => panic!("{}", render_all(&found, Colour::Never)),
    }
}

#[test]
fn defaults_are_sound() {
    let loaded = Settings::load(&SettingsInput::default()).unwrap();
    let settings = loaded.settings;
    assert_eq!(loaded.warnings.0, []);
    assert_eq!(settings.image_registry.kind, RegistryKind::Harbor);
    assert_eq!(settings.image_registry.username, "admin");
    assert_eq!(settings.image_registry.password, None);
    assert_eq!(settings.image_registry.https_port, 443);
    assert_eq!(settings.image_registry.http_port, 80);
    assert_eq!(settings.image_registry.ha_vip, None);
    assert!(settings.image_registry.trust_control_machine);
    assert!(!settings.image_registry.trust_system_store);
    assert!(settings.image_registry.hosts_entry);
    assert_eq!(settings.versions.docker, "24.0.9");
    assert_eq!(settings.versions.dockercompose, "v2.20.3");
    assert_eq!(settings.versions.docker_registry, "2.8.3");
    assert_eq!(settings.versions.harbor, "v2.10.2");
    assert_eq!(settings.versions.keepalived, "2.3.4");
    assert_eq!(settings.work_dir, PathBuf::from("./kubekey"));
    assert_eq!(settings.binary_dir, PathBuf::from("./kubekey/kubekey"));
    assert!((settings.requirements.memory_gb - 8.0).abs() < f64::EPSILON);
    assert_eq!(settings.requirements.control_plane_cores, 4);
    assert_eq!(
        settings.image_registry.storage,
        Storage::Filesystem {
            rootdir: "/var/lib/docker-registry/data".into(),
            nfs_mount: None
        }
    );
}

#[test]
fn the_documented_commands_load() {
    let settings = sets(&[
        "image_registry.type=docker-registry",
        "docker_registry_version=2.8.3,docker_version=24.0.7,dockercompose_version=v2.20.3",
        "artifact.artifact_url.docker_registry.amd64=docker-registry-2.8.3-linux.amd64.tgz",
    ]);
    assert_eq!(settings.image_registry.kind, RegistryKind::DockerRegistry);
    assert_eq!(settings.versions.docker, "24.0.7");
    assert_eq!(
        settings.artifact_url[&("docker_registry".to_owned(), "amd64".to_owned())],
        "docker-registry-2.8.3-linux.amd64.tgz"
    );
    let settings = sets(&[
        "image_registry.ha_vip=10.0.0.100",
        "harbor_version=v2.10.2,docker_version=24.0.7,dockercompose_version=v2.20.3",
        "keepalived_version=2.0.20,artifact.artifact_url.keepalived.amd64=keepalived-2.0.20-linux-amd64.tgz",
    ]);
    assert_eq!(
        settings.image_registry.ha_vip.as_deref(),
        Some("10.0.0.100")
    );
    assert_eq!(settings.versions.keepalived, "2.0.20");
}

#[test]
fn later_layers_win() {
    let vars = crate::yaml::parse(&Source::new(
        "inventory.yaml",
        "image_registry: {auth: {username: from-inventory}}\ndocker_version: 25.0.0\nfree: 1\n",
    ))
    .unwrap();
    let config = config_source(
        "  image_registry:\n    type: docker-registry\n    auth: {username: from-config}\n  docker_version: 26.1.5\n  harbor_version: v2.9.0\n",
    );
    let flags = [SetFlag::set("docker_version=24.0.7")];
    let loaded = Settings::load(&SettingsInput {
        config: Some(config),
        inventory_vars: vars.as_mapping().unwrap(),
        nearer_variables: &[],
        sets: &flags,
        work_dir: Some("/from/flag".into()),
        artifact: Some("packages.tgz".into()),
    })
    .unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.image_registry.kind, RegistryKind::DockerRegistry);
    assert_eq!(settings.image_registry.username, "from-inventory");
    assert_eq!(settings.versions.docker, "24.0.7");
    assert_eq!(settings.versions.harbor, "v2.9.0");
    assert_eq!(settings.work_dir, PathBuf::from("/from/flag"));
    assert_eq!(settings.binary_dir, PathBuf::from("/from/flag/kubekey"));
    assert_eq!(settings.tree["binary_dir"], "/from/flag/kubekey");
    assert_eq!(settings.artifact, Some(PathBuf::from("packages.tgz")));
    assert!(settings.tree.get("free").is_none());
    let origin = |path: &str| loaded.origins.place(path).map(ToString::to_string);
    assert_eq!(origin("docker_version").as_deref(), Some("--set:1:16"));
    assert_eq!(
        origin("image_registry.auth.username").as_deref(),
        Some("inventory.yaml:1:35")
    );
    assert_eq!(origin("keepalived_version"), None);
    assert!(loaded.origins.is_given("work_dir"));
}

#[test]
fn the_working_folder() {
    let flag = |sets: &[SetFlag], spec: &str| {
        let settings = load(&SettingsInput {
            config: Some(config_source(spec)),
            sets,
            work_dir: Some("/flag".into()),
            ..SettingsInput::default()
        });
        (settings.work_dir, settings.binary_dir)
    };
    let folders = |work: &str, binary: &str| (PathBuf::from(work), PathBuf::from(binary));
    assert_eq!(flag(&[], "  {}\n"), folders("/flag", "/flag/kubekey"));
    assert_eq!(
        flag(&[], "  work_dir: /config\n"),
        folders("/config", "/config/kubekey")
    );
    assert_eq!(
        flag(
            &[SetFlag::set("binary_dir=/b,work_dir=/set")],
            "  work_dir: /config\n"
        ),
        folders("/set", "/b")
    );
}

#[test]
fn a_layer_may_use_the_other_spelling_to_override() {
    let flags = [SetFlag::set("image_registry.harbor_version=v2.11.0")];
    let settings = load(&SettingsInput {
        config: Some(config_source("  harbor_version: v2.10.2\n")),
        sets: &flags,
        ..SettingsInput::default()
    });
    assert_eq!(settings.versions.harbor, "v2.11.0");
}

#[test]
fn two_spellings_that_agree_are_fine() {
    let settings = sets(&[
        "harbor_version=2.11.0,image_registry.harbor_version=v2.11.0",
        "docker_version=26.1.5,cri.docker_version=26.1.5",
        "artifact.artifact_url.dockercompose.x86_64=a,download.artifact_url.docker_compose.amd64=a",
    ]);
    assert_eq!(settings.versions.harbor, "v2.11.0");
    assert_eq!(settings.versions.docker, "26.1.5");
    assert_eq!(
        settings.artifact_url,
        BTreeMap::from([(("docker_compose".into(), "amd64".into()), "a".into())])
    );
}

#[test]
fn versions_in_all_forms() {
    let settings = sets(&[
        "docker_registry_version=2.8.3-beta.1,docker_version=26.1.5,dockercompose_version=2.40.3",
        "harbor_version=2.14.0-rc1,keepalived_version=2.0.20",
    ]);
    assert_eq!(settings.versions.docker_registry, "2.8.3-beta.1");
    assert_eq!(settings.versions.docker, "26.1.5");
    assert_eq!(settings.versions.dockercompose, "v2.40.3");
    assert_eq!(settings.versions.harbor, "v2.14.0-rc1");
    assert_eq!(settings.versions.keepalived, "2.0.20");
}

#[test]
fn the_port_in_the_registrys_name_is_taken_over() {
    let settings = sets(&["image_registry.auth.registry=registry.example.org:5000/team"]);
    assert_eq!(settings.image_registry.https_port, 5000);
    assert_eq!(settings.image_registry.http_port, 80);
    assert_eq!(settings.tree["image_registry"]["https_port"], 5000);
    assert_eq!(
        settings.image_registry.registry.as_deref(),
        Some("registry.example.org:5000/team")
    );
    let settings = sets(&[
        "image_registry.auth.registry=[2001:db8::1]:5000,image_registry.auth.plain_http=true",
    ]);
    assert_eq!(settings.image_registry.http_port, 5000);
    assert_eq!(settings.image_registry.https_port, 443);
    let settings =
        sets(&["image_registry.auth.registry=r.example.org:5000,image_registry.https_port=5000"]);
    assert_eq!(settings.image_registry.https_port, 5000);
}

#[test]
fn templates_see_every_default_and_both_spellings() {
    let tree = Settings::default().tree;
    insta::assert_json_snapshot!(tree, @r#"
    {
      "image_registry": {
        "type": "harbor",
        "auth": {
          "registry": "",
          "username": "admin",
          "password": "",
          "plain_http": false
        },
        "https_port": 443,
        "http_port": 80,
        "ha_vip": "",
        "ha_interface": "",
        "ha_virtual_router_id": "",
        "ha_nopreempt": true,
        "certificate": {
          "cert_file": "",
          "key_file": "",
          "ca_file": ""
        },
        "trust": {
          "control_machine": true,
          "system_store": false,
          "hosts_entry": true
        },
        "harbor": {
          "data_dir": "/var/lib/harbor/data"
        },
        "docker_registry": {
          "storage": {
            "filesystem": {
              "rootdir": "/var/lib/docker-registry/data",
              "nfs_mount": "",
              "maxthreads": ""
            }
          },
          "redirect": {
            "disable": false
          },
          "storage_ca": ""
        },
        "harbor_version": "v2.10.2",
        "docker_registry_version": "2.8.3",
        "keepalived_version": "2.3.4",
        "dockercompose_version": "v2.20.3"
      },
      "harbor_version": "v2.10.2",
      "docker_registry_version": "2.8.3",
      "keepalived_version": "2.3.4",
      "dockercompose_version": "v2.20.3",
      "docker_version": "24.0.9",
      "requirements": {
        "memory_gb": 8,
        "control_plane_cores": 4,
        "disk_gb": 100
      },
      "work_dir": "./kubekey",
      "binary_dir": "./kubekey/kubekey",
      "cri": {
        "docker_version": "24.0.9"
      },
      "artifact": {
        "artifact_url": {},
        "sha256": {}
      },
      "download": {
        "artifact_url": {}
      }
    }
    "#);
    for row in describe() {
        let is_driver = row.path.contains(".storage.") && !row.path.contains(".filesystem.");
        if row.path.contains('<') || is_driver {
            continue;
        }
        for path in [Some(&row.path), row.long.as_ref()].into_iter().flatten() {
            let words: Vec<&str> = path.split('.').collect();
            assert!(tree::get(&tree, &words).is_some(), "{path}");
        }
    }
}

#[test]
fn a_storage_driver_replaces_the_default_one() {
    let settings = config(
        "  image_registry:\n    docker_registry:\n      storage:\n        s3:\n          accesskey: me\n          secretkey: 0123456\n          region: eu\n          bucket: images\n          encrypt: yes\n          chunksize: 5242880\n",
    );
    let parameters = serde_json::json!({
        "accesskey": "me", "secretkey": "0123456", "region": "eu", "bucket": "images",
        "encrypt": true, "chunksize": 5_242_880,
    });
    assert_eq!(
        settings.image_registry.storage,
        Storage::Object {
            driver: "s3".into(),
            parameters: parameters.as_object().unwrap().clone()
        }
    );
    let storage = &settings.tree["image_registry"]["docker_registry"]["storage"];
    assert_eq!(storage, &serde_json::json!({"s3": parameters}));
    let secrets: Vec<String> = settings
        .secrets()
        .iter()
        .map(|secret| secret.expose().clone())
        .collect();
    assert_eq!(secrets, ["me", "0123456"]);
}

#[test]
fn drivers_with_little_to_tell() {
    let memory = |settings: Settings| match settings.image_registry.storage {
        Storage::Object { driver, parameters } => (driver, parameters.len()),
        Storage::Filesystem { .. } => panic!("not the default"),
    };
    let none = ("inmemory".to_owned(), 0);
    let spec = |value: &str| {
        format!("  image_registry: {{docker_registry: {{storage: {{inmemory: {value}}}}}}}\n")
    };
    assert_eq!(memory(config(&spec("{}"))), none);
    assert_eq!(memory(config(&spec(""))), none);
    let path = "image_registry.docker_registry.storage";
    assert_eq!(memory(sets(&[&format!("{path}.inmemory={{}}")])), none);
    assert_eq!(memory(sets(&[&format!("{path}.inmemory=")])), none);
    let azure = config(
        "  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        azure: {accountname: a, container: c, credentials: {type: client_secret, clientid: i, tenantid: t, secret: hush}}\n",
    );
    let Storage::Object { parameters, .. } = &azure.image_registry.storage else {
        panic!("azure was given")
    };
    assert_eq!(parameters["credentials"]["type"], "client_secret");
    assert_eq!(azure.secrets()[0].expose(), "hush");
    let gcs = config(
        "  image_registry:\n    docker_registry:\n      storage:\n        gcs: {bucket: b, credentials: {client_email: me, private_key: hush}}\n",
    );
    let Storage::Object { parameters, .. } = &gcs.image_registry.storage else {
        panic!("gcs was given")
    };
    assert_eq!(parameters["credentials"]["client_email"], "me");
    assert!(gcs.secrets().iter().any(|secret| secret.expose() == "hush"));
}

#[test]
fn file_system_storage_on_nfs() {
    let settings = config(
        "  image_registry:\n    docker_registry:\n      storage:\n        filesystem:\n          rootdir: /opt/docker-registry/data/\n          nfs_mount: /repository/docker-registry\n",
    );
    assert_eq!(
        settings.image_registry.storage,
        Storage::Filesystem {
            rootdir: "/opt/docker-registry/data".into(),
            nfs_mount: Some("/repository/docker-registry".into())
        }
    );
    let path = "image_registry.docker_registry.storage.filesystem.nfs_mount";
    for export in ["nfs1:/export/a", "[2001:db8::1]:/export", "10.0.0.9:/x"] {
        let settings = sets(&[&format!("{path}={export}")]);
        let Storage::Filesystem { nfs_mount, .. } = settings.image_registry.storage else {
            panic!("the file system is the default")
        };
        assert_eq!(nfs_mount.as_deref(), Some(export));
    }
}

#[test]
fn own_certificate_and_paths() {
    let settings = sets(&[
        "image_registry.certificate.cert_file=~/r.crt,image_registry.certificate.key_file=r.key",
        "work_dir=~/kk",
    ]);
    let home = std::env::home_dir().unwrap();
    let certificate = settings.image_registry.certificate.unwrap();
    assert_eq!(certificate.cert_file, home.join("r.crt"));
    assert_eq!(certificate.key_file, PathBuf::from("r.key"));
    assert_eq!(certificate.ca_file, None);
    assert_eq!(settings.work_dir, home.join("kk"));
}

#[test]
fn harbors_own_settings_are_handed_on() {
    let settings = load(&SettingsInput {
        config: Some(config_source(
            "  image_registry:\n    harbor:\n      data_dir: /data/harbor\n      trivy: {ignore_unfixed: true, timeout: 5m0s}\n      hosts: [a, b]\n      database: {password: 012345}\n",
        )),
        sets: &[
            SetFlag::set(
                "image_registry.harbor.trivy.timeout=10m0s,image_registry.harbor.hosts[1]=c",
            ),
            SetFlag::set(
                r#"image_registry.harbor.log={"level": "info", "local": {"rotate_count": 50}}"#,
            ),
        ],
        ..SettingsInput::default()
    });
    assert_eq!(settings.image_registry.harbor_data_dir, "/data/harbor");
    insta::assert_json_snapshot!(settings.tree["image_registry"]["harbor"], @r#"
    {
      "data_dir": "/data/harbor",
      "trivy": {
        "ignore_unfixed": true,
        "timeout": "10m0s"
      },
      "hosts": [
        "a",
        "c"
      ],
      "database": {
        "password": "012345"
      },
      "log": {
        "level": "info",
        "local": {
          "rotate_count": 50
        }
      }
    }
    "#);
    assert_eq!(settings.secrets()[0].expose(), "012345");
}

#[test]
fn the_written_config_loads() {
    let source = Source::new("config.yaml", skeleton_config());
    let loaded = Settings::load(&SettingsInput {
        config: Some(source),
        ..SettingsInput::default()
    })
    .unwrap();
    assert_eq!(loaded.warnings.0, []);
    assert_eq!(loaded.settings.tree, Settings::default().tree);
}

#[test]
fn the_written_config_loads_with_its_comments_removed() {
    let text: String = skeleton_config()
        .lines()
        .map(|line| {
            format!(
                "{}\n",
                line.strip_prefix('#')
                    .filter(|rest| rest.starts_with("  "))
                    .unwrap_or(line)
            )
        })
        .collect();
    let loaded = Settings::load(&SettingsInput {
        config: Some(Source::new("config.yaml", text)),
        ..SettingsInput::default()
    })
    .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assert_eq!(
        loaded.settings.image_registry.ha_vip.as_deref(),
        Some("10.0.0.100")
    );
    assert_eq!(loaded.settings.artifact_url.len(), 1);
}

/// `docs/settings.md` is made from the table. `UPDATE_DOCS=1 cargo test settings` writes it.
#[test]
fn the_page_of_settings_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/settings.md is not what src/settings/schema.rs says: run `UPDATE_DOCS=1 cargo test settings`"
    );
}

#[test]
fn every_setting_is_described_once() {
    let rows = describe();
    for row in &rows {
        assert!(row.summary.ends_with('.'), "{}", row.path);
        assert_eq!(
            rows.iter().filter(|other| other.path == row.path).count(),
            1,
            "{}",
            row.path
        );
    }
}

/// The Config files among the examples, and the settings in the examples' inventories.
#[test]
fn the_examples_load() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory-examples");
    let mut configs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let source = Source::new(path.display().to_string(), text);
        let settings = if source.text.contains("\nkind: Config") {
            configs += 1;
            load(&SettingsInput {
                config: Some(source),
                ..SettingsInput::default()
            })
        } else {
            let document = crate::yaml::parse(&source).unwrap();
            let vars = document.get("spec").and_then(|spec| spec.get("vars"));
            load(&SettingsInput {
                inventory_vars: vars
                    .and_then(crate::yaml::Node::as_mapping)
                    .unwrap_or_default(),
                ..SettingsInput::default()
            })
        };
        let shared = ["three-hosts-ha.yaml", "nfs-config.yaml", "s3-config.yaml"];
        let is_shared = shared.iter().any(|name| path.ends_with(name));
        assert_eq!(
            settings.image_registry.ha_vip.is_some(),
            is_shared,
            "{}",
            path.display()
        );
    }
    assert_eq!(configs, 2);
}
