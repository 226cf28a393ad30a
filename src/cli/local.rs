//! Commands that need no host and no file of the user: version, completion, manual pages, module descriptions.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::{Value, json};

use super::arguments::{
    Arguments, CompletionArguments, DataFormat, DocArguments, ManArguments, VersionArguments,
};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::modules::{self, Argument, ArgumentKind, Documentation};
use crate::playbook::DOCUMENTED_ACTIONS;

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

/// `kk doc [MODULE]`.
pub fn doc(arguments: &DocArguments) -> anyhow::Result<Exit> {
    let all = documented();
    let Some(name) = &arguments.module else {
        return match arguments.output {
            DataFormat::Text => print(&module_list(&all)),
            DataFormat::Json => print_json(&all.iter().map(described).collect()),
        };
    };
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    let found = match modules::spec(name) {
        Some(spec) => Some(spec.documentation()),
        None => all.iter().find(|one| one.name == short).copied(),
    };
    let Some(found) = found else {
        let names = all.iter().map(|one| one.name);
        let mut diagnostic = Diagnostic::error(format!("no module `{name}`")).suggest(name, names);
        diagnostic
            .hint
            .get_or_insert_with(|| "`kk doc` lists every module".to_owned());
        return Err(diagnostic.into());
    };
    match arguments.output {
        DataFormat::Text => print(&module_page(&found)),
        DataFormat::Json => print_json(&described(&found)),
    }
}

/// Every module and every action of the engine, by name.
fn documented() -> Vec<Documentation> {
    let modules = modules::specs().iter().map(|spec| spec.documentation());
    let mut all: Vec<Documentation> = modules.chain(DOCUMENTED_ACTIONS.iter().copied()).collect();
    all.sort_by_key(|one| one.name);
    all.dedup_by_key(|one| one.name);
    all
}

fn module_list(specs: &[Documentation]) -> String {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    specs
        .iter()
        .map(|spec| format!("{:width$}  {}\n", spec.name, spec.summary))
        .collect()
}

fn module_page(spec: &Documentation) -> String {
    let mut text = format!("{}: {}\n", spec.name, spec.summary);
    if !spec.aliases.is_empty() {
        text.push_str(&format!("\nalso called: {}\n", spec.aliases.join(", ")));
    }
    match (spec.free_form, spec.arguments.is_empty()) {
        (Some(argument), false) => text.push_str(&format!(
            "\n`{}: TEXT` is short for its argument `{argument}`.\n\narguments:\n",
            spec.name
        )),
        (Some(what), true) => {
            text.push_str(&format!("\n`{}: TEXT` takes {what}.\n", spec.name));
        }
        (None, true) => text.push_str("\nIt takes no arguments.\n"),
        (None, false) => text.push_str("\narguments:\n"),
    }
    for argument in spec.arguments {
        let required = if argument.required { ", required" } else { "" };
        text.push_str(&format!(
            "\n  {} ({}{required})\n",
            argument.name,
            kind(argument)
        ));
        text.push_str(&format!("      {}\n", argument.summary));
        if !argument.aliases.is_empty() {
            text.push_str(&format!(
                "      also called: {}\n",
                argument.aliases.join(", ")
            ));
        }
    }
    if !spec.examples.is_empty() {
        text.push_str("\nexample:\n\n");
    }
    for line in spec.examples.lines() {
        let line = format!("  {line}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if !spec.returns.is_empty() {
        text.push_str("\nreturn values, besides `changed`, `failed` and `msg`:\n\n");
    }
    for (name, meaning) in spec.returns {
        text.push_str(&format!("  {name}\n      {meaning}\n"));
    }
    text
}

/// What an argument takes, in words.
fn kind(argument: &Argument) -> String {
    match argument.kind {
        ArgumentKind::Text => "text".to_owned(),
        ArgumentKind::Secret => "secret text".to_owned(),
        ArgumentKind::Path => "path".to_owned(),
        ArgumentKind::Boolean => "boolean".to_owned(),
        ArgumentKind::Number => "number".to_owned(),
        ArgumentKind::Integer => "whole number".to_owned(),
        ArgumentKind::Mode => "file mode".to_owned(),
        ArgumentKind::Choice(words) => format!("one of {}", words.join(", ")),
        ArgumentKind::Texts => "list of texts".to_owned(),
        ArgumentKind::Mapping => "mapping".to_owned(),
        ArgumentKind::Any => "anything".to_owned(),
    }
}

fn described(spec: &Documentation) -> Value {
    let arguments: Vec<Value> = spec
        .arguments
        .iter()
        .map(|argument| {
            json!({
                "name": argument.name,
                "aliases": argument.aliases,
                "takes": kind(argument),
                "required": argument.required,
                "summary": argument.summary,
            })
        })
        .collect();
    json!({
        "name": spec.name,
        "aliases": spec.aliases,
        "summary": spec.summary,
        "free_form": spec.free_form,
        "arguments": arguments,
        "examples": spec.examples,
        "returns": spec.returns.iter().map(|(name, meaning)| json!({"name": name, "summary": meaning})).collect::<Vec<_>>(),
    })
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
