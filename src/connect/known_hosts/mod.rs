//! Which host keys are trusted: OpenSSH's known_hosts files, read strictly.
//!
//! Decides as OpenSSH does (hashed names, patterns, negation, `[host]:port`, `@revoked`, `@cert-authority`), and is
//! stricter in three points: lines that are not understood are reported, a revoked key is not accepted inside a
//! certificate either, and a certificate for no name in particular is not accepted. It never asks and never connects.

mod certificate;
mod file;
mod line;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Algorithm, HashAlg};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, Span};
pub(super) use line::matches;
use line::{Line, Marker};

/// The port that known_hosts files do not write down.
const DEFAULT_PORT: u16 = 22;

/// A key that stands in a known_hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// For instance `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// The file.
    pub file: PathBuf,
    /// The line in it, counted from 1.
    pub line: usize,
}

impl std::fmt::Display for KnownKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} {} ({}:{})",
            self.algorithm,
            self.fingerprint,
            self.file.display(),
            self.line
        )
    }
}

/// What the files say about a key that a host presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is the host's key, or a valid certificate by an authority that is trusted for the host.
    Trusted,
    /// Nothing is known about this host.
    Unknown {
        /// Why a certificate it presented did not count, if it did present one.
        certificate: Option<String>,
    },
    /// Other keys are known for this host.
    Changed {
        /// All of them.
        known: Vec<KnownKey>,
        /// Why a certificate it presented did not count, if it did present one.
        certificate: Option<String>,
    },
    /// The key, or the authority that signed it, must never be accepted.
    Revoked {
        /// The line that says so.
        by: KnownKey,
    },
}

#[derive(Debug)]
struct Entry {
    line: Line,
    file: Arc<Path>,
    number: usize,
}

impl Entry {
    fn describe(&self) -> KnownKey {
        KnownKey {
            algorithm: self.line.key.algorithm().as_str().to_owned(),
            fingerprint: fingerprint(&self.line.key),
            file: self.file.to_path_buf(),
            line: self.number,
        }
    }
}

/// The contents of all known_hosts files of a run. Shared by all connections; what one of them learns the others know.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: RwLock<Vec<Entry>>,
    /// Where new keys go.
    writable: Option<PathBuf>,
}

