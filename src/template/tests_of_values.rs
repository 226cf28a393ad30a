//! Ansible's and Jinja2's tests: what stands behind `is`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, State};

use super::filters::python::{self, Number, is_list, is_mapping, number};
use super::filters::{Call, Test, Url, matches, versions};
use super::missing::is_undefined;

const TESTS: &[Test] = &[
    // Whether there is something.
    Test {
        name: "defined",
        parameters: &["?"],
        apply: |_, call| is_defined(call, true),
    },
    Test {
        name: "undefined",
        parameters: &["?"],
        apply: |_, call| is_defined(call, false),
    },
    Test {
        name: "none",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.is_none()),
    },
    // Kinds of values.
    Test {
        name: "boolean",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.kind() == ValueKind::Bool),
    },
    Test {
        name: "true",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.kind() == ValueKind::Bool && call.value.is_true()),
    },
    Test {
        name: "false",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.kind() == ValueKind::Bool && !call.value.is_true()),
    },
    Test {
        name: "string",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.as_str().is_some()),
    },
    Test {
        name: "number",
        parameters: &["?"],
        apply: |_, call| Ok(number(&call.value).is_some()),
    },
    Test {
        name: "integer",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.kind() == ValueKind::Number && call.value.is_integer()),
    },
    Test {
        name: "float",
        parameters: &["?"],
        apply: |_, call| Ok(call.value.kind() == ValueKind::Number && !call.value.is_integer()),
    },
    Test {
        name: "mapping",
        parameters: &["?"],
        apply: |_, call| Ok(is_mapping(&call.value)),
    },
    Test {
        name: "sequence",
        parameters: &[],
        apply: |_, call| Ok(is_iterable(&call.value)),
    },
    Test {
        name: "iterable",
        parameters: &[],
        apply: |_, call| Ok(is_iterable(&call.value)),
    },
    Test {
        name: "callable",
        parameters: &["?"],
        apply: |_, call| Ok(is_callable(&call.value)),
    },
    Test {
        name: "escaped",
        parameters: &[],
        apply: |_, call| Ok(call.value.is_safe()),
    },
    // Truth.
    Test {
        name: "truthy",
        parameters: &["convert_bool"],
        apply: truthy,
    },
    Test {
        name: "falsy",
        parameters: &["convert_bool"],
        apply: |state, call| truthy(state, call).map(|holds| !holds),
    },
    Test {
        name: "any",
        parameters: &[],
        apply: |_, call| Ok(call.value_items()?.iter().any(python::truth)),
    },
    Test {
        name: "all",
        parameters: &[],
        apply: |_, call| Ok(call.value_items()?.iter().all(python::truth)),
    },
    // Numbers.
    Test {
        name: "odd",
        parameters: &[],
        apply: |_, call| leaves(call, &Value::from(2), 1.0),
    },
    Test {
        name: "even",
        parameters: &[],
        apply: |_, call| leaves(call, &Value::from(2), 0.0),
    },
    Test {
        name: "divisibleby",
        parameters: &["num"],
        apply: divisible,
    },
    Test {
        name: "nan",
        parameters: &[],
        apply: nan,
    },
    Test {
        name: "isnan",
        parameters: &[],
        apply: nan,
    },
    // Texts.
    Test {
        name: "lower",
        parameters: &[],
        apply: |_, call| has_case(call, false),
    },
    Test {
        name: "upper",
        parameters: &[],
        apply: |_, call| has_case(call, true),
    },
    Test {
        name: "match",
        parameters: EXPRESSION,
        apply: |_, call| matches(call, "match"),
    },
    Test {
        name: "search",
        parameters: EXPRESSION,
        apply: |_, call| matches(call, "search"),
    },
    Test {
        name: "regex",
        parameters: REGEX,
        apply: regex,
    },
    // Comparisons.
    Test {
        name: "eq",
        parameters: OTHER,
        apply: equal,
    },
    Test {
        name: "equalto",
        parameters: OTHER,
        apply: equal,
    },
    Test {
        name: "==",
        parameters: OTHER,
        apply: equal,
    },
    Test {
        name: "ne",
        parameters: OTHER,
        apply: |state, call| equal(state, call).map(|holds| !holds),
    },
    Test {
        name: "!=",
        parameters: OTHER,
        apply: |state, call| equal(state, call).map(|holds| !holds),
    },
    Test {
        name: "lt",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_lt()),
    },
    Test {
        name: "lessthan",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_lt()),
    },
    Test {
        name: "<",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_lt()),
    },
    Test {
        name: "le",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_le()),
    },
    Test {
        name: "<=",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_le()),
    },
    Test {
        name: "gt",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_gt()),
    },
    Test {
        name: "greaterthan",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_gt()),
    },
    Test {
        name: ">",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_gt()),
    },
    Test {
        name: "ge",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_ge()),
    },
    Test {
        name: ">=",
        parameters: OTHER,
        apply: |_, call| Ok(order(call)?.is_ge()),
    },
    Test {
        name: "version",
        parameters: VERSION,
        apply: version,
    },
    Test {
        name: "version_compare",
        parameters: VERSION,
        apply: version,
    },
    // Lists.
    Test {
        name: "in",
        parameters: &["seq"],
        apply: |_, call| contains(call, call.required("seq")?, &call.value),
    },
    Test {
        name: "contains",
        parameters: &["value"],
        apply: |_, call| contains(call, &call.value, call.required("value")?),
    },
    Test {
        name: "subset",
        parameters: &["b"],
        apply: |_, call| subset(call, false),
    },
    Test {
        name: "issubset",
        parameters: &["b"],
        apply: |_, call| subset(call, false),
    },
    Test {
        name: "superset",
        parameters: &["b"],
        apply: |_, call| subset(call, true),
    },
    Test {
        name: "issuperset",
        parameters: &["b"],
        apply: |_, call| subset(call, true),
    },
    // Names of filters and tests.
    Test {
        name: "filter",
        parameters: &[],
        apply: |_, call| Ok(super::names::filters().contains(&call.value_as_text()?)),
    },
    Test {
        name: "test",
        parameters: &[],
        apply: |_, call| Ok(super::names::tests().contains(&call.value_as_text()?)),
    },
    // Addresses of the web.
    Test {
        name: "uri",
        parameters: &["schemes"],
        apply: |_, call| Ok(uri(call)?.is_some()),
    },
    Test {
        name: "url",
        parameters: &["schemes"],
        apply: |_, call| {
            Ok(uri(call)?.is_some_and(|url| !url.place.is_empty() || url.scheme == "file"))
        },
    },
    Test {
        name: "urn",
        parameters: &[],
        apply: |_, call| Ok(uri(call)?.is_some_and(|url| url.scheme == "urn")),
    },
    // Paths of this machine.
    Test {
        name: "abs",
        parameters: &[],
        apply: |_, call| Ok(call.value_text()?.starts_with('/')),
    },
    Test {
        name: "is_abs",
        parameters: &[],
        apply: |_, call| Ok(call.value_text()?.starts_with('/')),
    },
    Test {
        name: "directory",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_dir()),
    },
    Test {
        name: "is_dir",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_dir()),
    },
    Test {
        name: "file",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_file()),
    },
    Test {
        name: "is_file",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_file()),
    },
    Test {
        name: "link",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_symlink()),
    },
    Test {
        name: "is_link",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.is_symlink()),
    },
    Test {
        name: "exists",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.exists()),
    },
    Test {
        name: "link_exists",
        parameters: &[],
        apply: |_, call| Ok(path(call)?.symlink_metadata().is_ok()),
    },
    Test {
        name: "mount",
        parameters: &[],
        apply: mount,
    },
    Test {
        name: "is_mount",
        parameters: &[],
        apply: mount,
    },
    Test {
        name: "same_file",
        parameters: &["other"],
        apply: same_file,
    },
    Test {
        name: "is_same_file",
        parameters: &["other"],
        apply: same_file,
    },
    // Results of tasks.
    Test {
        name: "failed",
        parameters: &[],
        apply: |_, call| result(call, "failed"),
    },
    Test {
        name: "failure",
        parameters: &[],
        apply: |_, call| result(call, "failed"),
    },
    Test {
        name: "succeeded",
        parameters: &[],
        apply: |_, call| Ok(!result(call, "failed")?),
    },
    Test {
        name: "success",
        parameters: &[],
        apply: |_, call| Ok(!result(call, "failed")?),
    },
    Test {
        name: "successful",
        parameters: &[],
        apply: |_, call| Ok(!result(call, "failed")?),
    },
    Test {
        name: "unreachable",
        parameters: &[],
        apply: |_, call| result(call, "unreachable"),
    },
    Test {
        name: "reachable",
        parameters: &[],
        apply: |_, call| Ok(!result(call, "unreachable")?),
    },
    Test {
        name: "skipped",
        parameters: &[],
        apply: |_, call| result(call, "skipped"),
    },
    Test {
        name: "skip",
        parameters: &[],
        apply: |_, call| result(call, "skipped"),
    },
    Test {
        name: "changed",
        parameters: &[],
        apply: changed,
    },
    Test {
        name: "change",
        parameters: &[],
        apply: changed,
    },
    Test {
        name: "finished",
        parameters: &[],
        apply: |_, call| of_a_job(call, "finished"),
    },
    Test {
        name: "started",
        parameters: &[],
        apply: |_, call| of_a_job(call, "started"),
    },
    Test {
        name: "timedout",
        parameters: &[],
        apply: timed_out,
    },
];

