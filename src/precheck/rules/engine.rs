//! Docker, Compose, containerd, kubelet and the programs that an installation uses.

use super::super::rule::{Judgement, Look};
use super::whole::numbers;
use crate::facts::Facts;

/// The oldest Docker that an installation can use.
const OLDEST: [u32; 2] = [20, 10];

/// What happens to Docker on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::precheck) enum EnginePlan {
    /// There is none: it is installed.
    Install,
    /// Somebody else's, healthy and new enough: it is kept as it is.
    Keep,
    /// kk brought it.
    Ours,
    /// Something stands in the way.
    Blocked,
}

/// What happens to Docker on a host, by its facts.
pub(in crate::precheck) fn plan(facts: &Facts) -> EnginePlan {
    if facts.docker_stand_in.is_some() {
        return EnginePlan::Blocked;
    }
    let Some(docker) = &facts.docker else {
        return EnginePlan::Install;
    };
    match docker.owner.as_deref() {
        Some("kk") => EnginePlan::Ours,
        Some("snap") => EnginePlan::Blocked,
        _ if !docker.running => EnginePlan::Blocked,
        _ => match numbers(&docker.version) {
            Some(version) if version.as_slice() >= OLDEST.as_slice() => EnginePlan::Keep,
            _ => EnginePlan::Blocked,
        },
    }
}

pub(in crate::precheck) fn docker(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "none, or a running Docker 20.10 or newer";
    if let Some(stand_in) = &facts.docker_stand_in {
        return Judgement::fail(
            format!("`docker` is {stand_in}"),
            required,
            "remove the package that makes `docker` another program (`podman-docker`)",
        );
    }
    let wanted = &look.settings().versions.docker;
    let Some(docker) = &facts.docker else {
        return match &facts.docker_client {
            None => Judgement::pass(format!("none; {wanted} will be installed"), required),
            Some(path) => Judgement::warn(
                format!("only a client, `{path}`; {wanted} will be installed"),
                required,
                "nothing has to be done; the client that comes with Docker is put into `/usr/local/bin` and found first",
            ),
        };
    };
    let owner = match docker.owner.as_deref() {
        Some("kk") => "installed by kk".to_owned(),
        Some(package) => format!("from package `{package}`"),
        None => format!("`{}`, brought by nobody known", docker.path),
    };
    let version = if docker.version.is_empty() {
        "of unknown version"
    } else {
        &docker.version
    };
    let seen = format!("Docker {version}, {owner}");
    match plan(facts) {
        EnginePlan::Ours => {
            let state = if docker.running { "" } else { ", not running" };
            Judgement::pass(format!("{seen}{state}"), required)
        }
        EnginePlan::Keep => {
            let containers = match docker.containers {
                0 => String::new(),
                1 => ", 1 running container".to_owned(),
                count => format!(", {count} running containers"),
            };
            Judgement::pass(format!("{seen}{containers}; kept"), required)
        }
        EnginePlan::Install | EnginePlan::Blocked if docker.owner.as_deref() == Some("snap") => {
            Judgement::fail(
                seen,
                required,
                "a Docker from snap sees no folder outside of its own: `snap remove docker`, kk installs another",
            )
        }
        EnginePlan::Install | EnginePlan::Blocked if docker.process && !docker.running => {
            Judgement::fail(
                format!("{seen}, runs and does not answer"),
                required,
                "look at `journalctl -u docker`, then restart it",
            )
        }
        EnginePlan::Install | EnginePlan::Blocked if !docker.running => {
            let socket = facts
                .services
                .get("docker.socket")
                .is_some_and(|unit| unit.active == "active");
            let state = if socket {
                "starts on demand and does not run"
            } else {
                "does not run"
            };
            Judgement::fail(
                format!("{seen}, {state}"),
                required,
                "start it (`systemctl enable --now docker`) or remove it, so that kk installs its own",
            )
        }
        EnginePlan::Install | EnginePlan::Blocked => Judgement::fail(
            seen,
            required,
            "update it by the means it came by; kk does not replace an engine that it did not bring",
        ),
    }
}

pub(in crate::precheck) fn compose(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "any, or none";
    let wanted = &look.settings().versions.dockercompose;
    match &facts.compose {
        None => Judgement::pass(format!("none; {wanted} will be installed"), required),
        Some(found) => Judgement::pass(format!("Compose {found}"), required),
    }
}

pub(in crate::precheck) fn containerd(_: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "left as it is";
    let Some(containerd) = &facts.containerd else {
        return Judgement::pass("none", required);
    };
    let state = if containerd.running {
        "running"
    } else {
        "not running"
    };
    let owner = containerd
        .owner
        .as_deref()
        .map_or_else(String::new, |owner| format!(", from `{owner}`"));
    let measured = format!("containerd {}{owner}, {state}", containerd.version);

    if containerd.running && facts.kubelet && plan(facts) == EnginePlan::Install {
        Judgement::warn(
            format!("{measured}, used by a kubelet"),
            required,
            "nothing has to be done: Docker is installed beside it and it is neither replaced nor restarted",
        )
    } else {
        Judgement::pass(measured, required)
    }
}

pub(in crate::precheck) fn kubelet(_: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "none, or left alone";
    if !facts.kubelet {
        return Judgement::pass("none", required);
    }
    let measured = match &facts.kubelet_running {
        Some(process) => format!("`{process}` runs"),
        None => "installed, does not run".to_owned(),
    };
    Judgement::warn(
        measured,
        required,
        "Docker and containerd are not restarted on this host; a change that needs a restart is left to you",
    )
}

