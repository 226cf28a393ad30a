//! Filters that make, join and take apart mappings.

use indexmap::IndexMap;
use minijinja::value::Value;
use minijinja::{Error, State};

use super::super::missing::is_undefined;
use super::call::{Call, Filter, refusal};
use super::lists::flatten_into;
use super::python::{self, is_list, is_mapping, item, items, list, mapping, pairs, tuple};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "items",
        parameters: &["?"],
        apply: dict_items,
    },
    Filter {
        name: "combine",
        parameters: &["*", "**"],
        apply: combine,
    },
    Filter {
        name: "dict2items",
        parameters: &["key_name", "value_name"],
        apply: dict2items,
    },
    Filter {
        name: "items2dict",
        parameters: &["key_name", "value_name"],
        apply: items2dict,
    },
    Filter {
        name: "extract",
        parameters: &["container", "morekeys"],
        apply: extract,
    },
    Filter {
        name: "attr",
        parameters: &["name"],
        apply: |_, call| Ok(item(&call.value, call.required("name")?)),
    },
    Filter {
        name: "rekey_on_member",
        parameters: &["key", "duplicates"],
        apply: rekey_on_member,
    },
];

/// Of community.general.
pub(super) const GENERAL: &[Filter] = &[
    Filter {
        name: "dict",
        parameters: &[],
        apply: dict,
    },
    Filter {
        name: "dict_kv",
        parameters: &["key"],
        apply: dict_kv,
    },
    Filter {
        name: "groupby_as_dict",
        parameters: &["attribute"],
        apply: groupby_as_dict,
    },
    Filter {
        name: "counter",
        parameters: &[],
        apply: counter,
    },
    Filter {
        name: "lists_mergeby",
        parameters: &["*", "**"],
        apply: lists_mergeby,
    },
    Filter {
        name: "keep_keys",
        parameters: &["target", "matching_parameter"],
        apply: keep_keys,
    },
    Filter {
        name: "remove_keys",
        parameters: &["target", "matching_parameter"],
        apply: remove_keys,
    },
    Filter {
        name: "replace_keys",
        parameters: &["target", "matching_parameter"],
        apply: replace_keys,
    },
];

fn dict_items(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if is_undefined(&call.value) {
        return Ok(list(Vec::new()));
    }
    let all = pairs(&call.value)?;
    Ok(list(
        all.into_iter()
            .map(|(key, value)| tuple(vec![key, value]))
            .collect(),
    ))
}

/// How two mappings become one.
#[derive(Clone, Copy)]
struct Merge {
    is_recursive: bool,
    lists: Lists,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendRest,
    PrependRest,
}

impl Merge {
    fn read(call: &Call, named: &[(String, Value)]) -> Result<Self, Error> {
        let mut merge = Self {
            is_recursive: false,
            lists: Lists::Replace,
        };
        for (name, value) in named {
            match (name.as_str(), value.as_str()) {
                ("recursive", _) => merge.is_recursive = python::truth(value),
                ("list_merge", Some("replace")) => merge.lists = Lists::Replace,
                ("list_merge", Some("keep")) => merge.lists = Lists::Keep,
                ("list_merge", Some("append")) => merge.lists = Lists::Append,
                ("list_merge", Some("prepend")) => merge.lists = Lists::Prepend,
                ("list_merge", Some("append_rp")) => merge.lists = Lists::AppendRest,
                ("list_merge", Some("prepend_rp")) => merge.lists = Lists::PrependRest,
                ("list_merge", _) => {
                    return Err(call.error(
                        "`list_merge` is one of replace, keep, append, prepend, append_rp, prepend_rp",
                    ));
                }
                (other, _) => {
                    return Err(call.error(&format!(
                        "there is no argument `{other}`, only `recursive` and `list_merge`"
                    )));
                }
            }
        }
        Ok(merge)
    }

    /// Lays one mapping over another.
    fn over(self, call: &Call, under: &Value, over: &Value) -> Result<Value, Error> {
        for value in [under, over] {
            if !is_mapping(value) {
                return Err(call.error(&format!(
                    "mappings are needed, and one is {}",
                    python::describe(value)
                )));
            }
        }
        let mut merged: IndexMap<Value, Value> = pairs(under)?.into_iter().collect();
        for (key, value) in pairs(over)? {
            let Some(slot) = merged.get_mut(&key) else {
                merged.insert(key, value);
                continue;
            };
            *slot = if is_mapping(slot) && is_mapping(&value) && self.is_recursive {
                self.over(call, slot, &value)?
            } else if is_list(slot) && is_list(&value) {
                self.lists(slot, value)?
            } else {
                value
            };
        }
        Ok(mapping(merged.into_iter().collect()))
    }

