//! Ansible's YAML inventory: groups with `hosts`, `children` and `vars`.
use super::raw::Raw;
use crate::yaml::Node;
/// x
pub fn read(_document: &Node, _raw: &mut Raw) {}
