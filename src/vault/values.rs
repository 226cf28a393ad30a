//! Encrypted values (`!vault`) on their way from a YAML file to where they are used.
//!
//! Plain data has no place for a tag, so that the text gets a lead that no user's text has. A value is decrypted when
//! something asks for it: one that nobody uses needs no password.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{VaultError, decrypt, decrypt_file, redactor};
use crate::diagnostic::{Diagnostic, Source};

/// What a marked text begins with.
const LEAD: &str = "\u{1}!vault\u{1}";

/// Whether a YAML tag says that a value is encrypted.
pub fn is_tag(tag: &str) -> bool {
    matches!(tag, "!vault" | "!vault-encrypted")
}

/// An encrypted text, marked as such.
pub fn marked(text: &str) -> String {
    format!("{LEAD}{text}")
}

/// The encrypted text of a marked one.
pub fn envelope_of(text: &str) -> Option<&str> {
    text.strip_prefix(LEAD)
}

/// Whether there is a marked text anywhere in a value.
pub fn has_marked(value: &Json) -> bool {
    match value {
        Json::String(text) => envelope_of(text).is_some(),
        Json::Array(items) => items.iter().any(has_marked),
        Json::Object(map) => map.values().any(has_marked),
        _ => false,
    }
}

/// The plain text of an encrypted value; from now on it is masked wherever it would be shown.
pub fn revealed(envelope: &str) -> Result<String, VaultError> {
    let plaintext = decrypt(envelope)?;
    let text = std::str::from_utf8(plaintext.expose()).map_err(|_| VaultError::NotText)?;
    redactor().learn(text.trim());
    Ok(text.to_owned())
}

/// A text file as a source, decrypted where it is encrypted.
pub fn source(name: &str, bytes: &[u8]) -> Result<Arc<Source>, Diagnostic> {
    let (bytes, is_secret) = decrypt_file(name, bytes)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Diagnostic::error(format!("`{name}` is not UTF-8 text")))?;
    Ok(if is_secret {
        Source::hidden(name, text)
    } else {
        Source::new(name, text)
    })
}

/// Learns every value in data that was encrypted.
pub fn learn(value: &Json) {
    match value {
        Json::String(text) if !text.contains("{{") && envelope_of(text).is_none() => {
            redactor().learn(text.trim());
        }
        Json::Number(number) => redactor().learn(&number.to_string()),
        Json::Array(items) => items.iter().for_each(learn),
        Json::Object(map) => map.values().for_each(learn),
        _ => {}
    }
}
