//! The lookup `password`: a password that is made once, and kept in a file.
//!
//! The file is made at once and for its owner alone; of several hosts and runs that ask at the same time the first one
//! makes it. What is read or made is masked wherever it would be shown.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value as Json};

use super::Asker;
use super::files::beside_playbook;
use super::options::{Options, known};
use crate::playbook::words;
use crate::template::{Layer, Scope, Template, display};

/// One at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Characters of a password that is asked for without any.
const DEFAULT_CHARACTERS: [&str; 3] = ["ascii_letters", "digits", ".,:-_"];

/// Characters of a salt.
const SALT_CHARACTERS: [&str; 3] = ["ascii_letters", "digits", "./"];

/// Passwords of the files that the terms name.
pub(super) fn password(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let mut passwords = Vec::new();
    for term in terms {
        let (path, inline) = taken_apart(&display(term))?;
        let mut all = Map::new();
        for name in known("password") {
            // Words in the term stand for all options, as in Ansible.
            let value = if inline.is_empty() {
                options.value(name)
            } else {
                inline.get(*name)
            };
            if let Some(value) = value {
                all.insert((*name).to_owned(), value.clone());
            }
        }
        let wanted = Wanted::new(&Options::new(known("password"), &all)?)?;
        let path = beside_playbook(&path, asker);
        let password = wanted.of_file(&path)?;
        crate::vault::redactor().learn(&password);
        passwords.push(password.into());
    }
    Ok(passwords)
}

/// `PATH length=12 chars=…`.
fn taken_apart(term: &str) -> Result<(String, Map<String, Json>), String> {
    let Some((path, rest)) = term.split_once(' ') else {
        return Ok((term.to_owned(), Map::new()));
    };
    let words = words::split(rest, false)?;
    let path = if words.rest.is_empty() {
        path.to_owned()
    } else {
        // The path has spaces itself.
        format!("{path} {}", words.rest)
    };
    if !term.starts_with(&path) {
        return Err(format!("`{}` is no `name=value`", words.rest));
    }
    let mut inline = Map::new();
    for (name, value) in words.pairs {
        if !known("password").contains(&name.as_str()) {
            return Err(format!(
                "it has no argument `{name}`: it takes {}",
                known("password").join(", ")
            ));
        }
        inline.insert(name, value.into());
    }
    Ok((path, inline))
}

/// What a password should be.
struct Wanted {
    length: usize,
    characters: Vec<char>,
    encrypt: Option<String>,
    ident: Option<String>,
    seed: Option<Json>,
}

impl Wanted {
    fn new(options: &Options<'_>) -> Result<Self, String> {
        let length = options.number("length")?.unwrap_or(20);
        let sets: Vec<String> = match options.value("chars") {
            None => DEFAULT_CHARACTERS.map(str::to_owned).to_vec(),
            Some(Json::Array(sets)) => sets.iter().map(display).collect(),
            // Two commas are one that is meant.
            Some(text) => {
                let text = display(text);
                let comma = text.contains(",,").then(|| ",".to_owned());
                let text = text.replace(",,", ",");
                let sets = text.split(',').filter(|set| !set.is_empty());
                comma.into_iter().chain(sets.map(str::to_owned)).collect()
            }
        };
        let characters: Vec<char> = sets
            .iter()
            .flat_map(|set| set_called(set).chars().collect::<Vec<char>>())
            .filter(|character| !matches!(character, '"' | '\''))
            .collect();
        if characters.is_empty() {
            return Err("`chars` has no character".to_owned());
        }
        Ok(Self {
            length: usize::try_from(length)
                .map_err(|_| format!("`length: {length}` is below 0"))?,
            characters,
            encrypt: options.text("encrypt").filter(|scheme| !scheme.is_empty()),
            ident: options.text("ident").filter(|ident| !ident.is_empty()),
            seed: options.value("seed").cloned(),
        })
    }

