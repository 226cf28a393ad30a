//! `unarchive`: what is in an archive, in a folder of the host.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::arguments::Given;
use super::attributes::{Attributes, GROUP, MODE, OWNER, about_function, values_of};
use super::command::{CREATES, Execution};
use super::encrypted::{self, DECRYPT};
use super::file_state::{Source, host_path};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, FileSource, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "unarchive",
    aliases: &[],
    summary: "unpacks an archive of this machine or of the host (tar, plain or packed by gzip, bzip2, xz or zstd, and zip)",
    arguments: &[
        Argument::required(
            "src",
            ArgumentKind::Text,
            "the archive, searched for in `files/` of the role; a path of the host with `remote_src`",
        ),
        Argument::required(
            "dest",
            ArgumentKind::Path,
            "the folder on the host, which must be there",
        ),
        Argument::optional(
            "remote_src",
            ArgumentKind::Boolean,
            "`src` is a path of the host; false by default",
        ),
        Argument::optional(
            "copy",
            ArgumentKind::Boolean,
            "the old word for the opposite of `remote_src`; true by default",
        ),
        CREATES,
        DECRYPT,
        Argument::optional(
            "exclude",
            ArgumentKind::Texts,
            "paths in it that are left out",
        ),
        Argument::optional("include", ArgumentKind::Texts, "only these paths in it"),
        Argument::optional(
            "extra_opts",
            ArgumentKind::Texts,
            "more options for tar or unzip",
        ),
        Argument::optional(
            "keep_newer",
            ArgumentKind::Boolean,
            "files that are newer than those in the archive stay; false by default",
        ),
        Argument::optional(
            "list_files",
            ArgumentKind::Boolean,
            "the result names what is in it; false by default",
        ),
        MODE,
        OWNER,
        GROUP,
    ],
    examples: r"- name: the site
  unarchive:
    src: site.tar.gz
    dest: /var/www
    owner: www-data

- name: the tool, fetched before
  unarchive:
    src: /tmp/tool.zip
    dest: /opt
    remote_src: true
    creates: /opt/tool/VERSION
",
    returns: &[
        ("dest", "the folder"),
        ("src", "the archive"),
        ("handler", "`TarArchive`, `TgzArchive` … or `ZipArchive`"),
        ("files", "with `list_files`: what is in it"),
        ("mode", "permission bits of the folder"),
        ("owner", "its owner's name"),
        ("group", "its group's name"),
        ("uid", "its owner's number"),
        ("gid", "its group's number"),
        ("size", "its size in bytes"),
        ("state", "`directory`"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// The biggest archive that is sent twice: once to compare, once to unpack.
const COMPARED: u64 = 16 * 1024 * 1024;

/// `$1` `check` or `do`, `$2` the archive, nothing for standard input, `remove:` before it when it is to go afterwards, `$3`
/// folder, `$4` mode, `$5` owner, `$6` group, `$7` 1 for keeping newer files, `$8` how many paths are left out, then these, then how many
/// are taken, then these, then more options.
///
/// Unpacks beside and compares; only what differs makes a change.
const UNPACK: &str = concat!(
    about_function!(),
    r#"
act=$1 archive=$2 dest=$3 mode=$4 owner=$5 group=$6 newer=$7
shift 7
case $dest in "~/"*) dest=${HOME%/}/${dest#"~/"} ;; esac
case $archive in "~/"*) archive=${HOME%/}/${archive#"~/"} ;; esac
[ -d "$dest" ] || { echo "the folder \`$dest\` is not there" >&2; exit 1; }
umask 077
place=$(mktemp -d "${TMPDIR:-/tmp}/kk-unpack.XXXXXX") || exit 1
trap 'rm -rf -- "$place"' EXIT
trap 'exit 1' HUP INT TERM
gone=
case $archive in
  "") cat >"$place/archive" || exit 1; archive=$place/archive ;;
  remove:*) archive=${archive#remove:}; gone=$archive ;;
esac
[ -f "$archive" ] || { echo "there is no archive \`$archive\`" >&2; exit 1; }
case $(od -An -N6 -tx1 <"$archive" | tr -d ' \n') in
  504b0304*|504b0506*) kind=ZipArchive ;;
  1f8b*) kind=TgzArchive packed=z ;;
  425a68*) kind=TarBzipArchive packed=j ;;
  fd377a585a00*) kind=TarXzArchive packed=J ;;
  28b52ffd*) kind=TarZstdArchive packed=zstd ;;
  *) kind=TarArchive packed= ;;
esac
left=$1
shift
if [ "$kind" = ZipArchive ]; then
  set -- "$@" --end
  out= number=0
  while [ "$number" -lt "$left" ]; do printf '%s\n' "$1" >>"$place/out"; shift; number=$((number + 1)); done
  taken=$1; shift
  number=0
  while [ "$number" -lt "$taken" ]; do printf '%s\n' "$1" >>"$place/in"; shift; number=$((number + 1)); done
  while [ "$1" != --end ]; do set -- "$@" "$1"; shift; done
  shift
  set -- "$@" "$archive"
  if [ -f "$place/in" ]; then while IFS= read -r path; do set -- "$@" "$path"; done <"$place/in"; fi
  if [ -f "$place/out" ]; then set -- "$@" -x; while IFS= read -r path; do set -- "$@" "$path"; done <"$place/out"; fi
  command -v unzip >/dev/null 2>&1 || { echo "there is no program \`unzip\`" >&2; exit 1; }
  unpack() {
    to=$1
    shift
    unzip -q -o "$@" -d "$to"
  }
