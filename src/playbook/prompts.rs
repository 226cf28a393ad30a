//! `vars_prompt`: what a play asks a person for.

use super::load::Loader;
use super::{ArgumentValue, Frame};
use crate::diagnostic::Diagnostic;
use crate::yaml::{Fields, Node};

/// One variable that a person is asked for.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The variable.
    pub name: String,
    /// Everything else: `prompt`, `default`, `private`, `confirm`, `encrypt`, `salt`, `salt_size`, `unsafe`.
    pub about: ArgumentValue,
}

/// The keys of an entry beside `name`.
const KEYS: [&str; 8] = [
    "prompt",
    "default",
    "private",
    "confirm",
    "encrypt",
    "salt",
    "salt_size",
    "unsafe",
];

impl Loader<'_> {
    pub(super) fn prompts(&mut self, fields: &Fields<'_>, frame: &Frame) -> Vec<Prompt> {
        let Some(node) = fields.value("vars_prompt") else {
            return Vec::new();
        };
        let Some(entries) = node.as_sequence() else {
            self.found.push(
                node.unexpected("a list of prompts")
                    .hint("write `- name: a_variable` for each"),
            );
            return Vec::new();
        };
        entries
            .iter()
            .filter_map(|entry| self.prompt(entry, frame))
            .collect()
    }

    fn prompt(&mut self, entry: &Node, frame: &Frame) -> Option<Prompt> {
        let fields = Fields::new(entry, "a prompt")
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()?;
        for key in KEYS {
            let _ = fields.node(key);
        }
        let Some(name) = fields.value("name") else {
            self.found.push(
                Diagnostic::at(&entry.place, "a prompt needs a `name`")
                    .hint("name the variable that gets the answer"),
            );
            return None;
        };
        let name = self.word_now(name, frame);
        self.finish(fields);
        Some(Prompt {
            name,
            about: ArgumentValue::any(entry, &mut self.found),
        })
    }
}
