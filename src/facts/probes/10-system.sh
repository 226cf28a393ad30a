
section identity
# What no file of the kernel says is asked of programs.
read_line /proc/sys/kernel/ostype
kernel=$line
read_line /proc/sys/kernel/osrelease
kernel="$kernel $line"
read_line /proc/sys/kernel/arch
if [ -n "$line" ]; then value kernel "$kernel $line"; else value kernel "$(uname -srm)"; fi
uid=
while read -r name _ uid _ && [ "$name" != Uid: ]; do uid=; done </proc/self/status
value uid "${uid:-$(id -u)}"
read_line /proc/sys/kernel/hostname
value hostname "$line"
read_line /etc/machine-id
value machine_id "$line"
read_line /proc/1/comm
value init "$line"
[ -d /run/systemd/system ] && value systemd yes
[ -e /run/.containerenv ] && value container podman
[ -e /.dockerenv ] && value container docker

section os-release
show /etc/os-release || show /usr/lib/os-release || sed 's/^/REDHAT_RELEASE=/' /etc/redhat-release

section processors
read_line /sys/devices/system/cpu/online
value online "$line"
[ -n "$line" ] || value counted "$(grep -c '^processor' /proc/cpuinfo)"

section memory
while read -r name line; do
  case $name in
    MemTotal: | MemFree: | MemAvailable: | Buffers: | Cached: | SwapTotal: | SwapCached: | SwapFree:)
      say "$name $line"
      ;;
  esac
  [ "$name" != SwapFree: ] || break
done </proc/meminfo

section kernel
while read -r line; do
  case $line in *overlay) value overlay yes ;; esac
done </proc/filesystems
[ -e /sys/fs/cgroup/cgroup.controllers ] && value cgroup 2
[ -d /sys/fs/cgroup/memory ] && value cgroup 1

section packages
for name in apt-get dnf yum zypper apk dpkg rpm; do
  command -v "$name" >/dev/null && value "$name" yes
done

section tools
for name in $wanted_tools; do
  path=$(command -v "$name") && value "$name" "$path"
done

section security
read_line /sys/fs/selinux/enforce
value selinux_enforce "$line"
[ -e /etc/selinux/config ] && value selinux_config yes
read_line /sys/module/apparmor/parameters/enabled
value apparmor "$line"
flush
[ ! -r /etc/ufw/ufw.conf ] || grep -i '^[[:space:]]*ENABLED=' /etc/ufw/ufw.conf
