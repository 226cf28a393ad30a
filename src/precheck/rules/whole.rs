//! What is asked for: the hosts, the kind, the versions.

use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::{count, list};
use crate::settings::RegistryKind;

pub(in crate::precheck) fn group(look: &Look<'_>) -> Judgements {
    let required = "at least one host in the group `image_registry`";
    let judgement = if !look.input.inventory.groups.contains_key("image_registry") {
        Judgement::fail(
            "there is no group `image_registry`",
            required,
            "add `image_registry: {hosts: [HOST]}` under `spec.groups` of the inventory",
        )
    } else if look.registry.is_empty() {
        Judgement::fail(
            "the group `image_registry` is empty",
            required,
            "name a host under `spec.groups.image_registry.hosts` of the inventory",
        )
    } else {
        Judgement::pass(
            format!(
                "{}: {}",
                count(look.registry.len(), "host"),
                list(&look.registry, 5)
            ),
            required,
        )
    };
    vec![(None, judgement)]
}

pub(in crate::precheck) fn kind(look: &Look<'_>) -> Judgements {
    let name = match look.settings().image_registry.kind {
        RegistryKind::Harbor => "harbor",
        RegistryKind::DockerRegistry => "docker-registry",
    };
    vec![(None, Judgement::pass(name, "`harbor` or `docker-registry`"))]
}

/// A version as numbers; a leading `v` and a suffix after `-` or `+` are allowed.
pub(in crate::precheck) fn numbers(version: &str) -> Option<Vec<u32>> {
    let plain = version.strip_prefix('v').unwrap_or(version);
    let plain = plain.split(['-', '+', '~']).next().unwrap_or(plain);
    let numbers: Vec<u32> = plain
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    (numbers.len() >= 2).then_some(numbers)
}

/// One version that is needed.
struct Wanted<'a> {
    setting: &'static str,
    version: &'a str,
    example: &'static str,
    /// The oldest that works, and the first that is not known to work.
    from: &'static [u32],
    before: &'static [u32],
}

pub(in crate::precheck) fn versions(look: &Look<'_>) -> Judgements {
    let versions = &look.settings().versions;
    let mut wanted = vec![
        Wanted {
            setting: "docker_version",
            version: &versions.docker,
            example: "24.0.7",
            from: &[20, 10],
            before: &[100],
        },
        Wanted {
            setting: "dockercompose_version",
            version: &versions.dockercompose,
            example: "v2.20.3",
            from: &[2],
            before: &[100],
        },
    ];
    wanted.push(match look.settings().image_registry.kind {
        RegistryKind::DockerRegistry => Wanted {
            setting: "docker_registry_version",
            version: &versions.docker_registry,
            example: "2.8.3",
            from: &[2, 7],
            before: &[4],
        },
        RegistryKind::Harbor => Wanted {
            setting: "harbor_version",
            version: &versions.harbor,
            example: "v2.10.2",
            from: &[2, 8],
            before: &[3],
        },
    });
    if look.settings().image_registry.ha_vip.is_some() {
        wanted.push(Wanted {
            setting: "keepalived_version",
            version: &versions.keepalived,
            example: "2.3.4",
            from: &[2],
            before: &[3],
        });
    }
    let judgement_of = |wanted: &Wanted<'_>| {
        let measured = format!("`{}` is `{}`", wanted.setting, wanted.version);
        let required = "versions that are known to work";
        match numbers(wanted.version) {
            None => Judgement::fail(
                measured,
                format!("a version, such as `{}`", wanted.example),
                format!("set it: `--set {}={}`", wanted.setting, wanted.example),
            ),
            Some(found) if found.as_slice() < wanted.from => Judgement::fail(
                measured,
                format!("{} or newer", dotted(wanted.from)),
                format!(
                    "choose a newer one, such as `--set {}={}`",
                    wanted.setting, wanted.example
                ),
            ),
            Some(found) if found.as_slice() >= wanted.before => Judgement::warn(
                measured,
                required,
                format!(
                    "known to work are versions before {}; the names of settings may have changed since",
                    dotted(wanted.before)
                ),
            ),
            Some(_) => Judgement::pass(measured, required),
        }
    };
    let judgements: Vec<Judgement> = wanted.iter().map(judgement_of).collect();
    let odd: Judgements = judgements
        .iter()
        .filter(|judgement| !judgement.remedy.is_empty())
        .map(|judgement| (None, judgement.clone()))
        .collect();
    if !odd.is_empty() {
        return odd;
    }
    let shown: Vec<String> = wanted
        .iter()
        .map(|wanted| {
            format!(
                "{} {}",
                wanted.setting.trim_end_matches("_version"),
                wanted.version
            )
        })
        .collect();
    vec![(
        None,
        Judgement::pass(list(&shown, 5), "versions that are known to work"),
    )]
}

fn dotted(version: &[u32]) -> String {
    let parts: Vec<String> = version.iter().map(u32::to_string).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::super::super::Status;
    use super::super::super::testing::*;
    use super::*;

    #[test]
    fn groups() {
        let mut world = World::new(&["node1"]);
        assert_eq!(world.finding("group", None).measured, "1 host: node1");
        world.registry(&[]);
        assert_eq!(world.finding("group", None).status, Status::Fail);
        world.inventory.groups.shift_remove("image_registry");
        assert!(world.finding("group", None).measured.contains("no group"));
    }

    #[test]
    fn versions_as_numbers() {
        assert_eq!(numbers("v2.20.3"), Some(vec![2, 20, 3]));
        assert_eq!(numbers("20.10.24+dfsg1"), Some(vec![20, 10, 24]));
        assert_eq!(numbers("3.0.0-rc.1"), Some(vec![3, 0, 0]));
        assert_eq!(numbers("24"), None);
        assert_eq!(numbers("latest"), None);
        assert_eq!(numbers("2.x"), None);
    }

    fn version(change: impl FnOnce(&mut crate::settings::Versions)) -> (Status, String) {
        let mut world = World::new(&["node1"]);
        change(&mut world.settings.versions);
        let found = world.finding("versions", None);
        (found.status, found.measured)
    }

    #[test]
    fn versions_that_work_and_those_that_do_not() {
        assert_eq!(
            version(|_| ()),
            (
                Status::Pass,
                "docker 24.0.7, dockercompose v2.20.3, docker_registry 2.8.3".to_owned()
            )
        );
        assert_eq!(
            version(|versions| versions.docker_registry = "latest".to_owned()),
            (
                Status::Fail,
                "`docker_registry_version` is `latest`".to_owned()
            )
        );
        assert_eq!(
            version(|versions| versions.docker = "19.03.15".to_owned()).0,
            Status::Fail
        );
        assert_eq!(
            version(|versions| versions.dockercompose = "1.29.2".to_owned()).0,
            Status::Fail
        );
        assert_eq!(
            version(|versions| versions.docker_registry = "4.0.0".to_owned()).0,
            Status::Warn
        );
        assert_eq!(
            version(|versions| versions.docker_registry = "3.0.0".to_owned()).0,
            Status::Pass
        );
        // Not needed, so not judged.
        assert_eq!(
            version(|versions| versions.keepalived = "odd".to_owned()).0,
            Status::Pass
        );
    }
}
