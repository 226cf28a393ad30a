//! Keywords that choose who runs what: batches, strategies, includes, loops, what `meta` does, new hosts.

use super::*;

#[tokio::test]
async fn serial_runs_batch_after_batch_in_the_order_of_the_play() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("b", "do-two", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  serial: [1, 2]\n  order: reverse_inventory\n  tasks:\n    - {name: one, command: do-one}\n    - {name: two, command: do-two}\n    - {name: left, debug: {msg: '{{ ansible_play_batch }} {{ ansible_play_hosts }}'}}\n- hosts: a\n  gather_facts: false\n  tasks: [{name: next, command: do-next}]\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_batch_of_which_nobody_is_left_ends_the_run() {
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-one", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  serial: 1\n  tasks: [{name: one, command: do-one}]\n- hosts: all\n  gather_facts: false\n  tasks: [{name: never, command: do-never}]\n")
        .await;
    assert_eq!(story.outcomes(), ["one a failed"]);
    assert_eq!(story.report.exit().code(), 2);
}

#[tokio::test]
async fn free_hosts_do_not_wait() {
    let mut world = World::new(&["a", "b"]);
    tokio::time::pause();
    world.on("a", "do-one", slow(10));
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  strategy: free\n  tasks: [{name: one, command: do-one}, {name: two, command: do-two}]\n")
        .await;
    assert_eq!(
        story.outcomes(),
        [
            "one b changed",
            "two b changed",
            "one a changed",
            "two a changed"
        ]
    );
}

