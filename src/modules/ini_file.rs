//! `ini_file`: options in sections of a file.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::arguments::Given;
use super::attributes::{Attributes, BACKUP, GROUP, MODE, OWNER, UNSAFE_WRITES};
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::ini_edit::Wanted;
use super::lineinfile::conclude_edit;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    StepOutput,
};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "ini_file",
    aliases: &[],
    summary: "keeps an option in a section of a file, or out of it",
    arguments: &[
        Argument::required("path", ArgumentKind::Path, "the file on the host").or(&["dest"]),
        Argument::optional(
            "section",
            ArgumentKind::Text,
            "the section; without it the part before the first one",
        ),
        Argument::optional(
            "option",
            ArgumentKind::Text,
            "the option; without it the section itself",
        ),
        Argument::optional("value", ArgumentKind::Text, "its value"),
        Argument::optional(
            "values",
            ArgumentKind::Texts,
            "its values, a line each, instead of `value`",
        ),
        Argument::optional(
            "exclusive",
            ArgumentKind::Boolean,
            "other lines of the same option go; true by default",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "in the file or out of it; `present` by default",
        ),
        Argument::optional(
            "no_extra_spaces",
            ArgumentKind::Boolean,
            "no blanks around the `=`; false by default",
        ),
        Argument::optional(
            "ignore_spaces",
            ArgumentKind::Boolean,
            "a line that differs only by blanks around the `=` stays; false by default",
        ),
        Argument::optional(
            "allow_no_value",
            ArgumentKind::Boolean,
            "an option without value and `=` is allowed; false by default",
        ),
        Argument::optional(
            "modify_inactive_option",
            ArgumentKind::Boolean,
            "a line of the option behind `#` or `;` is taken for it; true by default",
        ),
        Argument::optional(
            "create",
            ArgumentKind::Boolean,
            "make the file when it is not there; true by default",
        ),
        BACKUP,
        MODE,
        OWNER,
        GROUP,
        UNSAFE_WRITES,
    ],
    examples: r#"- name: how many files at once
  community.general.ini_file:
    path: /etc/app.ini
    section: limits
    option: files
    value: "4096"
    mode: "0644"
"#,
    returns: &[
        ("path", "the file"),
        (
            "msg",
            "`option added`, `option changed`, `section and option added`, `OK` …",
        ),
        (
            "backup_file",
            "the copy of what was there, when one was made",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

struct IniFile {
    file: EditedFile,
    wanted: Wanted,
}

impl Module for IniFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut said = "OK";
            let edit = |old: &str| {
                let (new, words) = self.wanted.put_into(old);
                said = words;
                new
            };
            let plan = self.file.plan(look, edit).await?.0;
            Ok(plan.with("msg", said))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_edit(outputs))
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is_present = arguments.text("state").as_deref() != Some("absent");
    let option = arguments.filled("option");
    let mut values = arguments.texts("values");
    if let Some(value) = arguments.text("value") {
        if !values.is_empty() {
            return Err(ModuleError::failed(
                "`value` and `values` exclude each other",
            ));
        }
        values.push(value);
    }
    let allow_no_value = arguments.boolean("allow_no_value", false);
    if is_present && option.is_some() && values.is_empty() && !allow_no_value {
        return Err(ModuleError::failed("`value` is missing")
            .with_hint("set `allow_no_value: true` for an option without one"));
    }
    Ok(Box::new(IniFile {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: arguments.boolean("create", true),
            word: "Path",
            care: Care::from_arguments(&arguments)?,
        },
        wanted: Wanted {
            section: arguments.filled("section"),
            option,
            values,
            exclusive: arguments.boolean("exclusive", true),
            is_present,
            narrow: arguments.boolean("no_extra_spaces", false),
            ignore_spaces: arguments.boolean("ignore_spaces", false),
            allow_no_value,
            takes_comments: arguments.boolean("modify_inactive_option", true),
        },
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    if given.has("value") && given.has("values") {
        return Err("`value` and `values` exclude each other".to_owned());
    }
    if !given.has("option") && !given.has("section") {
        return Err("give `section`, `option` or both".to_owned());
    }
    Ok(())
}
