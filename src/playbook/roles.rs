//! Reading roles: their tasks, handlers, variables, arguments and dependencies.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::frame::within;
use super::load::Loader;
use super::{Action, ArgumentValue, Block, EngineAction, Frame, Item, Role, Task};
use crate::diagnostic::{Diagnostic, Place};
use crate::template::{Layer, Template};
use crate::yaml::{Fields, Node};

/// Files of a role that are read instead of `main`.
#[derive(Debug, Clone, Default)]
pub(super) struct From {
    pub(super) tasks: Option<String>,
    pub(super) vars: Option<String>,
    pub(super) defaults: Option<String>,
    pub(super) handlers: Option<String>,
}

/// How a role is asked for.
pub(super) struct Wanted<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where it is named.
    pub(super) place: &'a Place,
    /// Its files.
    pub(super) from: &'a From,
    /// Variables that are given to it; stronger than its own.
    pub(super) vars: Option<Layer>,
    /// Parameters: stronger than what tasks set.
    pub(super) params: Option<Layer>,
    /// Runs although the host has run it before.
    pub(super) again: bool,
    /// The whole play sees its variables.
    pub(super) public: bool,
    /// Its arguments are checked.
    pub(super) validate: bool,
}

/// Keys of a role entry that name the role.
const NAMES: &[&str] = &["role", "name"];

/// What tells that a role is being read: its folder, and the file of its tasks where it is not the usual one.
pub(super) fn reading_mark(folder: &str, tasks_from: Option<&str>) -> String {
    match tasks_from.map(stem).filter(|tasks| *tasks != "main") {
        Some(tasks) => format!("{folder}#{tasks}"),
        None => folder.to_owned(),
    }
}

