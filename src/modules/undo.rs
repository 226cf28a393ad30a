//! Undoing what a ledger lists: which entries go, which stay and why, and the steps in an order that is safe to break
//! off anywhere. Pure, but for the scripts.

use std::collections::BTreeSet;

use super::LedgerEntry;
use crate::remote::{check_removable, look_function};

/// Three words per entry: kind and what it is about. Says for each, by number, whether it is there: `present`,
/// `absent`, `other` (something else has its name), `unknown` (Docker does not answer); for folders also what is in them.
pub(super) const PROBE: &str = concat!(
    look_function!(),
    r#"
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
export PATH
unset DOCKER_HOST DOCKER_CONTEXT
engine=none
if command -v docker >/dev/null 2>&1; then
  if all=$(docker ps --all --quiet 2>/dev/null); then
    engine=up
    echo "containers $(printf '%s' "$all" | grep -c .)"
  else
    engine=down
  fi
fi
echo "engine $engine"
number=0
while [ "$#" -ge 3 ]; do
  kind=$1 one=$2 two=$3
  shift 3
  answer=absent
  case $kind in
    path)
      look "$one" || exit 1
      if [ "$said" != kind=absent ]; then answer=present; fi
      case $said in kind=directory*) answer=other ;; esac
      ;;
    folder)
      look "$one" || exit 1
      case $said in
        kind=absent) ;;
        kind=directory*)
          answer=present
          ls -A -- "$one" | head -n 500 | sed "s|^|child $number |"
          ;;
        *) answer=other ;;
      esac
      ;;
    unit)
      if [ -d /run/systemd/system ]; then
        said=$(systemctl show -p LoadState -p ActiveState -p UnitFileState -- "$one") || exit 1
        case $said in
          *LoadState=not-found*) case $said in *ActiveState=inactive*) ;; *) answer=present ;; esac ;;
          *) answer=present ;;
        esac
      fi
      ;;
    project)
      case $engine in
        up)
          own=$(docker ps --all --quiet --filter "label=com.docker.compose.project=$one") || exit 1
          networks=$(docker network ls --quiet --filter "label=com.docker.compose.project=$one") || exit 1
          if [ -n "$own$networks" ]; then answer=present; fi
          echo "own $(printf '%s' "$own" | grep -c .)"
          ;;
        down) answer=unknown ;;
      esac
      ;;
    image)
      case $engine in
        up)
          if id=$(docker image inspect --format '{{.Id}}' -- "$one" 2>/dev/null); then
            answer=other
            known=
            if [ -f "$two" ]; then known=$(cat -- "$two"); fi
            if [ "$id" = "sha256:${two##*/}" ] || [ "$id" = "$known" ]; then answer=present; fi
          fi
          ;;
        down) answer=unknown ;;
      esac
      ;;
    block)
      look "$one" || exit 1
      if [ "$said" != kind=absent ] && grep -qxF -e "$two" -- "$one"; then answer=present; fi
      ;;
    passwd|group)
      if command -v getent >/dev/null 2>&1; then
        if getent "$kind" "$one" >/dev/null; then answer=present; fi
      elif grep -q "^$one:" "/etc/$kind"; then
        answer=present
      fi
      ;;
    firewalld)
      if command -v firewall-cmd >/dev/null 2>&1 && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
        [ -n "$two" ] || two=$(firewall-cmd --get-default-zone)
        case $one in */*) what=port ;; *) what=protocol ;; esac
        for kept in '' --permanent; do
          if firewall-cmd --quiet $kept --zone="$two" --query-$what="$one"; then answer=present; fi
        done
      fi
      ;;
    ufw)
      case $one in */*) wanted=$one ;; *) wanted=Anywhere/$one ;; esac
      if command -v ufw >/dev/null 2>&1 && ufw status | grep -q "^$wanted[[:space:]]*ALLOW"; then answer=present; fi
      ;;
  esac
  echo "$number $answer"
  number=$((number + 1))
done
"#
);

/// `$@`: units. A unit that does not stop in time is systemd's to kill.
pub(super) const STOP_UNITS: &str = r#"
for unit; do
  systemctl disable --now -- "$unit" || exit 1
  systemctl reset-failed -- "$unit" 2>/dev/null
done
exit 0
"#;

