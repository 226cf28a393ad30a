//! Certificates of users, good and bad in every way, most of them made by the real `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::{Duration, OffsetDateTime};

use super::check_own;
use crate::diagnostic::Severity;
use crate::pki::CertificateNames;

/// A folder with a root, an intermediate and certificates of theirs.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Self { folder };
        authority.run(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
            "-keyout",
            "root.key",
            "-out",
            "root.crt",
            "-subj",
            "/CN=Test Root",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        authority.sign(
            "sub",
            "root",
            "/CN=Test Sub",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign",
            1000,
        );
        authority
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("openssl is needed by this test");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn sign(&self, name: &str, issuer: &str, subject: &str, extensions: &str, days: u32) {
        let at = |suffix: &str| format!("{name}.{suffix}");
        fs::write(self.path(&at("ext")), extensions).unwrap();
        self.run(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &at("key"),
            "-out",
            &at("csr"),
            "-subj",
            subject,
        ]);
        self.run(&[
            "x509",
            "-req",
            "-in",
            &at("csr"),
            "-CA",
            &format!("{issuer}.crt"),
            "-CAkey",
            &format!("{issuer}.key"),
            "-CAcreateserial",
            "-days",
            &days.to_string(),
            "-extfile",
            &at("ext"),
            "-out",
            &at("crt"),
        ]);
    }

    fn path(&self, name: &str) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(name)
    }

    fn text(&self, names: &[&str]) -> String {
        names
            .iter()
            .map(|name| fs::read_to_string(self.path(name)).unwrap())
            .collect()
    }

    /// Messages for a certificate file made of these parts, its key and the root as authority.
    fn judge(&self, certificates: &[&str], key: &str) -> Vec<String> {
        self.judge_at(
            certificates,
            key,
            Some("root.crt"),
            OffsetDateTime::now_utc(),
        )
    }

    fn judge_at(
        &self,
        certificates: &[&str],
        key: &str,
        authority: Option<&str>,
        now: OffsetDateTime,
    ) -> Vec<String> {
        let authority = authority.map(|name| self.text(&[name]));
        let wanted = CertificateNames::only(["registry.example.com"]);
        check_own(
            &self.text(certificates),
            &self.text(&[key]),
            authority.as_deref(),
            &wanted,
            now,
        )
        .into_iter()
        .map(|diagnostic| {
            assert!(diagnostic.hint.is_some(), "{diagnostic}");
            let severity = if diagnostic.severity == Severity::Warning {
                "warning: "
            } else {
                ""
            };
            format!("{severity}{}", diagnostic.message)
        })
        .collect()
    }
}

const NAMES: &str = "subjectAltName=DNS:registry.example.com\nextendedKeyUsage=serverAuth";

#[test]
fn good_ones_pass() {
    let authority = Authority::new();
    authority.sign("direct", "root", "/CN=r", NAMES, 100);
    authority.sign("leaf", "sub", "/CN=r", NAMES, 100);
    authority.sign(
        "wild",
        "sub",
        "/CN=r",
        "subjectAltName=DNS:*.example.com",
        100,
    );
    let none: [&str; 0] = [];
    assert_eq!(authority.judge(&["direct.crt"], "direct.key"), none);
    assert_eq!(authority.judge(&["leaf.crt", "sub.crt"], "leaf.key"), none);
    assert_eq!(
        authority.judge(&["leaf.crt", "sub.crt", "root.crt"], "leaf.key"),
        none
    );
    assert_eq!(authority.judge(&["wild.crt", "sub.crt"], "wild.key"), none);
    // A public authority: what it is cannot be known here.
    let now = OffsetDateTime::now_utc();
    assert_eq!(
        authority.judge_at(&["leaf.crt", "sub.crt"], "leaf.key", None, now),
        none
    );
}

#[test]
fn names_that_do_not_fit() {
    let authority = Authority::new();
    authority.sign(
        "other",
        "root",
        "/CN=registry.example.com",
        "subjectAltName=DNS:other.example.com,IP:10.0.0.1",
        100,
    );
    authority.sign(
        "bare",
        "root",
        "/CN=registry.example.com",
        "extendedKeyUsage=serverAuth",
        100,
    );
    assert_eq!(
        authority.judge(&["other.crt"], "other.key"),
        [
            "the certificate is not valid for `registry.example.com`, only for other.example.com, 10.0.0.1"
        ]
    );
    assert_eq!(
        authority.judge(&["bare.crt"], "bare.key"),
        [
            "the certificate has no subject alternative names; its common name alone is refused by Docker and every current client"
        ]
    );
}

