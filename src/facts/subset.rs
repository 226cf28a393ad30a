//! Which facts `gather_subset` and `filter` ask for, by Ansible's names of their collectors. Pure.

use std::collections::BTreeSet;

/// What is gathered in any case, unless `!min` says otherwise.
const MINIMAL: [&str; 17] = [
    "apparmor",
    "caps",
    "cmdline",
    "date_time",
    "distribution",
    "dns",
    "env",
    "fips",
    "local",
    "lsb",
    "pkg_mgr",
    "platform",
    "python",
    "selinux",
    "service_mgr",
    "ssh_pub_keys",
    "user",
];

/// The other collectors.
const MORE: [&str; 10] = [
    "chroot",
    "facter",
    "fibre_channel_wwn",
    "hardware",
    "iscsi",
    "loadavg",
    "network",
    "nvme",
    "ohai",
    "virtual",
];

/// Facts that name their collector, too.
const FACTS: [&str; 42] = [
    "all_ipv4_addresses",
    "all_ipv6_addresses",
    "architecture",
    "default_ipv4",
    "default_ipv6",
    "devices",
    "distribution_major_version",
    "distribution_release",
    "distribution_version",
    "interfaces",
    "kernel",
    "kernel_version",
    "machine",
    "machine_id",
    "mounts",
    "os_family",
    "processor",
    "processor_cores",
    "processor_count",
    "python_version",
    "ssh_host_key_dsa_public",
    "ssh_host_key_ecdsa_public",
    "ssh_host_key_ed25519_public",
    "ssh_host_key_rsa_public",
    "ssh_host_pub_keys",
    "system",
    "system_capabilities",
    "system_capabilities_enforced",
    "user_dir",
    "user_gecos",
    "user_gid",
    "user_id",
    "user_shell",
    "user_uid",
    "effective_group_ids",
    "effective_user_id",
    "is_chroot",
    "real_user_id",
    "virtualization_role",
    "virtualization_tech_guest",
    "virtualization_tech_host",
    "virtualization_type",
];

/// The collectors whose facts are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset(BTreeSet<&'static str>);

impl Default for Subset {
    fn default() -> Self {
        Self(everything().collect())
    }
}

fn everything() -> impl Iterator<Item = &'static str> {
    MINIMAL.into_iter().chain(MORE)
}

/// The collector of a word in `gather_subset`.
fn named(word: &str) -> Option<&'static str> {
    if FACTS.contains(&word) {
        return Some(collector_of(word));
    }
    everything().find(|name| *name == word)
}

