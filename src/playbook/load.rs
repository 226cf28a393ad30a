//! Reading playbooks, plays and roles.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Block, Frame, Item, Library, Play, Playbook, Role, Task, task};
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

/// Reads and checks a playbook of a library. Answers the playbook and the warnings, or everything that is wrong.
pub fn load(library: &Library, path: &str) -> Result<(Playbook, Diagnostics), Diagnostics> {
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
    loader.found.check(()).map(|()| {
        (
            Playbook {
                name: path.to_owned(),
                plays,
            },
            Diagnostics::new(),
        )
    })
}

/// What is shared while one playbook is read.
pub(super) struct Loader<'a> {
    pub(super) library: &'a Library,
    pub(super) found: Diagnostics,
    roles: HashMap<String, Arc<Role>>,
    /// Roles and files that are being read, to find circles.
    pub(super) reading: Vec<String>,
    /// Handlers of the play that is being read.
    pub(super) handlers: Vec<Arc<Task>>,
    /// Roles whose handlers have been taken over into the play.
    handlers_of: Vec<String>,
    /// Names of handlers that tasks of the play notify.
    pub(super) notified: Vec<(String, Place)>,
    /// Roles that the play has used already, for dependencies.
    used: Vec<String>,
}

impl<'a> Loader<'a> {
    fn new(library: &'a Library) -> Self {
        Self {
            library,
            found: Diagnostics::new(),
            roles: HashMap::new(),
            reading: Vec::new(),
            handlers: Vec::new(),
            handlers_of: Vec::new(),
            notified: Vec::new(),
            used: Vec::new(),
        }
    }

