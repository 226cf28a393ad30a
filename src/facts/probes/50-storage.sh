
section mounts
grep -v -e ' /var/lib/kubelet/' -e ' /run/netns/' -e ' /run/docker/netns/' -e '/merged overlay ' /proc/self/mounts

# Each folder in a process of its own, because a dead network file system hangs whoever looks at it.
# shellcheck disable=SC2016
folder_look='
path=$1
[ -e "$path" ] && echo exists
[ -d "$path" ] && echo directory
if [ -d "$path/docker/registry/v2" ]; then echo "distribution $path/docker/registry/v2"
elif [ -d "$path/registry/docker/registry/v2" ]; then echo "distribution $path/registry/docker/registry/v2"; fi
above=$path
while [ -n "$above" ] && [ ! -d "$above" ]; do above=${above%/*}; done
[ -n "$above" ] || above=/
echo "=space"
df -Pk "$above"
echo "=inodes"
df -Pi "$above"
echo "=entries"
[ "$path" = / ] || [ ! -d "$path" ] || ls -A "$path" | head -n 40
'
# shellcheck disable=SC2016
count_repositories='
find "$1/repositories" -maxdepth 7 -type d "(" -name _layers -o -name _uploads -o -name _manifests ")" -prune -print |
  grep -c "/_manifests\$"
'
look_at_folder() {
  section folder
  value path "$1"
  look=$(limit 5 sh -c "$folder_look" sh "$1") || value cut yes
  case $look in
    *distribution\ /*=space*)
      tree=${look#*distribution }
      tree=${tree%%"$line_break"*}
      value repositories "$(limit 5 sh -c "$count_repositories" sh "$tree")"
      ;;
  esac
  say "$look"
}
for folder in "$@"; do look_at_folder "$folder"; done
case " $* " in
  *" $docker_root "*) ;;
  *) [ -n "$docker_root" ] && look_at_folder "$docker_root" ;;
esac
# Where our own registry keeps its images, wherever the settings say now: by its containers, and by the ledger.
set +f
data_folders=$(sed -n 's/.*"kind":"data","path":"\([^"]*\)".*/\1/p' /var/lib/kk/ledger/*.jsonl)
set -f
section own-data
say "$data_folders"
saved_separators=$IFS
IFS=$line_break
for container in $docker_containers; do
  case $container in *'|kk-registry|'*) ;; *) continue ;; esac
  IFS=,
  for folder in ${container##*|}; do
    case $folder in /*) data_folders="$data_folders$line_break$folder" ;; esac
  done
done
IFS=$line_break
looked_at="$line_break$*$line_break$docker_root$line_break"
for folder in $data_folders; do
  case $looked_at in *"$line_break$folder$line_break"*) continue ;; esac
  looked_at="$looked_at$folder$line_break"
  look_at_folder "$folder"
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
  [ -e "$path" ] && say "$path"
done
