//! Layers of variables, and how facts are kept in one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use indexmap::{IndexMap, IndexSet};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, State};
use serde_json::{Map, Value as Json};

use super::scope::{decrypted, has_template, lock};
use super::{environment, methods, values};
use crate::vault::has_marked;

/// The variable that holds all facts.
const FACTS: &str = "ansible_facts";

/// How the names of facts begin as variables, and not below [`FACTS`].
const PREFIX: &str = "ansible_";

/// The one fact that is called the same in both places.
const LOCAL: &str = "ansible_local";

/// One layer of variables.
#[derive(Clone)]
pub struct Layer {
    variables: Variables,
    /// Texts in it are data, never templates: facts, results of tasks, settings.
    raw: bool,
    /// Nobody has said it.
    assumed: bool,
    /// Variables without templates as the engine takes them, for all scopes that have this layer.
    ready: Arc<Mutex<HashMap<String, Option<Value>>>>,
}

#[derive(Debug, Clone)]
enum Variables {
    Plain(Arc<Map<String, Json>>),
    Facts(Arc<LateFacts>),
}

/// Facts, or how they become known.
#[derive(Default)]
struct LateFacts {
    known: OnceLock<PackedFacts>,
    later: Mutex<Option<Box<dyn FnOnce() -> PackedFacts + Send>>>,
}

impl LateFacts {
    fn known(&self) -> &PackedFacts {
        self.known.get_or_init(|| {
            let later = lock(&self.later).take();
            later.map_or_else(PackedFacts::default, |read| read())
        })
    }
}

impl std::fmt::Debug for LateFacts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.known.fmt(formatter)
    }
}

/// How to reach a host and work there is for whoever wrote the inventory or the playbook to say, never for the host. The
/// engine looks for these at every step.
fn is_for_people(name: &str) -> bool {
    const PREFIXES: [&str; 4] = [
        "ansible_become",
        "ansible_sudo_",
        "ansible_su_",
        "ansible_doas_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "ansible_host"
                | "ansible_port"
                | "ansible_user"
                | "ansible_password"
                | "ansible_connection"
                | "ansible_ssh_host"
                | "ansible_ssh_port"
                | "ansible_ssh_user"
                | "ansible_ssh_pass"
                | "ansible_ssh_private_key_file"
        )
}

/// Facts as JSON texts, by their names as variables, the latest last. A host has hundreds of them and a play looks at few: in
/// one text they take a small part of the memory that values would.
#[derive(Debug, Clone, Default)]
struct PackedFacts {
    /// Each name and its value, one after the other.
    text: Box<str>,
    facts: Box<[PackedFact]>,
    /// Places in `facts`, in the order of the names.
    by_name: Box<[u32]>,
}

/// Where a fact lies in the text, in bytes.
#[derive(Debug, Clone)]
struct PackedFact {
    name: u32,
    value: u32,
    end: u32,
}

