//! Looking at everything an installation depends on, and judging it: what `kk precheck` shows and what `kk init` does
//! first. Changes nothing on any host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures::StreamExt as _;
use indexmap::IndexMap;

use super::live::Live;
use super::names::Names;
use super::prepare::Prepared;
use super::{storage, storage_proof, vip};
use crate::artifact::{self, Cache, Kind, PackageError};
use crate::connect::TransportError;
use crate::diagnostic::Diagnostic;
use crate::engine::{EventKind, Fleet, Member, NoticeLevel};
use crate::facts::{self, Facts, FactsError, PeerProbe};
use crate::pki::{CertificateNames, check_own};
use crate::precheck::{
    self, ControlFacts, Finding, HostConnection, HostState, Input, Package, PackageCondition,
    PackageKind, PackageState, Waivers,
};

/// What was found out.
pub struct Assessment {
    /// Every host × check.
    pub findings: Vec<Finding>,
    /// The packages that can be used.
    pub packages: Vec<artifact::Package>,
    /// What the registry is called.
    pub names: Names,
}

/// Looks at hosts, packages and certificates, and applies every rule.
pub async fn assess(
    prepared: &Prepared,
    live: &Live,
    fleet: &Fleet,
    waivers: Waivers,
) -> anyhow::Result<Assessment> {
    gather(prepared, live, fleet).await;
    let registry_hosts = prepared.registry_hosts();
    let names = Names::of(prepared, fleet, &prepared.all_registry_hosts());
    let arches: BTreeSet<String> = registry_hosts
        .iter()
        .filter_map(|name| {
            fleet
                .member(name)?
                .facts()
                .map(|facts| facts.binary_type.clone())
        })
        .collect();
    let (packages, probes, storage_proofs, vip_answers, vrrp) = tokio::join!(
        packages(prepared, live, &arches),
        reach(prepared, live, fleet),
        storage_proof::prove(prepared, live, fleet),
        vip_answers(prepared),
        vip::hear(live, fleet, names.vip.as_ref()),
    );
    let (states, packages) = packages;
    let mut hosts = IndexMap::new();
    for name in &prepared.names {
        let Some(member) = fleet.member(name) else {
            continue;
        };
        let connection = connection_of(member);
        let reachability = probes
            .iter()
            .find(|(host, _)| host == name)
            .map(|(_, probes)| probes.clone())
            .unwrap_or_default();
        hosts.insert(
            name.clone(),
            HostState {
                connection,
                reachability,
            },
        );
    }
    let own_certificate = own_certificate(prepared, &names);
    let input = Input {
        inventory: &prepared.inventory,
        settings: &prepared.settings,
        hosts,
        packages: states,
        control: control_facts(),
        own_certificate,
        storage_files: storage::files(prepared),
        storage_proofs,
        vip_answers,
        vrrp,
        waivers,
        now: time::OffsetDateTime::now_utc().unix_timestamp(),
    };
    let findings = precheck::check(&input);
    for finding in &findings {
        live.events.send(EventKind::Finding(finding.clone()));
    }
    for unused in input.waivers.unused(&findings) {
        live.events.notice(
            NoticeLevel::Info,
            format!("the waiver of `{unused}` was not needed"),
        );
    }
    Ok(Assessment {
        findings,
        packages,
        names,
    })
}

/// Facts of every host, at most as many at once as connections were made.
async fn gather(prepared: &Prepared, live: &Live, fleet: &Fleet) {
    let wanted = precheck::wanted(&prepared.settings);
    let members: Vec<Arc<Member>> = fleet.named(&prepared.names).cloned().collect();
    futures::stream::iter(members)
        .for_each_concurrent(64, |member| {
            let wanted = &wanted;
            async move {
                let result = match member.session_as_root(&live.control.cancel) {
                    Ok(session) => facts::gather(&session, wanted).await,
                    Err(error) => Err(error.into()),
                };
                member.set_facts(result.map_err(Arc::new));
            }
        })
        .await;
}

fn connection_of(member: &Member) -> HostConnection {
    match &member.link {
        Err(error) => {
            let (message, hint) = (error.to_string(), error.hint().map(str::to_owned));
            match error {
                TransportError::HostKey { .. } => HostConnection::HostKey { message, hint },
                TransportError::Authentication { .. } | TransportError::Local { .. } => {
                    HostConnection::Login { message, hint }
                }
                _ => HostConnection::Unreachable { message, hint },
            }
        }
        Ok(_) => match member.facts_result() {
            Some(Ok(facts)) => HostConnection::Up(Box::new(Facts::clone(&facts))),
            Some(Err(error)) => {
                let message = error.to_string();
                match error.as_ref() {
                    FactsError::Transport(error @ TransportError::Privilege { .. }) => {
                        HostConnection::Privilege {
                            message,
                            hint: error.hint().map(str::to_owned),
                        }
                    }
                    FactsError::Transport(error) => HostConnection::Unreachable {
                        message,
                        hint: error.hint().map(str::to_owned),
                    },
                    FactsError::Incomplete { .. } => HostConnection::Facts {
                        message,
                        hint: None,
                    },
                }
            }
            None => HostConnection::Facts {
                message: "the host was not asked".to_owned(),
                hint: None,
            },
        },
    }
}

