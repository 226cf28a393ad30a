//! Ending a step whose channel was given up. Closing a channel does not end the remote command, so a second exec,
//! with the same privilege, looks for the step's wrapper and ends what runs under it.

/// `$1` and `$2` are the two halves of the wrapper's name (whole, this script would find itself), `$3` the seconds
/// between asking and killing. `$4` and `$5` are, for a step in a kept shell, that shell's process and when it started;
/// then nothing else is looked for, and what is in the process group that it leads is the step's too. Ends the descendants
/// of the wrapper and the process groups they lead; a daemon that has left both on purpose lives on.
pub(super) const STOP: &str = r#"name=$1$2
marked=
if [ -n "$4" ]; then
  # Another process that got the number since started later.
  started=$(sed -n 's/^.*) //p' 2>/dev/null <"/proc/$4/stat" | cut -d' ' -f20)
  [ "$started" = "$5" ] || exit 0
  marked=$4
else
  marked=$(grep -lF -e "$name" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3)
fi
if [ -z "$marked" ]; then
  for file in /proc/[0-9]*/cmdline; do
    if tr '\0' '\n' 2>/dev/null <"$file" | grep -qxF -e "$1$2"; then
      pid=${file#/proc/}
      marked="$marked ${pid%/cmdline}"
    fi
  done
fi
marked=$(echo $marked)
victims=
todo=$marked
while [ -n "$todo" ]; do
  next=
  for parent in $todo; do
    for child in $(grep -l "^PPid:[[:space:]]*$parent\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3); do
      case " $marked $victims " in
        *" $child "*) ;;
        *) victims="$victims $child"; next="$next $child" ;;
      esac
    done
  done
  todo=$next
done
if [ -n "$4" ]; then
  for pid in $(grep -lE "^[0-9]+ \(.*\) [^ZX] [0-9]+ $4 " /proc/[0-9]*/stat 2>/dev/null | cut -d/ -f3); do
    case " $marked $victims " in *" $pid "*) ;; *) victims="$victims $pid" ;; esac
  done
fi
send() {
  for pid in $victims; do
    kill "-$1" -- "-$pid" 2>/dev/null
    kill "-$1" "$pid" 2>/dev/null
  done
}
alive() {
  for pid in $victims; do
    # One that ended and was not collected yet does not count.
    grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" 2>/dev/null && return 0
  done
  return 1
}
[ -n "$victims" ] || exit 0
send TERM
tries=$(($3 * 5))
while [ "$tries" -gt 0 ] && alive; do
  sleep 0.2 2>/dev/null || { sleep 1; tries=$((tries - 4)); }
  tries=$((tries - 1))
done
send KILL
exit 0"#;

/// Seconds between asking a step to end and killing it.
pub(super) const GRACE_SECONDS: u64 = 5;