impl Loader<'_> {
    /// One entry of `roles:` or of a role's dependencies.
    pub(super) fn role_entry(
        &mut self,
        node: &Node,
        parent: &Arc<Frame>,
    ) -> (Vec<Item>, Option<Arc<Role>>) {
        let from = From::default();
        let mut wanted = Wanted {
            name: "",
            place: &node.place,
            from: &from,
            vars: None,
            params: None,
            again: false,
            public: true,
            validate: true,
        };
        let named = match node.as_str() {
            Some(_) => Some(node),
            None => NAMES.iter().find_map(|key| node.get(key)),
        };
        let template = named.and_then(|node| self.template_of(node));
        if let (Some(_), Some(template)) = (node.as_str(), &template) {
            let Some(name) = self.known_now(template, parent) else {
                return (Vec::new(), None);
            };
            wanted.name = &name;
            return self.role_items(&wanted, Arc::clone(parent));
        }
        let Ok(fields) =
            Fields::new(node, "a role").map_err(|diagnostic| self.found.push(diagnostic))
        else {
            return (Vec::new(), None);
        };
        for key in NAMES {
            let _ = fields.node(key);
        }
        let Some(template) = template else {
            if named.is_none() {
                self.found.push(
                    Diagnostic::at(&node.place, "a role entry needs `role`")
                        .hint("write `- role: NAME`"),
                );
            }
            return (Vec::new(), None);
        };
        let mut frame = self.frame(&fields, Some(parent));
        self.collections(&fields);
        wanted.vars = frame.vars.take();
        wanted.params = self.parameters(&fields);
        let known = Frame {
            parent: Some(Arc::clone(parent)),
            vars: wanted.vars.clone(),
            params: wanted.params.clone(),
            ..Frame::default()
        };
        let Some(name) = self.known_now(&template, &known) else {
            return (Vec::new(), None);
        };
        wanted.name = &name;
        self.role_items(&wanted, Arc::new(frame))
    }

    /// Every key of a role entry that is no keyword is a parameter.
    fn parameters(&mut self, fields: &Fields<'_>) -> Option<Layer> {
        let rest: Vec<(Node, Node)> = fields.rest().into_iter().cloned().collect();
        let mut parameters = Map::new();
        for (key, value) in &rest {
            let name = key.as_str().unwrap_or_default();
            if super::unsupported::NOT_SUPPORTED.contains(&name) {
                self.found
                    .push(super::unsupported::not_supported(name, &key.place));
                continue;
            }
            self.check_variable(name, &key.place);
            let value = match ArgumentValue::any(value, &mut self.found) {
                ArgumentValue::Literal(json) | ArgumentValue::Templated { raw: json, .. } => json,
            };
            parameters.insert(name.to_owned(), value);
            let slip = crate::diagnostic::did_you_mean(name, ["tags", "when", "vars", "become"]);
            if let Some(hint) = slip {
                self.found.push(
                    Diagnostic::warning_at(
                        &key.place,
                        format!("`{name}` is taken as a parameter of the role"),
                    )
                    .hint(hint),
                );
            }
        }
        (!parameters.is_empty()).then(|| Layer::templated(parameters))
    }

    /// The tasks of a role as blocks: first those of its dependencies, then its own.
    pub(super) fn role_items(
        &mut self,
        wanted: &Wanted<'_>,
        parent: Arc<Frame>,
    ) -> (Vec<Item>, Option<Arc<Role>>) {
        let (name, place) = (wanted.name, wanted.place);
        let Some(role) = self.role(name, place, wanted.from, &parent) else {
            return (Vec::new(), None);
        };
        let mark = reading_mark(&role.folder, wanted.from.tasks.as_deref());
        if self.reading.contains(&mark) {
            let circle = format!("{} -> {mark}", self.reading.join(" -> "));
            self.found.push(
                Diagnostic::at(place, format!("the role `{name}` depends on itself"))
                    .hint(format!("it is reached by {circle}")),
            );
            return (Vec::new(), None);
        }
        let again = wanted.again || role.allow_duplicates;
        let once = (!again).then(|| given(&role, wanted, &parent).into());
        self.reading.push(mark);
        let mut items = Vec::new();
        if let Some(meta) = self.role_file(&role.folder, "meta", "main") {
            let around = Arc::new(Frame {
                parent: Some(Arc::clone(&parent)),
                vars: wanted.vars.clone(),
                params: wanted.params.clone(),
                role: Some(Arc::clone(&role)),
                ..Frame::default()
            });
            let dependencies = self.dependencies(&meta, &around, &mut items);
            let _ = role.dependencies.set(dependencies);
        }
        if wanted.public && !self.public.iter().any(|public| Arc::ptr_eq(public, &role)) {
            self.public.push(Arc::clone(&role));
        }
        let tasks_from = wanted.from.tasks.as_deref().unwrap_or("main");
        let tasks = stem(tasks_from);
        let folder = match tasks.rsplit_once('/') {
            Some((folder, _)) => format!("{}/tasks/{folder}", role.folder),
            None => format!("{}/tasks", role.folder),
        };
        let frame = Arc::new(Frame {
            parent: Some(parent),
            vars: wanted.vars.clone(),
            params: wanted.params.clone(),
            role: Some(Arc::clone(&role)),
            folder: Some(folder.as_str().into()),
            ..Frame::default()
        });
        let handlers_from = wanted.from.handlers.as_deref().unwrap_or("main");
        let handlers_of = given(&role, wanted, frame.parent.as_deref().unwrap_or(&frame));
        if !self.handlers_of.contains(&handlers_of) {
            self.handlers_of.push(handlers_of);
            match self.role_file(&role.folder, "handlers", handlers_from) {
                Some(list) => {
                    let handlers = self.handler_list(&list, &frame);
                    self.handlers.extend(handlers);
                }
                None if handlers_from != "main" => {
                    self.no_file(&role, "handlers", handlers_from, place);
                }
                None => {}
            }
        }
        let mut own = Vec::new();
        if wanted.validate {
            own.extend(self.validation(&role, tasks, wanted.params.as_ref(), &frame, place));
        }
        match self.role_file(&role.folder, "tasks", tasks_from) {
            Some(list) => own.extend(self.items(&list, &frame)),
            None if tasks_from != "main" => self.no_file(&role, "tasks", tasks_from, place),
            None => {}
        }
        if !own.is_empty() {
            items.push(Item::Block(Arc::new(Block {
                frame,
                items: own,
                rescue: Vec::new(),
                always: Vec::new(),
                once,
                is_role: true,
            })));
        }
        self.reading.pop();
        (items, Some(role))
    }

    fn no_file(&mut self, role: &Role, kind: &str, from: &str, place: &Place) {
        let looked = self
            .library
            .describe(&format!("{}/{kind}/{from}.yml", role.folder));
        self.found.push(
            Diagnostic::at(
                place,
                format!("the role `{}` has no {kind} file `{from}`", role.name),
            )
            .hint(format!("looked for {looked}")),
        );
    }

    fn dependencies(
        &mut self,
        meta: &Node,
        parent: &Arc<Frame>,
        items: &mut Vec<Item>,
    ) -> Vec<Arc<Role>> {
        let mut roles = Vec::new();
        let Some(list) = meta.get("dependencies").filter(|node| !node.is_null()) else {
            return roles;
        };
        match list.as_sequence() {
            Some(entries) => {
                for entry in entries {
                    let (tasks, role) = self.role_entry(entry, parent);
                    items.extend(tasks);
                    roles.extend(role);
                }
            }
            None => self.found.push(list.unexpected("a list of roles")),
        }
        roles
    }

    fn role(
        &mut self,
        name: &str,
        place: &Place,
        from: &From,
        parent: &Frame,
    ) -> Option<Arc<Role>> {
        let folder = self.role_folder(name, place, parent)?;
        let key = format!("{folder} {:?} {:?}", from.vars, from.defaults);
        if let Some(role) = self.roles.get(&key) {
            return Some(Arc::clone(role));
        }
        let short = name.trim_end_matches('/');
        let mut role = Role {
            name: short.to_owned(),
            folder,
            defaults: None,
            vars: None,
            dependencies: std::sync::OnceLock::new(),
            allow_duplicates: false,
        };
        role.defaults = self.role_variables(&role, "defaults", from.defaults.as_deref(), place);
        role.vars = self.role_variables(&role, "vars", from.vars.as_deref(), place);
        if let Some(meta) = self.role_file(&role.folder, "meta", "main")
            && let Some(flag) = meta.get("allow_duplicates")
        {
            match flag.as_bool() {
                Some(flag) => role.allow_duplicates = flag,
                None => self.found.push(flag.unexpected("a boolean")),
            }
        }
        let role = Arc::new(role);
        self.roles.insert(key, Arc::clone(&role));
        Some(role)
    }

    /// Where a role lies: in `roles` beside the playbook, in one of the folders for roles, beside the role that asks for
    /// it, beside the playbook, or where its name says.
    fn role_folder(&mut self, name: &str, place: &Place, parent: &Frame) -> Option<String> {
        let beside = within(&self.play_folder, "roles");
        let mut folders: Vec<String> = vec![beside.clone()];
        folders.extend(self.library.roles_path().map(str::to_owned));
        let asking = parent.role().and_then(|role| {
            let (folder, _) = role.folder.rsplit_once('/')?;
            Some(folder.to_owned())
        });
        folders.extend(asking);
        folders.push(self.play_folder.clone());
        let name = name.trim();
        let candidates: Vec<String> = folders.iter().map(|folder| within(folder, name)).collect();
        if let Some(folder) = candidates
            .iter()
            .find(|folder| self.library.has_folder(folder))
        {
            return Some(folder.trim_end_matches('/').to_owned());
        }
        let names = self.library.folders_in(&beside);
        let diagnostic = Diagnostic::at(place, format!("there is no role `{name}`"));
        let suggested = diagnostic.suggest(name, names.iter().map(String::as_str));
        let hint = self.looked_for(&candidates);
        self.found.push(if suggested.hint.is_some() {
            suggested
        } else {
            suggested.hint(hint)
        });
        None
    }

    /// `defaults` or `vars` of a role: a file, or the files of a folder `main`.
    fn role_variables(
        &mut self,
        role: &Role,
        kind: &str,
        from: Option<&str>,
        place: &Place,
    ) -> Option<Layer> {
        let mut all = Map::new();
        let mut is_found = false;
        if let Some(node) = self.role_file(&role.folder, kind, from.unwrap_or("main")) {
            is_found = true;
            if !node.is_null() {
                all.extend(self.file_variables(&node)?.variables().clone());
            }
        } else {
            let folder = format!("{}/{kind}/{}", role.folder, from.unwrap_or("main"));
            for path in self.library.files_below(&folder) {
                is_found = true;
                if let Ok(Some(entry)) = self.library.read(&path)
                    && let Some(node) = self.parse(&entry.name, &entry.bytes)
                    && !node.is_null()
                    && let Some(layer) = self.file_variables(&node)
                {
                    all.extend(layer.variables().clone());
                }
            }
        }
        if let Some(from) = from.filter(|_| !is_found) {
            self.no_file(role, kind, from, place);
        }
        (!all.is_empty()).then(|| Layer::templated(all))
    }

    /// A YAML file of a role, with any of its endings.
    fn role_file(&mut self, role: &str, kind: &str, name: &str) -> Option<Node> {
        let mut names = vec![name.to_owned()];
        if stem(name) == name {
            names.extend(["yml", "yaml", "json"].map(|ending| format!("{name}.{ending}")));
        }
        for name in names {
            match self.library.read(&format!("{role}/{kind}/{name}")) {
                Ok(Some(entry)) => return self.parse(&entry.name, &entry.bytes),
                // A folder of that name is no file.
                Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {}
                Ok(None) => {}
                Err(error) => self.found.push(Diagnostic::error(format!(
                    "cannot read a file of the role `{role}`: {error}"
                ))),
            }
        }
        None
    }

    /// The task that checks the arguments of a role, if the role says what they are.
    fn validation(
        &mut self,
        role: &Role,
        entry: &str,
        params: Option<&Layer>,
        frame: &Arc<Frame>,
        place: &Place,
    ) -> Option<Item> {
        let own = self.role_file(&role.folder, "meta", "argument_specs");
        let meta = match own {
            Some(meta) => meta,
            None => self.role_file(&role.folder, "meta", "main")?,
        };
        let specification = meta.get("argument_specs")?.get(entry)?;
        let options = specification.get("options")?.to_json();
        let description = specification
            .get("short_description")
            .and_then(Node::as_str)
            .map(|text| format!(" - {text}"))
            .unwrap_or_default();
        let name = format!("Validating arguments against arg spec '{entry}'{description}");
        let provided = params.map_or_else(Map::new, |layer| layer.variables().clone());
        let provided = Json::Object(provided);
        let provided = if crate::template::has_template(&provided) {
            ArgumentValue::Templated {
                raw: provided,
                kind: crate::modules::ArgumentKind::Any,
                place: place.clone(),
            }
        } else {
            ArgumentValue::Literal(provided)
        };
        let frame = Arc::new(Frame {
            parent: Some(Arc::clone(frame)),
            tags: vec!["always".to_owned()],
            ..Frame::default()
        });
        Some(Item::Task(Arc::new(Task {
            name: Template::parse(&name, None).ok(),
            frame,
            action: Action::Engine {
                more: None,
                kind: EngineAction::ValidateArguments,
                arguments: vec![
                    ("argument_spec".to_owned(), ArgumentValue::Literal(options)),
                    ("provided_arguments".to_owned(), provided),
                ],
            },
            repeat: None,
            register: None,
            notify: Vec::new(),
            listen: Vec::new(),
            until: Vec::new(),
            retries: None,
            delay: None,
            changed_when: Vec::new(),
            failed_when: Vec::new(),
            asynchronous: None,
            poll: None,
            place: place.clone(),
        })))
    }
}

/// A file's name without its ending.
fn stem(name: &str) -> &str {
    [".yml", ".yaml", ".json"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// A role and what it is given: the same again need not run again.
fn given(role: &Role, wanted: &Wanted<'_>, parent: &Frame) -> String {
    let conditions: Vec<&str> = parent.when.iter().map(Template::source).collect();
    let json = |layer: Option<&Layer>| {
        layer.map(|layer| Json::Object(layer.variables().clone()).to_string())
    };
    format!(
        "{} {:?} {:?} {:?} {conditions:?} {:?}",
        role.folder,
        wanted.from,
        json(wanted.vars.as_ref()),
        json(wanted.params.as_ref()),
        parent.tags
    )
}
