//! What the built-in playbooks see under `kk`: names, packages, certificates, secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::assess::Assessment;
use super::live::Live;
use super::material::Material;
use super::names::{Names, port};
use super::prepare::Prepared;
use super::vip::Vip;
use crate::artifact::{Contents, Package};
use crate::precheck::Waivers;
use crate::secret::Secret;
use crate::settings::{Settings, Storage};

/// What the playbooks see under `kk`.
pub fn variables(
    prepared: &Prepared,
    live: &Live,
    assessment: &Assessment,
    names: &Names,
    waivers: &Waivers,
    material: &Material,
) -> Map<String, Value> {
    let (registry, endpoints) = names.variables();
    let mut packages: Map<String, Value> = Map::new();
    for package in &assessment.packages {
        let of_arch = packages
            .entry(package.arch.clone())
            .or_insert_with(|| json!({}));
        if let Value::Object(of_arch) = of_arch {
            of_arch.insert(package.name.clone(), package_variables(package));
        }
    }
    let folders: Vec<String> = ["/etc/docker", "/etc/containerd"]
        .into_iter()
        .flat_map(|root| {
            let certs = format!("{root}/certs.d");
            let own: Vec<String> = (names.endpoints().into_iter())
                .map(|endpoint| format!("{certs}/{endpoint}"))
                .collect();
            [root.to_owned(), certs].into_iter().chain(own)
        })
        .collect();
    // Behind a virtual address all are one registry: what goes in at the last one, which hardly ever holds the address,
    // has to be in all of them.
    let through = match &names.vip {
        Some(_) => names.hosts.len().saturating_sub(1),
        None => 0,
    };
    let sources: Vec<Value> = names
        .hosts
        .iter()
        .skip(through)
        .map(|(host, endpoint)| json!({"host": host, "endpoint": endpoint.endpoint}))
        .collect();
    let repository = names.project.as_deref().map_or_else(
        || "kk-proof".to_owned(),
        |project| format!("{project}/kk-proof"),
    );
    let settings = &prepared.settings;
    let kk = json!({
        "run_id": live.run_id,
        "installation": prepared.installation(),
        "registry": registry,
        "vip": names.vip.as_ref().map(Vip::variables),
        "endpoints": endpoints,
        "packages": packages,
        "pki": {"ca_file": material.ca_file, "cert_file": material.cert_file, "key_file": material.key_file},
        "secrets": {"password": material.password.expose(), "http_secret": material.http_secret.expose(), "ha_password": material.ha_password.as_ref().map(Secret::expose)},
        "storage": {
            "ca_file": absolute(settings.image_registry.storage_ca.as_deref()),
            "keyfile": absolute(settings.image_registry.storage_keyfile.as_deref()),
        },
        "trust": {"folders": folders, "hosts_lines": names.hosts_lines()},
        "proof": {"repository": repository, "tag": live.run_id, "sources": sources},
        "status": status(settings, names, waivers),
    });
    Map::from_iter([("kk".to_owned(), kk)])
}

/// A path of this machine, from its root.
fn absolute(path: Option<&Path>) -> Option<PathBuf> {
    path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}

/// What is kept on each registry host about what is installed. The same for two runs that install the same.
fn status(settings: &Settings, names: &Names, waivers: &Waivers) -> Value {
    let waived: BTreeMap<&str, &str> = waivers.iter().collect();
    let storage = match &settings.image_registry.storage {
        Storage::Filesystem { rootdir, .. } => json!({"driver": "filesystem", "rootdir": rootdir}),
        Storage::Object { driver, .. } => json!({"driver": driver}),
    };
    json!({
        "component": "registry",
        "type": "docker-registry",
        "version": settings.versions.docker_registry,
        "docker_version": settings.versions.docker,
        "dockercompose_version": settings.versions.dockercompose,
        "endpoint": names.registry().map(|host| &host.endpoint),
        "port": port(settings),
        "vip": names.vip.as_ref().map(|vip| vip.address),
        "storage": storage,
        "waived": waived,
        "kk_version": super::local::VERSION,
    })
}

fn package_variables(package: &Package) -> Value {
    let inspection = &package.inspection;
    let mut variables = json!({
        "path": package.path,
        "sha256": inspection.sha256,
        "size": inspection.size,
        "version": package.version,
    });
    let Value::Object(map) = &mut variables else {
        return variables;
    };
    match &inspection.contents {
        Contents::Engine { binaries, .. } => {
            let binaries: Vec<Value> =
                binaries.iter().map(|binary| json!({"name": binary.name, "sha256": binary.sha256, "size": binary.size})).collect();
            map.insert("binaries".to_owned(), binaries.into());
        }
        Contents::Image { images, .. } => {
            let reference = package.reference.clone().unwrap_or_default();
            if let Some(image) = images
                .iter()
                .find(|image| image.tags.contains(&reference))
                .or_else(|| images.first())
            {
                map.insert("image_id".to_owned(), image.id.clone().into());
                map.insert("manifest_digest".to_owned(), json!(image.manifest_digest));
            }
            map.insert("reference".to_owned(), reference.into());
        }
        _ => {}
    }
    variables
}
