//! Filters with regular expressions.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::super::environment::invalid;
use super::call::{Call, Filter};
use super::python::{self, list};
use crate::python_regex::{self, Captures, Flags, PythonRegex, Replacement};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "regex_replace",
        parameters: &[
            "pattern",
            "replacement",
            "ignorecase",
            "multiline",
            "count",
            "mandatory_count",
        ],
        apply: regex_replace,
    },
    Filter {
        name: "regex_search",
        parameters: &["regex", "*", "**"],
        apply: regex_search,
    },
    Filter {
        name: "regex_findall",
        parameters: &["regex", "multiline", "ignorecase"],
        apply: regex_findall,
    },
    Filter {
        name: "regex_escape",
        parameters: &["re_type"],
        apply: regex_escape,
    },
];

fn compile(pattern: &str, ignore_case: bool, multi_line: bool) -> Result<PythonRegex, Error> {
    let flags = Flags {
        ignore_case,
        multi_line,
        dot_all: false,
    };
    PythonRegex::new(pattern, flags).map_err(invalid)
}

/// Whether a text matches, for the tests `match`, `search` and `regex`.
pub(in super::super) fn matches(call: &Call, how: &str) -> Result<bool, Error> {
    let text = call.value_as_text()?;
    let pattern = call.text("pattern")?.unwrap_or_default();
    let pattern = if how == "fullmatch" {
        format!("(?:{pattern})\\Z")
    } else {
        pattern
    };
    let regex = compile(
        &pattern,
        call.flag("ignorecase", false)?,
        call.flag("multiline", false)?,
    )?;
    let found = match how {
        "match" | "fullmatch" => regex.match_start(&text),
        "search" => regex.search(&text),
        other => return Err(call.error(&format!("`{other}` is none of search, match, fullmatch"))),
    };
    Ok(found.map_err(invalid)?.is_some())
}

fn regex_replace(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let pattern = call.text("pattern")?.unwrap_or_default();
    let regex = compile(
        &pattern,
        call.flag("ignorecase", false)?,
        call.flag("multiline", false)?,
    )?;
    let with = call.text("replacement")?.unwrap_or_default();
    let with = Replacement::new(&with, &regex).map_err(invalid)?;
    let count = call.count("count", 0)?;
    let (new, found) = regex
        .replace(&text, &with, (count > 0).then_some(count))
        .map_err(invalid)?;
    let mandatory = call.count("mandatory_count", 0)?;
    if mandatory != 0 && mandatory != found {
        return Err(invalid(format!(
            "`{pattern}` matches {found} times, and should match {mandatory} times"
        )));
    }
    Ok(Value::from(new))
}

fn regex_search(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let pattern = call.required_text("regex")?;
    let flag = |name: &str| {
        call.named
            .iter()
            .any(|(key, value)| key == name && python::truth(value))
    };
    let regex = compile(&pattern, flag("ignorecase"), flag("multiline"))?;
    let groups = call
        .rest
        .iter()
        .map(|group| group_number(group, &regex))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(found) = regex.search(&text).map_err(invalid)? else {
        return Ok(Value::from(()));
    };
    if groups.is_empty() {
        return Ok(group(&found, 0));
    }
    if let Some(number) = groups.iter().find(|number| **number > regex.groups()) {
        return Err(invalid(format!("`{pattern}` has no group {number}")));
    }
    Ok(list(
        groups.iter().map(|number| group(&found, *number)).collect(),
    ))
}

/// `\1` or `\g<name>`.
fn group_number(argument: &Value, regex: &PythonRegex) -> Result<usize, Error> {
    let text = argument.as_str().unwrap_or_default();
    let unknown = || {
        invalid(format!(
            "`{text}` is no group: write `\\\\1` or `\\\\g<name>`"
        ))
    };
    if let Some(name) = text.strip_prefix("\\g<") {
        let (name, _) = name.split_once('>').ok_or_else(unknown)?;
        return name
            .parse()
            .ok()
            .or_else(|| regex.group_called(name))
            .ok_or_else(|| invalid(format!("there is no group `{name}`")));
    }
    let digits = text.strip_prefix('\\').ok_or_else(unknown)?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits
        .get(..end)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(unknown)
}

fn group(found: &Captures<'_>, number: usize) -> Value {
    found
        .get(number)
        .map_or_else(|| Value::from(()), |group| Value::from(group.as_str()))
}

fn regex_findall(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let regex = compile(
        &call.required_text("regex")?,
        call.flag("ignorecase", false)?,
        call.flag("multiline", false)?,
    )?;
    let word = |found: &Captures<'_>, number: usize| {
        Value::from(found.get(number).map_or("", |group| group.as_str()))
    };
    let all = regex.find_all(&text, None).map_err(invalid)?;
    let all = all.iter().map(|found| match regex.groups() {
        0 => word(found, 0),
        1 => word(found, 1),
        groups => python::tuple((1..=groups).map(|number| word(found, number)).collect()),
    });
    Ok(list(all.collect()))
}

fn regex_escape(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    match call.text("re_type")?.as_deref().unwrap_or("python") {
        "python" => Ok(Value::from(python_regex::escape(&text))),
        "posix_basic" => {
            let mut escaped = String::new();
            for character in text.chars() {
                if "[].^$*\\".contains(character) {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
            Ok(Value::from(escaped))
        }
        other => Err(call.error(&format!(
            "`{other}` is not a kind of expression that can be escaped: python, posix_basic"
        ))),
    }
}
