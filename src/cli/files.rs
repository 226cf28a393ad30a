//! Commands about files alone: create, inventory list, playbooks export.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::arguments::{
    CreateArguments, ExportArguments, InventoryGraphArguments, InventoryHostArguments,
    InventoryListArguments,
};
use super::local::{print, print_json};
use super::prepare::Prepared;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::inventory::ALL;
use crate::playbook::Library;
use crate::template::display;

/// `kk create inventory` and `kk create config`.
pub fn create(arguments: &CreateArguments, text: &str) -> anyhow::Result<Exit> {
    let Some(path) = &arguments.output else {
        return print(text);
    };
    write_new(path, text, arguments.force)?;
    Ok(Exit::Ok)
}

fn write_new(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let diagnostic = Diagnostic::error(format!("`{}` is there already", path.display()));
            return Err(diagnostic.hint("`--force` writes over it").into());
        }
        Err(error) => return Err(error).with_context(|| format!("write `{}`", path.display())),
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("write `{}`", path.display()))
}

/// `kk inventory list`.
pub fn list(arguments: &InventoryListArguments) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    print_json(&prepared.inventory.to_json())
}

/// `kk inventory graph`.
pub fn graph(arguments: &InventoryGraphArguments) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let inventory = &prepared.inventory;
    let group = arguments.group.as_deref().unwrap_or(ALL);
    if !inventory.groups.contains_key(group) {
        let known = inventory.groups.keys().map(String::as_str);
        let message = format!("the inventory has no group `{group}`");
        return Err(Diagnostic::error(message).suggest(group, known).into());
    }
    let shown = arguments.vars.then_some(display as fn(&Value) -> String);
    print(&inventory.to_tree(group, shown))
}

/// `kk inventory host`.
pub fn host(arguments: &InventoryHostArguments) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let host = if arguments.connection {
        prepared.inventory.connection_to_json(&arguments.host)
    } else {
        prepared.inventory.host_to_json(&arguments.host)
    };
    if let Some(host) = host {
        return print_json(&host);
    }
    let known = prepared.inventory.hosts.keys().map(String::as_str);
    let message = format!("the inventory has no host `{}`", arguments.host);
    let mut diagnostic = Diagnostic::error(message).suggest(&arguments.host, known);
    diagnostic
        .hint
        .get_or_insert_with(|| "`kk inventory list` prints all of it".to_owned());
    Err(diagnostic.into())
}

/// `kk playbooks export`.
pub fn export(arguments: &ExportArguments) -> anyhow::Result<Exit> {
    let folder = &arguments.directory;
    let (written, kept) = Library::export(folder, arguments.force)
        .with_context(|| format!("write to `{}`", folder.display()))?;
    let mut text = String::new();
    for path in &written {
        text.push_str(&format!("{}\n", path.display()));
    }
    print(&text)?;
    if kept.is_empty() {
        return Ok(Exit::Ok);
    }
    let diagnostic = Diagnostic::error(format!(
        "{} files are there already and were left alone",
        kept.len()
    ));
    Err(diagnostic.hint("`--force` writes over them").into())
}
