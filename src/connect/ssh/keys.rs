//! Private keys from files and from text, checked before anything is connected.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PrivateKey, PublicKey};
use sha2::{Digest as _, Sha256};

use super::options::{AskPerson, PersonQuestion, SshOptions};
use super::short_key;
use crate::connect::TransportError;

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
        /// Certificates for it.
        certificates: Vec<Certificate>,
    },
    /// Encrypted, and there is no passphrase: an agent that holds it can use it, or a person knows the passphrase.
    Locked {
        /// What a person calls it.
        name: String,
        /// Its public half.
        public: PublicKey,
        /// The key as it stands in the file, unless there is the public half only.
        text: Option<Arc<str>>,
        /// Certificates for it.
        certificates: Vec<Certificate>,
    },
}

impl Key {
    fn public(&self) -> &KeyData {
        match self {
            Self::Private { key, .. } => key.public_key().key_data(),
            Self::Locked { public, .. } => public.key_data(),
        }
    }

    /// Its public half.
    pub(super) fn to_public(&self) -> PublicKey {
        match self {
            Self::Private { key, .. } => key.public_key().clone(),
            Self::Locked { public, .. } => public.clone(),
        }
    }

    fn certificates(&mut self) -> &mut Vec<Certificate> {
        match self {
            Self::Private { certificates, .. } | Self::Locked { certificates, .. } => certificates,
        }
    }
}

/// Private keys that were decoded already, so that a key that all hosts share is decrypted once: its passphrase is made
/// slow to try on purpose, and a person is asked for it once. Shared by connections.
#[derive(Default)]
pub struct KeyCache {
    decoded: Mutex<HashMap<[u8; 32], Arc<PrivateKey>>>,
    /// What came of asking a person for a passphrase, by the key's text.
    asked: Mutex<HashMap<[u8; 32], Option<Arc<PrivateKey>>>>,
}

/// How often a person is asked for a passphrase that turns out to be wrong.
const PASSPHRASE_ATTEMPTS: usize = 3;

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
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = decoded.get(&name) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(
            russh::keys::decode_secret_key(text, passphrase)
                .or_else(|error| short_key::read(text, passphrase).ok_or(error))?,
        );
        decoded.insert(name, Arc::clone(&key));
        Ok(key)
    }

    /// Decrypts a key with the passphrase that a person gives. For each key there is one question in a run, whatever
    /// comes of it; who needs the same key waits for the answer. Blocks.
    pub(super) fn unlock(
        &self,
        text: &str,
        name: &str,
        person: &dyn AskPerson,
    ) -> Option<Arc<PrivateKey>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = Sha256::digest(text).into();
        if let Some(known) = asked.get(&digest) {
            return known.clone();
        }
        let mut unlocked = None;
        for attempt in 0..PASSPHRASE_ATTEMPTS {
            let Some(passphrase) = person.ask(&PersonQuestion::Passphrase {
                key: name.to_owned(),
                was_wrong: attempt > 0,
            }) else {
                break;
            };
            unlocked = self.decode(text, Some(passphrase.expose())).ok();
            if unlocked.is_some() {
                break;
            }
        }
        asked.insert(digest, unlocked.clone());
        unlocked
    }
}

/// The keys that the options name, in the order they are tried.
pub(super) fn explicit_keys(options: &SshOptions) -> Result<Vec<Key>, TransportError> {
    let mut keys = Vec::new();
    if let Some(path) = &options.private_key {
        keys.push(read_key(path, options, options.person.as_deref())?);
    }
    if let Some(content) = &options.private_key_content {
        keys.push(decode(
            content.expose(),
            options,
            options.person.as_deref(),
            "the key given as `private_key_content`".to_owned(),
        )?);
    }
    add_certificates(&mut keys, options)?;
    Ok(keys)
}

/// The keys that OpenSSH's configuration names, and what is wrong with those that cannot be used. As with `ssh` those are
/// passed over. Of a key that only an agent has the public half is enough.
pub(super) fn configured_keys(
    options: &SshOptions,
) -> Result<(Vec<Key>, Vec<String>), TransportError> {
    let mut keys = Vec::new();
    let mut passed_over = Vec::new();
    for path in &options.identity_files {
        match read_or_public(path, options) {
            Some(Ok(key)) => keys.push(key),
            Some(Err(error)) => passed_over.push(error.to_string()),
            None => {}
        }
    }
    add_certificates(&mut keys, options)?;
    Ok((keys, passed_over))
}

