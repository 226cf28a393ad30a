//! Room for the data and for the installation itself.

use std::collections::BTreeMap;

use super::super::rule::{Judgement, Look};
use super::super::sizes::{gigabytes, size};
use super::super::{BINARIES, IMAGES, OUR_PROJECT, PackageCondition, PackageKind, STAGING};
use super::engine::{self, EnginePlan};
use super::whole::numbers;
use crate::facts::{Facts, Folder, FolderContent};

/// File systems that forget everything when the host restarts.
const MEMORY_FILE_SYSTEMS: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];
/// Fewer free inodes than this end an installation soon.
const INODES_FAIL: u64 = 10_000;
/// Fewer free inodes than this end a busy registry before its space does.
const INODES_WARN: u64 = 200_000;

fn data_folder<'a>(look: &Look<'_>, facts: &'a Facts) -> Option<(&'a str, &'a Folder)> {
    let (path, folder) = facts.folders.get_key_value(look.data_folder()?)?;
    Some((path, folder))
}

fn not_seen(folder: &str, required: String) -> Judgement {
    Judgement::unknown(
        format!("`{folder}` was not seen"),
        required,
        format!("run `df -P {folder}` on the host"),
    )
}

pub(in crate::precheck) fn disk(look: &Look<'_>, _: &str, facts: &Facts) -> Option<Judgement> {
    let wanted = gigabytes(look.requirements().disk_gb);
    let path = look.data_folder()?;
    let required = format!("{} free under `{path}`", size(wanted));
    let Some((path, folder)) = data_folder(look, facts) else {
        return Some(not_seen(path, required));
    };
    if folder.hangs {
        return Some(Judgement::fail(
            format!("`{path}` does not answer"),
            required,
            "it lies on a network file system whose server is gone: bring the server back or choose another folder",
        ));
    }
    let Some(free) = folder.free_bytes else {
        return Some(not_seen(path, required));
    };
    let measured = format!(
        "{} free on `{}`{}",
        size(free),
        folder.mount,
        with_type(&folder.fstype)
    );
    if MEMORY_FILE_SYSTEMS.contains(&folder.fstype.as_str()) {
        return Some(Judgement::fail(
            measured,
            required,
            "this file system lies in memory and is empty after a restart: choose a folder on a disk",
        ));
    }
    if free >= wanted {
        return Some(Judgement::pass(measured, required));
    }
    let holds_data = matches!(
        folder.content,
        FolderContent::Distribution { .. } | FolderContent::Harbor { .. }
    );
    Some(if holds_data {
        // The images that lie there have used the space that was asked for at first.
        Judgement::warn(
            format!("{measured}, beside the images that are there"),
            required,
            "give the file system more room before it is full",
        )
    } else {
        Judgement::fail(
            measured,
            required,
            "choose a data folder on a larger file system, or set `requirements.disk_gb` for a small installation",
        )
    })
}

fn with_type(fstype: &str) -> String {
    if fstype.is_empty() {
        String::new()
    } else {
        format!(" ({fstype})")
    }
}

pub(in crate::precheck) fn inodes(look: &Look<'_>, _: &str, facts: &Facts) -> Option<Judgement> {
    let (path, folder) = data_folder(look, facts)?;
    let free = folder.free_inodes?;
    let required = format!("{INODES_WARN} free inodes under `{path}`");
    let measured = format!("{free} free on `{}`", folder.mount);
    let remedy = "remove files, or make the file system with more inodes";
    Some(if free < INODES_FAIL {
        Judgement::fail(measured, required, remedy)
    } else if free < INODES_WARN {
        Judgement::warn(measured, required, remedy)
    } else {
        Judgement::pass(measured, required)
    })
}

