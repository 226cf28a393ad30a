//! The engine on scripted hosts: no network, no shell, no waiting.
//!
//! Tasks are `command: do-something`; a host does whatever begins with `do-` unless the test says otherwise, and refuses
//! everything else.

mod checks;
mod failures;
mod flow;
mod grammar;
mod handlers;
mod late;
mod resume;
mod roles;
mod secrets;
mod stopping;
mod variables;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::connect::fake::{FakeConnector, Reply};
use crate::connect::{Connector, TransportError};
use crate::inventory::{Host, LocalMachine};
use crate::secret::Redactor;

/// Scripted hosts, and what a run is asked to do with them.
struct World {
    inventory: Inventory,
    hosts: HashMap<String, Arc<FakeConnector>>,
    unreachable: Vec<String>,
    options: RunOptions,
    control: Control,
    redactor: Redactor,
    files: Vec<(String, String)>,
    /// What is needed to go on later is noted.
    journal: bool,
}

/// What happened.
struct Story {
    report: RunReport,
    events: Vec<EventKind>,
}

impl Dial for World {
    fn dial<'a>(
        &'a self,
        host: &'a Host,
    ) -> BoxFuture<'a, Result<Arc<dyn Connector>, TransportError>> {
        let link = if self.unreachable.contains(&host.name) {
            Err(TransportError::Unreachable {
                target: host.name.clone(),
                reason: "no route to host".to_owned(),
            })
        } else {
            Ok(Arc::clone(&self.hosts[&host.name]) as Arc<dyn Connector>)
        };
        Box::pin(std::future::ready(link))
    }
}

impl World {
    /// Hosts of these names, in the group `web`, beside this machine.
    fn new(names: &[&str]) -> Self {
        let hosts: String = names
            .iter()
            .map(|name| format!("    {name}: {{connector: {{type: ssh, host: {name}.example}}}}\n"))
            .collect();
        Self::of(&format!(
            "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec:\n  hosts:\n{hosts}  groups:\n    web: {{hosts: [{}]}}\n",
            names.join(", ")
        ))
    }

    /// The hosts of an inventory.
    fn of(text: &str) -> Self {
        let source = crate::diagnostic::Source::new("inventory.yaml", text);
        let inventory = Inventory::parse(&source, &LocalMachine::default())
            .unwrap_or_else(|found| panic!("{found}"))
            .inventory;
        let names = inventory.hosts.keys().map(String::as_str);
        let hosts = names
            .chain([LOCALHOST])
            .map(|name| {
                (
                    name.to_owned(),
                    FakeConnector::named("root", format!("root@{name}")),
                )
            })
            .collect();
        Self {
            inventory,
            hosts,
            unreachable: Vec::new(),
            options: RunOptions::default(),
            control: Control::default(),
            redactor: Redactor::new(),
            files: Vec::new(),
            journal: false,
        }
    }

    fn host(&self, name: &str) -> &FakeConnector {
        &self.hosts[name]
    }

    /// What a host does with a command.
    fn on(&mut self, host: &str, command: &str, reply: Reply) -> &mut Self {
        self.host(host).containing(command, reply);
        self
    }

    fn file(&mut self, path: &str, text: &str) -> &mut Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    async fn run(&mut self, playbook: &str) -> Story {
        self.run_file("site.yaml", playbook).await
    }

    async fn run_file(&mut self, name: &str, playbook: &str) -> Story {
        let folder = tempfile::tempdir().unwrap();
        self.file(name, playbook);
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut library = Library::folder(folder.path());
        if self.journal {
            let prints = crate::secret::fingerprint::Fingerprints::new(vec![7]);
            library = library.with_reads(Arc::new(crate::playbook::Reads::new(prints)));
        }
        let playbook = crate::playbook::load(&library, name).unwrap_or_else(|found| {
            panic!(
                "{}",
                crate::diagnostic::render_all(&found, crate::diagnostic::Colour::Never)
            )
        });
        validate(&playbook, &self.inventory).unwrap_or_else(|found| panic!("{found}"));
        for host in self.hosts.values() {
            host.containing("do-", Reply::ok(""));
        }
        let names: Vec<String> = self.inventory.hosts.keys().cloned().collect();
        let fleet = Fleet::connect(&self.inventory, &names, self, 5, None).await;
        let (events, mut receiver) = Events::channel(self.redactor.clone());
        let report = run(
            &playbook,
            &library,
            &self.inventory,
            &fleet,
            &self.options,
            &events,
            &self.control,
        )
        .await;
        drop(events);
        let mut all = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            all.push(event.kind);
        }
        let root = folder.path().to_str().unwrap().to_owned();
        Story {
            report,
            events: all.into_iter().map(|event| without(event, &root)).collect(),
        }
    }

    /// The words that begin with `do-` of the commands that a host ran, in their order.
    fn ran(&self, host: &str) -> Vec<String> {
        self.host(host)
            .commands()
            .iter()
            .filter_map(|command| {
                let start = command.find("do-")?;
                let rest = &command[start..];
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                    .unwrap_or(rest.len());
                Some(rest[..end].to_owned())
            })
            .collect()
    }
}

