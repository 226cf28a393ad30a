//! Reading a mapping key by key; what was not read is an unknown key.

use std::cell::RefCell;

use super::Node;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// The keys of one mapping. Every key that is asked for counts as known; [`Fields::finish`] reports the others.
///
/// Mistakes are collected, not returned, so that one run shows them all.
#[derive(Debug)]
pub struct Fields<'a> {
    node: &'a Node,
    /// What the mapping is, for messages: `connector of node1`.
    what: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Reads `node`, which must be a mapping or null (an empty mapping).
    pub fn new(node: &'a Node, what: impl Into<String>) -> Result<Self, Diagnostic> {
        if node.as_mapping().is_none() && !node.is_null() {
            return Err(node.unexpected("a mapping"));
        }
        Ok(Self {
            node,
            what: what.into(),
            known: RefCell::new(Vec::new()),
        })
    }

    /// Where the mapping stands.
    pub fn place(&self) -> &Place {
        &self.node.place
    }

    /// The value of a key, null included.
    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        drop(known);
        self.node.get(key)
    }

    /// The value of a key that is there and not null.
    pub fn value(&self, key: &'static str) -> Option<&'a Node> {
        self.node(key).filter(|node| !node.is_null())
    }

    /// A text. Numbers and booleans are taken as they were written.
    pub fn text(&self, key: &'static str, found: &mut Diagnostics) -> Option<&'a str> {
        let node = self.value(key)?;
        node.expect_str()
            .map_err(|diagnostic| found.push(diagnostic))
            .ok()
    }

    /// A boolean.
    pub fn boolean(&self, key: &'static str, found: &mut Diagnostics) -> Option<bool> {
        let node = self.value(key)?;
        let value = node.as_bool();
        if value.is_none() {
            found.push(node.unexpected("a boolean").hint("write `true` or `false`"));
        }
        value
    }

    /// A number, within the range of its type.
    pub fn number<T: std::str::FromStr>(
        &self,
        key: &'static str,
        found: &mut Diagnostics,
    ) -> Option<T> {
        let node = self.value(key)?;
        let value = node.as_str().and_then(|text| text.parse().ok());
        if value.is_none() {
            found.push(node.unexpected("a whole number in range"));
        }
        value
    }

    /// A list of texts; a single text counts as a list of one.
    pub fn texts(&self, key: &'static str, found: &mut Diagnostics) -> Option<Vec<&'a Node>> {
        let node = self.value(key)?;
        if node.as_str().is_some() {
            return Some(vec![node]);
        }
        let Some(items) = node.as_sequence() else {
            found.push(node.unexpected("a list"));
            return None;
        };
        for item in items {
            if let Err(diagnostic) = item.expect_str() {
                found.push(diagnostic);
            }
        }
        Some(
            items
                .iter()
                .filter(|item| item.as_str().is_some())
                .collect(),
        )
    }

    /// Pairs whose keys have not been asked for.
    pub fn rest(&self) -> Vec<&'a (Node, Node)> {
        let known = self.known.borrow();
        let pairs = self.node.as_mapping().unwrap_or_default();
        pairs
            .iter()
            .filter(|(key, _)| key.as_str().is_none_or(|name| !known.contains(&name)))
            .collect()
    }

    /// Reports every key that nothing asked for.
    pub fn finish(self, found: &mut Diagnostics) {
        for (key, _) in self.rest() {
            let name = key.as_str().unwrap_or_default();
            let known = self.known.borrow();
            let diagnostic =
                Diagnostic::at(&key.place, format!("unknown key `{name}` in {}", self.what));
            let suggested = diagnostic.suggest(name, known.iter().copied());
            found.push(if suggested.hint.is_some() {
                suggested
            } else {
                suggested.hint(format!("known here: {}", known.join(", ")))
            });
        }
    }
}
