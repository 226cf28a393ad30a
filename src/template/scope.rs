//! Variables as a template sees them: layers, resolved lazily.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Value};
use serde_json::{Map, Value as Json};

use super::missing::{self, Asked, tracked};
use super::outside::Outside;
use super::{environment, is_template};
use crate::vault::{envelope_of, has_marked};

/// How deep variables may refer to variables.
pub const MAX_RECURSION: usize = 40;

/// One layer of variables.
#[derive(Debug, Clone)]
pub struct Layer {
    variables: Arc<Map<String, Json>>,
    /// Texts in it are data, never templates: facts, results of tasks, settings.
    raw: bool,
    /// Values as templates have them, once somebody asked: for data that many scopes share.
    known: Option<Arc<Mutex<HashMap<String, Value>>>>,
}

impl Layer {
    /// Variables whose texts may be templates.
    pub fn templated(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self {
            variables: variables.into(),
            raw: false,
            known: None,
        }
    }

    /// Variables whose texts are data.
    pub fn raw(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self {
            variables: variables.into(),
            raw: true,
            known: None,
        }
    }

    /// The same for data that the scopes of all hosts share, such as lists of all hosts: each is made a value once, and
    /// not once for each host.
    pub fn common(variables: impl Into<Arc<Map<String, Json>>>) -> Self {
        Self {
            known: Some(Arc::default()),
            ..Self::raw(variables)
        }
    }

    /// The value of a variable that somebody has asked for already.
    fn known(&self, name: &str) -> Option<Value> {
        let known = self.known.as_ref()?;
        let known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// The value of a variable whose texts are data.
    fn plain(&self, name: &str, json: &Json) -> Value {
        let value = environment::value_of(json);
        if let Some(known) = &self.known {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), value.clone());
        }
        value
    }

    /// The variables of the layer.
    pub fn variables(&self) -> &Map<String, Json> {
        &self.variables
    }
}

/// Layers of variables, the later ones stronger, and values that stand above all of them.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    layers: Vec<Layer>,
    resolved: Mutex<HashMap<String, Value>>,
    /// Other hosts' variables, for `hostvars`.
    hosts: Option<Value>,
    /// Answers lookups and includes.
    outside: Option<Arc<dyn Outside>>,
}

thread_local! {
    /// Names of variables that are being resolved, to find loops.
    static RESOLVING: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Why a template has no value.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) message: String,
    /// Something in it is undefined, so that a `default` around it may still help.
    undefined: bool,
}

impl From<&minijinja::Error> for Trouble {
    fn from(error: &minijinja::Error) -> Self {
        Self {
            message: environment::describe(error),
            undefined: error.kind() == minijinja::ErrorKind::UndefinedError,
        }
    }
}

/// Gives the scope of a host by its name.
pub type HostScopes = Arc<dyn Fn(&str) -> Option<Scope> + Send + Sync>;

impl std::fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secret.
        write!(formatter, "Scope of {} layers", self.inner.layers.len())
    }
}

impl Scope {
    /// A scope of layers, the weakest first.
    pub fn new(layers: Vec<Layer>) -> Self {
        Self {
            inner: Arc::new(Inner {
                layers,
                resolved: Mutex::default(),
                hosts: None,
                outside: None,
            }),
        }
    }

    /// With `hostvars`: the scope of each host.
    pub fn with_hosts(layers: Vec<Layer>, hosts: HostScopes) -> Self {
        let hosts = Value::from_object(HostVariables(hosts));
        Self {
            inner: Arc::new(Inner {
                layers,
                resolved: Mutex::default(),
                hosts: Some(hosts),
                outside: None,
            }),
        }
    }

    /// The same variables, with someone who answers lookups and includes.
    #[must_use]
    pub fn with_outside(&self, outside: Arc<dyn Outside>) -> Self {
        Self {
            inner: Arc::new(Inner {
                layers: self.inner.layers.clone(),
                resolved: Mutex::default(),
                hosts: self.inner.hosts.clone(),
                outside: Some(outside),
            }),
        }
    }

