# What the lab builds and keeps in its cache: the hosts' root file system, the engine's binaries, the offline packages.
# shellcheck shell=bash
#
# Each entry is a folder $CACHE/NAME-KEY, made by build_NAME in a folder aside and renamed when complete. KEY is a
# digest of the recipe: the function's own text, the support files it reads, and the keys of the entries it builds on.

ARCH=$(dpkg --print-architecture)
ENTRIES=(debs engine docker compose registry registry2 keepalived rootfs firewalls objects)
PACKAGES=(docker compose registry registry2 keepalived)

# Which entries and files a recipe depends on.
declare -A NEEDS=([engine]=debs [docker]=engine [compose]=debs [registry]=debs [registry2]=debs
  [firewalls]=rootfs)
declare -A FILES=([registry]=registry [registry2]=registry [keepalived]=keepalived [rootfs]=host)

HOST_PACKAGES=systemd,systemd-sysv,dbus,openssh-server,sudo,iptables,iproute2,iputils-ping,procps,kmod,ca-certificates
HOST_PACKAGES+=,curl,openssl,tar,gzip,xz-utils,e2fsprogs,libsystemd0,libseccomp2,libdevmapper1.02.1
FIREWALLS=(firewalld ufw)
KEEPALIVED_PACKAGES=keepalived,bash,coreutils,grep,sed,iproute2,procps,curl,base-passwd,libnss-systemd

declare -A KEYS=()
key() {
  local name=$1 dep
  if [ -z "${KEYS[$name]:-}" ]; then
    for dep in ${NEEDS[$name]:-}; do key "$dep"; done
    KEYS[$name]=$(
      {
        echo "$ARCH"
        declare -f "build_$name" registry_image archive layer mm apt_aside
        echo "$HOST_PACKAGES $KEEPALIVED_PACKAGES ${FIREWALLS[*]}"
        [ "$name" != objects ] || python3 --version
        for dep in ${NEEDS[$name]:-}; do echo "${KEYS[$dep]}"; done
        [ -z "${FILES[$name]:-}" ] || (cd "$HERE/${FILES[$name]}" && find . -type f | sort | xargs sha256sum)
      } | sha256sum | cut -c1-12
    )
  fi
}
entry() { echo "$CACHE/$1-${KEYS[$1]}"; }

log_file() {
  mkdir -p "$CACHE/logs"
  echo "$CACHE/logs/$1.log"
}

# ---------------------------------------------------------------- the cache

# Whole, and as it was built: sizes and times of all files are as recorded (a test may have written into a hard link).
complete() {
  [ -f "$(entry "$1")/.files" ] && listing "$(entry "$1")" | cmp -s - "$(entry "$1")/.files"
}
listing() { (cd "$1" && find . -type f ! -name .files -printf '%P %s %T@\n' | sort); }

ensure() {
  local name=$1 out start=$EPOCHREALTIME
  complete "$name" && return
  out=$CACHE/.tmp.$name.$$
  mkdir -p "$out"
  # Not in a condition of any kind: that would switch the recipe's "set -e" off.
  "build_$name" "$out" >"$(log_file "$name")" 2>&1
  listing "$out" >"$out/.files"
  rm -rf "$(entry "$name")"
  mv "$out" "$(entry "$name")"
  say "built $name ($(elapsed "$start") s, $(du -sh "$(entry "$name")" | cut -f1))"
}

# in_parallel CHAIN…: a chain is a list of entries, built one after the other.
in_parallel() {
  local chain name i=0 pids=() failed=()
  for chain; do
    (
      for name in $chain; do ensure "$name"; done
    ) 9>&- &
    pids+=($!)
  done
  for chain; do
    wait "${pids[i]}" || failed+=("$chain")
    i=$((i + 1))
  done
  [ ${#failed[@]} -gt 0 ] || return 0
  read -ra failed <<<"${failed[*]}"
  for name in "${failed[@]}"; do
    complete "$name" || {
      tail -n 20 "$(log_file "$name")" >&2 || true
      die "could not build $name; the whole log is $(log_file "$name")"
    }
  done
}

build_packages() { build "${PACKAGES[@]}"; }
build_all() { build "${PACKAGES[@]}" rootfs; }
build() {
  local name missing=()
  mkdir -p "$CACHE"
  for name; do complete "$name" || missing+=("$name"); done
  complete engine || missing+=(engine)
  if [ ${#missing[@]} -gt 0 ]; then
    (
      exec 8>"$CACHE/.lock"
      flock -n 8 || {
        say "waiting for another build"
        flock 8
      }
      sweep
      prepare_build
      case " ${missing[*]} " in
        *" firewalls "*) in_parallel "rootfs firewalls" ;;
        *" objects "*) in_parallel "debs engine" objects ;;
        *" rootfs "*) in_parallel rootfs "debs engine docker compose registry registry2 keepalived" ;;
        *) in_parallel "debs engine docker compose registry registry2 keepalived" ;;
      esac
    ) 9>&-
  fi
  for name in "${ENTRIES[@]}"; do touch -c "$(entry "$name")"; done
}

