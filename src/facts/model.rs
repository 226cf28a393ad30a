//! The types that facts come in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Facts of one host. Everything that could not be read is `None` or empty, never a guess.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// How much was looked at; of what was not, nothing is known.
    #[serde(skip)]
    pub extent: super::Extent,
    /// Variables by Ansible's names, where those were asked for.
    #[serde(skip)]
    pub ansible: AnsibleFacts,
    /// `/etc/os-release`.
    pub os: Os,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m` as the host says it, for instance `x86_64`.
    pub machine: String,
    /// The name packages use: `amd64`, `arm64`, or the machine itself for any other.
    pub binary_type: String,
    /// The host's own name.
    pub hostname: String,
    /// `/etc/machine-id`.
    pub machine_id: Option<String>,
    /// The container engine that this host itself runs in (`docker`, `podman`), where that can be seen.
    pub container: Option<String>,
    /// Logical cores online.
    pub cores: u32,
    /// Memory in bytes (`MemTotal`).
    pub memory_bytes: u64,
    /// Memory that can be had without swapping, in bytes (`MemAvailable`).
    pub memory_available_bytes: Option<u64>,
    /// Swap space in bytes.
    pub swap_bytes: u64,
    /// User id of the session's commands (with privilege); `None` when the host did not say it.
    pub uid: Option<u32>,
    /// File systems that matter (the root, and those under the folders asked about), by mount point.
    pub mounts: Vec<Mount>,
    /// For each folder asked about, and for the container engine's own: the file system it would lie on.
    pub folders: BTreeMap<String, Folder>,
    /// Network interfaces with addresses.
    pub interfaces: Vec<Interface>,
    /// The interface of the default route, IPv4's where there are both.
    pub default_interface: Option<String>,
    /// Listening TCP sockets.
    pub listening: Vec<Listener>,
    /// systemd units that are loaded and matter here (`docker`, `docker.socket`, `containerd`, `kubelet`, …): the
    /// name without `.service`.
    pub services: BTreeMap<String, ServiceFact>,
    /// The container engine, if any; a client without a server is none.
    pub docker: Option<Engine>,
    /// Where a Docker client lies, with or without a server.
    pub docker_client: Option<String>,
    /// What answers to the name `docker` without being it: `podman`.
    pub docker_stand_in: Option<String>,
    /// The folder in which Docker keeps images: as the server says it, else from its settings file.
    pub docker_root: Option<String>,
    /// Docker Compose v2's version, if it is there.
    pub compose: Option<String>,
    /// Containers on the engine, stopped ones too; empty when the engine does not run.
    pub containers: Vec<Container>,
    /// containerd, if any. The one that Docker starts for itself is not listed here.
    pub containerd: Option<Engine>,
    /// A kubelet (or a distribution that contains one) is installed or running.
    pub kubelet: bool,
    /// A kubelet, or a distribution that contains one, runs now: the name of its process.
    pub kubelet_running: Option<String>,
    /// `enforcing`, `permissive`, `disabled`, or `None` where there is no SELinux.
    pub selinux: Option<String>,
    /// AppArmor is on.
    pub apparmor: bool,
    /// The firewall that is active: `firewalld`, `ufw`, or `None`.
    pub firewall: Option<String>,
    /// The init system: `systemd` or what process 1 calls itself.
    pub init: String,
    /// The kernel has the overlay file system (loaded or built in).
    pub overlay: bool,
    /// The cgroup version: 1 or 2.
    pub cgroup: Option<u8>,
    /// The host's clock minus this machine's, in seconds, with both ways of the round trip taken as equally long.
    pub time_offset_seconds: Option<f64>,
    /// How far the offset may be wrong, in seconds: half of the round trip and the clock's resolution.
    pub time_uncertainty_seconds: Option<f64>,
    /// Programs that were looked for: name → path.
    pub tools: BTreeMap<String, String>,
    /// deb or rpm: the package manager found (`apt-get`, `dnf`, `yum`, `zypper`; `apk` where it is Alpine's).
    pub package_manager: Option<String>,
    /// kk's own ledgers on the host, by component: how many entries.
    pub ledgers: BTreeMap<String, u32>,
    /// Folders that kk's ledgers name as holding data.
    pub own_data: Vec<String>,
    /// Paths that other installers of registries leave behind and that are there.
    pub leftovers: Vec<String>,
}

/// `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Os {
    /// `uname -s`: `Linux`.
    pub system: String,
    /// `ID`: `debian`.
    pub id: String,
    /// `ID_LIKE`, split: `["rhel", "fedora"]`.
    pub id_like: Vec<String>,
    /// `VERSION_ID`: `12`.
    pub version_id: String,
    /// `PRETTY_NAME`.
    pub pretty_name: String,
    /// Every key of the file as it is written there.
    pub release: BTreeMap<String, String>,
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// What: `/dev/vda1`.
    pub device: String,
    /// `ext4`.
    pub fstype: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Free for unprivileged use, in bytes.
    pub free_bytes: u64,
}