const OTHER: &[&str] = &["other"];
const EXPRESSION: &[&str] = &["pattern", "ignorecase", "multiline"];
const REGEX: &[&str] = &["pattern", "ignorecase", "multiline", "match_type"];
const VERSION: &[&str] = &["version", "operator", "strict", "version_type"];

/// Adds all tests, those of ansible-core with its name before theirs too.
pub(super) fn add(environment: &mut Environment<'static>) {
    for (name, test) in all() {
        environment.add_test(
            name,
            move |state: &mut State<'_, '_>, arguments: Rest<Value>, kwargs: Kwargs| {
                let call = Call::bind(test.name, test.parameters, arguments, &kwargs)?;
                (test.apply)(state, &call)
            },
        );
    }
}

/// The names of all tests.
pub(super) fn names() -> impl Iterator<Item = String> {
    all().map(|(name, _)| name)
}

fn all() -> impl Iterator<Item = (String, &'static Test)> {
    TESTS.iter().flat_map(|test| {
        ["", "ansible.builtin.", "ansible.legacy."]
            .map(|prefix| (format!("{prefix}{}", test.name), test))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "one of a table")]
fn is_defined(call: &Call, wanted: bool) -> Result<bool, Error> {
    Ok(is_undefined(&call.value) != wanted)
}

fn is_iterable(value: &Value) -> bool {
    value.as_str().is_some() || is_list(value) || is_mapping(value)
}

fn is_callable(value: &Value) -> bool {
    let is_data = is_iterable(value) || number(value).is_some() || value.is_none();
    !is_data && value.as_object().is_some()
}

/// With `convert_bool` a text counts by its word.
fn truthy(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    if call.flag("convert_bool", false)? {
        let word = match (call.value.as_str(), number(&call.value)) {
            (Some(text), _) => text.trim().to_lowercase(),
            (None, Some(number)) => python::text(&number.value())?,
            _ => String::new(),
        };
        match word.as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => return Ok(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => return Ok(false),
            _ => {}
        }
    }
    Ok(python::truth(&call.value))
}

/// What is left over when the value is divided.
fn remainder(call: &Call, divisor: &Value) -> Result<f64, Error> {
    let of = |value: &Value| {
        number(value).ok_or_else(|| {
            call.error(&format!(
                "a number is needed, and this is {}",
                python::describe(value)
            ))
        })
    };
    match (of(&call.value)?, of(divisor)?) {
        (_, Number::Integer(0)) => Err(call.error("nothing is divisible by 0")),
        (Number::Integer(value), Number::Integer(divisor)) => {
            Ok(Number::Integer(value.rem_euclid(divisor)).as_float())
        }
        (value, divisor) => Ok(value.as_float().rem_euclid(divisor.as_float())),
    }
}

#[expect(clippy::float_cmp, reason = "as Python does it")]
fn leaves(call: &Call, divisor: &Value, rest: f64) -> Result<bool, Error> {
    Ok(remainder(call, divisor)? == rest)
}

fn divisible(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    leaves(call, call.required("num")?, 0.0)
}

#[expect(clippy::unnecessary_wraps, reason = "one of a table")]
fn nan(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    Ok(number(&call.value).is_some_and(|number| number.as_float().is_nan()))
}

/// Some letter has a case, and none has the other one.
fn has_case(call: &Call, is_upper: bool) -> Result<bool, Error> {
    let text = call.value_as_text()?;
    let wrong = |c: char| {
        if is_upper {
            c.is_lowercase()
        } else {
            c.is_uppercase()
        }
    };
    let right = |c: char| {
        if is_upper {
            c.is_uppercase()
        } else {
            c.is_lowercase()
        }
    };
    Ok(text.contains(right) && !text.contains(wrong))
}

fn regex(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let how = call
        .text("match_type")?
        .unwrap_or_else(|| "search".to_owned());
    matches(call, &how)
}

fn equal(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    Ok(python::equal(&call.value, call.required("other")?))
}

fn order(call: &Call) -> Result<std::cmp::Ordering, Error> {
    python::compare(&call.value, call.required("other")?)
}

fn version(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let left = call.value_as_text()?;
    let right = python::text(call.required("version")?)?;
    let is_strict = call.optional("strict")?.map(python::truth);
    let kind = call.text("version_type")?;
    if is_strict.is_some() && kind.is_some() {
        return Err(call.error("`strict` and `version_type` exclude each other"));
    }
    if !python::truth(&call.value) || right.is_empty() {
        return Err(call.error("a version is empty"));
    }
    let compare = match kind.as_deref() {
        None if is_strict == Some(true) => versions::strict_order,
        None | Some("loose") => versions::loose_order,
        Some("strict") => versions::strict_order,
        Some("semver" | "semantic") => versions::semantic_order,
        Some("pep440") => versions::python_order,
        Some(other) => {
            return Err(call.error(&format!(
                "`{other}` is no kind of version: loose, strict, semver, semantic, pep440"
            )));
        }
    };
    let operator = call.text("operator")?;
    let holds: fn(std::cmp::Ordering) -> bool = match operator.as_deref().unwrap_or("eq") {
        "eq" | "==" | "=" => std::cmp::Ordering::is_eq,
        "ne" | "!=" | "<>" => std::cmp::Ordering::is_ne,
        "lt" | "<" => std::cmp::Ordering::is_lt,
        "le" | "<=" => std::cmp::Ordering::is_le,
        "gt" | ">" => std::cmp::Ordering::is_gt,
        "ge" | ">=" => std::cmp::Ordering::is_ge,
        other => return Err(call.error(&format!("`{other}` is not a comparison of versions"))),
    };
    compare(&left, &right).map(holds)
}

fn contains(call: &Call, container: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        return match item.as_str() {
            Some(part) => Ok(text.contains(part)),
            None => Err(call.error(&format!(
                "only a text is in a text, and this is {}",
                python::describe(item)
            ))),
        };
    }
    if !is_iterable(container) {
        return Err(call.error(&format!("nothing is in {}", python::describe(container))));
    }
    Ok(python::items(container)?
        .iter()
        .any(|other| python::equal(other, item)))
}

