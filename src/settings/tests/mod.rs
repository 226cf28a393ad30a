//! Tests of the whole room; those of a single piece stand beside it.

mod bad_input;

use super::*;
use crate::diagnostic::{Colour, Source, render_all};

/// Loads settings from flags alone.
fn sets(flags: &[&str]) -> Settings {
    let flags: Vec<SetFlag> = flags.iter().map(|text| SetFlag::set(*text)).collect();
    let input = SettingsInput {
        sets: &flags,
        ..SettingsInput::default()
    };
    match Settings::load(&input) {
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
