//! A file read once from end to end: hashed on one thread while another looks at what is in it.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use sha2::{Digest, Sha256};

/// Bytes per read.
pub(super) const CHUNK: usize = 256 * 1024;

/// Chunks under way between the two threads.
const DEPTH: usize = 8;

/// Told how many bytes were just read; ends the reading by [`ControlFlow::Break`].
pub type Watch<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);

/// What the whole file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// Lower-case hexadecimal digits.
    pub(super) sha256: String,
    /// Bytes.
    pub(super) size: u64,
}

/// The file's bytes as they come from the reading thread.
pub(super) struct Feed {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
    taken: u64,
}

impl Feed {
    /// How many bytes were taken out so far.
    pub(super) const fn position(&self) -> u64 {
        self.taken
    }

    /// Takes and forgets what is left; says how many bytes those were.
    pub(super) fn drain(&mut self) -> io::Result<u64> {
        let mut rest = 0;
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                return Ok(rest);
            }
            self.consume(length);
            rest += length as u64;
        }
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.chunk.len()
            && let Ok(next) = self.chunks.recv()
        {
            self.chunk = next?;
            self.at = 0;
        }
        Ok(self.chunk.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.chunk.len());
        self.taken += amount as u64;
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), available.get(..length)) {
            target.copy_from_slice(source);
        }
        self.consume(length);
        Ok(length)
    }
}

/// Reads `path` and lets `look` see its bytes. `look` must take all of them, or fail.
///
/// The outer error is one of reading the file; the file's hash is only known when `look` succeeded.
pub(super) fn read_whole<T, E: From<io::Error>>(
    path: &Path,
    watch: Watch<'_>,
    look: impl FnOnce(&mut Feed) -> Result<T, E>,
) -> Result<(Whole, T), E> {
    let file = File::open(path)?;
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel(DEPTH);
        let reader: ScopedJoinHandle<'_, Option<Whole>> =
            scope.spawn(move || pump(file, &sender, watch));
        let mut feed = Feed {
            chunks,
            chunk: Vec::new(),
            at: 0,
            taken: 0,
        };
        let seen = look(&mut feed)?;
        feed.drain()?;
        drop(feed);
        match reader.join() {
            Ok(Some(whole)) => Ok((whole, seen)),
            _ => Err(io::Error::other("the reading thread ended early").into()),
        }
    })
}

fn pump(
    mut file: File,
    chunks: &SyncSender<io::Result<Vec<u8>>>,
    watch: Watch<'_>,
) -> Option<Whole> {
    let mut hash = Sha256::new();
    let mut size = 0;
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = match file.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                // The other side may have given up already; then nobody is left to be told.
                let _ = chunks.send(Err(error));
                return None;
            }
        };
        if length == 0 {
            return Some(Whole {
                sha256: hex(&hash.finalize()),
                size,
            });
        }
        chunk.truncate(length);
        hash.update(&chunk);
        size += length as u64;
        if watch(length as u64).is_break() {
            let _ = chunks.send(Err(io::Error::new(io::ErrorKind::Interrupted, CANCELLED)));
            return None;
        }
        chunks.send(Ok(chunk)).ok()?;
    }
}

/// The text of the error that a broken-off reading ends in.
pub(super) const CANCELLED: &str = "the reading was cancelled";

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_ON: Watch<'static> = &|_| ControlFlow::Continue(());

    #[test]
    fn hashes_what_was_not_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let (whole, first) = read_whole::<_, io::Error>(&path, GO_ON, |feed| {
            let mut first = [0; 4];
            feed.read_exact(&mut first)?;
            Ok(first)
        })
        .unwrap();
        assert_eq!(first, [0, 1, 2, 3]);
        assert_eq!(whole.size, 3_000_000);
        assert_eq!(whole.sha256, hex(&Sha256::digest(&bytes)));
    }

    #[test]
    fn a_look_that_fails_ends_the_reading_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, vec![1; 20 * CHUNK]).unwrap();
        let error = read_whole::<(), io::Error>(&path, GO_ON, |_| Err(io::Error::other("enough")));
        assert_eq!(error.unwrap_err().to_string(), "enough");
    }

    #[test]
    fn can_be_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, vec![1; 20 * CHUNK]).unwrap();
        let result = read_whole::<(), io::Error>(&path, &|_| ControlFlow::Break(()), |feed| {
            feed.drain().map(|_| ())
        });
        assert_eq!(result.unwrap_err().to_string(), CANCELLED);
    }
}
