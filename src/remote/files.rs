//! Files of the host: looking at one, writing a small one whole, removing.
//!
//! A file counts as absent only when the host said so (`No such file or directory`); every other failure to look is
//! an error.

use bytes::Bytes;

use super::{FileContent, Found, RemoteError, Session};
use crate::connect::{Command, Stdin};

/// Shell functions that several scripts share. `digest FILE SIZE` writes the sha256 of a file: by openssl when it is big
/// (several times faster than coreutils), by whatever is there otherwise. `hasher SIZE` sets `tool` to that program, which
/// reads standard input, and `hash_of TEXT` writes the sha256 in what it says.
macro_rules! digest_function {
    () => {
        r#"
hasher() {
  if [ "$1" -ge 4194304 ] && command -v openssl >/dev/null 2>&1; then
    tool="openssl dgst -sha256 -r"
  elif command -v sha256sum >/dev/null 2>&1; then
    tool=sha256sum
  elif command -v openssl >/dev/null 2>&1; then
    tool="openssl dgst -sha256 -r"
  elif command -v shasum >/dev/null 2>&1; then
    tool="shasum -a 256"
  else
    echo "no program for sha256: neither openssl nor sha256sum is there" >&2
    return 1
  fi
}
hash_of() {
  set -- "${1%% *}" "$1"
  [ "${#1}" -eq 64 ] || { echo "\`$tool\` said \`$2\`" >&2; return 1; }
  printf '%s\n' "$1"
}
digest() {
  hasher "$2" || return 1
  said=$($tool <"$1") || return 1
  hash_of "$said"
}
"#
    };
}
pub(crate) use digest_function;

/// `look PATH` sets `said` to lines of `key=value` about a path, `kind=absent` when it is not there, and fails when
/// that cannot be told.
macro_rules! look_function {
    () => {
        r#"
look() {
  if said=$(stat -c 'kind=%F
mode=%a
uid=%u
gid=%g
owner=%U
group=%G
links=%h
size=%s' -- "$1" 2>&1); then
    return 0
  fi
  case $said in
    *"No such file or directory"*|*"Not a directory"*) said=kind=absent ;;
    *) printf '%s\n' "$said" >&2; return 1 ;;
  esac
}
"#
    };
}

pub(crate) use look_function;

