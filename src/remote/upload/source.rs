//! The file on this machine: hashed, and read in pieces by a thread that may wait for a disk.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

/// Bytes per piece: few enough that a piece is still at hand when it is encrypted, and that many uploads at once take
/// little memory.
pub(super) const PIECE: usize = 128 * 1024;

/// What Ansible and this program call a file's checksum, and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) sha256: String,
    pub(crate) sha1: String,
    pub(crate) size: u64,
}

impl Sums {
    /// Of a file of this machine. Blocks.
    pub(crate) fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let (mut sha256, mut sha1) = (Sha256::new(), Sha1::new());
        let size = read_all(&mut file, |piece| {
            sha256.update(piece);
            sha1.update(piece);
        })?;
        Ok(Self {
            sha256: hexadecimal(&sha256.finalize()),
            sha1: hexadecimal(&sha1.finalize()),
            size,
        })
    }
}

/// Reads to the end, piece by piece; says how many bytes there were.
fn read_all(file: &mut std::fs::File, mut take: impl FnMut(&[u8])) -> std::io::Result<u64> {
    let mut buffer = vec![0_u8; PIECE];
    let mut size = 0_u64;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        take(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a part of the file and hands over the pieces, until the other side wants no more.
pub(super) fn read_into(
    source: &Path,
    range: Range<u64>,
    size: u64,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let read = || -> std::io::Result<()> {
        let mut file = std::fs::File::open(source)?;
        if file.metadata()?.len() != size {
            return Err(std::io::Error::other(
                "its size changed since it was hashed",
            ));
        }
        file.seek(SeekFrom::Start(range.start))?;
        let mut left = range.end.saturating_sub(range.start);
        let mut sent_pieces = VecDeque::new();
        while left > 0 {
            let mut piece = used_piece(&mut sent_pieces);
            piece.truncate(usize::try_from(left).unwrap_or(PIECE));
            let mut filled = 0;
            while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read(rest) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            piece.truncate(filled);
            let piece = piece.freeze();
            sent_pieces.push_back(piece.clone());
            if filled == 0 || sender.blocking_send(Ok(piece)).is_err() {
                break;
            }
            left = left.saturating_sub(filled as u64);
            sent.fetch_add(filled as u64, Ordering::Relaxed);
        }
        Ok(())
    };
    let result = read();
    if let Err(error) = &result {
        let copy = std::io::Error::new(error.kind(), error.to_string());
        let _ = sender.blocking_send(Err(copy));
    }
    result
}

/// The memory of a piece that has gone over the wire, or new one.
fn used_piece(sent: &mut VecDeque<Bytes>) -> BytesMut {
    let mut piece = match sent.pop_front().map(Bytes::try_into_mut) {
        Some(Ok(piece)) => piece,
        // Still on its way. More than these few never are.
        Some(Err(piece)) => {
            sent.push_front(piece);
            BytesMut::new()
        }
        None => BytesMut::new(),
    };
    piece.resize(PIECE, 0);
    piece
}
