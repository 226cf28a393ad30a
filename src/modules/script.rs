//! `script`: a program of this machine, run on the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::command::{CHDIR, COMMAND_RETURNS, CREATES, Execution, REMOVES, split_words};
use super::encrypted::{self, DECRYPT};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, FileSource, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "script",
    aliases: &[],
    summary: "sends a program of this machine to the host, runs it there and takes it away again",
    arguments: &[
        Argument::required(
            "cmd",
            ArgumentKind::Text,
            "the program, searched for in `files/` of the role, and its arguments",
        ),
        Argument::optional(
            "executable",
            ArgumentKind::Text,
            "what runs it; its own first line by default",
        ),
        CHDIR,
        CREATES,
        REMOVES,
        DECRYPT,
    ],
    examples: r"- name: our own check
  script: check.sh --verbose
  args:
    creates: /var/lib/checked
    executable: /bin/bash
",
    returns: COMMAND_RETURNS,
    free_form: Some("cmd"),
    build,
    check: None,
};

/// Reads a program from standard input. `$1` its name, `$2` the folder to run in, `$3` how many words run it, then these,
/// then its arguments.
const RUN: &str = r#"
name=$1 folder=$2 count=$3
shift 3
case $folder in "~/"*) folder=${HOME%/}/${folder#"~/"} ;; esac
umask 077
place=$(mktemp -d "${TMPDIR:-/tmp}/kk-script.XXXXXX") || exit 1
trap 'rm -rf -- "$place"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$place/$name" && chmod 0700 -- "$place/$name" || exit 1
if [ -n "$folder" ]; then cd -- "$folder" || exit 1; fi
umask 022
number=$#
while [ "$number" -gt 0 ]; do
  if [ "$count" -eq 0 ]; then set -- "$@" "$place/$name"; fi
  count=$((count - 1))
  set -- "$@" "$1"
  shift
  number=$((number - 1))
done
if [ "$count" -ge 0 ]; then set -- "$@" "$place/$name"; fi
"$@" </dev/null
"#;

struct Script {
    program: String,
    words: Vec<String>,
    interpreter: Vec<String>,
    decrypt: bool,
    execution: Execution,
}

impl Module for Script {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if let Some(reason) = self.execution.unneeded(look).await? {
                let path = self
                    .execution
                    .creates
                    .clone()
                    .or(self.execution.removes.clone());
                let said = match path {
                    Some(path) if reason.ends_with("not exist") => {
                        format!("{path} does not exist, matching removes option")
                    }
                    path => format!(
                        "{} exists, matching creates option",
                        path.unwrap_or_default()
                    ),
                };
                return Ok(Plan::skipped(reason).with("msg", said));
            }
            let bytes = match look.files.file(&self.program)? {
                FileSource::Bytes(bytes) => Content::public(bytes),
                FileSource::Path(path) => encrypted::read(&path, self.decrypt)?,
            };
            if look.check_mode && !self.execution.has_guard() {
                return Ok(Plan::skipped("what a script changes is known only to it"));
            }
            let name = super::copy::base_name(&self.program).to_owned();
            let command = Command::script(
                RUN,
                [
                    name,
                    self.execution.chdir.clone().unwrap_or_default(),
                    self.interpreter.len().to_string(),
                ],
            )
            .args(&self.interpreter)
            .args(&self.words);
            let step = Step::Run {
                command,
                stdin: Some(bytes),
                timeout: None,
                any_status: true,
                purpose: format!("run `{}`", self.program),
            };
            self.execution.begin();
            Ok(if look.check_mode {
                Plan::change("would be run", vec![step])
            } else {
                Plan::unknown("what a script changes is known only to it", vec![step])
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        self.execution.conclude(outputs)
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = arguments.required_text("cmd")?;
    let words = split_words(&text).map_err(ModuleError::failed)?;
    let Some((program, words)) = words.split_first() else {
        return Err(ModuleError::failed("there is no program to run"));
    };
    let interpreter = arguments.filled("executable").unwrap_or_default();
    let shown = Value::from(text.clone());
    Ok(Box::new(Script {
        program: program.clone(),
        words: words.to_vec(),
        interpreter: split_words(&interpreter).map_err(ModuleError::failed)?,
        decrypt: arguments.boolean("decrypt", true),
        execution: Execution::new(Command::new("true"), shown, &arguments).whole_output(),
    }))
}
