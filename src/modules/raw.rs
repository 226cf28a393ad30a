//! `raw`: a text for the host's shell, with nothing around it.

use serde_json::Value;

use super::command::{COMMAND_RETURNS, Execution, boxed, no_command};
use super::{Argument, ArgumentKind, Arguments, Module, ModuleError, ModuleSpec};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "raw",
    aliases: &[],
    summary: "runs a text by a shell, with no other arguments; `shell` has more of them",
    arguments: &[
        Argument::required("cmd", ArgumentKind::Text, "the text").or(&["free_form"]),
        Argument::optional(
            "executable",
            ArgumentKind::Path,
            "the shell; `/bin/sh` by default",
        ),
    ],
    examples: r"- name: Python for other tools
  raw: test -e /usr/bin/python3 || (apt-get -y update && apt-get install -y python3-minimal)
  changed_when: false
",
    returns: COMMAND_RETURNS,
    free_form: Some("cmd"),
    build,
    check: None,
};

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = arguments.required_text("cmd")?;
    if text.trim().is_empty() {
        return Err(no_command());
    }
    let shell = arguments
        .filled("executable")
        .unwrap_or_else(|| "/bin/sh".to_owned());
    let command = Command::user_shell(&shell, text.clone());
    let shown = Value::from(text);
    Ok(boxed(
        Execution::new(command, shown, &arguments).whole_output(),
    ))
}
