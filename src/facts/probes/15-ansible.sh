
# What Ansible's playbooks ask for by Ansible's names. A line that may be anything begins with a blank.
indented() {
  # What is long is read instead: taking lines off its front is quadratic.
  if [ "${#1}" -gt 4096 ]; then
    flush
    printf '%s\n' "$1" | while IFS= read -r line; do printf ' %s\n' "$line"; done
    return
  fi
  rest=$1
  while [ -n "$rest" ]; do
    line=${rest%%"$line_break"*}
    say " $line"
    rest=${rest#"$line"}
    rest=${rest#"$line_break"}
  done
}
section environment
indented "$first_environment"

section user
while read -r name line number _; do
  case $name in
    Uid:)
      value real_uid "$line"
      value effective_uid "$number"
      me=$number
      ;;
    Gid:)
      value real_gid "$line"
      value effective_gid "$number"
      break
      ;;
  esac
done </proc/self/status
passwd=
while IFS=: read -r name line number rest; do
  [ "$number" = "$me" ] && passwd=$name:$line:$number:$rest && break
done </etc/passwd
value passwd "${passwd:-$(getent passwd "$me")}"

section machine
for name in bios_date bios_vendor bios_version board_asset_tag board_name board_serial board_vendor board_version \
  chassis_asset_tag chassis_serial chassis_vendor chassis_version product_name product_serial product_uuid product_version \
  sys_vendor chassis_type; do
  read_line "/sys/class/dmi/id/$name" && value "$name" "$line"
done
for name in /proc/loadavg /proc/uptime /etc/debian_version /etc/redhat-release /proc/sys/crypto/fips_enabled; do
  read_line "$name"
  value "${name##*/}" "$line"
done
read_line /proc/sys/kernel/version
value kernel_version "$line"
# The whole name, as Python's getfqdn finds it: by the address that the own name has. DNS is asked only when the
# file does not know it.
read_line /proc/sys/kernel/hostname
own_name=$line own_address= fqdn= count=0
while [ -n "$own_name" ] && [ "$count" -lt 500 ] && read -r address names; do
  count=$((count + 1))
  for name in ${names%%#*}; do
    [ "$name" = "$own_name" ] && own_address=$address && break 2
  done
done </etc/hosts
if [ -n "$own_address" ]; then
  while read -r address names; do
    [ "$address" = "$own_address" ] || continue
    for name in ${names%%#*}; do
      : "${fqdn:=$name}"
      case $name in *.*) fqdn=$name && break ;; esac
    done
    break
  done </etc/hosts
else
  fqdn=$(limit 2 hostname -f)
fi
value fqdn "$fqdn"
read_line /etc/nvme/hostnqn && value hostnqn "$line"
read_line /etc/iscsi/initiatorname.iscsi && value iscsi "$line"
set +f
ports=
for path in /sys/class/fc_host/*/port_name; do
  [ -r "$path" ] && read_line "$path" && ports="$ports $line"
done
value fc_ports "$ports"
set -f
[ -e /proc/1/root/. ] && ! [ / -ef /proc/1/root/. ] && value chroot yes
while IFS= read -r line || [ -n "$line" ]; do
  case $line in *container=lxc*) value lxc yes ;; esac
done </proc/1/environ
[ -e /dev/kvm ] && value kvm yes
[ -e /proc/xen ] && value xen yes
command -v lsb_release >/dev/null && value lsb yes
[ -e /etc/lsb-release ] && value lsb yes
for name in python3 python; do
  command -v "$name" >/dev/null || continue
  path=$(command -v "$name")
  value python "$path"
  if [ -h "$path" ]; then
    # What it is called is mostly known without a program: the same file beside it.
    set +f
    for line in "${path%/*}"/python[23].*[0-9]; do [ "$line" -ef "$path" ] && break; done
    set -f
    if [ "$line" -ef "$path" ] && ! [ -h "$line" ]; then path=$line; else path=$(readlink -f "$path"); fi
  fi
  value python_binary "$path"
  break
done

section resolver
while IFS= read -r line || [ -n "$line" ]; do
  case $line in nameserver* | search* | domain* | options*) say "$line" ;; esac
done </etc/resolv.conf

set +f
section link-details
here=$PWD
for link in /sys/class/net/*; do
  [ -r "$link/flags" ] || continue
  read_line "$link/flags"
  details=$line
  for name in operstate address mtu type speed; do
    read_line "$link/$name"
    details="$details ${line:--}"
  done
  bus=-
  [ -e "$link/device" ] && cd -P -- "$link/device" && bus=${PWD##*/}
  details="$details $bus"
  say "${link##*/} $details"
