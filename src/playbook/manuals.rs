//! What `kk doc` says about the actions that the engine does itself.

use crate::modules::{Argument, ArgumentKind, Manual};

const fn text(name: &'static str, summary: &'static str) -> Argument {
    Argument::optional(name, ArgumentKind::Text, summary)
}

const fn texts(name: &'static str, summary: &'static str) -> Argument {
    Argument::optional(name, ArgumentKind::Texts, summary)
}

const fn flag(name: &'static str, summary: &'static str) -> Argument {
    Argument::optional(name, ArgumentKind::Boolean, summary)
}

const fn any(name: &'static str, summary: &'static str) -> Argument {
    Argument::optional(name, ArgumentKind::Any, summary)
}

const ROLE_NAME: Argument = Argument::required(
    "name",
    ArgumentKind::Text,
    "the role, by its name or its path",
)
.or(&["role"]);
const TASKS_FROM: Argument = text(
    "tasks_from",
    "the file of its `tasks` folder; `main` by default",
);
const VARS_FROM: Argument = text(
    "vars_from",
    "the file of its `vars` folder; `main` by default",
);
const DEFAULTS_FROM: Argument = text(
    "defaults_from",
    "the file of its `defaults` folder; `main` by default",
);
const HANDLERS_FROM: Argument = text(
    "handlers_from",
    "the file of its `handlers` folder; `main` by default",
);
const PUBLIC: Argument = flag(
    "public",
    "its variables are seen by later tasks of the play, too; false by default",
);
const ALLOW_DUPLICATES: Argument = flag("allow_duplicates", "it may run again; true by default");
const ROLESPEC_VALIDATE: Argument = flag(
    "rolespec_validate",
    "check its arguments by `meta/argument_specs.yml`; true by default",
);

const APPLY: Argument = Argument::optional(
    "apply",
    ArgumentKind::Mapping,
    "keywords for every task that is included, as in `{tags: web}`",
);

