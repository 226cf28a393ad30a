//! The journal of a run: its events as JSON lines, for its owner alone, written as the run goes on and read again by
//! `kk history`, `kk run --resume` and `--timings`.
//!
//! What a killed run has written can be read; a line that was cut off is left out. Diffs, results and the bytes of
//! transfers half-way are not in it.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::output::Output;
use super::{LogError, Renderer};
use crate::engine::event::{Event, EventKind, Outcome};
use crate::secret::fingerprint::Fingerprints;

/// The folder of the journals in the working folder.
pub const FOLDER: &str = "runs";

/// How many runs are kept.
pub const KEPT: usize = 100;

const ENDING: &str = "jsonl";

/// Where the journal of a run lies.
pub fn path_of(work_dir: &Path, run: &str) -> PathBuf {
    work_dir.join(FOLDER).join(format!("{run}.{ENDING}"))
}

/// Writes every event that matters later.
pub struct Journal {
    output: Output,
    path: PathBuf,
    /// Lines that are not written yet: many events that come at once are one write.
    pending: String,
    /// Transfers that have begun: host and name.
    sending: HashSet<(String, String)>,
}

/// Text that waits to be written.
const MOST_PENDING: usize = 64 * 1024;

impl Journal {
    /// Begins a journal: makes its folder (0700) where that is missing, and the file (0600), which must not be there.
    /// Journals of old runs are deleted.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let failed = |source| LogError {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
            prune(folder);
        }
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        // Held as long as the run lives: who reads the journal can tell a run that goes on from one that was killed.
        // Where files cannot be locked nobody can tell.
        let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Self {
            output: Output::new(file),
            path: path.to_owned(),
            pending: String::new(),
            sending: HashSet::new(),
        })
    }

    fn write(&mut self) {
        if !self.pending.is_empty() {
            self.output.write(&self.pending);
            self.pending.clear();
        }
    }
}

/// Deletes all journals but those of the latest runs; room is left for one more.
fn prune(folder: &Path) {
    let mut runs = runs_in(folder);
    runs.sort();
    let old = runs.len().saturating_sub(KEPT - 1);
    for run in runs.iter().take(old) {
        // One that cannot be deleted now will be the next time.
        let _ = std::fs::remove_file(folder.join(format!("{run}.{ENDING}")));
    }
}

/// The runs of a folder, by their names. The order is that of time.
fn runs_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let run = name.strip_suffix(ENDING)?.strip_suffix('.')?;
            Some(run.to_owned())
        })
        .collect();
    runs.sort();
    runs
}

/// The runs of a working folder that have a journal, the latest first.
pub fn runs(work_dir: &Path) -> Vec<String> {
    let mut runs = runs_in(&work_dir.join(FOLDER));
    runs.reverse();
    runs
}

impl Renderer for Journal {
    fn event(&mut self, event: &Event) {
        let kept = match &event.kind {
            EventKind::Transfer {
                host,
                name,
                finished,
                ..
            } => {
                let key = (host.clone(), name.clone());
                if *finished {
                    self.sending.remove(&key);
                    true
                } else {
                    self.sending.insert(key)
                }
            }
            EventKind::Finding(_) | EventKind::Summary { .. } | EventKind::HostCommand { .. } => {
                false
            }
            _ => true,
        };
        if !kept {
            return;
        }
        let line = match &event.kind {
            EventKind::HostTaskFinished {
                outcome,
                diff,
                details,
                result,
                message,
                ..
            } if diff.is_some() || details.is_some() || result.is_some() || message.is_some() => {
                let is_bad = super::lines::is_failure(*outcome);
                let mut short = event.clone();
                if let EventKind::HostTaskFinished {
                    diff,
                    details,
                    result,
                    message,
                    ..
                } = &mut short.kind
                {
                    (*diff, *result) = (None, None);
                    if !is_bad {
                        *details = None;
                        if *outcome != Outcome::Skipped {
                            *message = None;
                        }
                    }
                }
                serde_json::to_string(&short)
            }
            _ => serde_json::to_string(event),
        };
        if let Ok(line) = line {
            self.pending.push_str(&line);
            self.pending.push('\n');
        }
        if self.pending.len() >= MOST_PENDING {
            self.write();
        }
    }

    fn settle(&mut self) {
        self.write();
    }

    fn finish(&mut self, _: std::time::Duration) {
        self.write();
    }

    fn warning(&mut self) -> Option<String> {
        let error = self.output.take_failure()?;
        Some(format!(
            "the journal `{}` is incomplete: {error}",
            self.path.display()
        ))
    }
}

/// A journal that was read.
#[derive(Debug)]
pub struct Past {
    /// What is in it.
    pub events: Vec<Event>,
    /// Its run still goes on.
    pub is_running: bool,
}

/// Reads the journal of a run.
///
/// # Errors
///
/// There is none, or it cannot be read.
pub fn read(work_dir: &Path, run: &str) -> std::io::Result<Past> {
    read_until(work_dir, run, |_| false)
}

/// Reads the journal of a run until an event is the last one that is wanted.
pub fn read_until(
    work_dir: &Path,
    run: &str,
    mut is_last: impl FnMut(&Event) -> bool,
) -> std::io::Result<Past> {
    let file = File::open(path_of(work_dir, run))?;
    let is_running = matches!(
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared),
        Err(rustix::io::Errno::WOULDBLOCK)
    );
    let mut events = Vec::new();
    let mut lines = BufReader::new(&file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Ok(event) = serde_json::from_slice(&line) {
            let is_last = is_last(&event);
            events.push(event);
            if is_last {
                break;
            }
        }
        line.clear();
    }
    Ok(Past { events, is_running })
}

/// The last event of a run, if its line is whole.
pub fn last(work_dir: &Path, run: &str) -> std::io::Result<Option<Event>> {
    let mut file = File::open(path_of(work_dir, run))?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut wanted: u64 = 4096;
    loop {
        let start = length.saturating_sub(wanted);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = bytes.trim_ascii_end();
        let line = text.rsplit(|byte| *byte == b'\n').next().unwrap_or(text);
        if line.len() < text.len() || start == 0 {
            return Ok(serde_json::from_slice(line).ok());
        }
        wanted *= 4;
    }
}

/// What tells whether a later run is made of the same as an earlier one. Its key lies beside the journals.
///
/// # Errors
///
/// The key cannot be read.
pub fn fingerprints(work_dir: &Path) -> Result<Fingerprints, LogError> {
    let path = key_of(work_dir);
    Fingerprints::find(&path).map_err(|source| LogError { path, source })
}

/// Keeps their key for later runs.
///
/// # Errors
///
/// It cannot be written.
pub fn keep(fingerprints: &Fingerprints, work_dir: &Path) -> Result<(), LogError> {
    let path = key_of(work_dir);
    fingerprints
        .keep(&path)
        .map_err(|source| LogError { path, source })
}

fn key_of(work_dir: &Path) -> PathBuf {
    work_dir.join(FOLDER).join("key")
}
