//! The machine and its system.

use std::collections::BTreeMap;

use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::{gigabytes, list, size};
use crate::facts::Facts;

/// A failure where the registry itself runs, a warning on hosts that only have to reach it.
fn fail_for_registry(
    look: &Look<'_>,
    host: &str,
    measured: impl Into<String>,
    required: &str,
    remedy: &str,
) -> Judgement {
    if look.is_registry(host) {
        Judgement::fail(measured, required, remedy)
    } else {
        Judgement::warn(measured, required, remedy)
    }
}

pub(in crate::precheck) fn os(look: &Look<'_>, host: &str, facts: &Facts) -> Judgement {
    let required = "Linux with deb or rpm";
    let remedy = "use a distribution of the Debian, Red Hat or SUSE family";
    let name = if facts.os.pretty_name.is_empty() {
        facts.os.system.clone()
    } else {
        facts.os.pretty_name.clone()
    };
    if facts.os.system != "Linux" {
        return fail_for_registry(look, host, name, required, remedy);
    }
    match facts.package_manager.as_deref() {
        Some(manager @ ("apt-get" | "dnf" | "yum" | "zypper")) => {
            Judgement::pass(format!("{name} ({manager})"), required)
        }
        Some(other) => fail_for_registry(look, host, format!("{name} ({other})"), required, remedy),
        None => fail_for_registry(
            look,
            host,
            format!("{name} (no package manager found)"),
            required,
            remedy,
        ),
    }
}

pub(in crate::precheck) fn init(look: &Look<'_>, host: &str, facts: &Facts) -> Judgement {
    let required = "systemd";
    match facts.init.as_str() {
        "systemd" => Judgement::pass("systemd", required),
        other => fail_for_registry(
            look,
            host,
            other,
            required,
            "use a host that systemd runs: the registry and Docker are systemd units",
        ),
    }
}

pub(in crate::precheck) fn kernel(_: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "Linux 3.10 or newer, with cgroups";
    let mut numbers = facts
        .kernel
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next(), numbers.next());
    let old = match version {
        (Some(major), Some(minor)) => (major, minor) < (3, 10),
        _ => {
            return Judgement::unknown(
                facts.kernel.clone(),
                required,
                "run `uname -r` on the host",
            );
        }
    };
    if old {
        Judgement::fail(facts.kernel.clone(), required, "update the host's system")
    } else if facts.cgroup.is_none() {
        Judgement::fail(
            format!("{}, no cgroups mounted", facts.kernel),
            required,
            "mount the cgroup file system: without it no container starts",
        )
    } else {
        Judgement::pass(
            format!("{}, cgroup v{}", facts.kernel, facts.cgroup.unwrap_or(1)),
            required,
        )
    }
}

pub(in crate::precheck) fn architecture(look: &Look<'_>, host: &str, facts: &Facts) -> Judgement {
    let required = "amd64 or arm64";
    match facts.binary_type.as_str() {
        known @ ("amd64" | "arm64") => Judgement::pass(known, required),
        other => fail_for_registry(
            look,
            host,
            other,
            required,
            "use a host of another architecture: there are no packages for this one",
        ),
    }
}

pub(in crate::precheck) fn memory(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let wanted = gigabytes(look.requirements().memory_gb);
    let required = format!("{} (5 % less passes)", size(wanted));
    // The kernel keeps some of what is built in.
    let enough = gigabytes(look.requirements().memory_gb * 0.95);
    if facts.memory_bytes == 0 {
        Judgement::unknown("not seen", required, "look at `/proc/meminfo` on the host")
    } else if facts.memory_bytes >= enough {
        Judgement::pass(size(facts.memory_bytes), required)
    } else {
        Judgement::fail(
            size(facts.memory_bytes),
            required,
            "give the host more memory, or set `requirements.memory_gb` for a small installation",
        )
    }
}

pub(in crate::precheck) fn cores(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let wanted = look.requirements().control_plane_cores;
    let required = format!("{wanted} on a control-plane node");
    if facts.cores == 0 {
        Judgement::unknown("not seen", required, "run `nproc` on the host")
    } else if facts.cores >= wanted {
        Judgement::pass(facts.cores.to_string(), required)
    } else {
        Judgement::fail(
            facts.cores.to_string(),
            required,
            "give the host more cores, or set `requirements.control_plane_cores`",
        )
    }
}

/// What tells one machine from another.
fn identity(facts: &Facts) -> Option<(&str, &str)> {
    let address = facts
        .default_address(false)
        .or_else(|| facts.default_address(true))?;
    Some((facts.machine_id.as_deref().unwrap_or_default(), address))
}

