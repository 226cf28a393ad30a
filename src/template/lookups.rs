//! The names of the lookups. What they do is the engine's; the names are here so that a template that asks an unknown one is
//! refused before the run.

use crate::diagnostic::nearest;

/// Every lookup.
pub const LOOKUPS: &[&str] = &[
    "cartesian",
    "csvfile",
    "dict",
    "env",
    "file",
    "fileglob",
    "first_found",
    "flattened",
    "indexed_items",
    "ini",
    "inventory_hostnames",
    "items",
    "lines",
    "list",
    "nested",
    "password",
    "pipe",
    "random_choice",
    "sequence",
    "subelements",
    "template",
    "together",
    "unvault",
    "url",
    "varnames",
    "vars",
];

/// What to do about a lookup that is not there.
pub(super) fn hint(name: &str) -> String {
    if name == "config" {
        return "kk does not read `ansible.cfg`: write the value itself".to_owned();
    }
    nearest(name, LOOKUPS.iter().copied()).map_or_else(
        || format!("there are: {}", LOOKUPS.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    )
}

/// Says that a lookup is not there.
pub fn unknown_lookup(name: &str) -> String {
    format!("unknown lookup `{name}`, {}", hint(name))
}
