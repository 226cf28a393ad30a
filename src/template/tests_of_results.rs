//! Ansible's tests of what tasks returned, of files of this machine and of addresses.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use minijinja::value::Value;
use minijinja::{Error, State};

use super::filters::python::{self, is_list, is_mapping, number};
use super::filters::{Call, Url};
use super::missing::is_undefined;

pub(super) fn uri(call: &Call) -> Result<Option<Url>, Error> {
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

pub(super) fn path(call: &Call) -> Result<&Path, Error> {
    call.value_text().map(Path::new)
}

pub(super) fn mount(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let path = path(call)?;
    let (Ok(own), Ok(parent)) = (path.symlink_metadata(), path.join("..").symlink_metadata())
    else {
        return Ok(false);
    };
    Ok(!own.is_symlink() && (own.dev() != parent.dev() || own.ino() == parent.ino()))
}

pub(super) fn same_file(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    let metadata = |path: &Path| {
        path.metadata()
            .map_err(|error| call.error(&format!("{}: {error}", path.display())))
    };
    let other = call.required_text("other")?;
    let (one, other) = (metadata(path(call)?)?, metadata(Path::new(&other))?);
    Ok(one.dev() == other.dev() && one.ino() == other.ino())
}

/// A flag of a task's result.
pub(super) fn result(call: &Call, key: &str) -> Result<bool, Error> {
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
pub(super) fn changed(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
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
pub(super) fn of_a_job(call: &Call, key: &str) -> Result<bool, Error> {
    Ok(match result_item(call, key)? {
        Some(value) => {
            number(&value).is_some_and(|number| (number.as_float() - 1.0).abs() < f64::EPSILON)
        }
        None => true,
    })
}

pub(super) fn timed_out(_: &mut State<'_, '_>, call: &Call) -> Result<bool, Error> {
    Ok(match result_item(call, "timedout")? {
        Some(value) if is_mapping(&value) => {
            python::truth(&python::item(&value, &Value::from("period")))
        }
        _ => false,
    })
}
