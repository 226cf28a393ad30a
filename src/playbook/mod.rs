//! Plays, blocks, tasks and roles: the model, and reading it from YAML with every mistake found at once.
//!
//! What is read here is checked whole before the first connection: keywords, modules, arguments and their types,
//! templates, roles, files, handlers. This room runs nothing.

mod action;
mod arguments;
mod includes;
mod library;
mod load;
mod roles;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diagnostic::Place;
use crate::modules::ModuleSpec;
use crate::template::{Layer, Template};

pub use arguments::{ArgumentValue, OMIT};
pub use library::{Entry, Library};
pub use load::load;

/// A playbook: its plays in order.
#[derive(Debug, Clone)]
pub struct Playbook {
    /// Its path, as given.
    pub name: String,
    /// The plays.
    pub plays: Vec<Play>,
}

/// One play.
#[derive(Debug, Clone)]
pub struct Play {
    /// Its name; the host pattern where it has none.
    pub name: String,
    /// The host pattern.
    pub hosts: Template,
    /// What tasks inherit.
    pub frame: Arc<Frame>,
    /// Facts are gathered before the first task (default true).
    pub gather_facts: bool,
    /// `pre_tasks`, then roles and `tasks`, then `post_tasks`; handlers run after each.
    pub sections: Vec<Vec<Item>>,
    /// Handlers of its roles and of the play itself, in order.
    pub handlers: Vec<Arc<Task>>,
    /// Roles whose defaults and variables every task of the play sees: those of `roles:`, their dependencies and
    /// imported ones.
    pub roles: Vec<Arc<Role>>,
}

/// One entry of a list of tasks.
#[derive(Debug, Clone)]
pub enum Item {
    /// A task.
    Task(Arc<Task>),
    /// A block, an imported file or a role.
    Block(Arc<Block>),
}

/// Tasks that share keywords; with `rescue` and `always`.
#[derive(Debug, Clone)]
pub struct Block {
    /// What its tasks inherit.
    pub frame: Arc<Frame>,
    /// The tasks.
    pub items: Vec<Item>,
    /// What runs when one of them failed.
    pub rescue: Vec<Item>,
    /// What runs in any case.
    pub always: Vec<Item>,
}

/// Keywords that are inherited from play to block to task. A linked list: the inner one first.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The one around it.
    pub parent: Option<Arc<Frame>>,
    /// Conditions; all of them must hold, inherited ones too.
    pub when: Vec<Template>,
    /// Tags, added to inherited ones.
    pub tags: Vec<String>,
    /// Variables, stronger than inherited ones.
    pub vars: Option<Layer>,
    /// `become`.
    pub elevate: Option<Template>,
    /// `become_user`.
    pub become_user: Option<Template>,
    /// `delegate_to`.
    pub delegate_to: Option<Template>,
    /// `run_once`.
    pub run_once: Option<bool>,
    /// `ignore_errors`.
    pub ignore_errors: Option<Template>,
    /// `no_log`.
    pub no_log: Option<bool>,
    /// `check_mode: false` runs a task even in check mode.
    pub check_mode: Option<bool>,
    /// `any_errors_fatal`: one host that fails ends the run for all.
    pub any_errors_fatal: Option<bool>,
    /// The role whose files and defaults are in force.
    pub role: Option<Arc<Role>>,
}

impl Frame {
    /// The frames from the innermost to the play's.
    pub fn chain(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(Some(self), |frame| frame.parent.as_deref())
    }

    /// The innermost value of a keyword.
    pub fn find<T>(&self, pick: impl Fn(&Frame) -> Option<T>) -> Option<T> {
        self.chain().find_map(pick)
    }

    /// All tags, inherited ones included.
    pub fn all_tags(&self) -> Vec<&str> {
        self.chain()
            .flat_map(|frame| frame.tags.iter().map(String::as_str))
            .collect()
    }

    /// The role that the task belongs to.
    pub fn role(&self) -> Option<&Arc<Role>> {
        self.chain().find_map(|frame| frame.role.as_ref())
    }
}

