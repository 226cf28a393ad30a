//! What may lie in the folder of offline packages: one embedded file of `artifacts/` per item.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::yaml::{self, Fields};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/artifacts");

static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut catalogue = Catalogue::default();
    for file in FILES.files() {
        let name = file.path().display().to_string();
        let text = file.contents_utf8().unwrap_or_default();
        match Item::parse(&Source::new(format!("artifacts/{name}"), text)) {
            Ok(item) => catalogue.items.push(item),
            Err(found) => catalogue.faults.extend(found),
        }
    }
    catalogue.items.sort_by(|a, b| a.name.cmp(&b.name));
    catalogue
});

/// All items that there are.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// In alphabetical order.
    pub items: Vec<Item>,
    /// What was wrong with the embedded files; a test keeps this empty.
    pub faults: Diagnostics,
}

impl Catalogue {
    /// The catalogue that is part of the program.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// The item of a name or one of its aliases.
    pub fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.answers_to(name))
    }
}

/// What kind of file an item is, which decides how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tar archive of static binaries under `docker/`.
    Engine,
    /// One executable.
    Compose,
    /// A tar archive made by `docker save`.
    Image,
    /// Harbor's offline installer.
    Harbor,
}

impl Kind {
    /// A person's words for it, with an article.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Engine => "an archive of Docker's static binaries",
            Self::Compose => "a Docker Compose executable",
            Self::Image => "an image archive made by `docker save`",
            Self::Harbor => "a Harbor offline installer",
        }
    }
}

/// One item of the catalogue. Templates know `{version}` (as the user wrote it), `{bare_version}` (without a leading
/// `v`), `{arch}` (`amd64`), `{machine}` (`x86_64`), `{url}`, `{image}`, `{path}` and `{folder}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name in `artifact.artifact_url.<name>.<arch>`.
    pub name: String,
    /// Other names it answers to.
    pub aliases: Vec<String>,
    /// What people call it.
    pub title: String,
    /// How it is read.
    pub kind: Kind,
    /// The setting that holds its version.
    pub setting: String,
    /// Where it lies under the folder of offline packages.
    pub layout: String,
    /// Where it usually comes from, when somebody publishes it.
    pub url: Option<String>,
    /// The image inside, `name:tag`.
    pub image: Option<String>,
    /// Command lines that bring it into its place.
    pub make: Vec<String>,
    /// By bare version and architecture: the sha256 that the publisher names.
    pub sha256: BTreeMap<(String, String), String>,
}

impl Item {
    /// Whether `name` is this item's name or one of its aliases.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Every name it answers to, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Its path under the folder of offline packages.
    pub fn layout_path(&self, version: &str, arch: &str) -> PathBuf {
        PathBuf::from(self.fill(&self.layout, version, arch, None))
    }

    /// The URL it usually comes from.
    pub fn origin(&self, version: &str, arch: &str) -> Option<String> {
        let url = self.url.as_deref()?;
        Some(self.fill(url, version, arch, None))
    }

    /// The image that the archive must hold, `name:tag`.
    pub fn image_reference(&self, version: &str) -> Option<String> {
        let image = self.image.as_deref()?;
        Some(self.fill(image, version, "", None))
    }

    /// The command lines that make or fetch it into `path`.
    pub fn commands(&self, version: &str, arch: &str, path: &Path) -> Vec<String> {
        self.make
            .iter()
            .map(|line| self.fill(line, version, arch, Some(path)))
            .collect()
    }

    /// The sha256 that the publisher names, if the catalogue knows it.
    pub fn published_sha256(&self, version: &str, arch: &str) -> Option<&str> {
        let key = (bare(version).to_owned(), arch.to_owned());
        self.sha256.get(&key).map(String::as_str)
    }