/// Whether the hosts reach each other.
async fn reach(prepared: &Prepared, live: &Live, fleet: &Fleet) -> Vec<(String, Vec<PeerProbe>)> {
    let probes = prepared.names.iter().map(|name| async move {
        let targets: Vec<(String, String, u16)> =
            precheck::peer_targets(&prepared.inventory, &prepared.settings, name)
                .into_iter()
                .map(|target| (target.host, target.address, target.port))
                .collect();
        let session = fleet.member(name)?.session(&live.control.cancel).ok()?;
        let probes = facts::peers(&session, &targets).await.ok()?;
        Some((name.clone(), probes))
    });
    futures::future::join_all(probes)
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// Every package that the hosts need, looked at once. Reading gigabytes takes a moment: it happens on a thread of its
/// own.
async fn packages(
    prepared: &Prepared,
    live: &Live,
    arches: &BTreeSet<String>,
) -> (Vec<PackageState>, Vec<artifact::Package>) {
    let settings = prepared.settings.clone();
    let work_dir = prepared.work_dir.clone();
    let arches = arches.clone();
    let stop = live.control.stop.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let arches: Vec<&str> = arches.iter().map(String::as_str).collect();
        let mut cache = Cache::open(&work_dir);
        let mut looked = Vec::new();
        for need in artifact::needs(&settings, &arches) {
            if stop.is_cancelled() {
                break;
            }
            let result = artifact::examine(&settings, &need, &mut cache, &|_| watch(&stop));
            let package = Package {
                name: need.item.name.clone(),
                version: need.version.to_owned(),
                architecture: need.arch.to_owned(),
                kind: package_kind(need.item.kind),
            };
            looked.push((package, result));
        }
        // Without the cache the next look takes longer, no more.
        let _ = cache.save();
        looked
    });
    let looked = looked.await.unwrap_or_default();
    let mut usable = Vec::new();
    let mut states = Vec::new();
    for (package, result) in looked {
        let condition = match &result {
            Ok(found) => PackageCondition::Found {
                path: found.path.display().to_string(),
                size: found.inspection.size,
                sha256: Some(found.inspection.sha256.clone()),
                expected_sha256: None,
                unpacked_bytes: found.inspection.unpacked,
                loaded_bytes: found.inspection.loaded(),
                architecture: None,
                version: None,
            },
            Err(PackageError::Missing(missing)) => PackageCondition::Missing {
                message: Some(missing.message.clone()),
                looked_at: missing
                    .looked_at
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect(),
                hint: Some(missing.hint.clone()),
            },
            Err(error @ PackageError::Unfit { error: unfit, .. }) => PackageCondition::Broken {
                path: unfit.path.display().to_string(),
                reason: unfit.fault.to_string(),
                hint: Some(error.hint().to_owned()),
            },
            Err(error) => PackageCondition::Broken {
                path: String::new(),
                reason: error.to_string(),
                hint: Some(error.hint().to_owned()),
            },
        };
        if let Ok(found) = result {
            for warning in &found.warnings {
                live.events.notice(
                    NoticeLevel::Warning,
                    format!("{}: {warning}", found.path.display()),
                );
            }
            usable.push(found);
        }
        states.push(PackageState { package, condition });
    }
    (states, usable)
}

/// Reading goes on until the run is stopped.
fn watch(stop: &tokio_util::sync::CancellationToken) -> std::ops::ControlFlow<()> {
    if stop.is_cancelled() {
        std::ops::ControlFlow::Break(())
    } else {
        std::ops::ControlFlow::Continue(())
    }
}

/// What is wrong with the user's own certificate; `None` when the settings name none.
fn own_certificate(prepared: &Prepared, names: &Names) -> Option<Vec<Diagnostic>> {
    let files = prepared.settings.image_registry.certificate.as_ref()?;
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map_err(|error| {
            Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
        })
    };
    let texts = (|| {
        let authority = files.ca_file.as_deref().map(read).transpose()?;
        Ok::<_, Diagnostic>((read(&files.cert_file)?, read(&files.key_file)?, authority))
    })();
    Some(match texts {
        Err(diagnostic) => vec![diagnostic],
        Ok((certificate, key, authority)) => {
            // A bought certificate names what clients use, not every host.
            let wanted =
                CertificateNames::only(names.hosts.values().map(|host| host.name.as_str()));
            check_own(
                &certificate,
                &key,
                authority.as_deref(),
                &wanted,
                time::OffsetDateTime::now_utc(),
            )
        }
    })
}

const fn package_kind(kind: Kind) -> PackageKind {
    match kind {
        Kind::Engine => PackageKind::Programs,
        Kind::Compose => PackageKind::Program,
        Kind::Image => PackageKind::Images,
        Kind::Harbor => PackageKind::Installer,
    }
}

fn control_facts() -> ControlFacts {
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    ControlFacts {
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        addresses: addresses
            .iter()
            .map(|interface| interface.ip().to_string())
            .collect(),
    }
}

/// Whether something answers at the virtual address. A port that refuses answers too.
async fn vip_answers(prepared: &Prepared) -> Option<bool> {
    let vip: IpAddr = prepared
        .settings
        .image_registry
        .ha_vip
        .as_deref()?
        .trim()
        .parse()
        .ok()?;
    for port in [443, 80, 22] {
        let connecting = tokio::net::TcpStream::connect((vip, port));
        match tokio::time::timeout(std::time::Duration::from_secs(1), connecting).await {
            Ok(Ok(_)) => return Some(true),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                return Some(true);
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Some(false)
}
