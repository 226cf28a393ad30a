//! Plays, blocks, tasks and roles: the model, and reading it from YAML with every mistake found at once.
//!
//! What is read here is checked whole before the first connection: keywords, modules, arguments and their types,
//! templates, roles, files, handlers. This room runs nothing.

mod action;
mod arguments;
mod call;
mod choice;
mod elsewhere;
mod frame;
mod includes;
mod late;
mod library;
mod load;
mod loops;
mod manuals;
mod meta;
mod mistaken;
mod play;
mod prompts;
mod reads;
mod roles;
mod specification;
mod task;
#[cfg(test)]
mod tests;
mod unsupported;
pub mod words;

use std::sync::Arc;

use crate::diagnostic::{Diagnostics, Place};
use crate::modules::ModuleSpec;
use crate::template::{Layer, Template};

pub use arguments::{ArgumentValue, OMIT, late};
pub use choice::Choice;
pub use frame::Frame;
pub use late::LateCall;
pub use library::{Entry, Library};
pub use load::{
    Included, Resolved, is_variable_name, load, load_all, parse_variables, parse_vars_file,
    read_included,
};
pub use loops::{LoopSource, Repeat};
pub use manuals::MANUALS;
pub use meta::Meta;
pub use prompts::Prompt;
pub use reads::Reads;
pub use specification::check_arguments;

/// A playbook: its plays in order.
#[derive(Debug, Clone)]
pub struct Playbook {
    /// Its path, as given.
    pub name: String,
    /// The plays.
    pub plays: Vec<Play>,
    /// What the user should know, although nothing is wrong.
    pub warnings: Diagnostics,
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
    pub gather_facts: Option<Template>,
    /// Which facts; all where it says nothing.
    pub gather_subset: Option<ArgumentValue>,
    /// `fact_path`: the folder of local facts.
    pub fact_path: Option<Template>,
    /// `pre_tasks`, then roles and `tasks`, then `post_tasks`; handlers run after each.
    pub sections: Vec<Vec<Item>>,
    /// Handlers of its roles and of the play itself, in order.
    pub handlers: Vec<Arc<Task>>,
    /// Roles whose defaults and variables every task of the play sees: those of `roles:`, their dependencies and
    /// imported ones.
    pub roles: Vec<Arc<Role>>,
    /// The names of the roles that the play itself names, one for each time.
    pub role_names: Vec<String>,
    /// The folder of its playbook within the library; empty for the library itself.
    pub folder: String,
    /// `vars_files`: of each entry the first file that is there.
    pub vars_files: Vec<Vec<Template>>,
    /// `vars_prompt`: variables that a person is asked for.
    pub prompts: Vec<Prompt>,
    /// `serial`: the sizes of the batches.
    pub serial: Option<ArgumentValue>,
    /// `order`.
    pub order: Choice<Order>,
    /// `strategy`.
    pub strategy: Choice<Strategy>,
    /// `max_fail_percentage`.
    pub max_fail_percentage: Option<Template>,
    /// `force_handlers`: hosts that failed run the handlers that they owe.
    pub force_handlers: Option<bool>,
}

/// In which order the hosts of a play come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As in the inventory.
    #[default]
    Inventory,
    /// The other way round.
    ReverseInventory,
    /// By name.
    Sorted,
    /// By name, the other way round.
    ReverseSorted,
    /// By chance.
    Shuffle,
}

