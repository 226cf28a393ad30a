//! The table of every setting: path, other spelling, what it takes, default, meaning. Everything else in this room
//! (reading, checking, the tree for templates, the documentation page) follows from it.

use std::cmp::Ordering;
use std::sync::LazyLock;

use super::drivers;
use super::value::Kind;

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its path in the short spelling. `<name>`, `<arch>` and `<key>` stand for any word that fits.
    pub path: String,
    /// Its path in the long spelling, where there is one.
    pub long: Option<String>,
    /// What it takes.
    pub kind: Kind,
    /// The default as a user would write it; empty where nothing is set.
    pub default: String,
    /// Its value is never shown.
    pub secret: bool,
    /// What it means, in one sentence.
    pub summary: String,
}

impl Setting {
    /// Whether it holds a place for any word, so that it has no value of its own.
    pub fn is_pattern(&self) -> bool {
        self.path.contains('<')
    }
}

/// The names of offline packages in `artifact.artifact_url.<name>`, each with its other spellings.
pub const PACKAGES: [(&str, &[&str]); 5] = [
    ("docker", &["docker_engine"]),
    (
        "docker_compose",
        &["dockercompose", "docker-compose", "compose"],
    ),
    (
        "docker_registry",
        &["docker-registry", "dockerregistry", "registry"],
    ),
    ("harbor", &[]),
    ("keepalived", &[]),
];

/// Architectures, each with what `uname -m` calls it.
pub const ARCHITECTURES: [(&str, &[&str]); 2] = [("amd64", &["x86_64"]), ("arm64", &["aarch64"])];

/// Where the storage drivers of docker-registry stand.
pub const STORAGE: &str = "image_registry.docker_registry.storage";

/// Whether the registry serves blobs itself.
pub const REDIRECT: &str = "image_registry.docker_registry.redirect.disable";

/// The authority of the object store's certificate.
pub const STORAGE_CA: &str = "image_registry.docker_registry.storage_ca";

/// Every setting, in the order of the documentation.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(table);