impl Subset {
    /// From the words of `gather_subset`; none of them mean all.
    ///
    /// # Errors
    ///
    /// A word that is no subset. One that is only to be left out may be anything, as in Ansible.
    pub fn parse<Word: AsRef<str>>(words: &[Word]) -> Result<Self, String> {
        if words.is_empty() {
            return Ok(Self::default());
        }
        let mut wanted: BTreeSet<&'static str> = MINIMAL.into();
        let mut named_ones = BTreeSet::new();
        let mut unwanted = BTreeSet::new();
        for word in words.iter().map(AsRef::as_ref) {
            match word {
                "all" => wanted.extend(everything()),
                "min" => wanted.extend(MINIMAL),
                "!all" => unwanted.extend(MORE),
                "!min" => unwanted.extend(MINIMAL),
                _ => {
                    if let Some(word) = word.strip_prefix('!') {
                        unwanted.extend(named(word));
                    } else {
                        let name = named(word).ok_or_else(|| refusal(word))?;
                        named_ones.insert(name);
                        wanted.insert(name);
                    }
                }
            }
        }
        wanted.retain(|name| named_ones.contains(name) || !unwanted.contains(name));
        let needs: &[(&str, &[&'static str])] = &[
            ("hardware", &["platform"]),
            ("network", &["platform", "distribution"]),
            ("service_mgr", &["platform", "distribution"]),
            ("pkg_mgr", &["distribution"]),
        ];
        for (name, others) in needs {
            if wanted.contains(name) {
                wanted.extend(others.iter().copied());
            }
        }
        Ok(Self(wanted))
    }

    /// Whether a fact is of it; `name` with or without `ansible_`.
    pub fn takes(&self, name: &str) -> bool {
        self.0.contains(collector_of(short(name)))
    }
}

fn refusal(word: &str) -> String {
    let mut known: Vec<&str> = everything().chain(FACTS).collect();
    known.sort_unstable();
    format!(
        "Bad subset '{word}' given to Ansible. gather_subset options allowed: all, {}",
        known.join(", ")
    )
}

fn short(name: &str) -> &str {
    name.strip_prefix("ansible_").unwrap_or(name)
}

/// Who gathers a fact.
fn collector_of(name: &str) -> &'static str {
    match name {
        "os_family" => "distribution",
        "system" | "kernel" | "kernel_version" | "machine" | "machine_id" | "python_version"
        | "fqdn" | "hostname" | "nodename" | "domain" | "architecture" => "platform",
        "lsb" => "lsb",
        "apparmor" => "apparmor",
        "is_chroot" => "chroot",
        "fips" => "fips",
        "python" => "python",
        "pkg_mgr" => "pkg_mgr",
        "service_mgr" => "service_mgr",
        "cmdline" | "proc_cmdline" => "cmdline",
        "date_time" => "date_time",
        "env" => "env",
        "loadavg" => "loadavg",
        "dns" => "dns",
        "fibre_channel_wwn" => "fibre_channel_wwn",
        "hostnqn" => "nvme",
        "iscsi_iqn" => "iscsi",
        "local" => "local",
        "mounts" | "devices" | "device_links" | "uptime_seconds" | "lvm" | "form_factor"
        | "system_vendor" => "hardware",
        _ => {
            let starts: &[(&str, &'static str)] = &[
                ("distribution", "distribution"),
                ("userspace_", "platform"),
                ("selinux", "selinux"),
                ("system_capabilities", "caps"),
                ("ssh_host_", "ssh_pub_keys"),
                ("user_", "user"),
                ("real_", "user"),
                ("effective_", "user"),
                ("virtualization_", "virtual"),
                ("processor", "hardware"),
                ("mem", "hardware"),
                ("swap", "hardware"),
                ("bios_", "hardware"),
                ("board_", "hardware"),
                ("chassis_", "hardware"),
                ("product_", "hardware"),
            ];
            let found = starts.iter().find(|(start, _)| name.starts_with(start));
            // Interfaces have names of their own.
            found.map_or("network", |(_, collector)| collector)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_collectors() {
        let takes = |words: &[&str], name: &str| Subset::parse(words).unwrap().takes(name);
        for (words, name, expected) in [
            (&[][..], "ansible_memtotal_mb", true),
            (&["all"], "ansible_eth0", true),
            (&["!all"], "ansible_memtotal_mb", false),
            (&["!all"], "ansible_distribution", true),
            (&["!all", "!min"], "ansible_distribution", false),
            (&["!all", "network"], "ansible_default_ipv4", true),
            (&["!all", "!min", "network"], "ansible_os_family", true),
            (&["!all", "!min", "network"], "ansible_env", false),
            (&["!hardware"], "ansible_mounts", false),
            (&["!hardware"], "ansible_interfaces", false),
            (&["all", "!hardware"], "ansible_interfaces", true),
            (&["min"], "ansible_virtualization_type", false),
            (&["virtual"], "ansible_virtualization_type", true),
            (&["mounts", "!all"], "ansible_memtotal_mb", true),
            (&["!nothing"], "ansible_user_id", true),
        ] {
            assert_eq!(takes(words, name), expected, "{words:?} {name}");
        }
        let refused = Subset::parse(&["nothing"]).unwrap_err();
        assert!(refused.starts_with("Bad subset 'nothing' given to Ansible."));
    }

    #[test]
    fn every_fact_that_is_named_has_a_collector_that_is_known() {
        for name in FACTS {
            let collector = collector_of(name);
            assert!(everything().any(|known| known == collector), "{name}");
        }
    }
}
