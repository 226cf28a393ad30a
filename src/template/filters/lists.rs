//! Filters that take lists apart, put them together and apply other filters and tests to their items.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::super::environment::invalid;
use super::super::missing::{is_undefined, missing};
use super::MAX_ELEMENTS;
use super::call::{Call, Filter, refusal};
use super::python::{self, attribute, is_list, is_mapping, items, list, tuple};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "length",
        parameters: &[],
        apply: length,
    },
    Filter {
        name: "count",
        parameters: &[],
        apply: length,
    },
    Filter {
        name: "list",
        parameters: &[],
        apply: |_, call| Ok(list(call.value_items()?)),
    },
    Filter {
        name: "first",
        parameters: &[],
        apply: |_, call| {
            Ok(call
                .value_items()?
                .into_iter()
                .next()
                .unwrap_or_else(|| empty("first")))
        },
    },
    Filter {
        name: "last",
        parameters: &[],
        apply: |_, call| Ok(call.value_items()?.pop().unwrap_or_else(|| empty("last"))),
    },
    Filter {
        name: "reverse",
        parameters: &[],
        apply: reverse,
    },
    Filter {
        name: "join",
        parameters: &["d", "attribute"],
        apply: join,
    },
    Filter {
        name: "map",
        parameters: &["*", "**"],
        apply: map,
    },
    Filter {
        name: "select",
        parameters: &["*", "**"],
        apply: |state, call| choose(state, call, true, false),
    },
    Filter {
        name: "reject",
        parameters: &["*", "**"],
        apply: |state, call| choose(state, call, false, false),
    },
    Filter {
        name: "selectattr",
        parameters: &["*", "**"],
        apply: |state, call| choose(state, call, true, true),
    },
    Filter {
        name: "rejectattr",
        parameters: &["*", "**"],
        apply: |state, call| choose(state, call, false, true),
    },
    Filter {
        name: "batch",
        parameters: &["linecount", "fill_with"],
        apply: batch,
    },
    Filter {
        name: "slice",
        parameters: &["slices", "fill_with"],
        apply: slice,
    },
    Filter {
        name: "flatten",
        parameters: &["levels", "skip_nulls"],
        apply: flatten,
    },
    Filter {
        name: "zip",
        parameters: &["*"],
        apply: zip,
    },
    Filter {
        name: "zip_longest",
        parameters: &["*", "**"],
        apply: zip_longest,
    },
    Filter {
        name: "product",
        parameters: &["*", "**"],
        apply: product,
    },
    Filter {
        name: "combinations",
        parameters: &["r"],
        apply: combinations,
    },
    Filter {
        name: "permutations",
        parameters: &["r"],
        apply: permutations,
    },
    Filter {
        name: "subelements",
        parameters: &["subelements", "skip_missing"],
        apply: subelements,
    },
];

/// What there is of nothing.
fn empty(filter: &str) -> Value {
    missing(format!("`{filter}` of an empty list is undefined"))
}

fn length(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if call.value.kind() == ValueKind::Bytes {
        return Ok(Value::from(call.value.as_bytes().map_or(0, <[u8]>::len)));
    }
    if let Some(text) = call.value.as_str() {
        return Ok(Value::from(text.chars().count()));
    }
    Ok(Value::from(match call.value.len() {
        Some(length) => length,
        None => call.value_items()?.len(),
    }))
}

