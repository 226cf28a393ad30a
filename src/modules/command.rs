//! `command`: runs a program without a shell.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::output_values;
use super::arguments::Given;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, Look, Module, ModuleError, ModuleSpec,
    Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "command",
    aliases: &[],
    summary: "runs a program, without a shell",
    arguments: &[
        Argument::optional(
            "cmd",
            ArgumentKind::Text,
            "the program and its arguments, quoted as for a shell",
        ),
        Argument::optional(
            "argv",
            ArgumentKind::Texts,
            "the program and its arguments as a list",
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

pub(super) const CHDIR: Argument =
    Argument::optional("chdir", ArgumentKind::Path, "the folder to run in");
pub(super) const CREATES: Argument = Argument::optional(
    "creates",
    ArgumentKind::Path,
    "a path or pattern; when it is there, nothing is run",
);
pub(super) const REMOVES: Argument = Argument::optional(
    "removes",
    ArgumentKind::Path,
    "a path or pattern; when it is not there, nothing is run",
);
pub(super) const STDIN: Argument =
    Argument::optional("stdin", ArgumentKind::Text, "what the program reads");
pub(super) const STDIN_NEWLINE: Argument = Argument::optional(
    "stdin_add_newline",
    ArgumentKind::Boolean,
    "ends `stdin` with a line break; true by default",
);

/// Says for `creates` and `removes` whether something is there: `$1` folder, then the patterns.
const GUARD: &str = r#"
if [ -n "$1" ]; then cd -- "$1" || exit 3; fi
there() {
  IFS=
  for path in $1; do
    if said=$(ls -d -- "$path" 2>&1); then echo yes; return 0; fi
    case $said in
      *"No such file or directory"*|*"Not a directory"*) ;;
      *) printf '%s\n' "$said" >&2; return 1 ;;
    esac
  done
  echo no
}
if [ -n "$2" ]; then answer=$(there "$2") || exit 1; echo "creates=$answer"; fi
if [ -n "$3" ]; then answer=$(there "$3") || exit 1; echo "removes=$answer"; fi
"#;

/// A command with its conditions: what `command` and `shell` have in common.
pub(super) struct Execution {
    /// What to run.
    pub(super) command: Command,
    /// How it is shown and returned.
    pub(super) shown: Value,
    pub(super) chdir: Option<String>,
    pub(super) creates: Option<String>,
    pub(super) removes: Option<String>,
    pub(super) stdin: Option<String>,
}

impl Execution {
    pub(super) fn new(command: Command, shown: Value, arguments: &Arguments) -> Self {
        let given = |name: &str| arguments.text(name).filter(|text| !text.is_empty());
        let newline = arguments.boolean("stdin_add_newline", true);
        Self {
            command,
            shown,
            chdir: given("chdir"),
            creates: given("creates"),
            removes: given("removes"),
            stdin: arguments.text("stdin").map(|mut text| {
                if newline && !text.ends_with('\n') {
                    text.push('\n');
                }
                text
            }),
        }
    }

    /// Why nothing needs to be run, if so.
    async fn unneeded(&self, look: &Look<'_>) -> Result<Option<String>, ModuleError> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let guard = Command::script(
            GUARD,
            [text(&self.chdir), text(&self.creates), text(&self.removes)],
        );
        let output = look.session.probe(guard).await?;
        if output.status.code() == 3 && look.check_mode {
            return Ok(None);
        }
        if !output.success() {
            return Err(super::apply::command_failed(
                "look for `creates` and `removes`",
                &output,
            ));
        }
        let answers = output.stdout_text();
        let says = |line: &str| answers.lines().any(|answer| answer == line);
        if says("creates=yes") {
            return Ok(Some(format!("`{}` is there", text(&self.creates))));
        }
        if says("removes=no") {
            return Ok(Some(format!("`{}` is not there", text(&self.removes))));
        }
        Ok(None)
    }
}

