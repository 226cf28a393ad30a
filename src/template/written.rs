//! Data written down as JSON and YAML.

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

/// Plain data as JSON, on one line with spaces.
pub fn json_text(data: &serde_json::Value) -> String {
    let mut text = String::new();
    write_json(data, None, 0, &mut text);
    text
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

fn sorted(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match json {
        Json::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().collect();
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            pairs
                .into_iter()
                .map(|(key, item)| (key, sorted(item)))
                .collect()
        }
        Json::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// JSON over several lines, keys in order.
pub(super) fn sorted_json(value: &Value, indent: usize) -> Result<String, Error> {
    let mut text = String::new();
    write_json(&sorted(json_of(value)?), Some(indent), 0, &mut text);
    Ok(text)
}

/// YAML in block style, keys in order.
pub(super) fn yaml(value: &Value, indent: usize) -> Result<String, Error> {
    let mut text = String::new();
    write_yaml(&sorted(json_of(value)?), indent, 0, &mut text);
    Ok(text)
}

/// Block style; every text that could be read as anything else is quoted as JSON, which YAML reads.
fn write_yaml(json: &serde_json::Value, indent: usize, level: usize, out: &mut String) {
    use serde_json::Value as Json;
    let pad = " ".repeat(indent * level);
    let nested = |item: &Json| {
        matches!(item, Json::Array(items) if !items.is_empty())
            || matches!(item, Json::Object(map) if !map.is_empty())
    };
    match json {
        Json::Object(map) if !map.is_empty() => {
            for (key, item) in map {
                out.push_str(&format!(
                    "{pad}{}:",
                    yaml_scalar(&Json::String(key.clone()))
                ));
                if nested(item) {
                    out.push('\n');
                    let deeper = if item.is_array() && indent == 2 {
                        level
                    } else {
                        level + 1
                    };
                    write_yaml(item, indent, deeper, out);
                } else {
                    out.push_str(&format!(" {}\n", yaml_scalar(item)));
                }
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                if nested(item) {
                    let mut inner = String::new();
                    write_yaml(item, indent, 0, &mut inner);
                    for (index, line) in inner.lines().enumerate() {
                        let lead = if index == 0 {
                            format!("{pad}- ")
                        } else {
                            format!("{pad}  ")
                        };
                        out.push_str(&format!("{lead}{line}\n"));
                    }
                } else {
                    out.push_str(&format!("{pad}- {}\n", yaml_scalar(item)));
                }
            }
        }
        other => out.push_str(&format!("{}\n", yaml_scalar(other))),
    }
}

fn yaml_scalar(json: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => {
            let typed = crate::yaml::scalar_to_json(text) != Json::String(text.clone());
            let plain = text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
            if plain && !typed && !text.is_empty() {
                text.clone()
            } else {
                json.to_string()
            }
        }
        Json::Array(_) => "[]".to_owned(),
        Json::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}
