//! The table of a precheck: host × check, its verdict in words, what was measured and what is needed.

use super::style::{Line, Paint};
use super::text;
use crate::precheck::{Finding, Status};

/// The word of a finding's status. A failure that the user waived is not called one.
pub fn word(finding: &Finding) -> &'static str {
    match (finding.status, &finding.waived) {
        (Status::Pass, _) => "PASS",
        (_, Some(_)) => "WAIVED",
        (Status::Warn, None) => "WARN",
        (Status::Fail, None) => "FAIL",
        (Status::Unknown, None) => "UNKNOWN",
    }
}

fn paint(finding: &Finding) -> Paint {
    match word(finding) {
        "WAIVED" => Paint::Warning,
        _ => Paint::from(finding.status),
    }
}

/// What stands in the place of a host for a check of the whole installation.
const WHOLE: &str = "(whole installation)";

/// The host of a finding, for people.
fn host(finding: &Finding) -> &str {
    finding.host.as_deref().unwrap_or(WHOLE)
}

/// The whole table, at most `width` characters wide (but never so narrow that a column vanishes), grouped by host in
/// the order in which hosts first appear, with the counts as its last line.
pub fn table(findings: &[Finding], width: usize) -> Vec<Line> {
    let mut hosts: Vec<&str> = Vec::new();
    for finding in findings {
        if !hosts.contains(&host(finding)) {
            hosts.push(host(finding));
        }
    }
    let columns = Columns::fit(findings, width);
    let mut lines = vec![columns.heading()];
    for name in &hosts {
        lines.push(Line::new(Paint::Heading, text::tame(name)));
        for finding in findings.iter().filter(|finding| host(finding) == *name) {
            lines.extend(columns.row(finding));
        }
    }
    lines.push(Line::new(Paint::Plain, ""));
    lines.push(counts(findings));
    lines
}

/// Only what is not in order, and the counts.
pub fn problems(findings: &[Finding], width: usize) -> Vec<Line> {
    let odd: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.status != Status::Pass)
        .cloned()
        .collect();
    if odd.is_empty() {
        return vec![counts(findings)];
    }
    let mut lines = table(&odd, width);
    if let Some(last) = lines.last_mut() {
        *last = counts(findings);
    }
    lines
}

/// `57 checks on 3 hosts: 52 passed, 2 warnings, 3 failed`.
pub fn counts(findings: &[Finding]) -> Line {
    let number = |wanted: &str| {
        findings
            .iter()
            .filter(|finding| word(finding) == wanted)
            .count()
    };
    let (passed, warned, failed) = (number("PASS"), number("WARN"), number("FAIL"));
    let mut parts = vec![format!("{passed} passed")];
    if warned > 0 {
        parts.push(text::count(warned, "warning"));
    }
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    for (wanted, words) in [("UNKNOWN", "could not be looked at"), ("WAIVED", "waived")] {
        if number(wanted) > 0 {
            parts.push(format!("{} {words}", number(wanted)));
        }
    }
    let hosts: std::collections::BTreeSet<&str> = findings
        .iter()
        .filter_map(|finding| finding.host.as_deref())
        .collect();
    let paint = if failed > 0 {
        Paint::Bad
    } else if passed == findings.len() {
        Paint::Good
    } else {
        Paint::Warning
    };
    let line = format!(
        "{} on {}: {}",
        text::count(findings.len(), "check"),
        text::count(hosts.len(), "host"),
        parts.join(", ")
    );
    Line::new(paint, line)
}

/// Widths of the columns, without the two spaces between them.
struct Columns {
    check: usize,
    status: usize,
    measured: usize,
    required: usize,
}

const INDENT: usize = 2;
const GAP: usize = 2;
const NARROWEST: usize = 16;

impl Columns {
    fn fit(findings: &[Finding], width: usize) -> Self {
        let widest = |heading: &str, cell: fn(&Finding) -> &str| {
            findings
                .iter()
                .map(|finding| cell(finding).chars().count())
                .chain([heading.len()])
                .max()
                .unwrap_or(0)
        };
        let check = widest("CHECK", |finding| &finding.check);
        let status = widest("STATUS", word);
        let measured = widest("MEASURED", |finding| &finding.measured);
        let required = widest("REQUIRED", |finding| &finding.required);
        let room = width
            .saturating_sub(INDENT + check + status + 3 * GAP)
            .max(2 * NARROWEST);
        // What fits into its half leaves the rest to the other column.
        let half = room / 2;
        let (measured, required) = if measured + required <= room {
            (measured, required)
        } else if measured <= half {
            (measured, room - measured)
        } else if required <= half {
            (room - required, required)
        } else {
            (half, room - half)
        };
        Self {
            check,
            status,
            measured,
            required,
        }
    }

    fn cells(&self, check: &str, status: &str, measured: &str, required: &str) -> String {
        let line = format!(
            "{:INDENT$}{check:<c$}{:GAP$}{status:<s$}{:GAP$}{measured:<m$}{:GAP$}{required}",
            "",
            "",
            "",
            "",
            c = self.check,
            s = self.status,
            m = self.measured,
        );
        line.trim_end().to_owned()
    }

    fn heading(&self) -> Line {
        Line::new(
            Paint::Faint,
            self.cells("CHECK", "STATUS", "MEASURED", "REQUIRED"),
        )
    }

    fn row(&self, finding: &Finding) -> Vec<Line> {
        let measured = text::wrap(&text::tame(&finding.measured), self.measured);
        let required = text::wrap(&text::tame(&finding.required), self.required);
        let mut lines = Vec::new();
        for index in 0..measured.len().max(required.len()) {
            let cell = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
            let (check, status) = match index {
                0 => (finding.check.as_str(), word(finding)),
                _ => ("", ""),
            };
            let row = self.cells(check, status, &cell(&measured), &cell(&required));
            lines.push(Line::new(paint(finding), row));
        }
        if let Some(reason) = &finding.waived {
            lines.extend(self.note("waived: ", reason));
        }
        if !finding.remedy.is_empty() && finding.status != Status::Pass {
            lines.extend(self.note("remedy: ", &finding.remedy));
        }
        lines
    }

    /// A text below a row, as wide as the table.
    fn note(&self, lead: &str, content: &str) -> Vec<Line> {
        let indent = INDENT + self.check + GAP;
        let width = self.status + self.measured + self.required + 2 * GAP;
        let lines: Vec<String> = text::tame_lines(content).collect();
        text::wrap_words(&lines.join("\n"), width.saturating_sub(lead.len()))
            .into_iter()
            .enumerate()
            .map(|(index, line)| {
                let lead = if index == 0 { lead } else { "" };
                let width = "remedy: ".len();
                Line::new(Paint::Plain, format!("{:indent$}{lead:width$}{line}", ""))
            })
            .collect()
    }
}
