//! Pure rules: facts and settings in, findings out. No I/O here.

use serde::Serialize;

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
