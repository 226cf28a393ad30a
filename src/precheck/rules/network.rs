//! Ports, paths between hosts, firewalls.

use super::super::requirements::registry_ports;
use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::{count, list};
use super::super::{OUR_PROJECT, Status};
use crate::facts::{Facts, PeerProbe, PeerResult};

/// Who holds a port.
enum Holder {
    Nobody,
    Ours(String),
    Other(String),
}

/// Published ports may have no listener (they may be rules of the packet filter only), so containers are asked as well.
fn holder(facts: &Facts, port: u16) -> Holder {
    let container = facts
        .containers
        .iter()
        .find(|container| container.running && container.ports.contains(&port));
    if let Some(container) = container {
        return if container.project.as_deref() == Some(OUR_PROJECT) {
            Holder::Ours(container.name.clone())
        } else {
            Holder::Other(format!(
                "container `{}` ({})",
                container.name, container.image
            ))
        };
    }
    match facts
        .listening
        .iter()
        .find(|listener| listener.port == port)
    {
        None => Holder::Nobody,
        Some(listener) => Holder::Other(match &listener.process {
            Some(process) => format!("`{process}`"),
            None => "a process that could not be seen".to_owned(),
        }),
    }
}

pub(in crate::precheck) fn ports(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let ports = registry_ports(look.settings());
    let names: Vec<String> = ports.iter().map(u16::to_string).collect();
    let required = format!("{} free, or held by our registry", names.join(" and "));
    let mut seen = Vec::new();
    let mut taken = Vec::new();
    for port in ports {
        match holder(facts, port) {
            Holder::Nobody => seen.push(format!("{port} free")),
            Holder::Ours(name) => seen.push(format!("{port} held by our registry (`{name}`)")),
            Holder::Other(who) => {
                seen.push(format!("{port} held by {who}"));
                taken.push(port.to_string());
            }
        }
    }
    let measured = seen.join(", ");
    if taken.is_empty() {
        Judgement::pass(measured, required)
    } else {
        let setting = if look.settings().image_registry.plain_http {
            "http_port"
        } else {
            "https_port"
        };
        Judgement::fail(
            measured,
            required,
            format!(
                "stop what listens on {}, or choose another port with `--set image_registry.{setting}=PORT`",
                taken.join(" and ")
            ),
        )
    }
}

pub(in crate::precheck) fn firewall(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let ports: Vec<String> = registry_ports(look.settings())
        .iter()
        .map(|port| format!("{port}/tcp"))
        .collect();
    let required = format!("{} open", ports.join(" and "));
    match &facts.firewall {
        None => Judgement::pass("no firewalld, no ufw", required),
        Some(name) => {
            let tool = if name == "firewalld" {
                "firewall-cmd"
            } else {
                name
            };
            if facts.tools.is_empty() || facts.tools.contains_key(tool) {
                Judgement::pass(format!("{name} active; kk opens the port in it"), required)
            } else {
                Judgement::warn(
                    format!("{name} active, `{tool}` not found"),
                    required,
                    format!("open {} yourself", ports.join(" and ")),
                )
            }
        }
    }
}

pub(in crate::precheck) fn peers(look: &Look<'_>) -> Judgements {
    let required = "each registry host is reached on its ports";
    look.input
        .hosts
        .iter()
        .filter(|(_, state)| state.connection.facts().is_some() && !state.reachability.is_empty())
        .map(|(host, state)| {
            let judgement = of_host(look, &state.reachability, required);
            (Some(host.clone()), judgement)
        })
        .collect()
}

fn of_host(look: &Look<'_>, probes: &[PeerProbe], required: &str) -> Judgement {
    let judged: Vec<(Status, String)> = probes.iter().map(|probe| judge(look, probe)).collect();
    let with = |status: Status| -> Vec<&str> {
        judged
            .iter()
            .filter(|(found, _)| *found == status)
            .map(|(_, words)| words.as_str())
            .collect()
    };
    let (failed, warned, unknown) = (
        with(Status::Fail),
        with(Status::Warn),
        with(Status::Unknown),
    );
    if !failed.is_empty() {
        Judgement::fail(
            list(&failed, 3),
            required,
            "open the port in the firewall or network between the hosts, and check `internal_ipv4` in the inventory",
        )
    } else if !warned.is_empty() {
        Judgement::warn(
            list(&warned, 3),
            required,
            "nothing has to be done: the port is opened during the installation",
        )
    } else if !unknown.is_empty() {
        Judgement::unknown(
            list(&unknown, 3),
            required,
            "install bash, curl or nc on the host to have this checked",
        )
    } else {
        Judgement::pass(format!("{} open", count(probes.len(), "path")), required)
    }
}

