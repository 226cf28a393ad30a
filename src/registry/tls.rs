//! TLS for one registry: its own authorities, and its own name even where another address is connected to.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::{ApiError, ApiErrorKind};

/// A configuration that trusts these authorities (those of this machine where absent) and verifies `name`, whatever
/// address the connection was made to.
pub(super) fn configuration(ca_pem: Option<&str>, name: &str) -> Result<ClientConfig, ApiError> {
    match ca_pem {
        Some(pem) => build(given(pem)?, name),
        None => with_system(None, name),
    }
}

/// A configuration that trusts the authorities of this machine beside those given.
pub(super) fn with_system(ca_pem: Option<&str>, name: &str) -> Result<ClientConfig, ApiError> {
    let mut roots = given(ca_pem.unwrap_or_default())?;
    // Single broken files in the system's store are not this program's to judge.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    build(roots, name)
}

pub(super) fn invalid(message: String) -> ApiError {
    ApiError::new(ApiErrorKind::Invalid, message)
}

fn given(pem: &str) -> Result<RootCertStore, ApiError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|error| {
            invalid(format!(
                "the authority's certificate cannot be used: {error}"
            ))
        })?;
    }
    Ok(roots)
}

/// A configuration that trusts nobody, for clients that never use TLS: reqwest wants one all the same.
pub(super) fn unused() -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("TLS cannot be set up: {error}")))?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn build(roots: RootCertStore, name: &str) -> Result<ClientConfig, ApiError> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| invalid(format!("`{name}` is neither a host name nor an address")))?;
    if roots.is_empty() {
        return Err(invalid("there is no authority to trust".to_owned())
            .hint("name the authority's certificate in `image_registry.certificate.ca_file`"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| {
            invalid(format!(
                "the authority's certificate cannot be used: {error}"
            ))
        })?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(format!("TLS cannot be set up: {error}")))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Named { inner, name }))
        .with_no_client_auth())
}

/// Verifies as usual, against the registry's name instead of the address that was connected to.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _connected_to: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
