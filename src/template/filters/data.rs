//! Filters that read data from texts and write it into texts, YAML left out.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::super::environment::{invalid, value_of};
use super::super::missing::is_undefined;
use super::call::{Call, Filter, refusal};
use super::python::{self, Number, items, mapping, number, pairs};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "to_json",
        parameters: JSON_OPTIONS,
        apply: |_, call| to_json(call, &Style::default()),
    },
    Filter {
        name: "to_nice_json",
        parameters: NICE_JSON_OPTIONS,
        apply: to_nice_json,
    },
    Filter {
        name: "tojson",
        parameters: &["indent"],
        apply: html_json,
    },
    Filter {
        name: "from_json",
        parameters: &["**"],
        apply: from_json,
    },
    Filter {
        name: "pprint",
        parameters: &[],
        apply: |_, call| super::pretty::pretty(&call.value).map(Value::from),
    },
];

/// Of community.general.
pub(super) const GENERAL: &[Filter] = &[
    Filter {
        name: "from_ini",
        parameters: &[],
        apply: from_ini,
    },
    Filter {
        name: "to_ini",
        parameters: &[],
        apply: to_ini,
    },
];

const JSON_OPTIONS: &[&str] = &[
    "indent",
    "sort_keys",
    "ensure_ascii",
    "separators",
    "skipkeys",
    "allow_nan",
    "check_circular",
    "vault_to_text",
    "preprocess_unsafe",
];

const NICE_JSON_OPTIONS: &[&str] = &[
    "indent",
    "sort_keys",
    "ensure_ascii",
    "skipkeys",
    "allow_nan",
    "check_circular",
    "vault_to_text",
    "preprocess_unsafe",
];

/// How JSON is laid out.
#[derive(Debug, Clone)]
pub(super) struct Style {
    indent: Option<String>,
    is_sorted: bool,
    is_ascii: bool,
    item_separator: Option<String>,
    key_separator: String,
    skips_keys: bool,
    allows_nan: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            indent: None,
            is_sorted: false,
            is_ascii: true,
            item_separator: None,
            key_separator: ": ".to_owned(),
            skips_keys: false,
            allows_nan: true,
        }
    }
}

fn to_json(call: &Call, default: &Style) -> Result<Value, Error> {
    let mut style = default.clone();
    if let Some(indent) = call.raw("indent") {
        style.indent = match indent.as_str() {
            _ if indent.is_none() => None,
            Some(text) => Some(text.to_owned()),
            None => Some(" ".repeat(call.count("indent", 0)?.min(1000))),
        };
    }
    style.is_sorted = call.flag("sort_keys", style.is_sorted)?;
    style.is_ascii = call.flag("ensure_ascii", style.is_ascii)?;
    style.skips_keys = call.flag("skipkeys", false)?;
    style.allows_nan = call.flag("allow_nan", true)?;
    if let Some(separators) = call.optional("separators")? {
        let parts = items(separators)?
            .iter()
            .map(python::text)
            .collect::<Result<Vec<_>, _>>()?;
        let Ok([item, key]) = <[String; 2]>::try_from(parts) else {
            return Err(call.error("`separators` is a pair: between items, and behind a key"));
        };
        style.item_separator = Some(item);
        style.key_separator = key;
    }
    let mut text = String::new();
    style.write(&call.value, 0, &mut text)?;
    Ok(Value::from(text))
}

fn to_nice_json(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let style = Style {
        indent: Some("    ".to_owned()),
        is_sorted: true,
        item_separator: Some(",".to_owned()),
        ..Style::default()
    };
    let mut text = to_json(call, &style)?;
    // Separators are fixed, so that no line ends with a space, unless everything stands in one line.
    if call.raw("indent").is_some_and(Value::is_none) {
        let style = Style {
            item_separator: Some(",".to_owned()),
            ..style
        };
        text = to_json(call, &style)?;
    }
    Ok(text)
}

/// Plain data as JSON on one line, as Python writes it.
pub fn json_text(data: &serde_json::Value) -> String {
    let mut text = String::new();
    match Style::default().write(&value_of(data), 0, &mut text) {
        Ok(()) => text,
        // Data that nest deeper than the filter allows.
        Err(_) => data.to_string(),
    }
}

impl Style {
    pub(super) fn sorted() -> Self {
        Self {
            is_sorted: true,
            ..Self::default()
        }
    }

    fn item_separator(&self) -> &str {
        match (&self.item_separator, &self.indent) {
            (Some(separator), _) => separator,
            (None, Some(_)) => ",",
            (None, None) => ", ",
        }
    }

    fn newline(&self, level: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    }

