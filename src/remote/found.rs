//! What a look at a path found: the question, the answer and its parse. Pure.

use bytes::Bytes;

/// What to read of a file besides its attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileContent {
    /// Follow a link to what it points at.
    pub follow: bool,
    /// When the path is a folder, look at this name in it.
    pub into: Option<String>,
    /// Hash it: only when it has this size (`Some(Some(size))`), or always (`Some(None)`).
    pub digest: Option<Option<u64>>,
    /// The bytes of the file, when it has at most this many; 0 for none.
    pub limit: u64,
    /// No bytes when the file's sha256 is this one.
    pub unless_sha256: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// Nothing is there; the host said so.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

impl FoundKind {
    /// Of the word that `stat` has for it.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "absent" => Self::Absent,
            "directory" => Self::Directory,
            "symbolic link" => Self::Link,
            other if other.starts_with("regular") => Self::File,
            _ => Self::Other,
        }
    }

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Link => "a link",
            Self::Other => "neither file, folder nor link",
        }
    }
}

/// What was found at a path. Without meaning where it is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path that was looked at in the end.
    pub path: String,
    /// What it is.
    pub kind: FoundKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner's number.
    pub uid: String,
    /// Group's number.
    pub gid: String,
    /// Owner's name.
    pub owner: String,
    /// Group's name.
    pub group: String,
    /// How many names it has.
    pub links: u64,
    /// Size in bytes.
    pub size: u64,
    /// Where a link points.
    pub target: Option<String>,
    /// A link that points at nothing.
    pub is_dangling: bool,
    /// The content's sha256, where it was asked for.
    pub sha256: Option<String>,
    /// The content, where it was asked for.
    pub content: Option<Bytes>,
    /// Folders above the path that are not there either, the topmost first.
    pub missing: Vec<String>,
}

impl Found {
    /// Whether this owner, a name or a number, is the file's.
    pub fn is_owned_by(&self, owner: &str) -> bool {
        owner == self.owner || owner == self.uid
    }

    /// Whether this group, a name or a number, is the file's.
    pub fn is_of_group(&self, group: &str) -> bool {
        group == self.group || group == self.gid
    }

    /// Nothing is there.
    pub fn nothing_at(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            kind: FoundKind::Absent,
            mode: 0,
            uid: String::new(),
            gid: String::new(),
            owner: String::new(),
            group: String::new(),
            links: 1,
            size: 0,
            target: None,
            is_dangling: false,
            sha256: None,
            content: None,
            missing: Vec::new(),
        }
    }

    /// The answer of the look; `None` when it is not one.
    pub(super) fn parse(output: &[u8], path: &str) -> Option<Self> {
        let mut found = Self::nothing_at(path);
        let mut known = false;
        let mut rest = output;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            if line == "content" {
                found.content = Some(Bytes::copy_from_slice(rest));
                break;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            match key {
                "path" => value.clone_into(&mut found.path),
                "kind" => {
                    known = true;
                    found.kind = FoundKind::of(value);
                }
                "mode" => found.mode = u32::from_str_radix(value, 8).ok()?,
                "uid" => value.clone_into(&mut found.uid),
                "gid" => value.clone_into(&mut found.gid),
                "owner" => value.clone_into(&mut found.owner),
                "group" => value.clone_into(&mut found.group),
                "links" => found.links = value.parse().ok()?,
                "size" => found.size = value.parse().ok()?,
                "dangling" => found.is_dangling = true,
                "target" => found.target = Some(value.to_owned()),
                "missing" => found.missing.insert(0, value.to_owned()),
                "sha256" => found.sha256 = Some(value.to_owned()),
                _ => {}
            }
        }
        known.then_some(found)
    }
}
