//! Offline packages: there, whole, of the right architecture and version.

use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::{list, size};
use super::super::{Package, PackageCondition, PackageState};
use super::engine::{self, EnginePlan};
use super::whole::numbers;

pub(in crate::precheck) fn package(look: &Look<'_>) -> Judgements {
    look.input
        .packages
        .iter()
        .map(|state| (None, judge(look, state)))
        .collect()
}

const WANTED: &str = "a readable package for each architecture";

/// `docker 24.0.7 amd64`.
fn title(package: &Package) -> String {
    format!(
        "{} {} {}",
        package.name, package.version, package.architecture
    )
}

/// Whether no host of this architecture needs the package, because all of them keep what they have.
fn is_kept_everywhere(look: &Look<'_>, package: &Package) -> bool {
    let mut hosts = look
        .registry_facts()
        .filter(|(_, facts)| facts.binary_type == package.architecture)
        .peekable();
    package.name == "docker"
        && hosts.peek().is_some()
        && hosts.all(|(_, facts)| engine::plan(facts) == EnginePlan::Keep)
}

fn judge(look: &Look<'_>, state: &PackageState) -> Judgement {
    let package = &state.package;
    let title = title(package);
    match &state.condition {
        PackageCondition::Missing {
            message,
            looked_at,
            hint,
        } => {
            if is_kept_everywhere(look, package) {
                return Judgement::pass(
                    format!("{title}: not there and not needed, every host keeps its own"),
                    "a package for hosts that have none",
                );
            }
            let wrong = message.as_deref().unwrap_or("not there");
            let places: Vec<String> = looked_at.iter().map(|path| format!("`{path}`")).collect();
            let measured = if places.is_empty() {
                format!("{title}: {wrong}")
            } else {
                format!("{title}: {wrong}; looked at {}", list(&places, 4))
            };
            let destination = looked_at.first().map_or("FILE", String::as_str);
            let remedy = given(hint.as_deref()).unwrap_or_else(|| how_to_get(package, destination));
            Judgement::fail(measured, WANTED, remedy)
        }
        PackageCondition::Broken { path, reason, hint } => {
            let measured = if path.is_empty() {
                format!("{title}: {reason}")
            } else {
                format!("{title}: `{path}` {reason}")
            };
            let remedy = given(hint.as_deref())
                .unwrap_or_else(|| format!("get it again: {}", how_to_get(package, path)));
            Judgement::fail(measured, WANTED, remedy)
        }
        PackageCondition::Found {
            path,
            size: bytes,
            sha256,
            expected_sha256,
            architecture,
            version,
            ..
        } => {
            let inside = |what: &str, found: &str, remedy: String| {
                Judgement::fail(
                    format!("{title}: `{path}` is {what} {found}"),
                    format!("{} {}", package.version, package.architecture),
                    remedy,
                )
            };
            if let (Some(found), Some(expected)) = (sha256, expected_sha256)
                && !found.eq_ignore_ascii_case(expected)
            {
                return Judgement::fail(
                    format!("{title}: `{path}` has sha256 {found}"),
                    format!("sha256 {expected}"),
                    format!("get it again: {}", how_to_get(package, path)),
                );
            }
            if let Some(found) = architecture
                && *found != package.architecture
            {
                return inside(
                    "for",
                    found,
                    format!(
                        "get the one for {}: {}",
                        package.architecture,
                        how_to_get(package, path)
                    ),
                );
            }
            if let Some(found) = version
                && differs(found, &package.version)
            {
                return inside(
                    "version",
                    found,
                    format!(
                        "set `{}={found}`, or get the right one: {}",
                        setting(&package.name),
                        how_to_get(package, path)
                    ),
                );
            }
            let hash = sha256
                .as_deref()
                .map(|hash| format!(", sha256 {}…", hash.get(..12).unwrap_or(hash)))
                .unwrap_or_default();
            Judgement::pass(format!("{title}: {}{hash}", size(*bytes)), WANTED)
        }
    }
}

/// What the caller says, if it says something.
fn given(hint: Option<&str>) -> Option<String> {
    hint.filter(|hint| !hint.trim().is_empty())
        .map(str::to_owned)
}

/// Whether two versions are not the same; suffixes of distributions do not count.
fn differs(found: &str, wanted: &str) -> bool {
    match (numbers(found), numbers(wanted)) {
        (Some(found), Some(wanted)) => found != wanted,
        _ => found.trim_start_matches('v') != wanted.trim_start_matches('v'),
    }
}

/// The setting that holds a package's version.
fn setting(name: &str) -> String {
    match name {
        "docker_compose" => "dockercompose_version".to_owned(),
        name => format!("{name}_version"),
    }
}

