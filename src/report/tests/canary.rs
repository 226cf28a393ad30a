//! A canary that must not come out of any renderer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::journal::{self, Journal};
use super::super::json::{JsonDocument, JsonLines};
use super::super::live::{LiveScreen, testing::Terminal};
use super::super::log::Log;
use super::super::narrator::Narrator;
use super::super::output::testing::Written;
use super::super::timings::Timings;
use super::super::{FindingsView, Renderer as _, history};
use super::{STYLE, begins, finding, hosts, plain, task_started, tell};
use crate::engine::event::{
    Again, Done, Event, EventKind, Note, NoticeLevel, Outcome, Recap, Wait,
};
use crate::precheck::{Finding, Status};

/// Every kind of event with the same text wherever text can come from a host, a template or a user.
fn saying(text: &str) -> Vec<EventKind> {
    let some = || Some(text.to_owned());
    let mut story = vec![
        EventKind::RunStarted {
            command: format!("run --set password={text}"),
            run_id: "r".into(),
            time: "2026-01-02T03:04:05Z".into(),
            version: "0.1.0".into(),
            hosts: hosts(3),
            check_mode: true,
            log_file: None,
        },
        EventKind::Notice {
            level: NoticeLevel::Error,
            message: text.into(),
            hint: some(),
        },
        EventKind::PlayStarted {
            name: text.into(),
            hosts: hosts(3),
        },
        task_started(1, Some("role"), text),
        begins(1, "node1"),
        EventKind::HostTaskRetry {
            task: 1,
            host: "node1".into(),
            attempt: 1,
            attempts: 2,
            message: text.into(),
        },
        EventKind::Transfer {
            host: "node1".into(),
            name: text.into(),
            done: 1,
            total: 2,
            finished: false,
        },
        EventKind::Transfer {
            host: "node1".into(),
            name: text.into(),
            done: 2,
            total: 2,
            finished: true,
        },
    ];
    for outcome in [
        Outcome::Ok,
        Outcome::Changed,
        Outcome::Skipped,
        Outcome::Failed,
        Outcome::Ignored,
        Outcome::Rescued,
        Outcome::Unreachable,
    ] {
        for item in [some(), None] {
            story.push(EventKind::HostTaskFinished {
                task: 1,
                host: "node1".into(),
                outcome,
                item,
                message: some(),
                hint: some(),
                diff: some(),
                details: some(),
                duration: Duration::ZERO,
                delegated_to: None,
                result: json!({"msg": text}).as_object().cloned(),
            });
        }
    }
    for again in [
        None,
        Some(Again {
            why: "no".into(),
            print: "1".into(),
        }),
    ] {
        story.push(EventKind::Journal(Note::Done(Done {
            task: 1,
            host: "node1".into(),
            step: "s".into(),
            outcome: Outcome::Ok,
            result: json!({"key": [text], text: 1}).as_object().cloned(),
            again,
        })));
    }
    story.extend([
        EventKind::HostConnected {
            host: "node1".into(),
            target: text.into(),
            duration: Duration::ZERO,
            error: some(),
        },
        EventKind::HostCommand {
            task: 1,
            host: "node1".into(),
            target: "root@node1".into(),
            command: text.into(),
            status: None,
            bytes: 0,
            duration: Duration::ZERO,
            error: some(),
        },
        EventKind::HostWaits {
            task: 1,
            host: "node1".into(),
            duration: Duration::from_secs(1),
            why: Wait::Retry,
        },
        EventKind::HostUnreachable {
            host: "node2".into(),
            message: text.into(),
            hint: some(),
            task: Some(1),
            task_name: some(),
            may_have_run: true,
        },
        EventKind::Finding(Finding {
            measured: text.into(),
            required: text.into(),
            remedy: text.into(),
            waived: some(),
            ..finding(None, "check", Status::Fail)
        }),
        EventKind::RunFinished {
            recap: vec![("node1".into(), Recap::default())],
            duration: Duration::ZERO,
            exit_code: 0,
        },
        EventKind::Summary {
            lines: vec![("label".into(), text.into())],
            data: BTreeMap::from([("key".into(), json!({"deep": [text], text: 1}))]),
        },
    ]);
    story
}

