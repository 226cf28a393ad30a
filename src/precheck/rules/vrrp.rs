//! Whether the registry hosts hear each other by VRRP, and whether somebody else there uses their router id.

use std::net::IpAddr;

use super::super::HeardVrrp;
use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::list;
use crate::facts::VrrpProbe;

pub(in crate::precheck) fn vrrp(look: &Look<'_>) -> Judgements {
    let Some(heard) = &look.input.vrrp else {
        return Vec::new();
    };
    let hosts = heard.hosts.keys();
    hosts
        .map(|host| (Some(host.clone()), of_host(look, heard, host)))
        .collect()
}

fn of_host(look: &Look<'_>, heard: &HeardVrrp, host: &str) -> Judgement {
    let id = heard.router_id;
    let required = format!("hears the other registry hosts; nobody else has the router id {id}");
    let Some((
        _,
        VrrpProbe::Listened {
            heard: peers,
            speakers,
        },
    )) = heard.hosts.get(host)
    else {
        let reason = match heard.hosts.get(host) {
            Some((_, VrrpProbe::Unknown(reason))) => reason.clone(),
            _ => String::new(),
        };
        return Judgement::unknown(
            reason,
            required,
            "see to it that IP protocol 112 passes between the hosts, and that no other keepalived there has this id",
        );
    };
    let is_ours = |address: &IpAddr| heard.hosts.values().any(|(own, _)| own == address);
    let strangers = || speakers.iter().filter(|(address, _)| !is_ours(address));
    if let Some((address, _)) = strangers().find(|(_, other)| *other == id) {
        let free = (1..=u8::MAX)
            .rev()
            .find(|id| !speakers.iter().any(|(_, other)| other == id));
        return Judgement::fail(
            format!("`{address}` speaks VRRP with the router id {id}"),
            required,
            format!(
                "choose another one: `--set image_registry.ha_virtual_router_id={}`",
                free.unwrap_or(u8::MAX)
            ),
        );
    }
    let others: Vec<String> = strangers()
        .map(|(address, other)| format!("`{address}` with id {other}"))
        .collect();
    let others = if others.is_empty() {
        "nobody else speaks".to_owned()
    } else {
        format!("{} speaks", list(&others, 3))
    };
    if heard.only_listened {
        return Judgement::pass(format!("keepalived runs already; {others}"), required);
    }
    let mut missing = Vec::new();
    let mut filtered = Vec::new();
    for (name, (address, probe)) in &heard.hosts {
        // One that could not send was not to be heard.
        let sent = matches!(probe, VrrpProbe::Listened { .. });
        if name == host || !sent || peers.contains(address) {
            continue;
        }
        missing.push(format!("`{name}`"));
        let facts = look.facts().filter(|(who, _)| *who == host);
        filtered.extend(facts.filter_map(|(_, facts)| facts.firewall.clone()));
    }
    if missing.is_empty() {
        let count = heard.hosts.len().saturating_sub(1);
        return Judgement::pass(format!("hears {count} of {count}; {others}"), required);
    }
    let measured = format!("does not hear {}", list(&missing, 3));
    match filtered.first() {
        Some(firewall) => Judgement::warn(
            format!("{measured}; {firewall} is active here"),
            required,
            "nothing has to be done: VRRP is let in during the installation",
        ),
        None => Judgement::fail(
            measured,
            required,
            "let IP protocol 112 through between the registry hosts (packet filters, switches, security groups); else each of them takes the address",
        ),
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::super::super::Status;
    use super::super::super::testing::World;
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn listened(heard: &[u8], speakers: &[(u8, u8)]) -> VrrpProbe {
        VrrpProbe::Listened {
            heard: heard.iter().map(|last| address(*last)).collect(),
            speakers: speakers
                .iter()
                .map(|(last, id)| (address(*last), *id))
                .collect(),
        }
    }

    /// What is found for each of two hosts.
    fn found(
        change: impl Fn(&mut World),
        one: VrrpProbe,
        two: VrrpProbe,
        only_listened: bool,
    ) -> Vec<(Status, String)> {
        let mut world = World::new(&["node1", "node2"]);
        world.vrrp = Some(HeardVrrp {
            router_id: 100,
            hosts: IndexMap::from_iter([
                ("node1".to_owned(), (address(11), one)),
                ("node2".to_owned(), (address(12), two)),
            ]),
            only_listened,
        });
        change(&mut world);
        let findings = world.findings("vrrp").into_iter();
        findings
            .map(|finding| {
                (
                    finding.status,
                    format!("{}; {}", finding.measured, finding.remedy),
                )
            })
            .collect()
    }

    #[test]
    fn hosts_that_hear_each_other() {
        let all = found(
            |_| (),
            listened(&[12], &[]),
            listened(&[11], &[(7, 51)]),
            false,
        );
        assert_eq!(all[0].0, Status::Pass);
        assert!(all[0].1.starts_with("hears 1 of 1; nobody else speaks"));
        assert!(all[1].1.contains("`10.0.0.7` with id 51 speaks"), "{all:?}");
    }

    #[test]
    fn somebody_else_has_the_id() {
        let all = found(
            |_| (),
            listened(&[12], &[(7, 100), (8, 255)]),
            listened(&[11], &[(11, 100)]),
            false,
        );
        assert_eq!(all[0].0, Status::Fail);
        assert!(
            all[0]
                .1
                .contains("`10.0.0.7` speaks VRRP with the router id 100")
        );
        assert!(all[0].1.contains("ha_virtual_router_id=254"), "{all:?}");
        assert_eq!(all[1].0, Status::Pass, "one of our own");
    }

    #[test]
    fn hosts_that_do_not() {
        let deaf = listened(&[], &[]);
        let all = found(|_| (), deaf.clone(), listened(&[11], &[]), false);
        assert_eq!(all[0].0, Status::Fail);
        assert!(
            all[0]
                .1
                .contains("does not hear `node2`; let IP protocol 112")
        );
        assert_eq!(all[1].0, Status::Pass);
        let firewall = |world: &mut World| {
            world.facts("node1").firewall = Some("ufw".to_owned());
        };
        let all = found(firewall, deaf.clone(), listened(&[11], &[]), false);
        assert_eq!(all[0].0, Status::Warn);
        let all = found(
            |_| (),
            deaf.clone(),
            VrrpProbe::Unknown("no perl".to_owned()),
            false,
        );
        assert_eq!(all[0].0, Status::Pass, "who could not send cannot be heard");
        assert_eq!(all[1].0, Status::Unknown);
        let all = found(|_| (), deaf.clone(), deaf, true);
        assert_eq!(all[0].0, Status::Pass);
    }
}
