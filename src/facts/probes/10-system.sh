
section identity
value kernel "$(uname -srm)"
value uid "$(id -u)"
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
cat /etc/os-release || cat /usr/lib/os-release || sed 's/^/REDHAT_RELEASE=/' /etc/redhat-release

section processors
read_line /sys/devices/system/cpu/online
value online "$line"
[ -n "$line" ] || value counted "$(grep -c '^processor' /proc/cpuinfo)"

section memory
grep -E '^(MemTotal|MemAvailable|SwapTotal):' /proc/meminfo

section kernel
grep -qw overlay /proc/filesystems && value overlay yes
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
grep -i '^[[:space:]]*ENABLED=' /etc/ufw/ufw.conf