/// `$1` project, `$2` what kk remembers of it. By labels alone, so it needs neither Compose nor the compose file.
/// Volumes with a name stay: they are data.
pub(super) const REMOVE_PROJECT: &str = r#"
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH
unset DOCKER_HOST DOCKER_CONTEXT
label=com.docker.compose.project=$1
ids=$(docker ps --all --quiet --filter "label=$label") || exit 1
if [ -n "$ids" ]; then
  docker stop $ids >/dev/null || exit 1
  docker rm --force --volumes $ids >/dev/null || exit 1
fi
ids=$(docker network ls --quiet --filter "label=$label") || exit 1
if [ -n "$ids" ]; then docker network rm $ids >/dev/null || exit 1; fi
rm -f -- "$2"
"#;

/// What an engine that was stopped for good leaves in the kernel and in folders of its own: its chains and the rules that
/// lead to them, its bridge, sockets. Rules that somebody put into `DOCKER-USER` stay, and so does the chain.
pub(super) const FORGET_ENGINE: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
if pgrep -x dockerd >/dev/null 2>&1; then exit 0; fi
for tables in iptables ip6tables; do
  command -v "$tables" >/dev/null 2>&1 || continue
  for table in filter nat; do
    rules=$("$tables" -w -t "$table" -S 2>/dev/null) || continue
    case $rules in *DOCKER*|*docker0*) ;; *) continue ;; esac
    chains=$(printf '%s\n' "$rules" | sed -n 's/^-N \(DOCKER[A-Z0-9-]*\)$/\1/p')
    own=$(printf '%s\n' "$rules" | grep '^-A DOCKER-USER ' | grep -vcx -e '-A DOCKER-USER -j RETURN')
    if [ "$own" != 0 ]; then chains=$(printf '%s\n' "$chains" | grep -vx DOCKER-USER); fi
    printf '%s\n' "$rules" | grep -v '"' | grep -e ' docker0 ' -e ' docker0$' -e ' -j DOCKER' | sed 's/^-A //' |
      while read -r chain rule; do
        if [ "$own" != 0 ]; then case "$chain $rule" in *DOCKER-USER*) continue ;; esac; fi
        # The words of a rule without quotes are its arguments.
        "$tables" -w -t "$table" -D "$chain" $rule 2>/dev/null
      done
    for chain in $chains; do "$tables" -w -t "$table" -F "$chain" 2>/dev/null; done
    for chain in $chains; do "$tables" -w -t "$table" -X "$chain" 2>/dev/null; done
  done
done
if command -v firewall-cmd >/dev/null 2>&1 && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
  # No reload: that would take the administrator's rules that are not kept.
  firewall-cmd --quiet --permanent --delete-zone=docker 2>/dev/null
  firewall-cmd --quiet --permanent --delete-policy=docker-forwarding 2>/dev/null
fi
if command -v ip >/dev/null 2>&1; then ip link delete docker0 2>/dev/null; fi
rm -rf -- /run/docker /run/docker.sock /run/docker.pid
rmdir -- /opt/containerd/bin /opt/containerd/lib /opt/containerd 2>/dev/null
exit 0
"#;

/// `$@`: files of the trust store that are gone. Where the store is a folder of links, those to them go, too.
pub(super) const FORGET_TRUST: &str = r#"
[ -d /etc/ssl/certs ] || exit 0
for path; do
  name=${path##*/}
  find /etc/ssl/certs -type l '(' -lname "$path" -o -lname "${name%.crt}.pem" ')' -exec rm -f -- {} + 2>/dev/null
done
exit 0
"#;

/// `$@`: names of images. One that a container still uses stays.
pub(super) const REMOVE_IMAGES: &str = r#"
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH
unset DOCKER_HOST DOCKER_CONTEXT
for image; do
  if ! said=$(docker image rm -- "$image" 2>&1); then
    case $said in
      *"No such image"*) ;;
      *"is using"*|*"being used"*) printf 'kept %s: a container uses it\n' "$image" ;;
      *) printf '%s\n' "$said" >&2; exit 1 ;;
    esac
  fi
done
"#;

/// `$@`: files and links.
pub(super) const REMOVE_FILES: &str = r#"
for path; do
  if [ -d "$path" ] && [ ! -L "$path" ]; then printf 'kept %s: it is a folder now\n' "$path"; continue; fi
  rm -f -- "$path" || exit 1
