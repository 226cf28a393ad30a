//! Generated passwords and secrets.

use rand::RngExt as _;

use crate::secret::{Secret, SecretString};

/// Characters of a generated password: about 166 bits.
pub const LENGTH: usize = 28;

/// Letters and digits only: they pass unchanged through shells, URLs, YAML, compose files and environment files.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new password of [`LENGTH`] letters and digits, with at least one capital, one small letter and one digit, as
/// Harbor demands.
pub fn generate() -> SecretString {
    of_length(LENGTH)
}

/// The same with `length` characters, for what takes no longer one. At least 3.
pub fn of_length(length: usize) -> SecretString {
    let mut random = rand::rng();
    let length = length.max(3);
    loop {
        let text: String = (0..length)
            .filter_map(|_| ALPHABET.get(random.random_range(0..ALPHABET.len())))
            .map(|byte| char::from(*byte))
            .collect();
        let has = |test: fn(char) -> bool| text.chars().any(test);
        if has(|c| c.is_ascii_uppercase())
            && has(|c| c.is_ascii_lowercase())
            && has(|c| c.is_ascii_digit())
        {
            return Secret::new(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_plain_and_never_twice() {
        let passwords: std::collections::HashSet<String> =
            (0..500).map(|_| generate().expose().clone()).collect();
        assert_eq!(passwords.len(), 500);
        for password in passwords {
            assert_eq!(password.len(), LENGTH);
            assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)));
        }
    }
}