    fn fill(&self, template: &str, version: &str, arch: &str, path: Option<&Path>) -> String {
        let mut text = template.to_owned();
        if text.contains("{url}") {
            let url = self.origin(version, arch).unwrap_or_default();
            text = text.replace("{url}", &url);
        }
        if text.contains("{image}") {
            let image = self.image_reference(version).unwrap_or_default();
            text = text.replace("{image}", &image);
        }
        text = text
            .replace("{version}", version)
            .replace("{bare_version}", bare(version))
            .replace("{arch}", arch)
            .replace("{machine}", machine(arch));
        if let Some(path) = path {
            let folder = path.parent().unwrap_or(Path::new("."));
            text = text
                .replace("{folder}", &quoted(folder))
                .replace("{path}", &quoted(path));
        }
        text
    }

    fn parse(source: &std::sync::Arc<Source>) -> Result<Self, Diagnostics> {
        let node = yaml::parse(source)?;
        let mut found = Diagnostics::new();
        let fields = Fields::new(&node, "catalogue item")?;
        let mut text = |key: &'static str| {
            fields.text(key, &mut found).map(str::to_owned).or_else(|| {
                found.push(Diagnostic::at(&node.place, format!("`{key}` is missing")));
                None
            })
        };
        let (name, title, kind) = (text("name"), text("title"), text("kind"));
        let (setting, layout) = (text("setting"), text("layout"));
        let texts = |key, found: &mut Diagnostics| -> Vec<String> {
            fields
                .texts(key, found)
                .unwrap_or_default()
                .iter()
                .filter_map(|node| node.as_str().map(str::to_owned))
                .collect()
        };
        let aliases = texts("aliases", &mut found);
        let make = texts("make", &mut found);
        let url = fields.text("url", &mut found).map(str::to_owned);
        let image = fields.text("image", &mut found).map(str::to_owned);
        let kind = match kind.as_deref() {
            Some("engine") => Kind::Engine,
            Some("compose") => Kind::Compose,
            Some("harbor") => Kind::Harbor,
            Some("image") => Kind::Image,
            _ => {
                found.push(Diagnostic::at(&node.place, "unknown kind of item"));
                Kind::Image
            }
        };
        let mut sha256 = BTreeMap::new();
        for (version, sums) in fields
            .value("sha256")
            .and_then(|node| node.as_mapping())
            .unwrap_or_default()
        {
            for (arch, sum) in sums.as_mapping().unwrap_or_default() {
                let (Some(version), Some(arch), Some(digits)) =
                    (version.as_str(), arch.as_str(), sum.as_str())
                else {
                    continue;
                };
                if super::sums::is_sha256(digits) {
                    sha256.insert(
                        (bare(version).to_owned(), arch.to_owned()),
                        digits.to_owned(),
                    );
                } else {
                    found.push(Diagnostic::at(&sum.place, "not a sha256"));
                }
            }
        }
        fields.finish(&mut found);
        let item = Self {
            name: name.unwrap_or_default(),
            aliases,
            title: title.unwrap_or_default(),
            kind,
            setting: setting.unwrap_or_default(),
            layout: layout.unwrap_or_default(),
            url,
            image,
            make,
            sha256,
        };
        found.check(item)
    }
}

/// A version without its leading `v`.
pub fn bare(version: &str) -> &str {
    match version.strip_prefix('v') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => rest,
        _ => version,
    }
}

/// The name that the kernel has for an architecture; others stay as they are.
pub fn machine(arch: &str) -> &str {
    match arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    }
}

