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