    /// Who answers lookups and includes.
    pub fn outside(&self) -> Option<&Arc<dyn Outside>> {
        self.inner.outside.as_ref()
    }

    /// The layers, the weakest first.
    pub fn layers(&self) -> &[Layer] {
        &self.inner.layers
    }

    /// A stronger scope: this one with another layer on top.
    #[must_use]
    pub fn with(&self, layer: Layer) -> Self {
        let mut layers = self.inner.layers.clone();
        layers.push(layer);
        Self {
            inner: Arc::new(Inner {
                layers,
                resolved: Mutex::default(),
                hosts: self.inner.hosts.clone(),
                outside: self.inner.outside.clone(),
            }),
        }
    }

    /// The unresolved value of a variable.
    pub fn raw(&self, name: &str) -> Option<&Json> {
        self.inner
            .layers
            .iter()
            .rev()
            .find_map(|layer| layer.variables.get(name))
    }

    /// Every name that is defined.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .inner
            .layers
            .iter()
            .flat_map(|layer| layer.variables.keys().cloned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The value of a variable, templates in it resolved.
    pub fn variable(&self, name: &str) -> Result<Option<Json>, String> {
        if self.raw(name).is_none() {
            return Ok(None);
        }
        self.evaluate(name).map(Some)
    }

    /// A value with every template in it resolved.
    pub fn resolve(&self, value: &Json) -> Result<Json, String> {
        self.resolved(value).map_err(|trouble| trouble.message)
    }

    fn resolved(&self, value: &Json) -> Result<Json, Trouble> {
        Ok(match value {
            Json::String(text) if envelope_of(text).is_some() => Json::String(revealed(text)?),
            Json::String(text) if is_template(text) => match super::sole_expression(text) {
                Some(expression) => self.value_of(expression)?,
                None => Json::String(self.text_of(text)?),
            },
            Json::Array(items) => Json::Array(
                items
                    .iter()
                    .map(|item| self.resolved(item))
                    .collect::<Result<_, _>>()?,
            ),
            Json::Object(map) => {
                let mut resolved = Map::new();
                for (key, item) in map {
                    let key = if is_template(key) {
                        super::display(&self.resolved(&Json::from(key.as_str()))?)
                    } else {
                        key.clone()
                    };
                    resolved.insert(key, self.resolved(item)?);
                }
                Json::Object(resolved)
            }
            other => other.clone(),
        })
    }

    pub(super) fn evaluate(&self, expression: &str) -> Result<Json, String> {
        self.value_of(expression).map_err(|trouble| trouble.message)
    }

    fn value_of(&self, expression: &str) -> Result<Json, Trouble> {
        let environment = environment::environment();
        let result = tracked(Asked::find(expression, true), || {
            let compiled = environment.compile_expression(expression)?;
            let value = compiled.eval(self.context())?;
            if value.is_undefined() {
                let name = expression.trim();
                return Err(minijinja::Error::new(
                    minijinja::ErrorKind::UndefinedError,
                    format!("`{name}` is undefined"),
                ));
            }
            environment::json_of(&value)
        });
        result.map_err(|error| Trouble::from(&error))
    }

    pub(super) fn render(&self, text: &str) -> Result<String, String> {
        self.text_of(text).map_err(|trouble| trouble.message)
    }

    fn text_of(&self, text: &str) -> Result<String, Trouble> {
        self.render_named(text)
            .map_err(|error| Trouble::from(&error))
    }

    pub(super) fn render_named(&self, text: &str) -> Result<String, minijinja::Error> {
        let environment = environment::environment();
        tracked(Asked::find(text, false), || {
            environment.template_from_str(text)?.render(self.context())
        })
    }

    fn context(&self) -> Value {
        Value::from_object(Context(self.clone()))
    }

    fn lookup(&self, name: &str) -> Option<Value> {
        if let Some(value) = self
            .inner
            .resolved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return Some(value.clone());
        }
        if name == "hostvars"
            && let Some(hosts) = &self.inner.hosts
        {
            return Some(hosts.clone());
        }
        let layer = self
            .inner
            .layers
            .iter()
            .rev()
            .find(|layer| layer.variables.contains_key(name))?;
        if let Some(value) = layer.known(name) {
            return Some(value);
        }
        let json = layer.variables.get(name)?;
        let value = if layer.raw && !has_marked(json) || !has_template(json) {
            layer.plain(name, json)
        } else {
            let resolved = if layer.raw {
                decrypted(json)
            } else {
                self.resolve_guarded(name, json)
            };
            match resolved {
                Ok(json) => environment::value_of(&json),
                Err(trouble) if trouble.undefined => {
                    missing::note_undefined(name, trouble.message);
                    return None;
                }
                Err(trouble) => {
                    missing::note_failure(trouble.message);
                    return None;
                }
            }
        };
        self.inner
            .resolved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), value.clone());
        Some(value)
    }

    fn resolve_guarded(&self, name: &str, json: &Json) -> Result<Json, Trouble> {
        let recursive = RESOLVING.with_borrow(|stack| {
            stack.len() >= MAX_RECURSION || stack.iter().any(|other| other == name)
        });
        if recursive {
            let message =
                format!("the variable `{name}` is recursive: its template refers to itself");
            return Err(Trouble {
                message,
                undefined: false,
            });
        }
        RESOLVING.with_borrow_mut(|stack| stack.push(name.to_owned()));
        let result = self.resolved(json);
        RESOLVING.with_borrow_mut(Vec::pop);
        result.map_err(|trouble| {
            if trouble.message.starts_with("in the variable") {
                return trouble;
            }
            Trouble {
                message: format!("in the variable `{name}`: {}", trouble.message),
                ..trouble
            }
        })
    }
}

