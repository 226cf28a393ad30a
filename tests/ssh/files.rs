//! Files that tests send and fetch, and what must be true of them when they have arrived.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kk::remote::Upload;
use sha2::{Digest as _, Sha256};

use super::server::Server;

pub const MEBIBYTE: u64 = 1024 * 1024;

/// A file `source` with something in each MiB. Most of it is a hole, so it costs little.
pub fn source(server: &Server, mebibytes: u64) -> PathBuf {
    let path = server.path("source");
    let mut file = File::create(&path).unwrap();
    for number in 0..mebibytes {
        file.seek(SeekFrom::Start(number * MEBIBYTE + number))
            .unwrap();
        write!(file, "MiB {number}").unwrap();
    }
    file.set_len(mebibytes * MEBIBYTE + 17).unwrap();
    path
}

/// The upload of a file.
pub fn upload_of(source: PathBuf, dest: &Path) -> Upload {
    let (sha256, size) = sha256_of_file(&source);
    Upload {
        source,
        sha256,
        size,
        dest: dest.to_str().unwrap().to_owned(),
        mode: 0o640,
        owner: None,
        group: None,
    }
}

/// The sha256 of a file, and how many bytes it has.
pub fn sha256_of_file(path: impl AsRef<Path>) -> (String, u64) {
    let mut file = File::open(path).unwrap();
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut piece = vec![0; 128 * 1024];
    loop {
        let count = file.read(&mut piece).unwrap();
        if count == 0 {
            return (hex::encode(hash.finalize()), size);
        }
        hash.update(&piece[..count]);
        size += count as u64;
    }
}

pub fn mode_of(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What an upload or a download leaves beside its destination while it is not done.
pub fn parts_beside(dest: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dest.as_ref().parent().unwrap()) else {
        return Vec::new();
    };
    let mut parts: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "part"))
        .collect();
    parts.sort();
    parts
}

/// The right content is there, and nothing of the way it came.
pub fn assert_is_at(dest: impl AsRef<Path>, sha256: &str) {
    assert_eq!(sha256_of_file(&dest).0, sha256);
    assert_eq!(parts_beside(dest), Vec::<PathBuf>::new());
}

pub fn assert_arrived(upload: &Upload) {
    assert_is_at(&upload.dest, &upload.sha256);
    assert_eq!(mode_of(&upload.dest), upload.mode);
}