/// What comes out of every renderer for events that went through the channel.
fn everywhere(
    redactor: &crate::secret::Redactor,
    kinds: Vec<EventKind>,
) -> Vec<(&'static str, String)> {
    let (events, mut receiver) = crate::engine::event::Events::channel(redactor.clone());
    for kind in kinds {
        events.send(kind);
    }
    drop(events);
    let mut story = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        story.push(event);
    }
    assert!(story.len() > 20);

    let (progress, data) = plain(3, FindingsView::Data, STYLE, &story);
    let terminal = Terminal::new(100);
    let live_data = Written::default();
    let screen = LiveScreen::new(
        terminal.target(),
        terminal.output(),
        STYLE,
        Some(live_data.output()),
        STYLE,
    );
    let mut live = Narrator::new(screen, 3, FindingsView::Problems);
    for event in &story {
        live.event(event);
        live.tick(event.at);
    }
    live.finish(Duration::ZERO);
    let (document, lines) = (Written::default(), Written::default());
    tell(&mut JsonDocument::new(document.output()), &story);
    tell(&mut JsonLines::new(lines.output()), &story);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.log");
    tell(
        &mut Log::create(&path, std::time::UNIX_EPOCH).unwrap(),
        &story,
    );
    let work_dir = folder.path();
    tell(
        &mut Journal::create(&journal::path_of(work_dir, "r")).unwrap(),
        &story,
    );
    let past = journal::read(work_dir, "r").unwrap();
    // Everything that a run may hold is read again as it was written.
    let kept = |event: &&Event| {
        !matches!(
            event.kind,
            EventKind::Finding(_) | EventKind::Summary { .. } | EventKind::HostCommand { .. }
        )
    };
    assert_eq!(past.events.len(), story.iter().filter(kept).count());
    let report = history::Report::new("r", &past);
    vec![
        (
            "journal",
            std::fs::read_to_string(journal::path_of(work_dir, "r")).unwrap(),
        ),
        ("timings", Timings::of(&story).page()),
        ("history", history::table(&history::list(work_dir))),
        ("history show", report.text()),
        ("history show as JSON", report.json().to_string()),
        ("plain", progress),
        ("plain data", data),
        ("live", terminal.written()),
        ("live data", live_data.text()),
        ("json", document.text()),
        ("jsonl", lines.text()),
        ("log", std::fs::read_to_string(path).unwrap()),
    ]
}

#[test]
fn the_canary_would_be_seen() {
    // Without the redactor's knowledge every renderer shows the text: the test below looks in the right places.
    let redactor = crate::secret::Redactor::new();
    for (renderer, text) in everywhere(&redactor, saying("canary-in-the-mine")) {
        assert!(text.contains("canary-in-the-mine"), "{renderer}: {text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn a_learnt_secret_comes_out_of_no_renderer(
        secret in "[!-~]{6,20}",
        before in "[a-z ]{0,10}",
        form in 0usize..3,
    ) {
        use base64::Engine as _;

        let redactor = crate::secret::Redactor::new();
        redactor.learn(&secret);
        let shown = match form {
            0 => secret.clone(),
            1 => base64::engine::general_purpose::STANDARD.encode(&secret),
            _ => format!("'{}'", secret.replace('\'', r"'\''")),
        };
        for (renderer, text) in everywhere(&redactor, saying(&format!("{before}{shown} after"))) {
            proptest::prop_assert!(!text.contains(&secret), "{}: {}", renderer, text);
            proptest::prop_assert!(
                !text.contains(shown.trim_end_matches('=')) || shown.starts_with('\''),
                "{}: {}", renderer, text
            );
        }
    }
}
