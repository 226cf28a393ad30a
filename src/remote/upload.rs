//! Sending a big file: streamed from a blocking reader with constant memory, resumed where an earlier attempt was cut
//! off, hashed on the host while it arrives, and renamed into place only when the sha256 is right.
//!
//! Over a long line one command takes in no more than the host's window in each round trip, so the file goes in slices,
//! several at once.

mod scripts;
mod slices;
mod source;
mod sums;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Progress, Relay, RemoteError, Session};
use crate::connect::{Command, Output, Stdin, TransportError};
use scripts::PREPARE;
pub(super) use scripts::{DISCARD, SEND, SHORT, WRONG};
pub(crate) use source::{Sums, hexadecimal};
#[doc(hidden)]
pub use sums::bytes_read;
pub(crate) use sums::small_file;

/// Pieces that wait between the disk here and the wire.
const QUEUE: usize = 2;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// A file of this machine and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file here.
    pub source: PathBuf,
    /// Its sha256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Absolute path there.
    pub dest: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner, or whoever owns the file now (else the session's user).
    pub owner: Option<String>,
    /// Group, likewise.
    pub group: Option<String>,
}

impl Upload {
    /// What is there of it so far (`part`), and which slices that has (`slices.part`).
    pub(super) fn part(&self, what: &str) -> String {
        let sum = self.sha256.get(..16).unwrap_or_default();
        format!("{}.kk-{sum}.{what}", self.dest)
    }

    /// What the scripts are told first.
    pub(super) fn words(&self) -> [String; 8] {
        [
            self.dest.clone(),
            self.part("part"),
            self.part("slices.part"),
            format!("{:04o}", self.mode),
            self.owner.clone().unwrap_or_default(),
            self.group.clone().unwrap_or_default(),
            self.size.to_string(),
            self.sha256.clone(),
        ]
    }
}

/// How much of a file a host has.
pub(super) enum There {
    All,
    /// So many bytes from its beginning.
    Start(u64),
    /// These slices.
    Slices(BTreeSet<u64>),
}

/// What a failure is called.
pub(super) type Purpose<'a> = &'a (dyn Fn() -> String + Sync);

impl Session {
    /// Sends a file. `progress` is told how many bytes of it the host has, of how many. Answers how many bytes went
    /// over the wire.
    ///
    /// What an earlier attempt left in `<dest>.kk-<16 digits of the sha256>.part` is continued. The whole file's sha256
    /// is compared on the host; when it is wrong the file is sent once more from its beginning.
    pub async fn upload(
        &self,
        upload: &Upload,
        progress: Progress<'_>,
    ) -> Result<u64, RemoteError> {
        let purpose = || format!("send `{}` to `{}`", upload.source.display(), upload.dest);
        if !upload.dest.starts_with('/') || upload.dest.ends_with('/') {
            return Err(RemoteError::failed(
                purpose(),
                "the destination is not an absolute path of a file",
            ));
        }
        if upload.sha256.len() != 64 {
            return Err(RemoteError::failed(purpose(), "its sha256 is not known"));
        }
        match &self.relay {
            Some(relay) if Relay::is_for(self, upload) => {
                self.upload_among(relay, upload, progress).await
            }
            _ => self.upload_from_here(upload, progress).await,
        }
    }

    /// The same, whoever else may have the file.
    pub(super) async fn upload_from_here(
        &self,
        upload: &Upload,
        progress: Progress<'_>,
    ) -> Result<u64, RemoteError> {
        let purpose = || format!("send `{}` to `{}`", upload.source.display(), upload.dest);
        let mut sent_in_all = 0;
        for attempt in 1..=2 {
            let (output, sent) = match self.prepare(upload, &purpose).await? {
                There::All => {
                    progress(upload.size, upload.size);
                    return Ok(sent_in_all);
                }
                There::Start(offset) if !self.is_worth_slicing(upload.size - offset).await => {
                    self.send_rest(upload, offset, progress, &purpose).await?
                }
                There::Start(offset) => {
                    let slices = (0..offset / slices::SLICE).collect();
                    self.send_slices(upload, slices, progress, &purpose).await?
                }
                There::Slices(slices) => {
                    self.send_slices(upload, slices, progress, &purpose).await?
                }
            };
            sent_in_all += sent;
            match output.status.code() {
                0 => {
                    progress(upload.size, upload.size);
                    return Ok(sent_in_all);
                }
                // A partial file of unknown origin may have been wrong from the start, so once more from zero.
                WRONG => {
                    let parts = [upload.part("part"), upload.part("slices.part")];
                    self.run(Command::script(DISCARD, parts), Bytes::new())
                        .await?;
                    if attempt > 1 {
                        return Err(RemoteError::from_output(purpose(), &output).with_hint(
                            "the file here may have changed since it was hashed, or the host's disk or memory is bad",
                        ));
                    }
                }
                _ => return Err(failure(upload, &output, &purpose)),
            }
        }
        Err(RemoteError::failed(
            purpose(),
            "the host never had the right bytes",
        ))
    }

