//! A secret never comes out of the engine, and still reaches the host.

use super::*;

const CANARY: &str = "canary-7f3a \"q\" 'x' {{ no }}";

fn everything(story: &Story) -> String {
    story
        .events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn known_secrets_are_masked_wherever_they_turn_up() {
    let mut world = World::new(&["a"]);
    world.redactor.learn(CANARY);
    world.options.variables = vec![Layer::raw(
        json!({"db": {"password": CANARY}})
            .as_object()
            .unwrap()
            .clone(),
    )];
    world
        .on(
            "a",
            "do-leak",
            Reply::failed(1, format!("refused: {CANARY}\n")),
        )
        .on("a", "do-quote", Reply::ok(CANARY));
    let story = world
        .run(
            "- name: 'play {{ db.password }}'
  hosts: all
  gather_facts: false
  tasks:
    - {name: 'name {{ db.password }}', command: do-one}
    - {name: said, command: do-leak, ignore_errors: true}
    - {name: told, debug: {msg: 'it is {{ db.password }}'}}
    - {name: json, debug: {msg: '{{ db | to_json }}'}}
    - {name: encoded, debug: {msg: '{{ db.password | b64encode }} {{ db.password | urlencode }} {{ db.password | quote }}'}}
    - {name: item, command: do-x, loop: ['{{ db.password }}'], loop_control: {label: 'l {{ item }}'}}
    - {name: a filter that fails on it, debug: {msg: '{{ db.password | from_json }}'}, ignore_errors: true}
    - {name: a regular expression, debug: {msg: \"{{ 'a' is match('(' ~ db.password) }}\"}, ignore_errors: true}
    - {name: a wrong argument, wait_for: {port: '{{ db.password }}'}, ignore_errors: true}
    - {name: a file, template: {src: '{{ db.password }}', dest: /x}, ignore_errors: true}
    - {name: a host, command: do-y, delegate_to: '{{ db.password }}', ignore_errors: true}
    - {name: retried, command: do-leak, retries: 1, delay: 0, ignore_errors: true}
    - {name: wire, command: {cmd: do-wire, stdin: '{{ db.password }}'}}
    - {name: the end, fail: {msg: 'because of {{ db.password }}'}}
",
        )
        .await;
    let all = everything(&story);
    assert!(!all.contains("canary-7f3a"), "{all}");
    assert!(all.contains(crate::secret::MASK));
    let wire = world.host("a").executed();
    let wire = wire
        .iter()
        .find(|executed| executed.command.contains("do-wire"))
        .unwrap();
    assert_eq!(wire.stdin, format!("{CANARY}\n"));
}

#[tokio::test]
async fn secrets_are_known_by_the_names_of_variables() {
    let mut world = World::new(&["a"]);
    world
        .file("roles/r/defaults/main.yaml", "r_token: canary-default\n")
        .file("roles/r/vars/main.yaml", "r: {api_key: canary-vars}\n")
        .file("roles/r/tasks/main.yaml", "- debug: {msg: '{{ r_token }} {{ r.api_key }} {{ given_secret }}'}\n  vars: {given_secret: canary-task}\n");
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  vars: {admin_password: canary-play}
  roles: [{role: r, vars: {other_password: canary-given}}]
  tasks:
    - debug: {msg: '{{ admin_password }}'}
    - set_fact: {new_password: \"canary-{{ 'fact' }}\"}
    - debug: {msg: '{{ new_password }}'}
    - htpasswd: {path: /x, name: a, password: \"canary-{{ 'argument' }}\"}
      ignore_errors: true
    - debug: {msg: \"canary-{{ 'argument' }}\"}
    - block:
        - debug: {msg: '{{ block_secret }}'}
      vars: {block_secret: canary-block}
    - include_role: {name: r}
      vars: {included_token: canary-included}
    - debug: {msg: 'canary-included canary-given'}
",
        )
        .await;
    let all = everything(&story);
    assert!(!all.contains("canary-"), "{all}");
}

#[tokio::test]
async fn no_log_hides_everything_that_a_task_says() {
    let mut world = World::new(&["a"]);
    world
        .on("a", "do-say", Reply::failed(1, "hidden-words\n"))
        .on("a", "do-fine", Reply::ok("hidden-words"));
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - block:
        - {name: fails, command: do-say, retries: 1, delay: 0, ignore_errors: true}
        - {name: loops, command: do-fine, loop: [hidden-words]}
        - {name: says, debug: {msg: hidden-words}}
        - {name: skipped, debug: {msg: hidden-words}, when: false, register: kept}
      no_log: true
    - {name: shown, command: do-fine, no_log: false, register: kept}
    - {name: the result is there, assert: {that: \"kept.stdout == 'hidden-words'\"}}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert!(!everything(&story).contains("hidden-words"));
}
