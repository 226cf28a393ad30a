//! Values that must never be shown, and the masking of everything that is.
//!
//! [`Secret`] has no `Display` and no `Serialize`; what needs the value calls [`Secret::expose`], which is easy to
//! search for. The [`Redactor`] is the second line: every text that leaves the program passes it once.

pub mod fingerprint;
pub mod hidden;
pub mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};

use base64::Engine as _;

/// A value that does not print itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that must send or write it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

/// A secret text.
pub type SecretString = Secret<String>;

/// What stands where a secret was.
pub const MASK: &str = "********";

/// Whether a variable of this name holds a secret, by the words of its name.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let last = lower.rsplit('.').next().unwrap_or(&lower);
    // Keys that name where a secret lies are no secret themselves.
    let is_location = ["_file", "_path", "_dir", "_url"]
        .iter()
        .any(|suffix| last.ends_with(suffix));
    !is_location
        && ([
            "password",
            "passwd",
            "passphrase",
            "secret",
            "token",
            "accountkey",
            "accesskey",
        ]
        .iter()
        .any(|word| last.contains(word))
            || last.ends_with("_key")
                && !last.ends_with("private_key")
                && !last.ends_with("public_key")
            || last == "pass"
            || last.ends_with("_pass")
            || last == "private_key_content")
}

/// Masks known secrets in any text, in their raw, shell-quoted, JSON, URL and base64 forms.
///
/// Cheap to clone; all clones share one list.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

/// What is masked, and the machine that finds it; built anew when it is needed after something was learnt.
#[derive(Default)]
struct Known {
    forms: BTreeSet<String>,
    finder: Option<AhoCorasick>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Redactor")
    }
}

/// Shorter values are not masked: masking every `1` in a log hides more than it protects.
const SHORTEST: usize = 4;

impl Redactor {
    /// A redactor that knows no secret yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on masks `secret` in all its forms. Values of fewer than four bytes are ignored.
    pub fn learn(&self, secret: &str) {
        let mut forms: Vec<String> = Vec::new();
        for form in std::iter::once(secret).chain(secret.lines().filter(|line| line.len() >= 16)) {
            forms.extend(forms_of(form));
        }
        let Ok(mut known) = self.known.write() else {
            return;
        };
        for form in forms {
            if form.len() >= SHORTEST && known.forms.insert(form) {
                known.finder = None;
            }
        }
    }

    /// `text` with every known secret masked; where forms overlap, the longest one is.
    pub fn mask(&self, text: &str) -> String {
        if let Ok(known) = self.known.read() {
            if known.forms.is_empty() {
                return text.to_owned();
            }
            if let Some(finder) = &known.finder {
                return masked(finder, text);
            }
        }
        let Ok(mut known) = self.known.write() else {
            return MASK.to_owned();
        };
        let built = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&known.forms);
        match built {
            Ok(finder) => {
                let text = masked(&finder, text);
                known.finder = Some(finder);
                text
            }
            Err(_) => MASK.to_owned(),
        }
    }

    /// A JSON value with every known secret masked, keys included.
    pub fn mask_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.mask_json(item)).collect())
            }
            Value::Object(map) => Value::Object(self.mask_map(map)),
            other => other.clone(),
        }
    }

    /// A JSON mapping with every known secret masked, keys included.
    pub fn mask_map(
        &self,
        map: &serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Map<String, serde_json::Value> {
        map.iter()
            .map(|(key, item)| (self.mask(key), self.mask_json(item)))
            .collect()
    }

    /// Whether nothing in a JSON value is secret: neither a known secret nor anything that its name says to be one.
    pub fn is_free_of_secrets(&self, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::String(text) => self.mask(text) == *text,
            Value::Array(items) => items.iter().all(|item| self.is_free_of_secrets(item)),
            Value::Object(map) => map.iter().all(|(key, item)| {
                let is_plain = item.is_null() || item.is_boolean();
                (is_plain || !is_secret_name(key))
                    && self.mask(key) == *key
                    && self.is_free_of_secrets(item)
            }),
            Value::Number(number) => {
                let text = number.to_string();
                self.mask(&text) == text
            }
            Value::Null | Value::Bool(_) => true,
        }
    }

    /// Learns every value in a JSON tree whose key, by [`is_secret_name`], names a secret.
    pub fn learn_named(&self, value: &serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Object(map) => {
                for (key, item) in map {
                    if is_secret_name(key) {
                        self.learn_all(item);
                    }
                    self.learn_named(item);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_named(item)),
            _ => {}
        }
    }

    fn learn_all(&self, value: &serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text)
                if !text.contains("{{") && crate::vault::envelope_of(text).is_none() =>
            {
                self.learn(text);
            }
            Value::Number(number) => self.learn(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.learn_all(item)),
            Value::Object(map) => map.values().for_each(|item| self.learn_all(item)),
            _ => {}
        }
    }
}

fn masked(finder: &AhoCorasick, text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    finder.replace_all_with(text, &mut masked, |_, _, masked| {
        masked.push_str(MASK);
        true
    });
    masked
}

fn forms_of(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.strip_prefix('"').unwrap_or(&json);
    let json = json.strip_suffix('"').unwrap_or(json).to_owned();
    let ascii_json = escape_beyond_ascii(&json);
    let shell = secret.replace('\'', r"'\''");
    // As Python's `shlex.quote` and the filter `quote` write it.
    let quoted = secret.replace('\'', r#"'"'"'"#);
    let url: String = secret
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                (byte as char).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let standard = base64::engine::general_purpose::STANDARD.encode(secret);
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
    vec![
        secret.to_owned(),
        json,
        ascii_json,
        shell,
        quoted,
        url,
        standard.trim_end_matches('=').to_owned(),
        url_safe,
    ]
}

/// Every character beyond ASCII as `\uXXXX`, as JSON that is pure ASCII has it.
pub fn escape_beyond_ascii(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_escaped_forms_are_masked() {
        let redactor = Redactor::new();
        redactor.learn("it's \u{e9}\u{1f600}\"");
        for form in [
            r#"'it'"'"'s é😀"'"#,
            r#"{"a": "it's \u00e9\ud83d\ude00\""}"#,
            r#"{"a": "it's é😀\""}"#,
        ] {
            let masked = redactor.mask(form);
            assert!(
                masked.contains(MASK) && !masked.contains("s é") && !masked.contains("u00e9"),
                "{masked}"
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("canary")), MASK);
    }

    #[test]
    fn masks_every_form() {
        let redactor = Redactor::new();
        let secret = "pa'ss \"w\u{f6}rd/+";
        redactor.learn(secret);
        for form in forms_of(secret) {
            assert_eq!(
                redactor.mask(&format!("<{form}>")),
                format!("<{MASK}>"),
                "{form}"
            );
        }
    }

    #[test]
    fn names_that_hold_secrets() {
        for name in [
            "password",
            "become_password",
            "image_registry.auth.password",
            "secretkey",
            "http_secret",
            "api_token",
            "storage.s3.accesskey",
            "harbor_secret_key",
            "ansible_become_pass",
            "ansible_ssh_pass",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "private_key",
            "password_file",
            "registry",
            "key",
            "public_key",
            "username",
            "bypass",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn learns_from_a_tree_by_name() {
        let redactor = Redactor::new();
        redactor
            .learn_named(&serde_json::json!({"auth": {"password": 123_456, "user": "adminuser"}}));
        assert_eq!(
            redactor.mask("adminuser:123456"),
            format!("adminuser:{MASK}")
        );
    }
}
