//! P-256 keys in OpenSSH's format whose secret number begins with a zero byte.
//!
//! OpenSSH writes the number as an `mpint` (RFC 4251, section 5), without leading zeros, so that one key of 256 has fewer
//! than 32 bytes. The crate `ssh-key` reads shorter numbers of the other curves, but wants 32 bytes of this one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::cipher::Tag;
use russh::keys::ssh_key::encoding::{Decode as _, Reader};
use russh::keys::ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey, KeypairData};
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData};
use russh::keys::ssh_key::{Algorithm, Cipher, EcdsaCurve, Error, Kdf, Result};

/// What a key file in OpenSSH's format begins with, once its base64 is decoded (`PROTOCOL.key` of OpenSSH).
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The bytes of a secret number of P-256.
const SIZE: usize = 32;

/// Reads such a key; `None` where the text is anything else, or the passphrase is missing or wrong.
pub(super) fn read(text: &str, passphrase: Option<&str>) -> Option<PrivateKey> {
    let body: String = text
        .trim()
        .strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .strip_suffix("-----END OPENSSH PRIVATE KEY-----")?
        .split_whitespace()
        .collect();
    let bytes = STANDARD.decode(body).ok()?;
    from_bytes(&bytes, passphrase).ok()
}

fn from_bytes(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKey> {
    let mut reader = bytes.strip_prefix(MAGIC).ok_or(Error::FormatEncoding)?;
    let cipher = Cipher::decode(&mut reader)?;
    let kdf = Kdf::decode(&mut reader)?;
    if usize::decode(&mut reader)? != 1 {
        return Err(Error::FormatEncoding);
    }
    let public = reader.read_prefixed(KeyData::decode)?;
    let p256 = Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    };
    // Before a passphrase is made into a key, which takes its time on purpose.
    if public.algorithm() != p256 {
        return Err(Error::FormatEncoding);
    }
    let mut secret = Vec::decode(&mut reader)?;
    if cipher.is_some() {
        let tag = if cipher.has_tag() {
            let mut tag = Tag::default();
            reader.read(&mut tag)?;
            Some(tag)
        } else {
            None
        };
        let (key, iv) = kdf.derive_key_and_iv(cipher, passphrase.ok_or(Error::Encrypted)?)?;
        cipher.decrypt(&key, &iv, &mut secret, tag)?;
    }
    let mut reader = secret.as_slice();
    if u32::decode(&mut reader)? != u32::decode(&mut reader)? {
        return Err(Error::Crypto);
    }
    if Algorithm::decode(&mut reader)? != p256 {
        return Err(Error::FormatEncoding);
    }
    let EcdsaPublicKey::NistP256(point) = EcdsaPublicKey::decode(&mut reader)? else {
        return Err(Error::FormatEncoding);
    };
    let number = Vec::decode(&mut reader)?;
    let mut scalar = [0; SIZE];
    scalar
        .get_mut(SIZE.saturating_sub(number.len())..)
        .filter(|tail| tail.len() == number.len())
        .ok_or(Error::FormatEncoding)?
        .copy_from_slice(&number);
    let comment = String::decode(&mut reader)?;
    let key = PrivateKey::new(
        KeypairData::Ecdsa(EcdsaKeypair::NistP256 {
            public: point,
            private: EcdsaPrivateKey::from(scalar),
        }),
        comment,
    )?;
    if *key.public_key().key_data() != public {
        return Err(Error::PublicKey);
    }
    Ok(key)
}
