//! The page itself: HTML that needs nothing else, readable with and without its script, in light and in dark.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Bar, Doing, Ended, Timings, word};
use crate::report::text;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Bars that a page may have: what is too narrow to be seen is drawn together until there are no more.
const MOST_BARS: usize = 20_000;

/// From this number of hosts on lanes are narrow.
const MANY: usize = 40;

/// Rows of the table of tasks.
const MOST_TASKS: usize = 50;

/// Width of a lane in its own units.
const WIDTH: f64 = 10_000.0;

/// Text as HTML shows it.
fn escape(content: &str) -> String {
    let mut escaped = String::with_capacity(content.len());
    for character in text::tame(content).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `12 ms`, `1.25 s`, `2 min 5 s`.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0 if time.is_zero() => "0".to_owned(),
        0 => "<1 ms".to_owned(),
        milliseconds @ 1..1000 => format!("{milliseconds} ms"),
        1000..10_000 => format!("{:.2} s", time.as_secs_f64()),
        _ => text::duration(time),
    }
}

impl Doing {
    const fn class(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Turn => "turn",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Transfer => "transfer",
            Self::Task(ended) => match ended {
                Ended::Ok => "ok",
                Ended::Changed => "changed",
                Ended::Skipped => "skipped",
                Ended::Forgiven => "forgiven",
                Ended::Failed => "failed",
                Ended::CutOff => "cutoff",
            },
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Turn => "waits for its turn (forks, throttle)",
            Self::Retry => "waits before the next attempt",
            Self::Pause => "waits before the next item",
            Self::Transfer => "transfer",
            Self::Task(ended) => word(ended),
        }
    }

    /// Where on a lane of 22 units: top and height. What happens at the same time does not hide each other.
    const fn rows(self) -> (u32, u32) {
        match self {
            Self::Turn => (9, 4),
            Self::Transfer => (17, 4),
            Self::Retry | Self::Pause => (6, 10),
            Self::Task(Ended::Skipped) => (7, 8),
            Self::Task(_) | Self::Connect => (3, 14),
        }
    }

    const ALL: [Self; 11] = [
        Self::Task(Ended::Ok),
        Self::Task(Ended::Changed),
        Self::Task(Ended::Skipped),
        Self::Task(Ended::Forgiven),
        Self::Task(Ended::Failed),
        Self::Task(Ended::CutOff),
        Self::Connect,
        Self::Turn,
        Self::Retry,
        Self::Pause,
        Self::Transfer,
    ];
}

/// Several bars of one kind that are drawn as one.
struct Drawn {
    bar: Bar,
    count: usize,
}

/// The bars of a lane, those of one kind drawn together where less than `gap` lies between them and both are narrow.
fn drawn(lane: &[Bar], gap: Duration) -> Vec<Drawn> {
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut last: BTreeMap<Doing, usize> = BTreeMap::new();
    for bar in lane {
        let known = last.get(&bar.doing).and_then(|index| drawn.get_mut(*index));
        let narrow = |bar: &Bar| bar.to.saturating_sub(bar.from) <= gap;
        if let Some(before) = known
            && bar.from.saturating_sub(before.bar.to) <= gap
            && (narrow(bar) || narrow(&before.bar))
        {
            before.bar.to = before.bar.to.max(bar.to);
            before.count += 1;
            continue;
        }
        last.insert(bar.doing, drawn.len());
        drawn.push(Drawn {
            bar: *bar,
            count: 1,
        });
    }
    drawn
}

/// The page of a run.
pub fn page(timings: &Timings) -> String {
    let mut html = String::new();
    let total = timings.end.max(Duration::from_millis(1));
    let title = format!("kk {}", timings.command);
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{} - timings</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&title)
    );
    head(&mut html, timings, &title);
    let gap = gap(timings, total);
    chart(&mut html, timings, total, gap);
    tasks(&mut html, timings);
    plays(&mut html, timings);
    hosts(&mut html, timings);
    let _ = write!(html, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    html
}

/// How near bars have to be to be drawn as one, so that the page stays small.
fn gap(timings: &Timings, total: Duration) -> Duration {
    let mut gap = total / 4000;
    for _ in 0..8 {
        let bars: usize = timings
            .hosts
            .values()
            .map(|lane| drawn(lane, gap).len())
            .sum();
        if bars <= MOST_BARS {
            break;
        }
        gap *= 2;
    }
    gap
}

