//! What a template can ask of the world outside of its variables: lookups, and other templates.
//!
//! This room knows neither files nor hosts. Whoever makes a [`Scope`] hands in an [`Outside`] with
//! [`Scope::with_outside`]; without one, lookups and includes are errors that say so.

use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, Error, State};
use serde_json::{Map, Value as Json};

use super::Scope;
use super::environment::{invalid, json_of, value_of};
use super::scope::root_of;

/// Answers what a template asks beyond its variables.
pub trait Outside: Send + Sync {
    /// A lookup: the list that it gives. `name` is without a collection's prefix; `terms` are the positional arguments,
    /// resolved; `options` the named ones without `wantlist`, `errors` and `allow_unsafe`, which are dealt with here.
    /// `scope` is the one of the template that asks.
    ///
    /// # Errors
    ///
    /// In words, when the lookup finds nothing or is unknown; `errors='ignore'` turns it into nothing.
    fn lookup(
        &self,
        name: &str,
        terms: &[Json],
        options: &Map<String, Json>,
        scope: &Scope,
    ) -> Result<Vec<Json>, String>;

    /// Another template, for `include`, `import` and `extends`: the name to show, and its text. Nothing when there is
    /// none.
    ///
    /// # Errors
    ///
    /// In words, when it is there and cannot be read.
    fn template(&self, name: &str) -> Result<Option<(String, String)>, String>;

    /// Says a warning to the user, for `errors='warn'`.
    fn warn(&self, _message: &str) {}
}

/// The functions that ask.
pub(super) const ASKING: [&str; 3] = ["lookup", "query", "q"];

/// Adds the functions that ask.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function(
        "lookup",
        |state: &State, name: String, rest: Rest<Value>, kwargs: Kwargs| {
            ask(state, &name, &rest, &kwargs, false)
        },
    );
    for name in ["query", "q"] {
        environment.add_function(
            name,
            |state: &State, name: String, rest: Rest<Value>, kwargs: Kwargs| {
                ask(state, &name, &rest, &kwargs, true)
            },
        );
    }
}

/// The name of a plugin without its collection.
pub(super) fn short_name(name: &str) -> &str {
    [
        "ansible.builtin.",
        "ansible.legacy.",
        "ansible.posix.",
        "ansible.utils.",
        "ansible.netcommon.",
        "community.general.",
    ]
    .iter()
    .find_map(|prefix| name.strip_prefix(prefix))
    .unwrap_or(name)
}

fn ask(
    state: &State,
    name: &str,
    terms: &[Value],
    kwargs: &Kwargs,
    wants_list: bool,
) -> Result<Value, Error> {
    let name = short_name(name);
    let root = root_of(state);
    let outside = root
        .as_ref()
        .and_then(|root| Some((&root.scope, root.scope.outside()?)));
    let Some((scope, outside)) = outside else {
        return Err(invalid(format!("the lookup `{name}` cannot be made here")));
    };
    let terms: Vec<Json> = terms.iter().map(json_of).collect::<Result<_, _>>()?;
    let mut options = Map::new();
    let (mut wants_list, mut on_error) = (wants_list, "strict".to_owned());
    for key in kwargs.args() {
        let value: Value = kwargs.get(key)?;
        match key {
            "wantlist" => wants_list |= value.is_true(),
            "errors" => on_error = value.to_string(),
            "allow_unsafe" => {}
            _ => {
                options.insert(key.to_owned(), json_of(&value)?);
            }
        }
    }
    let found = match outside.lookup(name, &terms, &options, scope) {
        Ok(found) => found,
        Err(message) => {
            match on_error.as_str() {
                "warn" => outside.warn(&format!("lookup `{name}`: {message}")),
                "ignore" => {}
                _ => return Err(invalid(format!("lookup `{name}`: {message}"))),
            }
            return Ok(if wants_list {
                value_of(&Json::Array(Vec::new()))
            } else {
                Value::from(())
            });
        }
    };
    Ok(value_of(&if wants_list {
        Json::Array(found)
    } else {
        joined(found)
    }))
}

/// What `lookup` makes of a list: texts joined by commas, else the only value, else the list.
fn joined(mut found: Vec<Json>) -> Json {
    let texts: Option<Vec<&str>> = found.iter().map(Json::as_str).collect();
    match texts {
        Some(texts) if !texts.is_empty() => Json::String(texts.join(",")),
        None if found.len() == 1 => found.remove(0),
        _ => Json::Array(found),
    }
}
