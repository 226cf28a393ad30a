//! Ansible's INI inventory.
use super::raw::Raw;
use crate::diagnostic::Source;
use std::sync::Arc;
/// x
pub fn read(_source: &Arc<Source>, _raw: &mut Raw) {}
