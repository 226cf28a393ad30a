//! What earlier runs came to, from their journals.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::board::title;
use super::{journal, recap, text};
use crate::engine::event::{Event, EventKind, Note, NoticeLevel, Outcome, Recap};

/// One run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Its name.
    pub run: String,
    /// When it began, in UTC.
    pub time: String,
    /// What was asked for.
    pub command: String,
    /// The playbooks, absolute.
    pub playbooks: Vec<String>,
    /// Hosts that might take part.
    pub hosts: Vec<String>,
    /// Nothing was changed.
    pub check_mode: bool,
    /// `ok`, `failed`, …; `cut off` when it did not live to say.
    pub result: &'static str,
    /// The exit code, if it came to one.
    pub exit_code: Option<u8>,
    /// Seconds that it took, as far as that is known.
    pub duration: Option<f64>,
    /// The run that it went on from.
    pub resumes: Option<String>,
}

/// Where a host failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The host, if it was one.
    pub host: Option<String>,
    /// `failed`, `unreachable`, `not done`.
    pub what: &'static str,
    /// The task.
    pub task: Option<String>,
    /// Where that is written.
    pub place: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// What a command said.
    pub details: Option<String>,
}

impl Summary {
    /// From all or the first and last events of a journal.
    pub fn new(run: &str, events: &[Event], is_running: bool) -> Self {
        let mut summary = Self {
            run: run.to_owned(),
            ..Self::default()
        };
        for event in events {
            match &event.kind {
                EventKind::RunStarted {
                    command,
                    time,
                    hosts,
                    check_mode,
                    ..
                } => {
                    summary.command.clone_from(command);
                    summary.time.clone_from(time);
                    summary.hosts.clone_from(hosts);
                    summary.check_mode = *check_mode;
                }
                EventKind::Journal(Note::Source(source)) => {
                    summary.playbooks.clone_from(&source.playbooks);
                    summary.resumes.clone_from(&source.resumes);
                }
                EventKind::RunFinished {
                    duration,
                    exit_code,
                    ..
                } => {
                    summary.exit_code = Some(*exit_code);
                    summary.duration = Some(duration.as_secs_f64());
                }
                _ => {}
            }
        }
        if summary.duration.is_none() {
            summary.duration = events.last().map(|event| event.at.as_secs_f64());
        }
        summary.result = match summary.exit_code {
            None if is_running => "running",
            None => "cut off",
            Some(0) => "ok",
            Some(2) => "failed",
            Some(3) => "precheck failed",
            Some(4) => "unreachable",
            Some(6) => "failed and unreachable",
            Some(10) => "changes pending",
            Some(130 | 143) => "interrupted",
            Some(_) => "error",
        };
        summary
    }

    /// Whether it came to the end of what was asked for.
    pub fn is_complete(&self) -> bool {
        matches!(self.exit_code, Some(0 | 10))
    }
}

/// The runs of a working folder, the latest first. A journal that cannot be read is left out.
pub fn list(work_dir: &std::path::Path) -> Vec<Summary> {
    let runs = journal::runs(work_dir);
    let summaries = runs.iter().filter_map(|run| {
        let is_last = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Journal(_)
                    | EventKind::PlayStarted { .. }
                    | EventKind::TaskStarted { .. }
            )
        };
        let mut head = journal::read_until(work_dir, run, is_last).ok()?;
        head.events.extend(journal::last(work_dir, run).ok()?);
        Some(Summary::new(run, &head.events, head.is_running))
    });
    let mut summaries: Vec<Summary> = summaries.collect();
    summaries.sort_by(|one, other| other.time.cmp(&one.time));
    summaries
}

