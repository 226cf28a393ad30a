
# Daemons by the name of their process: asking them would start those that wait behind a socket.
section daemons
own_namespace=$(readlink /proc/self/ns/pid)
dockerd_program=
containerd_program=
dockerd_answers=
set +f
for process in /proc/[0-9]*; do
  [ -r "$process/comm" ] || continue
  read -r name <"$process/comm" || continue
  case $name in
    dockerd | containerd | podman | kubelet | k3s-server | k3s-agent | k0s | rke2 | kubelite | firewalld | keepalived | crio) ;;
    *) continue ;;
  esac
  namespace=$(readlink "$process/ns/pid")
  # A process of a container on this host is not this host's.
  [ -z "$namespace" ] || [ "$namespace" = "$own_namespace" ] || continue
  program=$(readlink "$process/exe")
  program=${program% (deleted)}
  printf '%s %s %s\n' "$name" "${process#/proc/}" "$program"
  case $name in
    # Only a system-wide one: the socket of a rootless one is its user's.
    dockerd) [ -O "$process" ] && dockerd_program=$program && dockerd_answers=yes ;;
    containerd) containerd_program=$program ;;
  esac
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
ls /run/openrc/started

section security
value selinux_enforce "$(first_line /sys/fs/selinux/enforce)"
[ -e /etc/selinux/config ] && value selinux_config yes
value apparmor "$(first_line /sys/module/apparmor/parameters/enabled)"
grep -i '^[[:space:]]*ENABLED=' /etc/ufw/ufw.conf

section kubernetes
for path in /etc/kubernetes/kubelet.conf /etc/kubernetes/manifests /var/lib/kubelet/config.yaml /etc/rancher/k3s /etc/rancher/rke2 /var/lib/k0s; do
  [ -e "$path" ] && printf '%s\n' "$path"
done
command -v kubelet