/// A path as a word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |character: char| character.is_alphanumeric() || "/._-+@:,=".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_whole() {
        let catalogue = Catalogue::embedded();
        assert_eq!(catalogue.faults, Diagnostics::new());
        let names: Vec<&str> = catalogue
            .items
            .iter()
            .map(|item| item.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "docker",
                "docker_compose",
                "docker_registry",
                "harbor",
                "keepalived"
            ]
        );
        for item in &catalogue.items {
            assert!(!item.make.is_empty(), "{}", item.name);
            assert_eq!(
                item.kind == Kind::Image,
                item.image.is_some(),
                "{}",
                item.name
            );
        }
    }

    #[test]
    fn the_settings_know_the_same_names() {
        let mut names: Vec<Vec<&str>> = crate::settings::schema::PACKAGES
            .iter()
            .map(|(name, aliases)| {
                std::iter::once(*name)
                    .chain(aliases.iter().copied())
                    .collect()
            })
            .collect();
        names.sort();
        let items = &Catalogue::embedded().items;
        let own: Vec<Vec<&str>> = items.iter().map(|item| item.names().collect()).collect();
        assert_eq!(own, names);
    }

    #[test]
    fn the_settings_of_versions_are_there() {
        for item in &Catalogue::embedded().items {
            let known = crate::settings::schema::SETTINGS
                .iter()
                .any(|setting| setting.path == item.setting);
            assert!(known, "{}", item.setting);
        }
    }

    #[test]
    fn no_name_belongs_to_two_items() {
        let catalogue = Catalogue::embedded();
        for item in &catalogue.items {
            for name in item.names() {
                let owners = catalogue
                    .items
                    .iter()
                    .filter(|other| other.answers_to(name));
                assert_eq!(owners.count(), 1, "{name}");
            }
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let path = |name: &str, version: &str| {
            let item = Catalogue::embedded().item(name).unwrap();
            item.layout_path(version, "amd64").display().to_string()
        };
        assert_eq!(
            path("docker", "24.0.7"),
            "docker/24.0.7/amd64/docker-24.0.7.tgz"
        );
        assert_eq!(
            path("dockercompose", "v2.20.3"),
            "image-registry/docker-compose/v2.20.3/amd64/docker-compose"
        );
        assert_eq!(
            path("harbor", "v2.10.2"),
            "image-registry/harbor/v2.10.2/amd64/harbor-offline-installer-v2.10.2.tgz"
        );
        assert_eq!(
            path("docker_registry", "2.8.3"),
            "image-registry/docker-registry/2.8.3/amd64/docker-registry-2.8.3-linux-amd64.tgz"
        );
        assert_eq!(
            path("keepalived", "2.0.20"),
            "image-registry/keepalived/2.0.20/amd64/keepalived-2.0.20-linux-amd64.tgz"
        );
    }

    #[test]
    fn published_sums_are_found_with_and_without_a_v() {
        let item = Catalogue::embedded().item("compose").unwrap();
        let sum = item.published_sha256("2.20.3", "arm64").unwrap();
        assert!(sum.starts_with("9d6a6396"));
        assert_eq!(item.published_sha256("v2.20.3", "arm64"), Some(sum));
        assert_eq!(item.published_sha256("v2.20.4", "arm64"), None);
    }

    #[test]
    fn commands_are_ready_to_paste() {
        let item = Catalogue::embedded().item("docker_registry").unwrap();
        assert_eq!(
            item.commands("2.8.3", "arm64", Path::new("/my files/it's.tgz")),
            [
                "mkdir -p '/my files'",
                "docker pull --platform linux/arm64 registry:2.8.3",
                r"docker save registry:2.8.3 | gzip > '/my files/it'\''s.tgz'",
            ]
        );
        let item = Catalogue::embedded().item("docker_compose").unwrap();
        assert_eq!(
            item.commands("2.20.3", "arm64", Path::new("d/docker-compose"))[1],
            "curl -fL -o d/docker-compose https://github.com/docker/compose/releases/download/v2.20.3/docker-compose-linux-aarch64"
        );
    }

    #[test]
    fn a_broken_item_is_refused_with_places() {
        let source = Source::new(
            "artifacts/x.yaml",
            "name: x\nkinds: image\nsha256: {1.0: {amd64: zz}}\n",
        );
        let found = Item::parse(&source).unwrap_err().to_string();
        assert!(found.contains("`layout` is missing"), "{found}");
        assert!(found.contains("unknown key `kinds`"), "{found}");
        assert!(found.contains("not a sha256"), "{found}");
    }
}
