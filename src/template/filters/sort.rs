//! Filters about order: sorting, the least and the greatest, groups.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, State};

use super::super::missing::{is_undefined, missing};
use super::call::{Call, Filter, refusal};
use super::python::{self, attribute, list, tuple};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "sort",
        parameters: &["reverse", "case_sensitive", "attribute"],
        apply: sort,
    },
    Filter {
        name: "dictsort",
        parameters: &["case_sensitive", "by", "reverse"],
        apply: dictsort,
    },
    Filter {
        name: "min",
        parameters: &["case_sensitive", "attribute"],
        apply: |_, call| extreme(call, false),
    },
    Filter {
        name: "max",
        parameters: &["case_sensitive", "attribute"],
        apply: |_, call| extreme(call, true),
    },
    Filter {
        name: "groupby",
        parameters: &["attribute", "default", "case_sensitive"],
        apply: groupby,
    },
];

/// Texts count by their letters alone where the case does not matter.
pub(super) fn key(value: Value, is_case_sensitive: bool) -> Value {
    match value.as_str() {
        Some(text) if !is_case_sensitive => Value::from(text.to_lowercase()),
        _ => value,
    }
}

fn sort(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let is_case_sensitive = call.flag("case_sensitive", false)?;
    let paths: Vec<Value> = match call.optional("attribute")? {
        // Several, with commas between them.
        Some(path) => match path.as_str() {
            Some(paths) => paths
                .split(',')
                .map(|path| Value::from(path.trim()))
                .collect(),
            None => vec![path.clone()],
        },
        None => Vec::new(),
    };
    let mut keyed = Vec::new();
    for item in call.value_items()? {
        let sort_key = if paths.is_empty() {
            key(item.clone(), is_case_sensitive)
        } else {
            let keys = paths
                .iter()
                .map(|path| key(attribute(&item, path, None), is_case_sensitive));
            list(keys.collect())
        };
        keyed.push((sort_key, item));
    }
    python::sort(&mut keyed, call.flag("reverse", false)?)?;
    Ok(list(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn dictsort(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let is_case_sensitive = call.flag("case_sensitive", false)?;
    let by_value = match call.text("by")?.as_deref().unwrap_or("key") {
        "key" => false,
        "value" => true,
        other => return Err(call.error(&format!("`{other}` is neither key nor value"))),
    };
    let mut keyed: Vec<(Value, Value)> = python::pairs(&call.value)?
        .into_iter()
        .map(|(name, value)| {
            let by = if by_value {
                value.clone()
            } else {
                name.clone()
            };
            (key(by, is_case_sensitive), tuple(vec![name, value]))
        })
        .collect();
    python::sort(&mut keyed, call.flag("reverse", false)?)?;
    Ok(list(keyed.into_iter().map(|(_, pair)| pair).collect()))
}

fn extreme(call: &Call, is_greatest: bool) -> Result<Value, Error> {
    let is_case_sensitive = call.flag("case_sensitive", false)?;
    let path = call.optional("attribute")?;
    let mut best: Option<(Value, Value)> = None;
    for item in call.value_items()? {
        let of = path.map_or_else(|| item.clone(), |path| attribute(&item, path, None));
        let of = key(of, is_case_sensitive);
        let is_better = match &best {
            None => true,
            Some((best, _)) => {
                let order = python::compare(&of, best)?;
                if is_greatest {
                    order.is_gt()
                } else {
                    order.is_lt()
                }
            }
        };
        if is_better {
            best = Some((of, item));
        }
    }
    Ok(best.map_or_else(
        || missing("the least or greatest of an empty list is undefined"),
        |(_, item)| item,
    ))
}

fn groupby(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let path = call.required("attribute")?;
    let default = call.optional("default")?;
    let is_case_sensitive = call.flag("case_sensitive", false)?;
    let mut keyed = Vec::new();
    for item in call.value_items()? {
        let of = attribute(&item, path, default);
        if is_undefined(&of) {
            return Err(refusal(&of));
        }
        keyed.push((key(of, is_case_sensitive), item));
    }
    python::sort(&mut keyed, false)?;
    let mut groups: Vec<(Value, Group)> = Vec::new();
    for (key, item) in keyed {
        match groups.last_mut() {
            Some((last, group)) if python::equal(last, &key) => group.items.push(item),
            _ => {
                let grouper = attribute(&item, path, default);
                groups.push((
                    key,
                    Group {
                        grouper,
                        items: vec![item],
                    },
                ));
            }
        }
    }
    Ok(list(
        groups
            .into_iter()
            .map(|(_, group)| Value::from_object(group))
            .collect(),
    ))
}

/// What `groupby` gives: a pair whose halves have names.
#[derive(Debug)]
struct Group {
    grouper: Value,
    items: Vec<Value>,
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match (key.as_str(), key.as_i64()) {
            (Some("grouper"), _) | (None, Some(0 | -2)) => Some(self.grouper.clone()),
            (Some("list"), _) | (None, Some(1 | -1)) => Some(list(self.items.clone())),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}
