
# What Ansible's playbooks ask for by Ansible's names. A line that may be anything begins with a blank.
section environment
printf '%s\n' "$first_environment" | sed 's/^/ /'

section user
me=$(id)
value id "$me"
name=${me#*\(}
name=${name%%\)*}
value passwd "$(getent passwd "$name" || grep "^$name:" /etc/passwd)"
value real_uid "$(id -ru)"
value real_gid "$(id -rg)"

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
value kernel_version "$(uname -v)"
value fqdn "$(limit 2 hostname -f)"
[ -e /proc/1/root/. ] && ! [ / -ef /proc/1/root/. ] && value chroot yes
grep -qw hypervisor /proc/cpuinfo && value hypervisor yes
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
grep -E '^(MemTotal|MemFree|Buffers|Cached|SwapTotal|SwapFree|SwapCached):' /proc/meminfo

section resolver
grep -E '^(nameserver|search|domain|options)' /etc/resolv.conf

section host-keys
set +f
cat /etc/ssh/ssh_host_*_key.pub

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
  [ -f "$path" ] && [ -r "$path" ] || continue
  section local-fact
  value path "$path"
  if [ -x "$path" ]; then
    said=$(limit 10 "$path") && value ran 0 || value ran "$?"
  else
    said=$(cat "$path")
  fi
  printf '%s\n' "$said" | sed 's/^/ /'
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