#[test]
fn keys_that_do_not_fit() {
    let authority = Authority::new();
    authority.sign("leaf", "sub", "/CN=r", NAMES, 100);
    assert_eq!(
        authority.judge(&["leaf.crt", "sub.crt"], "root.key"),
        ["the key does not belong to the certificate"]
    );
    assert_eq!(
        authority.judge(&["leaf.crt", "sub.crt"], "leaf.crt"),
        ["the key file holds no private key in PEM form"]
    );
    authority.run(&[
        "pkcs8",
        "-topk8",
        "-in",
        "leaf.key",
        "-out",
        "locked.key",
        "-passout",
        "pass:abcd",
    ]);
    assert_eq!(
        authority.judge(&["leaf.crt", "sub.crt"], "locked.key"),
        ["the key file holds a private key that is protected by a passphrase"]
    );
    // Keys of other kinds and forms fit too.
    authority.run(&["ec", "-in", "leaf.key", "-out", "sec1.key"]);
    let none: [&str; 0] = [];
    assert_eq!(authority.judge(&["leaf.crt", "sub.crt"], "sec1.key"), none);
    authority.run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "100",
        "-keyout",
        "rsa.key",
        "-out",
        "rsa.crt",
        "-subj",
        "/CN=r",
        "-addext",
        "subjectAltName=DNS:registry.example.com",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    let now = OffsetDateTime::now_utc();
    assert_eq!(
        authority.judge_at(&["rsa.crt"], "rsa.key", Some("rsa.crt"), now),
        none
    );
    authority.run(&["rsa", "-in", "rsa.key", "-traditional", "-out", "pkcs1.key"]);
    assert_eq!(
        authority.judge_at(&["rsa.crt"], "pkcs1.key", Some("rsa.crt"), now),
        none
    );
}

#[test]
fn chains_that_do_not_fit() {
    let authority = Authority::new();
    authority.sign("leaf", "sub", "/CN=r", NAMES, 100);
    authority.sign("direct", "root", "/CN=d", NAMES, 100);
    assert_eq!(
        authority.judge(&["leaf.crt"], "leaf.key"),
        [
            "the certificate was issued by `CN=Test Sub`, which is neither in the certificate file nor in the authority file"
        ]
    );
    assert_eq!(
        authority.judge(&["leaf.crt", "root.crt", "sub.crt"], "leaf.key"),
        ["the certificate file has its certificates in the wrong order"]
    );
    assert_eq!(
        authority.judge(&["leaf.crt", "direct.crt"], "leaf.key"),
        ["the certificate file has `CN=d` in place 2, which did not issue the one before it"]
    );
    let found = authority.judge(&["sub.crt", "leaf.crt"], "leaf.key");
    assert!(
        found.contains(
            &"the certificate file has the server's own certificate not in the first place"
                .to_owned()
        ),
        "{found:?}"
    );
    let now = OffsetDateTime::now_utc();
    assert_eq!(
        authority.judge_at(&["leaf.crt"], "leaf.key", None, now),
        [
            "warning: the certificate file holds the server's certificate alone; most public authorities need theirs after it"
        ]
    );
    assert_eq!(
        authority.judge_at(&["leaf.crt", "sub.crt", "root.crt"], "leaf.key", None, now),
        ["the certificate leads to `CN=Test Root`, which no client trusts by itself"]
    );
    let other = Authority::new();
    fs::copy(other.path("root.crt"), authority.path("other.crt")).unwrap();
    assert_eq!(
        authority.judge_at(&["leaf.crt", "sub.crt"], "leaf.key", Some("other.crt"), now),
        [
            "the certificate was issued by `CN=Test Root`, which is neither in the certificate file nor in the authority file"
        ]
    );
}

#[test]
fn dates_and_uses_that_do_not_fit() {
    let authority = Authority::new();
    authority.sign("leaf", "root", "/CN=r", NAMES, 100);
    authority.sign(
        "client",
        "root",
        "/CN=r",
        "subjectAltName=DNS:registry.example.com\nextendedKeyUsage=clientAuth",
        100,
    );
    let now = OffsetDateTime::now_utc();
    let at = |days: i64| {
        authority.judge_at(
            &["leaf.crt"],
            "leaf.key",
            Some("root.crt"),
            now + Duration::days(days),
        )
    };
    assert!(
        at(80)[0].starts_with("warning: the certificate of `CN=r` expires on "),
        "{:?}",
        at(80)
    );
    assert!(
        at(101)[0].starts_with("the certificate of `CN=r` expired on "),
        "{:?}",
        at(101)
    );
    assert!(
        at(-2)[0].starts_with("the certificate of `CN=r` is not valid before "),
        "{:?}",
        at(-2)
    );
    assert_eq!(
        authority.judge(&["client.crt"], "client.key"),
        ["the certificate is not for TLS servers: its extended key usage lacks serverAuth"]
    );
    let found = authority.judge(&["root.crt"], "root.key");
    assert!(
        found.contains(&"the certificate is that of an authority, not of a server".to_owned()),
        "{found:?}"
    );
}

#[test]
fn files_that_hold_something_else() {
    let authority = Authority::new();
    assert_eq!(
        authority.judge(&["sub.ext"], "root.key"),
        ["the certificate file holds no certificate in PEM form"]
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_files_never_panic(certificate in ".{0,300}", key in ".{0,300}", base64 in "[A-Za-z0-9+/]{0,200}") {
        let wanted = CertificateNames::only(["registry.example.com"]);
        let now = OffsetDateTime::UNIX_EPOCH;
        let block = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        for certificate in [&certificate, &block] {
            let found = check_own(certificate, &key, Some(certificate), &wanted, now);
            proptest::prop_assert!(!found.is_empty());
        }
    }
}
