//! Reading playbooks, plays and roles.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Frame, Item, Library, Play, Playbook, Role, Task, task};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use crate::template::{Layer, Template};
use crate::yaml::{self, Fields, Node};

/// Keywords that Ansible knows and this program does not take (yet): an error says so instead of "unknown".
pub(super) const NOT_SUPPORTED: &[&str] = &[
    "async",
    "become_exe",
    "become_flags",
    "collections",
    "connection",
    "debugger",
    "delegate_facts",
    "environment",
    "fact_path",
    "force_handlers",
    "gather_subset",
    "gather_timeout",
    "ignore_unreachable",
    "import_playbook",
    "include",
    "include_vars",
    "local_action",
    "max_fail_percentage",
    "module_defaults",
    "order",
    "poll",
    "port",
    "remote_user",
    "serial",
    "strategy",
    "throttle",
    "vars_files",
    "vars_prompt",
    "action",
    "with_dict",
    "with_fileglob",
    "with_nested",
    "with_sequence",
    "with_subelements",
    "with_together",
    "with_list",
];

/// The refusal of a keyword of Ansible's, with what to do instead where there is something.
pub(super) fn not_supported(name: &str, place: &Place) -> Diagnostic {
    let diagnostic = Diagnostic::at(place, format!("the keyword `{name}` is not supported"));
    let instead = match name {
        "action" => "name the module itself: `copy:` with its arguments below",
        "connection" | "local_action" => {
            "`hosts: localhost` and `delegate_to: localhost` work on this machine"
        }
        "environment" => "set the variables in a `shell` task",
        "import_playbook" => "write its plays into this playbook",
        "include" => "`include_tasks` and `import_tasks` are",
        "include_vars" | "vars_files" | "vars_prompt" => {
            "put the variables under `vars:`, into the inventory, or into `group_vars/` beside it"
        }
        "port" | "remote_user" => "say it in the inventory, under the host's `connector`",
        "serial" | "order" | "throttle" | "strategy" => {
            "all hosts of a play run together; `--limit` and `--forks` choose how many"
        }
        name if name.starts_with("with_") => "`loop` is, with a filter such as `dict2items`",
        _ => return diagnostic,
    };
    diagnostic.hint(instead)
}

/// Reads and checks a playbook of a library, or says everything that is wrong.
pub fn load(library: &Library, path: &str) -> Result<Playbook, Diagnostics> {
    let mut loader = Loader::new(library);
    let entry = match library.read(path) {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            let message = format!("there is no playbook `{path}`");
            return Err(Diagnostic::error(message)
                .hint(format!("looked for {}", library.describe(path)))
                .into());
        }
        Err(error) => {
            return Err(Diagnostic::error(format!("cannot read the playbook: {error}")).into());
        }
    };
    let mut plays = Vec::new();
    if let Some(node) = loader.parse(&entry.name, &entry.bytes) {
        match node.as_sequence() {
            Some(items) => plays.extend(items.iter().filter_map(|item| loader.play(item))),
            None => loader.found.push(
                node.unexpected("a list of plays")
                    .hint("a playbook starts with `- name: …`"),
            ),
        }
    }
    loader.found.check(Playbook {
        name: path.to_owned(),
        plays,
    })
}

/// What is shared while one playbook is read.
pub(super) struct Loader<'a> {
    pub(super) library: &'a Library,
    pub(super) found: Diagnostics,
    pub(super) roles: HashMap<String, Arc<Role>>,
    /// Roles and files that are being read, to find circles.
    pub(super) reading: Vec<String>,
    /// Handlers of the play that is being read.
    pub(super) handlers: Vec<Arc<Task>>,
    /// The list that is being read is one of handlers.
    pub(super) in_handlers: bool,
    /// Roles whose handlers have been taken over into the play.
    pub(super) handlers_of: Vec<String>,
    /// Roles whose variables the whole play sees.
    pub(super) public: Vec<Arc<Role>>,
    /// Names of handlers that tasks of the play notify.
    pub(super) notified: Vec<(String, Place)>,
    /// Roles that the play has run already, with what they were given.
    pub(super) used: Vec<String>,
}

