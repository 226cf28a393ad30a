//! What arguments a role says that it takes, and whether they are so.

use serde_json::{Map, Value as Json};

use crate::template::display;

/// What is wrong with arguments by a specification: the `options` of an entry point, each with its `type` and so on.
pub fn check_arguments(options: &Map<String, Json>, given: &Map<String, Json>) -> Vec<String> {
    let mut wrong = Vec::new();
    check(options, given, "", &mut wrong);
    wrong
}

fn check(
    options: &Map<String, Json>,
    given: &Map<String, Json>,
    within: &str,
    wrong: &mut Vec<String>,
) {
    let mut missing: Vec<&str> = Vec::new();
    for (name, option) in options {
        let value = names(name, option)
            .find_map(|name| given.get(name))
            .filter(|value| !value.is_null());
        let Some(value) = value else {
            let is_required = option.get("required").is_some_and(crate::template::truthy);
            if is_required && option.get("default").is_none() {
                missing.push(name);
            }
            continue;
        };
        check_one(&format!("{within}{name}"), option, value, wrong);
    }
    if !missing.is_empty() {
        let around = within.trim_end_matches('.');
        let found_in = if around.is_empty() {
            String::new()
        } else {
            format!(" found in {around}")
        };
        wrong.push(format!(
            "missing required arguments: {}{found_in}",
            missing.join(", ")
        ));
    }
    if !within.is_empty() {
        let known = |key: &String| {
            options
                .iter()
                .any(|(name, option)| names(name, option).any(|name| name == key))
        };
        let unknown: Vec<String> = given
            .keys()
            .filter(|key| !known(key))
            .map(|key| format!("{within}{key}"))
            .collect();
        if !unknown.is_empty() {
            wrong.push(format!("there is no argument {}", unknown.join(", ")));
        }
    }
}

/// Every name of an option.
fn names<'a>(name: &'a str, option: &'a Json) -> impl Iterator<Item = &'a str> {
    let aliases = option.get("aliases").and_then(Json::as_array);
    std::iter::once(name).chain(aliases.into_iter().flatten().filter_map(Json::as_str))
}

fn check_one(name: &str, option: &Json, value: &Json, wrong: &mut Vec<String>) {
    let kind = option.get("type").and_then(Json::as_str).unwrap_or("str");
    if !fits(kind, value) {
        wrong.push(format!(
            "the argument `{name}` is not of the type `{kind}`: it is {}",
            described(value)
        ));
        return;
    }
    if let Some(choices) = option.get("choices").and_then(Json::as_array) {
        let words: Vec<String> = choices.iter().map(display).collect();
        let values = match value {
            Json::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for value in values {
            let word = display(value);
            if !words.contains(&word) {
                wrong.push(format!(
                    "the argument `{name}` must be one of {}, it is `{word}`",
                    words.join(", ")
                ));
            }
        }
    }
    let inner = option.get("options").and_then(Json::as_object);
    match value {
        Json::Array(items) => {
            let elements = option.get("elements").and_then(Json::as_str);
            for item in items {
                if let Some(kind) = elements.filter(|kind| !fits(kind, item)) {
                    wrong.push(format!(
                        "an element of the argument `{name}` is not of the type `{kind}`: it is {}",
                        described(item)
                    ));
                } else if let (Some(inner), Some(map)) = (inner, item.as_object()) {
                    check(inner, map, &format!("{name}."), wrong);
                }
            }
        }
        Json::Object(map) => {
            if let Some(inner) = inner {
                check(inner, map, &format!("{name}."), wrong);
            }
        }
        _ => {}
    }
}

/// Whether a value is of a type, or can become one.
fn fits(kind: &str, value: &Json) -> bool {
    let text = match value {
        Json::String(text) => Some(text.trim().to_lowercase()),
        _ => None,
    };
    let is_scalar = !matches!(value, Json::Array(_) | Json::Object(_));
    match kind {
        "int" => {
            value.is_i64()
                || value.is_u64()
                || value.as_f64().is_some_and(|number| number.fract() == 0.0)
                || text.is_some_and(|text| text.parse::<i64>().is_ok())
        }
        "float" => value.is_number() || text.is_some_and(|text| text.parse::<f64>().is_ok()),
        "bool" => {
            value.is_boolean()
                || matches!(value.as_i64(), Some(0 | 1))
                || text.is_some_and(|text| {
                    matches!(
                        text.as_str(),
                        "y" | "yes"
                            | "on"
                            | "1"
                            | "true"
                            | "t"
                            | "1.0"
                            | "n"
                            | "no"
                            | "off"
                            | "0"
                            | "false"
                            | "f"
                            | "0.0"
                    )
                })
        }
        "list" => value.is_array() || is_scalar,
        "dict" => {
            value.is_object()
                || text.is_some_and(|text| text.starts_with('{') || text.contains('='))
        }
        "path" => is_scalar,
        _ => true,
    }
}

fn described(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_held_against_their_specification() {
        let options = json!({
            "port": {"type": "int", "required": true},
            "state": {"choices": ["present", "absent"]},
            "names": {"type": "list", "elements": "int"},
            "user": {"type": "dict", "options": {"name": {"required": true}}},
            "flag": {"type": "bool"},
        });
        let wrong = |given: Json| {
            check_arguments(options.as_object().unwrap(), given.as_object().unwrap()).join("; ")
        };
        assert_eq!(wrong(json!({"port": "80", "other": 1, "flag": "yes"})), "");
        assert_eq!(wrong(json!({})), "missing required arguments: port");
        assert_eq!(
            wrong(json!({"port": "a", "state": "x", "names": ["b"], "flag": "perhaps"})),
            "the argument `port` is not of the type `int`: it is a text; \
             the argument `state` must be one of present, absent, it is `x`; \
             an element of the argument `names` is not of the type `int`: it is a text; \
             the argument `flag` is not of the type `bool`: it is a text"
        );
        assert_eq!(
            wrong(json!({"port": 1, "user": {"nam": "a"}})),
            "missing required arguments: name found in user; there is no argument user.nam"
        );
    }
}
