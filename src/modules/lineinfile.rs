//! `lineinfile`: one line of a file.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::arguments::Given;
use super::attributes::{Attributes, BACKUP, GROUP, MODE, OWNER, UNSAFE_WRITES, VALIDATE};
use super::copy::conclude_write;
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::line_edit::{Finder, Place, WantedLine, expression};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    StepOutput,
};

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
            "the line; needed unless `state: absent` with `regexp` or `search_string`",
        )
        .or(&["value"]),
        Argument::optional(
            "regexp",
            ArgumentKind::Text,
            "the last line that matches is replaced; with `state: absent` all that match go",
        )
        .or(&["regex"]),
        Argument::optional(
            "search_string",
            ArgumentKind::Text,
            "the same by a text that is in the line, instead of `regexp`",
        ),
        STATE,
        Argument::optional(
            "backrefs",
            ArgumentKind::Boolean,
            "`\\1` in `line` stands for a group of `regexp`, and nothing is done when it matches nowhere; false by default",
        ),
        Argument::optional(
            "firstmatch",
            ArgumentKind::Boolean,
            "the first line that matches counts, not the last; false by default",
        ),
        INSERT_AFTER,
        INSERT_BEFORE,
        CREATE,
        BACKUP,
        VALIDATE,
        MODE,
        OWNER,
        GROUP,
        UNSAFE_WRITES,
    ],
    examples: r"- name: no password logins
  lineinfile:
    path: /etc/ssh/sshd_config
    regexp: ^#?PasswordAuthentication
    line: PasswordAuthentication no
    validate: /usr/sbin/sshd -t -f %s

- name: the old name is gone
  lineinfile:
    path: /etc/hosts
    regexp: \sold\.example\.com$
    state: absent
",
    returns: &[
        (
            "msg",
            "`line added`, `line replaced`, `2 line(s) removed`, or nothing",
        ),
        ("found", "how many lines went, with `state: absent`"),
        ("backup", "the copy of what was there, when one was made"),
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

/// What the result says of an empty `regexp` or `search_string`, in Ansible's words.
const MATCHES_EVERYTHING: &str = "which will match every line in the file. \
This may have unintended consequences, such as replacing the last line in the file rather than appending.";

struct LineInFile {
    file: EditedFile,
    wanted: WantedLine,
    is_present: bool,
    /// What is given and empty, so that it is in every line.
    matches_everything: Option<&'static str>,
}

impl Module for LineInFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut said = String::new();
            let mut found = None;
            let edit = |old: &str| {
                if self.is_present {
                    let (new, words) = self.wanted.put_into(old);
                    words.clone_into(&mut said);
                    return new;
                }
                let (new, count) = self.wanted.take_out_of(old);
                found = Some(count);
                if count > 0 {
                    said = format!("{count} line(s) removed");
                }
                new
            };
            let (plan, is_there) = self.file.plan(look, edit).await?;
            if !is_there && !self.is_present {
                return Ok(plan.with("msg", "file not present"));
            }
            let mut plan = plan.with("msg", said).with("backup", "");
            if let Some(what) = self.matches_everything {
                let instead = match what {
                    "regular expression" => {
                        " If this is desired, use '^' to match every line in the file and avoid this warning."
                    }
                    _ => "",
                };
                let warning = format!("The {what} is an empty string, {MATCHES_EVERYTHING}{instead}");
                plan = plan.with("warnings", vec![warning]);
            }
            Ok(match found {
                Some(count) => plan.with("found", count),
                None => plan,
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_edit(outputs))
    }
}

/// What the modules that edit files return: the copy is called `backup` there.
pub(super) fn conclude_edit(outputs: &[StepOutput]) -> Conclusion {
    let mut conclusion = conclude_write(outputs);
    conclusion.result.retain(|name, _| name == "backup_file");
    if let Some(path) = conclusion.result.remove("backup_file") {
        conclusion
            .result
            .insert("backup_file".to_owned(), path.clone());
        conclusion.result.insert("backup".to_owned(), path);
    }
    conclusion
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = |name: &str| arguments.text(name);
    let is_present = text("state").as_deref() != Some("absent");
    let line = text("line");
    // An empty one is found in every line.
    let pattern = text("regexp")
        .map(|pattern| expression(&pattern))
        .transpose()
        .map_err(ModuleError::failed)?;
    let finder = Finder {
        pattern,
        text: text("search_string"),
    };
    if finder.pattern.is_some() && finder.text.is_some() {
        return Err(ModuleError::failed(
            "`regexp` and `search_string` exclude each other",
        ));
    }
    if is_present && line.is_none() {
        return Err(ModuleError::failed("`line` is missing"));
    }
    if line.is_none() && !finder.is_given() {
        return Err(ModuleError::failed(
            "give `line`, `regexp` or `search_string`",
        ));
    }
    let back_references = arguments.boolean("backrefs", false);
    if back_references && finder.pattern.is_none() {
        return Err(ModuleError::failed("`backrefs` needs `regexp`"));
    }
    let place = Place::new(
        text("insertafter").as_deref(),
        text("insertbefore").as_deref(),
    )
    .map_err(ModuleError::failed)?;
    let line = line.unwrap_or_default();
    Ok(Box::new(LineInFile {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: arguments.boolean("create", false),
            care: Care::from_arguments(&arguments)?,
            word: "Destination",
        },
        wanted: WantedLine {
            line: line.trim_end_matches(['\r', '\n']).to_owned(),
            finder,
            place,
            first: arguments.boolean("firstmatch", false),
            back_references,
        },
        is_present,
        matches_everything: [
            ("regexp", "regular expression"),
            ("search_string", "search string"),
        ]
        .into_iter()
        .find(|(name, _)| text(name).is_some_and(|text| text.is_empty()))
        .map(|(_, what)| what),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let literal = |name: &str| given.literals.get(name).and_then(Value::as_str);
    let has_finder = given.has("regexp") || given.has("search_string");
    let is_present = literal("state").unwrap_or("present") == "present" && !given.has("state");
    if !given.has("line") && (!has_finder || is_present) {
        return Err("`line` is missing".to_owned());
    }
    if given.has("regexp") && given.has("search_string") {
        return Err("`regexp` and `search_string` exclude each other".to_owned());
    }
    check_places(given)?;
    check_expressions(given, &["regexp", "insertafter", "insertbefore"])?;
    super::copy::check_validate(given)
}

/// `insertafter` and `insertbefore` exclude each other.
pub(super) fn check_places(given: &Given<'_>) -> Result<(), String> {
    if given.has("insertafter") && given.has("insertbefore") {
        return Err("`insertafter` and `insertbefore` exclude each other".to_owned());
    }
    Ok(())
}

/// Literal arguments of these names are regular expressions.
pub(super) fn check_expressions(given: &Given<'_>, names: &[&str]) -> Result<(), String> {
    for name in names {
        if let Some(pattern) = given.literals.get(*name).and_then(Value::as_str)
            && !pattern.contains("{{")
        {
            expression(pattern)?;
        }
    }
    Ok(())
}
