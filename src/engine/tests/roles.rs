//! Roles: defaults, variables, parameters, dependencies, files.

use super::*;

#[tokio::test]
async fn precedence_of_variables() {
    // Every source gives `v`; the strongest that is left wins.
    let sources: &[(&str, &str)] = &[
        ("settings", ""),
        ("set_fact", ""),
        ("task", ""),
        ("block", ""),
        ("given to the role", ""),
        ("role vars", ""),
        ("play", ""),
        ("host", ""),
        ("group", ""),
        ("role defaults", ""),
    ];
    let mut winners = Vec::new();
    for skip in 0..sources.len() {
        let has = |name: &str| sources[skip..].iter().any(|(source, _)| *source == name);
        let when = |name: &str, text: String| if has(name) { text } else { String::new() };
        let mut world = World::of(&format!(
            "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec:\n  hosts:\n    a: {{connector: {{type: ssh, host: h}}{}}}\n  groups:\n    web: {{hosts: [a]{}}}\n",
            when("host", ", v: host".to_owned()),
            when("group", ", vars: {v: group}".to_owned()),
        ));
        if has("settings") {
            let layer = json!({"v": "settings"}).as_object().unwrap().clone();
            world.options.variables = vec![Layer::raw(layer)];
        }
        if has("role vars") {
            world.file("roles/r/vars/main.yaml", "v: role vars\n");
        }
        if has("role defaults") {
            world.file("roles/r/defaults/main.yaml", "v: role defaults\n");
        }
        world.file(
            "roles/r/tasks/main.yaml",
            &format!(
                "{}- block:\n    - name: say\n      debug: {{msg: '{{{{ v }}}}'}}\n{}{}",
                when("set_fact", "- set_fact: {v: set_fact}\n".to_owned()),
                when("task", "      vars: {v: task}\n".to_owned()),
                when("block", "  vars: {v: block}\n".to_owned()),
            ),
        );
        let story = world
            .run(&format!(
                "- hosts: all\n  gather_facts: false\n{}  roles:\n    - role: r\n{}",
                when("play", "  vars: {v: play}\n".to_owned()),
                when(
                    "given to the role",
                    "      vars: {v: given to the role}\n".to_owned()
                ),
            ))
            .await;
        winners.push(story.messages("a").pop().unwrap());
    }
    let expected: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
    assert_eq!(winners, expected);
}

#[tokio::test]
async fn dependencies_run_first_and_their_variables_are_seen() {
    let mut world = World::new(&["a"]);
    world
        .file("roles/web/meta/main.yaml", "dependencies:\n  - {role: common, vars: {size: 2}}\n")
        .file("roles/web/tasks/main.yaml", "- {name: web, debug: {msg: '{{ port }} {{ common_word }} {{ size }} {{ role_name }}'}}\n")
        .file("roles/web/defaults/main.yaml", "port: 80\n")
        .file("roles/common/tasks/main.yaml", "- {name: common, debug: {msg: '{{ size }} {{ port | default(\"no port\") }} {{ role_path }}'}}\n")
        .file("roles/common/defaults/main.yaml", "size: 1\ncommon_word: hello\n")
        .file("roles/other/tasks/main.yaml", "- {name: other, debug: {msg: '{{ port }}'}}\n")
        .file("roles/other/defaults/main.yaml", "port: 90\n")
        .file("roles/hidden/tasks/main.yaml", "- {name: hidden, debug: {msg: '{{ hidden_word }}'}}\n")
        .file("roles/hidden/defaults/main.yaml", "hidden_word: x\n");
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  roles: [web, {role: other, vars: {port: 91}}]
  tasks:
    - {name: of the play, debug: {msg: '{{ port }} {{ common_word }}'}}
    - include_role: {name: hidden}
    - {name: what is included stays there, debug: {msg: '{{ hidden_word | default(\"unknown\") }}'}}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
}

#[tokio::test]
async fn files_are_found_in_the_role_first() {
    let folder = tempfile::tempdir().unwrap();
    let dest = |name: &str| folder.path().join(name).display().to_string();
    let files = [
        ("roles/r/files/a.txt", "role\n"),
        ("files/a.txt", "play\n"),
        ("files/b.txt", "play b\n"),
        ("roles/r/templates/t.j2", "{{ word }} of the role\n"),
        ("roles/r/defaults/main.yaml", "word: word\n"),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let role = format!(
        "- copy: {{src: a.txt, dest: {}}}\n- copy: {{src: b.txt, dest: {}}}\n- template: {{src: t.j2, dest: {}}}\n- template: {{src: '{{{{ gone }}}}.j2', dest: /x}}\n  ignore_errors: true\n- template: {{src: \"{{{{ 'no' }}}}.j2\", dest: /x}}\n  ignore_errors: true\n",
        dest("a"),
        dest("b"),
        dest("t")
    );
    std::fs::create_dir_all(folder.path().join("roles/r/tasks")).unwrap();
    std::fs::write(folder.path().join("roles/r/tasks/main.yaml"), role).unwrap();
    std::fs::write(
        folder.path().join("site.yaml"),
        "- {hosts: localhost, gather_facts: false, roles: [r]}\n",
    )
    .unwrap();
    let library = Library::folder(folder.path());
    let playbook = crate::playbook::load(&library, "site.yaml").unwrap();
    let inventory = Inventory::implicit();
    let names = [LOCALHOST.to_owned()];
    let fleet = Fleet::connect(&inventory, &names, &checks::RealDial, 1, None).await;
    let (events, mut receiver) = Events::channel(Redactor::new());
    run(
        &playbook,
        &library,
        &inventory,
        &fleet,
        &RunOptions::default(),
        &events,
        &Control::default(),
    )
    .await;
    let read = |name: &str| std::fs::read_to_string(dest(name)).unwrap();
    assert_eq!(read("a"), "role\n");
    assert_eq!(read("b"), "play b\n");
    assert_eq!(read("t"), "word of the role\n");
    let mut messages = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        if let EventKind::HostTaskFinished {
            outcome: Outcome::Ignored,
            message,
            hint,
            ..
        } = event.kind
        {
            messages.push(
                format!("{} ({})", message.unwrap(), hint.unwrap_or_default())
                    .replace(&dest(""), ""),
            );
        }
    }
    insta::assert_snapshot!(messages.join("\n"));
}
