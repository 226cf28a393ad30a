//! Clients of what was installed: the OCI distribution API; and of the object store that a registry is to use.
//!
//! An [`ApiCall`] says what to ask, as data, and [`execute`] does it. This room sends requests and judges answers; it
//! knows neither hosts nor tasks, follows no proxy settings of the environment, and trusts only the authorities it is
//! given.

mod answer;
mod call;
mod challenge;
mod client;
mod error;
mod proof;
mod signature;
mod store;
mod tiny;
mod tls;

pub use answer::{Authentication, Health};
pub use call::{ApiCall, ProofImage, RegistryEndpoint};
pub use client::Client;
pub use error::{ApiError, ApiErrorKind};
pub use proof::execute;
pub use store::{CLOCK_LIMIT, Store, StorePlace, Stored};
pub use tiny::{Blob, TinyImage};
