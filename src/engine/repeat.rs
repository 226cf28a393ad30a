//! What a loop goes over, and the variables of each item.

use serde_json::{Map, Value as Json, json};

use super::attempt::Attempt;
use super::lookups::{self, Asker};
use super::runner::Runner;
use crate::playbook::{ArgumentValue, LoopSource, Repeat, Task, is_variable_name};
use crate::template::{Scope, Template, truthy};

impl Runner<'_> {
    /// What the loop goes over.
    pub(super) fn loop_items(
        &self,
        repeat: &Repeat,
        scope: &Scope,
        task: &Task,
        _host: &str,
    ) -> Result<Vec<Json>, Box<Attempt>> {
        let refused = |message: String| Box::new(Attempt::failed(message));
        let (name, terms) = match &repeat.source {
            LoopSource::List(items) => {
                let value = items
                    .resolve(scope)
                    .map_err(|diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic)))?;
                return match value {
                    Some(Json::Array(items)) => Ok(items),
                    Some(Json::Null) | None => Ok(Vec::new()),
                    Some(_) => Err(refused(format!(
                        "{}: the value of `loop` is not a list",
                        task.place
                    ))),
                };
            }
            LoopSource::With(name, terms) => (*name, terms),
        };
        let terms = if name == "first_found" {
            // A file whose name is not known is no file.
            lenient(terms, scope)
        } else {
            terms
                .resolve(scope)
                .map_err(|diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic)))?
                .unwrap_or(Json::Null)
        };
        if terms.is_null() {
            return Ok(Vec::new());
        }
        if matches!((name, &terms), ("list" | "indexed_items", Json::Object(_))) {
            return Err(failed(task, name, format!("with_{name} expects a list")));
        }
        let asker = Asker {
            library: self.library,
            frame: &task.frame,
            scope,
            subfolder: match task.action.name() {
                name if name.contains("template") => "templates",
                name if name.contains("var") => "vars",
                _ => "files",
            },
        };
        let found = lookups::ask(name, lookups::listed(terms), &Map::new(), &asker);
        found.map_err(|message| failed(task, name, message))
    }
}

/// A loop that cannot be made: where it stands for people, Ansible's words for playbooks.
fn failed(task: &Task, name: &str, message: String) -> Box<Attempt> {
    let mut attempt = Attempt::failed(format!("{}: `with_{name}`: {message}", task.place));
    attempt.result.insert("msg".to_owned(), message.into());
    Box::new(attempt)
}

/// Terms of which those that have no value are left out.
fn lenient(terms: &ArgumentValue, scope: &Scope) -> Json {
    let raw = match terms {
        ArgumentValue::Literal(value) => return value.clone(),
        ArgumentValue::Templated { raw, .. } => raw,
    };
    let Json::Array(items) = raw else {
        return scope.resolve(raw).unwrap_or(Json::Null);
    };
    let resolve = |item: &Json| match item {
        Json::Object(map) => {
            let pairs = map.iter().filter_map(|(key, value)| {
                let value = match value {
                    Json::Array(items) => Json::Array(
                        items
                            .iter()
                            .filter_map(|item| scope.resolve(item).ok())
                            .collect(),
                    ),
                    other => scope.resolve(other).ok()?,
                };
                Some((key.clone(), value))
            });
            Some(Json::Object(pairs.collect()))
        }
        other => scope.resolve(other).ok(),
    };
    Json::Array(items.iter().filter_map(resolve).collect())
}

/// The variables that an item of a loop brings.
pub(super) fn item_variables(
    repeat: &Repeat,
    items: &[Json],
    index: usize,
    scope: &Scope,
) -> Result<Map<String, Json>, Box<Attempt>> {
    let mut extra = Map::new();
    let item = items.get(index).cloned().unwrap_or(Json::Null);
    let name = match &repeat.variable {
        Some(name) => variable_name(name, scope)?,
        None => "item".to_owned(),
    };
    extra.insert(name.clone(), item);
    extra.insert("ansible_loop_var".to_owned(), name.into());
    if let Some(name) = &repeat.index_variable {
        let name = variable_name(name, scope)?;
        extra.insert(name.clone(), index.into());
        extra.insert("ansible_index_var".to_owned(), name.into());
    }
    let is_set = |flag: &Option<Template>, default: bool| {
        flag.as_ref().map_or(default, |flag| {
            flag.evaluate(scope).is_ok_and(|value| truthy(&value))
        })
    };
    if is_set(&repeat.extended, false) {
        let length = items.len();
        let mut about = json!({
            "index": index + 1,
            "index0": index,
            "first": index == 0,
            "last": index + 1 == length,
            "length": length,
            "revindex": length - index,
            "revindex0": length - index - 1,
        });
        if let Json::Object(about) = &mut about {
            if is_set(&repeat.all_items, true) {
                about.insert("allitems".to_owned(), json!(items));
            }
            if let Some(next) = items.get(index + 1) {
                about.insert("nextitem".to_owned(), next.clone());
            }
            if let Some(previous) = index.checked_sub(1).and_then(|before| items.get(before)) {
                about.insert("previtem".to_owned(), previous.clone());
            }
        }
        extra.insert("ansible_loop".to_owned(), about);
    }
    Ok(extra)
}

/// What `loop_control` calls a variable.
fn variable_name(template: &Template, scope: &Scope) -> Result<String, Box<Attempt>> {
    let name = template
        .render(scope)
        .map_err(|diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic)))?;
    if is_variable_name(&name) {
        return Ok(name);
    }
    Err(Box::new(Attempt::failed(format!(
        "`{name}`, of `{}`, is not a name for a variable",
        template.source()
    ))))
}
