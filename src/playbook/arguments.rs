//! Arguments as written: checked now where they are literal, compiled where they are templates.

use serde_json::{Map, Value as Json};

use super::call::Call;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::modules::arguments::{ArgumentKind, Given};
use crate::modules::{Argument, ModuleSpec};
use crate::template::{Scope, Template, is_template};
use crate::yaml::{Kind, Node};

/// The name of the variable that leaves an argument out.
pub const OMIT: &str = "__kk_omit_this_argument__";

/// The value of an argument.
#[derive(Debug, Clone)]
pub enum ArgumentValue {
    /// No markup in it; already of the right kind.
    Literal(Json),
    /// Markup somewhere in it.
    Templated {
        /// As written.
        raw: Json,
        /// What it must become.
        kind: ArgumentKind,
        /// Where it stands.
        place: Place,
    },
}

impl ArgumentValue {
    /// Any value, its templates checked.
    pub fn any(node: &Node, found: &mut Diagnostics) -> Self {
        Self::parse(node, ArgumentKind::Any, found)
    }

    /// A value of a kind. Mistakes go to `found`.
    pub fn parse(node: &Node, kind: ArgumentKind, found: &mut Diagnostics) -> Self {
        if check_templates(node, found) {
            return Self::Templated {
                raw: node.to_json(),
                kind,
                place: node.place.clone(),
            };
        }
        match kind.coerce(&plain_value(node, kind)) {
            Ok(value) => Self::Literal(value),
            Err(message) => {
                // A choice says what was found itself.
                let message = if message.starts_with('`') {
                    message
                } else {
                    format!("{message}, found {}", shown(node))
                };
                found.push(Diagnostic::at(&node.place, message));
                Self::Literal(Json::Null)
            }
        }
    }

    /// The value for a host; `None` when it resolves to `omit`.
    pub fn resolve(&self, scope: &Scope) -> Result<Option<Json>, Diagnostic> {
        let (raw, kind, place) = match self {
            Self::Literal(value) => return Ok(Some(value.clone())),
            Self::Templated { raw, kind, place } => (raw, kind, place),
        };
        let resolved = scope
            .resolve(raw)
            .map_err(|message| Diagnostic::at(place, message))?;
        if resolved.as_str() == Some(OMIT) {
            return Ok(None);
        }
        let resolved = without_omitted(resolved);
        let value = kind.coerce(&resolved).map_err(|message| {
            Diagnostic::at(place, message).label(format!("resolves to {}", describe(&resolved)))
        })?;
        Ok(Some(value))
    }
}

/// What kind of thing a value is, without the value: it may be secret.
fn describe(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(text) if text.is_empty() => "an empty text",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    }
}

fn without_omitted(value: Json) -> Json {
    let is_omitted = |item: &Json| item.as_str() == Some(OMIT);
    match value {
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .filter(|item| !is_omitted(item))
                .map(without_omitted)
                .collect(),
        ),
        Json::Object(map) => Json::Object(
            map.into_iter()
                .filter(|(_, item)| !is_omitted(item))
                .map(|(key, item)| (key, without_omitted(item)))
                .collect(),
        ),
        other => other,
    }
}

fn shown(node: &Node) -> String {
    match node.as_str() {
        Some(text) if text.len() <= 40 => format!("`{text}`"),
        _ => node.describe().to_owned(),
    }
}

/// Where a text is wanted a scalar stays what the user typed.
fn plain_value(node: &Node, kind: ArgumentKind) -> Json {
    match (kind, &node.kind) {
        // The number of a mode is its bits, and no octal digits.
        (ArgumentKind::Any | ArgumentKind::Mapping | ArgumentKind::Mode, _) => node.to_json(),
        (ArgumentKind::Texts, Kind::Sequence(items)) => Json::Array(
            items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_json(), Json::from))
                .collect(),
        ),
        (_, Kind::Scalar { text, .. }) if !node.is_null() => Json::String(text.to_string()),
        _ => node.to_json(),
    }
}

