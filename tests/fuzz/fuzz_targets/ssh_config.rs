//! Configurations of ssh: read by this program, asked about several hosts.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use kk::connect::config::{ClientConfig, ConfigFiles, Question, Reader};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config");
    (folder, path)
});

fuzz_target!(|bytes: &[u8]| {
    // Files of this machine are no part of the input.
    if bytes
        .to_ascii_lowercase()
        .windows(7)
        .any(|word| word == b"include")
    {
        return;
    }
    let path = &FILE.1;
    std::fs::write(path, bytes).expect("write");
    let config = ClientConfig::read_by(ConfigFiles::File(path.clone()), Reader::Own);
    for (host, user, port) in [
        ("web1", None, None),
        ("10.0.0.11", Some("admin"), Some(2222)),
        ("fe80::1%eth0", None, None),
    ] {
        let question = Question {
            host,
            user,
            port,
            default_user: "root",
        };
        if let Err(error) = futures::executor::block_on(config.look_up(question)) {
            assert!(error.did_not_run());
            assert!(!error.to_string().is_empty());
        }
    }
});