# Remains of builds that were killed (the lock says that none is running), and entries of recipes long gone.
sweep() {
  local dir mount
  for dir in "$CACHE"/.tmp.*; do
    [ -e "$dir" ] || continue
    awk -v a="$dir/" 'index($2, a) == 1 { print $2 }' /proc/mounts | tac |
      while IFS= read -r mount; do umount -l "$mount" || true; done
    rm -rf --one-file-system "$dir"
  done
  find "$CACHE" -mindepth 1 -maxdepth 1 -type d -name '*-*' -mtime +14 -exec rm -rf {} +
}

MIRROR=
prepare_build() {
  local missing=() tool
  for tool in mmdebstrap:mmdebstrap pigz:pigz xz:xz-utils; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
  done
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
  apt_update
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
  # The archive this machine itself installs from.
  # shellcheck disable=SC2016
  MIRROR=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "main" && $4 !~ /-security|-updates|-backports/ { print $1; exit }')
  MIRROR=${MIRROR%/}
  [ -n "$MIRROR" ] || die "no Debian archive in this machine's apt sources"
}

# ---------------------------------------------------------------- recipes: build_NAME FOLDER

# Debian packages of three releases: docker of trixie, compose of sid, and what must fit bookworm from bookworm.
build_debs() {
  local out=$1 apt=()
  apt_aside "$out" bookworm trixie sid
  mkdir "$out/new" "$out/old"
  (cd "$out/new" && retry "${apt[@]}" download docker.io/trixie docker-cli/trixie containerd/trixie \
    docker-registry/trixie docker-compose/sid)
  (cd "$out/old" && retry "${apt[@]}" download runc/bookworm tini/bookworm docker-registry/bookworm \
    busybox-static/bookworm libc6/bookworm ca-certificates/bookworm)
  rm -rf "$out/apt"
}

# apt_aside FOLDER SUITE…: makes the caller's `apt` an apt-get of its own, with its state in FOLDER/apt and fresh lists.
apt_aside() {
  local out=$1 suite
  shift
  mkdir -p "$out/apt/lists/partial" "$out/apt/cache/archives/partial"
  for suite; do
    echo "deb [arch=$ARCH signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $suite main"
  done >"$out/apt/sources.list"
  : >"$out/apt/status"
  apt=(apt-get -q -o "Dir::Etc::sourcelist=$out/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent
    -o "Dir::State::lists=$out/apt/lists" -o "Dir::Cache=$out/apt/cache" -o "Dir::State::status=$out/apt/status"
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false -o APT::Sandbox::User=root)
  retry "${apt[@]}" update
}

unpack() {
  local dir=$1 deb
  mkdir -p "$dir"
  shift
  for deb; do dpkg-deb -x "$deb" "$dir"; done
}

# The files of upstream's static builds (ours are dynamic: the host must have glibc 2.34, libsystemd0, libseccomp2).
build_engine() {
  local out=$1 debs x
  debs=$(entry debs)
  x=$out/x
  unpack "$x" "$debs"/new/{docker.io,docker-cli,containerd}_*.deb "$debs"/old/{runc,tini}_*.deb
  mkdir "$out/docker"
  mv "$x"/usr/sbin/{dockerd,docker-proxy,runc} "$x"/usr/bin/{docker,containerd,containerd-shim-runc-v2,ctr} "$out/docker/"
  mv "$x/usr/bin/tini-static" "$out/docker/docker-init"
  rm -rf "$x"
  chmod 755 "$out"/docker/*
  "$out/docker/containerd" --version
  "$out/docker/runc" --version
  "$out/docker/docker-init" --version
  "$out/docker/docker" --version
  "$out/docker/dockerd" --version | sed -n 's/^Docker version \([0-9.]*\).*/\1/p' >"$out/VERSION"
  [ -s "$out/VERSION" ]
}