else
  number=0
  : >"$place/out"
  while [ "$number" -lt "$left" ]; do printf '%s\n' "$1" >>"$place/out"; shift; number=$((number + 1)); done
  taken=$1; shift
  number=0
  : >"$place/in"
  while [ "$number" -lt "$taken" ]; do printf '%s\n' "$1" >>"$place/in"; shift; number=$((number + 1)); done
  set -- "$@" -X "$place/out"
  if [ -s "$place/in" ]; then while IFS= read -r path; do set -- "$@" "$path"; done <"$place/in"; fi
  unpack() {
    to=$1
    shift
    if [ "$packed" = zstd ]; then
      zstd -dcq <"$archive" | tar -x -f - -C "$to" "$@"
    else
      tar "-x${packed}f" "$archive" -C "$to" "$@"
    fi
  }
fi
mkdir "$place/new" && (umask 022; unpack "$place/new" "$@") || exit 1
cd -- "$place/new" || exit 1
changed=no
find . -mindepth 1 >"$place/all"
while IFS= read -r path; do
  there=$dest/${path#./}
  if [ -L "$path" ]; then
    [ -L "$there" ] && [ "$(readlink -- "$path")" = "$(readlink -- "$there")" ] && continue
  elif [ -d "$path" ]; then
    [ -d "$there" ] && continue
  else
    [ -f "$there" ] && cmp -s -- "$path" "$there" && continue
    if [ "$newer" = 1 ] && [ -e "$there" ] && [ "$there" -nt "$path" ]; then continue; fi
  fi
  changed=yes
  printf 'different=%s\n' "${path#./}"
done <"$place/all"
if [ "$changed" = yes ] && [ "$act" = do ]; then
  cd "$dest" || exit 1
  if [ "$newer" = 1 ]; then
    if [ "$kind" = ZipArchive ]; then set -- -u "$@"; else set -- --keep-newer-files "$@"; fi
  fi
  (umask 022; unpack "$dest" "$@") || exit 1
fi
dressed=
while IFS= read -r path; do
  there=$dest/${path#./}
  [ -e "$there" ] || [ -L "$there" ] || continue
  now=$(stat -c '%a %U %u %G %g' -- "$there") || exit 1
  set -- $now
  wrong=
  if [ -n "$owner" ] && [ "$owner" != "$2" ] && [ "$owner" != "$3" ]; then wrong=1; fi
  if [ -n "$group" ] && [ "$group" != "$4" ] && [ "$group" != "$5" ]; then wrong=1; fi
  case $mode in
    ""|*[!0-7]*) ;;
    *) if [ ! -L "$there" ] && [ "$1" != "$mode" ]; then wrong=1; fi ;;
  esac
  case $mode in *[!0-7]*) if [ "$changed" = yes ]; then wrong=1; fi ;; esac
  [ -n "$wrong" ] || continue
  dressed=yes
  [ "$act" = do ] || continue
  if [ -n "$owner" ]; then chown -h -- "$owner" "$there" || exit 1; fi
  if [ -n "$group" ]; then chgrp -h -- "$group" "$there" || exit 1; fi
  if [ -n "$mode" ] && [ ! -L "$there" ]; then chmod -- "$mode" "$there" || exit 1; fi
done <"$place/all"
if [ -n "$dressed" ]; then changed=yes; fi
printf 'changed=%s\nhandler=%s\n' "$changed" "$kind"
while IFS= read -r path; do
  if [ -d "$place/new/$path" ] && [ ! -L "$place/new/$path" ]; then path=$path/; fi
  printf 'file=%s\n' "${path#./}"
done <"$place/all"
if [ -n "$gone" ] && [ "$act" = do ]; then rm -f -- "$gone"; fi
about "$dest"
"#
);

struct Unarchive {
    src: String,
    is_remote: bool,
    dest: String,
    attributes: Attributes,
    keeps_newer: bool,
    lists: bool,
    exclude: Vec<String>,
    include: Vec<String>,
    options: Vec<String>,
    decrypt: bool,
    guard: Execution,
}

impl Unarchive {
    fn command(&self, act: &str, archive: &str) -> Command {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mode = self.attributes.mode.as_ref();
        let mode = mode.map_or_else(String::new, Mode::as_chmod_takes_it);
        Command::script(
            UNPACK,
            [
                act.to_owned(),
                archive.to_owned(),
                self.dest.clone(),
                mode.trim_start_matches('0').to_owned(),
                text(&self.attributes.owner),
                text(&self.attributes.group),
                u8::from(self.keeps_newer).to_string(),
                self.exclude.len().to_string(),
            ],
        )
        .args(&self.exclude)
        .arg(self.include.len().to_string())
        .args(&self.include)
        .args(&self.options)
    }

