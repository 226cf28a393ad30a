//! `group_vars/` and `host_vars/` beside an inventory: a file or a folder of files for each group or host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::finish::plain;
use super::load::{read_text, reason_of};
use super::raw::{Raw, Variables, merge};
use super::{ALL, Group, Inventory, UNGROUPED};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, Span, nearest};
use crate::yaml;

/// Endings that are no part of the group's or host's name.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads the folders beside each of the inventories, each folder once.
pub fn read(paths: &[PathBuf], raw: &mut Raw) {
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for path in paths {
        let folder = if path.is_dir() {
            path.as_path()
        } else {
            match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            }
        };
        let whole = folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_path_buf());
        if seen.insert(whole) {
            read_kind(folder, "group_vars", raw);
            read_kind(folder, "host_vars", raw);
        }
    }
}

impl Inventory {
    /// The group of this name; one that is new gets what `group_vars/` says of it.
    pub fn group_or_new(&mut self, name: &str) -> &mut Group {
        if !self.groups.contains_key(name) {
            let inventories = self.source.iter().flat_map(|source| source.split(", "));
            let paths: Vec<PathBuf> = inventories
                .map(PathBuf::from)
                .filter(|path| path.exists())
                .collect();
            let vars_in = |read: &dyn Fn(&mut Raw)| {
                let mut raw = Raw::default();
                let nowhere = Place::new(&Source::new("", ""), Span::default());
                raw.group(name, &nowhere);
                read(&mut raw);
                raw.groups
                    .get(name)
                    .map(|group| plain(&group.directory_vars))
                    .unwrap_or_default()
            };
            let group = Group {
                name: name.to_owned(),
                directory_vars: vars_in(&|raw| read(&paths, raw)),
                playbook_vars: vars_in(&|raw| {
                    for folder in &self.playbook_folders {
                        read_kind(folder, "group_vars", raw);
                    }
                }),
                ..Group::default()
            };
            self.groups.insert(name.to_owned(), group);
        }
        self.groups.entry(name.to_owned()).or_default()
    }

    /// Reads `group_vars/` and `host_vars/` beside a playbook. They beat those beside the inventory of the same group or
    /// host. Answers what is wrong in them.
    pub fn add_playbook_variables(&mut self, folder: &Path) -> Diagnostics {
        self.playbook_folders.push(folder.to_path_buf());
        let mut raw = Raw::default();
        let nowhere = Place::new(&Source::new("", ""), Span::default());
        for name in self.groups.keys() {
            raw.group(name, &nowhere);
        }
        for name in self.hosts.keys() {
            raw.host(name, &nowhere);
        }
        read_kind(folder, "group_vars", &mut raw);
        read_kind(folder, "host_vars", &mut raw);
        for (name, group) in &raw.groups {
            if let Some(known) = self.groups.get_mut(name) {
                known.playbook_vars = plain(&group.directory_vars);
            }
        }
        for (name, host) in &raw.hosts {
            if let Some(known) = self.hosts.get_mut(name) {
                known.playbook_vars = plain(&host.directory_vars);
            }
        }
        raw.found
    }
}

fn read_kind(folder: &Path, kind: &str, raw: &mut Raw) {
    // A folder that begins with `./` only because none was named is not worth showing.
    let folder = if folder == Path::new(".") {
        PathBuf::from(kind)
    } else {
        folder.join(kind)
    };
    if !folder.is_dir() {
        return;
    }
    for entry in entries(&folder, raw) {
        let name = name_of(&entry);
        if name.is_empty() || name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let is_group = kind == "group_vars";
        if is_group && [ALL, UNGROUPED].contains(&name.as_str()) {
            let nowhere = Place::new(
                &Source::new(entry.display().to_string(), ""),
                Span::default(),
            );
            raw.group(&name, &nowhere);
        }
        let is_known = if is_group {
            raw.groups.contains_key(&name)
        } else {
            raw.hosts.contains_key(&name)
        };
        if !is_known {
            warn_of_slip(&entry, &name, is_group, raw);
            continue;
        }
        for file in files_below(&entry, raw) {
            let vars = read_file(&file, raw);
            let into = if is_group {
                raw.groups
                    .get_mut(&name)
                    .map(|group| &mut group.directory_vars)
            } else {
                raw.hosts
                    .get_mut(&name)
                    .map(|host| &mut host.directory_vars)
            };
            if let Some(into) = into {
                merge(into, vars);
            }
        }
    }
}

/// Folders are often shared by several inventories, so that only a near miss is worth a word.
fn warn_of_slip(entry: &Path, name: &str, is_group: bool, raw: &mut Raw) {
    let (kind, known): (_, Vec<&str>) = if is_group {
        ("group", raw.groups.keys().map(String::as_str).collect())
    } else {
        ("host", raw.hosts.keys().map(String::as_str).collect())
    };
    // `node1` and `node2` are near and both meant: only a longer name can be a slip.
    if let Some(meant) = nearest(name, known.iter().copied())
        && is_group
        && name.len() >= 5
    {
        raw.found.push(
            Diagnostic::warning(format!(
                "`{}` is not read: there is no {kind} `{name}`",
                entry.display()
            ))
            .hint(format!("did you mean `{meant}`?")),
        );
    }
}

fn name_of(path: &Path) -> String {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let is_ending = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    let name = if is_ending && path.is_file() {
        path.file_stem()
    } else {
        path.file_name()
    };
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The entries of a folder by name.
fn entries(folder: &Path, raw: &mut Raw) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            paths
        }
        Err(error) => {
            raw.found.push(Diagnostic::error(format!(
                "the folder `{}` {}",
                folder.display(),
                reason_of(&error)
            )));
            Vec::new()
        }
    }
}

/// How deep folders of variables may be nested.
const MAX_DEPTH: usize = 16;

/// A file, or the files in a folder and the folders in it, by name.
fn files_below(path: &Path, raw: &mut Raw) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![(path.to_path_buf(), 0)];
    while let Some((path, depth)) = open.pop() {
        if path.is_file() {
            files.push(path);
        } else if path.is_dir() && depth < MAX_DEPTH {
            let below = entries(&path, raw).into_iter().filter(|entry| {
                let name = entry
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let ending = entry
                    .extension()
                    .map(|ending| ending.to_string_lossy().to_lowercase());
                let is_vars = ending.is_none_or(|ending| ENDINGS.contains(&ending.as_str()));
                !name.starts_with('.') && !name.ends_with('~') && (entry.is_dir() || is_vars)
            });
            // Last in, first out: the stack holds them backwards.
            let mut below: Vec<(PathBuf, usize)> = below.map(|entry| (entry, depth + 1)).collect();
            below.reverse();
            open.extend(below);
        }
    }
    files
}

fn read_file(path: &Path, raw: &mut Raw) -> Variables {
    let source = match read_text(path) {
        Ok(source) => source,
        Err(diagnostic) => {
            raw.found.push(diagnostic);
            return Variables::new();
        }
    };
    let document = match yaml::parse(&source) {
        Ok(document) => document,
        Err(diagnostic) => {
            raw.found.push(diagnostic);
            return Variables::new();
        }
    };
    if document.is_null() {
        return Variables::new();
    }
    let Some(pairs) = document.as_mapping() else {
        raw.found
            .push(document.unexpected("a mapping of variables"));
        return Variables::new();
    };
    pairs.to_vec()
}
