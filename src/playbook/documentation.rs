//! What `kk doc` says about the actions of the engine. What they take is checked where they are read.

use crate::modules::{Argument, ArgumentKind, Documentation};

const fn optional(name: &'static str, kind: ArgumentKind, summary: &'static str) -> Argument {
    Argument::optional(name, kind, summary)
}

const fn required(name: &'static str, kind: ArgumentKind, summary: &'static str) -> Argument {
    Argument::required(name, kind, summary)
}

/// What both ways to name a role take.
const ROLE: &[Argument] = &[
    required("name", ArgumentKind::Text, "the role"),
    optional(
        "tasks_from",
        ArgumentKind::Text,
        "the file of its tasks; `main` by default",
    ),
    optional(
        "vars_from",
        ArgumentKind::Text,
        "the file of its variables; `main` by default",
    ),
    optional(
        "defaults_from",
        ArgumentKind::Text,
        "the file of its defaults; `main` by default",
    ),
    optional(
        "handlers_from",
        ArgumentKind::Text,
        "the file of its handlers; `main` by default",
    ),
    optional(
        "public",
        ArgumentKind::Boolean,
        "the rest of the play sees its variables",
    ),
    optional(
        "allow_duplicates",
        ArgumentKind::Boolean,
        "it runs although the host has run the same before; true by default",
    ),
    optional(
        "rolespec_validate",
        ArgumentKind::Boolean,
        "its arguments are checked against its specification; true by default",
    ),
];