impl Module for Execution {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let has_guard = self.creates.is_some() || self.removes.is_some();
            if has_guard && let Some(reason) = self.unneeded(look).await? {
                return Ok(Plan::satisfied()
                    .with("cmd", self.shown.clone())
                    .with("rc", 0)
                    .with("stdout", "")
                    .with("stdout_lines", Vec::<Value>::new())
                    .with("stderr", "")
                    .with("stderr_lines", Vec::<Value>::new())
                    .with("msg", format!("nothing was run: {reason}")));
            }
            let command = match &self.chdir {
                None => self.command.clone(),
                Some(folder) => self.command.clone().prefixed(Command::script(
                    "cd -- \"$1\" || exit 1; shift; exec \"$@\"",
                    [folder.clone()],
                )),
            };
            let step = Step::Run {
                command,
                stdin: self
                    .stdin
                    .as_ref()
                    .map(|text| Content::secret(Bytes::from(text.clone()))),
                timeout: None,
                any_status: true,
                purpose: "run the command".to_owned(),
            };
            Ok(
                Plan::unknown("what a command changes is known only to it", vec![step])
                    .with("cmd", self.shown.clone()),
            )
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Ok(Conclusion::default());
        };
        let mut result: Map<String, Value> = output_values(output);
        result.insert("cmd".to_owned(), self.shown.clone());
        if output.success() {
            return Ok(Conclusion {
                result,
                changed: Some(true),
            });
        }
        let mut error = super::apply::command_failed("run the command", output);
        if let ModuleError::Failed { result: values, .. } = &mut error {
            *values = result;
        }
        Err(error)
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let argv = arguments.texts("argv");
    let words = match arguments.text("cmd") {
        Some(_) if !argv.is_empty() => {
            return Err(ModuleError::failed("`cmd` and `argv` exclude each other"));
        }
        Some(text) => split_words(&text).map_err(ModuleError::failed)?,
        None => argv,
    };
    let Some((program, rest)) = words.split_first() else {
        return Err(ModuleError::failed("there is no command to run"));
    };
    let command = Command::program(program).args(rest);
    let shown: Value = words
        .iter()
        .map(|word| Value::from(word.as_str()))
        .collect();
    Ok(Box::new(Execution::new(command, shown, &arguments)))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    match (given.has("cmd"), given.has("argv")) {
        (true, true) => return Err("`cmd` and `argv` exclude each other".to_owned()),
        (false, false) => return Err("there is no command to run".to_owned()),
        _ => {}
    }
    if let Some(Value::String(text)) = given.literals.get("cmd")
        && !text.contains("{{")
    {
        refuse_inline_arguments(text)?;
        split_words(text)?;
    }
    Ok(())
}

/// `command: make creates=/x`, an old spelling, would hand `creates=/x` to `make`.
pub(super) fn refuse_inline_arguments(text: &str) -> Result<(), String> {
    let names = ["chdir", "creates", "removes", "executable", "stdin"];
    for word in text.split_whitespace() {
        if let Some((name, _)) = word.split_once('=')
            && names.contains(&name)
        {
            return Err(format!(
                "`{word}` would go to the command; write `{name}` as an argument of its own, under `args:`"
            ));
        }
    }
    Ok(())
}

/// Splits a text into words as a shell does, with quotes and backslashes, and expands nothing.
pub(super) fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let current = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(inner) => current.push(inner),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let current = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => match letters.next() {
                            Some(inner @ ('"' | '\\' | '$' | '`')) => current.push(inner),
                            Some('\n') => {}
                            Some(inner) => current.extend(['\\', inner]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some(inner) => current.push(inner),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => match letters.next() {
                Some('\n') => {}
                Some(inner) => word.get_or_insert_default().push(inner),
                None => return Err("a backslash stands at the end".to_owned()),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A module made of an execution, for `shell`.
pub(super) fn boxed(execution: Execution) -> Box<dyn Module> {
    Box::new(execution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = |text| split_words(text).unwrap();
        assert_eq!(
            words("a 'b c' \"d \\\" $e\" f\\ g ''"),
            ["a", "b c", "d \" $e", "f g", ""]
        );
        assert_eq!(words("a'b'\"c\"\n d"), ["abc", "d"]);
        assert!(words("  ").is_empty());
        assert!(split_words("a 'b").is_err());
        assert!(split_words("a \\").is_err());
    }

    #[test]
    fn splitting_agrees_with_a_real_shell() {
        use proptest::prelude::*;
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 64,
            ..ProptestConfig::default()
        });
        runner
            .run(&"[a-z'\"\\\\ ]{0,16}", |text| {
                let Ok(mine) = split_words(&text) else {
                    return Ok(());
                };
                let script = format!("for word in {text}; do printf '%s\\n' \"$word\"; done");
                let output = std::process::Command::new("sh")
                    .arg("-c")
                    .arg(script)
                    .output()
                    .unwrap();
                let theirs = String::from_utf8(output.stdout).unwrap();
                prop_assert_eq!(
                    theirs,
                    mine.iter()
                        .map(|word| format!("{word}\n"))
                        .collect::<String>()
                );
                Ok(())
            })
            .unwrap();
    }
}
