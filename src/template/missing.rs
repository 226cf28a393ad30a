//! What is not there, in Ansible's way: it can be looked into and asked about, and every other use of it is an error that
//! names it.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

/// Something undefined, and why.
#[derive(Debug)]
struct Missing {
    message: String,
    /// An `if` without `else`: nothing, and no mistake.
    is_harmless: bool,
}

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// Something undefined.
pub(super) fn missing(message: impl Into<String>) -> Value {
    Value::from_object(Missing {
        message: message.into(),
        is_harmless: false,
    })
}

/// What an `if` without `else` gives.
pub(super) fn nothing() -> Value {
    Value::from_object(Missing {
        message: "the `if` of the expression does not hold, and it has no `else`".to_owned(),
        is_harmless: true,
    })
}

/// Whether there is nothing.
pub(super) fn is_undefined(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Missing>().is_some()
}

/// Whether it is nothing that may be printed as nothing.
pub(super) fn is_harmless(value: &Value) -> bool {
    value
        .downcast_object_ref::<Missing>()
        .is_some_and(|missing| missing.is_harmless)
}

/// The error of using it, if it is undefined.
pub(super) fn undefined_error(value: &Value) -> Option<Error> {
    let message = match value.downcast_object_ref::<Missing>() {
        Some(missing) => missing.message.clone(),
        None if value.is_undefined() => "the value is undefined".to_owned(),
        None => return None,
    };
    Some(Error::new(ErrorKind::UndefinedError, message))
}

/// The value, unless it is undefined.
pub(super) fn defined(value: &Value) -> Result<(), Error> {
    undefined_error(value).map_or(Ok(()), Err)
}
