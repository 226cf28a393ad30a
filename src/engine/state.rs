//! What a run remembers of each host, and the variables that a task sees.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::grown::Grown;
use super::outside::TaskOutside;
use super::{LOCALHOST, Recap};
use crate::diagnostic::Diagnostic;
use crate::facts::FactText;
use crate::playbook::{Frame, Library, OMIT, Play, Role, Strategy, Task};
use crate::template::{Hosts, Layer, Scope, Template};

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
    inventory: Mutex<Layer>,
    inner: Mutex<Inner>,
}

struct Inner {
    facts: Layer,
    /// `include_vars`.
    included: Arc<Map<String, Json>>,
    /// What tasks registered and set.
    set: Grown,
    standing: Standing,
    /// `meta: end_host` or `end_play` in the running play.
    ended: bool,
    /// `meta: end_role` in the running role.
    role_ended: bool,
    /// Tasks of roles that did not skip, to know whether a role has run.
    role_tasks: u64,
    /// Roles that the host has run in this play, with what they were given.
    completed: HashSet<Arc<str>>,
    /// Handlers that are owed, by their number in the running play.
    owed: BTreeSet<usize>,
    /// Those of them that something notified in this run, not in one that it goes on from.
    fresh: BTreeSet<usize>,
    /// Names of handlers that an earlier run owed.
    recalled: Vec<String>,
    recap: Recap,
    /// `meta: clear_host_errors` came after its last failure.
    forgiven: bool,
}