fn head(html: &mut String, timings: &Timings, title: &str) {
    let _ = writeln!(html, "<h1>{}</h1>", escape(title));
    let result = match timings.exit_code {
        Some(0) => "ok".to_owned(),
        Some(code) => format!("exit code {code}"),
        None => "cut off".to_owned(),
    };
    let busy: Duration = timings.tasks.values().map(|task| task.total).sum();
    let waited: Duration = timings.tasks.values().map(|task| task.waited).sum();
    let mut facts = vec![
        ("run", timings.run.clone()),
        ("began (UTC)", timings.time.clone()),
        ("took", short(timings.end)),
        ("result", result),
        ("hosts", timings.hosts.len().to_string()),
        ("tasks", timings.tasks.len().to_string()),
        ("work of all hosts", short(busy)),
        ("waits for a turn", short(waited)),
        ("kk", timings.version.clone()),
    ];
    if timings.check_mode {
        facts.push(("mode", "check: nothing was changed".to_owned()));
    }
    html.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(
            html,
            "<div><dt>{name}</dt><dd>{}</dd></div>",
            escape(&value)
        );
    }
    html.push_str("</dl>\n");
}

/// A time as a part of the whole, in per cent.
fn percent(time: Duration, total: Duration) -> f64 {
    100.0 * time.as_secs_f64() / total.as_secs_f64()
}

fn chart(html: &mut String, timings: &Timings, total: Duration, gap: Duration) {
    html.push_str("<h2>Hosts</h2>\n<ul class=\"legend\">\n");
    for doing in Doing::ALL {
        let (top, height) = doing.rows();
        let _ = writeln!(
            html,
            "<li><svg viewBox=\"0 0 18 22\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"{}\" y=\"{top}\" width=\"18\" height=\"{height}\"/></svg>{}</li>",
            doing.class(),
            doing.words()
        );
    }
    html.push_str(
        "</ul>\n<div class=\"tools\"><label>hosts <input id=\"filter\" type=\"search\" placeholder=\"part of a name\"></label>\
         <label>zoom <input id=\"zoom\" type=\"range\" min=\"1\" max=\"40\" step=\"1\" value=\"1\"></label></div>\n",
    );
    let many = if timings.hosts.len() > MANY {
        " many"
    } else {
        ""
    };
    let _ = writeln!(
        html,
        "<div class=\"chart{many}\" tabindex=\"0\">\n<div class=\"rows\">"
    );
    axis(html, total);
    if !timings.plays.is_empty() {
        html.push_str("<div class=\"lane\"><span class=\"name\">plays</span><div class=\"track\">");
        for play in &timings.plays {
            let name = escape(&play.name);
            let took = play.ended.saturating_sub(play.began);
            let _ = write!(
                html,
                "<span class=\"play\" style=\"left:{:.3}%;width:{:.3}%\" title=\"{name}: {}\">{name}</span>",
                percent(play.began, total),
                percent(took, total),
                short(took)
            );
        }
        html.push_str("</div></div>\n");
    }
    load(html, timings, total);
    for (host, lane) in &timings.hosts {
        let _ = write!(
            html,
            "<div class=\"lane host\"><span class=\"name\" title=\"{0}\">{0}</span><svg viewBox=\"0 0 {WIDTH} 22\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{0}\">",
            escape(host)
        );
        let mut bars = drawn(lane, gap);
        // What is narrow in height lies above what is not.
        bars.sort_by_key(|drawn| std::cmp::Reverse(drawn.bar.doing.rows().1));
        for drawn in &bars {
            rect(html, timings, drawn, total);
        }
        html.push_str("</svg></div>\n");
    }
    html.push_str("</div>\n</div>\n");
}

fn rect(html: &mut String, timings: &Timings, drawn: &Drawn, total: Duration) {
    let bar = &drawn.bar;
    let took = bar.to.saturating_sub(bar.from);
    let (top, height) = bar.doing.rows();
    let x = percent(bar.from, total) * WIDTH / 100.0;
    // What is there can be seen.
    let width = (percent(took, total) * WIDTH / 100.0).clamp(4.0, WIDTH);
    let x = x.min(WIDTH - width);
    let what = match (
        drawn.count,
        bar.task.and_then(|task| timings.tasks.get(&task)),
    ) {
        (1, Some(task)) => format!("{}\n{}", task.title, bar.doing.words()),
        (1, None) => bar.doing.words().to_owned(),
        (count, _) => format!("{count} times {}", bar.doing.words()),
    };
    // A line break in a tooltip is a line break.
    let what: Vec<String> = what.lines().map(escape).collect();
    let _ = write!(
        html,
        "<rect class=\"{}\" x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\"><title>{}\n{} at {}</title></rect>",
        bar.doing.class(),
        what.join("\n"),
        short(took),
        text::elapsed(bar.from)
    );
}

