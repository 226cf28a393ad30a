//! Keywords that are inherited from play to block to task.

use std::sync::Arc;

use super::load::Loader;
use super::{ArgumentValue, Role};
use crate::diagnostic::Diagnostic;
use crate::template::{Layer, Template};
use crate::yaml::{Fields, Node};

/// A linked list: the inner one first.
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
    /// Parameters of a role or an include: stronger than what tasks set.
    pub params: Option<Layer>,
    /// `become`.
    pub elevate: Option<Template>,
    /// `become_user`.
    pub become_user: Option<Template>,
    /// `become_method`.
    pub become_method: Option<Template>,
    /// `become_flags`.
    pub become_flags: Option<Template>,
    /// `become_exe`.
    pub become_exe: Option<Template>,
    /// `delegate_to`.
    pub delegate_to: Option<Template>,
    /// `delegate_facts`.
    pub delegate_facts: Option<Template>,
    /// `run_once`.
    pub run_once: Option<Template>,
    /// `ignore_errors`.
    pub ignore_errors: Option<Template>,
    /// `notify`: what tasks that name no handlers of their own notify.
    pub notify: Option<Vec<Template>>,
    /// A `rescue` stands beside the tasks.
    pub is_rescued: bool,
    /// `ignore_unreachable`.
    pub ignore_unreachable: Option<Template>,
    /// `no_log`.
    pub no_log: Option<Template>,
    /// `check_mode: false` runs a task even in check mode.
    pub check_mode: Option<Template>,
    /// `diff`.
    pub diff: Option<Template>,
    /// `any_errors_fatal`: one host that fails ends the run for all.
    pub any_errors_fatal: Option<Template>,
    /// `timeout`, in seconds.
    pub timeout: Option<Template>,
    /// `throttle`: so many hosts at once at most.
    pub throttle: Option<Template>,
    /// `environment`, added to the inherited one.
    pub environment: Vec<ArgumentValue>,
    /// `connection`.
    pub connection: Option<Template>,
    /// `remote_user`.
    pub remote_user: Option<Template>,
    /// `port`.
    pub port: Option<Template>,
    /// `module_defaults`: arguments by the name of a module.
    pub module_defaults: Vec<(String, Vec<(Node, Node)>)>,
    /// The role whose files and defaults are in force.
    pub role: Option<Arc<Role>>,
    /// The folder within the library of the file that the tasks stand in.
    pub folder: Option<Arc<str>>,
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
        self.roles().next()
    }

    /// The roles that the task stands in, the innermost first.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.chain().filter_map(|frame| frame.role.as_ref())
    }

    /// Where a file that the task names may lie, the nearest place first; `kind` is `files`, `templates`, `vars` or
    /// `tasks`.
    pub fn places(&self, kind: &str, src: &str) -> Vec<String> {
        let mut places: Vec<String> = Vec::new();
        let mut add = |place: String| {
            if !places.contains(&place) {
                places.push(place);
            }
        };
        if src.starts_with('/') {
            return vec![src.to_owned()];
        }
        for role in self.roles() {
            add(format!("{}/{kind}/{src}", role.folder));
            add(format!("{}/{src}", role.folder));
            add(format!("{}/tasks/{kind}/{src}", role.folder));
            add(format!("{}/tasks/{src}", role.folder));
        }
        for folder in self.chain().filter_map(|frame| frame.folder.as_deref()) {
            add(within(folder, &format!("{kind}/{src}")));
            add(within(folder, src));
        }
        places
    }

    /// Whether a task's failure would not end the run for the host: whoever writes that may mean it to fail.
    pub(super) fn may_fail(&self) -> bool {
        let ignores = self.find(|frame| frame.ignore_errors.clone());
        ignores.is_some_and(|flag| !matches!(flag.source(), "false"))
            || self.chain().any(|frame| frame.is_rescued)
    }

    /// The folders that [`Frame::places`] looks into, for `ansible_search_path`.
    pub fn search_path(&self) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        let roles = self.roles().map(|role| role.folder.clone());
        let own = self.chain().filter_map(|frame| frame.folder.as_deref());
        for folder in roles.chain(own.map(str::to_owned)) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }
}

/// A path within a folder of the library; the library itself has no name.
pub(super) fn within(folder: &str, path: &str) -> String {
    if folder.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    }
}

/// The values of `become_method`.
const BECOME_METHODS: [&str; 3] = ["sudo", "su", "doas"];

