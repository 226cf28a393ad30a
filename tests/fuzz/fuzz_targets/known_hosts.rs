//! known_hosts files: read whole, asked about hosts by name, address and port.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use kk::connect::known_hosts::KnownHosts;
use kk::diagnostic::{Colour, render_all};
use libfuzzer_sys::fuzz_target;
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};

/// A key that the corpus knows for some hosts.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN8rFSysx5Ute582BYcSwhsrMgT2oAcsty7zQr/jjnRS";

static KEY_READ: LazyLock<PublicKeyOrCertificate> =
    LazyLock::new(|| PublicKeyOrCertificate::PublicKey {
        key: PublicKey::from_openssh(KEY).expect("a sound key"),
        hash_alg: None::<HashAlg>,
    });

static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("known_hosts");
    (folder, path)
});

fuzz_target!(|bytes: &[u8]| {
    let path = &FILE.1;
    std::fs::write(path, bytes).expect("write");
    let (known, found) = KnownHosts::load(std::slice::from_ref(path), &[]);
    assert!(!found.has_errors());
    render_all(&found, Colour::Never);
    for (host, port) in [
        ("node1", 22),
        ("node1.example.org", 22),
        ("10.0.0.11", 2222),
        ("::1", 22),
    ] {
        known.check(host, port, &KEY_READ, 1_800_000_000);
        known.known_algorithms(host, port);
        known.has_authority(host, port);
    }
});
