//! What the files say, before anything is put together: hosts, groups and variables with their places.

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::yaml::Node;

/// Keys and values with places, in the order written.
pub type Variables = Vec<(Node, Node)>;

/// Everything that all files of an inventory say.
#[derive(Debug, Default)]
pub struct Raw {
    pub hosts: IndexMap<String, RawHost>,
    pub groups: IndexMap<String, RawGroup>,
    pub found: Diagnostics,
}

/// One host as written.
#[derive(Debug, Default)]
pub struct RawHost {
    pub place: Option<Place>,
    pub connector: Variables,
    pub vars: Variables,
    pub directory_vars: Variables,
}

/// One group as written.
#[derive(Debug, Default)]
pub struct RawGroup {
    pub place: Option<Place>,
    pub hosts: Vec<Reference>,
    pub groups: Vec<Reference>,
    pub vars: Variables,
    pub directory_vars: Variables,
}

/// A name that stands for something declared elsewhere.
#[derive(Debug, Clone)]
pub struct Reference {
    pub name: String,
    pub place: Place,
}

impl Raw {
    /// Declares a host; a second declaration adds to the first.
    pub fn host(&mut self, name: &str, place: &Place) -> &mut RawHost {
        let host = self.hosts.entry(name.to_owned()).or_default();
        host.place.get_or_insert_with(|| place.clone());
        host
    }

    /// Declares a group; a second declaration adds to the first.
    pub fn group(&mut self, name: &str, place: &Place) -> &mut RawGroup {
        let group = self.groups.entry(name.to_owned()).or_default();
        group.place.get_or_insert_with(|| place.clone());
        group
    }

    /// Declares `localhost` where a group names it: it alone needs no declaration.
    pub fn declare_localhost(&mut self) {
        let place = self
            .groups
            .values()
            .flat_map(|group| &group.hosts)
            .find(|reference| reference.name == super::LOCALHOST)
            .map(|reference| reference.place.clone());
        if let Some(place) = place {
            self.host(super::LOCALHOST, &place);
        }
    }

    /// Reports a name that cannot be a host's or a group's.
    pub fn check_name(&mut self, kind: &str, name: &str, place: &Place) -> bool {
        let reason = name_fault(name);
        if let Some(reason) = reason {
            self.found.push(
                Diagnostic::at(place, format!("`{name}` cannot be the name of a {kind}"))
                    .label(reason)
                    .hint("use letters, digits, `-`, `_` and `.`"),
            );
        }
        reason.is_none()
    }
}

/// Why a name would be misread in a host pattern or on a command line.
fn name_fault(name: &str) -> Option<&'static str> {
    let is_ipv6 = name.parse::<std::net::Ipv6Addr>().is_ok();
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 253 {
        Some("it is longer than 253 characters")
    } else if name.starts_with(['-', '!', '&', '~', '@']) {
        Some("it begins with a character that has a meaning in host patterns")
    } else if name.chars().any(char::is_whitespace) {
        Some("it contains white space")
    } else if name.chars().any(char::is_control) {
        Some("it contains a control character")
    } else if !is_ipv6
        && name.contains([
            ':', ',', '*', '?', '[', ']', '{', '}', '/', '\\', '\'', '"', '`', '$',
        ])
    {
        Some("it contains a character that has a meaning elsewhere")
    } else {
        None
    }
}

/// Adds variables; one that is there already is replaced, in its old position.
pub fn merge(into: &mut Variables, more: impl IntoIterator<Item = (Node, Node)>) {
    for (key, value) in more {
        let name = key.as_str().unwrap_or_default().to_owned();
        match into
            .iter_mut()
            .find(|(other, _)| other.as_str() == Some(name.as_str()))
        {
            Some(slot) => *slot = (key, value),
            None => into.push((key, value)),
        }
    }
}
