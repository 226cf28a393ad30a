//! Everything that the rules judge. The caller looks; the rules only read this.

use std::net::IpAddr;

use indexmap::IndexMap;

use super::Waivers;
use crate::diagnostic::Diagnostic;
use crate::facts::{Facts, PeerProbe, VrrpProbe};
use crate::inventory::Inventory;
use crate::settings::Settings;

/// What was found out about an installation before it begins.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Hosts and groups.
    pub inventory: &'a Inventory,
    /// What is to be installed and how.
    pub settings: &'a Settings,
    /// The hosts that take part, in the order they are shown.
    pub hosts: IndexMap<String, HostState>,
    /// Every offline package that is needed, once for each architecture.
    pub packages: Vec<PackageState>,
    /// This machine.
    pub control: ControlFacts,
    /// What is wrong with the user's own certificate; `None` when the settings name none.
    pub own_certificate: Option<Vec<Diagnostic>>,
    /// What is wrong with the files of this machine that the storage needs.
    pub storage_files: Vec<Diagnostic>,
    /// How it went to use the storage from the registry hosts; empty where that was not tried.
    pub storage_proofs: Vec<StorageProof>,
    /// Whether anything answers at the virtual address; `None` when that was not tried.
    pub vip_answers: Option<bool>,
    /// What the registry hosts heard of VRRP; `None` without a virtual address, and when that was not tried.
    pub vrrp: Option<HeardVrrp>,
    /// Checks that the user waived.
    pub waivers: Waivers,
    /// Now, in seconds since 1970, by this machine's clock.
    pub now: i64,
}

/// What was heard on the wire before an installation with a virtual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardVrrp {
    /// The virtual router id that is to be used.
    pub router_id: u8,
    /// Each registry host that listened: its own address, and what it heard.
    pub hosts: IndexMap<String, (IpAddr, VrrpProbe)>,
    /// Nothing was sent, because keepalived runs here already and would be bothered.
    pub only_listened: bool,
}

/// How it went to write something into the storage from one host, to read it back from another and to delete it.
#[derive(Debug, Clone)]
pub struct StorageProof {
    /// The host that wrote.
    pub host: String,
    /// The storage as a person names it.
    pub place: String,
    /// The host that read; `None` where there is no other.
    pub reader: Option<String>,
    /// It went from this machine, because the host forwards nothing.
    pub is_direct: bool,
    /// The storage's clock against this machine's, in seconds; positive when it is ahead.
    pub clock_offset: Option<f64>,
    /// What went wrong.
    pub fault: Option<Diagnostic>,
    /// What could not be deleted.
    pub left: Option<String>,
}

/// What was found out about one host.
#[derive(Debug, Clone)]
pub struct HostState {
    /// How far the connection came.
    pub connection: HostConnection,
    /// Whether this host reaches others; empty when that was not tried.
    pub reachability: Vec<PeerProbe>,
}

/// How far the connection to a host came.
#[derive(Debug, Clone)]
pub enum HostConnection {
    /// All the way: the host said what it is.
    Up(Box<Facts>),
    /// No connection: name not resolved, refused, no route, time limit.
    Unreachable {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The host's key is not one that is trusted for it.
    HostKey {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The host took none of the ways to log in.
    Login {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Logged in, but the host refused the privilege to act as root.
    Privilege {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Logged in, but the host could not be asked about itself.
    Facts {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl HostConnection {
    /// The facts, where the connection came that far.
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Up(facts) => Some(facts),
            _ => None,
        }
    }
}

/// This machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlFacts {
    /// Its name.
    pub hostname: String,
    /// Its addresses, without prefix length.
    pub addresses: Vec<String>,
}

/// One offline package and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageState {
    /// Which one.
    pub package: Package,
    /// In which condition.
    pub condition: PackageCondition,
}

/// One offline package that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name in the catalogue: `docker`, `docker_compose`, `docker_registry`, `harbor`, `keepalived`.
    pub name: String,
    /// The version asked for, as the user writes it.
    pub version: String,
    /// `amd64` or `arm64`.
    pub architecture: String,
    /// What it is, which decides where it takes space.
    pub kind: PackageKind,
}

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    /// An archive of programs, unpacked under `/usr/local/bin`.
    Programs,
    /// One program, put in place as it is.
    Program,
    /// An archive of container images, loaded into the engine.
    Images,
    /// An installer that holds images: unpacked beside the uploads, then loaded.
    Installer,
}

/// In which condition a package was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageCondition {
    /// It is there and readable as what it claims to be.
    Found {
        /// The file.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// Its sha256, where it was computed.
        sha256: Option<String>,
        /// The sha256 it should have, where that is known.
        expected_sha256: Option<String>,
        /// Bytes it takes when unpacked.
        unpacked_bytes: u64,
        /// Bytes it takes in the container engine when loaded.
        loaded_bytes: u64,
        /// The architecture of what is inside, where that can be read.
        architecture: Option<String>,
        /// The version of what is inside, where that can be read.
        version: Option<String>,
    },
    /// It is not there.
    Missing {
        /// What is wrong, where it is more than that nothing lies there.
        message: Option<String>,
        /// Every place that was looked at, the layout's own path first.
        looked_at: Vec<String>,
        /// What to do, where the caller knows better than the rule does.
        hint: Option<String>,
    },
    /// It is there and is not what it claims to be: cut off, not an archive, nothing of use inside.
    Broken {
        /// The file; empty when the reason is not in a file.
        path: String,
        /// What is wrong with it, to follow its path.
        reason: String,
        /// What to do, where the caller knows better than the rule does.
        hint: Option<String>,
    },
}
