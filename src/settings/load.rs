//! From layers to settings: later layers win, two spellings must agree, and what hangs together is checked together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::checks::{
    Resolved, certificate, check_ports, expand_home, label_of, one_driver, router_id, take_port,
};
use super::driver_checks::check_driver;
use super::drivers::{self, Driver, FILESYSTEM};
use super::layers::{Collected, Given};
use super::schema::{REDIRECT, STORAGE, STORAGE_CA};
use super::set::SetFlag;
use super::tree;
use super::{
    ImageRegistry, Loaded, Origins, RegistryKind, Requirements, Settings, Storage, Versions,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::secret::SecretString;
use crate::yaml::Node;

/// What settings are read from.
#[derive(Debug, Clone, Default)]
pub struct SettingsInput<'a> {
    /// The Config file.
    pub config: Option<Arc<Source>>,
    /// The inventory's variables for all hosts, with their places.
    pub inventory_vars: &'a [(Node, Node)],
    /// Variables of single groups and hosts: whose they are, and their key. Settings hold for all hosts, so that one
    /// among these is worth a warning.
    pub nearer_variables: &'a [(String, Node)],
    /// `--set`, `--set-string` and `--set-file`, in the order given.
    pub sets: &'a [SetFlag],
    /// `--workdir`: the default of the setting `work_dir`.
    pub work_dir: Option<PathBuf>,
    /// `--artifact`.
    pub artifact: Option<PathBuf>,
}

impl Settings {
    /// Reads all layers and checks them together.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any layer.
    pub fn load(input: &SettingsInput<'_>) -> Result<Loaded, Diagnostics> {
        let (loaded, found) = assemble(input);
        found.check(()).map(|()| loaded)
    }
}

/// The settings, and everything that is wrong or odd. With an error among it the settings are not to be used.
pub fn assemble(input: &SettingsInput<'_>) -> (Loaded, Diagnostics) {
    let mut collected = Collected::default();
    if let Some(path) = &input.work_dir {
        collected.flag("--workdir", "work_dir", &path.display().to_string());
    }
    if let Some(config) = &input.config {
        collected.config(config);
    }
    collected.inventory(input.inventory_vars);
    collected.nearer(input.nearer_variables);
    collected.sets(input.sets);
    let Collected {
        given,
        drivers,
        mut found,
    } = collected;
    let (mut resolved, free) = overlay(given, &mut found);
    let name = take_port(&mut resolved, &mut found);
    let driver = one_driver(&drivers, &mut found);
    let kind = match resolved.text("image_registry.type").as_str() {
        "docker-registry" => RegistryKind::DockerRegistry,
        _ => RegistryKind::Harbor,
    };
    if let Some(driver) = driver
        && kind == RegistryKind::DockerRegistry
    {
        check_driver(driver, &drivers, &resolved, &free, &mut found);
    }
    let certificate = certificate(&resolved, &mut found);
    check_ports(kind, &resolved, &mut found);
    let driver = driver.unwrap_or(&drivers::DRIVERS[0]);
    let tree = build_tree(&resolved, driver, &free, &mut found);
    let origins = Origins(
        resolved
            .given
            .iter()
            .map(|(path, given)| (path.clone(), given.place.clone()))
            .collect(),
    );
    let work_dir = expand_home(&resolved.text("work_dir"));
    let binary_dir = match resolved.given.get("binary_dir") {
        Some(given) => expand_home(given.value.as_str().unwrap_or_default()),
        None => work_dir.join("kubekey"),
    };
    let settings = Settings {
        image_registry: ImageRegistry {
            kind,
            registry: name.map(|_| resolved.text("image_registry.auth.registry")),
            username: resolved.text("image_registry.auth.username"),
            password: resolved
                .filled("image_registry.auth.password")
                .map(SecretString::new),
            plain_http: resolved.boolean("image_registry.auth.plain_http"),
            https_port: resolved.port("image_registry.https_port"),
            http_port: resolved.port("image_registry.http_port"),
            ha_vip: resolved.filled("image_registry.ha_vip"),
            ha_interface: resolved.filled("image_registry.ha_interface"),
            ha_virtual_router_id: router_id(&resolved, &mut found),
            ha_nopreempt: resolved.boolean("image_registry.ha_nopreempt"),
            certificate,
            trust_control_machine: resolved.boolean("image_registry.trust.control_machine"),
            trust_system_store: resolved.boolean("image_registry.trust.system_store"),
            hosts_entry: resolved.boolean("image_registry.trust.hosts_entry"),
            storage: storage(driver, &tree, &resolved),
            redirect_disabled: redirect_disabled(driver, &resolved),
            storage_ca: resolved.filled(STORAGE_CA).map(|text| expand_home(&text)),
            storage_keyfile: keyfile(driver, &resolved),
            harbor_data_dir: resolved.text("image_registry.harbor.data_dir"),
        },
        versions: Versions {
            docker: resolved.text("docker_version"),
            dockercompose: resolved.text("dockercompose_version"),
            docker_registry: resolved.text("docker_registry_version"),
            harbor: resolved.text("harbor_version"),
            keepalived: resolved.text("keepalived_version"),
        },
        artifact_url: per_package(&resolved, "artifact.artifact_url."),
        artifact_sha256: per_package(&resolved, "artifact.sha256."),
        requirements: Requirements {
            memory_gb: resolved.decimal("requirements.memory_gb"),
            control_plane_cores: u32::try_from(resolved.number("requirements.control_plane_cores"))
                .unwrap_or(u32::MAX),
            disk_gb: resolved.decimal("requirements.disk_gb"),
        },
        work_dir,
        binary_dir,
        artifact: input.artifact.clone(),
        tree,
    };
    let loaded = Loaded {
        settings,
        warnings: found.clone(),
        origins,
    };
    (loaded, found)
}

