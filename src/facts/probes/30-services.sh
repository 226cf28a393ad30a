
# Daemons by the name of their process: asking them would start those that wait behind a socket.
section daemons
own_namespace=$(readlink /proc/self/ns/pid)
dockerd_program=
containerd_program=
dockerd_answers=
docker_main=
# Docker itself, not an engine that some other program runs for its own purposes behind a socket of its own.
is_main_dockerd() {
  read_line /var/run/docker.pid
  [ "$1" = "$line" ] && return 0
  [ -d /run/systemd/system ] || return 1
  [ -n "$docker_main" ] || docker_main=$(limit 5 systemctl show -p MainPID docker.service)
  [ "MainPID=$1" = "$docker_main" ]
}
# The name of a process's parent as $line, from the fourth field of its state.
parent_of() {
  read_line "/proc/$1/stat"
  parent=${line##*) }
  parent=${parent#* }
  read_line "/proc/${parent%% *}/comm"
}
set +f
for process in /proc/[0-9]*; do
  [ -r "$process/comm" ] || continue
  read -r name <"$process/comm" || continue
  case $name in
    dockerd | containerd | podman | kubelet | k3s-server | k3s-agent | k0s | rke2 | kubelite | firewalld | keepalived | crio) ;;
    *) continue ;;
  esac
  number=${process#/proc/}
  namespace=$(readlink "$process/ns/pid")
  # A process of a container on this host is not this host's.
  [ -z "$namespace" ] || [ "$namespace" = "$own_namespace" ] || continue
  program=$(readlink "$process/exe")
  program=${program% (deleted)}
  case $name in
    dockerd)
      # The socket of a rootless one is its user's.
      [ -O "$process" ] || continue
      is_main_dockerd "$number" || continue
      dockerd_program=$program
      dockerd_answers=yes
      ;;
    containerd)
      # Docker's own child belongs to Docker, and one behind another socket to whoever runs it.
      [ -S /run/containerd/containerd.sock ] || continue
      parent_of "$number"
      [ "$line" = dockerd ] && continue
      containerd_program=$program
      ;;
  esac
  say "$name $number $program"
done
set -f

section units
if [ -d /run/systemd/system ]; then
  # shellcheck disable=SC2086
  limit 10 systemctl show -p Id -p LoadState -p ActiveState -p UnitFileState \
    docker.service docker.socket containerd.service kubelet.service k3s.service k3s-agent.service rke2-server.service \
    rke2-agent.service k0scontroller.service k0sworker.service crio.service podman.socket firewalld.service ufw.service nftables.service \
    harbor.service docker-registry.service registry.service keepalived.service $wanted_units
fi
section openrc
[ -d /run/openrc/started ] && ls /run/openrc/started

section kubernetes
for path in /etc/kubernetes/kubelet.conf /etc/kubernetes/manifests /var/lib/kubelet/config.yaml /etc/rancher/k3s /etc/rancher/rke2 /var/lib/k0s; do
  [ -e "$path" ] && say "$path"
done
flush
command -v kubelet