    /// The password of a file, which is made where it is not there.
    fn of_file(&self, path: &Path) -> Result<String, String> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = path != Path::new("/dev/null");
        let failed = |what: &str, error: &std::io::Error| {
            format!(
                "cannot {what} the password file `{}`: {error}",
                path.display()
            )
        };
        let mut kept = None;
        if is_kept {
            kept = match std::fs::read_to_string(path) {
                Ok(text) => Some(Kept::parse(text.trim_end())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed("read", &error)),
            };
        }
        let is_new = kept.is_none();
        let mut kept = match kept {
            Some(kept) => kept,
            None => Kept {
                password: self.fresh()?,
                salt: None,
                ident: None,
            },
        };
        let is_changed = self.complete(&mut kept)?;
        if is_kept && (is_new || is_changed) {
            kept = self
                .write(path, kept, is_new)
                .map_err(|error| failed("write", &error))?;
        }
        match &self.encrypt {
            Some(scheme) => hashed(scheme, &kept),
            None => Ok(kept.password),
        }
    }

    fn fresh(&self) -> Result<String, String> {
        match &self.seed {
            Some(seed) => crate::template::seeded_text(&self.characters, self.length, seed)
                .ok_or_else(|| format!("`{}` is no seed", display(seed))),
            None => Ok(random(&self.characters, self.length)),
        }
    }

    /// Adds salt and version of the hash where one is wanted; answers whether something was added.
    fn complete(&self, kept: &mut Kept) -> Result<bool, String> {
        if let (Some(wanted), Some(ident)) = (&self.ident, &kept.ident)
            && wanted != ident
        {
            return Err(format!(
                "`ident: {wanted}` is not the one that is kept, `{ident}`"
            ));
        }
        let Some(scheme) = &self.encrypt else {
            return Ok(false);
        };
        let mut is_changed = false;
        if kept.salt.is_none() {
            let length = match scheme.as_str() {
                "bcrypt" | "blowfish" => 22,
                "sha256_crypt" | "sha512_crypt" => 16,
                _ => 8,
            };
            let characters: Vec<char> = SALT_CHARACTERS
                .iter()
                .flat_map(|set| set_called(set).chars().collect::<Vec<char>>())
                .collect();
            kept.salt = Some(random(&characters, length));
            is_changed = true;
        }
        if kept.ident.is_none() {
            kept.ident.clone_from(&self.ident);
            if kept.ident.is_none() && scheme == "bcrypt" {
                kept.ident = Some("2b".to_owned());
                is_changed = true;
            }
        }
        Ok(is_changed)
    }

    /// Writes it for its owner alone. Where another program was faster, what that one made is taken.
    fn write(&self, path: &Path, kept: Kept, is_new: bool) -> std::io::Result<Kept> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".kk-password-")
            .tempfile_in(folder)?;
        file.write_all(kept.to_text(self.encrypt.is_some()).as_bytes())?;
        file.as_file().sync_all()?;
        if !is_new {
            file.persist(path)?;
            return Ok(kept);
        }
        match file.persist_noclobber(path) {
            Ok(_) => Ok(kept),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok(Kept::parse(std::fs::read_to_string(path)?.trim_end()))
            }
            Err(error) => Err(error.error),
        }
    }
}

fn random(characters: &[char], length: usize) -> String {
    let mut generator = rand::rng();
    let chosen = (0..length).filter_map(|_| characters.choose(&mut generator));
    chosen.collect()
}

/// A set of characters by Python's name for it; any other text is itself.
fn set_called(name: &str) -> &str {
    match name {
        "ascii_letters" => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ascii_lowercase" => "abcdefghijklmnopqrstuvwxyz",
        "ascii_uppercase" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "digits" => "0123456789",
        "hexdigits" => "0123456789abcdefABCDEF",
        "octdigits" => "01234567",
        "punctuation" => "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "printable" => {
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\n\r\u{b}\u{c}"
        }
        "whitespace" => " \t\n\r\u{b}\u{c}",
        other => other,
    }
}