    pub(super) fn write(&self, value: &Value, level: usize, out: &mut String) -> Result<(), Error> {
        if is_undefined(value) {
            return Err(refusal(value));
        }
        if level > 200 || out.len() > super::MAX_ELEMENTS * 16 {
            return Err(invalid(
                "the value is too large or nested too deep for JSON",
            ));
        }
        match value.kind() {
            ValueKind::Map => self.write_mapping(value, level, out),
            ValueKind::Seq | ValueKind::Iterable => {
                let all = items(value)?;
                out.push('[');
                for (index, item) in all.iter().enumerate() {
                    if index > 0 {
                        out.push_str(self.item_separator());
                    }
                    self.newline(level + 1, out);
                    self.write(item, level + 1, out)?;
                }
                if !all.is_empty() {
                    self.newline(level, out);
                }
                out.push(']');
                Ok(())
            }
            _ => self.scalar(value, out),
        }
    }

    fn write_mapping(&self, value: &Value, level: usize, out: &mut String) -> Result<(), Error> {
        let mut all = Vec::new();
        for (key, item) in pairs(value)? {
            match self.key(&key) {
                Some(text) => all.push((key, (text, item))),
                None if self.skips_keys => {}
                None => {
                    return Err(invalid(
                        "a key of JSON must be a text, a number, a boolean or none",
                    ));
                }
            }
        }
        if self.is_sorted {
            let mut trouble = None;
            all.sort_by(|(one, _), (other, _)| {
                python::compare(one, other).unwrap_or_else(|error| {
                    trouble.get_or_insert(error);
                    std::cmp::Ordering::Equal
                })
            });
            if let Some(error) = trouble {
                return Err(error);
            }
        }
        out.push('{');
        for (index, (_, (key, item))) in all.iter().enumerate() {
            if index > 0 {
                out.push_str(self.item_separator());
            }
            self.newline(level + 1, out);
            self.text(key, out);
            out.push_str(&self.key_separator);
            self.write(item, level + 1, out)?;
        }
        if !all.is_empty() {
            self.newline(level, out);
        }
        out.push('}');
        Ok(())
    }

    fn key(&self, key: &Value) -> Option<String> {
        match key.kind() {
            ValueKind::String => key.as_str().map(str::to_owned),
            ValueKind::Number | ValueKind::Bool | ValueKind::None => {
                let mut text = String::new();
                self.scalar(key, &mut text).ok()?;
                Some(text)
            }
            _ => None,
        }
    }

    fn scalar(&self, value: &Value, out: &mut String) -> Result<(), Error> {
        match (value.kind(), number(value)) {
            (ValueKind::None, _) => out.push_str("null"),
            (ValueKind::Bool, _) => out.push_str(if value.is_true() { "true" } else { "false" }),
            (_, Some(Number::Float(number))) if !number.is_finite() => {
                if !self.allows_nan {
                    return Err(invalid("not a number, or endless: JSON has no word for it"));
                }
                out.push_str(if number.is_nan() {
                    "NaN"
                } else if number > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                });
            }
            (ValueKind::Number, _) => out.push_str(&python::text(value)?),
            _ => self.text(&python::text(value)?, out),
        }
        Ok(())
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
                other if other.is_ascii() && other != '\u{7f}' || !self.is_ascii => out.push(other),
                '\u{7f}' => out.push('\u{7f}'),
                other => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
        }
        out.push('"');
    }
}

/// Jinja2's own: in order, and harmless in HTML.
fn html_json(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = to_json(call, &Style::sorted())?;
    let mut new = String::new();
    for character in text.as_str().unwrap_or_default().chars() {
        match character {
            '<' | '>' | '&' | '\'' => new.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => new.push(other),
        }
    }
    Ok(Value::from_safe_string(new))
}

fn from_json(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let json =
        serde_json::from_str(text).map_err(|error| call.error(&format!("not JSON: {error}")))?;
    Ok(value_of(&json))
}

fn from_ini(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut sections: Vec<(String, Vec<(Value, Value)>)> = Vec::new();
    for (number, line) in call.value_text()?.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |what: &str| call.error(&format!("line {}: {what}", number + 1));
        if let Some(name) = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if sections.iter().any(|(other, _)| other == name) {
                return Err(wrong(&format!("the section `{name}` is there twice")));
            }
            sections.push((name.to_owned(), Vec::new()));
            continue;
        }
        let Some((_, options)) = sections.last_mut() else {
            return Err(wrong("an option before the first section"));
        };
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = options.last_mut()
        {
            *value = Value::from(format!("{}\n{trimmed}", value.as_str().unwrap_or_default()));
            continue;
        }
        let (key, value) = trimmed
            .split_once(['=', ':'])
            .ok_or_else(|| wrong("an option needs `=` or `:`"))?;
        options.push((Value::from(key.trim()), Value::from(value.trim())));
    }
    let sections = sections
        .into_iter()
        .map(|(name, options)| (Value::from(name), mapping(options)));
    Ok(mapping(sections.collect()))
}

fn to_ini(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut text = String::new();
    for (name, options) in pairs(&call.value)? {
        text.push_str(&format!("[{name}]\n"));
        for (key, value) in pairs(&options)? {
            let value = python::text(&value)?.replace('\n', "\n\t");
            text.push_str(&format!("{key} = {value}\n"));
        }
        text.push('\n');
    }
    if text.is_empty() {
        return Err(call.error("the mapping is empty"));
    }
    text.pop();
    Ok(Value::from(text))
}