/// What the packages take on a host: bytes by folder, with the words for it.
fn takes(look: &Look<'_>, facts: &Facts) -> Vec<(String, u64, String)> {
    let images = facts.docker_root.as_deref().unwrap_or(IMAGES);
    let mut takes = Vec::new();
    for state in &look.input.packages {
        let PackageCondition::Found {
            size: sent,
            unpacked_bytes,
            loaded_bytes,
            ..
        } = &state.condition
        else {
            continue;
        };
        if state.package.architecture != facts.binary_type
            || is_there(look, facts, &state.package.name)
        {
            continue;
        }
        let name = &state.package.name;
        let mut take = |folder: &str, bytes: u64, how: &str| {
            if bytes > 0 {
                takes.push((folder.to_owned(), bytes, format!("{name} {how}")));
            }
        };
        match state.package.kind {
            PackageKind::Programs => {
                take(STAGING, *sent, "as sent");
                take(BINARIES, *unpacked_bytes, "unpacked");
            }
            PackageKind::Program => take(BINARIES, *sent, "as sent"),
            PackageKind::Images => {
                take(STAGING, *sent, "as sent");
                take(images, *loaded_bytes, "loaded");
            }
            PackageKind::Installer => {
                take(STAGING, *sent, "as sent");
                take(STAGING, *unpacked_bytes, "unpacked");
                take(images, *loaded_bytes, "loaded");
            }
        }
    }
    takes
}

/// Whether a host already has what a package brings, so that nothing is sent.
fn is_there(look: &Look<'_>, facts: &Facts, package: &str) -> bool {
    let versions = &look.settings().versions;
    let same = |one: &str, other: &str| numbers(one).is_some() && numbers(one) == numbers(other);
    match package {
        "docker" => match engine::plan(facts) {
            EnginePlan::Keep => true,
            EnginePlan::Ours => facts
                .docker
                .as_ref()
                .is_some_and(|docker| same(&docker.version, &versions.docker)),
            _ => false,
        },
        "docker_compose" => facts
            .compose
            .as_deref()
            .is_some_and(|found| same(found, &versions.dockercompose)),
        "docker_registry" => facts.containers.iter().any(|container| {
            container.project.as_deref() == Some(OUR_PROJECT)
                && container
                    .image
                    .rsplit_once(':')
                    .is_some_and(|(_, tag)| same(tag, &versions.docker_registry))
        }),
        _ => false,
    }
}

/// What is planned for one file system.
#[derive(Default)]
struct Planned {
    /// Free now.
    free: u64,
    /// Taken by the packages.
    packages: u64,
    /// Meant for the images that will be pushed.
    images: u64,
    what: Vec<String>,
}

impl Planned {
    fn needed(&self) -> u64 {
        self.packages.saturating_add(self.images)
    }
}

/// The packages' needs by mount point, or the folders about which nothing is known.
fn plan_of<'a>(
    look: &Look<'_>,
    facts: &'a Facts,
) -> Result<BTreeMap<&'a str, Planned>, Vec<String>> {
    let mut plan: BTreeMap<&str, Planned> = BTreeMap::new();
    let mut unseen = Vec::new();
    for (path, bytes, what) in takes(look, facts) {
        let found = facts.folders.get(&path);
        if let Some((folder, free)) = found.and_then(|folder| Some((folder, folder.free_bytes?))) {
            let planned = plan.entry(&folder.mount).or_default();
            planned.free = free;
            planned.packages = planned.packages.saturating_add(bytes);
            planned.what.push(format!("{what} {}", size(bytes)));
        } else if !unseen.contains(&path) {
            unseen.push(path);
        }
    }
    if !unseen.is_empty() {
        return Err(unseen);
    }
    // Where the room for images is there, the packages must not take it away again. Where it is not, `disk` says so.
    let wanted = gigabytes(look.requirements().disk_gb);
    if let Some((_, folder)) = data_folder(look, facts)
        && folder.content == FolderContent::Nothing
        && folder.free_bytes.is_some_and(|free| free >= wanted)
        && let Some(planned) = plan.get_mut(folder.mount.as_str())
    {
        planned.images = wanted;
        planned.what.push(format!("{} for images", size(wanted)));
    }
    Ok(plan)
}

