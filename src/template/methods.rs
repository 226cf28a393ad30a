//! Methods of Python's texts, lists, tuples, mappings and numbers.

use std::sync::{Arc, PoisonError};

use indexmap::IndexMap;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::environment::invalid;
use super::missing::defined;
use super::operators::{is_equal, order};
use super::python::{repr, type_name};
use super::text_methods;
use super::values::{List, Mapping, tuple};

/// The arguments of a method.
pub(super) struct Arguments<'a> {
    pub(super) method: &'a str,
    pub(super) positional: &'a [Value],
    pub(super) named: Option<Kwargs>,
}

impl<'a> Arguments<'a> {
    fn new(method: &'a str, args: &'a [Value]) -> Self {
        match args.split_last() {
            Some((last, rest)) if last.is_kwargs() => Self {
                method,
                positional: rest,
                named: Kwargs::try_from(last.clone()).ok(),
            },
            _ => Self {
                method,
                positional: args,
                named: None,
            },
        }
    }

    /// An argument by its place or its name; one that is `None` is not there.
    pub(super) fn get(&self, index: usize, name: &str) -> Result<Option<Value>, Error> {
        let value = match self.positional.get(index) {
            Some(value) => Some(value.clone()),
            None => self
                .named
                .as_ref()
                .and_then(|named| named.get::<Value>(name).ok()),
        };
        let value = value.filter(|value| !value.is_none());
        value.as_ref().map_or(Ok(()), defined)?;
        Ok(value)
    }

    pub(super) fn required(&self, index: usize, name: &str) -> Result<Value, Error> {
        let missing = || {
            invalid(format!(
                "{}() missing required argument '{name}'",
                self.method
            ))
        };
        self.get(index, name)?.ok_or_else(missing)
    }

    pub(super) fn text(&self, index: usize, name: &str) -> Result<String, Error> {
        let value = self.required(index, name)?;
        let wrong = || {
            invalid(format!(
                "{}() argument must be str, not {}",
                self.method,
                type_name(&value)
            ))
        };
        value.as_str().map(str::to_owned).ok_or_else(wrong)
    }

    pub(super) fn number(&self, index: usize, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(index, name)? else {
            return Ok(None);
        };
        let wrong = || {
            invalid(format!(
                "'{}' object cannot be interpreted as an integer",
                type_name(&value)
            ))
        };
        value.as_i64().map(Some).ok_or_else(wrong)
    }
}

/// Calls a method of a value that does not know it itself.
pub(super) fn call(
    _: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let arguments = Arguments::new(method, args);
    if value.kind() == ValueKind::String
        && let Some(text) = value.as_str()
    {
        return text_methods::call(text, &arguments);
    }
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    match value.kind() {
        ValueKind::Map => mapping(value, &arguments),
        ValueKind::Seq | ValueKind::Iterable => sequence(value, &arguments),
        ValueKind::Bytes if method == "decode" => {
            String::from_utf8(value.as_bytes().unwrap_or_default().to_vec())
                .map(Value::from)
                .map_err(|error| invalid(format!("'utf-8' codec can't decode: {error}")))
        }
        ValueKind::Number if method == "is_integer" => {
            let float = f64::try_from(value.clone()).map_err(|_| unknown())?;
            Ok(Value::from(float.fract() == 0.0))
        }
        ValueKind::Number if method == "bit_length" && value.is_integer() => {
            let size = i128::try_from(value.clone())
                .map_err(|_| unknown())?
                .unsigned_abs();
            Ok(Value::from(u128::BITS - size.leading_zeros()))
        }
        _ => Err(unknown()),
    }
}