/// Lays the layers over one another. Values of settings that take anything are kept in their order.
fn overlay(all: Vec<Given>, found: &mut Diagnostics) -> (Resolved, Vec<Given>) {
    let mut given: BTreeMap<String, Given> = BTreeMap::new();
    let mut free = Vec::new();
    for next in all {
        if !next.below.is_empty()
            || next.setting.is_pattern() && next.setting.path.ends_with("<key>")
        {
            free.push(next);
            continue;
        }
        if let Some(first) = given.get(&next.path)
            && contradict(first, &next)
        {
            found.push(
                Diagnostic::at(
                    &next.place,
                    format!(
                        "`{}` and `{}` are one setting, and disagree",
                        first.spelled, next.spelled
                    ),
                )
                .label(label_of(&next))
                .related(&first.place, label_of(first))
                .hint("give one of them, or the same value in both"),
            );
            continue;
        }
        given.insert(next.path.clone(), next);
    }
    (Resolved { given }, free)
}

/// Two spellings in one layer must say the same; the same spelling again, and a later layer, replaces.
fn contradict(first: &Given, next: &Given) -> bool {
    first.layer == next.layer && first.spelled != next.spelled && first.value != next.value
}

/// The tree for templates.
fn build_tree(
    resolved: &Resolved,
    driver: &Driver,
    free: &[Given],
    found: &mut Diagnostics,
) -> Map<String, Value> {
    let mut root = tree::defaults(driver.name);
    let work_dir = resolved.text("work_dir");
    for given in resolved.given.values() {
        let is_of_other_driver =
            drivers::parameter(&given.path).is_some_and(|(other, _)| other.name != driver.name);
        if is_of_other_driver {
            continue;
        }
        let words: Vec<&str> = given.path.split('.').collect();
        tree::set(&mut root, &words, given.value.clone());
    }
    if resolved.filled("binary_dir").is_none() || !resolved.given.contains_key("binary_dir") {
        let path = Path::new(&work_dir).join("kubekey");
        tree::set(
            &mut root,
            &["binary_dir"],
            path.display().to_string().into(),
        );
    }
    let words: Vec<&str> = REDIRECT.split('.').collect();
    let disabled = redirect_disabled(driver, resolved);
    tree::set(&mut root, &words, disabled.into());
    for given in free {
        if let Err(reason) =
            tree::set_below(&mut root, &given.path, &given.below, given.value.clone())
        {
            found.push(Diagnostic::at(&given.key_place, reason));
        }
    }
    tree::add_long_spellings(&mut root);
    root
}

fn storage(driver: &Driver, tree: &Map<String, Value>, resolved: &Resolved) -> Storage {
    if driver.name == FILESYSTEM {
        let path_of = |name: &str| format!("{STORAGE}.{FILESYSTEM}.{name}");
        return Storage::Filesystem {
            rootdir: resolved.text(&path_of("rootdir")),
            nfs_mount: resolved.filled(&path_of("nfs_mount")),
        };
    }
    let words: Vec<&str> = STORAGE.split('.').chain([driver.name]).collect();
    let parameters = tree::get(tree, &words)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    Storage::Object {
        driver: driver.name.to_owned(),
        parameters,
    }
}

/// Whether blobs go through the registry: as given, else where clients may not reach the object store.
fn redirect_disabled(driver: &Driver, resolved: &Resolved) -> bool {
    if resolved.given.contains_key(REDIRECT) {
        return resolved.boolean(REDIRECT);
    }
    let endpoint = format!("{STORAGE}.{}.regionendpoint", driver.name);
    driver.name == "s3" && resolved.filled(&endpoint).is_some()
}

/// The key file of the driver, on this machine.
fn keyfile(driver: &Driver, resolved: &Resolved) -> Option<PathBuf> {
    let path = format!("{STORAGE}.{}.{}", driver.name, drivers::KEYFILE);
    resolved.filled(&path).map(|text| expand_home(&text))
}

/// Values of `<prefix><name>.<arch>`.
fn per_package(resolved: &Resolved, prefix: &str) -> BTreeMap<(String, String), String> {
    resolved
        .given
        .iter()
        .filter_map(|(path, given)| {
            let (name, arch) = path.strip_prefix(prefix)?.split_once('.')?;
            let value = given.value.as_str().filter(|text| !text.is_empty())?;
            Some(((name.to_owned(), arch.to_owned()), value.to_owned()))
        })
        .collect()
}
