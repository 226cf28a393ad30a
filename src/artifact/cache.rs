//! What was read of packages, remembered between runs by path, size, time of change and inode.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalogue::Kind;
use super::contents::Inspection;
use super::fault::{Fault, InspectError};
use super::inspect;
use super::stream::Watch;

/// Grows whenever [`Inspection`] gets to mean something else; an older cache is then ignored.
const FORMAT: u32 = 1;

/// The memory of inspections, `<work_dir>/cache/artifacts.json`.
#[derive(Debug)]
pub struct Cache {
    file: PathBuf,
    entries: BTreeMap<String, Entry>,
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    format: u32,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    kind: Kind,
    stamp: Stamp,
    inspection: Inspection,
}

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            inode: metadata.ino(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

impl Cache {
    /// Loads the memory under a working folder. One that is absent or cannot be understood is an empty one.
    pub fn open(work_dir: &Path) -> Self {
        let file = work_dir.join("cache").join("artifacts.json");
        let entries = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok())
            .filter(|stored| stored.format == FORMAT)
            .map(|stored| stored.entries)
            .unwrap_or_default();
        Self {
            file,
            entries,
            changed: false,
        }
    }

    /// What is in a file: remembered, or read now. Failures are not remembered.
    pub fn read(
        &mut self,
        path: &Path,
        kind: Kind,
        watch: Watch<'_>,
    ) -> Result<Inspection, InspectError> {
        let fault = |error: io::Error| InspectError {
            path: path.to_owned(),
            fault: Fault::from(error),
        };
        let metadata = std::fs::metadata(path).map_err(fault)?;
        if !metadata.is_file() {
            return Err(fault(io::ErrorKind::IsADirectory.into()));
        }
        let stamp = Stamp::of(&metadata);
        let absolute = std::path::absolute(path).map_err(fault)?;
        let key = absolute.to_str().map(str::to_owned);
        if let Some(entry) = key.as_ref().and_then(|key| self.entries.get(key))
            && entry.kind == kind
            && entry.stamp == stamp
        {
            return Ok(entry.inspection.clone());
        }
        let inspection = inspect::read(path, kind, watch)?;
        // A file that changed while it was read was read for nothing; the next run reads it again.
        let after = std::fs::metadata(path).map_err(fault)?;
        if let Some(key) = key
            && Stamp::of(&after) == stamp
        {
            let entry = Entry {
                kind,
                stamp,
                inspection: inspection.clone(),
            };
            self.entries.insert(key, entry);
            self.changed = true;
        }
        Ok(inspection)
    }

    /// Writes the memory down, if there is something new in it. Files that are gone are forgotten.
    pub fn save(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        self.entries.retain(|path, _| Path::new(path).is_file());
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let stored = Stored {
            format: FORMAT,
            entries: self.entries.clone(),
        };
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(&serde_json::to_vec_pretty(&stored)?)?;
        temporary.persist(&self.file).map_err(|error| error.error)?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A file that passes for Docker Compose, and a counter of bytes that were really read.
    fn reads(cache: &mut Cache, path: &Path) -> (Result<Inspection, InspectError>, u64) {
        let count = AtomicU64::new(0);
        let result = cache.read(path, Kind::Compose, &|bytes| {
            count.fetch_add(bytes, Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        (result, count.into_inner())
    }

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-compose");
        let bytes = super::super::samples::executable(62, b"one");
        std::fs::write(&path, &bytes).unwrap();
        let mut cache = Cache::open(folder.path());
        let (first, read) = reads(&mut cache, &path);
        assert_eq!(read, bytes.len() as u64);
        cache.save().unwrap();
        let mut cache = Cache::open(folder.path());
        let (second, read) = reads(&mut cache, &path);
        assert_eq!((&second, read), (&first, 0));
        // Same size, other bytes.
        std::fs::write(&path, super::super::samples::executable(62, b"two")).unwrap();
        let (third, read) = reads(&mut cache, &path);
        assert_eq!(read, bytes.len() as u64);
        assert_ne!(third.unwrap().sha256, first.unwrap().sha256);
    }

    #[test]
    fn a_corrupt_cache_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cache")).unwrap();
        std::fs::write(
            folder.path().join("cache/artifacts.json"),
            "{\"format\": 1, \"entr",
        )
        .unwrap();
        let path = folder.path().join("docker-compose");
        std::fs::write(&path, super::super::samples::executable(62, b"one")).unwrap();
        let mut cache = Cache::open(folder.path());
        let (result, read) = reads(&mut cache, &path);
        assert!(result.is_ok() && read > 0);
        cache.save().unwrap();
        assert_eq!(Cache::open(folder.path()).entries.len(), 1);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let mut cache = Cache::open(folder.path());
        for path in &paths {
            std::fs::write(path, super::super::samples::executable(62, b"one")).unwrap();
            reads(&mut cache, path).0.unwrap();
        }
        std::fs::remove_file(&paths[0]).unwrap();
        cache.save().unwrap();
        assert_eq!(Cache::open(folder.path()).entries.len(), 1);
    }
}
