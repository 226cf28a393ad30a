//! `cron`: jobs at certain times.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::arguments::Given;
use super::cron_edit::{Table, Wanted};
use super::file_state::unified_diff;
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan, Step,
};
use crate::connect::Command;

const fn time(name: &'static str, aliases: &'static [&'static str]) -> Argument {
    Argument::optional(
        name,
        ArgumentKind::Text,
        "when, as in `5`, `*/2` or `1-5`; `*` by default",
    )
    .or(aliases)
}

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "cron",
    aliases: &[],
    summary: "keeps a job, or a variable, in a user's table of cron or in a file of `/etc/cron.d`",
    arguments: &[
        Argument::required(
            "name",
            ArgumentKind::Text,
            "what the job is found by again; the variable's name with `env`",
        ),
        Argument::optional(
            "job",
            ArgumentKind::Text,
            "the command, or the value with `env`; needed unless `state: absent`",
        )
        .or(&["value"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
        time("minute", &[]),
        time("hour", &[]),
        time("day", &["dom"]),
        time("month", &[]),
        time("weekday", &["dow"]),
        Argument::optional(
            "special_time",
            ArgumentKind::Choice(&[
                "annually", "daily", "hourly", "monthly", "reboot", "weekly", "yearly",
            ]),
            "a name of a time, instead of the others",
        ),
        Argument::optional(
            "user",
            ArgumentKind::Text,
            "whose table, or who runs it; the session's user (root for files) by default",
        ),
        Argument::optional(
            "cron_file",
            ArgumentKind::Text,
            "a file, below `/etc/cron.d` when it is relative, instead of a user's table",
        ),
        Argument::optional(
            "env",
            ArgumentKind::Boolean,
            "it is a variable, not a job; false by default",
        ),
        Argument::optional(
            "insertafter",
            ArgumentKind::Text,
            "the variable after which a new one goes",
        ),
        Argument::optional(
            "insertbefore",
            ArgumentKind::Text,
            "the variable before which a new one goes",
        ),
        Argument::optional(
            "disabled",
            ArgumentKind::Boolean,
            "the job is there as a comment; false by default",
        ),
        Argument::optional(
            "backup",
            ArgumentKind::Boolean,
            "keep a copy of the table in a temporary file; false by default",
        ),
    ],
    examples: r"- name: a copy every night
  cron:
    name: nightly copy
    minute: '15'
    hour: '3'
    job: /usr/local/bin/copy >/dev/null

- name: its address
  cron: {name: MAILTO, env: true, job: root@example.com}
",
    returns: &[
        ("jobs", "names of the jobs that the table has now"),
        ("envs", "names of the variables that it has now"),
        ("cron_file", "the file, if it is one"),
        ("state", "`present` or `absent`"),
        (
            "backup_file",
            "the copy of what was there, when one was made",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` user, `$2` file: what is in the table. Status 4: there is no `crontab`.
const LOOK: &str = r#"
if [ -n "$2" ]; then
  if [ -e "$2" ]; then cat -- "$2"; fi
  exit $?
fi
command -v crontab >/dev/null 2>&1 || { echo "there is no program \`crontab\`" >&2; exit 4; }
if [ -n "$1" ]; then set -- -u "$1"; else set --; fi
said=$(crontab "$@" -l 2>&1)
status=$?
if [ "$status" -ne 0 ]; then
  case $said in *"no crontab for"*|*"No such file"*) exit 0 ;; esac
  printf '%s\n' "$said" >&2
  exit 1
fi
[ -z "$said" ] || printf '%s\n' "$said"
"#;

/// `$1` user, `$2` file, `$3` 1 for a copy: writes the table from standard input; a file without anything goes.
const WRITE: &str = r#"
umask 077
new=$(mktemp "${TMPDIR:-/tmp}/kk-cron.XXXXXX") || exit 1
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$new" || exit 1
user=$1 file=$2 backup=$3
if [ -n "$user" ]; then set -- -u "$user"; else set --; fi
if [ "$backup" = 1 ]; then
  copy=$(mktemp "${TMPDIR:-/tmp}/crontab.XXXXXX") || exit 1
  if [ -n "$file" ]; then
    if [ -e "$file" ]; then cat -- "$file" >"$copy"; fi
  else
    crontab "$@" -l >"$copy" 2>/dev/null
  fi
  printf 'backup_file=%s\n' "$copy"
fi
if [ -n "$file" ]; then
  if [ -s "$new" ]; then
    cat -- "$new" >"$file.kk-new" && chmod 0644 -- "$file.kk-new" && mv -f -- "$file.kk-new" "$file"
  else
    rm -f -- "$file"
  fi
  exit $?
fi
crontab "$@" "$new"
"#;

struct Cron {
    wanted: Wanted,
    user: String,
    file: String,
    backup: bool,
}

impl Module for Cron {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let user = if self.file.is_empty() {
                self.user.clone()
            } else {
                String::new()
            };
            let words = [user.clone(), self.file.clone()];
            let output = look.session.probe(Command::script(LOOK, words)).await?;
            match output.status.code() {
                0 => {}
                4 if look.check_mode => {
                    let reason = "there is no program `crontab` yet".to_owned();
                    return Ok(Plan::unknown(reason, Vec::new()));
                }
                4 => {
                    return Err(ModuleError::failed("the host has no program `crontab`")
                        .with_hint("install `cron` (or `cronie`) first"));
                }
                // An earlier task may have made the user.
                _ if look.check_mode && output.stderr_text().contains("unknown") => {
                    let user = self.user.as_str();
                    return Ok(Plan::unknown(
                        format!("there is no user `{user}` yet"),
                        Vec::new(),
                    ));
                }
                _ => return Err(command_failed("read the table of cron", &output)),
            }
            let old = output.stdout_text();
            let mut table = Table::parse(&old);
            table.apply(&self.wanted).map_err(ModuleError::failed)?;
            let new = table.text();
            let plan = if new == old || new.trim().is_empty() && old.trim().is_empty() {
                Plan::satisfied()
            } else {
                let name = if self.file.is_empty() {
                    "crontab"
                } else {
                    &self.file
                };
                let diff = unified_diff(name, old.as_bytes(), new.as_bytes());
                let words = [user, self.file.clone(), u8::from(self.backup).to_string()];
                let step = Step::run_with(
                    "write the table of cron",
                    Command::script(WRITE, words),
                    Content::public(new),
                );
                let verb = if self.wanted.is_present {
                    "set"
                } else {
                    "take out"
                };
                Plan::change(format!("{verb} `{}`", self.wanted.name), vec![step])
                    .with_diff(look.diff.then_some(diff))
            };
            let (jobs, variables) = table.names();
            let state = if self.wanted.is_present {
                "present"
            } else {
                "absent"
            };
            let file = Some(self.file.as_str()).filter(|file| !file.is_empty());
            Ok(plan
                .with("jobs", jobs)
                .with("envs", variables)
                .with("cron_file", file)
                .with("state", state))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[super::StepOutput]) -> Result<super::Conclusion, ModuleError> {
        Ok(super::copy::conclude_write(outputs))
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is_present = arguments.text("state").as_deref() != Some("absent");
    let is_variable = arguments.boolean("env", false);
    let job = arguments.text("job");
    if is_present && job.is_none() {
        return Err(ModuleError::failed("`job` is missing"));
    }
    if job.as_ref().is_some_and(|job| job.contains('\n')) {
        return Err(ModuleError::failed("a job is one line"));
    }
    let file = match arguments.filled("cron_file") {
        Some(path) if path.starts_with('/') => path,
        Some(name) => format!("/etc/cron.d/{name}"),
        None => String::new(),
    };
    let field = |name: &str| arguments.filled(name).unwrap_or_else(|| "*".to_owned());
    let times = ["minute", "hour", "day", "month", "weekday"].map(field);
    let user = arguments.filled("user").unwrap_or_default();
    let mut line = match arguments.filled("special_time") {
        Some(_) if times.iter().any(|time| time != "*") => {
            return Err(ModuleError::failed(
                "`special_time` excludes the other times",
            ));
        }
        Some(name) => format!("@{name}"),
        None => times.join(" "),
    };
    if !file.is_empty() {
        let user = if user.is_empty() { "root" } else { &user };
        line.push_str(&format!(" {user}"));
    }
    let job = job.unwrap_or_default();
    let line = if is_variable {
        format!("{}=\"{job}\"", arguments.required_text("name")?)
    } else if arguments.boolean("disabled", false) {
        format!("#{line} {job}")
    } else {
        format!("{line} {job}")
    };
    Ok(Box::new(Cron {
        wanted: Wanted {
            name: arguments.required_text("name")?,
            line,
            is_variable,
            is_present,
            after: arguments.filled("insertafter"),
            before: arguments.filled("insertbefore"),
        },
        user,
        file,
        backup: arguments.boolean("backup", false),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    if given.has("insertafter") && given.has("insertbefore") {
        return Err("`insertafter` and `insertbefore` exclude each other".to_owned());
    }
    if !given.has("job") && !given.has("state") {
        return Err("`job` is missing".to_owned());
    }
    let is_variable = given.literals.get("env").and_then(Value::as_bool);
    let places = given.has("insertafter") || given.has("insertbefore");
    if places && is_variable != Some(true) && !given.has("env") {
        return Err("`insertafter` and `insertbefore` are for variables (`env: true`)".to_owned());
    }
    Ok(())
}
