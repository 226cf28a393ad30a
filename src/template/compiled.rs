//! Texts made ready, once for all hosts: what a text is, the engine's form of it, and the way back from its errors.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use minijinja::{Environment, Error, Expression};

use super::environment;
use super::rewrite::{self, Backslashes, Marks, Mistake};
use super::syntax::Syntax;

/// So many texts are remembered; then all are forgotten.
const MOST: usize = 20_000;

/// What a text with markup is.
#[derive(Clone)]
pub(super) enum Form {
    /// Exactly one `{{ … }}`.
    Sole(Arc<Formula>),
    /// Anything else.
    Mixed(Arc<Unit>),
}

/// An expression.
pub(super) struct Formula {
    pub(super) expression: Expression<'static, 'static>,
    /// It calls methods that change values.
    pub(super) mutates: bool,
    /// Its value is meant as a text, even if it looks like a list.
    pub(super) is_text: bool,
    /// It is one name and nothing else.
    pub(super) name: Option<String>,
}

/// A template: the text of a variable, or a file.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its name in the engine.
    pub(super) name: String,
    /// Its name for the user.
    pub(super) shown: String,
    /// The user's text, line breaks made equal.
    pub(super) source: Arc<str>,
    pub(super) syntax: Syntax,
    pub(super) mutates: bool,
    text: String,
    marks: Marks,
}

impl Unit {
    /// The user's text that an error is about.
    pub(super) fn range(&self, error: &Error) -> Option<Range<usize>> {
        self.marks.find(&error.range()?)
    }
}

type Key = (Arc<str>, Arc<str>, Syntax, Backslashes);

/// Templates, and the environment that renders them.
pub(super) struct Collection {
    pub(super) environment: Environment<'static>,
    shelf: Arc<Shelf>,
}

#[derive(Default)]
struct Shelf {
    units: RwLock<HashMap<Key, Result<Arc<Unit>, Mistake>>>,
    by_name: RwLock<HashMap<String, Arc<Unit>>>,
}

#[derive(Default)]
struct Cache {
    forms: HashMap<Arc<str>, Result<Form, Mistake>>,
    formulas: HashMap<(Arc<str>, Backslashes), Result<Arc<Formula>, Mistake>>,
}

fn cache() -> &'static RwLock<Cache> {
    static CACHE: OnceLock<RwLock<Cache>> = OnceLock::new();
    CACHE.get_or_init(RwLock::default)
}

/// The collection of the moment. Who renders with it keeps it.
pub(super) fn collection() -> Arc<Collection> {
    static COLLECTION: OnceLock<RwLock<Arc<Collection>>> = OnceLock::new();
    let place = COLLECTION.get_or_init(|| RwLock::new(Arc::new(Collection::new())));
    let current = Arc::clone(&place.read().unwrap_or_else(PoisonError::into_inner));
    let count = current
        .shelf
        .units
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .len();
    if count < MOST {
        return current;
    }
    let fresh = Arc::new(Collection::new());
    *place.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
    *cache().write().unwrap_or_else(PoisonError::into_inner) = Cache::default();
    fresh
}

impl Collection {
    fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        let mut environment = environment::environment().clone();
        let source = Arc::clone(&shelf);
        environment.set_loader(move |name| Ok(source.unit(name).map(|unit| unit.text.clone())));
        Self { environment, shelf }
    }

    /// The template of a text.
    pub(super) fn unit(
        &self,
        shown: &str,
        text: &str,
        syntax: &Syntax,
        backslashes: Backslashes,
    ) -> Result<Arc<Unit>, Mistake> {
        let key: Key = (shown.into(), text.into(), syntax.clone(), backslashes);
        let units = &self.shelf.units;
        if let Some(known) = units
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return known.clone();
        }
        let made = self.made(shown, text, syntax, backslashes);
        let mut units = units.write().unwrap_or_else(PoisonError::into_inner);
        units.entry(key).or_insert(made).clone()
    }

    fn made(
        &self,
        shown: &str,
        text: &str,
        syntax: &Syntax,
        backslashes: Backslashes,
    ) -> Result<Arc<Unit>, Mistake> {
        let plain = |message: String, range| Mistake {
            message,
            hint: None,
            range,
        };
        let source = if text.contains('\r') {
            text.replace("\r\n", "\n").replace('\r', "\n")
        } else {
            text.to_owned()
        };
        let config = syntax
            .config()
            .map_err(|error| plain(environment::describe(&error), None))?;
        let rewritten = rewrite::template(&source, &config, backslashes, &syntax.newline)?;
        let mut by_name = self
            .shelf
            .by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let unit = Arc::new(Unit {
            name: format!("{}", by_name.len()),
            shown: shown.to_owned(),
            source: source.into(),
            syntax: syntax.clone(),
            mutates: rewritten.mutates,
            text: rewritten.text,
            marks: rewritten.marks,
        });
        by_name.insert(unit.name.clone(), Arc::clone(&unit));
        drop(by_name);
        self.environment.get_template(&unit.name).map_err(|error| {
            plain(
                format!("template: {}", environment::describe(&error)),
                unit.range(&error),
            )
        })?;
        Ok(unit)
    }

    /// The template of a name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Unit>> {
        self.shelf.unit(name)
    }
}

impl Shelf {
    fn unit(&self, name: &str) -> Option<Arc<Unit>> {
        self.by_name
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }
}

/// What a text with markup is.
pub(super) fn form(text: &str) -> Result<Form, Mistake> {
    let known = cache()
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .forms
        .get(text)
        .cloned();
    if let Some(known) = known {
        return known;
    }
    let made = match super::sole_expression(text) {
        Some(inner) => formula(inner, Backslashes::Stand).map(Form::Sole),
        None => collection()
            .unit("", text, &Syntax::default(), Backslashes::Stand)
            .map(Form::Mixed),
    };
    let mut cache = cache().write().unwrap_or_else(PoisonError::into_inner);
    cache.forms.insert(text.into(), made.clone());
    made
}

/// An expression, ready.
pub(super) fn formula(text: &str, backslashes: Backslashes) -> Result<Arc<Formula>, Mistake> {
    let key = (Arc::from(text), backslashes);
    let known = cache()
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .formulas
        .get(&key)
        .cloned();
    if let Some(known) = known {
        return known;
    }
    let made = rewrite::expression(text, backslashes).and_then(|rewritten| {
        let expression = environment::environment()
            .compile_expression_owned(rewritten.text)
            .map_err(|error| Mistake {
                message: format!("template: {}", environment::describe(&error)),
                hint: None,
                range: error.range().and_then(|range| rewritten.marks.find(&range)),
            })?;
        Ok(Arc::new(Formula {
            expression,
            mutates: rewritten.mutates,
            is_text: rewritten.is_text,
            name: rewritten.name,
        }))
    });
    let mut cache = cache().write().unwrap_or_else(PoisonError::into_inner);
    if cache.formulas.len() >= MOST {
        cache.formulas.clear();
    }
    cache.formulas.insert(key, made.clone());
    made
}
