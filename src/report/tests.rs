//! One fixed story through every renderer, and a canary that must not come out of any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::json::{JsonDocument, JsonLines};
use super::log::Log;
use super::narrator::Narrator;
use super::output::testing::Written;
use super::plain::PlainScreen;
use super::{FindingsView, Renderer, StreamStyle};
use crate::engine::event::{Event, EventKind, NoticeLevel, Outcome, Recap};
use crate::precheck::{Finding, Status};

pub const STYLE: StreamStyle = StreamStyle {
    colour: false,
    width: 100,
};

/// An event with the time when it happens, in milliseconds.
pub fn at(milliseconds: u64, kind: EventKind) -> Event {
    Event {
        at: Duration::from_millis(milliseconds),
        kind,
    }
}

pub fn hosts(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("node{number}")).collect()
}

pub fn run_started() -> EventKind {
    EventKind::RunStarted {
        command: "init registry".into(),
        run_id: "20260102-030405-ab12".into(),
        version: "0.1.0".into(),
        hosts: hosts(3),
        check_mode: false,
        log_file: Some("kubekey/logs/20260102-030405-ab12.log".into()),
    }
}

pub fn task_started(task: u64, role: Option<&str>, name: &str) -> EventKind {
    EventKind::TaskStarted {
        task,
        name: name.into(),
        role: role.map(str::to_owned),
        module: "copy".into(),
        place: "roles/docker/tasks/main.yaml:12:3".into(),
        handler: false,
        hosts: hosts(3),
    }
}

pub fn begins(task: u64, host: &str) -> EventKind {
    EventKind::HostTaskStarted {
        task,
        host: host.into(),
    }
}

/// A result with nothing but its outcome.
pub fn ends(task: u64, host: &str, outcome: Outcome) -> EventKind {
    EventKind::HostTaskFinished {
        task,
        host: host.into(),
        outcome,
        item: None,
        message: None,
        hint: None,
        diff: None,
        details: None,
        duration: Duration::from_millis(1234),
        delegated_to: None,
    }
}

pub fn sends(host: &str, done: u64, finished: bool) -> EventKind {
    EventKind::Transfer {
        host: host.into(),
        name: "docker-24.0.7.tgz".into(),
        done: done << 20,
        total: 66 << 20,
        finished,
    }
}

fn finding(host: Option<&str>, check: &str, status: Status) -> Finding {
    Finding {
        check: check.into(),
        host: host.map(str::to_owned),
        status,
        measured: "16.4 GB".into(),
        required: "8 GB".into(),
        remedy: String::new(),
        waived: None,
    }
}

pub fn findings() -> Vec<Finding> {
    vec![
        finding(Some("node1"), "memory", Status::Pass),
        Finding {
            measured: "20.1 GB free on `/`, the file system of `/var/lib/docker-registry/data`"
                .into(),
            required: "100 GB free for images (`requirements.disk_gb`)".into(),
            remedy: "free some space, or move the data with \
                     `--set image_registry.docker_registry.storage.filesystem.rootdir=/big/disk`"
                .into(),
            ..finding(Some("node1"), "disk", Status::Fail)
        },
        Finding {
            measured: "unreachable".into(),
            required: "an answer".into(),
            remedy: "look at the line about `node2` above".into(),
            ..finding(Some("node2"), "memory", Status::Unknown)
        },
        Finding {
            measured: "7.9 GB".into(),
            remedy: "give the host more memory".into(),
            waived: Some("a test host".into()),
            ..finding(Some("node3"), "memory", Status::Fail)
        },
        Finding {
            measured: "0.9 s".into(),
            required: "less than 0.5 s between any two hosts".into(),
            remedy: "let a time service run on every host".into(),
            ..finding(None, "clock_skew", Status::Warn)
        },
    ]
}

