//! What is not there, in Ansible's way: `a.b.c | default(x)` and `a.b.c is defined` may ask for anything at any depth,
//! every other use of something undefined is an error.
//!
//! The engine is strict and refuses to look into something undefined. So the names that such a question passes
//! through ([`Asked`]) give a [`Missing`] instead, which can be looked into. Each one is remembered until `default` or
//! `defined` has dealt with it; one that is left over at the end of the rendering is the error.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::machinery::{Token, tokenize};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

/// Filters and tests that take something undefined.
const ASKING: &[&str] = &["default", "d", "defined", "undefined"];

/// The names that a template's questions pass through: `a` and `b` of `a.b.c is defined`.
#[derive(Debug, Default)]
pub(super) struct Asked {
    names: HashSet<String>,
    /// A question passes through `[…]`.
    items: bool,
}

impl Asked {
    /// Looks through a template, or through an expression.
    pub(super) fn find(text: &str, is_expression: bool) -> Self {
        let mut asked = Self::default();
        // Most templates ask nothing.
        if !ASKING.iter().any(|word| text.contains(word)) {
            return asked;
        }
        let syntax = super::environment::syntax();
        let Ok(tokens) = tokenize(text, is_expression, syntax)
            .map(|token| token.map(|(token, _)| token))
            .collect::<Result<Vec<_>, _>>()
        else {
            return asked;
        };
        let mut has_in = false;
        for index in 0..tokens.len() {
            has_in |= matches!(tokens.get(index), Some(Token::Ident("in")));
            let before = index.checked_sub(1).and_then(|index| tokens.get(index));
            if !matches!(before, Some(Token::Dot)) {
                asked.chain(&tokens, index);
            }
        }
        // `in` cannot be told from `[…]`.
        asked.items &= !has_in;
        asked
    }

