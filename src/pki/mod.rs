//! Certificates and passwords of the registry, made and judged on the control machine.
//!
//! [`ensure`] looks at the authority and the server certificate under the working folder and says which files would
//! have to be written; [`PkiPlan::apply`] writes them. [`check_own`] judges a certificate that the user brings.
//! [`unverified`] is for who wants no certificate judged. This room writes only where it is told to, and knows neither hosts nor settings.

mod authority;
mod certificate;
pub mod htpasswd;
mod issue;
mod names;
mod own;
pub mod password;
mod unverified;

pub use authority::{Material, PkiError, PkiPlan, PlannedFile, Wanted, ensure};
pub use names::{CertificateNames, HostNames, certificate_names, registry_host};
pub use own::{check_authorities, check_own};
pub use unverified::unverified;
