//! What can go wrong with a registry, in words, with what to do.

use std::error::Error as StdError;
use std::io;

use rustls::{CertificateError, InvalidMessage};

/// Why a call of a registry failed. The message is a fragment that fits "failed to push …: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For decisions.
    pub kind: ApiErrorKind,
    /// One line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Kinds of [`ApiError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// No connection, or it broke off.
    Unreachable,
    /// TLS or the certificate.
    Tls,
    /// User or password.
    Authentication,
    /// Something else answers there.
    NotARegistry,
    /// The registry refused: its status.
    Status(u16),
    /// What came back is not what was sent, or what should not be possible is.
    Proof,
    /// The time was over.
    TimedOut,
    /// The user broke it off.
    Cancelled,
    /// A call that makes no sense: a bad name or certificate given.
    Invalid,
}

impl ApiError {
    pub(super) fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What came back is not what was put into a bucket.
    pub fn wrong_content(bucket: &str) -> Self {
        Self::new(
            ApiErrorKind::Proof,
            format!("what was read from the bucket `{bucket}` is not what was written"),
        )
        .hint("look whether all hosts reach the same service")
    }

    /// A host did not come to an address in time.
    pub fn unreached(address: &str, port: u16, seconds: u64) -> Self {
        Self::new(
            ApiErrorKind::Unreachable,
            format!("{address} port {port} did not answer within {seconds} s"),
        )
        .hint("look whether the service runs, whether the address is right, and at the firewalls on the way")
    }

    pub(super) fn cancelled() -> Self {
        Self::new(ApiErrorKind::Cancelled, "interrupted")
    }

    /// A request that got no answer, in words.
    pub(super) fn transport(error: &reqwest::Error, registry: &str, limit: u64) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        let mut last = error.to_string();
        let mut system = None;
        while let Some(current) = cause {
            last = current.to_string();
            cause = current.source();
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                return Self::tls(tls, registry);
            }
            if let Some(error) = current.downcast_ref::<io::Error>() {
                system = Some(error);
                // What an I/O error wraps is not among its sources.
                cause = match error.get_ref() {
                    Some(inner) => Some(inner),
                    None => cause,
                };
            }
            if last.contains("dns error") || last.contains("failed to lookup address") {
                return Self::new(
                    ApiErrorKind::Unreachable,
                    format!("the name of {registry} cannot be resolved on this machine"),
                )
                .hint(
                    "add it to DNS or `/etc/hosts`, or set `image_registry.trust.hosts_entry=true`",
                );
            }
        }
        if let Some(error) = system {
            return Self::system(error, registry);
        }
        if last.contains("connection closed before message completed") {
            return Self::system(&io::ErrorKind::UnexpectedEof.into(), registry);
        }
        if error.is_timeout() {
            return Self::new(
                ApiErrorKind::Unreachable,
                format!("{registry} did not answer within {limit} s"),
            )
            .hint("check the network and the firewalls between this machine and the registry");
        }
        Self::new(
            ApiErrorKind::Unreachable,
            format!("{registry} cannot be asked: {last}"),
        )
    }

    fn system(error: &io::Error, registry: &str) -> Self {
        let (words, hint) = match error.kind() {
            io::ErrorKind::ConnectionRefused => (
                "refused the connection: nothing listens on that port",
                "check that the registry runs (`systemctl status` on its host) and that the port is right",
            ),
            io::ErrorKind::TimedOut => (
                "did not answer",
                "check the network and the firewalls between this machine and the registry",
            ),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => (
                "cannot be reached from this machine",
                "check the address and the routes",
            ),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                ("broke off the connection", "look at the registry's log")
            }
            _ => {
                return Self::new(
                    ApiErrorKind::Unreachable,
                    format!("{registry} cannot be asked: {error}"),
                );
            }
        };
        Self::new(ApiErrorKind::Unreachable, format!("{registry} {words}")).hint(hint)
    }

    fn tls(error: &rustls::Error, registry: &str) -> Self {
        let (words, hint) = match error {
            rustls::Error::InvalidCertificate(problem) => {
                return Self::certificate(problem, registry);
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
                "answers without TLS on that port".to_owned(),
                "another program may listen there; for a registry without TLS set `image_registry.auth.plain_http=true`",
            ),
            rustls::Error::AlertReceived(alert) => (
                format!("ended the TLS handshake: {alert:?}"),
                "look at the registry's log",
            ),
            other => (
                format!("fails at TLS: {other}"),
                "look at the registry's log",
            ),
        };
        Self::new(ApiErrorKind::Tls, format!("{registry} {words}")).hint(hint)
    }

    fn certificate(problem: &CertificateError, registry: &str) -> Self {
        let (words, hint) = match problem {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => (
                "was issued by an authority that is not trusted here".to_owned(),
                "another program may answer there; with a certificate of your own, name its authority in `image_registry.certificate.ca_file`",
            ),
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => (
                format!(
                    "is not valid for `{}`, only for {}",
                    expected.to_str(),
                    presented_names(presented)
                ),
                "use a name from the certificate as `image_registry.auth.registry`, or renew the certificate",
            ),
            CertificateError::NotValidForName => (
                "is not valid for that name".to_owned(),
                "use a name from the certificate as `image_registry.auth.registry`, or renew the certificate",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                "has expired".to_owned(),
                "renew it (`kk certs renew`), and check this machine's clock",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                "is not valid yet".to_owned(),
                "check the clocks of this machine and of the registry's host",
            ),
            other => (
                format!("is not accepted: {other}"),
                "look at it with `openssl s_client`",
            ),
        };
        Self::new(
            ApiErrorKind::Tls,
            format!("the certificate of {registry} {words}"),
        )
        .hint(hint)
    }
}

/// Names as the verifier lists them (`DnsName("a")`, `IpAddress(10.0.0.1)`) in plain words.
fn presented_names(presented: &[String]) -> String {
    let names: Vec<&str> = presented
        .iter()
        .map(|name| {
            let inner = name
                .split_once('(')
                .and_then(|(_, rest)| rest.strip_suffix(')'));
            inner.unwrap_or(name).trim_matches('"')
        })
        .collect();
    if names.is_empty() {
        "no name at all".to_owned()
    } else {
        names.join(", ")
    }
}
