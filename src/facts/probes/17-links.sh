
# What links are made of: bridges and bonds.
section made-links
set +f
for path in /sys/class/net/*/bridge /sys/class/net/*/bonding; do
  [ -e "$path" ] || continue
  link=${path%/*} details=
  case $path in
    */bridge)
      for name in bridge_id stp_state; do
        read_line "$path/$name"
        details="$details ${line:--}"
      done
      for name in "$link"/brif/*; do [ -e "$name" ] && details="$details ${name##*/}"; done
      ;;
    *)
      for name in mode miimon lacp_rate primary slaves; do
        read_line "$path/$name"
        details="$details|$line"
      done
      ;;
  esac
  say "${link##*/} ${path##*/} $details"
done
set -f
