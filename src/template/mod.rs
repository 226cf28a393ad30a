//! The one template dialect: minijinja with Ansible's habits.
//!
//! A [`Template`] is checked when it is made: syntax, unknown filters and unknown tests are found before the first
//! connection, with their place. Rendering is lazy in Ansible's way: a variable whose value is itself a template is
//! resolved when it is used (see [`Scope`]). This room knows nothing of tasks, hosts or files.

mod environment;
mod filters;
mod missing;
mod names;
mod outside;
mod scope;
#[cfg(test)]
mod tests;
mod tests_of_values;
mod written;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Place};

pub use outside::Outside;
pub use scope::{HostScopes, Layer, MAX_RECURSION, Scope, has_template};

/// A text with template markup that has been checked, or an expression (the inside of `{{ }}`).
#[derive(Debug, Clone)]
pub struct Template {
    text: Arc<str>,
    kind: Kind,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No markup at all.
    Literal,
    /// Exactly one `{{ … }}`: keeps the native type of its value.
    Expression,
    /// Anything else: renders to a text.
    Mixed,
    /// Renders to a text that is an expression itself.
    Rendered,
}

/// Whether a text contains template markup.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

impl Template {
    /// A text that may contain markup. `place` is the scalar in the user's file.
    pub fn parse(text: &str, place: Option<&Place>) -> Result<Self, Diagnostic> {
        if !is_template(text) {
            return Ok(Self {
                text: text.into(),
                kind: Kind::Literal,
                place: place.cloned(),
            });
        }
        environment::check(text, place, text, 0)?;
        let kind = match sole_expression(text) {
            Some(_) => Kind::Expression,
            None => Kind::Mixed,
        };
        let text = sole_expression(text).unwrap_or(text);
        Ok(Self {
            text: text.into(),
            kind,
            place: place.cloned(),
        })
    }

    /// A bare expression, as in `when:`.
    pub fn expression(text: &str, place: Option<&Place>) -> Result<Self, Diagnostic> {
        if is_template(text) {
            let Some(inner) = sole_expression(text) else {
                // What the markup becomes is part of the expression, as in old playbooks.
                environment::check(text, place, text, 0)?;
                return Ok(Self {
                    text: text.into(),
                    kind: Kind::Rendered,
                    place: place.cloned(),
                });
            };
            return Self::expression(inner, place);
        }
        environment::check(&format!("{{{{ {text} }}}}"), place, text, "{{ ".len())?;
        Ok(Self {
            text: text.trim().into(),
            kind: Kind::Expression,
            place: place.cloned(),
        })
    }

    /// The text, if it has no markup.
    pub fn literal(&self) -> Option<&str> {
        (self.kind == Kind::Literal).then_some(&self.text)
    }

    /// The text as it was written (without the braces of a sole expression).
    pub fn source(&self) -> &str {
        &self.text
    }

    /// Where it stands in the user's file.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The value: native for a sole expression, text otherwise.
    pub fn evaluate(&self, scope: &Scope) -> Result<Json, Diagnostic> {
        let result = match self.kind {
            Kind::Literal => return Ok(Json::String(self.text.to_string())),
            Kind::Expression => scope.evaluate(&self.text),
            Kind::Mixed => scope.render(&self.text).map(Json::String),
            Kind::Rendered => scope.render(&self.text).and_then(|expression| {
                // Data must not become a call of something that reads files or runs programs.
                let brings = |name: &str| expression.contains(name) && !self.text.contains(name);
                if ["lookup", "query", "q("].into_iter().any(brings) {
                    return Err("the data in the condition call a lookup".to_owned());
                }
                scope.evaluate(&expression)
            }),
        };
        result.map_err(|message| self.located(&message))
    }

    /// The value, or nothing when it is not defined.
    pub fn evaluate_if_defined(&self, scope: &Scope) -> Result<Option<Json>, Diagnostic> {
        if self.kind == Kind::Expression {
            let question = format!("({}) is defined", self.text);
            let is_defined = scope.evaluate(&question);
            if is_defined.map_err(|message| self.located(&message))? == Json::Bool(false) {
                return Ok(None);
            }
        }
        self.evaluate(scope).map(Some)
    }

    /// The value as a text.
    pub fn render(&self, scope: &Scope) -> Result<String, Diagnostic> {
        Ok(display(&self.evaluate(scope)?))
    }

    /// The value as a condition, by the rules of a `when`.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, Diagnostic> {
        Ok(truthy(&self.evaluate(scope)?))
    }

    fn located(&self, message: &str) -> Diagnostic {
        match &self.place {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        }
    }
}

/// Renders the whole text of a template file; errors name the line.
pub fn render_file(name: &str, text: &str, scope: &Scope) -> Result<String, Diagnostic> {
    let source = crate::diagnostic::Source::new(name, text);
    scope.render_named(text).map_err(|error| {
        let line = error.line().unwrap_or(1);
        let start: usize = text
            .lines()
            .take(line.saturating_sub(1))
            .map(|line| line.len() + 1)
            .sum();
        let span = error.range().unwrap_or_else(|| {
            start
                ..start
                    + text
                        .get(start..)
                        .and_then(|rest| rest.lines().next())
                        .map_or(0, str::len)
        });
        let place = Place::new(
            &source,
            crate::diagnostic::Span {
                start: span.start,
                end: span.end,
            },
        );
        Diagnostic::at(&place, environment::describe(&error))
    })
}

/// Checks the text of a template file without rendering it.
pub fn check_file(name: &str, text: &str) -> Result<(), Diagnostic> {
    let source = crate::diagnostic::Source::new(name, text);
    let place = Place::new(
        &source,
        crate::diagnostic::Span {
            start: 0,
            end: text.len(),
        },
    );
    environment::check(text, Some(&place), text, 0)
}

/// A value as it appears inside a text.
pub fn display(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        Json::Bool(boolean) => if *boolean { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    }
}

/// Truth as Ansible sees a condition's value: texts count by their words.
pub fn truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(boolean) => *boolean,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !matches!(
            text.to_lowercase().as_str(),
            "" | "false" | "no" | "off" | "0" | "none"
        ),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// The inside of a text that is exactly one `{{ … }}`.
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner).trim();
    let is_plain = !["}}", "{{", "{%", "{#"]
        .iter()
        .any(|mark| inner.contains(mark));
    (is_plain || environment::is_expression(inner)).then_some(inner)
}
