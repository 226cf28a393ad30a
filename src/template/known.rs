//! Which filters, tests and functions there are, and which of them take something undefined.

use std::collections::BTreeSet;
use std::ops::Range;

use super::outside::short_name;
use super::rewrite::Mistake;
use super::{lookups, names};
use crate::diagnostic::nearest;

/// Filters that are asked about something undefined.
pub(super) const TAKES_UNDEFINED: &[&str] = &["d", "default", "items", "mandatory", "type_debug"];

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
    find("filter", name, names::filters())
}

/// The test of that name.
pub(super) fn known_test(name: &str) -> Result<&'static str, Unknown> {
    find("test", name, names::tests())
}

/// The function of that name.
pub(super) fn known_function(name: &str) -> Result<&'static str, Unknown> {
    find("function", name, names::functions())
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

fn find(kind: &str, name: &str, all: &'static BTreeSet<String>) -> Result<&'static str, Unknown> {
    let short = short_name(name);
    if let Some(known) = all.get(short) {
        return Ok(known);
    }
    let hint = if let Some(hint) = names::left_out(short) {
        hint.to_owned()
    } else if let Some(other) = nearest(short, all.iter().map(String::as_str)) {
        format!("did you mean `{other}`?")
    } else {
        match kind {
            "filter" => "there are those of Jinja2 and ansible-core, `ipaddr` and its relatives, and the most used \
                         ones of community.general"
                .to_owned(),
            "test" => "there are those of Jinja2 and ansible-core".to_owned(),
            _ => {
                let names: Vec<&str> = all.iter().map(String::as_str).collect();
                format!("there are: {}", names.join(", "))
            }
        }
    };
    Err(Unknown {
        message: format!("unknown {kind} `{name}`"),
        hint,
    })
}