impl HostState {
    pub(super) fn new(inventory: Map<String, Json>) -> Self {
        let inner = Inner {
            facts: Layer::facts(),
            included: Arc::default(),
            set: Grown::default(),
            standing: Standing::Active,
            ended: false,
            role_ended: false,
            role_tasks: 0,
            completed: HashSet::new(),
            owed: BTreeSet::new(),
            fresh: BTreeSet::new(),
            recalled: Vec::new(),
            recap: Recap::default(),
            forgiven: false,
        };
        Self {
            inventory: Mutex::new(Layer::templated(inventory)),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inventory says something else now.
    pub(super) fn set_inventory(&self, variables: Map<String, Json>) {
        *self
            .inventory
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Layer::templated(variables);
    }

    /// The variables of the inventory.
    pub(super) fn inventory(&self) -> Layer {
        self.inventory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn standing(&self) -> Standing {
        self.lock().standing
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.lock().standing = standing;
    }

    pub(super) fn is_running(&self) -> bool {
        let inner = self.lock();
        inner.standing == Standing::Active && !inner.ended && !inner.role_ended
    }

    /// Whether the host failed, or still runs.
    pub(super) fn can_flush(&self, force: bool) -> bool {
        let inner = self.lock();
        !inner.ended
            && (inner.standing == Standing::Active || force && inner.standing == Standing::Failed)
    }

    /// A play begins.
    pub(super) fn begin_play(&self) {
        let mut inner = self.lock();
        inner.ended = false;
        inner.role_ended = false;
        inner.completed.clear();
    }

    /// Whether `meta` has ended the play for this host.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// The play ends for this host.
    pub(super) fn end(&self) {
        self.lock().ended = true;
    }

    /// What went wrong so far does not count any more.
    pub(super) fn forgive(&self) {
        let mut inner = self.lock();
        inner.standing = Standing::Active;
        inner.forgiven = true;
    }

    /// Whether what went wrong does not count any more.
    pub(super) fn is_forgiven(&self) -> bool {
        self.lock().forgiven
    }

    /// The role ends for this host, or another begins.
    pub(super) fn set_role_ended(&self, ended: bool) {
        self.lock().role_ended = ended;
    }

    /// A task of a role did something.
    pub(super) fn count_role_task(&self) {
        self.lock().role_tasks += 1;
    }

    /// How many tasks of roles did something so far.
    pub(super) fn role_tasks(&self) -> u64 {
        self.lock().role_tasks
    }

    /// Whether the host has run this role in this play.
    pub(super) fn has_completed(&self, role: &str) -> bool {
        self.lock().completed.contains(role)
    }

    /// The host has run this role.
    pub(super) fn complete_role(&self, role: &Arc<str>) {
        self.lock().completed.insert(Arc::clone(role));
    }

    /// Facts: known as they are called, and below `ansible_facts`.
    pub(super) fn add_facts(&self, facts: &Map<String, Json>) {
        let facts = facts.iter();
        self.add_fact_texts(facts.map(|(name, value)| (name.clone(), value.to_string().into())));
    }

    /// The same, each value as a JSON text.
    pub(super) fn add_fact_texts(&self, facts: impl Iterator<Item = (String, Arc<str>)>) {
        let mut inner = self.lock();
        inner.facts = inner.facts.with_facts(facts);
    }

    /// The same; read when one is looked for.
    pub(super) fn add_facts_later(&self, read: impl FnOnce() -> Vec<FactText> + Send + 'static) {
        let mut inner = self.lock();
        inner.facts = inner.facts.with_facts_later(read);
    }

    /// `meta: clear_facts`.
    pub(super) fn clear_facts(&self) {
        self.lock().facts = Layer::facts();
    }

    pub(super) fn set_variable(&self, name: &str, value: Json) {
        self.lock().set.insert(name, value);
    }

    /// Variables of a file.
    pub(super) fn include_variables(&self, variables: Map<String, Json>) {
        Arc::make_mut(&mut self.lock().included).extend(variables);
    }

    /// Handlers of the running play are owed.
    pub(super) fn owe(&self, handlers: BTreeSet<usize>, is_fresh: bool) {
        let mut inner = self.lock();
        if is_fresh {
            inner.fresh.extend(&handlers);
        }
        inner.owed.extend(handlers);
    }

    /// The handlers that are owed.
    pub(super) fn owed(&self) -> BTreeSet<usize> {
        self.lock().owed.clone()
    }

    /// A handler is about to run. Answers whether something notified it in this run.
    pub(super) fn take_owed(&self, handler: usize) -> bool {
        let mut inner = self.lock();
        inner.owed.remove(&handler);
        inner.fresh.remove(&handler)
    }

    /// A play is over: its handlers have no numbers any more.
    pub(super) fn forget_owed(&self) {
        let mut inner = self.lock();
        inner.owed.clear();
        inner.fresh.clear();
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
        self.lock().set.whole()
    }

    pub(super) fn recap(&self) -> Recap {
        self.lock().recap
    }

    fn layers(&self) -> (Layer, Layer, Vec<Layer>) {
        let inner = self.lock();
        (
            inner.facts.clone(),
            Layer::templated(Arc::clone(&inner.included)),
            inner.set.layers(),
        )
    }
}

/// What every task of a play sees beside its own variables.
pub(super) struct PlayView {
    /// The hosts of the batch.
    pub(super) hosts: Vec<String>,
    /// All hosts of the play.
    pub(super) all: Vec<String>,
    /// Handlers, those that includes brought last.
    handlers: RwLock<Arc<Vec<Arc<Task>>>>,
    roles: RwLock<Arc<Vec<Arc<Role>>>>,
    /// Hosts that failed or were lost in this play: no `meta` brings them back among its hosts.
    removed: Mutex<HashSet<String>>,
    /// Which hosts are left is told anew when it has changed.
    layer: Mutex<Option<Layer>>,
    fixed: Map<String, Json>,
    /// `vars_files`.
    pub(super) files: Vec<VarsFile>,
    /// Hosts do not wait for each other.
    pub(super) is_free: bool,
    /// `meta: end_play` has ended the play, not only its batch.
    pub(super) is_over: AtomicBool,
}

/// One entry of `vars_files`.
pub(super) enum VarsFile {
    /// Its name is literal: it is read already.
    Read(Layer),
    /// It depends on the host which file it is.
    Named(Vec<Template>),
}

impl PlayView {
    /// A play on some hosts.
    pub(super) fn new(
        play: &Play,
        name: &str,
        hosts: Vec<String>,
        all: Vec<String>,
        files: Vec<VarsFile>,
        folder: &str,
        strategy: Strategy,
    ) -> Arc<Self> {
        let mut names: Vec<&str> = Vec::new();
        let mut dependent: Vec<&str> = Vec::new();
        for role in &play.roles {
            if !play.role_names.contains(&role.name) && !dependent.contains(&role.name.as_str()) {
                dependent.push(&role.name);
            }
            if !names.contains(&role.name.as_str()) {
                names.push(&role.name);
            }
        }
        let fixed = json!({
            "ansible_play_hosts_all": all,
            "ansible_play_name": name,
            "ansible_play_role_names": play.role_names,
            "ansible_dependent_role_names": dependent,
            "ansible_role_names": names,
            "role_names": play.role_names,
            "playbook_dir": folder,
        });
        Arc::new(Self {
            hosts,
            all,
            handlers: RwLock::new(Arc::new(play.handlers.clone())),
            roles: RwLock::new(Arc::new(play.roles.clone())),
            removed: Mutex::default(),
            layer: Mutex::default(),
            fixed: fixed.as_object().cloned().unwrap_or_default(),
            files,
            is_free: strategy == Strategy::Free,
            is_over: AtomicBool::new(false),
        })
    }

    /// Whether a host failed or was lost in this play.
    pub(super) fn is_removed(&self, host: &str) -> bool {
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(host)
    }

    /// The handlers of the play.
    pub(super) fn handlers(&self) -> Arc<Vec<Arc<Task>>> {
        Arc::clone(&self.handlers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What an include brings for the rest of the play.
    pub(super) fn join(&self, handlers: &[Arc<Task>], roles: &[Arc<Role>]) {
        let mut known = self
            .handlers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for handler in handlers {
            if !known.iter().any(|known| Arc::ptr_eq(known, handler)) {
                Arc::make_mut(&mut known).push(Arc::clone(handler));
            }
        }
        let mut known = self.roles.write().unwrap_or_else(PoisonError::into_inner);
        for role in roles {
            if !known.iter().any(|known| Arc::ptr_eq(known, role)) {
                Arc::make_mut(&mut known).push(Arc::clone(role));
            }
        }
    }

    /// A host is not among those of the play any more.
    pub(super) fn remove(&self, host: &str) {
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(host.to_owned());
        *self.layer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn layer(&self, variables: &Variables) -> Layer {
        let mut layer = self.layer.lock().unwrap_or_else(PoisonError::into_inner);
        layer
            .get_or_insert_with(|| {
                let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
                let left = |host: &&String| {
                    !removed.contains(*host)
                        && variables
                            .host(host)
                            .is_some_and(|state| state.standing() == Standing::Active)
                };
                let mine: HashSet<&String> = self.hosts.iter().collect();
                let all: Vec<&String> = self.all.iter().filter(left).collect();
                let here: Vec<&String> = all
                    .iter()
                    .copied()
                    .filter(|host| mine.contains(host))
                    .collect();
                let mut map = self.fixed.clone();
                map.insert("ansible_play_batch".to_owned(), json!(here));
                map.insert("ansible_play_hosts".to_owned(), json!(all));
                map.insert("play_hosts".to_owned(), json!(here));
                Layer::raw(map)
            })
            .clone()
    }
}

/// Builds the scope of a task on a host.
pub(super) struct Variables {
    /// Every host of the inventory, and this machine.
    pub(super) hosts: RwLock<IndexMap<String, Arc<HostState>>>,
    /// `groups` and the like: the same for all.
    pub(super) shared: RwLock<Layer>,
    /// `group_names` of each host.
    pub(super) group_names: RwLock<HashMap<String, Vec<String>>>,
    /// What is weaker than everything else.
    pub(super) weakest: Vec<Layer>,
    /// Settings and `-e`.
    pub(super) strongest: Vec<Layer>,
    /// Files of variables that were read, by their path; `None` where there is none to use.
    pub(super) files: Mutex<HashMap<String, Option<Layer>>>,
    /// The first of them that is there and cannot be used.
    pub(super) unusable: OnceLock<Diagnostic>,
    /// Where they lie.
    pub(super) library: Library,
}

/// All hosts as a task of a play sees them.
struct Neighbours {
    variables: Arc<Variables>,
    view: Arc<PlayView>,
}

impl Hosts for Neighbours {
    fn scope(&self, name: &str) -> Option<Scope> {
        self.variables.host(name)?;
        Some(self.variables.scope(name, None, &self.view))
    }

    fn names(&self) -> Vec<String> {
        let hosts = self.variables.hosts.read();
        let hosts = hosts.unwrap_or_else(PoisonError::into_inner);
        hosts.keys().cloned().collect()
    }
}

impl Variables {
    /// One host.
    pub(super) fn host(&self, name: &str) -> Option<Arc<HostState>> {
        self.hosts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The scope of `frame` on a host, by Ansible's order of precedence, the weakest first.
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
        let roles = Arc::clone(&view.roles.read().unwrap_or_else(PoisonError::into_inner));
        let mut layers: Vec<Layer> = frame
            .map(|frame| self.assumed(host, frame))
            .into_iter()
            .collect();
        layers.extend(self.weakest.iter().cloned());
        for role in roles.iter() {
            defaults(role, &mut layers);
        }
        for role in frames.iter().filter_map(|frame| frame.role.as_ref()) {
            defaults(role, &mut layers);
        }
        let mut set = None;
        if let Some(state) = self.host(host) {
            let (facts, included, set_by_tasks) = state.layers();
            layers.push(state.inventory());
            layers.push(facts);
            set = Some(std::iter::once(included).chain(set_by_tasks));
        }
        let (play, inner) = frames.split_at(frames.len().min(1));
        let magic = [
            self.shared
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            view.layer(self),
            self.of_host(host, frame),
        ];
        layers.extend(play.iter().filter_map(|frame| frame.vars.clone()));
        if let Some(play) = frames.first() {
            for file in &view.files {
                self.vars_file(file, play, &mut layers, &magic);
            }
        }
        for role in roles.iter() {
            exported(role, &mut layers);
        }
        for frame in inner {
            if let Some(role) = &frame.role {
                exported(role, &mut layers);
            }
            layers.extend(frame.vars.clone());
        }
        layers.extend(set.into_iter().flatten());
        layers.extend(frames.iter().filter_map(|frame| frame.params.clone()));
        layers.extend(self.strongest.iter().cloned());
        layers.extend(magic);
        let hosts = Neighbours {
            variables: Arc::clone(self),
            view: Arc::clone(view),
        };
        let outside = TaskOutside {
            variables: Arc::clone(self),
            frame: frame.cloned().unwrap_or_default(),
        };
        Scope::with_hosts(layers, Arc::new(hosts)).with_outside(Arc::new(outside))
    }

    /// Adds the first of these files that is there.
    fn vars_file(
        self: &Arc<Self>,
        file: &VarsFile,
        play: &Frame,
        layers: &mut Vec<Layer>,
        magic: &[Layer; 3],
    ) {
        let names = match file {
            VarsFile::Read(layer) => {
                layers.push(layer.clone());
                return;
            }
            VarsFile::Named(names) => names,
        };
        let mut all = layers.clone();
        all.extend(self.strongest.iter().cloned());
        all.extend(magic.iter().cloned());
        let outside = TaskOutside {
            variables: Arc::clone(self),
            frame: play.clone(),
        };
        let scope = Scope::new(all).with_outside(Arc::new(outside));
        for name in names {
            // What is not known yet may be known for the next task.
            let Ok(name) = name.render(&scope) else {
                continue;
            };
            for place in play.places("vars", &name) {
                if let Some(layer) = self.read(&place) {
                    layers.push(layer);
                    return;
                }
            }
        }
    }

    /// The variables of a file of the library, read once.
    fn read(&self, place: &str) -> Option<Layer> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(place) {
            return known.clone();
        }
        let variables = match self.library.read(place) {
            Ok(None) => Ok(None),
            Ok(Some(entry)) => {
                crate::playbook::parse_vars_file(&entry.name, &entry.bytes).map(Some)
            }
            // As with an empty name.
            Err(error) if error.kind() == ErrorKind::IsADirectory => Ok(None),
            Err(error) => Err(Diagnostic::error(format!("cannot read {place}: {error}"))),
        };
        let layer = variables
            .unwrap_or_else(|diagnostic| {
                // Every task fails by the first one; which it is does not matter.
                self.unusable.get_or_init(|| diagnostic);
                None
            })
            .map(Layer::templated);
        files.insert(place.to_owned(), layer.clone());
        layer
    }

    /// How a host is reached where nobody says it.
    fn assumed(&self, host: &str, frame: &Frame) -> Layer {
        let names = self
            .group_names
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let address = match host {
            LOCALHOST if !names.contains_key(host) => "127.0.0.1",
            name => name,
        };
        let keyword = frame.chain().find_map(|frame| frame.connection.as_ref());
        let connection = keyword.and_then(Template::literal).unwrap_or("ssh");
        Layer::assumed(Map::from_iter([
            ("ansible_host".to_owned(), address.into()),
            ("ansible_connection".to_owned(), connection.into()),
        ]))
    }

    /// What the engine says about the host and the role.
    fn of_host(&self, host: &str, frame: Option<&Frame>) -> Layer {
        let mut magic = Map::new();
        magic.insert("inventory_hostname".to_owned(), host.into());
        magic.insert(
            "inventory_hostname_short".to_owned(),
            host.split('.').next().unwrap_or(host).into(),
        );
        let names = self
            .group_names
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let groups = names.get(host).map_or(&[][..], Vec::as_slice);
        magic.insert("group_names".to_owned(), json!(groups));
        magic.insert("omit".to_owned(), OMIT.into());
        magic.insert("environment".to_owned(), json!([]));
        let Some(frame) = frame else {
            return Layer::raw(magic);
        };
        let roles: Vec<&Arc<Role>> = frame.roles().collect();
        if let Some((role, _)) = roles.split_first() {
            let parents: Vec<&Arc<Role>> = frame
                .chain()
                .filter(|frame| frame.folder.is_some())
                .filter_map(|frame| frame.role.as_ref())
                .collect();
            magic.insert("role_name".to_owned(), role.name.clone().into());
            magic.insert("ansible_role_name".to_owned(), role.name.clone().into());
            magic.insert("ansible_collection_name".to_owned(), "".into());
            magic.insert(
                "role_path".to_owned(),
                self.library.absolute(&role.folder).into(),
            );
            let mut names: Vec<&str> = Vec::new();
            let mut paths: Vec<String> = Vec::new();
            // A role may import itself: it is its own parent then.
            for parent in parents.iter().skip(1) {
                names.push(&parent.name);
                paths.push(self.library.absolute(&parent.folder));
            }
            if !names.is_empty() {
                magic.insert("ansible_parent_role_names".to_owned(), json!(names));
                magic.insert("ansible_parent_role_paths".to_owned(), json!(paths));
            }
        }
        let search: Vec<String> = frame
            .search_path()
            .iter()
            .map(|folder| self.library.absolute(folder))
            .collect();
        magic.insert("ansible_search_path".to_owned(), json!(search));
        Layer::raw(magic)
    }
}

/// Defaults of a role, those of its dependencies first.
fn defaults(role: &Role, layers: &mut Vec<Layer>) {
    for dependency in role.dependencies.get().into_iter().flatten() {
        defaults(dependency, layers);
    }
    layers.extend(role.defaults.clone());
}

/// Variables of a role, those of its dependencies first.
fn exported(role: &Role, layers: &mut Vec<Layer>) {
    for dependency in role.dependencies.get().into_iter().flatten() {
        exported(dependency, layers);
    }
    layers.extend(role.vars.clone());
}
