//! Variables as a template sees them: layers, resolved lazily.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, Value};
use serde_json::{Map, Value as Json};

use super::compiled::{Collection, Form, Formula, Unit, collection, form};
use super::layer::{Layer, Ready};
use super::missing::{is_harmless, missing, undefined_error};
use super::outside::Outside;
use super::rewrite::Mistake;
use super::{environment, is_template, literal, python, values};
use crate::vault::envelope_of;

/// How deep variables may refer to variables.
pub const MAX_RECURSION: usize = 40;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

impl From<minijinja::Error> for Trouble {
    fn from(error: minijinja::Error) -> Self {
        Self {
            message: environment::describe(&error),
            undefined: is_about_undefined(&error),
        }
    }
}

impl From<Mistake> for Trouble {
    fn from(mistake: Mistake) -> Self {
        Self {
            message: mistake.message,
            undefined: false,
        }
    }
}

/// Whether something undefined is at the bottom of an error.
fn is_about_undefined(error: &minijinja::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<minijinja::Error>()
            && error.kind() == minijinja::ErrorKind::UndefinedError
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// All hosts, for `hostvars`.
pub trait Hosts: Send + Sync {
    /// The scope of a host, by its name.
    fn scope(&self, name: &str) -> Option<Scope>;

    /// The names of all hosts, in their order.
    fn names(&self) -> Vec<String>;
}

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
    pub fn with_hosts(layers: Vec<Layer>, hosts: Arc<dyn Hosts>) -> Self {
        let hosts = Value::from_object(HostVariables {
            hosts,
            known: Mutex::default(),
        });
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

    /// The unresolved value of a variable, if somebody has said it.
    pub fn raw(&self, name: &str) -> Option<Cow<'_, Json>> {
        let layer = self.layer_of(name)?;
        layer.get(name).filter(|_| !layer.is_assumed())
    }

    /// The strongest layer that has a variable.
    fn layer_of(&self, name: &str) -> Option<&Layer> {
        let layers = self.inner.layers.iter().rev();
        layers.into_iter().find(|layer| layer.has(name))
    }

    /// Every name that is defined, in the order in which the layers bring them.
    pub fn names(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let layers = self.inner.layers.iter();
        layers
            .flat_map(Layer::names)
            .filter(|name| seen.insert(*name))
            .map(str::to_owned)
            .collect()
    }

    /// The value of a variable, templates in it resolved.
    pub fn variable(&self, name: &str) -> Result<Option<Json>, String> {
        if self.layer_of(name).is_none() {
            return Ok(None);
        }
        let formula = super::compiled::formula(name, super::rewrite::Backslashes::Stand);
        let value = formula.map_err(Trouble::from).and_then(|formula| {
            let value = self.value_of(&formula)?;
            Ok(environment::json_of(&value)?)
        });
        value.map(Some).map_err(|trouble| trouble.message)
    }

    /// A value with every template in it resolved.
    pub fn resolve(&self, value: &Json) -> Result<Json, String> {
        self.resolved(value).map_err(|trouble| trouble.message)
    }

    fn resolved(&self, value: &Json) -> Result<Json, Trouble> {
        Ok(match value {
            Json::String(text) if envelope_of(text).is_some() => Json::String(revealed(text)?),
            Json::String(text) if is_template(text) => self.text_value(text)?,
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

    /// The value of a text with markup, by the rules of Ansible: a list, a mapping or a boolean keeps its kind, and so
    /// does a text that looks like one; everything else is a text.
    pub(super) fn text_value(&self, text: &str) -> Result<Json, Trouble> {
        match form(text)? {
            Form::Sole(formula) => Ok(match self.sole_value(&formula)? {
                // A text keeps the line break behind the braces.
                Json::String(value) if text.ends_with('\n') && !value.ends_with('\n') => {
                    Json::String(value + "\n")
                }
                value => value,
            }),
            Form::Mixed(unit) => {
                let rendered = self.rendered(&collection(), &unit, text)?;
                Ok(converted(rendered))
            }
        }
    }

    fn sole_value(&self, formula: &Formula) -> Result<Json, Trouble> {
        // A name alone keeps numbers and nothing.
        if let Some(name) = &formula.name
            && let Some(raw @ (Json::Bool(_) | Json::Number(_) | Json::Null)) =
                self.raw(name).as_deref()
        {
            return Ok(raw.clone());
        }
        let value = self.value_of(formula)?;
        if value.is_none() || is_harmless(&value) {
            return Ok(Json::from(""));
        }
        Ok(match environment::json_of(&value)? {
            Json::String(text) if formula.is_text => Json::String(text),
            Json::String(text) => converted(text),
            number @ Json::Number(_) => Json::String(super::display(&number)),
            Json::Array(_) if value.is_tuple() => Json::String(python::text(&value)?),
            other => other,
        })
    }

    /// The value of an expression as the engine has it. Something undefined is an error.
    pub(super) fn value_of(&self, formula: &Formula) -> Result<Value, Trouble> {
        let value = formula
            .expression
            .eval(self.context(&collection(), formula.mutates))?;
        match undefined_error(&value) {
            Some(error) if !is_harmless(&value) => Err(error.into()),
            _ => Ok(value),
        }
    }

    /// Whether an expression has a value that is defined.
    pub(super) fn is_defined(&self, formula: &Formula) -> Result<bool, Trouble> {
        match self.value_of(formula) {
            Ok(value) => Ok(!is_harmless(&value)),
            Err(trouble) if trouble.undefined => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// A template's text, with the line breaks at its end that the engine has taken away.
    pub(super) fn rendered(
        &self,
        collection: &Arc<Collection>,
        unit: &Unit,
        text: &str,
    ) -> Result<String, minijinja::Error> {
        let template = collection.environment.get_template(&unit.name)?;
        let mut rendered = template.render(self.context(collection, unit.mutates))?;
        let count = |text: &str| text.len() - text.trim_end_matches('\n').len();
        let lost = count(text).saturating_sub(count(&rendered));
        rendered.push_str(&unit.syntax.newline.repeat(lost));
        Ok(rendered)
    }

    fn context(&self, collection: &Arc<Collection>, mutates: bool) -> Value {
        Value::from_object(Context {
            scope: self.clone(),
            collection: Arc::clone(collection),
            own: mutates.then(Mutex::default),
        })
    }

    fn lookup(&self, name: &str) -> Option<Value> {
        if let Some(value) = lock(&self.inner.resolved).get(name) {
            return Some(value.clone());
        }
        let Some(layer) = self.layer_of(name) else {
            return match name {
                "hostvars" => self.inner.hosts.clone(),
                "vars" => Some(self.context(&collection(), false)),
                _ => None,
            };
        };
        let value = match layer.ready(name)? {
            Ready::Value(value) => value,
            Ready::ToResolve(json) => {
                let resolved = if layer.is_raw() {
                    decrypted(&json)
                } else {
                    self.resolve_guarded(name, &json)
                };
                match resolved {
                    Ok(json) => environment::value_of(&json),
                    // It is an error where it is used, and not where a `default` takes its place.
                    Err(trouble) if trouble.undefined => return Some(missing(trouble.message)),
                    Err(trouble) => {
                        return Some(Value::from(environment::invalid(trouble.message)));
                    }
                }
            }
        };
        lock(&self.inner.resolved).insert(name.to_owned(), value.clone());
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
pub(super) fn decrypted(value: &Json) -> Result<Json, Trouble> {
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

/// A rendered text as data, where it looks like a list, a mapping or a boolean.
pub fn converted(text: String) -> Json {
    let is_data = text.starts_with(['{', '[']) || matches!(text.as_str(), "True" | "False");
    let data = is_data.then(|| literal::evaluate(&text)).flatten();
    data.unwrap_or(Json::String(text))
}

/// The name under which functions find the root of a rendering.
const ROOT: &str = "kk root";

/// The root of the rendering that calls a function.
pub(super) fn root_of(state: &minijinja::State) -> Option<Arc<Context>> {
    state.lookup(ROOT)?.downcast_object::<Context>()
}

/// The root of a rendering.
pub(super) struct Context {
    pub(super) scope: Scope,
    pub(super) collection: Arc<Collection>,
    /// Copies of variables, for a template that changes them.
    own: Option<Mutex<HashMap<String, Value>>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scope.fmt(formatter)
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        if name == ROOT {
            return Some(Value::from_dyn_object(Arc::clone(self)));
        }
        let Some(own) = &self.own else {
            return self.scope.lookup(name);
        };
        if let Some(value) = lock(own).get(name) {
            return Some(value.clone());
        }
        let value = values::deep_copy(&self.scope.lookup(name)?);
        lock(own).insert(name.to_owned(), value.clone());
        Some(value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.scope.names().into_iter().map(Value::from).collect())
    }
}

/// `hostvars`.
struct HostVariables {
    hosts: Arc<dyn Hosts>,
    /// The hosts that were asked for.
    known: Mutex<HashMap<String, Option<Value>>>,
}

impl std::fmt::Debug for HostVariables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("hostvars")
    }
}

impl Object for HostVariables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, host: &str) -> Option<Value> {
        if let Some(known) = lock(&self.known).get(host) {
            return known.clone();
        }
        let scope = self.hosts.scope(host);
        let value = scope.map(|scope| scope.context(&collection(), false));
        lock(&self.known).insert(host.to_owned(), value.clone());
        value
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.hosts.names().into_iter().map(Value::from).collect())
    }
}
