//! One fixed story through every renderer.

mod canary;
mod story;

use std::time::Duration;

use super::json::{JsonDocument, JsonLines};
use super::log::Log;
use super::narrator::Narrator;
use super::output::testing::Written;
use super::plain::PlainScreen;
use super::{FindingsView, Renderer, StreamStyle};
use crate::engine::event::{Event, EventKind, NoticeLevel};

pub use story::{STYLE, at, begins, ends, finding, findings, hosts, sends, story, task_started};

/// Shows events with the ticks that come between them.
pub fn tell(renderer: &mut dyn Renderer, events: &[Event]) {
    let mut now = Duration::ZERO;
    for event in events {
        while now + Duration::from_secs(1) < event.at {
            now += Duration::from_secs(1);
            renderer.tick(now);
        }
        renderer.event(event);
    }
    renderer.finish(now);
}

/// What plain output has on standard error and standard output.
fn plain(
    verbosity: u8,
    view: FindingsView,
    style: StreamStyle,
    events: &[Event],
) -> (String, String) {
    let (progress, data) = (Written::default(), Written::default());
    let screen = PlainScreen::new(progress.output(), style, Some(data.output()), style);
    tell(&mut Narrator::new(screen, verbosity, view), events);
    (progress.text(), data.text())
}

#[test]
fn plain_lines() {
    let (progress, data) = plain(0, FindingsView::Problems, STYLE, &story());
    insta::assert_snapshot!("plain", progress);
    insta::assert_snapshot!("plain_data", data);
}

#[test]
fn the_summary_is_read_last() {
    let written = Written::default();
    let screen = PlainScreen::new(written.output(), STYLE, None, STYLE);
    let mut events = story();
    let summary = events.pop().unwrap();
    assert!(matches!(summary.kind, EventKind::Summary { .. }));
    let finished = events.pop().unwrap();
    events.extend([summary, finished]);
    tell(
        &mut Narrator::new(screen, 0, FindingsView::Problems),
        &events,
    );
    let last = written.text().lines().last().unwrap().to_owned();
    assert_eq!(last, "docker login 10.0.0.11 -u admin");
}

#[test]
fn what_debug_says_is_always_shown() {
    let EventKind::TaskStarted {
        task,
        name,
        role,
        place,
        ..
    } = task_started(1, None, "say")
    else {
        unreachable!()
    };
    let started = EventKind::TaskStarted {
        task,
        name,
        role,
        module: "debug".to_owned(),
        place,
        handler: false,
        hosts: hosts(1),
    };
    let mut said = ends(1, "node1", crate::engine::event::Outcome::Ok);
    if let EventKind::HostTaskFinished { message, .. } = &mut said {
        *message = Some("one\ntwo".to_owned());
    }
    let events = [at(0, started), at(10, begins(1, "node1")), at(20, said)];
    let (progress, _) = plain(0, FindingsView::Problems, STYLE, &events);
    insta::assert_snapshot!(progress);
}

#[test]
fn plain_lines_that_say_more() {
    insta::assert_snapshot!(
        "plain_v",
        plain(1, FindingsView::Problems, STYLE, &story()).0
    );
    insta::assert_snapshot!(
        "plain_vv",
        plain(2, FindingsView::Problems, STYLE, &story()).0
    );
}

#[test]
fn every_plain_line_begins_with_the_time() {
    let (progress, _) = plain(2, FindingsView::Problems, STYLE, &story());
    for line in progress.lines() {
        let time = line.split("  ").next().unwrap();
        assert!(
            time.len() == 7 && time.contains(':') && time.contains('.'),
            "{line}"
        );
    }
}

#[test]
fn colour_says_nothing_that_words_do_not() {
    let style = StreamStyle {
        colour: true,
        ..STYLE
    };
    let (progress, data) = plain(1, FindingsView::Data, style, &story());
    assert!(progress.contains("\x1b["));
    let without = plain(1, FindingsView::Data, STYLE, &story());
    let strip = |text: &str| anstream::adapter::strip_str(text).to_string();
    assert_eq!((strip(&progress), strip(&data)), without);
}

#[test]
fn findings_that_were_asked_for_are_data() {
    let (progress, data) = plain(0, FindingsView::Data, STYLE, &story());
    assert!(!progress.contains("FAIL"), "{progress}");
    insta::assert_snapshot!("findings", data);
    let narrow = super::findings::table(&findings(), 60);
    let narrow: Vec<String> = narrow.into_iter().map(|line| line.text).collect();
    insta::assert_snapshot!("findings_narrow", narrow.join("\n"));
    let is_wide = |line: &&String| line.chars().count() > 60;
    let wide: Vec<&String> = narrow.iter().filter(is_wide).collect();
    // The counts, and a path that is not broken.
    assert!(wide.len() == 2 && wide[0].contains("rootdir="), "{wide:?}");
}

#[test]
fn a_json_document() {
    let written = Written::default();
    tell(&mut JsonDocument::new(written.output()), &story());
    let document: serde_json::Value = serde_json::from_str(&written.text()).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), 5);
    insta::assert_snapshot!("json", written.text());
}

#[test]
fn no_events_no_document() {
    let written = Written::default();
    tell(&mut JsonDocument::new(written.output()), &[]);
    assert_eq!(written.text(), "");
}

#[test]
fn json_lines() {
    let written = Written::default();
    tell(&mut JsonLines::new(written.output()), &story());
    let events = story();
    assert_eq!(written.text().lines().count(), events.len());
    for line in written.text().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            object["at"].is_number() && object["event"].is_string(),
            "{line}"
        );
    }
    insta::assert_snapshot!("jsonl", written.text());
}

#[test]
fn the_log_has_everything_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/run.log");
    let started = std::time::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    tell(&mut Log::create(&path, started).unwrap(), &story());
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    insta::assert_snapshot!("log", std::fs::read_to_string(&path).unwrap());
    // A log is never written over.
    assert!(Log::create(&path, started).is_err());
}

#[tokio::test]
async fn the_reporter_shows_all_and_ends_although_a_sender_lives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    let redactor = crate::secret::Redactor::new();
    let (events, receiver) = crate::engine::event::Events::channel(redactor);
    let options = super::ReportOptions {
        format: super::Format::Plain,
        surroundings: super::Surroundings::of(false, None, None, |_| None),
        verbosity: 0,
        journal: None,
        timings: None,
        log_file: Some(path.clone()),
        findings: FindingsView::Problems,
    };
    let handle = super::spawn(receiver, &options).unwrap();
    assert_eq!(handle.pauser().pause(|| 7), 7);
    for number in 0..500 {
        events.notice(NoticeLevel::Info, format!("number {number}"));
    }
    tokio::time::timeout(Duration::from_secs(10), handle.finish())
        .await
        .unwrap();
    let log = std::fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().count(), 500);
    // Nobody listens any more: not an error.
    events.notice(NoticeLevel::Info, "late");
    // The log of another run with the same name is an error, before anything is shown.
    let (_, receiver) = crate::engine::event::Events::channel(crate::secret::Redactor::new());
    let error = super::spawn(receiver, &options).unwrap_err();
    assert!(error.to_string().contains("run.log"), "{error}");
}
