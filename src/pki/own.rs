//! Judging a certificate that the user brings, before anything is installed with it.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;

use super::certificate::{self, day, is_signed_by};
use super::names::CertificateNames;
use crate::diagnostic::Diagnostic;

/// Fewer days left than this are worth a warning.
const SOON: Duration = Duration::days(30);

/// Everything that is wrong with a certificate (leaf first, its chain after it), its key and the authority to trust,
/// all in PEM. Errors mean that clients would refuse it; warnings that they will soon, or that it cannot be known.
///
/// `wanted` is what clients call the registry, and no more: a bought certificate does not name every host.
pub fn check_own(
    certificate_pem: &str,
    key_pem: &str,
    authority_pem: Option<&str>,
    wanted: &CertificateNames,
    now: OffsetDateTime,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let list = certificate::certificates(certificate_pem)
        .map_err(|what| {
            found.push(problem(
                "certificate file",
                &what,
                "name a PEM file with the server's certificate first",
            ));
        })
        .unwrap_or_default();
    let key = certificate::private_key(key_pem)
        .map_err(|what| {
            let hint = if what.contains("passphrase") {
                "the registry starts without anybody to type it: `openssl pkey -in KEY -out PLAIN_KEY`"
            } else {
                "name the PEM file with the private key of the certificate"
            };
            found.push(problem("key file", &what, hint));
        })
        .ok();
    let authorities = match authority_pem.map(certificate::certificates) {
        None => None,
        Some(Ok(list)) => Some(list),
        Some(Err(what)) => {
            found.push(problem(
                "authority file",
                &what,
                "name a PEM file with the authority's certificate",
            ));
            None
        }
    };
    let chain: Vec<X509Certificate<'_>> = list
        .iter()
        .filter_map(|der| certificate::parse(der).ok())
        .collect();
    let Some(leaf) = chain.first() else {
        return found;
    };
    if let Some(key) = &key {
        check_key(key, &chain, &mut found);
    }
    check_names(leaf, wanted, &mut found);
    check_dates(&chain, now, &mut found);
    check_uses(leaf, &mut found);
    let trusted: Vec<X509Certificate<'_>> = authorities
        .iter()
        .flatten()
        .filter_map(|der| certificate::parse(der).ok())
        .collect();
    check_chain(
        &chain,
        authorities.is_some().then_some(trusted.as_slice()),
        &mut found,
    );
    if found.is_empty()
        && let Some(authorities) = &authorities
        && let Err(what) = verify_as_a_client(&list, authorities, wanted, now)
    {
        found.push(problem(
            "certificate",
            &format!("would be refused by clients: {what}"),
            "ask its issuer for a certificate for a TLS server",
        ));
    }
    found
}

/// What is wrong with a file of authorities, in PEM, that a program is to trust.
pub fn check_authorities(pem: &str, now: OffsetDateTime) -> Option<Diagnostic> {
    let hint = "name a PEM file with the authority's certificate";
    let list = match certificate::certificates(pem) {
        Ok(list) => list,
        Err(what) => return Some(problem("authority file", &what, hint)),
    };
    let parsed: Vec<X509Certificate<'_>> = list
        .iter()
        .filter_map(|der| certificate::parse(der).ok())
        .collect();
    let is_over = |certificate: &X509Certificate<'_>| {
        certificate.validity().not_after.timestamp() < now.unix_timestamp()
    };
    if parsed.is_empty() {
        return Some(problem("authority file", "has no certificate", hint));
    }
    parsed.iter().all(is_over).then(|| {
        problem(
            "authority",
            "has expired",
            "ask for the one that is in use now",
        )
    })
}

fn problem(what: &str, message: &str, hint: &str) -> Diagnostic {
    Diagnostic::error(format!("the {what} {message}")).hint(hint)
}

fn check_key(
    key: &PrivateKeyDer<'static>,
    chain: &[X509Certificate<'_>],
    found: &mut Vec<Diagnostic>,
) {
    let Ok(key) = rustls::crypto::ring::sign::any_supported_type(key) else {
        found.push(problem(
            "key file",
            "holds a key of a kind that cannot be used",
            "use RSA of at least 2048 bits, ECDSA P-256 or P-384, or Ed25519",
        ));
        return;
    };
    let Some(public) = key.public_key() else {
        return;
    };
    let belongs =
        |certificate: &X509Certificate<'_>| certificate.public_key().raw == public.as_ref();
    match chain.iter().position(belongs) {
        Some(0) => {}
        Some(_) => found.push(problem(
            "certificate file",
            "has the server's own certificate not in the first place",
            "put the certificate of the key first, then those that lead to the authority",
        )),
        None => found.push(problem(
            "key",
            "does not belong to the certificate",
            "name the key that the certificate was requested with",
        )),
    }
}

fn check_names(leaf: &X509Certificate<'_>, wanted: &CertificateNames, found: &mut Vec<Diagnostic>) {
    let names = certificate::names(leaf);
    if names == CertificateNames::default() {
        found.push(problem(
            "certificate",
            "has no subject alternative names; its common name alone is refused by Docker and every current client",
            "ask for a certificate with the registry's name as subject alternative name",
        ));
        return;
    }
    let missing = wanted.missing_in(&names);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "is not valid for {}, only for {}",
            missing.join(", "),
            names.texts().join(", ")
        );
        let hint = "set `image_registry.auth.registry` to a name in the certificate, or get one with that name";
        found.push(problem("certificate", &message, hint));
    }
}

