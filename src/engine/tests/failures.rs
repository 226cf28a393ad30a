//! What fails: one host, all hosts, blocks with `rescue` and `always`, lost connections, limits of time.

use super::*;

const BLOCKS: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: the whole
      block:
        - {name: try, command: do-try, register: tried}
        - {name: not on the failed, command: do-more}
      rescue:
        - name: repair
          debug: {msg: \"{{ ansible_failed_task.name }}: {{ ansible_failed_result.msg }} ({{ ansible_failed_result.rc }}), {{ tried is failed }}\"}
        - {name: repair more, command: do-repair}
      always:
        - {name: always, command: do-always}
    - {name: after, command: do-after}
";

#[tokio::test]
async fn a_failed_host_is_out_and_the_others_go_on() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("b", "do-one", fails());
    let story = world.run(&tasks(&["one", "two"])).await;
    insta::assert_snapshot!(story.text());
    assert_eq!(world.ran("b"), ["do-one"]);
}

#[tokio::test]
async fn a_host_that_failed_takes_no_part_in_later_plays() {
    let mut world = World::new(&["a", "b"]);
    world.on("b", "do-one", fails());
    let two = tasks(&["one"]) + &tasks(&["two"]);
    let story = world.run(&two).await;
    assert_eq!(
        story.outcomes(),
        ["one a changed", "one b failed", "two a changed"]
    );
}

#[tokio::test]
async fn when_no_host_is_left_the_run_ends() {
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-one", fails()).on("b", "do-one", lost());
    let story = world
        .run(&(tasks(&["one", "two"]) + "- {hosts: localhost, gather_facts: false, tasks: [{name: here, command: do-here}]}\n"))
        .await;
    insta::assert_snapshot!(story.text());
    assert!(world.ran(LOCALHOST).is_empty());
}