    fn lists(self, under: &Value, over: Value) -> Result<Value, Error> {
        let rest = || -> Result<Vec<Value>, Error> {
            let over = super::sets::Seen::of(&items(&over)?);
            Ok(items(under)?
                .into_iter()
                .filter(|item| !over.has(item))
                .collect())
        };
        let joined = |mut one: Vec<Value>, other: Vec<Value>| {
            one.extend(other);
            list(one)
        };
        Ok(match self.lists {
            Lists::Replace => over,
            Lists::Keep => under.clone(),
            Lists::Append => joined(items(under)?, items(&over)?),
            Lists::Prepend => joined(items(&over)?, items(under)?),
            Lists::AppendRest => joined(rest()?, items(&over)?),
            Lists::PrependRest => joined(items(&over)?, rest()?),
        })
    }
}

fn combine(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let merge = Merge::read(call, &call.named)?;
    let mut given = vec![call.value.clone()];
    given.extend(call.rest.iter().cloned());
    if let Some(missing) = given.iter().find(|value| is_undefined(value)) {
        return Err(refusal(missing));
    }
    let mut all = Vec::new();
    flatten_into(&given, Some(1), true, &mut all)?;
    // From the right: that decides the order of lists that are put together.
    let mut all = all.into_iter().rev();
    let Some(mut merged) = all.next() else {
        return Ok(mapping(Vec::new()));
    };
    for under in all {
        merged = merge.over(call, &under, &merged)?;
    }
    Ok(merged)
}

fn dict2items(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let key_name = call.text("key_name")?.unwrap_or_else(|| "key".to_owned());
    let value_name = call
        .text("value_name")?
        .unwrap_or_else(|| "value".to_owned());
    let item = |(key, value)| {
        mapping(vec![
            (Value::from(key_name.as_str()), key),
            (Value::from(value_name.as_str()), value),
        ])
    };
    Ok(list(pairs(&call.value)?.into_iter().map(item).collect()))
}

fn items2dict(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if !is_list(&call.value) {
        return Err(call.error(&format!(
            "a list is needed, and this is {}",
            python::describe(&call.value)
        )));
    }
    let names = [("key_name", "key"), ("value_name", "value")];
    let mut made = Vec::new();
    for entry in call.value_items()? {
        if !is_mapping(&entry) {
            return Err(call.error(&format!(
                "a list of mappings is needed, and one item is {}",
                python::describe(&entry)
            )));
        }
        let mut halves = Vec::new();
        for (argument, default) in names {
            let name = call.text(argument)?.unwrap_or_else(|| default.to_owned());
            let half = item(&entry, &Value::from(name.as_str()));
            if is_undefined(&half) {
                return Err(call.error(&format!("an item has no key `{name}`")));
            }
            halves.push(half);
        }
        if let Ok([key, value]) = <[Value; 2]>::try_from(halves) {
            if !python::is_hashable(&key) {
                return Err(call.error(&format!("{} cannot be a key", python::describe(&key))));
            }
            made.push((key, value));
        }
    }
    Ok(mapping(made))
}

fn extract(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let container = call.required("container")?;
    let mut keys = vec![call.value.clone()];
    match call.optional("morekeys")? {
        None => {}
        Some(more) if is_list(more) => keys.extend(items(more)?),
        Some(key) => keys.push(key.clone()),
    }
    let mut value = container.clone();
    for key in keys {
        if is_undefined(&value) {
            return Err(call.error(&format!("`{key}` is looked for in something undefined")));
        }
        value = item(&value, &key);
    }
    Ok(value)
}

fn rekey_on_member(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let name = call.required("key")?;
    let overwrites = match call.text("duplicates")?.as_deref().unwrap_or("error") {
        "error" => false,
        "overwrite" => true,
        other => {
            return Err(call.error(&format!(
                "`duplicates` is error or overwrite, not `{other}`"
            )));
        }
    };
    let all: Vec<Value> = if is_mapping(&call.value) {
        pairs(&call.value)?
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    } else if is_list(&call.value) {
        call.value_items()?
    } else {
        return Err(call.error("a list or a mapping is needed"));
    };
    let mut made: IndexMap<Value, Value> = IndexMap::new();
    for entry in all {
        if !is_mapping(&entry) {
            return Err(call.error("every item must be a mapping"));
        }
        let key = item(&entry, name);
        if is_undefined(&key) {
            return Err(call.error(&format!("an item has no key `{name}`")));
        }
        if !overwrites && made.contains_key(&key) {
            return Err(call.error(&format!("`{key}` is there twice")));
        }
        made.insert(key, entry);
    }
    Ok(mapping(made.into_iter().collect()))
}

fn dict(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut made = Vec::new();
    for pair in call.value_items()? {
        let Ok([key, value]) = <[Value; 2]>::try_from(items(&pair)?) else {
            return Err(call.error("a list of pairs is needed"));
        };
        made.push((key, value));
    }
    Ok(mapping(made))
}

fn dict_kv(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    Ok(mapping(vec![(
        call.required("key")?.clone(),
        call.value.clone(),
    )]))
}