/// The command that brings a package to where it is looked for, to be run on a machine with access to the internet.
fn how_to_get(package: &Package, destination: &str) -> String {
    let Package {
        name,
        version,
        architecture,
        ..
    } = package;
    let machine = match architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    let save = |image: &str| {
        format!(
            "docker pull --platform linux/{architecture} {image}:{version} && docker save -o {destination} {image}:{version}"
        )
    };
    match name.as_str() {
        "docker" => format!(
            "curl -fLo {destination} https://download.docker.com/linux/static/stable/{machine}/docker-{}.tgz",
            version.trim_start_matches('v')
        ),
        "docker_compose" => format!(
            "curl -fLo {destination} https://github.com/docker/compose/releases/download/{version}/docker-compose-linux-{machine}"
        ),
        "harbor" => format!(
            "curl -fLo {destination} https://github.com/goharbor/harbor/releases/download/{version}/harbor-offline-installer-{version}.tgz"
        ),
        "docker_registry" => save("registry"),
        "keepalived" => save("osixia/keepalived"),
        _ => format!("put it at {destination}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, PackageKind, Status};
    use super::*;

    fn finding(name: &str, condition: PackageCondition) -> Finding {
        let mut world = World::new(&["node1"]);
        let mut state = good_package(name, PackageKind::Images, 25_000_000, 0, 0);
        state.condition = condition;
        world.packages = vec![state];
        world.finding("package", None)
    }

    fn found(change: impl FnOnce(&mut PackageCondition)) -> Finding {
        let mut condition =
            good_package("docker_registry", PackageKind::Images, 25_000_000, 0, 0).condition;
        change(&mut condition);
        finding("docker_registry", condition)
    }

    #[test]
    fn good_ones() {
        assert_eq!(
            found(|_| ()).measured,
            "docker_registry 2.8.3 amd64: 25 MB, sha256 0123456789ab…"
        );
        assert_eq!(found(|_| ()).status, Status::Pass);
    }

    #[test]
    fn missing_ones_say_where_and_how() {
        let missing = finding(
            "docker_registry",
            PackageCondition::Missing {
                looked_at: vec!["k/a.tgz".to_owned(), "k/b.tgz".to_owned()],
                hint: None,
                message: None,
            },
        );
        assert_eq!(missing.status, Status::Fail);
        assert_eq!(
            missing.measured,
            "docker_registry 2.8.3 amd64: not there; looked at `k/a.tgz`, `k/b.tgz`"
        );
        assert_eq!(
            missing.remedy,
            "docker pull --platform linux/amd64 registry:2.8.3 && docker save -o k/a.tgz registry:2.8.3"
        );
        let hinted = finding(
            "docker",
            PackageCondition::Missing {
                looked_at: Vec::new(),
                hint: Some("ask Anna".to_owned()),
                message: Some("is a URL".to_owned()),
            },
        );
        assert_eq!(hinted.remedy, "ask Anna");
        assert_eq!(hinted.measured, "docker 24.0.7 amd64: is a URL");
    }

    #[test]
    fn origins() {
        let of = |name: &str, version: &str, architecture: &str| {
            how_to_get(
                &Package {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    architecture: architecture.to_owned(),
                    kind: PackageKind::Programs,
                },
                "F",
            )
        };
        assert_eq!(
            of("docker", "24.0.7", "arm64"),
            "curl -fLo F https://download.docker.com/linux/static/stable/aarch64/docker-24.0.7.tgz"
        );
        assert_eq!(
            of("docker_compose", "v2.20.3", "amd64"),
            "curl -fLo F https://github.com/docker/compose/releases/download/v2.20.3/docker-compose-linux-x86_64"
        );
        assert!(of("keepalived", "2.0.20", "amd64").contains("osixia/keepalived:2.0.20"));
        assert!(of("harbor", "v2.10.2", "amd64").contains("harbor-offline-installer-v2.10.2.tgz"));
    }

    #[test]
    fn broken_and_foreign_ones() {
        let broken = finding(
            "docker",
            PackageCondition::Broken {
                path: "k/d.tgz".to_owned(),
                reason: "ends in the middle of a file".to_owned(),
                hint: None,
            },
        );
        assert_eq!(broken.status, Status::Fail);
        assert!(broken.measured.contains("ends in the middle"));
        let foreign = found(|condition| {
            if let PackageCondition::Found { architecture, .. } = condition {
                *architecture = Some("arm64".to_owned());
            }
        });
        assert_eq!(
            foreign.measured,
            "docker_registry 2.8.3 amd64: `docker_registry.tgz` is for arm64"
        );
        let old = found(|condition| {
            if let PackageCondition::Found { version, .. } = condition {
                *version = Some("2.7.1".to_owned());
            }
        });
        assert_eq!(old.status, Status::Fail);
        assert!(old.remedy.contains("docker_registry_version=2.7.1"));
        let changed = found(|condition| {
            if let PackageCondition::Found {
                expected_sha256, ..
            } = condition
            {
                *expected_sha256 = Some("ffff".to_owned());
            }
        });
        assert_eq!(
            (changed.status, changed.required.as_str()),
            (Status::Fail, "sha256 ffff")
        );
        assert!(!differs("26.1.5+dfsg1", "26.1.5"));
        assert!(!differs("v2.20.3", "2.20.3"));
    }

    #[test]
    fn a_docker_that_every_host_has_is_not_missed() {
        let mut world = World::new(&["node1", "node2"]);
        let mut state = good_package("docker", PackageKind::Programs, 1, 1, 0);
        state.condition = PackageCondition::Missing {
            looked_at: vec!["k/d.tgz".to_owned()],
            hint: None,
            message: None,
        };
        world.packages = vec![state];
        world.facts("node1").docker = Some(docker_engine("26.1.5", Some("docker-ce")));
        assert_eq!(world.finding("package", None).status, Status::Fail);
        world.facts("node2").docker = Some(docker_engine("26.1.5", Some("docker-ce")));
        assert_eq!(world.finding("package", None).status, Status::Pass);
    }
}