    fn run(&self, archive: &str, stdin: Option<Content>) -> Step {
        Step::Run {
            command: self.command("do", archive),
            stdin,
            timeout: None,
            any_status: false,
            purpose: format!("unpack `{}`", self.src),
        }
    }

    /// What a comparison came to.
    async fn compared(
        &self,
        look: &Look<'_>,
        archive: &str,
        bytes: Option<Bytes>,
    ) -> Result<Plan, ModuleError> {
        let command = self.command("check", archive);
        let input = bytes.clone().unwrap_or_default();
        let output = look.session.probe_with(command, input).await?;
        if !output.success() {
            let error = command_failed(&format!("look into `{}`", self.src), &output);
            let said = output.stderr_text();
            let said = if said.starts_with("the folder") {
                format!("dest '{}' must be an existing dir", self.dest)
            } else if said.starts_with("there is no archive") {
                format!("Source '{}' does not exist", self.src)
            } else {
                return Err(error);
            };
            return Err(error.only_saying(said));
        }
        let text = output.stdout_text();
        let plan = if text.lines().any(|line| line == "changed=yes") {
            let different: Vec<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("different="))
                .collect();
            let shown: Vec<&str> = different.iter().take(4).copied().collect();
            let words = match different.len() {
                0 => "mode and owner".to_owned(),
                count => format!("{} of {count} differ or are missing", shown.join(", ")),
            };
            Plan::change(words, vec![self.run(archive, bytes.map(Content::public))])
        } else {
            Plan::satisfied()
        };
        let result = self.values(&[StepOutput::Ran(output)]).0;
        Ok(Plan { result, ..plan })
    }

    fn values(&self, outputs: &[StepOutput]) -> (Map<String, Value>, Option<bool>) {
        let mut values = values_of(outputs);
        let mut changed = None;
        if let Some(StepOutput::Ran(output)) = outputs.last() {
            let text = output.stdout_text();
            let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
            changed = value("changed=").map(|changed| changed == "yes");
            values.insert("handler".to_owned(), value("handler=").into());
            if self.lists {
                let files: Vec<&str> = text
                    .lines()
                    .filter_map(|line| line.strip_prefix("file="))
                    .collect();
                values.insert("files".to_owned(), files.into());
            }
        }
        (values, changed)
    }
}

impl Module for Unarchive {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if let Some(reason) = self.guard.unneeded(look).await? {
                let said = format!("skipped, {reason}");
                return Ok(Plan::skipped(reason).with("msg", said));
            }
            let plan = if self.is_remote {
                self.compared(look, &self.src, None).await?
            } else {
                let source = match look.files.file(&self.src)? {
                    FileSource::Bytes(bytes) => Source::Bytes(Content::public(bytes)),
                    FileSource::Path(path) => {
                        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                        if size <= COMPARED {
                            Source::Bytes(encrypted::read(&path, self.decrypt)?)
                        } else {
                            Source::from_path(path, self.decrypt).await?
                        }
                    }
                };
                match source {
                    Source::Bytes(content) => self.compared(look, "", Some(content.bytes)).await?,
                    Source::File {
                        path, sha256, size, ..
                    } => {
                        let there = format!("{}/packages/{sha256}", look.session.state_dir());
                        let upload = Step::Upload {
                            source: path,
                            sha256,
                            size,
                            dest: there.clone(),
                            mode: 0o600,
                            owner: None,
                            group: None,
                        };
                        let unpack = self.run(&format!("remove:{there}"), None);
                        Plan::unknown(
                            "the archive is too big to be sent only for a comparison",
                            vec![upload, unpack],
                        )
                    }
                }
            };
            Ok(plan
                .with("src", self.src.as_str())
                .with("dest", self.dest.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let (result, changed) = self.values(outputs);
        Ok(Conclusion { result, changed })
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is_remote = arguments.boolean("remote_src", false) || !arguments.boolean("copy", true);
    let src = arguments.required_text("src")?;
    if src.contains("://") {
        return Err(
            ModuleError::failed("`src` is a URL, which is not fetched here")
                .with_hint("fetch it with `get_url` first, then use `remote_src: true`"),
        );
    }
    let filled = |name: &str| {
        let mut texts = arguments.texts(name);
        texts.retain(|text| !text.is_empty());
        texts
    };
    let (exclude, include) = (filled("exclude"), filled("include"));
    if !exclude.is_empty() && !include.is_empty() {
        return Err(ModuleError::failed(
            "`exclude` and `include` exclude each other",
        ));
    }
    let shown = Value::from(src.as_str());
    Ok(Box::new(Unarchive {
        src: if is_remote {
            host_path(&arguments, "src")?
        } else {
            src
        },
        is_remote,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
        keeps_newer: arguments.boolean("keep_newer", false),
        lists: arguments.boolean("list_files", false),
        exclude,
        include,
        options: filled("extra_opts"),
        decrypt: arguments.boolean("decrypt", true),
        guard: Execution::new(Command::new("true"), shown, &arguments),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    if given.has("copy") && given.has("remote_src") {
        return Err("`copy` and `remote_src` exclude each other".to_owned());
    }
    Ok(())
}
