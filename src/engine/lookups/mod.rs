//! Lookups: what `lookup()`, `query()` and `with_…` find, one implementation for all of them.
//!
//! They work on this machine. Names are in `template::LOOKUPS`, so that an unknown one is found before the run.

mod files;
mod lists;
mod options;
mod password;
mod programs;
mod sequence;
mod tables;
mod url;
mod values;

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use crate::playbook::{Frame, Library};
use crate::template::Scope;
use options::Options;

pub(super) use lists::listed;

/// Who asks: where its files are looked for, and its variables.
pub(super) struct Asker<'a> {
    pub(super) library: &'a Library,
    pub(super) frame: &'a Frame,
    pub(super) scope: &'a Scope,
    /// Where `first_found` looks: `files`, or by what the task of a `with_first_found` does.
    pub(super) subfolder: &'static str,
}

impl Asker<'_> {
    /// A file or folder where the files of a task are looked for.
    fn find(&self, subfolder: &str, name: &str) -> Option<PathBuf> {
        if let Some(path) = own_path(name) {
            return path.exists().then_some(path);
        }
        let places = self.frame.places(subfolder, name).into_iter();
        places
            .map(|place| PathBuf::from(self.library.absolute(&place)))
            .find(|path| path.exists())
    }

    /// The text of a file, decrypted where it is encrypted.
    fn read(&self, subfolder: &str, name: &str) -> Result<(String, String), String> {
        self.read_as(subfolder, name, false)
    }

    /// The same; a file in Latin-1 is made a text by its letters.
    fn read_as(
        &self,
        subfolder: &str,
        name: &str,
        is_latin: bool,
    ) -> Result<(String, String), String> {
        let mut places = match own_path(name) {
            Some(path) => vec![path.display().to_string()],
            None => self.frame.places(subfolder, name),
        };
        places.dedup();
        for place in places {
            let entry = self.library.read(&place);
            let entry = entry.map_err(|error| format!("cannot read `{name}`: {error}"))?;
            let Some(entry) = entry else {
                continue;
            };
            let letters = (is_latin && !crate::vault::is_encrypted(&entry.bytes)).then(|| {
                let letters: String = entry.bytes.iter().copied().map(char::from).collect();
                letters.into_bytes()
            });
            let bytes = letters.as_deref().unwrap_or(&entry.bytes);
            let source = crate::vault::source(&entry.name, bytes)
                .map_err(|diagnostic| diagnostic.message)?;
            if source.is_hidden {
                crate::vault::learn(&Json::from(source.text.as_str()));
            }
            return Ok((source.name.clone(), source.text.clone()));
        }
        Err(format!("there is no file `{name}`"))
    }

    /// The folder of the playbook.
    fn folder(&self) -> PathBuf {
        self.library.absolute("").into()
    }
}

/// A path that is whole already.
fn own_path(name: &str) -> Option<PathBuf> {
    if let Some(rest) = name.strip_prefix('~')
        && (rest.is_empty() || rest.starts_with('/'))
    {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        return Some(home.join(rest.trim_start_matches('/')));
    }
    name.starts_with('/').then(|| name.into())
}

/// Asks a lookup.
///
/// # Errors
///
/// In words, when it finds nothing, or is asked in a way that makes no sense.
pub(super) fn ask(
    name: &str,
    terms: Vec<Json>,
    options: &Map<String, Json>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let known = options::known(name);
    let options = Options::new(known, options)?;
    match name {
        "cartesian" | "nested" => lists::nested(terms),
        "csvfile" => tables::csv(&terms, &options, asker),
        "dict" => lists::dict(terms),
        "env" => Ok(programs::environment(&terms, &options)),
        "file" => files::file(&terms, &options, asker),
        "fileglob" => Ok(files::glob(&terms, asker)),
        "first_found" => files::first_found(&terms, &options, asker),
        "flattened" => Ok(lists::flattened(terms)),
        "indexed_items" => Ok(lists::indexed(terms)),
        "ini" => tables::ini(&terms, &options, asker),
        "inventory_hostnames" => Ok(values::hostnames(&terms, asker)),
        "items" => Ok(lists::taken_apart(terms)),
        "lines" => programs::lines(&terms, asker),
        "list" => Ok(terms),
        "password" => password::password(&terms, &options, asker),
        "pipe" => programs::pipe(&terms, asker),
        "random_choice" => Ok(values::random_choice(&terms)),
        "sequence" => sequence::all(&terms, &options),
        "subelements" => lists::sub_elements(terms),
        "template" => files::template(&terms, &options, asker),
        "together" => lists::together(terms),
        "unvault" => files::unvault(&terms, asker),
        "url" => url::get(&terms, &options),
        "varnames" => values::names(&terms, asker),
        "vars" => values::variables(&terms, &options, asker),
        _ => Err(crate::template::unknown_lookup(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_implementation() {
        let library = Library::folder(std::path::Path::new("/nonexistent"));
        let (frame, scope) = (Frame::default(), Scope::new(Vec::new()));
        let asker = Asker {
            library: &library,
            frame: &frame,
            scope: &scope,
            subfolder: "files",
        };
        for name in crate::template::LOOKUPS {
            // Without terms most find nothing, and some want at least one.
            if let Err(message) = ask(name, Vec::new(), &Map::new(), &asker) {
                assert!(!message.contains("unknown"), "{name}: {message}");
            }
        }
        let message = ask("flie", Vec::new(), &Map::new(), &asker).unwrap_err();
        assert_eq!(message, "unknown lookup `flie`, did you mean `file`?");
    }
}
