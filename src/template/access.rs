//! Names, attributes, indices and slices, as Jinja2 looks them up.

use minijinja::value::{Rest, Tuple, Value, ValueKind};
use minijinja::{Environment, Error};

use super::environment::invalid;
use super::missing::{defined, is_undefined, missing, nothing};
use super::python::{repr, type_name};

/// Adds the filters that the rewritten text calls.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("kk_g", |value: Value, path: Rest<Value>| {
        named(value, &path)
    });
    environment.add_filter("kk_v", |value: Value, path: Rest<Value>| {
        let value = named(value, &path);
        defined(&value).map(|()| value)
    });
    environment.add_filter("kk_attribute", |value: Value, name: String| {
        attribute(value, &name)
    });
    environment.add_filter("kk_item", |value: Value, key: Value| item(value, &key));
    environment.add_filter(
        "kk_slice",
        |value: Value, start: Value, end: Value, step: Value| slice(&value, &start, &end, &step),
    );
    environment.add_filter("kk_each", |value: Value| each(&value).map(|()| value));
    environment.add_filter("kk_else", |_: Value| nothing());
}

/// A variable and attributes of it.
fn named(value: Value, path: &[Value]) -> Value {
    let mut names = path.iter().filter_map(Value::as_str);
    let Some(name) = names.next() else {
        return value;
    };
    let mut value = value;
    if value.is_undefined() {
        value = missing(format!("'{name}' is undefined"));
    }
    for name in names {
        value = attribute(value, name);
    }
    value
}

fn attribute(value: Value, name: &str) -> Value {
    if is_undefined(&value) {
        return value;
    }
    match value.get_attr(name) {
        Ok(found) if !found.is_undefined() => found,
        _ => missing(format!("{} has no attribute '{name}'", owner(&value))),
    }
}

fn owner(value: &Value) -> String {
    if value.is_none() {
        "None".to_owned()
    } else {
        format!("'{} object'", type_name(value))
    }
}

pub(super) fn item(value: Value, key: &Value) -> Result<Value, Error> {
    if is_undefined(&value) {
        return Ok(value);
    }
    defined(key)?;
    if let Ok(found) = value.get_item(key)
        && !found.is_undefined()
    {
        return Ok(found);
    }
    // Keys of mappings that come from YAML are texts here.
    if value.kind() == ValueKind::Map
        && key.is_integer()
        && let Ok(found) = value.get_attr(&key.to_string())
        && !found.is_undefined()
    {
        return Ok(found);
    }
    Ok(match key.as_str() {
        Some(name) => missing(format!("{} has no attribute '{name}'", owner(&value))),
        None => missing(format!("{} has no element {}", owner(&value), repr(key)?)),
    })
}

/// Whether a loop can go over it.
fn each(value: &Value) -> Result<(), Error> {
    defined(value)?;
    match value.kind() {
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable | ValueKind::String => Ok(()),
        _ => Err(invalid(format!(
            "'{}' object is not iterable",
            type_name(value)
        ))),
    }
}

/// `[start:stop:step]`.
fn slice(value: &Value, start: &Value, end: &Value, step: &Value) -> Result<Value, Error> {
    let number = |value: &Value| -> Result<Option<i64>, Error> {
        if value.is_none() {
            return Ok(None);
        }
        let wrong = || invalid("slice indices must be integers or None");
        value.as_i64().map(Some).ok_or_else(wrong)
    };
    let (start, end, step) = (number(start)?, number(end)?, number(step)?.unwrap_or(1));
    if step == 0 {
        return Err(invalid("slice step cannot be zero"));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        let chosen = indices(characters.len(), start, end, step);
        let text: String = chosen.filter_map(|index| characters.get(index)).collect();
        return Ok(Value::from(text));
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        let message = format!("'{}' object is not subscriptable", type_name(value));
        return Err(invalid(message));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let chosen: Vec<Value> = indices(items.len(), start, end, step)
        .filter_map(|index| items.get(index).cloned())
        .collect();
    Ok(if value.is_tuple() {
        Value::from(Tuple::from(chosen))
    } else {
        Value::from(chosen)
    })
}

fn indices(
    length: usize,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let placed = |index: i64| {
        (if index < 0 {
            index.saturating_add(length)
        } else {
            index
        })
        .clamp(low, high)
    };
    let mut at = start.map_or(if step > 0 { low } else { high }, placed);
    let end = end.map_or(if step > 0 { high } else { low }, placed);
    std::iter::from_fn(move || {
        let is_within = if step > 0 { at < end } else { at > end };
        let index = is_within.then(|| usize::try_from(at).ok()).flatten();
        at = at.saturating_add(step);
        index
    })
}
