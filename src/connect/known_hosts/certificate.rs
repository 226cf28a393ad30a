//! Host certificates of OpenSSH.

use russh::keys::Certificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Algorithm, HashAlg};

/// Whether a certificate by a trusted authority is good for a host at a time (seconds since 1970); the reason if not.
///
/// That the authority is trusted is the caller's part, and so is the proof that the other end has the key in it.
pub(super) fn check(certificate: &Certificate, host: &str, now: u64) -> Result<(), String> {
    let label = certificate.key_id();
    if certificate.cert_type() != CertType::Host {
        return Err(format!(
            "the certificate `{label}` is for a user, not a host"
        ));
    }
    if let Some(option) = certificate.critical_options().0.keys().next() {
        return Err(format!(
            "the certificate `{label}` demands `{option}`, which is not known"
        ));
    }
    if now < certificate.valid_after() {
        return Err(format!("the certificate `{label}` is not valid yet"));
    }
    if now >= certificate.valid_before() {
        return Err(format!("the certificate `{label}` has expired"));
    }
    let host = host.to_lowercase();
    // As OpenSSH: the host in lower case, the principals as they are, no patterns.
    if !certificate.valid_principals().contains(&host) {
        return Err(format!(
            "the certificate `{label}` is for {}, not for `{host}`",
            listed(certificate.valid_principals())
        ));
    }
    let algorithm = certificate.signature().algorithm();
    if matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        return Err(format!(
            "the certificate `{label}` is signed with `{}`, which is not safe any more",
            algorithm.as_str()
        ));
    }
    certificate
        .validate_at(
            now,
            [&certificate.signature_key().fingerprint(HashAlg::Sha256)],
        )
        .map_err(|_| format!("the signature of the certificate `{label}` is wrong"))
}

fn listed(principals: &[String]) -> String {
    if principals.is_empty() {
        return "no host in particular".to_owned();
    }
    let quoted: Vec<String> = principals
        .iter()
        .map(|principal| format!("`{principal}`"))
        .collect();
    quoted.join(", ")
}
