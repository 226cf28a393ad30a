//! Services, security modules, the firewall, Kubernetes.

use std::collections::BTreeMap;

use super::frame::{Frames, values};
use super::model::{Facts, ServiceFact};

/// Processes that are a kubelet or contain one.
const KUBELETS: [&str; 6] = [
    "kubelet",
    "k3s-server",
    "k3s-agent",
    "rke2",
    "k0s",
    "kubelite",
];

/// Reads the sections about services into `facts`.
pub(super) fn read(frames: &Frames<'_>, facts: &mut Facts) {
    facts.services = units(frames.text("units"));
    for name in frames.lines("openrc") {
        facts
            .services
            .entry(name.trim().to_owned())
            .or_insert_with(|| ServiceFact {
                active: "active".to_owned(),
                enabled: String::new(),
            });
    }
    let daemons: Vec<&str> = frames
        .lines("daemons")
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    facts.kubelet_running = KUBELETS
        .into_iter()
        .find(|name| daemons.contains(name))
        .map(str::to_owned);
    facts.kubelet = facts.kubelet_running.is_some() || frames.lines("kubernetes").next().is_some();

    let security = frames.values("security");
    facts.selinux = match security.get("selinux_enforce") {
        Some(&"1") => Some("enforcing".to_owned()),
        Some(_) => Some("permissive".to_owned()),
        None => security
            .contains_key("selinux_config")
            .then(|| "disabled".to_owned()),
    };
    facts.apparmor = security.get("apparmor") == Some(&"Y");

    let active = |name: &str| {
        facts
            .services
            .get(name)
            .is_some_and(|service| service.active == "active")
    };
    let ufw_enabled = frames.lines("security").any(|line| {
        line.trim().split_once('=').is_some_and(|(key, value)| {
            key.eq_ignore_ascii_case("ENABLED")
                && value
                    .trim()
                    .trim_matches(['"', '\''])
                    .eq_ignore_ascii_case("yes")
        })
    });
    facts.firewall = if active("firewalld") || daemons.contains(&"firewalld") {
        Some("firewalld".to_owned())
    } else if ufw_enabled {
        Some("ufw".to_owned())
    } else {
        None
    };
}

/// Blocks of `systemctl show`; units that are not there are left out.
fn units(text: &str) -> BTreeMap<String, ServiceFact> {
    text.split("\n\n")
        .filter_map(|block| {
            let unit = values(block);
            let name = unit.get("Id")?;
            (*unit.get("LoadState")? != "not-found").then_some(())?;
            let text = |key: &str| unit.get(key).copied().unwrap_or_default().to_owned();
            Some((
                name.trim_end_matches(".service").to_owned(),
                ServiceFact {
                    active: text("ActiveState"),
                    enabled: text("UnitFileState"),
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_are_not_there_are_left_out() {
        let found = units(
            "Id=docker.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\nId=docker.socket\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\nLoadState=not-found\nActiveState=inactive\nId=kubelet.service\nUnitFileState=\n",
        );
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["docker", "docker.socket"]
        );
        assert_eq!(found["docker"].enabled, "enabled");
    }

    fn facts(text: &str) -> Facts {
        let mut facts = Facts::default();
        read(&Frames::new(text), &mut facts);
        facts
    }

    #[test]
    fn firewalls() {
        assert_eq!(
            facts("=kk= security\nENABLED=yes\n").firewall.as_deref(),
            Some("ufw")
        );
        assert_eq!(facts("=kk= security\nENABLED=no\n").firewall, None);
        assert_eq!(
            facts("=kk= daemons\nfirewalld 77 /usr/bin/python3.9\n")
                .firewall
                .as_deref(),
            Some("firewalld")
        );
    }

    #[test]
    fn selinux_states() {
        let state = |text: &str| facts(&format!("=kk= security\n{text}")).selinux;
        assert_eq!(state("selinux_enforce=1\n").as_deref(), Some("enforcing"));
        assert_eq!(state("selinux_enforce=0\n").as_deref(), Some("permissive"));
        assert_eq!(
            state("selinux_enforce=\nselinux_config=yes\n").as_deref(),
            Some("disabled")
        );
        assert_eq!(state("selinux_enforce=\n"), None);
    }

    #[test]
    fn a_kubelet_running_or_installed() {
        let running = facts("=kk= daemons\nk3s-server 7 /usr/local/bin/k3s\n");
        assert_eq!(running.kubelet_running.as_deref(), Some("k3s-server"));
        assert!(running.kubelet);
        let installed = facts("=kk= kubernetes\n/usr/bin/kubelet\n");
        assert!(installed.kubelet && installed.kubelet_running.is_none());
        assert!(!facts("=kk= kubernetes\n\n").kubelet);
    }
}
