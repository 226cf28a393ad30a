//! Values as Python sees them: what is a number, a list, true; how they compare, and what they are as a text.

use std::cmp::Ordering;

use minijinja::value::{Tuple, Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::super::environment::invalid;
use super::super::missing::{is_undefined, missing};
use super::super::values::Mapping;
use super::super::{access, operators, python};
use super::call::refusal;

/// A number; Python's truth values are numbers too.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
    pub(in super::super) fn as_float(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    pub(in super::super) fn value(self) -> Value {
        match self {
            Self::Integer(number) => integer(number),
            Self::Float(number) => Value::from(number),
        }
    }
}

/// A whole number as a value, small where it is small.
pub(in super::super) fn integer(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}

pub(in super::super) fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Integer(i128::from(value.is_true()))),
        ValueKind::Number => Some(if value.is_integer() {
            Number::Integer(i128::try_from(value.clone()).ok()?)
        } else {
            Number::Float(f64::try_from(value.clone()).ok()?)
        }),
        _ => None,
    }
}

/// A list or a tuple: not a text, not a mapping.
pub(in super::super) fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

pub(in super::super) fn is_mapping(value: &Value) -> bool {
    value.kind() == ValueKind::Map
}

/// `bool(value)`.
pub(in super::super) fn truth(value: &Value) -> bool {
    match value.kind() {
        ValueKind::String => value.as_str().is_some_and(|text| !text.is_empty()),
        ValueKind::Number => number(value).is_some_and(|number| number.as_float() != 0.0),
        _ => value.is_true(),
    }
}

/// What `for` gives: items, keys, characters.
pub(in super::super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if is_undefined(value) {
        return Err(refusal(value));
    }
    if let Some(text) = value.as_str() {
        let characters = text
            .chars()
            .map(|character| Value::from(character.to_string()));
        return Ok(characters.collect());
    }
    let mut all = Vec::new();
    for item in value.try_iter()?.checked() {
        let item = item?;
        if all.len() >= super::MAX_ELEMENTS {
            return Err(too_many());
        }
        all.push(item);
    }
    Ok(all)
}

/// The error of a value that would fill the memory.
pub(in super::super) fn too_many() -> Error {
    invalid(format!(
        "the value has more than {} elements",
        super::MAX_ELEMENTS
    ))
}

/// Keys and values of a mapping.
pub(in super::super) fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if !is_mapping(value) {
        return Err(invalid(format!(
            "a mapping is needed, and this is {}",
            describe(value)
        )));
    }
    items(value)?
        .into_iter()
        .map(|key| value.get_item(&key).map(|item| (key, item)))
        .collect()
}

pub(in super::super) fn list(items: Vec<Value>) -> Value {
    Value::from(items)
}

pub(in super::super) fn tuple(items: Vec<Value>) -> Value {
    Value::from(Tuple::new(items))
}

/// A mapping; a later value of the same key takes the place of the earlier one.
pub(in super::super) fn mapping(pairs: Vec<(Value, Value)>) -> Value {
    Value::from_object(Mapping::new(pairs.into_iter().collect()))
}

/// `container[key]` or `container.key`, something undefined when it is not there.
pub(in super::super) fn item(container: &Value, key: &Value) -> Value {
    access::item(container.clone(), key).unwrap_or_else(|error| missing(error.to_string()))
}

/// Follows `a.b.0` into a value, as the `attribute` of many filters does it.
pub(in super::super) fn attribute(value: &Value, path: &Value, default: Option<&Value>) -> Value {
    let Some(path) = path.as_str() else {
        let found = item(value, path);
        return or_default(found, default);
    };
    let mut current = value.clone();
    for part in path.split('.') {
        let key = match part.parse::<i64>() {
            Ok(index) if part.bytes().all(|byte| byte.is_ascii_digit()) => Value::from(index),
            _ => Value::from(part),
        };
        // A missing link on the way takes the default, and goes on from there.
        current = or_default(item(&current, &key), default);
    }
    current
}

fn or_default(found: Value, default: Option<&Value>) -> Value {
    match default {
        Some(default) if is_undefined(&found) && !default.is_none() => default.clone(),
        _ => found,
    }
}

/// `one < other` and the like: only what belongs together can be compared.
pub(in super::super) fn compare(one: &Value, other: &Value) -> Result<Ordering, Error> {
    if is_undefined(one) {
        return Err(refusal(one));
    }
    if is_undefined(other) {
        return Err(refusal(other));
    }
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return Ok(match (one, other) {
            (Number::Integer(one), Number::Integer(other)) => one.cmp(&other),
            (one, other) => one
                .as_float()
                .partial_cmp(&other.as_float())
                .unwrap_or(Ordering::Equal),
        });
    }
    if let (Some(one), Some(other)) = (one.as_str(), other.as_str()) {
        return Ok(one.cmp(other));
    }
    if is_list(one) && is_list(other) && one.is_tuple() == other.is_tuple() {
        let (left, right) = (items(one)?, items(other)?);
        for (one, other) in left.iter().zip(&right) {
            if !equal(one, other) {
                return compare(one, other);
            }
        }
        return Ok(left.len().cmp(&right.len()));
    }
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!(
            "{} and {} cannot be compared",
            describe(one),
            describe(other)
        ),
    ))
}

/// `one == other`.
pub(in super::super) fn equal(one: &Value, other: &Value) -> bool {
    operators::is_equal(one, other)
}

/// Sorts as Python does: stable, and an error where two cannot be compared.
pub(in super::super) fn sort(keyed: &mut [(Value, Value)], is_reverse: bool) -> Result<(), Error> {
    let mut trouble = None;
    keyed.sort_by(|(one, _), (other, _)| {
        let order = compare(one, other).unwrap_or_else(|error| {
            trouble.get_or_insert(error);
            Ordering::Equal
        });
        if is_reverse { order.reverse() } else { order }
    });
    trouble.map_or(Ok(()), Err)
}

/// Whether a value can be in a set or a key: lists and mappings cannot.
pub(in super::super) fn is_hashable(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Map => false,
        ValueKind::Seq | ValueKind::Iterable => {
            value.is_tuple()
                && value
                    .try_iter()
                    .is_ok_and(|mut items| items.all(|item| is_hashable(&item)))
        }
        _ => true,
    }
}

/// `str(value)`.
pub(in super::super) fn text(value: &Value) -> Result<String, Error> {
    python::text(value)
}

/// A number as Python writes it.
pub(in super::super) fn float_text(number: f64) -> String {
    python::float(number)
}

/// What a value is, in words.
pub(in super::super) fn describe(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "undefined",
        ValueKind::None => "none",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Bytes => "bytes",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a mapping",
        _ if is_undefined(value) => "undefined",
        _ => "something else",
    }
}
