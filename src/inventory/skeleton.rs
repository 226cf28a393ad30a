//! The inventory that `kk create inventory` writes.

/// A commented template. It loads as it stands, and describes an installation on this machine alone.
pub const fn skeleton() -> &'static str {
    include_str!("skeleton.yaml")
}
