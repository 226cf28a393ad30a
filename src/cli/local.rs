//! Commands that need no host and no file of the user: version, completion, manual pages.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::{Value, json};

use super::arguments::{
    Arguments, CompletionArguments, DataFormat, ManArguments, VersionArguments,
};
use crate::exit::Exit;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `kk version`.
pub fn version(arguments: &VersionArguments) -> anyhow::Result<Exit> {
    match arguments.output {
        DataFormat::Text => print(&format!("kk {VERSION}\n")),
        DataFormat::Json => print_json(&json!({
            "version": VERSION,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
        })),
    }
}

/// `kk completion SHELL`.
pub fn completion(arguments: &CompletionArguments) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "kk",
        &mut script,
    );
    print_bytes(&script)
}

/// `kk man [DIR]`.
pub fn man(arguments: &ManArguments) -> anyhow::Result<Exit> {
    let mut root = Arguments::command();
    root.build();
    match &arguments.directory {
        None => print_bytes(&page(&root)?),
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("make the folder `{}`", directory.display()))?;
            write_pages(&root, directory)?;
            Ok(Exit::Ok)
        }
    }
}

fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .source(format!("kk {VERSION}"))
        .manual("kk manual")
        .render(&mut bytes)
        .context("make the manual page")?;
    Ok(bytes)
}

/// Writes the page of a command that was built, and those of its subcommands: `kk.1`, `kk-init-registry.1`.
fn write_pages(command: &clap::Command, directory: &Path) -> anyhow::Result<()> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).with_context(|| format!("write `{}`", path.display()))?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        write_pages(subcommand, directory)?;
    }
    Ok(())
}

pub(super) fn print_json(value: &Value) -> anyhow::Result<Exit> {
    print(&format!("{value:#}\n"))
}

pub(super) fn print(text: &str) -> anyhow::Result<Exit> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(Exit::Ok)
}