impl<'a> Loader<'a> {
    fn new(library: &'a Library) -> Self {
        Self {
            library,
            found: Diagnostics::new(),
            roles: HashMap::new(),
            reading: Vec::new(),
            handlers: Vec::new(),
            in_handlers: false,
            handlers_of: Vec::new(),
            public: Vec::new(),
            notified: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Parses a YAML file of the library.
    pub(super) fn parse(&mut self, name: &str, bytes: &[u8]) -> Option<Node> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.found
                .push(Diagnostic::error(format!("`{name}` is not UTF-8 text")));
            return None;
        };
        yaml::parse(&Source::new(name, text))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    fn play(&mut self, node: &Node) -> Option<Play> {
        self.handlers.clear();
        self.handlers_of.clear();
        self.public.clear();
        self.notified.clear();
        self.used.clear();
        let fields = Fields::new(node, "a play")
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        if node.get("import_playbook").is_some() {
            self.finish(fields);
            return None;
        }
        let Some(hosts) = self.template(&fields, "hosts") else {
            if fields.value("hosts").is_none() {
                self.found.push(
                    Diagnostic::at(fields.place(), "a play needs `hosts`")
                        .hint("name a group or a host: `hosts: all`"),
                );
            }
            return None;
        };
        let name = fields
            .text("name", &mut self.found)
            .unwrap_or_else(|| hosts.source())
            .to_owned();
        let gather_facts = fields
            .boolean("gather_facts", &mut self.found)
            .unwrap_or(true);
        let frame = Arc::new(self.frame(&fields, None));
        let mut own_handlers = Vec::new();
        if let Some(list) = fields.value("handlers") {
            own_handlers = self.handler_list(list, &frame);
        }
        let mut sections = Vec::new();
        sections.push(
            fields
                .value("pre_tasks")
                .map(|list| self.items(list, &frame))
                .unwrap_or_default(),
        );
        let mut main = Vec::new();
        if let Some(list) = fields.value("roles") {
            match list.as_sequence() {
                Some(entries) => {
                    for entry in entries {
                        main.extend(self.role_entry(entry, &frame));
                    }
                }
                None => self.found.push(list.unexpected("a list of roles")),
            }
        }
        if let Some(list) = fields.value("tasks") {
            main.extend(self.items(list, &frame));
        }
        sections.push(main);
        sections.push(
            fields
                .value("post_tasks")
                .map(|list| self.items(list, &frame))
                .unwrap_or_default(),
        );
        self.finish(fields);
        let mut handlers = std::mem::take(&mut self.handlers);
        handlers.append(&mut own_handlers);
        self.check_notified(&handlers);
        Some(Play {
            name,
            hosts,
            frame,
            gather_facts,
            sections,
            handlers,
            roles: std::mem::take(&mut self.public),
        })
    }

    fn check_notified(&mut self, handlers: &[Arc<Task>]) {
        let names: Vec<String> = handlers
            .iter()
            .flat_map(|handler| handler.handler_names())
            .collect();
        for (name, place) in std::mem::take(&mut self.notified) {
            if !names.contains(&name) {
                let mut diagnostic =
                    Diagnostic::at(&place, format!("there is no handler `{name}`"))
                        .suggest(&name, names.iter().map(String::as_str));
                diagnostic.hint.get_or_insert_with(|| {
                    if names.is_empty() {
                        "the play has none; they stand under `handlers:`".to_owned()
                    } else {
                        format!("there are: {}", names.join(", "))
                    }
                });
                self.found.push(diagnostic);
            }
        }
    }

    /// Whether a text can name a variable; if not, that is reported.
    pub(super) fn check_variable(&mut self, name: &str, place: &Place) {
        let mut characters = name.chars();
        let is_name = characters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            self.found.push(
                Diagnostic::at(place, format!("`{name}` is not a name for a variable"))
                    .hint("letters, digits and `_`, not starting with a digit"),
            );
        }
    }

    /// Reports unknown keys, apart from Ansible's that are not supported.
    pub(super) fn finish(&mut self, fields: Fields<'_>) {
        for (key, _) in fields.rest() {
            let name = key.as_str().unwrap_or_default();
            if let Some(known) = NOT_SUPPORTED.iter().find(|known| **known == name) {
                let _ = fields.node(known);
                self.found.push(not_supported(name, &key.place));
            }
        }
        fields.finish(&mut self.found);
    }

