//! What files of this machine hold, read and hashed once for all hosts that need it.
//!
//! A file is known by its place in the file system, size and times. Within the tick of the kernel's clock a change need not
//! show in those, so one that was written just now is looked at a little later.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::OnceCell;

use super::source::Sums;

/// Longer than a tick of any kernel's clock.
const TICK: Duration = Duration::from_millis(20);

/// What a file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Known {
    device: u64,
    number: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// What was made of files.
struct Memory<T> {
    /// How much all of it may weigh; then all is forgotten.
    most: u64,
    made: LazyLock<Mutex<Made<T>>>,
}

/// What was made, and what it weighs.
type Made<T> = (HashMap<Known, Arc<OnceCell<T>>>, u64);

/// Hashes, by their number.
static HASHES: Memory<Sums> = Memory::of(20_000);

/// Small files, by their size.
static CONTENTS: Memory<Bytes> = Memory::of(16 * 1024 * 1024);

/// How many bytes of files were read to be hashed or sent whole.
static BYTES: AtomicU64 = AtomicU64::new(0);

/// How many bytes of this machine's files this program has read to hash them or to send them whole. For tests.
#[doc(hidden)]
pub fn bytes_read() -> u64 {
    BYTES.load(Ordering::Relaxed)
}

impl Sums {
    /// Of a file of this machine, which is hashed once, however many ask at the same time or later, as long as it does not
    /// change.
    pub(crate) async fn remembered(path: &Path) -> std::io::Result<Self> {
        HASHES.remember(path, |_| 1, Self::of_file).await
    }
}

/// What a small file of this machine holds, read once likewise.
pub(crate) async fn small_file(path: &Path) -> std::io::Result<Bytes> {
    let read = |path: &Path| std::fs::read(path).map(Bytes::from);
    CONTENTS.remember(path, |size| size, read).await
}

impl<T: Clone + Send + Sync + 'static> Memory<T> {
    const fn of(most: u64) -> Self {
        Self {
            most,
            made: LazyLock::new(|| Mutex::new((HashMap::new(), 0))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Made<T>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is made of a file. `weight` is that of one of this size.
    async fn remember(
        &self,
        path: &Path,
        weight: fn(u64) -> u64,
        read: fn(&Path) -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        let (mut known, fresh) = look(path.to_owned()).await?;
        if let Some(fresh) = fresh {
            tokio::time::sleep(fresh).await;
            known = look(path.to_owned()).await?.0;
        }
        let cell = {
            let mut made = self.lock();
            if !made.0.contains_key(&known) {
                made.1 += weight(known.size);
                if made.1 > self.most {
                    made.0.clear();
                    made.1 = weight(known.size);
                }
            }
            Arc::clone(made.0.entry(known).or_default())
        };
        let made = cell
            .get_or_try_init(|| async {
                let path = path.to_owned();
                let made = blocking(move || read(&path)).await?;
                BYTES.fetch_add(known.size, Ordering::Relaxed);
                Ok::<_, std::io::Error>(made)
            })
            .await?
            .clone();
        // While it was read it may have been written.
        if look(path.to_owned()).await?.0 != known {
            self.lock().0.remove(&known);
        }
        Ok(made)
    }
}

/// What a file is known by, and for how long a change of it might not show.
async fn look(path: PathBuf) -> std::io::Result<(Known, Option<Duration>)> {
    blocking(move || {
        let found = std::fs::metadata(&path)?;
        let fresh = found
            .modified()
            .ok()
            .and_then(|written| SystemTime::now().duration_since(written).ok())
            .and_then(|age| TICK.checked_sub(age));
        let known = Known {
            device: found.dev(),
            number: found.ino(),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        };
        Ok((known, fresh))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)?
}
