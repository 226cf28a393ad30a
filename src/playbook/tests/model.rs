//! What a right playbook is read as.

use super::*;

/// The tasks of a list as lines, blocks indented.
fn outline(items: &[Item], depth: usize, out: &mut Vec<String>) {
    let room = "  ".repeat(depth);
    for item in items {
        match item {
            Item::Task(task) => {
                let conditions: Vec<&str> = task
                    .frame
                    .chain()
                    .flat_map(|frame| &frame.when)
                    .map(Template::source)
                    .collect();
                let mut line = format!("{room}{}", task.title());
                if !conditions.is_empty() {
                    line.push_str(&format!(" when {}", conditions.join(" and ")));
                }
                let tags = task.frame.all_tags();
                if !tags.is_empty() {
                    line.push_str(&format!(" tags {}", tags.join(",")));
                }
                out.push(line);
                if let Action::Include(include) = &task.action {
                    let items = &include.read.as_ref().unwrap().items;
                    outline(items, depth + 1, out);
                }
            }
            Item::Block(block) => {
                for (word, list) in [
                    ("block", &block.items),
                    ("rescue", &block.rescue),
                    ("always", &block.always),
                ] {
                    if !list.is_empty() {
                        out.push(format!("{room}{word}"));
                        outline(list, depth + 1, out);
                    }
                }
            }
        }
    }
}

fn lines(playbook: &Playbook) -> String {
    let mut out = Vec::new();
    for play in &playbook.plays {
        out.push(format!("play {}", play.name));
        for section in &play.sections {
            outline(section, 1, &mut out);
        }
        let names: Vec<String> = play
            .handlers
            .iter()
            .map(|handler| handler.title().to_owned())
            .collect();
        out.push(format!("  handlers {}", names.join(", ")));
        let roles: Vec<&str> = play.roles.iter().map(|role| role.name.as_str()).collect();
        out.push(format!("  public roles {}", roles.join(", ")));
    }
    out.join("\n")
}

#[test]
fn what_is_imported_inherits_and_what_is_included_does_not() {
    let playbook = read(&[
        (
            "site.yaml",
            "- hosts: all\n  tags: [play]\n  tasks:\n    - import_tasks: a.yaml\n      when: x\n      tags: [import]\n    - include_tasks: a.yaml\n      when: x\n      tags: [include]\n      vars: {v: 1}\n      no_log: true\n    - include_role: {name: r}\n      when: x\n    - import_role: {name: r}\n      when: x\n",
        ),
        ("a.yaml", "- debug: {msg: a}\n  when: y\n"),
        ("roles/r/tasks/main.yaml", "- debug: {msg: r}\n"),
    ])
    .unwrap();
    insta::assert_snapshot!(lines(&playbook));
    let Some(Item::Task(include)) = playbook.plays[0].sections[1].get(1) else {
        panic!("no include");
    };
    let Action::Include(included) = &include.action else {
        panic!("no include");
    };
    let items = &included.read.as_ref().unwrap().items;
    let Some(Item::Task(inner)) = items.first() else {
        panic!("no task");
    };
    assert!(inner.frame.chain().any(|frame| frame.no_log.is_some()));
    let vars = inner.frame.find(|frame| frame.vars.clone()).unwrap();
    assert_eq!(vars.variables()["v"], 1);
}

#[test]
fn a_dependency_runs_once_for_the_same_variables_and_before_its_role() {
    let playbook = read(&[
        (
            "site.yaml",
            "- hosts: all\n  roles:\n    - web\n    - db\n    - {role: web, vars: {port: 81}}\n    - {role: web, vars: {port: 81}}\n    - web\n    - {role: db, when: maybe}\n",
        ),
        ("roles/web/meta/main.yaml", "dependencies: [common]\n"),
        ("roles/web/tasks/main.yaml", "- {name: web, debug: {}}\n"),
        ("roles/web/handlers/main.yml", "- {name: restart web, debug: {}}\n"),
        ("roles/db/meta/main.yml", "dependencies:\n  - role: common\n  - role: common\n    vars: {size: 2}\n"),
        ("roles/db/tasks/main.yml", "- {name: db, debug: {}}\n"),
        ("roles/common/tasks/main.yaml", "- {name: common, debug: {}}\n"),
    ])
    .unwrap();
    insta::assert_snapshot!(lines(&playbook));
}

#[test]
fn handlers_of_roles_stand_before_those_of_the_play() {
    let playbook = read(&[
        (
            "site.yaml",
            "- hosts: all\n  roles: [web]\n  handlers:\n    - {name: own, listen: topic, debug: {}}\n  tasks:\n    - copy: {content: a, dest: /b}\n      notify: [own, restart, 'web : restart', topic]\n",
        ),
        ("roles/web/handlers/main.yaml", "- {name: restart, debug: {}}\n"),
    ])
    .unwrap();
    insta::assert_snapshot!(lines(&playbook));
}

#[test]
fn a_role_under_a_condition_may_have_to_run_again() {
    let playbook = read(&[
        (
            "site.yaml",
            "- hosts: all\n  roles:\n    - {role: web, when: maybe}\n    - common\n",
        ),
        ("roles/web/meta/main.yaml", "dependencies: [common]\n"),
        (
            "roles/common/tasks/main.yaml",
            "- {name: common, debug: {}}\n",
        ),
    ])
    .unwrap();
    insta::assert_snapshot!(lines(&playbook));
}
