//! `service_facts`: the units of the host, as facts.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::apply::command_failed;
use super::{Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "service_facts",
    aliases: &[],
    summary: "reads the services of a host with systemd into facts",
    arguments: &[],
    examples: r#"- service_facts:

- debug:
    msg: "{{ ansible_facts.services['ssh.service'].state }}"
"#,
    returns: &[(
        "ansible_facts.services",
        "by name with suffix: `name`, `state`, `status` (whether it starts at boot) and `source`",
    )],
    free_form: None,
    build,
    check: None,
};

const LIST: &str = r#"
if ! [ -d /run/systemd/system ]; then echo "systemd does not run here" >&2; exit 3; fi
systemctl list-units --no-pager --no-legend --plain --all --type=service || exit 1
echo files
systemctl list-unit-files --no-pager --no-legend --type=service
"#;

struct ServiceFacts;

impl Module for ServiceFacts {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look.session.probe(Command::script(LIST, [""; 0])).await?;
            if !output.success() {
                return Err(command_failed("list the services", &output));
            }
            let facts = json!({"services": services(&output.stdout_text())});
            Ok(Plan::satisfied().with("ansible_facts", facts))
        }
        .boxed()
    }
}

fn services(text: &str) -> Map<String, Value> {
    let mut services = Map::new();
    let mut are_files = false;
    for line in text.lines() {
        if line == "files" {
            are_files = true;
            continue;
        }
        let words: Vec<&str> = line.trim_start_matches('●').split_whitespace().collect();
        let word = |index: usize| words.get(index).copied().unwrap_or_default();
        let name = word(0);
        if !name.ends_with(".service") {
            continue;
        }
        if are_files {
            let status = Value::from(word(1));
            if let Some(service) = services.get_mut(name).and_then(Value::as_object_mut) {
                service.insert("status".to_owned(), status);
            } else {
                let state = if word(1) == "static" {
                    "stopped"
                } else {
                    "inactive"
                };
                services.insert(
                    name.to_owned(),
                    json!({"name": name, "state": state, "status": status, "source": "systemd"}),
                );
            }
        } else {
            let state = match (word(3), word(2)) {
                ("running", _) => "running",
                (_, "failed") => "failed",
                _ => "stopped",
            };
            let status = match word(1) {
                "not-found" => "not-found",
                _ => "unknown",
            };
            services.insert(
                name.to_owned(),
                json!({"name": name, "state": state, "status": status, "source": "systemd"}),
            );
        }
    }
    services
}

fn build(_arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(ServiceFacts))
}
