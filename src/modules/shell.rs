//! `shell`: runs a text by a shell.

use super::command::{
    CHDIR, COMMAND_RETURNS, CREATES, Execution, REMOVES, STDIN, STDIN_NEWLINE, STRIP, boxed,
    no_command,
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
        STRIP,
    ],
    examples: r"- name: how many
  shell: ps aux | grep -c [n]ginx
  register: count
  changed_when: false

- name: with bash
  shell:
    cmd: set -o pipefail; zcat dump.gz | mysql
    executable: /bin/bash
    chdir: /srv/backup
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
        .text("executable")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| "/bin/sh".to_owned());
    let command = Command::user_shell(&shell, text.clone());
    Ok(boxed(Execution::new(command, text.into(), &arguments)))
}