    /// A text that may be a template.
    pub(super) fn template(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Template> {
        let node = fields.value(key)?;
        self.template_of(node)
    }

    pub(super) fn template_of(&mut self, node: &Node) -> Option<Template> {
        let text = node
            .expect_str()
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        Template::parse(text, Some(&node.place))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    /// A boolean, or a template that becomes one.
    fn flag(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Template> {
        let node = fields.value(key)?;
        let text = node
            .expect_str()
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        if crate::template::is_template(text) {
            return self.template_of(node);
        }
        let Some(boolean) = node.as_bool() else {
            self.found.push(
                node.unexpected("a boolean")
                    .hint("write `true`, `false`, or a template"),
            );
            return None;
        };
        let text = if boolean { "true" } else { "false" };
        Template::expression(text, Some(&node.place))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    /// One condition or a list of them.
    pub(super) fn conditions(&mut self, fields: &Fields<'_>, key: &'static str) -> Vec<Template> {
        let Some(node) = fields.value(key) else {
            return Vec::new();
        };
        let nodes = node
            .as_sequence()
            .unwrap_or_else(|| std::slice::from_ref(node));
        let mut conditions = Vec::new();
        for node in nodes {
            let result = node
                .expect_str()
                .and_then(|text| Template::expression(text, Some(&node.place)));
            match result {
                Ok(condition) => conditions.push(condition),
                Err(diagnostic) => self.found.push(diagnostic),
            }
        }
        conditions
    }

    /// The keywords that plays, blocks and tasks share.
    pub(super) fn frame(&mut self, fields: &Fields<'_>, parent: Option<&Arc<Frame>>) -> Frame {
        let vars = fields.value("vars").and_then(|node| self.variables(node));
        let tags = fields.texts("tags", &mut self.found).unwrap_or_default();
        let tags = tags
            .iter()
            .filter_map(|node| node.as_str())
            .flat_map(|text| text.split(','))
            .map(|tag| tag.trim().to_owned());
        if let Some(method) = fields.text("become_method", &mut self.found)
            && method != "sudo"
        {
            let place = fields
                .value("become_method")
                .map_or_else(|| fields.place().clone(), |node| node.place.clone());
            self.found.push(
                Diagnostic::at(
                    &place,
                    format!("`become_method: {method}` is not supported"),
                )
                .hint("`sudo` is"),
            );
        }
        Frame {
            parent: parent.cloned(),
            tags: tags.collect(),
            vars,
            when: if parent.is_some() {
                self.conditions(fields, "when")
            } else {
                Vec::new()
            },
            elevate: self.flag(fields, "become"),
            become_user: self.template(fields, "become_user"),
            delegate_to: if parent.is_some() {
                self.template(fields, "delegate_to")
            } else {
                None
            },
            run_once: fields.boolean("run_once", &mut self.found),
            ignore_errors: self.flag(fields, "ignore_errors"),
            no_log: fields.boolean("no_log", &mut self.found),
            check_mode: fields.boolean("check_mode", &mut self.found),
            any_errors_fatal: fields.boolean("any_errors_fatal", &mut self.found),
            role: None,
        }
    }

    /// A mapping of variables; their templates are checked, and resolved when they are used.
    pub(super) fn variables(&mut self, node: &Node) -> Option<Layer> {
        let Some(pairs) = node.as_mapping() else {
            self.found.push(node.unexpected("a mapping of variables"));
            return None;
        };
        for (key, _) in pairs {
            self.check_variable(key.as_str().unwrap_or_default(), &key.place);
        }
        let value = super::ArgumentValue::any(node, &mut self.found);
        let json = match value {
            super::ArgumentValue::Literal(json)
            | super::ArgumentValue::Templated { raw: json, .. } => json,
        };
        match json {
            serde_json::Value::Object(map) => Some(Layer::templated(map)),
            _ => None,
        }
    }

    /// A list of tasks and blocks.
    pub(super) fn items(&mut self, node: &Node, frame: &Arc<Frame>) -> Vec<Item> {
        if node.is_null() {
            return Vec::new();
        }
        let Some(nodes) = node.as_sequence() else {
            self.found.push(node.unexpected("a list of tasks"));
            return Vec::new();
        };
        nodes
            .iter()
            .flat_map(|node| task::item(self, node, frame))
            .collect()
    }

    pub(super) fn handler_list(&mut self, node: &Node, frame: &Arc<Frame>) -> Vec<Arc<Task>> {
        let mut handlers = Vec::new();
        let outside = std::mem::replace(&mut self.in_handlers, true);
        let items = self.items(node, frame);
        self.in_handlers = outside;
        for item in items {
            match item {
                Item::Task(task) if task.name.is_some() => handlers.push(task),
                Item::Task(task) => self
                    .found
                    .push(Diagnostic::at(&task.place, "a handler needs a `name`")),
                Item::Block(_) => self.found.push(Diagnostic::at(
                    &node.place,
                    "a handler cannot be a block or an import",
                )),
            }
        }
        handlers
    }
}