impl Loader<'_> {
    /// The keywords that plays, blocks and tasks share.
    pub(super) fn frame(&mut self, fields: &Fields<'_>, parent: Option<&Arc<Frame>>) -> Frame {
        let vars = fields.value("vars").and_then(|node| self.variables(node));
        self.check_become_method(fields);
        let is_play = parent.is_none();
        Frame {
            parent: parent.cloned(),
            tags: self.tags(fields, vars.as_ref(), parent),
            vars,
            when: if is_play {
                Vec::new()
            } else {
                self.when(fields)
            },
            elevate: self.flag(fields, "become"),
            become_user: self.template(fields, "become_user"),
            become_method: self.template(fields, "become_method"),
            become_flags: self.template(fields, "become_flags"),
            become_exe: self.template(fields, "become_exe"),
            delegate_to: (!is_play)
                .then(|| self.template(fields, "delegate_to"))
                .flatten(),
            delegate_facts: (!is_play)
                .then(|| self.flag(fields, "delegate_facts"))
                .flatten(),
            run_once: self.flag(fields, "run_once"),
            ignore_errors: self.flag(fields, "ignore_errors"),
            ignore_unreachable: self.flag(fields, "ignore_unreachable"),
            no_log: self.flag(fields, "no_log"),
            check_mode: self.flag(fields, "check_mode"),
            diff: self.flag(fields, "diff"),
            any_errors_fatal: self.flag(fields, "any_errors_fatal"),
            timeout: self.count(fields, "timeout"),
            throttle: self.count(fields, "throttle"),
            environment: self.environment(fields),
            connection: self.connection(fields),
            remote_user: self.template(fields, "remote_user"),
            port: self.count(fields, "port"),
            module_defaults: self.module_defaults(fields),
            params: None,
            role: None,
            folder: None,
            notify: (!is_play).then(|| self.notify(fields)).flatten(),
            is_rescued: false,
        }
    }

    fn tags(
        &mut self,
        fields: &Fields<'_>,
        vars: Option<&Layer>,
        parent: Option<&Arc<Frame>>,
    ) -> Vec<String> {
        let nodes = fields.texts("tags", &mut self.found).unwrap_or_default();
        let mut tags = Vec::new();
        for node in nodes {
            let Some(template) = self.template_of(node) else {
                continue;
            };
            let known = Frame {
                parent: parent.cloned(),
                vars: vars.cloned(),
                ..Frame::default()
            };
            let text = self.known_now(&template, &known).unwrap_or_default();
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        tags
    }

    fn notify(&mut self, fields: &Fields<'_>) -> Option<Vec<Template>> {
        let nodes = fields.texts("notify", &mut self.found)?;
        let names: Vec<Template> = nodes
            .into_iter()
            .filter_map(|node| self.template_of(node))
            .collect();
        for template in &names {
            if let (Some(name), Some(place)) = (template.literal(), template.place()) {
                self.notified.push((name.to_owned(), place.clone()));
            }
        }
        Some(names)
    }

    fn environment(&mut self, fields: &Fields<'_>) -> Vec<ArgumentValue> {
        let Some(node) = fields.value("environment") else {
            return Vec::new();
        };
        let entries = node
            .as_sequence()
            .unwrap_or_else(|| std::slice::from_ref(node));
        let mut values = Vec::new();
        for entry in entries {
            let is_template = entry.as_str().is_some_and(crate::template::is_template);
            if entry.as_mapping().is_none() && !is_template {
                self.found
                    .push(entry.unexpected("a mapping of environment variables"));
                continue;
            }
            values.push(ArgumentValue::any(entry, &mut self.found));
        }
        values
    }

    fn connection(&mut self, fields: &Fields<'_>) -> Option<Template> {
        let node = fields.value("connection")?;
        let template = self.template(fields, "connection")?;
        if let Some(kind) = template.literal()
            && !is_connection(kind)
        {
            self.found.push(
                Diagnostic::at(
                    &node.place,
                    format!("the connection `{kind}` is not supported"),
                )
                .hint("there are `ssh` and `local`"),
            );
            return None;
        }
        Some(template)
    }

    fn module_defaults(&mut self, fields: &Fields<'_>) -> Vec<(String, Vec<(Node, Node)>)> {
        let Some(node) = fields.value("module_defaults") else {
            return Vec::new();
        };
        let entries = node
            .as_sequence()
            .unwrap_or_else(|| std::slice::from_ref(node));
        let mut defaults = Vec::new();
        for entry in entries {
            let Some(pairs) = entry.as_mapping() else {
                self.found
                    .push(entry.unexpected("a mapping of modules to arguments"));
                continue;
            };
            for (key, value) in pairs {
                let name = key.as_str().unwrap_or_default();
                if name.starts_with("group/") {
                    self.found.push(
                        Diagnostic::at(
                            &key.place,
                            "groups of modules in `module_defaults` are not supported",
                        )
                        .hint("name each module"),
                    );
                } else if !super::action::is_action(name) {
                    super::task::unknown_module(self, key);
                } else if let Some(arguments) = value.as_mapping() {
                    let name = super::action::canonical(name);
                    defaults.push((name.to_owned(), arguments.to_vec()));
                } else {
                    self.found.push(value.unexpected("a mapping of arguments"));
                }
            }
        }
        defaults
    }

    /// A method that is written out must be one that there is; what a template becomes is seen when it is known.
    fn check_become_method(&mut self, fields: &Fields<'_>) {
        let Some(method) = fields.text("become_method", &mut self.found) else {
            return;
        };
        let short = method
            .strip_prefix("ansible.builtin.")
            .or_else(|| method.strip_prefix("community.general."))
            .unwrap_or(method);
        if method.contains("{{") || BECOME_METHODS.contains(&short) {
            return;
        }
        let place = fields
            .value("become_method")
            .map_or_else(|| fields.place().clone(), |node| node.place.clone());
        let message = format!("`become_method: {method}` is not supported");
        self.found.push(
            Diagnostic::at(&place, message).hint(format!("there is {}", BECOME_METHODS.join(", "))),
        );
    }

    /// A whole number that is not negative, or a template that becomes one.
    pub(super) fn count(&mut self, fields: &Fields<'_>, key: &'static str) -> Option<Template> {
        let node = fields.value(key)?;
        let template = self.template(fields, key)?;
        if let Some(text) = template.literal()
            && !text.trim().parse::<f64>().is_ok_and(|n| n >= 0.0)
        {
            self.found.push(node.unexpected("a number"));
            return None;
        }
        Some(template)
    }
}

/// Connections that there are.
pub(super) fn is_connection(name: &str) -> bool {
    matches!(
        name,
        "ssh"
            | "local"
            | "smart"
            | "paramiko"
            | "paramiko_ssh"
            | "ansible.builtin.ssh"
            | "ansible.builtin.local"
    )
}