fn mapping(value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let keys = || value.try_iter();
    Ok(match arguments.method {
        "keys" => Value::from(keys()?.collect::<Vec<_>>()),
        "values" => Value::from(
            keys()?
                .map(|key| value.get_item(&key))
                .collect::<Result<Vec<_>, _>>()?,
        ),
        "items" => {
            let pair = |key: Value| Ok(tuple(vec![key.clone(), value.get_item(&key)?]));
            Value::from(keys()?.map(pair).collect::<Result<Vec<_>, Error>>()?)
        }
        "get" => {
            let found = value.get_item(&arguments.required(0, "key")?)?;
            if found.is_undefined() {
                arguments
                    .positional
                    .get(1)
                    .cloned()
                    .unwrap_or_else(|| Value::from(()))
            } else {
                found
            }
        }
        "copy" => {
            let pair = |key: Value| Ok((key.clone(), value.get_item(&key)?));
            let items = keys()?
                .map(pair)
                .collect::<Result<IndexMap<_, _>, Error>>()?;
            Value::from_object(Mapping::new(items))
        }
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

fn sequence(value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    Ok(match arguments.method {
        "count" => {
            let wanted = arguments.required(0, "value")?;
            Value::from(
                value
                    .try_iter()?
                    .filter(|item| is_equal(item, &wanted))
                    .count(),
            )
        }
        "index" => {
            let wanted = arguments.required(0, "value")?;
            let position = value.try_iter()?.position(|item| is_equal(&item, &wanted));
            match position {
                Some(position) => Value::from(position),
                None => return Err(invalid(format!("{} is not in list", repr(&wanted)?))),
            }
        }
        "copy" => Value::from_object(List(std::sync::RwLock::new(value.try_iter()?.collect()))),
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    })
}

/// The place of an index that may count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

/// A method that changes a list; nothing when it is another one.
pub(super) fn change_list(
    list: &Arc<List>,
    method: &str,
    args: &[Value],
) -> Option<Result<Value, Error>> {
    const NAMES: [&str; 8] = [
        "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse",
    ];
    NAMES
        .contains(&method)
        .then(|| changed_list(list, &Arguments::new(method, args)))
}

fn changed_list(list: &Arc<List>, arguments: &Arguments) -> Result<Value, Error> {
    // Read before the list is locked: it may be added to itself.
    let more: Vec<Value> = match arguments.method {
        "extend" => arguments.required(0, "iterable")?.try_iter()?.collect(),
        _ => Vec::new(),
    };
    let mut items = list.0.write().unwrap_or_else(PoisonError::into_inner);
    match arguments.method {
        "append" => {
            let item = arguments.positional.first().cloned();
            items.push(item.ok_or_else(|| invalid("append() takes exactly one argument"))?);
        }
        "extend" => items.extend(more),
        "insert" => {
            let index = arguments.number(0, "index")?.unwrap_or_default();
            let item = arguments.positional.get(1).cloned();
            let item = item.ok_or_else(|| invalid("insert expected 2 arguments"))?;
            let at = place(index, items.len()).unwrap_or(0).min(items.len());
            items.insert(at, item);
        }
        "pop" => {
            if items.is_empty() {
                return Err(invalid("pop from empty list"));
            }
            let index = arguments.number(0, "index")?.unwrap_or(-1);
            let at = place(index, items.len()).filter(|at| *at < items.len());
            return Ok(items.remove(at.ok_or_else(|| invalid("pop index out of range"))?));
        }
        "remove" => {
            let wanted = arguments.required(0, "value")?;
            let at = items.iter().position(|item| is_equal(item, &wanted));
            items.remove(at.ok_or_else(|| invalid("list.remove(x): x not in list"))?);
        }
        "clear" => items.clear(),
        "reverse" => items.reverse(),
        _ => {
            let mut trouble = None;
            items.sort_by(|one, other| match order(one, other, "<") {
                Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
                Err(error) => {
                    trouble.get_or_insert(error);
                    std::cmp::Ordering::Equal
                }
            });
            if let Some(error) = trouble {
                return Err(error);
            }
            if arguments
                .get(1, "reverse")?
                .is_some_and(|flag| flag.is_true())
            {
                items.reverse();
            }
        }
    }
    Ok(Value::from(()))
}

/// A method that changes a mapping; nothing when it is another one.
pub(super) fn change_mapping(
    map: &Arc<Mapping>,
    method: &str,
    args: &[Value],
) -> Option<Result<Value, Error>> {
    const NAMES: [&str; 5] = ["update", "pop", "popitem", "setdefault", "clear"];
    NAMES
        .contains(&method)
        .then(|| changed_mapping(map, &Arguments::new(method, args)))
}

fn changed_mapping(map: &Arc<Mapping>, arguments: &Arguments) -> Result<Value, Error> {
    let mut more: Vec<(Value, Value)> = Vec::new();
    if arguments.method == "update" {
        if let Some(other) = arguments.get(0, "other")? {
            more = pairs_of(&other)?;
        }
        if let Some(named) = &arguments.named {
            for name in named.args() {
                more.push((Value::from(name), named.get(name)?));
            }
        }
    }
    let mut items = map.0.write().unwrap_or_else(PoisonError::into_inner);
    Ok(match arguments.method {
        "update" => {
            items.extend(more);
            Value::from(())
        }
        "pop" => {
            let key = arguments.required(0, "key")?;
            match (items.shift_remove(&key), arguments.positional.get(1)) {
                (Some(value), _) => value,
                (None, Some(default)) => default.clone(),
                (None, None) => return Err(invalid(repr(&key)?)),
            }
        }
        "popitem" => {
            let (key, value) = items
                .pop()
                .ok_or_else(|| invalid("popitem(): dictionary is empty"))?;
            tuple(vec![key, value])
        }
        "setdefault" => {
            let key = arguments.required(0, "key")?;
            let default = arguments.positional.get(1).cloned();
            items
                .entry(key)
                .or_insert(default.unwrap_or_else(|| Value::from(())))
                .clone()
        }
        _ => {
            items.clear();
            Value::from(())
        }
    })
}

/// The pairs of a mapping, or of a list of pairs.
pub(super) fn pairs_of(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() == ValueKind::Map {
        return value
            .try_iter()?
            .map(|key| Ok((key.clone(), value.get_item(&key)?)))
            .collect();
    }
    value
        .try_iter()?
        .map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)))
        .collect()
}
