//! `kk status`.

use futures::StreamExt as _;
use serde_json::{Map, Value, json};

use super::arguments::{GlobalFlags, OutputFormat, StatusArguments};
use super::live::{Asked, Live, LiveOptions};
use super::local::{print, print_json};
use super::prepare::Prepared;
use crate::connect::Command;
use crate::engine::{Member, Recap, RunReport};
use crate::exit::Exit;

/// Reads what `init` left about itself, and asks the engine for the container.
const STATUS: &str = r#"
PATH=$PATH:/usr/local/bin:/usr/local/sbin
if [ -f "$1/registry.json" ]; then printf 'installed '; tr -d '\n' <"$1/registry.json"; echo; fi
if command -v docker >/dev/null 2>&1; then
  for project in kk-registry kk-keepalived; do
    docker ps -a --filter label=com.docker.compose.project=$project --format 'container {{.Names}} {{.State}} {{.Status}}' 2>/dev/null
  done
fi
PATH=$PATH:/usr/sbin:/sbin
ip -o address show 2>/dev/null | while read -r _ _ _ address _; do echo "address ${address%/*}"; done
exit 0
"#;

/// What is installed on each host.
pub async fn run(arguments: StatusArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let live = Live::start(&prepared, &LiveOptions::quiet("status", global))?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let looks: Vec<_> = fleet
        .named(&prepared.names)
        .map(|member| look(member, &live))
        .collect();
    let rows: Vec<(String, Value, Recap)> = futures::stream::iter(looks)
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
        print(&prepared.redactor.mask(&text(&rows)))?;
    } else {
        let all: Map<String, Value> = rows
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect();
        print_json(&prepared.redactor.mask_json(&Value::Object(all)))?;
    }
    Ok(live.end_quietly(report.exit()).await)
}

/// What is installed on one host, or why that cannot be said.
async fn look(member: &Member, live: &Live) -> (String, Value, Recap) {
    let mut recap = Recap::default();
    let looked = match member.session_as_root(&live.control.cancel) {
        Ok(session) => {
            let command = Command::script(STATUS, [session.state_dir().to_owned()]);
            session.probe(command).await
        }
        Err(error) => Err(error),
    };
    let value = match looked {
        Ok(output) => read(&output.stdout_text()),
        Err(error) => {
            if error.loses_host() || member.link.is_err() {
                recap.unreachable = 1;
            } else {
                recap.failed = 1;
            }
            json!({ "error": error.to_string() })
        }
    };
    (member.name.clone(), value, recap)
}

/// What [`STATUS`] said.
fn read(said: &str) -> Value {
    let mut installed = Value::Null;
    let mut containers = Vec::new();
    let mut addresses = Vec::new();
    for line in said.lines() {
        if let Some(json) = line.strip_prefix("installed ") {
            installed = serde_json::from_str(json).unwrap_or(Value::Null);
        } else if let Some(address) = line.strip_prefix("address ") {
            addresses.push(address);
        } else if let Some(words) = line.strip_prefix("container ") {
            let mut words = words.splitn(3, ' ');
            containers
                .push(json!({"name": words.next(), "state": words.next(), "status": words.next()}));
        }
    }
    let vip = installed.get("vip").and_then(Value::as_str);
    let holds_vip = vip.map(|vip| addresses.contains(&vip));
    json!({ "installed": installed, "containers": containers, "holds_vip": holds_vip })
}

/// For people: a line for each host, and its containers and waivers below.
fn text(rows: &[(String, Value, Recap)]) -> String {
    let mut text = String::new();
    for (name, status, _) in rows {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        if let Some(error) = status["error"].as_str() {
            text.push_str(&format!("{name}: cannot be looked at: {error}\n"));
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
        if status["holds_vip"] == true {
            text.push_str(&format!("  holds {}\n", word(&installed["vip"])));
        }
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
