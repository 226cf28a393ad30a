//! Clients of what was installed: the OCI distribution API.
//!
//! An [`ApiCall`] says what to ask, as data. This room sends requests and judges answers; it knows neither hosts nor
//! tasks, follows no proxy settings of the environment, and trusts only the authorities it is given.

mod call;

pub use call::{ApiCall, ProofImage, RegistryEndpoint};
