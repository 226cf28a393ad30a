//! Every kind of mistake, with the whole message that the user sees.

use super::shown;

/// A play around tasks: each line of `tasks` is moved in by four columns.
fn play(tasks: &str) -> String {
    let indented: Vec<String> = tasks.lines().map(|line| format!("    {line}")).collect();
    format!("- hosts: all\n  tasks:\n{}\n", indented.join("\n"))
}

/// Mistakes that need no more than one task.
const TASKS: &[(&str, &str)] = &[
    ("unknown module", "- name: a\n  coppy: {src: a, dest: /b}"),
    ("unknown module, nothing like it", "- frobnicate: {}"),
    ("unknown keyword", "- debug: {msg: a}\n  whenn: a"),
    (
        "keyword that is not supported",
        "- debug: {msg: a}\n  debugger: always\n- debug: {}\n  with_random_choice: [1]\n- include: a.yaml",
    ),
    (
        "unknown argument",
        "- copy: {scr: a, dest: /b}\n- stat: {zzz: 1}",
    ),
    (
        "argument given twice",
        "- file: {path: /a, dest: /b, state: touch}",
    ),
    ("missing argument", "- stat: {}\n- assert: {}"),
    (
        "arguments that exclude each other",
        "- copy: {src: a, content: b, dest: /c}",
    ),
    (
        "wrong type",
        "- file: {path: [a], state: directory}\n- systemd: {name: a, enabled: perhaps}\n- wait_for: {port: soon}\n- command: {argv: {a: b}}",
    ),
    ("wrong choice", "- file: {path: /a, state: foldr}"),
    (
        "wrong mode",
        "- file: {path: /a, state: directory, mode: u=rw}\n- file: {path: /a, state: directory, mode: '0999'}",
    ),
    (
        "text where a mapping is wanted",
        "- file: /a\n- debug: hello\n- set_fact: a=b",
    ),
    ("list where a mapping is wanted", "- copy: [a]"),
    (
        "two modules",
        "- name: a\n  copy: {content: a, dest: /b}\n  file: {path: /b}",
    ),
    ("no module", "- name: a\n- when: b"),
    ("a task that is none", "- just text\n-"),
    (
        "template syntax",
        "- debug: {msg: '{{ a b }}'}\n- debug: {msg: '{{ a'}\n- debug: {msg: '{% if a %}'}",
    ),
    (
        "condition syntax",
        "- debug: {msg: a}\n  when: a ==\n- debug: {msg: a}\n  when: 'x {{ a }} y'",
    ),
    (
        "unknown filter, test and function",
        "- debug: {msg: '{{ a | uper }}'}\n- debug: {msg: a}\n  when: a is defnied\n- debug: {msg: '{{ lookup(\"flie\", 1) }}'}\n- debug: {msg: \"a\\n{{ b | nosuchfilter }}\"}\n- debug: {msg: '{{ a | zzzzzzzzz }}'}",
    ),
    (
        "templates deep in values",
        "- set_fact:\n    a: {b: [{c: '{{ d | e }}'}]}\n- debug: {msg: a}\n  vars:\n    x: ['{{ y']",
    ),
    (
        "wrong flag",
        "- debug: {msg: a}\n  become: perhaps\n- debug: {msg: a}\n  run_once: '{{ a }}'\n- debug: {msg: a}\n  become_method: pbrun",
    ),
    (
        "handler that is not there",
        "- copy: {content: a, dest: /b}\n  notify: restart dokcer",
    ),
    (
        "a handler's keyword on a task",
        "- debug: {msg: a}\n  listen: topic",
    ),
    (
        "file that is not there",
        "- copy: {src: gone.txt, dest: /b}\n- template: {src: gone.j2, dest: /b}",
    ),
    (
        "unknown meta action",
        "- meta: flush_handler\n- meta: refresh_inventory",
    ),
    (
        "keywords without effect",
        "- meta: end_play\n  register: a\n- debug: {msg: a}\n  args: {msg: b}",
    ),
    (
        "names that no variable can have",
        "- shell: id\n  register: my-result\n- set_fact: {1a: b}\n- debug: {msg: a}\n  vars: {a-b: c}\n- debug: {msg: a}\n  loop: [1]\n  loop_control: {loop_var: a b}",
    ),
    (
        "loop over something else",
        "- debug: {msg: a}\n  loop: 5\n- debug: {msg: a}\n  loop: {a: b}",
    ),
    (
        "loop control",
        "- debug: {msg: a}\n  loop_control: {label: a}\n- debug: {msg: a}\n  loop: [1]\n  loop_control: {lable: a}\n- debug: {msg: a}\n  loop: [1]\n  with_items: [2]",
    ),
    (
        "loop on an include",
        "- include_tasks: more.yaml\n  loop: [1, 2]\n- include_role: {name: web}\n  with_items: [1]\n- import_tasks: more.yaml\n  loop: [1]",
    ),
    (
        "keywords that no include hands down",
        "- include_tasks: more.yaml\n  become: true\n- include_role: {name: web}\n  register: a\n- import_tasks: more.yaml\n  until: a",
    ),
    (
        "task file that is not there",
        "- import_tasks: gone.yaml\n- include_tasks: {file: gone.yaml, fiel: a}\n- include_tasks: '{{ a }}.yaml'\n- import_tasks: {}",
    ),
    (
        "role that is not there",
        "- import_role: {name: wbe}\n- include_role: {name: nothing}\n- include_role: {}\n- include_role: {name: '{{ a }}'}\n- import_role: {name: web, tasks_from: gone}",
    ),
    (
        "rescue without a block",
        "- debug: {msg: a}\n  rescue:\n    - debug: {msg: b}",
    ),
    (
        "keyword that a block does not have",
        "- block:\n    - debug: {msg: a}\n  loop: [1]\n  rescu: []",
    ),
    ("block that is no list", "- block: a"),
    (
        "short form",
        "- copy: src=a more\n- shell: \"echo 'a\"\n- debug: 'msg={{ a'\n- action: nosuch a=b\n- local_action: {src: a}",
    ),
    (
        "name of a module that is known while running",
        "- action: '{{ m }} a=b more'\n- action: '{{ m }} a={{ b c }}'\n- action: '{{ m x }} a=b'\n- action: {module: \"{{ 'stat' }}\", pat: a}\n- action: '{{ \"statt\" }} path=a'\n- action: '{{ \"include_tasks\" }} file=a'\n- action: '{{ m }} {{ all }}'\n- action: '{{ m | default(\"nosuch\") }} a=b'",
    ),
    (
        "arguments of actions",
        "- add_host: {groups: a}\n- group_by: {}\n- include_vars: {name: a}\n- pause: {seconds: 1, minutes: 2}\n- set_fact: {}\n- debug: {msg: a, var: b}\n- pause: {second: 1}\n- validate_argument_spec: {}\n- async_status: {}",
    ),
    (
        "a condition that is a text",
        "- debug: {msg: a}\n  when: \"'x'\"\n- debug: {msg: a}\n  when: [a, '\"\"']\n- debug: {msg: a}\n  failed_when: \"'no'\"",
    ),
    (
        "a condition with braces",
        "- debug: {msg: a}\n  when: '{{ b }}'\n- debugg: {}",
    ),
    (
        "keywords with wrong values",
        "- debug: {msg: a}\n  environment: [a]\n- debug: {msg: a}\n  throttle: many\n- debug: {msg: a}\n  connection: winrm\n- debug: {msg: a}\n  async: later\n- debug: {msg: a}\n  module_defaults: {coppy: {}, group/aws: {}, copy: a}",
    ),
    (
        "a reserved word",
        "- shell: id\n  register: import\n- set_fact: {class: a}",
    ),
    (
        "an import that is only known later",
        "- import_tasks: '{{ later }}.yaml'\n- import_role: {name: '{{ later }}'}\n- debug: {msg: a}\n  tags: '{{ later }}'",
    ),
    (
        "meta where it has no meaning",
        "- meta: end_role\n- meta: [a]",
    ),
    (
        "collections",
        "- debug: {msg: a}\n  collections: [a.b]\n- nope: {}",
    ),
];

