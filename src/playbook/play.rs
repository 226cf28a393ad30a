//! Reading plays, and playbooks that import playbooks.

use std::path::Path;
use std::sync::Arc;

use super::frame::within;
use super::load::Loader;
use super::{ArgumentValue, Frame, Play, Task};
use crate::diagnostic::Diagnostic;
use crate::template::{Layer, Template};
use crate::yaml::{Fields, Kind, Node};

/// What `import_playbook` gives to the plays of the other playbook.
#[derive(Default, Clone)]
struct Given {
    vars: Option<Layer>,
    tags: Vec<String>,
    when: Vec<Template>,
}

impl Loader<'_> {
    /// The plays of a playbook. `at` is what names it, unless the command line does.
    pub(super) fn playbook(&mut self, path: &str, at: Option<&Node>) -> Vec<Play> {
        self.playbook_with(path, at, &Given::default())
    }

    fn playbook_with(&mut self, path: &str, at: Option<&Node>, given: &Given) -> Vec<Play> {
        let located = |message: String| match at {
            Some(node) => Diagnostic::at(&node.place, message),
            None => Diagnostic::error(message),
        };
        if self.playbooks.iter().any(|open| open == path) {
            self.found
                .push(located(format!("the playbook `{path}` imports itself")));
            return Vec::new();
        }
        let entry = match self.library.read(path) {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                let hint = format!("looked for {}", self.library.describe(path));
                self.found
                    .push(located(format!("there is no playbook `{path}`")).hint(hint));
                return Vec::new();
            }
            Err(error) => {
                self.found
                    .push(located(format!("cannot read the playbook: {error}")));
                return Vec::new();
            }
        };
        let folder = Path::new(path)
            .parent()
            .map(|parent| parent.display().to_string())
            .unwrap_or_default();
        let Some(node) = self.parse(&entry.name, &entry.bytes) else {
            return Vec::new();
        };
        let Some(items) = node.as_sequence() else {
            self.found.push(
                node.unexpected("a list of plays")
                    .hint("a playbook starts with `- name: …`"),
            );
            return Vec::new();
        };
        self.playbooks.push(path.to_owned());
        let mut plays = Vec::new();
        for item in items {
            let imported = ["import_playbook", "ansible.builtin.import_playbook"]
                .into_iter()
                .find_map(|key| Some((key, item.get(key)?)));
            if let Some((key, named)) = imported {
                plays.extend(self.import_playbook(key, item, named, &folder, given));
            } else {
                self.play_folder.clone_from(&folder);
                plays.extend(self.play(item, given));
            }
        }
        self.playbooks.pop();
        plays
    }

    fn import_playbook(
        &mut self,
        key: &'static str,
        node: &Node,
        named: &Node,
        folder: &str,
        outer: &Given,
    ) -> Vec<Play> {
        let Ok(fields) = Fields::new(node, "an import of a playbook") else {
            return Vec::new();
        };
        let _ = (fields.node(key), fields.node("name"));
        let frame = Frame {
            vars: fields.value("vars").and_then(|node| self.variables(node)),
            ..Frame::default()
        };
        let mut given = outer.clone();
        given.when.extend(self.when(&fields));
        let tags = fields.texts("tags", &mut self.found).unwrap_or_default();
        let tags = tags.iter().filter_map(|node| node.as_str());
        given.tags.extend(
            tags.flat_map(|text| text.split(','))
                .map(|tag| tag.trim().to_owned()),
        );
        self.finish(fields);
        let file = self
            .template_of(named)
            .and_then(|template| self.known_now(&template, &frame));
        given.vars = merged(outer.vars.as_ref(), frame.vars.as_ref());
        match file {
            Some(file) => self.playbook_with(&within(folder, file.trim()), Some(named), &given),
            None => Vec::new(),
        }
    }

    fn play(&mut self, node: &Node, given: &Given) -> Option<Play> {
        self.handlers.clear();
        self.included_handlers.clear();
        self.handlers_of.clear();
        self.is_open = false;
        self.public.clear();
        self.role_names.clear();
        self.notified.clear();
        let fields = Fields::new(node, "a play")
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        let Some(hosts) = self.hosts(&fields) else {
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
        let gather_facts = self.flag(&fields, "gather_facts");
        let gather_subset = fields
            .value("gather_subset")
            .map(|node| ArgumentValue::any(node, &mut self.found));
        let _ = (fields.node("gather_timeout"), fields.node("user"));
        let fact_path = self.template(&fields, "fact_path");
        self.collections(&fields);
        let mut frame = self.frame(&fields, None);
        if frame.remote_user.is_none() {
            frame.remote_user = self.template(&fields, "user");
        }
        frame.folder = Some(self.play_folder.as_str().into());
        frame.vars = merged(frame.vars.as_ref(), given.vars.as_ref());
        frame.tags.extend(given.tags.iter().cloned());
        frame.when.clone_from(&given.when);
        let frame = Arc::new(frame);
        let vars_files = self.vars_files(&fields, &frame);
        let prompts = self.prompts(&fields, &frame);
        let strategy = self.choice(&fields, "strategy", &frame);
        let order = self.choice(&fields, "order", &frame);
        let serial = self.serial(&fields);
        let max_fail_percentage = self.count(&fields, "max_fail_percentage");
        let force_handlers = fields.boolean("force_handlers", &mut self.found);
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
                        let (items, role) = self.role_entry(entry, &frame);
                        main.extend(items);
                        self.role_names.extend(role.map(|role| role.name.clone()));
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
            gather_subset,
            fact_path,
            sections,
            handlers,
            roles: std::mem::take(&mut self.public),
            role_names: std::mem::take(&mut self.role_names),
            folder: self.play_folder.clone(),
            vars_files,
            prompts,
            serial,
            order,
            strategy,
            max_fail_percentage,
            force_handlers,
        })
    }

    /// `hosts`: a pattern, or a list of patterns.
    fn hosts(&mut self, fields: &Fields<'_>) -> Option<Template> {
        let node = fields.value("hosts")?;
        let Some(entries) = node.as_sequence() else {
            return self.template_of(node);
        };
        let mut patterns = Vec::new();
        for entry in entries {
            match entry.expect_str() {
                Ok(text) => patterns.push(text.to_owned()),
                Err(diagnostic) => self.found.push(diagnostic),
            }
        }
        Template::parse(&patterns.join(","), Some(&node.place))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    fn vars_files(&mut self, fields: &Fields<'_>, frame: &Frame) -> Vec<Vec<Template>> {
        let Some(node) = fields.value("vars_files") else {
            return Vec::new();
        };
        let entries = match &node.kind {
            Kind::Sequence(entries) => entries.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut files = Vec::new();
        for entry in entries {
            let alternatives = entry
                .as_sequence()
                .unwrap_or_else(|| std::slice::from_ref(entry));
            let templates: Vec<Template> = alternatives
                .iter()
                .filter_map(|node| self.template_of(node))
                .collect();
            let literal: Option<Vec<&str>> = templates.iter().map(Template::literal).collect();
            if let Some(names) = literal.filter(|names| !names.is_empty()) {
                self.check_vars_file(entry, &names, frame);
            }
            files.push(templates);
        }
        files
    }

    fn check_vars_file(&mut self, node: &Node, names: &[&str], frame: &Frame) {
        let places: Vec<String> = names
            .iter()
            .flat_map(|name| frame.places("vars", name))
            .collect();
        for place in &places {
            if let Ok(Some(entry)) = self.library.read(place) {
                if let Some(node) = self.parse(&entry.name, &entry.bytes)
                    && !node.is_null()
                {
                    // A list of mappings is one after the other.
                    let parts = node.as_sequence().filter(|parts| !parts.is_empty());
                    for part in parts.unwrap_or_else(|| std::slice::from_ref(&node)) {
                        self.file_variables(part);
                    }
                }
                return;
            }
        }
        let hint = self.looked_for(&places);
        self.found.push(
            Diagnostic::at(
                &node.place,
                format!("there is no file of variables `{}`", names.join("`, `")),
            )
            .hint(hint),
        );
    }

    /// A word that may be a template of what is known before the run.
    pub(super) fn word_now(&mut self, node: &Node, frame: &Frame) -> String {
        let template = self.template_of(node);
        template
            .and_then(|template| self.known_now(&template, frame))
            .unwrap_or_default()
    }

    fn serial(&mut self, fields: &Fields<'_>) -> Option<ArgumentValue> {
        let node = fields.value("serial")?;
        let entries = node
            .as_sequence()
            .unwrap_or_else(|| std::slice::from_ref(node));
        for entry in entries {
            let text = entry.as_str().unwrap_or_default();
            let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
            let is_size = number.parse::<f64>().is_ok_and(|number| number >= 0.0);
            if !is_size && !crate::template::is_template(text) {
                self.found.push(
                    entry
                        .unexpected("a number of hosts")
                        .hint("write `serial: 2`, `serial: 30%`, or a list of them"),
                );
                return None;
            }
        }
        Some(ArgumentValue::any(node, &mut self.found))
    }

    fn check_notified(&mut self, handlers: &[Arc<Task>]) {
        let mut names: Vec<String> = handlers
            .iter()
            .flat_map(|handler| handler.handler_names())
            .collect();
        names.append(&mut self.included_handlers);
        // A handler whose name is a template answers to what it becomes; an include may bring any.
        let is_open = self.is_open
            || handlers.iter().any(|handler| {
                handler
                    .name
                    .as_ref()
                    .is_some_and(|name| name.literal().is_none())
            });
        let notified = std::mem::take(&mut self.notified);
        if is_open {
            return;
        }
        let known: std::collections::HashSet<&str> = names.iter().map(String::as_str).collect();
        for (name, place) in notified {
            if !known.contains(name.as_str()) {
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
}

/// Names of handlers for which a play must not complain.
pub(super) fn names_of(handlers: &[Arc<Task>]) -> Vec<String> {
    handlers
        .iter()
        .flat_map(|handler| handler.handler_names())
        .collect()
}

/// Two layers of variables as one, the second stronger.
fn merged(weak: Option<&Layer>, strong: Option<&Layer>) -> Option<Layer> {
    match (weak, strong) {
        (Some(weak), Some(strong)) => {
            let mut all = weak.variables().clone();
            all.extend(strong.variables().clone());
            Some(Layer::templated(all))
        }
        (one, other) => one.or(other).cloned(),
    }
}