/// The default keys that can be used; those that are missing or not understood are passed over, and those that are
/// encrypted where nobody can be asked.
pub(super) fn default_keys(options: &SshOptions) -> Result<Vec<Key>, TransportError> {
    let mut keys: Vec<Key> = options
        .default_keys
        .iter()
        .filter(|path| path.exists())
        .filter_map(|path| read_key(path, options, None).ok())
        .filter(|key| matches!(key, Key::Private { .. }) || options.person.is_some())
        .collect();
    add_certificates(&mut keys, options)?;
    Ok(keys)
}

/// The certificates that are named, to the keys that they are for.
fn add_certificates(keys: &mut [Key], options: &SshOptions) -> Result<(), TransportError> {
    for path in &options.certificate_files {
        if !path.exists() {
            continue;
        }
        let certificate = read_certificate(path).ok_or_else(|| {
            local(
                format!("`{}` is not a certificate of OpenSSH", path.display()),
                "`CertificateFile` names a file as `ssh-keygen -s` writes it",
            )
        })?;
        for key in keys.iter_mut() {
            if key.public() == certificate.public_key() {
                let certificates = key.certificates();
                if !certificates.contains(&certificate) {
                    certificates.insert(0, certificate.clone());
                }
            }
        }
    }
    Ok(())
}

/// A key, or its public half where the private one is not in a file of its own.
fn read_or_public(path: &Path, options: &SshOptions) -> Option<Result<Key, TransportError>> {
    let public = |path: &Path| {
        let text = std::fs::read_to_string(path).ok()?;
        let public = PublicKey::from_openssh(text.trim()).ok()?;
        Some(Ok(Key::Locked {
            name: format!("the key `{}`", path.display()),
            public,
            text: None,
            certificates: Vec::new(),
        }))
    };
    if !path.exists() {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".pub");
        return public(Path::new(&beside));
    }
    public(path).or_else(|| Some(read_key(path, options, None)))
}

fn read_key(
    path: &Path,
    options: &SshOptions,
    person: Option<&dyn AskPerson>,
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
    let mut key = decode(&text, options, person, format!("the private key `{shown}`"))?;
    let beside = certificate_beside(path);
    key.certificates().extend(beside);
    Ok(key)
}

/// `id_x-cert.pub` beside `id_x`, as `ssh` finds it.
fn certificate_beside(path: &Path) -> Option<Certificate> {
    let mut name = path.file_name()?.to_owned();
    name.push("-cert.pub");
    read_certificate(&path.with_file_name(name))
}

fn read_certificate(path: &Path) -> Option<Certificate> {
    let text = std::fs::read_to_string(path).ok()?;
    // A chain of certificates within certificates is not read: it could be endless.
    if text.len() > 64 * 1024 {
        return None;
    }
    Certificate::from_openssh(text.trim()).ok()
}

/// A key from its text. A `person` is asked for the passphrase at once where no agent holds the key.
fn decode(
    text: &str,
    options: &SshOptions,
    person: Option<&dyn AskPerson>,
    name: String,
) -> Result<Key, TransportError> {
    let (passphrase, cache) = (options.passphrase.as_ref(), &options.keys);
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
            certificates: Vec::new(),
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
                certificates: Vec::new(),
            }),
            Err(_) => Err(local(
                format!("{name} cannot be decrypted"),
                "check `private_key_passphrase`",
            )),
        },
        (true, None) => match (locked, person) {
            (Some(key), _) => Ok(Key::Locked {
                name,
                public: key.public_key().clone(),
                text: Some(Arc::from(tidy)),
                certificates: Vec::new(),
            }),
            // Its public half is encrypted too, so no agent can be asked about it.
            (None, Some(person)) => match cache.unlock(&tidy, &name, person) {
                Some(key) => Ok(Key::Private {
                    name,
                    key,
                    certificates: Vec::new(),
                }),
                None => Err(passphrase_missing(&name)),
            },
            (None, None) => Err(passphrase_missing(&name)),
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
