//! Which filters, tests and functions there are, and which of them take something undefined.

use std::ops::Range;

use super::lookups;
use super::names::{BUILTIN_FILTERS, BUILTIN_TESTS, FUNCTIONS, OWN_FILTERS, OWN_TESTS};
use super::outside::short_name;
use super::rewrite::Mistake;
use crate::diagnostic::nearest;

/// Filters that are asked about something undefined.
pub(super) const TAKES_UNDEFINED: &[&str] = &["d", "default", "mandatory", "type_debug"];

/// Filters whose arguments may be undefined.
pub(super) const TAKES_UNDEFINED_ARGUMENTS: &[&str] = &["d", "default", "ternary"];

/// Filters that may answer with something undefined.
pub(super) const GIVES_UNDEFINED: &[&str] = &[
    "attr", "d", "default", "extract", "first", "last", "max", "min", "random", "ternary",
];

/// Filters whose result is a text, whatever it looks like.
pub(super) const MAKES_TEXT: &[&str] = &[
    "string",
    "to_json",
    "to_nice_json",
    "to_nice_yaml",
    "to_yaml",
];

/// Tests that answer about something undefined.
pub(super) const TESTS_UNDEFINED: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "false",
    "float",
    "integer",
    "mapping",
    "none",
    "number",
    "sameas",
    "string",
    "true",
    "undefined",
];

/// Something that is not there.
pub(super) struct Unknown {
    message: String,
    hint: String,
}

impl Unknown {
    pub(super) fn at(self, range: Range<usize>) -> Mistake {
        Mistake {
            message: self.message,
            hint: Some(self.hint),
            range: Some(range),
        }
    }
}

/// The filter of that name, without a collection's prefix.
pub(super) fn known_filter(name: &str) -> Result<&'static str, Unknown> {
    find("filter", name, &[BUILTIN_FILTERS, OWN_FILTERS])
}

/// The test of that name.
pub(super) fn known_test(name: &str) -> Result<&'static str, Unknown> {
    find("test", name, &[BUILTIN_TESTS, OWN_TESTS])
}

/// The function of that name.
pub(super) fn known_function(name: &str) -> Result<&'static str, Unknown> {
    find("function", name, &[FUNCTIONS])
}

/// The lookup of that name.
pub(super) fn known_lookup(name: &str) -> Result<(), Unknown> {
    let short = short_name(name);
    if lookups::LOOKUPS.contains(&short) {
        return Ok(());
    }
    Err(Unknown {
        message: format!("unknown lookup `{name}`"),
        hint: lookups::hint(short),
    })
}

fn find(kind: &str, name: &str, lists: &[&[&'static str]]) -> Result<&'static str, Unknown> {
    let all = || lists.iter().flat_map(|list| list.iter().copied());
    let short = short_name(name);
    if let Some(known) = all().find(|known| *known == short) {
        return Ok(known);
    }
    let hint = if let Some(other) = nearest(short, all()) {
        format!("did you mean `{other}`?")
    } else {
        let mut known: Vec<&str> = all()
            .filter(|name| name.starts_with(|c: char| c.is_alphabetic()))
            .collect();
        known.sort_unstable();
        known.dedup();
        format!("there are: {}", known.join(", "))
    };
    Err(Unknown {
        message: format!("unknown {kind} `{name}`"),
        hint,
    })
}
