//! What is done on the host with many paths, as POSIX scripts. Programs are started for hundreds of paths at once, not for each.

use super::super::files::{digest_function, missing_function, settle_function};

/// Exit status of [`APPLY`]: what arrived is not what was to be sent. Nothing was done with it.
pub(super) const WRONG: u32 = 12;

/// Reads a line for each path: the size of the file that it is to be, or `-`, and the path, in which a line break is `\n`
/// and a backslash is two. Says which programs are there, the home folder, and of each path by its number, in any order:
///
/// - `0:uid:gid:owner:group:mode:links:size:kind`, or `0-` when it is not there
/// - `0>target` of a link
/// - `0#sha256` of a file that has the size it is to have
///
/// Of the first one also which folders above it are not there.
///
/// That a path is not there is said by `stat`: what cannot be looked at is no absence.
pub(super) const LOOK: &str = concat!(
    digest_function!(),
    missing_function!(),
    r#"
line_break='
'
first=0
sizes=
present() {
  number=$first
  numbers=
  wanted=
  rest=$sizes
  for path; do
    shift
    size=${rest%% *}
    rest=${rest#* }
    if [ -e "$path" ] || [ -L "$path" ]; then
      set -- "$@" "$path"
      numbers="$numbers$number "
      wanted="$wanted$size "
    fi
    number=$((number + 1))
  done
  [ "$#" -gt 0 ] || return 0
  said=$(stat -c '%u:%g:%U:%G:%a:%h:%s:%F' -- "$@" 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
  to_hash=
  total=0
  for path; do
    shift
    line=${said%%"$line_break"*}
    said=${said#*"$line_break"}
    number=${numbers%% *}
    numbers=${numbers#* }
    size=${wanted%% *}
    wanted=${wanted#* }
    printf '%s:%s\n' "$number" "$line"
    case $line in
      *:symbolic*) printf '%s>%s\n' "$number" "$(readlink -- "$path" | tr '\n' ' ' | sed 's/ $//')" ;;
      *":$size:regular"*)
        set -- "$@" "$path"
        to_hash="$to_hash$number "
        total=$((total + size))
        ;;
    esac
  done
  [ "$#" -gt 0 ] || return 0
  hasher "$total" || exit 1
  said=
  # A line break in a name would be one in what the program says.
  case $* in
    *"$line_break"*) ;;
    *) said=$($tool "$@") || exit 1 ;;
  esac
  for path; do
    number=${to_hash%% *}
    to_hash=${to_hash#* }
    if [ -n "$said" ]; then
      line=${said%%"$line_break"*}
      said=${said#*"$line_break"}
      found=${line#\\}
      found=${found%% *}
      [ "${#found}" -eq 64 ] || { echo "\`$tool\` said \`$line\`" >&2; exit 1; }
    else
      found=$(digest "$path" "$total") || exit 1
    fi
    printf '%s#%s\n' "$number" "$found"
  done
}
absent() {
  number=$first
  numbers=
  for path; do
    shift
    if ! [ -e "$path" ] && ! [ -L "$path" ]; then
      set -- "$@" "$path"
      numbers="$numbers$number "
    fi
    number=$((number + 1))
  done
  [ "$#" -gt 0 ] || return 0
  said=$(stat -- "$@" 2>&1 >/dev/null)
  count=0
  rest=$said$line_break
  while [ -n "$rest" ]; do
    case ${rest%%"$line_break"*} in
      *"No such file or directory"|*"Not a directory") count=$((count + 1)) ;;
    esac
    rest=${rest#*"$line_break"}
  done
  [ "$count" -eq "$#" ] || { printf '%s\n' "$said" >&2; exit 1; }
  for number in $numbers; do printf '%s-\n' "$number"; done
}
for program in tar gzip xargs; do
  if command -v "$program" >/dev/null 2>&1; then printf 'has=%s\n' "$program"; fi
done
printf 'home=%s\n' "$HOME"
top=
while IFS= read -r line; do
  path=${line#* }
  case $path in *\\*) path=$(printf '%b.' "$path"); path=${path%.} ;; esac
  case $path in "~/"*) path=${HOME%/}/${path#"~/"} ;; esac
  [ -n "$top" ] || top=$path
  set -- "$@" "$path"
  sizes="$sizes${line%% *} "
  if [ "$#" -ge 200 ]; then
    present "$@"
    absent "$@"
    first=$((first + $#))
    sizes=
    set --
  fi
done
if [ "$#" -gt 0 ]; then
  present "$@"
  absent "$@"
fi
missing "$top"
"#
);

/// `$1` a folder that is there, `$2` how many bytes the files have, `$3` `gzip` when the archive is compressed. Reads the
/// archive that [`archive`](super::archive) packs and does what its [`list`](super::list) says.
pub(super) const APPLY: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
top=$1 total=$2 how=$3
line_break='
'
umask 077
near=
# Other machines may have the folder as well, and other processes of that number.
read -r machine 2>/dev/null </proc/sys/kernel/hostname || machine=
new=.kk-new.$machine.
# Whoever was killed could not take away its own.
sweep() {
  for old in "${1%/}/$new"*.??????; do
    holder=${old##*/"$new"}
    holder=${holder%.*}
    case $holder in ""|*[!0-9]*) continue ;; esac
    [ -d "$old" ] && [ ! -L "$old" ] && [ -O "$old" ] || continue
    kill -0 "$holder" 2>/dev/null || rm -rf -- "$old"
  done
}
sweep "$top"
stage=$(mktemp -d "${top%/}/$new$$.XXXXXX" 2>/dev/null) || stage=$(mktemp -d) || exit 1
trap 'cd /; rm -rf -- "$stage" ${near:+"$near"}' EXIT
trap 'exit 1' HUP INT TERM
own_user=$(id -u) && own_group=$(id -g) || exit 1
chmod -- g-s "$stage" && chgrp -- "$own_group" "$stage" && device=$(stat -c %d -- "$stage") || exit 1
unpack() {
  if [ "$how" = gzip ]; then gzip -dc | tar -xomf -; else tar -xomf -; fi
}
cd -- "$stage" || exit 1
said=$(unpack 2>&1) && [ -f list ] || { printf '%s\n' "$said" "not all arrived" >&2; exit 11; }
cat >/dev/null
if [ -s names ]; then
  hasher "$total" || exit 1
  found=$(xargs $tool <names | sed 's/^\\//; s/ .*//')
  [ "$found" = "$(cat hashes)" ] || { echo "what arrived is not what was to be sent" >&2; exit 12; }
fi
give() {
  if [ -n "$owner" ]; then chown -h -- "$owner" "$@" || exit 1; fi
  if [ -n "$group" ]; then chgrp -h -- "$group" "$@" || exit 1; fi
  if [ -n "$mode" ]; then chmod -- "$mode" "$@" || exit 1; fi
}
# One by one, also where a file is a mount of its own.
place() {
  for file; do
    [ -e "$file" ] || continue
    ( settle "$file" "${rest%/}/${file##*/}" ) || exit 1
  done
}
perform() {
  case $what in
    folder)
      for path; do
        shift
        [ -d "$path" ] || set -- "$@" "$path"
      done
      if [ "$#" -gt 0 ]; then
        mkdir -- "$@" || exit 1
        give "$@"
        for last; do :; done
      fi
      ;;
    there)
      give "$@"
      for last; do :; done
      ;;
    link)
      ln -sfn -- "$rest" "$1" || exit 1
      last=$1
      ;;
    file|odd)
      case $owner in =*) owner=${owner#=}; [ "$owner" != "$own_user" ] || owner= ;; esac
      case $group in =*) group=${group#=}; [ "$group" != "$own_group" ] || group= ;; esac
      if [ -z "$group" ] && [ -g "$rest" ]; then group=$(stat -L -c %g -- "$rest") || exit 1; fi
      now=$(stat -L -c %d -- "$rest") || exit 1
      if [ "$now" != "$device" ]; then
        sweep "$rest"
        near=$(mktemp -d "${rest%/}/$new$$.XXXXXX") || exit 1
      fi
      # Here nobody else can put a link in a file's place. `mv` keeps mode and owner.
      [ "$what" = odd ] || give "$@"
      if [ "$what" = odd ]; then
        for path; do
          shift
          number=${path%% *}
          give "odd/$number"
          mkdir -- "${near:-.}/odd.$number" && mv -f -- "odd/$number" "${near:-.}/odd.$number/${path#* }" || exit 1
          set -- "$@" "${near:-.}/odd.$number/${path#* }"
        done
      elif [ -n "$near" ]; then
        mv -f -- "$@" "$near/" || exit 1
        for path; do
          shift
          set -- "$@" "$near/${path##*/}"
        done
      fi
      mv -f -- "$@" "${rest%/}/" 2>/dev/null || place "$@"
      for path; do
        shift
        set -- "$@" "${rest%/}/${path##*/}"
      done
      for last; do :; done
      if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null 2>&1; then
        restorecon -- "$@" >/dev/null 2>&1 || :
      fi
      [ -z "$near" ] || rm -rf -- "$near"
      near=
      ;;
  esac
}
last=
set --
while IFS= read -r line; do
  case $line in
    " "*)
      path=${line# }
      case $path in *\\*) path=$(printf '%b.' "$path"); path=${path%.} ;; esac
      set -- "$@" "$path"
      if [ "$#" -ge 200 ]; then
        perform "$@"
        set --
      fi
      ;;
    *)
      [ "$#" -eq 0 ] || perform "$@"
      set --
      what=${line%%:*} rest=${line#*:}
      mode=${rest%%:*} rest=${rest#*:}
      owner=${rest%%:*} rest=${rest#*:}
      group=${rest%%:*} rest=${rest#*:}
      case $rest in *\\*) rest=$(printf '%b.' "$rest"); rest=${rest%.} ;; esac
      ;;
  esac
done <list
[ "$#" -eq 0 ] || perform "$@"
[ -z "$last" ] || stat -c 'kk-about %u %g %U %G %a %s %h %F' -- "$last" 2>/dev/null || :
"#
);
