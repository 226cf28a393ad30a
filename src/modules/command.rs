//! `command`: runs a program without a shell.

use std::sync::Mutex;
use std::time::SystemTime;

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
        Argument::optional(
            "expand_argument_vars",
            ArgumentKind::Boolean,
            "`$NAME` and a leading `~` in the words stand for what they are on the host; true by default",
        ),
        CHDIR,
        CREATES,
        REMOVES,
        STDIN,
        STDIN_NEWLINE,
        STRIP,
        Argument::optional(
            "executable",
            ArgumentKind::Text,
            "without effect: `shell` takes one",
        ),
    ],
    examples: r"- name: the database is set up
  command: /opt/app/bin/setup --force
  args:
    chdir: /opt/app
    creates: /opt/app/data/version

- name: words with spaces
  command:
    argv: [/usr/bin/logger, deployed by kk]
",
    returns: COMMAND_RETURNS,
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

pub(super) const STRIP: Argument = Argument::optional(
    "strip_empty_ends",
    ArgumentKind::Boolean,
    "takes line breaks off the end of `stdout` and `stderr`; true by default",
);

/// Return values of everything that runs a command of the user's.
pub(super) const COMMAND_RETURNS: &[(&str, &str)] = &[
    ("cmd", "what ran"),
    ("rc", "its exit status"),
    ("stdout", "what it said"),
    ("stdout_lines", "the same as a list"),
    ("stderr", "what it said to standard error"),
    ("stderr_lines", "the same as a list"),
    ("start", "when it began, in UTC"),
    ("end", "when it ended, in UTC"),
    ("delta", "how long it took"),
];

/// Expands `$NAME`, `${NAME}` and a leading `~/` in the words of a command as far as the host knows them, and runs it.
const EXPAND: &str = r#"
expanded() {
  rest=$1 out=
  case $rest in
    "~") rest=$HOME ;;
    "~/"*) rest=${HOME%/}/${rest#"~/"} ;;
  esac
  while :; do
    case $rest in *'$'*) ;; *) out=$out$rest; return ;; esac
    out=$out${rest%%'$'*}
    rest=${rest#*'$'}
    case $rest in
      '{'*'}'*) name=${rest#'{'}; name=${name%%'}'*}; after=${rest#*'}'}; shown='${'$name'}' ;;
      *) name=${rest%%[!A-Za-z0-9_]*}; after=${rest#"$name"}; shown='$'$name ;;
    esac
    case $name in
      ""|[0-9]*|*[!A-Za-z0-9_]*) out=$out'$'; continue ;;
    esac
    if eval "[ -n \"\${$name+x}\" ]"; then eval "out=\$out\${$name}"; else out=$out$shown; fi
    rest=$after
  done
}
number=$#
while [ "$number" -gt 0 ]; do
  expanded "$1"
  shift
  set -- "$@" "$out"
  number=$((number - 1))
done
unset rest out name after shown number
exec "$@"
"#;

/// Says for `creates` and `removes` whether something is there: `$1` folder, then the patterns.
const GUARD: &str = r#"
case $1 in "~/"*) set -- "${HOME%/}/${1#"~/"}" "$2" "$3" ;; esac
if [ -n "$1" ]; then cd -- "$1" || exit 3; fi
there() {
  IFS=
  case $1 in "~/"*) set -- "${HOME%/}/${1#"~/"}" ;; esac
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

/// A time as Ansible writes it, in UTC.
pub(super) fn time_text(time: SystemTime) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]"
    );
    time::OffsetDateTime::from(time)
        .format(&format)
        .unwrap_or_default()
}

/// What is said when the folder to run in is not there.
const NO_FOLDER_MARK: &str = "no folder to run in: ";

