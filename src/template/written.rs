//! Data written down as JSON, where a text has it inside.

use minijinja::Error;
use minijinja::value::Value;

use super::environment::json_of;

/// JSON with Python's spacing, so that both programs write the same bytes.
pub(super) fn json(value: &Value, indent: Option<usize>) -> Result<String, Error> {
    let json = json_of(value)?;
    let mut text = String::new();
    write_json(&json, indent, 0, &mut text);
    Ok(text)
}

fn write_json(json: &serde_json::Value, indent: Option<usize>, level: usize, out: &mut String) {
    use serde_json::Value as Json;
    let newline = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * level));
        }
    };
    let separator = if indent.is_some() { "," } else { ", " };
    match json {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                newline(out, level + 1);
                write_json(item, indent, level + 1, out);
            }
            newline(out, level);
            out.push(']');
        }
        Json::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                newline(out, level + 1);
                out.push_str(&scalar(&Json::String(key.clone())));
                out.push_str(": ");
                write_json(item, indent, level + 1, out);
            }
            newline(out, level);
            out.push('}');
        }
        other => out.push_str(&scalar(other)),
    }
}

/// A scalar as Python writes it: everything outside ASCII escaped.
fn scalar(json: &serde_json::Value) -> String {
    crate::secret::escape_beyond_ascii(&json.to_string())
}
