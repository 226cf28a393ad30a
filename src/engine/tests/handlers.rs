//! Handlers: order, topics, flushing, and that none is forgotten when a run is killed.

use super::*;

fn stdin(world: &World, host: &str, part: &str) -> Vec<String> {
    world
        .host(host)
        .executed()
        .iter()
        .filter(|executed| executed.command.contains(part))
        .map(|executed| String::from_utf8_lossy(&executed.stdin).into_owned())
        .collect()
}

#[tokio::test]
async fn handlers_run_once_in_their_own_order_after_each_section() {
    let mut world = World::new(&["a", "b"]);
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  handlers:
    - {name: first, command: do-h-first}
    - {name: second, command: do-h-second, listen: [topic, other topic]}
    - {name: third, command: do-h-third, listen: topic}
    - {name: silent, command: do-h-silent}
  pre_tasks:
    - {name: before, command: do-before, notify: second}
  tasks:
    - {name: one, command: do-one, notify: [third, first]}
    - {name: again, command: do-again, notify: first}
    - {name: no change, command: do-same, changed_when: false, notify: silent}
    - {name: on one host, command: do-host, notify: second, when: inventory_hostname == 'b'}
  post_tasks:
    - {name: to all that listen, command: do-post, notify: topic}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn handlers_of_the_same_name_and_handlers_of_roles() {
    let mut world = World::new(&["a"]);
    world
        .file("roles/web/handlers/main.yaml", "- {name: restart, command: do-role-restart}\n- {name: reload, command: do-role-reload}\n")
        .file("roles/web/tasks/main.yaml", "- {name: web, command: do-web, notify: reload}\n");
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  roles: [web]
  handlers:
    - {name: restart, command: do-play-restart}
  tasks:
    - {name: plain, command: do-one, notify: restart}
    - {name: of the role, command: do-two, notify: 'web : restart'}
    - {name: by template, command: do-three, notify: \"re{{ 'load' }}\"}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_handler_may_notify_others_even_those_before_it() {
    let mut world = World::new(&["a"]);
    world
        .run(
            "- hosts: all
  gather_facts: false
  handlers:
    - {name: early, command: do-early}
    - {name: late, command: do-late, notify: [early, later]}
    - {name: later, command: do-later, notify: later}
  tasks:
    - {name: one, command: do-one, notify: late}
    - meta: flush_handlers
    - meta: end_play
",
        )
        .await;
    assert_eq!(
        world.ran("a"),
        ["do-one", "do-late", "do-early", "do-later"]
    );
}

#[tokio::test]
async fn flushing_runs_what_is_owed_now_and_not_on_failed_hosts() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("b", "do-two", fails());
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  handlers:
    - {name: h, command: do-h}
  tasks:
    - {name: one, command: do-one, notify: h}
    - {name: two, command: do-two}
    - meta: flush_handlers
      when: inventory_hostname != 'c'
    - {name: three, command: do-three}
    - {name: four, command: do-four, notify: h}
- hosts: all
  gather_facts: false
  handlers:
    - {name: h, command: do-other-h}
  tasks:
    - {name: another play, command: do-five}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert!(!world.ran("b").contains(&"do-h".to_owned()));
}

#[tokio::test]
async fn a_handler_that_fails_takes_its_host_out() {
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-h", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  handlers: [{name: h, command: do-h}, {name: i, command: do-i}]\n  tasks: [{name: one, command: do-one, notify: [h, i]}, {meta: flush_handlers}, {name: two, command: do-two}]\n")
        .await;
    insta::assert_snapshot!(story.text());
}

/// A play whose task notifies two handlers, one of them by a topic that both listen to.
const PENDING: &str = "- hosts: all
  gather_facts: false
  handlers:
    - {name: restart it, command: do-restart}
    - {name: reload it, command: do-reload, listen: topic}
    - {name: tell it, command: do-tell, listen: topic}
  tasks:
    - {name: change, command: do-change, notify: ['{{ verb }} it', topic]}
";

fn pending(world: &mut World, ledger: &str) {
    world.options.ledger = Some("registry".to_owned());
    world.options.variables = vec![Layer::raw(
        json!({"verb": "restart"}).as_object().unwrap().clone(),
    )];
    // Taking lines out of the ledger, and reading it.
    world
        .on("a", "ledger.gone", Reply::ok(""))
        .on("a", "for file in *.jsonl", Reply::ok(ledger));
}

