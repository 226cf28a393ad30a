//! What a host is like, as lines that can be compared: every file with its mode, owner, size, time and content, units,
//! firewall rules, interfaces, mounts, listening sockets, containers.

use std::collections::HashSet;

use super::hosts::Host;

/// Left out of the files: what a host writes by itself. The kernel's own file systems are not crossed into.
const TAKE: &str = r#"
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/bin
# A mount of its own is not crossed into from /, so those that matter are named.
find / /var/lib/docker /data -xdev \( -path /var/log -o -path /var/lib/systemd -o -path /var/lib/sudo \
    -o -path /var/cache/ldconfig -o -path /var/lib/docker/overlay2 -o -path /var/tmp \) -prune -o \
  ! -path /run ! -path /tmp ! -path /proc ! -path /sys ! -path /dev -printf 'file %p\t%y %m %u:%g\t%s\t%T@ %C@\t%l\n' | sort -u
find /tmp /run -xdev \( -path /run/systemd -o -path /run/user -o -path /run/log -o -path /run/sudo -o -path /run/udev \
    -o -path /run/utmp -o -path '/tmp/systemd-private-*' \) -prune -o ! -type d -printf 'volatile %p %y\n' | sort
find /etc /root /home /opt /srv /usr/local /var/lib /data -xdev -path /var/lib/docker -prune -o \
  \( -path /var/lib/systemd -o -path /var/lib/sudo \) -prune -o -type f -exec sha256sum {} + |
  sed 's/^\([0-9a-f]*\)  /sha256 \1 /' | sort
iptables-save 2>/dev/null | sed '/^#/d; s/\[[0-9:]*\]//' | sed 's/^/iptables /'
ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/interface \1/' | sort
ip -o addr | awk '{ print "address", $2, $3, $4 }' | sort
awk '{ print "mount", $2, $3 }' /proc/mounts | sort
ss -Hltnu | awk '{ print "listens", $1, $5 }' | sort -u
systemctl list-units --all --plain --no-legend --no-pager --type=service,socket,timer,path |
  awk '$3 == "active" || $3 == "failed" { print "unit", $1, $3, $4 }' | grep -v 'session-\|user@\|user-runtime\|systemd-tmpfiles-clean' | sort
systemctl list-unit-files --no-legend --no-pager | awk '{ print "unit-file", $1, $2 }' | sort
ps -eo user=,args= | sed 's/^/process /' | grep -v ' sshd: \| ps -eo\| sh -c\| sed \| sort$\| grep ' | sort
for key in net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables vm.swappiness vm.max_map_count fs.file-max; do
  echo "sysctl $key $(cat /proc/sys/$(echo $key | tr . /) 2>/dev/null)"
done
if command -v docker >/dev/null 2>&1; then
  docker ps -a --no-trunc --format 'container {{.ID}} {{.Names}} {{.State}}' 2>/dev/null | sort
  docker images --no-trunc --format 'image {{.ID}} {{.Repository}}:{{.Tag}}' 2>/dev/null | sort
  docker network ls --format 'network {{.Name}}' 2>/dev/null | sort
  docker volume ls --format 'volume {{.Name}}' 2>/dev/null | sort
fi
:
"#;

/// A host at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    lines: Vec<String>,
}

/// What counts as a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Everything, the times of files included: nothing was written at all.
    Untouched,
    /// The same files with the same content, owner and mode; a file may have been written over with what it had.
    Restored,
}

impl Snapshot {
    /// Looks at a host.
    pub fn of(host: &Host) -> Self {
        let lines: Vec<String> = host.sh(TAKE).lines().map(str::to_owned).collect();
        // A snapshot that sees nothing compares well.
        for (kind, least) in [
            ("file ", 5000),
            ("sha256 ", 200),
            ("unit ", 5),
            ("mount ", 5),
        ] {
            let seen = lines.iter().filter(|line| line.starts_with(kind)).count();
            assert!(seen > least, "{}: only {seen} lines of `{kind}`", host.name);
        }
        Self { lines }
    }

    /// How the host differs now; `ignored` are beginnings of paths (or of whole lines) that do not count.
    pub fn changes(&self, now: &Self, strictness: Strictness, ignored: &[&str]) -> Vec<String> {
        let keep = |line: &&String| {
            let subject = line.split_once(' ').map_or("", |(_, rest)| rest);
            let subject = if line.starts_with("sha256 ") {
                subject.split_once(' ').map_or("", |(_, path)| path)
            } else {
                subject
            };
            !ignored.iter().any(|prefix| {
                subject.starts_with(prefix) || prefix.contains(' ') && line.starts_with(prefix)
            })
        };
        let view = |snapshot: &Self| -> Vec<String> {
            let lines = snapshot.lines.iter().filter(keep);
            lines.map(|line| shown(line, strictness)).collect()
        };
        let (before, after) = (view(self), view(now));
        let only_in = |lines: &[String], others: &[String], sign: char| -> Vec<String> {
            let others: HashSet<&String> = others.iter().collect();
            let lines = lines.iter().filter(|line| !others.contains(line));
            lines.map(|line| format!("{sign} {line}")).collect()
        };
        let mut changes = only_in(&before, &after, '-');
        changes.extend(only_in(&after, &before, '+'));
        changes
    }

    /// Nothing differs now.
    pub fn assert_same(&self, host: &Host, strictness: Strictness, ignored: &[&str]) {
        let changes = self.changes(&Self::of(host), strictness, ignored);
        assert!(
            changes.is_empty(),
            "{} is not as it was ({strictness:?}), {} lines differ:\n{}",
            host.name,
            changes.len(),
            changes
                .iter()
                .take(60)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

fn shown(line: &str, strictness: Strictness) -> String {
    if strictness == Strictness::Untouched || !line.starts_with("file ") {
        return line.to_owned();
    }
    // Path, kind and mode and owner, size, times, link: without times, and without the size of a folder.
    let fields: Vec<&str> = line.split('\t').collect();
    let folder = fields[1].starts_with('d');
    format!(
        "{}\t{}\t{}\t{}",
        fields[0],
        fields[1],
        if folder { "" } else { fields[2] },
        fields[4]
    )
}
