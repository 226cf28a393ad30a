//! `kk exec PATTERN`: one command or one module on hosts, without a playbook.

use serde_json::{Map, Value, json};

use super::arguments::{DataFormat, ExecArguments, GlobalFlags};
use super::execution::{carry_out, load_checked};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::local::{print, print_json};
use super::prepare::Prepared;
use crate::diagnostic::Diagnostic;
use crate::engine::{RunOptions, RunReport};
use crate::exit::Exit;
use crate::playbook::Library;
use crate::template::Layer;

/// What messages call the playbook that is made here.
const NAME: &str = "<command line>";

/// The variable that takes each host's result.
const RESULT: &str = "kk_exec";

/// Runs it, and prints what each host answered on standard output.
pub async fn run(arguments: ExecArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let mut prepared = Prepared::load(&arguments.target)?;
    let extra = super::extra::variables(&arguments.extra_vars)?;
    prepared.redactor.learn_named(&Value::Object(extra.clone()));
    let extra = Layer::templated(extra);
    let folder = std::path::Path::new(".");
    prepared
        .warnings
        .extend(prepared.inventory.add_playbook_variables(folder));
    let library = Library::folder(folder)
        .with_variables(extra.clone())
        .with_text(NAME, playbook(&arguments)?);
    let playbook = load_checked(&library, NAME, &prepared)?;
    if !arguments.check {
        confirm_local(&prepared, arguments.yes, "the command")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let command = format!("exec {}", arguments.pattern);
    let live_options = LiveOptions {
        check_mode: arguments.check,
        log: true,
        ..LiveOptions::quiet(&command, global)
    };
    let live = Live::start(&prepared, &live_options)?;
    let options = RunOptions {
        relay: arguments.connection.relay,
        forks: usize::from(arguments.connection.forks),
        check_mode: arguments.check,
        diff: arguments.diff,
        limit: prepared.limit.is_some().then(|| prepared.names.clone()),
        limit_pattern: prepared.limit.clone(),
        variables: vec![extra],
        weakest: vec![Layer::raw(prepared.settings.tree.clone())],
        verbosity: global.verbose,
        ..RunOptions::default()
    };
    let report = carry_out(
        &live,
        &prepared,
        &library,
        &playbook,
        &arguments.connection,
        &asked,
        &options,
    )
    .await;
    let exit = live.end_quietly(report.exit()).await;
    let results = prepared.redactor.mask_json(&results(&report));
    match arguments.output {
        DataFormat::Json => print_json(&results)?,
        DataFormat::Text => print(&text(&results))?,
    };
    Ok(exit)
}

/// The playbook that the command line stands for; JSON is YAML.
fn playbook(arguments: &ExecArguments) -> Result<String, Diagnostic> {
    let module = arguments.module.as_deref().unwrap_or("command");
    let value = match (&arguments.arguments, arguments.command.as_slice()) {
        (Some(_), [_, ..]) => {
            return Err(
                Diagnostic::error("`-a` and a command after `--` exclude each other")
                    .hint("the words after `--` are the command; `-a` is for a module's arguments"),
            );
        }
        (None, []) if module == "command" => {
            return Err(Diagnostic::error("there is no command")
                .hint("write it after `--`: `kk exec all -- uptime`; or name a module with `-m`"));
        }
        (None, words @ [_, ..]) if module == "command" => {
            json!({"argv": words, "expand_argument_vars": false})
        }
        (None, [_, ..]) => {
            return Err(
                Diagnostic::error(format!("`{module}` takes its arguments with `-a`"))
                    .hint("words after `--` are a command"),
            );
        }
        // JSON is a mapping; all else is read as the module's free form or `name=value`.
        (Some(text), []) => serde_json::from_str::<Map<String, Value>>(text)
            .map_or_else(|_| json!(text), Value::Object),
        (None, []) => Value::Null,
    };
    let mut task = json!({"register": RESULT});
    if let Value::Object(task) = &mut task {
        task.insert(module.to_owned(), value);
    }
    Ok(json!([{
        "hosts": arguments.pattern,
        "gather_facts": false,
        "become": arguments.privilege.elevate,
        "become_user": arguments.privilege.become_user.as_deref().unwrap_or("root"),
        "become_method": arguments.privilege.become_method.unwrap_or_default().name(),
        "tasks": [task],
    }])
    .to_string())
}

/// What each host answered.
fn results(report: &RunReport) -> Value {
    let hosts = report.recap.iter().filter_map(|(host, recap)| {
        let result = report.variables.get(host).and_then(|set| set.get(RESULT));
        let lost = (recap.unreachable > 0).then(|| json!({"unreachable": true}));
        Some((host.clone(), result.cloned().or(lost)?))
    });
    Value::Object(hosts.collect())
}

/// For people: a line for each host, and what it said below.
fn text(results: &Value) -> String {
    let mut text = String::new();
    for (host, result) in results.as_object().into_iter().flatten() {
        let is = |name: &str| result.get(name).and_then(Value::as_bool) == Some(true);
        let outcome = if is("unreachable") {
            "unreachable"
        } else if is("failed") {
            "failed"
        } else if is("skipped") {
            "skipped"
        } else if is("changed") {
            "changed"
        } else {
            "ok"
        };
        text.push_str(&format!("{host}: {outcome}"));
        if let Some(code) = result.get("rc") {
            text.push_str(&format!(", rc {code}"));
        }
        text.push('\n');
        let said: Vec<&str> = ["stdout", "stderr"]
            .iter()
            .filter_map(|name| result.get(name)?.as_str())
            .filter(|said| !said.is_empty())
            .collect();
        if let (true, Some(message)) = (is("failed") && said.is_empty(), result.get("msg")) {
            text.push_str(&format!("{}\n", crate::template::display(message)));
        } else if result.get("rc").is_none() && !is("unreachable") && !is("failed") {
            let pretty = serde_json::to_string_pretty(result).unwrap_or_default();
            text.push_str(&format!("{pretty}\n"));
        }
        for said in said {
            text.push_str(said.trim_end_matches('\n'));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_what_they_said() {
        let results = json!({
            "a": {"changed": true, "rc": 0, "stdout": "one\ntwo", "stderr": "", "failed": false},
            "b": {"changed": true, "rc": 3, "stdout": "", "stderr": "no\n", "failed": true, "msg": "non-zero return code"},
            "c": {"failed": true, "msg": "there is no file `x`"},
            "d": {"unreachable": true},
            "e": {"changed": false, "ping": "pong"},
        });
        insta::assert_snapshot!(text(&results), @r#"
        a: changed, rc 0
        one
        two
        b: failed, rc 3
        no
        c: failed
        there is no file `x`
        d: unreachable
        e: ok
        {
          "changed": false,
          "ping": "pong"
        }
        "#);
    }
}
