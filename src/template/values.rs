//! Data as values of the template engine, and back.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, Tuple, Value, ValueKind};
use minijinja::{Error, State};

use super::environment::{MAX_ELEMENTS, invalid};
use super::methods;
use super::missing::{defined, is_undefined};
use super::python;

/// A mapping. Methods of Python can change it.
#[derive(Debug, Default)]
pub(super) struct Mapping(pub(super) RwLock<IndexMap<Value, Value>>);

/// A list that methods of Python can change.
#[derive(Debug, Default)]
pub(super) struct List(pub(super) RwLock<Vec<Value>>);

impl Mapping {
    pub(super) fn new(items: IndexMap<Value, Value>) -> Self {
        Self(RwLock::new(items))
    }

    /// The items as they are now.
    pub(super) fn read(&self) -> std::sync::RwLockReadGuard<'_, IndexMap<Value, Value>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// The items as they are now.
    pub(super) fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Value>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Mapping {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.read().keys().cloned().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let value = Value::from_dyn_object(Arc::clone(self));
        methods::change_mapping(self, method, args)
            .unwrap_or_else(|| methods::call(state, &value, method, args))
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        rendered(&Value::from_dyn_object(Arc::clone(self)), formatter)
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.read().get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        // What a loop goes over does not change while it does.
        Enumerator::Values(self.read().clone())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read().len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let value = Value::from_dyn_object(Arc::clone(self));
        methods::change_list(self, method, args)
            .unwrap_or_else(|| methods::call(state, &value, method, args))
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        rendered(&Value::from_dyn_object(Arc::clone(self)), formatter)
    }
}

pub(super) fn rendered(value: &Value, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    // An error has no way out of here; who writes values for users asks `python::text`.
    formatter.write_str(&python::text(value).unwrap_or_default())
}

/// Plain data as a value of the template engine.
pub(super) fn value_of(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            Value::from_object(List(RwLock::new(items.iter().map(value_of).collect())))
        }
        Json::Object(map) => {
            let items = map
                .iter()
                .map(|(key, item)| (Value::from(key.as_str()), value_of(item)));
            Value::from_object(Mapping::new(items.collect()))
        }
    }
}

/// A value of the template engine as plain data. Something undefined in it is an error, and so is one without an end.
pub(super) fn json_of(value: &Value) -> Result<serde_json::Value, Error> {
    let mut left = MAX_ELEMENTS;
    json_within(value, &mut left)
}

fn json_within(value: &Value, left: &mut usize) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    *left = left
        .checked_sub(1)
        .ok_or_else(|| invalid(format!("the value has more than {MAX_ELEMENTS} elements")))?;
    defined(value)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value
            .try_iter()?
            .map(|item| json_within(&item, left))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter()? {
                let item = json_within(&value.get_item(&key)?, left)?;
                map.insert(python::text(&key)?, item);
            }
            Ok(Json::Object(map))
        }
        ValueKind::Bytes => Ok(Json::String(
            String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned(),
        )),
        ValueKind::Number if value.is_integer() && value.as_i64().is_none() => {
            let unsigned = u64::try_from(value.clone()).map(Json::from);
            let number = unsigned.or_else(|_| value.to_string().parse::<f64>().map(Json::from));
            number.map_err(|_| invalid("the number is too big"))
        }
        _ => serde_json::to_value(value)
            .map_err(|error| invalid(format!("the value cannot be used as data: {error}"))),
    }
}

/// A copy that methods can change without anybody else seeing it, all the way down.
pub(super) fn deep_copy(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !value.is_tuple() => match value.try_iter() {
            Ok(items) => Value::from_object(List(RwLock::new(
                items.map(|item| deep_copy(&item)).collect(),
            ))),
            Err(_) => value.clone(),
        },
        ValueKind::Map if value.downcast_object_ref::<Mapping>().is_some() => match pairs(value) {
            Some(pairs) => {
                let copied = pairs.into_iter().map(|(key, item)| (key, deep_copy(&item)));
                Value::from_object(Mapping::new(copied.collect()))
            }
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// A list or mapping that the engine has made, as one that methods can change; one of ours stays itself.
pub(super) fn owned(value: &Value) -> Value {
    let is_ours = value.downcast_object_ref::<List>().is_some()
        || value.downcast_object_ref::<Mapping>().is_some();
    if is_ours || is_undefined(value) || value.is_tuple() || value.is_kwargs() {
        return value.clone();
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => match value.try_iter() {
            Ok(items) => Value::from_object(List(RwLock::new(items.collect()))),
            Err(_) => value.clone(),
        },
        ValueKind::Map if is_plain_map(value) => match pairs(value) {
            Some(pairs) => Value::from_object(Mapping::new(pairs.into_iter().collect())),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Whether a map is data, not a namespace, a module or the variables of a host.
fn is_plain_map(value: &Value) -> bool {
    value
        .downcast_object_ref::<IndexMap<Value, Value>>()
        .is_some()
        || value
            .downcast_object_ref::<BTreeMap<String, Value>>()
            .is_some()
}

fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    let keys = value.try_iter().ok()?;
    keys.map(|key| {
        let item = value.get_item(&key).ok()?;
        Some((key, item))
    })
    .collect()
}

/// A tuple.
pub(super) fn tuple(items: Vec<Value>) -> Value {
    Value::from(Tuple::from(items))
}
