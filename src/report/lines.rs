//! Events as lines of text: the words that plain output, live progress and the log share.

use std::time::Duration;

use serde_json::{Map, Value};

use super::board::{Board, Task, title};
use super::style::{Line, Paint, outcome_word};
use super::text;
use crate::engine::event::{Event, EventKind, NoticeLevel, Outcome, Wait};

/// `TASK [role : name]`.
pub fn task_heading(title: &str, handler: bool) -> Line {
    let word = if handler { "HANDLER" } else { "TASK" };
    Line::new(Paint::Heading, format!("{word} [{title}]"))
}

/// How a host ended a task or an item: `changed: node1 (item): message`, and below it hint, details and diff.
/// Empty for any other event.
pub fn result(event: &Event, pretty: bool) -> Vec<Line> {
    let EventKind::HostTaskFinished {
        host,
        outcome,
        item,
        message,
        hint,
        diff,
        details,
        delegated_to,
        result,
        ..
    } = &event.kind
    else {
        return Vec::new();
    };
    let paint = Paint::from(*outcome);
    let mut head = format!("  {}: {}", outcome_word(*outcome), text::tame(host));
    if let Some(other) = delegated_to {
        head.push_str(&format!(" -> {}", text::tame(other)));
    }
    if let Some(item) = item {
        head.push_str(&format!(" ({})", text::tame(item)));
    }
    let mut lines = with_message(paint, head, message.as_deref());
    if let Some(hint) = hint {
        lines.extend(block(Paint::Plain, "hint: ", hint));
    }
    let said = message.as_deref().unwrap_or_default();
    if let Some(details) = details
        .as_deref()
        .filter(|text| !said.contains(text.trim()))
    {
        lines.extend(block(Paint::Plain, "| ", details));
    }
    if let Some(result) = result {
        lines.extend(block(Paint::Faint, "=> ", &as_json(result, pretty)));
    }
    if let Some(diff) = diff {
        lines.extend(text::tame_lines(diff).map(|line| {
            let paint = match line.as_bytes() {
                [b'+', ..] => Paint::Good,
                [b'-', ..] => Paint::Bad,
                [b'@', ..] => Paint::Faint,
                _ => Paint::Plain,
            };
            Line::new(paint, format!("    {line}"))
        }));
    }
    lines
}

/// What `register` would take, on one line or on many.
fn as_json(result: &Map<String, Value>, pretty: bool) -> String {
    let text = if pretty {
        serde_json::to_string_pretty(result)
    } else {
        serde_json::to_string(result)
    };
    text.unwrap_or_default()
}

/// A notice with its hint.
pub fn notice(level: NoticeLevel, message: &str, hint: Option<&str>) -> Vec<Line> {
    let word = match level {
        NoticeLevel::Info => "",
        NoticeLevel::Warning => "warning: ",
        NoticeLevel::Error => "error: ",
    };
    let paint = Paint::from(level);
    let mut lines: Vec<Line> = text::tame_lines(message)
        .enumerate()
        .map(|(index, line)| {
            let word = if index == 0 { word } else { "  " };
            Line::new(paint, format!("{word}{line}"))
        })
        .collect();
    if let Some(hint) = hint {
        lines.extend(block(Paint::Plain, "hint: ", hint));
    }
    lines
}

/// A host that cannot be reached.
pub fn unreachable(host: &str, message: &str, hint: Option<&str>) -> Vec<Line> {
    let head = format!("  unreachable: {}", text::tame(host));
    let mut lines = with_message(Paint::Bad, head, Some(message));
    if let Some(hint) = hint {
        lines.extend(block(Paint::Plain, "hint: ", hint));
    }
    lines
}

/// What a cancellation means.
pub fn cancel(level: u8) -> Line {
    let words = match level {
        0 | 1 => "stopping: running steps are let end; Ctrl-C again ends them",
        2 => "ending running steps; Ctrl-C again leaves at once",
        _ => "leaving at once",
    };
    Line::new(Paint::Warning, words)
}

