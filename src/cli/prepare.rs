//! What every command that talks to hosts needs first: the inventory, the settings, the hosts that take part.
//! Everything that is wrong in what the user wrote is found here, before any connection.

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, Span};
use crate::inventory::{ALL, Inventory, LocalMachine};
use crate::secret::Redactor;
use crate::settings::{SetFlag, Settings, SettingsInput};

use super::arguments::TargetFlags;

/// Inventory and settings of a command, checked.
pub struct Prepared {
    /// Hosts and groups.
    pub inventory: Inventory,
    /// Settings, defaults filled in.
    pub settings: Settings,
    /// The hosts that take part, in inventory order.
    pub names: Vec<String>,
    /// The pattern by which `--limit` chose them.
    pub limit: Option<String>,
    /// No inventory was given: this machine alone.
    pub implicit: bool,
    /// Working folder, absolute.
    pub work_dir: PathBuf,
    /// What the user should know, although the run goes on.
    pub warnings: Diagnostics,
    /// Knows every secret of inventory and settings.
    pub redactor: Redactor,
}

impl Prepared {
    /// Reads everything that the flags name.
    pub fn load(target: &TargetFlags) -> Result<Self, Diagnostics> {
        let machine = LocalMachine::gather();
        let mut found = Diagnostics::new();
        super::passwords::unlock(&target.vault)?;
        let loaded = match Inventory::load(&target.inventory, &machine) {
            Ok(loaded) => Some(loaded),
            Err(diagnostics) => {
                found.extend(diagnostics);
                None
            }
        };
        let config = target
            .config
            .as_ref()
            .and_then(|path| match std::fs::read_to_string(path) {
                Ok(text) => Some(Source::new(path.display().to_string(), text)),
                Err(error) => {
                    let message =
                        format!("cannot read the config file `{}`: {error}", path.display());
                    found.push(
                        Diagnostic::error(message)
                            .hint("`kk create config -o FILE` writes an example"),
                    );
                    None
                }
            });
        let sets: Vec<SetFlag> = (target.set.iter().map(SetFlag::set))
            .chain(target.set_string.iter().map(SetFlag::string))
            .chain(target.set_file.iter().map(SetFlag::file))
            .collect();
        let work_dir =
            std::path::absolute(&target.workdir).unwrap_or_else(|_| target.workdir.clone());
        let no_variables = Vec::new();
        let input = SettingsInput {
            config,
            inventory_vars: loaded
                .as_ref()
                .map_or(&no_variables, |loaded| &loaded.inventory.settings),
            nearer_variables: loaded
                .as_ref()
                .map_or(&[], |loaded| &loaded.inventory.nearer_variables),
            sets: &sets,
            work_dir: Some(work_dir.clone()),
            ..SettingsInput::default()
        };
        let settings = match Settings::load(&input) {
            Ok(settings) => Some(settings),
            Err(diagnostics) => {
                found.extend(diagnostics);
                None
            }
        };
        let (Some(loaded), Some(settings)) = (loaded, settings) else {
            return Err(found);
        };
        let mut warnings = loaded.warnings;
        warnings.extend(settings.warnings);
        let (inventory, settings) = (loaded.inventory, settings.settings);
        let limit = target.limit.as_deref().map(with_files).transpose();
        let limit = limit.unwrap_or_else(|diagnostic| {
            found.push(diagnostic);
            None
        });
        let names = match &limit {
            None => inventory
                .hosts_of(ALL)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            Some(pattern) => limited(&inventory, pattern).unwrap_or_else(|diagnostic| {
                found.push(diagnostic);
                Vec::new()
            }),
        };
        found.extend(inventory.check_private_keys(names.iter().map(String::as_str)));
        let redactor = crate::vault::redactor();
        for secret in settings.secrets() {
            redactor.learn(secret.expose());
        }
        for host in inventory.hosts.values() {
            host.secrets()
                .into_iter()
                .for_each(|secret| redactor.learn(secret.expose()));
        }
        for (_, variables) in inventory.host_vars_of_all() {
            redactor.learn_named(&serde_json::Value::Object(variables));
        }
        let implicit = target.inventory.is_empty();
        let work_dir = settings.work_dir.clone();
        found.check(Self {
            inventory,
            settings,
            names,
            limit,
            implicit,
            work_dir,
            warnings,
            redactor,
        })
    }

