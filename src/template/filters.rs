//! Ansible's filters.

use base64::Engine as _;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error};
use serde_json::{Map, Value as Json};

use super::environment::{invalid, json_of, object_of, value_of};
use super::missing::is_undefined;
use super::written;

/// Adds Ansible's filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    // Not `Option<Value>`: that would take an undefined alternative for none at all.
    let default = |value: Value, args: Rest<Value>, kwargs: Kwargs| -> Result<Value, Error> {
        let lax = match args.get(1) {
            Some(lax) => lax.is_true(),
            None => kwargs.get::<Option<bool>>("boolean")?.unwrap_or(false),
        };
        let named: Option<Value> = kwargs.get("default_value")?;
        kwargs.assert_all_used()?;
        if is_undefined(&value) || lax && !value.is_true() {
            let other = args.first().cloned().or(named);
            return Ok(other.unwrap_or_else(|| Value::from("")));
        }
        Ok(value)
    };
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("mandatory", |value: Value, message: Option<String>| {
        if is_undefined(&value) {
            return Err(invalid(
                message.unwrap_or_else(|| "a mandatory variable is undefined".to_owned()),
            ));
        }
        Ok(value)
    });
    environment.add_filter("bool", |value: Value| {
        let text = value.as_str().map(str::to_lowercase);
        match text.as_deref() {
            Some("yes" | "on" | "1" | "true" | "t" | "y") => true,
            Some(_) => false,
            None => value.is_true(),
        }
    });
    environment.add_filter("basename", |path: String| {
        path.rsplit('/').next().unwrap_or_default().to_owned()
    });
    environment.add_filter("dirname", |path: String| match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((directory, _)) => directory.to_owned(),
        None => String::new(),
    });
    environment.add_filter("splitext", |path: String| {
        let name_start = path.rfind('/').map_or(0, |index| index + 1);
        match path
            .get(name_start..)
            .and_then(|name| name.rfind('.'))
            .filter(|index| *index > 0)
        {
            Some(index) => {
                let (stem, extension) = path.split_at(name_start + index);
                vec![stem.to_owned(), extension.to_owned()]
            }
            None => vec![path, String::new()],
        }
    });
    environment.add_filter(
        "ternary",
        |value: Value, yes: Value, no: Value, none: Option<Value>| match none {
            Some(none) if value.is_none() => none,
            _ if value.is_true() => yes,
            _ => no,
        },
    );
    environment.add_filter("quote", |text: String| {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
        if !text.is_empty() && text.chars().all(harmless) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\"'\"'"))
        }
    });
    environment.add_filter("b64encode", |text: String| {
        base64::engine::general_purpose::STANDARD.encode(text)
    });
    environment.add_filter("b64decode", |text: String| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        let bytes = bytes.map_err(|error| invalid(format!("not base64: {error}")))?;
        String::from_utf8(bytes).map_err(|error| invalid(format!("not text: {error}")))
    });
    environment.add_filter(
        "to_json",
        |value: Value, kwargs: Kwargs| -> Result<String, Error> {
            let indent: Option<usize> = kwargs.get("indent")?;
            kwargs.assert_all_used()?;
            written::json(&value, indent)
        },
    );
    environment.add_filter(
        "to_nice_json",
        |value: Value, kwargs: Kwargs| -> Result<String, Error> {
            let indent: Option<usize> = kwargs.get("indent")?;
            kwargs.assert_all_used()?;
            written::sorted_json(&value, indent.unwrap_or(4))
        },
    );
    environment.add_filter("from_json", |text: String| {
        let json: Json =
            serde_json::from_str(&text).map_err(|error| invalid(format!("not JSON: {error}")))?;
        Ok::<_, Error>(value_of(&json))
    });
    environment.add_filter("to_yaml", |value: Value| written::yaml(&value, 2));
    environment.add_filter("to_nice_yaml", |value: Value, kwargs: Kwargs| {
        let indent: Option<usize> = kwargs.get("indent")?;
        kwargs.assert_all_used()?;
        written::yaml(&value, indent.unwrap_or(4))
    });
    environment.add_filter(
        "regex_replace",
        |text: String, pattern: String, with: Option<String>| {
            let regex = regex(&pattern)?;
            let with = python_replacement(&with.unwrap_or_default());
            Ok::<_, Error>(regex.replace_all(&text, with.as_str()).into_owned())
        },
    );
    environment.add_filter("regex_search", |text: String, pattern: String| {
        Ok::<_, Error>(
            regex(&pattern)?
                .find(&text)
                .map_or_else(|| Value::from(()), |found| Value::from(found.as_str())),
        )
    });
    environment.add_filter(
        "combine",
        |value: Value, others: Rest<Value>, kwargs: Kwargs| {
            let recursive: Option<bool> = kwargs.get("recursive")?;
            kwargs.assert_all_used()?;
            let mut merged = object_of(&value)?;
            for other in others.iter() {
                merge(
                    &mut merged,
                    object_of(other)?,
                    recursive.unwrap_or_default(),
                );
            }
            Ok::<_, Error>(value_of(&Json::Object(merged)))
        },
    );
    environment.add_filter("dict2items", |value: Value| {
        let items: Vec<_> = object_of(&value)?
            .into_iter()
            .map(|(key, value)| serde_json::json!({"key": key, "value": value}))
            .collect();
        Ok::<_, Error>(value_of(&Json::Array(items)))
    });
    environment.add_filter("items2dict", |value: Value| {
        let mut map = Map::new();
        for item in value.try_iter()? {
            let key = item.get_attr("key")?;
            map.insert(
                key.as_str().unwrap_or_default().to_owned(),
                json_of(&item.get_attr("value")?)?,
            );
        }
        Ok::<_, Error>(value_of(&Json::Object(map)))
    });
    environment.add_filter("flatten", |value: Value| {
        let mut flat = Vec::new();
        flatten(&value, &mut flat)?;
        Ok::<_, Error>(Value::from(flat))
    });
    environment.add_filter("difference", |left: Vec<Value>, right: Vec<Value>| {
        left.into_iter()
            .filter(|item| !right.contains(item))
            .collect::<Vec<_>>()
    });
    environment.add_filter("intersect", |left: Vec<Value>, right: Vec<Value>| {
        left.into_iter()
            .filter(|item| right.contains(item))
            .collect::<Vec<_>>()
    });
    environment.add_filter("union", |left: Vec<Value>, right: Vec<Value>| {
        let mut all: Vec<Value> = Vec::new();
        for item in left.into_iter().chain(right) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        all
    });
    environment.add_filter("ipwrap", |text: String| {
        if text.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("[{text}]")
        } else {
            text
        }
    });
}

