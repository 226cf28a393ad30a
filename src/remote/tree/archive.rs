//! The archive that goes to the host, packed by a thread that may wait for a disk, piece by piece.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use super::LeafSource;
use super::list::List;

/// Bytes of a piece on its way.
const PIECE: usize = 128 * 1024;

/// Packs everything and hands over the pieces, until the other side wants no more. What went wrong is said in words, and
/// told to the other side, so that it does not take what it has for all there is.
pub(super) fn pack(
    list: &List,
    compression: Option<Compression>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    sent: &AtomicU64,
) -> Result<(), String> {
    let mut pieces = Pieces {
        sender,
        piece: BytesMut::with_capacity(PIECE),
        is_wanted: true,
    };
    let packed = match compression {
        None => pack_into(list, &mut pieces, sent),
        Some(level) => {
            let mut encoder = GzEncoder::new(&mut pieces, level);
            pack_into(list, &mut encoder, sent)
                .and_then(|()| encoder.finish())
                .and_then(Write::flush)
        }
    };
    match packed {
        Ok(()) => Ok(()),
        Err(_) if !pieces.is_wanted => Ok(()),
        Err(error) => {
            let copy = io::Error::new(error.kind(), error.to_string());
            let _ = pieces.sender.blocking_send(Err(copy));
            Err(error.to_string())
        }
    }
}

fn pack_into(list: &List, to: &mut dyn Write, sent: &AtomicU64) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    for folder in &list.folders {
        let mut header = header(tar::EntryType::Directory, 0o700, 0);
        archive.append_data(&mut header, format!("{folder}/"), io::empty())?;
    }
    let (mut names, mut hashes) = (String::new(), String::new());
    for (name, leaf) in &list.files {
        names.push_str(name);
        names.push('\n');
        hashes.push_str(&leaf.sha256);
        hashes.push('\n');
        let mut header = header(tar::EntryType::Regular, 0o600, leaf.size);
        match &leaf.from {
            LeafSource::Bytes(bytes) => {
                let counted = Counted(bytes.as_ref(), sent);
                archive.append_data(&mut header, name, counted)?;
            }
            LeafSource::File(path) => {
                let failed = |error: io::Error| {
                    io::Error::new(error.kind(), format!("read `{}`: {error}", path.display()))
                };
                let file = std::fs::File::open(path).map_err(failed)?;
                if file.metadata().map_err(failed)?.len() != leaf.size {
                    return Err(failed(io::Error::other(
                        "its size changed since it was hashed",
                    )));
                }
                let exact = Exact {
                    file,
                    left: leaf.size,
                };
                let counted = Counted(exact, sent);
                archive
                    .append_data(&mut header, name, counted)
                    .map_err(failed)?;
            }
        }
    }
    for (name, text) in [
        ("names", &names),
        ("hashes", &hashes),
        ("list", &list.lines),
    ] {
        let mut header = header(tar::EntryType::Regular, 0o600, text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    archive.into_inner()?.flush()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// As many bytes of a file as its header says, or an error.
struct Exact {
    file: std::fs::File,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(room.len(), |left| left.min(room.len()));
        let room = room.get_mut(..most).unwrap_or_default();
        if room.is_empty() {
            return Ok(0);
        }
        let count = self.file.read(room)?;
        if count == 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Counts what is read.
struct Counted<'a, R>(R, &'a AtomicU64);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(room)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Makes pieces of what is written, and hands them over.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
    /// Somebody still takes them.
    is_wanted: bool,
}

impl Pieces {
    fn hand_over(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE));
        if self.sender.blocking_send(Ok(piece.freeze())).is_err() {
            self.is_wanted = false;
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
        let part = bytes.get(..room).unwrap_or_default();
        self.piece.extend_from_slice(part);
        if self.piece.len() >= PIECE {
            self.hand_over()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}