    /// Asks how much is there already; refuses when the rest does not fit.
    pub(super) async fn prepare(
        &self,
        upload: &Upload,
        purpose: Purpose<'_>,
    ) -> Result<There, RemoteError> {
        let command = Command::script(PREPARE, upload.words()).arg(self.state_dir());
        let output = self.run(command, Bytes::new()).await?;
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        let text = output.stdout_text();
        if text.lines().any(|line| line == "same") {
            return Ok(There::All);
        }
        let have = number_of(&output, "have=").ok_or_else(|| {
            RemoteError::failed(purpose(), "the host did not say what it has already")
        })?;
        let slices = text.lines().find_map(|line| line.strip_prefix("slices="));
        let there = match slices {
            Some(numbers) => There::Slices(slices::whole(numbers, have, upload.size)),
            None => There::Start(have),
        };
        let missing = match &there {
            There::Slices(slices) => slices::missing(slices, upload.size),
            _ => upload.size.saturating_sub(have),
        };
        match free_of(&output) {
            Some(free) if missing > free => Err(no_space(&purpose(), missing, Some(free))),
            _ => Ok(there),
        }
    }

    /// Sends everything from `offset` on by one command.
    async fn send_rest(
        &self,
        upload: &Upload,
        offset: u64,
        progress: Progress<'_>,
        purpose: Purpose<'_>,
    ) -> Result<(Output, u64), RemoteError> {
        // Only when it is in its place has the host all of it.
        let most = upload.size.saturating_sub(1);
        if most > 0 {
            progress(offset.min(most), upload.size);
        }
        let command = Command::script(SEND, upload.words()).arg(offset.to_string());
        let sent = Arc::new(AtomicU64::new(0));
        let output = {
            let sending = self.send_range(command, upload, offset..upload.size, &sent, purpose);
            tokio::pin!(sending);
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    result = &mut sending => break result?,
                    _ = tick.tick(), if most > 0 => {
                        progress((offset + sent.load(Ordering::Relaxed)).min(most), upload.size);
                    }
                }
            }
        };
        Ok((output, sent.load(Ordering::Relaxed)))
    }

    /// Gives a command a part of the file to read; `sent` grows with it.
    async fn send_range(
        &self,
        command: Command,
        upload: &Upload,
        range: Range<u64>,
        sent: &Arc<AtomicU64>,
        purpose: Purpose<'_>,
    ) -> Result<Output, RemoteError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let reader = tokio::task::spawn_blocking({
            let source = upload.source.clone();
            let size = upload.size;
            let sent = Arc::clone(sent);
            move || source::read_into(&source, range, size, &sender, &sent)
        });
        let result = self
            .run_reading(command, Stdin::Stream(Bytes::new(), receiver))
            .await;
        // The receiver is gone by now, so the reader ends. What stopped the reader is the cause of what followed.
        if let Ok(Err(error)) = reader.await {
            return Err(RemoteError::failed(
                purpose(),
                format!("read `{}`: {error}", upload.source.display()),
            ));
        }
        result.map_err(|error| match error {
            TransportError::Local { reason, .. } => RemoteError::failed(purpose(), reason),
            other => RemoteError::Transport(other),
        })
    }
}

/// Why a script of an upload failed.
fn failure(upload: &Upload, output: &Output, purpose: Purpose<'_>) -> RemoteError {
    if output.status.code() == SHORT && output.stderr_text().contains("No space left") {
        no_space(&purpose(), upload.size, free_of(output))
    } else {
        RemoteError::from_output(purpose(), output)
    }
}

fn number_of(output: &Output, key: &str) -> Option<u64> {
    output
        .stdout_text()
        .lines()
        .find_map(|line| line.strip_prefix(key).and_then(|value| value.parse().ok()))
}

fn free_of(output: &Output) -> Option<u64> {
    number_of(output, "free=").map(|kibibytes| kibibytes.saturating_mul(1024))
}

fn no_space(purpose: &str, needed: u64, free: Option<u64>) -> RemoteError {
    let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let reason = match free {
        Some(free) => format!(
            "no space left: {} MiB more are needed and {} MiB are free",
            mebibytes(needed),
            free / (1024 * 1024)
        ),
        None => "no space left".to_owned(),
    };
    RemoteError::failed(purpose, reason).with_hint(
        "make room on that file system, then run again: the upload goes on where it stopped",
    )
}
