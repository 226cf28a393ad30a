//! The list of differences that are meant, or not done yet: `tests/ansible/differences.yaml`.

use std::collections::BTreeMap;

use kk::yaml::Node;

use super::answer::Aspect;
use super::case;

/// What differs in a case, and why.
#[derive(Debug)]
pub struct Difference {
    pub what: Vec<Aspect>,
    pub why: String,
}

/// Reads the list.
pub fn read() -> BTreeMap<String, Difference> {
    let node = case::read_yaml(&case::folder().join("differences.yaml"));
    let mut list = BTreeMap::new();
    for (name, value) in node.as_mapping().unwrap_or_default() {
        let what = value.get("what").and_then(Node::as_sequence).unwrap();
        let what: Vec<Aspect> = what
            .iter()
            .map(|node| Aspect::of(node.as_str().unwrap()))
            .collect();
        assert!(!what.is_empty(), "{name:?} differs in nothing");
        let why = value.get("why").and_then(Node::as_str).unwrap().to_owned();
        list.insert(name.as_str().unwrap().to_owned(), Difference { what, why });
    }
    list
}
