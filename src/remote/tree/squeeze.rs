//! Whether an archive is worth compressing: only on a line that is known to be slow, and only what a sample shows to become
//! smaller. Packages, pictures and whatever else is compressed already never is.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::list::List;
use super::{Leaf, LeafSource};
use crate::remote::Session;

/// Less than this is sent sooner than it is looked at.
const LEAST: u64 = 16 * 1024;

/// Less than this is not worth asking a host how far away it is.
const LEAST_TO_ASK: u64 = 4 * 1024 * 1024;

/// A limit of the rate in bytes a second, above which compressing might be what holds the line up.
const FASTEST: u64 = 16 * 1024 * 1024;

/// A host that answers later takes at most its window of 2 MiB in this time, 100 MiB in a second: less than can be compressed
/// or unpacked meanwhile.
const LONG_WAY: Duration = Duration::from_millis(20);

/// How many files are looked into, the biggest ones, and how much of each, at its start and in its middle.
const FILES: usize = 32;
const PIECE: u64 = 8 * 1024;

/// The size that may be left of a sample, in parts of a hundred.
const MOST_LEFT: u64 = 75;

impl Session {
    /// How hard an archive of so many bytes may be compressed on this connection, if at all.
    pub(super) async fn compression(&self, bytes: u64) -> Option<Compression> {
        if bytes < LEAST || self.is_local() {
            return None;
        }
        if let Some(pace) = self.connector.pace() {
            return (pace.bytes_per_second() <= FASTEST).then(Compression::default);
        }
        if bytes < LEAST_TO_ASK {
            return None;
        }
        let way = self.connector.round_trip().await?;
        (way >= LONG_WAY).then(Compression::fast)
    }
}

/// Whether what the files hold becomes smaller. Blocks.
pub(super) fn is_worth_it(list: &List) -> bool {
    let mut biggest: Vec<&Leaf> = list.files.iter().map(|(_, leaf)| leaf).collect();
    biggest.sort_by_key(|leaf| std::cmp::Reverse(leaf.size));
    let (mut all, mut left) = (0_u64, 0_u64);
    for leaf in biggest.into_iter().take(FILES).filter(|leaf| leaf.size > 0) {
        // What cannot be read is found out when it is sent.
        let sample = sample(leaf).unwrap_or_default();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder
            .write_all(&sample)
            .and_then(|()| encoder.finish())
            .map_or(sample.len(), |packed| packed.len());
        all += leaf.size;
        left += leaf.size * packed as u64 / (sample.len() as u64).max(1);
    }
    left * 100 < all * MOST_LEFT
}

fn sample(leaf: &Leaf) -> std::io::Result<Vec<u8>> {
    let mut sample = Vec::new();
    match &leaf.from {
        LeafSource::Bytes(bytes) => {
            bytes.as_ref().take(2 * PIECE).read_to_end(&mut sample)?;
        }
        LeafSource::File(path) => {
            let mut file = std::fs::File::open(path)?;
            (&mut file).take(PIECE).read_to_end(&mut sample)?;
            if leaf.size > 2 * PIECE {
                file.seek(SeekFrom::Start(leaf.size / 2))?;
                (&mut file).take(PIECE).read_to_end(&mut sample)?;
            }
        }
    }
    Ok(sample)
}
