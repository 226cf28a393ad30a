//! `lineinfile`: one line of a file.

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::Regex;
use serde_json::Value;

use super::arguments::Given;
use super::edited_file::EditedFile;
use super::file_state::{Attributes, host_path};
use super::line_edit::{Place, expression, with_line, without_line};
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "lineinfile",
    aliases: &[],
    summary: "keeps one line in a file, or out of it",
    arguments: &[
        PATH,
        Argument::optional(
            "line",
            ArgumentKind::Text,
            "the line; needed unless `state: absent` with `regexp`",
        )
        .or(&["value"]),
        Argument::optional(
            "regexp",
            ArgumentKind::Text,
            "the last line that matches is replaced; with `state: absent` all that match go",
        )
        .or(&["regex"]),
        STATE,
        INSERT_AFTER,
        INSERT_BEFORE,
        CREATE,
        super::copy::MODE,
        super::copy::OWNER,
        super::copy::GROUP,
    ],
    free_form: None,
    build,
    check: Some(check),
};

pub(super) const PATH: Argument =
    Argument::required("path", ArgumentKind::Path, "the file on the host")
        .or(&["dest", "destfile", "name"]);
pub(super) const STATE: Argument = Argument::optional(
    "state",
    ArgumentKind::Choice(&["present", "absent"]),
    "in the file or out of it; `present` by default",
);
pub(super) const INSERT_AFTER: Argument = Argument::optional(
    "insertafter",
    ArgumentKind::Text,
    "where it goes when it is new: after the last line that matches, or `EOF`, the default",
);
pub(super) const INSERT_BEFORE: Argument = Argument::optional(
    "insertbefore",
    ArgumentKind::Text,
    "where it goes when it is new: before the last line that matches, or `BOF`",
);
pub(super) const CREATE: Argument = Argument::optional(
    "create",
    ArgumentKind::Boolean,
    "make the file when it is not there; false by default",
);

struct LineInFile {
    file: EditedFile,
    line: Option<String>,
    pattern: Option<Regex>,
    place: Place,
    is_present: bool,
}

impl Module for LineInFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let edit = |old: &str| match (&self.line, self.is_present) {
                (Some(line), true) => with_line(old, line, self.pattern.as_ref(), &self.place),
                (line, _) => without_line(old, line.as_deref(), self.pattern.as_ref()),
            };
            Ok(self.file.plan(look, edit).await?.0)
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = |name: &str| arguments.text(name);
    let is_present = text("state").as_deref() != Some("absent");
    let line = text("line");
    if line
        .as_deref()
        .is_some_and(|line| line.contains(['\n', '\r']))
    {
        return Err(ModuleError::failed("`line` holds a line break").with_hint("use `blockinfile`"));
    }
    let pattern = text("regexp")
        .map(|pattern| expression(&pattern))
        .transpose()
        .map_err(ModuleError::failed)?;
    if is_present && line.is_none() {
        return Err(ModuleError::failed("`line` is missing"));
    }
    if line.is_none() && pattern.is_none() {
        return Err(ModuleError::failed("give `line` or `regexp`"));
    }
    Ok(Box::new(LineInFile {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: arguments.boolean("create", false),
        },
        line,
        pattern,
        place: Place::new(
            text("insertafter").as_deref(),
            text("insertbefore").as_deref(),
        )
        .map_err(ModuleError::failed)?,
        is_present,
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let literal = |name: &str| given.literals.get(name).and_then(Value::as_str);
    if !given.has("line")
        && (!given.has("regexp")
            || literal("state").unwrap_or("present") == "present" && !given.has("state"))
    {
        return Err("`line` is missing".to_owned());
    }
    if given.has("insertafter") && given.has("insertbefore") {
        return Err("`insertafter` and `insertbefore` exclude each other".to_owned());
    }
    for name in ["regexp", "insertafter", "insertbefore"] {
        if let Some(pattern) = literal(name)
            && !pattern.contains("{{")
        {
            expression(pattern)?;
        }
    }
    Ok(())
}
