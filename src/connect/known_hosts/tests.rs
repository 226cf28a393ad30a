use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Certificate, PrivateKey, PublicKey};

use super::*;

const NOW: u64 = 1_800_000_000;

fn new_key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
}

fn text(key: &PublicKey) -> String {
    key.to_openssh().unwrap().trim().to_owned()
}

/// The store for one file of this text, and its warnings.
fn known(content: &str) -> (KnownHosts, Diagnostics) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, content).unwrap();
    KnownHosts::load(&[path], &[])
}

fn decide(content: &str, host: &str, port: u16, presented: &PublicKeyOrCertificate) -> Decision {
    let (known, warnings) = known(content);
    assert!(warnings.0.is_empty(), "{warnings}");
    known.check(host, port, presented, NOW)
}

/// A certificate for a host key, changed before it is signed.
fn certificate(
    authority: &PrivateKey,
    subject: &PrivateKey,
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    certificate_of(CertType::Host, authority, subject, change)
}

fn certificate_of(
    kind: CertType,
    authority: &PrivateKey,
    subject: &PrivateKey,
    change: impl FnOnce(&mut Builder),
) -> Certificate {
    let mut builder = Builder::new_with_random_nonce(
        &mut rand::rng(),
        subject.public_key(),
        NOW - 100,
        NOW + 100,
    )
    .unwrap();
    builder.cert_type(kind).unwrap();
    builder.key_id("test").unwrap();
    change(&mut builder);
    builder.sign(authority).unwrap()
}

#[test]
fn plain_keys() {
    let (ours, other) = (new_key(), new_key());
    let presented = PublicKeyOrCertificate::from(ours.public_key().clone());
    let good = text(ours.public_key());
    let bad = text(other.public_key());
    assert_eq!(
        decide("", "h", 22, &presented),
        Decision::Unknown { certificate: None }
    );
    assert_eq!(
        decide(&format!("h {good}"), "H", 22, &presented),
        Decision::Trusted
    );
    assert_eq!(
        decide(&format!("h {bad}\nh {good}"), "h", 22, &presented),
        Decision::Trusted
    );
    let Decision::Changed { known, .. } = decide(&format!("# old\nh {bad}"), "h", 22, &presented)
    else {
        panic!()
    };
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].line, 2);
    assert_eq!(known[0].algorithm, "ssh-ed25519");
    assert_eq!(
        known[0].fingerprint,
        fingerprint(other.public_key().key_data())
    );
}

#[test]
fn revocation_wins_over_everything() {
    let (ours, authority) = (new_key(), new_key());
    let good = text(ours.public_key());
    let presented = PublicKeyOrCertificate::from(ours.public_key().clone());
    let content = format!("h {good}\n@revoked * {good}");
    assert!(matches!(
        decide(&content, "h", 22, &presented),
        Decision::Revoked { by } if by.line == 2
    ));
    // Revoked for other hosts only.
    let content = format!("h {good}\n@revoked x {good}");
    assert_eq!(decide(&content, "h", 22, &presented), Decision::Trusted);
    // The authority, and the key inside a certificate.
    let signed: PublicKeyOrCertificate = certificate(&authority, &ours, |builder| {
        builder.valid_principal("h").unwrap();
    })
    .into();
    let trusted = format!("@cert-authority h {}\n", text(authority.public_key()));
    assert_eq!(decide(&trusted, "h", 22, &signed), Decision::Trusted);
    for revoked in [text(authority.public_key()), good] {
        let content = format!("{trusted}@revoked h {revoked}");
        assert!(matches!(
            decide(&content, "h", 22, &signed),
            Decision::Revoked { .. }
        ));
    }
}

#[test]
fn other_ports_are_other_hosts() {
    let ours = new_key();
    let good = text(ours.public_key());
    let bad = text(new_key().public_key());
    let presented = PublicKeyOrCertificate::from(ours.public_key().clone());
    assert_eq!(
        decide(&format!("[h]:2222 {good}"), "h", 2222, &presented),
        Decision::Trusted
    );
    assert!(matches!(
        decide(&format!("[h]:2222 {good}"), "h", 22, &presented),
        Decision::Unknown { .. }
    ));
    // A key known without a port is good on any port, and says nothing against another one there.
    assert_eq!(
        decide(&format!("h {good}"), "h", 2222, &presented),
        Decision::Trusted
    );
    assert!(matches!(
        decide(&format!("h {bad}"), "h", 2222, &presented),
        Decision::Unknown { .. }
    ));
    assert!(matches!(
        decide(&format!("@revoked h {good}"), "h", 2222, &presented),
        Decision::Revoked { .. }
    ));
}

