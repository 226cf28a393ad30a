//! From files to an inventory: which form a text has, and what lies beside it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::raw::Raw;
use super::{
    ALL, Connection, Group, Host, Inventory, LOCALHOST, Loaded, LocalMachine, UNGROUPED, ansible,
    directories, finish, ini, kubekey,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Source};
use crate::vault;
use crate::yaml;

/// Files in an inventory folder that are no inventories.
const IGNORED_ENDINGS: [&str; 13] = [
    "~", ".bak", ".cfg", ".md", ".orig", ".pyc", ".retry", ".rpm", ".rst", ".sh", ".swp", ".tmp",
    ".txt",
];

impl Inventory {
    /// Reads inventory files, one after the other: later ones add to earlier ones. A folder stands for the files in
    /// it, by name. `group_vars/` and `host_vars/` beside a file, or in the folder, are read too. What has a comma and is
    /// no file is a list of hosts: `node1,node2`, or `node1,` for a single one.
    ///
    /// No path at all is the implicit inventory.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of the files.
    pub fn load(paths: &[PathBuf], machine: &LocalMachine) -> Result<Loaded, Diagnostics> {
        if paths.is_empty() {
            return Ok(Loaded {
                inventory: Self::implicit(),
                warnings: Diagnostics::new(),
            });
        }
        let mut raw = Raw::default();
        let (lists, paths): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.iter().cloned().partition(|path| is_list(path));
        for list in &lists {
            read_list(list, &mut raw);
        }
        for path in &paths {
            for file in files_of(path, &mut raw) {
                match read_text(&file) {
                    Ok(source) => read(&source, &file, &mut raw),
                    Err(diagnostic) => raw.found.push(diagnostic),
                }
            }
        }
        raw.declare_localhost();
        directories::read(&paths, &mut raw);
        let names: Vec<String> = lists
            .iter()
            .chain(&paths)
            .map(|path| path.display().to_string())
            .collect();
        finish::finish(raw, Some(names.join(", ")), machine)
    }

    /// Reads one text of any of the forms, without anything beside it. The source's name decides the form where its
    /// ending does.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it.
    pub fn parse(source: &Arc<Source>, machine: &LocalMachine) -> Result<Loaded, Diagnostics> {
        let mut raw = Raw::default();
        read(source, Path::new(&source.name), &mut raw);
        finish::finish(raw, Some(source.name.clone()), machine)
    }

    /// This machine alone: the host `localhost` with the local connector, and the registry on it if there is to be one.
    pub fn implicit() -> Self {
        let mut inventory = Self::default();
        inventory.hosts.insert(
            LOCALHOST.to_owned(),
            Host::new(LOCALHOST, Connection::Local),
        );
        for name in [ALL, "image_registry", UNGROUPED] {
            let group = Group {
                name: name.to_owned(),
                ..Group::default()
            };
            inventory.groups.insert(name.to_owned(), group);
        }
        if let Some(group) = inventory.groups.get_mut("image_registry") {
            group.hosts.push(LOCALHOST.to_owned());
        }
        inventory
    }

    /// A host by its name. `localhost` is there even where no file says so, and is no member of any group then.
    pub fn host(&self, name: &str) -> Option<Cow<'_, Host>> {
        match self.hosts.get(name) {
            Some(host) => Some(Cow::Borrowed(host)),
            None if name == LOCALHOST => Some(Cow::Owned(Host::new(LOCALHOST, Connection::Local))),
            None => None,
        }
    }

    /// Looks whether the `private_key` files of these hosts can be read, and says of each that cannot why.
    pub fn check_private_keys<'a>(&self, hosts: impl IntoIterator<Item = &'a str>) -> Diagnostics {
        let mut found = Diagnostics::new();
        let mut seen: Vec<&Path> = Vec::new();
        for name in hosts {
            let Some(Connection::Ssh(ssh)) = self.hosts.get(name).map(|host| &host.connection)
            else {
                continue;
            };
            let Some(path) = ssh.private_key.as_deref() else {
                continue;
            };
            if seen.contains(&path) {
                continue;
            }
            seen.push(path);
            if let Err(error) = std::fs::read(path) {
                let reason = reason_of(&error);
                let message = format!("the private key `{}` {reason}", path.display());
                let mut diagnostic = Diagnostic::error(message).hint(format!(
                    "host `{name}` logs in with it: correct `private_key`, or make the file readable"
                ));
                diagnostic.place = self.private_key_places.get(name).cloned();
                found.push(diagnostic);
            }
        }
        found
    }
}

