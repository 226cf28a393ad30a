//! A file with a content, a mode and an owner: what the modules that write files have in common. Looks and plans only.

use std::path::PathBuf;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::attributes::{Attributes, DEFAULT_MODE, about_function, keep_copy_function};
use super::copy_folder::make_folders;
use super::{Arguments, Content, LedgerEntry, Look, ModuleError, Plan, Step};
use crate::connect::Command;
use crate::remote::{
    FileContent, Found, FoundKind, Sums, aside_function, hexadecimal, settle_function,
};

/// The biggest file that is read back for a diff or an edit.
pub(crate) const EDIT_LIMIT: u64 = 4 * 1024 * 1024;

/// The biggest file that is written in one go; larger ones are uploaded.
const WRITE_LIMIT: u64 = 1024 * 1024;

/// Writes a file with what the plain writing cannot do: from a file of the host instead of standard input, with a copy of
/// what was there, and only when a command is content with it.
///
/// `$1` path, `$2` mode, `$3` owner, `$4` group, `$5` size, or nothing, `$6` the file of the host to take, moved away when
/// it begins with `move:`, `$7` 1 for a copy of what is there, then the words of the command, `%s` for the file.
const WRITE_CHECKED: &str = concat!(
    about_function!(),
    keep_copy_function!(),
    aside_function!(),
    settle_function!(),
    r#"
path=$1 mode=$2 owner=$3 group=$4 size=$5 from=$6 backup=$7
shift 7
aside "$path" ""
case $from in
  "") cat >"$new" || exit 1 ;;
  move:*) mv -f -- "${from#move:}" "$new" || exit 1 ;;
  *) cat -- "$from" >"$new" || exit 1 ;;
esac
if [ -n "$size" ]; then
  have=$(($(wc -c <"$new")))
  [ "$have" -eq "$size" ] || { echo "only $have of $size bytes arrived" >&2; exit 1; }
fi
if [ "$#" -gt 0 ]; then
  attributes "$new"
  number=0
  count=$#
  while [ "$number" -lt "$count" ]; do
    word=$1
    shift
    case $word in *"%s"*) word=${word%%"%s"*}$new${word#*"%s"} ;; esac
    set -- "$@" "$word"
    number=$((number + 1))
  done
  said=$("$@" 2>&1 </dev/null)
  status=$?
  if [ "$status" -ne 0 ]; then
    printf 'failed to validate: rc:%s error:%s\n' "$status" "$said" >&2
    exit 1
  fi
fi
if [ "$backup" = 1 ] && [ -f "$path" ]; then
  keep_copy "$path"
fi
settle "$new" "$path"
about "$path"
"#
);

/// Where the bytes of a wanted file come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Bytes(Content),
    File {
        path: PathBuf,
        sha256: String,
        /// Where it is known.
        sha1: Option<String>,
        size: u64,
    },
}

impl Source {
    /// A file of this machine: small ones are read, big ones hashed. One that is encrypted is decrypted where that is
    /// wanted, and is a secret then.
    pub(crate) async fn from_path(path: PathBuf, decrypt: bool) -> Result<Self, ModuleError> {
        let shown = path.display().to_string();
        if decrypt && let Some(bytes) = super::encrypted::decrypted(&path)? {
            return Ok(Self::Bytes(Content::secret(bytes)));
        }
        let failed =
            |error: std::io::Error| ModuleError::failed(format!("read `{shown}`: {error}"));
        let size = tokio::fs::metadata(&path).await.map_err(failed)?.len();
        if size <= WRITE_LIMIT {
            let bytes = crate::remote::small_file(&path).await.map_err(failed)?;
            return Ok(Self::Bytes(Content::public(bytes)));
        }
        let sums = Sums::remembered(&path).await.map_err(failed)?;
        Ok(Self::of(path, sums))
    }

