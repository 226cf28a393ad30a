//! A folder of this machine that is copied to the host: read here, compared in one round trip.

use std::path::{Path, PathBuf};

use super::attributes::{Attributes, DEFAULT_FOLDER_MODE, DEFAULT_MODE, about_function};
use super::copy::{base_name, mode_of};
use super::file_state::{Care, Source, WantedFile};
use super::mode::Mode;
use super::{LedgerEntry, Look, ModuleError, Plan, Step, Verdict};
use crate::connect::Command;
use crate::remote::{Found, FoundKind};

/// `$1` mode, `$2` owner, `$3` group, then folders, the topmost first.
pub(super) const MAKE_FOLDERS: &str = concat!(
    about_function!(),
    r#"
mode=$1 owner=$2 group=$3
shift 3
umask 077
folder=
for folder; do
  [ -d "$folder" ] || mkdir -- "$folder" || exit 1
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
        let mut paths = self.folders.clone();
        paths.extend(self.files.iter().map(|(path, _)| path.clone()));
        paths.extend(self.links.iter().map(|(path, _)| path.clone()));
        let found = look.session.look_at_many(&paths).await?;
        let (folders, rest) = found.split_at(self.folders.len().min(found.len()));
        let (files, links) = rest.split_at(self.files.len().min(rest.len()));
        let mut steps = Vec::new();
        let mut creates = Vec::new();
        let mut words = Vec::new();
        for found in folders {
            self.folder(found, &mut steps, &mut creates, &mut words)?;
        }
        for (found, (_, here)) in files.iter().zip(&self.files) {
            let mut attributes = self.attributes.clone();
            if attributes.mode == Some(Mode::Preserve) {
                attributes.mode = mode_of(here).or(Some(Mode::Bits(DEFAULT_MODE)));
            }
            let wanted = WantedFile {
                keep_existing: self.keep_existing,
                care: self.care.clone(),
                ..WantedFile::new(
                    found.path.clone(),
                    Source::from_path(here.clone(), self.decrypt).await?,
                    attributes,
                )
            };
            let is_same = found.sha256.as_deref() == Some(&wanted.source.sha256());
            let plan = wanted.against(found, is_same, false)?;
            if let Verdict::Change(change) = &plan.verdict {
                words.push(format!("{}: {}", base_name(&found.path), change.summary));
            }
            steps.extend(plan.steps);
            creates.extend(plan.creates);
        }
        for (found, (_, target)) in links.iter().zip(&self.links) {
            if found.kind == FoundKind::Link && found.target.as_ref() == Some(target) {
                continue;
            }
            words.push(format!("link {}", base_name(&found.path)));
            steps.push(Step::run(
                format!("link `{}` to `{target}`", found.path),
                Command::new("ln -sfn --")
                    .arg(target.clone())
                    .arg(found.path.clone()),
            ));
        }
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
        Ok(Plan { creates, ..plan }
            .with("src", self.src)
            .with("dest", format!("{}/", self.dest)))
    }

    fn folder(
        &self,
        found: &Found,
        steps: &mut Vec<Step>,
        creates: &mut Vec<LedgerEntry>,
        words: &mut Vec<String>,
    ) -> Result<(), ModuleError> {
        let attributes = Attributes {
            mode: self.directory_mode.clone(),
            ..self.attributes.clone()
        };
        match found.kind {
            FoundKind::Absent => {
                let mode = attributes.mode_for(found, DEFAULT_FOLDER_MODE);
                // What lies above was listed before, as far as it is part of the copy.
                let above = found
                    .missing
                    .iter()
                    .filter(|path| !self.folders.contains(path));
                let mut paths: Vec<String> = above.cloned().collect();
                paths.push(found.path.clone());
                for path in &paths {
                    let entry = LedgerEntry::Directory {
                        path: path.clone(),
                        recursive: false,
                    };
                    if !creates.contains(&entry) {
                        creates.push(entry);
                    }
                }
                words.push(format!("make {}/", base_name(&found.path)));
                steps.push(make_folders(&attributes, mode, paths));
            }
            FoundKind::Directory => {
                let different = attributes.differences(found);
                if !different.is_empty() {
                    words.push(format!(
                        "{}/: {}",
                        base_name(&found.path),
                        different.join(", ")
                    ));
                    steps.push(attributes.step(found));
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
