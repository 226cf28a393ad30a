//! `<work_dir>/secrets.yaml`: what was generated for an installation, readable by its owner alone.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::diagnostic::{Diagnostic, Source};
use crate::pki::password;
use crate::secret::SecretString;

const PASSWORD: &str = "image_registry.auth.password";
const HTTP_SECRET: &str = "image_registry.http_secret";

/// The secrets of an installation by the setting they belong to.
pub struct Secrets {
    file: PathBuf,
    values: BTreeMap<String, SecretString>,
    changed: bool,
}

impl Secrets {
    /// Reads the file, if there is one. A file that others may read is made private.
    pub fn open(work_dir: &Path) -> anyhow::Result<Self> {
        let file = work_dir.join("secrets.yaml");
        let mut values = BTreeMap::new();
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let mode = std::fs::metadata(&file)?.permissions().mode();
                if mode & 0o077 != 0 {
                    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
                        .with_context(|| format!("make `{}` private", file.display()))?;
                }
                let source = Source::new(file.display().to_string(), text);
                let node = crate::yaml::parse(&source)?;
                let pairs = match node.as_mapping() {
                    Some(pairs) => pairs,
                    None if node.is_null() => &[],
                    None => return Err(node.unexpected("a mapping of secrets").into()),
                };
                for (key, value) in pairs {
                    values.insert(
                        key.expect_str()?.to_owned(),
                        SecretString::new(value.expect_str()?.to_owned()),
                    );
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let diagnostic =
                    Diagnostic::error(format!("cannot read `{}`: {error}", file.display()));
                return Err(diagnostic.hint("it holds the registry's password: put its permissions right, or name another `--workdir`").into());
            }
        }
        Ok(Self {
            file,
            values,
            changed: false,
        })
    }

    /// Takes over the password that the user set.
    pub fn set_password(&mut self, password: SecretString) {
        if self.values.get(PASSWORD) != Some(&password) {
            self.values.insert(PASSWORD.to_owned(), password);
            self.changed = true;
        }
    }

    /// Generates what is missing.
    pub fn complete(&mut self) {
        for key in [PASSWORD, HTTP_SECRET] {
            if !self.values.contains_key(key) {
                self.values.insert(key.to_owned(), password::generate());
                self.changed = true;
            }
        }
    }

    /// The registry's password.
    pub fn password(&self) -> SecretString {
        self.values.get(PASSWORD).cloned().unwrap_or_default()
    }

    /// What all registries of an installation sign uploads with.
    pub fn http_secret(&self) -> SecretString {
        self.values.get(HTTP_SECRET).cloned().unwrap_or_default()
    }

    /// Every secret.
    pub fn all(&self) -> impl Iterator<Item = &SecretString> {
        self.values.values()
    }

    /// Where they are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the file, whole or not at all, if something changed.
    pub fn save(&mut self) -> anyhow::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .with_context(|| format!("make the folder `{}`", folder.display()))?;
        let mut text =
            String::from("# Written by kk. Keep it: it holds the password of the registry.\n");
        for (key, value) in &self.values {
            text.push_str(&format!("{key}: {}\n", scalar(value.expose())));
        }
        let mut temporary = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary
            .persist(&self.file)
            .with_context(|| format!("write `{}`", self.file.display()))?;
        self.changed = false;
        Ok(())
    }
}

/// A text in YAML: bare where that reads back as the same text.
fn scalar(text: &str) -> String {
    let bare = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if bare && crate::yaml::scalar_to_json(text).is_string() {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::open(folder.path()).unwrap();
        secrets.set_password(SecretString::new("a 'b' \"c\": #d".to_owned()));
        secrets.complete();
        secrets.save().unwrap();
        let again = Secrets::open(folder.path()).unwrap();
        assert_eq!(again.password().expose(), "a 'b' \"c\": #d");
        assert_eq!(again.http_secret(), secrets.http_secret());
        assert!(!again.changed);
        let mode = std::fs::metadata(again.file())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_number_stays_the_text_that_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut secrets = Secrets::open(folder.path()).unwrap();
        secrets.set_password(SecretString::new("0123456".to_owned()));
        secrets.save().unwrap();
        assert_eq!(
            Secrets::open(folder.path()).unwrap().password().expose(),
            "0123456"
        );
    }
}
