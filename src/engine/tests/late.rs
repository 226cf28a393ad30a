//! Modules whose names are known only while running.

use super::*;

#[tokio::test]
async fn each_host_has_a_module_of_its_own() {
    let mut world = World::new(&["a", "b", "c"]);
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  vars: {m: \"{{ {'a': 'command', 'b': 'nosuch'}[inventory_hostname] }}\"}\n  tasks:\n    - {name: one, action: {module: '{{ m }}', cmd: do-one}}\n    - {name: two, command: do-two}\n")
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(
        story.outcomes(),
        [
            "one a changed",
            "one b failed",
            "one c failed",
            "two a changed"
        ]
    );
    assert_eq!(world.ran("a"), ["do-one", "do-two"]);
}

#[tokio::test]
async fn what_a_later_task_sets_counts() {
    let mut world = World::new(&["a"]);
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  vars: {m: debug}\n  tasks:\n    - {name: one, action: '{{ m }} msg=x'}\n    - {name: set, set_fact: {m: command}}\n    - {name: two, action: {module: '{{ m }}', cmd: do-two}}\n    - {name: three, action: {module: '{{ item }}', cmd: do-three}, loop: [command, shell]}\n    - {name: four, action: '{{ m }} msg=x', ignore_errors: true}\n")
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(world.ran("a").first().map(String::as_str), Some("do-two"));
}