pub(in crate::precheck) fn space_plan(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let plan = match plan_of(look, facts) {
        Ok(plan) => plan,
        Err(unseen) => {
            return not_seen(&unseen.join("`, `"), "room for the packages".to_owned());
        }
    };
    if plan.is_empty() {
        return Judgement::pass(
            "nothing to send",
            "room for the packages on each file system",
        );
    }
    let lines = |line: &dyn Fn(&str, &Planned) -> String| -> String {
        let all: Vec<String> = plan
            .iter()
            .map(|(mount, planned)| line(mount, planned))
            .collect();
        all.join(", ")
    };
    let measured = lines(&|mount, planned| format!("{} free on `{mount}`", size(planned.free)));
    let required = lines(&|mount, planned| {
        let what = planned.what.join(", ");
        format!("{} on `{mount}` ({what})", size(planned.needed()))
    });
    let mounts = |is: &dyn Fn(&Planned) -> bool| -> Vec<&str> {
        plan.iter()
            .filter(|(_, planned)| is(planned))
            .map(|(mount, _)| *mount)
            .collect()
    };
    let short = mounts(&|planned| planned.free < planned.packages);
    // Filled to the last tenth, or at the cost of the images.
    let tight = mounts(&|planned| {
        planned.free / 10 * 9 < planned.packages || planned.free < planned.needed()
    });
    if !short.is_empty() {
        Judgement::fail(
            measured,
            required,
            format!("make room on `{}`", short.join("`, `")),
        )
    } else if !tight.is_empty() {
        Judgement::warn(
            measured,
            required,
            format!(
                "`{}` will have less room than is meant for it: make room there",
                tight.join("`, `")
            ),
        )
    } else {
        Judgement::pass(measured, required)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};
    use super::*;

    const DATA: &str = "/var/lib/docker-registry/data";

    fn with(check: &str, change: impl FnOnce(&mut Folder)) -> Finding {
        let mut world = World::new(&["node1"]);
        change(world.facts("node1").folders.get_mut(DATA).unwrap());
        world.finding(check, Some("node1"))
    }

    #[test]
    fn a_hundred_gigabytes() {
        assert_eq!(
            with("disk", |folder| folder.free_bytes = Some(100_000_000_000)).status,
            Status::Pass
        );
        let small = with("disk", |folder| folder.free_bytes = Some(99_999_999_999));
        assert_eq!(small.status, Status::Fail);
        assert_eq!(small.measured, "99.9 GB free on `/data` (ext4)");
        assert_eq!(
            small.required,
            "100 GB free under `/var/lib/docker-registry/data`"
        );
        assert_eq!(
            with("disk", |folder| folder.free_bytes = None).status,
            Status::Unknown
        );
    }

    #[test]
    fn images_that_are_there_have_used_the_space() {
        let found = with("disk", |folder| {
            folder.free_bytes = Some(1_000_000_000);
            folder.content = FolderContent::Distribution {
                repositories: Some(3),
            };
        });
        assert_eq!(found.status, Status::Warn);
    }

    #[test]
    fn memory_is_no_disk_and_a_dead_server_is_none() {
        assert_eq!(
            with("disk", |folder| folder.fstype = "tmpfs".to_owned()).status,
            Status::Fail
        );
        assert_eq!(
            with("disk", |folder| folder.hangs = true).status,
            Status::Fail
        );
    }

    #[test]
    fn data_elsewhere_need_no_disk() {
        let mut world = World::new(&["node1"]);
        world.object_storage("s3", serde_json::json!({"bucket": "b"}));
        assert!(world.findings("disk").is_empty());
        assert!(world.findings("inodes").is_empty());
    }

    #[test]
    fn inodes_run_out_too() {
        assert_eq!(
            with("inodes", |folder| folder.free_inodes = Some(9_999)).status,
            Status::Fail
        );
        assert_eq!(
            with("inodes", |folder| folder.free_inodes = Some(199_999)).status,
            Status::Warn
        );
        assert_eq!(
            with("inodes", |folder| folder.free_inodes = Some(200_000)).status,
            Status::Pass
        );
    }

    #[test]
    fn the_plan_adds_up_by_file_system() {
        let mut world = World::new(&["node1"]);
        world.packages = vec![
            good_package("docker", PackageKind::Programs, 80_000_000, 200_000_000, 0),
            good_package("docker_compose", PackageKind::Program, 60_000_000, 0, 0),
            good_package(
                "docker_registry",
                PackageKind::Images,
                25_000_000,
                0,
                26_000_000,
            ),
        ];
        let found = world.finding("space-plan", Some("node1"));
        assert_eq!(found.status, Status::Pass);
        assert_eq!(found.measured, "50 GB free on `/`");
        assert_eq!(
            found.required,
            "391 MB on `/` (docker as sent 80 MB, docker unpacked 200 MB, docker_compose as sent 60 MB, docker_registry as sent 25 MB, docker_registry loaded 26 MB)"
        );
        for folder in world.facts("node1").folders.values_mut() {
            folder.free_bytes = Some(390_999_999);
        }
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Fail
        );
        for folder in world.facts("node1").folders.values_mut() {
            folder.free_bytes = Some(400_000_000);
        }
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Warn
        );
    }

    #[test]
    fn images_count_where_the_engine_keeps_them() {
        let mut world = World::new(&["node1"]);
        world.packages = vec![good_package(
            "docker_registry",
            PackageKind::Images,
            0,
            0,
            26_000_000,
        )];
        let facts = world.facts("node1");
        facts.docker_root = Some("/data/docker".to_owned());
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Unknown
        );
        let facts = world.facts("node1");
        facts
            .folders
            .insert("/data/docker".to_owned(), folder("/data", 1_000_000));
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Fail
        );
    }

    #[test]
    fn packages_do_not_take_the_room_for_images() {
        let mut world = World::new(&["node1"]);
        world.packages = vec![good_package(
            "docker",
            PackageKind::Programs,
            80_000_000,
            200_000_000,
            0,
        )];
        for path in ["/usr/local/bin", STAGING, DATA] {
            let folder = folder("/", 100_200_000_000);
            world.facts("node1").folders.insert(path.to_owned(), folder);
        }
        assert_eq!(world.finding("disk", Some("node1")).status, Status::Pass);
        let found = world.finding("space-plan", Some("node1"));
        assert_eq!(found.status, Status::Warn);
        assert_eq!(
            found.required,
            "100.2 GB on `/` (docker as sent 80 MB, docker unpacked 200 MB, 100 GB for images)"
        );
        for folder in world.facts("node1").folders.values_mut() {
            folder.free_bytes = Some(200_000_000_000);
        }
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Pass
        );
        // Too little for the images is said once, by `disk`.
        for folder in world.facts("node1").folders.values_mut() {
            folder.free_bytes = Some(50_000_000_000);
        }
        assert_eq!(world.finding("disk", Some("node1")).status, Status::Fail);
        assert_eq!(
            world.finding("space-plan", Some("node1")).status,
            Status::Pass
        );
    }

    #[test]
    fn what_is_there_takes_nothing() {
        let mut world = World::new(&["node1"]);
        world.packages = vec![
            good_package("docker", PackageKind::Programs, 80, 200, 0),
            good_package("docker_compose", PackageKind::Program, 60, 0, 0),
            good_package("docker_registry", PackageKind::Images, 25, 0, 26),
        ];
        let facts = world.facts("node1");
        facts.docker = Some(docker_engine("24.0.7", Some("docker-ce")));
        facts.compose = Some("2.20.3".to_owned());
        facts.containers = vec![our_registry()];
        assert_eq!(
            world.finding("space-plan", Some("node1")).measured,
            "nothing to send"
        );
    }

    #[test]
    fn packages_of_another_architecture_do_not_count() {
        let mut world = World::new(&["node1"]);
        world.packages = vec![good_package("docker", PackageKind::Programs, 80, 200, 0)];
        world.facts("node1").binary_type = "arm64".to_owned();
        assert_eq!(
            world.finding("space-plan", Some("node1")).measured,
            "nothing to send"
        );
    }
}