    /// Follows `a.b[c].d` from its first name; takes its links when something asks about its end.
    fn chain(&mut self, tokens: &[Token<'_>], start: usize) {
        let Some(Token::Ident(first)) = tokens.get(start) else {
            return;
        };
        let mut links: Vec<Option<&str>> = vec![Some(*first)];
        let mut next = start + 1;
        loop {
            match (tokens.get(next), tokens.get(next + 1)) {
                (Some(Token::Dot), Some(Token::Ident(name))) => {
                    links.push(Some(*name));
                    next += 2;
                }
                (Some(Token::BracketOpen), _) => {
                    let Some(length) = closing(tokens.get(next..).unwrap_or_default()) else {
                        return;
                    };
                    links.push(None);
                    next += length;
                }
                _ => break,
            }
        }
        while matches!(tokens.get(next), Some(Token::ParenClose)) {
            next += 1;
        }
        let word = match (tokens.get(next), tokens.get(next + 1), tokens.get(next + 2)) {
            (Some(Token::Ident("is")), Some(Token::Ident("not")), Some(Token::Ident(word)))
            | (Some(Token::Pipe | Token::Ident("is")), Some(Token::Ident(word)), _) => *word,
            _ => return,
        };
        if !ASKING.contains(&word) {
            return;
        }
        links.pop();
        for link in links {
            match link {
                Some(name) => {
                    self.names.insert(name.to_owned());
                }
                None => self.items = true,
            }
        }
    }
}

/// How many tokens there are up to the bracket that closes the first one.
fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::BracketOpen => depth += 1,
            Token::BracketClose => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// What is remembered during one rendering.
#[derive(Default)]
struct Rendering {
    asked: Asked,
    /// What was missing and nobody dealt with: number and name.
    missing: RefCell<Vec<(u64, String)>>,
    /// Why variables are undefined although they are given: name and reason.
    because: RefCell<Vec<(String, String)>>,
    /// A variable that could not be resolved for another reason.
    failure: RefCell<Option<String>>,
}

thread_local! {
    /// The renderings that are going on, the innermost last: a variable may be a template itself.
    static RENDERINGS: RefCell<Vec<Rc<Rendering>>> = const { RefCell::new(Vec::new()) };
    static NUMBERS: Cell<u64> = const { Cell::new(0) };
}

fn innermost() -> Option<Rc<Rendering>> {
    RENDERINGS.with_borrow(|renderings| renderings.last().cloned())
}

/// Runs one rendering; something missing that nobody dealt with is its error.
pub(super) fn tracked<T>(
    asked: Asked,
    render: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let rendering = Rc::new(Rendering {
        asked,
        ..Rendering::default()
    });
    RENDERINGS.with_borrow_mut(|renderings| renderings.push(Rc::clone(&rendering)));
    let result = render();
    RENDERINGS.with_borrow_mut(Vec::pop);
    // An error makes the engine look at variables that the template has not used: they are not to blame.
    if let Err(error) = &result
        && error.kind() != ErrorKind::UndefinedError
    {
        return result;
    }
    if let Some(message) = rendering.failure.take() {
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let left_over = rendering.missing.take().into_iter().next();
    match (result, left_over) {
        (Ok(_), Some((_, name))) => {
            let detail = format!("`{name}` is undefined");
            let undefined = Error::new(ErrorKind::UndefinedError, detail);
            Err(explained(undefined, &rendering))
        }
        (result, _) => result.map_err(|error| explained(error, &rendering)),
    }
}

/// `a` is undefined because its own template has something undefined: that is what the user wants to know.
fn explained(error: Error, rendering: &Rendering) -> Error {
    if error.kind() != ErrorKind::UndefinedError {
        return error;
    }
    let because = rendering.because.borrow();
    let detail = error.detail().unwrap_or_default();
    match because
        .iter()
        .find(|(name, _)| detail.starts_with(&format!("`{name}")))
    {
        Some((_, reason)) => Error::new(ErrorKind::UndefinedError, reason.clone()),
        None => error,
    }
}

/// A variable is given and undefined all the same, because of its own template.
pub(super) fn note_undefined(name: &str, reason: String) {
    if let Some(rendering) = innermost() {
        rendering
            .because
            .borrow_mut()
            .push((name.to_owned(), reason));
    }
}

/// A variable cannot be resolved: the rendering fails whatever it does with it.
pub(super) fn note_failure(reason: String) {
    if let Some(rendering) = innermost() {
        rendering.failure.borrow_mut().get_or_insert(reason);
    }
}

/// What stands for a name that is not there: something that can be looked into where a question passes through it,
/// else nothing, which the engine refuses to use.
pub(super) fn nothing_called(name: &str) -> Option<Value> {
    let rendering = innermost()?;
    if !rendering.asked.names.contains(name) {
        return None;
    }
    Some(remember(&rendering, name))
}

/// The same for a key in `[…]`.
pub(super) fn nothing_at(key: &str) -> Option<Value> {
    let rendering = innermost().filter(|rendering| rendering.asked.items)?;
    Some(remember(&rendering, key))
}

fn remember(rendering: &Rendering, name: &str) -> Value {
    let number = NUMBERS.get() + 1;
    NUMBERS.set(number);
    let name = name.to_owned();
    rendering.missing.borrow_mut().push((number, name.clone()));
    Value::from_object(Missing { number, name })
}

/// Whether there is nothing.
pub(super) fn is_undefined(value: &Value) -> bool {
    value.is_undefined() || value.downcast_object_ref::<Missing>().is_some()
}

/// The template has asked whether it is there, and knows what to do.
pub(super) fn deal_with(value: &Value) {
    let Some(missing) = value.downcast_object_ref::<Missing>() else {
        return;
    };
    if let Some(rendering) = innermost() {
        rendering
            .missing
            .borrow_mut()
            .retain(|(number, _)| *number != missing.number);
    }
}

/// The error of printing something that is not there.
pub(super) fn undefined_error(value: &Value) -> Option<Error> {
    if value.is_undefined() {
        let detail = "the `if` of the expression does not hold, and it has no `else`";
        return Some(Error::new(ErrorKind::UndefinedError, detail));
    }
    let missing = value.downcast_object_ref::<Missing>()?;
    let detail = format!("`{}` is undefined", missing.name);
    Some(Error::new(ErrorKind::UndefinedError, detail))
}

/// Nothing that can be looked into.
#[derive(Debug)]
struct Missing {
    number: u64,
    name: String,
}

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn render(self: &Arc<Self>, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// A mapping whose missing keys can be looked into where a question passes through them.
#[derive(Debug)]
pub(super) struct Mapping(pub(super) IndexMap<String, Value>);

impl Object for Mapping {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.0.get(name).cloned().or_else(|| nothing_at(name))
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.get(key).cloned().or_else(|| nothing_called(key))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys: Vec<Value> = self.0.keys().map(|key| Value::from(key.as_str())).collect();
        Enumerator::Values(keys)
    }
}