#[tokio::test]
async fn max_fail_percentage_counts_hosts_that_failed_before() {
    let mut world = World::new(&["a", "b", "c", "d"]);
    world.on("a", "do-one", fails()).on("b", "do-two", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  max_fail_percentage: 30\n  tasks: [{name: one, command: do-one}, {name: two, command: do-two}, {name: never, command: do-never}]\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn force_handlers_runs_them_on_hosts_that_failed() {
    let mut world = World::new(&["a", "b"]);
    world.on("a", "do-two", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  force_handlers: true\n  tasks:\n    - {name: one, command: do-one, notify: h}\n    - {name: two, command: do-two}\n  handlers: [{name: h, command: do-h}]\n")
        .await;
    assert_eq!(world.ran("a"), ["do-one", "do-two", "do-h"]);
    assert_eq!(story.report.exit().code(), 2);
}

#[tokio::test]
async fn includes_have_loops_names_of_the_host_and_apply() {
    let mut world = World::new(&["a", "b"]);
    world
        .file("more.yaml", "- {name: '{{ item | default(\"none\") }} {{ v | default(\"\") }}', command: do-more}\n")
        .file("of-a.yaml", "- {name: only a, command: do-a}\n")
        .file("of-b.yaml", "- {name: only b, command: do-b}\n");
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - include_tasks: more.yaml\n      loop: [x, y]\n      vars: {v: given}\n    - include_tasks: 'of-{{ inventory_hostname }}.yaml'\n    - include_tasks: {file: more.yaml, apply: {when: inventory_hostname == 'b'}}\n    - include_tasks: 'no-{{ inventory_hostname }}.yaml'\n      when: inventory_hostname == 'a'\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn loops_pause_and_tell_where_they_are() {
    let mut world = World::new(&["a"]);
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: '{{ w }} {{ i }} {{ ansible_loop.index }} {{ ansible_loop.last }} {{ ansible_loop.nextitem | default(\"-\") }}'}\n      with_nested: [[1, 2], [3]]\n      loop_control: {loop_var: w, index_var: i, extended: true, pause: 7, label: '{{ w.0 }}'}\n    - debug: {msg: '{{ item.key }}={{ item.value }}'}\n      with_dict: {k: v}\n    - debug: {msg: '{{ item }}'}\n      with_sequence: start=1 end=3 format=n%02d\n")
        .await;
    assert_eq!(started.elapsed().as_secs(), 7);
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn a_role_runs_once_for_the_same_parameters() {
    let mut world = World::new(&["a"]);
    world
        .file("roles/r/tasks/main.yaml", "- {name: 'r {{ x | default(\"none\") }}', command: do-r}\n- meta: end_role\n  when: x is defined\n- {name: rest, command: do-rest}\n")
        .file("roles/s/tasks/main.yaml", "- {name: s, command: do-s}\n")
        .file("roles/s/meta/main.yaml", "allow_duplicates: true\n");
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  roles: [r, r, {role: r, x: 1}, {role: r, x: 1}, s, s]\n  tasks:\n    - import_role: {name: r}\n    - include_role: {name: r, allow_duplicates: false}\n")
        .await;
    assert_eq!(
        world.ran("a"),
        ["do-r", "do-rest", "do-r", "do-s", "do-s", "do-r", "do-rest"],
        "{}",
        story.text()
    );
}

#[tokio::test]
async fn arguments_of_a_role_are_checked() {
    let mut world = World::new(&["a"]);
    world
        .file(
            "roles/r/meta/argument_specs.yaml",
            "argument_specs:\n  main:\n    options:\n      size: {type: int, required: true}\n",
        )
        .file("roles/r/tasks/main.yaml", "- {name: r, command: do-r}\n");
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - include_role: {name: r}\n      vars: {size: 3}\n    - block: [{include_role: {name: r}}]\n      rescue: [{name: told, debug: {msg: '{{ ansible_failed_result.argument_errors }}'}}]\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn meta_ends_and_forgives() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("c", "do-one", fails());
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: one, command: do-one}\n    - meta: clear_host_errors\n    - meta: end_host\n      when: inventory_hostname == 'a'\n    - {name: two, command: do-two}\n- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: back, command: do-back}\n    - meta: end_batch\n    - {name: never, command: do-never}\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn tasks_add_hosts_and_groups() {
    let mut world = World::new(&["a", "b"]);
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - add_host: {name: new, groups: [dyn], word: hello, ansible_connection: local}\n    - group_by: {key: 'of-{{ inventory_hostname }}', parents: made}\n    - debug: {msg: '{{ group_names }} {{ hostvars.new.word }}'}\n- hosts: dyn:made:!of-b\n  gather_facts: false\n  tasks: [{name: all of them, debug: {msg: '{{ inventory_hostname }} {{ word | default(\"-\") }}'}}]\n")
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn the_environment_reaches_the_host() {
    let mut world = World::new(&["a"]);
    world
        .run("- hosts: all\n  gather_facts: false\n  environment: {A: play, B: play}\n  tasks:\n    - {name: one, command: do-one, environment: {B: 'the task'}}\n")
        .await;
    let executed = world.host("a").executed();
    let command = executed
        .iter()
        .find(|executed| executed.command.contains("do-one"))
        .unwrap();
    // Never among the arguments, which anybody on the host can read.
    assert_eq!(command.stdin, "A=play\nB=the task\n\n");
    assert!(!command.command.contains("play"), "{}", command.command);
}

#[tokio::test]
async fn an_environment_variable_needs_a_name() {
    let mut world = World::new(&["a"]);
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: one, command: do-one, environment: {a-b: x}}\n")
        .await;
    assert!(world.host("a").commands().is_empty());
    let text = story.text();
    assert!(
        text.contains("`environment`: `a-b` is no name of an environment variable"),
        "{text}"
    );
}

#[tokio::test]
async fn variables_by_ansibles_order() {
    // Every source gives `v`; the strongest that is left wins.
    let sources = [
        "extra",
        "include params",
        "role params",
        "set_fact",
        "include_vars",
        "task",
        "block",
        "role vars",
        "vars_files",
        "play",
        "host",
        "group",
        "role defaults",
    ];
    let mut winners = Vec::new();
    for skip in 0..sources.len() {
        let has = |name: &str| sources[skip..].contains(&name);
        let when = |name: &str, text: &str| {
            if has(name) {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let mut world = World::of(&format!(
            "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec:\n  hosts:\n    a: {{connector: {{type: ssh, host: h}}{}}}\n  groups:\n    web: {{hosts: [a]{}}}\n",
            when("host", ", vars: {v: host}"),
            when("group", ", vars: {v: group}"),
        ));
        if has("extra") {
            let layer = json!({"v": "extra"}).as_object().unwrap().clone();
            world.options.variables = vec![Layer::raw(layer)];
        }
        for (name, path) in [
            ("role vars", "roles/r/vars/main.yaml"),
            ("role defaults", "roles/r/defaults/main.yaml"),
            ("vars_files", "files.yaml"),
            ("include_vars", "included.yaml"),
        ] {
            if has(name) {
                world.file(path, &format!("v: {name}\n"));
            }
        }
        world.file(
            "roles/r/tasks/say.yaml",
            &format!(
                "- block:\n    - name: say\n      debug: {{msg: '{{{{ v }}}}'}}\n{}{}",
                when("task", "      vars: {v: task}\n"),
                when("block", "  vars: {v: block}\n"),
            ),
        );
        world.file(
            "roles/r/tasks/main.yaml",
            &format!(
                "{}{}- include_tasks: say.yaml\n{}",
                when("include_vars", "- include_vars: included.yaml\n"),
                when("set_fact", "- set_fact: {v: set_fact}\n"),
                when("include params", "  vars: {v: include params}\n"),
            ),
        );
        let story = world
            .run(&format!(
                "- hosts: all\n  gather_facts: false\n{}{}  roles:\n    - role: r\n{}",
                when("play", "  vars: {v: play}\n"),
                when("vars_files", "  vars_files: [files.yaml]\n"),
                when("role params", "      v: role params\n"),
            ))
            .await;
        winners.push(story.messages("a").pop().unwrap());
    }
    assert_eq!(winners, sources);
}

#[tokio::test]
async fn a_file_of_variables_may_be_named_by_a_lookup() {
    let mut world = World::new(&["a"]);
    world.file("vars/first.yaml", "v: found\n");
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  vars_files: [\"{{ lookup('list', 'first.yaml') }}\"]\n  tasks: [{name: one, debug: {msg: '{{ v }}'}}]\n")
        .await;
    assert_eq!(story.messages("a"), ["found"]);
}

#[tokio::test]
async fn a_file_of_variables_that_cannot_be_used_ends_the_run_for_all() {
    let mut world = World::new(&["b", "a"]);
    world
        .file("vars/of-a.yaml", "- no mapping\n")
        .file("vars/other.yaml", "v: 1\n");
    let story = world
        .run("- hosts: all\n  gather_facts: false\n  vars_files: [['of-{{ inventory_hostname }}.yaml', other.yaml]]\n  tasks: [{name: one, command: do-one}]\n- hosts: b\n  gather_facts: false\n  tasks: [{name: two, command: do-two}]\n")
        .await;
    assert!(story.outcomes().is_empty());
    assert!(world.ran("a").is_empty() && world.ran("b").is_empty());
    assert_eq!(story.report.exit().code(), 1);
    assert!(
        story.text().contains("vars/of-a.yaml:1:3"),
        "{}",
        story.text()
    );
}

#[tokio::test]
async fn a_run_may_begin_at_a_task() {
    let mut world = World::new(&["a"]);
    world.options.start_at = Some("tw*".to_owned());
    world.run(&tasks(&["one", "two", "three"])).await;
    assert_eq!(world.ran("a"), ["do-two", "do-three"]);
    // Step by step: not the second, and after the third nobody is asked.
    let mut world = World::new(&["a"]);
    world.options.step = Some(Step(Arc::new(|task| match task {
        "two" => StepAnswer::No,
        "three" => StepAnswer::Continue,
        "four" => panic!("asked again"),
        _ => StepAnswer::Yes,
    })));
    world.run(&tasks(&["one", "two", "three", "four"])).await;
    assert_eq!(world.ran("a"), ["do-one", "do-three", "do-four"]);
}

#[tokio::test]
async fn what_a_play_would_do_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("site.yaml"),
        "- hosts: web\n  tags: [p]\n  tasks:\n    - {name: one, command: do, tags: [t]}\n    - {name: two, command: do, tags: never}\n    - block: [{debug: {msg: a}}]\n",
    )
    .unwrap();
    let library = Library::folder(folder.path());
    let playbook = crate::playbook::load(&library, "site.yaml").unwrap();
    let world = World::new(&["a", "b"]);
    let outlined = outline(&playbook, &world.inventory, &RunOptions::default());
    insta::assert_debug_snapshot!(outlined);
    let names: Vec<String> = vec!["a".to_owned(), "b".to_owned()];
    let wanted = reached(&playbook, &world.inventory, &names, &RunOptions::default());
    assert_eq!(wanted, names);
}
