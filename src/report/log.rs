//! The log of a run: a plain file with the time of every line and all details, for its owner alone.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;
use time::macros::format_description;

use super::output::Output;
use super::{Renderer, lines};
use crate::engine::event::{Event, EventKind};

/// The log could not be begun.
#[derive(Debug, thiserror::Error)]
#[error("write the log `{}`: {source}", path.display())]
pub struct LogError {
    /// Where it should have been.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

/// Writes every event to a file.
pub struct Log {
    output: Output,
    path: PathBuf,
    started: SystemTime,
    check_mode: bool,
    /// Lines that are not written yet.
    pending: String,
}

impl Log {
    /// Begins a log: makes its folder (0700) where that is missing, and the file (0600), which must not be there.
    /// `started` is when the run began; times are shown in UTC.
    pub fn create(path: &Path, started: SystemTime) -> Result<Self, LogError> {
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
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        Ok(Self {
            output: Output::new(file),
            path: path.to_owned(),
            started,
            check_mode: false,
            pending: String::new(),
        })
    }

    /// The warning to show when the log had to be given up half-way, once.
    pub fn take_warning(&mut self) -> Option<String> {
        let error = self.output.take_failure()?;
        Some(format!(
            "the log `{}` is incomplete: {error}",
            self.path.display()
        ))
    }
}

impl Renderer for Log {
    fn event(&mut self, event: &Event) {
        if let EventKind::RunStarted { check_mode, .. } = event.kind {
            self.check_mode = check_mode;
        }
        let time = OffsetDateTime::from(self.started + event.at);
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let time = time.format(format).unwrap_or_default();
        for line in lines::everything(event, self.check_mode) {
            self.pending.push_str(&format!("{time} {}\n", line.text));
        }
    }

    fn settle(&mut self) {
        if !self.pending.is_empty() {
            self.output.write(&self.pending);
            self.pending.clear();
        }
    }

    fn finish(&mut self, _: std::time::Duration) {
        self.settle();
    }

    fn warning(&mut self) -> Option<String> {
        self.take_warning()
    }
}
