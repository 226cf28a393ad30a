//! What a program left behind: exit codes, recaps, files; and how two such answers differ.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use similar::TextDiff;

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    Exit,
    Recap,
    Files,
}

impl Aspect {
    pub fn of(name: &str) -> Self {
        match name {
            "exit" => Self::Exit,
            "recap" => Self::Recap,
            "files" => Self::Files,
            _ => panic!("`{name}` is none of exit, recap, files"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Recap => "recap",
            Self::Files => "files",
        }
    }
}

/// What all runs of a case left.
#[derive(Debug, Default)]
pub struct Answer {
    pub exits: Vec<i32>,
    /// Of each run, one line per host.
    pub recaps: Vec<BTreeMap<String, String>>,
    /// What each path is.
    pub files: BTreeMap<String, String>,
}

impl Answer {
    /// As data, to be kept.
    pub fn to_json(&self) -> Json {
        json!({"exits": self.exits, "recaps": self.recaps, "files": self.files})
    }

    /// From what was kept.
    pub fn from_json(value: &Json) -> Option<Self> {
        let texts = |value: &Json| -> Option<BTreeMap<String, String>> {
            let pairs = value.as_object()?.iter();
            pairs
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        let exits = value.get("exits")?.as_array()?.iter();
        let recaps = value.get("recaps")?.as_array()?.iter();
        Some(Self {
            exits: exits
                .map(|exit| i32::try_from(exit.as_i64()?).ok())
                .collect::<Option<_>>()?,
            recaps: recaps.map(texts).collect::<Option<_>>()?,
            files: texts(value.get("files")?)?,
        })
    }

    /// How another answer differs from this one.
    pub fn differences(&self, other: &Self) -> Vec<(Aspect, String)> {
        let mut found = Vec::new();
        if self.exits != other.exits {
            let text = format!("ansible {:?}, kk {:?}", self.exits, other.exits);
            found.push((Aspect::Exit, text));
        }
        for (aspect, ours, theirs) in [
            (Aspect::Recap, recaps(&other.recaps), recaps(&self.recaps)),
            (Aspect::Files, other.files.clone(), self.files.clone()),
        ] {
            let text = compare(&theirs, &ours);
            if !text.is_empty() {
                found.push((aspect, text));
            }
        }
        found
    }
}

fn recaps(runs: &[BTreeMap<String, String>]) -> BTreeMap<String, String> {
    let runs = runs.iter().enumerate();
    runs.flat_map(|(index, run)| {
        run.iter()
            .map(move |(host, line)| (format!("run {}, {host}", index + 1), line.clone()))
    })
    .collect()
}

fn compare(theirs: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let names: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for name in names {
        match (theirs.get(name), ours.get(name)) {
            (Some(_), None) => text.push_str(&format!("\n  {name}: only ansible has it")),
            (None, Some(line)) => text.push_str(&format!("\n  {name}: only kk has it: {line}")),
            (Some(theirs), Some(ours)) if theirs != ours => {
                text.push_str(&format!("\n  {name} (- ansible, + kk):"));
                for change in TextDiff::from_lines(theirs, ours).iter_all_changes() {
                    if change.tag() != similar::ChangeTag::Equal {
                        let line = change.value().trim_end();
                        text.push_str(&format!("\n    {}{line}", change.tag()));
                    }
                }
            }
            _ => {}
        }
    }
    text
}

/// Everything in a folder: kind, mode and content of each path. The folder's own path is left out of contents.
pub fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    walk(folder, folder, &mut files);
    files
}

/// Whose a path is, when not of whoever runs the tests.
fn owner(metadata: &fs::Metadata) -> String {
    let (user, group) = (metadata.uid(), metadata.gid());
    if user == rustix::process::geteuid().as_raw() && group == rustix::process::getegid().as_raw() {
        return String::new();
    }
    let name = |file: &str, id: u32| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text
            .lines()
            .find(|line| line.split(':').nth(2) == Some(&id.to_string()));
        let name = line.and_then(|line| line.split(':').next());
        name.map_or_else(|| id.to_string(), str::to_owned)
    };
    let (user, group) = (name("/etc/passwd", user), name("/etc/group", group));
    format!(" of {user}:{group}")
}

fn walk(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let owner = owner(&metadata);
        let hide = |text: &str| text.replace(&root.display().to_string(), "@FOLDER@");
        let what = if metadata.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            format!("link to {}", hide(&target.display().to_string()))
        } else if metadata.is_dir() {
            walk(root, &path, into);
            format!("folder {mode:04o}{owner}")
        } else if metadata.is_file() {
            let bytes = fs::read(&path).unwrap();
            match std::str::from_utf8(&bytes) {
                Ok(text) => format!("file {mode:04o}{owner}\n{}", hide(text)),
                Err(_) => format!(
                    "file {mode:04o}{owner} sha256 {:x?}",
                    Sha256::digest(&bytes)
                ),
            }
        } else {
            format!("special {mode:04o}{owner}")
        };
        into.insert(name, what);
    }
}