/// Why a file cannot be read, to follow its name in a sentence.
pub fn reason_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a folder".to_owned(),
        std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A text file as a source with its path as name.
pub fn read_text(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        // Some editors begin a file with a mark for the byte order.
        Ok(bytes) => vault::source(
            &name,
            bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes),
        ),
        Err(error) => Err(Diagnostic::error(format!(
            "the file `{}` {}",
            path.display(),
            reason_of(&error)
        ))),
    }
}

/// What is given for a file is a list of hosts.
fn is_list(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(',')) && !path.exists()
}

/// Reads a list of hosts, which are in no group.
fn read_list(list: &Path, raw: &mut Raw) {
    let list = list.display().to_string();
    let lines: Vec<&str> = list.split(',').map(str::trim).collect();
    ini::read(&Source::new("the list of hosts", lines.join("\n")), raw);
}

/// The files that a path stands for.
fn files_of(path: &Path, raw: &mut Raw) -> Vec<PathBuf> {
    if !path.is_dir() {
        if !path.exists() {
            raw.found.push(
                Diagnostic::error(format!("the inventory `{}` does not exist", path.display()))
                    .hint("`kk create inventory -o inventory.yaml` writes one to start from"),
            );
            return Vec::new();
        }
        return vec![path.to_path_buf()];
    }
    let mut files: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|file| file.is_file() && !is_ignored(file))
            .collect(),
        Err(error) => {
            raw.found.push(Diagnostic::error(format!(
                "the folder `{}` {}",
                path.display(),
                reason_of(&error)
            )));
            return Vec::new();
        }
    };
    files.sort();
    if files.is_empty() {
        raw.found.push(Diagnostic::error(format!(
            "the folder `{}` holds no inventory",
            path.display()
        )));
    }
    files
}

fn is_ignored(file: &Path) -> bool {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.starts_with('.') || IGNORED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The form of an inventory's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Yaml,
    Ini,
}

/// Reads one file into what was read before.
fn read(source: &Arc<Source>, path: &Path, raw: &mut Raw) {
    if source.text.starts_with("#!") {
        raw.found.push(
            Diagnostic::at(
                &crate::diagnostic::Place::new(
                    source,
                    crate::diagnostic::Span { start: 0, end: 2 },
                ),
                "an inventory script is not run",
            )
            .hint(
                "save what it says: `ansible-inventory -i SCRIPT --list --yaml > inventory.yaml`",
            ),
        );
        return;
    }
    if form_of(source, path) == Form::Ini {
        return ini::read(source, raw);
    }
    let document = match yaml::parse(source) {
        Ok(document) => document,
        Err(diagnostic) => return raw.found.push(diagnostic),
    };
    let is_kubekey = ["apiVersion", "kind", "spec", "metadata"]
        .iter()
        .any(|key| document.get(key).is_some());
    if is_kubekey {
        kubekey::read(&document, raw);
    } else {
        ansible::read(&document, raw);
    }
}

/// By the file's ending, else by the first line that says something.
fn form_of(source: &Source, path: &Path) -> Form {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("yaml" | "yml" | "json") => return Form::Yaml,
        Some("ini") => return Form::Ini,
        _ => {}
    }
    let first = source
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let Some(first) = first else {
        return Form::Yaml;
    };
    let is_pair = first.ends_with(':') || first.contains(": ");
    let is_yaml = first.starts_with("---")
        || first.starts_with(['{', '%', '"', '\'', '-'])
        || is_pair && !first.starts_with('[') && !first.contains('=');
    if is_yaml { Form::Yaml } else { Form::Ini }
}
