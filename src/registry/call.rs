//! Calls of the control machine against an installed registry, as data: a plan can be compared and shown.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::secret::SecretString;

/// How to reach one registry, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEndpoint {
    /// The registry's own name or address, without port and brackets: what its certificate must be valid for.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// HTTP without TLS.
    pub plain_http: bool,
    /// The only authorities that are trusted, in PEM; those of this machine where absent.
    pub ca_pem: Option<String>,
    /// Where to connect instead of where the name leads: one of several hosts, or a name that DNS does not know.
    pub connect_to: Option<IpAddr>,
    /// The entrance of a forwarding on this machine that leads to the registry; goes before `connect_to`.
    pub through: Option<SocketAddr>,
    /// User name.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl RegistryEndpoint {
    /// `host` or `host:port`, as in an image reference; an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.name);
        let default = if self.plain_http { 80 } else { 443 };
        if self.port == default {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// The registry as a person names it, with the host that is really asked.
    pub fn describe(&self) -> String {
        match self.connect_to {
            Some(address) if address.to_string() != self.name => {
                format!("{} at {address}", self.authority())
            }
            _ => self.authority(),
        }
    }
}

/// A host for a URL.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// The tiny image that proves a registry works. The same seed and architecture give the same digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofImage {
    /// Repository without the registry's name: `kk-proof/node1`.
    pub repository: String,
    /// Tag.
    pub tag: String,
    /// Text that makes it unlike any other.
    pub seed: String,
    /// `amd64`, `arm64` …
    pub architecture: String,
}

/// A call of the control machine against an installed registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiCall {
    /// Asks until the registry answers as one that is ready. Answers `{seconds, attempts, authentication}`.
    WaitReady {
        /// Whom.
        endpoint: RegistryEndpoint,
        /// How long at most.
        limit: Duration,
    },
    /// Proves that the registry asks for a password: without one and with a wrong one it refuses, with the right one
    /// it does not. Answers `{anonymous: 401, wrong_password: 401, right_password: 200}`.
    CheckAuthentication {
        /// Whom.
        endpoint: RegistryEndpoint,
    },
    /// Pushes a tiny image, reads it back by its digest and compares. Answers `{reference, digest, repository, tag,
    /// config_digest, layer_digest, size}`, where `reference` is what a host pulls.
    PushProof {
        /// Whom.
        endpoint: RegistryEndpoint,
        /// What.
        image: ProofImage,
    },
    /// Reads the image by its digest and compares, for instance on another instance. Answers as `PushProof`.
    ReadProof {
        /// Whom.
        endpoint: RegistryEndpoint,
        /// What.
        image: ProofImage,
    },
    /// Deletes the image by its digest and makes sure that it is gone; one that is not there is no failure. Answers
    /// `{digest, deleted}`.
    DeleteProof {
        /// Whom.
        endpoint: RegistryEndpoint,
        /// What.
        image: ProofImage,
    },
}

impl ApiCall {
    /// Whom it asks.
    pub const fn endpoint(&self) -> &RegistryEndpoint {
        match self {
            Self::WaitReady { endpoint, .. }
            | Self::CheckAuthentication { endpoint }
            | Self::PushProof { endpoint, .. }
            | Self::ReadProof { endpoint, .. }
            | Self::DeleteProof { endpoint, .. } => endpoint,
        }
    }

    /// The same call through a forwarding.
    #[must_use]
    pub fn through(mut self, entrance: SocketAddr) -> Self {
        match &mut self {
            Self::WaitReady { endpoint, .. }
            | Self::CheckAuthentication { endpoint }
            | Self::PushProof { endpoint, .. }
            | Self::ReadProof { endpoint, .. }
            | Self::DeleteProof { endpoint, .. } => endpoint.through = Some(entrance),
        }
        self
    }

    /// What it is for, as a fragment that fits "failed to …".
    pub fn purpose(&self) -> String {
        let registry = self.endpoint().describe();
        match self {
            Self::WaitReady { limit, .. } => {
                format!(
                    "see the registry {registry} ready within {} s",
                    limit.as_secs()
                )
            }
            Self::CheckAuthentication { .. } => {
                format!("see the registry {registry} ask for a password")
            }
            Self::PushProof { image, .. } => {
                format!("push `{}:{}` to {registry}", image.repository, image.tag)
            }
            Self::ReadProof { image, .. } => {
                format!("read `{}:{}` from {registry}", image.repository, image.tag)
            }
            Self::DeleteProof { image, .. } => {
                format!(
                    "delete `{}:{}` from {registry}",
                    image.repository, image.tag
                )
            }
        }
    }
}
