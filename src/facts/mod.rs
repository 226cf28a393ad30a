//! What a host is, read in one round trip. Each fact is a probe (a piece of a POSIX script) and a parse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts of one host. Everything that could not be read is `None` or empty, never a guess.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
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
    /// Logical cores online.
    pub cores: u32,
    /// Memory in bytes (`MemTotal`).
    pub memory_bytes: u64,
    /// User id of the session's commands (with privilege).
    pub uid: u32,
    /// File systems that matter, by mount point.
    pub mounts: Vec<Mount>,
    /// For each folder asked about: the file system it would lie on.
    pub folders: BTreeMap<String, Folder>,
    /// Network interfaces with addresses.
    pub interfaces: Vec<Interface>,
    /// Address families with a default route: the interface.
    pub default_interface: Option<String>,
    /// Listening TCP sockets.
    pub listening: Vec<Listener>,
    /// systemd units that are active and matter here (docker, containerd, kubelet, firewalld, ufw, harbor, …).
    pub services: BTreeMap<String, ServiceFact>,
    /// The container engine, if any.
    pub docker: Option<Engine>,
    /// Docker Compose v2's version, if it is there.
    pub compose: Option<String>,
    /// containerd, if any.
    pub containerd: Option<Engine>,
    /// A kubelet is installed or running.
    pub kubelet: bool,
    /// `enforcing`, `permissive`, `disabled`, or `None` where there is no SELinux.
    pub selinux: Option<String>,
    /// The firewall that is active: `firewalld`, `ufw`, or `None`.
    pub firewall: Option<String>,
    /// The init system: `systemd` or what process 1 calls itself.
    pub init: String,
    /// The host's clock minus this machine's, in seconds, corrected by half a round trip.
    pub time_offset_seconds: Option<f64>,
    /// Programs that were looked for: name → path.
    pub tools: BTreeMap<String, String>,
    /// deb or rpm: the package manager found (`apt-get`, `dnf`, `yum`, `zypper`).
    pub package_manager: Option<String>,
    /// kk's own ledgers on the host, by component: how many entries.
    pub ledgers: BTreeMap<String, u32>,
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
    /// It is there.
    pub exists: bool,
    /// It is there and holds something.
    pub has_content: bool,
    /// The mount point it lies on (or would lie on).
    pub mount: String,
    /// `ext4`, `nfs4` …
    pub fstype: String,
    /// Free space in bytes.
    pub free_bytes: u64,
    /// Free inodes; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listener {
    /// The address, `*` for all.
    pub address: String,
    /// The port.
    pub port: u16,
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
    /// Where the binary lies.
    pub path: String,
    /// Who brought it: `kk`, a package's name, or `None` when nobody knows it.
    pub owner: Option<String>,
    /// Containers on it, running ones.
    pub containers: u32,
}
