//! A filter or test as it is called: arguments by position or by name, in Python's way.

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::super::environment::invalid;
use super::super::missing::{is_undefined, undefined_error};
use super::python::{self, Number};

/// A filter: its name, what its parameters are called, and what it does. `*` stands for any number of positional
/// arguments more, `**` for any other named one, `?` for a filter that takes something undefined.
pub(in super::super) struct Filter {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [&'static str],
    pub(super) apply: fn(&mut State<'_, '_>, &Call) -> Result<Value, Error>,
}

/// A test, in the same way.
pub(in super::super) struct Test {
    pub(in super::super) name: &'static str,
    pub(in super::super) parameters: &'static [&'static str],
    pub(in super::super) apply: fn(&mut State<'_, '_>, &Call) -> Result<bool, Error>,
}

/// One call.
pub(in super::super) struct Call {
    name: &'static str,
    /// What the filter is applied to.
    pub(in super::super) value: Value,
    parameters: &'static [&'static str],
    given: Vec<Option<Value>>,
    /// Positional arguments for which there is no parameter.
    pub(in super::super) rest: Vec<Value>,
    /// Named arguments for which there is no parameter.
    pub(in super::super) named: Vec<(String, Value)>,
}

impl Call {
    /// Puts the arguments to the parameters.
    pub(in super::super) fn bind(
        name: &'static str,
        parameters: &'static [&'static str],
        arguments: Rest<Value>,
        kwargs: &Kwargs,
    ) -> Result<Self, Error> {
        let mut arguments = arguments.0.into_iter();
        let value = arguments
            .next()
            .ok_or_else(|| invalid(format!("`{name}` needs a value")))?;
        if is_undefined(&value) && !parameters.contains(&"?") {
            return Err(refusal(&value));
        }
        let names: Vec<&&str> = parameters
            .iter()
            .filter(|name| !matches!(**name, "*" | "**" | "?"))
            .collect();
        let mut call = Self {
            name,
            value,
            parameters,
            given: vec![None; parameters.len()],
            rest: Vec::new(),
            named: Vec::new(),
        };
        for (index, argument) in arguments.enumerate() {
            match (
                names.get(index).and_then(|name| call.index_of(name)),
                call.given.len(),
            ) {
                (Some(index), _) => {
                    if let Some(slot) = call.given.get_mut(index) {
                        *slot = Some(argument);
                    }
                }
                _ if parameters.contains(&"*") => call.rest.push(argument),
                _ => {
                    return Err(Error::new(
                        ErrorKind::TooManyArguments,
                        format!("`{name}` takes {} arguments", names.len()),
                    ));
                }
            }
        }
        for key in kwargs.args() {
            let argument = kwargs.peek::<Value>(key)?;
            match call
                .index_of(key)
                .and_then(|index| call.given.get_mut(index))
            {
                Some(Some(_)) => {
                    return Err(invalid(format!("`{name}` has its argument `{key}` twice")));
                }
                Some(slot) => *slot = Some(argument),
                None if parameters.contains(&"**") => call.named.push((key.to_owned(), argument)),
                None => {
                    let known: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                    let hint = if known.is_empty() {
                        "it takes none by name".to_owned()
                    } else {
                        format!("it has {}", known.join(", "))
                    };
                    return Err(invalid(format!("`{name}` has no argument `{key}`: {hint}")));
                }
            }
        }
        Ok(call)
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.parameters
            .iter()
            .position(|other| *other == name && !matches!(name, "*" | "**" | "?"))
    }

    /// An argument as it is, even if it is undefined.
    pub(in super::super) fn raw(&self, name: &str) -> Option<&Value> {
        self.given.get(self.index_of(name)?)?.as_ref()
    }

    /// An argument, if it was given and is not none.
    pub(in super::super) fn optional(&self, name: &str) -> Result<Option<&Value>, Error> {
        match self.raw(name) {
            Some(value) if is_undefined(value) => Err(refusal(value)),
            Some(value) if value.is_none() => Ok(None),
            other => Ok(other),
        }
    }

    /// An argument that must be there.
    pub(in super::super) fn required(&self, name: &str) -> Result<&Value, Error> {
        match self.raw(name) {
            Some(value) if is_undefined(value) => Err(refusal(value)),
            Some(value) => Ok(value),
            None => Err(Error::new(
                ErrorKind::MissingArgument,
                format!("`{}` needs the argument `{name}`", self.name),
            )),
        }
    }

    /// An argument that is a text.
    pub(in super::super) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        self.optional(name)?
            .map(|value| match value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(self.wrong(name, "a text", value)),
            })
            .transpose()
    }

    /// An argument that is a text, and must be there.
    pub(in super::super) fn required_text(&self, name: &str) -> Result<String, Error> {
        self.required(name)?;
        match self.text(name)? {
            Some(text) => Ok(text),
            None => Err(self.wrong(name, "a text", &Value::from(()))),
        }
    }

    /// An argument that is whole.
    pub(in super::super) fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        self.optional(name)?
            .map(|value| match python::number(value) {
                Some(Number::Integer(number)) => {
                    i64::try_from(number).map_err(|_| self.wrong(name, "a smaller number", value))
                }
                _ => Err(self.wrong(name, "a whole number", value)),
            })
            .transpose()
    }

    /// An argument that is how many there shall be, with an end that memory bears.
    pub(in super::super) fn count(&self, name: &str, default: usize) -> Result<usize, Error> {
        let Some(number) = self.integer(name)? else {
            return Ok(default);
        };
        let number = usize::try_from(number.max(0)).unwrap_or(usize::MAX);
        if number > super::MAX_ELEMENTS {
            return Err(invalid(format!("`{name}` of `{}` is too large", self.name)));
        }
        Ok(number)
    }

    /// An argument that is taken for true or false.
    pub(in super::super) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self
            .raw(name)
            .map(|value| {
                if is_undefined(value) {
                    Err(refusal(value))
                } else {
                    Ok(python::truth(value))
                }
            })
            .transpose()?
            .unwrap_or(default))
    }

    /// The value, which must be a text.
    pub(in super::super) fn value_text(&self) -> Result<&str, Error> {
        self.value.as_str().ok_or_else(|| {
            invalid(format!(
                "`{}` needs a text, and this is {}",
                self.name,
                python::describe(&self.value)
            ))
        })
    }

    /// The value as a text, whatever it is.
    pub(in super::super) fn value_as_text(&self) -> Result<String, Error> {
        python::text(&self.value)
    }

    /// What the value gives when it is gone through.
    pub(in super::super) fn value_items(&self) -> Result<Vec<Value>, Error> {
        python::items(&self.value).map_err(|_| {
            invalid(format!(
                "`{}` needs a list, and this is {}{}",
                self.name,
                python::describe(&self.value),
                not_iterable(&self.value)
            ))
        })
    }

    /// An error of this filter.
    pub(in super::super) fn error(&self, message: &str) -> Error {
        invalid(format!("`{}`: {message}", self.name))
    }

    fn wrong(&self, name: &str, wanted: &str, value: &Value) -> Error {
        invalid(format!(
            "`{name}` of `{}` must be {wanted}, and this is {}",
            self.name,
            python::describe(value)
        ))
    }
}

/// The error of using something undefined.
pub(in super::super) fn refusal(value: &Value) -> Error {
    undefined_error(value).unwrap_or_else(|| Error::from(ErrorKind::UndefinedError))
}

/// Python's words for a value that is no list, which playbooks look for.
fn not_iterable(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Bool => ": 'bool' object is not iterable",
        ValueKind::Number if value.is_integer() => ": 'int' object is not iterable",
        ValueKind::Number => ": 'float' object is not iterable",
        ValueKind::None => ": 'NoneType' object is not iterable",
        _ => "",
    }
}