/// Whether hosts wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// A task runs on all hosts before the next one begins.
    #[default]
    Linear,
    /// Every host goes on as soon as it can.
    Free,
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
    /// The tasks of a role, which a host runs once: what tells it from the same role with other parameters.
    pub once: Option<Arc<str>>,
    /// The tasks of a role: `meta: end_role` ends them.
    pub is_role: bool,
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
    /// `async`: seconds that it may take in the background.
    pub asynchronous: Option<Template>,
    /// `poll`: 0 does not wait.
    pub poll: Option<Template>,
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
        /// A mapping of arguments that is only known when the task runs.
        more: Option<Template>,
    },
    /// `set_fact`.
    SetFact {
        /// Names and values.
        pairs: Vec<(ArgumentValue, ArgumentValue)>,
        /// A mapping that is only known when the task runs.
        more: Option<Template>,
        /// They are facts of the host, too.
        cacheable: Option<Template>,
    },
    /// `debug`: a message or a variable.
    Debug {
        /// `msg`.
        message: Option<ArgumentValue>,
        /// `var`.
        variable: Option<Template>,
        /// `verbosity`: says nothing with fewer `-v` than this.
        verbosity: Option<ArgumentValue>,
    },
    /// `assert`.
    Assert {
        /// Conditions.
        that: Vec<Template>,
        /// What to say when one does not hold.
        fail_message: Option<ArgumentValue>,
        /// What to say when all of them hold.
        success_message: Option<ArgumentValue>,
    },
    /// `fail`.
    Fail {
        /// What to say.
        message: Template,
    },
    /// What cannot be done as it is written, in a task that may fail: it says so when the run comes to it.
    Mistaken {
        /// The module or action that it names.
        name: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The `msg` of its result.
        result: String,
    },
    /// A module whose name is known only when the task runs.
    Late(Arc<LateCall>),
    /// `include_tasks` or `include_role`.
    Include(Arc<Include>),
    /// `meta`.
    Meta(Meta),
    /// Something that the engine does itself, with arguments by name.
    Engine {
        /// What.
        kind: EngineAction,
        /// Its arguments.
        arguments: Vec<(String, ArgumentValue)>,
        /// A mapping of arguments that is only known when the task runs.
        more: Option<Template>,
    },
}

/// What the engine does itself, apart from the commonest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineAction {
    /// `add_host`.
    AddHost,
    /// `async_status`.
    AsyncStatus,
    /// `gather_facts`.
    GatherFacts,
    /// `group_by`.
    GroupBy,
    /// `include_vars`.
    IncludeVars,
    /// `pause`.
    Pause,
    /// `setup`.
    Setup,
    /// `validate_argument_spec`.
    ValidateArguments,
}

impl EngineAction {
    /// The word in the playbook.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddHost => "add_host",
            Self::AsyncStatus => "async_status",
            Self::GatherFacts => "gather_facts",
            Self::GroupBy => "group_by",
            Self::IncludeVars => "include_vars",
            Self::Pause => "pause",
            Self::Setup => "setup",
            Self::ValidateArguments => "validate_argument_spec",
        }
    }
}

/// `include_tasks` or `include_role`: tasks that join in when the run comes to them.
#[derive(Debug, Clone)]
pub struct Include {
    /// What.
    pub what: IncludeTarget,
    /// What its tasks inherit: what stands around the include, and what `apply` says.
    pub frame: Arc<Frame>,
    /// What was read at once, because its name is literal.
    pub read: Option<Included>,
}

/// What an include names.
#[derive(Debug, Clone)]
pub enum IncludeTarget {
    /// A file of tasks.
    Tasks(Template),
    /// A role.
    Role(Box<RoleReference>),
}

/// How `include_role` and `import_role` ask for a role.
#[derive(Debug, Clone)]
pub struct RoleReference {
    /// Its name.
    pub name: Template,
    /// The file of its tasks, instead of `main`.
    pub tasks_from: Option<Template>,
    /// The file of its variables.
    pub vars_from: Option<Template>,
    /// The file of its defaults.
    pub defaults_from: Option<Template>,
    /// The file of its handlers.
    pub handlers_from: Option<Template>,
    /// The rest of the play sees its variables.
    pub public: bool,
    /// Runs although the host has run the same before (default).
    pub allow_duplicates: bool,
    /// Its arguments are checked (default).
    pub validate: bool,
}

impl Action {
    /// Runs for one host and has its effect for all of them.
    pub fn bypasses_hosts(&self) -> bool {
        let kind = match self {
            Self::Engine { kind, .. } => *kind,
            _ => return false,
        };
        matches!(kind, EngineAction::AddHost | EngineAction::Pause)
    }

    /// The word in the playbook.
    pub fn name(&self) -> &str {
        match self {
            Self::Late(late) => late.name(),
            Self::Module { spec, .. } => spec.name,
            Self::SetFact { .. } => "set_fact",
            Self::Debug { .. } => "debug",
            Self::Assert { .. } => "assert",
            Self::Fail { .. } => "fail",
            Self::Mistaken { name, .. } => name,
            Self::Include(include) => match include.what {
                IncludeTarget::Tasks(_) => "include_tasks",
                IncludeTarget::Role(_) => "include_role",
            },
            Self::Meta(_) => "meta",
            Self::Engine { kind, .. } => kind.name(),
        }
    }
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
    /// Roles that it depends on: their variables are seen in it, too.
    pub dependencies: std::sync::OnceLock<Vec<Arc<Role>>>,
    /// It may run again on a host that has run it.
    pub allow_duplicates: bool,
}
