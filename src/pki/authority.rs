//! The registry's own authority and server certificate: kept as long as they are good, made anew when they are not.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData as _};
use time::{Duration, OffsetDateTime};

use super::certificate::{self, last_moment};
use super::issue::{LONGEST_SERVER_DAYS, authority_name, issue, new_key, sign_authority};
use super::names::CertificateNames;
use crate::secret::{Secret, SecretString};

/// What the server certificate must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it must be valid for; see [`super::certificate_names`]. Not empty.
    pub names: CertificateNames,
    /// How long a new authority lives, in days. Default 3650.
    pub authority_days: u32,
    /// How long a new server certificate lives, in days; clients refuse more than 825. Default 825.
    pub server_days: u32,
    /// It is made anew when it has fewer days than this left. Default 30.
    pub renew_before_days: u32,
}

impl Wanted {
    /// With the default lifetimes.
    pub const fn new(names: CertificateNames) -> Self {
        Self {
            names,
            authority_days: 3650,
            server_days: LONGEST_SERVER_DAYS,
            renew_before_days: 30,
        }
    }
}

/// Why certificates could not be judged or made.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PkiError {
    /// What is wrong, one line.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl PkiError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Authority and server certificate as they are, or will be once the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The authority's certificate in PEM: what clients trust.
    pub authority: String,
    /// The server's certificate in PEM.
    pub certificate: String,
    /// The server's private key in PEM.
    pub key: SecretString,
    /// The last moment of the server certificate.
    pub expires: OffsetDateTime,
    /// The last moment of the authority.
    pub authority_expires: OffsetDateTime,
}

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Where.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// What.
    pub content: Secret<String>,
}

/// What [`ensure`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiPlan {
    /// What is to be used.
    pub material: Material,
    /// What has to be written for that, in order; empty when all is well.
    pub files: Vec<PlannedFile>,
    /// Files whose mode lets others read a key, and the mode they get.
    pub modes: Vec<(PathBuf, u32)>,
    /// Why, one fragment each: `the server certificate lacks node4`.
    pub reasons: Vec<String>,
    directory: PathBuf,
}

impl PkiPlan {
    /// Whether something has to be written.
    pub fn is_changed(&self) -> bool {
        !self.files.is_empty() || !self.modes.is_empty()
    }

    /// Writes what has to be written. Each file appears whole, keys before the certificates that need them.
    pub fn apply(&self) -> io::Result<()> {
        if !self.is_changed() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700))?;
        for file in &self.files {
            let mut temporary = tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(file.mode))
                .tempfile_in(&self.directory)?;
            temporary.write_all(file.content.expose().as_bytes())?;
            // The process's mask may have taken bits away.
            temporary
                .as_file()
                .set_permissions(fs::Permissions::from_mode(file.mode))?;
            temporary.as_file().sync_all()?;
            temporary.persist(&file.path).map_err(|error| error.error)?;
        }
        for (path, mode) in &self.modes {
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
        }
        Ok(())
    }
}

/// Looks at `ca.crt`, `ca.key`, `server.crt` and `server.key` in a folder and says what has to be written so that they
/// are as wanted. Writes nothing.
///
/// An authority is never replaced behind the user's back, because every client trusts the old one: one that cannot be
/// read, or whose key is gone when it is needed, is an error. One near its end gets a new certificate for the same key.
pub fn ensure(directory: &Path, wanted: &Wanted, now: OffsetDateTime) -> Result<PkiPlan, PkiError> {
    let folder = Folder(directory);
    let mut plan = Draft::default();
    let renew = Duration::days(i64::from(wanted.renew_before_days));
    let authority = authority(&folder, wanted, now, renew, &mut plan)?;
    let kept = folder.text("server.crt")?.zip(folder.text("server.key")?);
    let reason = match &kept {
        None => Some("there is no server certificate yet".to_owned()),
        Some((pem, key)) => unfit(pem, key, &authority.pem, &wanted.names, now + renew),
    };
    let (certificate, key) = match (kept, reason) {
        (Some(kept), None) => kept,
        (_, reason) => {
            plan.reasons.extend(reason);
            let Some(key) = &authority.key else {
                return Err(PkiError::new(
                    format!(
                        "{} is not there, and a server certificate must be made with it",
                        folder.shown("ca.key")
                    ),
                    "restore it from a backup; or move the folder away: then a new authority is made, and every client must trust it anew",
                ));
            };
            let pair = issue(&authority.pem, key, wanted, now)?;
            plan.write(&folder, "server.key", 0o600, &pair.1);
            plan.write(&folder, "server.crt", 0o644, &pair.0);
            pair
        }
    };
    for name in ["ca.key", "server.key"] {
        let path = directory.join(name);
        let is_open =
            fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        if is_open && !plan.files.iter().any(|file| file.path == path) {
            plan.reasons
                .push(format!("`{}` can be read by others", path.display()));
            plan.modes.push((path, 0o600));
        }
    }
    let expires = |pem: &str| -> Result<OffsetDateTime, PkiError> {
        last_moment(pem).map_err(|what| {
            PkiError::new(what, "this is a mistake in the program: please report it")
        })
    };
    Ok(PkiPlan {
        material: Material {
            expires: expires(&certificate)?,
            authority_expires: expires(&authority.pem)?,
            authority: authority.pem,
            certificate,
            key: Secret::new(key),
        },
        files: plan.files,
        modes: plan.modes,
        reasons: plan.reasons,
        directory: directory.to_owned(),
    })
}

