//! Generated secrets, kept in `<work_dir>/secrets.yaml` so that every run uses the same.
//!
//! A flat mapping of dotted names (`image_registry.auth.password`) to texts, readable by its owner alone. What the
//! user sets otherwise goes before it; that is the caller's part.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Secret, SecretString};
use crate::diagnostic::{Diagnostic, Source};

/// The file's name in the working folder.
pub const FILE_NAME: &str = "secrets.yaml";

const HEADER: &str = "\
# Secrets that kk made for this working folder. Keep this file: without it, the next run makes new ones.
";

/// The secrets of one working folder.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    values: BTreeMap<String, SecretString>,
    generated: Vec<String>,
    is_open_to_others: bool,
}

impl Store {
    /// Reads the secrets of a working folder. There are none where there is no file.
    pub fn open(work_dir: &Path) -> Result<Self, Diagnostic> {
        let file = work_dir.join(FILE_NAME);
        let mut store = Self {
            values: BTreeMap::new(),
            generated: Vec::new(),
            is_open_to_others: fs::metadata(&file)
                .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0),
            file,
        };
        let text = match fs::read_to_string(&store.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(store),
            Err(error) => return Err(store.failure("read", &error)),
        };
        // The text itself must not be shown beside a mistake in it.
        let source = Source::new(store.file.display().to_string(), text);
        let hide = |diagnostic: Diagnostic| {
            let place = diagnostic
                .place
                .map(|place| place.to_string())
                .unwrap_or_default();
            Diagnostic::error(format!("{place}: {}", diagnostic.message))
                .hint("correct the file, or move it away: then new secrets are made")
        };
        let node = crate::yaml::parse(&source).map_err(hide)?;
        let Some(pairs) = node.as_mapping() else {
            if node.is_null() {
                return Ok(store);
            }
            return Err(hide(node.unexpected("a mapping of names to texts")));
        };
        for (key, value) in pairs {
            let name = key.expect_str().map_err(hide)?;
            let text = value.expect_str().map_err(hide)?;
            store
                .values
                .insert(name.to_owned(), Secret::new(text.to_owned()));
        }
        Ok(store)
    }

    /// Opens the secrets, lets `edit` work on them and writes them down if something is new. Two programs that do so
    /// at once wait for each other, and both see what the first one made.
    pub fn edit<T>(work_dir: &Path, edit: impl FnOnce(&mut Self) -> T) -> Result<T, Diagnostic> {
        let failure = |error: io::Error| {
            Diagnostic::error(format!(
                "the working folder `{}` cannot be used: {error}",
                work_dir.display()
            ))
            .hint("check its owner and mode, or choose another with `--workdir`")
        };
        fs::create_dir_all(work_dir).map_err(failure)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(work_dir.join(".secrets.lock"))
            .map_err(failure)?;
        lock.lock().map_err(failure)?;
        let mut store = Self::open(work_dir)?;
        let result = edit(&mut store);
        store
            .save()
            .map_err(|error| store.failure("written", &error))?;
        Ok(result)
    }

    /// A secret by its name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    /// A secret by its name, or a new one. A new one lasts only when this runs inside [`Store::edit`].
    pub fn get_or_generate(
        &mut self,
        name: &str,
        generate: impl FnOnce() -> SecretString,
    ) -> SecretString {
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        let value = generate();
        self.set(name, value.clone());
        value
    }

    /// Puts a secret in, over the one that is there.
    pub fn set(&mut self, name: &str, value: SecretString) {
        self.values.insert(name.to_owned(), value);
        self.generated.push(name.to_owned());
    }

    /// Names of what is new, in the order made.
    pub fn generated(&self) -> &[String] {
        &self.generated
    }

    /// Every value, for the redactor.
    pub fn values(&self) -> impl Iterator<Item = &SecretString> {
        self.values.values()
    }

    /// The file, for messages.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A warning when others can read the file; [`Store::edit`] closes it.
    pub fn warning(&self) -> Option<Diagnostic> {
        self.is_open_to_others.then(|| {
            Diagnostic::warning(format!("`{}` can be read by others", self.file.display()))
                .hint(format!("its mode becomes 0600; change the secrets if somebody may have seen them, `chmod 600 {}`", self.file.display()))
        })
    }

    fn failure(&self, verb: &str, error: &io::Error) -> Diagnostic {
        Diagnostic::error(format!(
            "`{}` cannot be {verb}: {error}",
            self.file.display()
        ))
        .hint("check the owner and mode of the file")
    }

    fn save(&self) -> io::Result<()> {
        if self.generated.is_empty() {
            if self.is_open_to_others {
                fs::set_permissions(&self.file, Permissions::from_mode(0o600))?;
            }
            return Ok(());
        }
        let mut text = HEADER.to_owned();
        for (name, value) in &self.values {
            // JSON's texts are YAML's, too.
            let name = serde_json::to_string(name)?;
            let name = if name.contains(['\\', ' ', ':', '#']) {
                &name
            } else {
                name.trim_matches('"')
            };
            let _ = writeln!(text, "{name}: {}", serde_json::to_string(value.expose())?);
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        // Temporary files are made with mode 0600.
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(&self.file).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "image_registry.auth.password";

    fn secret(text: &str) -> SecretString {
        Secret::new(text.to_owned())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_made_once_stays() {
        let folder = tempfile::tempdir().unwrap();
        let work_dir = folder.path().join("kubekey");
        assert!(Store::open(&work_dir).unwrap().get(KEY).is_none());
        assert!(!work_dir.exists());
        let odd = "a: \"b\" #c\\\n\u{e4}\u{1}'{{ x }}";
        let first = Store::edit(&work_dir, |store| {
            store.set("odd", secret(odd));
            store.get_or_generate(KEY, || secret("one"))
        });
        assert_eq!(first.unwrap(), secret("one"));
        assert_eq!(mode(&work_dir.join(FILE_NAME)), 0o600);
        let before = fs::metadata(work_dir.join(FILE_NAME))
            .unwrap()
            .modified()
            .unwrap();
        let second = Store::edit(&work_dir, |store| {
            assert_eq!(store.get("odd"), Some(&secret(odd)));
            store.get_or_generate(KEY, || secret("two"))
        });
        assert_eq!(second.unwrap(), secret("one"));
        let after = fs::metadata(work_dir.join(FILE_NAME))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn without_edit_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.get_or_generate(KEY, || secret("x"));
        assert_eq!(store.generated(), [KEY]);
        drop(store);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn numbers_and_words_stay_texts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join(FILE_NAME),
            "a: 0123456\nb: yes\nc: '1.10'\n",
        )
        .unwrap();
        let store = Store::open(folder.path()).unwrap();
        let get = |name: &str| store.get(name).unwrap().expose().clone();
        assert_eq!([get("a"), get("b"), get("c")], ["0123456", "yes", "1.10"]);
    }

    #[test]
    fn a_file_open_to_others_is_told_and_closed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        fs::write(&file, "a: b\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.warning().unwrap().message.contains("read by others"));
        Store::edit(folder.path(), |_| ()).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(Store::open(folder.path()).unwrap().warning().is_none());
    }

    #[test]
    fn a_broken_file_is_an_error_that_shows_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "a: canary\n\tb: [canary",
            "canary",
            "a: [canary]",
            "a: canary\na: canary",
        ] {
            fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let error = Store::edit(folder.path(), |_| ()).unwrap_err();
            let shown = crate::diagnostic::render(&error, crate::diagnostic::Colour::Never);
            assert!(!shown.contains("canary"), "{shown}");
            assert!(shown.contains("secrets.yaml:"), "{shown}");
            assert_eq!(
                fs::read_to_string(folder.path().join(FILE_NAME)).unwrap(),
                text
            );
        }
    }

    #[test]
    fn many_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let values: Vec<SecretString> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let path = folder.path();
                    scope.spawn(move || {
                        Store::edit(path, |store| {
                            store.get_or_generate(KEY, || secret(&number.to_string()))
                        })
                        .unwrap()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    }
}
