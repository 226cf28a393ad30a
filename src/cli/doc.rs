//! `kk doc`, and the page of all modules.

use serde_json::{Value, json};

use super::arguments::{DataFormat, DocArguments};
use super::local::{print, print_json};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::modules::{self, Argument, ArgumentKind, Manual};
use crate::playbook::MANUALS;

/// Everything that a task can be, in alphabetical order.
pub fn manuals() -> Vec<Manual> {
    let specs = modules::specs().iter().map(|spec| spec.manual());
    let mut all: Vec<Manual> = specs.chain(MANUALS.iter().copied()).collect();
    all.sort_by_key(|manual| manual.name);
    all
}

fn manual(name: &str) -> Option<Manual> {
    let short = name.rsplit('.').next().unwrap_or(name);
    let is_it = |manual: &Manual| manual.name == short || manual.aliases.contains(&short);
    manuals().into_iter().find(is_it)
}

/// The page of all modules with their arguments, in Markdown.
pub fn page_of_modules() -> String {
    let mut page = String::from(
        "# Modules\n\nWhat a task can be, with every argument; made from the tables in the program by `make snapshots`. `kk doc MODULE` \
         says more: examples and return values. An argument that is not here is an error before the first connection, \
         also where Ansible has it. `ansible.builtin.`, `ansible.posix.` and `community.general.` may stand before a name.\n",
    );
    for manual in manuals() {
        page.push_str(&format!("\n## {}\n\n{}.\n", manual.name, manual.summary));
        if !manual.aliases.is_empty() {
            page.push_str(&format!("Also called `{}`.\n", manual.aliases.join("`, `")));
        }
        if !manual.arguments.is_empty() {
            page.push_str("\n| argument | takes | meaning |\n| --- | --- | --- |\n");
        }
        for argument in manual.arguments {
            let mut names = format!("`{}`", argument.name);
            for alias in argument.aliases {
                names.push_str(&format!(", `{alias}`"));
            }
            let required = if argument.required { ", required" } else { "" };
            let summary = argument.summary.replace('|', "\\|");
            page.push_str(&format!(
                "| {names} | {}{required} | {summary} |\n",
                kind(argument)
            ));
        }
    }
    page
}

/// `kk doc [MODULE]`.
pub fn doc(arguments: &DocArguments) -> anyhow::Result<Exit> {
    let Some(name) = &arguments.module else {
        return match arguments.output {
            DataFormat::Text => print(&module_list(&manuals())),
            DataFormat::Json => print_json(&manuals().iter().map(described).collect()),
        };
    };
    let Some(spec) = manual(name) else {
        let all = manuals();
        let names = all.iter().map(|spec| spec.name);
        let mut diagnostic = Diagnostic::error(format!("no module `{name}`")).suggest(name, names);
        diagnostic
            .hint
            .get_or_insert_with(|| "`kk doc` lists every module".to_owned());
        return Err(diagnostic.into());
    };
    match arguments.output {
        DataFormat::Text => print(&module_page(&spec)),
        DataFormat::Json => print_json(&described(&spec)),
    }
}

fn module_list(specs: &[Manual]) -> String {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    specs
        .iter()
        .map(|spec| format!("{:width$}  {}\n", spec.name, spec.summary))
        .collect()
}

fn module_page(spec: &Manual) -> String {
    let mut text = format!("{}: {}\n", spec.name, spec.summary);
    if !spec.aliases.is_empty() {
        text.push_str(&format!("\nalso called: {}\n", spec.aliases.join(", ")));
    }
    if let Some(argument) = spec.free_form {
        text.push_str(&format!(
            "\n`{}: TEXT` is short for its argument `{argument}`.\n",
            spec.name
        ));
    }
    if spec.arguments.is_empty() {
        text.push_str("\nIt takes no arguments.\n");
    } else {
        text.push_str("\narguments:\n");
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

fn described(spec: &Manual) -> Value {
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