/// One of each action, in alphabetical order.
pub static MANUALS: &[Manual] = &[
    Manual {
        name: "add_host",
        aliases: &[],
        summary: "makes a host for later plays of the run, and puts it into groups",
        arguments: &[
            Argument::required("name", ArgumentKind::Text, "the host").or(&["host", "hostname"]),
            texts(
                "groups",
                "its groups; they are made where they are not there",
            )
            .or(&["group", "groupname"]),
        ],
        free_form: None,
        examples: "- name: the new machine; anything else becomes a variable of it\n  add_host:\n    name: \"{{ created.address }}\"\n    groups: [new]\n    ansible_user: admin\n",
        returns: &[("add_host", "the host with its groups and variables")],
    },
    Manual {
        name: "assert",
        aliases: &[],
        summary: "fails unless all conditions hold",
        arguments: &[
            Argument::required(
                "that",
                ArgumentKind::Texts,
                "the conditions, without braces",
            ),
            any(
                "fail_msg",
                "what to say when one does not hold, a text or a list",
            )
            .or(&["msg"]),
            any("success_msg", "what to say when all hold"),
            flag(
                "quiet",
                "say nothing of conditions that hold; false by default",
            ),
        ],
        free_form: None,
        examples: "- name: there is room\n  assert:\n    that:\n      - ansible_memtotal_mb >= 2000\n      - \"'web' in group_names\"\n    fail_msg: the machine is too small\n",
        returns: &[
            ("assertion", "the condition that does not hold"),
            ("evaluated_to", "false"),
        ],
    },
    Manual {
        name: "async_status",
        aliases: &[],
        summary: "asks after a task that was started with `async` and `poll: 0`",
        arguments: &[
            Argument::required(
                "jid",
                ArgumentKind::Text,
                "`ansible_job_id` of the registered task",
            ),
            Argument::optional(
                "mode",
                ArgumentKind::Choice(&["status", "cleanup"]),
                "`cleanup` forgets it; `status` by default",
            ),
        ],
        free_form: None,
        examples: "- name: it is through\n  async_status: {jid: \"{{ long.ansible_job_id }}\"}\n  register: ended\n  until: ended.finished\n  retries: 100\n",
        returns: &[
            ("ansible_job_id", "the same"),
            ("started, finished", "1 or 0"),
        ],
    },
    Manual {
        name: "debug",
        aliases: &[],
        summary: "says something",
        arguments: &[
            any("msg", "what; `Hello world!` by default"),
            text(
                "var",
                "a variable or an expression, without braces, instead of `msg`",
            ),
            Argument::optional(
                "verbosity",
                ArgumentKind::Integer,
                "only with so many `-v`; 0 by default",
            ),
        ],
        free_form: None,
        examples: "- debug: {msg: \"{{ inventory_hostname }} is ready\"}\n\n- debug: {var: result.stdout_lines, verbosity: 1}\n",
        returns: &[],
    },
    Manual {
        name: "fail",
        aliases: &[],
        summary: "fails",
        arguments: &[text(
            "msg",
            "why; `Failed as requested from task` by default",
        )],
        free_form: None,
        examples: "- name: not here\n  fail: {msg: this is no web server}\n  when: \"'web' not in group_names\"\n",
        returns: &[],
    },
    Manual {
        name: "group_by",
        aliases: &[],
        summary: "puts the host into a group that is called by a template, for later plays",
        arguments: &[
            Argument::required("key", ArgumentKind::Text, "the group; blanks become `-`"),
            texts("parents", "the groups above it; `all` by default"),
        ],
        free_form: None,
        examples: "- group_by: {key: \"os_{{ ansible_distribution }}\"}\n",
        returns: &[
            ("add_group", "the group"),
            ("parent_groups", "the groups above it"),
        ],
    },
    Manual {
        name: "import_playbook",
        aliases: &[],
        summary: "stands for the plays of another file; a play of its own, not a task",
        arguments: &[],
        free_form: None,
        examples: "",
        returns: &[],
    },
    Manual {
        name: "import_role",
        aliases: &[],
        summary: "stands for the tasks of a role: read before the run, so that tags reach into it",
        arguments: &[
            ROLE_NAME,
            TASKS_FROM,
            VARS_FROM,
            DEFAULTS_FROM,
            HANDLERS_FROM,
            PUBLIC,
            ALLOW_DUPLICATES,
            ROLESPEC_VALIDATE,
        ],
        free_form: None,
        examples: "- import_role: {name: web, tasks_from: install}\n",
        returns: &[],
    },
    Manual {
        name: "import_tasks",
        aliases: &[],
        summary: "stands for the tasks of a file: read before the run, so that tags reach into it",
        arguments: &[text("file", "the file")],
        free_form: Some("file"),
        examples: "- import_tasks: install.yaml\n",
        returns: &[],
    },
    Manual {
        name: "include_role",
        aliases: &[],
        summary: "runs a role where it stands; may have a loop, and a template in its name",
        arguments: &[
            ROLE_NAME,
            TASKS_FROM,
            VARS_FROM,
            DEFAULTS_FROM,
            HANDLERS_FROM,
            PUBLIC,
            ALLOW_DUPLICATES,
            ROLESPEC_VALIDATE,
            APPLY,
        ],
        free_form: None,
        examples: "- include_role: {name: \"{{ item }}\"}\n  loop: [web, database]\n",
        returns: &[("include", "the role")],
    },
    Manual {
        name: "include_tasks",
        aliases: &[],
        summary: "runs the tasks of a file where it stands; may have a loop, and a template in its name",
        arguments: &[text("file", "the file"), APPLY],
        free_form: Some("file"),
        examples: "- include_tasks: \"{{ ansible_os_family }}.yaml\"\n",
        returns: &[("include", "the file")],
    },
    Manual {
        name: "include_vars",
        aliases: &[],
        summary: "reads variables of a file or a folder of this machine",
        arguments: &[
            Argument::optional(
                "file",
                ArgumentKind::Path,
                "the file, searched for in `vars`, too",
            ),
            Argument::optional(
                "dir",
                ArgumentKind::Path,
                "a folder, all files of which are read, in the order of their names",
            ),
            text(
                "name",
                "a variable that holds them all; each is one of its own by default",
            ),
            Argument::optional(
                "depth",
                ArgumentKind::Integer,
                "how far below `dir`; 0, the default, is all the way",
            ),
            texts(
                "extensions",
                "endings of files in `dir`; json, yaml and yml by default",
            ),
            text(
                "files_matching",
                "a regular expression for the names in `dir`",
            ),
            texts("ignore_files", "names in `dir` that are left out"),
            flag(
                "ignore_unknown_extensions",
                "leave out other endings instead of failing; false by default",
            ),
        ],
        free_form: Some("file"),
        examples: "- include_vars: \"{{ ansible_os_family }}.yaml\"\n",
        returns: &[
            ("ansible_facts", "the variables"),
            ("ansible_included_var_files", "the files"),
        ],
    },
    Manual {
        name: "meta",
        aliases: &[],
        summary: "does something to the run itself: flush_handlers, end_play, end_host, end_batch, clear_facts, clear_host_errors, refresh_inventory, reset_connection or noop",
        arguments: &[],
        free_form: Some("what"),
        examples: "- meta: flush_handlers\n\n- name: nothing to do here\n  meta: end_host\n  when: is_done | default(false)\n",
        returns: &[],
    },
    Manual {
        name: "pause",
        aliases: &[],
        summary: "waits for a time, or for somebody at the terminal",
        arguments: &[
            Argument::optional("seconds", ArgumentKind::Number, "for how long"),
            Argument::optional("minutes", ArgumentKind::Number, "the same in minutes"),
            text("prompt", "what to ask"),
            flag("echo", "show what is typed; true by default"),
        ],
        free_form: None,
        examples: "- pause: {seconds: 10}\n",
        returns: &[
            ("user_input", "what was typed"),
            ("delta, start, stop", "how long it took"),
        ],
    },
    Manual {
        name: "set_fact",
        aliases: &[],
        summary: "sets variables of the host for the rest of the run",
        arguments: &[flag(
            "cacheable",
            "a fact as well, so that a later run's `ansible_facts` would have it; false by default",
        )],
        free_form: None,
        examples: "- set_fact:\n    address: \"{{ ansible_default_ipv4.address }}\"\n    is_first: \"{{ inventory_hostname == groups.web[0] }}\"\n",
        returns: &[("ansible_facts", "the variables")],
    },
    Manual {
        name: "validate_argument_spec",
        aliases: &[],
        summary: "fails unless arguments are as a specification says",
        arguments: &[
            Argument::required(
                "argument_spec",
                ArgumentKind::Mapping,
                "the specification, as the `options` of `meta/argument_specs.yml`",
            ),
            Argument::optional(
                "provided_arguments",
                ArgumentKind::Mapping,
                "values that go before the variables of these names",
            ),
            Argument::optional(
                "validate_args_context",
                ArgumentKind::Mapping,
                "where it comes from, for messages",
            ),
        ],
        free_form: None,
        examples: "- validate_argument_spec:\n    argument_spec:\n      port: {type: int, required: true}\n",
        returns: &[
            ("argument_errors", "what is wrong"),
            ("argument_spec_data", "the specification"),
        ],
    },
];