    /// A file of this machine that is not decrypted, whatever its size.
    pub(crate) fn of(path: PathBuf, sums: Sums) -> Self {
        Self::File {
            path,
            sha256: sums.sha256,
            sha1: Some(sums.sha1),
            size: sums.size,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(content) => content.bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// SHA-1 of the bytes, where it is known.
    pub(crate) fn sha1(&self) -> Option<String> {
        match self {
            Self::Bytes(content) => Some(hexadecimal(&Sha1::digest(&content.bytes))),
            Self::File { sha1, .. } => sha1.clone(),
        }
    }

    /// SHA-256 of the bytes.
    pub(crate) fn sha256(&self) -> String {
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
    /// A link is followed, and the file behind it written.
    pub(crate) follow: bool,
    /// Folders above it that are missing are made with these permission bits.
    pub(crate) parents: Option<u32>,
    /// What the writing is to do besides.
    pub(crate) care: Care,
}

/// What is done around the writing of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Care {
    /// A copy of what was there is kept.
    pub(crate) backup: bool,
    /// The words of a command that must be content with the new file; `%s` for the file.
    pub(crate) validate: Vec<String>,
}

impl Care {
    /// From the arguments `backup` and `validate`.
    pub(crate) fn from_arguments(arguments: &Arguments) -> Result<Self, ModuleError> {
        let validate = match arguments.filled("validate") {
            None => Vec::new(),
            Some(text) if !text.contains("%s") => {
                return Err(ModuleError::failed(format!(
                    "validate must contain %s: {text}"
                )));
            }
            Some(text) => super::command::split_words(&text).map_err(ModuleError::failed)?,
        };
        Ok(Self {
            backup: arguments.boolean("backup", false),
            validate,
        })
    }

    fn is_needed(&self, found: &Found) -> bool {
        self.backup && found.kind == FoundKind::File || !self.validate.is_empty()
    }
}

/// The step that puts a file of the host, or what it reads, in place with care.
pub(crate) fn careful_write(
    path: &str,
    mode: u32,
    attributes: &Attributes,
    from: &str,
    care: &Care,
    content: Option<Content>,
) -> Step {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let size = content
        .as_ref()
        .map_or_else(String::new, |content| content.bytes.len().to_string());
    let command = Command::script(
        WRITE_CHECKED,
        [
            path.to_owned(),
            format!("{mode:04o}"),
            text(&attributes.owner),
            text(&attributes.group),
            size,
            from.to_owned(),
            u8::from(care.backup).to_string(),
        ],
    )
    .args(&care.validate);
    Step::Run {
        command,
        stdin: content,
        timeout: None,
        any_status: false,
        purpose: format!("write `{path}`"),
    }
}

impl WantedFile {
    /// Looks in one round trip and says what would have to be done.
    pub(crate) async fn plan(&self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let sha256 = self.source.sha256();
        let is_secret = matches!(&self.source, Source::Bytes(content) if content.secret);
        let may_show = look.diff && !is_secret && matches!(self.source, Source::Bytes(_));
        let request = FileContent {
            follow: self.follow,
            into: self.into.clone(),
            digest: Some(Some(self.source.size())),
            limit: if may_show { EDIT_LIMIT } else { 0 },
            unless_sha256: Some(sha256.clone()),
        };
        let found = look.session.look_at(&self.path, &request).await?;
        let is_same = found.sha256.as_deref() == Some(&sha256);
        let plan = self.against(&found, is_same, may_show)?;
        let plan = match &self.source {
            Source::Bytes(content) if !is_same && !plan.is_satisfied() => {
                plan.with("md5sum", format!("{:x}", md5::compute(&content.bytes)))
            }
            _ => plan,
        };
        Ok(plan.with_file_values(self, &found))
    }

    /// A wanted file with nothing special about it.
    pub(crate) fn new(path: impl Into<String>, source: Source, attributes: Attributes) -> Self {
        Self {
            path: path.into(),
            into: None,
            source,
            attributes,
            keep_existing: false,
            follow: false,
            parents: None,
            care: Care::default(),
        }
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
        let mode = self.attributes.mode_for(found, DEFAULT_MODE);
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
                let step = self.attributes.step(found);
                return Ok(Plan::change(words.join(", "), vec![step]));
            }
            FoundKind::Link if self.keep_existing => return Ok(Plan::satisfied()),
            FoundKind::File | FoundKind::Link | FoundKind::Absent => {}
        }
        let steps = self.write_steps(found, mode);
        let mut words = match found.kind {
            FoundKind::Absent => vec!["create".to_owned()],
            FoundKind::Link => vec!["replace a link".to_owned()],
            _ => vec!["content".to_owned()],
        };
        if found.kind == FoundKind::File {
            words.extend(self.attributes.differences(found));
        }
        let mut plan = Plan::change(words.join(", "), steps);
        if found.kind == FoundKind::Absent {
            if let Some(mode) = self.parents
                && !found.missing.is_empty()
            {
                let folders = found.missing.clone();
                plan.creates = folders
                    .iter()
                    .map(|path| LedgerEntry::Directory {
                        path: path.clone(),
                        recursive: false,
                    })
                    .collect();
                let step = make_folders(&Attributes::default(), mode, folders);
                plan.steps.insert(0, step);
            }
            plan.creates.extend(entries_for_new_file(path));
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
            if let Some(Ok(before)) = old.map(std::str::from_utf8)
                && let Ok(after) = std::str::from_utf8(new)
            {
                let mut shown = serde_json::json!({
                    "before": before,
                    "after": after,
                    "after_header": path,
                });
                if found.kind == FoundKind::File
                    && let Some(shown) = shown.as_object_mut()
                {
                    shown.insert("before_header".to_owned(), path.into());
                }
                plan = plan.with("diff", serde_json::json!([shown]));
            }
            plan = plan.with_diff(old.map(|old| unified_diff(path, old, new)));
        }
        Ok(plan)
    }
}

