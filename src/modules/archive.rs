//! `archive`: files of the host, packed.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::attributes::{Attributes, GROUP, MODE, OWNER, about_function, values_of};
use super::copy::base_name;
use super::file_state::entries_for_new_file;
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;
use crate::remote::{FileContent, FoundKind};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "archive",
    aliases: &[],
    summary: "packs files and folders of the host into an archive on the host",
    arguments: &[
        Argument::required(
            "path",
            ArgumentKind::Texts,
            "files, folders and patterns of paths",
        ),
        Argument::optional(
            "dest",
            ArgumentKind::Path,
            "the archive; for a single path that path with the format at its end by default",
        ),
        Argument::optional(
            "format",
            ArgumentKind::Choice(&["bz2", "gz", "tar", "xz", "zip"]),
            "the format; `gz` by default. More than one file, and folders, are a tar inside it",
        ),
        Argument::optional(
            "exclude_path",
            ArgumentKind::Texts,
            "paths and patterns of paths that are left out",
        ),
        Argument::optional(
            "exclusion_patterns",
            ArgumentKind::Texts,
            "patterns of paths within the folders that are left out",
        ),
        Argument::optional(
            "force_archive",
            ArgumentKind::Boolean,
            "a single file is put into a tar too; false by default",
        ),
        Argument::optional(
            "remove",
            ArgumentKind::Boolean,
            "what was packed goes; false by default",
        ),
        MODE,
        OWNER,
        GROUP,
    ],
    examples: r"- name: the logs of the week
  community.general.archive:
    path: /var/log/app
    dest: /srv/backup/logs.tgz
    exclude_path: [/var/log/app/tmp]
