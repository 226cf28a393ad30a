//! The names of every filter, test and function, for "unknown filter" and "did you mean".

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::{filters, tests_of_values};

/// Filters that minijinja brings and that are not made anew here; it offers no way to list them.
const BUILTIN_FILTERS: &[&str] = &["lines"];

/// Tests that minijinja brings and that are not made anew here.
const BUILTIN_TESTS: &[&str] = &["safe", "sameas", "int", "startingwith", "endingwith"];

/// Functions that a template can call.
const FUNCTIONS: &[&str] = &[
    "dict",
    "lookup",
    "namespace",
    "now",
    "q",
    "query",
    "range",
    "undef",
];

/// Filters and tests that Ansible users know and that are left out, with what to do instead.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "json_query",
        "`json_query` is left out: use `selectattr`, `map(attribute='…')` and `items2dict`",
    ),
    (
        "jc",
        "`jc` is left out: ask the command for JSON and use `from_json`",
    ),
    ("urlize", "`urlize` is left out: write the link yourself"),
    (
        "vault_encrypted",
        "`vault_encrypted` is left out: a value of a vault is opened when it is used",
    ),
];

/// The names of all filters.
pub(super) fn filters() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let builtin = BUILTIN_FILTERS.iter().map(|name| (*name).to_owned());
        filters::names().chain(builtin).collect()
    })
}

/// The names of all tests.
pub(super) fn tests() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let builtin = BUILTIN_TESTS.iter().map(|name| (*name).to_owned());
        tests_of_values::names().chain(builtin).collect()
    })
}

/// The names of all functions.
pub(super) fn functions() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| FUNCTIONS.iter().map(|name| (*name).to_owned()).collect())
}

/// What to do instead of something that is left out.
pub(super) fn left_out(name: &str) -> Option<&'static str> {
    let short = name.rsplit('.').next().unwrap_or(name);
    LEFT_OUT
        .iter()
        .find(|(other, _)| *other == short)
        .map(|(_, hint)| *hint)
}
