//! Data and registries that are there already: kept when they are of the same kind, never written over.

use super::super::OUR_PROJECT;
use super::super::rule::{Judgement, Look};
use super::super::sizes::{count, list};
use crate::facts::{Container, Facts, Folder, FolderContent};
use crate::settings::RegistryKind;

/// What data are of this kind of registry.
fn holds(folder: &Folder) -> String {
    match &folder.content {
        FolderContent::Nothing => "empty".to_owned(),
        FolderContent::Distribution { repositories } => {
            format!("a registry's data{}", with(*repositories))
        }
        FolderContent::Harbor { repositories } => format!("Harbor's data{}", with(*repositories)),
        FolderContent::Other => quoted(&folder.entries),
    }
}

fn with(repositories: Option<u32>) -> String {
    match repositories {
        Some(number) => format!(", {}", count(number as usize, "repository")),
        None => String::new(),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    list(&names, 4)
}

/// Whether this is kk's own registry.
fn is_ours(container: &Container) -> bool {
    container.project.as_deref() == Some(OUR_PROJECT)
}

/// Whether one folder is the other or lies in it.
fn within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.trim_end_matches('/')
        .strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(in crate::precheck) fn existing_data(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let kind = look.settings().image_registry.kind;
    let required = "an empty data folder, or this kind of registry's own data, which are kept";
    if let Some(judgement) = elsewhere(look, facts, required) {
        return judgement;
    }
    let Some(path) = look.data_folder() else {
        return Judgement::pass("the data lie in an object store", required);
    };
    let Some(folder) = facts.folders.get(path) else {
        return Judgement::unknown(
            format!("`{path}` was not seen"),
            required,
            format!("run `ls -A {path}` on the host"),
        );
    };
    if folder.hangs {
        return Judgement::unknown(
            format!("`{path}` does not answer"),
            required,
            "it lies on a network file system whose server is gone: bring the server back",
        );
    }
    if folder.exists && !folder.is_directory {
        return Judgement::fail(
            format!("`{path}` is there and is no folder"),
            required,
            "remove it or choose another data folder",
        );
    }
    if let Some(user) = facts.containers.iter().find(|container| {
        !is_ours(container)
            && (container.running || registry_image(&container.image).is_some())
            && kind == RegistryKind::DockerRegistry
            && container.mounts.iter().any(|mount| within(mount, path))
    }) {
        return Judgement::fail(
            format!(
                "`{path}` is in use by container `{}` ({})",
                user.name, user.image
            ),
            required,
            "choose another data folder, or remove that container first",
        );
    }
    let measured = format!("`{path}`: {}", holds(folder));
    match (&folder.content, kind) {
        (FolderContent::Nothing, _) => {
            let state = if folder.exists { "empty" } else { "not there" };
            Judgement::pass(format!("`{path}`: {state}"), required)
        }
        (FolderContent::Distribution { .. }, RegistryKind::DockerRegistry)
        | (FolderContent::Harbor { .. }, RegistryKind::Harbor) => Judgement::warn(
            measured,
            required,
            "nothing has to be done: they are kept and served by the registry",
        ),
        (FolderContent::Harbor { .. }, RegistryKind::DockerRegistry) => Judgement::fail(
            measured,
            required,
            "choose another folder with `image_registry.docker_registry.storage.filesystem.rootdir`, or keep Harbor",
        ),
        (FolderContent::Distribution { .. }, RegistryKind::Harbor) => Judgement::fail(
            measured,
            required,
            "choose another folder with `image_registry.harbor.data_dir`: an empty database beside these images would lose them at the first clean-up",
        ),
        (FolderContent::Other, _) => Judgement::fail(
            measured,
            required,
            "move what lies there away, or choose another data folder",
        ),
    }
}

/// Our own registry's images lie somewhere else than the settings say: a new one beside them would be empty. Its
/// containers say where, and the ledger does when they cannot be seen because the engine does not run.
fn elsewhere(look: &Look<'_>, facts: &Facts, required: &str) -> Option<Judgement> {
    (look.settings().image_registry.kind == RegistryKind::DockerRegistry).then_some(())?;
    let wanted = look.data_folder();
    let is_wanted = |path: &str| {
        wanted.is_some_and(|wanted| path.trim_end_matches('/') == wanted.trim_end_matches('/'))
    };
    let mounted = facts
        .containers
        .iter()
        .filter(|container| is_ours(container))
        .flat_map(|container| &container.mounts);
    let (path, folder) = mounted
        .chain(&facts.own_data)
        .filter(|path| !is_wanted(path))
        .filter_map(|path| Some((path, facts.folders.get(path)?)))
        .find(|(_, folder)| matches!(folder.content, FolderContent::Distribution { .. }))?;
    let target = wanted.map_or_else(|| "an object store".to_owned(), |path| format!("`{path}`"));
    Some(Judgement::fail(
        format!(
            "our registry's images lie in `{path}` ({}), the settings say {target}",
            holds(folder)
        ),
        required,
        "an empty registry beside them is not what you want: set the data folder back; or `kk delete registry` (which keeps data), then move the folder's content to where the settings say, or out of the way",
    ))
}

/// Whether an image is one of a registry, and of which kind.
fn registry_image(image: &str) -> Option<&'static str> {
    let name = image.split('@').next().unwrap_or(image);
    let name = name.rsplit_once(':').map_or(
        name,
        |(name, tag)| {
            if tag.contains('/') { image } else { name }
        },
    );
    let last = name.rsplit('/').next().unwrap_or(name);
    if name.starts_with("goharbor/") || name.contains("/goharbor/") {
        Some("Harbor")
    } else if last == "registry" || last == "distribution" || last == "docker-registry" {
        Some("a registry")
    } else {
        None
    }
}

