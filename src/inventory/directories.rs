//! `group_vars/` and `host_vars/`.
use super::raw::Raw;
/// x
pub fn read(_path: &std::path::Path, _raw: &mut Raw) {}