fn subset(call: &Call, is_super: bool) -> Result<bool, Error> {
    let (one, other) = (call.value_items()?, python::items(call.required("b")?)?);
    if let Some(item) = one
        .iter()
        .chain(&other)
        .find(|item| !python::is_hashable(item))
    {
        return Err(call.error(&format!("{} cannot be in a set", python::describe(item))));
    }
    let (small, large) = if is_super { (other, one) } else { (one, other) };
    Ok(small
        .iter()
        .all(|item| large.iter().any(|other| python::equal(item, other))))
}

fn uri(call: &Call) -> Result<Option<Url>, Error> {
    let Some(url) = call.value.as_str().and_then(Url::split) else {
        return Ok(None);
    };
    let schemes = match call.optional("schemes")? {
        None => Vec::new(),
        Some(schemes) => match schemes.as_str() {
            Some(schemes) => return Ok(schemes.contains(&url.scheme).then_some(url)),
            None => python::items(schemes)?,
        },
    };
    let fits = schemes.is_empty()
        || schemes
            .iter()
            .any(|scheme| scheme.as_str() == Some(&url.scheme));
    Ok(fits.then_some(url))
}

fn path(call: &Call) -> Result<&Path, Error> {
    call.value_text().map(Path::new)
}

fn mount(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let path = path(call)?;
    let (Ok(own), Ok(parent)) = (path.symlink_metadata(), path.join("..").symlink_metadata())
    else {
        return Ok(false);
    };
    Ok(!own.is_symlink() && (own.dev() != parent.dev() || own.ino() == parent.ino()))
}