/// Checks every template in a value; true when there is one.
fn check_templates(node: &Node, found: &mut Diagnostics) -> bool {
    match &node.kind {
        // It becomes known when the task runs.
        Kind::Scalar { .. } if node.is_encrypted() => true,
        Kind::Scalar { text, .. } if is_template(text) => {
            if let Err(diagnostic) = Template::parse(text, Some(&node.place)) {
                found.push(diagnostic);
            }
            true
        }
        Kind::Scalar { .. } => false,
        Kind::Sequence(items) => items
            .iter()
            .fold(false, |any, item| check_templates(item, found) | any),
        Kind::Mapping(pairs) => pairs.iter().fold(false, |any, (key, item)| {
            check_templates(key, found) | check_templates(item, found) | any
        }),
    }
}

/// Takes the arguments that are only known when the task runs, checked like the others.
pub fn late(
    spec: &'static ModuleSpec,
    given: &Map<String, Json>,
) -> Result<Vec<(&'static str, Json)>, String> {
    let mut arguments = Vec::new();
    for (name, value) in given {
        let argument = spec
            .arguments
            .iter()
            .find(|argument| argument.name == name || argument.aliases.contains(&name.as_str()))
            .ok_or_else(|| format!("`{}` has no argument `{name}`", spec.name))?;
        if !value.is_null() && value.as_str() != Some(OMIT) {
            let value = argument.kind.coerce(value);
            arguments.push((
                argument.name,
                value.map_err(|message| format!("`{name}`: {message}"))?,
            ));
        }
    }
    Ok(arguments)
}

/// Reads the arguments of a module.
pub(super) fn read(
    spec: &'static ModuleSpec,
    call: &Call,
    found: &mut Diagnostics,
) -> Vec<(&'static str, ArgumentValue)> {
    let word = &call.word;
    let pairs: Vec<(&Node, &Node)> = call.pairs.iter().map(|(key, value)| (key, value)).collect();
    let free = spec.free_form.zip(call.free.as_ref());
    let before = found.0.len();
    let mut arguments: Vec<(&'static str, ArgumentValue)> = Vec::new();
    let known = |name: &str| {
        spec.arguments
            .iter()
            .find(|argument| argument.name == name || argument.aliases.contains(&name))
    };
    let mut add = |argument: &Argument, node: &Node, place: &Place, found: &mut Diagnostics| {
        if arguments.iter().any(|(name, _)| *name == argument.name) {
            found.push(Diagnostic::at(
                place,
                format!("the argument `{}` is given twice", argument.name),
            ));
            return;
        }
        if node.is_null() && argument.kind != ArgumentKind::Any {
            return;
        }
        arguments.push((
            argument.name,
            ArgumentValue::parse(node, argument.kind, found),
        ));
    };
    if let Some((name, node)) = free
        && let Some(argument) = known(name)
    {
        add(argument, node, &node.place, found);
    }
    for (key, node) in pairs {
        let name = key.as_str().unwrap_or_default();
        if let Some(argument) = known(name) {
            add(argument, node, &key.place, found);
            continue;
        }
        let names: Vec<&str> = spec
            .arguments
            .iter()
            .flat_map(|argument| {
                std::iter::once(&argument.name)
                    .chain(argument.aliases)
                    .copied()
            })
            .collect();
        let mut diagnostic = Diagnostic::at(
            &key.place,
            format!("`{}` has no argument `{name}`", spec.name),
        )
        .suggest(name, names.iter().copied());
        diagnostic
            .hint
            .get_or_insert_with(|| format!("it takes: {}", names.join(", ")));
        found.push(diagnostic);
    }
    let is_open = call.more.is_some();
    let required = spec.arguments.iter().filter(|argument| argument.required);
    for argument in required.filter(|_| !is_open) {
        if !arguments.iter().any(|(name, _)| *name == argument.name) {
            found.push(
                Diagnostic::at(
                    &word.place,
                    format!("`{}` needs the argument `{}`", spec.name, argument.name),
                )
                .hint(argument.summary),
            );
        }
    }
    if let Some(check) = spec.check
        && found.0.len() == before
        && !is_open
    {
        let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
        let literals: Map<String, Json> = arguments
            .iter()
            .filter_map(|(name, value)| match value {
                ArgumentValue::Literal(value) => Some(((*name).to_owned(), value.clone())),
                ArgumentValue::Templated { .. } => None,
            })
            .collect();
        if let Err(message) = check(&Given {
            names: &names,
            literals: &literals,
        }) {
            found.push(Diagnostic::at(&word.place, message));
        }
    }
    arguments
}