/// Times along the top.
fn axis(html: &mut String, total: Duration) {
    html.push_str(
        "<div class=\"lane top\"><span class=\"name dim\">time</span><div class=\"track\">",
    );
    let step = step(total.as_secs_f64() / 8.0);
    let mut at = 0.0;
    // The last one needs room for its words.
    while at < total.as_secs_f64() * 0.96 {
        let words = if step < 1.0 {
            format!("{at:.3}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
                + " s"
        } else {
            short(Duration::from_secs_f64(at))
        };
        let _ = write!(
            html,
            "<span class=\"tick\" style=\"left:{:.3}%\">{words}</span>",
            100.0 * at / total.as_secs_f64()
        );
        at += step;
    }
    html.push_str("</div></div>\n");
}

/// The next round number of seconds.
fn step(wanted: f64) -> f64 {
    let round = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
        60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0,
    ];
    round
        .into_iter()
        .find(|step| *step >= wanted)
        .unwrap_or_else(|| (wanted / 3600.0).ceil() * 3600.0)
}

/// How many hosts worked, and how many waited for their turn, over time.
fn load(html: &mut String, timings: &Timings, total: Duration) {
    const PARTS: usize = 240;
    let mut busy = vec![0.0_f64; PARTS];
    let mut idle = vec![0.0_f64; PARTS];
    let part = total.as_secs_f64() / 240.0;
    for bar in timings.hosts.values().flatten() {
        let sums = match bar.doing {
            Doing::Task(_) => &mut busy,
            Doing::Turn => &mut idle,
            _ => continue,
        };
        let (from, to) = (bar.from.as_secs_f64() / part, bar.to.as_secs_f64() / part);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 240"
        )]
        let (first, last) = (from.floor() as usize, to.ceil() as usize);
        for (index, sum) in sums.iter_mut().enumerate().take(last).skip(first) {
            #[expect(clippy::cast_precision_loss, reason = "at most 240")]
            let left = index as f64;
            *sum += (to.min(left + 1.0) - from.max(left)).max(0.0);
        }
    }
    let most = busy
        .iter()
        .zip(&idle)
        .map(|(busy, idle)| busy + idle)
        .fold(1.0_f64, f64::max);
    let curve = |values: &[f64]| {
        let mut path = "M0 56".to_owned();
        for (index, value) in values.iter().enumerate() {
            let _ = write!(
                path,
                "V{:.1}H{}",
                56.0 - 52.0 * value / most,
                (index + 1) * 10
            );
        }
        path.push_str("V56Z");
        path
    };
    let both: Vec<f64> = busy
        .iter()
        .zip(&idle)
        .map(|(busy, idle)| busy + idle)
        .collect();
    let at_work = busy.iter().copied().fold(0.0, f64::max);
    let _ = writeln!(
        html,
        "<div class=\"lane load\"><span class=\"name\" title=\"hosts at work, and above them hosts that wait for their turn\">at work (most: {at_work:.0})</span>\
         <svg viewBox=\"0 0 2400 56\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"hosts at work over time\"><path class=\"idle\" d=\"{}\"/><path class=\"busy\" d=\"{}\"/></svg></div>",
        curve(&both),
        curve(&busy)
    );
}

