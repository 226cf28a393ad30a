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

/// Lets the key `$2` read the file `$3`, or what [`FEED`] hands over in the folder `$4`, as long as something arrives on
/// standard input; `$1` names the right. Then the file of keys is what it was: what was appended is cut off. When
/// somebody else has appended something as well, the line is filtered out. So are lines whose processes are gone.
///
/// The right reaches only what this process holds open.
pub(super) const GRANT: &str = concat!(
    keys_function!(),
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
line="restrict,expiry-time=\"$end\",command=\"$serve\" $key $mark"
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
  if [ -n "$is_made" ] && [ ! -s "$keys" ]; then rm -f -- "$keys"; fi
  together
  [ -z "$is_folder_made" ] || rmdir -- "$folder" 2>/dev/null
}
is_made= is_folder_made=
if [ ! -d "$folder" ]; then mkdir -- "$folder" || exit 1; is_folder_made=yes; fi
alone
if [ -f "$keys" ]; then
  # Homes may be shared by hosts; a process of another one cannot be looked at.
  for old in $(sed -n "s/.* kk-relay-$here-\([0-9]*-[0-9a-f]*\)$/\1/p" "$keys"); do
    [ -d "/proc/${old%-*}" ] || drop "kk-relay-$here-$old"
  done
else
  is_made=yes
fi
: >>"$keys" || exit 1
before=$(($(wc -c <"$keys"))) gap=
if [ -n "$(tail -c 1 -- "$keys")" ]; then
  gap='
'
fi
trap give_back EXIT
trap 'exit 1' HUP INT TERM PIPE
printf '%s%s\n' "$gap" "$line" >>"$keys" || exit 1
together
while :; do
  if command -v timeout >/dev/null 2>&1; then heard=$(timeout 90 head -n 1); else IFS= read -r heard || heard=; fi
  [ -n "$heard" ] || exit 0
done
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
pub(super) const FEED: &str = r#"
folder=$1 file=$2 user=$3
umask 077
for old in /tmp/kk-relay-*; do
  if [ -d "$old" ] && [ ! -L "$old" ] && [ -O "$old" ] && read -r holder <"$old/holder" && [ ! -d "/proc/$holder" ]; then
    rm -rf -- "$old"
  fi
done 2>/dev/null
exec 4<"$file" || exit 1
mkdir -- "$folder" || exit 1
loops=
clean() {
  trap '' HUP INT TERM PIPE
  for loop in $loops; do kill "$loop" 2>/dev/null; done
  for number in 1 2; do
    if read -r writer <"$folder/writer.$number"; then kill "$writer"; fi 2>/dev/null
  done
  rm -rf -- "$folder"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM PIPE
echo "$$" >"$folder/holder" && chmod 711 "$folder" || exit 1
hand_over() {
  pipe=$folder/$1
  while :; do
    mkfifo -m 600 "$pipe.new" && chown -- "$user" "$pipe.new" && mv -f -- "$pipe.new" "$pipe" || exit 1
    cat /proc/self/fd/4 >"$pipe" &
    echo "$!" >"$folder/writer.$1"
    wait "$!"
  done
}
for number in 1 2; do
  hand_over "$number" </dev/null >/dev/null 2>&1 &
  loops="$loops $!"
done
while :; do
  if command -v timeout >/dev/null 2>&1; then heard=$(timeout 90 head -n 1); else IFS= read -r heard || heard=; fi
  [ -n "$heard" ] || exit 0
done
"#;

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
