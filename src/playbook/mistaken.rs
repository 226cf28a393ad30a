//! Mistakes in a task that may fail. Whoever ignores its errors or rescues them may mean them to come: they are warnings,
//! and the task fails when the run comes to it, as in Ansible. Its result says what is wrong in Ansible's words, which
//! playbooks look for.

use super::action::{action_name, short_name};
use super::load::Loader;
use super::{Action, Frame};
use crate::diagnostic::Severity;
use crate::modules;
use crate::yaml::{Fields, Node};

/// An action that fails, where what was found since `before` are mistakes and the task may fail.
pub(super) fn mistaken(
    loader: &mut Loader<'_>,
    before: usize,
    word: &Node,
    frame: &Frame,
    fields: &Fields<'_>,
) -> Option<Action> {
    let mistakes = loader.found.0.get_mut(before..)?;
    let is_mistaken = mistakes
        .iter()
        .any(|found| found.severity == Severity::Error);
    if !is_mistaken || !frame.may_fail() && fields.value("failed_when").is_none() {
        return None;
    }
    let mut messages = Vec::new();
    for mistake in mistakes {
        if mistake.severity == Severity::Error {
            mistake.severity = Severity::Warning;
            messages.push(mistake.message.clone());
        }
    }
    let written = word.as_str().unwrap_or_default();
    let result = messages
        .first()
        .map(|message| in_ansibles_words(written, message))
        .unwrap_or_default();
    Some(Action::Mistaken {
        name: action_name(written),
        message: messages.join("; "),
        hint: None,
        result,
    })
}

/// What a registered result says of a mistake.
pub(super) fn in_ansibles_words(written: &str, message: &str) -> String {
    let name = short_name(written);
    let about = |middle: &str| {
        let (_, rest) = message.split_once(middle)?;
        rest.split('`').next()
    };
    if message == "there is no command to run" {
        return "no command given".to_owned();
    }
    if message == "`cmd` and `argv` exclude each other" {
        return "only command or argv can be given, not both".to_owned();
    }
    if message == "`script` needs the argument `cmd`" {
        return "one of the following is required: _raw_params, cmd".to_owned();
    }
    if let Some(argument) = about("` needs the argument `") {
        return format!("missing required arguments: {argument}");
    }
    if let Some(argument) = about("` has no argument `").or_else(|| about("unknown key `")) {
        return match name {
            "shell" | "command" => {
                format!("Unsupported parameters for ({name}) module: {argument}")
            }
            "wait_for_connection" | "reboot" => format!("Invalid options for {name}: {argument}"),
            _ => {
                let known: Vec<&str> = modules::spec(written).map_or_else(Vec::new, |spec| {
                    spec.arguments.iter().map(|known| known.name).collect()
                });
                format!(
                    "Unsupported parameters for ({name}) module: {argument}. Supported parameters include: {}.",
                    known.join(", ")
                )
            }
        };
    }
    if let Some(rest) = message.strip_suffix(" exclude each other") {
        let names: Vec<&str> = rest
            .split('`')
            .filter(|part| !part.trim().is_empty() && !part.contains(' '))
            .collect();
        return format!("parameters are mutually exclusive: {}", names.join("|"));
    }
    if message == "`pause` has `seconds` or `minutes`, not both" {
        return "parameters are mutually exclusive: minutes|seconds".to_owned();
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::in_ansibles_words;

    #[test]
    fn what_playbooks_look_for() {
        for (module, message, expected) in [
            (
                "file",
                "`file` needs the argument `path`",
                "missing required arguments: path",
            ),
            (
                "shell",
                "`shell` has no argument `a`",
                "Unsupported parameters for (shell) module: a",
            ),
            (
                "ansible.builtin.reboot",
                "`reboot` has no argument `a`",
                "Invalid options for reboot: a",
            ),
            (
                "copy",
                "`src` and `content` exclude each other",
                "parameters are mutually exclusive: src|content",
            ),
            ("copy", "unknown filter `x`", "unknown filter `x`"),
            ("command", "there is no command to run", "no command given"),
            (
                "script",
                "`script` needs the argument `cmd`",
                "one of the following is required: _raw_params, cmd",
            ),
        ] {
            assert_eq!(in_ansibles_words(module, message), expected);
        }
        assert!(
            in_ansibles_words("ping", "`ping` has no argument `a`").starts_with(
                "Unsupported parameters for (ping) module: a. Supported parameters include: data"
            )
        );
    }
}
