//! What a run remembers of each host, and the variables that a task sees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value as Json, json};

use super::Recap;
use crate::playbook::{Frame, OMIT};
use crate::template::{Layer, Scope};

/// What a host is still good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Runs tasks.
    Active,
    /// Failed: runs nothing any more.
    Failed,
    /// Lost.
    Unreachable,
}

/// One host within a run.
pub(super) struct HostState {
    /// Variables of the inventory.
    pub(super) inventory: Layer,
    inner: Mutex<Inner>,
}

struct Inner {
    facts: Layer,
    set: Map<String, Json>,
    standing: Standing,
    /// `meta: end_host` or `end_play` in the running play.
    ended: bool,
    notified: Vec<String>,
    recap: Recap,
}

impl HostState {
    pub(super) fn new(inventory: Map<String, Json>) -> Self {
        let inner = Inner {
            facts: Layer::raw(Map::new()),
            set: Map::new(),
            standing: Standing::Active,
            ended: false,
            notified: Vec::new(),
            recap: Recap::default(),
        };
        Self {
            inventory: Layer::templated(inventory),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().standing
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.lock().standing = standing;
    }

    pub(super) fn is_running(&self) -> bool {
        let inner = self.lock();
        inner.standing == Standing::Active && !inner.ended
    }

    pub(super) fn set_ended(&self, ended: bool) {
        self.lock().ended = ended;
    }

    pub(super) fn set_facts(&self, facts: Map<String, Json>) {
        self.lock().facts = Layer::raw(facts);
    }

    pub(super) fn set_variable(&self, name: &str, value: Json) {
        self.lock().set.insert(name.to_owned(), value);
    }

    pub(super) fn notify(&self, handler: &str) {
        let mut inner = self.lock();
        if !inner.notified.iter().any(|name| name == handler) {
            inner.notified.push(handler.to_owned());
        }
    }

    /// Takes back a notification; true when there was one.
    pub(super) fn take_notification(&self, names: &[&str]) -> bool {
        let mut inner = self.lock();
        let before = inner.notified.len();
        inner
            .notified
            .retain(|name| !names.contains(&name.as_str()));
        inner.notified.len() < before
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Recap)) {
        change(&mut self.lock().recap);
    }

    /// What tasks registered and set.
    pub(super) fn set_variables(&self) -> Map<String, Json> {
        self.lock().set.clone()
    }

    pub(super) fn recap(&self) -> Recap {
        self.lock().recap
    }

    fn layers(&self) -> (Layer, Layer) {
        let inner = self.lock();
        (inner.facts.clone(), Layer::raw(inner.set.clone()))
    }
}

/// Builds the scope of a task on a host.
pub(super) struct Variables {
    /// Every host of the inventory.
    pub(super) hosts: HashMap<String, Arc<HostState>>,
    /// `groups`, `playbook_dir` and the like: the same for all.
    pub(super) shared: Map<String, Json>,
    /// `group_names` of each host.
    pub(super) group_names: HashMap<String, Vec<String>>,
    /// Settings and `-e`.
    pub(super) strongest: Vec<Layer>,
}

impl Variables {
    /// The scope of `frame` on a host. Weakest first: role defaults, inventory, facts, variables of play, role,
    /// block and task, facts set by tasks, settings, magic variables.
    pub(super) fn scope(
        self: &Arc<Self>,
        host: &str,
        frame: Option<&Frame>,
        play_hosts: &[String],
    ) -> Scope {
        let frames: Vec<&Frame> = frame
            .map(|frame| {
                frame
                    .chain()
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect()
            })
            .unwrap_or_default();
        let mut layers: Vec<Layer> = Vec::new();
        layers.extend(
            frames
                .iter()
                .filter_map(|frame| frame.role.as_ref()?.defaults.clone()),
        );
        let state = self.hosts.get(host);
        let mut set = None;
        if let Some(state) = state {
            let (facts, set_by_tasks) = state.layers();
            layers.push(state.inventory.clone());
            layers.push(facts);
            set = Some(set_by_tasks);
        }
        for frame in &frames {
            layers.extend(frame.role.as_ref().and_then(|role| role.vars.clone()));
            layers.extend(frame.vars.clone());
        }
        layers.extend(set);
        layers.extend(self.strongest.iter().cloned());
        let mut magic = self.shared.clone();
        magic.insert("inventory_hostname".to_owned(), host.into());
        magic.insert(
            "inventory_hostname_short".to_owned(),
            host.split('.').next().unwrap_or(host).into(),
        );
        magic.insert(
            "group_names".to_owned(),
            json!(self.group_names.get(host).cloned().unwrap_or_default()),
        );
        magic.insert("play_hosts".to_owned(), json!(play_hosts));
        magic.insert("ansible_play_hosts".to_owned(), json!(play_hosts));
        magic.insert("omit".to_owned(), OMIT.into());
        if let Some(role) = frame.and_then(Frame::role) {
            magic.insert("role_name".to_owned(), role.name.clone().into());
            magic.insert("role_path".to_owned(), role.folder.clone().into());
        }
        layers.push(Layer::raw(magic));
        let others = Arc::clone(self);
        let play_hosts = play_hosts.to_vec();
        Scope::with_hosts(
            layers,
            Arc::new(move |name| {
                others
                    .hosts
                    .contains_key(name)
                    .then(|| others.scope(name, None, &play_hosts))
            }),
        )
    }
}
