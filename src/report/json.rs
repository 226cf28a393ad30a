//! Output for programs: one document at the end, or one line per event. Both on standard output.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Renderer;
use super::output::Output;
use crate::engine::event::{Event, EventKind, Outcome};
use crate::precheck::Finding;

/// One JSON object per event, as they come.
pub struct JsonLines {
    output: Output,
}

impl JsonLines {
    /// Lines to a stream.
    pub fn new(output: Output) -> Self {
        Self { output }
    }
}

impl Renderer for JsonLines {
    fn event(&mut self, event: &Event) {
        if matches!(event.kind, EventKind::Journal(_)) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            self.output.line(&line);
        }
    }
}

/// One JSON document when the run is over.
pub struct JsonDocument {
    output: Output,
    document: Document,
    /// The play that tasks belong to.
    play: Option<String>,
    tasks: IndexMap<u64, TaskEntry>,
    hosts: IndexMap<String, Value>,
    recap: Map<String, Value>,
    begun: bool,
}

/// The document. Its keys are part of the interface.
#[derive(Debug, Default, Serialize)]
struct Document {
    run: Map<String, Value>,
    hosts: IndexMap<String, Value>,
    tasks: Vec<TaskEntry>,
    findings: Vec<Finding>,
    notices: Vec<Value>,
    recap: Map<String, Value>,
    summary: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct TaskEntry {
    task: u64,
    play: Option<String>,
    role: Option<String>,
    name: String,
    module: String,
    place: String,
    handler: bool,
    results: IndexMap<String, ResultEntry>,
}

#[derive(Debug, Default, Serialize)]
struct ResultEntry {
    /// `None` when the run ended before the host was done.
    outcome: Option<Outcome>,
    #[serde(flatten)]
    details: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<Value>,
    #[serde(skip_serializing_if = "is_zero")]
    retries: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl JsonDocument {
    /// A document to a stream.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            document: Document::default(),
            play: None,
            tasks: IndexMap::new(),
            hosts: IndexMap::new(),
            recap: Map::new(),
            begun: false,
        }
    }

    fn entry(&mut self, task: u64, host: &str) -> Option<&mut ResultEntry> {
        let task = self.tasks.get_mut(&task)?;
        Some(task.results.entry(host.to_owned()).or_default())
    }
}

/// The fields of an event that say something: no `at`, no tag, no nulls, none of `without`.
fn fields(kind: &EventKind, without: &[&str]) -> Map<String, Value> {
    match serde_json::to_value(kind) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .filter(|(key, value)| {
                key != "event" && !value.is_null() && !without.contains(&key.as_str())
            })
            .collect(),
        _ => Map::new(),
    }
}

impl Renderer for JsonDocument {
    fn event(&mut self, event: &Event) {
        self.begun = true;
        match &event.kind {
            EventKind::RunStarted { hosts, .. } => {
                self.document.run = fields(&event.kind, &["hosts"]);
                for host in hosts {
                    self.hosts.insert(host.clone(), json!({"reachable": true}));
                }
            }
            EventKind::Notice { .. } => {
                self.document
                    .notices
                    .push(Value::Object(fields(&event.kind, &[])));
            }
            EventKind::PlayStarted { name, .. } => self.play = Some(name.clone()),
            EventKind::TaskStarted {
                task,
                name,
                role,
                module,
                place,
                handler,
                hosts,
            } => {
                let entry = TaskEntry {
                    task: *task,
                    play: self.play.clone(),
                    role: role.clone(),
                    name: name.clone(),
                    module: module.clone(),
                    place: place.clone(),
                    handler: *handler,
                    results: hosts
                        .iter()
                        .map(|host| (host.clone(), ResultEntry::default()))
                        .collect(),
                };
                self.tasks.insert(*task, entry);
            }
            EventKind::HostTaskFinished {
                task,
                host,
                outcome,
                item,
                ..
            } => {
                let details = fields(&event.kind, &["task", "host"]);
                let is_item = item.is_some();
                if let Some(entry) = self.entry(*task, host) {
                    if is_item {
                        entry.items.push(Value::Object(details));
                    } else {
                        entry.outcome = Some(*outcome);
                        entry.details = details;
                        entry.details.remove("outcome");
                    }
                }
            }
            EventKind::HostTaskRetry { task, host, .. } => {
                if let Some(entry) = self.entry(*task, host) {
                    entry.retries += 1;
                }
            }
            EventKind::HostUnreachable {
                host,
                message,
                hint,
                task,
                task_name,
                may_have_run,
            } => {
                let mut about = json!({"reachable": false, "message": message, "hint": hint});
                if let (Some(task), Value::Object(about)) = (task, &mut about) {
                    about.insert("task".to_owned(), json!(task));
                    about.insert("task_name".to_owned(), json!(task_name));
                    about.insert("may_have_run".to_owned(), json!(may_have_run));
                }
                self.hosts.insert(host.clone(), about);
            }
            EventKind::Finding(finding) => self.document.findings.push(finding.clone()),
            EventKind::RunFinished {
                recap,
                duration,
                exit_code,
            } => {
                for (host, counters) in recap {
                    self.recap.insert(host.clone(), json!(counters));
                }
                let run = &mut self.document.run;
                let seconds = (duration.as_secs_f64() * 1000.0).round() / 1000.0;
                run.insert("duration".into(), json!(seconds));
                run.insert("exit_code".into(), json!(exit_code));
            }
            EventKind::Summary { data, .. } => {
                self.document.summary.extend(data.clone());
            }
            EventKind::CancelRequested { level } => {
                self.document.run.insert("cancelled".into(), json!(level));
            }
            EventKind::HostTaskStarted { .. }
            | EventKind::Transfer { .. }
            | EventKind::HostWaits { .. }
            | EventKind::HostCommand { .. }
            | EventKind::HostConnected { .. }
            | EventKind::Journal(_) => {}
        }
    }

    fn finish(&mut self, _: Duration) {
        if !self.begun {
            return;
        }
        let mut document = std::mem::take(&mut self.document);
        document.hosts = std::mem::take(&mut self.hosts);
        document.tasks = std::mem::take(&mut self.tasks).into_values().collect();
        document.recap = std::mem::take(&mut self.recap);
        if let Ok(text) = serde_json::to_string_pretty(&document) {
            self.output.line(&text);
        }
    }
}
