//! Filters that treat lists as sets. Ansible gives the items in no order; here they keep the order in which they stand.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::lists::flatten_into;
use super::python::{self, attribute, items, list};
use super::sort::key;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "unique",
        parameters: &["case_sensitive", "attribute"],
        apply: unique,
    },
    Filter {
        name: "union",
        parameters: &["b"],
        apply: |_, call| with(call, union),
    },
    Filter {
        name: "intersect",
        parameters: &["b"],
        apply: |_, call| with(call, intersect),
    },
    Filter {
        name: "difference",
        parameters: &["b"],
        apply: |_, call| with(call, difference),
    },
    Filter {
        name: "symmetric_difference",
        parameters: &["b"],
        apply: |_, call| with(call, symmetric_difference),
    },
];

/// Of community.general.
pub(super) const GENERAL: &[Filter] = &[
    Filter {
        name: "lists_union",
        parameters: &["*", "**"],
        apply: |_, call| with_all(call, union),
    },
    Filter {
        name: "lists_intersect",
        parameters: &["*", "**"],
        apply: |_, call| with_all(call, intersect),
    },
    Filter {
        name: "lists_difference",
        parameters: &["*", "**"],
        apply: |_, call| with_all(call, difference),
    },
    Filter {
        name: "lists_symmetric_difference",
        parameters: &["*", "**"],
        apply: |_, call| with_all(call, symmetric_difference),
    },
];

/// Items that have been seen.
#[derive(Default)]
pub(super) struct Seen {
    hashed: std::collections::HashSet<Value>,
    others: Vec<Value>,
}

impl Seen {
    pub(super) fn of(all: &[Value]) -> Self {
        let mut seen = Self::default();
        for item in all {
            seen.add(item);
        }
        seen
    }

    pub(super) fn has(&self, item: &Value) -> bool {
        if is_simple(item) {
            self.hashed.contains(&simple(item))
        } else {
            self.others.iter().any(|other| python::equal(other, item))
        }
    }

    /// Whether it is new.
    pub(super) fn add(&mut self, item: &Value) -> bool {
        if is_simple(item) {
            return self.hashed.insert(simple(item));
        }
        let is_new = !self.has(item);
        if is_new {
            self.others.push(item.clone());
        }
        is_new
    }
}

fn is_simple(item: &Value) -> bool {
    item.as_str().is_some() || python::number(item).is_some()
}

/// `1`, `1.0` and `true` are one in a set.
fn simple(item: &Value) -> Value {
    python::number(item).map_or_else(
        || item.clone(),
        |number| match number {
            python::Number::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
                Value::from(number as i64)
            }
            other => other.value(),
        },
    )
}

fn distinct(all: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = Seen::default();
    all.into_iter().filter(|item| seen.add(item)).collect()
}

/// What Ansible says of lists and mappings among what only Jinja2's own filter could tell apart.
const UNHASHABLE: &str = "Jinja2's unique filter failed and we cannot fall back to Ansible's version as it does not support the parameters supplied";

fn unique(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let is_case_sensitive = call.flag("case_sensitive", false)?;
    let path = call.optional("attribute")?;
    let is_asked =
        path.is_some() || call.optional("case_sensitive")?.is_some() && !is_case_sensitive;
    let mut seen = Seen::default();
    let mut all = Vec::new();
    for item in call.value_items()? {
        let by = path.map_or_else(|| item.clone(), |path| attribute(&item, path, None));
        if super::super::missing::is_undefined(&by) {
            return Err(super::refusal(&by));
        }
        if is_asked && matches!(by.kind(), ValueKind::Seq | ValueKind::Map) && !by.is_tuple() {
            return Err(call.error(UNHASHABLE));
        }
        if seen.add(&key(by, is_case_sensitive)) {
            all.push(item);
        }
    }
    Ok(list(all))
}

type Operation = fn(&[Value], &[Value]) -> Vec<Value>;

fn with(call: &Call, operation: Operation) -> Result<Value, Error> {
    let other = items(call.required("b")?)?;
    Ok(list(operation(&call.value_items()?, &other)))
}

fn with_all(call: &Call, operation: Operation) -> Result<Value, Error> {
    let mut is_flat = false;
    for (name, value) in &call.named {
        match name.as_str() {
            "flatten" => is_flat = python::truth(value),
            other => {
                return Err(call.error(&format!("there is no argument `{other}`, only `flatten`")));
            }
        }
    }
    let mut lists = vec![call.value.clone()];
    lists.extend(call.rest.iter().cloned());
    if is_flat {
        let mut flat = Vec::new();
        flatten_into(&lists, Some(1), true, &mut flat)?;
        lists = flat;
    }
    let mut lists = lists.iter().map(items);
    let mut all = distinct(lists.next().transpose()?.unwrap_or_default());
    for other in lists {
        all = operation(&all, &other?);
    }
    Ok(list(all))
}

fn union(one: &[Value], other: &[Value]) -> Vec<Value> {
    distinct(one.iter().chain(other).cloned())
}

fn intersect(one: &[Value], other: &[Value]) -> Vec<Value> {
    let other = Seen::of(other);
    distinct(one.iter().filter(|item| other.has(item)).cloned())
}

fn difference(one: &[Value], other: &[Value]) -> Vec<Value> {
    let other = Seen::of(other);
    distinct(one.iter().filter(|item| !other.has(item)).cloned())
}

fn symmetric_difference(one: &[Value], other: &[Value]) -> Vec<Value> {
    let (in_one, in_other) = (Seen::of(one), Seen::of(other));
    let left = one.iter().filter(|item| !in_other.has(item));
    distinct(
        left.chain(other.iter().filter(|item| !in_one.has(item)))
            .cloned(),
    )
}
