//! Making keys and certificates.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::authority::{PkiError, Wanted};
use super::certificate;

/// More is refused by clients that follow the rules of the browsers.
pub(super) const LONGEST_SERVER_DAYS: u32 = 825;

/// A new certificate is valid from this long ago, for hosts whose clocks are behind.
const BACKDATED: Duration = Duration::days(1);

pub(super) fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|error| making(&error))
}

/// Two authorities must not have one name: trust stores look them up by it.
pub(super) fn authority_name(key: &KeyPair) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(key.subject_public_key_info());
    let short = hash
        .iter()
        .take(4)
        .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    format!("kk registry authority {short:08x}")
}

pub(super) fn sign_authority(
    key: &KeyPair,
    name: String,
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<String, PkiError> {
    let mut parameters = parameters(name, now, wanted.authority_days);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let certificate = parameters
        .self_signed(key)
        .map_err(|error| making(&error))?;
    Ok(certificate.pem())
}

/// A new server certificate and its key, in this order, signed by an authority's key.
pub(super) fn issue(
    authority: &str,
    key: &KeyPair,
    wanted: &Wanted,
    now: OffsetDateTime,
) -> Result<(String, String), PkiError> {
    let issuer = Issuer::from_ca_cert_pem(authority, key).map_err(|error| making(&error))?;
    let texts = wanted.names.texts();
    let name = texts.iter().find(|text| text.len() <= 64).cloned();
    let name = name.unwrap_or_else(|| "kk registry".to_owned());
    let mut parameters = parameters(name, now, wanted.server_days.min(LONGEST_SERVER_DAYS));
    // A server certificate that outlives its authority only looks valid.
    let end = certificate::last_moment(authority).unwrap_or(parameters.not_after);
    parameters.not_after = parameters.not_after.min(end);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    for name in &wanted.names.dns {
        let name = name.as_str().try_into().map_err(|error| making(&error))?;
        parameters.subject_alt_names.push(SanType::DnsName(name));
    }
    let addresses = wanted.names.addresses.iter().copied();
    parameters
        .subject_alt_names
        .extend(addresses.map(SanType::IpAddress));
    let server = new_key()?;
    let certificate = parameters
        .signed_by(&server, &issuer)
        .map_err(|error| making(&error))?;
    Ok((certificate.pem(), server.serialize_pem()))
}

fn parameters(name: String, now: OffsetDateTime, days: u32) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    // Certificates count whole seconds.
    let start = now.replace_nanosecond(0).unwrap_or(now) - BACKDATED;
    parameters.not_before = start;
    // The last second counts.
    parameters.not_after = start + Duration::days(i64::from(days)) - Duration::SECOND;
    let mut serial: [u8; 16] = rand::random();
    if let Some(first) = serial.first_mut() {
        // Positive, and never shortened.
        *first = (*first & 0x7f) | 0x40;
    }
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters
}

fn making(error: &rcgen::Error) -> PkiError {
    PkiError::new(
        format!("a certificate could not be made: {error}"),
        "this is a mistake in the program: please report it",
    )
}