impl KnownHosts {
    /// Reads the user's files (new keys go to the first one) and those of the system. A file that does not exist is
    /// empty; one that cannot be read and every line that is not understood is a warning.
    pub fn load(user: &[PathBuf], system: &[PathBuf]) -> (Self, Diagnostics) {
        let mut found = Diagnostics::new();
        let mut entries = Vec::new();
        for path in user.iter().chain(system) {
            match std::fs::read(path) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    parse_file(path, &text, &mut entries, &mut found);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => found.push(
                    Diagnostic::warning(format!("read `{}`: {error}", path.display()))
                        .hint("the host keys in it are not known to this run"),
                ),
            }
        }
        let known = Self {
            entries: RwLock::new(entries),
            writable: user.first().cloned(),
        };
        (known, found)
    }

    /// The user's files that OpenSSH reads by default.
    pub fn files_of_user() -> Vec<PathBuf> {
        std::env::home_dir()
            .map(|home| {
                ["known_hosts", "known_hosts2"]
                    .map(|name| home.join(".ssh").join(name))
                    .to_vec()
            })
            .unwrap_or_default()
    }

    /// The system's files that OpenSSH reads by default.
    pub fn files_of_system() -> Vec<PathBuf> {
        ["ssh_known_hosts", "ssh_known_hosts2"]
            .map(|name| Path::new("/etc/ssh").join(name))
            .to_vec()
    }

    /// Refuses every key of a file with one public key a line, whoever presents it.
    pub fn revoke(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("read `{shown}`: {error}"))?;
        if bytes.starts_with(b"SSHKRL") {
            return Err(format!(
                "`{shown}` is a key revocation list in the binary form, which is not read here"
            ));
        }
        let file: Arc<Path> = Arc::from(path);
        let entries = self
            .entries
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line::parse(&format!("@revoked * {line}")) {
                Some(Ok(line)) => entries.push(Entry {
                    line,
                    file: Arc::clone(&file),
                    number: index + 1,
                }),
                Some(Err((_, reason))) => {
                    return Err(format!("{shown}:{}: {reason}", index + 1));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The file that new keys are added to, if there is one.
    pub fn writable_file(&self) -> Option<&Path> {
        self.writable.as_deref()
    }

    /// What the files say about a key or certificate that a host presents at a time (seconds since 1970).
    pub fn check(
        &self,
        host: &str,
        port: u16,
        presented: &PublicKeyOrCertificate,
        now: u64,
    ) -> Decision {
        let decision = self.check_name(&lookup_name(host, port), host, presented, now);
        // As OpenSSH: a key known for the host without a port is accepted on any port, and no more than that.
        if port != DEFAULT_PORT && matches!(decision, Decision::Unknown { .. }) {
            let name = lookup_name(host, DEFAULT_PORT);
            match self.check_name(&name, host, presented, now) {
                accepted @ (Decision::Trusted | Decision::Revoked { .. }) => return accepted,
                Decision::Unknown { .. } | Decision::Changed { .. } => {}
            }
        }
        decision
    }

    fn check_name(
        &self,
        name: &str,
        host: &str,
        presented: &PublicKeyOrCertificate,
        now: u64,
    ) -> Decision {
        let entries = self
            .entries
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let about: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.line.is_about(name))
            .collect();
        let key = presented.public_key();
        let authority = presented
            .certificate()
            .map(russh::keys::Certificate::signature_key);
        let revoked = about.iter().find(|entry| {
            entry.line.marker == Marker::Revoked
                && (entry.line.key == *key.key_data() || Some(&entry.line.key) == authority)
        });
        if let Some(entry) = revoked {
            return Decision::Revoked {
                by: entry.describe(),
            };
        }
        let mut rejected = None;
        if let Some(certificate) = presented.certificate() {
            let trusted = about.iter().any(|entry| {
                entry.line.marker == Marker::CertAuthority
                    && entry.line.key == *certificate.signature_key()
            });
            let verdict = if trusted {
                certificate::check(certificate, host, now)
            } else {
                Err(format!(
                    "its authority {} is not trusted for this host",
                    fingerprint(certificate.signature_key())
                ))
            };
            match verdict {
                Ok(()) => return Decision::Trusted,
                // The key exchange is signed with the key in the certificate, so that key may still be known.
                Err(reason) => rejected = Some(reason),
            }
        }
        let plain: Vec<&&Entry> = about
            .iter()
            .filter(|entry| entry.line.marker == Marker::Plain)
            .collect();
        if plain.iter().any(|entry| entry.line.key == *key.key_data()) {
            Decision::Trusted
        } else if plain.is_empty() {
            Decision::Unknown {
                certificate: rejected,
            }
        } else {
            Decision::Changed {
                known: plain.iter().map(|entry| entry.describe()).collect(),
                certificate: rejected,
            }
        }
    }

    /// The types of the keys that are known for a host, without those that are revoked.
    pub fn known_algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        self.about(host, port, Marker::Plain)
    }

    /// Whether an authority is trusted to sign certificates for a host.
    pub fn has_authority(&self, host: &str, port: u16) -> bool {
        !self.about(host, port, Marker::CertAuthority).is_empty()
    }

    fn about(&self, host: &str, port: u16, marker: Marker) -> Vec<Algorithm> {
        let entries = self
            .entries
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let names = [lookup_name(host, port), lookup_name(host, DEFAULT_PORT)];
        names
            .iter()
            .map(|name| {
                entries
                    .iter()
                    .filter(|entry| entry.line.marker == marker && entry.line.is_about(name))
                    .map(|entry| entry.line.key.algorithm())
                    .collect::<Vec<_>>()
            })
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    /// Adds a key for a host to the user's file, and to what all connections of this run know.
    pub fn remember(&self, host: &str, port: u16, key: &KeyData) -> Result<KnownKey, String> {
        let path = self
            .writable
            .as_deref()
            .ok_or_else(|| "there is no file for new host keys".to_owned())?;
        let text = russh::keys::PublicKey::new(key.clone(), "")
            .to_openssh()
            .map_err(|error| error.to_string())?;
        let unwritable = || format!("`{host}` cannot be written to a known_hosts file");
        // Anything else could read as a pattern, a list, a comment or a marker.
        let harmless = |character: char| character.is_alphanumeric() || "._-:%".contains(character);
        if host.is_empty() || !host.chars().all(harmless) {
            return Err(unwritable());
        }
        let written = format!("{} {}", lookup_name(host, port), text.trim_end());
        let Some(Ok(line)) = line::parse(&written) else {
            return Err(unwritable());
        };
        let mut entries = self
            .entries
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = file::append(path, &written)
            .map_err(|error| format!("write `{}`: {error}", path.display()))?;
        let entry = Entry {
            line,
            file: Arc::from(path),
            number,
        };
        let described = entry.describe();
        entries.push(entry);
        Ok(described)
    }
}

/// The name a host goes by in a known_hosts file.
pub fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == DEFAULT_PORT {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// `SHA256:…` of a key.
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn parse_file(path: &Path, text: &str, entries: &mut Vec<Entry>, found: &mut Diagnostics) {
    let file: Arc<Path> = Arc::from(path);
    let source = Source::new(path.display().to_string(), text);
    let mut offset = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        match line::parse(whole.trim_end_matches(['\n', '\r'])) {
            None => {}
            Some(Ok(line)) => entries.push(Entry {
                line,
                file: Arc::clone(&file),
                number: index + 1,
            }),
            Some(Err((range, reason))) => {
                let span = Span {
                    start: offset + range.start,
                    end: offset + range.end,
                };
                let mut warning = Diagnostic::at(&Place::new(&source, span), reason)
                    .hint("the line is ignored; remove or correct it");
                warning.severity = crate::diagnostic::Severity::Warning;
                found.push(warning);
            }
        }
        offset += whole.len();
    }
}

#[cfg(test)]
mod tests;