#[tokio::test]
async fn a_host_that_is_lost_is_out_and_the_others_go_on() {
    let mut world = World::new(&["a", "b"]);
    world.on("b", "do-one", lost());
    let story = world.run(&tasks(&["one", "two"])).await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn of_a_loop_that_did_something_nobody_says_that_it_did_not_run() {
    let gone = || {
        Reply::Error(TransportError::Unreachable {
            target: "a host".to_owned(),
            reason: "the connection is gone".to_owned(),
        })
    };
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-one", gone()).on("b", "do-two", gone());
    let story = world
        .run("- {hosts: all, gather_facts: false, tasks: [{name: twice, command: '{{ item }}', loop: [do-one, do-two]}]}\n")
        .await
        .text();
    assert!(
        story.contains("a cannot be reached") && story.contains("b cannot be reached"),
        "{story}"
    );
    assert!(story.contains("whose step did not run"), "{story}");
    assert!(story.contains("whose step may have run"), "{story}");
}

#[tokio::test]
async fn a_host_that_was_never_there_is_said_once() {
    let mut world = World::new(&["a", "b"]);
    world.unreachable.push("b".to_owned());
    let story = world.run(&(tasks(&["one"]) + &tasks(&["two"]))).await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_lost_host_that_only_helped_does_not_cost_the_other() {
    let mut world = World::new(&["a", "b"]);
    world.on("b", "do-help", lost());
    let story = world
        .run("- {hosts: a, gather_facts: false, tasks: [{name: help, command: do-help, delegate_to: b}]}\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_block_is_rescued_host_by_host() {
    let mut world = World::new(&["a", "b", "c"]);
    world
        .on("b", "do-try", fails())
        .on("c", "do-try", fails())
        .on("c", "do-repair", fails());
    let story = world.run(BLOCKS).await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_lost_host_is_not_rescued() {
    let mut world = World::new(&["a", "b"]);
    world.on("b", "do-try", lost());
    let story = world.run(BLOCKS).await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn always_runs_although_nothing_is_rescued() {
    let mut world = World::new(&["a"]);
    world.on("a", "do-try", fails());
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - block:
        - block:
            - {name: try, command: do-try}
          always:
            - {name: inner always, command: do-inner}
      rescue:
        - {name: outer rescue, command: do-outer}
    - block:
        - {name: try again, command: do-try}
      always:
        - {name: always, command: do-always}
    - {name: never, command: do-never}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn failed_when_changed_when_and_ignore_errors() {
    let mut world = World::new(&["a"]);
    world
        .on("a", "do-three", Reply::failed(3, ""))
        .on("a", "do-bad", fails())
        .on("a", "do-say", Reply::ok("an Error here"));
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: never changed
      command: do-one
      changed_when: false
    - name: changed by what it said
      command: do-say
      register: said
      changed_when: [\"'Error' in said.stdout\", said.rc == 0]
    - name: a status that is fine
      command: do-three
      register: three
      failed_when: three.rc not in [0, 3]
    - name: it failed and that is fine
      command: do-bad
      failed_when: false
    - name: a word that is a failure
      command: do-say
      register: said
      failed_when: \"'Error' in said.stdout\"
      ignore_errors: true
    - name: known as failed
      debug: {msg: '{{ said is failed }} {{ said.failed }} {{ said.rc }}'}
    - name: ignored if
      command: do-bad
      ignore_errors: \"{{ 1 == 1 }}\"
    - name: a mistake in the condition
      command: do-one
      failed_when: gone.deep == 1
      ignore_errors: true
    - name: not ignored
      command: do-bad
      ignore_errors: \"{{ 1 == 2 }}\"
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn assert_and_fail() {
    let mut world = World::new(&["a"]);
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  vars: {n: 3}
  tasks:
    - assert: {that: [n > 2, n < 4], success_msg: 'n is {{ n }}'}
    - assert: {that: n == 3}
    - {name: own words, assert: {that: n == 4, fail_msg: 'n is {{ n }}'}, ignore_errors: true}
    - {name: no words, assert: {that: [n == 3, n == 4]}, ignore_errors: true}
    - {name: fail, fail: {msg: 'no {{ n }}'}}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn any_errors_fatal_ends_the_run_for_all() {
    for playbook in [
        "- {hosts: all, gather_facts: false, any_errors_fatal: true, tasks: [{block: [{name: one, command: do-one}, {name: two, command: do-two}]}, {name: three, command: do-three}]}\n",
        "- {hosts: all, gather_facts: false, tasks: [{name: one, command: do-one, any_errors_fatal: true}, {name: two, command: do-two}]}\n",
    ] {
        let mut world = World::new(&["a", "b"]);
        world.on("b", "do-one", fails());
        let story = world.run(&format!("{playbook}{}", tasks(&["next"]))).await;
        assert_eq!(story.outcomes(), ["one a changed", "one b failed"]);
        let notices = story
            .events
            .iter()
            .filter(|event| matches!(event, EventKind::Notice { .. }));
        assert_eq!(notices.count(), 1, "{}", story.text());
        assert_eq!(story.report.exit().code(), 2);
    }
    // A rescue around it is stronger.
    let mut world = World::new(&["a", "b"]);
    world.on("b", "do-one", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  any_errors_fatal: true\n  tasks:\n    - block: [{name: one, command: do-one}]\n      rescue: [{name: rescue, command: do-rescue}]\n    - {name: after, command: do-after}\n")
        .await;
    assert_eq!(
        story.outcomes(),
        [
            "one a changed",
            "one b rescued",
            "rescue a changed",
            "rescue b changed",
            "after a changed",
            "after b changed"
        ]
    );
}

#[tokio::test]
async fn run_once_that_fails_fails_for_all() {
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-one", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: one, command: do-one, run_once: true}\n    - {name: two, command: do-two}\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test(start_paused = true)]
async fn a_task_has_a_limit_of_time() {
    let mut world = World::new(&["a"]);
    // The engine asks the host to end what is still running.
    world
        .on("a", "do-own", slow(1000))
        .on("a", "do-general", slow(1000))
        .on("a", "kk-step-", Reply::ok(""));
    world.options.task_timeout = Some(Duration::from_secs(60));
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: own, command: do-own, timeout: '{{ 2 + 3 }}', ignore_errors: true}\n    - {name: general, command: do-general, ignore_errors: true}\n    - {name: nonsense, command: do-x, timeout: '{{ \"soon\" }}'}\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_host_that_must_not_be_changed_is_out() {
    let world = World::new(&["a", "b"]);
    let names: Vec<String> = world.inventory.hosts.keys().cloned().collect();
    let fleet = Fleet::connect(&world.inventory, &names, &world, 5, None).await;
    fleet
        .member("b")
        .unwrap()
        .refuse("another run holds it".to_owned());
    for host in world.hosts.values() {
        host.containing("do-", Reply::ok(""));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("site.yaml"),
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: one, command: do-one}\n    - {name: elsewhere, command: do-two, delegate_to: b}\n",
    )
    .unwrap();
    let library = Library::folder(folder.path());
    let playbook = crate::playbook::load(&library, "site.yaml").unwrap();
    let (events, mut receiver) = Events::channel(Redactor::new());
    let report = run(
        &playbook,
        &library,
        &world.inventory,
        &fleet,
        &world.options,
        &events,
        &world.control,
    )
    .await;
    let mut all = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        all.push(event.kind);
    }
    insta::assert_snapshot!(
        Story {
            report,
            events: all
        }
        .text()
    );
    assert!(world.ran("b").is_empty());
}

#[tokio::test]
async fn facts_that_cannot_be_gathered() {
    let mut world = World::new(&["a", "b"]);
    world
        .on("a", "section clock-start", Reply::ok("what?\n"))
        .on("b", "section clock-start", lost());
    let story = world
        .run("- {hosts: all, tasks: [{name: one, command: do-one}]}\n")
        .await;
    insta::assert_snapshot!(story.text());
}
