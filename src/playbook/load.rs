//! Reading playbooks and what they include: what all of it shares.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::unsupported::{NOT_SUPPORTED, not_supported};
use super::{Frame, Item, Library, Playbook, Role, Task, task};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::template::{Layer, Scope, Template};
use crate::vault;
use crate::yaml::{self, Fields, Kind, Node};

/// Reads and checks a playbook of a library, or says everything that is wrong.
pub fn load(library: &Library, path: &str) -> Result<Playbook, Diagnostics> {
    let (mut playbook, found) = load_all(library, path);
    if found.has_errors() {
        return Err(found);
    }
    playbook.warnings = found;
    Ok(playbook)
}

/// Reads a playbook of a library: what of it could be read, and everything that is wrong, errors first.
pub fn load_all(library: &Library, path: &str) -> (Playbook, Diagnostics) {
    let mut loader = Loader::new(library);
    let plays = loader.playbook(path, None);
    // A role that is named twice is read twice.
    let mut found: Vec<Diagnostic> = Vec::new();
    for diagnostic in loader.found.0 {
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
    let (warnings, errors): (Vec<Diagnostic>, Vec<Diagnostic>) = found
        .into_iter()
        .partition(|found| found.severity != crate::diagnostic::Severity::Error);
    let playbook = Playbook {
        name: path.to_owned(),
        plays,
        warnings: Diagnostics::new(),
    };
    let found = errors.into_iter().chain(warnings).collect();
    (playbook, Diagnostics(found))
}

/// What an include brings.
#[derive(Debug, Clone, Default)]
pub struct Included {
    /// The tasks.
    pub items: Arc<Vec<Item>>,
    /// Handlers of roles in it.
    pub handlers: Arc<Vec<Arc<Task>>>,
    /// Roles whose variables the rest of the play sees.
    pub roles: Vec<Arc<Role>>,
}

/// An include whose names are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resolved {
    /// A file of tasks.
    Tasks(String),
    /// A role.
    Role {
        /// Its name.
        name: String,
        /// The file of its tasks.
        tasks_from: Option<String>,
        /// The file of its variables.
        vars_from: Option<String>,
        /// The file of its defaults.
        defaults_from: Option<String>,
        /// The file of its handlers.
        handlers_from: Option<String>,
        /// The rest of the play sees its variables.
        public: bool,
        /// Runs although the host has run the same before.
        allow_duplicates: bool,
        /// Its arguments are checked.
        validate: bool,
    },
}

/// Reads what an include names once that is known. `frame` is what its tasks inherit.
pub fn read_included(
    library: &Library,
    what: &Resolved,
    frame: &Arc<Frame>,
    place: &Place,
    in_handlers: bool,
) -> Result<Included, Diagnostics> {
    let mut loader = Loader::new(library);
    loader.in_handlers = in_handlers;
    let play = frame.chain().last();
    let folder = play.and_then(|play| play.folder.as_deref());
    loader.play_folder.push_str(folder.unwrap_or_default());
    let included = loader.included(what, frame, place);
    loader.found.check(included)
}

/// The variables of a file of `vars_files`: of a mapping, or of a list of mappings, the later ones stronger.
pub fn parse_vars_file(name: &str, bytes: &[u8]) -> Result<Map<String, Json>, Diagnostic> {
    let source = vault::source(name, bytes)?;
    let node = yaml::parse(&source)?;
    let Some(parts) = node.as_sequence().filter(|parts| !parts.is_empty()) else {
        return variables_of(&node);
    };
    let mut all = Map::new();
    for part in parts {
        all.extend(variables_of(part)?);
    }
    Ok(all)
}

/// The variables of a YAML or JSON file.
pub fn parse_variables(name: &str, bytes: &[u8]) -> Result<Map<String, Json>, Diagnostic> {
    let source = vault::source(name, bytes)?;
    variables_of(&yaml::parse(&source)?)
}

fn variables_of(node: &Node) -> Result<Map<String, Json>, Diagnostic> {
    if node.is_null() {
        return Ok(Map::new());
    }
    let json = node.to_json();
    if node.place.source.is_hidden {
        vault::learn(&json);
    }
    match json {
        Json::Object(map) => Ok(map),
        _ => Err(node.unexpected("a mapping of variables")),
    }
}

