//! What an upload does on the host, as POSIX scripts. Each is told the same first: destination, partial file, record of
//! its slices, mode, owner, group, size and sha256.

use super::super::files::{digest_function, settle_function};

/// Exit status of [`SEND`]: not all bytes arrived; the partial file stays.
pub(in crate::remote) const SHORT: u32 = 11;

/// Exit status of [`SEND`] and [`GATHER`]: what was hashed has another sha256. Nothing is taken away for that.
pub(in crate::remote) const WRONG: u32 = 12;

/// Makes room for an upload and answers how much of it is there (`have`), how much would fit (`free`, in KiB), and
/// `same` when the destination has the right bytes already, as after a run that was killed between sending and
/// whatever was to follow. Partial files of other contents for the same destination are of no use to anybody.
pub(super) const PREPARE: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
dest=$1 part=$2 record=$3 mode=$4 owner=$5 group=$6 size=$7 sum=$8 state=$9
folder=${dest%/*}
[ -n "$folder" ] || folder=/
umask 077
case $folder/ in "$state"/*) mkdir -p -- "$folder" || exit 1 ;; esac
[ -d "$folder" ] || { echo "the folder \`$folder\` is not there" >&2; exit 1; }
if [ -d "$dest" ] && [ ! -L "$dest" ]; then echo "\`$dest\` is a folder" >&2; exit 1; fi
for old in "$dest".kk-*.part; do
  case $old in
    "$part"|"$record") [ ! -f "$old" ] || [ -L "$old" ] || continue ;;
  esac
  rm -f -- "$old" || exit 1
done
have=0
if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
if [ "$have" -gt "$size" ]; then rm -f -- "$part" || exit 1; have=0; fi
[ "$have" -gt 0 ] || rm -f -- "$record"
if [ -f "$dest" ] && [ ! -L "$dest" ] && [ $(($(wc -c <"$dest"))) -eq "$size" ]; then
  found=$(digest "$dest" "$size") || exit 1
  if [ "$found" = "$sum" ]; then
    attributes "$dest"
    rm -f -- "$part" "$record"
    echo same
    exit 0
  fi
fi
printf 'have=%s\n' "$have"
[ ! -f "$record" ] || printf 'slices=%s\n' "$(tr '\n' ' ' <"$record")"
printf 'free=%s\n' "$(df -Pk "$folder" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9-]*%.*/\1/p')"
"#
);

/// Takes the rest of the file from standard input. A program writes it into the partial file, and behind it another one
/// reads and hashes what is there, from memory, while more arrives: `tee` would do both at once, in pieces of 8 KiB, and
/// costs the host more than the hash.
///
/// A program that hashes takes the end of what is there for the end of all. So it starts when it has some way to go, is
/// stopped when it comes near the one that writes, and goes on when that is far ahead or done; where they are is in
/// `/proc`. Should it overtake all the same, its answer is wrong, and the file is hashed once more when it is whole. So is
/// one that is short, and any on a host without `/proc`.
pub(in crate::remote) const SEND: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
dest=$1 part=$2 mode=$4 owner=$5 group=$6 size=$7 sum=$8 offset=$9
umask 077
: >>"$part" || exit 1
have=$(($(wc -c <"$part")))
[ "$have" -eq "$offset" ] || { echo "the partial file changed while it was looked at" >&2; exit 1; }
hasher "$size" || exit 1
gap=100663296
place() {
  { read -r _ place <"/proc/$1/fdinfo/$2"; } 2>/dev/null || place=$3
}
receive() {
  hash= is_stopped=
  trap 'kill -KILL $hash 2>/dev/null; exit 1' HUP INT TERM
  cat <&3 >>"$part" &
  writer=$!
  exec 3<&-
  while kill -0 "$writer" 2>/dev/null; do
    place "$writer" 1 0
    ahead=$place
    if [ -z "$hash" ]; then
      if [ "$ahead" -ge "$gap" ]; then $tool <"$part" & hash=$!; fi
    else
      place "$hash" 0 "$size"
      if [ "$((ahead - place))" -ge "$gap" ]; then
        [ -z "$is_stopped" ] || { kill -CONT "$hash"; is_stopped=; }
      else
        [ -n "$is_stopped" ] || { kill -STOP "$hash"; is_stopped=yes; }
      fi
    fi
    sleep 0.04
  done
  wait "$writer"
  status=$?
  if [ -n "$hash" ]; then
    [ "$status" -eq 0 ] || kill -KILL "$hash"
    [ -z "$is_stopped" ] || kill -CONT "$hash"
    wait "$hash"
  fi
  return "$status"
}
if [ "$size" -ge "$((gap + gap))" ] && [ -r /proc/self/fdinfo/0 ] && sleep 0.01 2>/dev/null; then
  found=$(receive 3<&0)
else
  cat >>"$part"
  found=
fi
have=$(($(wc -c <"$part")))
if [ "$have" -ne "$size" ]; then
  printf 'free=%s\n' "$(df -Pk "$part" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9-]*%.*/\1/p')"
  echo "only $have of $size bytes arrived" >&2
  exit 11
fi
if [ "${found%% *}" != "$sum" ]; then
  found=$(digest "$part" "$size") || exit 1
fi
if [ "${found%% *}" != "$sum" ]; then
  echo "the host has sha256 $found" >&2
  exit 12
fi
settle "$part" "$dest"
"#
);

/// Writes standard input to where a slice belongs: `$10` in MiB; `$9` is the slice's number and `$11` how many bytes it has.
/// That the file has slices is on record before, or what lies behind a hole would count as its beginning; and which
/// ones, once they are whole: this one, as far as `dd` says, and `$12` and on, which were there before.
pub(super) const SLICE: &str = r#"
part=$2 record=$3 number=$9
shift 9
start=$1 length=$2
shift 2
umask 077
: >>"$part" && : >>"$record" || exit 1
[ "$#" -eq 0 ] || printf '%s\n' "$@" >>"$record" || exit 1
said=$(dd of="$part" bs=1048576 seek="$start" conv=notrunc 2>&1) || {
  printf '%s\n' "$said" >&2
  exit 11
}
case "
$said" in
  *"
$length bytes "*) printf '%s\n' "$number" >>"$record" ;;
esac
"#;

/// Reads the starts of slices, in MiB and a line each, from the first to the last and as they have arrived; `$9` is the MiB
/// in one. Then the file is put into its place, if its sha256 is right.
pub(super) const GATHER: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
dest=$1 part=$2 record=$3 mode=$4 owner=$5 group=$6 size=$7 sum=$8 length=$9
hasher "$size" || exit 1
said=$(
  while read -r start; do
    dd if="$part" bs=1048576 skip="$start" count="$length" 2>/dev/null || exit 1
  done | $tool
) || exit 1
found=$(hash_of "$said") || exit 1
if [ "$found" != "$sum" ]; then
  echo "the host has sha256 $found" >&2
  exit 12
fi
rm -f -- "$record"
settle "$part" "$dest"
"#
);

/// Takes away what is of no use.
pub(in crate::remote) const DISCARD: &str = r#"rm -f -- "$@""#;