/// The actions, by their names.
pub static ACTIONS: &[Documentation] = &[
    Documentation {
        name: "add_host",
        summary: "adds a host to the inventory of the run; once, whatever hosts run it",
        arguments: &[
            required(
                "name",
                ArgumentKind::Text,
                "the host; `hostname` and `host` mean the same",
            ),
            optional(
                "groups",
                ArgumentKind::Texts,
                "groups that it is put into; `group` and `groupname` mean the same",
            ),
            optional(
                "…",
                ArgumentKind::Any,
                "any other argument is a variable of the host",
            ),
        ],
        examples: "- add_host:\n    name: node9\n    groups: [web]\n    ansible_host: 10.0.0.9\n",
        returns: &[("add_host", "`host_name`, `groups` and `host_vars`")],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "assert",
        summary: "fails unless conditions hold",
        arguments: &[
            required(
                "that",
                ArgumentKind::Any,
                "a condition or a list of them, without braces",
            ),
            optional(
                "fail_msg",
                ArgumentKind::Any,
                "what is said when one does not hold; `msg` means the same",
            ),
            optional(
                "success_msg",
                ArgumentKind::Any,
                "what is said when all hold",
            ),
            optional("quiet", ArgumentKind::Boolean, "says less"),
        ],
        examples: "- assert:\n    that:\n      - port | int > 1023\n      - name is defined\n    fail_msg: the port {{ port }} is reserved\n",
        returns: &[
            ("assertion", "the condition that does not hold"),
            ("evaluated_to", "false, when one does not hold"),
        ],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "async_status",
        summary: "what became of a task with `async` and `poll: 0`",
        arguments: &[
            required(
                "jid",
                ArgumentKind::Text,
                "the `ansible_job_id` of its result",
            ),
            optional(
                "mode",
                ArgumentKind::Choice(&["status", "cleanup"]),
                "`cleanup` forgets it; `status` by default",
            ),
        ],
        examples: "- command: sleep 5\n  async: 30\n  poll: 0\n  register: job\n- async_status:\n    jid: \"{{ job.ansible_job_id }}\"\n",
        returns: &[
            ("started", "1"),
            ("finished", "1 once it is over"),
            ("ansible_job_id", "the job"),
        ],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "debug",
        summary: "says something",
        arguments: &[
            optional(
                "msg",
                ArgumentKind::Any,
                "what is said; `Hello world!` by default",
            ),
            optional(
                "var",
                ArgumentKind::Text,
                "the variable or expression whose value is shown, instead of `msg`",
            ),
            optional(
                "verbosity",
                ArgumentKind::Integer,
                "says it only from this many `-v` on; 0 by default",
            ),
        ],
        examples: "- debug:\n    msg: the address is {{ address }}\n- debug:\n    var: groups.web\n",
        returns: &[],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "fail",
        summary: "fails, and says why",
        arguments: &[optional(
            "msg",
            ArgumentKind::Text,
            "why; `Failed as requested from task` by default",
        )],
        examples: "- fail:\n    msg: there is no room left\n  when: free_gb | int < 5\n",
        returns: &[],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "group_by",
        summary: "puts hosts into groups by what they are, for later plays",
        arguments: &[
            required(
                "key",
                ArgumentKind::Text,
                "the group; made when it is not there",
            ),
            optional(
                "parents",
                ArgumentKind::Texts,
                "groups that it is put into; `all` by default",
            ),
        ],
        examples: "- group_by:\n    key: os_{{ ansible_distribution }}\n",
        returns: &[("add_group", "the group"), ("parent_groups", "its parents")],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "import_playbook",
        summary: "stands for the plays of another playbook; in place of a play",
        arguments: &[],
        examples: "",
        returns: &[],
        free_form: Some("the playbook"),
        ..Documentation::EMPTY
    },
    Documentation {
        name: "import_role",
        summary: "stands for the tasks of a role, read before the run; keywords are handed down to each of them",
        arguments: ROLE,
        examples: "- import_role:\n    name: web\n    tasks_from: install\n",
        returns: &[],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "import_tasks",
        summary: "stands for the tasks of a file, read before the run; keywords are handed down to each of them",
        arguments: &[required("file", ArgumentKind::Path, "the file")],
        examples: "- import_tasks: install.yaml\n  when: wanted\n",
        returns: &[],
        free_form: Some("file"),
        ..Documentation::EMPTY
    },
    Documentation {
        name: "include_role",
        summary: "runs the tasks of a role when the run comes to it; may loop and depend on the host",
        arguments: &[
            required("name", ArgumentKind::Text, "the role"),
            optional(
                "tasks_from",
                ArgumentKind::Text,
                "the file of its tasks; `main` by default",
            ),
            optional(
                "vars_from",
                ArgumentKind::Text,
                "the file of its variables; `main` by default",
            ),
            optional(
                "defaults_from",
                ArgumentKind::Text,
                "the file of its defaults; `main` by default",
            ),
            optional(
                "handlers_from",
                ArgumentKind::Text,
                "the file of its handlers; `main` by default",
            ),
            optional(
                "public",
                ArgumentKind::Boolean,
                "the rest of the play sees its variables; false by default",
            ),
            optional(
                "allow_duplicates",
                ArgumentKind::Boolean,
                "it runs although the host has run the same before; true by default",
            ),
            optional(
                "rolespec_validate",
                ArgumentKind::Boolean,
                "its arguments are checked against its specification; true by default",
            ),
            optional(
                "apply",
                ArgumentKind::Mapping,
                "keywords for the tasks inside",
            ),
        ],
        examples: "- include_role:\n    name: \"{{ item }}\"\n  loop: [web, db]\n",
        returns: &[],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "include_tasks",
        summary: "runs the tasks of a file when the run comes to it; may loop and depend on the host",
        arguments: &[
            required("file", ArgumentKind::Path, "the file"),
            optional(
                "apply",
                ArgumentKind::Mapping,
                "keywords for the tasks inside",
            ),
        ],
        examples: "- include_tasks: \"{{ ansible_os_family }}.yaml\"\n",
        returns: &[],
        free_form: Some("file"),
        ..Documentation::EMPTY
    },
    Documentation {
        name: "include_vars",
        summary: "reads variables from files of the control machine",
        arguments: &[
            optional(
                "file",
                ArgumentKind::Path,
                "the file, looked for in `vars/` first",
            ),
            optional(
                "dir",
                ArgumentKind::Path,
                "a folder whose files are read, instead of `file`",
            ),
            optional(
                "name",
                ArgumentKind::Text,
                "the variable that holds them all; each is a variable of its own by default",
            ),
            optional(
                "depth",
                ArgumentKind::Integer,
                "how deep folders are read; all of them by default",
            ),
            optional(
                "files_matching",
                ArgumentKind::Text,
                "only files whose names match this regular expression",
            ),
            optional(
                "ignore_files",
                ArgumentKind::Texts,
                "names that are left out",
            ),
            optional(
                "extensions",
                ArgumentKind::Texts,
                "endings of files that are read; `yaml`, `yml` and `json` by default",
            ),
            optional(
                "ignore_unknown_extensions",
                ArgumentKind::Boolean,
                "leaves other files out instead of failing; false by default",
            ),
        ],
        examples: "- include_vars: \"{{ ansible_os_family }}.yaml\"\n- include_vars:\n    dir: settings\n    name: settings\n",
        returns: &[
            ("ansible_facts", "the variables"),
            ("ansible_included_var_files", "the files"),
        ],
        free_form: Some("file"),
        ..Documentation::EMPTY
    },
    Documentation {
        name: "meta",
        summary: "tells the run itself what to do",
        arguments: &[],
        examples: "- meta: flush_handlers\n- meta: end_host\n  when: nothing_left is defined\n",
        returns: &[],
        free_form: Some(
            "one of flush_handlers, end_play, end_batch, end_host, end_role, clear_facts, clear_host_errors, refresh_inventory, reset_connection, noop",
        ),
        ..Documentation::EMPTY
    },
    Documentation {
        name: "pause",
        summary: "waits for a time, or for a person; once, whatever hosts run it",
        arguments: &[
            optional("seconds", ArgumentKind::Number, "how long"),
            optional(
                "minutes",
                ArgumentKind::Number,
                "how long, instead of `seconds`",
            ),
            optional(
                "prompt",
                ArgumentKind::Text,
                "what is asked when there is no time",
            ),
            optional(
                "echo",
                ArgumentKind::Boolean,
                "shows what is typed; true by default",
            ),
        ],
        examples: "- pause:\n    seconds: 10\n",
        returns: &[
            ("user_input", "what was typed"),
            ("delta", "seconds that it took"),
            ("stdout", "how long it paused, in words"),
        ],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "set_fact",
        summary: "sets variables of the host for the rest of the run",
        arguments: &[
            optional("…", ArgumentKind::Any, "each argument is a variable"),
            optional(
                "cacheable",
                ArgumentKind::Boolean,
                "sets them as facts as well; false by default",
            ),
        ],
        examples: "- set_fact:\n    port: 8080\n    url: http://{{ inventory_hostname }}\n",
        returns: &[("ansible_facts", "the variables")],
        ..Documentation::EMPTY
    },
    Documentation {
        name: "validate_argument_spec",
        summary: "checks variables against a specification of arguments",
        arguments: &[
            required(
                "argument_spec",
                ArgumentKind::Mapping,
                "the options, as `meta/argument_specs.yml` has them",
            ),
            optional(
                "provided_arguments",
                ArgumentKind::Mapping,
                "values that go before variables",
            ),
            optional(
                "validate_args_context",
                ArgumentKind::Mapping,
                "where the specification is from; for people",
            ),
        ],
        examples: "- validate_argument_spec:\n    argument_spec:\n      port:\n        type: int\n        required: true\n",
        returns: &[("argument_errors", "what is wrong")],
        ..Documentation::EMPTY
    },
];

#[cfg(test)]
mod tests {
    use super::ACTIONS as DOCUMENTED;
    use crate::playbook::{Library, action, load};

    #[test]
    fn every_action_is_described_and_its_examples_are_right() {
        for name in action::ACTIONS {
            let is_known = DOCUMENTED.iter().any(|one| one.name == *name)
                || crate::modules::spec(name).is_some();
            assert!(is_known, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("install.yaml", "[]"),
            ("roles/web/tasks/install.yaml", "[]"),
            ("roles/web/tasks/main.yaml", "[]"),
            ("roles/db/tasks/main.yaml", "[]"),
            ("vars/settings/a.yaml", "a: 1"),
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for one in DOCUMENTED.iter().filter(|one| !one.examples.is_empty()) {
            let tasks: String = one
                .examples
                .lines()
                .map(|line| format!("    {line}\n"))
                .collect();
            let site = format!("- hosts: all\n  tasks:\n{tasks}");
            let library = Library::folder(folder.path()).with_text("site.yaml", site);
            load(&library, "site.yaml").unwrap_or_else(|found| panic!("{}: {found}", one.name));
        }
    }
}
