
section programs
programs=
for name in docker dockerd containerd podman; do
  path=$(command -v "$name") || continue
  case $path in /*) ;; *) continue ;; esac
  real=$(readlink -f "$path") || real=$path
  say "$name $path $real"
  programs="$programs $path"
  [ "$real" = "$path" ] || programs="$programs $real"
  [ "$name" = docker ] && docker_program=$path && docker_real=$real
  [ "$name" = dockerd ] && : "${dockerd_program:=$path}"
  [ "$name" = containerd ] && : "${containerd_program:=$path}"
done
for path in $dockerd_program $containerd_program; do
  case " $programs " in *" $path "*) ;; *) programs="$programs $path" ;; esac
done

# podman may stand in for docker: a link to it or a small script. It is not run, because it makes folders.
docker_stand_in=
case $docker_real in
  */podman*) docker_stand_in=podman ;;
  ?*) head -c 400 "$docker_real" | grep -q podman && docker_stand_in=podman ;;
esac

# The server is asked only where it runs.
docker_version=
docker_root=
docker_containers=
if [ -n "$dockerd_answers" ] && [ -n "$docker_program" ] && [ -z "$docker_stand_in" ] && [ -S /var/run/docker.sock ]; then
  docker_version=$(limit 5 docker version --format '{{.Server.Version}}')
fi
if [ -n "$docker_version" ]; then
  docker_root=$(limit 5 docker info --format '{{.DockerRootDir}}')
  docker_containers=$(limit 5 docker ps -a --no-trunc --format '{{.Names}}|{{.Image}}|{{.Status}}|{{.Ports}}|{{.Label "com.docker.compose.project"}}|{{.Mounts}}')
fi
case $docker_root in
  /*) ;;
  *) docker_root=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json) ;;
esac

section engines
value docker_stand_in "$docker_stand_in"
value docker_server "$docker_version"
value docker_root "$docker_root"
if [ -z "$docker_version" ] && [ -n "$dockerd_program" ]; then
  value dockerd "$(limit 5 "$dockerd_program" --version)"
fi
[ -n "$containerd_program" ] && value containerd "$(limit 5 "$containerd_program" --version)"
section containers
say "$docker_containers"

# Who brought a program: our ledger, dpkg's lists, or rpm (without rights, so that its database stays untouched).
section owners-kk
set +f
for path in $programs; do
  for ledger in /var/lib/kk/ledger/*.jsonl; do
    [ -r "$ledger" ] || continue
    grep -qF "\"$path\"" "$ledger" && say "$path"
  done
done
section owners-dpkg
if [ -n "${programs# }" ] && [ -d /var/lib/dpkg/info ]; then
  patterns=
  for path in $programs; do patterns="$patterns -e $path"; done
  # shellcheck disable=SC2086
  grep -HFx $patterns /var/lib/dpkg/info/*.list
fi
set -f
section owners-rpm
if command -v rpm >/dev/null && [ ! -d /var/lib/dpkg/info ]; then
  without_rights=
  setpriv --reuid=65534 --regid=65534 --clear-groups true && without_rights='setpriv --reuid=65534 --regid=65534 --clear-groups'
  for path in $programs; do
    # shellcheck disable=SC2086
    value "$path" "$(limit 10 $without_rights rpm -qf --qf '%{NAME}' "$path")"
  done
fi

# Compose v2 is a plugin. A docker-compose elsewhere may be the old one, which unpacks itself into /tmp: it is not run.
section compose
for path in /usr/local/lib/docker/cli-plugins /usr/local/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins /usr/libexec/docker/cli-plugins "$HOME/.docker/cli-plugins"; do
  [ -x "$path/docker-compose" ] || continue
  value "$path/docker-compose" "$(limit 5 "$path/docker-compose" version --short)"
done
