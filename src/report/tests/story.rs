//! One fixed story with something of everything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::super::StreamStyle;
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
        time: "2026-01-02T03:04:05Z".into(),
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
        result: None,
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

pub fn finding(host: Option<&str>, check: &str, status: Status) -> Finding {
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
            task: Some(5),
            task_name: Some("start the registry".into()),
            may_have_run: true,
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
