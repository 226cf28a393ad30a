# The lab's own container engine: containerd and dockerd from the offline package, on sockets and folders of their own.
# It shares nothing with another engine of this machine: no configuration, no containerd, no bridge, no firewall rules.
# shellcheck shell=bash disable=SC2153

ENGINE_SOCKET=$RUN/docker.sock

dk() { DOCKER_CONFIG=$STATE/client DOCKER_HOST=unix://$ENGINE_SOCKET "$(engine_bin)/docker" "$@" 9>&-; }
# Replaces this process, for commands whose stdin, terminal and exit code belong to the caller.
dk_exec() {
  export DOCKER_CONFIG=$STATE/client DOCKER_HOST=unix://$ENGINE_SOCKET
  exec "$(engine_bin)/docker" "$@"
}

# The binaries the running engine was started from; a newer recipe in the cache must not matter to it.
engine_bin() {
  if [ -L "$STATE/bin" ]; then echo "$STATE/bin"; else echo "$(entry engine)/docker"; fi
}

engine_alive() { [ -S "$ENGINE_SOCKET" ] && ours "$RUN/docker.pid" && dk version >/dev/null 2>&1; }

# Is the process of this pid file alive, and one of the lab's?
ours() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qaF "$RUN/" "/proc/$pid/cmdline" 2>/dev/null
}

