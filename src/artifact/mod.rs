//! Offline packages: what there is, where it lies, whether it is what it claims to be.
//!
//! The catalogue (`artifacts/*.yaml`) says for each item its path in the folder of offline packages, how it is read
//! and how it is made. [`locate`] finds the file, [`read`] reads it once from end to end, [`compare`] holds it
//! against what was asked for, and [`Cache`] remembers what was read, so that gigabytes are hashed once.
//!
//! This room reads files of the control machine and writes one, its cache. It knows no host and no network.
//! Everything here blocks: call it from a thread that may.

mod cache;
mod catalogue;
mod contents;
mod detect;
mod elf;
mod fault;
mod image;
mod inspect;
mod locate;
mod needs;
#[cfg(test)]
pub(crate) mod samples;
mod stream;
mod sums;
mod tarball;

pub use cache::Cache;
pub use catalogue::{Catalogue, Item, Kind, bare, machine};
pub use contents::{Binary, Contents, Image, Inspection, Packing};
pub use fault::{Fault, InspectError};
pub use inspect::{Expect, Fit, compare, inspect, read};
pub use locate::{Located, Missing, locate};
pub use needs::{Need, Package, PackageError, examine, needs};
pub use stream::Watch;
pub use sums::{Sum, known as known_sums};
