//! A module or action with its arguments, whichever way they are written: a mapping, `key=value` words, `args:`,
//! `action:` and `local_action:`.

use std::sync::Arc;

use super::Frame;
use super::action::{canonical, short_name};
use super::load::Loader;
use super::words;
use crate::diagnostic::{Diagnostic, Place};
use crate::modules;
use crate::template::{Template, is_template};
use crate::yaml::{Fields, Kind, Node};

/// What a task calls.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The module or action, as written.
    pub(super) word: Node,
    /// Arguments by name.
    pub(super) pairs: Vec<(Node, Node)>,
    /// The free-form text, where the module takes one.
    pub(super) free: Option<Node>,
    /// A mapping of arguments that is only known when the task runs.
    pub(super) more: Option<Template>,
    /// What stands behind the word.
    pub(super) place: Place,
}

/// Actions of the engine that take a text without a `key=`.
const FREE_ACTIONS: &[&str] = &[
    "add_host",
    "import_tasks",
    "include_tasks",
    "include_vars",
    "meta",
];

impl Call {
    /// Reads `word: value` and the `args:` beside it.
    pub(super) fn read(
        loader: &mut Loader<'_>,
        fields: &Fields<'_>,
        word: &Node,
        value: &Node,
        frame: &Arc<Frame>,
    ) -> Option<Self> {
        let name = word.as_str().unwrap_or_default();
        let mut call = Self {
            word: word.clone(),
            pairs: Vec::new(),
            free: None,
            more: None,
            place: value.place.clone(),
        };
        let free = modules::spec(name).and_then(|spec| spec.free_form);
        let takes_free = free.is_some() || FREE_ACTIONS.contains(&short_name(name));
        match &value.kind {
            Kind::Mapping(pairs) => call.pairs.extend(pairs.iter().cloned()),
            Kind::Sequence(_) => {
                loader
                    .found
                    .push(value.unexpected("a mapping of arguments"));
                return None;
            }
            Kind::Scalar { .. } if value.is_null() => {}
            Kind::Scalar { text, .. } => {
                call.text(loader, value, &text.clone(), free.is_some(), takes_free)?;
            }
        }
        if let Some(node) = fields.value("args") {
            match &node.kind {
                Kind::Mapping(pairs) => call.add(pairs),
                Kind::Scalar { text, .. } if is_template(text) => {
                    call.more = loader.template_of(node);
                }
                _ => loader.found.push(node.unexpected("a mapping of arguments")),
            }
        }
        // The nearest defaults first: what is given once is not taken again.
        let canonical = canonical(name);
        for (module, defaults) in frame.chain().flat_map(|frame| &frame.module_defaults) {
            if module == canonical {
                call.add(defaults);
            }
        }
        Some(call)
    }

    /// Adds arguments that are not given yet under any of their names.
    fn add(&mut self, pairs: &[(Node, Node)]) {
        let spec = modules::spec(self.word.as_str().unwrap_or_default());
        let called = |name: &str| {
            let argument = spec.and_then(|spec| {
                spec.arguments
                    .iter()
                    .find(|argument| argument.name == name || argument.aliases.contains(&name))
            });
            argument.map_or_else(|| name.to_owned(), |argument| argument.name.to_owned())
        };
        for (key, value) in pairs {
            let name = called(key.as_str().unwrap_or_default());
            let is_given = self
                .pairs
                .iter()
                .any(|(known, _)| called(known.as_str().unwrap_or_default()) == name)
                || self.free.is_some()
                    && spec.is_some_and(|spec| spec.free_form == Some(name.as_str()));
            if !is_given {
                self.pairs.push((key.clone(), value.clone()));
            }
        }
    }

    fn text(
        &mut self,
        loader: &mut Loader<'_>,
        value: &Node,
        text: &str,
        is_command: bool,
        takes_free: bool,
    ) -> Option<()> {
        let name = self.word.as_str().unwrap_or_default().to_owned();
        let words = match words::split(text, is_command) {
            Ok(words) => words,
            Err(message) => {
                loader.found.push(Diagnostic::at(&value.place, message));
                return None;
            }
        };
        let node = |text: &str| scalar(value, text);
        self.pairs.extend(
            words
                .pairs
                .iter()
                .map(|(key, text)| (node(key), node(text))),
        );
        let rest = words.rest.as_str();
        if rest.is_empty() {
            return Some(());
        }
        let is_mapping = words.pairs.is_empty() && is_template(rest);
        if takes_free && !(is_mapping && name.ends_with("add_host")) {
            self.free = Some(if rest == text {
                value.clone()
            } else {
                node(rest)
            });
        } else if is_mapping {
            self.more = loader.template_of(value);
        } else {
            let message = if words.pairs.is_empty() {
                format!("`{name}` takes a mapping of arguments, found a text")
            } else {
                format!("`{name}` takes `argument=value` words, found `{rest}`")
            };
            let above = if is_template(&name) { "args" } else { &name };
            loader
                .found
                .push(Diagnostic::at(&value.place, message).hint(format!(
                    "write one `argument: value` per line under `{above}:`"
                )));
            return None;
        }
        Some(())
    }

    /// The arguments as one mapping.
    pub(super) fn mapping(&self) -> Node {
        Node {
            place: self.place.clone(),
            tag: None,
            kind: Kind::Mapping(self.pairs.clone()),
        }
    }
}

/// The module and its arguments that `action:` or `local_action:` names, as `word: value`.
pub(super) fn of_action(
    loader: &mut Loader<'_>,
    keyword: &str,
    value: &Node,
) -> Option<(Node, Node)> {
    if let Kind::Mapping(pairs) = &value.kind {
        let Some((_, word)) = pairs.iter().find(|(key, _)| key.as_str() == Some("module")) else {
            loader.found.push(
                Diagnostic::at(&value.place, format!("`{keyword}` needs a `module`"))
                    .hint("write `module: NAME` and the arguments beside it"),
            );
            return None;
        };
        let (name, text) = words::first(word.as_str().unwrap_or_default());
        let others = pairs
            .iter()
            .filter(|(key, _)| key.as_str() != Some("module"));
        let mut all: Vec<(Node, Node)> = others.cloned().collect();
        if let Ok(words) = words::split(text, false) {
            let given = words.pairs.iter();
            all.extend(given.map(|(key, text)| (scalar(word, key), scalar(word, text))));
        }
        let arguments = Node {
            place: value.place.clone(),
            tag: None,
            kind: Kind::Mapping(all),
        };
        return Some((scalar(word, name), arguments));
    }
    let Some(text) = value.as_str() else {
        loader
            .found
            .push(value.unexpected("a module with its arguments"));
        return None;
    };
    let (name, rest) = words::first(text);
    let mut arguments = scalar(value, rest);
    if let Kind::Scalar { plain, .. } = &mut arguments.kind {
        *plain = rest.is_empty();
    }
    Some((scalar(value, name), arguments))
}

/// A text at the place of a node.
pub(super) fn scalar(at: &Node, text: &str) -> Node {
    Node {
        place: at.place.clone(),
        tag: None,
        kind: Kind::Scalar {
            text: text.into(),
            plain: false,
        },
    }
}