/// An event without the name of a temporary folder.
fn without(mut event: EventKind, folder: &str) -> EventKind {
    let folder = format!("{folder}/");
    if let EventKind::HostTaskFinished { message, .. } = &mut event
        && let Some(text) = message
    {
        *text = text
            .replace(&folder, "")
            .replace(folder.trim_end_matches('/'), ".");
    }
    event
}

fn word(outcome: Outcome) -> String {
    format!("{outcome:?}").to_lowercase()
}

impl Story {
    /// What happened as lines: plays, tasks, results, notices, the recap.
    fn text(&self) -> String {
        let mut lines: Vec<String> = self.events.iter().filter_map(line_of).collect();
        for (host, recap) in &self.report.recap {
            lines.push(format!(
                "= {host}: ok={} changed={} unreachable={} failed={} skipped={} rescued={} ignored={}",
                recap.ok,
                recap.changed,
                recap.unreachable,
                recap.failed,
                recap.skipped,
                recap.rescued,
                recap.ignored
            ));
        }
        lines.push(format!("exit {}", self.report.exit().code()));
        lines.join("\n")
    }

    /// `task host outcome` of every result of a whole task.
    fn outcomes(&self) -> Vec<String> {
        let mut names: HashMap<u64, String> = HashMap::new();
        let mut outcomes = Vec::new();
        for event in &self.events {
            match event {
                EventKind::TaskStarted { task, name, .. } => {
                    names.insert(*task, name.clone());
                }
                EventKind::HostTaskFinished {
                    task,
                    host,
                    outcome,
                    item: None,
                    ..
                } => outcomes.push(format!("{} {host} {}", names[task], word(*outcome))),
                _ => {}
            }
        }
        outcomes
    }

    /// The messages of a host's results.
    fn messages(&self, of: &str) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                EventKind::HostTaskFinished { host, message, .. } if host == of => message.clone(),
                _ => None,
            })
            .collect()
    }
}

fn line_of(event: &EventKind) -> Option<String> {
    Some(match event {
        EventKind::PlayStarted { name, hosts } => format!("PLAY {name} [{}]", hosts.join(" ")),
        EventKind::TaskStarted {
            name,
            role,
            handler,
            hosts,
            ..
        } => format!(
            "{} {}{name} [{}]",
            if *handler { "HANDLER" } else { "TASK" },
            role.as_ref()
                .map(|role| format!("{role} : "))
                .unwrap_or_default(),
            hosts.join(" ")
        ),
        EventKind::HostTaskFinished {
            host,
            outcome,
            item,
            message,
            delegated_to,
            ..
        } => {
            let mut line = format!("  {host}");
            if let Some(other) = delegated_to {
                line.push_str(&format!(" -> {other}"));
            }
            if let Some(item) = item {
                line.push_str(&format!(" ({item})"));
            }
            line.push_str(&format!(": {}", word(*outcome)));
            if let Some(message) = message {
                line.push_str(&format!(": {message}"));
            }
            line
        }
        EventKind::HostTaskRetry {
            host,
            attempt,
            attempts,
            message,
            ..
        } => format!("  {host}: attempt {attempt} of {attempts}: {message}"),
        EventKind::HostUnreachable {
            host,
            message,
            task_name,
            may_have_run,
            ..
        } => {
            let at = task_name.as_ref().map_or_else(String::new, |name| {
                let ran = if *may_have_run {
                    "may have run"
                } else {
                    "did not run"
                };
                format!(" (in `{name}`, whose step {ran})")
            });
            format!("  {host} cannot be reached: {message}{at}")
        }
        EventKind::Notice { message, .. } => format!("! {message}"),
        _ => return None,
    })
}

/// A host that is gone in the middle of a command.
fn lost() -> Reply {
    Reply::Error(TransportError::Lost {
        target: "a host".to_owned(),
        reason: "connection reset".to_owned(),
    })
}

/// A command that fails.
fn fails() -> Reply {
    Reply::failed(1, "it is broken\n")
}

/// A command that takes seconds.
fn slow(seconds: u64) -> Reply {
    Reply::ok("").after(Duration::from_secs(seconds))
}

/// `do-…` tasks in a row.
fn tasks(names: &[&str]) -> String {
    let tasks: String = names
        .iter()
        .map(|name| format!("    - {{name: {name}, command: do-{name}}}\n"))
        .collect();
    format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}")
}