fn table() -> Vec<Setting> {
    let mut rows = Vec::new();
    let mut row = |path: &str, kind: Kind, default: &str, summary: &str| {
        rows.push(Setting {
            path: path.to_owned(),
            long: None,
            secret: kind == Kind::Password,
            kind,
            default: default.to_owned(),
            summary: summary.to_owned(),
        });
    };
    let choices = Kind::Choice(&["harbor", "docker-registry"]);
    row(
        "image_registry.type",
        choices,
        "harbor",
        "Which registry is installed.",
    );
    row(
        "image_registry.auth.registry",
        Kind::Registry,
        "",
        "Name that clients use: `host[:port][/project]`. Without it: `ha_vip`, else the first registry host's internal or own address. A port here is the one for https, or for http with `plain_http`.",
    );
    row(
        "image_registry.auth.username",
        Kind::UserName,
        "admin",
        "User that may push and pull.",
    );
    row(
        "image_registry.auth.password",
        Kind::Password,
        "",
        "Password of that user. Without it one is generated and kept in `<work_dir>/secrets.yaml`.",
    );
    row(
        "image_registry.auth.plain_http",
        Kind::Boolean,
        "false",
        "Serve without TLS.",
    );
    row(
        "image_registry.https_port",
        Kind::Port,
        "443",
        "Port for https.",
    );
    row(
        "image_registry.http_port",
        Kind::Port,
        "80",
        "Port for http.",
    );
    row(
        "image_registry.ha_vip",
        Kind::Address,
        "",
        "Virtual address that keepalived moves between the registry hosts; empty for none.",
    );
    row(
        "image_registry.ha_interface",
        Kind::Interface,
        "",
        "Network interface for the virtual address. Without it: the one whose subnet holds the address.",
    );
    row(
        "image_registry.ha_virtual_router_id",
        Kind::Count,
        "",
        "VRRP's virtual router id, 1 to 255; nobody else in the network may use the same. Without it: the last byte of the virtual address.",
    );
    row(
        "image_registry.ha_nopreempt",
        Kind::Boolean,
        "true",
        "Leave the virtual address where it is when a host that should have it rather comes back: one interruption less.",
    );
    row(
        "image_registry.certificate.cert_file",
        Kind::LocalPath,
        "",
        "Own certificate (PEM, chain behind it), a file on the control machine; needs `key_file`.",
    );
    row(
        "image_registry.certificate.key_file",
        Kind::LocalPath,
        "",
        "Private key of the own certificate (PEM).",
    );
    row(
        "image_registry.certificate.ca_file",
        Kind::LocalPath,
        "",
        "Authority to trust for the own certificate (PEM), unless it is a public one.",
    );
    row(
        "image_registry.trust.control_machine",
        Kind::Boolean,
        "true",
        "Make the control machine trust the registry as well.",
    );
    row(
        "image_registry.trust.system_store",
        Kind::Boolean,
        "false",
        "Put the authority into each host's system store too, not only into those of the container runtimes.",
    );
    row(
        "image_registry.trust.hosts_entry",
        Kind::Boolean,
        "true",
        "Write a line for the registry's name into `/etc/hosts`.",
    );
    row(
        "image_registry.harbor.data_dir",
        Kind::HostFolder,
        "/var/lib/harbor/data",
        "Harbor's data folder on its hosts.",
    );
    row(
        "image_registry.harbor.<key>",
        Kind::Free,
        "",
        "Anything else for Harbor, as templates read it.",
    );
    drivers::rows(&mut row);
    row(
        REDIRECT,
        Kind::Boolean,
        "",
        "Serve blobs through the registry instead of sending clients to the object store. Without it: `true` where s3 has a `regionendpoint`, which clients may not reach.",
    );
    row(
        STORAGE_CA,
        Kind::LocalPath,
        "",
        "Authority of the object store's certificate (PEM), a file on the control machine, unless it is a public one.",
    );
    row(
        "harbor_version",
        Kind::Version { v: true },
        "v2.10.2",
        "Version of Harbor.",
    );
    row(
        "docker_registry_version",
        Kind::Version { v: false },
        "2.8.3",
        "Version of docker-registry.",
    );
    row(
        "keepalived_version",
        Kind::Version { v: false },
        "2.3.4",
        "Version of keepalived.",
    );
    row(
        "dockercompose_version",
        Kind::Version { v: true },
        "v2.20.3",
        "Version of Docker Compose.",
    );
    row(
        "docker_version",
        Kind::Version { v: false },
        "24.0.9",
        "Version of Docker.",
    );
    row(
        "artifact.artifact_url.<name>.<arch>",
        Kind::Package,
        "",
        "Package to use instead of the one in the folder layout: a path, a bare name in the item's folder, or a URL.",
    );
    row(
        "artifact.sha256.<name>.<arch>",
        Kind::Sha256,
        "",
        "SHA-256 that the package must have.",
    );
    row(
        "requirements.memory_gb",
        Kind::Decimal,
        "8",
        "Memory that each host must have, in GB.",
    );
    row(
        "requirements.control_plane_cores",
        Kind::Count,
        "4",
        "Cores that each control plane node must have.",
    );
    row(
        "requirements.disk_gb",
        Kind::Decimal,
        "100",
        "Space that must be free under the data folder, in GB, where the storage is local.",
    );
    row(
        "work_dir",
        Kind::LocalPath,
        "./kubekey",
        "Working folder: secrets, certificates, logs. `--workdir` is its default.",
    );
    row(
        "binary_dir",
        Kind::LocalPath,
        "<work_dir>/kubekey",
        "Folder of the offline packages.",
    );
    for setting in &mut rows {
        setting.long = match setting.path.as_str() {
            "docker_version" => Some("cri.docker_version".to_owned()),
            path if path.ends_with("_version") => Some(format!("image_registry.{path}")),
            path => path
                .strip_prefix("artifact.")
                .filter(|rest| rest.starts_with("artifact_url"))
                .map(|rest| format!("download.{rest}")),
        };
        setting.secret |= drivers::is_secret(&setting.path);
    }
    rows
}

/// What a path means.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// A setting. `path` is its short spelling with the words filled in; `depth` steps of the path belong to it (more
    /// follow only below [`Kind::Free`]).
    Setting {
        /// The row.
        setting: &'static Setting,
        /// Short spelling, names of packages and architectures in their usual spelling.
        path: String,
        /// How many steps of the path belong to it.
        depth: usize,
    },
    /// Settings lie below it.
    Above,
    /// Nothing reads it.
    Unknown,
}

