//! Every setting that the built-in playbooks and checks read: its path, type, default and meaning; Config files and
//! `--set` on top. A key that nothing reads is an error with a "did you mean".

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::secret::SecretString;

/// The settings of one run, defaults filled in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `image_registry.*`.
    pub image_registry: ImageRegistry,
    /// Versions of everything that is installed.
    pub versions: Versions,
    /// `artifact.artifact_url.<name>.<arch>`: what the user named instead of the layout's path.
    pub artifact_url: BTreeMap<(String, String), String>,
    /// `requirements.*`.
    pub requirements: Requirements,
    /// Working folder: secrets, certificates, logs, caches. Default `./kubekey`.
    pub work_dir: PathBuf,
    /// Where offline packages lie. Default `<work_dir>/kubekey`.
    pub binary_dir: PathBuf,
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
