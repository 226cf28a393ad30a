//! What a run notes for a later one that goes on where it stopped. Only the journal keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::event::Outcome;
use crate::secret::Redactor;

/// One note.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// What the run is made of.
    Source(Source),
    /// Files that were read since.
    Files {
        /// Their fingerprints, by path.
        files: BTreeMap<String, String>,
    },
    /// A host is done with a task.
    Done(Done),
    /// A host failed in a block, and what the block does about failures may have taken back what its tasks did.
    Undone {
        /// The host.
        host: String,
        /// The number of the block's first task.
        since: u64,
    },
}

/// What a run is made of. Two runs with the same source may go on from each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The playbooks, absolute.
    pub playbooks: Vec<String>,
    /// Fingerprints of the files that were read before the first task, by path.
    pub files: BTreeMap<String, String>,
    /// Fingerprint of the inventory with all variables.
    pub inventory: String,
    /// Fingerprint of settings and variables of the command line.
    pub variables: String,
    /// The run that this one goes on from.
    pub resumes: Option<String>,
}

/// A task that a host is done with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// Its number within the run.
    pub task: u64,
    /// The host.
    pub host: String,
    /// Where it is within the run, the same in every run of the same playbook.
    pub step: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What later tasks need of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Map<String, Json>>,
    /// What they need cannot be kept: the task has to run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// Why a task has to run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// In words.
    pub why: String,
    /// Fingerprint of its result: when it is another one the next time, everything after it runs again as well.
    pub print: String,
}

impl Note {
    /// Masks what is secret. Results are only noted where nothing in them is; this is the second line.
    pub(super) fn mask(&mut self, redactor: &Redactor) {
        if let Self::Done(Done {
            result: Some(result),
            ..
        }) = self
        {
            *result = redactor.mask_map(result);
        }
    }
}