fn check_dates(chain: &[X509Certificate<'_>], now: OffsetDateTime, found: &mut Vec<Diagnostic>) {
    for certificate in chain {
        let (start, end) = certificate::validity(certificate);
        let name = certificate.subject();
        if end <= now {
            found.push(problem(
                "certificate",
                &format!("of `{name}` expired on {}", day(end)),
                "get a new one",
            ));
        } else if start > now {
            let message = format!("of `{name}` is not valid before {}", day(start));
            found.push(problem(
                "certificate",
                &message,
                "check this machine's clock",
            ));
        } else if end <= now + SOON {
            let message = format!("the certificate of `{name}` expires on {}", day(end));
            found.push(Diagnostic::warning(message).hint("get a new one soon"));
        }
    }
}

fn check_uses(leaf: &X509Certificate<'_>, found: &mut Vec<Diagnostic>) {
    if leaf.is_ca() {
        found.push(problem(
            "certificate",
            "is that of an authority, not of a server",
            "name the server's certificate; the authority's belongs into `ca_file`",
        ));
    }
    if !certificate::is_for_servers(leaf) {
        found.push(problem(
            "certificate",
            "is not for TLS servers: its extended key usage lacks serverAuth",
            "ask for a certificate for a TLS server",
        ));
    }
    let algorithm = leaf.signature_algorithm.algorithm.to_id_string();
    // RSA with MD5 and SHA-1, ECDSA with SHA-1.
    let weak = [
        "1.2.840.113549.1.1.4",
        "1.2.840.113549.1.1.5",
        "1.2.840.10045.4.1",
    ];
    if weak.contains(&algorithm.as_str()) {
        found.push(problem(
            "certificate",
            "is signed with SHA-1 or MD5, which clients refuse",
            "ask for a certificate signed with SHA-256",
        ));
    }
}

fn check_chain(
    chain: &[X509Certificate<'_>],
    trusted: Option<&[X509Certificate<'_>]>,
    found: &mut Vec<Diagnostic>,
) {
    for (position, pair) in chain.windows(2).enumerate() {
        let [certificate, next] = pair else { continue };
        if is_signed_by(certificate, next) {
            continue;
        }
        let is_elsewhere = chain.iter().any(|other| is_signed_by(certificate, other));
        let message = if is_elsewhere {
            "has its certificates in the wrong order".to_owned()
        } else {
            format!(
                "has `{}` in place {}, which did not issue the one before it",
                next.subject(),
                position + 2
            )
        };
        found.push(problem(
            "certificate file",
            &message,
            "put the server's certificate first, then each one's issuer after it",
        ));
        return;
    }
    let Some(last) = chain.last() else { return };
    let is_root = is_signed_by(last, last);
    let Some(trusted) = trusted else {
        if is_root {
            found.push(problem(
                "certificate",
                &format!(
                    "leads to `{}`, which no client trusts by itself",
                    last.subject()
                ),
                "name the authority's certificate in `image_registry.certificate.ca_file`",
            ));
        } else if chain.len() == 1 {
            let message = "the certificate file holds the server's certificate alone; most public authorities need theirs after it";
            found
                .push(Diagnostic::warning(message).hint(
                    "append the issuer's certificates, or name the authority's in `ca_file`",
                ));
        }
        return;
    };
    let leads_there = chain.iter().any(|certificate| {
        trusted
            .iter()
            .any(|authority| authority == certificate || is_signed_by(certificate, authority))
    });
    if !leads_there {
        found.push(problem(
            "certificate",
            &format!("was issued by `{}`, which is neither in the certificate file nor in the authority file", last.issuer()),
            "append the missing certificates of the issuer, or name the right authority in `ca_file`",
        ));
    }
}

/// The last word has what every client has: a real verification.
fn verify_as_a_client(
    list: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    wanted: &CertificateNames,
    now: OffsetDateTime,
) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority.clone())
            .map_err(|error| error.to_string())?;
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .map_err(|error| error.to_string())?;
    let (Some(leaf), rest) = (list.first(), list.get(1..).unwrap_or_default()) else {
        return Ok(());
    };
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let moment =
        rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    for name in wanted.texts() {
        let Ok(name) = rustls::pki_types::ServerName::try_from(name) else {
            continue;
        };
        rustls::client::danger::ServerCertVerifier::verify_server_cert(
            verifier.as_ref(),
            leaf,
            rest,
            &name,
            &[],
            moment,
        )
        .map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
