//! A module whose name is known only when the task runs: `action: "{{ ansible_pkg_mgr }} name=tree"`.
//!
//! Its words are split before the run, so nothing that markup becomes can turn into further arguments. The name is
//! looked up and the arguments are checked for each host, when the run comes to the task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::action::{action_name, is_action, of_call, short_name};
use super::call::{Call, scalar};
use super::load::Loader;
use super::mistaken::in_ansibles_words;
use super::task::unknown_module;
use super::{Action, ArgumentValue, Frame, Library};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::template::{Scope, Template};
use crate::yaml::{Fields, Kind, Node};

/// What a task calls, but for the name.
#[derive(Debug)]
pub struct LateCall {
    name: Template,
    call: Call,
    /// What it was read as, by name.
    read: Mutex<BTreeMap<String, Arc<Action>>>,
}

/// What comes into a list of tasks before the run, or steers it: it must be there when the list is read.
const STATIC: &[&str] = &[
    "import_playbook",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "meta",
];

impl LateCall {
    /// Checks what of it can be checked before the run.
    pub(super) fn new(loader: &mut Loader<'_>, call: Call, frame: &Arc<Frame>) -> Option<Self> {
        let name = loader.template_of(&call.word)?;
        for (key, value) in &call.pairs {
            ArgumentValue::any(key, &mut loader.found);
            ArgumentValue::any(value, &mut loader.found);
        }
        let late = Self {
            name,
            call,
            read: Mutex::default(),
        };
        if let Some(name) = loader.surely_known(&late.name, frame)
            && let Err(found) = late.checked(loader.library, &name, frame)
        {
            loader.found.0.extend(found.0);
        }
        Some(late)
    }

    /// The name as it is written.
    pub fn name(&self) -> &str {
        self.name.source()
    }

    /// What it is for a host. What cannot be is an action that fails.
    pub fn action(
        &self,
        library: &Library,
        frame: &Arc<Frame>,
        scope: &Scope,
    ) -> Result<Arc<Action>, Diagnostic> {
        let name = self.name.render(scope)?.trim().to_owned();
        let known = self
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let action = Arc::new(match self.checked(library, &name, frame) {
            Ok(action) => action,
            Err(found) => mistake(&name, &found),
        });
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, Arc::clone(&action));
        Ok(action)
    }

    fn checked(
        &self,
        library: &Library,
        name: &str,
        frame: &Arc<Frame>,
    ) -> Result<Action, Diagnostics> {
        let mut loader = Loader::new(library);
        let mut call = self.call.clone();
        call.word = scalar(&self.call.word, name);
        if !is_action(name) {
            unknown_module(&mut loader, &call.word);
        } else if STATIC.contains(&short_name(name)) {
            let message = format!("`{name}` cannot be the name of a module that markup becomes");
            loader.found.push(
                Diagnostic::at(&call.word.place, message)
                    .hint("name it as it is: it is read before the task runs"),
            );
        }
        let nothing = Node {
            kind: Kind::Mapping(Vec::new()),
            ..call.word.clone()
        };
        let fields = Fields::new(&nothing, "a task");
        let action = match fields {
            Ok(fields) if !loader.found.has_errors() => of_call(&mut loader, &fields, call, frame),
            _ => None,
        };
        loader
            .found
            .0
            .retain(|found| found.severity == Severity::Error);
        let action = loader.found.check(action)?;
        action.ok_or_else(|| {
            let message = format!("`{name}` is no module");
            Diagnostics(vec![Diagnostic::at(&self.call.word.place, message)])
        })
    }
}

fn mistake(name: &str, found: &Diagnostics) -> Action {
    let result = match found.0.first() {
        _ if !is_action(name) => {
            format!("The module {name} was not found in configured module paths")
        }
        Some(first) => in_ansibles_words(name, &first.message),
        None => String::new(),
    };
    Action::Mistaken {
        name: action_name(name),
        message: found.to_string(),
        hint: found.0.first().and_then(|first| first.hint.clone()),
        result,
    }
}
