//! Filters about whether there is a value, and which of several it is.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::super::environment::invalid;
use super::super::missing::is_undefined;
use super::call::{Call, Filter, refusal};
use super::python::{self, is_list};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "default",
        parameters: &["default_value", "boolean", "?"],
        apply: default,
    },
    Filter {
        name: "d",
        parameters: &["default_value", "boolean", "?"],
        apply: default,
    },
    Filter {
        name: "mandatory",
        parameters: &["msg", "?"],
        apply: mandatory,
    },
    Filter {
        name: "ternary",
        parameters: &["true_val", "false_val", "none_val"],
        apply: ternary,
    },
    Filter {
        name: "bool",
        parameters: &[],
        apply: boolean,
    },
    Filter {
        name: "type_debug",
        parameters: &["?"],
        apply: type_debug,
    },
];

fn default(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let is_lax = call.flag("boolean", false)?;
    if is_undefined(&call.value) || is_lax && !python::truth(&call.value) {
        // It may be undefined itself: `a | default(b) | default('c')`.
        let other = call.raw("default_value").cloned();
        return Ok(other.unwrap_or_else(|| Value::from("")));
    }
    Ok(call.value.clone())
}

fn mandatory(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if is_undefined(&call.value) {
        return Err(match call.text("msg")? {
            Some(message) => invalid(message),
            None => invalid(format!(
                "mandatory: {}",
                super::super::environment::describe(&refusal(&call.value))
            )),
        });
    }
    Ok(call.value.clone())
}

fn ternary(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let chosen = match call.raw("none_val") {
        Some(none) if call.value.is_none() && !none.is_none() => return Ok(none.clone()),
        _ if python::truth(&call.value) => "true_val",
        _ => "false_val",
    };
    // The one that is not chosen may be undefined.
    for name in ["true_val", "false_val"] {
        if call.raw(name).is_none() {
            call.required(name)?;
        }
    }
    call.required(chosen).cloned()
}

#[expect(clippy::unnecessary_wraps, reason = "one of a table")]
fn boolean(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let value = &call.value;
    if value.is_none() || value.kind() == ValueKind::Bool {
        return Ok(value.clone());
    }
    let is_true = match value.as_str() {
        Some(text) => matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true"),
        None => python::number(value)
            .is_some_and(|number| (number.as_float() - 1.0).abs() < f64::EPSILON),
    };
    Ok(Value::from(is_true))
}

/// The names of Python's classes. A text of a file is another class than one that an expression makes, in Ansible;
/// here they are one.
#[expect(clippy::unnecessary_wraps, reason = "one of a table")]
fn type_debug(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let value = &call.value;
    Ok(Value::from(match value.kind() {
        _ if is_undefined(value) => "AnsibleUndefined",
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Bytes => "bytes",
        ValueKind::Map => "dict",
        _ if value.is_tuple() => "tuple",
        _ if is_list(value) => "list",
        _ => "object",
    }))
}