/// What is shared while one playbook is read.
pub(super) struct Loader<'a> {
    pub(super) library: &'a Library,
    pub(super) found: Diagnostics,
    pub(super) roles: HashMap<String, Arc<Role>>,
    /// Roles and files that are being read, to find circles.
    pub(super) reading: Vec<String>,
    /// Handlers of the play or the include that is being read.
    pub(super) handlers: Vec<Arc<Task>>,
    /// Roles whose handlers have been read before in this play.
    pub(super) handlers_of: Vec<String>,
    /// Names of handlers that includes of the play may bring.
    pub(super) included_handlers: Vec<String>,
    /// An include of the play has a name that is not known yet: so are its handlers.
    pub(super) is_open: bool,
    /// How many includes that stand under a condition are around what is being read.
    pub(super) conditions_around: usize,
    /// The list that is being read is one of handlers.
    pub(super) in_handlers: bool,
    /// Roles whose variables the whole play sees.
    pub(super) public: Vec<Arc<Role>>,
    /// Names of the roles that the play itself names.
    pub(super) role_names: Vec<String>,
    /// Names of handlers that tasks of the play notify.
    pub(super) notified: Vec<(String, Place)>,
    /// The folder of the play's playbook within the library.
    pub(super) play_folder: String,
    /// Playbooks that are being read.
    pub(super) playbooks: Vec<String>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(library: &'a Library) -> Self {
        Self {
            library,
            found: Diagnostics::new(),
            roles: HashMap::new(),
            reading: Vec::new(),
            handlers: Vec::new(),
            handlers_of: Vec::new(),
            included_handlers: Vec::new(),
            is_open: false,
            conditions_around: 0,
            in_handlers: false,
            public: Vec::new(),
            role_names: Vec::new(),
            notified: Vec::new(),
            play_folder: String::new(),
            playbooks: Vec::new(),
        }
    }

    /// Parses a YAML file of the library.
    pub(super) fn parse(&mut self, name: &str, bytes: &[u8]) -> Option<Node> {
        vault::source(name, bytes)
            .and_then(|source| yaml::parse(&source))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    /// Where was looked, for a hint.
    pub(super) fn looked_for(&self, places: &[String]) -> String {
        let looked: Vec<String> = places
            .iter()
            .map(|place| self.library.describe(place))
            .collect();
        format!("looked for {}", looked.join(", "))
    }

    /// Whether a text can name a variable; if not, that is reported.
    pub(super) fn check_variable(&mut self, name: &str, place: &Place) {
        if RESERVED.contains(&name) {
            self.found.push(
                Diagnostic::at(place, format!("`{name}` is not a name for a variable"))
                    .hint("it is a reserved word; Ansible does not take it either"),
            );
            return;
        }
        if !is_variable_name(name) {
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

    /// `collections` has no effect here: every module is built in.
    pub(super) fn collections(&mut self, fields: &Fields<'_>) {
        if let Some(node) = fields.node("collections") {
            self.found.push(
                Diagnostic::warning_at(&node.place, "`collections` is ignored")
                    .hint("every module of kk is built in; `kk doc` lists them"),
            );
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

    /// What a template is before any host is known: only the playbook's own variables and `-e` may be in it.
    pub(super) fn known_now(&mut self, template: &Template, frame: &Frame) -> Option<String> {
        if let Some(text) = template.literal() {
            return Some(text.to_owned());
        }
        let mut layers: Vec<Layer> = frame
            .chain()
            .flat_map(|frame| [frame.params.clone(), frame.vars.clone()])
            .flatten()
            .collect();
        layers.reverse();
        layers.extend(self.library.variables().cloned());
        let folder = self.library.absolute(&self.play_folder);
        layers.push(Layer::raw(Map::from_iter([(
            "playbook_dir".to_owned(),
            Json::from(folder),
        )])));
        match template.evaluate(&Scope::new(layers)) {
            Ok(Json::Array(items)) => {
                let items: Vec<String> = items.iter().map(crate::template::display).collect();
                Some(items.join(","))
            }
            Ok(value) => Some(crate::template::display(&value)),
            Err(diagnostic) => {
                self.found.push(diagnostic.hint(
                    "an import happens before the run: only variables of the playbook itself and of `-e` are known",
                ));
                None
            }
        }
    }

    /// What a template is on every host, whatever a task may set: it names nothing but what the command line says.
    pub(super) fn surely_known(&mut self, template: &Template, frame: &Frame) -> Option<String> {
        let names = template.names()?;
        let is_known = |name: &String| {
            let value = self
                .library
                .variables()
                .and_then(|layer| layer.variables().get(name));
            value.is_some_and(|value| !crate::template::has_template(value))
        };
        if !names.iter().all(is_known) {
            return None;
        }
        let before = self.found.0.len();
        let known = self.known_now(template, frame);
        self.found.0.truncate(before);
        known.map(|name| name.trim().to_owned())
    }

    /// A boolean, or a template that becomes one.
    pub(super) fn flag(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Template> {
        self.flag_of(fields.value(key)?)
    }

    pub(super) fn flag_of(&mut self, node: &Node) -> Option<Template> {
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
        nodes
            .iter()
            .filter_map(|node| self.condition(node, key))
            .collect()
    }

    fn condition(&mut self, node: &Node, key: &str) -> Option<Template> {
        let text = node
            .expect_str()
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        // `no` is no variable.
        let is_plain = matches!(node.kind, Kind::Scalar { plain: true, .. });
        let text = match node.to_json() {
            Json::Bool(flag) if is_plain => if flag { "true" } else { "false" }.to_owned(),
            _ => text.to_owned(),
        };
        let condition = Template::expression(&text, Some(&node.place))
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        if crate::template::is_template(&text) {
            self.found.push(
                Diagnostic::warning_at(
                    &node.place,
                    format!("`{key}` is an expression already: the braces are not needed"),
                )
                .hint(if crate::template::is_template(condition.source()) {
                    "name the variables themselves".to_owned()
                } else {
                    format!("write `{key}: {}`", condition.source())
                }),
            );
        }
        if let Some(inner) = text_literal(condition.source()) {
            let message = if inner.is_empty() {
                format!("this `{key}` is an empty text, which is never true")
            } else {
                format!("this `{key}` is a text, which is always true")
            };
            self.found.push(
                Diagnostic::at(&node.place, message)
                    .hint("a condition compares or names something: leave the inner quotes out"),
            );
        }
        Some(condition)
    }

    /// The conditions of `when`.
    pub(super) fn when(&mut self, fields: &Fields<'_>) -> Vec<Template> {
        self.conditions(fields, "when")
    }

    /// A mapping of variables; their templates are checked, and resolved when they are used.
    pub(super) fn variables(&mut self, node: &Node) -> Option<Layer> {
        // Ansible takes a list of mappings as well.
        if let Some(entries) = node.as_sequence()
            && entries.iter().all(|entry| entry.as_mapping().is_some())
        {
            let mut all = Map::new();
            for entry in entries {
                all.extend(self.variables(entry)?.variables().clone());
            }
            return Some(Layer::templated(all));
        }
        let Some(pairs) = node.as_mapping() else {
            self.found.push(node.unexpected("a mapping of variables"));
            return None;
        };
        for (key, _) in pairs {
            self.check_variable(key.as_str().unwrap_or_default(), &key.place);
        }
        self.values(node)
    }

    /// The variables of a file, whose names Ansible does not look at.
    pub(super) fn file_variables(&mut self, node: &Node) -> Option<Layer> {
        if node.as_mapping().is_none() {
            self.found.push(node.unexpected("a mapping of variables"));
            return None;
        }
        self.values(node)
    }

    fn values(&mut self, node: &Node) -> Option<Layer> {
        let value = super::ArgumentValue::any(node, &mut self.found);
        let json = match value {
            super::ArgumentValue::Literal(json)
            | super::ArgumentValue::Templated { raw: json, .. } => json,
        };
        if node.place.source.is_hidden {
            vault::learn(&json);
        }
        match json {
            Json::Object(map) => Some(Layer::templated(map)),
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
        let outside = std::mem::replace(&mut self.in_handlers, true);
        let items = self.items(node, frame);
        self.in_handlers = outside;
        let mut handlers = Vec::new();
        flatten(items, &mut handlers);
        for handler in &handlers {
            if handler.name.is_none() && handler.listen.is_empty() {
                self.found.push(
                    Diagnostic::at(&handler.place, "a handler needs a `name` or `listen`")
                        .hint("nothing can notify it otherwise"),
                );
            }
        }
        handlers
    }
}

/// The tasks of a list, those of imports included.
pub(super) fn flatten(items: Vec<Item>, into: &mut Vec<Arc<Task>>) {
    for item in items {
        match item {
            Item::Task(task) => into.push(task),
            Item::Block(block) => flatten(block.items.clone(), into),
        }
    }
}

/// Whether a text has the form of a variable's name and is no reserved word.
pub fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    !RESERVED.contains(&name)
        && characters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Words of Python's, which no variable of Ansible's may have for a name.
const RESERVED: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// The inside of an expression that is one text in quotes.
fn text_literal(expression: &str) -> Option<&str> {
    let quote = expression
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))?;
    let inner = expression.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\'])).then_some(inner)
}
