//! Private keys from files and from text, checked before anything is connected.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use russh::keys::{Certificate, PrivateKey, PublicKey};
use sha2::{Digest as _, Sha256};

use super::options::SshOptions;
use crate::connect::TransportError;
use crate::secret::SecretString;

/// The biggest key file that is read, in bytes. A key is a few KiB.
const LARGEST_KEY: u64 = 1024 * 1024;

/// A key that can be tried.
#[derive(Clone)]
pub(super) enum Key {
    /// Usable here.
    Private {
        /// What a person calls it.
        name: String,
        /// The key.
        key: Arc<PrivateKey>,
        /// The certificate beside it.
        certificate: Option<Box<Certificate>>,
    },
    /// Encrypted, and there is no passphrase: only an agent that holds it can use it.
    Locked {
        /// What a person calls it.
        name: String,
        /// Its public half.
        public: PublicKey,
    },
}

/// Private keys that were decoded already, so that a key that all hosts share is decrypted once: its passphrase is made
/// slow to try on purpose. Shared by connections.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<[u8; 32], Arc<PrivateKey>>>);

/// Never the keys.
impl std::fmt::Debug for KeyCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyCache")
    }
}

impl KeyCache {
    /// The one of this process.
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<KeyCache>> = LazyLock::new(Arc::default);
        Arc::clone(&SHARED)
    }

    /// Decodes a key, unless the same text and passphrase were decoded before. Others that need a key wait meanwhile:
    /// most likely it is the same one.
    fn decode(
        &self,
        text: &str,
        passphrase: Option<&str>,
    ) -> Result<Arc<PrivateKey>, russh::keys::Error> {
        let mut hash = Sha256::new();
        hash.update(Sha256::digest(text));
        hash.update(passphrase.map(Sha256::digest).unwrap_or_default());
        let name = hash.finalize().into();
        let mut decoded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = decoded.get(&name) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(russh::keys::decode_secret_key(text, passphrase)?);
        decoded.insert(name, Arc::clone(&key));
        Ok(key)
    }
}

/// The keys that the options name, in the order they are tried.
pub(super) fn explicit_keys(options: &SshOptions) -> Result<Vec<Key>, TransportError> {
    let mut keys = Vec::new();
    let passphrase = options.passphrase.as_ref();
    if let Some(path) = &options.private_key {
        keys.push(read_key(path, passphrase, &options.keys)?);
    }
    if let Some(content) = &options.private_key_content {
        keys.push(decode(
            content.expose(),
            passphrase,
            &options.keys,
            "the key given as `private_key_content`".to_owned(),
        )?);
    }
    Ok(keys)
}

/// The default keys that can be used; those that are missing, encrypted or not understood are passed over.
pub(super) fn default_keys(options: &SshOptions) -> Vec<Key> {
    options
        .default_keys
        .iter()
        .filter(|path| path.exists())
        .filter_map(|path| read_key(path, options.passphrase.as_ref(), &options.keys).ok())
        .filter(|key| matches!(key, Key::Private { .. }))
        .collect()
}

fn read_key(
    path: &Path,
    passphrase: Option<&SecretString>,
    cache: &KeyCache,
) -> Result<Key, TransportError> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        local(
            format!("read the private key `{shown}`: {error}"),
            match error.kind() {
                std::io::ErrorKind::NotFound => "check `private_key` of the host in the inventory",
                _ => "the file must be readable by the user that runs this program",
            },
        )
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(local(
            format!("read the private key `{shown}`: it is not a file"),
            "check `private_key` of the host in the inventory",
        ));
    }
    let mode = metadata.permissions().mode();
    if metadata.uid() == rustix::process::geteuid().as_raw() && mode & 0o077 != 0 {
        return Err(local(
            format!(
                "the private key `{shown}` can be read by others (mode {:04o})",
                mode & 0o7777
            ),
            &format!("`chmod 600 {shown}`"),
        ));
    }
    let mut text = String::new();
    file.take(LARGEST_KEY)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let mut key = decode(
        &text,
        passphrase,
        cache,
        format!("the private key `{shown}`"),
    )?;
    if let Key::Private { certificate, .. } = &mut key {
        *certificate = certificate_beside(path);
    }
    Ok(key)
}

/// `id_x-cert.pub` beside `id_x`, as `ssh` finds it.
fn certificate_beside(path: &Path) -> Option<Box<Certificate>> {
    let mut name = path.file_name()?.to_owned();
    name.push("-cert.pub");
    let text = std::fs::read_to_string(path.with_file_name(name)).ok()?;
    // A chain of certificates within certificates is not read: it could be endless.
    if text.len() > 64 * 1024 {
        return None;
    }
    Certificate::from_openssh(&text).ok().map(Box::new)
}

fn decode(
    text: &str,
    passphrase: Option<&SecretString>,
    cache: &KeyCache,
    name: String,
) -> Result<Key, TransportError> {
    // Keys that went through YAML or a clipboard may be indented or have the line ends of another system.
    let lines: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .collect();
    let mut tidy = lines.join("\n");
    tidy.push('\n');
    if tidy.trim().is_empty() {
        return Err(local(
            format!("{name} is empty"),
            "give the private key as `ssh-keygen` writes it",
        ));
    }
    if PublicKey::from_openssh(tidy.trim()).is_ok() {
        return Err(local(
            format!("{name} is a public key"),
            "give the private key: the file of the same name without `.pub`",
        ));
    }
    // For a key without a passphrase one that is given is ignored, as `ssh` does.
    let plain = cache.decode(&tidy, None);
    if let Ok(key) = &plain {
        let key = Arc::clone(key);
        return Ok(Key::Private {
            name,
            key,
            certificate: None,
        });
    }
    let locked = PrivateKey::from_openssh(&tidy)
        .ok()
        .filter(PrivateKey::is_encrypted);
    let is_encrypted = locked.is_some()
        || matches!(plain, Err(russh::keys::Error::KeyIsEncrypted))
        || tidy.contains("ENCRYPTED");
    match (is_encrypted, passphrase) {
        (true, Some(passphrase)) => match cache.decode(&tidy, Some(passphrase.expose())) {
            Ok(key) => Ok(Key::Private {
                name,
                key,
                certificate: None,
            }),
            Err(_) => Err(local(
                format!("{name} cannot be decrypted"),
                "check `private_key_passphrase`",
            )),
        },
        (true, None) => match locked {
            Some(key) => Ok(Key::Locked {
                name,
                public: key.public_key().clone(),
            }),
            None => Err(passphrase_missing(&name)),
        },
        (false, _) => Err(local(
            format!("{name} is not a private key that is understood"),
            "it must be a key as `ssh-keygen` writes it: Ed25519, ECDSA or RSA, in OpenSSH or PEM format",
        )),
    }
}

/// The error for a key that is encrypted and in no agent.
pub(super) fn passphrase_missing(name: &str) -> TransportError {
    local(
        format!("{name} is encrypted and there is no passphrase for it"),
        "give `private_key_passphrase`, or load the key into an agent with `ssh-add`",
    )
}

fn local(reason: String, hint: &str) -> TransportError {
    TransportError::Local {
        reason,
        hint: hint.to_owned(),
    }
}
