//! What is said when a run is over: a row of counters per host, one line of judgement, and the summary.

use std::time::Duration;

use super::style::{Line, Paint};
use super::text;
use crate::engine::event::Recap;

/// Name and value of each counter, in Ansible's order and words.
fn counters(recap: &Recap) -> [(&'static str, u32); 7] {
    [
        ("ok", recap.ok),
        ("changed", recap.changed),
        ("unreachable", recap.unreachable),
        ("failed", recap.failed),
        ("skipped", recap.skipped),
        ("rescued", recap.rescued),
        ("ignored", recap.ignored),
    ]
}

/// One row per host: `node1  ok=12 changed=0 … sent=0 B`, columns aligned.
pub fn table(recap: &[(String, Recap)]) -> Vec<Line> {
    let name_width = recap
        .iter()
        .map(|(host, _)| host.chars().count())
        .max()
        .unwrap_or(0);
    let mut widths = [0; 7];
    for (_, row) in recap {
        for (width, (_, value)) in widths.iter_mut().zip(counters(row)) {
            *width = (*width).max(value.to_string().len());
        }
    }
    let mut lines = vec![Line::new(Paint::Heading, "RECAP")];
    for (host, row) in recap {
        let mut line = format!("{:name_width$} ", text::tame(host));
        for (width, (name, value)) in widths.iter().zip(counters(row)) {
            line.push_str(&format!(" {name}={value:<width$}"));
        }
        line.push_str(&format!(" sent={}", text::bytes(row.bytes_sent)));
        let paint = if row.failed > 0 || row.unreachable > 0 {
            Paint::Bad
        } else if row.changed > 0 {
            Paint::Changed
        } else {
            Paint::Good
        };
        lines.push(Line::new(paint, line));
    }
    lines
}

/// A host that was lost, and what it was at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Its name.
    pub host: String,
    /// Why.
    pub message: String,
    /// The task that it was lost in, if it was there before.
    pub task_name: Option<String>,
    /// A step of the task was begun and its end was not seen.
    pub may_have_run: bool,
}

/// The most hosts that were lost that are listed; all are in the log and in the history.
const MOST_LOSSES: usize = 20;

/// One line for each host that was lost.
pub fn losses(losses: &[Loss]) -> Vec<Line> {
    let told = losses.iter().take(MOST_LOSSES).map(|loss| {
        let line = match &loss.task_name {
            None => format!("unreachable: {}: {}", loss.host, loss.message),
            Some(task) => format!(
                "unreachable: {} in [{task}], {}: {}",
                loss.host,
                what_ran(loss.may_have_run),
                loss.message
            ),
        };
        Line::new(Paint::Bad, text::tame(&line))
    });
    let more = losses.len().saturating_sub(MOST_LOSSES);
    let rest = (more > 0).then(|| {
        let line = format!(
            "unreachable: {} more, see `kk history show`",
            text::count(more, "host")
        );
        Line::new(Paint::Bad, line)
    });
    told.chain(rest).collect()
}

/// Whether the step of a lost host ran, in words.
pub fn what_ran(may_have_run: bool) -> &'static str {
    if may_have_run {
        "whose step may have run"
    } else {
        "whose step did not run"
    }
}

/// One line: what became of the hosts, and how long it took.
pub fn verdict(recap: &[(String, Recap)], took: Duration, exit_code: u8, check_mode: bool) -> Line {
    let hosts_where = |test: fn(&Recap) -> bool| {
        recap
            .iter()
            .filter(|(_, row)| test(row))
            .map(|(host, _)| host.as_str())
            .collect::<Vec<_>>()
    };
    let failed = hosts_where(|row| row.failed > 0);
    let lost = hosts_where(|row| row.unreachable > 0);
    let changed = hosts_where(|row| row.changed > 0);
    let mut parts = Vec::new();
    if !failed.is_empty() {
        parts.push(format!(
            "failed: {}",
            text::names(failed.iter().copied(), 8)
        ));
    }
    if !lost.is_empty() {
        parts.push(format!(
            "unreachable: {}",
            text::names(lost.iter().copied(), 8)
        ));
    }
    let hosts = text::count(changed.len(), "host");
    parts.push(match (changed.is_empty(), check_mode) {
        (true, false) => "nothing changed".to_owned(),
        (true, true) => "nothing would change".to_owned(),
        (false, false) => format!("{hosts} changed"),
        (false, true) => format!("{hosts} would change"),
    });
    let paint = match exit_code {
        0 => Paint::Good,
        10 => Paint::Changed,
        _ => Paint::Bad,
    };
    let line = format!(
        "{} in {}: {}",
        text::count(recap.len(), "host"),
        text::duration(took),
        parts.join("; ")
    );
    Line::new(paint, text::tame(&line))
}

/// What the user should read last: labels and values in two columns, paragraphs as they are.
pub fn summary(lines: &[(String, String)]) -> Vec<Line> {
    let width = lines
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    let mut rendered = Vec::new();
    for (label, value) in lines {
        for (index, value) in text::tame_lines(value).enumerate() {
            // Values are not wrapped: commands and addresses are copied from here.
            let line = match (label.is_empty(), index) {
                (true, _) => value,
                (false, 0) => format!("{:<1$}  {value}", format!("{label}:"), width + 1),
                (false, _) => format!("{:1$}  {value}", "", width + 1),
            };
            rendered.push(Line::new(Paint::Plain, line.trim_end()));
        }
    }
    rendered
}
