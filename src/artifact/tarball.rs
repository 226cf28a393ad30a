//! Walking through a tar archive, plain or gzip, without trusting it.
//!
//! The tar crate is used in its raw mode, so that the sizes of extension headers (long names) are ours to limit.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::detect::{Packing, detect};
use super::fault::Fault;
use super::stream::{CANCELLED, CHUNK, Feed};

/// The most members of one archive.
const MOST_MEMBERS: u64 = 200_000;

/// The most bytes that one archive may unpack to.
const MOST_UNPACKED: u64 = 64 * 1024 * 1024 * 1024;

/// The longest name of a member in bytes.
const LONGEST_NAME: usize = 4096;

/// The most bytes of an extension header.
const LARGEST_EXTENSION: u64 = 1024 * 1024;

/// One member of an archive.
#[derive(Debug)]
pub(super) struct Member {
    /// Its path without a leading `./` and a trailing `/`.
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Bytes.
    pub(super) size: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    File,
    Folder,
    /// A hard or symbolic link and what it points to, as written.
    Link {
        target: String,
        hard: bool,
    },
    /// A device, pipe or anything else.
    Special,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Io(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Called for each member with its bytes; what it does not read is read for it.
pub(super) type OnMember<'a> = &'a mut dyn FnMut(&Member, &mut dyn Read) -> Result<(), Stop>;

/// Walks through the archive that a file is. `wanted` is what the file should be, for the message when it is none.
pub(super) fn walk_file(
    feed: &mut Feed,
    wanted: &'static str,
    on_member: OnMember<'_>,
) -> Result<(Packing, u64), Fault> {
    let packing = detect(feed.fill_buf()?, wanted)?;
    let result = match packing {
        Packing::Gzip => walk(MultiGzDecoder::new(&mut *feed), on_member),
        _ => walk(&mut *feed, on_member),
    };
    // Where a file ends is only known when it was read to its end.
    let unpacked = result.map_err(|fault| match fault {
        Fault::Truncated { inside, .. } => match feed.drain() {
            Ok(_) => Fault::Truncated {
                at: feed.position(),
                inside,
            },
            Err(error) => error.into(),
        },
        other => other,
    })?;
    Ok((packing, unpacked))
}

/// Walks through an archive inside another, named `name`.
pub(super) fn walk_nested(
    data: &mut dyn Read,
    name: &str,
    on_member: OnMember<'_>,
) -> Result<u64, Fault> {
    let mut data = io::BufReader::with_capacity(CHUNK, data);
    let packing = detect(data.fill_buf()?, "an image archive");
    let result = match packing {
        Ok(Packing::Gzip) => walk(MultiGzDecoder::new(&mut data), on_member),
        Ok(_) => walk(&mut data, on_member),
        Err(fault) => Err(fault),
    };
    result.map_err(|fault| match fault {
        Fault::Cancelled | Fault::Unreadable(_) | Fault::Unsafe { .. } => fault,
        Fault::Truncated { inside, .. } => Fault::Damaged {
            what: format!("the `{name}` in it is truncated {inside}"),
        },
        Fault::Damaged { what } => Fault::Damaged {
            what: format!("in the `{name}` in it, {what}"),
        },
        other => Fault::Damaged {
            what: format!("the `{name}` in it {other}"),
        },
    })
}

/// A reader that remembers how it ended.
struct Tracked<R> {
    inner: R,
    count: u64,
    ended: bool,
    too_large: bool,
    failed: Option<io::Error>,
}

impl<R> Tracked<R> {
    const fn new(inner: R) -> Self {
        Self {
            inner,
            count: 0,
            ended: false,
            too_large: false,
            failed: None,
        }
    }
}

impl<R: Read> Read for Tracked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.count > MOST_UNPACKED {
            self.too_large = true;
            return Err(io::Error::other("unpacks to too much"));
        }
        let length = match self.inner.read(buffer) {
            Ok(length) => length,
            Err(error) => {
                self.failed = Some(again(&error));
                return Err(error);
            }
        };
        self.ended |= length == 0 && !buffer.is_empty();
        self.count += length as u64;
        Ok(length)
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Walks through an archive; says how many bytes it unpacks to.
fn walk(reader: impl Read, on_member: OnMember<'_>) -> Result<u64, Fault> {
    let mut tracked = Tracked::new(reader);
    let mut inside = "before its first member".to_owned();
    let result = walk_members(&mut tracked, &mut inside, on_member);
    if tracked.too_large {
        return Err(Fault::Unsafe {
            what: format!("it unpacks to more than {} GiB", MOST_UNPACKED >> 30),
        });
    }
    match result {
        Ok(()) => {
            // A gzip file's checksum is only looked at when it is read to its end.
            let mut rest = vec![0; CHUNK];
            loop {
                match tracked.read(&mut rest) {
                    Ok(0) => return Ok(tracked.count),
                    Ok(_) => {}
                    Err(error) => return Err(classify(&error, "behind its last member", false)),
                }
            }
        }
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Io(error)) => Err(classify(&error, &inside, tracked.ended)),
    }
}

fn classify(error: &io::Error, inside: &str, ended: bool) -> Fault {
    let text = error.to_string();
    if text == CANCELLED {
        return Fault::Cancelled;
    }
    if error.raw_os_error().is_some() {
        return Fault::Unreadable(text);
    }
    if ended || error.kind() == io::ErrorKind::UnexpectedEof {
        return Fault::Truncated {
            at: 0,
            inside: inside.to_owned(),
        };
    }
    let what = match text.as_str() {
        "invalid gzip header" => "bytes that are not gzip stand".to_owned(),
        "corrupt deflate stream" => "its compressed bytes are corrupt".to_owned(),
        "corrupt gzip stream does not have a matching checksum" => {
            "its gzip checksum does not match,".to_owned()
        }
        _ => text,
    };
    Fault::Damaged {
        what: format!("{what} {inside}"),
    }
}

fn walk_members<R: Read>(
    tracked: &mut Tracked<R>,
    inside: &mut String,
    on_member: OnMember<'_>,
) -> Result<(), Stop> {
    let mut archive = tar::Archive::new(&mut *tracked);
    let mut pending = Pending::default();
    let mut count: u64 = 0;
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        count += 1;
        if count > MOST_MEMBERS {
            let what = format!("it has more than {MOST_MEMBERS} members");
            return Err(Fault::Unsafe { what }.into());
        }
        let size = entry.header().entry_size()?;
        let kind = entry.header().entry_type();
        if pending.take(kind, size, &mut entry)? {
            continue;
        }
        let member = pending.member(entry.header(), size)?;
        *inside = format!("inside `{}`", member.name);
        if size > MOST_UNPACKED {
            let what = format!("`{}` claims to have {size} bytes", member.name);
            return Err(Fault::Unsafe { what }.into());
        }
        let mut counted = Tracked::new(&mut entry);
        if let Err(stop) = on_member(&member, &mut counted) {
            // What is wrong with a member cut short is that it was cut short.
            if let Some(error) = counted.failed.take() {
                return Err(error.into());
            }
            if counted.ended && counted.count < size {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            return Err(stop);
        }
        io::copy(&mut counted, &mut io::sink())?;
        if counted.count < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        *inside = format!("behind `{}`", member.name);
    }
    if tracked.ended {
        // The end mark, a block of zeros, was never seen.
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// What extension headers said about the next member.
#[derive(Default)]
struct Pending {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Pending {
    /// Takes an extension header in; `false` when the entry is none.
    fn take(&mut self, kind: tar::EntryType, size: u64, data: &mut dyn Read) -> Result<bool, Stop> {
        let extends = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if !extends {
            return Ok(false);
        }
        if size > LARGEST_EXTENSION {
            let what = format!("it has an extension header of {size} bytes");
            return Err(Fault::Unsafe { what }.into());
        }
        let mut bytes = Vec::new();
        data.take(size).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if kind.is_gnu_longname() {
            self.name = Some(until_nul(&bytes));
        } else if kind.is_gnu_longlink() {
            self.link = Some(until_nul(&bytes));
        } else if kind.is_pax_local_extensions() {
            for record in tar::PaxExtensions::new(&bytes) {
                let record = record?;
                match record.key_bytes() {
                    b"path" => self.name = Some(record.value_bytes().to_vec()),
                    b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                    b"size" => {
                        let what = "a member is larger than 8 GiB".to_owned();
                        return Err(Fault::Unsafe { what }.into());
                    }
                    _ => {}
                }
            }
        }
        Ok(true)
    }

    /// The member of a header, with what was pending for it.
    fn member(&mut self, header: &tar::Header, size: u64) -> Result<Member, Fault> {
        let name = self
            .name
            .take()
            .unwrap_or_else(|| header.path_bytes().to_vec());
        let link = self
            .link
            .take()
            .or_else(|| header.link_name_bytes().map(|bytes| bytes.to_vec()))
            .unwrap_or_default();
        let name = checked_name(&name)?;
        let kind = header.entry_type();
        let shape = if kind.is_file() || kind.is_contiguous() {
            Shape::File
        } else if kind.is_dir() {
            Shape::Folder
        } else if kind.is_symlink() || kind.is_hard_link() {
            Shape::Link {
                target: String::from_utf8_lossy(&link).into_owned(),
                hard: kind.is_hard_link(),
            }
        } else {
            Shape::Special
        };
        Ok(Member { name, shape, size })
    }
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect()
}

/// A member's path, unless it leads out of the archive.
fn checked_name(bytes: &[u8]) -> Result<String, Fault> {
    let name = String::from_utf8_lossy(bytes);
    if bytes.len() > LONGEST_NAME {
        return Err(Fault::Unsafe {
            what: format!("a member's name has {} bytes", bytes.len()),
        });
    }
    let shown = name.escape_debug();
    if name.starts_with('/') {
        return Err(Fault::Unsafe {
            what: format!("its member `{shown}` has an absolute path"),
        });
    }
    if name.split('/').any(|part| part == "..") {
        return Err(Fault::Unsafe {
            what: format!("its member `{shown}` leads out of the folder it is unpacked in"),
        });
    }
    if name.contains('\0') {
        return Err(Fault::Damaged {
            what: format!("its member `{shown}` has a name that no file can have"),
        });
    }
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    Ok(parts.join("/"))
}
