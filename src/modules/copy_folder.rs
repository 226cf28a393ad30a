//! A folder of this machine that is copied to the host: read here, compared in one round trip, and sent in one stream.

use std::path::{Path, PathBuf};

use super::attributes::{Attributes, DEFAULT_FOLDER_MODE, DEFAULT_MODE, about_function};
use super::copy::{base_name, mode_of};
use super::file_state::{Care, Source, WantedFile};
use super::mode::Mode;
use super::{Content, LedgerEntry, Look, ModuleError, Plan, Step, Verdict};
use crate::connect::Command;
use crate::remote::{
    Asked, Belongs, Branch, BranchKind, Found, FoundKind, Leaf, LeafSource, Looked, Sums, Tree,
};

/// Bigger files go by themselves, because they can go on after a cut.
const MOST_IN_STREAM: u64 = 16 * 1024 * 1024;

/// One stream takes no more than this: what was in it is in its place before the next one begins, and need not be sent
/// again after a cut.
const MOST_AT_ONCE: u64 = 64 * 1024 * 1024;

/// `$1` mode, `$2` owner, `$3` group, then folders, the topmost first.
pub(super) const MAKE_FOLDERS: &str = concat!(
    about_function!(),
    r#"
mode=$1 owner=$2 group=$3
shift 3
umask 077
folder=
for folder; do
  # Where hosts share a file system, another one may make it at this moment.
  [ -d "$folder" ] || mkdir -- "$folder" || [ -d "$folder" ] || exit 1
  if [ -n "$owner" ]; then chown -- "$owner" "$folder" || exit 1; fi
  if [ -n "$group" ]; then chgrp -- "$group" "$folder" || exit 1; fi
  chmod -- "$mode" "$folder" || exit 1
done
about "$folder"
"#
);

/// A folder with everything in it, and where it goes.
pub(super) struct Folder {
    src: String,
    dest: String,
    /// Paths of folders on the host, the topmost first.
    folders: Vec<String>,
    /// Paths of files on the host, and where they are here.
    files: Vec<(String, PathBuf)>,
    /// Links, copied as such, and what they point at.
    links: Vec<(String, String)>,
    attributes: Attributes,
    directory_mode: Option<Mode>,
    pub(super) keep_existing: bool,
    pub(super) care: Care,
    /// Encrypted files are sent decrypted.
    pub(super) decrypt: bool,
}

impl Folder {
    pub(super) fn read(
        src: &str,
        path: &Path,
        dest: &str,
        attributes: Attributes,
        directory_mode: Option<Mode>,
        follow: bool,
    ) -> Result<Self, ModuleError> {
        let dest = dest.trim_end_matches('/');
        let top = if src.ends_with('/') {
            dest.to_owned()
        } else {
            format!("{dest}/{}", base_name(src))
        };
        let mut folder = Self {
            src: src.to_owned(),
            dest: dest.to_owned(),
            folders: vec![top.clone()],
            files: Vec::new(),
            links: Vec::new(),
            attributes,
            directory_mode,
            keep_existing: false,
            care: Care::default(),
            decrypt: true,
        };
        folder
            .walk(path, &top, follow, 0)
            .map_err(|error| ModuleError::failed(format!("read `{}`: {error}", path.display())))?;
        Ok(folder)
    }