pub(super) fn regex(pattern: &str) -> Result<regex::Regex, Error> {
    regex::Regex::new(pattern)
        .map_err(|error| invalid(format!("`{pattern}` is not a regular expression: {error}")))
}

/// `\1` and `\g<name>` of Python as `${1}` and `${name}`.
fn python_replacement(text: &str) -> String {
    let mut converted = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '$' => converted.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    converted.push_str(&format!("${{{digit}}}"));
                }
                Some('g') if characters.peek() == Some(&'<') => {
                    characters.next();
                    let name: String = characters.by_ref().take_while(|c| *c != '>').collect();
                    converted.push_str(&format!("${{{name}}}"));
                }
                Some('n') => converted.push('\n'),
                Some(other) => converted.push(other),
                None => converted.push('\\'),
            },
            other => converted.push(other),
        }
    }
    converted
}

fn flatten(value: &Value, out: &mut Vec<Value>) -> Result<(), Error> {
    for item in value.try_iter()? {
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
            flatten(&item, out)?;
        } else {
            out.push(item);
        }
    }
    Ok(())
}

/// Lays one mapping over another; with `recursive`, mappings in them too.
fn merge(under: &mut Map<String, Json>, over: Map<String, Json>, recursive: bool) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Json::Object(inner)), Json::Object(value)) if recursive => {
                merge(inner, value, recursive);
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}
