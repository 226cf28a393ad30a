//! Pure rules: facts and settings in, findings out. No I/O here.
//!
//! Responsible for judging whether an installation would succeed, before anything is changed: which checks there are,
//! what each needs, what to do when it fails, and which failures a user may waive. It may not look at anything itself:
//! whatever it judges stands in its [`Input`], so every rule can be tested as a function.

mod docs;
mod input;
mod requirements;
mod rule;
mod rules;
mod sizes;
#[cfg(test)]
mod testing;
mod waivers;

use serde::Serialize;

pub use docs::checks_document;
pub use input::{
    ControlFacts, HeardVrrp, HostConnection, HostState, Input, Package, PackageCondition,
    PackageKind, PackageState, StorageProof,
};
pub use requirements::{
    BINARIES, IMAGES, OUR_PROJECT, PeerTarget, STAGING, peer_targets, registry_hosts, wanted,
};
pub use rule::{Rule, Scope, Verdict, Waivable, check, verdict};
pub use rules::{RULES, VipInterface, interface_of_vip};
pub use waivers::Waivers;

/// One host × check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check, the one that `--waive` takes, for instance `memory`.
    pub check: String,
    /// The host, or `None` for a check of the whole installation.
    pub host: Option<String>,
    /// How it ended.
    pub status: Status,
    /// What was seen, with its unit.
    pub measured: String,
    /// What is needed.
    pub required: String,
    /// What to do; empty when nothing is to be done.
    pub remedy: String,
    /// Why a failure does not count, when the user waived it.
    pub waived: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Fine.
    Pass,
    /// Works, but the user should know.
    Warn,
    /// The installation would go wrong.
    Fail,
    /// Could not be looked at, for instance because the host is unreachable.
    Unknown,
}
