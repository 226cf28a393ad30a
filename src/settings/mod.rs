//! Every setting that the built-in playbooks and checks read: its path, type, default and meaning; Config files and
//! `--set` on top. A key that nothing reads is an error with a "did you mean".
//!
//! Layers, later ones winning: defaults (`--workdir` is one), the Config file, the inventory's variables for all
//! hosts, `--set`. Everything that is wrong is found in one go, each mistake with its place. This room knows neither hosts
//! nor their facts: what depends on them (the registry's name without `auth.registry`, for instance) is decided
//! where they are known.

mod checks;
mod document;
mod driver_checks;
pub mod drivers;
mod layers;
mod load;
pub mod registry_name;
pub mod schema;
pub mod set;
mod set_json;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostics, Place};
use crate::secret::{SecretString, is_secret_name};

pub use document::{Row, describe, page, skeleton_config};
pub use load::SettingsInput;
pub use registry_name::RegistryName;
pub use set::{SetFlag, SetKind};
pub use value::Kind;

/// What reading settings gives.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What the user should know, although the run goes on.
    pub warnings: Diagnostics,
    /// Where each value that a user gave stands.
    pub origins: Origins,
}

/// Where the values that a user gave stand, by the short spelling of their setting.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<String, Place>);

impl Origins {
    /// Where a setting's value stands; `None` when it is the default.
    pub fn place(&self, path: &str) -> Option<&Place> {
        self.0.get(path)
    }

    /// Whether a user gave a setting.
    pub fn is_given(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// The settings of one run, defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `image_registry.*`.
    pub image_registry: ImageRegistry,
    /// Versions of everything that is installed.
    pub versions: Versions,
    /// `artifact.artifact_url.<name>.<arch>`: what the user named instead of the layout's path.
    ///
    /// Names and architectures in their usual spelling (`docker_compose`, `amd64`).
    pub artifact_url: BTreeMap<(String, String), String>,
    /// `artifact.sha256.<name>.<arch>`: what a package's content must hash to, in lower case.
    pub artifact_sha256: BTreeMap<(String, String), String>,
    /// `requirements.*`.
    pub requirements: Requirements,
    /// Working folder: secrets, certificates, logs, caches. Default `./kubekey`.
    pub work_dir: PathBuf,
    /// Where offline packages lie. Default `<work_dir>/kubekey`.
    pub binary_dir: PathBuf,
    /// `--artifact`: an archive of packages.
    pub artifact: Option<PathBuf>,
    /// Everything as the tree that templates see, both spellings resolved to the short one, secrets included.
    pub tree: serde_json::Map<String, serde_json::Value>,
}

/// `image_registry.*`.
#[derive(Debug, Clone)]
pub struct ImageRegistry {
    /// `image_registry.type`.
    pub kind: RegistryKind,
    /// `image_registry.auth.registry` as given: `host[:port][/project]`.
    pub registry: Option<String>,
    /// `image_registry.auth.username`, default `admin`.
    pub username: String,
    /// `image_registry.auth.password`; generated when absent.
    pub password: Option<SecretString>,
    /// `image_registry.auth.plain_http`.
    pub plain_http: bool,
    /// `image_registry.https_port`, default 443 (or the port in `auth.registry`).
    pub https_port: u16,
    /// `image_registry.http_port`, default 80 (or the port in `auth.registry` with `plain_http`).
    pub http_port: u16,
    /// `image_registry.ha_vip`.
    pub ha_vip: Option<String>,
    /// `image_registry.ha_interface`.
    pub ha_interface: Option<String>,
    /// `image_registry.ha_virtual_router_id`, 1 to 255 (RFC 5798, section 5.2.3); derived from the address when absent.
    pub ha_virtual_router_id: Option<u8>,
    /// `image_registry.ha_nopreempt`, default true.
    pub ha_nopreempt: bool,
    /// `image_registry.certificate.cert_file`/`key_file`/`ca_file`: the user's own.
    pub certificate: Option<OwnCertificate>,
    /// `image_registry.trust.control_machine`, default true.
    pub trust_control_machine: bool,
    /// `image_registry.trust.system_store`, default false.
    pub trust_system_store: bool,
    /// `image_registry.trust.hosts_entry`, default true: a line in `/etc/hosts` for the registry's name.
    pub hosts_entry: bool,
    /// `image_registry.docker_registry.storage`: exactly one driver.
    pub storage: Storage,
    /// `image_registry.docker_registry.redirect.disable`, decided where it is not given.
    pub redirect_disabled: bool,
    /// `image_registry.docker_registry.storage_ca`.
    pub storage_ca: Option<PathBuf>,
    /// `keyfile` of the storage driver, where it has one.
    pub storage_keyfile: Option<PathBuf>,
    /// `image_registry.harbor.data_dir`.
    pub harbor_data_dir: String,
}

/// The user's own certificate, files on the control machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// PEM, leaf first, chain after it.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// PEM of the authority to trust, when it is not a public one.
    pub ca_file: Option<PathBuf>,
}

