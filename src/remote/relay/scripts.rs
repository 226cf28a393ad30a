//! What hosts that serve and fetch do, as POSIX scripts.

/// Exit status of [`FETCH`]: this host can fetch from nobody.
pub(super) const DEAF: u32 = 21;

/// `find_keys` sets `keys` to the file of keys that this sshd looks into for the login user, and `folder` to where it is.
///
/// Which configuration sshd has is told by the program that listens: it is above this session. Root may ask sshd itself,
/// anybody may read what is written there.
macro_rules! keys_function {
    () => {
        r#"
find_keys() {
  user=$(id -un) config= above=$PPID
  home=$(getent passwd "$user" 2>/dev/null | cut -d: -f6)
  [ -n "$home" ] || home=$(awk -F: -v user="$user" '$1 == user { print $6 }' /etc/passwd)
  [ -n "$home" ] || home=$HOME
  while [ "${above:-1}" -gt 1 ]; do
    words=$(tr '\000' ' ' <"/proc/$above/cmdline" 2>/dev/null)
    case $words in
      *sshd*" -f "*) config=${words#* -f } config=${config%% *}; break ;;
    esac
    above=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$above/status" 2>/dev/null)
  done
  [ -n "$config" ] || config=/etc/ssh/sshd_config
  words=$(PATH=$PATH:/usr/sbin:/sbin; sshd -T -f "$config" -C "user=$user,host=localhost,addr=127.0.0.1" 2>/dev/null |
    sed -n 's/^authorizedkeysfile //p')
  [ -n "$words" ] || words=$(awk 'tolower($1) == "authorizedkeysfile" { print $2; exit }' "$config" \
    "${config%/*}"/sshd_config.d/*.conf 2>/dev/null)
  keys=${words%% *}
  keys=$(printf '%s\n' "${keys:-.ssh/authorized_keys}" | sed "s|%h|$home|g; s|%u|$user|g; s|%%|%|g")
  case $keys in
    none) echo "its sshd reads no file of keys" >&2; return 1 ;;
    /*) ;;
    *) keys=$home/$keys ;;
  esac
  [ ! -L "$keys" ] || keys=$(readlink -f -- "$keys") || return 1
  folder=${keys%/*}
}
"#
    };
}

/// `listen` ends when nothing has arrived on standard input for 90 seconds, or it is over.
macro_rules! listen_function {
    () => {
        r#"
listen() {
  # The program of an older BusyBox takes other words.
  if timeout 1 true 2>/dev/null; then
    while heard=$(timeout 90 head -n 1) && [ -n "$heard" ]; do :; done
  else
    while IFS= read -r heard && [ -n "$heard" ]; do :; done
  fi
}
"#
    };
}

/// Lets the key `$2` read the file `$3`, or what [`FEED`] hands over in the folder `$4`, as long as something arrives on
/// standard input; `$1` names the right. Then the file of keys is what it was: what was appended is cut off. When
/// somebody else has appended something as well, the line is filtered out. So are lines whose processes are gone.
///
/// The right reaches only what this process holds open.
pub(super) const GRANT: &str = concat!(
    keys_function!(),
    listen_function!(),
    r#"
name=$1 key=$2 file=$3 feed=$4
umask 077
if [ -n "$feed" ]; then
  tries=0
  until [ -p "$feed/1" ] && [ -p "$feed/2" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || { echo "nothing is handed over" >&2; exit 1; }
    sleep 0.1 2>/dev/null || sleep 1
  done
  serve="sh -c 'case \$SSH_ORIGINAL_COMMAND in [1-9]) exec cat $feed/\$SSH_ORIGINAL_COMMAND ;; esac'"
else
  exec 4<"$file" || exit 1
  [ -r "/proc/$$/fd/4" ] || { echo "it has no /proc" >&2; exit 1; }
  serve="cat /proc/$$/fd/4"
fi
find_keys || exit 1
end=$(unset TZ; date -d "@$(($(date +%s) + 7200))" +%Y%m%d%H%M%S) || exit 1
here=$(uname -n | tr -cd 'A-Za-z0-9')
mark=kk-relay-$here-$$-$name
alone() {
  if command -v flock >/dev/null 2>&1; then exec 5<"$folder" && flock 5; fi
}
together() {
  exec 5<&-
}
drop() {
  cp -p -- "$keys" "$keys.kk-relay" && sed "/ $1\$/d" "$keys" >"$keys.kk-relay" && mv -f -- "$keys.kk-relay" "$keys" ||
    rm -f -- "$keys.kk-relay"
}
give_back() {
  trap '' HUP INT TERM PIPE
  alone
  now=$(($(wc -c <"$keys")))
  if [ "$now" -eq "$((before + ${#line} + ${#gap} + 1))" ] && [ "$(tail -n 1 -- "$keys")" = "$line" ]; then
    dd if=/dev/null of="$keys" bs=1 seek="$before" 2>/dev/null
  else
    drop "$mark"
  fi
  # The last one makes it what it was before the first.
  if ! grep -q -e ' kk-relay-[A-Za-z0-9]*-[0-9]*-[0-9a-f]*$' -- "$keys"; then
    now=$(($(wc -c <"$keys")))
    case $was in
      no-*) [ "$now" -ne 0 ] || rm -f -- "$keys" ;;
      *[!0-9]*) ;;
      *) [ "$now" -ne "$((was + 1))" ] || dd if=/dev/null of="$keys" bs=1 seek="$was" 2>/dev/null ;;
    esac
  fi
  together
  [ "$was" != no-folder ] || rmdir -- "$folder" 2>/dev/null
}
was=
if [ ! -d "$folder" ] && mkdir -- "$folder"; then was=no-folder; fi
alone
if [ -f "$keys" ]; then
  # Another right may be there: what was before the first stands beside each.
  was=$(sed -n 's/.* kk-was-\([a-z0-9-]*\) kk-relay-[A-Za-z0-9]*-[0-9]*-[0-9a-f]*$/\1/p' "$keys" | head -n 1)
  # Homes may be shared by hosts; a process of another one cannot be looked at.
  for old in $(sed -n "s/.* kk-relay-$here-\([0-9]*-[0-9a-f]*\)$/\1/p" "$keys"); do
    [ -d "/proc/${old%-*}" ] || drop "kk-relay-$here-$old"
  done
  was=${was:-$(($(wc -c <"$keys")))}
else
  was=${was:-no-file}
fi
: >>"$keys" || exit 1
line="restrict,expiry-time=\"$end\",command=\"$serve\" $key kk-was-$was $mark"
before=$(($(wc -c <"$keys"))) gap=
if [ -n "$(tail -c 1 -- "$keys")" ]; then
  gap='
'
fi
trap give_back EXIT
trap 'exit 1' HUP INT TERM PIPE
printf '%s%s\n' "$gap" "$line" >>"$keys" || exit 1
together
listen
"#
);

/// Exit status of [`AWAIT`]: it is not there yet.
pub(super) const NOT_YET: u32 = 3;

/// Waits, not long, until the right `$1` is there.
pub(super) const AWAIT: &str = concat!(
    keys_function!(),
    r#"
find_keys || exit 1
tries=0
until grep -q -e " kk-relay-[A-Za-z0-9]*-[0-9]*-$1\$" -- "$keys" 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -le 20 ] || exit 3
  sleep 0.05 2>/dev/null || { sleep 1; tries=$((tries + 19)); }
done
"#
);

/// Hands over the file `$2` to the user `$3` by two named pipes in the folder `$1`, again and again, as long as something
/// arrives on standard input. Each pipe is for one reader: one that is still there must not be told more.
pub(super) const FEED: &str = concat!(
    listen_function!(),
    r#"
folder=$1 file=$2 user=$3
umask 077
# Numbers of processes are given again: one is known by when it began as well.
began() {
  read -r said <"/proc/$1/stat" || return 1
  set -- ${said##*) }
  began=${20}
}
stop_writer() {
  if read -r writer since <"$1" && began "$writer" && [ "$began" = "$since" ]; then kill "$writer"; fi
}
for old in /tmp/kk-relay-*; do
  if [ -d "$old" ] && [ ! -L "$old" ] && [ -O "$old" ] && read -r holder <"$old/holder" && [ ! -d "/proc/$holder" ]; then
    # Somebody who was killed could not end these.
    for writer in "$old"/writer.*; do stop_writer "$writer"; done
    rm -rf -- "$old"
  fi
done 2>/dev/null
exec 4<"$file" || exit 1
mkdir -- "$folder" || exit 1
loops=
clean() {
  trap '' HUP INT TERM PIPE
  for loop in $loops; do kill "$loop" 2>/dev/null; done
  for writer in "$folder"/writer.*; do stop_writer "$writer"; done 2>/dev/null
  rm -rf -- "$folder"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM PIPE
echo "$$" >"$folder/holder" && chmod 711 "$folder" || exit 1
hand_over() {
  pipe=$folder/$1
  while kill -0 "$$"; do
    mkfifo -m 600 "$pipe.new" && chown -- "$user" "$pipe.new" && mv -f -- "$pipe.new" "$pipe" || { kill "$$"; exit 1; }
    cat /proc/self/fd/4 >"$pipe" &
    began "$!"
    echo "$! $began" >"$folder/writer.$1"
    wait "$!"
  done
}
for number in 1 2; do
  hand_over "$number" </dev/null >/dev/null 2>&1 &
  loops="$loops $!"
done
listen
"#
);

/// Takes the rest of a file from a neighbour. The first nine words are those of the script `${16}`, which takes it from
/// standard input; then host, port, user, host key, the types of that key, and what is asked for; `${17}` is where the
/// agent listens.
///
/// A neighbour that sends nothing for a minute, or more than the file has, is not listened to any longer; nor is any once
/// standard input ends: then nobody waits for the file, and the next run may be about to write it.
pub(super) const FETCH: &str = r#"
part=$2 size=$7 offset=$9
host=${10} port=${11} login=${12} key=${13} kinds=${14} asked=${15} send=${16} socket=${17}
command -v ssh >/dev/null 2>&1 || { echo "there is no \`ssh\` on it" >&2; exit 21; }
[ -n "$socket" ] && [ -S "$socket" ] && [ -w "$socket" ] || {
  echo "its sshd forwards no agent to this user" >&2
  exit 21
}
umask 077
exec 3<&0
known=${part%.part}.known.part
trap 'rm -f -- "$known"' EXIT
trap 'exit 1' HUP INT TERM
printf 'kk-relay %s\n' "$key" >"$known" || exit 1
named=$(printf '%s' "$known" | sed 's/%/%%/g')
fetch() {
  SSH_AUTH_SOCK=$socket ssh -F /dev/null -a -x -T -p "$port" -l "$login" \
    -o BatchMode=yes -o StrictHostKeyChecking=yes -o HostKeyAlias=kk-relay -o "HostKeyAlgorithms=$kinds" \
    -o "UserKnownHostsFile=\"$named\"" -o GlobalKnownHostsFile=/dev/null -o CheckHostIP=no -o UpdateHostKeys=no \
    -o VerifyHostKeyDNS=no -o NoHostAuthenticationForLocalhost=no \
    -o PreferredAuthentications=publickey -o IdentityFile=none -o IdentitiesOnly=no \
    -o ControlMaster=no -o ControlPath=none -o ProxyCommand=none -o PermitLocalCommand=no -o ClearAllForwardings=yes \
    -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -o LogLevel=ERROR -o Compression=no \
    -o Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr \
    -- "$host" "$asked" </dev/null &
  client=$!
  while sleep 1 && kill -0 "$client"; do
    now=$(($(wc -c <"$part")))
    if [ "$now" = "$last" ]; then still=$((still + 1)); else still=0 last=$now; fi
    # The beginning that is here already comes as well and is thrown away: a second more for each MiB of it.
    if [ "$still" -ge "$((60 + offset / 1048576))" ] || [ "$now" -gt "$size" ]; then kill "$client"; fi
  done </dev/null >/dev/null 2>&1 &
  watch=$!
  {
    read -r _ <&3
    kill "$client"
  } </dev/null >/dev/null 2>&1 &
  end=$!
  wait "$client"
  kill "$watch" "$end"
}
last= still=0
: >>"$part" || exit 1
take() {
  sh -c "$send" sh "$@"
}
if [ "$offset" -gt 0 ]; then
  fetch | tail -c "+$((offset + 1))" | take "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9"
else
  fetch | take "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9"
fi
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// Starts [`FEED`], and waits until it hands over.
    fn feed(folder: &Path, file: &Path, user: &str) -> Child {
        let child = Command::new("sh")
            .args(["-c", FEED, "feed"])
            .args([folder.as_os_str(), file.as_os_str(), user.as_ref()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        until("it hands over", || folder.join("writer.2").exists());
        child
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(10), "{what}: never");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes that wait for a reader of a pipe.
    fn writers(folder: &Path) -> Vec<u32> {
        let writer = |number| {
            let text = std::fs::read_to_string(folder.join(format!("writer.{number}"))).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        (1..=2).filter_map(writer).collect()
    }

    fn runs(process: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    #[test]
    fn what_a_killed_one_left_is_ended_by_the_next() {
        let me = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(me).unwrap().trim().to_owned();
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = |name: &str| format!("/tmp/kk-relay-test{}{name}", std::process::id());
        let (first, second) = (of("a"), of("b"));
        let (first, second) = (Path::new(&first), Path::new(&second));
        let mut killed = feed(first, file.path(), &user);
        until("both", || writers(first).len() == 2);
        let left = writers(first);
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(left.iter().copied().all(runs), "{left:?}");
        let mut next = feed(second, file.path(), &user);
        until("they end", || !left.iter().copied().any(runs));
        assert!(!first.exists());
        // This one ends with its input, and everything of it.
        let mine = writers(second);
        drop(next.stdin.take());
        assert!(next.wait().unwrap().success());
        until("mine end", || !mine.iter().copied().any(runs));
        assert!(!second.exists());
    }
}