/// The plain text of an encrypted value.
fn revealed(text: &str) -> Result<String, Trouble> {
    let envelope = envelope_of(text).unwrap_or_default();
    crate::vault::revealed(envelope).map_err(|error| Trouble {
        message: match error.hint() {
            Some(hint) => format!("the encrypted value cannot be used: {error} ({hint})"),
            None => format!("the encrypted value cannot be used: {error}"),
        },
        undefined: false,
    })
}

/// Data with every encrypted text in it decrypted.
fn decrypted(value: &Json) -> Result<Json, Trouble> {
    Ok(match value {
        Json::String(text) if envelope_of(text).is_some() => Json::String(revealed(text)?),
        Json::Array(items) => Json::Array(items.iter().map(decrypted).collect::<Result<_, _>>()?),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), decrypted(item)?)))
                .collect::<Result<_, Trouble>>()?,
        ),
        other => other.clone(),
    })
}

/// Whether any text in a value contains template markup or is encrypted.
pub fn has_template(value: &Json) -> bool {
    match value {
        Json::String(text) => is_template(text) || envelope_of(text).is_some(),
        Json::Array(items) => items.iter().any(has_template),
        Json::Object(map) => map
            .iter()
            .any(|(key, item)| is_template(key) || has_template(item)),
        _ => false,
    }
}

/// The name under which functions find the root of a rendering.
const ROOT: &str = "kk root";

/// The scope of the rendering that calls a function.
pub(super) fn scope_of(state: &minijinja::State) -> Option<Scope> {
    let root = state.lookup(ROOT)?;
    Some(root.downcast_object_ref::<Context>()?.0.clone())
}

/// The root of a rendering.
#[derive(Debug)]
struct Context(Scope);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if name == ROOT {
            return Some(Value::from_dyn_object(Arc::clone(self)));
        }
        self.0
            .lookup(name)
            .or_else(|| missing::nothing_called(name))
    }
}

/// `hostvars`.
struct HostVariables(HostScopes);

impl std::fmt::Debug for HostVariables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("hostvars")
    }
}

impl HostVariables {
    fn of(&self, host: &str) -> Option<Value> {
        (self.0)(host).map(|scope| Value::from_object(Context(scope)))
    }
}

impl Object for HostVariables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let host = key.as_str()?;
        self.of(host).or_else(|| missing::nothing_at(host))
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.of(key).or_else(|| missing::nothing_called(key))
    }
}
