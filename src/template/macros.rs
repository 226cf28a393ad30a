//! Macros that take more than they name: `varargs` and `kwargs`, as in Jinja2.
//!
//! The engine's own macros know their parameters alone. The rewritten text gives those that ask for more two parameters
//! of these names, and wraps each macro into a [`Macro`], which hands the arguments out.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value, from_args};
use minijinja::{Environment, Error, State};

use super::environment::invalid;
use super::values::{Mapping, tuple};

/// What macros can ask for: the parameter for further positional arguments, and the one for further named ones.
pub(super) const ASKED: [&str; 2] = ["varargs", "kwargs"];

/// A macro of a template.
#[derive(Debug)]
struct Macro {
    inner: Value,
    name: String,
    parameters: Vec<String>,
    has_varargs: bool,
    has_kwargs: bool,
    has_caller: bool,
}

/// Adds the filter that wraps a macro; its arguments say what the macro asks for.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter(
        "kk_macro",
        |inner: Value, has_varargs: bool, has_kwargs: bool| -> Result<Value, Error> {
            let hidden = usize::from(has_varargs) + usize::from(has_kwargs);
            let mut parameters: Vec<String> = inner
                .get_attr("arguments")?
                .try_iter()?
                .map(|name| name.to_string())
                .collect();
            parameters.truncate(parameters.len().saturating_sub(hidden));
            Ok(Value::from_object(Macro {
                name: inner.get_attr("name")?.to_string(),
                has_caller: inner.get_attr("caller")?.is_true(),
                inner,
                parameters,
                has_varargs,
                has_kwargs,
            }))
        },
    );
}

impl Macro {
    fn refuse<T>(&self, why: &str) -> Result<T, Error> {
        Err(invalid(format!("macro '{}' {why}", self.name)))
    }
}

impl Object for Macro {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "arguments" => tuple(self.parameters.iter().map(Value::from).collect()),
            "catch_varargs" => Value::from(self.has_varargs),
            "catch_kwargs" => Value::from(self.has_kwargs),
            "caller" => Value::from(self.has_caller),
            _ => return None,
        })
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (Rest(mut positional), kwargs): (Rest<Value>, Kwargs) = from_args(args)?;
        let mut named: IndexMap<String, Value> = kwargs
            .args()
            .map(|name| Ok((name.to_owned(), kwargs.get(name)?)))
            .collect::<Result<_, Error>>()?;
        let count = self.parameters.len();
        let further = positional.split_off(count.min(positional.len()));
        let mut handed: Vec<(String, Value)> = Vec::new();
        let own = self.parameters.iter().skip(positional.len());
        let caller = "caller".to_owned();
        for name in own.chain(self.has_caller.then_some(&caller)) {
            if let Some(value) = named.shift_remove(name) {
                handed.push((name.clone(), value));
            }
        }
        if self.has_varargs {
            handed.push(("varargs".to_owned(), tuple(further)));
        } else if !further.is_empty() {
            return self.refuse(&format!("takes not more than {count} argument(s)"));
        }
        if self.has_kwargs {
            let named = named.into_iter();
            let named = named.map(|(name, value)| (Value::from(name), value));
            handed.push((
                "kwargs".to_owned(),
                Value::from_object(Mapping::new(named.collect())),
            ));
        } else if let Some((name, _)) = named.first() {
            return self.refuse(&format!("takes no keyword argument '{name}'"));
        }
        positional.push(Value::from(handed.into_iter().collect::<Kwargs>()));
        self.inner.call(state, &positional)
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "<Macro '{}'>", self.name)
    }
}
