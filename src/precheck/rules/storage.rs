//! The storage driver: one, complete, and shared where several hosts serve the same images.

use super::super::rule::{Judgement, Judgements, Look};
use super::super::sizes::list;
use crate::diagnostic::did_you_mean;
use crate::settings::drivers::{self, DRIVERS, Driver};
use crate::settings::{RegistryKind, Storage};

/// File systems that several hosts share.
const SHARED: [&str; 8] = [
    "nfs",
    "nfs4",
    "ceph",
    "fuse.ceph-fuse",
    "fuse.glusterfs",
    "lustre",
    "gpfs",
    "cifs",
];

pub(in crate::precheck) fn storage(look: &Look<'_>) -> Judgements {
    if look.settings().image_registry.kind == RegistryKind::Harbor {
        let folder = &look.settings().image_registry.harbor_data_dir;
        let judgement = absolute(folder, "image_registry.harbor.data_dir").unwrap_or_else(|| {
            Judgement::pass(
                format!("`{folder}`"),
                "a folder of its own for Harbor's data",
            )
        });
        return vec![(None, judgement)];
    }
    if let Some(diagnostic) = look.input.storage_files.first() {
        let judgement = Judgement::fail(
            diagnostic.message.clone(),
            "files of this machine that the storage needs",
            diagnostic.hint.clone().unwrap_or_default(),
        );
        return vec![(None, judgement)];
    }
    let judgement = match &look.settings().image_registry.storage {
        Storage::Filesystem { rootdir, nfs_mount } => {
            filesystem(look, rootdir, nfs_mount.as_deref())
        }
        Storage::Object { driver, parameters } => object(look, driver, parameters),
    };
    vec![(None, judgement)]
}

/// What is wrong with a data folder's name.
fn absolute(folder: &str, setting: &str) -> Option<Judgement> {
    let trimmed = folder.trim_end_matches('/');
    let system = [
        "",
        "/var",
        "/var/lib",
        "/usr",
        "/usr/local",
        "/etc",
        "/opt",
        "/home",
        "/root",
        "/tmp",
        "/srv",
        "/mnt",
        "/var/lib/docker",
    ];
    let odd = !folder.starts_with('/')
        || folder.split('/').any(|part| part == ".." || part == ".")
        || system.contains(&trimmed);
    odd.then(|| {
        Judgement::fail(
            format!("`{folder}`"),
            "an absolute path to a folder of the registry's own",
            format!("set it: `--set {setting}=/var/lib/docker-registry/data`"),
        )
    })
}

fn filesystem(look: &Look<'_>, rootdir: &str, nfs_mount: Option<&str>) -> Judgement {
    let required = if look.is_highly_available() {
        "storage that all registry hosts share, because they serve the same images"
    } else {
        "one driver with everything it needs"
    };
    let setting = "image_registry.docker_registry.storage.filesystem.rootdir";
    if let Some(judgement) = absolute(rootdir, setting) {
        return judgement;
    }
    if let Some(export) = nfs_mount {
        return Judgement::fail(
            format!("filesystem, `nfs_mount` is `{export}`"),
            required,
            format!(
                "this version of kk does not mount network file systems: mount `{export}` on `{rootdir}` yourself (in `/etc/fstab`, with `_netdev`), then remove `nfs_mount`"
            ),
        );
    }
    if !look.is_highly_available() {
        return Judgement::pass(format!("filesystem, `{rootdir}`"), required);
    }
    let proofs = &look.input.storage_proofs;
    if proofs.len() == look.registry.len() && proofs.iter().all(|proof| proof.fault.is_none()) {
        return Judgement::pass(
            format!("filesystem, `{rootdir}`, what one host writes there another one reads"),
            required,
        );
    }
    let local: Vec<String> = look
        .registry_facts()
        .filter(|(_, facts)| {
            facts
                .folders
                .get(rootdir)
                .is_none_or(|folder| !SHARED.contains(&folder.fstype.as_str()))
        })
        .map(|(host, _)| format!("`{host}`"))
        .collect();
    if local.is_empty() && look.registry_facts().next().is_some() {
        Judgement::pass(
            format!("filesystem, `{rootdir}` on a shared file system"),
            required,
        )
    } else {
        let local = if local.is_empty() {
            String::new()
        } else {
            format!(" of {}", list(&local, 3))
        };
        Judgement::fail(
            format!("filesystem, `{rootdir}` on the disks{local}"),
            required,
            "behind one address each host would have other images: use `s3`, `azure` or `gcs`, mount a shared file system on the folder, or leave `image_registry.ha_vip` empty",
        )
    }
}

