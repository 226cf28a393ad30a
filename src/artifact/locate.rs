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

/// What the user named for an item; settings have every name in its usual spelling.
fn override_of<'a>(settings: &'a Settings, item: &Item, arch: &str) -> Option<&'a str> {
    let key = (item.name.clone(), arch.to_owned());
    let named = settings.artifact_url.get(&key)?.trim();
    (!named.is_empty()).then_some(named)
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

/// A URL without user, password and query.
fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    // A query may hold a signature.
    let path = path.split(['?', '#']).next().unwrap_or(path);
    format!("{scheme}://{host}{path}")
}

fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "artifact.artifact_url.docker_registry.amd64";

    struct Place {
        folder: tempfile::TempDir,
        settings: Settings,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings {
                binary_dir: "kubekey/kubekey".into(),
                ..Settings::default()
            };
            Self { folder, settings }
        }

        fn file(&self, path: &str) -> PathBuf {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            path
        }

        fn locate(&mut self, named: &str, version: &str) -> Result<Located, Missing> {
            let key = ("docker_registry".to_owned(), "amd64".to_owned());
            self.settings.artifact_url.insert(key, named.to_owned());
            locate_from(
                self.folder.path(),
                &self.settings,
                "docker_registry",
                version,
                "amd64",
            )
        }
    }

    const FOLDER: &str = "kubekey/kubekey/image-registry/docker-registry/2.8.3/amd64";

    #[test]
    fn the_layout_with_and_without_a_v() {
        let mut place = Place::new();
        let path = place.file(&format!("{FOLDER}/docker-registry-2.8.3-linux-amd64.tgz"));
        for version in ["2.8.3", "v2.8.3"] {
            let located = Located {
                path: path.clone(),
                named: false,
            };
            assert_eq!(place.locate("", version), Ok(located));
        }
        let missing = place.locate("", "2.8.4").unwrap_err();
        assert_eq!(
            missing.message,
            "the registry image package 2.8.4 for amd64 is not there"
        );
        assert_eq!(missing.looked_at.len(), 2);
        assert!(missing.looked_at[0].is_absolute());
        let path = missing.looked_at[0].display().to_string();
        for part in [
            "docker pull --platform linux/amd64 registry:2.8.4".to_owned(),
            format!("docker save registry:2.8.4 | gzip > {path}"),
            format!("--set {KEY}=FILE"),
        ] {
            assert!(missing.hint.contains(&part), "{part} in {}", missing.hint);
        }
    }

    #[test]
    fn whatever_the_user_names_is_used() {
        let mut place = Place::new();
        let dotted = "docker-registry-2.8.3-linux.amd64.tgz";
        let own = place.file(&format!("{FOLDER}/{dotted}"));
        let here = place.file("here.tgz");
        let blank = place.file("with space.tgz");
        let absolute = here.display().to_string();
        for (named, path) in [
            (dotted, &own),
            ("here.tgz", &here),
            ("./here.tgz", &here),
            (absolute.as_str(), &here),
            (&format!("file://{absolute}"), &here),
            (&format!("FILE://localhost{absolute}"), &here),
            (
                &format!("file://{}", blank.display().to_string().replace(' ', "%20")),
                &blank,
            ),
        ] {
            let located = Located {
                path: path.clone(),
                named: true,
            };
            assert_eq!(place.locate(named, "2.8.3"), Ok(located), "{named}");
        }
        // The item's own folder goes before the current one.
        place.file(dotted);
        assert_eq!(place.locate(dotted, "2.8.3").unwrap().path, own);
        assert_eq!(
            place.locate(&format!("./{dotted}"), "2.8.3").unwrap().path,
            place.folder.path().join(".").join(dotted)
        );
    }

    #[test]
    fn what_the_user_named_and_is_not_there() {
        let mut place = Place::new();
        let missing = place.locate("nowhere.tgz", "2.8.3").unwrap_err();
        assert_eq!(
            missing.message,
            format!("`nowhere.tgz`, named by `{KEY}`, is not there")
        );
        assert_eq!(missing.looked_at.len(), 3);
        let missing = place.locate("sub/nowhere.tgz", "2.8.3").unwrap_err();
        assert_eq!(
            missing.looked_at,
            [place.folder.path().join("sub/nowhere.tgz")]
        );
        // The package that lies where the layout says is not what the user named.
        place.file(&format!("{FOLDER}/docker-registry-2.8.3-linux-amd64.tgz"));
        assert!(place.locate("nowhere.tgz", "2.8.3").is_err());
    }

    #[test]
    fn urls_are_refused_with_what_to_do() {
        let mut place = Place::new();
        let missing = place
            .locate(
                "https://user:canary@example.com/dl/registry.tgz?token=canary",
                "2.8.3",
            )
            .unwrap_err();
        assert_eq!(
            missing.message,
            format!(
                "`{KEY}` is the URL `https://example.com/dl/registry.tgz`; downloads are not part of this version"
            )
        );
        assert_eq!(
            missing.hint,
            format!("fetch it and name the file: `--set {KEY}=./registry.tgz`")
        );
        let missing = place
            .locate("file://server/share/x.tgz", "2.8.3")
            .unwrap_err();
        assert!(
            missing.message.ends_with("names a file on another machine"),
            "{missing}"
        );
    }

    #[test]
    fn a_folder_in_its_place_is_told() {
        let mut place = Place::new();
        let path = place
            .folder
            .path()
            .join(format!("{FOLDER}/docker-registry-2.8.3-linux-amd64.tgz"));
        std::fs::create_dir_all(&path).unwrap();
        let missing = place.locate("", "2.8.3").unwrap_err();
        assert_eq!(
            missing.message,
            format!(
                "`{}` is a folder, not the registry image package",
                path.display()
            )
        );
    }
}
