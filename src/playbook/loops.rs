//! `loop`, `with_…` and `loop_control`.

use std::sync::LazyLock;

use super::ArgumentValue;
use super::load::Loader;
use crate::diagnostic::Diagnostic;
use crate::template::{LOOKUPS, Template, is_template};
use crate::yaml::{Fields, Node};

/// `loop` or `with_…`, and `loop_control`.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// What it goes over.
    pub source: LoopSource,
    /// Name of the loop variable; `item` when absent. It may be a template, which has no item yet.
    pub variable: Option<Template>,
    /// Name of the index variable, likewise.
    pub index_variable: Option<Template>,
    /// What is shown for an item.
    pub label: Option<Template>,
    /// Seconds between two items.
    pub pause: Option<Template>,
    /// `ansible_loop` is there.
    pub extended: Option<Template>,
    /// `ansible_loop` has `allitems` (default).
    pub all_items: Option<Template>,
}

/// Where the items come from.
#[derive(Debug, Clone)]
pub enum LoopSource {
    /// `loop`: a list.
    List(ArgumentValue),
    /// `with_…`: a lookup and its terms.
    With(&'static str, ArgumentValue),
}

/// The keywords, each with its lookup.
fn lookups() -> &'static [(&'static str, &'static str)] {
    static KEYWORDS: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
        let keyword = |name: &'static str| (&*format!("with_{name}").leak(), name);
        LOOKUPS.iter().copied().map(keyword).collect()
    });
    &KEYWORDS
}

/// The keywords, for lists of all of them.
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    lookups().iter().map(|(keyword, _)| *keyword)
}

/// What a task repeats for.
pub(super) fn read(loader: &mut Loader<'_>, fields: &Fields<'_>) -> Option<Repeat> {
    let control = fields.value("loop_control");
    let mut sources: Vec<(&'static str, &Node, Option<&'static str>)> = Vec::new();
    if let Some(node) = fields.value("loop") {
        sources.push(("loop", node, None));
    }
    for (keyword, name) in lookups() {
        if let Some(node) = fields.value(keyword) {
            sources.push((keyword, node, Some(*name)));
        }
    }
    let Some((keyword, node, lookup)) = sources.first().copied() else {
        if let Some(control) = control {
            loader.found.push(
                Diagnostic::at(&control.place, "`loop_control` without a `loop`")
                    .hint("add `loop:` with the list"),
            );
        }
        return None;
    };
    if let Some((other, place, _)) = sources.get(1) {
        loader.found.push(
            Diagnostic::at(
                &place.place,
                format!("a task has `{keyword}` or `{other}`, not both"),
            )
            .related(&node.place, format!("the `{keyword}`")),
        );
    }
    let source = match lookup {
        None => {
            let is_text = node.as_str().is_some_and(is_template);
            if node.as_sequence().is_none() && !is_text {
                loader
                    .found
                    .push(node.unexpected("a list, or a template that becomes one"));
            }
            LoopSource::List(ArgumentValue::any(node, &mut loader.found))
        }
        Some(name) => LoopSource::With(name, ArgumentValue::any(node, &mut loader.found)),
    };
    let mut repeat = Repeat {
        source,
        variable: None,
        index_variable: None,
        label: None,
        pause: None,
        extended: None,
        all_items: None,
    };
    if let Some(control) = control
        && let Ok(control) =
            Fields::new(control, "loop_control").map_err(|diagnostic| loader.found.push(diagnostic))
    {
        let mut variable = |key: &'static str| {
            let name = control.text(key, &mut loader.found)?;
            let node = control.value(key)?;
            if !is_template(name) {
                loader.check_variable(name, &node.place);
            }
            loader.template_of(node)
        };
        repeat.variable = variable("loop_var");
        repeat.index_variable = variable("index_var");
        repeat.label = control.value("label").and_then(|node| {
            let json = node.to_json();
            match node.as_str() {
                Some(_) => loader.template_of(node),
                // A mapping or a list is shown as it is, its templates resolved.
                None => Template::expression(&as_expression(&json), Some(&node.place)).ok(),
            }
        });
        repeat.pause = loader.count(&control, "pause");
        repeat.extended = loader.flag(&control, "extended");
        repeat.all_items = loader.flag(&control, "extended_allitems");
        control.finish(&mut loader.found);
    }
    Some(repeat)
}

/// A value as an expression that gives it, its templates taken up.
fn as_expression(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) if is_template(text) => {
            let inner = text.trim();
            match inner
                .strip_prefix("{{")
                .and_then(|inner| inner.strip_suffix("}}"))
            {
                Some(inner) if !inner.contains("{{") => format!("({inner})"),
                _ => Value::from(text.as_str()).to_string(),
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(as_expression).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, item)| {
                    format!("{}: {}", Value::from(key.as_str()), as_expression(item))
                })
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}