    /// The name of this installation, the same from every control machine: the address of the group's first host. One
    /// host may take part in several installations; each has a ledger of its own there.
    pub fn installation(&self) -> String {
        let first = self
            .inventory
            .hosts_of(super::REGISTRY_GROUP)
            .into_iter()
            .next();
        let address = first
            .and_then(|name| self.inventory.host(name))
            .map(|host| host.internal_address().to_lowercase());
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!(
            "registry-{}",
            address
                .unwrap_or_default()
                .chars()
                .map(plain)
                .collect::<String>()
        )
    }

    /// Without a host in the group `image_registry` there is nothing to install on.
    ///
    /// # Errors
    ///
    /// There is none; points at the group where it is written.
    pub fn check_registry_group(&self) -> Result<(), Diagnostic> {
        if !self.all_registry_hosts().is_empty() {
            return Ok(());
        }
        let Some(group) = self.inventory.groups.get(super::REGISTRY_GROUP) else {
            let source = self.inventory.source.as_deref().unwrap_or_default();
            let message = format!("the inventory `{source}` has no group `image_registry`");
            return Err(Diagnostic::error(message)
                .hint("add `image_registry: {hosts: [HOST]}` under `spec.groups`"));
        };
        let message = "the group `image_registry` is empty";
        let diagnostic = match &group.place {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        };
        Err(diagnostic.hint("name at least one host under its `hosts:`"))
    }

    /// The hosts of the group `image_registry`, whether they take part or not: names and certificates are for all.
    pub fn all_registry_hosts(&self) -> Vec<String> {
        let hosts = self.inventory.hosts_of(super::REGISTRY_GROUP).into_iter();
        hosts.map(str::to_owned).collect()
    }

    /// The hosts of the group `image_registry` that take part.
    pub fn registry_hosts(&self) -> Vec<String> {
        let hosts = self.inventory.hosts_of(super::REGISTRY_GROUP).into_iter();
        hosts
            .filter(|host| self.names.iter().any(|name| name == host))
            .map(str::to_owned)
            .collect()
    }
}

/// The pattern of `--limit` with the lines of the files that it names by `@FILE`.
fn with_files(pattern: &str) -> Result<String, Diagnostic> {
    if !pattern.contains('@') {
        return Ok(pattern.to_owned());
    }
    let mut words = Vec::new();
    for word in pattern.split(',').map(str::trim) {
        let Some(path) = word.strip_prefix('@') else {
            words.push(word.to_owned());
            continue;
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let (source, start) = (Source::new("--limit", pattern), pattern.find('@'));
            let start = start.unwrap_or_default();
            let span = Span {
                start,
                end: start + word.len(),
            };
            let message = format!("cannot read the file of hosts `{path}`: {error}");
            Diagnostic::at(&Place::new(&source, span), message)
        })?;
        let lines = text.lines().map(str::trim);
        words.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
    }
    Ok(words.join(","))
}

fn limited(inventory: &Inventory, pattern: &str) -> Result<Vec<String>, Diagnostic> {
    let source = Source::new("--limit", pattern);
    let place = Place::new(
        &source,
        Span {
            start: 0,
            end: pattern.len(),
        },
    );
    let names = inventory
        .select(pattern)
        .map_err(|error| error.at(&place))?;
    if names.is_empty() {
        return Err(Diagnostic::at(
            &place,
            "no host of the inventory is selected",
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::with_files;

    #[test]
    fn a_limit_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hosts");
        std::fs::write(&file, "a\n\nb*\n").unwrap();
        let pattern = format!("@{},!c", file.display());
        assert_eq!(with_files(&pattern).unwrap(), "a,b*,!c");
        assert_eq!(with_files("a,b").unwrap(), "a,b");
        assert!(
            with_files("@/no/such")
                .unwrap_err()
                .message
                .contains("/no/such")
        );
    }
}