    fn walk(&mut self, here: &Path, there: &str, follow: bool, depth: u32) -> std::io::Result<()> {
        if depth > 64 {
            return Err(std::io::Error::other("folders lie more than 64 deep"));
        }
        let mut entries: Vec<PathBuf> = std::fs::read_dir(here)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let target = format!("{there}/{name}");
            if !follow && path.is_symlink() {
                let points_at = std::fs::read_link(&path)?;
                self.links
                    .push((target, points_at.to_string_lossy().into_owned()));
            } else if path.is_dir() {
                self.folders.push(target.clone());
                self.walk(&path, &target, follow, depth + 1)?;
            } else {
                self.files.push((target, path));
            }
        }
        Ok(())
    }

    pub(super) async fn plan(self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let mut sources = Vec::with_capacity(self.files.len());
        for (_, here) in &self.files {
            sources.push(self.source(here).await?);
        }
        let ask = |path: &String, size| Asked {
            path: path.clone(),
            size,
        };
        let mut asked: Vec<Asked> = self.folders.iter().map(|path| ask(path, None)).collect();
        let sized = self.files.iter().zip(&sources);
        asked.extend(sized.map(|((path, _), source)| ask(path, Some(source.size()))));
        asked.extend(self.links.iter().map(|(path, _)| ask(path, None)));
        let looked = look.session.look_at_tree(&asked).await?;
        let (folders, rest) = looked
            .found
            .split_at(self.folders.len().min(looked.found.len()));
        let (files, links) = rest.split_at(self.files.len().min(rest.len()));
        let mut growth = Growth::default();
        for (number, found) in folders.iter().enumerate() {
            self.folder(found, number == 0, &mut growth)?;
        }
        for ((found, (_, here)), source) in files.iter().zip(&self.files).zip(sources) {
            self.file(found, here, source, &mut growth)?;
        }
        for (found, (_, target)) in links.iter().zip(&self.links) {
            if found.kind == FoundKind::Link && found.target.as_ref() == Some(target) {
                continue;
            }
            growth
                .words
                .push(format!("link {}", base_name(&found.path)));
            growth.branches.push(Branch {
                path: found.path.clone(),
                kind: BranchKind::Link(target.clone()),
                mode: None,
                owner: Belongs::Any,
                group: Belongs::Any,
            });
        }
        let near = folders.first().map(near).unwrap_or_default();
        let steps = growth.steps(&self.src, &near, &looked).await?;
        let mut words = growth.words;
        let plan = if steps.is_empty() {
            Plan::satisfied()
        } else {
            let more = words.len().saturating_sub(4);
            words.truncate(4);
            if more > 0 {
                words.push(format!("{more} more"));
            }
            Plan::change(words.join(", "), steps)
        };
        Ok(Plan {
            creates: growth.creates,
            ..plan
        }
        .with("src", self.src)
        .with("dest", format!("{}/", self.dest)))
    }

    /// What a file here holds. It is read when it is sent, unless it is decrypted.
    async fn source(&self, here: &Path) -> Result<Source, ModuleError> {
        if self.decrypt
            && let Some(bytes) = super::encrypted::decrypted(here)?
        {
            return Ok(Source::Bytes(Content::secret(bytes)));
        }
        if self.care != Care::default() {
            return Source::from_path(here.to_owned(), false).await;
        }
        let sums = Sums::remembered(here).await;
        sums.map(|sums| Source::of(here.to_owned(), sums))
            .map_err(|error| ModuleError::failed(format!("read `{}`: {error}", here.display())))
    }

    fn file(
        &self,
        found: &Found,
        here: &Path,
        source: Source,
        growth: &mut Growth,
    ) -> Result<(), ModuleError> {
        let mut attributes = self.attributes.clone();
        if attributes.mode == Some(Mode::Preserve) {
            attributes.mode = mode_of(here).or(Some(Mode::Bits(DEFAULT_MODE)));
        }
        let wanted = WantedFile {
            keep_existing: self.keep_existing,
            care: self.care.clone(),
            ..WantedFile::new(found.path.clone(), source, attributes)
        };
        let sha256 = wanted.source.sha256();
        let is_same = found.sha256.as_deref() == Some(&sha256);
        let plan = wanted.against(found, is_same, false)?;
        if let Verdict::Change(change) = &plan.verdict {
            let word = format!("{}: {}", base_name(&found.path), change.summary);
            growth.words.push(word);
        }
        growth.creates.extend(plan.creates);
        let size = wanted.source.size();
        let from = match &wanted.source {
            Source::Bytes(content) => LeafSource::Bytes(content.bytes.clone()),
            Source::File { path, .. } => LeafSource::File(path.clone()),
        };
        match plan.steps.as_slice() {
            [] => {}
            [Step::Write { mode, .. } | Step::Upload { mode, .. }] if size <= MOST_IN_STREAM => {
                let is_there = found.kind == FoundKind::File;
                let belongs = |wanted: &Option<String>, now: &String| match wanted {
                    Some(name) => Belongs::To(name.clone()),
                    None if is_there => Belongs::Keep(now.clone()),
                    None => Belongs::Any,
                };
                growth.branches.push(Branch {
                    path: found.path.clone(),
                    kind: BranchKind::File(Leaf { from, sha256, size }),
                    mode: Some(*mode),
                    owner: belongs(&wanted.attributes.owner, &found.uid),
                    group: belongs(&wanted.attributes.group, &found.gid),
                });
            }
            [_] if is_same => {
                let branch = there(&wanted.attributes, found);
                growth.branches.push(branch);
            }
            _ => growth.others.extend(plan.steps),
        }
        Ok(())
    }

    fn folder(&self, found: &Found, is_top: bool, growth: &mut Growth) -> Result<(), ModuleError> {
        let attributes = Attributes {
            mode: self.directory_mode.clone(),
            ..self.attributes.clone()
        };
        match found.kind {
            FoundKind::Absent => {
                let mode = attributes.mode_for(found, DEFAULT_FOLDER_MODE);
                for path in found.missing.iter().chain([&found.path]) {
                    growth.creates.push(LedgerEntry::Directory {
                        path: path.clone(),
                        recursive: false,
                    });
                    growth.branches.push(Branch {
                        path: path.clone(),
                        kind: BranchKind::Folder,
                        mode: Some(mode),
                        owner: asked(attributes.owner.as_ref()),
                        group: asked(attributes.group.as_ref()),
                    });
                }
                growth
                    .words
                    .push(format!("make {}/", base_name(&found.path)));
            }
            // What is in it is copied, not the folder itself.
            FoundKind::Directory if is_top && self.src.ends_with('/') => {}
            FoundKind::Directory => {
                let different = attributes.differences(found);
                if !different.is_empty() {
                    growth.words.push(format!(
                        "{}/: {}",
                        base_name(&found.path),
                        different.join(", ")
                    ));
                    growth.branches.push(there(&attributes, found));
                }
            }
            FoundKind::Link => {}
            other => {
                return Err(ModuleError::failed(format!(
                    "`{}` is {}, not a folder",
                    found.path,
                    other.describe()
                )));
            }
        }
        Ok(())
    }
}

