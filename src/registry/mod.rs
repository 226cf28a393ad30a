//! Clients of what was installed: the OCI distribution API now, Harbor's later.

/// A call of the control machine against an installed registry, as data.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiCall {}