fn reverse(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if let Some(text) = call.value.as_str() {
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut all = call.value_items()?;
    all.reverse();
    Ok(list(all))
}

fn join(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let separator = call
        .optional("d")?
        .map(python::text)
        .transpose()?
        .unwrap_or_default();
    let path = call.optional("attribute")?;
    let parts = call.value_items()?.into_iter().map(|item| match path {
        Some(path) => python::text(&attribute(&item, path, None)),
        None => python::text(&item),
    });
    Ok(Value::from(
        parts.collect::<Result<Vec<_>, _>>()?.join(&separator),
    ))
}

/// The arguments of a filter or test that is called by its name.
fn forwarded(first: Value, call: &Call, skipped: usize) -> Vec<Value> {
    let mut arguments = vec![first];
    arguments.extend(call.rest.iter().skip(skipped).cloned());
    if !call.named.is_empty() {
        let named: Kwargs = call.named.iter().cloned().collect();
        arguments.push(Value::from(named));
    }
    arguments
}

fn map(state: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if !python::truth(&call.value) {
        return Ok(list(Vec::new()));
    }
    let named = |name: &str| {
        call.named
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    if let (true, Some(path)) = (call.rest.is_empty(), named("attribute")) {
        if let Some((other, _)) = call
            .named
            .iter()
            .find(|(key, _)| !matches!(key.as_str(), "attribute" | "default"))
        {
            return Err(call.error(&format!("there is no argument `{other}`")));
        }
        let default = named("default");
        let all = call.value_items()?;
        return Ok(list(
            all.iter()
                .map(|item| attribute(item, path, default))
                .collect(),
        ));
    }
    let filter = call.rest.first().and_then(Value::as_str);
    let filter =
        filter.ok_or_else(|| call.error("the name of a filter is needed, or `attribute`"))?;
    let mapped = call
        .value_items()?
        .into_iter()
        .map(|item| state.apply_filter(filter, &forwarded(item, call, 1)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| match error.kind() {
            ErrorKind::UnknownFilter => call.error(&format!("unknown filter `{filter}`")),
            _ => error,
        })?;
    Ok(list(mapped))
}

fn choose(
    state: &mut State<'_, '_>,
    call: &Call,
    wanted: bool,
    by_attribute: bool,
) -> Result<Value, Error> {
    if !python::truth(&call.value) {
        return Ok(list(Vec::new()));
    }
    let offset = usize::from(by_attribute);
    let path = match call.rest.first() {
        Some(path) if by_attribute => Some(path),
        None if by_attribute => return Err(call.error("the name of an attribute is needed")),
        _ => None,
    };
    let test = call.rest.get(offset);
    let name = match test.map(|test| test.as_str().ok_or(test)) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => return Err(call.error("the name of a test must be a text")),
    };
    let mut chosen = Vec::new();
    for item in call.value_items()? {
        let judged = path.map_or_else(|| item.clone(), |path| attribute(&item, path, None));
        let holds = match name {
            Some(name) => state
                .perform_test(name, &forwarded(judged, call, offset + 1))
                .map_err(|error| match error.kind() {
                    ErrorKind::UnknownTest => call.error(&format!("unknown test `{name}`")),
                    _ => error,
                })?,
            None if is_undefined(&judged) => return Err(refusal(&judged)),
            None => python::truth(&judged),
        };
        if holds == wanted {
            chosen.push(item);
        }
    }
    Ok(list(chosen))
}

fn batch(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let size = call.count("linecount", 0)?;
    call.required("linecount")?;
    let fill = call.optional("fill_with")?;
    let all = call.value_items()?;
    if size == 0 {
        return Err(call.error("a batch has at least one item"));
    }
    let batches = all.chunks(size).map(|chunk| {
        let mut batch = chunk.to_vec();
        if let Some(fill) = fill {
            batch.resize(size, fill.clone());
        }
        list(batch)
    });
    Ok(list(batches.collect()))
}

fn slice(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    call.required("slices")?;
    let slices = call.count("slices", 0)?;
    let fill = call.optional("fill_with")?;
    let all = call.value_items()?;
    if slices == 0 {
        return Err(call.error("there must be at least one slice"));
    }
    let (size, larger) = (all.len() / slices, all.len() % slices);
    let mut rest = all.into_iter();
    let mut made = Vec::with_capacity(slices);
    for index in 0..slices {
        let length = size + usize::from(index < larger);
        let mut slice: Vec<Value> = rest.by_ref().take(length).collect();
        if let Some(fill) = fill.filter(|_| index >= larger) {
            slice.push(fill.clone());
        }
        made.push(list(slice));
    }
    Ok(list(made))
}

fn flatten(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut flat = Vec::new();
    let levels = call.integer("levels")?;
    flatten_into(
        &call.value_items()?,
        levels,
        call.flag("skip_nulls", true)?,
        &mut flat,
    )?;
    Ok(list(flat))
}

/// Items of lists in lists, as many levels deep.
pub(super) fn flatten_into(
    all: &[Value],
    levels: Option<i64>,
    skip_nulls: bool,
    into: &mut Vec<Value>,
) -> Result<(), Error> {
    for item in all {
        let is_null = item.is_none() || matches!(item.as_str(), Some("None" | "null"));
        if skip_nulls && is_null {
            continue;
        }
        if is_list(item) && levels.is_none_or(|levels| levels >= 1) {
            flatten_into(
                &items(item)?,
                levels.map(|levels| levels - 1),
                skip_nulls,
                into,
            )?;
        } else if into.len() >= MAX_ELEMENTS {
            return Err(python::too_many());
        } else {
            into.push(item.clone());
        }
    }
    Ok(())
}

/// The value and the positional arguments, each as a list.
fn columns(call: &Call) -> Result<Vec<Vec<Value>>, Error> {
    let others = call.rest.iter().map(items);
    std::iter::once(call.value_items()).chain(others).collect()
}

fn zip(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let columns = columns(call)?;
    let rows = columns.iter().map(Vec::len).min().unwrap_or_default();
    Ok(list(
        (0..rows)
            .map(|row| {
                tuple(
                    columns
                        .iter()
                        .filter_map(|column| column.get(row).cloned())
                        .collect(),
                )
            })
            .collect(),
    ))
}

fn zip_longest(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut fill = Value::from(());
    for (name, value) in &call.named {
        match name.as_str() {
            "fillvalue" => fill = value.clone(),
            other => return Err(call.error(&format!("there is no argument `{other}`"))),
        }
    }
    let columns = columns(call)?;
    let rows = columns.iter().map(Vec::len).max().unwrap_or_default();
    let row = |row: usize| {
        let cells = columns
            .iter()
            .map(|column| column.get(row).unwrap_or(&fill).clone());
        tuple(cells.collect())
    };
    Ok(list((0..rows).map(row).collect()))
}

fn product(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut pools = columns(call)?;
    for (name, value) in &call.named {
        let count = (name == "repeat").then(|| value.as_usize()).flatten();
        let count = count.ok_or_else(|| {
            call.error(&format!("`{name}` is no argument, only `repeat`, a number"))
        })?;
        if count > 64 {
            return Err(python::too_many());
        }
        pools = std::iter::repeat_n(pools, count).flatten().collect();
    }
    let rows = pools
        .iter()
        .try_fold(1_usize, |rows, pool| rows.checked_mul(pool.len()));
    let rows = rows.filter(|rows| rows.saturating_mul(pools.len()) <= MAX_ELEMENTS);
    rows.ok_or_else(python::too_many)?;
    let mut made: Vec<Vec<Value>> = vec![Vec::new()];
    for pool in &pools {
        made = made
            .iter()
            .flat_map(|row| {
                pool.iter().map(move |item| {
                    let mut longer = row.clone();
                    longer.push(item.clone());
                    longer
                })
            })
            .collect();
    }
    Ok(list(made.into_iter().map(tuple).collect()))
}

/// Indexes of all ways to take some of so many, each once, in order or in every order.
fn selections(size: usize, taken: usize, in_order: bool) -> Result<Vec<Vec<usize>>, Error> {
    let mut made: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..taken {
        let mut longer = Vec::new();
        for row in &made {
            let start = if in_order {
                row.last().map_or(0, |last| last + 1)
            } else {
                0
            };
            for index in (start..size).filter(|index| in_order || !row.contains(index)) {
                if longer.len() * taken > MAX_ELEMENTS {
                    return Err(python::too_many());
                }
                let mut row = row.clone();
                row.push(index);
                longer.push(row);
            }
        }
        made = longer;
    }
    Ok(made)
}

fn selected(call: &Call, taken: usize, in_order: bool) -> Result<Value, Error> {
    let all = call.value_items()?;
    if taken > all.len() {
        return Ok(list(Vec::new()));
    }
    let rows = selections(all.len(), taken, in_order)?;
    let row = |row: Vec<usize>| {
        tuple(
            row.into_iter()
                .filter_map(|index| all.get(index).cloned())
                .collect(),
        )
    };
    Ok(list(rows.into_iter().map(row).collect()))
}

fn combinations(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    call.required("r")?;
    selected(call, size_of(call)?.unwrap_or_default(), true)
}

fn permutations(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let taken = size_of(call)?;
    let all = call.value_items()?.len();
    selected(call, taken.unwrap_or(all), false)
}

fn size_of(call: &Call) -> Result<Option<usize>, Error> {
    call.integer("r")?
        .map(|size| usize::try_from(size).map_err(|_| call.error("the size must not be negative")))
        .transpose()
}

fn subelements(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let all: Vec<Value> = if is_mapping(&call.value) {
        python::pairs(&call.value)?
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    } else if is_list(&call.value) {
        call.value_items()?
    } else {
        return Err(call.error("a list of mappings or a mapping of mappings is needed"));
    };
    let path = call.required("subelements")?;
    let keys: Vec<Value> = match path.as_str() {
        Some(path) => path.split('.').map(Value::from).collect(),
        None if is_list(path) => items(path)?,
        None => return Err(call.error("`subelements` must be a text or a list")),
    };
    let skip_missing = call.flag("skip_missing", false)?;
    let mut made = Vec::new();
    for element in all {
        let mut inner = element.clone();
        for key in &keys {
            if !is_mapping(&inner) {
                return Err(call.error(&format!(
                    "`{key}` is looked for in {}",
                    python::describe(&inner)
                )));
            }
            let next = python::item(&inner, key);
            if is_undefined(&next) {
                if !skip_missing {
                    return Err(invalid(format!(
                        "`subelements`: an item has no key `{key}`"
                    )));
                }
                inner = list(Vec::new());
                break;
            }
            inner = next;
        }
        if !is_list(&inner) {
            let last = keys.last().map(ToString::to_string).unwrap_or_default();
            return Err(call.error(&format!(
                "`{last}` must be a list, and is {}",
                python::describe(&inner)
            )));
        }
        for item in items(&inner)? {
            made.push(tuple(vec![element.clone(), item]));
        }
    }
    Ok(list(made))
}