pub(in crate::precheck) fn tools(_: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let has = |name: &str| facts.tools.contains_key(name);
    let mut missing: Vec<&str> = ["tar", "gzip", "mktemp"]
        .into_iter()
        .filter(|name| !has(name))
        .collect();
    if !has("sha256sum") && !has("openssl") {
        missing.push("sha256sum or openssl");
    }
    let installs_docker = matches!(plan(facts), EnginePlan::Install | EnginePlan::Ours);
    if installs_docker && !has("iptables") {
        missing.push("iptables");
    }
    let required = if installs_docker {
        "tar, gzip, mktemp, sha256sum or openssl, and iptables for Docker"
    } else {
        "tar, gzip, mktemp, sha256sum or openssl"
    };
    if missing.is_empty() {
        Judgement::pass("all there", required)
    } else {
        Judgement::fail(
            format!("missing: {}", missing.join(", ")),
            required,
            "install them from the distribution's own packages",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};
    use super::*;

    fn with(check: &str, change: impl FnOnce(&mut Facts)) -> Finding {
        let mut world = World::new(&["node1"]);
        change(world.facts("node1"));
        world.finding(check, Some("node1"))
    }

    #[test]
    fn dockers_of_all_kinds() {
        assert_eq!(
            with("docker", |_| ()).measured,
            "none; 24.0.7 will be installed"
        );
        let kept = with("docker", |facts| {
            facts.docker = Some(docker_engine("26.1.5", Some("docker-ce")));
        });
        assert_eq!(kept.status, Status::Pass);
        assert_eq!(
            kept.measured,
            "Docker 26.1.5, from package `docker-ce`, 2 running containers; kept"
        );
        let unknown = with("docker", |facts| {
            facts.docker = Some(docker_engine("20.10.0", None));
        });
        assert_eq!(unknown.status, Status::Pass);
        let old = with("docker", |facts| {
            facts.docker = Some(docker_engine("19.03.15", Some("docker-ce")));
        });
        assert_eq!(old.status, Status::Fail);
        assert!(old.remedy.contains("update it"));
        let shim = with("docker", |facts| {
            facts.docker_stand_in = Some("podman".to_owned());
        });
        assert_eq!(
            (shim.status, shim.measured.as_str()),
            (Status::Fail, "`docker` is podman")
        );
        let snap = with("docker", |facts| {
            facts.docker = Some(docker_engine("24.0.5", Some("snap")));
        });
        assert_eq!(snap.status, Status::Fail);
        assert!(snap.remedy.contains("snap remove"));
    }

    #[test]
    fn dockers_that_do_not_run() {
        let stopped = |owner: Option<&str>, process: bool| {
            with("docker", |facts| {
                let mut docker = docker_engine("24.0.7", owner);
                docker.running = false;
                docker.process = process;
                facts.docker = Some(docker);
            })
        };
        assert!(
            stopped(Some("docker-ce"), false)
                .remedy
                .contains("enable --now")
        );
        assert!(
            stopped(Some("docker-ce"), true)
                .measured
                .contains("does not answer")
        );
        assert_eq!(stopped(Some("docker-ce"), true).status, Status::Fail);
        // Ours is put right by the installation.
        assert_eq!(stopped(Some("kk"), false).status, Status::Pass);
        let client = with("docker", |facts| {
            facts.docker_client = Some("/usr/bin/docker".to_owned());
        });
        assert_eq!(client.status, Status::Warn);
    }

    #[test]
    fn a_containerd_under_a_kubelet_is_noted() {
        let containerd = |facts: &mut Facts| {
            facts.containerd = Some(docker_engine("1.7.2", Some("containerd.io")));
        };
        assert_eq!(with("containerd", containerd).status, Status::Pass);
        let used = with("containerd", |facts| {
            containerd(facts);
            facts.kubelet = true;
        });
        assert_eq!(used.status, Status::Warn);
        assert_eq!(
            used.measured,
            "containerd 1.7.2, from `containerd.io`, running, used by a kubelet"
        );
    }

    #[test]
    fn kubelets() {
        assert_eq!(with("kubelet", |_| ()).status, Status::Pass);
        let found = with("kubelet", |facts| {
            facts.kubelet = true;
            facts.kubelet_running = Some("k3s-server".to_owned());
        });
        assert_eq!(
            (found.status, found.measured.as_str()),
            (Status::Warn, "`k3s-server` runs")
        );
    }

    #[test]
    fn docker_needs_iptables_and_one_that_is_kept_has_it() {
        let without = |facts: &mut Facts| {
            facts.tools.remove("iptables");
        };
        let found = with("tools", without);
        assert_eq!(
            (found.status, found.measured.as_str()),
            (Status::Fail, "missing: iptables")
        );
        let kept = with("tools", |facts| {
            without(facts);
            facts.docker = Some(docker_engine("26.1.5", Some("docker-ce")));
        });
        assert_eq!(kept.status, Status::Pass);
        let hashless = with("tools", |facts| {
            facts.tools.remove("sha256sum");
            facts.tools.remove("openssl");
        });
        assert_eq!(hashless.status, Status::Fail);
        assert_eq!(
            with("tools", |facts| {
                facts.tools.remove("openssl");
            })
            .status,
            Status::Pass
        );
    }

    #[test]
    fn composes() {
        assert_eq!(
            with("compose", |_| ()).measured,
            "none; v2.20.3 will be installed"
        );
        assert_eq!(
            with("compose", |facts| facts.compose = Some("2.40.3".to_owned())).measured,
            "Compose 2.40.3"
        );
    }
}