done
"#;

/// `$@`: folders, the deepest first.
pub(super) const REMOVE_FOLDERS: &str = r#"
for path; do
  if [ -d "$path" ] && [ ! -L "$path" ]; then
    rmdir -- "$path" 2>/dev/null || printf 'kept %s: it is not empty\n' "$path"
  fi
done
exit 0
"#;

/// `$1` the state folder: what no ledger needs any more.
pub(super) const CLEAN: &str = r#"
[ -d "$1/ledger" ] || rm -rf -- "$1/packages" "$1/compose" "$1/images"
"#;

/// What a probe says about one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
    Other,
    Unknown,
}

/// The whole answer of a probe.
#[derive(Debug, Default)]
pub(super) struct Probed {
    pub(super) entries: Vec<Presence>,
    /// Names in each folder that was asked about.
    children: Vec<(usize, String)>,
    /// Containers that do not belong to the projects of the ledger.
    pub(super) foreign_containers: u64,
    pub(super) engine_is_down: bool,
}

impl Probed {
    /// `None` when the answer does not fit the question.
    pub(super) fn parse(answer: &str, count: usize) -> Option<Self> {
        let mut probed = Self::default();
        let (mut all, mut own) = (0_u64, 0_u64);
        for line in answer.lines() {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "containers" => all = rest.trim().parse().ok()?,
                "own" => own += rest.trim().parse::<u64>().ok()?,
                "engine" => probed.engine_is_down = rest == "down",
                "child" => {
                    let (number, name) = rest.split_once(' ')?;
                    probed
                        .children
                        .push((number.parse().ok()?, name.to_owned()));
                }
                number => {
                    if number.parse::<usize>().ok()? != probed.entries.len() {
                        return None;
                    }
                    probed.entries.push(match rest {
                        "present" => Presence::Present,
                        "absent" => Presence::Absent,
                        "other" => Presence::Other,
                        "unknown" => Presence::Unknown,
                        _ => return None,
                    });
                }
            }
        }
        probed.foreign_containers = all.saturating_sub(own);
        (probed.entries.len() == count).then_some(probed)
    }
}

/// What happens to one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes.
    Remove,
    /// It is gone already.
    Gone,
    /// It stays, and so does its line in the ledger.
    Keep(String),
    /// It stays and is not kk's any more.
    Release(String),
}

/// Decides about every entry.
pub(super) fn fates(entries: &[LedgerEntry], probed: &Probed, with_data: bool) -> Vec<Fate> {
    // Of an engine that somebody else brought there is nothing here to keep: what kk added to it is not needed by others.
    let brought =
        |entry: &LedgerEntry| matches!(entry, LedgerEntry::Unit { name } if is_engine_unit(name));
    let keeps_engine = probed.foreign_containers > 0 && entries.iter().any(brought);
    let mut fates: Vec<Fate> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let presence = probed.entries.get(index).copied();
            fate(
                entry,
                presence.unwrap_or(Presence::Unknown),
                with_data,
                keeps_engine,
            )
        })
        .collect();
    // A folder goes when all that is in it goes; so the deepest are decided first.
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(entries.get(*index).map_or(0, depth)));
    for index in order {
        let Some(LedgerEntry::Directory {
            path,
            recursive: false,
        }) = entries.get(index)
        else {
            continue;
        };
        if fates.get(index) != Some(&Fate::Remove) {
            continue;
        }
        let going: BTreeSet<&str> = entries
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| **fate == Fate::Remove)
            .filter_map(|(entry, _)| path_of(entry))
            .collect();
        let stays: Vec<String> = probed
            .children
            .iter()
            .filter(|(number, _)| *number == index)
            .map(|(_, name)| format!("{path}/{name}"))
            .filter(|child| !going.contains(child.as_str()))
            .collect();
        let Some(first) = stays.first() else { continue };
        let kept_below = entries.iter().zip(&fates).any(|(entry, fate)| {
            matches!(fate, Fate::Keep(_))
                && path_of(entry).is_some_and(|kept| kept.starts_with(&format!("{path}/")))
        });
        let reason = format!("`{first}` is in it");
        if let Some(fate) = fates.get_mut(index) {
            *fate = if kept_below {
                Fate::Keep(reason)
            } else {
                Fate::Release(reason)
            };
        }
    }
    fates
}