/// Everything that an event says, for the log.
pub fn everything(event: &Event, check_mode: bool) -> Vec<Line> {
    let plain = |text: String| vec![Line::new(Paint::Plain, text)];
    match &event.kind {
        EventKind::RunStarted {
            command,
            run_id,
            version,
            hosts,
            check_mode,
            ..
        } => plain(format!(
            "run {run_id}: {} with kk {version} on {}{}",
            text::tame(command),
            text::names(hosts.iter().map(String::as_str), usize::MAX),
            if *check_mode {
                ", nothing is changed"
            } else {
                ""
            }
        )),
        EventKind::Notice {
            level,
            message,
            hint,
        } => notice(*level, message, hint.as_deref()),
        EventKind::PlayStarted { name, hosts } => plain(format!(
            "PLAY [{}] {}",
            text::tame(name),
            text::names(hosts.iter().map(String::as_str), usize::MAX)
        )),
        EventKind::TaskStarted {
            task,
            name,
            role,
            module,
            place,
            handler,
            hosts,
        } => {
            let heading = task_heading(&title(role.as_deref(), name), *handler);
            plain(format!(
                "{} number {task}, module {module}, at {place}, on {}",
                heading.text,
                text::names(hosts.iter().map(String::as_str), usize::MAX)
            ))
        }
        EventKind::HostTaskStarted { task, host } => plain(format!("  begins: {host} ({task})")),
        EventKind::HostTaskFinished { duration, .. } => {
            let mut lines = result(event, false);
            if let Some(head) = lines.first_mut() {
                head.text
                    .push_str(&format!(" [{:.3} s]", duration.as_secs_f64()));
            }
            lines
        }
        EventKind::HostTaskRetry { .. } => retry(event).into_iter().collect(),
        EventKind::Transfer { finished: true, .. } => sent(event, None).into_iter().collect(),
        EventKind::HostWaits {
            host,
            duration,
            why,
            ..
        } => plain(format!(
            "  waits: {}: {} before the next {}",
            text::tame(host),
            text::duration(*duration),
            match why {
                Wait::Retry => "attempt",
                Wait::Pause => "item",
            }
        )),
        EventKind::HostConnected { .. } => connected(event).into_iter().collect(),
        EventKind::HostCommand { .. } => command(event),
        EventKind::Transfer { .. } | EventKind::Journal(_) => Vec::new(),
        EventKind::HostUnreachable {
            host,
            message,
            hint,
            ..
        } => unreachable(host, message, hint.as_deref()),
        EventKind::Finding(finding) => {
            let mut lines = plain(format!(
                "  check {} on {}: {}; measured: {}; required: {}",
                finding.check,
                finding.host.as_deref().unwrap_or("all hosts"),
                super::findings::word(finding),
                text::tame(&finding.measured),
                text::tame(&finding.required),
            ));
            if let Some(reason) = &finding.waived {
                lines.extend(block(Paint::Plain, "waived: ", reason));
            }
            if !finding.remedy.is_empty() {
                lines.extend(block(Paint::Plain, "remedy: ", &finding.remedy));
            }
            lines
        }
        EventKind::CancelRequested { level } => vec![cancel(*level)],
        EventKind::RunFinished {
            recap,
            duration,
            exit_code,
        } => {
            let mut lines = Vec::new();
            if !recap.is_empty() {
                lines = super::recap::table(recap);
                lines.push(super::recap::verdict(
                    recap, *duration, *exit_code, check_mode,
                ));
            }
            lines.extend(plain(format!("exit code {exit_code}")));
            lines
        }
        EventKind::Summary { lines, .. } => super::recap::summary(lines),
    }
}

/// Lines of a command that are shown.
const COMMAND_LINES: usize = 12;

