//! Many paths at once: a folder with everything in it is looked at by one request, and what the host lacks goes in one stream.
//!
//! The stream is a tar archive, which the host unpacks beside the destination into a folder for its owner alone. There the
//! files are hashed, get their mode and owner, and only then are renamed into their places, many by one program. What is
//! to be done with them is the archive's last member: when it is there, all is.

mod archive;
mod list;
mod look;
mod scripts;
mod squeeze;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Progress, RemoteError, Session};
use crate::connect::{Command, Stdin, TransportError};
use list::List;
pub use look::{Asked, Looked};
use scripts::APPLY;

/// Pieces that wait between the disk here and the wire.
const QUEUE: usize = 4;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Paths of the host that are to be made or changed together, in this order: folders, files, all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The folder that all lies in, for people.
    pub name: String,
    /// A folder that is there, on the file system that most of it goes to.
    pub near: String,
    /// Whether the host can unpack what `gzip` packs.
    pub has_gzip: bool,
    /// What is to be done.
    pub branches: Vec<Branch>,
}

/// One path of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Absolute.
    pub path: String,
    /// What becomes of it.
    pub kind: BranchKind,
    /// Permission bits; `None` leaves them, which a new one cannot do.
    pub mode: Option<u32>,
    /// Its owner.
    pub owner: Belongs,
    /// Its group.
    pub group: Belongs,
}

/// Whose a path is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Belongs {
    /// Nobody asks: whoever makes it.
    Any,
    /// As what is there now, by number.
    Keep(String),
    /// This one, by name or number.
    To(String),
}

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchKind {
    /// A folder is made.
    Folder,
    /// It is there, and only its mode and owner change.
    There,
    /// It becomes a link to this.
    Link(String),
    /// It becomes a file.
    File(Leaf),
}

/// What a file is to hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is read from.
    pub from: LeafSource,
    /// Its sha256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Leaf");
        if let LeafSource::File(path) = &self.from {
            shown.field("path", path);
        }
        shown.field("size", &self.size).finish_non_exhaustive()
    }
}

/// Where the bytes of a file come from. May be secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum LeafSource {
    /// A file of this machine.
    File(PathBuf),
    /// These bytes.
    Bytes(Bytes),
}

impl Tree {
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let sizes = self.branches.iter().map(|branch| match &branch.kind {
            BranchKind::File(leaf) => leaf.size,
            _ => 0,
        });
        sizes.sum()
    }
}

impl Session {
    /// Makes and changes many paths by one command. Answers how many bytes of files went, and what the host says about the
    /// last path.
    pub async fn send_tree(
        &self,
        tree: &Tree,
        progress: Progress<'_>,
    ) -> Result<(u64, String), RemoteError> {
        let purpose = || format!("send `{}`", tree.name);
        let mut list = List::of(tree);
        let size = tree.size();
        let mut compression = if tree.has_gzip {
            self.compression(size).await
        } else {
            None
        };
        if compression.is_some() {
            let looked = tokio::task::spawn_blocking(move || {
                let is_worth_it = squeeze::is_worth_it(&list);
                (list, is_worth_it)
            });
            let is_worth_it;
            (list, is_worth_it) = looked
                .await
                .map_err(|error| RemoteError::failed(purpose(), error.to_string()))?;
            compression = compression.filter(|_| is_worth_it);
        }
        let how = if compression.is_some() { "gzip" } else { "" };
        let command = Command::script(APPLY, [tree.near.clone(), size.to_string()]).arg(how);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let sent = Arc::new(AtomicU64::new(0));
        let packing = tokio::task::spawn_blocking({
            let sent = Arc::clone(&sent);
            move || archive::pack(&list, compression, sender, &sent)
        });
        let result = {
            let running = self.run_reading(command, Stdin::Stream(Bytes::new(), receiver));
            tokio::pin!(running);
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    result = &mut running => break result,
                    _ = tick.tick(), if size > 0 => progress(sent.load(Ordering::Relaxed).min(size - 1), size),
                }
            }
        };
        // The receiver is gone by now, so the packing ends. What stopped it is the cause of what followed.
        if let Ok(Err(reason)) = packing.await {
            return Err(RemoteError::failed(purpose(), reason));
        }
        let output = result.map_err(|error| match error {
            TransportError::Local { reason, .. } => RemoteError::failed(purpose(), reason),
            other => RemoteError::Transport(other),
        })?;
        if !output.success() {
            let error = RemoteError::from_output(purpose(), &output);
            return Err(if output.status.code() == scripts::WRONG {
                error.with_hint("a file here may have changed since it was hashed; run again")
            } else {
                error
            });
        }
        if size > 0 {
            progress(size, size);
        }
        Ok((sent.load(Ordering::Relaxed), output.stdout_text()))
    }
}
