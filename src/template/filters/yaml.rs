//! Filters that read and write YAML.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::super::environment::value_of;
use super::call::{Call, Filter};
use super::python::{self, list};
use super::yaml_emitter::{Emitter, Options, Style};
use crate::diagnostic::{Diagnostic, Source};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "to_yaml",
        parameters: OPTIONS,
        apply: |_, call| to_yaml(call, 2, FlowStyle::Best),
    },
    Filter {
        name: "to_nice_yaml",
        parameters: NICE_OPTIONS,
        apply: |_, call| to_yaml(call, 4, FlowStyle::Never),
    },
    Filter {
        name: "from_yaml",
        parameters: &[],
        apply: from_yaml,
    },
    Filter {
        name: "from_yaml_all",
        parameters: &[],
        apply: from_yaml_all,
    },
];

const OPTIONS: &[&str] = &[
    "indent",
    "width",
    "sort_keys",
    "default_flow_style",
    "default_style",
    "explicit_start",
    "explicit_end",
];

const NICE_OPTIONS: &[&str] = &[
    "indent",
    "width",
    "sort_keys",
    "default_style",
    "explicit_start",
    "explicit_end",
];

/// Which lists and mappings are written in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowStyle {
    Never,
    Always,
    /// Those that have nothing in them but scalars.
    Best,
}

fn to_yaml(call: &Call, indent: usize, flow: FlowStyle) -> Result<Value, Error> {
    let flow = match call.optional("default_flow_style")? {
        None => flow,
        Some(style) if python::truth(style) => FlowStyle::Always,
        Some(_) => FlowStyle::Never,
    };
    let style = match call.text("default_style")?.as_deref() {
        None | Some("") => None,
        Some("\"") => Some(Style::Double),
        Some("'") => Some(Style::Single),
        Some(other) => {
            return Err(call.error(&format!("`default_style` is `\"` or `'`, not `{other}`")));
        }
    };
    let indent = call.count("indent", indent)?;
    let width = match call.optional("width")? {
        // `width=inf` and the like: never.
        Some(width) if width.kind() == ValueKind::Number && !width.is_integer() => usize::MAX,
        _ => usize::try_from(call.integer("width")?.unwrap_or(80)).unwrap_or(80),
    };
    let options = Options {
        // What makes no sense is passed over, as PyYAML does it.
        indent: if (2..10).contains(&indent) { indent } else { 2 },
        width: if width > indent * 2 { width } else { 80 },
        is_sorted: call.flag("sort_keys", true)?,
        flow,
        style,
        has_start: call.flag("explicit_start", false)?,
        has_end: call.flag("explicit_end", false)?,
    };
    Emitter::new(options).document(&call.value).map(Value::from)
}

fn trouble(call: &Call, diagnostic: &Diagnostic) -> Error {
    let place = diagnostic.place.as_ref().map_or_else(String::new, |place| {
        let (line, column) = place.source.line_column(place.span.start);
        format!("line {line}, column {column}: ")
    });
    call.error(&format!("not YAML: {place}{}", diagnostic.message))
}

fn from_yaml(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let Some(text) = call.value.as_str() else {
        return Ok(call.value.clone());
    };
    let documents = crate::yaml::parse_documents(&Source::new("text", text));
    let documents = documents.map_err(|diagnostic| trouble(call, &diagnostic))?;
    match documents.as_slice() {
        [] => Ok(Value::from(())),
        [document] => Ok(value_of(&document.to_json())),
        _ => Err(call.error("there are several documents: use `from_yaml_all`")),
    }
}

fn from_yaml_all(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let Some(text) = call.value.as_str() else {
        return Ok(call.value.clone());
    };
    let documents = crate::yaml::parse_documents(&Source::new("text", text));
    let documents = documents.map_err(|diagnostic| trouble(call, &diagnostic))?;
    Ok(list(
        documents
            .iter()
            .map(|document| value_of(&document.to_json()))
            .collect(),
    ))
}