/// What has to be done, as it is found out.
#[derive(Default)]
struct Growth {
    /// What goes in one stream.
    branches: Vec<Branch>,
    /// What needs more care, or is too big: after it.
    others: Vec<Step>,
    creates: Vec<LedgerEntry>,
    words: Vec<String>,
}

impl Growth {
    /// As steps: in streams, or one by one where there is but one thing to do or the host has no `tar`.
    async fn steps(
        &mut self,
        name: &str,
        near: &str,
        looked: &Looked,
    ) -> Result<Vec<Step>, ModuleError> {
        let branches = std::mem::take(&mut self.branches);
        let mut steps = Vec::new();
        if branches.len() < 2 || !looked.takes_trees {
            for branch in branches {
                steps.push(alone(branch).await?);
            }
        } else {
            let mut tree = Tree {
                name: name.trim_end_matches('/').to_owned(),
                near: near.to_owned(),
                has_gzip: looked.has_gzip,
                branches: Vec::new(),
            };
            let mut size = 0;
            for branch in branches {
                let more = match &branch.kind {
                    BranchKind::File(leaf) => leaf.size,
                    _ => 0,
                };
                if size > 0 && size + more > MOST_AT_ONCE {
                    steps.push(Step::Tree(tree.clone()));
                    tree.branches.clear();
                    size = 0;
                }
                size += more;
                tree.branches.push(branch);
            }
            steps.push(Step::Tree(tree));
        }
        steps.append(&mut self.others);
        Ok(steps)
    }
}

/// The step for one path.
async fn alone(branch: Branch) -> Result<Step, ModuleError> {
    let name = |belongs: Belongs| match belongs {
        Belongs::To(name) => Some(name),
        // A file that is replaced keeps its owner in any case.
        Belongs::Any | Belongs::Keep(_) => None,
    };
    let Branch {
        path,
        kind,
        mode,
        owner,
        group,
    } = branch;
    let (owner, group) = (name(owner), name(group));
    let attributes = Attributes {
        mode: None,
        owner: owner.clone(),
        group: group.clone(),
    };
    let mode_text = mode.map_or_else(String::new, |mode| format!("{mode:04o}"));
    let mode = mode.unwrap_or(DEFAULT_MODE);
    Ok(match kind {
        BranchKind::Folder => make_folders(&attributes, mode, vec![path]),
        BranchKind::There => attributes.step_with(&path, mode_text),
        BranchKind::Link(target) => Step::run(
            format!("link `{path}` to `{target}`"),
            Command::new("ln -sfn --").arg(target).arg(path),
        ),
        BranchKind::File(Leaf { from, sha256, size }) => {
            let source = match from {
                // Only what is decrypted is held.
                LeafSource::Bytes(bytes) => Source::Bytes(Content::secret(bytes)),
                LeafSource::File(here) => Source::from_path(here, false).await?,
            };
            match source {
                Source::Bytes(content) => Step::Write {
                    path,
                    content,
                    mode,
                    owner,
                    group,
                },
                Source::File { path: here, .. } => Step::Upload {
                    source: here,
                    sha256,
                    size,
                    dest: path,
                    mode,
                    owner,
                    group,
                },
            }
        }
    })
}

/// What is there and gets other attributes.
fn there(attributes: &Attributes, found: &Found) -> Branch {
    let mode = attributes.mode_for(found, DEFAULT_MODE);
    Branch {
        path: found.path.clone(),
        kind: BranchKind::There,
        mode: attributes.mode.as_ref().map(|_| mode),
        owner: asked(attributes.owner.as_ref()),
        group: asked(attributes.group.as_ref()),
    }
}

fn asked(name: Option<&String>) -> Belongs {
    name.map_or(Belongs::Any, |name| Belongs::To(name.clone()))
}

/// A folder that is there, where this one is or will be.
fn near(top: &Found) -> String {
    if top.kind != FoundKind::Absent {
        return top.path.clone();
    }
    let topmost = top.missing.first().unwrap_or(&top.path);
    match topmost.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

/// The step that makes folders, the topmost first.
pub(super) fn make_folders(attributes: &Attributes, mode: u32, folders: Vec<String>) -> Step {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut arguments = vec![
        format!("{mode:04o}"),
        text(&attributes.owner),
        text(&attributes.group),
    ];
    let last = folders.last().cloned().unwrap_or_default();
    arguments.extend(folders);
    Step::run(
        format!("make the folder `{last}`"),
        Command::script(MAKE_FOLDERS, arguments),
    )
}