fn is_set(value: Option<&serde_json::Value>) -> bool {
    match value {
        None | Some(serde_json::Value::Null) => false,
        Some(serde_json::Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}

/// A count of bytes, however it is written.
fn number(value: Option<&serde_json::Value>) -> Option<u64> {
    match value? {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn is_true(value: Option<&serde_json::Value>) -> bool {
    match value {
        Some(serde_json::Value::Bool(value)) => *value,
        Some(serde_json::Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn object(
    look: &Look<'_>,
    name: &str,
    parameters: &serde_json::Map<String, serde_json::Value>,
) -> Judgement {
    let required = "one driver with everything it needs";
    let base = format!("image_registry.docker_registry.storage.{name}");
    let Some(driver) = drivers::driver(name) else {
        let names: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
        return Judgement::fail(
            format!("`{name}`"),
            format!("one of {}", names.join(", ")),
            did_you_mean(name, names).unwrap_or_else(|| "choose one of them".to_owned()),
        );
    };
    let version = look.settings().versions.docker_registry.as_str();
    if !driver.known.by(version) {
        return Judgement::fail(
            format!("{name} with docker-registry {version}"),
            "a driver that this version has",
            "use docker-registry 2.8.3, or another driver: version 3 removed this one",
        );
    }
    let unset = |key: &&&str| !is_set(parameters.get(**key));
    let mut missing: Vec<&str> = driver.required.iter().filter(unset).copied().collect();
    // Keys that are of use only together; without them the machine's own role is taken.
    let pair: &[&str] = if name == "s3" {
        &["accesskey", "secretkey"]
    } else {
        &[]
    };
    let half: Vec<&str> = pair.iter().filter(unset).copied().collect();
    if half.len() < pair.len() {
        missing.extend(half);
    }
    let has_credentials =
        is_set(parameters.get("accountkey")) || is_set(parameters.get("credentials"));
    if name == "azure" && !has_credentials {
        missing.push("accountkey");
    }
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|key| format!("`{key}`")).collect();
        return Judgement::fail(
            format!("{name} without {}", list(&missing, 5)),
            required,
            format!("set what is missing under `{base}`"),
        );
    }
    if let Some(judgement) = sizes(name, parameters, &base) {
        return judgement;
    }
    let unknown = unknown_keys(driver, parameters, version);
    let measured = parameters
        .get("bucket")
        .or_else(|| parameters.get("container"))
        .and_then(serde_json::Value::as_str)
        .map_or_else(|| name.to_owned(), |place| format!("{name}, `{place}`"));
    if name == "inmemory" {
        return if look.is_highly_available() {
            Judgement::fail(
                measured,
                "storage that all registry hosts share, because they serve the same images",
                "use `s3`, `azure` or `gcs`, or leave `image_registry.ha_vip` empty",
            )
        } else {
            Judgement::warn(
                measured,
                "storage that keeps images",
                "for tests only: all images are gone when the registry restarts",
            )
        };
    }
    if !unknown.is_empty() {
        return Judgement::warn(
            format!(
                "{measured}; the registry does not know {}",
                list(&unknown, 5)
            ),
            required,
            format!("the registry ignores keys that it does not know: check them under `{base}`"),
        );
    }
    if name == "s3"
        && !version.starts_with("2.")
        && is_set(parameters.get("regionendpoint"))
        && !is_true(parameters.get("forcepathstyle"))
    {
        return Judgement::warn(
            format!("{measured} with `regionendpoint` and without `forcepathstyle`"),
            required,
            format!("most servers other than Amazon's need it: `--set {base}.forcepathstyle=true`"),
        );
    }
    Judgement::pass(measured, required)
}

/// Sizes that the drivers refuse.
fn sizes(
    name: &str,
    parameters: &serde_json::Map<String, serde_json::Value>,
    base: &str,
) -> Option<Judgement> {
    let chunk = number(parameters.get("chunksize"))?;
    let wrong = match name {
        "s3" => chunk < 5 * 1024 * 1024,
        "gcs" => chunk == 0 || chunk % (256 * 1024) != 0,
        _ => false,
    };
    wrong.then(|| {
        Judgement::fail(
            format!("{name} with a `chunksize` of {chunk}"),
            if name == "s3" {
                "at least 5242880 (5 MiB)"
            } else {
                "a multiple of 262144 (256 KiB)"
            },
            format!("set another, or remove `{base}.chunksize`"),
        )
    })
}

fn unknown_keys(
    driver: &Driver,
    parameters: &serde_json::Map<String, serde_json::Value>,
    version: &str,
) -> Vec<String> {
    // A dot in a name leads into a nested mapping.
    let first = |name: &'static str| name.split('.').next().unwrap_or(name);
    let named = |key: &str| {
        driver
            .parameters
            .iter()
            .filter(move |known| first(known.name) == key)
            .collect::<Vec<_>>()
    };
    parameters
        .keys()
        .filter_map(|key| {
            let known = named(key);
            if known.iter().any(|parameter| parameter.known.by(version)) {
                return None;
            }
            let all = driver.parameters.iter().map(|known| first(known.name));
            Some(if known.is_empty() {
                match did_you_mean(key, all) {
                    Some(hint) => format!("`{key}` ({hint})"),
                    None => format!("`{key}`"),
                }
            } else {
                format!("`{key}` (another version does)")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::testing::*;
    use super::super::super::{Finding, Status};

    fn object(driver: &str, parameters: serde_json::Value) -> Finding {
        let mut world = World::new(&["node1"]);
        world.object_storage(driver, parameters);
        world.finding("storage", None)
    }

    #[test]
    fn drivers_need_what_they_need() {
        let full =
            json!({"region": "us-east-1", "bucket": "b", "accesskey": "AK", "secretkey": "SECRET"});
        let found = object("s3", full);
        assert_eq!(
            (found.status, found.measured.as_str()),
            (Status::Pass, "s3, `b`")
        );
        let half = object(
            "s3",
            json!({"region": "r", "bucket": "", "accesskey": "AK"}),
        );
        assert_eq!(
            (half.status, half.measured.as_str()),
            (Status::Fail, "s3 without `bucket`, `secretkey`")
        );
        // Without both keys the machine's own role is used.
        assert_eq!(
            object("s3", json!({"region": "r", "bucket": "b"})).status,
            Status::Pass
        );
        assert_eq!(
            object("azure", json!({"accountname": "a", "container": "c"})).measured,
            "azure without `accountkey`"
        );
        assert_eq!(object("gcs", json!({"bucket": "b"})).status, Status::Pass);
        assert_eq!(
            object(
                "swift",
                json!({"authurl": "u", "username": "n", "password": "p", "container": "c"})
            )
            .status,
            Status::Pass
        );
        assert_eq!(object("oss", json!({})).status, Status::Fail);
        let typo = object("s4", json!({}));
        assert_eq!(
            (typo.status, typo.remedy.as_str()),
            (Status::Fail, "did you mean `s3`?")
        );
    }

    #[test]
    fn files_of_this_machine() {
        let mut world = World::new(&["node1"]);
        let missing =
            crate::diagnostic::Diagnostic::error("cannot read `/home/ca.pem`: no such file")
                .hint("it is copied");
        world.storage_files = vec![missing];
        let found = world.finding("storage", None);
        assert_eq!(
            (found.status, found.measured.as_str(), found.remedy.as_str()),
            (
                Status::Fail,
                "cannot read `/home/ca.pem`: no such file",
                "it is copied"
            )
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = object(
            "s3",
            json!({"region": "r", "bucket": "b", "accesskey": "AKIA", "secretkey": "hunter22", "odd": "hunter22"}),
        );
        assert!(!format!("{found:?}").contains("hunter22"));
        assert_eq!(found.status, Status::Warn);
        assert!(found.measured.contains("`odd`"));
    }

    #[test]
    fn sizes_of_chunks() {
        assert_eq!(
            object(
                "s3",
                json!({"region": "r", "bucket": "b", "chunksize": 1024})
            )
            .status,
            Status::Fail
        );
        assert_eq!(
            object(
                "s3",
                json!({"region": "r", "bucket": "b", "chunksize": "5242880"})
            )
            .status,
            Status::Pass
        );
        assert_eq!(
            object("gcs", json!({"bucket": "b", "chunksize": 262_145})).status,
            Status::Fail
        );
    }

    #[test]
    fn versions_have_other_drivers_and_keys() {
        let mut world = World::new(&["node1"]);
        let parameters = json!({"region": "r", "bucket": "b", "regionendpoint": "http://minio:9000", "forcepathstyle": true});
        world.object_storage("s3", parameters);
        let on_2 = world.finding("storage", None);
        assert_eq!(on_2.status, Status::Warn);
        assert!(
            on_2.measured
                .contains("`forcepathstyle` (another version does)")
        );
        world.settings.versions.docker_registry = "3.0.0".to_owned();
        assert_eq!(world.finding("storage", None).status, Status::Pass);
        world.object_storage(
            "s3",
            json!({"region": "r", "bucket": "b", "regionendpoint": "http://minio:9000"}),
        );
        assert_eq!(world.finding("storage", None).status, Status::Warn);
        world.object_storage(
            "swift",
            json!({"authurl": "u", "username": "n", "password": "p", "container": "c"}),
        );
        assert_eq!(world.finding("storage", None).status, Status::Fail);
    }

    #[test]
    fn images_in_memory_are_for_tests() {
        assert_eq!(object("inmemory", json!({})).status, Status::Warn);
    }

    #[test]
    fn several_hosts_behind_one_address_share() {
        let mut world = World::new(&["node1", "node2"]);
        assert_eq!(world.finding("storage", None).status, Status::Pass);
        world.settings.image_registry.ha_vip = Some("10.0.0.100".to_owned());
        let local = world.finding("storage", None);
        assert_eq!(local.status, Status::Fail);
        assert!(local.measured.contains("`node1`, `node2`"));
        for host in ["node1", "node2"] {
            world
                .facts(host)
                .folders
                .get_mut("/var/lib/docker-registry/data")
                .unwrap()
                .fstype = "nfs4".to_owned();
        }
        assert_eq!(world.finding("storage", None).status, Status::Pass);
        world.object_storage("inmemory", json!({}));
        assert_eq!(world.finding("storage", None).status, Status::Fail);
    }

    /// A bind mount, a file system that nobody thought of: what counts is that it is shared.
    #[test]
    fn a_folder_that_was_seen_to_be_shared() {
        let mut world = World::new(&["node1", "node2"]);
        world.settings.image_registry.ha_vip = Some("10.0.0.100".to_owned());
        let proof = |host: &str, fault: Option<&str>| crate::precheck::StorageProof {
            host: host.to_owned(),
            place: "`/data`".to_owned(),
            reader: None,
            is_direct: false,
            clock_offset: None,
            fault: fault.map(crate::diagnostic::Diagnostic::error),
            left: None,
        };
        world.storage_proofs = vec![proof("node1", None), proof("node2", None)];
        let shared = world.finding("storage", None);
        assert_eq!(shared.status, Status::Pass);
        assert!(shared.measured.contains("another one reads"));
        world.storage_proofs = vec![proof("node1", None), proof("node2", Some("not seen"))];
        assert_eq!(world.finding("storage", None).status, Status::Fail);
        world.storage_proofs = vec![proof("node1", None)];
        assert_eq!(world.finding("storage", None).status, Status::Fail);
    }

    fn rootdir(path: &str, nfs: Option<&str>) -> Finding {
        let mut world = World::new(&["node1"]);
        world.settings.image_registry.storage = crate::settings::Storage::Filesystem {
            rootdir: path.to_owned(),
            nfs_mount: nfs.map(str::to_owned),
        };
        world.finding("storage", None)
    }

    #[test]
    fn folders_that_are_no_data_folders() {
        assert_eq!(rootdir("/data/registry", None).status, Status::Pass);
        for path in ["data", "/", "/var/lib/", "/data/../etc", "/etc"] {
            assert_eq!(rootdir(path, None).status, Status::Fail, "{path}");
        }
        let nfs = rootdir("/data/registry", Some("10.0.0.5:/export"));
        assert_eq!(nfs.status, Status::Fail);
        assert!(nfs.remedy.contains("does not mount"));
    }
}