fn fate(entry: &LedgerEntry, presence: Presence, with_data: bool, keeps_engine: bool) -> Fate {
    // A folder that goes only when it is empty, and that kk made, may be any: `/etc/docker`, `/srv`.
    let goes_when_empty = matches!(
        entry,
        LedgerEntry::Directory {
            recursive: false,
            ..
        }
    );
    if let Some(path) = path_of(entry)
        && !goes_when_empty
        && let Err(reason) = check_removable(path)
    {
        return Fate::Release(reason);
    }
    if presence == Presence::Absent {
        return Fate::Gone;
    }
    if keeps_engine && belongs_to_engine(entry) {
        return Fate::Keep("other containers need Docker".to_owned());
    }
    match (entry, presence) {
        (LedgerEntry::Data { .. }, _) if !with_data => Fate::Keep("it holds data".to_owned()),
        (LedgerEntry::Image { .. }, Presence::Other) => {
            Fate::Release("its name means another image now".to_owned())
        }
        (LedgerEntry::File { .. } | LedgerEntry::TrustAnchor { .. }, Presence::Other) => {
            Fate::Release("it is a folder now".to_owned())
        }
        (LedgerEntry::Directory { .. } | LedgerEntry::Data { .. }, Presence::Other) => {
            Fate::Release("it is no folder any more".to_owned())
        }
        _ => Fate::Remove,
    }
}

/// Whether an entry is part of the Docker that kk brought.
pub(super) fn belongs_to_engine(entry: &LedgerEntry) -> bool {
    const NAMES: [&str; 13] = [
        "dockerd",
        "docker",
        "containerd",
        "containerd-shim",
        "containerd-shim-runc-v2",
        "runc",
        "ctr",
        "docker-init",
        "docker-proxy",
        "docker-compose",
        "daemon.json",
        "docker.service",
        "containerd.service",
    ];
    match entry {
        LedgerEntry::Unit { name } => is_engine_unit(name),
        LedgerEntry::File { path } => path
            .rsplit_once('/')
            .is_some_and(|(_, name)| NAMES.contains(&name)),
        LedgerEntry::Data { path } => path == "/var/lib/docker",
        LedgerEntry::Directory { path, .. } => path.starts_with("/opt/containerd"),
        _ => false,
    }
}

/// Units that are stopped only after images and containers went.
pub(super) fn is_engine_unit(name: &str) -> bool {
    matches!(
        name,
        "docker.service" | "containerd.service" | "docker.socket"
    )
}

/// The path that an entry is about, when it is a path that goes as a whole.
pub(super) fn path_of(entry: &LedgerEntry) -> Option<&str> {
    match entry {
        LedgerEntry::File { path }
        | LedgerEntry::Directory { path, .. }
        | LedgerEntry::Data { path }
        | LedgerEntry::TrustAnchor { path } => Some(path),
        _ => None,
    }
}

/// How deep a path is.
pub(super) fn depth(entry: &LedgerEntry) -> usize {
    path_of(entry).map_or(0, |path| path.matches('/').count())
}

/// An entry in words.
pub(super) fn describe(entry: &LedgerEntry) -> String {
    match entry {
        LedgerEntry::File { path } => path.clone(),
        LedgerEntry::Directory { path, .. } => format!("{path}/"),
        LedgerEntry::Data { path } => format!("{path}/ (data)"),
        LedgerEntry::Unit { name } => format!("unit {name}"),
        LedgerEntry::ComposeProject { name, .. } => format!("compose project {name}"),
        LedgerEntry::Image { reference, .. } => format!("image {reference}"),
        LedgerEntry::Block { path, .. } => format!("lines in {path}"),
        LedgerEntry::User { name } => format!("user {name}"),
        LedgerEntry::Group { name } => format!("group {name}"),
        LedgerEntry::FirewallPort { firewall, port, .. } => format!("port {port} in {firewall}"),
        LedgerEntry::TrustAnchor { path } => format!("trust in {path}"),
        LedgerEntry::PendingHandler { name } => format!("pending handler {name}"),
    }
}
