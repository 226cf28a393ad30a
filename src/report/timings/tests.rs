use std::time::Duration;

use super::super::tests::{at, begins, ends, hosts, sends, story, task_started};
use super::*;
use crate::engine::event::EventKind;

fn count(page: &str, part: &str) -> usize {
    page.matches(part).count()
}

#[test]
fn a_lane_for_each_host_and_a_bar_for_each_task() {
    let mut timings = Timings::of(&story());
    let page = timings.page();
    assert_eq!(count(&page, "<div class=\"lane host\">"), 3);
    for host in hosts(3) {
        assert!(page.contains(&format!("aria-label=\"{host}\"")), "{host}");
    }
    assert!(page.contains("<rect class=\"changed\""));
    assert!(page.contains("docker : unpack the engine"));
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn waits_are_told_from_work() {
    let mut events = vec![at(0, task_started(1, None, "one"))];
    events.push(at(1000, begins(1, "node1")));
    events.push(at(
        2000,
        EventKind::HostWaits {
            task: 1,
            host: "node1".into(),
            duration: Duration::from_secs(3),
            why: Wait::Retry,
        },
    ));
    events.push(at(2500, sends("node1", 0, false)));
    events.push(at(4500, sends("node1", 66, true)));
    events.push(at(6000, ends(1, "node1", Outcome::Changed)));
    let timings = Timings::of(&events);
    let lane: Vec<(Doing, u128, u128)> = timings.hosts["node1"]
        .iter()
        .map(|bar| (bar.doing, bar.from.as_millis(), bar.to.as_millis()))
        .collect();
    assert_eq!(
        lane,
        [
            (Doing::Turn, 0, 1000),
            (Doing::Retry, 2000, 5000),
            (Doing::Transfer, 2500, 4500),
            (Doing::Task(Ended::Changed), 1000, 6000),
        ]
    );
    let task = &timings.tasks[&1];
    assert_eq!(task.total, Duration::from_secs(5));
    assert_eq!(task.waited, Duration::from_secs(1));
    assert_eq!(
        task.longest,
        Some(("node1".to_owned(), Duration::from_secs(5)))
    );
}

#[test]
fn what_was_going_on_when_a_run_was_cut_off_is_shown() {
    let events = [
        at(0, task_started(1, None, "one")),
        at(0, begins(1, "node1")),
        at(0, begins(1, "node2")),
        at(5000, ends(1, "node2", Outcome::Ok)),
    ];
    let page = Timings::of(&events).page();
    assert!(page.contains("class=\"cutoff\" x=\"0.0\""), "{page}");
    assert!(page.contains("1 cut off"));
}

#[test]
fn what_users_and_hosts_wrote_cannot_become_markup() {
    let nasty = "</title><script>alert(1)</script>\"'&";
    let mut events = vec![
        at(
            0,
            EventKind::PlayStarted {
                name: nasty.into(),
                hosts: vec![nasty.into()],
            },
        ),
        at(0, task_started(1, Some(nasty), nasty)),
        at(0, begins(1, nasty)),
        at(10, ends(1, nasty, Outcome::Failed)),
    ];
    if let EventKind::TaskStarted { place, module, .. } = &mut events[1].kind {
        (*place, *module) = (nasty.into(), nasty.into());
    }
    let page = Timings::of(&events).page();
    assert_eq!(count(&page, "<script>"), 1);
    assert!(!page.contains("alert(1)</script>"));
    assert!(page.contains("&lt;/title&gt;&lt;script&gt;alert(1)"));
}

#[test]
fn a_large_run_is_still_a_page() {
    let names: Vec<String> = (0..500).map(|number| format!("host{number}")).collect();
    let mut events = Vec::new();
    for task in 0..100_u64 {
        events.push(at(task * 1000, task_started(task, None, "a task")));
        for (index, host) in names.iter().enumerate() {
            let from = task * 1000 + index as u64;
            events.push(at(from, begins(task, host)));
            let outcome = if (index as u64 + task).is_multiple_of(3) {
                Outcome::Changed
            } else {
                Outcome::Ok
            };
            events.push(at(from + 300, ends(task, host, outcome)));
        }
    }
    let page = Timings::of(&events).page();
    assert_eq!(count(&page, "<div class=\"lane host\">"), 500);
    assert!(count(&page, "<rect") < 25_000, "{}", count(&page, "<rect"));
    assert!(page.len() < 6_000_000, "{}", page.len());
    // Every lane has its bars.
    let lanes = page.split("<div class=\"lane host\">").skip(1);
    assert!(lanes.into_iter().all(|lane| lane.contains("<rect")));
}
