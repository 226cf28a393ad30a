//! Where a package lies: the layout's path, or what the user named instead.

use std::path::{Path, PathBuf};

use super::catalogue::{Catalogue, Item, bare};
use crate::settings::Settings;

/// A package that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file, absolute where the current folder is known.
    pub path: PathBuf,
    /// The user named it by `artifact.artifact_url`; else it lies where the layout says.
    pub named: bool,
}

/// A package that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Missing {
    /// What is wrong, one line.
    pub message: String,
    /// Every path that was looked at, in order.
    pub looked_at: Vec<PathBuf>,
    /// What to do; may have several lines, with the commands that make the package.
    pub hint: String,
}

/// Finds the package of an item for a version and an architecture.
pub fn locate(
    settings: &Settings,
    name: &str,
    version: &str,
    arch: &str,
) -> Result<Located, Missing> {
    let current = std::env::current_dir().unwrap_or_default();
    locate_from(&current, settings, name, version, arch)
}

fn locate_from(
    current: &Path,
    settings: &Settings,
    name: &str,
    version: &str,
    arch: &str,
) -> Result<Located, Missing> {
    let Some(item) = Catalogue::embedded().item(name) else {
        return Err(Missing {
            message: format!("the catalogue of offline packages has no `{name}`"),
            looked_at: Vec::new(),
            hint: "this is a mistake in the program: please report it".to_owned(),
        });
    };
    let root = current.join(&settings.binary_dir);
    let places: Vec<PathBuf> = spellings(version)
        .iter()
        .map(|version| root.join(item.layout_path(version, arch)))
        .collect();
    let Some(named) = override_of(settings, item, arch) else {
        return match places.iter().find(|path| path.is_file()) {
            Some(path) => Ok(Located {
                path: path.clone(),
                named: false,
            }),
            None => Err(missing(item, version, arch, places)),
        };
    };
    locate_named(current, item, version, arch, named, &places)
}

fn locate_named(
    current: &Path,
    item: &Item,
    version: &str,
    arch: &str,
    named: &str,
    places: &[PathBuf],
) -> Result<Located, Missing> {
    let key = format!("artifact.artifact_url.{}.{arch}", item.name);
    let scheme = named
        .split_once("://")
        .map(|(scheme, _)| scheme.to_lowercase());
    let file = match scheme.as_deref() {
        None => named.to_owned(),
        Some("file") => file_of_url(named).ok_or_else(|| Missing {
            message: format!("`{key}` is `{named}`, which names a file on another machine"),
            looked_at: Vec::new(),
            hint: "write `file:///` and an absolute path, or the path alone".to_owned(),
        })?,
        Some(_) => {
            let file = named.rsplit('/').next().unwrap_or(named);
            let file = file.split(['?', '#']).next().unwrap_or(file);
            return Err(Missing {
                message: format!(
                    "`{key}` is the URL `{}`; downloads are not part of this version",
                    without_userinfo(named)
                ),
                looked_at: Vec::new(),
                hint: format!("fetch it and name the file: `--set {key}=./{file}`"),
            });
        }
    };
    let file = Path::new(&file);
    let mut looked_at = Vec::new();
    let is_bare = file.components().count() == 1 && !named.contains('/');
    if is_bare {
        looked_at.extend(
            places
                .iter()
                .filter_map(|place| Some(place.parent()?.join(file))),
        );
    }
    looked_at.push(current.join(expand_home(file)));
    match looked_at.iter().find(|path| path.is_file()) {
        Some(path) => Ok(Located {
            path: path.clone(),
            named: true,
        }),
        None => Err(Missing {
            message: format!("`{named}`, named by `{key}`, is not there"),
            hint: hint(item, version, arch, looked_at.last()),
            looked_at,
        }),
    }
}

fn missing(item: &Item, version: &str, arch: &str, looked_at: Vec<PathBuf>) -> Missing {
    let folder = looked_at.iter().find(|path| path.is_dir());
    Missing {
        message: match folder {
            Some(path) => format!(
                "`{}` is a folder, not the {} package",
                path.display(),
                item.title
            ),
            None => format!(
                "the {} package {version} for {arch} is not there",
                item.title
            ),
        },
        hint: hint(item, version, arch, looked_at.first()),
        looked_at,
    }
}

/// The commands that bring the package into its place, and the setting that names another.
fn hint(item: &Item, version: &str, arch: &str, path: Option<&PathBuf>) -> String {
    let path = path.map_or(Path::new("."), PathBuf::as_path);
    let mut lines = vec!["make it on a machine with network access:".to_owned()];
    let commands = item.commands(version, arch, path);
    lines.extend(commands.iter().map(|line| format!("  {line}")));
    lines.push(format!(
        "or name the file that you have: `--set artifact.artifact_url.{}.{arch}=FILE`",
        item.name
    ));
    lines.join("\n")
}

/// What the user named for an item, under its own name or an alias, and the architecture in either spelling.
fn override_of<'a>(settings: &'a Settings, item: &Item, arch: &str) -> Option<&'a str> {
    let machine = super::catalogue::machine(arch);
    item.names().find_map(|name| {
        [arch, machine].iter().find_map(|arch| {
            let key = (name.to_owned(), (*arch).to_owned());
            let named = settings.artifact_url.get(&key)?.trim();
            (!named.is_empty()).then_some(named)
        })
    })
}

/// A version as written, and with or without the leading `v`.
fn spellings(version: &str) -> Vec<String> {
    let other = match bare(version) {
        shorter if shorter != version => shorter.to_owned(),
        same if same.starts_with(|first: char| first.is_ascii_digit()) => format!("v{same}"),
        _ => return vec![version.to_owned()],
    };
    vec![version.to_owned(), other]
}

/// The path of `file:///path`, `file://localhost/path`, percent signs resolved.
fn file_of_url(url: &str) -> Option<String> {
    let rest = url.get("file://".len()..)?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut input = path.bytes();
    while let Some(byte) = input.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [input.next()?, input.next()?];
        let digits = std::str::from_utf8(&digits).ok()?.to_owned();
        bytes.push(u8::from_str_radix(&digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// A URL whose user and password, if any, are left out.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
