//! `replace`: every match of a regular expression in a file.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::arguments::Given;
use super::attributes::{Attributes, BACKUP, GROUP, MODE, OWNER, UNSAFE_WRITES, VALIDATE};
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::line_edit::{expanded, expression_with};
use super::lineinfile::{PATH, check_expressions, conclude_edit};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    StepOutput,
};
use crate::python_regex::{PythonRegex as Regex, Replacement};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "replace",
    aliases: &[],
    summary: "replaces every match of a regular expression in a file",
    arguments: &[
        PATH,
        Argument::required(
            "regexp",
            ArgumentKind::Text,
            "the expression; `^` and `$` match at lines, `.` matches no line break",
        ),
        Argument::optional(
            "replace",
            ArgumentKind::Text,
            "what goes in its place, `\\1` for a group; nothing by default",
        ),
        Argument::optional(
            "after",
            ArgumentKind::Text,
            "only what comes after this expression is looked at",
        ),
        Argument::optional(
            "before",
            ArgumentKind::Text,
            "only what comes before this expression is looked at",
        ),
        Argument::optional(
            "encoding",
            ArgumentKind::Choice(&["utf-8", "UTF-8", "utf8"]),
            "the encoding of the file; only UTF-8, the default",
        ),
        BACKUP,
        VALIDATE,
        MODE,
        OWNER,
        GROUP,
        UNSAFE_WRITES,
    ],
    examples: r"- name: the new name of the mirror
  replace:
    path: /etc/apt/sources.list
    regexp: http://old\.example\.com/(\S+)
    replace: http://new.example.com/\1
",
    returns: &[
        ("msg", "`2 replacements made`, or why there are none"),
        (
            "backup_file",
            "the copy of what was there, when one was made",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

struct Replace {
    file: EditedFile,
    pattern: Regex,
    with: String,
    section: Option<Regex>,
}

impl Replace {
    /// The text with everything replaced, and how often; `None` when the part to look at is not there.
    fn edit(&self, text: &str) -> Option<(String, usize)> {
        let (start, end) = match &self.section {
            None => (0, text.len()),
            Some(section) => {
                let part = section.first(text)?.name("subsection")?;
                (part.start(), part.end())
            }
        };
        let mut count = 0;
        let part = text.get(start..end).unwrap_or_default();
        let new = self.pattern.replace_with(part, |found, new| {
            count += 1;
            new.push_str(&expanded(&self.with, found));
        });
        let before = text.get(..start).unwrap_or_default();
        let after = text.get(end..).unwrap_or_default();
        Some((format!("{before}{new}{after}"), count))
    }
}

impl Module for Replace {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut said = String::new();
            let edit = |old: &str| match self.edit(old) {
                Some((new, count)) if new != old => {
                    said = format!("{count} replacements made");
                    new
                }
                Some(_) => old.to_owned(),
                None => {
                    "Pattern for before/after params did not match the given file"
                        .clone_into(&mut said);
                    old.to_owned()
                }
            };
            let (plan, is_there) = self.file.plan(look, edit).await?;
            if !is_there && !look.check_mode {
                return Err(ModuleError::failed(format!(
                    "edit `{}`: it is not there",
                    self.file.path
                ))
                .saying(format!("Path {} does not exist !", self.file.path))
                .with_value("rc", 257));
            }
            Ok(plan.with("msg", said).with("rc", 0))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_edit(outputs))
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = |name: &str| arguments.filled(name);
    let pattern =
        |text: &str, flags: &str| expression_with(text, flags).map_err(ModuleError::failed);
    let section = match (text("after"), text("before")) {
        (None, None) => None,
        (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
        (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
    };
    let regex = pattern(&arguments.required_text("regexp")?, "m")?;
    let with = arguments.text("replace").unwrap_or_default();
    Replacement::new(&with, &regex).map_err(|message| {
        let said = format!("Unable to process replace due to error: {message}");
        ModuleError::failed(message).saying(said)
    })?;
    Ok(Box::new(Replace {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: false,
            care: Care::from_arguments(&arguments)?,
            word: "Path",
        },
        pattern: regex,
        with,
        section: section.map(|text| pattern(&text, "s")).transpose()?,
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    check_expressions(given, &["regexp", "before", "after"])?;
    super::copy::check_validate(given)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Where what is put in does not match itself.
        #[test]
        fn doing_it_twice_is_doing_it_once(
            text in "([a-c ]{0,5}\n?){0,5}",
            pattern in "\\^?[a-c]{1,2}\\+?",
            with in "[x-z]{0,3}",
            after in proptest::option::of("[a-c]"),
        ) {
            let section = after.map(|text| format!("{text}(?P<subsection>.*)"));
            let replace = Replace {
                file: EditedFile {
                    path: "/x".to_owned(),
                    attributes: Attributes::default(),
                    create: false,
                    care: Care::default(),
                    word: "Path",
                },
                pattern: expression_with(&pattern, "m").unwrap(),
                with: format!("-{with}-"),
                section: section.map(|text| expression_with(&text, "s").unwrap()),
            };
            if let Some((once, _)) = replace.edit(&text)
                && let Some((twice, count)) = replace.edit(&once)
                && replace.section.is_none()
            {
                prop_assert_eq!(count, 0, "{:?}", once);
                prop_assert_eq!(twice, once);
            }
        }
    }
}
