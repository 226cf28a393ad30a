//! The environment: Ansible's habits, and the check of a template before it is used.

use std::ops::Range;
use std::sync::OnceLock;

use minijinja::machinery::{Instruction, Instructions, get_compiled_template, parse_expr};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use super::names::{BUILTIN_FILTERS, BUILTIN_TESTS, FUNCTIONS, OWN_FILTERS, OWN_TESTS};
use super::{filters, missing, outside, tests_of_values, written};
use crate::diagnostic::{Diagnostic, Place, nearest};

/// The one environment.
pub(super) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(build)
}

/// Ansible's: a line break after a block belongs to the block.
pub(super) fn syntax() -> SyntaxConfig {
    static SYNTAX: OnceLock<SyntaxConfig> = OnceLock::new();
    SYNTAX
        .get_or_init(|| {
            SyntaxConfig::builder()
                .trim_blocks(true)
                .keep_trailing_newline(true)
                .build()
                .unwrap_or_default()
        })
        .clone()
}

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    // Gives errors their range, and undefined values the expression that gave them; what it records of variables is
    // never shown.
    environment.set_debug(true);
    environment.set_syntax(syntax());
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(20_000_000));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, state, value| {
        if let Some(error) = missing::undefined_error(value) {
            return Err(error);
        }
        match value.kind() {
            ValueKind::Bool => out
                .write_str(if value.is_true() { "True" } else { "False" })
                .map_err(Error::from),
            ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => out
                .write_str(&written::json(value, None)?)
                .map_err(Error::from),
            _ => minijinja::escape_formatter(out, state, value),
        }
    });
    filters::add(&mut environment);
    tests_of_values::add(&mut environment);
    outside::add(&mut environment);
    environment
}

/// Whether a text is one whole expression.
pub(super) fn is_expression(text: &str) -> bool {
    parse_expr(text).is_ok()
}

/// Checks syntax and the names of filters and tests. `shown` is the part of `text` that the user wrote, `lead` bytes
/// from its start.
pub(super) fn check(
    text: &str,
    place: Option<&Place>,
    shown: &str,
    lead: usize,
) -> Result<(), Diagnostic> {
    let at = |message: String, range: Option<Range<usize>>| match place {
        Some(place) => Diagnostic::at(&locate(place, shown, lead, range), message),
        None => Diagnostic::error(format!("{message} (in `{shown}`)")),
    };
    let template = environment()
        .template_from_str(text)
        .map_err(|error| at(format!("template: {}", describe(&error)), error.range()))?;
    let compiled = get_compiled_template(&template);
    for instructions in std::iter::once(&compiled.instructions).chain(compiled.blocks.values()) {
        let Some(unknown) = find_unknown(instructions) else {
            continue;
        };
        let Unknown { kind, name, .. } = unknown;
        let diagnostic = at(format!("unknown {kind} `{name}`"), unknown.range);
        let mut known = unknown.known;
        let hint = if let Some(other) = nearest(name, known.iter().copied()) {
            format!("did you mean `{other}`?")
        } else {
            known.retain(|name| name.starts_with(|c: char| c.is_alphabetic()));
            known.sort_unstable();
            format!("there are: {}", known.join(", "))
        };
        return Err(diagnostic.hint(hint));
    }
    Ok(())
}

/// A range of a template's text in the user's file; the whole scalar where they differ, as with escapes.
fn locate(place: &Place, shown: &str, lead: usize, range: Option<Range<usize>>) -> Place {
    let written = place.source.text.get(place.span.start..place.span.end);
    let start = written.and_then(|written| written.find(shown));
    let (Some(start), Some(range)) = (start, range) else {
        return place.clone();
    };
    let from = range.start.saturating_sub(lead).min(shown.len());
    let to = range.end.saturating_sub(lead).clamp(from, shown.len());
    if !shown.is_char_boundary(from) || !shown.is_char_boundary(to) {
        return place.clone();
    }
    place.within(start + from, to - from)
}

/// A filter, test or function that is not there.
struct Unknown<'a> {
    kind: &'static str,
    name: &'a str,
    known: Vec<&'static str>,
    range: Option<Range<usize>>,
}

fn find_unknown<'a>(instructions: &'a Instructions<'_>) -> Option<Unknown<'a>> {
    let mut index = 0;
    while let Some(instruction) = instructions.get(index) {
        let found = match instruction {
            Instruction::ApplyFilter(name, ..) => {
                Some(("filter", *name, [BUILTIN_FILTERS, OWN_FILTERS].concat()))
            }
            Instruction::PerformTest(name, ..) => {
                Some(("test", *name, [BUILTIN_TESTS, OWN_TESTS].concat()))
            }
            Instruction::CallFunction(name, _) if !is_local(instructions, name) => {
                Some(("function", *name, FUNCTIONS.to_vec()))
            }
            _ => None,
        };
        if let Some((kind, name, known)) = found.filter(|(_, name, known)| !known.contains(name)) {
            let range = instructions
                .get_span(index)
                .map(|span| span.start_offset as usize..span.end_offset as usize);
            return Some(Unknown {
                kind,
                name,
                known,
                range,
            });
        }
        index += 1;
    }
    None
}

/// Whether the template defines that name itself, for instance as a macro.
fn is_local(instructions: &Instructions<'_>, name: &str) -> bool {
    let mut index = 0;
    while let Some(instruction) = instructions.get(index) {
        if matches!(instruction, Instruction::StoreLocal(local) if *local == name) {
            return true;
        }
        index += 1;
    }
    false
}

/// An error of the template engine in one line, without the engine's own preamble.
pub(super) fn describe(error: &Error) -> String {
    let mut message = match (error.kind(), error.detail()) {
        (
            ErrorKind::UndefinedError | ErrorKind::InvalidOperation | ErrorKind::SyntaxError,
            Some(detail),
        ) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<Error>()
            && let Some(detail) = inner.detail()
            && !message.contains(detail)
        {
            message = format!("{message}: {detail}");
        }
        source = inner.source();
    }
    message
}

/// An error in words.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Plain data as a value of the template engine.
pub(super) fn value_of(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_object(missing::Mapping(
            map.iter()
                .map(|(key, item)| (key.clone(), value_of(item)))
                .collect(),
        )),
    }
}

/// The most elements that one value may have: `[1] * 24 ** 5` would fill the memory.
const MAX_ELEMENTS: usize = 2_000_000;

/// A value of the template engine as plain data. Something undefined in it is an error, and so is one without an end.
pub(super) fn json_of(value: &Value) -> Result<serde_json::Value, Error> {
    let mut left = MAX_ELEMENTS;
    json_within(value, &mut left)
}

fn json_within(value: &Value, left: &mut usize) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    *left = left
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("the value has more than {MAX_ELEMENTS} elements")))?;
    if missing::is_undefined(value) {
        let detail = "a part of the value is undefined";
        return Err(Error::new(ErrorKind::UndefinedError, detail));
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()?
            .map(|item| json_within(&item, left))
            .collect::<Result<Vec<_>, _>>()
            .map(Json::Array),
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter()? {
                let item = json_within(&value.get_item(&key)?, left)?;
                map.insert(key.to_string(), item);
            }
            Ok(Json::Object(map))
        }
        _ => serde_json::to_value(value)
            .map_err(|error| invalid(format!("the value cannot be used as data: {error}"))),
    }
}

pub(super) fn object_of(
    value: &Value,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    match json_of(value)? {
        serde_json::Value::Object(map) => Ok(map),
        _ => Err(invalid("expected a mapping")),
    }
}