build_docker() {
  local out=$1 engine version dir
  engine=$(entry engine)
  version=$(cat "$engine/VERSION")
  dir=$out/kubekey/docker/$version/$ARCH
  mkdir -p "$dir"
  echo "DOCKER_VERSION=$version" >"$out/versions"
  layer "$engine" docker | pigz -n >"$dir/docker-$version.tgz"
}

build_compose() {
  local out=$1 version dir
  unpack "$out/x" "$(entry debs)"/new/docker-compose_*.deb
  version=v$("$out/x/usr/libexec/docker/cli-plugins/docker-compose" version --short | sed 's/^v//; s/[-+~].*//')
  [ "$version" != v ]
  dir=$out/kubekey/image-registry/docker-compose/$version/$ARCH
  mkdir -p "$dir"
  mv "$out/x/usr/libexec/docker/cli-plugins/docker-compose" "$dir/docker-compose"
  chmod 755 "$dir/docker-compose"
  rm -rf "$out/x"
  echo "COMPOSE_VERSION=$version" >"$out/versions"
}

# The newest layout `docker save` writes (an OCI layout beside manifest.json), truly gzipped.
build_registry() { registry_image "$1" "$(entry debs)"/new/docker-registry_*.deb REGISTRY_VERSION oci "pigz -n"; }
# One version older, and the layout of Docker before 25, a plain tar in spite of its name: what `docker save -o` makes.
build_registry2() { registry_image "$1" "$(entry debs)"/old/docker-registry_*.deb REGISTRY_VERSION_2 classic cat; }

# registry_image FOLDER DEB VARIABLE STYLE COMPRESSOR
registry_image() {
  local out=$1 deb=$2 variable=$3 style=$4 compress=$5 x=$1/x base=$1/base top=$1/top debs version dir lib applet
  debs=$(entry debs)
  unpack "$x" "$deb" "$debs"/old/{busybox-static,libc6,ca-certificates}_*.deb
  mkdir -p "$base"/{bin,etc/ssl/certs,lib,lib64,tmp,root,var/lib/registry,proc,sys,dev,run} "$top"/{bin,etc/docker/registry}
  chmod 1777 "$base/tmp"
  mv "$x/bin/busybox" "$base/bin/"
  for applet in $("$base/bin/busybox" --list); do [ -e "$base/bin/$applet" ] || ln -s busybox "$base/bin/$applet"; done
  for lib in "$x"/lib/*-linux-gnu*; do
    mkdir -p "$base/lib/${lib##*/}"
    cp -a "$lib"/{ld-linux*.so.*,libc.so.6,libresolv.so.2,libnss_dns.so.2,libnss_files.so.2,libpthread.so.0} "$base/lib/${lib##*/}/"
  done
  cp -a "$x"/lib64/* "$base/lib64/" 2>/dev/null || cp -a "$x"/lib/ld-linux* "$base/lib/"
  cat "$x"/usr/share/ca-certificates/mozilla/*.crt >"$base/etc/ssl/certs/ca-certificates.crt"
  echo root:x:0:0:root:/root:/bin/sh >"$base/etc/passwd"
  echo root:x:0: >"$base/etc/group"
  echo 'hosts: files dns' >"$base/etc/nsswitch.conf"
  mv "$x/usr/bin/docker-registry" "$top/bin/registry"
  install -m 755 "$HERE/registry/entrypoint.sh" "$top/entrypoint.sh"
  install -m 644 "$HERE/registry/config.yml" "$top/etc/docker/registry/config.yml"
  # In its own root: the libraries are all there, and it says which version it is.
  cp -a "$base" "$out/try"
  cp -a "$top/." "$out/try/"
  version=$(chroot "$out/try" /bin/registry --version | awk '{ print $NF }' | sed 's/^v//; s/[-+~].*//')
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]
  dir=$out/kubekey/image-registry/docker-registry/$version/$ARCH
  mkdir -p "$dir"
  # shellcheck disable=SC2086
  archive "$style" "registry:$version" '{
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "ExposedPorts": {"5000/tcp": {}},
    "Volumes": {"/var/lib/registry": {}},
    "Entrypoint": ["/entrypoint.sh"],
    "Cmd": ["/etc/docker/registry/config.yml"]}' "$out/image" "$base" "$top" |
    $compress >"$dir/docker-registry-$version-linux-$ARCH.tgz"
  echo "$variable=$version" >"$out/versions"
  rm -rf "$x" "$base" "$top" "$out/try" "$out/image"
}