fn table(html: &mut String, heads: &[(&str, bool)]) {
    html.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (head, is_number) in heads {
        let class = if *is_number { " class=\"number\"" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{class}>{head}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
}

fn tasks(html: &mut String, timings: &Timings) {
    let mut tasks: Vec<_> = timings.tasks.values().collect();
    tasks.sort_by_key(|task| std::cmp::Reverse(task.total));
    let largest = tasks.first().map(|task| task.total).unwrap_or_default();
    html.push_str("<h2>Slowest tasks</h2>\n");
    if tasks.len() > MOST_TASKS {
        let _ = writeln!(
            html,
            "<p class=\"dim\">the first {MOST_TASKS} of {}, by the work of all hosts</p>",
            tasks.len()
        );
    }
    table(
        html,
        &[
            ("task", false),
            ("module", false),
            ("work of all hosts", true),
            ("slowest host", true),
            ("from begin to end", true),
            ("waits for a turn", true),
            ("results", false),
        ],
    );
    for task in tasks.into_iter().take(MOST_TASKS) {
        let longest = task
            .longest
            .as_ref()
            .map_or_else(String::new, |(host, took)| {
                format!(
                    "{} <span class=\"dim\">{}</span>",
                    short(*took),
                    escape(host)
                )
            });
        let results: Vec<String> = task
            .results
            .iter()
            .map(|(ended, count)| {
                let class = if *ended == Ended::Failed {
                    " class=\"bad\""
                } else {
                    ""
                };
                format!("<span{class}>{count} {}</span>", word(*ended))
            })
            .collect();
        let share = if largest.is_zero() {
            0.0
        } else {
            percent(task.total, largest)
        };
        let _ = writeln!(
            html,
            "<tr><td class=\"words\">{}<br><span class=\"dim\">{}</span></td><td>{}</td><td class=\"number share\" style=\"--share:{share:.1}%\">{}</td><td class=\"number\">{longest}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            escape(&task.title),
            escape(&task.place),
            escape(&task.module),
            short(task.total),
            short(task.ended.saturating_sub(task.began)),
            short(task.waited),
            results.join(", ")
        );
    }
    html.push_str("</tbody></table></div>\n");
}

fn plays(html: &mut String, timings: &Timings) {
    if timings.plays.is_empty() {
        return;
    }
    html.push_str("<h2>Plays</h2>\n");
    table(
        html,
        &[
            ("play", false),
            ("hosts", true),
            ("tasks", true),
            ("began", true),
            ("took", true),
        ],
    );
    for play in &timings.plays {
        let _ = writeln!(
            html,
            "<tr><td class=\"words\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escape(&play.name),
            play.hosts,
            play.tasks,
            text::elapsed(play.began),
            short(play.ended.saturating_sub(play.began))
        );
    }
    html.push_str("</tbody></table></div>\n");
}

/// The recap, and what each host did with its time.
fn hosts(html: &mut String, timings: &Timings) {
    html.push_str("<h2>Recap</h2>\n");
    let mut heads = vec![("host", false)];
    heads.extend(
        [
            "ok",
            "changed",
            "unreachable",
            "failed",
            "skipped",
            "rescued",
            "ignored",
            "sent",
            "at work",
            "waits for a turn",
            "other waits",
            "connecting",
            "transfers",
        ]
        .map(|head| (head, true)),
    );
    table(html, &heads);
    for (host, lane) in &timings.hosts {
        let sum = |wanted: fn(Doing) -> bool| -> Duration {
            let bars = lane.iter().filter(|bar| wanted(bar.doing));
            bars.map(|bar| bar.to.saturating_sub(bar.from)).sum()
        };
        let waits = sum(|doing| matches!(doing, Doing::Retry | Doing::Pause));
        let work = sum(|doing| matches!(doing, Doing::Task(_))).saturating_sub(waits);
        let _ = write!(html, "<tr><td class=\"words\">{}</td>", escape(host));
        match timings.recap.get(host) {
            Some(recap) => {
                for (value, is_bad) in [
                    (recap.ok, false),
                    (recap.changed, false),
                    (recap.unreachable, true),
                    (recap.failed, true),
                    (recap.skipped, false),
                    (recap.rescued, false),
                    (recap.ignored, false),
                ] {
                    let class = if is_bad && value > 0 {
                        "number bad"
                    } else {
                        "number"
                    };
                    let _ = write!(html, "<td class=\"{class}\">{value}</td>");
                }
                let _ = write!(
                    html,
                    "<td class=\"number\">{}</td>",
                    text::bytes(recap.bytes_sent)
                );
            }
            None => html.push_str("<td class=\"number\" colspan=\"8\"></td>"),
        }
        for time in [
            work,
            sum(|doing| doing == Doing::Turn),
            waits,
            sum(|doing| doing == Doing::Connect),
            sum(|doing| doing == Doing::Transfer),
        ] {
            let _ = write!(html, "<td class=\"number\">{}</td>", short(time));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}