/// Finds what a path means.
pub fn look_up(words: &[&str]) -> Lookup {
    let mut above = false;
    let mut free = None;
    for setting in SETTINGS.iter() {
        for (spelled, is_long) in [
            (Some(setting.path.as_str()), false),
            (setting.long.as_deref(), true),
        ] {
            let Some(spelled) = spelled else { continue };
            let Some(matched) = match_words(setting, spelled, words) else {
                continue;
            };
            match matched {
                Match::Whole(filled) => {
                    let path = if is_long {
                        shorten(setting, &filled)
                    } else {
                        filled
                    };
                    return Lookup::Setting {
                        setting,
                        path,
                        depth: words.len(),
                    };
                }
                Match::Above => above = true,
                Match::Free(filled, depth) => {
                    free.get_or_insert(Lookup::Setting {
                        setting,
                        path: filled,
                        depth,
                    });
                }
            }
        }
    }
    match free {
        _ if above => Lookup::Above,
        Some(free) => free,
        None => Lookup::Unknown,
    }
}

enum Match {
    Whole(String),
    Above,
    Free(String, usize),
}

fn match_words(setting: &Setting, spelled: &str, words: &[&str]) -> Option<Match> {
    let steps: Vec<&str> = spelled.split('.').collect();
    let mut filled: Vec<&str> = Vec::with_capacity(words.len());
    for (step, word) in steps.iter().zip(words) {
        match *step {
            "<name>" => filled.push(usual(&PACKAGES, word)?),
            "<arch>" => filled.push(usual(&ARCHITECTURES, word)?),
            "<key>" => filled.push(word),
            step if step == *word => filled.push(word),
            _ => return None,
        }
    }
    let path = filled.join(".");
    match words.len().cmp(&steps.len()) {
        Ordering::Less => Some(Match::Above),
        Ordering::Equal => Some(Match::Whole(path)),
        // What a setting of its own stands for has nothing below it, even where any key may stand.
        Ordering::Greater
            if SETTINGS
                .iter()
                .any(|other| other.kind != Kind::Free && other.path == path) =>
        {
            None
        }
        Ordering::Greater if setting.kind == Kind::Free => Some(Match::Free(path, steps.len())),
        Ordering::Greater => None,
    }
}

/// The usual spelling of a word.
fn usual(table: &[(&'static str, &'static [&'static str])], word: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(usual, others)| *usual == word || others.contains(&word))
        .map(|(usual, _)| *usual)
}

/// From the long spelling with its words filled in to the short one.
fn shorten(setting: &Setting, filled: &str) -> String {
    if !setting.is_pattern() {
        return setting.path.clone();
    }
    match filled.strip_prefix("download.") {
        Some(rest) => format!("artifact.{rest}"),
        None => filled.to_owned(),
    }
}

/// The words that may follow a path, for "did you mean".
pub fn words_below(words: &[&str]) -> Vec<String> {
    let mut below: Vec<String> = Vec::new();
    for setting in SETTINGS.iter() {
        for spelled in [Some(&setting.path), setting.long.as_ref()]
            .into_iter()
            .flatten()
        {
            if !words.is_empty()
                && !matches!(match_words(setting, spelled, words), Some(Match::Above))
            {
                continue;
            }
            let next: Vec<&str> = match spelled.split('.').nth(words.len()) {
                Some("<name>") => PACKAGES.iter().map(|(usual, _)| *usual).collect(),
                Some("<arch>") => ARCHITECTURES.iter().map(|(usual, _)| *usual).collect(),
                Some("<key>") | None => Vec::new(),
                Some(word) => vec![word],
            };
            for word in next {
                if !below.iter().any(|other| other == word) {
                    below.push(word.to_owned());
                }
            }
        }
    }
    below
}

/// Whether a key at the root is one that settings stand under; in an inventory every other key is a free variable.
pub fn is_root(word: &str) -> bool {
    SETTINGS
        .iter()
        .flat_map(|setting| [Some(&setting.path), setting.long.as_ref()])
        .flatten()
        .any(|path| path.split('.').next() == Some(word))
}