/// A folder that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Folder {
    /// Something is there under this name.
    pub exists: bool,
    /// It is a folder (or a link to one).
    pub is_directory: bool,
    /// It is there and holds something besides `lost+found`.
    pub has_content: bool,
    /// What it holds, as far as registries are concerned.
    pub content: FolderContent,
    /// Names in it, sorted, at most 40.
    pub entries: Vec<String>,
    /// The mount point it lies on (or would lie on).
    pub mount: String,
    /// `ext4`, `nfs4` …
    pub fstype: String,
    /// Free space in bytes; `None` when the file system did not answer in time.
    pub free_bytes: Option<u64>,
    /// Free inodes; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
    /// Looking at it took longer than the limit, as on a network file system whose server is gone.
    pub hangs: bool,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FolderContent {
    /// Nothing, or it is not there.
    #[default]
    Nothing,
    /// The distribution registry's own layout (`docker/registry/v2`).
    Distribution {
        /// Repositories counted; `None` when counting took too long.
        repositories: Option<u32>,
    },
    /// Harbor's data (`database`, `secret`, `registry` …).
    Harbor {
        /// Repositories counted in its registry; `None` when there is none or counting took too long.
        repositories: Option<u32>,
    },
    /// Anything else.
    Other,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Addresses with prefix length: `10.0.0.11/24`.
    pub addresses: Vec<String>,
    /// It is up.
    pub up: bool,
}

/// One listening TCP socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The address, `*` for all.
    pub address: String,
    /// The process, where it can be seen.
    pub process: Option<String>,
}

/// One systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceFact {
    /// `active`, `inactive`, `failed` …
    pub active: String,
    /// `enabled`, `disabled` …
    pub enabled: String,
}

/// A container engine on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Engine {
    /// The server's version, or the client's when the server does not run.
    pub version: String,
    /// The server answers.
    pub running: bool,
    /// The server's process is there, whether it answers or not.
    pub process: bool,
    /// Where the binary lies.
    pub path: String,
    /// Who brought it: `kk`, a package's name, `snap`, or `None` when nobody knows it.
    pub owner: Option<String>,
    /// Containers on it, running ones.
    pub containers: u32,
}

/// One container of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image as it was named.
    pub image: String,
    /// It runs.
    pub running: bool,
    /// Ports of the host that it publishes.
    pub ports: Vec<u16>,
    /// Its Compose project.
    pub project: Option<String>,
    /// Folders of the host and volumes mounted in it.
    pub mounts: Vec<String>,
}

/// Variables by Ansible's names, each value as a JSON text: there are hundreds of them for each host, and most are never
/// read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnsibleFacts(pub(super) Vec<(String, Arc<str>)>);

impl AnsibleFacts {
    /// These variables.
    pub fn new(variables: serde_json::Map<String, serde_json::Value>) -> Self {
        Self(texts(variables).collect())
    }

    /// The variables.
    pub fn variables(&self) -> serde_json::Map<String, serde_json::Value> {
        let variables = self.0.iter();
        variables
            .filter_map(|(name, text)| Some((name.clone(), serde_json::from_str(text).ok()?)))
            .collect()
    }
}

/// Values as JSON texts.
pub(super) fn texts(
    variables: serde_json::Map<String, serde_json::Value>,
) -> impl Iterator<Item = (String, Arc<str>)> {
    variables
        .into_iter()
        // Not by `Display`, which writes piece by piece.
        .map(|(name, value)| {
            (
                name,
                serde_json::to_string(&value).unwrap_or_default().into(),
            )
        })
}

impl Facts {
    /// Every address of every interface, without prefix length.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .map(|address| address.split('/').next().unwrap_or(address))
    }

    /// The first address of the default interface of the family asked for, without prefix length.
    pub fn default_address(&self, ipv6: bool) -> Option<&str> {
        let name = self.default_interface.as_deref()?;
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)?
            .addresses
            .iter()
            .map(|address| address.split('/').next().unwrap_or(address))
            .find(|address| address.contains(':') == ipv6 && !address.starts_with("fe80:"))
    }
}