/// `$1` the folder, then the command.
const NO_FOLDER: &str = r#"
folder=$1
case $folder in "~/"*) folder=${HOME%/}/${folder#"~/"} ;; esac
cd -- "$folder" 2>/dev/null || { printf 'no folder to run in: %s\n' "$folder" >&2; exit 1; }
unset folder
shift
exec "$@"
"#;

/// `since PATH exists` with the path in quotes, as Ansible's message has it.
fn quoted(reason: &str) -> String {
    let Some(rest) = reason.strip_prefix("since ") else {
        return reason.to_owned();
    };
    for end in [" does not exist", " exists"] {
        if let Some(path) = rest.strip_suffix(end) {
            return format!("since '{path}'{end}");
        }
    }
    reason.to_owned()
}

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
    pub(super) strip: bool,
    /// The first word is a program, and a missing one is said as Ansible does.
    pub(super) is_program: bool,
    /// `executable` of `command`, which Ansible takes and does not use either.
    unused_executable: Option<String>,
    started: Mutex<Option<SystemTime>>,
}

impl Execution {
    pub(super) fn new(command: Command, shown: Value, arguments: &Arguments) -> Self {
        let given = |name: &str| arguments.text(name).filter(|text| !text.is_empty());
        let newline = arguments.boolean("stdin_add_newline", true);
        Self {
            command,
            shown,
            strip: arguments.boolean("strip_empty_ends", true),
            is_program: false,
            unused_executable: None,
            started: Mutex::default(),
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

    /// What it says is returned to the last line break, as `raw` and `script` do.
    pub(super) fn whole_output(mut self) -> Self {
        self.strip = false;
        self.shown = Value::Null;
        self
    }

    /// Whether a path decides.
    pub(super) fn has_guard(&self) -> bool {
        self.creates.is_some() || self.removes.is_some()
    }

    /// It starts about now.
    pub(super) fn begin(&self) {
        if let Ok(mut started) = self.started.lock() {
            *started = Some(SystemTime::now());
        }
    }

    /// Why nothing needs to be run, if so.
    pub(super) async fn unneeded(&self, look: &Look<'_>) -> Result<Option<String>, ModuleError> {
        if !self.has_guard() {
            return Ok(None);
        }
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
            return Ok(Some(format!("since {} exists", text(&self.creates))));
        }
        if says("removes=no") {
            return Ok(Some(format!(
                "since {} does not exist",
                text(&self.removes)
            )));
        }
        Ok(None)
    }
}

impl Module for Execution {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let has_guard = self.has_guard();
            if let Some(reason) = self.unneeded(look).await? {
                let stdout = format!("skipped, {reason}");
                return Ok(Plan::satisfied()
                    .with("cmd", self.shown.clone())
                    .with("rc", 0)
                    .with("stdout_lines", vec![Value::from(stdout.as_str())])
                    .with("stdout", stdout)
                    .with("stderr", "")
                    .with("stderr_lines", Vec::<Value>::new())
                    .with("msg", format!("Did not run command {}", quoted(&reason))));
            }
            let command = match &self.chdir {
                None => self.command.clone(),
                Some(folder) => self
                    .command
                    .clone()
                    .prefixed(Command::script(NO_FOLDER, [folder.clone()])),
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
            if look.check_mode && has_guard {
                return Ok(Plan::change("would be run", vec![step])
                    .with("cmd", self.shown.clone())
                    .with("rc", 0));
            }
            self.begin();
            let plan = Plan::unknown("what a command changes is known only to it", vec![step]);
            Ok(if self.shown.is_null() {
                plan
            } else {
                plan.with("cmd", self.shown.clone())
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Ok(Conclusion::default());
        };
        let mut result: Map<String, Value> = output_values(output);
        if !self.shown.is_null() {
            result.insert("cmd".to_owned(), self.shown.clone());
        }
        if !self.strip {
            result.insert("stdout".to_owned(), output.stdout_text().into());
            result.insert("stderr".to_owned(), output.stderr_text().into());
        }
        self.add_times(&mut result);
        if let Some(executable) = &self.unused_executable {
            let warning = format!(
                "the parameter 'executable' is no longer supported with the 'command' module. Not using '{executable}'."
            );
            result.insert("warnings".to_owned(), vec![Value::from(warning)].into());
        }
        if output.success() {
            if !self.shown.is_null() {
                result.insert("msg".to_owned(), "".into());
            }
            return Ok(Conclusion {
                result,
                changed: Some(true),
            });
        }
        let stderr = output.stderr_text();
        let said = if let Some((rc, said)) = self.not_begun(output.status.code(), &stderr) {
            for name in ["stdout", "stderr"] {
                result.insert(name.to_owned(), "".into());
                result.insert(format!("{name}_lines"), Vec::<Value>::new().into());
            }
            if rc.is_some() {
                let words = self.shown.as_array().into_iter().flatten();
                let words: Vec<&str> = words.filter_map(Value::as_str).collect();
                result.insert("cmd".to_owned(), words.join(" ").into());
            }
            result.insert("rc".to_owned(), rc.into());
            result.insert("changed".to_owned(), false.into());
            said
        } else {
            // What failed may have changed something before.
            result.insert("changed".to_owned(), true.into());
            "non-zero return code".to_owned()
        };
        result.insert("msg".to_owned(), said.into());
        let mut error = super::apply::command_failed("run the command", output);
        if let ModuleError::Failed { result: values, .. } = &mut error {
            *values = result;
        }
        Err(error)
    }
}

impl Execution {
    /// Why it did not even begin, with Ansible's status for that.
    fn not_begun(&self, code: u32, stderr: &str) -> Option<(Option<i32>, String)> {
        if code == 1
            && let Some(folder) = &self.chdir
            && stderr.starts_with(NO_FOLDER_MARK)
        {
            return Some((
                None,
                format!(
                    "Unable to change directory before execution: [Errno 2] No such file or directory: b'{folder}'"
                ),
            ));
        }
        let program = self.shown.get(0).and_then(Value::as_str)?;
        if !self.is_program {
            return None;
        }
        let (number, words) = match code {
            127 if stderr.contains("not found") || stderr.contains("No such file") => {
                (2, "No such file or directory")
            }
            126 if stderr.contains("Permission denied") => (13, "Permission denied"),
            _ => return None,
        };
        Some((
            Some(number),
            format!("[Errno {number}] {words}: b'{program}'"),
        ))
    }