/// One task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name, if it has one.
    pub name: Option<Template>,
    /// Inherited and own keywords.
    pub frame: Arc<Frame>,
    /// What it does.
    pub action: Action,
    /// What it repeats for.
    pub repeat: Option<Repeat>,
    /// The variable that takes the result.
    pub register: Option<String>,
    /// Handlers to run when it changed something.
    pub notify: Vec<Template>,
    /// For a handler: other names that it answers to.
    pub listen: Vec<String>,
    /// Run again until all of these hold.
    pub until: Vec<Template>,
    /// How often at most (default 3 where `until` is given).
    pub retries: Option<Template>,
    /// Seconds between two tries (default 5).
    pub delay: Option<Template>,
    /// Overrides `changed`.
    pub changed_when: Vec<Template>,
    /// Overrides `failed`.
    pub failed_when: Vec<Template>,
    /// Time limit in seconds.
    pub timeout: Option<Template>,
    /// Where it is written.
    pub place: Place,
}

impl Task {
    /// What it is called in output: its name, or its module.
    pub fn title(&self) -> &str {
        self.name
            .as_ref()
            .map_or_else(|| self.action.name(), Template::source)
    }

    /// What `notify` calls a handler: its name, the name behind that of its role, and what it listens to.
    pub fn handler_names(&self) -> Vec<String> {
        let mut names = self.listen.clone();
        if let Some(name) = &self.name {
            names.push(name.source().to_owned());
            if let Some(role) = self.frame.role() {
                names.push(format!("{} : {}", role.name, name.source()));
            }
        }
        names
    }
}

/// What a task does.
#[derive(Debug, Clone)]
pub enum Action {
    /// A module on the host.
    Module {
        /// Which.
        spec: &'static ModuleSpec,
        /// Its arguments by their canonical names.
        arguments: Vec<(&'static str, ArgumentValue)>,
    },
    /// `set_fact`.
    SetFact(Vec<(String, ArgumentValue)>),
    /// `debug`: a message or a variable.
    Debug {
        /// `msg`.
        message: Option<ArgumentValue>,
        /// `var`.
        variable: Option<Template>,
    },
    /// `assert`.
    Assert {
        /// Conditions.
        that: Vec<Template>,
        /// What to say when one does not hold.
        fail_message: Option<Template>,
        /// What to say when all of them hold.
        success_message: Option<Template>,
    },
    /// `fail`.
    Fail {
        /// What to say.
        message: Template,
    },
    /// `include_tasks` or `include_role`: the tasks are known, whether and how often they run is not.
    Include {
        /// `include_tasks` or `include_role`, for output.
        keyword: &'static str,
        /// What is included, for output.
        what: String,
        /// The tasks.
        items: Arc<Vec<Item>>,
    },
    /// `meta`.
    Meta(Meta),
}

/// What `meta` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Runs notified handlers now.
    FlushHandlers,
    /// Ends the play for the host.
    EndHost,
    /// Ends the play for all hosts.
    EndPlay,
    /// Nothing.
    Noop,
}

impl Action {
    /// The word in the playbook.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Module { spec, .. } => spec.name,
            Self::SetFact(_) => "set_fact",
            Self::Debug { .. } => "debug",
            Self::Assert { .. } => "assert",
            Self::Fail { .. } => "fail",
            Self::Include { keyword, .. } => keyword,
            Self::Meta(_) => "meta",
        }
    }
}

/// `loop` and `loop_control`.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// The list.
    pub items: ArgumentValue,
    /// Name of the loop variable (default `item`).
    pub variable: String,
    /// Name of the index variable.
    pub index_variable: Option<String>,
    /// What is shown for an item.
    pub label: Option<Template>,
    /// `with_items`: a value that is no list is a list of one, and lists in the list are taken apart.
    pub flatten: bool,
}

/// One role.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its folder in the library, for instance `roles/docker`.
    pub folder: String,
    /// `defaults/main.yaml`.
    pub defaults: Option<Layer>,
    /// `vars/main.yaml`.
    pub vars: Option<Layer>,
}