done
cd -- "$here" || cd /
links_are_said=yes

# The files of each block device are named and not searched for: a pattern for each costs a look at every file there is.
block_files() {
  for path in /sys/block/*; do
    [ -e "$path/size" ] || continue
    for name in size removable queue/rotational queue/scheduler queue/logical_block_size queue/hw_sector_size \
      queue/discard_granularity; do
      set -- "$@" "$path/$name"
    done
    if [ -e "$path/device" ]; then
      for name in vendor model serial sas_address sas_device_handle; do set -- "$@" "$path/device/$name"; done
    fi
    for name in "$path"/holders/* "$path"/slaves/* "$path/${path##*/}"*; do
      case $name in
        */\*) ;;
        "$path"/holders/* | "$path"/slaves/*) relations=$relations$name$line_break ;;
        *)
          [ -e "$name/start" ] || continue
          set -- "$@" "$name/start" "$name/size"
          for name in "$name"/holders/*; do [ ! -e "$name" ] || relations=$relations$name$line_break; done
          ;;
      esac
    done
  done
  # Lines of files with the names of these. Of the processors some; their lines, and no others, have a tab.
  tab='	'
  grep -sHoE "^(processor|vendor_id|model name|physical id|siblings|cpu cores)[^[:alpha:]].*|[[:space:]]hypervisor( |\$)|^[^$tab]+\$" \
    /proc/cpuinfo /proc/cmdline /etc/ssh/ssh_host_*_key.pub "$@"
}
relations=
section files
block_files
section block-links
[ -d /dev/disk ] && ls -l /dev/disk/by-id /dev/disk/by-label /dev/disk/by-uuid
section block-relations
kept=$relations

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
  indented "$said"
done
set -f

section file-systems
local_points= remote_points=
# Options as /proc/mounts has them. What shows a folder of a file system is called a bind mount.
while read -r _ _ _ name point options rest; do
  rest=${rest#*- }
  kind=${rest%% *} rest=${rest#* }
  device=${rest%% *} rest=${rest#* }
  case $device in /dev/loop*) continue ;; /* | *:/*) ;; *) continue ;; esac
  case $kind in squashfs | autofs) continue ;; esac
  case $point in *[!-A-Za-z0-9/._@:+]*) continue ;; esac
  case $rest in ro | ro,*) options=ro${options#r[ow]} ;; esac
  options=$options${rest#r[ow]}
  [ "$name" = / ] || case ,$options, in *,bind,*) ;; *) options=$options,bind ;; esac
  say "$device $point $kind $options"
  case $kind in
    ext[234] | xfs | btrfs | vfat | overlay | tmpfs | f2fs | zfs) local_points="$local_points $point" ;;
    *) remote_points="$remote_points $point" ;;
  esac
done </proc/self/mountinfo
section file-system-sizes
# What lies on another machine may not answer.
# shellcheck disable=SC2086
[ -n "$local_points" ] && stat -f -c '%n %S %b %a %c %d' $local_points
# shellcheck disable=SC2086
[ -n "$remote_points" ] && limit 5 stat -f -c '%n %S %b %a %c %d' $remote_points
