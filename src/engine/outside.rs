//! What the templates of a task ask of this machine: lookups, and other templates.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

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
        _terms: &[Json],
        _options: &Map<String, Json>,
        _scope: &Scope,
    ) -> Result<Vec<Json>, String> {
        Err(format!("there is no lookup `{name}`"))
    }

    fn template(&self, name: &str) -> Result<Option<(String, String)>, String> {
        for place in self.frame.places("templates", name) {
            let entry = self.variables.library.read(&place);
            let entry = entry.map_err(|error| format!("read the template `{name}`: {error}"))?;
            if let Some(entry) = entry {
                let text = String::from_utf8(entry.bytes.into_owned())
                    .map_err(|_| format!("the template `{name}` is not UTF-8 text"))?;
                return Ok(Some((entry.name, text)));
            }
        }
        Ok(None)
    }
}
