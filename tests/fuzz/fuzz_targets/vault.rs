//! Encrypted texts: taken apart, put together again, opened with a password that does not fit; and as values in YAML.
#![no_main]

use kk::diagnostic::{Colour, Source, render};
use kk::secret::Secret;
use kk::vault::{Envelope, Keys, VaultError, decrypt_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(envelope) = Envelope::parse(text) {
        assert_eq!(Envelope::parse(&envelope.to_text()), Ok(envelope.clone()));
        let mut keys = Keys::default();
        assert_eq!(keys.open(&envelope).err(), Some(VaultError::NoPassword));
        keys.add("a", Secret::new(b"no password of anything".to_vec()));
        assert_eq!(keys.open(&envelope).err(), Some(VaultError::WrongPassword));
    }
    if let Err(diagnostic) = decrypt_file("file", text.as_bytes()) {
        render(&diagnostic, Colour::Never);
    }
    let value: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let source = Source::new("values.yaml", format!("value: !vault |\n{value}"));
    if let Ok(node) = kk::yaml::parse(&source) {
        node.to_json();
        if let Err(diagnostic) = node.decrypted() {
            render(&diagnostic, Colour::Never);
        }
    }
});