/// What is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryKind {
    /// Harbor.
    Harbor,
    /// The distribution registry.
    DockerRegistry,
}

/// The storage driver of docker-registry and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// A folder on the host.
    Filesystem {
        /// Default `/var/lib/docker-registry/data`.
        rootdir: String,
        /// `server:/export` to mount there.
        nfs_mount: Option<String>,
    },
    /// Any other driver: its name (`s3`, `azure`, `gcs`, `swift`, `oss`, `inmemory`) and parameters as given.
    Object {
        /// Driver name.
        driver: String,
        /// Parameters; may hold secrets.
        parameters: serde_json::Map<String, serde_json::Value>,
    },
}

/// Versions, as the user writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// `docker_version`, default `24.0.9`.
    pub docker: String,
    /// `dockercompose_version`, default `v2.20.3`.
    pub dockercompose: String,
    /// `docker_registry_version`, default `2.8.3`.
    pub docker_registry: String,
    /// `harbor_version`, default `v2.10.2`.
    pub harbor: String,
    /// `keepalived_version`, default `2.3.4`.
    pub keepalived: String,
}

/// `requirements.*`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requirements {
    /// Memory of each host in GB (10^9 bytes, 5 % tolerance for what the kernel keeps), default 8.
    pub memory_gb: f64,
    /// Cores of control-plane nodes, default 4.
    pub control_plane_cores: u32,
    /// Free space under the data folder in GB, for local storage, default 100.
    pub disk_gb: f64,
}

impl Default for Settings {
    /// What holds when a user gives nothing.
    fn default() -> Self {
        load::assemble(&SettingsInput::default()).0.settings
    }
}

impl Settings {
    /// Every secret in the settings, for the redactor.
    pub fn secrets(&self) -> Vec<SecretString> {
        let mut secrets: Vec<SecretString> = self.image_registry.password.iter().cloned().collect();
        let mut words: Vec<String> = Vec::new();
        collect_secrets(&self.tree, &mut words, &mut secrets);
        secrets
    }
}

/// Values whose name or setting says that they are secret. `path` is the way to `map`.
fn collect_secrets(
    map: &serde_json::Map<String, serde_json::Value>,
    path: &mut Vec<String>,
    secrets: &mut Vec<SecretString>,
) {
    use serde_json::Value;
    fn learn(value: &Value, secrets: &mut Vec<SecretString>) {
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Array(items) => return items.iter().for_each(|item| learn(item, secrets)),
            Value::Object(map) => return map.values().for_each(|item| learn(item, secrets)),
            _ => return,
        };
        let secret = SecretString::new(text);
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
    for (key, value) in map {
        path.push(key.clone());
        let whole = path.join(".");
        if is_secret_name(key) || drivers::is_secret(&whole) {
            learn(value, secrets);
        } else if let Value::Object(map) = value {
            collect_secrets(map, path, secrets);
        } else if let Value::Array(items) = value {
            for map in items.iter().filter_map(Value::as_object) {
                collect_secrets(map, path, secrets);
            }
        }
        path.pop();
    }
}