/// The table of runs.
pub fn table(runs: &[Summary]) -> String {
    let heads = ["RUN", "WHEN (UTC)", "RESULT", "TOOK", "HOSTS", "COMMAND"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(runs.iter().map(|run| {
        let mut command = text::tame(&run.command);
        if run.check_mode {
            command.push_str(" (changes nothing)");
        }
        if let Some(earlier) = &run.resumes {
            command.push_str(&format!(" (goes on from {earlier})"));
        }
        [
            text::tame(&run.run),
            when(&run.time),
            run.result.to_owned(),
            took(run.duration),
            run.hosts.len().to_string(),
            command,
        ]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in &rows {
        let line: Vec<String> = widths
            .iter()
            .zip(row)
            .map(|(width, cell)| format!("{cell:width$}"))
            .collect();
        table.push_str(line.join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// `2026-01-02 03:04:05`.
fn when(time: &str) -> String {
    let time = time.split('.').next().unwrap_or(time);
    time.trim_end_matches('Z').replacen('T', " ", 1)
}

fn took(seconds: Option<f64>) -> String {
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.map(text::duration).unwrap_or_default()
}

/// One run in full: what it was, the recap, what failed where.
pub struct Report {
    /// What it was.
    pub summary: Summary,
    /// Counters by host, where the run came to its end.
    pub recap: Vec<(String, Recap)>,
    /// What failed, in the order in which it did.
    pub troubles: Vec<Trouble>,
}

impl Report {
    /// From its journal.
    pub fn new(run: &str, journal: &journal::Past) -> Self {
        let mut report = Self {
            summary: Summary::new(run, &journal.events, journal.is_running),
            recap: Vec::new(),
            troubles: Vec::new(),
        };
        let mut tasks: HashMap<u64, (String, String)> = HashMap::new();
        let mut open: IndexMap<(u64, &str), ()> = IndexMap::new();
        let mut lost: Vec<&str> = Vec::new();
        for event in &journal.events {
            match &event.kind {
                EventKind::TaskStarted {
                    task,
                    name,
                    role,
                    place,
                    ..
                } => {
                    tasks.insert(*task, (title(role.as_deref(), name), place.clone()));
                }
                EventKind::HostTaskStarted { task, host } => {
                    open.insert((*task, host), ());
                }
                EventKind::HostTaskFinished {
                    task,
                    host,
                    outcome,
                    item,
                    message,
                    hint,
                    details,
                    ..
                } => {
                    if item.is_some() {
                        continue;
                    }
                    open.swap_remove(&(*task, host.as_str()));
                    if *outcome == Outcome::Failed {
                        let (task, place) = tasks.get(task).cloned().unzip();
                        report.troubles.push(Trouble {
                            host: Some(host.clone()),
                            what: "failed",
                            task,
                            place,
                            message: message.clone(),
                            hint: hint.clone(),
                            details: details.clone(),
                        });
                    }
                }
                EventKind::HostUnreachable {
                    host,
                    message,
                    hint,
                    task,
                    may_have_run,
                    ..
                } => {
                    lost.push(host);
                    let known = task.map(|task| tasks.get(&task).cloned().unzip());
                    let (task, place) = known.unwrap_or_default();
                    let message = match &task {
                        Some(_) => format!("{message} ({})", recap::what_ran(*may_have_run)),
                        None => message.clone(),
                    };
                    report.troubles.push(Trouble {
                        host: Some(host.clone()),
                        what: "unreachable",
                        task,
                        place,
                        message: Some(message),
                        hint: hint.clone(),
                        details: None,
                    });
                }
                EventKind::Notice {
                    level: NoticeLevel::Error,
                    message,
                    hint,
                } => report.troubles.push(Trouble {
                    host: None,
                    what: "error",
                    task: None,
                    place: None,
                    message: Some(message.clone()),
                    hint: hint.clone(),
                    details: None,
                }),
                EventKind::RunFinished { recap, .. } => report.recap.clone_from(recap),
                _ => {}
            }
        }
        for (task, host) in open.into_keys().filter(|(_, host)| !lost.contains(host)) {
            let (task, place) = tasks.get(&task).cloned().unzip();
            report.troubles.push(Trouble {
                host: Some(host.to_owned()),
                what: if journal.is_running {
                    "at work"
                } else {
                    "not done"
                },
                task,
                place,
                message: None,
                hint: None,
                details: None,
            });
        }
        report
    }

    /// For people.
    pub fn text(&self) -> String {
        let summary = &self.summary;
        let mut all = String::new();
        let mut row = |name: &str, value: &str| {
            all.push_str(&format!("{name:<10}{}\n", text::tame(value)));
        };
        row("run", &summary.run);
        row("command", &summary.command);
        row("when", &format!("{} UTC", when(&summary.time)));
        row("took", &took(summary.duration));
        let mut result = summary.result.to_owned();
        if summary.check_mode {
            result.push_str(", nothing was changed");
        }
        row("result", &result);
        for playbook in &summary.playbooks {
            row("playbook", playbook);
        }
        if let Some(run) = &summary.resumes {
            row("goes on", &format!("from run {run}"));
        }
        if !self.recap.is_empty() {
            all.push('\n');
            for line in recap::table(&self.recap) {
                all.push_str(&format!("{}\n", line.text));
            }
        }
        if !self.troubles.is_empty() {
            all.push('\n');
        }
        for trouble in &self.troubles {
            let mut line = trouble.what.to_owned();
            if let Some(host) = &trouble.host {
                line.push_str(&format!(": {}", text::tame(host)));
            }
            if let Some(task) = &trouble.task {
                line.push_str(&format!(": [{task}]"));
            }
            if let Some(place) = trouble.place.as_ref().filter(|place| !place.is_empty()) {
                line.push_str(&format!(" at {place}"));
            }
            all.push_str(&format!("{line}\n"));
            let parts = [
                ("", &trouble.message),
                ("hint: ", &trouble.hint),
                ("| ", &trouble.details),
            ];
            let parts = parts
                .iter()
                .filter_map(|(lead, part)| Some((lead, part.as_ref()?)));
            for (lead, part) in parts {
                for line in text::tame_lines(part) {
                    all.push_str(&format!("  {lead}{line}\n"));
                }
            }
        }
        all
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let recap: IndexMap<&String, &Recap> = self
            .recap
            .iter()
            .map(|(host, recap)| (host, recap))
            .collect();
        json!({"run": self.summary, "recap": recap, "troubles": self.troubles})
    }
}
