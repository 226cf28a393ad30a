//! The file here that a download grows in: beside its destination, for its owner alone, and locked while it is in use.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use super::super::{Sums, hexadecimal};

/// Bytes that are read of it at once.
const PIECE: usize = 128 * 1024;

/// The longest name of a file that file systems take.
const LONGEST_NAME: usize = 255;

/// How many blocks may come beyond the end that was looked at.
const MOST_SURPLUS: u64 = 8;

/// The longest first line of the host.
const LONGEST_LINE: usize = 64;

/// What a download is to become.
#[derive(Debug)]
pub(super) struct Beside {
    /// The file here.
    pub(super) dest: PathBuf,
    /// What it will have.
    pub(super) sha256: String,
    pub(super) size: u64,
    /// It is continued at whole blocks.
    pub(super) block: u64,
}

/// A download so far.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    dest: PathBuf,
    size: u64,
    block: u64,
    /// How many bytes are here and hashed.
    at: u64,
    sha256: Sha256,
    sha1: Sha1,
}

/// What went wrong with a path, in words.
fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> String + 'a {
    move |error| format!("{what} `{}`: {error}", path.display())
}

impl Part {
    /// Makes it, or takes up what an earlier attempt left, and hashes that.
    pub(super) fn open(beside: &Beside) -> Result<Self, String> {
        let dest = resolved(&beside.dest)?;
        let folder = match dest.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let name = dest.file_name().unwrap_or_default();
        let sum = beside.sha256.get(..16).unwrap_or_default();
        let own = own_name(name, sum, "");
        remove_others(folder, name, &own);
        let mut path = folder.join(&own);
        let mut file = taken_up(&path).map_err(failed("write", &path))?;
        if file.is_none() {
            // Somebody else fetches the same to the same place at this moment.
            let more = format!(".{:016x}", rand::random::<u64>());
            path = folder.join(own_name(name, sum, &more));
            file = taken_up(&path).map_err(failed("write", &path))?;
        }
        let Some(file) = file else {
            return Err(format!("`{}` is in use", path.display()));
        };
        let mut part = Self {
            file,
            path,
            dest,
            size: beside.size,
            block: beside.block.max(1),
            at: 0,
            sha256: Sha256::new(),
            sha1: Sha1::new(),
        };
        part.hash_what_is_there()
            .map_err(failed("read", &part.path.clone()))?;
        Ok(part)
    }

    /// How many whole blocks are there, and the sha256 of them.
    pub(super) fn begun(&self) -> (u64, String) {
        let sum = hexadecimal(&self.sha256.clone().finalize());
        (self.at / self.block, sum)
    }

    /// Writes what arrives; tells what of it, once the host has said where it begins. Answers how many came.
    pub(super) fn take(
        &mut self,
        pieces: &mut mpsc::Receiver<Bytes>,
        tell: &watch::Sender<Option<Range<u64>>>,
    ) -> Result<u64, String> {
        let mut first = Vec::new();
        let mut is_begun = false;
        let (mut start, mut came, mut surplus) = (0, 0, 0);
        while let Some(piece) = pieces.blocking_recv() {
            let mut rest = piece.as_ref();
            if !is_begun {
                let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                    first.extend_from_slice(rest);
                    if first.len() > LONGEST_LINE {
                        break;
                    }
                    continue;
                };
                let (line, after) = rest.split_at(end);
                first.extend_from_slice(line);
                rest = after.get(1..).unwrap_or_default();
                self.begin(&first)?;
                start = self.at;
                is_begun = true;
            }
            // A file that has grown, as a log does, fills its last block up.
            let wanted = self.size - self.at;
            let (rest, more) = rest.split_at(
                usize::try_from(wanted).map_or(rest.len(), |wanted| wanted.min(rest.len())),
            );
            surplus += more.len() as u64;
            if surplus > MOST_SURPLUS * self.block {
                return Err("the host sent more than it was asked for".to_owned());
            }
            self.file
                .write_all(rest)
                .map_err(failed("write", &self.path))?;
            self.sha256.update(rest);
            self.sha1.update(rest);
            self.at += rest.len() as u64;
            came += rest.len() as u64;
            tell.send_replace(Some(start..self.at));
        }
        if !is_begun && !first.is_empty() {
            return Err("the host's answer was not understood".to_owned());
        }
        Ok(came)
    }

    /// Holds these bytes and no others.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.begin(b"from=0")?;
        self.file
            .write_all(bytes)
            .map_err(failed("write", &self.path))?;
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.at = bytes.len() as u64;
        Ok(())
    }

    /// What is here.
    pub(super) fn sums(&self) -> Sums {
        Sums {
            sha256: hexadecimal(&self.sha256.clone().finalize()),
            sha1: hexadecimal(&self.sha1.clone().finalize()),
            size: self.at,
        }
    }

    /// Puts it in its place, with the mode and owner of what is there, or those of any new file.
    pub(super) fn settle(self) -> Result<(), String> {
        let old = std::fs::metadata(&self.dest).ok();
        let mode = old
            .as_ref()
            .map_or_else(|| 0o666 & !umask(), |old| old.permissions().mode() & 0o7777);
        if let Some(old) = &old
            && self
                .file
                .metadata()
                .is_ok_and(|new| (new.uid(), new.gid()) != (old.uid(), old.gid()))
        {
            // Whoever may not give it away keeps it.
            let _ = fchown(&self.file, Some(old.uid()), Some(old.gid()));
        }
        self.file
            .set_permissions(Permissions::from_mode(mode))
            .map_err(failed("set the mode of", &self.path))?;
        match std::fs::rename(&self.path, &self.dest) {
            // A mount of its own cannot be replaced.
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::fs::copy(&self.path, &self.dest).map_err(failed("write", &self.dest))?;
                std::fs::remove_file(&self.path).map_err(failed("remove", &self.path))
            }
            renamed => renamed.map_err(failed("write", &self.dest)),
        }
    }

    /// Takes it away.
    pub(super) fn discard(self) -> Result<(), String> {
        std::fs::remove_file(&self.path).map_err(failed("remove", &self.path))
    }

    fn hash_what_is_there(&mut self) -> std::io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut left = if length > self.size {
            0
        } else {
            length / self.block * self.block
        };
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let room = piece.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact(room)?;
            self.sha256.update(&*room);
            self.sha1.update(&*room);
            self.at += wanted as u64;
            left -= wanted as u64;
        }
        Ok(())
    }

    /// The host says from which block on it sends: where this file ends, or its beginning when its file has another one.
    fn begin(&mut self, line: &[u8]) -> Result<(), String> {
        let said = std::str::from_utf8(line).ok();
        let number = said.and_then(|line| line.strip_prefix("from="));
        match number.and_then(|number| number.parse::<u64>().ok()) {
            Some(number) if number > 0 && number == self.at / self.block => {}
            Some(0) => {
                self.at = 0;
                self.sha256 = Sha256::new();
                self.sha1 = Sha1::new();
            }
            _ => return Err("the host's answer was not understood".to_owned()),
        }
        self.file
            .set_len(self.at)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.at)))
            .map_err(failed("write", &self.path))?;
        Ok(())
    }
}