/// A command that ran on a host, its first lines, and what came of it.
pub fn command(event: &Event) -> Vec<Line> {
    let EventKind::HostCommand {
        host,
        target,
        command,
        status,
        bytes,
        duration,
        error,
        ..
    } = &event.kind
    else {
        return Vec::new();
    };
    let said: Vec<String> = text::tame_lines(command).collect();
    let mut lines = vec![Line::new(
        Paint::Faint,
        format!(
            "  ran on {}: {}: {} in {:.3} s, {} came back",
            text::tame(host),
            text::tame(target),
            text::tame(
                status
                    .as_ref()
                    .or(error.as_ref())
                    .map_or("", String::as_str)
            ),
            duration.as_secs_f64(),
            text::bytes(*bytes),
        ),
    )];
    lines.extend(
        said.iter()
            .take(COMMAND_LINES)
            .map(|line| Line::new(Paint::Faint, format!("    $ {line}"))),
    );
    if said.len() > COMMAND_LINES {
        let more = format!("    and {} more lines", said.len() - COMMAND_LINES);
        lines.push(Line::new(Paint::Faint, more));
    }
    lines
}

/// A connection that is there, or was given up.
pub fn connected(event: &Event) -> Option<Line> {
    let EventKind::HostConnected {
        host,
        target,
        duration,
        error,
    } = &event.kind
    else {
        return None;
    };
    let (host, target) = (text::tame(host), text::tame(target));
    let took = text::duration(*duration);
    Some(Line::new(
        Paint::Faint,
        match error {
            None => format!("  connected: {host}: {target} in {took}"),
            Some(error) => {
                let error: Vec<String> = text::tame_lines(error).collect();
                format!(
                    "  not connected: {host}: {target} after {took}: {}",
                    error.join("; ")
                )
            }
        },
    ))
}

/// An attempt that failed and will be repeated.
pub fn retry(event: &Event) -> Option<Line> {
    let EventKind::HostTaskRetry {
        host,
        attempt,
        attempts,
        message,
        ..
    } = &event.kind
    else {
        return None;
    };
    let message: Vec<String> = text::tame_lines(message).collect();
    Some(Line::new(
        Paint::Faint,
        format!(
            "  retrying: {}: attempt {attempt} of {attempts} failed: {}",
            text::tame(host),
            message.join("; ")
        ),
    ))
}

/// A transfer that has ended, and how long it took when that is known.
pub fn sent(event: &Event, took: Option<Duration>) -> Option<Line> {
    let EventKind::Transfer {
        host, name, total, ..
    } = &event.kind
    else {
        return None;
    };
    let took = took.map_or_else(String::new, |took| format!(" in {}", text::duration(took)));
    Some(Line::new(
        Paint::Faint,
        format!(
            "  transferred: {}: {}, {}{took}",
            text::tame(host),
            text::tame(name),
            text::bytes(*total)
        ),
    ))
}

/// `changed  role : name (node1, node2 changed; 1 ok; 12 s)`.
pub fn task_over(task: &Task, at: Duration) -> Line {
    let worst = [
        Outcome::Failed,
        Outcome::Unreachable,
        Outcome::Rescued,
        Outcome::Ignored,
        Outcome::Changed,
        Outcome::Ok,
    ]
    .into_iter()
    .find(|outcome| !task.hosts_with(*outcome).is_empty())
    .unwrap_or(Outcome::Skipped);
    let mut parts = Vec::new();
    for outcome in [
        Outcome::Failed,
        Outcome::Unreachable,
        Outcome::Rescued,
        Outcome::Ignored,
        Outcome::Changed,
    ] {
        let hosts = task.hosts_with(outcome);
        if !hosts.is_empty() {
            let names = text::tame(&text::names(hosts, 3));
            parts.push(format!("{} on {names}", outcome_word(outcome)));
        }
    }
    for outcome in [Outcome::Ok, Outcome::Skipped] {
        let hosts = task.hosts_with(outcome);
        if !hosts.is_empty() && (outcome != worst || !parts.is_empty()) {
            parts.push(format!("{} {}", hosts.len(), outcome_word(outcome)));
        }
    }
    match same_message(task, &task.hosts_with(Outcome::Skipped)) {
        Some(reason) if worst == Outcome::Skipped => parts.push(reason.to_owned()),
        _ => parts.push(text::duration(at.saturating_sub(task.since))),
    }
    let word = match worst {
        Outcome::Rescued => "rescued",
        Outcome::Ignored => "ignored",
        other => outcome_word(other),
    };
    Line::new(
        Paint::from(worst),
        format!("{word:<11}  {}  ({})", task.title, parts.join("; ")),
    )
}

