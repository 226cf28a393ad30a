//! Modules: what a task can do on a host. One file each, and one registry ([`spec`], [`specs`]).
//!
//! A module looks and plans; it changes nothing. [`Module::plan`] reads the host through [`Look`] and answers with a
//! [`Plan`] whose steps are data. The engine executes the steps, sets `changed`, writes the ledger, and in check mode
//! stops after the plan.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every module is made by a function of one type, which takes its arguments whole"
)]

mod accounts;
pub mod apply;
mod apt;
mod archive;
pub mod arguments;
mod attributes;
mod authorized_key;
mod blockinfile;
mod command;
mod compose_state;
mod copy;
mod copy_folder;
mod copy_remote;
mod cron;
mod cron_edit;
mod dnf;
mod docker;
mod docker_compose;
mod docker_engine;
mod docker_image;
mod edited_file;
mod encrypted;
mod fetch;
mod file;
mod file_state;
mod file_times;
mod find;
mod firewall_port;
mod get_url;
mod getent;
mod group;
mod hostname;
mod htpasswd;
mod http;
mod ini_edit;
mod ini_file;
mod known_hosts;
mod ledger_remove;
mod line_edit;
mod lineinfile;
mod manual;
pub mod mode;
mod modprobe;
mod mount;
mod package;
mod package_facts;
mod package_file;
mod ping;
pub mod plan;
mod raw;
mod reboot;
mod registry_api;
mod registry_pull;
mod replace;
mod script;
mod service_facts;
mod setup;
mod shell;
mod slurp;
mod stat;
mod sysctl;
mod system_trust;
mod systemd;
mod template;
mod temporary_file;
mod timezone;
mod unarchive;
mod undo;
mod uri;
mod user;
mod user_account;
mod wait_for;
mod wait_for_connection;
mod wait_for_drained;

use std::path::PathBuf;

use futures::future::BoxFuture;

pub use apply::{Stopped, apply, apply_plan, ledger_lines};
pub use arguments::{Argument, ArgumentKind, Arguments};
pub(crate) use command::split_words;
pub use manual::Manual;
pub use plan::{Change, Content, LedgerEntry, Plan, Reconnect, Step, StepOutput, Verdict};

use crate::connect::TransportError;
use crate::facts::Answer;
use crate::remote::Session;
use crate::template::Syntax;

/// Checks literal arguments against each other; what is wrong, for a diagnostic.
pub type Check = fn(&arguments::Given<'_>) -> Result<(), String>;

/// What a module offers: its name, its arguments, and how to make it from checked arguments.
pub struct ModuleSpec {
    /// The name in a playbook, Ansible's where Ansible has it.
    pub name: &'static str,
    /// Other names it answers to, for instance `systemd_service` for `systemd`.
    pub aliases: &'static [&'static str],
    /// One sentence for `kk doc`.
    pub summary: &'static str,
    /// Every argument.
    pub arguments: &'static [Argument],
    /// How it is used: tasks in YAML.
    pub examples: &'static str,
    /// What a registered result holds besides `changed`, `failed` and `msg`: name and meaning.
    pub returns: &'static [(&'static str, &'static str)],
    /// The argument that takes a free-form text (`command: ls`), if any.
    pub free_form: Option<&'static str>,
    /// Makes the module from arguments whose kinds have been checked. Fails on combinations that make no sense.
    pub build: fn(Arguments) -> Result<Box<dyn Module>, ModuleError>,
    /// Checks literal arguments against each other at load time (exclusive or required-together arguments).
    pub check: Option<Check>,
}

impl std::fmt::Debug for ModuleSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ModuleSpec({})", self.name)
    }
}

/// One task's module with its arguments, ready to look at a host.
pub trait Module: Send + Sync {
    /// Looks at the host and says what would have to be done. Reads only.
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>>;

    /// Turns the outputs of the executed steps into the task's result. Not called in check mode or without steps.
    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(Conclusion {
            result: attributes::values_of(outputs),
            changed: None,
        })
    }
}

/// What a module adds to the result once its steps have run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conclusion {
    /// Return values such as `rc` and `stdout`, merged over [`Plan::result`].
    pub result: serde_json::Map<String, serde_json::Value>,
    /// Overrides `changed` when the steps alone do not tell.
    pub changed: Option<bool>,
}

/// What a module may look at.
pub struct Look<'a> {
    /// The host, read-only by convention of [`Session::probe`]: modules call nothing else on it.
    pub session: &'a Session,
    /// The name in the inventory of the host that the task is for.
    pub host: &'a str,
    /// The facts of that host, when they were gathered.
    pub facts: Option<&'a Answer>,
    /// Renders templates and finds files for the running task.
    pub files: &'a dyn Files,
    /// Nothing will be changed: what cannot be known yet becomes [`Verdict::Unknown`] and not an error.
    pub check_mode: bool,
    /// The user wants to see diffs: plans fill [`Change::diff`].
    pub diff: bool,
}