/// The file that a path means in the end, which may not be there yet; what is not a file is not replaced.
fn resolved(dest: &Path) -> Result<PathBuf, String> {
    let shown = dest.display();
    let path = if dest.is_symlink() {
        std::fs::canonicalize(dest).map_err(failed("follow the link", dest))?
    } else {
        dest.to_owned()
    };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Err(format!("`{shown}` is a folder")),
        Ok(found) if !found.is_file() => Err(format!("`{shown}` is neither a file nor a folder")),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(path),
        Err(error) => Err(failed("look at", dest)(error)),
    }
}

/// `<name>.kk-<sum><more>.part`, shortened where file systems would not take it.
fn own_name(name: &std::ffi::OsStr, sum: &str, more: &str) -> OsString {
    let ending = format!(".kk-{sum}{more}.part");
    let mut own = name.to_owned();
    if own.len() + ending.len() > LONGEST_NAME {
        own.clear();
    }
    own.push(ending);
    own
}

fn options() -> OpenOptions {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits();
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(i32::try_from(flags).unwrap_or(0));
    options
}

/// The file at a path, made or as it was left, and locked; `None` when somebody else has it. What cannot be this program's
/// is replaced.
fn taken_up(path: &Path) -> std::io::Result<Option<File>> {
    for _ in 0..4 {
        let file = match options().open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match options().create_new(true).open(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                    made => made?,
                }
            }
            // A link, or somebody else's.
            Err(_) => {
                std::fs::remove_file(path)?;
                continue;
            }
        };
        let about = file.metadata()?;
        let me = rustix::process::geteuid().as_raw();
        if !about.is_file() || about.uid() != me || about.nlink() > 1 {
            std::fs::remove_file(path)?;
            continue;
        }
        match lock(&file, path) {
            Lock::Got => {
                file.set_permissions(Permissions::from_mode(0o600))?;
                return Ok(Some(file));
            }
            Lock::Other => return Ok(None),
            Lock::Gone => {}
        }
    }
    Ok(None)
}

enum Lock {
    Got,
    /// Somebody else has it.
    Other,
    /// Whoever had it has put it in its place, or taken it away, since it was opened.
    Gone,
}

/// Locks a part. Whoever has the lock of the file that is at its path has the path as well.
fn lock(file: &File, path: &Path) -> Lock {
    match file.try_lock() {
        // Or a file system without locks.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Lock::Other,
    }
    let id = |about: std::fs::Metadata| (about.dev(), about.ino());
    let (now, own) = (std::fs::symlink_metadata(path), file.metadata());
    match (now.map(id), own.map(id)) {
        (Ok(now), Ok(own)) if now == own => Lock::Got,
        _ => Lock::Gone,
    }
}

/// Takes away what earlier downloads of other contents left for the same destination, as far as nobody has it.
fn remove_others(folder: &Path, name: &std::ffi::OsStr, own: &OsString) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let other = entry.file_name();
        if other != *own && is_part_of(&other, name) {
            let path = entry.path();
            if let Ok(file) = options().open(&path)
                && matches!(lock(&file, &path), Lock::Got)
            {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whether a name is one that [`own_name`] makes of `name`.
fn is_part_of(other: &std::ffi::OsStr, name: &std::ffi::OsStr) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let middle = other
        .as_bytes()
        .strip_prefix(name.as_bytes())
        .and_then(|rest| rest.strip_prefix(b".kk-"))
        .and_then(|rest| rest.strip_suffix(b".part"));
    let is_sum = |word: &[u8]| word.len() == 16 && word.iter().all(u8::is_ascii_hexdigit);
    middle.is_some_and(|middle| middle.split(|byte| *byte == b'.').all(is_sum))
}

/// What this process takes from the mode of new files.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o022)
}
