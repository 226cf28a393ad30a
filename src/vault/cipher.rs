//! AES-256 in counter mode, keys by PBKDF2 from the password, an HMAC over what is encrypted.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Envelope, VaultError};
use crate::secret::Secret;

/// Rounds of PBKDF2, by the format.
const ROUNDS: u32 = 10_000;

/// Bytes of a block, to whose multiple a text is filled up.
const BLOCK: usize = 16;

/// Bytes of a new salt.
const SALT: usize = 32;

/// Key, key of the proof, and first counter, one after the other.
type Derived = Secret<[u8; 80]>;

fn derive(password: &[u8], salt: &[u8]) -> Derived {
    let mut derived = [0; 80];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, &mut derived);
    Secret::new(derived)
}

/// The parts of what was derived; the lengths are fixed, so that none is ever missing.
fn parts(derived: &Derived) -> Option<(&[u8; 32], &[u8; 32], &[u8; 16])> {
    let (key, rest) = derived.expose().split_first_chunk()?;
    let (proof, rest) = rest.split_first_chunk()?;
    let (counter, _) = rest.split_first_chunk()?;
    Some((key, proof, counter))
}

fn proof_of(key: &[u8; 32], ciphertext: &[u8]) -> Result<Hmac<Sha256>, VaultError> {
    let mut proof = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| VaultError::Format(error.to_string()))?;
    proof.update(ciphertext);
    Ok(proof)
}

/// Encrypts with a password and a new salt.
pub fn seal(
    plaintext: &[u8],
    password: &Secret<Vec<u8>>,
    label: Option<&str>,
) -> Result<Envelope, VaultError> {
    seal_with(
        plaintext,
        password,
        label,
        rand::random::<[u8; SALT]>().to_vec(),
    )
}

fn seal_with(
    plaintext: &[u8],
    password: &Secret<Vec<u8>>,
    label: Option<&str>,
    salt: Vec<u8>,
) -> Result<Envelope, VaultError> {
    let derived = derive(password.expose(), &salt);
    let (key, proof, counter) = parts(&derived).ok_or(VaultError::WrongPassword)?;
    let fill = BLOCK - plaintext.len() % BLOCK;
    let mut bytes = plaintext.to_vec();
    bytes.extend(std::iter::repeat_n(u8::try_from(fill).unwrap_or(0), fill));
    Ctr128BE::<Aes256>::new(key.into(), counter.into()).apply_keystream(&mut bytes);
    let code = proof_of(proof, &bytes)?.finalize().into_bytes().to_vec();
    Ok(Envelope {
        label: label.map(str::to_owned),
        salt,
        code,
        ciphertext: bytes,
    })
}

/// Decrypts with a password. The proof is compared in constant time before anything is decrypted.
pub fn open(
    envelope: &Envelope,
    password: &Secret<Vec<u8>>,
) -> Result<Secret<Vec<u8>>, VaultError> {
    let derived = derive(password.expose(), &envelope.salt);
    let (key, proof, counter) = parts(&derived).ok_or(VaultError::WrongPassword)?;
    proof_of(proof, &envelope.ciphertext)?
        .verify_slice(&envelope.code)
        .map_err(|_| VaultError::WrongPassword)?;
    let mut bytes = envelope.ciphertext.clone();
    Ctr128BE::<Aes256>::new(key.into(), counter.into()).apply_keystream(&mut bytes);
    let wrong = || VaultError::Format("the filling at the end is wrong".to_owned());
    let fill = usize::from(bytes.last().copied().ok_or_else(wrong)?);
    let length = bytes.len().checked_sub(fill).ok_or_else(wrong)?;
    let is_filled = (1..=BLOCK).contains(&fill)
        && bytes
            .get(length..)
            .is_some_and(|end| end.iter().all(|byte| usize::from(*byte) == fill));
    if !is_filled {
        return Err(wrong());
    }
    bytes.truncate(length);
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_sealed_opens_with_its_password_alone() {
        for length in [0, 1, 15, 16, 17, 4096] {
            let text = vec![b'x'; length];
            let envelope = seal(&text, &password("p"), None).unwrap();
            assert_eq!(open(&envelope, &password("p")).unwrap().expose(), &text);
            assert_eq!(
                open(&envelope, &password("q")),
                Err(VaultError::WrongPassword)
            );
        }
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let mut envelope = seal(b"text", &password("p"), None).unwrap();
        envelope.ciphertext[0] ^= 1;
        assert_eq!(
            open(&envelope, &password("p")),
            Err(VaultError::WrongPassword)
        );
    }

    #[test]
    fn two_seals_of_one_text_differ() {
        let sealed = || seal(b"text", &password("p"), None).unwrap().ciphertext;
        assert_ne!(sealed(), sealed());
    }

    /// Written by `ansible-vault encrypt` of ansible-core 2.17.14 with the password `fixture password`.
    const FROM_ANSIBLE: &str = include_str!("../../tests/fixtures/vault/from-ansible.txt");

    #[test]
    fn a_text_of_ansibles_opens() {
        let envelope = Envelope::parse(FROM_ANSIBLE).unwrap();
        assert_eq!(envelope.label.as_deref(), Some("dev"));
        let opened = open(&envelope, &password("fixture password")).unwrap();
        assert_eq!(opened.expose(), "zwölf: 12\n".as_bytes());
        // The same salt gives the same text to the byte.
        let again = seal_with(
            opened.expose(),
            &password("fixture password"),
            Some("dev"),
            envelope.salt.clone(),
        );
        assert_eq!(again.unwrap().to_text(), FROM_ANSIBLE);
    }
}
