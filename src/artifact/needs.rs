//! Which packages an installation needs, and the one look at each that everything else asks for.

use std::path::PathBuf;

use serde::Serialize;

use super::cache::Cache;
use super::catalogue::{Catalogue, Item, Kind};
use super::contents::Inspection;
use super::fault::InspectError;
use super::inspect::{Expect, compare};
use super::locate::{Missing, locate};
use super::stream::Watch;
use super::sums;
use crate::settings::{RegistryKind, Settings};

/// One package that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// What.
    pub item: &'static Item,
    /// Its version, as the user wrote it.
    pub version: &'a str,
    /// For hosts of this architecture.
    pub arch: &'a str,
}

/// The packages that a registry needs on hosts of these architectures, in the order they are installed.
///
/// Whether a host has some of it already is not known here.
pub fn needs<'a>(settings: &'a Settings, arches: &[&'a str]) -> Vec<Need<'a>> {
    let versions = &settings.versions;
    let mut wanted = vec![
        ("docker", versions.docker.as_str()),
        ("docker_compose", versions.dockercompose.as_str()),
    ];
    wanted.push(match settings.image_registry.kind {
        RegistryKind::DockerRegistry => ("docker_registry", versions.docker_registry.as_str()),
        RegistryKind::Harbor => ("harbor", versions.harbor.as_str()),
    });
    if settings.image_registry.ha_vip.is_some() {
        wanted.push(("keepalived", versions.keepalived.as_str()));
    }
    let mut arches = arches.to_vec();
    arches.sort_unstable();
    arches.dedup();
    let mut needs = Vec::new();
    for (name, version) in wanted {
        let Some(item) = Catalogue::embedded().item(name) else {
            continue;
        };
        needs.extend(arches.iter().map(|arch| Need {
            item,
            version,
            arch,
        }));
    }
    needs
}

/// A package that is there and is what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// The catalogue's name of it.
    pub name: String,
    /// How it was read.
    pub kind: Kind,
    /// The version asked for.
    pub version: String,
    /// The architecture it is for.
    pub arch: String,
    /// The file.
    pub path: PathBuf,
    /// The user named the file.
    pub named: bool,
    /// For images: the `name:tag` that the image has once it is loaded.
    pub reference: Option<String>,
    /// What is in it.
    pub inspection: Inspection,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

/// Why a package cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It is not where it should be.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It is there and not what it should be.
    #[error("{error}")]
    Unfit {
        /// What is wrong.
        error: InspectError,
        /// What to do.
        hint: String,
    },
    /// A checksum that was given for it is none.
    #[error("{0}")]
    Checksum(String),
}

impl PackageError {
    /// What to do about it; may have several lines.
    pub fn hint(&self) -> &str {
        match self {
            Self::Missing(missing) => &missing.hint,
            Self::Unfit { hint, .. } => hint,
            Self::Checksum(_) => "write what `sha256sum` shows for the file, or leave it away",
        }
    }
}