fn same_file(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let metadata = |path: &Path| {
        path.metadata()
            .map_err(|error| call.error(&format!("{}: {error}", path.display())))
    };
    let other = call.required_text("other")?;
    let (one, other) = (metadata(path(call)?)?, metadata(Path::new(&other))?);
    Ok(one.dev() == other.dev() && one.ino() == other.ino())
}

/// A flag of a task's result.
fn result(call: &Call, key: &str) -> Result<bool, Error> {
    Ok(result_item(call, key)?.is_some_and(|value| python::truth(&value)))
}

fn result_item(call: &Call, key: &str) -> Result<Option<Value>, Error> {
    if !is_mapping(&call.value) {
        return Err(call.error(&format!(
            "the result of a task is needed, and this is {}",
            python::describe(&call.value)
        )));
    }
    let value = python::item(&call.value, &Value::from(key));
    Ok((!is_undefined(&value)).then_some(value))
}

/// Of a loop, whether any of its results has changed something.
fn changed(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    if let Some(changed) = result_item(call, "changed")? {
        return Ok(python::truth(&changed));
    }
    let results = result_item(call, "results")?.filter(is_list);
    let results = results
        .map(|results| python::items(&results))
        .transpose()?
        .unwrap_or_default();
    if results.is_empty() && result_item(call, "results")?.is_some_and(|results| is_list(&results))
    {
        return Err(call.error("the loop has no results"));
    }
    let is_changed = |result: &Value| python::truth(&python::item(result, &Value::from("changed")));
    Ok(results.first().is_some_and(is_mapping) && results.iter().any(is_changed))
}

/// Of a task in the background; every other task has begun and ended.
fn of_a_job(call: &Call, key: &str) -> Result<bool, Error> {
    Ok(match result_item(call, key)? {
        Some(value) => {
            number(&value).is_some_and(|number| (number.as_float() - 1.0).abs() < f64::EPSILON)
        }
        None => true,
    })
}

fn timed_out(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    Ok(match result_item(call, "timedout")? {
        Some(value) if is_mapping(&value) => {
            python::truth(&python::item(&value, &Value::from("period")))
        }
        _ => false,
    })
}
