
# What Ansible's playbooks ask for by Ansible's names. A line that may be anything begins with a blank.
indented() { while IFS= read -r line || [ -n "$line" ]; do printf ' %s\n' "$line"; done; }
section environment
printf '%s\n' "$first_environment" | indented

section user
me=$(id)
value id "$me"
name=${me#*\(}
name=${name%%\)*}
passwd=
while IFS= read -r line; do
  case $line in "$name:"*) passwd=$line && break ;; esac
done </etc/passwd
value passwd "${passwd:-$(getent passwd "$name")}"
while read -r name line _; do
  case $name in Uid:) value real_uid "$line" ;; Gid:) value real_gid "$line" && break ;; esac
done </proc/self/status

section date
date '+%Y %m %d %H %M %S %s %Z %z %A %w %W'
date -u '+%Y-%m-%dT%H:%M:%S %N'

section machine
for name in bios_date bios_vendor bios_version board_asset_tag board_name board_serial board_vendor board_version \
  chassis_asset_tag chassis_serial chassis_vendor chassis_version product_name product_serial product_uuid product_version \
  sys_vendor chassis_type; do
  read_line "/sys/class/dmi/id/$name" && value "$name" "$line"
done
for name in /proc/cmdline /proc/loadavg /proc/uptime /etc/debian_version /etc/redhat-release /proc/sys/crypto/fips_enabled; do
  read_line "$name"
  value "${name##*/}" "$line"
done
read_line /proc/sys/kernel/version
value kernel_version "$line"
value fqdn "$(limit 2 hostname -f)"
[ -e /proc/1/root/. ] && ! [ / -ef /proc/1/root/. ] && value chroot yes
grep -qwm 1 hypervisor /proc/cpuinfo && value hypervisor yes
grep -qa 'container=lxc' /proc/1/environ && value lxc yes
[ -e /dev/kvm ] && value kvm yes
[ -e /proc/xen ] && value xen yes
command -v lsb_release >/dev/null && value lsb yes
[ -e /etc/lsb-release ] && value lsb yes
for name in python3 python; do
  path=$(command -v "$name") || continue
  value python "$path"
  value python_binary "$(readlink -f "$path")"
  break
done

section processor-lines
grep -E '^(processor|vendor_id|model name|physical id|siblings|cpu cores)' /proc/cpuinfo

section memory-lines
while read -r name line; do
  case $name in
    MemTotal: | MemFree: | Buffers: | Cached: | SwapTotal: | SwapCached: | SwapFree:) printf '%s %s\n' "$name" "$line" ;;
  esac
  [ "$name" != SwapFree: ] || break
done </proc/meminfo

section resolver
while IFS= read -r line || [ -n "$line" ]; do
  case $line in nameserver* | search* | domain* | options*) printf '%s\n' "$line" ;; esac
done </etc/resolv.conf

section host-keys
set +f
for path in /etc/ssh/ssh_host_*_key.pub; do show "$path"; done

section link-details
for link in /sys/class/net/*; do
  [ -r "$link/flags" ] || continue
  read_line "$link/flags"
  details=$line
  for name in operstate address mtu type; do
    read_line "$link/$name"
    details="$details ${line:--}"
  done
  printf '%s %s\n' "${link##*/}" "$details"
done

for path in "${fact_path:-/etc/ansible/facts.d}"/*.fact; do
  [ -e "$path" ] || [ -h "$path" ] || continue
  section local-fact
  value path "$path"
  if [ ! -e "$path" ]; then
    value gone yes
    continue
  elif [ -x "$path" ]; then
    said=$(limit 10 "$path") && value ran 0 || value ran "$?"
  else
    said=$(cat "$path")
  fi
  printf '%s\n' "$said" | indented
done
set -f

section file-systems
points=
while read -r device point kind options rest; do
  case $device in /dev/loop*) continue ;; /* | *:/*) ;; *) continue ;; esac
  case $kind in squashfs | autofs) continue ;; esac
  case $point in *[!-A-Za-z0-9/._@:+]*) continue ;; esac
  printf '%s %s %s %s\n' "$device" "$point" "$kind" "$options"
  points="$points $point"
done </proc/self/mounts
section file-system-sizes
# shellcheck disable=SC2086
[ -n "$points" ] && limit 5 stat -f -c '%n %S %b %a %c %d' $points