impl WantedFile {
    fn write_steps(&self, found: &Found, mode: u32) -> Vec<Step> {
        let path = found.path.as_str();
        let (owner, group) = (self.attributes.owner.clone(), self.attributes.group.clone());
        let is_careful = self.care.is_needed(found);
        match &self.source {
            Source::Bytes(content) if is_careful => vec![careful_write(
                path,
                mode,
                &self.attributes,
                "",
                &self.care,
                Some(content.clone()),
            )],
            Source::Bytes(content) => vec![Step::Write {
                path: path.to_owned(),
                content: content.clone(),
                mode,
                owner,
                group,
            }],
            Source::File {
                path: here,
                sha256,
                size,
                ..
            } => {
                let upload = |dest: String, mode: u32| Step::Upload {
                    source: here.clone(),
                    sha256: sha256.clone(),
                    size: *size,
                    dest,
                    mode,
                    owner: owner.clone().filter(|_| !is_careful),
                    group: group.clone().filter(|_| !is_careful),
                };
                if !is_careful {
                    return vec![upload(path.to_owned(), mode)];
                }
                // Sent beside it under another name first: what is there stays until the command is content.
                let beside = format!("{path}.kk-sent");
                let from = format!("move:{beside}");
                vec![
                    upload(beside, 0o600),
                    careful_write(path, mode, &self.attributes, &from, &self.care, None),
                ]
            }
        }
    }
}

impl Plan {
    fn with_file_values(self, wanted: &WantedFile, found: &Found) -> Self {
        let checksum = wanted.source.sha1();
        let mode = wanted.attributes.mode_for(found, DEFAULT_MODE);
        let path = found.path.as_str();
        let plan = match found.kind {
            FoundKind::File => self.with_found(found),
            _ => self,
        };
        let plan = plan
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
    let path = any_host_path(arguments, name)?;
    if path.contains('\n') {
        return Err(ModuleError::failed(format!(
            "the path in `{name}` holds a line break"
        )));
    }
    Ok(path)
}

/// The same where a line break does no harm.
pub(crate) fn any_host_path(arguments: &Arguments, name: &str) -> Result<String, ModuleError> {
    let path = arguments.required_text(name)?;
    if path.contains('\0') {
        return Err(ModuleError::failed(format!(
            "the path in `{name}` holds a zero byte"
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
