//! What the templates of a task ask of this machine: lookups, and other templates.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::lookups::{self, Asker};
use super::state::Variables;
use crate::playbook::Frame;
use crate::template::{Outside, Scope};

/// Looks where the files of a task are looked for.
pub(super) struct TaskOutside {
    pub(super) variables: Arc<Variables>,
    pub(super) frame: Frame,
}

impl Outside for TaskOutside {
    fn lookup(
        &self,
        name: &str,
        terms: &[Json],
        options: &Map<String, Json>,
        scope: &Scope,
    ) -> Result<Vec<Json>, String> {
        let asker = Asker {
            library: &self.variables.library,
            frame: &self.frame,
            scope,
            subfolder: "files",
        };
        lookups::ask(name, terms.to_vec(), options, &asker)
    }

    fn template(&self, name: &str) -> Result<Option<(String, String)>, String> {
        for place in self.frame.places("templates", name) {
            let entry = self.variables.library.read(&place);
            let entry = entry.map_err(|error| format!("read the template `{name}`: {error}"))?;
            if let Some(entry) = entry {
                let source = crate::vault::source(&entry.name, &entry.bytes)
                    .map_err(|diagnostic| diagnostic.message)?;
                return Ok(Some((entry.name, source.text.clone())));
            }
        }
        Ok(None)
    }
}

/// Looks beside a template too, for those that it includes.
pub(super) struct Beside {
    pub(super) outside: Arc<dyn Outside>,
    pub(super) folder: PathBuf,
}

impl Outside for Beside {
    fn lookup(
        &self,
        name: &str,
        terms: &[Json],
        options: &Map<String, Json>,
        scope: &Scope,
    ) -> Result<Vec<Json>, String> {
        self.outside.lookup(name, terms, options, scope)
    }

    fn template(&self, name: &str) -> Result<Option<(String, String)>, String> {
        let known = self.outside.template(name)?;
        let path = self.folder.join(name);
        if known.is_some() || !path.is_file() {
            return Ok(known);
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| format!("read the template `{name}`: {error}"))?;
        Ok(Some((path.display().to_string(), text)))
    }

    fn warn(&self, message: &str) {
        self.outside.warn(message);
    }
}
