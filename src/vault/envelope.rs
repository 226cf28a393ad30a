//! The text around what is encrypted: a line that says how, and lines of hexadecimal digits.

use super::VaultError;

/// What an encrypted text begins with.
pub const MARK: &str = "$ANSIBLE_VAULT";

/// The one cipher.
const CIPHER: &str = "AES256";

/// Characters of a line.
const WIDTH: usize = 80;

/// An encrypted text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The label of the password, where the text names one.
    pub label: Option<String>,
    /// What makes keys of a password.
    pub salt: Vec<u8>,
    /// The proof that password and text belong together.
    pub code: Vec<u8>,
    /// What is encrypted.
    pub ciphertext: Vec<u8>,
}

/// Whether bytes are an encrypted text.
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(MARK.as_bytes()) && bytes.is_ascii()
}

impl Envelope {
    /// Reads an encrypted text.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let wrong = |reason: &str| VaultError::Format(reason.to_owned());
        let mut lines = text.trim().lines();
        let header = lines.next().unwrap_or_default();
        let mut fields = header.split(';').map(str::trim);
        if fields.next() != Some(MARK) {
            return Err(wrong(
                "the first line does not begin with `$ANSIBLE_VAULT;`",
            ));
        }
        let (version, cipher) = (fields.next(), fields.next());
        let label = match version {
            Some("1.1") => None,
            Some("1.2") => fields.next().filter(|label| !label.is_empty()),
            Some(other) => {
                return Err(VaultError::Format(format!(
                    "the version `{other}` is not known"
                )));
            }
            None => return Err(wrong("the first line names no version")),
        };
        if cipher != Some(CIPHER) {
            return Err(VaultError::Format(format!(
                "the cipher `{}` is not known",
                cipher.unwrap_or_default()
            )));
        }
        let digits: String = lines.map(str::trim).collect();
        let inner = unhex(&digits)?;
        let mut parts = inner.splitn(3, |byte| *byte == b'\n');
        let mut part = || -> Result<Vec<u8>, VaultError> {
            let digits = parts.next().ok_or_else(|| wrong("a part is missing"))?;
            hex::decode(digits).map_err(|_| wrong("a part is not hexadecimal"))
        };
        let (salt, code, ciphertext) = (part()?, part()?, part()?);
        if code.len() != 32 {
            return Err(wrong("the proof has the wrong length"));
        }
        Ok(Self {
            label: label.map(str::to_owned),
            salt,
            code,
            ciphertext,
        })
    }

    /// The text, with a line break at its end.
    pub fn to_text(&self) -> String {
        let inner = [&self.salt, &self.code, &self.ciphertext]
            .map(hex::encode)
            .join("\n");
        let mut text = match &self.label {
            Some(label) => format!("{MARK};1.2;{CIPHER};{label}\n"),
            None => format!("{MARK};1.1;{CIPHER}\n"),
        };
        let digits = hex::encode(inner);
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at_checked(WIDTH).unwrap_or((rest, ""));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text
    }
}

fn unhex(digits: &str) -> Result<Vec<u8>, VaultError> {
    hex::decode(digits).map_err(|error| {
        VaultError::Format(match error {
            hex::FromHexError::InvalidHexCharacter { .. } => "a line is not hexadecimal".to_owned(),
            _ => "a digit is missing".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_survives_being_taken_apart() {
        for label in [None, Some("dev".to_owned())] {
            let envelope = Envelope {
                label,
                salt: vec![1; 32],
                code: vec![2; 32],
                ciphertext: vec![3; 100],
            };
            let text = envelope.to_text();
            assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
            assert_eq!(Envelope::parse(&text), Ok(envelope));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str| Envelope::parse(text).unwrap_err().to_string();
        for (text, expected) in [
            ("", "the first line does not begin"),
            ("$ANSIBLE_VAULT", "names no version"),
            (
                "$ANSIBLE_VAULT;2.0;AES256\n",
                "the version `2.0` is not known",
            ),
            ("$ANSIBLE_VAULT;1.1;AES\n", "the cipher `AES` is not known"),
            ("$ANSIBLE_VAULT;1.1;AES256\nxy\n", "not hexadecimal"),
            ("$ANSIBLE_VAULT;1.1;AES256\n303\n", "a digit is missing"),
            ("$ANSIBLE_VAULT;1.1;AES256\n3030\n", "a part is missing"),
            (
                "$ANSIBLE_VAULT;1.1;AES256\n30300a30300a3030\n",
                "the wrong length",
            ),
        ] {
            assert!(said(text).contains(expected), "{text}: {}", said(text));
        }
    }
}
