//! The life of the authority and the server certificate, judged by the real `openssl`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use time::{Duration, OffsetDateTime};

use super::*;
use crate::pki::{CertificateNames, HostNames, certificate_names};

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn wanted() -> Wanted {
    Wanted::new(certificate_names(
        Some("registry.example.com:5443/project"),
        Some("10.0.0.100"),
        &[HostNames {
            name: "node1",
            internal_ipv6: Some("fd00::11"),
            ..HostNames::default()
        }],
    ))
}

fn openssl(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("openssl is needed by this test");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn made(folder: &Path) -> PkiPlan {
    let plan = ensure(folder, &wanted(), now()).unwrap();
    plan.apply().unwrap();
    plan
}

#[test]
fn nothing_is_written_before_it_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("pki/registry");
    let plan = ensure(&directory, &wanted(), now()).unwrap();
    assert!(plan.is_changed());
    assert!(!directory.exists());
    assert!(!format!("{plan:?}").contains("PRIVATE"));
    plan.apply().unwrap();
    let again = ensure(&directory, &wanted(), now()).unwrap();
    assert_eq!((again.is_changed(), &again.reasons), (false, &Vec::new()));
    assert_eq!(again.material, plan.material);
    let mode = |name: &str| {
        fs::metadata(directory.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        ["ca.crt", "ca.key", "server.crt", "server.key"].map(mode),
        [0o644, 0o600, 0o644, 0o600]
    );
}

#[test]
fn openssl_finds_everything_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    for name in [
        ["-verify_hostname", "registry.example.com"],
        ["-verify_hostname", "node1"],
        ["-verify_ip", "10.0.0.100"],
        ["-verify_ip", "fd00::11"],
        ["-verify_ip", "127.0.0.1"],
    ] {
        let mut arguments = vec![
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-CAfile",
            "ca.crt",
        ];
        arguments.extend(name);
        arguments.push("server.crt");
        let (good, text) = openssl(folder.path(), &arguments);
        assert!(good, "{name:?}: {text}");
    }
    let (good, _) = openssl(
        folder.path(),
        &[
            "verify",
            "-CAfile",
            "ca.crt",
            "-verify_hostname",
            "other.example.com",
            "server.crt",
        ],
    );
    assert!(!good);
    let (_, text) = openssl(
        folder.path(),
        &["x509", "-in", "server.crt", "-noout", "-text"],
    );
    for part in [
        "Digital Signature",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "DNS:registry.example.com",
        "IP Address:FD00:0:0:0:0:0:0:11",
        "prime256v1",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let (_, text) = openssl(folder.path(), &["x509", "-in", "ca.crt", "-noout", "-text"]);
    for part in [
        "CA:TRUE, pathlen:0",
        "X509v3 Basic Constraints: critical",
        "Certificate Sign",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let (_, dates) = openssl(
        folder.path(),
        &["x509", "-in", "server.crt", "-noout", "-dates"],
    );
    assert!(dates.contains("notAfter="), "{dates}");
    let (good, _) = openssl(
        folder.path(),
        &[
            "x509",
            "-in",
            "server.crt",
            "-noout",
            "-checkend",
            &(820 * 86400).to_string(),
        ],
    );
    assert!(good);
    let (good, _) = openssl(
        folder.path(),
        &[
            "x509",
            "-in",
            "server.crt",
            "-noout",
            "-checkend",
            &(826 * 86400).to_string(),
        ],
    );
    assert!(!good);
}

/// What became of authority and server certificate, and why.
fn judged(folder: &Path, wanted: &Wanted, now: OffsetDateTime) -> (bool, bool, Vec<String>) {
    let before = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let (authority, server) = (before("ca.crt"), before("server.crt"));
    let plan = ensure(folder, wanted, now).unwrap();
    plan.apply().unwrap();
    let (good, text) = openssl(
        folder,
        &[
            "verify",
            "-no_check_time",
            "-x509_strict",
            "-CAfile",
            "ca.crt",
            "server.crt",
        ],
    );
    assert!(good, "{text}");
    let quiet = ensure(folder, wanted, now).unwrap();
    assert!(!quiet.is_changed(), "{:?}", quiet.reasons);
    (
        before("ca.crt") == authority,
        before("server.crt") == server,
        plan.reasons,
    )
}

#[test]
fn a_new_name_makes_a_new_server_certificate_only() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let mut more = wanted();
    more.names.add("node4");
    let (same_authority, same_server, reasons) = judged(folder.path(), &more, now());
    assert!(same_authority && !same_server);
    assert_eq!(reasons, ["the server certificate lacks node4"]);
    // Fewer names are no reason.
    let fewer = Wanted::new(CertificateNames::only(["node4"]));
    assert_eq!(
        judged(folder.path(), &fewer, now()),
        (true, true, Vec::new())
    );
}

#[test]
fn a_server_certificate_near_its_end_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let (_, same, _) = judged(folder.path(), &wanted(), now() + Duration::days(793));
    assert!(same);
    let (same_authority, same, reasons) =
        judged(folder.path(), &wanted(), now() + Duration::days(795));
    assert!(same_authority && !same);
    assert!(
        reasons[0].starts_with("the server certificate ends on "),
        "{reasons:?}"
    );
}

