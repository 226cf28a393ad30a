//! Going on where an earlier run stopped.

use super::*;
use crate::engine::event::{Again, Done, Note};

/// A world that notes what a later run needs.
fn noting(names: &[&str]) -> World {
    let mut world = World::new(names);
    world.journal = true;
    world
}

/// The journal of what happened so far.
fn past(events: &[EventKind]) -> Arc<Resume> {
    let events: Vec<Event> = events
        .iter()
        .map(|kind| Event {
            at: Duration::ZERO,
            kind: kind.clone(),
        })
        .collect();
    // As it is written and read again.
    let text: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    let events: Vec<Event> = text
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Arc::new(Resume::new("earlier", &events))
}

/// Another run of the same playbook that goes on.
async fn goes_on(names: &[&str], after: &Story, playbook: &str) -> (World, Story) {
    let mut world = noting(names);
    world.options.resume = Some(past(&after.events));
    let story = world.run(playbook).await;
    (world, story)
}

const PLAYBOOK: &str = "- hosts: all
  gather_facts: false
  tasks:
    - {name: one, command: do-one, register: said}
    - {name: fact, set_fact: {kept: 'x-{{ said.rc }}', more: [1, {a: b}]}}
    - {name: set, set_fact: {'{{ item }}': 'v-{{ item }}'}, loop: [p, q]}
    - {name: once, command: do-once, run_once: true, register: shared}
    - {name: not, command: do-not, when: kept == 'y', register: skipped}
    - {name: ignored, command: do-bad, ignore_errors: true, register: bad}
    - {name: group, group_by: {key: 'g_{{ inventory_hostname }}'}}
    - {name: loop, command: 'do-loop-{{ item }}', loop: [x, y], register: looped}
    - {name: many, include_tasks: more.yaml, loop: [1, 2]}
    - {name: stop, command: do-stop}
    - {name: last, command: \"do-last-{{ kept }}-{{ p }}-{{ shared.rc }}-{{ skipped is skipped }}-{{ bad is failed }}-{{ looped.results | length }}-{{ groups['g_a'] | length }}-{{ from_2 }}\"}
";

fn with_more(world: &mut World) {
    world.file(
        "more.yaml",
        "- {name: inner, command: 'do-inner-{{ item }}'}\n- {name: inner fact, set_fact: {'from_{{ item }}': 'f{{ item }}'}}\n",
    );
}

#[tokio::test]
async fn a_host_goes_on_with_everything_that_it_knew() {
    let mut world = noting(&["a", "b"]);
    with_more(&mut world);
    world.on("a", "do-bad", fails()).on("b", "do-bad", fails());
    world.on("b", "do-stop", fails());
    let first = world.run(PLAYBOOK).await;
    assert_eq!(first.report.exit().code(), 2);
    let last = "do-last-x-0-v-p-0-True-True-2-1-f2";
    assert_eq!(world.ran("a").last().unwrap(), last);

    let mut world = noting(&["a", "b"]);
    with_more(&mut world);
    world.options.resume = Some(past(&first.events));
    let second = world.run(PLAYBOOK).await;
    assert_eq!(second.report.exit().code(), 0);
    assert_eq!(world.ran("a"), Vec::<String>::new());
    assert_eq!(world.ran("b"), ["do-stop", last]);
    insta::assert_snapshot!(second.text());
    assert_eq!(second.report.variables["a"], first.report.variables["a"]);
}

#[tokio::test]
async fn wherever_a_run_is_cut_off_the_next_one_ends_as_if_it_had_not_been() {
    let mut world = noting(&["a", "b"]);
    with_more(&mut world);
    let whole = world.run(PLAYBOOK).await;
    let all: HashMap<&str, Vec<String>> = ["a", "b"]
        .into_iter()
        .map(|host| (host, world.ran(host)))
        .collect();
    let dones = |events: &[EventKind]| {
        events
            .iter()
            .filter(|event| matches!(event, EventKind::Journal(Note::Done(_))))
            .count()
    };
    let mut seen = 0;
    for cut in 0..=whole.events.len() {
        let before = &whole.events[..cut];
        if cut > 0 && dones(before) == seen {
            continue;
        }
        seen = dones(before);
        let mut world = noting(&["a", "b"]);
        with_more(&mut world);
        world.options.resume = Some(past(before));
        let story = world.run(PLAYBOOK).await;
        assert_eq!(story.report.exit().code(), 0, "{cut}");
        for host in ["a", "b"] {
            let ran = world.ran(host);
            assert!(all[host].ends_with(&ran), "{cut} {host}: {ran:?}");
            let known = |story: &Story| {
                let mut known = story.report.variables[host].clone();
                known.retain(|name, _| {
                    !matches!(name.as_str(), "said" | "bad" | "shared" | "looped")
                });
                known
            };
            assert_eq!(known(&story), known(&whole), "{cut} {host}");
        }
        // The journal of the second run has everything that the first one had: a third could go on from it.
        assert_eq!(dones(&story.events), dones(&whole.events), "{cut}");
    }
    assert!(seen > 20);
}

#[tokio::test]
async fn handlers_that_were_owed_run_and_others_do_not() {
    let playbook = "- hosts: all
  gather_facts: false
  tasks:
    - {name: one, command: do-one, notify: early}
    - meta: flush_handlers
    - {name: two, command: do-two, notify: late}
    - {name: stop, command: do-stop}
    - {name: three, command: do-three, notify: early}
  handlers:
    - {name: early, command: do-early}
    - {name: late, command: do-late}
";
    let mut world = noting(&["a"]);
    world.on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    assert_eq!(world.ran("a"), ["do-one", "do-early", "do-two", "do-stop"]);
    let (world, story) = goes_on(&["a"], &first, playbook).await;
    assert_eq!(story.report.exit().code(), 0);
    assert_eq!(
        world.ran("a"),
        ["do-stop", "do-three", "do-early", "do-late"]
    );
}

#[tokio::test]
async fn a_handler_that_ran_after_the_failure_runs_again_for_what_is_new() {
    let playbook = "- hosts: all
  gather_facts: false
  force_handlers: true
  tasks:
    - {name: one, command: do-one, notify: [restart, other]}
    - {name: stop, command: do-stop, notify: restart}
  handlers:
    - {name: restart, command: do-restart}
    - {name: other, command: do-other}
";
    let mut world = noting(&["a"]);
    world.on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    assert_eq!(
        world.ran("a"),
        ["do-one", "do-stop", "do-restart", "do-other"]
    );
    let (world, _) = goes_on(&["a"], &first, playbook).await;
    assert_eq!(world.ran("a"), ["do-stop", "do-restart"]);
}

#[tokio::test]
async fn a_block_whose_end_took_things_back_begins_anew() {
    let playbook = "- hosts: all
  gather_facts: false
  tasks:
    - {name: before, command: do-before}
    - block:
        - {name: make, command: do-make}
        - {name: stop, command: do-stop}
      always:
        - {name: clean, command: do-clean}
";
    let mut world = noting(&["a"]);
    world.on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    assert_eq!(
        world.ran("a"),
        ["do-before", "do-make", "do-stop", "do-clean"]
    );
    let (world, _) = goes_on(&["a"], &first, playbook).await;
    assert_eq!(world.ran("a"), ["do-make", "do-stop", "do-clean"]);
}

#[tokio::test]
async fn a_rescue_that_held_is_not_tried_again() {
    let playbook = "- hosts: all
  gather_facts: false
  tasks:
    - block:
        - {name: make, command: do-make}
        - {name: bad, command: do-bad}
        - {name: never, command: do-never}
      rescue:
        - {name: rescue, command: 'do-rescue-{{ ansible_failed_result.rc }}'}
      always:
        - {name: clean, command: do-clean}
    - {name: stop, command: 'do-stop-{{ ansible_failed_task.name }}'}
";
    let mut world = noting(&["a"]);
    world.on("a", "do-bad", fails()).on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    let (world, story) = goes_on(&["a"], &first, playbook).await;
    assert_eq!(world.ran("a"), ["do-stop-bad"]);
    assert_eq!(story.report.exit().code(), 0);
}

#[tokio::test]
async fn what_is_secret_is_asked_again_and_what_follows_when_it_is_another() {
    let playbook = "- hosts: all
  gather_facts: false
  tasks:
    - {name: token, command: do-token, register: token, no_log: true}
    - {name: uses, command: {cmd: do-uses, stdin: '{{ token.stdout }}'}, register: used}
    - {name: said, command: 'do-said-{{ token.stdout }}', register: said}
    - {name: stop, command: do-stop}
";
    let mut world = noting(&["a"]);
    world
        .on("a", "do-token", Reply::ok("canary-one"))
        .on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    let journal: Vec<String> = first
        .events
        .iter()
        .filter(|event| matches!(event, EventKind::Journal(_)))
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    assert!(!journal.join("\n").contains("canary"), "{journal:#?}");
    let again: Vec<&Again> = first
        .events
        .iter()
        .filter_map(|event| match event {
            EventKind::Journal(Note::Done(Done { again, .. })) => again.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!(again.len(), 2, "{journal:#?}");

    for (token, expected) in [
        (
            "canary-one",
            vec!["do-token", "do-said-canary-one", "do-stop"],
        ),
        (
            "canary-two",
            vec!["do-token", "do-uses", "do-said-canary-two", "do-stop"],
        ),
    ] {
        let mut world = noting(&["a"]);
        world.on("a", "do-token", Reply::ok(token));
        world.options.resume = Some(past(&first.events));
        let story = world.run(playbook).await;
        assert_eq!(world.ran("a"), expected);
        let said: Vec<&str> = story
            .events
            .iter()
            .filter_map(|event| match event {
                EventKind::Notice { message, .. } => Some(message.as_str()),
                _ => None,
            })
            .collect();
        assert!(
            said[0].contains("the task `token` runs again: `no_log` keeps"),
            "{said:?}"
        );
        assert_eq!(
            said.iter()
                .any(|line| line.contains("all that follows runs again")),
            token == "canary-two",
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn what_only_this_run_knows_is_done_again() {
    let playbook = "- hosts: a
  gather_facts: false
  tasks:
    - {name: begins, command: do-begin, async: 10, poll: 0, register: job}
    - {name: new, add_host: {name: n, groups: fresh, ansible_connection: local}}
    - {name: stop, command: do-stop}
    - {name: ends, async_status: {jid: '{{ job.ansible_job_id }}'}}
- hosts: fresh
  gather_facts: false
  tasks:
    - {name: there, debug: {msg: '{{ groups.fresh }}'}}
";
    let mut world = noting(&["a"]);
    world.on("a", "do-stop", fails());
    let first = world.run(playbook).await;
    let (world, story) = goes_on(&["a"], &first, playbook).await;
    assert_eq!(world.ran("a"), ["do-begin", "do-stop"]);
    assert_eq!(story.report.exit().code(), 0, "{}", story.text());
}

#[tokio::test]
async fn a_host_that_did_less_goes_on_from_where_it_was() {
    let playbook = "- hosts: all
  strategy: free
  gather_facts: false
  tasks:
    - {name: one, command: do-one}
    - {name: two, command: do-two}
    - {name: three, command: do-three}
- hosts: all
  serial: 1
  gather_facts: false
  tasks:
    - {name: four, command: do-four}
";
    let mut world = noting(&["a", "b", "c"]);
    world.on("b", "do-two", fails()).on("c", "do-four", lost());
    let first = world.run(playbook).await;
    let (world, story) = goes_on(&["a", "b", "c"], &first, playbook).await;
    assert_eq!(world.ran("a"), Vec::<String>::new());
    assert_eq!(world.ran("b"), ["do-two", "do-three", "do-four"]);
    assert_eq!(world.ran("c"), ["do-four"]);
    assert_eq!(story.report.exit().code(), 0);
}
