//! Reading roles: their tasks, handlers, variables and dependencies.

use std::sync::Arc;

use super::load::Loader;
use super::{Block, Frame, Item, Role};
use crate::diagnostic::{Diagnostic, Place};
use crate::template::{Layer, Template};
use crate::yaml::{Fields, Node};

/// How a role is asked for.
pub(super) struct Wanted<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where it is named.
    pub(super) place: &'a Place,
    /// Its tasks file, without ending.
    pub(super) tasks_from: &'a str,
    /// Variables that are given to it; stronger than its own.
    pub(super) vars: Option<Layer>,
    /// Runs although the play has run it before.
    pub(super) again: bool,
    /// The whole play sees its variables.
    pub(super) public: bool,
}

impl Loader<'_> {
    /// One entry of `roles:` or of a role's dependencies.
    pub(super) fn role_entry(&mut self, node: &Node, parent: &Arc<Frame>) -> Vec<Item> {
        let mut wanted = Wanted {
            name: "",
            place: &node.place,
            tasks_from: "main",
            vars: None,
            again: false,
            public: true,
        };
        if let Some(name) = node.as_str() {
            wanted.name = name;
            return self.role_items(wanted, Arc::clone(parent));
        }
        let Ok(fields) =
            Fields::new(node, "a role").map_err(|diagnostic| self.found.push(diagnostic))
        else {
            return Vec::new();
        };
        let by_name = fields.text("name", &mut self.found);
        let Some(name) = fields.text("role", &mut self.found).or(by_name) else {
            self.found.push(
                Diagnostic::at(&node.place, "a role entry needs `role`")
                    .hint("write `- role: NAME`"),
            );
            return Vec::new();
        };
        let mut frame = self.frame(&fields, Some(parent));
        wanted.name = name;
        wanted.vars = frame.vars.take();
        self.finish_role_entry(fields);
        self.role_items(wanted, Arc::new(frame))
    }

    /// Ansible takes any other key of a role entry as a variable; here they are told apart from mistakes.
    fn finish_role_entry(&mut self, fields: Fields<'_>) {
        let before = self.found.0.len();
        self.finish(fields);
        for diagnostic in self.found.0.iter_mut().skip(before) {
            let hint = diagnostic
                .hint
                .take()
                .filter(|hint| hint.contains("did you mean"));
            let variables = "variables of a role stand under its `vars:`";
            diagnostic.hint = Some(match hint {
                Some(hint) => format!("{hint} {variables}"),
                None => variables.to_owned(),
            });
        }
    }

    /// The tasks of a role as blocks: first those of its dependencies, then its own.
    pub(super) fn role_items(&mut self, wanted: Wanted<'_>, parent: Arc<Frame>) -> Vec<Item> {
        let (name, place) = (wanted.name, wanted.place);
        let Some(role) = self.role(name, place) else {
            return Vec::new();
        };
        if self.reading.contains(&role.folder) {
            let circle = format!("{} -> {}", self.reading.join(" -> "), role.folder);
            self.found.push(
                Diagnostic::at(place, format!("the role `{name}` depends on itself"))
                    .hint(format!("it is reached by {circle}")),
            );
            return Vec::new();
        }
        let given = given(&role, wanted.vars.as_ref(), &parent);
        if !wanted.again && self.used.contains(&given) {
            return Vec::new();
        }
        self.reading.push(role.folder.clone());
        // Under a condition it may not have run after all.
        if parent.chain().all(|frame| frame.when.is_empty()) {
            self.used.push(given);
        }
        let mut items = Vec::new();
        if let Some(meta) = self.role_file(&role, "meta", "main") {
            let around = Arc::new(Frame {
                parent: Some(Arc::clone(&parent)),
                vars: wanted.vars.clone(),
                ..Frame::default()
            });
            self.dependencies(&meta, &around, &mut items);
        }
        if wanted.public && !self.public.iter().any(|public| public.name == role.name) {
            self.public.push(Arc::clone(&role));
        }
        let frame = Arc::new(Frame {
            parent: Some(parent),
            vars: wanted.vars,
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
        match self.role_file(&role, "tasks", wanted.tasks_from) {
            Some(list) => {
                let own = self.items(&list, &frame);
                items.push(Item::Block(Arc::new(Block {
                    frame,
                    items: own,
                    rescue: Vec::new(),
                    always: Vec::new(),
                })));
            }
            None if wanted.tasks_from != "main" => {
                let tasks_from = wanted.tasks_from;
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
        if crate::template::is_template(name) {
            self.found.push(
                Diagnostic::at(place, "the name of a role must be literal")
                    .hint("use one `include_role` with a `when` per role"),
            );
            return None;
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
        let mut variables = |kind: &str| {
            let node = self.role_file(&role, kind, "main")?;
            (!node.is_null()).then(|| self.variables(&node)).flatten()
        };
        let (defaults, vars) = (variables("defaults"), variables("vars"));
        (role.defaults, role.vars) = (defaults, vars);
        let role = Arc::new(role);
        self.roles.insert(name.to_owned(), Arc::clone(&role));
        Some(role)
    }

    /// A YAML file of a role, with either ending.
    fn role_file(&mut self, role: &Role, kind: &str, name: &str) -> Option<Node> {
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
}

/// A role and what it is given: the same again need not run again.
fn given(role: &Role, vars: Option<&Layer>, parent: &Frame) -> String {
    let conditions: Vec<&str> = parent.when.iter().map(Template::source).collect();
    let variables = vars.map(|layer| serde_json::Value::Object(layer.variables().clone()));
    format!("{} {variables:?} {conditions:?}", role.name)
}