/// A variable of a layer.
pub(super) enum Ready<'a> {
    /// There is no template in it.
    Value(Value),
    /// There may be.
    ToResolve(Cow<'a, Json>),
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Layer")
            .field("variables", &self.variables)
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

impl PackedFacts {
    /// These, each name once.
    fn new(facts: &IndexMap<&str, &str>) -> Self {
        let length = facts.iter().map(|(name, value)| name.len() + value.len());
        let mut text = String::with_capacity(length.sum());
        let mut places = Vec::with_capacity(facts.len());
        let place = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        for (name, value) in facts {
            let start = place(&text);
            text.push_str(name);
            let middle = place(&text);
            text.push_str(value);
            places.push(PackedFact {
                name: start,
                value: middle,
                end: place(&text),
            });
        }
        let mut by_name: Vec<u32> = (0..).take(places.len()).collect();
        by_name.sort_by_key(|index| facts.get_index(*index as usize).map(|(name, _)| *name));
        Self {
            text: text.into(),
            facts: places.into(),
            by_name: by_name.into(),
        }
    }

    /// Names and values, the latest last.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.facts.iter().map(|fact| self.read(fact))
    }

    fn read(&self, fact: &PackedFact) -> (&str, &str) {
        let part = |from: u32, to: u32| self.text.get(from as usize..to as usize);
        let name = part(fact.name, fact.value).unwrap_or_default();
        (name, part(fact.value, fact.end).unwrap_or_default())
    }

    /// A fact's name and value, by its place.
    fn at(&self, index: u32) -> (&str, &str) {
        self.facts
            .get(index as usize)
            .map(|fact| self.read(fact))
            .unwrap_or_default()
    }

    fn index_of(&self, name: &str) -> Option<u32> {
        let found = self
            .by_name
            .binary_search_by(|index| self.at(*index).0.cmp(name));
        self.by_name.get(found.ok()?).copied()
    }

    fn get(&self, name: &str) -> Option<Json> {
        serde_json::from_str(self.at(self.index_of(name)?).1).ok()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The name below [`FACTS`].
    fn short(name: &str) -> &str {
        match name {
            LOCAL => LOCAL,
            _ => name.strip_prefix(PREFIX).unwrap_or(name),
        }
    }

    /// The latest fact that has this name below [`FACTS`].
    fn called(&self, short: &str) -> Option<&str> {
        let prefixed = format!("{PREFIX}{short}");
        let found = [prefixed.as_str(), short]
            .into_iter()
            .filter(|name| Self::short(name) == short)
            .filter_map(|name| self.index_of(name))
            .max()?;
        Some(self.at(found).0)
    }

    /// The names below [`FACTS`].
    fn shorts(&self) -> IndexSet<&str> {
        self.names().map(Self::short).collect()
    }

    fn all(&self) -> Json {
        self.iter()
            .filter_map(|(name, value)| {
                let value = serde_json::from_str(value).ok()?;
                Some((Self::short(name).to_owned(), value))
            })
            .collect::<Map<_, _>>()
            .into()
    }
}

impl Layer {
    /// Variables whose texts may be templates.
    pub fn templated(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self::new(Variables::Plain(variables.into()), false)
    }

    /// Variables whose texts are data.
    pub fn raw(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self::new(Variables::Plain(variables.into()), true)
    }

    /// What is taken where nobody says anything else.
    pub fn assumed(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self {
            assumed: true,
            ..Self::raw(variables)
        }
    }

    /// A place for facts of a host: they are known as they are called, and below `ansible_facts`.
    pub fn facts() -> Self {
        Self::new(Variables::Facts(Arc::default()), true)
    }

    /// A layer of facts with more of them, each value as a JSON text; the same names are replaced.
    #[must_use]
    pub fn with_facts(&self, facts: impl IntoIterator<Item = (String, Arc<str>)>) -> Self {
        let facts = LateFacts {
            known: OnceLock::from(self.packed_with(facts)),
            ..LateFacts::default()
        };
        Self::new(Variables::Facts(Arc::new(facts)), true)
    }

    fn packed_with(&self, facts: impl IntoIterator<Item = (String, Arc<str>)>) -> PackedFacts {
        let known = match &self.variables {
            Variables::Facts(known) => Arc::clone(known),
            Variables::Plain(_) => Arc::default(),
        };
        let facts: Vec<_> = facts.into_iter().collect();
        let mut all: IndexMap<&str, &str> = known.known().iter().collect();
        for (name, text) in facts.iter().filter(|(name, _)| name != FACTS) {
            all.shift_remove(name.as_str());
            all.insert(name, text);
        }
        PackedFacts::new(&all)
    }

    /// The same; they are read when a fact is looked for.
    #[must_use]
    pub fn with_facts_later(
        &self,
        read: impl FnOnce() -> Vec<(String, Arc<str>)> + Send + 'static,
    ) -> Self {
        let known = self.clone();
        let facts = LateFacts {
            later: Mutex::new(Some(Box::new(move || known.packed_with(read())))),
            ..LateFacts::default()
        };
        Self::new(Variables::Facts(Arc::new(facts)), true)
    }

    fn new(variables: Variables, raw: bool) -> Self {
        Self {
            variables,
            raw,
            assumed: false,
            ready: Arc::default(),
        }
    }

    /// The variables of the layer, unless it is one of facts.
    pub fn variables(&self) -> &Map<String, Json> {
        static NONE: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);
        match &self.variables {
            Variables::Plain(variables) => variables,
            Variables::Facts(_) => &NONE,
        }
    }

    /// Whether its texts are data.
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }

    /// Whether nobody has said what it holds.
    pub(super) fn is_assumed(&self) -> bool {
        self.assumed
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.variables {
            Variables::Plain(variables) => variables.contains_key(name),
            Variables::Facts(_) if is_for_people(name) => false,
            Variables::Facts(facts) => name == FACTS || facts.known().index_of(name).is_some(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, Json>> {
        match &self.variables {
            Variables::Plain(variables) => variables.get(name).map(Cow::Borrowed),
            Variables::Facts(_) if is_for_people(name) => None,
            Variables::Facts(facts) if name == FACTS => Some(Cow::Owned(facts.known().all())),
            Variables::Facts(facts) => facts.known().get(name).map(Cow::Owned),
        }
    }

    pub(super) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.variables {
            Variables::Plain(variables) => Box::new(variables.keys().map(String::as_str)),
            Variables::Facts(facts) => Box::new(
                facts
                    .known()
                    .names()
                    .filter(|name| !is_for_people(name))
                    .chain(std::iter::once(FACTS)),
            ),
        }
    }

    /// A variable as the engine takes it; one in which there is no template is made once.
    pub(super) fn ready(&self, name: &str) -> Option<Ready<'_>> {
        if let Variables::Facts(facts) = &self.variables
            && name == FACTS
        {
            return Some(Ready::Value(Value::from_object(AllFacts {
                facts: Arc::clone(facts),
                layer: self.clone(),
            })));
        }
        let known = lock(&self.ready).get(name).cloned();
        match known {
            Some(Some(value)) => return Some(Ready::Value(value)),
            Some(None) => return self.get(name).map(Ready::ToResolve),
            None => {}
        }
        let json = self.get(name)?;
        let is_data = self.raw && !has_marked(&json) || !has_template(&json);
        let value = is_data.then(|| environment::value_of(&json));
        lock(&self.ready).insert(name.to_owned(), value.clone());
        Some(value.map_or(Ready::ToResolve(json), Ready::Value))
    }
}

