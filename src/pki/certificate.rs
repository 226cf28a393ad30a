//! Looking into certificates and keys in PEM.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::names::CertificateNames;

/// All certificates of a PEM text, in order, as DER.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match parsed {
        Ok(list) if list.is_empty() => Err("holds no certificate in PEM form".to_owned()),
        Ok(list) => {
            for der in &list {
                parse(der)?;
            }
            Ok(list)
        }
        Err(error) => Err(format!("holds a broken PEM block: {error}")),
    }
}

/// A certificate to look into.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| format!("holds a certificate that cannot be understood: {error}"))
}

/// The private key of a PEM text.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    if pem.contains("ENCRYPTED") {
        return Err("holds a private key that is protected by a passphrase".to_owned());
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            "holds no private key in PEM form".to_owned()
        }
        other => format!("holds a broken PEM block: {other}"),
    })
}

/// The subject alternative names of a certificate; other kinds than names and addresses are left out.
pub(super) fn names(certificate: &X509Certificate<'_>) -> CertificateNames {
    let mut names = CertificateNames::default();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return names;
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(text) => names.add(text),
            GeneralName::IPAddress(bytes) => {
                if let Some(address) = address(bytes) {
                    names.addresses.push(address);
                }
            }
            _ => {}
        }
    }
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

/// Whether a certificate may stand for a TLS server.
pub(super) fn is_for_servers(certificate: &X509Certificate<'_>) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.server_auth || usage.value.any,
        Ok(None) => true,
        Err(_) => false,
    }
}

/// The first and the last moment of a certificate.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> (OffsetDateTime, OffsetDateTime) {
    let validity = certificate.validity();
    (
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    )
}

/// A day for people: `2031-02-03`.
pub(super) fn day(moment: OffsetDateTime) -> String {
    moment.date().to_string()
}

/// Whether `issuer` signed `certificate`.
pub(super) fn is_signed_by(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> bool {
    certificate.issuer() == issuer.subject()
        && certificate
            .verify_signature(Some(issuer.public_key()))
            .is_ok()
}

/// The last moment of the first certificate of a PEM text.
pub(super) fn last_moment(pem: &str) -> Result<OffsetDateTime, String> {
    let list = certificates(pem)?;
    let seen = parse(list.first().map(AsRef::as_ref).unwrap_or_default())?;
    Ok(validity(&seen).1)
}
