//! Telling whether something is still what it was, without keeping it.
//!
//! A fingerprint is keyed: whoever finds one, but not the key, cannot try out which short secret it belongs to.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Secret;

/// Makes fingerprints. Those of one key can be compared with each other.
#[derive(Debug, Clone)]
pub struct Fingerprints {
    key: Secret<Vec<u8>>,
}

/// Bytes of a key.
const KEY: usize = 32;

impl Fingerprints {
    /// With this key.
    pub fn new(key: Vec<u8>) -> Self {
        Self {
            key: Secret::new(key),
        }
    }

    /// With the key in a file, or with a new one where there is none. Nothing is written before [`Fingerprints::keep`].
    pub fn find(file: &Path) -> io::Result<Self> {
        match fs::read(file) {
            Ok(key) if key.len() == KEY => Ok(Self::new(key)),
            Ok(_) => Ok(Self::fresh()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::fresh()),
            Err(error) => Err(error),
        }
    }

    fn fresh() -> Self {
        let key: [u8; KEY] = rand::random();
        Self::new(key.to_vec())
    }

    /// Writes the key to its file (0600, its folder 0700) unless it is there. Of two that begin at once one keeps its
    /// key; with the other's fingerprints nothing will agree, which is the safe side.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        if fs::metadata(file).is_ok_and(|found| found.len() == KEY as u64) {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut draft = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        draft.write_all(self.key.expose())?;
        draft.persist(file).map_err(|error| error.error)?;
        Ok(())
    }

    /// The fingerprint of some bytes.
    pub fn of(&self, bytes: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose()) else {
            return String::new();
        };
        mac.update(bytes);
        let digest = mac.finalize().into_bytes();
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_and_makes_the_same_prints_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs/key");
        let first = Fingerprints::find(&file).unwrap();
        assert!(!file.exists());
        first.keep(&file).unwrap();
        let second = Fingerprints::find(&file).unwrap();
        assert_eq!(first.of(b"a"), second.of(b"a"));
        assert_ne!(first.of(b"a"), first.of(b"b"));
        assert_ne!(first.of(b"a"), Fingerprints::new(vec![0; KEY]).of(b"a"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_broken_key_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, b"short").unwrap();
        Fingerprints::find(&file).unwrap().keep(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap().len(), KEY);
    }
}