",
    returns: &[
        ("state", "`archive`, `compress`, `incomplete` or `absent`"),
        ("dest", "the archive"),
        ("archived", "what was packed"),
        ("missing", "what was not there"),
        ("arcroot", "the folder that names in the archive begin at"),
        ("expanded_paths", "what the patterns stand for"),
        ("expanded_exclude_paths", "what is left out"),
        ("dest_state", "the same as `state`"),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` `check` or `do`, `$2` format, `$3` archive, `$4` 1 for a tar in any case, `$5` 1 for removing, `$6` mode, `$7` owner,
/// `$8` group, `$9` how many are left out, then these, then how many patterns, then these, then the paths.
const PACK: &str = concat!(
    about_function!(),
    r#"
act=$1 format=$2 dest=$3 force=$4 remove=$5 mode=$6 owner=$7 group=$8 count=$9
shift 9
place=$(umask 077; mktemp -d "${TMPDIR:-/tmp}/kk-pack.XXXXXX") || exit 1
trap 'rm -rf -- "$place"' EXIT
trap 'exit 1' HUP INT TERM
number=0
: >"$place/out"
: >"$place/patterns"
IFS=
while [ "$number" -lt "$count" ]; do
  for path in $1; do printf '%s\n' "${path%/}" >>"$place/out"; done
  shift
  number=$((number + 1))
done
count=$1
shift
number=0
while [ "$number" -lt "$count" ]; do printf '%s\n' "$1" >>"$place/patterns"; shift; number=$((number + 1)); done
: >"$place/paths"
for pattern; do
  for path in $pattern; do
    if [ -e "$path" ] || [ -L "$path" ]; then
      path=${path%/}
      printf 'expanded=%s\n' "$path"
      grep -qxF -e "$path" "$place/out" || printf '%s\n' "$path" >>"$place/paths"
    else
      case $path in *[*?]*) ;; *) printf 'missing=%s\n' "$path" ;; esac
    fi
  done
done
sed 's/^/left=/' "$place/out"
if ! [ -s "$place/paths" ]; then echo none=yes; exit 0; fi
root=
while IFS= read -r path; do
  folder=${path%/*}/
  if [ -z "$root" ]; then root=$folder; fi
  while [ "${folder#"$root"}" = "$folder" ]; do root=${root%/}; root=${root%/*}/; done
done <"$place/paths"
printf 'root=%s\n' "$root"
cd -- "$root" || exit 1
while IFS= read -r path; do
  find "./${path#"$root"}"
done <"$place/paths" | sed 's/^\.\///' | LC_ALL=C sort -u >"$place/all"
: >"$place/list"
while IFS= read -r path; do
  skip=
  while IFS= read -r out; do
    case $root$path in "$out"|"$out"/*) skip=1; break ;; esac
  done <"$place/out"
  while IFS= read -r pattern; do
    case $path in $pattern) skip=1; break ;; esac
    case ${path##*/} in $pattern) skip=1; break ;; esac
  done <"$place/patterns"
  if [ "$root$path" = "$dest" ]; then skip=1; fi
  [ -n "$skip" ] && continue
  printf '%s\n' "$path" >>"$place/list"
  if [ ! -d "$path" ] || [ -L "$path" ]; then printf 'archived=%s\n' "$root$path"; fi
done <"$place/all"
[ "$(wc -l <"$place/paths")" -eq 1 ] && single=$(cat "$place/paths") || single=
if [ -d "$single" ] || [ "$force" = 1 ]; then single=; fi
new=$place/archive
tarred() { tar --no-recursion -T "$place/list" -cf - || echo failed >"$place/failed"; }
if [ "$format" = zip ]; then
  command -v zip >/dev/null 2>&1 || { echo "there is no program \`zip\`" >&2; exit 1; }
  (umask 022; zip -q -X -y "$new.zip" -@ <"$place/list") || exit 1
  new=$new.zip
  echo kind=archive
elif [ "$format" = tar ]; then
  tarred >"$new"
  echo kind=archive
else
  case $format in gz) tool='gzip -n' ;; bz2) tool=bzip2 ;; xz) tool=xz ;; esac
  unset IFS
  if [ -n "$single" ]; then
    $tool -c <"$single" >"$new" || exit 1
    echo kind=compress
  else
    tarred | $tool -c >"$new" || exit 1
    echo kind=archive
  fi
fi
[ ! -e "$place/failed" ] || exit 1
changed=no
if ! [ -f "$dest" ] || ! cmp -s -- "$new" "$dest"; then changed=yes; fi
if [ "$act" = check ]; then
  if [ "$remove" = 1 ]; then changed=yes; fi
  printf 'changed=%s\n' "$changed"
  exit 0
fi
if [ "$changed" = yes ]; then
  cat -- "$new" >"$dest.kk-new" && chmod 0644 -- "$dest.kk-new" && mv -f -- "$dest.kk-new" "$dest" || exit 1
fi
before=$(stat -c '%a %u %g' -- "$dest")
if [ -n "$owner" ]; then chown -- "$owner" "$dest" || exit 1; fi
if [ -n "$group" ]; then chgrp -- "$group" "$dest" || exit 1; fi
if [ -n "$mode" ]; then chmod -- "$mode" "$dest" || exit 1; fi
[ "$before" = "$(stat -c '%a %u %g' -- "$dest")" ] || changed=yes
if [ "$remove" = 1 ]; then
  changed=yes
  while IFS= read -r path; do
    [ "$path" = "$dest" ] && continue
    case $path in ""|/|/?*/?*) ;; *) echo "\`$path\` is a folder of the system" >&2; exit 1 ;; esac
    rm -rf -- "$path" || exit 1
  done <"$place/paths"
fi
printf 'changed=%s\n' "$changed"
about "$dest"
"#
);

struct Archive {
    paths: Vec<String>,
    dest: String,
    format: String,
    force: bool,
    remove: bool,
    attributes: Attributes,
    exclude: Vec<String>,
    patterns: Vec<String>,
}

impl Archive {
    fn command(&self, act: &str) -> Command {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mode = self.attributes.mode.as_ref();
        Command::script(
            PACK,
            [
                act.to_owned(),
                self.format.clone(),
                self.dest.clone(),
                u8::from(self.force).to_string(),
                u8::from(self.remove).to_string(),
                mode.map_or_else(String::new, Mode::as_chmod_takes_it),
                text(&self.attributes.owner),
                text(&self.attributes.group),
                self.exclude.len().to_string(),
            ],
        )
        .args(&self.exclude)
        .arg(self.patterns.len().to_string())
        .args(&self.patterns)
        .args(&self.paths)
    }

    fn values(&self, text: &str) -> Result<(Map<String, Value>, bool), ModuleError> {
        let list = |key: &str| -> Vec<&str> {
            text.lines()
                .filter_map(|line| line.strip_prefix(key))
                .collect()
        };
        let first = |key: &str| list(key).first().copied();
        let missing = list("missing=");
        let mut result = Map::new();
        let state = match first("kind=") {
            None => "absent",
            Some(_) if !missing.is_empty() => "incomplete",
            Some("compress") => "compress",
            Some(_) => "archive",
        };
        for (key, value) in [
            ("missing", Value::from(missing.clone())),
            ("archived", list("archived=").into()),
            ("expanded_paths", list("expanded=").into()),
            ("expanded_exclude_paths", list("left=").into()),
            ("arcroot", first("root=").into()),
            ("dest", self.dest.as_str().into()),
            ("dest_state", state.into()),
        ] {
            result.insert(key.to_owned(), value);
        }
        result.insert("state".to_owned(), state.into());
        if first("none=").is_some() && missing.is_empty() {
            return Err(ModuleError::failed(format!(
                "Error, no source paths were found: {}",
                self.paths.join(", ")
            )));
        }
        Ok((result, first("changed=") == Some("yes")))
    }
}

impl Module for Archive {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let found = look
                .session
                .look_at(&self.dest, &FileContent::default())
                .await?;
            if found.kind == FoundKind::Directory {
                return Err(ModuleError::failed(format!("`{}` is a folder", self.dest)));
            }
            if look.check_mode {
                let output = look.session.probe(self.command("check")).await?;
                if !output.success() {
                    return Err(command_failed("pack", &output));
                }
                let (result, changed) = self.values(&output.stdout_text())?;
                let plan = if changed {
                    Plan::change("pack", Vec::new())
                } else {
                    Plan::satisfied()
                };
                return Ok(Plan { result, ..plan });
            }
            let step = Step::run(format!("pack `{}`", self.dest), self.command("do"));
            let mut plan = Plan::unknown("what is packed has to be compared", vec![step]);
            if found.kind == FoundKind::Absent {
                plan.creates = entries_for_new_file(&found.path);
            }
            Ok(plan)
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Ok(Conclusion::default());
        };
        let (mut result, changed) = self.values(&output.stdout_text())?;
        for (key, value) in values_of(outputs) {
            result.entry(key).or_insert(value);
        }
        Ok(Conclusion {
            result,
            changed: Some(changed),
        })
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let filled = |name: &str| {
        let mut texts = arguments.texts(name);
        texts.retain(|text| !text.is_empty());
        texts
    };
    let paths = filled("path");
    let format = arguments
        .filled("format")
        .unwrap_or_else(|| "gz".to_owned());
    if let Some(path) = paths.iter().find(|path| !path.starts_with('/')) {
        return Err(ModuleError::failed(format!(
            "`{path}` is not an absolute path"
        )));
    }
    let is_pattern = |path: &str| path.contains(['*', '?', '[']);
    let dest = match (arguments.filled("dest"), paths.as_slice()) {
        (Some(dest), _) => dest,
        (None, [path]) if !is_pattern(path) => {
            format!("{}.{format}", path.trim_end_matches('/'))
        }
        (None, _) => {
            return Err(ModuleError::failed(
                "Error, must specify \"dest\" when archiving multiple files or trees",
            ));
        }
    };
    if base_name(&dest).is_empty() || !dest.starts_with('/') {
        return Err(ModuleError::failed(format!(
            "`{dest}` is no absolute path of a file"
        )));
    }
    Ok(Box::new(Archive {
        paths,
        dest,
        format,
        force: arguments.boolean("force_archive", false),
        remove: arguments.boolean("remove", false),
        attributes: Attributes::from_arguments(&arguments),
        exclude: filled("exclude_path"),
        patterns: filled("exclusion_patterns"),
    }))
}