/// A run with something of everything.
#[expect(clippy::too_many_lines, reason = "a story is told in one go")]
pub fn story() -> Vec<Event> {
    let finished = |task, host: &str, outcome, message: Option<&str>, item: Option<&str>| {
        let mut kind = ends(task, host, outcome);
        if let EventKind::HostTaskFinished {
            message: said,
            item: of,
            ..
        } = &mut kind
        {
            *said = message.map(str::to_owned);
            *of = item.map(str::to_owned);
        }
        kind
    };
    let mut story = vec![
        at(0, run_started()),
        at(
            10,
            EventKind::Notice {
                level: NoticeLevel::Warning,
                message: "`image_registry.auth.password` is not set; one is made".into(),
                hint: Some("it will be kept in `kubekey/secrets.yaml`".into()),
            },
        ),
    ];
    story.extend(
        findings()
            .into_iter()
            .map(|finding| at(400, EventKind::Finding(finding))),
    );
    story.push(at(
        500,
        EventKind::PlayStarted {
            name: "registry hosts".into(),
            hosts: hosts(3),
        },
    ));
    // One that is fine everywhere.
    story.push(at(600, task_started(1, None, "gather facts")));
    for host in hosts(3) {
        story.push(at(610, begins(1, &host)));
        story.push(at(900, ends(1, &host, Outcome::Ok)));
    }
    // One that changes things, with a transfer, a diff and a retry.
    story.push(at(
        1000,
        task_started(2, Some("docker"), "unpack the engine"),
    ));
    for host in hosts(3) {
        story.push(at(1010, begins(2, &host)));
    }
    story.push(at(1100, sends("node1", 0, false)));
    story.push(at(2100, sends("node1", 22, false)));
    story.push(at(3100, sends("node1", 44, false)));
    story.push(at(4100, sends("node1", 66, true)));
    story.push(at(
        4200,
        EventKind::HostTaskRetry {
            task: 2,
            host: "node2".into(),
            attempt: 1,
            attempts: 3,
            message: "tar: short read\nat byte 7".into(),
        },
    ));
    let mut changed = finished(
        2,
        "node1",
        Outcome::Changed,
        Some("mode 0644 -> 0755"),
        None,
    );
    if let EventKind::HostTaskFinished { diff, .. } = &mut changed {
        *diff = Some("--- before\n+++ after\n@@ -1 +1 @@\n-old\n+new\n".into());
    }
    story.push(at(4300, changed));
    story.push(at(4400, ends(2, "node2", Outcome::Changed)));
    story.push(at(4500, ends(2, "node3", Outcome::Ok)));
    // A loop.
    story.push(at(5000, task_started(3, Some("docker"), "make folders")));
    for host in hosts(3) {
        story.push(at(5010, begins(3, &host)));
        for item in ["/etc/docker", "/var/lib/docker"] {
            let outcome = if host == "node1" {
                Outcome::Changed
            } else {
                Outcome::Ok
            };
            story.push(at(5100, finished(3, &host, outcome, None, Some(item))));
        }
        let outcome = if host == "node1" {
            Outcome::Changed
        } else {
            Outcome::Ok
        };
        story.push(at(5200, ends(3, &host, outcome)));
    }
    // Skipped everywhere.
    story.push(at(
        6000,
        task_started(4, Some("keepalived"), "run keepalived"),
    ));
    for host in hosts(3) {
        let reason = Some("`image_registry.ha_vip` is not set");
        story.push(at(6010, finished(4, &host, Outcome::Skipped, reason, None)));
    }
    // Fails on one host, another one is lost, and the third ignores it.
    story.push(at(7000, task_started(5, Some("registry"), "start it")));
    for host in hosts(3) {
        story.push(at(7010, begins(5, &host)));
    }
    let mut failed = finished(
        5,
        "node1",
        Outcome::Failed,
        Some("start the unit `registry`: exit status 1"),
        None,
    );
    if let EventKind::HostTaskFinished { hint, details, .. } = &mut failed {
        *hint = Some("look at `journalctl -u registry` on the host".into());
        *details =
            Some("Job for registry.service failed.\r\nSee \x1b[1m\"journalctl\"\x1b[0m.\n".into());
    }
    story.push(at(19_000, failed));
    story.push(at(
        19_100,
        EventKind::HostUnreachable {
            host: "node2".into(),
            message: "lost the connection to 10.0.0.12: broken pipe".into(),
            hint: Some("is the host still up?".into()),
        },
    ));
    story.push(at(19_150, ends(5, "node2", Outcome::Unreachable)));
    let mut ignored = finished(5, "node3", Outcome::Ignored, Some("exit status 1"), None);
    if let EventKind::HostTaskFinished { delegated_to, .. } = &mut ignored {
        *delegated_to = Some("node1".into());
    }
    story.push(at(19_200, ignored));
    story.push(at(19_300, EventKind::CancelRequested { level: 1 }));
    let recap = |failed, unreachable, ignored, bytes_sent| Recap {
        ok: 12,
        changed: 2,
        unreachable,
        failed,
        skipped: 1,
        rescued: 0,
        ignored,
        bytes_sent,
    };
    story.push(at(
        19_400,
        EventKind::RunFinished {
            recap: vec![
                ("node1".into(), recap(1, 0, 0, 66 << 20)),
                ("node2".into(), recap(0, 1, 0, 0)),
                ("node3".into(), recap(0, 0, 1, 0)),
            ],
            duration: Duration::from_millis(19_400),
            exit_code: 6,
        },
    ));
    story.push(at(
        19_500,
        EventKind::Summary {
            lines: vec![
                ("registry".into(), "https://10.0.0.11".into()),
                ("password".into(), "in kubekey/secrets.yaml".into()),
                (String::new(), "docker login 10.0.0.11 -u admin".into()),
            ],
            data: BTreeMap::from([("registry".into(), json!("https://10.0.0.11"))]),
        },
    ));
    story
}

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

/// Every kind of event with the same text wherever text can come from a host, a template or a user.
fn saying(text: &str) -> Vec<EventKind> {
    let some = || Some(text.to_owned());
    let mut story = vec![
        EventKind::RunStarted {
            command: format!("run --set password={text}"),
            run_id: "r".into(),
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
            });
        }
    }
    story.extend([
        EventKind::HostUnreachable {
            host: "node2".into(),
            message: text.into(),
            hint: some(),
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

    let (progress, data) = plain(2, FindingsView::Data, STYLE, &story);
    let terminal = super::live::testing::Terminal::new(100);
    let live_data = Written::default();
    let screen = super::live::LiveScreen::new(
        terminal.target(),
        terminal.output(),
        STYLE,
        Some(live_data.output()),
        STYLE,
    );
    let mut live = Narrator::new(screen, 2, FindingsView::Problems);
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
    vec![
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
