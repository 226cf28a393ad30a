//! The order of things: hosts, forks, loops, conditions, tags, includes, `run_once`, `meta`.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_task_runs_on_all_hosts_before_the_next_begins() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("a", "do-one", slow(3)).on("b", "do-one", slow(1));
    let story = world.run(&tasks(&["one", "two"])).await;
    insta::assert_snapshot!(story.text());
    let order: Vec<String> = story
        .events
        .iter()
        .filter_map(|event| match event {
            EventKind::HostTaskFinished { task, host, .. } => Some(format!("{task}{host}")),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["1c", "1b", "1a", "2a", "2b", "2c"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_hosts_work_at_once_than_forks() {
    for (forks, expected) in [(1, 40), (2, 20), (3, 20), (4, 10), (9, 10)] {
        let mut world = World::new(&["a", "b", "c", "d"]);
        for name in ["a", "b", "c", "d"] {
            world.on(name, "do-one", slow(10));
        }
        world.options.forks = forks;
        let started = tokio::time::Instant::now();
        world.run(&tasks(&["one"])).await;
        assert_eq!(started.elapsed().as_secs(), expected, "{forks}");
    }
}

#[tokio::test]
async fn loops() {
    let mut world = World::new(&["a"]);
    world.on("a", "do-item-2", fails());
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  vars: {packages: [x, y], nothing: null}
  tasks:
    - name: plain
      command: 'do-{{ item }}'
      loop: '{{ packages }}'
      register: plain
    - name: what is registered
      debug: {msg: \"{{ plain.results | map(attribute='item') | join(',') }} {{ plain.changed }} {{ plain.results[1].ansible_loop_var }}\"}
    - name: control
      command: 'do-{{ number }}-{{ package.name }}'
      loop: [{name: x, secret: s}, {name: y}]
      loop_control: {loop_var: package, index_var: number, label: 'package {{ package.name }}'}
    - name: empty
      command: do-never
      loop: []
    - name: null
      command: do-never
      loop: '{{ nothing }}'
    - name: some skipped
      command: 'do-{{ item }}'
      loop: [1, 2, 3]
      when: item > 1
    - name: all skipped
      command: 'do-{{ item }}'
      loop: [1, 2]
      when: item > 2
    - name: the list is not there, the condition is false
      command: 'do-{{ item }}'
      loop: '{{ gone.list }}'
      when: gone is defined
    - name: a condition that only an item can fulfil
      command: 'do-{{ item }}'
      loop: [yes-please]
      when: item | default('') == 'yes-please'
    - name: with_items takes lists apart
      command: 'do-{{ item }}'
      with_items: ['{{ packages }}', z]
    - name: with_items takes one
      command: 'do-{{ item }}'
      with_items: one
    - name: facts add up
      set_fact: {sum: \"{{ sum | default(0) | int + item }}\"}
      loop: [1, 2, 3]
    - debug: {var: sum}
    - name: one fails
      command: 'do-item-{{ item }}'
      loop: [1, 2, 3]
      ignore_errors: true
    - name: no list
      debug: {msg: a}
      loop: '{{ sum }}'
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    insta::assert_snapshot!(world.ran("a").join(" "), @"do-x do-y do-0-x do-1-y do-2 do-3 do-yes-please do-x do-y do-z do-one do-item-1 do-item-2 do-item-3");
}

#[tokio::test]
async fn conditions() {
    let mut world = World::new(&["a", "b"]);
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: on one
      command: do-one
      when: inventory_hostname == 'a'
      register: one
    - name: a list of them
      command: do-two
      when: [one is changed, inventory_hostname != 'b']
    - name: skipped is known
      debug: {msg: '{{ one is skipped }} {{ one.changed }}'}
    - name: undefined
      command: do-three
      when: gone == 1
    - name: not reached
      command: do-four
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn retries_until_it_is_well() {
    let mut world = World::new(&["a", "b", "c"]);
    world.host("a").once("never", Reply::ok(""));
    for (host, times) in [("a", 2), ("b", 9)] {
        let left = std::sync::atomic::AtomicI32::new(times);
        world.on(
            host,
            "do-check",
            Reply::computed(move |_| {
                let failed = left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0;
                Reply::ok(if failed { "starting" } else { "ready" })
            }),
        );
    }
    world.on("c", "do-check", fails());
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: wait
      command: do-check
      register: check
      until: [check.rc == 0, \"'ready' in check.stdout\"]
      retries: 3
      delay: '{{ 60 * 60 }}'
    - debug: {msg: '{{ check.attempts }}'}
    - name: without until
      command: do-thing
      retries: 5
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(started.elapsed().as_secs(), 3 * 3600);
}

#[tokio::test]
async fn run_once_counts_for_all() {
    let mut world = World::new(&["a", "b", "c"]);
    world.on("a", "do-ask", Reply::ok("answer\n"));
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - name: ask
      command: do-ask
      register: asked
      run_once: true
    - name: here
      command: do-here
      run_once: true
      delegate_to: localhost
      register: here
    - name: fact
      set_fact: {known: '{{ asked.stdout }}'}
      run_once: true
    - name: say
      debug: {msg: '{{ asked.stdout }} {{ known }} {{ here.rc }}'}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(world.ran("a"), ["do-ask"]);
    assert_eq!(world.ran(LOCALHOST), ["do-here"]);
    assert!(world.ran("b").is_empty());
}

#[tokio::test]
async fn delegation_follows_the_item() {
    let mut world = World::new(&["a", "b"]);
    let story = world
        .run(
            "- hosts: a
  gather_facts: false
  tasks:
    - name: there
      command: do-{{ item }}
      loop: [b, 127.0.0.1]
      delegate_to: '{{ item }}'
    - name: nowhere
      command: do-x
      delegate_to: gone
      ignore_errors: true
    - name: skipped before it is known where
      command: do-x
      delegate_to: '{{ gone }}'
      when: false
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(world.ran("b"), ["do-b"]);
}

#[tokio::test]
async fn tags_are_inherited_and_includes_have_their_own() {
    let playbook = "- hosts: all
  gather_facts: false
  roles: [{role: tagged, tags: role}]
  tasks:
    - {name: one, command: do-one, tags: a}
    - {name: two, command: do-two, tags: [b, c]}
    - {name: none, command: do-none}
    - {name: always, command: do-always, tags: always}
    - {name: never, command: do-never, tags: [never, debug]}
    - block:
        - {name: inner, command: do-inner}
      tags: block
    - import_tasks: more.yaml
      tags: import
    - include_tasks: more.yaml
      tags: include
";
    let mut all = String::new();
    for (only, skip) in [
        ("", ""),
        ("a", ""),
        ("b,block", ""),
        ("never", ""),
        ("debug", ""),
        ("import", ""),
        ("include", ""),
        ("include,deep", ""),
        ("role", ""),
        ("", "a,block"),
        ("", "always"),
        ("untagged", ""),
    ] {
        let mut world = World::new(&["a"]);
        let split = |text: &str| {
            text.split(',')
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned)
                .collect()
        };
        world.options.tags = split(only);
        world.options.skip_tags = split(skip);
        world
            .file(
                "more.yaml",
                "- {name: more, command: do-more}\n- {name: deep, command: do-deep, tags: deep}\n",
            )
            .file(
                "roles/tagged/tasks/main.yaml",
                "- {name: in role, command: do-role}\n",
            );
        world.run(playbook).await;
        all.push_str(&format!(
            "--tags [{only}] --skip-tags [{skip}]: {}\n",
            world.ran("a").join(" ")
        ));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn an_include_asks_its_condition_once_and_an_import_for_each_task() {
    let mut world = World::new(&["a", "b"]);
    world
        .file("more.yaml", "- {name: change it, set_fact: {go: false}}\n- {name: after, command: 'do-{{ word | default(\"none\") }}'}\n")
        .file("roles/r/tasks/main.yaml", "- {name: in role, command: 'do-{{ word }}'}\n")
        .file("roles/r/defaults/main.yaml", "word: default\n");
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - set_fact: {go: \"{{ inventory_hostname == 'a' }}\"}
    - include_tasks: more.yaml
      when: go
      vars: {word: included}
    - set_fact: {go: true}
    - import_tasks: more.yaml
      when: go
    - include_role: {name: r}
      vars: {word: given}
    - include_role: {name: r}
      when: gone.deeper
      ignore_errors: true
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn meta_ends_hosts_and_plays() {
    let mut world = World::new(&["a", "b", "c"]);
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - {name: one, command: do-one}
    - meta: end_host
      when: inventory_hostname == 'b'
    - {name: two, command: do-two}
    - meta: noop
    - meta: end_play
      when: inventory_hostname == 'c'
    - {name: three, command: do-three}
    - meta: end_play
      when: inventory_hostname == 'a'
    - {name: never, command: do-never}
- hosts: web
  gather_facts: false
  tasks:
    - {name: another play, command: do-four}
    - meta: end_host
      when: gone
    - {name: after, command: do-five}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn plays_take_their_hosts_by_pattern_and_limit() {
    let mut world = World::of(
        "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec:\n  hosts:\n    a: {connector: {type: ssh, host: h1}}\n    b: {connector: {type: ssh, host: h2}}\n    localhost: {connector: {type: local}}\n  groups:\n    web: {hosts: [a, localhost]}\n",
    );
    world.options.limit = Some(vec!["a".to_owned()]);
    let playbook = "- {hosts: all, gather_facts: false, tasks: [{name: all, command: do-all}]}
- {hosts: 'web,!a', gather_facts: false, tasks: [{name: none, command: do-none}]}
- {hosts: localhost, gather_facts: false, tasks: [{name: here, command: do-here}]}
- {hosts: \"{{ groups['web'] | first }}\", gather_facts: false, tasks: [{name: template, command: do-template}]}
";
    let story = world.run(playbook).await;
    insta::assert_snapshot!(story.text());
    // This machine is no host of the inventory: the limit does not keep it out.
    let mut world = World::new(&["a", "b"]);
    world.options.limit = Some(vec!["a".to_owned()]);
    let story = world
        .run("- {hosts: localhost, gather_facts: false, tasks: [{name: here, command: do-here}]}\n")
        .await;
    assert_eq!(story.outcomes(), ["here localhost changed"]);
}

#[tokio::test]
async fn a_play_whose_hosts_cannot_be_told_ends_the_run() {
    let mut world = World::new(&["a"]);
    let story = world
        .run("- {hosts: \"{{ 'nobody' }}\", tasks: []}\n- {hosts: all, gather_facts: false, tasks: [{name: next, command: do-next}]}\n")
        .await;
    insta::assert_snapshot!(story.text());
    assert!(world.ran("a").is_empty());
}
