//! Ansible's and Jinja2's filters, and the most used ones of collections. A file per family; each has a table.
//!
//! The engine brings filters of its own, close to Jinja2's but not the same: all of them stand here again, so that
//! every filter binds its arguments, refuses what is undefined and sees truth and order as Python does.

mod address_math;
mod addresses;
mod call;
mod choose;
mod data;
mod dates;
mod hardware;
mod hashes;
mod lists;
mod maps;
mod markup;
mod moments;
mod network;
mod numbers;
mod passwords;
mod paths;
mod pretty;
pub(super) mod python;
mod random;
mod regex;
mod sets;
mod sort;
mod text;
mod text_wrap;
mod urls;
pub(super) mod versions;
mod yaml;
mod yaml_emitter;
mod yaml_scalar;

use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, State};

use call::Filter;
pub(super) use call::{Call, Test, refusal};
pub use data::json_text;
pub(super) use dates::now;
pub(super) use moments::difference as time_between;
pub use random::seeded_text;
pub(super) use regex::matches;
pub(super) use urls::Url;

/// The most elements, characters or repetitions that a filter makes: `range(9) | permutations` would fill the memory.
pub(super) const MAX_ELEMENTS: usize = 2_000_000;

/// A table of filters, and the collections whose names may stand before theirs.
struct Family {
    filters: &'static [Filter],
    collections: &'static [&'static str],
}

const BUILTIN: &[&str] = &["ansible.builtin.", "ansible.legacy."];
const GENERAL: &[&str] = &["community.general."];
const NETWORK: &[&str] = &["ansible.utils.", "ansible.netcommon."];

const FAMILIES: &[Family] = &[
    Family {
        filters: choose::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: data::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: dates::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: hashes::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: lists::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: maps::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: markup::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: numbers::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: paths::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: random::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: regex::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: sets::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: sort::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: text::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: urls::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: yaml::FILTERS,
        collections: BUILTIN,
    },
    Family {
        filters: data::GENERAL,
        collections: GENERAL,
    },
    Family {
        filters: dates::GENERAL,
        collections: GENERAL,
    },
    Family {
        filters: maps::GENERAL,
        collections: GENERAL,
    },
    Family {
        filters: sets::GENERAL,
        collections: GENERAL,
    },
    Family {
        filters: versions::GENERAL,
        collections: GENERAL,
    },
    Family {
        filters: addresses::FILTERS,
        collections: NETWORK,
    },
];

/// Adds all filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    for (name, filter) in all() {
        environment.add_filter(
            name,
            move |state: &mut State<'_, '_>, arguments: Rest<Value>, kwargs: Kwargs| {
                let call = Call::bind(filter.name, filter.parameters, arguments, &kwargs)?;
                (filter.apply)(state, &call)
            },
        );
    }
}

/// The names of all filters, those with a collection before them too.
pub(super) fn names() -> impl Iterator<Item = String> {
    all().map(|(name, _)| name)
}

fn all() -> impl Iterator<Item = (String, &'static Filter)> {
    FAMILIES.iter().flat_map(|family| {
        family.filters.iter().flat_map(|filter| {
            let prefixes = std::iter::once(&"").chain(family.collections);
            prefixes.map(move |prefix| (format!("{prefix}{}", filter.name), filter))
        })
    })
}