    /// Parses a YAML file of the library.
    pub(super) fn parse(&mut self, name: &str, bytes: &[u8]) -> Option<Node> {
        let source = match std::str::from_utf8(bytes) {
            Ok(text) => Source::new(name, text),
            Err(_) => {
                self.found
                    .push(Diagnostic::error(format!("`{name}` is not UTF-8 text")));
                return None;
            }
        };
        yaml::parse(&source)
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    fn play(&mut self, node: &Node) -> Option<Play> {
        self.handlers.clear();
        self.handlers_of.clear();
        self.notified.clear();
        self.used.clear();
        let fields = Fields::new(node, "a play")
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        let Some(hosts) = self.template(&fields, "hosts") else {
            self.found.push(
                Diagnostic::at(fields.place(), "a play needs `hosts`")
                    .hint("name a group or a host: `hosts: all`"),
            );
            return None;
        };
        let name = fields
            .text("name", &mut self.found)
            .unwrap_or_else(|| hosts.source())
            .to_owned();
        let gather_facts = fields
            .boolean("gather_facts", &mut self.found)
            .unwrap_or(true);
        let any_errors_fatal = fields
            .boolean("any_errors_fatal", &mut self.found)
            .unwrap_or(false);
        let frame = Arc::new(self.frame(&fields, None, None));
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
        own_handlers.append(&mut self.handlers);
        self.check_notified(&own_handlers);
        Some(Play {
            name,
            hosts,
            frame,
            gather_facts,
            any_errors_fatal,
            sections,
            handlers: own_handlers,
        })
    }

    fn check_notified(&mut self, handlers: &[Arc<Task>]) {
        let names: Vec<String> = handlers
            .iter()
            .flat_map(|handler| {
                handler
                    .name
                    .iter()
                    .map(|name| name.source().to_owned())
                    .chain(handler.listen.iter().cloned())
            })
            .collect();
        for (name, place) in std::mem::take(&mut self.notified) {
            if !names.contains(&name) {
                let diagnostic = Diagnostic::at(&place, format!("there is no handler `{name}`"));
                self.found
                    .push(diagnostic.suggest(&name, names.iter().map(String::as_str)));
            }
        }
    }

    /// Reports unknown keys, apart from Ansible's that are not supported.
    pub(super) fn finish(&mut self, fields: Fields<'_>) {
        let mut unsupported = false;
        for (key, _) in fields.rest() {
            if let Some(name) = key.as_str().filter(|name| NOT_SUPPORTED.contains(name)) {
                unsupported = true;
                self.found.push(Diagnostic::at(
                    &key.place,
                    format!("the keyword `{name}` is not supported"),
                ));
            }
        }
        if !unsupported {
            fields.finish(&mut self.found);
        }
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
            self.found.push(node.unexpected("a boolean"));
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
            .map_or_else(|| std::slice::from_ref(node), |items| items);
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
    pub(super) fn frame(
        &mut self,
        fields: &Fields<'_>,
        parent: Option<&Arc<Frame>>,
        role: Option<&Arc<Role>>,
    ) -> Frame {
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
            role: role.cloned(),
        }
    }

    /// A mapping of variables; their templates are checked, and resolved when they are used.
    pub(super) fn variables(&mut self, node: &Node) -> Option<Layer> {
        if node.as_mapping().is_none() {
            self.found.push(node.unexpected("a mapping of variables"));
            return None;
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

    /// One entry of `roles:` or of a role's dependencies.
    fn role_entry(&mut self, node: &Node, parent: &Arc<Frame>) -> Vec<Item> {
        if let Some(name) = node.as_str() {
            return self.role_items(name, &node.place, Arc::clone(parent), "main", false);
        }
        let Ok(fields) =
            Fields::new(node, "a role").map_err(|diagnostic| self.found.push(diagnostic))
        else {
            return Vec::new();
        };
        let by_name = fields.text("name", &mut self.found);
        let Some(name) = fields.text("role", &mut self.found).or(by_name) else {
            self.found
                .push(Diagnostic::at(&node.place, "a role entry needs `role`"));
            return Vec::new();
        };
        let frame = self.frame(&fields, Some(parent), None);
        let name = name.to_owned();
        self.finish(fields);
        self.role_items(&name, &node.place, Arc::new(frame), "main", false)
    }

    /// The tasks of a role as blocks: first those of its dependencies, then its own. `again` runs it even when the
    /// play has run it before.
    pub(super) fn role_items(
        &mut self,
        name: &str,
        place: &Place,
        parent: Arc<Frame>,
        tasks_from: &str,
        again: bool,
    ) -> Vec<Item> {
        let Some(role) = self.role(name, place) else {
            return Vec::new();
        };
        let plain = parent.vars.is_none() && parent.when.is_empty();
        if !again && plain && self.used.contains(&role.name) {
            return Vec::new();
        }
        if self.reading.contains(&role.folder) {
            let circle = format!("{} -> {name}", self.reading.join(" -> "));
            self.found.push(Diagnostic::at(
                place,
                format!("the role `{name}` depends on itself: {circle}"),
            ));
            return Vec::new();
        }
        self.reading.push(role.folder.clone());
        self.used.push(role.name.clone());
        let mut items = Vec::new();
        if let Some(meta) = self.role_file(&role, "meta", "main") {
            self.dependencies(&meta, &parent, &mut items);
        }
        let frame = Arc::new(Frame {
            parent: Some(parent),
            role: Some(Arc::clone(&role)),
            ..Frame::default()
        });
        if !self.handlers_of.contains(&role.name) {
            self.handlers_of.push(role.name.clone());
            if let Some(list) = self.role_file(&role, "handlers", "main") {
                let handlers = self.handler_list(&list, &frame);
                self.handlers.extend(handlers);
            }
        }
        match self.role_file(&role, "tasks", tasks_from) {
            Some(list) => {
                let own = self.items(&list, &frame);
                items.push(Item::Block(Arc::new(Block {
                    frame,
                    items: own,
                    rescue: Vec::new(),
                    always: Vec::new(),
                })));
            }
            None if tasks_from != "main" => {
                let looked = self
                    .library
                    .describe(&format!("{}/tasks/{tasks_from}.yaml", role.folder));
                self.found.push(
                    Diagnostic::at(
                        place,
                        format!("the role `{name}` has no tasks file `{tasks_from}`"),
                    )
                    .hint(format!("looked for {looked}")),
                );
            }
            None => {}
        }
        self.reading.pop();
        items
    }

    fn dependencies(&mut self, meta: &Node, parent: &Arc<Frame>, items: &mut Vec<Item>) {
        let Some(list) = meta.get("dependencies").filter(|node| !node.is_null()) else {
            return;
        };
        match list.as_sequence() {
            Some(entries) => {
                for entry in entries {
                    items.extend(self.role_entry(entry, parent));
                }
            }
            None => self.found.push(list.unexpected("a list of roles")),
        }
    }

    fn role(&mut self, name: &str, place: &Place) -> Option<Arc<Role>> {
        if let Some(role) = self.roles.get(name) {
            return Some(Arc::clone(role));
        }
        let folder = format!("roles/{name}");
        if !self.library.has_folder(&folder) {
            let names = self.library.folders_in("roles");
            let diagnostic = Diagnostic::at(place, format!("there is no role `{name}`"));
            let suggested = diagnostic.suggest(name, names.iter().map(String::as_str));
            self.found.push(if suggested.hint.is_some() {
                suggested
            } else {
                suggested.hint(format!("looked for {}", self.library.describe(&folder)))
            });
            return None;
        }
        let mut role = Role {
            name: name.to_owned(),
            folder,
            defaults: None,
            vars: None,
        };
        let defaults = self
            .role_file(&role, "defaults", "main")
            .and_then(|node| self.role_variables(&node));
        let vars = self
            .role_file(&role, "vars", "main")
            .and_then(|node| self.role_variables(&node));
        (role.defaults, role.vars) = (defaults, vars);
        let role = Arc::new(role);
        self.roles.insert(name.to_owned(), Arc::clone(&role));
        Some(role)
    }

    fn role_variables(&mut self, node: &Node) -> Option<Layer> {
        if node.is_null() {
            None
        } else {
            self.variables(node)
        }
    }

    /// A YAML file of a role, with either ending.
    pub(super) fn role_file(&mut self, role: &Role, kind: &str, name: &str) -> Option<Node> {
        let stem = name
            .strip_suffix(".yaml")
            .or_else(|| name.strip_suffix(".yml"))
            .unwrap_or(name);
        for ending in ["yaml", "yml"] {
            match self
                .library
                .read(&format!("{}/{kind}/{stem}.{ending}", role.folder))
            {
                Ok(Some(entry)) => return self.parse(&entry.name, &entry.bytes),
                Ok(None) => {}
                Err(error) => self.found.push(Diagnostic::error(format!(
                    "cannot read a file of the role `{}`: {error}",
                    role.name
                ))),
            }
        }
        None
    }

    /// A list of tasks and blocks.
    pub(super) fn items(&mut self, node: &Node, frame: &Arc<Frame>) -> Vec<Item> {
        if node.is_null() {
            return Vec::new();
        }
        match node.as_sequence() {
            Some(nodes) => nodes
                .iter()
                .flat_map(|node| task::item(self, node, frame))
                .collect(),
            None => {
                self.found.push(node.unexpected("a list of tasks"));
                Vec::new()
            }
        }
    }

    fn handler_list(&mut self, node: &Node, frame: &Arc<Frame>) -> Vec<Arc<Task>> {
        let mut handlers = Vec::new();
        for item in self.items(node, frame) {
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