pub(in crate::precheck) fn unique(look: &Look<'_>) -> Judgements {
    let required = "one inventory entry per machine, each with its own name";
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut machines: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (host, facts) in look.facts() {
        names.entry(&facts.hostname).or_default().push(host);
        if let Some(identity) = identity(facts) {
            machines.entry(identity).or_default().push(host);
        }
    }
    let others = |hosts: Option<&Vec<&str>>, host: &str| -> Vec<String> {
        hosts
            .into_iter()
            .flatten()
            .filter(|other| **other != host)
            .map(|other| format!("`{other}`"))
            .collect()
    };
    look.input
        .hosts
        .iter()
        .map(|(host, state)| {
            let Some(facts) = state.connection.facts() else {
                return (Some(host.clone()), Judgement::not_looked_at());
            };
            let same_machine = others(identity(facts).and_then(|it| machines.get(&it)), host);
            let same_name = others(names.get(facts.hostname.as_str()), host);
            let judgement = if !same_machine.is_empty() {
                Judgement::fail(
                    format!("the same machine as {}", list(&same_machine, 3)),
                    required,
                    "name each machine once in the inventory",
                )
            } else if facts.hostname.is_empty() {
                Judgement::warn(
                    "no host name",
                    required,
                    "set one with `hostnamectl set-hostname`",
                )
            } else if !same_name.is_empty() {
                Judgement::warn(
                    format!("`{}`, like {}", facts.hostname, list(&same_name, 3)),
                    required,
                    "give each host its own name with `hostnamectl set-hostname`",
                )
            } else {
                Judgement::pass(facts.hostname.clone(), required)
            };
            (Some(host.clone()), judgement)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Status;
    use super::super::super::testing::*;
    use super::*;

    /// The status and measured value of a check on a registry host whose facts were changed.
    fn with(check: &str, change: impl FnOnce(&mut Facts)) -> (Status, String) {
        let mut world = World::new(&["node1"]);
        change(world.facts("node1"));
        let found = world.finding(check, Some("node1"));
        assert_eq!(found.remedy.is_empty(), found.status == Status::Pass);
        assert!(!found.required.is_empty());
        (found.status, found.measured)
    }

    #[test]
    fn systems() {
        assert_eq!(with("os", |_| ()).0, Status::Pass);
        let alpine = with("os", |facts| facts.package_manager = Some("apk".to_owned()));
        assert_eq!(
            alpine,
            (
                Status::Fail,
                "Debian GNU/Linux 12 (bookworm) (apk)".to_owned()
            )
        );
        assert_eq!(
            with("os", |facts| facts.package_manager = None).0,
            Status::Fail
        );
        assert_eq!(
            with("os", |facts| facts.os.system = "FreeBSD".to_owned()).0,
            Status::Fail
        );
    }

    #[test]
    fn another_host_is_only_warned() {
        let mut world = World::new(&["node1", "other"]);
        world.registry(&["node1"]);
        world.facts("other").package_manager = None;
        world.facts("other").init = "init".to_owned();
        assert_eq!(world.finding("os", Some("other")).status, Status::Warn);
        assert_eq!(world.finding("init", Some("other")).status, Status::Warn);
        assert!(!world.has("memory", "other"));
    }

    #[test]
    fn init_systems() {
        assert_eq!(with("init", |_| ()).0, Status::Pass);
        assert_eq!(
            with("init", |facts| facts.init = "openrc-init".to_owned()).0,
            Status::Fail
        );
        assert_eq!(with("init", |facts| facts.init.clear()).1, "not seen");
    }

    #[test]
    fn kernels() {
        assert_eq!(with("kernel", |_| ()).0, Status::Pass);
        let kernel = |text: &str| with("kernel", |facts| facts.kernel = text.to_owned()).0;
        assert_eq!(kernel("3.10.0-1160.el7.x86_64"), Status::Pass);
        assert_eq!(kernel("2.6.32-754.el6.x86_64"), Status::Fail);
        assert_eq!(kernel("odd"), Status::Unknown);
        assert_eq!(with("kernel", |facts| facts.cgroup = None).0, Status::Fail);
    }

    #[test]
    fn architectures() {
        let of = |name: &str| with("architecture", |facts| facts.binary_type = name.to_owned()).0;
        assert_eq!(of("amd64"), Status::Pass);
        assert_eq!(of("arm64"), Status::Pass);
        assert_eq!(of("riscv64"), Status::Fail);
        assert_eq!(of(""), Status::Fail);
    }

    #[test]
    fn eight_gigabytes_with_what_the_kernel_keeps() {
        let of = |bytes: u64| with("memory", |facts| facts.memory_bytes = bytes).0;
        assert_eq!(of(8_000_000_000), Status::Pass);
        assert_eq!(of(7_600_000_000), Status::Pass);
        assert_eq!(of(7_599_999_999), Status::Fail);
        assert_eq!(of(0), Status::Unknown);
    }

    #[test]
    fn cores_count_on_control_plane_nodes_only() {
        let mut world = World::new(&["node1", "node2"]);
        world.group("kube_control_plane", &["node2"]);
        world.facts("node1").cores = 1;
        world.facts("node2").cores = 2;
        assert!(!world.has("cores", "node1"));
        assert_eq!(world.finding("cores", Some("node2")).status, Status::Fail);
        world.facts("node2").cores = 4;
        assert_eq!(world.finding("cores", Some("node2")).status, Status::Pass);
    }

    #[test]
    fn one_machine_under_two_names_and_two_machines_under_one() {
        let mut world = World::new(&["node1", "node2", "node3"]);
        let twin = world.facts("node1").clone();
        *world.facts("node2") = twin;
        assert_eq!(
            world.finding("hostname-unique", Some("node2")).status,
            Status::Fail
        );
        assert_eq!(
            world.finding("hostname-unique", Some("node3")).status,
            Status::Pass
        );
        let mut world = World::new(&["node1", "node2"]);
        world.facts("node2").hostname = "node1".to_owned();
        let found = world.finding("hostname-unique", Some("node1"));
        assert_eq!(
            (found.status, found.measured.as_str()),
            (Status::Warn, "`node1`, like `node2`")
        );
    }
}
