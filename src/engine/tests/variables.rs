//! What a task sees: facts of other hosts, groups, what the engine itself says, users.

use super::*;

#[tokio::test]
async fn magic_variables() {
    let mut world = World::of(
        "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec:\n  hosts:\n    a.example: {connector: {type: ssh, host: h1}, own: '{{ shared_word }} {{ inventory_hostname }}'}\n    b: {connector: {type: ssh, host: h2}}\n  groups:\n    web: {hosts: [a.example], groups: [db], vars: {shared_word: hello}}\n    db: {hosts: [b]}\n",
    );
    world.options.tags = vec!["all".to_owned()];
    let story = world
        .run(
            "- name: look
  hosts: web
  gather_facts: false
  tasks:
    - debug: {msg: '{{ inventory_hostname }} {{ inventory_hostname_short }} {{ group_names | sort | join(\"+\") }}'}
    - debug: {msg: '{{ groups[\"web\"] }} {{ groups.db }} {{ groups[\"all\"] | length }} {{ groups[\"gone\"] | default([]) }}'}
    - debug: {msg: '{{ play_hosts }} {{ ansible_play_hosts }} {{ ansible_play_name }} {{ ansible_check_mode }} {{ ansible_run_tags }} {{ playbook_dir }}'}
    - set_fact: {mine: 'fact of {{ inventory_hostname }}'}
    - debug: {msg: \"{{ hostvars['a.example'].mine }} {{ hostvars['a.example'].own }} {{ hostvars['b'].inventory_hostname }}\"}
    - debug: {msg: \"{{ groups['web'] | map('extract') | list }}\"}
      ignore_errors: true
    - debug: {msg: '{{ hostvars[\"gone\"].mine | default(\"nobody\") }}'}
      ignore_errors: true
    - debug: {var: mine}
    - debug: {var: not_there}
    - debug: {var: not_there.either}
    - debug:
    - debug: {msg: [1, {a: b}]}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn an_argument_can_be_left_out() {
    let mut world = World::new(&["a"]);
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - command: {cmd: do-one, stdin: '{{ gone | default(omit) }}'}\n    - stat: {path: '{{ gone | default(omit) }}'}\n      ignore_errors: true\n    - {name: a wrong type, wait_for: {port: '{{ word }}'}, vars: {word: soon}}\n")
        .await;
    insta::assert_snapshot!(story.text());
    assert!(world.host("a").executed()[0].stdin.is_empty());
}

#[tokio::test]
async fn tasks_run_as_the_user_that_they_ask_for() {
    let mut world = World::new(&["a"]);
    let host = FakeConnector::named("admin", "admin@a");
    // Sudo lets the command through: the mark comes first on standard error.
    host.containing(
        "sudo",
        Reply::computed(|executed| {
            let start = executed.command.rfind(" kk-").unwrap() + 1;
            let mark = executed.command[start..]
                .split([' ', '\''])
                .find(|word| word.len() == 19)
                .unwrap_or("no mark");
            let mark = executed
                .command
                .split([' ', '\'', '\n'])
                .find(|word| word.starts_with("kk-") && word.len() == 19 && !word.contains("step"))
                .unwrap_or(mark)
                .to_owned();
            Reply::Output(crate::connect::Output {
                stderr: format!("{mark}\n").into_bytes(),
                ..crate::connect::Output::default()
            })
        }),
    );
    world.hosts.insert("a".to_owned(), host);
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  become: true
  vars: {somebody: postgres}
  tasks:
    - {name: root, command: do-root}
    - {name: other, command: do-other, become_user: '{{ somebody }}'}
    - {name: plain, command: do-plain, become: false}
    - {name: by template, command: do-template, become: '{{ 1 == 2 }}'}
    - block:
        - {name: in a block, command: do-block}
      become_user: backup
",
        )
        .await;
    assert_eq!(story.report.exit().code(), 0, "{}", story.text());
    let users: Vec<String> = world
        .host("a")
        .commands()
        .iter()
        .map(|command| {
            let after = command.split_once(" -u ").map(|(_, after)| after);
            after
                .map_or("-", |after| after.split(' ').next().unwrap())
                .to_owned()
        })
        .collect();
    assert_eq!(users, ["root", "postgres", "-", "-", "backup"]);
}