/// Files and templates of the running task: the role's own, the playbook's, the user's override or the embedded ones.
pub trait Files: Send + Sync {
    /// The bytes of `src`, searched for in `files/` of the role, then beside the playbook; an absolute path or one
    /// with `~` is taken as it is.
    fn file(&self, src: &str) -> Result<FileSource, ModuleError>;
    /// A path of this machine that a module writes to: a relative one starts at the playbook.
    fn own_path(&self, path: &str) -> PathBuf {
        path.into()
    }
    /// The permission bits of the file behind a template, where it lies on this machine.
    fn template_mode(&self, _src: &str) -> Option<u32> {
        None
    }
    /// Whether the file behind a template is encrypted, so that what is made of it is a secret.
    fn template_is_encrypted(&self, _src: &str) -> bool {
        false
    }
    /// The text of a template, searched for in `templates/` likewise and rendered with the task's variables. `dest` is
    /// where it goes, for `template_destpath`.
    fn template(&self, src: &str, syntax: &Syntax, dest: &str) -> Result<String, ModuleError>;
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// Small, or embedded in the program.
    Bytes(bytes::Bytes),
    /// On the control machine.
    Path(PathBuf),
}

/// Why a module could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The session failed; the three outcomes of a command stay apart.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Everything else, as a fragment that fits "failed to …", with a hint and the full details.
    #[error("{message}")]
    Failed {
        /// What went wrong, one line.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Full standard error and the like.
        details: Option<String>,
        /// Return values that a registered result should have all the same (`rc`, `stderr` …).
        result: serde_json::Map<String, serde_json::Value>,
    },
}

impl ModuleError {
    /// A failure in one line.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: None,
            details: None,
            result: serde_json::Map::new(),
        }
    }

    /// Adds what to do (no effect on a transport error).
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Adds a return value (no effect on a transport error).
    #[must_use]
    pub fn with_value(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        if let Self::Failed { result, .. } = &mut self {
            result.insert(key.to_owned(), value.into());
        }
        self
    }

    /// The `msg` of the result where Ansible's playbooks look for its words; people read the message above.
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        self.with_value("msg", text.into())
    }

    /// The same, with nothing else in the result: what Ansible finds before it runs anything.
    #[must_use]
    pub fn only_saying(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { result, .. } = &mut self {
            result.clear();
        }
        self.saying(text)
    }

    /// Adds the full text of what went wrong (no effect on a transport error).
    #[must_use]
    pub fn with_details(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { details, .. } = &mut self {
            *details = Some(text.into());
        }
        self
    }
}

/// The time now as results have it.
pub(crate) fn local_time() -> String {
    command::time_text(std::time::SystemTime::now())
}

/// Every module, in alphabetical order.
pub fn specs() -> &'static [&'static ModuleSpec] {
    static SPECS: &[&ModuleSpec] = &[
        &apt::SPEC,
        &archive::SPEC,
        &authorized_key::SPEC,
        &blockinfile::SPEC,
        &command::SPEC,
        &copy::SPEC,
        &cron::SPEC,
        &dnf::SPEC,
        &docker_compose::SPEC,
        &docker_engine::SPEC,
        &docker_image::SPEC,
        &fetch::SPEC,
        &file::SPEC,
        &find::SPEC,
        &firewall_port::SPEC,
        &get_url::SPEC,
        &getent::SPEC,
        &group::SPEC,
        &hostname::SPEC,
        &htpasswd::SPEC,
        &ini_file::SPEC,
        &known_hosts::SPEC,
        &ledger_remove::SPEC,
        &lineinfile::SPEC,
        &modprobe::SPEC,
        &mount::SPEC,
        &package::SPEC,
        &package_facts::SPEC,
        &package_file::SPEC,
        &ping::SPEC,
        &raw::SPEC,
        &reboot::SPEC,
        &registry_api::SPEC,
        &registry_pull::SPEC,
        &replace::SPEC,
        &script::SPEC,
        &service_facts::SPEC,
        &setup::SPEC,
        &shell::SPEC,
        &slurp::SPEC,
        &stat::SPEC,
        &sysctl::SPEC,
        &system_trust::SPEC,
        &systemd::SPEC,
        &temporary_file::SPEC,
        &template::SPEC,
        &timezone::SPEC,
        &unarchive::SPEC,
        &uri::SPEC,
        &user::SPEC,
        &wait_for::SPEC,
        &wait_for_connection::SPEC,
    ];
    SPECS
}

/// The module of a name or an alias; `ansible.builtin.` and the like before it are accepted.
pub fn spec(name: &str) -> Option<&'static ModuleSpec> {
    let short = name.rsplit('.').next().unwrap_or(name);
    specs()
        .iter()
        .copied()
        .find(|spec| spec.name == short || spec.aliases.contains(&short))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
