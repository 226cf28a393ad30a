//! Encrypted files and values in Ansible's format, and the passwords that open them.
//!
//! [`Envelope`] is the text around the cipher, [`seal`] and [`open`] the cipher, [`Keys`] the passwords. A value that is
//! encrypted in a YAML file (`!vault`) travels through the rooms as a marked text ([`marked`]) and is decrypted where it
//! is used. What was decrypted is learnt by the redactor. This room asks nobody for a password and reads no file.

mod cipher;
mod envelope;
mod keys;
mod values;

pub use cipher::{open, seal};
pub use envelope::{Envelope, MARK, is_encrypted};
pub use keys::{DEFAULT_LABEL, Keys, decrypt, decrypt_file, redactor, unlock};
pub use values::{envelope_of, has_marked, is_tag, learn, marked, revealed, source};

/// Why something encrypted cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The text is no sound envelope.
    #[error("not in the format of ansible-vault: {0}")]
    Format(String),
    /// There is no password at all.
    #[error("it is encrypted, and there is no password to decrypt it")]
    NoPassword,
    /// None of the passwords is the right one.
    #[error("none of the passwords decrypts it")]
    WrongPassword,
    /// What was decrypted should be a text.
    #[error("what is encrypted is not UTF-8 text")]
    NotText,
}

impl VaultError {
    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPassword => Some(
                "give `--vault-password-file FILE`, `--vault-id LABEL@FILE` or `--ask-vault-password`",
            ),
            Self::WrongPassword => Some(
                "correct `--vault-password-file` or `--vault-id`, or add the one that is missing",
            ),
            Self::Format(_) | Self::NotText => None,
        }
    }
}
