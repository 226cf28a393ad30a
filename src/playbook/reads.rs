//! Which files of the control machine a run is made of, and whether they are still the same.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::secret::fingerprint::Fingerprints;

/// The files that were read, each with a fingerprint of what it held when it was read first.
#[derive(Debug)]
pub struct Reads {
    fingerprints: Fingerprints,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: BTreeMap<String, String>,
    /// Those that nobody has taken yet.
    fresh: Vec<(String, String)>,
}

impl Reads {
    /// Nothing was read yet.
    pub fn new(fingerprints: Fingerprints) -> Self {
        Self {
            fingerprints,
            inner: Mutex::default(),
        }
    }

    /// Makes fingerprints of anything else that is compared.
    pub fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// A file was read.
    pub fn saw(&self, path: &Path, bytes: &[u8]) {
        self.note(path, || Some(self.fingerprints.of(bytes)));
    }

    /// A file will be sent as it is. It may have gigabytes: its size and its time stand for them.
    pub fn saw_whole(&self, path: &Path) {
        self.note(path, || self.outside(path));
    }

    fn note(&self, path: &Path, print: impl FnOnce() -> Option<String>) {
        let name = whole(path);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.known.contains_key(&name) {
            return;
        }
        if let Some(print) = print() {
            inner.known.insert(name.clone(), print.clone());
            inner.fresh.push((name, print));
        }
    }

    fn outside(&self, path: &Path) -> Option<String> {
        let found = std::fs::metadata(path).ok()?;
        if !found.is_dir() {
            return Some(outside(&found));
        }
        let mut files = Vec::new();
        list(path, &mut files);
        files.sort();
        let print = self.fingerprints.of(files.join("\n").as_bytes());
        Some(format!("{OUTSIDE}folder {print}"))
    }

    /// The files that were read since this was asked the last time.
    pub fn take(&self) -> Vec<(String, String)> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut inner.fresh)
    }

    /// Those of these files that are not what they were.
    pub fn changed<'f>(
        &self,
        files: impl IntoIterator<Item = (&'f String, &'f String)>,
    ) -> Vec<&'f str> {
        files
            .into_iter()
            .filter(|(path, print)| {
                let now = if print.starts_with(OUTSIDE) {
                    self.outside(Path::new(path))
                } else {
                    std::fs::read(path)
                        .ok()
                        .map(|bytes| self.fingerprints.of(&bytes))
                };
                now.as_ref() != Some(*print)
            })
            .map(|(path, _)| path.as_str())
            .collect()
    }
}

/// What a fingerprint of a file's outside begins with.
const OUTSIDE: &str = "size ";

fn outside(found: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!(
        "{OUTSIDE}{} time {}.{:09}",
        found.size(),
        found.mtime(),
        found.mtime_nsec()
    )
}

/// Every file below a folder with its outside.
fn list(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(found) if found.is_dir() => list(&path, into),
            Ok(found) => into.push(format!("{} {}", path.display(), outside(&found))),
            Err(_) => {}
        }
    }
}

fn whole(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_or_has_gone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["same", "other", "gone", "sent"] {
            std::fs::write(path(name), name).unwrap();
        }
        let reads = Reads::new(Fingerprints::new(vec![1]));
        for name in ["same", "other", "gone", "same"] {
            reads.saw(&path(name), name.as_bytes());
        }
        reads.saw_whole(&path("sent"));
        let taken: BTreeMap<String, String> = reads.take().into_iter().collect();
        assert_eq!(taken.len(), 4);
        assert!(reads.take().is_empty());
        assert!(reads.changed(&taken).is_empty());
        std::fs::write(path("other"), "now").unwrap();
        std::fs::write(path("sent"), "longer").unwrap();
        std::fs::remove_file(path("gone")).unwrap();
        let changed: Vec<&str> = reads
            .changed(&taken)
            .into_iter()
            .map(|path| path.rsplit('/').next().unwrap())
            .collect();
        assert_eq!(changed, ["gone", "other", "sent"]);

        let reads = Reads::new(Fingerprints::new(vec![1]));
        reads.saw_whole(folder.path());
        let taken: BTreeMap<String, String> = reads.take().into_iter().collect();
        assert!(reads.changed(&taken).is_empty());
        std::fs::write(path("new"), "").unwrap();
        assert_eq!(reads.changed(&taken), [folder.path().to_str().unwrap()]);
    }
}