#[derive(Default)]
struct Draft {
    files: Vec<PlannedFile>,
    modes: Vec<(PathBuf, u32)>,
    reasons: Vec<String>,
}

impl Draft {
    fn write(&mut self, folder: &Folder<'_>, name: &str, mode: u32, content: &str) {
        self.files.push(PlannedFile {
            path: folder.0.join(name),
            mode,
            content: Secret::new(content.to_owned()),
        });
    }
}

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    /// A file's text; `None` only when it is certain that there is none.
    fn text(&self, name: &str) -> Result<Option<String>, PkiError> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PkiError::new(
                format!("`{}` cannot be read: {error}", path.display()),
                "check the owner and mode of the file",
            )),
        }
    }

    fn shown(&self, name: &str) -> String {
        format!("`{}`", self.0.join(name).display())
    }
}

struct Authority {
    pem: String,
    /// Absent when only the certificate is left.
    key: Option<KeyPair>,
}

fn authority(
    folder: &Folder<'_>,
    wanted: &Wanted,
    now: OffsetDateTime,
    renew: Duration,
    plan: &mut Draft,
) -> Result<Authority, PkiError> {
    let restore = format!(
        "restore {} and `ca.key` from a backup; or move the folder away: then a new authority is made, and every client must trust it anew",
        folder.shown("ca.crt")
    );
    let key = match folder.text("ca.key")? {
        None => None,
        Some(pem) => Some(KeyPair::from_pem(&pem).map_err(|error| {
            PkiError::new(
                format!("{} cannot be understood: {error}", folder.shown("ca.key")),
                &restore,
            )
        })?),
    };
    let Some(pem) = folder.text("ca.crt")? else {
        plan.reasons.push("there is no authority yet".to_owned());
        let key = if let Some(key) = key {
            key
        } else {
            let key = new_key()?;
            plan.write(folder, "ca.key", 0o600, &key.serialize_pem());
            key
        };
        let pem = sign_authority(&key, authority_name(&key), wanted, now)?;
        plan.write(folder, "ca.crt", 0o644, &pem);
        return Ok(Authority {
            pem,
            key: Some(key),
        });
    };
    let broken = |what: &str| PkiError::new(format!("{} {what}", folder.shown("ca.crt")), &restore);
    let list = certificate::certificates(&pem).map_err(|what| broken(&what))?;
    let [der] = list.as_slice() else {
        return Err(broken("holds more than one certificate"));
    };
    let seen = certificate::parse(der).map_err(|what| broken(&what))?;
    if !seen.is_ca() {
        return Err(broken("is not the certificate of an authority"));
    }
    if let Some(key) = &key
        && key.subject_public_key_info() != seen.public_key().raw
    {
        return Err(broken("does not belong to `ca.key`"));
    }
    let (_, end) = certificate::validity(&seen);
    if end > now + renew {
        return Ok(Authority { pem, key });
    }
    let Some(key) = key else {
        return Err(broken(&format!(
            "ends on {} and its key is not there",
            certificate::day(end)
        )));
    };
    plan.reasons
        .push(format!("the authority ends on {}", certificate::day(end)));
    let name = seen
        .subject()
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .map_or_else(|| authority_name(&key), str::to_owned);
    let pem = sign_authority(&key, name, wanted, now)?;
    plan.write(folder, "ca.crt", 0o644, &pem);
    Ok(Authority {
        pem,
        key: Some(key),
    })
}

/// Why a server certificate must be made anew, if it must.
fn unfit(
    pem: &str,
    key: &str,
    authority: &str,
    wanted: &CertificateNames,
    needed_until: OffsetDateTime,
) -> Option<String> {
    let judge = || -> Result<Option<String>, String> {
        let list = certificate::certificates(pem)?;
        let seen = certificate::parse(list.first().map(AsRef::as_ref).unwrap_or_default())?;
        let authority = certificate::certificates(authority)?;
        let authority =
            certificate::parse(authority.first().map(AsRef::as_ref).unwrap_or_default())?;
        let Ok(key) = KeyPair::from_pem(key) else {
            return Ok(Some("the server's key cannot be understood".to_owned()));
        };
        if key.subject_public_key_info() != seen.public_key().raw {
            return Ok(Some(
                "the server certificate does not belong to its key".to_owned(),
            ));
        }
        if !certificate::is_signed_by(&seen, &authority) {
            return Ok(Some(
                "the server certificate is not of this authority".to_owned(),
            ));
        }
        let missing = wanted.missing_in(&certificate::names(&seen));
        if !missing.is_empty() {
            return Ok(Some(format!(
                "the server certificate lacks {}",
                missing.join(", ")
            )));
        }
        let (_, end) = certificate::validity(&seen);
        if end <= needed_until {
            return Ok(Some(format!(
                "the server certificate ends on {}",
                certificate::day(end)
            )));
        }
        if !certificate::is_for_servers(&seen) {
            return Ok(Some("the server certificate is not for servers".to_owned()));
        }
        Ok(None)
    };
    judge().unwrap_or_else(|what| Some(format!("the server certificate {what}")))
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