# Fits the machine with what the lab needs and does not find.
prepare_machine() {
  local missing=() tool
  for tool in ip:iproute2 iptables:iptables ssh:openssh-client nsenter:util-linux flock:util-linux awk:mawk; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
  done
  for tool in libsystemd0 libseccomp2 ca-certificates; do
    [ -n "$(dpkg-query -W -f '${Version}' "$tool" 2>/dev/null)" ] || missing+=("$tool")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

APT_UPDATED=
apt_update() {
  [ -z "$APT_UPDATED" ] || return 0
  # One source that does not answer is no reason to stop: what is needed may well be in the others.
  retry apt-get -qq -o DPkg::Lock::Timeout=120 update >"$(log_file apt-update)" 2>&1 ||
    say "apt-get update failed ($(log_file apt-update)); going on"
  APT_UPDATED=yes
}
apt_install() {
  say "installing $*"
  apt_update
  DEBIAN_FRONTEND=noninteractive retry apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
    -o Dpkg::Use-Pty=0 install "$@" </dev/null >"$(log_file apt)" 2>&1 || {
    tail -20 "$(log_file apt)" >&2
    die "could not install $*"
  }
}
retry() {
  local try
  for try in 1 2 3; do
    "$@" && return
    [ "$try" = 3 ] || sleep $((try * 2))
  done
  return 1
}

# --privileged asks for every capability there is and fails where this machine's bounding set lacks one
# (as it does inside some virtual machines and containers): name the ones there are then.
CAPABILITIES=(CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
  SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
  SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE)
privileges() {
  local bound last i
  bound=$((16#$(awk '/^CapBnd:/ { print $2 }' /proc/self/status)))
  last=$(cat /proc/sys/kernel/cap_last_cap)
  if [ "$bound" = $(((1 << (last + 1)) - 1)) ]; then
    echo --privileged
    return
  fi
  printf '%s\n' --cap-drop ALL
  for ((i = 0; i <= last && i < ${#CAPABILITIES[@]}; i++)); do
    [ $(((bound >> i) & 1)) = 0 ] || printf '%s\n' --cap-add "${CAPABILITIES[i]}"
  done
  printf '%s\n' --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --security-opt systempaths=unconfined --device-cgroup-rule 'a *:* rwm'
  [ ! -e /dev/fuse ] || printf '%s\n' --device /dev/fuse
}

engine_up() {
  local start=$EPOCHREALTIME
  if engine_alive; then
    network_up
    return
  fi
  # Nothing, or the remains of an engine that died: what it held cannot be trusted, and is quickly made again.
  wipe
  if ip -o -4 addr show | grep -qF " $PREFIX."; then
    die "$SUBNET is in use on this machine; set KK_LAB_SUBNET to another /24"
  fi
  mkdir -p "$STATE/client" "$STATE/docker" "$STATE/containerd" "$RUN/exec"
  ln -sfn "$(entry engine)/docker" "$STATE/bin"
  cat >"$RUN/containerd.toml" <<TOML
version = 2
root = "$STATE/containerd"
state = "$RUN/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$RUN/containerd.sock"
TOML
  echo '{}' >"$RUN/daemon.json"
  daemon containerd --config "$RUN/containerd.toml"
  echo $! >"$RUN/containerd.pid"
  await "$RUN/containerd.sock" "$RUN/containerd.pid" containerd
  # No iptables, no forwarding, no default bridge: nothing of the machine's own network is touched.
  daemon dockerd --config-file "$RUN/daemon.json" --host "unix://$ENGINE_SOCKET" --pidfile "$RUN/docker.pid" \
    --containerd "$RUN/containerd.sock" --data-root "$STATE/docker" --exec-root "$RUN/exec" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$NAME" --storage-driver overlay2 \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --userland-proxy=false
  echo $! >"$RUN/dockerd.started"
  await "$ENGINE_SOCKET" "$RUN/dockerd.started" dockerd
  local limit=$((SECONDS + 30))
  until dk version >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || die "dockerd does not answer; see $STATE/dockerd.log"
    sleep 0.05
  done
  network_up
  say "engine started ($(elapsed "$start") s)"
}

# A daemon of its own session, holding none of our files or locks.
daemon() {
  local name=$1 fd
  shift
  (
    exec </dev/null >>"$STATE/$name.log" 2>&1
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
    export PATH=$STATE/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    exec setsid "$STATE/bin/$name" "$@"
  ) &
  disown
}

await() {
  local limit=$((SECONDS + 30))
  until [ -S "$1" ]; do
    if ! ours "$2" && sleep 0.2 && ! ours "$2" || [ $SECONDS -ge $limit ]; then
      tail -15 "$STATE/$3.log" >&2
      die "$3 did not start; see $STATE/$3.log"
    fi
    sleep 0.05
  done
}

network_up() {
  dk network inspect "$NAME" >/dev/null 2>&1 ||
    dk network create --driver bridge --subnet "$SUBNET" --gateway "$GATEWAY" \
      -o "com.docker.network.bridge.name=$BRIDGE" -o com.docker.network.bridge.enable_ip_masquerade=false \
      "$NAME" >/dev/null
  # The hosts are offline: what they send beyond the lab is answered with "unreachable" at once.
  ip rule list pref "$RULE_PREF" iif "$BRIDGE" 2>/dev/null | grep -q . ||
    ip rule add pref "$RULE_PREF" iif "$BRIDGE" type unreachable
  sysctl -qw "net.ipv4.conf.$BRIDGE.forwarding=1"
  # Another engine's "FORWARD DROP" would also catch frames that only cross our bridge.
  if [[ $(iptables -S FORWARD 2>/dev/null) == *"-P FORWARD DROP"* ]]; then
    iptables -C FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT 2>/dev/null ||
      iptables -I FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT
  fi
}

import_image() {
  local tar start=$EPOCHREALTIME id
  tar=$(entry rootfs)/rootfs.tar
  id=$(basename "$(entry rootfs)")
  if ! dk image inspect "$NAME/host:$id" >/dev/null 2>&1; then
    dk import --change 'CMD ["/sbin/lab-init"]' --change 'ENV container=docker' "$tar" "$NAME/host:$id" >/dev/null
    say "host image imported ($(elapsed "$start") s)"
  fi
  dk tag "$NAME/host:$id" "$NAME/host:latest"
}

engine_down() {
  local list=()
  if engine_alive; then
    mapfile -t list < <(dk ps -aq)
    [ ${#list[@]} = 0 ] || dk rm -f "${list[@]}" >/dev/null 2>&1 || true
    say "hosts removed"
    stop_daemon "$RUN/docker.pid"
  fi
  wipe
}

stop_daemon() {
  local pid i
  ours "$1" || return 0
  pid=$(cat "$1")
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((i = 0; i < 100; i++)); do
    ours "$1" || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

# Takes away whatever is left of a lab, in whatever state it died: processes, mounts, cgroups, network, folders.
wipe() {
  local pid mount path list=()
  for pid in docker.pid dockerd.started containerd.pid; do stop_daemon "$RUN/$pid"; done
  for _ in 1 2 3 4 5; do
    mapfile -t list < <(leftover_processes)
    [ ${#list[@]} -gt 0 ] || break
    kill -KILL "${list[@]}" 2>/dev/null || true
    sleep 0.1
  done
  awk -v a="$STATE/" -v b="$RUN/" 'index($2, a) == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | tac |
    while IFS= read -r mount; do umount -l "$(printf '%b' "$mount")" 2>/dev/null || true; done
  ip link delete "$BRIDGE" 2>/dev/null || true
  while ip rule del pref "$RULE_PREF" iif "$BRIDGE" 2>/dev/null; do :; done
  while iptables -D FORWARD -i "$BRIDGE" -o "$BRIDGE" -j ACCEPT 2>/dev/null; do :; done
  for path in /sys/fs/cgroup/"$NAME" /sys/fs/cgroup/*/"$NAME"; do
    [ ! -d "$path" ] || find "$path" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  rm -rf --one-file-system "$STATE" "$RUN"
}

# Shims of our containerd, and everything in our cgroup: no other process of the machine carries these marks.
leftover_processes() {
  local path
  {
    for path in /proc/[0-9]*/cmdline; do
      [[ $(tr '\0' ' ' 2>/dev/null <"$path") != *"containerd-shim"*" -address $RUN/containerd.sock "* ]] ||
        basename "$(dirname "$path")"
    done
    find /sys/fs/cgroup/"$NAME" /sys/fs/cgroup/*/"$NAME" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  } | sort -un
}