# A stand-in under the tag people have: keepalived of Debian, started the way the well-known image is started.
build_keepalived() {
  local out=$1 version=2.0.20 root=$1/root dir
  mkdir "$root"
  # No package is configured ("extract"): the few files that configuration would have made follow.
  mm "$out" --variant=extract --include="$KEEPALIVED_PACKAGES" bookworm "$out/root.tar"
  tar -C "$root" -xf "$out/root.tar"
  ln -sf bash "$root/bin/sh"
  printf '%s\n' root:x:0:0:root:/root:/bin/bash keepalived_script:x:997:997::/:/bin/sh \
    nobody:x:65534:65534:nobody:/:/bin/false >"$root/etc/passwd"
  printf '%s\n' root:x:0: keepalived_script:x:997: nogroup:x:65534: >"$root/etc/group"
  mkdir -p "$root/etc/ssl/certs"
  rm -rf "$root"/usr/share/{doc,man,locale,mime,snmp,perl*,info,lintian,bash-completion,zoneinfo} \
    "$root"/usr/lib/*/perl* "$root"/usr/bin/perl* "$root"/usr/lib/systemd "$root"/lib/systemd/system \
    "$root"/var/cache/* "$root"/var/lib/{apt,dpkg} "${root:?}/dev"
  mkdir "$root/dev"
  install -D -m 755 "$HERE/keepalived/run" "$root/container/tool/run"
  install -D -m 644 "$HERE/keepalived/keepalived.conf" "$root/container/service/keepalived/assets/keepalived.conf"
  chroot "$root" /usr/sbin/keepalived --version
  dir=$out/kubekey/image-registry/keepalived/$version/$ARCH
  mkdir -p "$dir"
  archive classic "osixia/keepalived:$version" "{
    \"Env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"LANG=C.UTF-8\"],
    \"Labels\": {\"kk-lab.stand-in\": \"keepalived $(chroot "$root" /usr/sbin/keepalived --version 2>&1 |
      sed -n '1s/^Keepalived v\([0-9.]*\).*/\1/p') of Debian\"},
    \"Entrypoint\": [\"/container/tool/run\"]}" "$out/image" "$root" |
    pigz -n >"$dir/keepalived-$version-linux-$ARCH.tgz"
  echo "KEEPALIVED_VERSION=$version" >"$out/versions"
  rm -rf "$root" "$out/root.tar" "$out/image"
}

build_rootfs() {
  mm "$1" --variant=apt --include="$HOST_PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="'$HERE/host/customize' \"\$1\"" bookworm "$1/rootfs.tar"
}