/// What a file holds: `PASSWORD salt=… ident=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    password: String,
    salt: Option<String>,
    ident: Option<String>,
}

impl Kept {
    fn parse(text: &str) -> Self {
        let (password, salt) = match text.rsplit_once(" salt=") {
            Some((password, salt)) => (password, Some(salt).filter(|salt| !salt.is_empty())),
            None => (text, None),
        };
        let (salt, ident) = match salt.and_then(|salt| salt.rsplit_once(" ident=")) {
            Some((salt, ident)) => (Some(salt), Some(ident)),
            None => (salt, None),
        };
        Self {
            password: password.to_owned(),
            salt: salt.map(str::to_owned),
            ident: ident.map(str::to_owned),
        }
    }

    fn to_text(&self, with_salt: bool) -> String {
        let mut text = self.password.clone();
        if let Some(salt) = self
            .salt
            .as_ref()
            .filter(|salt| with_salt || !salt.is_empty())
        {
            text.push_str(&format!(" salt={salt}"));
            if let Some(ident) = &self.ident {
                text.push_str(&format!(" ident={ident}"));
            }
        }
        text.push('\n');
        text
    }
}

/// The password's hash, by the filter that makes them.
fn hashed(scheme: &str, kept: &Kept) -> Result<String, String> {
    let mut variables = Map::new();
    let mut call = String::from("password | password_hash(scheme, salt=salt");
    variables.insert("password".to_owned(), kept.password.as_str().into());
    variables.insert("scheme".to_owned(), scheme.into());
    variables.insert("salt".to_owned(), kept.salt.clone().into());
    if let Some(ident) = &kept.ident {
        variables.insert("ident".to_owned(), ident.as_str().into());
        call.push_str(", ident=ident");
    }
    call.push(')');
    let scope = Scope::new(vec![Layer::raw(variables)]);
    Template::expression(&call, None)
        .and_then(|expression| expression.render(&scope))
        .map_err(|diagnostic| diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn wanted(text: &str) -> Result<Wanted, String> {
        let (_, inline) = taken_apart(&format!("x {text}"))?;
        Wanted::new(&Options::new(known("password"), &inline)?)
    }

    #[test]
    fn what_a_password_is_made_of() {
        let of = |text: &str| {
            let wanted = wanted(text).unwrap();
            (wanted.length, wanted.characters.iter().collect::<String>())
        };
        assert_eq!(of("length=3 chars=digits"), (3, "0123456789".to_owned()));
        assert_eq!(of("chars=octdigits,x,,").1, ",01234567x");
        assert_eq!(of("").0, 20);
        assert!(wanted("lenght=3").is_err());
        assert!(wanted("length=many").is_err());
    }

    #[test]
    fn a_password_stays_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/password");
        let wanted = wanted("length=12 chars=digits").unwrap();
        let first = wanted.of_file(&path).unwrap();
        assert_eq!(first.len(), 12);
        assert_eq!(wanted.of_file(&path).unwrap(), first);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{first}\n")
        );
        let null = Path::new("/dev/null");
        assert_ne!(wanted.of_file(null).unwrap(), wanted.of_file(null).unwrap());
    }

    #[test]
    fn a_seed_gives_what_it_gives_ansible() {
        let of = |text: &str| {
            let wanted = wanted(text).unwrap();
            wanted.of_file(Path::new("/dev/null")).unwrap()
        };
        assert_eq!(of("seed='a seed'"), "Y:eNZOc,CZoSbvgGfAs-");
        assert_eq!(
            of("seed=node1 length=30 chars=ascii_lowercase,digits"),
            "b3orjh8pudc6fxynbmilcp1mouybzo"
        );
    }

    #[test]
    fn salt_and_version_are_kept() {
        let kept = Kept::parse("pass word salt=abc ident=2b");
        assert_eq!(kept.salt.as_deref(), Some("abc"));
        assert_eq!(kept.to_text(true), "pass word salt=abc ident=2b\n");
        assert_eq!(Kept::parse("plain").to_text(false), "plain\n");
    }
}