/// `ansible_facts`. A fact is unpacked when it is asked for.
struct AllFacts {
    facts: Arc<LateFacts>,
    layer: Layer,
}

impl std::fmt::Debug for AllFacts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(FACTS)
    }
}

impl Object for AllFacts {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, short: &str) -> Option<Value> {
        match self.layer.ready(self.facts.known().called(short)?)? {
            Ready::Value(value) => Some(value),
            Ready::ToResolve(json) => Some(match decrypted(&json) {
                Ok(json) => environment::value_of(&json),
                Err(trouble) => Value::from(environment::invalid(trouble.message)),
            }),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.facts.known().shorts();
        Enumerator::Values(names.into_iter().map(Value::from).collect())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let value = Value::from_dyn_object(Arc::clone(self));
        methods::call(state, &value, method, arguments)
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        values::rendered(&Value::from_dyn_object(Arc::clone(self)), formatter)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Scope, Template};
    use super::*;

    fn facts() -> Layer {
        let facts = json!({
            "ansible_os_family": "Debian",
            "ansible_lo": {"device": "lo", "text": "{{ no template }}"},
            "ansible_local": {"a": 1},
            "own": [1, 2],
            "os_family": "of kk itself",
            "ansible_kernel": "6.1",
        });
        let texts = |facts: Json| {
            let facts = facts.as_object().unwrap().clone().into_iter();
            facts.map(|(name, value)| (name, value.to_string().into()))
        };
        let first = Layer::facts().with_facts(texts(facts));
        first.with_facts(texts(
            json!({"own": [3], "ansible_os_family": "Debian", "kernel": "set"}),
        ))
    }

    #[test]
    fn facts_are_read_once_and_when_one_is_looked_for() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let layer = facts().with_facts_later(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let text = |name: &str, value: &str| (name.to_owned(), Arc::from(value));
            vec![
                text("ansible_kernel", "\"6.12\""),
                text("ansible_become", "true"),
            ]
        });
        let scope = Scope::new(vec![layer]);
        // What a host says of itself is nothing to log in or to become somebody by.
        for name in ["ansible_become", "ansible_sudo_exe", "ansible_host"] {
            assert_eq!(scope.variable(name).unwrap(), None);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 0);
        let value = |text: &str| {
            let template = Template::expression(text, None).unwrap();
            template.evaluate(&scope).unwrap()
        };
        assert_eq!(value("ansible_kernel"), json!("6.12"));
        assert_eq!(value("ansible_facts.kernel"), json!("6.12"));
        assert_eq!(value("own"), json!([3]));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn facts_are_known_by_both_names() {
        let scope = Scope::new(vec![facts()]);
        let value = |text: &str| {
            let template = Template::expression(text, None).unwrap();
            template.evaluate(&scope).unwrap()
        };
        assert_eq!(value("ansible_os_family"), "Debian");
        assert_eq!(value("ansible_facts.os_family"), "Debian");
        assert_eq!(value("ansible_facts['lo'].text"), "{{ no template }}");
        assert_eq!(value("ansible_facts.ansible_local.a"), 1);
        assert_eq!(value("ansible_facts.local is defined"), false);
        assert_eq!(value("ansible_facts.ansible_lo is defined"), false);
        assert_eq!(value("[own, ansible_facts.own]"), json!([[3], [3]]));
        assert_eq!(
            value("ansible_facts | list"),
            json!(["lo", "ansible_local", "os_family", "kernel", "own"])
        );
        // Of two that have the same name there, the latest is meant.
        assert_eq!(value("ansible_facts.kernel"), "set");
        assert_eq!(value("ansible_kernel"), "6.1");
        assert_eq!(value("ansible_facts.get('lo').device"), "lo");
        assert_eq!(
            value("'lo' in ansible_facts and ansible_facts is mapping"),
            true
        );
        assert_eq!(
            value("ansible_facts | dict2items | selectattr('key', 'eq', 'own') | list"),
            json!([{"key": "own", "value": [3]}])
        );
        assert_eq!(value("ansible_facts | combine({'own': 4})")["own"], 4);
        assert_eq!(value("ansible_facts")["lo"]["device"], "lo");
        assert!(
            value("vars.keys() | list")
                .as_array()
                .unwrap()
                .contains(&json!("ansible_facts"))
        );
    }

    #[test]
    fn there_is_a_place_for_facts_before_there_are_any() {
        let scope = Scope::new(vec![Layer::facts()]);
        let value = Template::expression("ansible_facts == {}", None).unwrap();
        assert_eq!(value.evaluate(&scope).unwrap(), true);
    }
}