#[test]
fn in_a_task() {
    let mut all = String::new();
    for (name, tasks) in TASKS {
        let site = play(tasks);
        let files = [
            ("site.yaml", site.as_str()),
            ("more.yaml", "- debug: {msg: more}\n"),
            ("roles/web/tasks/main.yaml", "- debug: {msg: web}\n"),
        ];
        all.push_str(&format!("## {name}\n\n{}\n\n", shown(&files)));
    }
    insta::assert_snapshot!(all);
}

/// Mistakes outside of tasks: files each.
const FILES: &[(&str, &[(&str, &str)])] = &[
    ("no playbook", &[]),
    ("no list", &[("site.yaml", "hosts: all\n")]),
    ("nothing", &[("site.yaml", "")]),
    (
        "YAML syntax",
        &[("site.yaml", "- hosts: all\n  tasks: [\n")],
    ),
    (
        "key given twice",
        &[("site.yaml", "- hosts: all\n  hosts: web\n")],
    ),
    ("not text", &[("site.yaml", "- hosts: \u{fffd}\0\n")]),
    (
        "no hosts",
        &[("site.yaml", "- name: a\n  tasks: []\n- just text\n")],
    ),
    (
        "unknown key of a play",
        &[(
            "site.yaml",
            "- hosts: all\n  taks: []\n- hosts: all\n  when: a\n",
        )],
    ),
    (
        "keywords of a play that are not supported",
        &[(
            "site.yaml",
            "- hosts: all\n  serial: 1\n  vars_files: [a]\n  connection: local\n- import_playbook: other.yaml\n",
        )],
    ),
    (
        "wrong types in a play",
        &[(
            "site.yaml",
            "- hosts: [a]\n- hosts: all\n  gather_facts: sometimes\n- hosts: all\n  vars: [a]\n- hosts: all\n  roles: web\n- hosts: all\n  tasks: {}\n",
        )],
    ),
    (
        "mistakes in roles",
        &[
            (
                "site.yaml",
                "- hosts: all\n  roles:\n    - wbe\n    - {role: web, port: 80, tgas: a}\n    - {when: a}\n    - web\n",
            ),
            ("roles/web/tasks/main.yaml", "- debgu: {}\n"),
            ("roles/web/defaults/main.yaml", "- a\n"),
            (
                "roles/web/handlers/main.yaml",
                "- debug: {msg: a}\n- name: b\n  block: []\n",
            ),
        ],
    ),
    (
        "a circle of roles",
        &[
            ("site.yaml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/meta/main.yaml", "dependencies: [b]\n"),
            ("roles/b/meta/main.yaml", "dependencies:\n  - role: a\n"),
        ],
    ),
    (
        "roles that include each other",
        &[
            ("site.yaml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/tasks/main.yaml", "- include_role: {name: b}\n"),
            ("roles/b/tasks/main.yaml", "- include_role: {name: a}\n"),
        ],
    ),
    (
        "a file that includes itself",
        &[
            (
                "site.yaml",
                "- hosts: all\n  tasks:\n    - import_tasks: a.yaml\n",
            ),
            ("a.yaml", "- include_tasks: b.yaml\n"),
            ("b.yaml", "- import_tasks: a.yaml\n"),
        ],
    ),
    (
        "a template file",
        &[
            (
                "site.yaml",
                "- hosts: all\n  tasks:\n    - template: {src: a.j2, dest: /a}\n",
            ),
            ("templates/a.j2", "one\ntwo {{ x | nofilter }}\n{% if %}\n"),
        ],
    ),
    (
        "wrong values of a play",
        &[(
            "site.yaml",
            "- hosts: all\n  strategy: debug\n  order: sortd\n  serial: some\n- hosts: all\n  vars_prompt: [a]\n  max_fail_percentage: most\n- hosts: all\n  vars_files: [gone.yaml, [a.yaml, b.yaml]]\n  force_handlers: perhaps\n- import_playbook: site.yaml\n- import_playbook: '{{ later }}'\n",
        )],
    ),
    (
        "wrong handlers",
        &[
            (
                "site.yaml",
                "- hosts: all\n  handlers:\n    - include_role: {name: a}\n    - meta: flush_handlers\n    - import_tasks: more.yaml\n    - name: a\n      debug: {msg: a}\n  tasks:\n    - debug: {msg: a}\n      notify: [a, 'r : a', in the file, b]\n",
            ),
            ("more.yaml", "- name: in the file\n  debug: {msg: a}\n"),
        ],
    ),
    (
        "wrong parts of roles",
        &[
            (
                "site.yaml",
                "- hosts: all\n  roles: [a]\n  tasks:\n    - include_role: {name: a, vars_from: gone, handlers_from: gone, tasks_form: b}\n    - include_tasks: {file: more.yaml, apply: {nothing: a}}\n",
            ),
            ("more.yaml", "- debug: {msg: a}\n"),
            ("roles/a/meta/main.yaml", "allow_duplicates: perhaps\n"),
            ("roles/a/vars/main/one.yaml", "- a\n"),
            ("roles/a/tasks/main.yaml", "- debug: {msg: a}\n"),
        ],
    ),
    (
        "dependencies that are no list",
        &[
            ("site.yaml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/meta/main.yaml", "dependencies: b\n"),
        ],
    ),
    (
        "several at once, in several files",
        &[
            (
                "site.yaml",
                "- hosts: all\n  tasks:\n    - nope: {}\n    - import_tasks: a.yaml\n    - name: no module\n    - stat: {}\n- hosts: web\n  tasks:\n    - debug: {mgs: a}\n",
            ),
            ("a.yaml", "- copy: {content: a}\n- debug: {msg: '{{ }}'}\n"),
        ],
    ),
];

#[test]
fn outside_of_tasks() {
    let mut all = String::new();
    for (name, files) in FILES {
        all.push_str(&format!("## {name}\n\n{}\n\n", shown(files)));
    }
    insta::assert_snapshot!(all);
}