/// Finds a package, reads it (or remembers it) and compares it with what is needed.
pub fn examine(
    settings: &Settings,
    need: &Need<'_>,
    cache: &mut Cache,
    watch: Watch<'_>,
) -> Result<Package, PackageError> {
    let Need {
        item,
        version,
        arch,
    } = *need;
    let located = locate(settings, &item.name, version, arch)?;
    let expect = Expect {
        arch: arch.to_owned(),
        version: version.to_owned(),
        image: item.image_reference(version),
        sums: sums::known(settings, item, version, arch, &located.path)
            .map_err(PackageError::Checksum)?,
    };
    let unfit = |error: InspectError| {
        let mut hint = error.hint();
        let commands = item.commands(version, arch, &located.path);
        hint.push_str("; it is made by:");
        for command in commands {
            hint.push_str("\n  ");
            hint.push_str(&command);
        }
        PackageError::Unfit { error, hint }
    };
    let inspection = cache.read(&located.path, item.kind, watch).map_err(unfit)?;
    let fit = compare(&inspection, &expect).map_err(|fault| {
        unfit(InspectError {
            path: located.path.clone(),
            fault,
        })
    })?;
    Ok(Package {
        name: item.name.clone(),
        kind: item.kind,
        version: version.to_owned(),
        arch: arch.to_owned(),
        path: located.path,
        named: located.named,
        reference: fit.reference,
        inspection,
        warnings: fit.warnings,
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::super::samples;
    use super::*;

    const GO_ON: Watch<'static> = &|_| ControlFlow::Continue(());

    fn named(settings: &Settings, arches: &[&str]) -> Vec<String> {
        needs(settings, arches)
            .iter()
            .map(|need| format!("{} {} {}", need.item.name, need.version, need.arch))
            .collect()
    }

    #[test]
    fn what_each_registry_needs() {
        let mut settings = Settings::default();
        settings.image_registry.kind = RegistryKind::DockerRegistry;
        assert_eq!(
            named(&settings, &["amd64"]),
            [
                "docker 24.0.9 amd64",
                "docker_compose v2.20.3 amd64",
                "docker_registry 2.8.3 amd64"
            ]
        );
        settings.image_registry.kind = RegistryKind::Harbor;
        settings.image_registry.ha_vip = Some("10.0.0.100".to_owned());
        let both = named(&settings, &["arm64", "amd64", "arm64"]);
        assert_eq!(both.len(), 8);
        assert_eq!(
            &both[4..],
            [
                "harbor v2.10.2 amd64",
                "harbor v2.10.2 arm64",
                "keepalived 2.3.4 amd64",
                "keepalived 2.3.4 arm64"
            ]
        );
        assert_eq!(named(&settings, &[]), [""; 0]);
    }

    fn settings(folder: &Path) -> Settings {
        let mut settings = Settings {
            work_dir: folder.to_owned(),
            binary_dir: folder.join("kubekey"),
            ..Settings::default()
        };
        settings.image_registry.kind = RegistryKind::DockerRegistry;
        settings
    }

    fn put(settings: &Settings, need: &Need<'_>, bytes: &[u8]) -> PathBuf {
        let path = settings
            .binary_dir
            .join(need.item.layout_path(need.version, need.arch));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn everything_there_and_right() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        // Versions whose published sums are not known.
        settings.versions.docker = "24.0.7".to_owned();
        settings.versions.dockercompose = "v2.20.2".to_owned();
        let mut cache = Cache::open(folder.path());
        for (need, bytes) in needs(&settings, &["arm64"]).iter().zip([
            samples::gzip(&samples::engine(183)),
            samples::executable(183, b"x"),
            samples::legacy_image("arm64", "registry:2.8.3"),
        ]) {
            let path = put(&settings, need, &bytes);
            let package = examine(&settings, need, &mut cache, GO_ON).unwrap();
            assert_eq!((package.path, package.named), (path, false));
            assert_eq!(package.inspection.sha256, samples::sha256(&bytes));
            let is_image = package.kind == Kind::Image;
            assert_eq!(
                package.reference,
                is_image.then(|| "registry:2.8.3".to_owned())
            );
        }
    }

    #[test]
    fn published_sums_hold_unless_the_settings_say_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        let mut cache = Cache::open(folder.path());
        let bytes = samples::executable(62, b"repacked");
        put(&settings, &needs(&settings, &["amd64"])[1], &bytes);
        let error = examine(
            &settings,
            &needs(&settings, &["amd64"])[1],
            &mut cache,
            GO_ON,
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("but the catalogue of published packages says f45e4cb6"),
            "{error}"
        );
        let key = ("docker_compose".to_owned(), "amd64".to_owned());
        settings
            .artifact_sha256
            .insert(key, samples::sha256(&bytes));
        assert!(
            examine(
                &settings,
                &needs(&settings, &["amd64"])[1],
                &mut cache,
                GO_ON
            )
            .is_ok()
        );
    }

    #[test]
    fn what_is_wrong_comes_with_the_way_to_make_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        let mut cache = Cache::open(folder.path());
        let image = samples::gzip(&samples::legacy_image("arm64", "registry:2.8.3"));
        let need = needs(&settings, &["amd64"])[2];
        let path = put(&settings, &need, &image);
        let error = examine(&settings, &need, &mut cache, GO_ON).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{}` holds arm64 images, not amd64", path.display())
        );
        assert!(
            error
                .hint()
                .contains("docker pull --platform linux/amd64 registry:2.8.3"),
            "{}",
            error.hint()
        );
        put(&settings, &need, &image[..image.len() / 2]);
        let error = examine(&settings, &need, &mut cache, GO_ON).unwrap_err();
        assert!(
            error.to_string().contains("is truncated: it ends at byte "),
            "{error}"
        );
        std::fs::remove_file(&path).unwrap();
        let error = examine(&settings, &need, &mut cache, GO_ON).unwrap_err();
        assert!(matches!(error, PackageError::Missing(_)));
        // Checksums: from the settings, and from a file beside it.
        let image = samples::legacy_image("amd64", "registry:2.8.3");
        let mut settings_with = settings.clone();
        let key = ("docker_registry".to_owned(), "amd64".to_owned());
        settings_with
            .artifact_sha256
            .insert(key, samples::sha256(b"other"));
        let need = needs(&settings_with, &["amd64"])[2];
        put(&settings_with, &need, &image);
        let error = examine(&settings_with, &need, &mut cache, GO_ON).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("but `artifact.sha256.docker_registry.amd64` says"),
            "{error}"
        );
        std::fs::write(path.with_extension("tgz.sha256"), "oops").unwrap();
        settings.artifact_sha256.clear();
        let need = needs(&settings, &["amd64"])[2];
        let error = examine(&settings, &need, &mut cache, GO_ON).unwrap_err();
        assert!(matches!(error, PackageError::Checksum(_)), "{error}");
    }
}
