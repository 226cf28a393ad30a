
section mounts
grep -v -e ' /var/lib/kubelet/' -e ' /run/netns/' -e ' /run/docker/netns/' -e '/merged overlay ' /proc/self/mounts

# Each folder in a process of its own, because a dead network file system hangs whoever looks at it.
folder_look='
path=$1
[ -e "$path" ] && echo exists
[ -d "$path" ] && echo directory
[ -L "$path" ] && echo link
above=$path
while [ -n "$above" ] && [ ! -d "$above" ]; do above=${above%/*}; done
[ -n "$above" ] || above=/
df -Pk "$above" | sed -n "\$s/^/space /p"
df -Pi "$above" | sed -n "\$s/^/inodes /p"
[ -d "$path" ] || exit 0
ls -A "$path" | head -n 40 | sed "s/^/entry /"
if [ -d "$path/docker/registry/v2" ]; then tree=$path/docker/registry/v2
elif [ -d "$path/registry/docker/registry/v2" ]; then tree=$path/registry/docker/registry/v2
else exit 0; fi
echo "distribution $tree"
'
count_repositories='
find "$1/repositories" -maxdepth 7 -type d "(" -name _layers -o -name _uploads -o -name _manifests ")" -prune -print |
  grep -c "/_manifests\$"
'
look_at_folder() {
  section folder
  value path "$1"
  look=$(limit 5 sh -c "$folder_look" sh "$1") || value cut yes
  printf '%s\n' "$look"
  case $look in
    *distribution\ /*)
      tree=${look##*distribution }
      value repositories "$(limit 5 sh -c "$count_repositories" sh "$tree")"
      ;;
  esac
}
for folder in "$@"; do look_at_folder "$folder"; done
case $docker_root in /*) look_at_folder "$docker_root" ;; esac
# Names are separated by commas and lines.
saved_separators=$IFS
IFS=',
'
for folder in $docker_mounts; do
  case $folder in /*) look_at_folder "$folder" ;; esac
done
IFS=$saved_separators

section ledgers
set +f
for ledger in /var/lib/kk/ledger/*.jsonl; do
  [ -r "$ledger" ] || continue
  name=${ledger##*/}
  value "${name%.jsonl}" "$(grep -c . "$ledger")"
done
set -f
section leftovers
for path in /opt/harbor /opt/docker-registry /opt/keepalived /etc/systemd/system/harbor.service /etc/systemd/system/docker-registry.service /etc/docker/registry/config.yml; do
  [ -e "$path" ] && printf '%s\n' "$path"
done

section clock-end
date +%s.%N
section end