fn groupby_as_dict(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let name = call.required("attribute")?;
    if !is_list(&call.value) {
        return Err(call.error("a list is needed"));
    }
    let mut made = IndexMap::new();
    for entry in call.value_items()? {
        let key = item(&entry, name);
        if !is_mapping(&entry) || is_undefined(&key) {
            return Err(call.error(&format!("an item has no key `{name}`")));
        }
        if let Some(_earlier) = made.insert(key.clone(), entry) {
            return Err(call.error(&format!("`{key}` is there twice")));
        }
    }
    Ok(mapping(made.into_iter().collect()))
}

fn counter(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if !is_list(&call.value) && call.value.as_str().is_none() {
        return Err(call.error("a list is needed"));
    }
    let mut counts: IndexMap<Value, u64> = IndexMap::new();
    for entry in call.value_items()? {
        if !python::is_hashable(&entry) {
            return Err(call.error(&format!("{} cannot be counted", python::describe(&entry))));
        }
        *counts.entry(entry).or_default() += 1;
    }
    Ok(mapping(
        counts
            .into_iter()
            .map(|(key, count)| (key, Value::from(count)))
            .collect(),
    ))
}

/// Lists of mappings: those with the same value of a key become one. The last argument is the key.
fn lists_mergeby(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let merge = Merge::read(call, &call.named)?;
    let mut lists = vec![call.value.clone()];
    lists.extend(call.rest.iter().cloned());
    let index = lists
        .pop()
        .filter(|index| index.as_str().is_some() && !lists.is_empty());
    let index = index.ok_or_else(|| call.error("the last argument is the key to merge by"))?;
    let mut flat = Vec::new();
    for part in &lists {
        for entry in items(part)? {
            if is_list(&entry) {
                flat.extend(items(&entry)?);
            } else {
                flat.push(entry);
            }
        }
    }
    let mut merged: IndexMap<Value, Value> = IndexMap::new();
    for entry in flat {
        if !is_mapping(&entry) {
            return Err(call.error("every item must be a mapping"));
        }
        let key = item(&entry, &index);
        if is_undefined(&key) {
            continue;
        }
        let entry = match merged.get(&key) {
            Some(under) => merge.over(call, under, &entry)?,
            None => entry,
        };
        merged.insert(key, entry);
    }
    let mut merged: Vec<(Value, Value)> = merged.into_iter().collect();
    python::sort(&mut merged, false)?;
    Ok(list(merged.into_iter().map(|(_, value)| value).collect()))
}

/// How the names of keys are told.
fn key_matcher(call: &Call) -> Result<impl Fn(&str, &str) -> bool + use<>, Error> {
    let how = call
        .text("matching_parameter")?
        .unwrap_or_else(|| "equal".to_owned());
    if !matches!(
        how.as_str(),
        "equal" | "starts_with" | "ends_with" | "regex"
    ) {
        return Err(call.error(&format!(
            "`{how}` is none of equal, starts_with, ends_with, regex"
        )));
    }
    Ok(move |key: &str, wanted: &str| match how.as_str() {
        "starts_with" => key.starts_with(wanted),
        "ends_with" => key.ends_with(wanted),
        "regex" => {
            crate::python_regex::PythonRegex::new(wanted, crate::python_regex::Flags::default())
                .is_ok_and(|regex| regex.match_start(key).is_ok_and(|found| found.is_some()))
        }
        _ => key == wanted,
    })
}

fn targets(call: &Call) -> Result<Vec<String>, Error> {
    let target = call.required("target")?;
    match target.as_str() {
        Some(target) => Ok(vec![target.to_owned()]),
        None => items(target)?.iter().map(python::text).collect(),
    }
}

fn with_keys(call: &Call, keep: bool) -> Result<Value, Error> {
    let (targets, fits) = (targets(call)?, key_matcher(call)?);
    let mut made = Vec::new();
    for entry in call.value_items()? {
        let kept = pairs(&entry)?.into_iter().filter(|(key, _)| {
            let key = key.to_string();
            targets.iter().any(|target| fits(&key, target)) == keep
        });
        made.push(mapping(kept.collect()));
    }
    Ok(list(made))
}

fn keep_keys(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    with_keys(call, true)
}

fn remove_keys(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    with_keys(call, false)
}

fn replace_keys(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let fits = key_matcher(call)?;
    let mut changes = Vec::new();
    for change in items(call.required("target")?)? {
        let half = |name: &str| python::text(&item(&change, &Value::from(name)));
        changes.push((half("before")?, half("after")?));
    }
    let mut made = Vec::new();
    for entry in call.value_items()? {
        let renamed = pairs(&entry)?.into_iter().map(|(key, value)| {
            let text = key.to_string();
            let change = changes.iter().find(|(before, _)| fits(&text, before));
            (
                change.map_or(key, |(_, after)| Value::from(after.as_str())),
                value,
            )
        });
        made.push(mapping(renamed.collect()));
    }
    Ok(list(made))
}
