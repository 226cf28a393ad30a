//! What a run remembers of each host, and the variables that a task sees.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value as Json, json};

use super::Recap;
use crate::playbook::{Frame, OMIT, Play, Role};
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
    set: Arc<Map<String, Json>>,
    standing: Standing,
    /// `meta: end_host` or `end_play` in the running play.
    ended: bool,
    /// Handlers that are owed, by their number in the running play.
    owed: BTreeSet<usize>,
    /// Names of handlers that an earlier run owed.
    recalled: Vec<String>,
    recap: Recap,
}

impl HostState {
    pub(super) fn new(inventory: Map<String, Json>) -> Self {
        let inner = Inner {
            facts: Layer::raw(Map::new()),
            set: Arc::default(),
            standing: Standing::Active,
            ended: false,
            owed: BTreeSet::new(),
            recalled: Vec::new(),
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

    /// A play begins, or ends for this host.
    pub(super) fn set_ended(&self, ended: bool) {
        self.lock().ended = ended;
    }

    pub(super) fn set_facts(&self, facts: Map<String, Json>) {
        self.lock().facts = Layer::raw(facts);
    }

    pub(super) fn set_variable(&self, name: &str, value: Json) {
        Arc::make_mut(&mut self.lock().set).insert(name.to_owned(), value);
    }

    /// Handlers of the running play are owed.
    pub(super) fn owe(&self, handlers: impl IntoIterator<Item = usize>) {
        self.lock().owed.extend(handlers);
    }

    /// The handlers that are owed.
    pub(super) fn owed(&self) -> BTreeSet<usize> {
        self.lock().owed.clone()
    }

    /// A handler is about to run.
    pub(super) fn take_owed(&self, handler: usize) {
        self.lock().owed.remove(&handler);
    }

    /// A play is over: its handlers have no numbers any more.
    pub(super) fn forget_owed(&self) {
        self.lock().owed.clear();
    }

    /// An earlier run owed a handler of this name.
    pub(super) fn recall(&self, name: String) {
        self.lock().recalled.push(name);
    }

    /// Takes those of these names that an earlier run owed.
    pub(super) fn take_recalled(&self, names: &[String]) -> Vec<String> {
        let recalled = &mut self.lock().recalled;
        let (asked, left) = std::mem::take(recalled)
            .into_iter()
            .partition(|name| names.contains(name));
        *recalled = left;
        asked
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Recap)) {
        change(&mut self.lock().recap);
    }

    /// What tasks registered and set.
    pub(super) fn set_variables(&self) -> Map<String, Json> {
        Map::clone(&self.lock().set)
    }

    pub(super) fn recap(&self) -> Recap {
        self.lock().recap
    }

    fn layers(&self) -> (Layer, Layer) {
        let inner = self.lock();
        (inner.facts.clone(), Layer::raw(Arc::clone(&inner.set)))
    }
}

/// What every task of a play sees beside its own variables.
pub(super) struct PlayView {
    /// The hosts it began with.
    pub(super) hosts: Vec<String>,
    roles: Vec<Arc<Role>>,
    layer: Layer,
}

impl PlayView {
    /// A play on some hosts.
    pub(super) fn new(play: &Play, hosts: Vec<String>) -> Arc<Self> {
        let layer = json!({
            "play_hosts": hosts,
            "ansible_play_hosts": hosts,
            "ansible_play_hosts_all": hosts,
            "ansible_play_batch": hosts,
            "ansible_play_name": play.name,
        });
        let layer = Layer::raw(layer.as_object().cloned().unwrap_or_default());
        Arc::new(Self {
            hosts,
            roles: play.roles.clone(),
            layer,
        })
    }
}

/// Builds the scope of a task on a host.
pub(super) struct Variables {
    /// Every host of the fleet.
    pub(super) hosts: HashMap<String, Arc<HostState>>,
    /// `groups`, `playbook_dir` and the like: the same for all.
    pub(super) shared: Layer,
    /// `group_names` of each host.
    pub(super) group_names: HashMap<String, Vec<String>>,
    /// Settings and `-e`.
    pub(super) strongest: Vec<Layer>,
}

impl Variables {
    /// The scope of `frame` on a host. Weakest first: defaults of the play's roles, then of the task's own; the
    /// inventory; facts; variables of the play, of its roles, of the task's own role, blocks and the task itself;
    /// what tasks set and registered; settings; what the engine itself says.
    pub(super) fn scope(
        self: &Arc<Self>,
        host: &str,
        frame: Option<&Frame>,
        view: &Arc<PlayView>,
    ) -> Scope {
        let mut frames: Vec<&Frame> = frame
            .map(|frame| frame.chain().collect())
            .unwrap_or_default();
        frames.reverse();
        let mut layers: Vec<Layer> = Vec::new();
        layers.extend(view.roles.iter().filter_map(|role| role.defaults.clone()));
        layers.extend(
            frames
                .iter()
                .filter_map(|frame| frame.role.as_ref()?.defaults.clone()),
        );
        let mut set = None;
        if let Some(state) = self.hosts.get(host) {
            let (facts, set_by_tasks) = state.layers();
            layers.push(state.inventory.clone());
            layers.push(facts);
            set = Some(set_by_tasks);
        }
        let (play, inner) = frames.split_at(frames.len().min(1));
        layers.extend(play.iter().filter_map(|frame| frame.vars.clone()));
        layers.extend(view.roles.iter().filter_map(|role| role.vars.clone()));
        for frame in inner {
            layers.extend(frame.role.as_ref().and_then(|role| role.vars.clone()));
            layers.extend(frame.vars.clone());
        }
        layers.extend(set);
        layers.extend(self.strongest.iter().cloned());
        layers.push(self.shared.clone());
        layers.push(view.layer.clone());
        layers.push(self.of_host(host, frame));
        let others = Arc::clone(self);
        let view = Arc::clone(view);
        Scope::with_hosts(
            layers,
            Arc::new(move |name| {
                others
                    .hosts
                    .contains_key(name)
                    .then(|| others.scope(name, None, &view))
            }),
        )
    }

    /// What the engine says about the host and the role.
    fn of_host(&self, host: &str, frame: Option<&Frame>) -> Layer {
        let mut magic = Map::new();
        magic.insert("inventory_hostname".to_owned(), host.into());
        magic.insert(
            "inventory_hostname_short".to_owned(),
            host.split('.').next().unwrap_or(host).into(),
        );
        let groups = self.group_names.get(host).map_or(&[][..], Vec::as_slice);
        magic.insert("group_names".to_owned(), json!(groups));
        magic.insert("omit".to_owned(), OMIT.into());
        if let Some(role) = frame.and_then(Frame::role) {
            magic.insert("role_name".to_owned(), role.name.clone().into());
            magic.insert("role_path".to_owned(), role.folder.clone().into());
        }
        Layer::raw(magic)
    }
}