/// `missing PATH` says which folders above a path are not there.
macro_rules! missing_function {
    () => {
        r#"
missing() {
  parent=${1%/*}
  while [ -n "$parent" ] && ! [ -e "$parent" ] && ! [ -L "$parent" ]; do
    printf 'missing=%s\n' "$parent"
    parent=${parent%/*}
  done
}
"#
    };
}
pub(crate) use missing_function;

const LOOK: &str = concat!(
    digest_function!(),
    look_function!(),
    missing_function!(),
    r#"
path=$1 into=$2 follow=$3 size=$4 sum=$5 limit=$6
lines='*
*'
case $path in "~/"*) path=${HOME%/}/${path#"~/"} ;; esac
if [ -n "$into" ] && [ -d "$path" ]; then path=${path%/}/$into; fi
if [ "$follow" = 1 ] && [ -L "$path" ]; then path=$(readlink -f -- "$path") || exit 1; fi
# An answer is a line: of a path with several the asker knows what he asked for.
case $path in $lines) ;; *) printf 'path=%s\n' "$path" ;; esac
look "$path" || exit 1
about=$said
printf '%s\n' "$about"
case $about in
  kind=symbolic*)
    printf 'target=%s\n' "$(readlink -- "$path" | tr '\n' ' ' | sed 's/ $//')"
    [ -e "$path" ] || echo dangling=yes
    exit 0
    ;;
  kind=regular*) ;;
  kind=absent)
    missing "$path"
    exit 0
    ;;
  *) exit 0 ;;
esac
have=${about##*size=}
found=
if [ "$size" = any ] || [ "$size" = "$have" ]; then
  found=$(digest "$path" "$have") || exit 1
  printf 'sha256=%s\n' "$found"
fi
if [ "$limit" -gt 0 ] && [ "$have" -le "$limit" ] && { [ -z "$found" ] || [ "$found" != "$sum" ]; }; then
  echo content
  cat -- "$path" || exit 1
fi
"#
);

/// `settle NEW PATH` gives the file `NEW` the wanted `mode`, `owner` and `group` and renames it to `PATH`. Whose owner is
/// not given keeps the one that the file has now. A path that is a mount of its own (containers mount `/etc/hosts`)
/// cannot be renamed over and is written in place.
macro_rules! settle_function {
    () => {
        r#"
attributes() {
  if [ -n "$owner" ]; then chown -- "$owner" "$1" || exit 1; fi
  if [ -n "$group" ]; then chgrp -- "$group" "$1" || exit 1; fi
  chmod -- "$mode" "$1" || exit 1
}
settle() {
  if [ -f "$2" ] && [ ! -L "$2" ]; then
    now=$(stat -c '%u %g' -- "$2") || exit 1
    mine=$(stat -c '%u %g' -- "$1") || exit 1
    if [ -z "$owner" ] && [ "${now% *}" != "${mine% *}" ]; then owner=${now% *}; fi
    if [ -z "$group" ] && [ "${now#* }" != "${mine#* }" ]; then group=${now#* }; fi
  fi
  attributes "$1"
  if [ -L "$2" ] && [ -d "$2" ]; then rm -f -- "$2" || exit 1; fi
  if said=$(mv -f -- "$1" "$2" 2>&1); then
    :
  else
    case $said in *"resource busy"*) ;; *) printf '%s\n' "$said" >&2; exit 1 ;; esac
    cat -- "$1" >"$2" || exit 1
    attributes "$2"
    rm -f -- "$1"
  fi
  trap - EXIT
  if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null 2>&1; then
    restorecon -- "$2" >/dev/null 2>&1 || :
  fi
}
"#
    };
}
pub(crate) use settle_function;

/// `aside PATH FOLDER` makes an empty file `$new` that only its owner may read, in the folder given or beside the path. It
/// goes when the script ends before [`settle_function`] has put it in its place.
macro_rules! aside_function {
    () => {
        r#"
aside() {
  folder=${1%/*}
  [ -n "$folder" ] || folder=/
  [ -d "$folder" ] || { echo "the folder \`$folder\` is not there" >&2; exit 1; }
  if [ -d "$1" ] && [ ! -L "$1" ]; then echo "\`$1\` is a folder" >&2; exit 1; fi
  [ -z "$2" ] || folder=$2
  umask 077
  new=$(mktemp "${folder%/}/.kk-new.XXXXXX") || exit 1
  trap 'rm -f -- "$new"' EXIT
  trap 'exit 1' HUP INT TERM
}
"#
    };
}
pub(crate) use aside_function;

const WRITE: &str = concat!(
    aside_function!(),
    settle_function!(),
    r#"
path=$1 mode=$2 owner=$3 group=$4 size=$5
aside "$path" ""
cat >"$new" || exit 1
have=$(($(wc -c <"$new")))
[ "$have" -eq "$size" ] || { echo "only $have of $size bytes arrived" >&2; exit 1; }
settle "$new" "$path"
stat -c 'kk-about %u %g %U %G %a %s %h %F' -- "$path" 2>/dev/null || :
"#
);

const REMOVE: &str = concat!(
    look_function!(),
    r#"
path=$1
look "$path" || exit 1
case $said in
  kind=absent) exit 0 ;;
  kind=directory*)
    real=$(cd -P -- "$path" && pwd -P) || exit 1
    while read -r _ mount _; do
      case $mount in
        "$real"|"$real"/*) echo "\`$mount\` is mounted there" >&2; exit 1 ;;
      esac
    done </proc/mounts
    ;;
esac
rm -rf -- "$path"
"#
);

/// Why a path may not be removed: relative, with `..`, the root, one of its folders, or a folder of the system.
pub fn check_removable(path: &str) -> Result<(), String> {
    const SYSTEM: [&str; 23] = [
        "/etc/ssh",
        "/etc/systemd",
        "/etc/systemd/system",
        "/etc/docker",
        "/etc/ssl",
        "/etc/pam.d",
        "/usr/bin",
        "/usr/lib",
        "/usr/lib64",
        "/usr/libexec",
        "/usr/local",
        "/usr/local/bin",
        "/usr/local/lib",
        "/usr/sbin",
        "/usr/share",
        "/var/cache",
        "/var/lib",
        "/var/log",
        "/var/run",
        "/var/spool",
        "/var/tmp",
        "/root/.ssh",
        "/dev/shm",
    ];
    if !path.starts_with('/') {
        return Err(format!("`{path}` is not an absolute path"));
    }
    if path.contains('\0') || path.contains('\n') {
        return Err("the path holds a line break".to_owned());
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return Err(format!("`{path}` goes up with `..`"));
    }
    let plain = format!("/{}", parts.join("/"));
    let is_home = parts.len() == 2 && parts.first() == Some(&"home");
    if parts.len() < 2 || is_home || SYSTEM.contains(&plain.as_str()) {
        return Err(format!("`{plain}` is a folder of the system"));
    }
    Ok(())
}

impl Session {
    /// Looks at a path in one round trip: reads only.
    pub async fn look_at(&self, path: &str, content: &FileContent) -> Result<Found, RemoteError> {
        let size = match content.digest {
            None => String::new(),
            Some(None) => "any".to_owned(),
            Some(Some(size)) => size.to_string(),
        };
        let command = Command::script(
            LOOK,
            [
                path.to_owned(),
                content.into.clone().unwrap_or_default(),
                u8::from(content.follow).to_string(),
                size,
                content.unless_sha256.clone().unwrap_or_default(),
                content.limit.to_string(),
            ],
        );
        let purpose = || format!("look at `{path}`");
        let output = self.probe(command).await?;
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        Found::parse(&output.stdout, path).ok_or_else(|| {
            RemoteError::failed(purpose(), "the host's answer was not understood").with_hint(
                "something in the login shell's start files may write to standard output",
            )
        })
    }

    /// Writes a small file in one round trip: a temporary file beside it that only its owner can read, then mode,
    /// owner and rename. Without `owner` or `group` it keeps those it has. Answers what the host says about the file.
    pub async fn write_file(
        &self,
        path: &str,
        content: &Bytes,
        mode: u32,
        owner: Option<&str>,
        group: Option<&str>,
    ) -> Result<String, RemoteError> {
        let purpose = || format!("write `{path}`");
        if !path.starts_with('/') || path.ends_with('/') {
            return Err(RemoteError::failed(
                purpose(),
                "it is not an absolute path of a file",
            ));
        }
        let command = Command::script(
            WRITE,
            [
                path.to_owned(),
                format!("{mode:04o}"),
                owner.unwrap_or_default().to_owned(),
                group.unwrap_or_default().to_owned(),
                content.len().to_string(),
            ],
        );
        let output = self
            .run_reading(command, Stdin::Bytes(content.clone()))
            .await?;
        if output.success() {
            Ok(output.stdout_text())
        } else {
            Err(RemoteError::from_output(purpose(), &output))
        }
    }

    /// Removes a file, a link or a whole folder; nothing is done when nothing is there. Refuses `/`, its folders,
    /// folders of the system, and folders in which something is mounted.
    pub async fn remove(&self, path: &str) -> Result<(), RemoteError> {
        let purpose = || format!("remove `{path}`");
        check_removable(path).map_err(|reason| RemoteError::failed(purpose(), reason))?;
        let output = self
            .run(
                Command::script(REMOVE, [path.trim_end_matches('/')]),
                Bytes::new(),
            )
            .await?;
        if output.success() {
            return Ok(());
        }
        let error = RemoteError::from_output(purpose(), &output);
        Err(if output.stderr_text().contains("is mounted there") {
            error.with_hint("unmount it first; what is mounted may be somebody's data")
        } else {
            error
        })
    }
}