fn judge(look: &Look<'_>, probe: &PeerProbe) -> (Status, String) {
    let to = format!("`{}` port {}", probe.to, probe.port);
    match &probe.result {
        // Refused: the host itself answered that nothing listens yet.
        PeerResult::Open | PeerResult::Refused => (Status::Pass, to),
        PeerResult::TimedOut | PeerResult::NoRoute => {
            let how = if probe.result == PeerResult::TimedOut {
                "no answer within 3 s"
            } else {
                "no route"
            };
            let other = look
                .input
                .hosts
                .get(&probe.to)
                .and_then(|state| state.connection.facts());
            match other.and_then(|facts| facts.firewall.as_deref()) {
                // Its own firewall closes the port, and that is opened by the installation.
                Some(firewall) => (
                    Status::Warn,
                    format!("{to}: {how}, closed by {firewall} there"),
                ),
                None => (Status::Fail, format!("{to} ({}): {how}", probe.address)),
            }
        }
        PeerResult::Unresolved => (
            Status::Fail,
            format!("{to}: `{}` has no address there", probe.address),
        ),
        PeerResult::Unknown(why) => (Status::Unknown, format!("{to}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Finding;
    use super::super::super::testing::*;
    use super::*;
    use crate::facts::{Container, Listener};
    use crate::settings::RegistryKind;

    fn listener(port: u16, process: Option<&str>) -> Listener {
        Listener {
            port,
            address: "*".to_owned(),
            process: process.map(str::to_owned),
        }
    }

    fn ports_with(change: impl FnOnce(&mut Facts)) -> Finding {
        let mut world = World::new(&["node1"]);
        change(world.facts("node1"));
        world.finding("ports", Some("node1"))
    }

    #[test]
    fn free_ours_and_somebody_elses() {
        assert_eq!(ports_with(|_| ()).measured, "443 free");
        let ours = ports_with(|facts| {
            facts.listening = vec![listener(443, Some("docker-proxy"))];
            facts.containers = vec![our_registry()];
        });
        assert_eq!(ours.status, Status::Pass);
        let nginx = ports_with(|facts| facts.listening = vec![listener(443, Some("nginx"))]);
        assert_eq!(
            (nginx.status, nginx.measured.as_str()),
            (Status::Fail, "443 held by `nginx`")
        );
        assert!(nginx.remedy.contains("image_registry.https_port"));
        let unseen = ports_with(|facts| facts.listening = vec![listener(443, None)]);
        assert_eq!(unseen.status, Status::Fail);
        // Published by rules of the packet filter only: nothing listens.
        let foreign = ports_with(|facts| {
            facts.containers = vec![Container {
                name: "registry".to_owned(),
                image: "registry:2".to_owned(),
                running: true,
                ports: vec![443],
                ..Container::default()
            }];
        });
        assert_eq!(
            foreign.measured,
            "443 held by container `registry` (registry:2)"
        );
        assert_eq!(foreign.status, Status::Fail);
    }

    #[test]
    fn a_stopped_container_holds_nothing() {
        let found = ports_with(|facts| {
            let mut container = our_registry();
            container.running = false;
            container.project = None;
            facts.containers = vec![container];
        });
        assert_eq!(found.status, Status::Pass);
    }

    #[test]
    fn ports_by_kind() {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.plain_http = true;
        assert_eq!(world.finding("ports", Some("node1")).measured, "80 free");
        world.settings.image_registry.plain_http = false;
        world.settings.image_registry.kind = RegistryKind::Harbor;
        assert_eq!(
            world.finding("ports", Some("node1")).measured,
            "443 free, 80 free"
        );
    }

    fn peer(result: PeerResult) -> Finding {
        let mut world = World::new(&["node1", "node2"]);
        peer_in(&mut world, result)
    }

    fn peer_in(world: &mut World, result: PeerResult) -> Finding {
        world.state("node1").reachability = vec![PeerProbe {
            to: "node2".to_owned(),
            address: "10.0.0.12".to_owned(),
            port: 443,
            result,
        }];
        world.finding("peers", Some("node1"))
    }

    #[test]
    fn a_refusal_shows_an_open_path() {
        assert_eq!(peer(PeerResult::Refused).status, Status::Pass);
        assert_eq!(peer(PeerResult::Open).measured, "1 path open");
        let silent = peer(PeerResult::TimedOut);
        assert_eq!(silent.status, Status::Fail);
        assert_eq!(
            silent.measured,
            "`node2` port 443 (10.0.0.12): no answer within 3 s"
        );
        assert_eq!(peer(PeerResult::NoRoute).status, Status::Fail);
        assert_eq!(peer(PeerResult::Unresolved).status, Status::Fail);
        assert_eq!(
            peer(PeerResult::Unknown("no bash".to_owned())).status,
            Status::Unknown
        );
    }

    #[test]
    fn a_firewall_that_kk_opens_is_no_failure() {
        let mut world = World::new(&["node1", "node2"]);
        world.facts("node2").firewall = Some("firewalld".to_owned());
        let found = peer_in(&mut world, PeerResult::NoRoute);
        assert_eq!(found.status, Status::Warn);
        assert!(found.measured.contains("closed by firewalld there"));
    }

    #[test]
    fn without_tries_nothing_is_said() {
        assert!(World::new(&["node1"]).findings("peers").is_empty());
    }

    #[test]
    fn firewalls() {
        let of = |name: Option<&str>, tool: &str| {
            let mut world = World::new(&["node1"]);
            world.facts("node1").firewall = name.map(str::to_owned);
            world
                .facts("node1")
                .tools
                .insert(tool.to_owned(), "/x".to_owned());
            world.finding("firewall", Some("node1"))
        };
        assert_eq!(of(None, "x").status, Status::Pass);
        assert_eq!(
            of(Some("firewalld"), "firewall-cmd").measured,
            "firewalld active; kk opens the port in it"
        );
        assert_eq!(of(Some("ufw"), "x").status, Status::Warn);
    }
}
