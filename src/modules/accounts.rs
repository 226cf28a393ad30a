//! Users and groups of a host: looking one up, and the programs that change them.

use super::apply::command_failed;
use super::{Look, ModuleError, Step};
use crate::connect::Command;

/// `$1` `passwd` or `group`, `$2` a name. Status 2: there is none.
const ENTRY: &str = r#"
if command -v getent >/dev/null 2>&1; then
  getent "$1" "$2"
  exit $?
fi
[ -r "/etc/$1" ] || { echo "\`/etc/$1\` cannot be read" >&2; exit 1; }
while IFS= read -r line; do
  case $line in "$2":*) printf '%s\n' "$line"; exit 0 ;; esac
done <"/etc/$1"
exit 2
"#;

/// `$1` the number of words of the first program, then them, then the second program with its words, and so on: runs
/// the first one that is there. Status 127: none is.
const FIRST: &str = r#"
while [ "$#" -gt 1 ]; do
  count=$1
  shift
  if command -v "$1" >/dev/null 2>&1; then
    number=0
    rest=$#
    while [ "$number" -lt "$rest" ]; do
      if [ "$number" -lt "$count" ]; then set -- "$@" "$1"; fi
      shift
      number=$((number + 1))
    done
    exec "$@"
  fi
  shift "$count"
done
echo "none of the programs for users and groups is there" >&2
exit 127
"#;

/// The fields of a user or group, `None` when the host says that there is none.
pub(super) async fn entry(
    look: &Look<'_>,
    database: &str,
    name: &str,
) -> Result<Option<Vec<String>>, ModuleError> {
    let output = look
        .session
        .probe(Command::script(ENTRY, [database, name]))
        .await?;
    match output.status.code() {
        0 => {
            let text = output.stdout_text();
            let line = text.lines().next().unwrap_or_default();
            Ok(Some(line.split(':').map(str::to_owned).collect()))
        }
        2 => Ok(None),
        _ => Err(command_failed(&format!("look up `{name}`"), &output)),
    }
}

/// A step that says what a user or group is now, for the result.
pub(super) fn look_step(database: &str, name: &str) -> Step {
    Step::Run {
        command: Command::script(ENTRY, [database, name]),
        stdin: None,
        timeout: None,
        any_status: true,
        purpose: format!("look up `{name}`"),
    }
}

/// A step that runs the first of these programs that the host has.
pub(super) fn run_first_available(purpose: String, programs: &[(&str, &[&str])]) -> Step {
    let mut command = Command::script(FIRST, [""; 0]);
    for (program, arguments) in programs {
        command = command
            .arg((arguments.len() + 1).to_string())
            .arg(*program)
            .args(arguments.iter().copied());
    }
    Step::run(purpose, command)
}

/// A name that every tool takes.
pub(super) fn check_name(name: String) -> Result<String, ModuleError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(&byte);
    let starts_well =
        name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if starts_well && name.len() <= 32 && name.bytes().all(fine) {
        Ok(name)
    } else {
        Err(
            ModuleError::failed(format!("`{name}` cannot name a user or group"))
                .with_hint("use letters, digits, `_` and `-`, beginning with a letter"),
        )
    }
}
