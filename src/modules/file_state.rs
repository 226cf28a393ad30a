//! A file with a content, a mode and an owner: what the modules that write files have in common. Looks and plans only.

use std::path::PathBuf;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Arguments, Content, LedgerEntry, Look, ModuleError, Plan, Step};
use crate::connect::Command;
use crate::remote::{FileContent, Found, FoundKind, hexadecimal};

/// The biggest file that is read back for a diff or an edit.
pub(crate) const EDIT_LIMIT: u64 = 4 * 1024 * 1024;

/// The biggest file that is written in one go; larger ones are uploaded.
const WRITE_LIMIT: u64 = 1024 * 1024;

/// Mode of a new file when none was asked for.
const DEFAULT_MODE: u32 = 0o644;

/// `$1` path, then mode, owner and group, empty for "as it is".
const ATTRIBUTES: &str = r#"
if [ -n "$3" ]; then chown -h -- "$3" "$1" || exit 1; fi
if [ -n "$4" ]; then chgrp -h -- "$4" "$1" || exit 1; fi
if [ -n "$2" ]; then chmod -- "$2" "$1" || exit 1; fi
"#;

/// Mode and owner as asked for; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
}

impl Attributes {
    /// From the arguments of these names.
    pub(crate) fn from_arguments(arguments: &Arguments) -> Self {
        Self {
            mode: arguments.mode("mode"),
            owner: arguments.text("owner").filter(|name| !name.is_empty()),
            group: arguments.text("group").filter(|name| !name.is_empty()),
        }
    }

    /// What differs from what was found, in words.
    pub(crate) fn differences(&self, found: &Found) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(mode) = self.mode
            && mode != found.mode
            && found.kind != FoundKind::Link
        {
            words.push(format!("mode {:04o} -> {mode:04o}", found.mode));
        }
        if let Some(owner) = &self.owner
            && !found.is_owned_by(owner)
        {
            words.push(format!("owner {} -> {owner}", found.owner));
        }
        if let Some(group) = &self.group
            && !found.is_of_group(group)
        {
            words.push(format!("group {} -> {group}", found.group));
        }
        words
    }

    /// The step that gives a path that is there these attributes.
    pub(crate) fn step(&self, path: &str, is_link: bool) -> Step {
        let mode = self.mode.filter(|_| !is_link);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let command = Command::script(
            ATTRIBUTES,
            [
                path.to_owned(),
                mode.map_or_else(String::new, |mode| format!("{mode:04o}")),
                text(&self.owner),
                text(&self.group),
            ],
        );
        Step::run(format!("set mode and owner of `{path}`"), command)
    }
}

/// Where the bytes of a wanted file come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Bytes(Content),
    File {
        path: PathBuf,
        sha256: String,
        size: u64,
    },
}

impl Source {
    /// A file of this machine: small ones are read, big ones hashed.
    pub(crate) async fn from_path(path: PathBuf) -> Result<Self, ModuleError> {
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || {
            let size = std::fs::metadata(&path)?.len();
            if size <= WRITE_LIMIT {
                let bytes = std::fs::read(&path)?;
                return Ok(Self::Bytes(Content::public(bytes)));
            }
            let (sha256, size) = crate::remote::sha256_of_file(&path)?;
            Ok::<_, std::io::Error>(Self::File { path, sha256, size })
        });
        match read.await {
            Ok(Ok(source)) => Ok(source),
            Ok(Err(error)) => Err(ModuleError::failed(format!("read `{shown}`: {error}"))),
            Err(error) => Err(ModuleError::failed(format!("read `{shown}`: {error}"))),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Bytes(content) => content.bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    fn sha256(&self) -> String {
        match self {
            Self::Bytes(content) => hexadecimal(&Sha256::digest(&content.bytes)),
            Self::File { sha256, .. } => sha256.clone(),
        }
    }
}

/// A file as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedFile {
    pub(crate) path: String,
    /// A name to append when `path` turns out to be a folder.
    pub(crate) into: Option<String>,
    pub(crate) source: Source,
    pub(crate) attributes: Attributes,
    /// Leave a file that is there alone, whatever it holds.
    pub(crate) keep_existing: bool,
}

impl WantedFile {
    /// Looks in one round trip and says what would have to be done.
    pub(crate) async fn plan(&self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let sha256 = self.source.sha256();
        let is_secret = matches!(&self.source, Source::Bytes(content) if content.secret);
        let may_show = look.diff && !is_secret && matches!(self.source, Source::Bytes(_));
        let request = FileContent {
            follow: false,
            into: self.into.clone(),
            digest: Some(Some(self.source.size())),
            limit: if may_show { EDIT_LIMIT } else { 0 },
            unless_sha256: Some(sha256.clone()),
        };
        let found = look.session.look_at(&self.path, &request).await?;
        let is_same = found.sha256.as_deref() == Some(&sha256);
        let plan = self.against(&found, is_same, may_show)?;
        Ok(plan.with_file_values(self, &found.path, self.mode_for(&found)))
    }

    fn mode_for(&self, found: &Found) -> u32 {
        self.attributes.mode.unwrap_or(match found.kind {
            FoundKind::File => found.mode,
            _ => DEFAULT_MODE,
        })
    }

