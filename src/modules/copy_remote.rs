//! `copy` with `remote_src`: from one path of the host to another.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::attributes::{Attributes, DEFAULT_FOLDER_MODE, DEFAULT_MODE, about_function};
use super::copy::{base_name, conclude_write, with_name};
use super::copy_folder::make_folders;
use super::file_state::{Care, careful_write, entries_for_new_file};
use super::mode::Mode;
use super::{Conclusion, LedgerEntry, Look, Module, ModuleError, Plan, StepOutput};
use crate::connect::Command;
use crate::remote::{FileContent, Found, FoundKind};

/// `$1` folder, `$2` where it goes: names what is missing or differs there, one path below it per line, folders with a
/// `/` at their end. Status 3: there is no such folder.
const COMPARE: &str = r#"
src=$1 dest=$2
case $src in "~/"*) src=${HOME%/}/${src#"~/"} ;; esac
case $dest in "~/"*) dest=${HOME%/}/${dest#"~/"} ;; esac
cd -- "$src" || exit 1
find . -type d | while IFS= read -r path; do
  [ -d "$dest/$path" ] || printf '%s/\n' "${path#./}"
done
find . ! -type d | while IFS= read -r path; do
  if [ -L "$path" ]; then
    [ -L "$dest/$path" ] && [ "$(readlink -- "$path")" = "$(readlink -- "$dest/$path")" ] && continue
  elif [ -f "$dest/$path" ] && cmp -s -- "$path" "$dest/$path"; then
    continue
  fi
  printf '%s\n' "${path#./}"
done
"#;

/// `$1` folder, `$2` where it goes, `$3` mode of files, `$4` of folders, `$5` owner, `$6` group, `$7` 1: what is there
/// stays. Copies what differs.
const COPY: &str = concat!(
    about_function!(),
    r#"
src=$1 dest=$2 mode=$3 folder_mode=$4 owner=$5 group=$6 keep=$7
case $src in "~/"*) src=${HOME%/}/${src#"~/"} ;; esac
case $dest in "~/"*) dest=${HOME%/}/${dest#"~/"} ;; esac
cd -- "$src" || exit 1
set -e
umask 022
dress() {
  if [ -n "$owner" ]; then chown -h -- "$owner" "$1"; fi
  if [ -n "$group" ]; then chgrp -h -- "$group" "$1"; fi
}
find . -type d | while IFS= read -r path; do
  [ -d "$dest/$path" ] && continue
  mkdir -p -- "$dest/$path"
  dress "$dest/$path"
  if [ -n "$folder_mode" ]; then chmod -- "$folder_mode" "$dest/$path"; fi
done
find . ! -type d | while IFS= read -r path; do
  to=$dest/$path
  if [ -e "$to" ] && [ "$keep" = 1 ]; then continue; fi
  if [ -L "$path" ]; then
    ln -sfn -- "$(readlink -- "$path")" "$to"
    dress "$to"
    continue
  fi
  [ -f "$to" ] && cmp -s -- "$path" "$to" && continue
  cp -p -- "$path" "$to.kk-new"
  if [ -n "$mode" ]; then chmod -- "$mode" "$to.kk-new"; fi
  dress "$to.kk-new"
  mv -f -- "$to.kk-new" "$to"
done
about "$dest"
"#
);

/// A copy within the host.
pub(super) struct RemoteCopy {
    pub(super) src: String,
    pub(super) dest: String,
    pub(super) attributes: Attributes,
    pub(super) directory_mode: Option<Mode>,
    pub(super) keep_existing: bool,
    pub(super) care: Care,
    pub(super) checksum: Option<String>,
}

impl Module for RemoteCopy {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let request = FileContent {
                follow: true,
                digest: Some(None),
                ..FileContent::default()
            };
            let src = self.src.trim_end_matches('/');
            let source = look.session.look_at(src, &request).await?;
            let plan = match source.kind {
                FoundKind::File => self.file(look, &source).await?,
                FoundKind::Directory => self.folder(look, &source).await?,
                FoundKind::Absent if look.check_mode => {
                    Plan::unknown(format!("`{src}` is not there yet"), Vec::new())
                }
                other => {
                    return Err(ModuleError::failed(format!(
                        "copy `{src}`: it is {}",
                        other.describe()
                    ))
                    .saying(format!("Source {src} not found")));
                }
            };
            Ok(plan.with("src", self.src.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_write(outputs))
    }
}

impl RemoteCopy {
    async fn file(&self, look: &Look<'_>, source: &Found) -> Result<Plan, ModuleError> {
        if let (Some(wanted), true) = (&self.checksum, true)
            && source.sha256.as_deref() != Some(wanted)
            && wanted.len() == 64
        {
            return Err(ModuleError::failed(format!(
                "the checksum of `{}` is not {wanted}",
                source.path
            )));
        }
        let name = base_name(&self.src);
        let request = FileContent {
            into: Some(name.to_owned()),
            digest: Some(None),
            ..FileContent::default()
        };
        let dest = with_name(&self.dest, Some(name))?;
        let found = look.session.look_at(&dest, &request).await?;
        if matches!(found.kind, FoundKind::Directory | FoundKind::Other) {
            return Err(ModuleError::failed(format!(
                "`{}` is {}",
                found.path,
                found.kind.describe()
            )));
        }
        let mut attributes = self.attributes.clone();
        if attributes.mode == Some(Mode::Preserve) {
            attributes.mode = Some(Mode::Bits(source.mode));
        }
        let is_there = found.kind != FoundKind::Absent;
        let is_same = found.sha256.is_some() && found.sha256 == source.sha256;
        let plan = if is_same || is_there && self.keep_existing {
            let words = attributes.differences(&found);
            if words.is_empty() || self.keep_existing && !is_same {
                Plan::satisfied()
            } else {
                Plan::change(words.join(", "), vec![attributes.step(&found)])
            }
        } else {
            let mode = attributes.mode_for(&found, DEFAULT_MODE);
            let step = careful_write(
                &found.path,
                mode,
                &attributes,
                &source.path,
                &self.care,
                None,
            );
            let mut steps = vec![step];
            let mut creates = Vec::new();
            if !is_there && self.dest.ends_with('/') && !found.missing.is_empty() {
                steps.insert(
                    0,
                    make_folders(
                        &Attributes::default(),
                        DEFAULT_FOLDER_MODE,
                        found.missing.clone(),
                    ),
                );
                creates.extend(found.missing.iter().map(|path| LedgerEntry::Directory {
                    path: path.clone(),
                    recursive: false,
                }));
            }
            if !is_there {
                creates.extend(entries_for_new_file(&found.path));
            }
            let words = if is_there { "content" } else { "create" };
            Plan {
                creates,
                ..Plan::change(words, steps)
            }
        };
        Ok(plan.with_found(&found).with("dest", found.path))
    }

    async fn folder(&self, look: &Look<'_>, source: &Found) -> Result<Plan, ModuleError> {
        let dest = self.dest.trim_end_matches('/');
        let dest = if self.src.ends_with('/') {
            dest.to_owned()
        } else {
            format!("{dest}/{}", base_name(&self.src))
        };
        let words = [source.path.clone(), dest.clone()];
        let output = look.session.probe(Command::script(COMPARE, words)).await?;
        if !output.success() {
            return Err(command_failed(&format!("compare `{dest}`"), &output));
        }
        let answer = output.stdout_text();
        let different: Vec<&str> = answer.lines().collect();
        let plan = if different.is_empty() {
            Plan::satisfied()
        } else {
            let octal = |mode: &Option<Mode>, default: u32, folder: bool| match mode {
                None | Some(Mode::Preserve) => String::new(),
                Some(mode) => format!("{:04o}", mode.bits(default, folder)),
            };
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let words = [
                source.path.clone(),
                dest.clone(),
                octal(&self.attributes.mode, DEFAULT_MODE, false),
                octal(&self.directory_mode, DEFAULT_FOLDER_MODE, true),
                text(&self.attributes.owner),
                text(&self.attributes.group),
                u8::from(self.keep_existing).to_string(),
            ];
            let step = super::Step::run(
                format!("copy `{}` to `{dest}`", source.path),
                Command::script(COPY, words),
            );
            let shown: Vec<&str> = different.iter().take(4).copied().collect();
            let mut plan = Plan::change(
                format!(
                    "{} of {} differ or are missing",
                    shown.join(", "),
                    different.len()
                ),
                vec![step],
            );
            // A folder that is new as a whole is kk's as a whole.
            if different.contains(&"./") || different.contains(&"/") {
                plan = plan.creating(LedgerEntry::Directory {
                    path: dest.clone(),
                    recursive: true,
                });
            }
            plan
        };
        Ok(plan.with("dest", dest).with("state", "directory"))
    }
}
