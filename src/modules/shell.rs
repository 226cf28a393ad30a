//! `shell`: runs a text by a shell.

use serde_json::Value;

use super::arguments::Given;
use super::command::{
    CHDIR, CREATES, Execution, REMOVES, STDIN, STDIN_NEWLINE, boxed, refuse_inline_arguments,
};
use super::{Argument, ArgumentKind, Arguments, Module, ModuleError, ModuleSpec};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "shell",
    aliases: &[],
    summary: "runs a text by a shell",
    arguments: &[
        Argument::required("cmd", ArgumentKind::Text, "the text"),
        Argument::optional(
            "executable",
            ArgumentKind::Path,
            "the shell; `/bin/sh` by default",
        ),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
    ],
    free_form: Some("cmd"),
    build,
    check: Some(check),
};

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = arguments.required_text("cmd")?;
    if text.trim().is_empty() {
        return Err(ModuleError::failed("there is no command to run"));
    }
    let shell = arguments
        .text("executable")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| "/bin/sh".to_owned());
    let command = Command::user_shell(&shell, text.clone());
    Ok(boxed(Execution::new(command, text.into(), &arguments)))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    match given.literals.get("cmd") {
        Some(Value::String(text)) if !text.contains("{{") => refuse_trailing(text),
        _ => Ok(()),
    }
}

/// Only a last word can be meant as an argument: `FOO creates=/x`. Elsewhere it may well be shell.
fn refuse_trailing(text: &str) -> Result<(), String> {
    text.split_whitespace()
        .next_back()
        .filter(|_| text.split_whitespace().count() > 1 && !text.contains('\n'))
        .map_or(Ok(()), refuse_inline_arguments)
}