#[tokio::test]
async fn what_is_owed_is_noted_before_the_step_and_forgotten_after_the_handler() {
    let mut world = World::new(&["a"]);
    pending(&mut world, "");
    world.run(PENDING).await;
    let commands = world.host("a").commands();
    let change = commands
        .iter()
        .find(|command| command.contains("do-change"))
        .unwrap();
    // The lines are arguments of the very command that changes something.
    for name in ["restart it", "topic"] {
        let line = format!("{{\"kind\":\"pending_handler\",\"name\":\"{name}\"}}");
        assert!(change.contains(&line), "{change}");
    }
    let order: Vec<&str> = commands
        .iter()
        .map(|command| {
            let words = [
                "do-change",
                "do-restart",
                "do-reload",
                "do-tell",
                "ledger.gone",
                "for file",
            ];
            words
                .into_iter()
                .find(|word| command.contains(word))
                .unwrap()
        })
        .collect();
    assert_eq!(
        order,
        [
            "for file",
            "do-change",
            "do-restart",
            "ledger.gone",
            "do-reload",
            "ledger.gone",
            "do-tell",
            "ledger.gone"
        ]
    );
    // The topic is only forgotten when both who listen to it have run.
    let gone = stdin(&world, "a", "ledger.gone");
    assert!(
        gone[0].contains("restart it") && !gone[0].contains("\"topic\""),
        "{gone:?}"
    );
    assert!(
        gone[1].contains("reload it") && !gone[1].contains("\"topic\""),
        "{gone:?}"
    );
    assert!(
        gone[2].contains("tell it") && gone[2].contains("\"topic\""),
        "{gone:?}"
    );
}

#[tokio::test]
async fn what_an_earlier_run_owed_is_done_by_the_next() {
    let mut world = World::new(&["a"]);
    pending(
        &mut world,
        "ledger registry\n{\"kind\":\"pending_handler\",\"name\":\"restart it\"}\n{\"kind\":\"file\",\"path\":\"/x\"}\n{\"kind\":\"pending_handler\",\"name\":\"of another play\"}\nledger other\n{\"kind\":\"pending_handler\",\"name\":\"topic\"}\n",
    );
    let quiet = PENDING.replace(
        "  tasks:",
        "  pre_tasks:\n    - {name: before, command: do-before}\n    - meta: flush_handlers\n  tasks:\n    - {name: earlier, command: do-earlier}",
    );
    let quiet = quiet.replace("notify:", "changed_when: false, notify:");
    let second = "- hosts: all\n  gather_facts: false\n  handlers: [{name: of another play, command: do-other}]\n  tasks:\n    - {name: skipped, command: do-skipped, when: false, notify: of another play}\n";
    let story = world.run(&format!("{quiet}{second}")).await;
    insta::assert_snapshot!(story.text());
    // Not before the task that owes it has been passed.
    assert_eq!(
        world.ran("a"),
        [
            "do-before",
            "do-earlier",
            "do-change",
            "do-restart",
            "do-other"
        ]
    );
}

#[tokio::test]
async fn a_task_that_noted_a_handler_and_changed_nothing_takes_the_note_back() {
    let mut world = World::new(&["a"]);
    pending(&mut world, "");
    world
        .run(&PENDING.replace("notify:", "changed_when: false, notify:"))
        .await;
    assert_eq!(world.ran("a"), ["do-change"]);
    let gone = stdin(&world, "a", "ledger.gone");
    assert!(
        gone[0].contains("restart it") && gone[0].contains("\"topic\""),
        "{gone:?}"
    );
}

#[tokio::test]
async fn a_task_that_failed_still_owes_its_handler_to_the_next_run() {
    let mut world = World::new(&["a"]);
    pending(&mut world, "");
    world.host("a").containing("do-change", fails());
    world.run(PENDING).await;
    assert!(stdin(&world, "a", "ledger.gone").is_empty());
}

#[tokio::test]
async fn a_handler_that_failed_is_owed_to_the_next_run() {
    let mut world = World::new(&["a"]);
    pending(&mut world, "");
    world.host("a").containing("do-restart", fails());
    world.run(PENDING).await;
    assert!(stdin(&world, "a", "ledger.gone").is_empty());
}

#[tokio::test]
async fn check_mode_neither_recalls_nor_forgets() {
    let mut world = World::new(&["a"]);
    pending(&mut world, "");
    world.options.check_mode = true;
    world.run(PENDING).await;
    assert!(world.host("a").commands().is_empty());
}