#[test]
fn an_authority_near_its_end_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let key = fs::read_to_string(folder.path().join("ca.key")).unwrap();
    let server = fs::read(folder.path().join("server.crt")).unwrap();
    let (same_authority, same_server, reasons) =
        judged(folder.path(), &wanted(), now() + Duration::days(3630));
    assert!(!same_authority && !same_server);
    assert!(
        reasons[0].starts_with("the authority ends on "),
        "{reasons:?}"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("ca.key")).unwrap(),
        key
    );
    // What the old authority signed is still good under the new certificate.
    fs::write(folder.path().join("old.crt"), server).unwrap();
    let (good, text) = openssl(
        folder.path(),
        &["verify", "-no_check_time", "-CAfile", "ca.crt", "old.crt"],
    );
    assert!(good, "{text}");
}

#[test]
fn a_server_certificate_does_not_outlive_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let later = ensure(folder.path(), &wanted(), now() + Duration::days(3500)).unwrap();
    assert_eq!(later.material.expires, later.material.authority_expires);
}

#[test]
fn a_mixed_up_or_foreign_server_certificate_is_replaced() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    made(one.path());
    made(two.path());
    fs::copy(two.path().join("server.key"), one.path().join("server.key")).unwrap();
    let (_, _, reasons) = judged(one.path(), &wanted(), now());
    assert_eq!(
        reasons,
        ["the server certificate does not belong to its key"]
    );
    for name in ["server.key", "server.crt"] {
        fs::copy(two.path().join(name), one.path().join(name)).unwrap();
    }
    let (_, _, reasons) = judged(one.path(), &wanted(), now());
    assert_eq!(reasons, ["the server certificate is not of this authority"]);
    fs::write(one.path().join("server.crt"), "nonsense").unwrap();
    let (_, _, reasons) = judged(one.path(), &wanted(), now());
    assert_eq!(
        reasons,
        ["the server certificate holds no certificate in PEM form"]
    );
}

#[test]
fn an_authority_is_never_replaced_silently() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let path = folder.path();
    // Without its key it serves as long as nothing has to be signed.
    fs::remove_file(path.join("ca.key")).unwrap();
    assert!(!ensure(path, &wanted(), now()).unwrap().is_changed());
    let mut more = wanted();
    more.names.add("node4");
    let error = ensure(path, &more, now()).unwrap_err();
    assert!(
        error.to_string().contains("ca.key` is not there"),
        "{error}"
    );
    fs::write(path.join("ca.key"), new_key().unwrap().serialize_pem()).unwrap();
    let error = ensure(path, &wanted(), now()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("ca.crt` does not belong to `ca.key`"),
        "{error}"
    );
    fs::write(path.join("ca.crt"), "nonsense").unwrap();
    let error = ensure(path, &wanted(), now()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("ca.crt` holds no certificate in PEM form"),
        "{error}"
    );
    assert!(error.hint.contains("backup"));
}

#[test]
fn a_key_that_others_can_read_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let key = folder.path().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let plan = ensure(folder.path(), &wanted(), now()).unwrap();
    assert!(plan.is_changed() && plan.files.is_empty());
    plan.apply().unwrap();
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_run_that_was_killed_between_two_files_is_repaired() {
    for count in 1..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = ensure(folder.path(), &wanted(), now()).unwrap();
        plan.files.truncate(count);
        plan.apply().unwrap();
        judged(folder.path(), &wanted(), now());
    }
}