# What a host needs for each firewall, on top of what it has: a folder of packages each.
build_firewalls() {
  local out=$1 name apt=()
  apt_aside "$out" bookworm
  tar -xOf "$(entry rootfs)/rootfs.tar" ./var/lib/dpkg/status >"$out/apt/status"
  for name in "${FIREWALLS[@]}"; do
    mkdir "$out/$name"
    retry "${apt[@]}" install --yes --download-only --no-install-recommends "$name"
    mv "$out/apt/cache/archives"/*.deb "$out/$name/"
  done
  rm -rf "$out/apt"
}

# An object store: S3 by moto, which checks keys and signatures. Python's own folder of it, not this machine's.
build_objects() {
  local out=$1
  python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  python3 -m venv "$out/venv"
  retry "$out/venv/bin/pip" --no-cache-dir --disable-pip-version-check install --quiet --target "$out/python" \
    'moto[s3]>=5.2,<6' flask flask-cors
  # Nobody outside is asked; a machine that adds authorities of its own to every such file would change the entry.
  rm -rf "$out/venv" "$out/python/certifi/cacert.pem"
}

mm() {
  local tmp=$1/mm
  shift
  mkdir "$tmp"
  TMPDIR=$tmp mmdebstrap --mode=root --architectures="$ARCH" --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "3"' --aptopt='APT::Sandbox::User "root"' --dpkgopt=force-unsafe-io "$@" \
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR bookworm main"
  rm -rf --one-file-system "$tmp"
}

# A reproducible tar of one member of a folder.
layer() {
  tar -C "$1" --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$2"
}

# archive STYLE REF CONFIG WORK LAYER…: what `docker save REF` writes, on stdout. STYLE is classic (before Docker 25,
# a folder for each layer) or oci (since 25). CONFIG is the "config" part of the image, LAYER a folder.
archive() {
  local style=$1 ref=$2 config=$3 work=$4 dir diff diffs='' history='' layers='' blobs='' id size image
  shift 4
  mkdir -p "$work/out/blobs/sha256"
  for dir; do
    layer "$dir" . >"$work/layer"
    diff=$(sha256sum "$work/layer" | cut -d' ' -f1)
    size=$(stat -c %s "$work/layer")
    diffs+="${diffs:+,}\"sha256:$diff\""
    history+="${history:+,}{\"created\":\"2023-11-14T22:13:20Z\",\"created_by\":\"kk lab\"}"
    if [ "$style" = oci ]; then
      mv "$work/layer" "$work/out/blobs/sha256/$diff"
      layers+="${layers:+,}\"blobs/sha256/$diff\""
      blobs+="${blobs:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$diff\",\"size\":$size}"
    else
      id=$(printf '%s %s' "${id:-}" "$diff" | sha256sum | cut -d' ' -f1)
      mkdir "$work/out/$id"
      mv "$work/layer" "$work/out/$id/layer.tar"
      printf 1.0 >"$work/out/$id/VERSION"
      printf '{"id":"%s","created":"2023-11-14T22:13:20Z","os":"linux"}' "$id" >"$work/out/$id/json"
      layers+="${layers:+,}\"$id/layer.tar\""
    fi
  done
  printf '{"architecture":"%s","os":"linux","created":"2023-11-14T22:13:20Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}' \
    "$ARCH" "$(tr -d '\n' <<<"$config")" "$diffs" "$history" >"$work/config"
  image=$(sha256sum "$work/config" | cut -d' ' -f1)
  size=$(stat -c %s "$work/config")
  if [ "$style" = oci ]; then
    mv "$work/config" "$work/out/blobs/sha256/$image"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
      "$image" "$size" "$blobs" >"$work/manifest"
    diff=$(sha256sum "$work/manifest" | cut -d' ' -f1)
    size=$(stat -c %s "$work/manifest")
    mv "$work/manifest" "$work/out/blobs/sha256/$diff"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$work/out/oci-layout"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"docker.io/library/%s","org.opencontainers.image.ref.name":"%s"}}]}' \
      "$diff" "$size" "$ref" "${ref##*:}" >"$work/out/index.json"
    image=blobs/sha256/$image
    id=${diffs##*sha256:}
    id=${id%\"}
  else
    rmdir "$work/out/blobs/sha256" "$work/out/blobs"
    mv "$work/config" "$work/out/$image.json"
    image=$image.json
  fi
  printf '[{"Config":"%s","RepoTags":["%s"],"Layers":[%s]}]\n' "$image" "$ref" "$layers" >"$work/out/manifest.json"
  printf '{"%s":{"%s":"%s"}}\n' "${ref%:*}" "${ref##*:}" "$id" >"$work/out/repositories"
  (cd "$work/out" && tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner --format=gnu -cf - -- *)
}

# ---------------------------------------------------------------- to the tests' folder

package_versions() {
  local name
  for name in "${PACKAGES[@]}"; do cat "$(entry "$name")/versions"; done
}

# The packages as hard links into the cache (copies where that cannot be).
publish_packages() {
  local name new=$TARGET/.kubekey.$$ old=$TARGET/.kubekey.old.$$
  mkdir -p "$TARGET"
  rm -rf "$TARGET"/.kubekey.*
  mkdir "$new"
  for name in "${PACKAGES[@]}"; do
    cp -al "$(entry "$name")/kubekey/." "$new/" 2>/dev/null || cp -a "$(entry "$name")/kubekey/." "$new/"
  done
  if [ -d "$TARGET/kubekey" ]; then
    if cmp -s <(inodes "$new") <(inodes "$TARGET/kubekey"); then
      rm -rf "$new"
      return
    fi
    mv "$TARGET/kubekey" "$old"
  fi
  mv "$new" "$TARGET/kubekey"
  rm -rf "$old"
}
inodes() { (cd "$1" && find . -type f -printf '%P %i %s %T@\n' | sort); }

for name in "${ENTRIES[@]}"; do key "$name"; done
unset name