#[test]
fn certificates_are_checked_whole() {
    let (authority, ours) = (new_key(), new_key());
    let content = format!(
        "@cert-authority *.example {}\n",
        text(authority.public_key())
    );
    let verdict =
        |certificate: Certificate| match decide(&content, "a.example", 22, &certificate.into()) {
            Decision::Trusted => "trusted".to_owned(),
            Decision::Unknown { certificate } => certificate.unwrap(),
            other => panic!("{other:?}"),
        };
    let named = |builder: &mut Builder| {
        builder.valid_principal("a.example").unwrap();
    };
    assert_eq!(verdict(certificate(&authority, &ours, named)), "trusted");
    assert!(verdict(certificate(&new_key(), &ours, named)).contains("not trusted"));
    assert!(
        verdict(certificate(&authority, &ours, |builder| {
            builder.valid_principal("b.example").unwrap();
        }))
        .contains("for `b.example`, not for `a.example`")
    );
    assert!(
        verdict(certificate(&authority, &ours, |builder| {
            builder.all_principals_valid().unwrap();
        }))
        .contains("no host in particular")
    );
    assert!(
        verdict(certificate_of(CertType::User, &authority, &ours, named)).contains("for a user")
    );
    assert!(
        verdict(certificate(&authority, &ours, |builder| {
            named(builder);
            builder.critical_option("odd", "x").unwrap();
        }))
        .contains("`odd`")
    );
    // Validity, both ends.
    let signed = certificate(&authority, &ours, named);
    let (known, _) = known(&content);
    for (time, word) in [(NOW - 101, "not valid yet"), (NOW + 100, "expired")] {
        let decision = known.check("a.example", 22, &signed.clone().into(), time);
        assert!(
            matches!(&decision, Decision::Unknown { certificate: Some(why) } if why.contains(word)),
            "{decision:?}"
        );
    }
    // Somebody else's signature under a trusted authority's name.
    let mut bytes = signed.to_bytes().unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forged = Certificate::from_bytes(&bytes).unwrap();
    assert!(verdict(forged).contains("signature"));
}

#[test]
fn a_certificate_that_does_not_count_leaves_its_key() {
    let (authority, ours) = (new_key(), new_key());
    let signed: PublicKeyOrCertificate = certificate(&authority, &ours, |builder| {
        builder.valid_principal("h").unwrap();
    })
    .into();
    let content = format!("h {}", text(ours.public_key()));
    assert_eq!(decide(&content, "h", 22, &signed), Decision::Trusted);
    // An authority's own key is not a host key.
    let presented = PublicKeyOrCertificate::from(authority.public_key().clone());
    let content = format!("@cert-authority h {}", text(authority.public_key()));
    assert!(matches!(
        decide(&content, "h", 22, &presented),
        Decision::Unknown { .. }
    ));
}

#[test]
fn what_is_known_of_a_host_decides_what_is_asked_for() {
    let key = text(new_key().public_key());
    let (known, _) = known(&format!(
        "[h]:2222 {key}\n@cert-authority *.ca {key}\n@revoked r {key}\n"
    ));
    assert_eq!(known.known_algorithms("h", 2222), [Algorithm::Ed25519]);
    assert!(known.known_algorithms("h", 22).is_empty());
    assert!(known.known_algorithms("r", 22).is_empty());
    assert!(known.has_authority("a.ca", 22));
    assert!(!known.has_authority("h", 2222));
}

#[test]
fn bad_lines_are_warnings_with_their_place() {
    let key = text(new_key().public_key());
    let (known, warnings) = known(&format!(
        "h {key}\nh ssh-ed25519 garbage!\n\u{feff}x\n@foo h {key}\n"
    ));
    let shown: Vec<String> = warnings
        .0
        .iter()
        .map(|warning| {
            assert_eq!(warning.severity, crate::diagnostic::Severity::Warning);
            let text = warning.to_string();
            text.split_once("known_hosts:").unwrap().1.to_owned()
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2:15: the key is not valid base64",
            "3:1: the key type is missing",
            "4:1: unknown marker `@foo`: there are `@cert-authority` and `@revoked`",
        ]
    );
    assert_eq!(known.known_algorithms("h", 22).len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_a_warning_and_a_missing_one_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (_, warnings) = KnownHosts::load(
        &[folder.path().join("missing")],
        &[folder.path().to_path_buf()],
    );
    assert_eq!(warnings.0.len(), 1, "{warnings}");
    assert!(!warnings.has_errors());
}

#[test]
fn what_is_remembered_is_known_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ssh/known_hosts");
    let (known, _) = KnownHosts::load(std::slice::from_ref(&path), &[]);
    let ours = new_key();
    let presented = PublicKeyOrCertificate::from(ours.public_key().clone());
    for (host, port) in [
        ("h", 22),
        ("::1", 22),
        ("10.0.0.1", 2222),
        ("fe80::1%eth0", 23),
    ] {
        known
            .remember(host, port, ours.public_key().key_data())
            .unwrap();
        assert_eq!(known.check(host, port, &presented, NOW), Decision::Trusted);
    }
    let (again, warnings) = KnownHosts::load(std::slice::from_ref(&path), &[]);
    assert!(warnings.0.is_empty());
    assert_eq!(again.check("h", 22, &presented, NOW), Decision::Trusted);
    assert_eq!(
        again.check("10.0.0.1", 2222, &presented, NOW),
        Decision::Trusted
    );
    // Nothing that would be trusted for more than this host.
    for host in ["*", "a,b", "!a", "@revoked", "#", "|1|x", "a b", ""] {
        known
            .remember(host, 22, ours.public_key().key_data())
            .unwrap_err();
    }
}

proptest::proptest! {
    #[test]
    fn any_file_is_read_without_panic(content in "(\\PC|[\n\r\t@|]){0,400}", host in "\\PC{0,10}") {
        let (known, warnings) = known(&content);
        known.known_algorithms(&host, 22);
        for warning in &warnings.0 {
            crate::diagnostic::render(warning, crate::diagnostic::Colour::Never);
        }
    }
}
