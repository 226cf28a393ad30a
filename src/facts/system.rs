//! What the machine and its system are: name, architecture, distribution, cores, memory, tools.

use std::collections::BTreeMap;

use super::frame::Frames;
use super::model::{Facts, Os};

/// Reads the sections about the machine into `facts`.
pub(super) fn read(frames: &Frames<'_>, facts: &mut Facts) {
    let identity = frames.values("identity");
    let text = |key: &str| identity.get(key).map(|value| (*value).to_owned());
    let mut names = identity
        .get("kernel")
        .copied()
        .unwrap_or_default()
        .split_whitespace();
    facts.os = os(frames.text("os-release"));
    names
        .next()
        .unwrap_or_default()
        .clone_into(&mut facts.os.system);
    names
        .next()
        .unwrap_or_default()
        .clone_into(&mut facts.kernel);
    names
        .next_back()
        .unwrap_or_default()
        .clone_into(&mut facts.machine);
    facts.binary_type = binary_type(&facts.machine).to_owned();
    facts.hostname = text("hostname").unwrap_or_default();
    facts.machine_id = text("machine_id");
    facts.container = text("container");
    facts.uid = identity.get("uid").and_then(|uid| uid.parse().ok());
    facts.init = if identity.contains_key("systemd") {
        "systemd".to_owned()
    } else {
        text("init").unwrap_or_default()
    };

    let processors = frames.values("processors");
    facts.cores = processors
        .get("online")
        .and_then(|list| count_list(list))
        .or_else(|| processors.get("counted")?.parse().ok())
        .unwrap_or_default();

    let memory = memory(frames.text("memory"));
    let bytes = |key: &str| memory.get(key).copied();
    facts.memory_bytes = bytes("MemTotal").unwrap_or_default();
    facts.memory_available_bytes = bytes("MemAvailable");
    facts.swap_bytes = bytes("SwapTotal").unwrap_or_default();

    let kernel = frames.values("kernel");
    facts.overlay = kernel.contains_key("overlay");
    facts.cgroup = kernel
        .get("cgroup")
        .and_then(|version| version.parse().ok());

    let packages = frames.values("packages");
    facts.package_manager = ["apt-get", "dnf", "yum", "zypper", "apk"]
        .into_iter()
        .find(|name| packages.contains_key(name))
        .map(str::to_owned);
    facts.tools = owned(frames.values("tools"));
    facts.ledgers = frames
        .values("ledgers")
        .into_iter()
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect();
    facts.own_data = frames.lines("own-data").map(str::to_owned).collect();
    facts.leftovers = frames.lines("leftovers").map(str::to_owned).collect();
}

fn owned(values: BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The name that packages use for what `uname -m` says.
pub fn binary_type(machine: &str) -> &str {
    match machine {
        "x86_64" | "amd64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        other => other,
    }
}

/// `0-3,8` counted.
fn count_list(ranges: &str) -> Option<u32> {
    let mut count = 0_u32;
    for range in ranges.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        count += to.checked_sub(from)? + 1;
    }
    Some(count)
}

/// Lines of `/proc/meminfo` in bytes.
fn memory(text: &str) -> BTreeMap<&str, u64> {
    text.lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            let kibibytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some((key, kibibytes * 1024))
        })
        .collect()
}

/// `/etc/os-release`, or `/etc/redhat-release` where that is all there is.
fn os(text: &str) -> Os {
    let release: BTreeMap<String, String> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, value)| (key.to_owned(), unquote(value)))
        .collect();
    let get = |key: &str| release.get(key).cloned().unwrap_or_default();
    if let Some(old) = release.get("REDHAT_RELEASE") {
        let version = old
            .split_whitespace()
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .unwrap_or_default();
        let id = if old.to_lowercase().starts_with("centos") {
            "centos"
        } else {
            "rhel"
        };
        return Os {
            id: id.to_owned(),
            id_like: vec!["rhel".to_owned(), "fedora".to_owned()],
            version_id: version.to_owned(),
            pretty_name: old.clone(),
            ..Os::default()
        };
    }
    Os {
        system: String::new(),
        id: get("ID"),
        id_like: get("ID_LIKE")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        version_id: get("VERSION_ID"),
        pretty_name: get("PRETTY_NAME"),
        release,
    }
}

/// A value of a shell-like file without its quotes.
fn unquote(value: &str) -> String {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|value| value.strip_suffix(quote))
        {
            return if quote == '"' {
                unescape(inner)
            } else {
                inner.to_owned()
            };
        }
    }
    value.to_owned()
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            plain.extend(characters.next());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_processors() {
        assert_eq!(count_list("0-3"), Some(4));
        assert_eq!(count_list("0"), Some(1));
        assert_eq!(count_list("0-1,4-5,7"), Some(5));
        assert_eq!(count_list("3-0"), None);
        assert_eq!(count_list(""), None);
    }

    #[test]
    fn names_of_architectures() {
        assert_eq!(binary_type("x86_64"), "amd64");
        assert_eq!(binary_type("aarch64"), "arm64");
        assert_eq!(binary_type("riscv64"), "riscv64");
    }

    #[test]
    fn reads_os_release_with_and_without_quotes() {
        let os = os(
            "# comment\nID=\"rocky\"\nID_LIKE='rhel centos fedora'\nVERSION_ID=9.3\nPRETTY_NAME=\"Rocky \\\"Linux\\\"\"\n",
        );
        assert_eq!(os.id, "rocky");
        assert_eq!(os.id_like, ["rhel", "centos", "fedora"]);
        assert_eq!(os.version_id, "9.3");
        assert_eq!(os.pretty_name, "Rocky \"Linux\"");
    }

    #[test]
    fn reads_an_old_release_file() {
        let os = os("REDHAT_RELEASE=CentOS release 6.10 (Final)\n");
        assert_eq!((os.id.as_str(), os.version_id.as_str()), ("centos", "6.10"));
    }
}
