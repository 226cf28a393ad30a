//! What `kk doc` says about a module, or about an action that the engine does itself.

use super::{Argument, ModuleSpec};

/// The documentation of one name that a task can have.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// The name in a playbook.
    pub name: &'static str,
    /// Other names it answers to.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub summary: &'static str,
    /// Every argument.
    pub arguments: &'static [Argument],
    /// The argument that a free-form text stands for.
    pub free_form: Option<&'static str>,
    /// Tasks in YAML.
    pub examples: &'static str,
    /// What a registered result holds besides `changed`, `failed` and `msg`.
    pub returns: &'static [(&'static str, &'static str)],
}

impl ModuleSpec {
    /// Its documentation.
    pub const fn manual(&self) -> Manual {
        Manual {
            name: self.name,
            aliases: self.aliases,
            summary: self.summary,
            arguments: self.arguments,
            free_form: self.free_form,
            examples: self.examples,
            returns: self.returns,
        }
    }
}
