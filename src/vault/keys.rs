//! The passwords of a run, and decrypting with whichever fits.
//!
//! They belong to the process as the terminal does: a command gives them once, at its start ([`unlock`]), and every room
//! that meets something encrypted uses them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use super::{Envelope, VaultError, is_encrypted, open};
use crate::diagnostic::{Diagnostic, Place, Source, Span};
use crate::secret::{Redactor, Secret};

/// The label of a password that was given without one.
pub const DEFAULT_LABEL: &str = "default";

/// Passwords with their labels, in the order given.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    keys: Vec<(String, Secret<Vec<u8>>)>,
}

impl Keys {
    /// Adds one.
    pub fn add(&mut self, label: &str, password: Secret<Vec<u8>>) {
        self.keys.push((label.to_owned(), password));
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The labels, in the order given, each once.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for (label, _) in &self.keys {
            if !labels.contains(&label.as_str()) {
                labels.push(label);
            }
        }
        labels
    }

    /// The first password of a label.
    pub fn of_label(&self, label: &str) -> Option<&Secret<Vec<u8>>> {
        let mut keys = self.keys.iter();
        keys.find(|(known, _)| known == label).map(|(_, key)| key)
    }

    /// Decrypts with the first password that fits, those of the text's label before the others. Answers what the label
    /// of that password is, too.
    pub fn open(&self, envelope: &Envelope) -> Result<(Secret<Vec<u8>>, &str), VaultError> {
        if self.keys.is_empty() {
            return Err(VaultError::NoPassword);
        }
        let is_named =
            |entry: &&(String, Secret<Vec<u8>>)| Some(&entry.0) == envelope.label.as_ref();
        let others = self.keys.iter().filter(|entry| !is_named(entry));
        for (label, key) in self.keys.iter().filter(is_named).chain(others) {
            match open(envelope, key) {
                Err(VaultError::WrongPassword) => {}
                Err(error) => return Err(error),
                Ok(plaintext) => return Ok((plaintext, label)),
            }
        }
        Err(VaultError::WrongPassword)
    }
}

/// What belongs to the process.
#[derive(Default)]
struct Run {
    keys: RwLock<Keys>,
    redactor: Redactor,
    /// A value may be used for many hosts and tasks, and each opening costs milliseconds.
    opened: Mutex<HashMap<String, Secret<Vec<u8>>>>,
}

static RUN: LazyLock<Run> = LazyLock::new(Run::default);

/// From now on these passwords are used.
pub fn unlock(keys: Keys) {
    *RUN.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
}

/// The redactor that learns what is decrypted.
pub fn redactor() -> Redactor {
    RUN.redactor.clone()
}

/// Decrypts an encrypted text with the passwords of the run.
pub fn decrypt(text: &str) -> Result<Secret<Vec<u8>>, VaultError> {
    let opened = |text: &str| {
        let opened = RUN.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.get(text).cloned()
    };
    if let Some(known) = opened(text) {
        return Ok(known);
    }
    let envelope = Envelope::parse(text)?;
    let keys = RUN.keys.read().unwrap_or_else(PoisonError::into_inner);
    let (plaintext, _) = keys.open(&envelope)?;
    let mut opened = RUN.opened.lock().unwrap_or_else(PoisonError::into_inner);
    opened.insert(text.to_owned(), plaintext.clone());
    Ok(plaintext)
}

/// The bytes of a file, decrypted where they are encrypted; whether they were. The name is for the diagnostic.
pub fn decrypt_file<'a>(name: &str, bytes: &'a [u8]) -> Result<(Cow<'a, [u8]>, bool), Diagnostic> {
    if !is_encrypted(bytes) {
        return Ok((Cow::Borrowed(bytes), false));
    }
    let text = String::from_utf8_lossy(bytes);
    match decrypt(&text) {
        Ok(plaintext) => Ok((Cow::Owned(plaintext.expose().clone()), true)),
        Err(error) => Err(refusal(name, &text, &error)),
    }
}

fn refusal(name: &str, text: &str, error: &VaultError) -> Diagnostic {
    let header = text.lines().next().unwrap_or_default();
    let source: Arc<Source> = Source::new(name, header);
    let span = Span {
        start: 0,
        end: header.len(),
    };
    let message = match error {
        VaultError::NoPassword => {
            format!("`{name}` is encrypted, and there is no password to decrypt it")
        }
        VaultError::WrongPassword => format!("none of the passwords decrypts `{name}`"),
        other => format!("`{name}` cannot be decrypted: {other}"),
    };
    let diagnostic = Diagnostic::at(&Place::new(&source, span), message);
    match error.hint() {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::seal;

    fn password(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn any_password_may_fit_whatever_its_label() {
        let mut keys = Keys::default();
        assert!(keys.is_empty());
        let envelope = seal(b"text", &password("two"), Some("b")).unwrap();
        assert_eq!(keys.open(&envelope).unwrap_err(), VaultError::NoPassword);
        keys.add("a", password("one"));
        assert_eq!(keys.open(&envelope).unwrap_err(), VaultError::WrongPassword);
        keys.add("c", password("two"));
        let (plaintext, label) = keys.open(&envelope).unwrap();
        assert_eq!((plaintext.expose().as_slice(), label), (&b"text"[..], "c"));
        assert_eq!(keys.labels(), ["a", "c"]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named_with_its_place() {
        let envelope = seal(b"text", &password("nobody knows it"), None).unwrap();
        let diagnostic = decrypt_file("vars.yaml", envelope.to_text().as_bytes()).unwrap_err();
        assert!(
            diagnostic.to_string().starts_with("vars.yaml:1:1: "),
            "{diagnostic}"
        );
        assert!(diagnostic.hint.is_some());
        assert_eq!(
            decrypt_file("vars.yaml", b"a: 1\n").unwrap(),
            (Cow::Borrowed(&b"a: 1\n"[..]), false)
        );
    }
}