pub(in crate::precheck) fn existing_registry(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let kind = look.settings().image_registry.kind;
    let required = "none but our own";
    let foreign: Vec<(&Container, &str)> = facts
        .containers
        .iter()
        .filter(|container| !is_ours(container))
        .filter_map(|container| Some((container, registry_image(&container.image)?)))
        .collect();
    let harbor = foreign.iter().filter(|(_, name)| *name == "Harbor").count();
    let others: Vec<String> = foreign
        .iter()
        .filter(|(_, name)| *name != "Harbor")
        .map(|(container, _)| {
            let state = if container.running { "" } else { ", stopped" };
            format!(
                "container `{}` ({}{state})",
                container.name, container.image
            )
        })
        .collect();
    let units: Vec<&str> = ["harbor", "docker-registry", "registry"]
        .into_iter()
        .filter(|name| {
            facts
                .services
                .get(*name)
                .is_some_and(|unit| unit.active == "active")
        })
        .collect();
    let mut seen = Vec::new();
    if harbor > 0 {
        seen.push(format!("Harbor ({})", count(harbor, "container")));
    }
    seen.extend(others.iter().cloned());
    seen.extend(units.iter().map(|unit| format!("unit `{unit}.service`")));
    if seen.is_empty() {
        let ours = facts.containers.iter().find(|container| is_ours(container));
        let measured = match ours {
            Some(ours) => format!("our own (`{}`, {})", ours.name, ours.image),
            None => "none".to_owned(),
        };
        return Judgement::pass(measured, required);
    }
    let measured = list(&seen, 4);
    // Two Harbors want the same container names; it also takes what bears the plain name `registry`.
    let clashes = kind == RegistryKind::Harbor
        && (harbor > 0
            || foreign
                .iter()
                .any(|(container, _)| container.name == "registry"));
    if clashes {
        Judgement::fail(
            measured,
            required,
            "one engine holds one Harbor: remove the other registry by the means it came by, or choose another host",
        )
    } else {
        Judgement::warn(
            measured,
            required,
            "it is left alone, and ours is installed beside it as long as ports and folders differ (`ports`, `existing-data`)",
        )
    }
}