/// `skipped: all 3 hosts: reason`, or names where not all hosts were skipped.
pub fn skipped(task: &Task, skipped: &[&str]) -> Line {
    let who = if skipped.len() == task.hosts && skipped.len() > 1 {
        format!("all {} hosts", skipped.len())
    } else {
        text::tame(&text::names(skipped.iter().copied(), 5))
    };
    let line = match same_message(task, skipped) {
        Some(reason) => format!("  skipped: {who}: {reason}"),
        None => format!("  skipped: {who}"),
    };
    Line::new(Paint::Faint, line)
}

/// What is said about all of these hosts, when it is the same.
fn same_message<'a>(task: &'a Task, hosts: &[&str]) -> Option<&'a str> {
    let mut messages = hosts
        .iter()
        .map(|host| task.results.get(*host)?.message.as_deref());
    let first = messages.next()??;
    messages
        .all(|message| message == Some(first))
        .then_some(first)
}

/// Hosts that a heartbeat names.
const HEARTBEAT_HOSTS: usize = 4;

/// The heartbeat of a task that takes long: how far it is, and what its hosts are doing.
pub fn still_running(board: &Board, task: &Task, now: Duration) -> Line {
    let mut line = format!(
        "  still running after {}: [{}] {} of {} done",
        text::duration(now.saturating_sub(task.since)),
        task.title,
        task.results.len(),
        text::count(task.hosts, "host"),
    );
    for (host, running) in task.at_work().into_iter().take(HEARTBEAT_HOSTS) {
        line.push_str(&format!("; {}", text::tame(host)));
        let transfers: Vec<String> = board
            .transfers_to(host)
            .map(|transfer| format!("{} {}", transfer.name, transfer.describe(now).trim_start()))
            .collect();
        if !transfers.is_empty() {
            line.push_str(&format!(" {}", transfers.join(", ")));
        } else if let Some(note) = &running.note {
            line.push_str(&format!(" {note}"));
        }
    }
    if task.running.len() > HEARTBEAT_HOSTS {
        line.push_str(&format!(
            "; and {} more",
            task.running.len() - HEARTBEAT_HOSTS
        ));
    }
    Line::new(Paint::Faint, line)
}

/// Whether an outcome is shown in full as soon as it is there.
pub fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Failed | Outcome::Ignored | Outcome::Rescued | Outcome::Unreachable => true,
        Outcome::Ok | Outcome::Changed | Outcome::Skipped => false,
    }
}

/// A head and its message; a message of several lines goes on below it.
fn with_message(paint: Paint, head: String, message: Option<&str>) -> Vec<Line> {
    let mut rest = message.into_iter().flat_map(text::tame_lines);
    let head = match rest.next().filter(|first| !first.is_empty()) {
        Some(first) => format!("{head}: {first}"),
        None => head,
    };
    let mut lines = vec![Line::new(paint, head)];
    lines.extend(rest.map(|line| Line::new(paint, format!("    {line}"))));
    lines
}

/// Lines that belong to the one above: a word before the first, and as much room before the others; bars repeat.
fn block(paint: Paint, lead: &str, content: &str) -> Vec<Line> {
    let room = " ".repeat(lead.len());
    text::tame_lines(content)
        .enumerate()
        .map(|(index, line)| {
            let lead = if index == 0 || lead == "| " {
                lead
            } else {
                &room
            };
            Line::new(paint, format!("    {lead}{line}"))
        })
        .collect()
}
