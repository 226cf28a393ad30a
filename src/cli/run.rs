//! `kk run PLAYBOOK`, `kk facts` and `kk status`.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use serde_json::{Map, Value, json};

use super::arguments::{FactsArguments, GlobalFlags, OutputFormat, RunArguments, StatusArguments};
use super::init::load_checked;
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::local::{print, print_json};
use super::prepare::Prepared;
use crate::connect::Command;
use crate::engine::{self, RunOptions, RunReport};
use crate::exit::Exit;
use crate::facts;
use crate::playbook::Library;
use crate::report::FindingsView;
use crate::template::Layer;

/// Runs a user's playbook.
pub async fn playbook(arguments: RunArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let folder = arguments
        .playbook
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let library = Library::folder(folder);
    let name = arguments
        .playbook
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let playbook = load_checked(&library, &name, &prepared)?;
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "the playbook")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let command = format!("run {}", arguments.playbook.display());
    let options = LiveOptions {
        command: &command,
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
    };
    let live = Live::start(&prepared, &options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let run_options = RunOptions {
        forks: usize::from(arguments.connection.forks),
        check_mode,
        diff: arguments.execution.diff,
        tags: arguments.execution.tags.clone(),
        skip_tags: arguments.execution.skip_tags.clone(),
        limit: arguments
            .target
            .limit
            .as_ref()
            .map(|_| prepared.names.clone()),
        variables: vec![Layer::raw(prepared.settings.tree.clone())],
        ..RunOptions::default()
    };
    let report = engine::run(
        &playbook,
        &library,
        &prepared.inventory,
        &fleet,
        &run_options,
        &live.events,
        &live.control,
    )
    .await;
    Live::close(&fleet).await;
    let pending = check_mode
        && arguments.execution.exit_code
        && report.exit() == Exit::Ok
        && report.changed();
    Ok(live
        .finish(&report, pending.then_some(Exit::ChangesPending))
        .await)
}

fn quiet<'a>(command: &'a str, global: &'a GlobalFlags) -> LiveOptions<'a> {
    LiveOptions {
        command,
        global,
        output: OutputFormat::Text,
        findings: FindingsView::Problems,
        check_mode: true,
        log: false,
    }
}

/// What is known about each host, as JSON.
pub async fn facts(arguments: FactsArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let live = Live::start(&prepared, &quiet("facts", global))?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let wanted = crate::precheck::wanted(&prepared.settings);
    let mut all = Map::new();
    let mut report = RunReport::default();
    for name in &prepared.names {
        let Some(member) = fleet.member(name) else {
            continue;
        };
        let mut recap = engine::Recap::default();
        let result = match member.session_as("root", &live.control.cancel) {
            Ok(session) => facts::gather(&session, &wanted)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => {
                recap.unreachable = 1;
                Err(error.to_string())
            }
        };
        let value = match result {
            Ok(facts) => serde_json::to_value(&facts)?,
            Err(error) => {
                recap.failed = u32::from(recap.unreachable == 0);
                json!({ "error": error })
            }
        };
        all.insert(name.clone(), value);
        report.recap.push((name.clone(), recap));
    }
    Live::close(&fleet).await;
    print_json(&prepared.redactor.mask_json(&Value::Object(all)))?;
    Ok(live.end_quietly(report.exit()).await)
}

/// Reads what `init` left about itself, and asks the engine for the container.
const STATUS: &str = r#"
PATH=$PATH:/usr/local/bin:/usr/local/sbin
if [ -f "$1/registry.json" ]; then printf 'installed '; tr -d '\n' <"$1/registry.json"; echo; fi
if command -v docker >/dev/null 2>&1; then
  docker ps -a --filter label=com.docker.compose.project=kk-registry --format 'container {{.Names}} {{.State}} {{.Status}}' 2>/dev/null
fi
exit 0
"#;

/// What is installed on each host.
pub async fn status(arguments: StatusArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let live = Live::start(&prepared, &quiet("status", global))?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let rows: Vec<(String, Value, engine::Recap)> =
        futures::stream::iter(prepared.names.iter().filter_map(|name| fleet.member(name)))
            .map(|member| {
                let member = Arc::clone(member);
                let cancel = &live.control.cancel;
                async move {
                    let mut recap = engine::Recap::default();
                    let looked = match member.session_as("root", cancel) {
                        Ok(session) => {
                            session
                                .probe(Command::script(STATUS, [session.state_dir().to_owned()]))
                                .await
                        }
                        Err(error) => Err(error),
                    };
                    let value = match looked {
                        Ok(output) => status_of(&output.stdout_text()),
                        Err(error) => {
                            recap.unreachable = 1;
                            json!({ "error": error.to_string() })
                        }
                    };
                    (member.name.clone(), value, recap)
                }
            })
            .buffered(usize::from(arguments.connection.forks))
            .collect()
            .await;
    Live::close(&fleet).await;
    let report = RunReport {
        recap: rows
            .iter()
            .map(|(name, _, recap)| (name.clone(), *recap))
            .collect(),
        ..RunReport::default()
    };
    if arguments.output.output == OutputFormat::Text {
        print(&status_text(&rows))?;
    } else {
        let all: Map<String, Value> = rows
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect();
        print_json(&Value::Object(all))?;
    }
    Ok(live.end_quietly(report.exit()).await)
}

fn status_of(text: &str) -> Value {
    let mut installed = Value::Null;
    let mut containers = Vec::new();
    for line in text.lines() {
        if let Some(json) = line.strip_prefix("installed ") {
            installed = serde_json::from_str(json).unwrap_or(Value::Null);
        } else if let Some(words) = line.strip_prefix("container ") {
            let mut words = words.splitn(3, ' ');
            containers
                .push(json!({"name": words.next(), "state": words.next(), "status": words.next()}));
        }
    }
    json!({"installed": installed, "containers": containers})
}

fn status_text(rows: &[(String, Value, engine::Recap)]) -> String {
    let mut text = String::new();
    for (name, status, _) in rows {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        if let Some(error) = status["error"].as_str() {
            text.push_str(&format!("{name}: unreachable: {error}\n"));
            continue;
        }
        let installed = &status["installed"];
        if installed.is_null() {
            text.push_str(&format!("{name}: no registry of kk\n"));
            continue;
        }
        text.push_str(&format!(
            "{name}: {} {} at {}\n",
            word(&installed["type"]),
            word(&installed["version"]),
            word(&installed["endpoint"])
        ));
        for container in status["containers"].as_array().into_iter().flatten() {
            text.push_str(&format!(
                "  container {}: {}\n",
                word(&container["name"]),
                word(&container["status"])
            ));
        }
        for (check, reason) in installed["waived"].as_object().into_iter().flatten() {
            text.push_str(&format!("  waived {check}: {}\n", word(reason)));
        }
    }
    text
}
