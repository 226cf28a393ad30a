//! Certificates and secrets of a registry: on this machine, before any host is touched.

use std::path::PathBuf;

use anyhow::Context as _;

use super::live::Live;
use super::names::Names;
use super::prepare::Prepared;
use crate::diagnostic::Diagnostic;
use crate::engine::NoticeLevel;
use crate::pki;
use crate::secret::{
    SecretString,
    store::{self, Store},
};

/// The password's name in the working folder's store of secrets.
pub const PASSWORD: &str = "image_registry.auth.password";
const HTTP_SECRET: &str = "image_registry.http_secret";
const HA_PASSWORD: &str = "image_registry.ha_password";
/// VRRP's simple password has at most 8 characters; keepalived cuts a longer one.
const HA_PASSWORD_LENGTH: usize = 8;

/// Certificates and secrets of the registry, on this machine.
pub struct Material {
    /// The authority that signed the certificate, where it is known.
    pub ca_file: Option<PathBuf>,
    /// The certificate; none with plain HTTP.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The password of the registry's user.
    pub password: SecretString,
    /// What the registries sign uploads with.
    pub http_secret: SecretString,
    /// By which the keepaliveds of this installation know each other; none without a virtual address.
    pub ha_password: Option<SecretString>,
    /// Where the secrets are kept.
    pub secrets_file: PathBuf,
    /// In check mode, what would be written lies here and goes with it.
    scratch: Option<tempfile::TempDir>,
}

impl Material {
    /// Reads what there is and makes what is missing; in check mode nothing of it is kept.
    pub fn prepare(
        prepared: &Prepared,
        live: &Live,
        names: &Names,
        check_mode: bool,
    ) -> anyhow::Result<Self> {
        let registry = &prepared.settings.image_registry;
        let password = registry.password.clone();
        let fill = |store: &mut Store| {
            if let Some(password) =
                password.filter(|password| store.get(PASSWORD) != Some(password))
            {
                store.set(PASSWORD, password);
            }
            let password = store.get_or_generate(PASSWORD, pki::password::generate);
            let short = || pki::password::of_length(HA_PASSWORD_LENGTH);
            (
                password,
                store.get_or_generate(HTTP_SECRET, pki::password::generate),
                (names.vip.as_ref()).map(|_| store.get_or_generate(HA_PASSWORD, short)),
            )
        };
        let (password, http_secret, ha_password) = if check_mode {
            fill(&mut Store::open(&prepared.work_dir)?)
        } else {
            Store::edit(&prepared.work_dir, fill)?
        };
        for secret in [&password, &http_secret].into_iter().chain(&ha_password) {
            prepared.redactor.learn(secret.expose());
        }
        let secrets_file = prepared.work_dir.join(store::FILE_NAME);
        let mut material = Self {
            ca_file: None,
            cert_file: None,
            key_file: None,
            password,
            http_secret,
            ha_password,
            secrets_file,
            scratch: None,
        };
        if registry.plain_http {
            return Ok(material);
        }
        if let Some(own) = &registry.certificate {
            let absolute =
                |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
            material.cert_file = Some(absolute(&own.cert_file));
            material.key_file = Some(absolute(&own.key_file));
            material.ca_file = own.ca_file.as_ref().map(absolute);
            return Ok(material);
        }
        let mut folder = prepared.work_dir.join("pki").join("registry");
        let now = time::OffsetDateTime::now_utc();
        let wanted = pki::Wanted::new(names.certificate.clone());
        let failed =
            |error: pki::PkiError| Diagnostic::error(error.message.clone()).hint(error.hint);
        let plan = pki::ensure(&folder, &wanted, now).map_err(failed)?;
        if plan.is_changed() {
            for reason in &plan.reasons {
                live.events
                    .notice(NoticeLevel::Info, format!("certificates: {reason}"));
            }
            if check_mode {
                let scratch = tempfile::tempdir()
                    .context("make a folder for certificates that are not kept")?;
                folder = scratch.path().join("pki");
                pki::ensure(&folder, &wanted, now)
                    .map_err(failed)?
                    .apply()
                    .context("write certificates")?;
                material.scratch = Some(scratch);
            } else {
                plan.apply()
                    .with_context(|| format!("write certificates to `{}`", folder.display()))?;
            }
        }
        material.ca_file = Some(folder.join("ca.crt"));
        material.cert_file = Some(folder.join("server.crt"));
        material.key_file = Some(folder.join("server.key"));
        Ok(material)
    }
}
