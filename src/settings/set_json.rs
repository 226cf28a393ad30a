//! JSON values in `--set`: where they end, and what they hold, with places inside the flag.

use crate::diagnostic::{Diagnostic, Place, Source};
use crate::yaml::{self, Kind, Node};

/// The length of what stands between the bracket or brace that `text` begins with and the one that closes it.
pub fn balanced(text: &str) -> Option<usize> {
    let mut open: Vec<char> = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        if in_string {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match character {
            '"' => in_string = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                if open.pop() != Some(character) {
                    return None;
                }
                if open.is_empty() {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A JSON value with places inside the flag.
pub fn json(text: &str, place: &Place) -> Result<Node, Diagnostic> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let line_start: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let mut offset = (line_start + error.column().saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let length = text
            .get(offset..)
            .and_then(|rest| rest.chars().next())
            .map_or(0, char::len_utf8);
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Diagnostic::at(&place.within(offset, length), format!("invalid JSON: {reason}")).hint(
            "names and texts stand in double quotes, as in `{\"name\": \"value\"}`; `--set-string` takes a value as a text",
        )
    })?;
    // JSON is YAML with few exceptions, and the YAML reader keeps places and digits.
    let alone = Source::new(place.source.name.clone(), text);
    if let Ok(mut node) = yaml::parse(&alone) {
        node.move_into(place);
        return Ok(node);
    }
    Ok(from_value(&value, place))
}

fn from_value(value: &serde_json::Value, place: &Place) -> Node {
    use serde_json::Value;
    let scalar = |text: String, plain: bool| Kind::Scalar {
        text: text.into(),
        plain,
    };
    let kind = match value {
        Value::String(text) => scalar(text.clone(), false),
        Value::Array(items) => {
            Kind::Sequence(items.iter().map(|item| from_value(item, place)).collect())
        }
        Value::Object(map) => Kind::Mapping(
            map.iter()
                .map(|(key, item)| {
                    let key = Node {
                        place: place.clone(),
                        tag: None,
                        kind: scalar(key.clone(), false),
                    };
                    (key, from_value(item, place))
                })
                .collect(),
        ),
        other => scalar(other.to_string(), true),
    };
    Node {
        place: place.clone(),
        tag: None,
        kind,
    }
}