    /// What would have to be done about what was found. `is_same`: its content is the wanted one; `may_show`: the
    /// change may be shown, as far as the mode allows it.
    pub(crate) fn against(
        &self,
        found: &Found,
        is_same: bool,
        may_show: bool,
    ) -> Result<Plan, ModuleError> {
        let path = found.path.as_str();
        let mode = self.mode_for(found);
        match found.kind {
            FoundKind::Directory => {
                return Err(ModuleError::failed(format!("`{path}` is a folder"))
                    .with_hint("name the file in it, or remove the folder first"));
            }
            FoundKind::Other => {
                return Err(ModuleError::failed(format!(
                    "`{path}` is {}",
                    found.kind.describe()
                )));
            }
            FoundKind::File if is_same || self.keep_existing => {
                let words = self.attributes.differences(found);
                if words.is_empty() || self.keep_existing {
                    return Ok(Plan::satisfied());
                }
                let step = self.attributes.step(path, false);
                return Ok(Plan::change(words.join(", "), vec![step]));
            }
            FoundKind::Link if self.keep_existing => return Ok(Plan::satisfied()),
            FoundKind::File | FoundKind::Link | FoundKind::Absent => {}
        }
        let step = match &self.source {
            Source::Bytes(content) => Step::Write {
                path: path.to_owned(),
                content: content.clone(),
                mode,
                owner: self.attributes.owner.clone(),
                group: self.attributes.group.clone(),
            },
            Source::File {
                path: here,
                sha256,
                size,
            } => Step::Upload {
                source: here.clone(),
                sha256: sha256.clone(),
                size: *size,
                dest: path.to_owned(),
                mode,
                owner: self.attributes.owner.clone(),
                group: self.attributes.group.clone(),
            },
        };
        let mut words = match found.kind {
            FoundKind::Absent => vec!["create".to_owned()],
            FoundKind::Link => vec!["replace a link".to_owned()],
            _ => vec!["content".to_owned()],
        };
        if found.kind == FoundKind::File {
            words.extend(self.attributes.differences(found));
        }
        let mut plan = Plan::change(words.join(", "), vec![step]);
        if found.kind == FoundKind::Absent {
            plan.creates = entries_for_new_file(path);
        }
        // A file that only its owner may read is not shown either.
        let new = match &self.source {
            Source::Bytes(content) if may_show && !is_private(mode) => Some(&content.bytes),
            _ => None,
        };
        if let Some(new) = new {
            let old: Option<&[u8]> = match found.kind {
                FoundKind::File if is_private(found.mode) => None,
                FoundKind::File => found.content.as_deref(),
                _ => Some(&[]),
            };
            plan = plan.with_diff(old.map(|old| unified_diff(path, old, new)));
        }
        Ok(plan)
    }
}

impl Plan {
    fn with_file_values(self, wanted: &WantedFile, path: &str, mode: u32) -> Self {
        let checksum = match &wanted.source {
            Source::Bytes(content) => Some(hexadecimal(&Sha1::digest(&content.bytes))),
            Source::File { .. } => None,
        };
        let plan = self
            .with("dest", path)
            .with("path", path)
            .with("mode", format!("{mode:04o}"))
            .with("size", wanted.source.size())
            .with("state", "file");
        match checksum {
            Some(checksum) => plan.with("checksum", checksum),
            None => plan,
        }
    }
}

/// Whether a mode lets nobody but the owner in: what such a file holds is not shown.
pub(crate) fn is_private(mode: u32) -> bool {
    mode.is_multiple_of(0o100)
}

/// What goes into the ledger when a file is new, by where it lies: units are stopped before their file goes, and the
/// trust store is rebuilt after an anchor went.
pub(crate) fn entries_for_new_file(path: &str) -> Vec<LedgerEntry> {
    const UNIT_FOLDERS: [&str; 2] = ["/etc/systemd/system", "/usr/local/lib/systemd/system"];
    const UNIT_KINDS: [&str; 5] = [".service", ".socket", ".timer", ".mount", ".path"];
    const ANCHOR_FOLDERS: [&str; 3] = [
        "/usr/local/share/ca-certificates",
        "/etc/pki/ca-trust/source/anchors",
        "/etc/pki/trust/anchors",
    ];
    let file = LedgerEntry::File {
        path: path.to_owned(),
    };
    let Some((folder, name)) = path.rsplit_once('/') else {
        return vec![file];
    };
    let is_anchor = ANCHOR_FOLDERS
        .iter()
        .any(|anchors| folder == *anchors || folder.starts_with(&format!("{anchors}/")));
    if is_anchor {
        return vec![LedgerEntry::TrustAnchor {
            path: path.to_owned(),
        }];
    }
    if UNIT_FOLDERS.contains(&folder) && UNIT_KINDS.iter().any(|kind| name.ends_with(kind)) {
        let unit = LedgerEntry::Unit {
            name: name.to_owned(),
        };
        return vec![file, unit];
    }
    vec![file]
}

/// The change of a text, as `diff -u` writes it; one line when either side is not a text.
pub(crate) fn unified_diff(path: &str, old: &[u8], new: &[u8]) -> String {
    match (std::str::from_utf8(old), std::str::from_utf8(new)) {
        (Ok(old), Ok(new)) => similar::TextDiff::from_lines(old, new)
            .unified_diff()
            .header(&format!("{path} (now)"), &format!("{path} (then)"))
            .to_string(),
        _ => format!("binary content of {path} differs\n"),
    }
}

/// An argument that is a path of the host: absolute, or under the home folder with `~/`.
pub(crate) fn host_path(arguments: &Arguments, name: &str) -> Result<String, ModuleError> {
    let path = arguments.required_text(name)?;
    if path.contains(['\n', '\0']) {
        return Err(ModuleError::failed(format!(
            "the path in `{name}` holds a line break"
        )));
    }
    if path.starts_with('/') || path.starts_with("~/") {
        let mut plain = String::with_capacity(path.len());
        for letter in path.chars() {
            if letter != '/' || !plain.ends_with('/') {
                plain.push(letter);
            }
        }
        return Ok(plain);
    }
    Err(ModuleError::failed(format!(
        "`{name}` is `{path}`, which is not an absolute path"
    ))
    .with_hint("paths on a host begin with `/` (or `~/`)"))
}
