//! Filters for HTML.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::python;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "escape",
        parameters: &[],
        apply: escape,
    },
    Filter {
        name: "e",
        parameters: &[],
        apply: escape,
    },
    Filter {
        name: "forceescape",
        parameters: &[],
        apply: force_escape,
    },
    Filter {
        name: "safe",
        parameters: &[],
        apply: safe,
    },
    Filter {
        name: "striptags",
        parameters: &[],
        apply: striptags,
    },
    Filter {
        name: "xmlattr",
        parameters: &["autospace"],
        apply: xmlattr,
    },
];

pub(super) fn escaped(text: &str) -> String {
    let mut new = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => new.push_str("&amp;"),
            '<' => new.push_str("&lt;"),
            '>' => new.push_str("&gt;"),
            '"' => new.push_str("&#34;"),
            '\'' => new.push_str("&#39;"),
            other => new.push(other),
        }
    }
    new
}

fn escape(state: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if call.value.is_safe() {
        return Ok(call.value.clone());
    }
    force_escape(state, call)
}

fn force_escape(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    Ok(Value::from_safe_string(escaped(&call.value_as_text()?)))
}

fn safe(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    Ok(Value::from_safe_string(call.value_as_text()?))
}

/// Without tags and comments, entities as what they stand for, one space between words.
fn striptags(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut text = call.value_as_text()?;
    while let Some(start) = text.find("<!--") {
        let Some(length) = text.get(start..).and_then(|rest| rest.find("-->")) else {
            break;
        };
        text.replace_range(start..start + length + 3, "");
    }
    while let Some(start) = text.find('<') {
        let Some(length) = text.get(start..).and_then(|rest| rest.find('>')) else {
            break;
        };
        text.replace_range(start..=start + length, "");
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    Ok(Value::from(unescaped(&text)))
}

fn unescaped(text: &str) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        new.push_str(before);
        let entity = after.split_once(';').and_then(|(name, rest)| {
            let code = match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some('\u{a0}'),
                "copy" => Some('©'),
                "raquo" => Some('»'),
                "laquo" => Some('«'),
                "hellip" => Some('…'),
                "mdash" => Some('—'),
                "ndash" => Some('–'),
                "euro" => Some('€'),
                _ => name
                    .strip_prefix("#x")
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .or_else(|| {
                        name.strip_prefix('#')
                            .and_then(|digits| digits.parse().ok())
                    })
                    .and_then(char::from_u32),
            };
            code.map(|code| (code, rest))
        });
        if let Some((code, after)) = entity {
            new.push(code);
            rest = after;
        } else {
            new.push('&');
            rest = after;
        }
    }
    new.push_str(rest);
    new
}

fn xmlattr(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut attributes = Vec::new();
    for (key, value) in python::pairs(&call.value)? {
        if value.is_none() || super::super::missing::is_undefined(&value) {
            continue;
        }
        let key = python::text(&key)?;
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(call.error(&format!("`{key}` cannot be the name of an attribute")));
        }
        attributes.push(format!(
            "{}=\"{}\"",
            escaped(&key),
            escaped(&python::text(&value)?)
        ));
    }
    let text = attributes.join(" ");
    let lead = if call.flag("autospace", true)? && !text.is_empty() {
        " "
    } else {
        ""
    };
    Ok(Value::from(format!("{lead}{text}")))
}