    /// `start`, `end` and `delta`, by this machine's clock.
    fn add_times(&self, result: &mut Map<String, Value>) {
        let started = self.started.lock().ok().and_then(|started| *started);
        let Some(started) = started else { return };
        let now = SystemTime::now();
        let took = now.duration_since(started).unwrap_or_default();
        let seconds = took.as_secs();
        let delta = format!(
            "{}:{:02}:{:02}.{:06}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            took.subsec_micros()
        );
        for (name, time) in [("start", started), ("end", now)] {
            result.insert(name.to_owned(), time_text(time).into());
        }
        result.insert("delta".to_owned(), delta.into());
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let argv = arguments.texts("argv");
    let words = match arguments.text("cmd") {
        Some(_) if !argv.is_empty() => {
            return Err(ModuleError::failed("`cmd` and `argv` exclude each other")
                .saying("only command or argv can be given, not both"));
        }
        Some(text) => split_words(&text).map_err(ModuleError::failed)?,
        None => argv,
    };
    let Some((program, rest)) = words.split_first() else {
        return Err(no_command());
    };
    let mut command = Command::program(program).args(rest);
    let expands = |word: &String| word.contains('$') || word.starts_with('~');
    if arguments.boolean("expand_argument_vars", true) && words.iter().any(expands) {
        command = Command::script(EXPAND, words.clone());
    }
    let shown: Value = words
        .iter()
        .map(|word| Value::from(word.as_str()))
        .collect();
    Ok(Box::new(Execution {
        is_program: true,
        unused_executable: arguments.filled("executable"),
        ..Execution::new(command, shown, &arguments)
    }))
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
        split_words(text)?;
    }
    Ok(())
}

/// What says that there is nothing to run.
pub(super) fn no_command() -> ModuleError {
    ModuleError::failed("there is no command to run")
        .saying("no command given")
        .with_value("rc", 256)
}

/// Splits a text into words as a shell does, with quotes and backslashes, and expands nothing.
pub(crate) fn split_words(text: &str) -> Result<Vec<String>, String> {
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