pub(in crate::precheck) fn leftovers(_: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "none";
    if facts.leftovers.is_empty() {
        Judgement::pass("none", required)
    } else {
        Judgement::warn(
            quoted(&facts.leftovers),
            required,
            "another installer left them and kk does not use them; its registry may keep images inside of its container, so save those before you remove it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};
    use super::*;

    const DATA: &str = "/var/lib/docker-registry/data";

    fn data(kind: RegistryKind, content: FolderContent) -> Finding {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.kind = kind;
        world.settings.image_registry.harbor_data_dir = DATA.to_owned();
        let folder = world.facts("node1").folders.get_mut(DATA).unwrap();
        folder.exists = true;
        folder.is_directory = true;
        folder.entries = vec!["notes.txt".to_owned()];
        folder.has_content = content != FolderContent::Nothing;
        folder.content = content;
        world.finding("existing-data", Some("node1"))
    }

    #[test]
    fn each_kind_keeps_its_own_and_refuses_the_others() {
        use FolderContent::{Distribution, Harbor, Nothing, Other};
        use RegistryKind::DockerRegistry;
        let distribution = || Distribution {
            repositories: Some(1),
        };
        let harbor = || Harbor { repositories: None };
        assert_eq!(data(DockerRegistry, Nothing).status, Status::Pass);
        let kept = data(DockerRegistry, distribution());
        assert_eq!(kept.status, Status::Warn);
        assert_eq!(
            kept.measured,
            "`/var/lib/docker-registry/data`: a registry's data, 1 repository"
        );
        assert_eq!(data(DockerRegistry, harbor()).status, Status::Fail);
        let other = data(DockerRegistry, Other);
        assert_eq!(
            (other.status, other.measured.as_str()),
            (Status::Fail, "`/var/lib/docker-registry/data`: `notes.txt`")
        );
        assert_eq!(data(RegistryKind::Harbor, harbor()).status, Status::Warn);
        assert_eq!(
            data(RegistryKind::Harbor, distribution()).status,
            Status::Fail
        );
        assert_eq!(data(RegistryKind::Harbor, Nothing).status, Status::Pass);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder() {
        let mut world = World::new(&["node1"]);
        let folder = world.facts("node1").folders.get_mut(DATA).unwrap();
        folder.exists = true;
        folder.is_directory = false;
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Fail
        );
    }

    #[test]
    fn a_folder_that_another_container_uses() {
        let mut world = World::new(&["node1"]);
        world.facts("node1").containers = vec![Container {
            name: "old".to_owned(),
            image: "registry:2".to_owned(),
            running: true,
            mounts: vec![format!("{DATA}/sub")],
            ..Container::default()
        }];
        let found = world.finding("existing-data", Some("node1"));
        assert_eq!(found.status, Status::Fail);
        assert!(found.measured.contains("container `old`"));
        // A registry that is stopped comes back with the engine; anything else that is stopped does not matter.
        world.facts("node1").containers[0].running = false;
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Fail
        );
        world.facts("node1").containers[0].image = "busybox:1".to_owned();
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Pass
        );
    }

    #[test]
    fn an_empty_registry_beside_our_own_images_is_refused() {
        let mut world = World::new(&["node1"]);
        let facts = world.facts("node1");
        let mut ours = our_registry();
        ours.mounts = vec!["/old/data".to_owned(), "/etc/kk".to_owned()];
        facts.containers = vec![ours];
        let mut old = folder("/", 1);
        old.content = FolderContent::Distribution {
            repositories: Some(7),
        };
        facts.folders.insert("/old/data".to_owned(), old);
        let found = world.finding("existing-data", Some("node1"));
        assert_eq!(found.status, Status::Fail);
        assert!(
            found
                .measured
                .contains("`/old/data` (a registry's data, 7 repositories)")
        );
        // The same with an object store.
        world.object_storage("s3", serde_json::json!({"bucket": "b"}));
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Fail
        );
        // Where the engine does not run, the ledger knows.
        let facts = world.facts("node1");
        facts.containers.clear();
        facts.own_data = vec!["/old/data".to_owned()];
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Fail
        );
        // And with the right folder all is well.
        let mut world = World::new(&["node1"]);
        world.facts("node1").containers = vec![our_registry()];
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Pass
        );
    }

    #[test]
    fn a_folder_that_hangs_is_not_taken_for_an_empty_one() {
        let mut world = World::new(&["node1"]);
        world.facts("node1").folders.get_mut(DATA).unwrap().hangs = true;
        assert_eq!(
            world.finding("existing-data", Some("node1")).status,
            Status::Unknown
        );
    }

    fn registries(kind: RegistryKind, name: &str, image: &str) -> Finding {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.kind = kind;
        world.facts("node1").containers = vec![Container {
            name: name.to_owned(),
            image: image.to_owned(),
            running: true,
            ..Container::default()
        }];
        world.finding("existing-registry", Some("node1"))
    }

    #[test]
    fn other_registries() {
        use RegistryKind::{DockerRegistry, Harbor};
        let core = "goharbor/harbor-core:v2.10.2";
        assert_eq!(
            registries(DockerRegistry, "harbor-core", core).status,
            Status::Warn
        );
        assert_eq!(
            registries(DockerRegistry, "harbor-core", core).measured,
            "Harbor (1 container)"
        );
        assert_eq!(registries(Harbor, "harbor-core", core).status, Status::Fail);
        assert_eq!(
            registries(Harbor, "registry", "registry:2.8.3").status,
            Status::Fail
        );
        assert_eq!(
            registries(DockerRegistry, "registry", "localhost:5000/registry").status,
            Status::Warn
        );
        assert_eq!(
            registries(DockerRegistry, "web", "nginx:1").status,
            Status::Pass
        );
        let mut world = World::new(&["node1"]);
        world.facts("node1").containers = vec![our_registry()];
        assert_eq!(
            world.finding("existing-registry", Some("node1")).measured,
            "our own (`kk-registry`, registry:2.8.3)"
        );
    }

    #[test]
    fn leftovers_are_shown() {
        let mut world = World::new(&["node1"]);
        assert_eq!(
            world.finding("leftovers", Some("node1")).status,
            Status::Pass
        );
        world.facts("node1").leftovers = vec!["/opt/harbor".to_owned()];
        let found = world.finding("leftovers", Some("node1"));
        assert_eq!(
            (found.status, found.measured.as_str()),
            (Status::Warn, "`/opt/harbor`")
        );
    }

    #[test]
    fn folders_in_folders() {
        assert!(within("/data/x", "/data/"));
        assert!(within("/data", "/data"));
        assert!(!within("/database", "/data"));
    }
}
