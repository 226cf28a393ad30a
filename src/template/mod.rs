//! The one template dialect: minijinja with Ansible's habits.
//!
//! A [`Template`] is checked when it is made: syntax, unknown filters and unknown tests are found before the first
//! connection, with their place. Rendering is lazy in Ansible's way: a variable whose value is itself a template is
//! resolved when it is used (see [`Scope`]). This room knows nothing of tasks, hosts or files.

mod access;
mod compiled;
mod environment;
mod filters;
mod format;
mod functions;
mod known;
mod layer;
mod literal;
mod lookups;
mod macros;
mod methods;
mod missing;
mod names;
mod operators;
mod outside;
mod python;
mod rewrite;
mod scope;
mod syntax;
#[cfg(test)]
mod tests;
mod tests_of_results;
mod tests_of_values;
mod text_methods;
mod values;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Place};
use compiled::{Form, Formula};
use rewrite::{Backslashes, Mistake};
use scope::Trouble;

pub use filters::{json_text, seeded_text};
pub use layer::Layer;
pub use lookups::{LOOKUPS, unknown_lookup};
pub use outside::Outside;
pub use scope::{Hosts, MAX_RECURSION, Scope, converted, has_template};
pub use syntax::Syntax;

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
    /// A text with markup.
    Text,
    /// An expression, as in `when:`.
    Condition,
    /// An expression, as it stands within `{{ }}`.
    Inner,
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
        let kind = if is_template(text) {
            // The places in a sole expression count from its own start.
            let shown = sole_expression(text).unwrap_or(text);
            compiled::form(text).map_err(|mistake| in_scalar(&mistake, place, shown))?;
            Kind::Text
        } else {
            Kind::Literal
        };
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
                return Ok(Self {
                    kind: Kind::Rendered,
                    ..Self::parse(text, place)?
                });
            };
            return Self::bare(inner, Kind::Inner, place);
        }
        Self::bare(text, Kind::Condition, place)
    }

    /// The inside of `{{ }}`: backslashes in its strings stand for themselves.
    pub fn inner(text: &str, place: Option<&Place>) -> Result<Self, Diagnostic> {
        Self::bare(text, Kind::Inner, place)
    }

    fn bare(text: &str, kind: Kind, place: Option<&Place>) -> Result<Self, Diagnostic> {
        let template = Self {
            text: text.trim().into(),
            kind,
            place: place.cloned(),
        };
        match template.formula() {
            Ok(_) => Ok(template),
            Err(mistake) => Err(in_scalar(&mistake, place, &template.text)),
        }
    }

    fn formula(&self) -> Result<Arc<Formula>, Mistake> {
        let backslashes = match self.kind {
            Kind::Condition => Backslashes::Escape,
            _ => Backslashes::Stand,
        };
        compiled::formula(&self.text, backslashes)
    }

    /// The text, if it has no markup.
    pub fn literal(&self) -> Option<&str> {
        (self.kind == Kind::Literal).then_some(&self.text)
    }

    /// The text as it was written (without the braces of a sole expression).
    pub fn source(&self) -> &str {
        match self.kind {
            Kind::Text => sole_expression(&self.text).unwrap_or(&self.text),
            _ => &self.text,
        }
    }

    /// The names of what it asks for, where it is nothing but one expression.
    pub fn names(&self) -> Option<BTreeSet<String>> {
        let formula = match self.kind {
            Kind::Text => match compiled::form(&self.text).ok()? {
                Form::Sole(formula) => formula,
                Form::Mixed(_) => return None,
            },
            Kind::Condition | Kind::Inner => self.formula().ok()?,
            Kind::Literal | Kind::Rendered => return None,
        };
        let names = formula.expression.undeclared_variables(false);
        Some(names.into_iter().collect())
    }

    /// Where it stands in the user's file.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The value: of its own kind for an expression, by Ansible's rules for a text with markup.
    pub fn evaluate(&self, scope: &Scope) -> Result<Json, Diagnostic> {
        let result = match self.kind {
            Kind::Literal => return Ok(Json::String(self.text.to_string())),
            Kind::Text => scope.text_value(&self.text),
            Kind::Rendered => scope.text_value(&self.text).and_then(|text| {
                let formula = compiled::formula(&display(&text), Backslashes::Escape)?;
                // Data must not become a call of something that reads files or runs programs.
                let names = formula.expression.undeclared_variables(false);
                if let Some(name) = outside::ASKING.iter().find(|name| names.contains(**name)) {
                    let message = format!(
                        "`{name}` cannot be called in a condition with markup: write it without `{{{{ }}}}`"
                    );
                    return Err(environment::invalid(message).into());
                }
                Ok(environment::json_of(&scope.value_of(&formula)?)?)
            }),
            Kind::Condition | Kind::Inner => self.value(scope).and_then(|value| {
                if missing::is_harmless(&value) {
                    return Ok(Json::from(""));
                }
                Ok(environment::json_of(&value)?)
            }),
        };
        result.map_err(|trouble| self.located(&trouble.message))
    }

    fn value(&self, scope: &Scope) -> Result<minijinja::Value, Trouble> {
        scope.value_of(&*self.formula()?)
    }

    /// The value, or nothing when it is not defined.
    pub fn evaluate_if_defined(&self, scope: &Scope) -> Result<Option<Json>, Diagnostic> {
        let formula = match self.kind {
            Kind::Literal | Kind::Rendered => None,
            Kind::Text => match compiled::form(&self.text) {
                Ok(Form::Sole(formula)) => Some(formula),
                _ => None,
            },
            Kind::Condition | Kind::Inner => self.formula().ok(),
        };
        if let Some(formula) = formula {
            let is_defined = scope.is_defined(&formula);
            if !is_defined.map_err(|trouble| self.located(&trouble.message))? {
                return Ok(None);
            }
        }
        self.evaluate(scope).map(Some)
    }

    /// The value as a text.
    pub fn render(&self, scope: &Scope) -> Result<String, Diagnostic> {
        Ok(display(&self.evaluate(scope)?))
    }

    /// The value as a condition: an expression as Python sees it, the value of a text with markup by its words.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, Diagnostic> {
        if self.kind == Kind::Condition {
            let value = self.value(scope);
            return value
                .map(|value| value.is_true())
                .map_err(|trouble| self.located(&trouble.message));
        }
        Ok(truthy(&self.evaluate(scope)?))
    }

    fn located(&self, message: &str) -> Diagnostic {
        match &self.place {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        }
    }
}

/// A mistake in a text of the user's file.
fn in_scalar(mistake: &Mistake, place: Option<&Place>, shown: &str) -> Diagnostic {
    let diagnostic = match place {
        Some(place) => Diagnostic::at(
            &locate(place, shown, mistake.range.clone()),
            &mistake.message,
        ),
        None => Diagnostic::error(format!("{} (in `{shown}`)", mistake.message)),
    };
    match &mistake.hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// A range of a template's text in the user's file; the whole scalar where they differ, as with escapes.
fn locate(place: &Place, shown: &str, range: Option<Range<usize>>) -> Place {
    let written = place.source.text.get(place.span.start..place.span.end);
    let start = written.and_then(|written| written.find(shown));
    let (Some(start), Some(range)) = (start, range) else {
        return place.clone();
    };
    // The inside of a sole expression is a part of what is shown.
    let from = range.start.min(shown.len());
    let to = range.end.clamp(from, shown.len());
    if !shown.is_char_boundary(from) || !shown.is_char_boundary(to) {
        return place.clone();
    }
    place.within(start + from, to - from)
}

/// Renders the whole text of a template file; errors name the line.
pub fn render_file(
    name: &str,
    text: &str,
    syntax: &Syntax,
    scope: &Scope,
) -> Result<String, Diagnostic> {
    let collection = compiled::collection();
    let unit = file_unit(&collection, name, text, syntax)?;
    scope.rendered(&collection, &unit, text).map_err(|error| {
        // The innermost template that the error is about.
        let mut innermost = &error;
        let mut place = placed(&collection, &error);
        while let Some(inner) =
            std::error::Error::source(innermost).and_then(|source| source.downcast_ref())
        {
            place = placed(&collection, inner).or(place);
            innermost = inner;
        }
        let message = environment::describe(&error);
        match place {
            Some(place) => Diagnostic::at(&place, message),
            None => Diagnostic::error(format!("{name}: {message}")),
        }
    })
}

/// Where in a template an error is.
fn placed(collection: &compiled::Collection, error: &minijinja::Error) -> Option<Place> {
    let unit = collection.named(error.name()?)?;
    let range = unit.range(error)?;
    Some(in_file(&unit.shown, &unit.source, range))
}

fn in_file(name: &str, text: &str, range: Range<usize>) -> Place {
    let source = crate::diagnostic::Source::new(name, text);
    let span = crate::diagnostic::Span {
        start: range.start,
        end: range.end,
    };
    Place::new(&source, span)
}

fn file_unit(
    collection: &compiled::Collection,
    name: &str,
    text: &str,
    syntax: &Syntax,
) -> Result<Arc<compiled::Unit>, Diagnostic> {
    let (syntax, header) = syntax.of_file(text).map_err(|message| {
        Diagnostic::at(
            &in_file(name, text, 0..text.find('\n').unwrap_or(text.len())),
            message,
        )
    })?;
    let body = text.get(header..).unwrap_or_default();
    collection
        .unit(name, body, &syntax, Backslashes::Escape)
        .map_err(|mistake| {
            let range = mistake.range.clone().unwrap_or(0..body.len());
            let place = in_file(name, text, range.start + header..range.end + header);
            let diagnostic = Diagnostic::at(&place, &mistake.message);
            match &mistake.hint {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            }
        })
}

/// Checks the text of a template file without rendering it.
pub fn check_file(name: &str, text: &str, syntax: &Syntax) -> Result<(), Diagnostic> {
    file_unit(&compiled::collection(), name, text, syntax).map(|_| ())
}

/// A value as it appears inside a text: as Python writes it.
pub fn display(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => {
            let mut text = String::new();
            python::write_json(other, &mut text);
            text
        }
    }
}

/// Truth as Ansible sees the value of a boolean keyword: texts count by their words.
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

/// The inside of a text that is exactly one `{{ … }}`, but for a line break at its end.
fn sole_expression(text: &str) -> Option<&str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner).trim();
    let is_plain = !["}}", "{{", "{%", "{#"]
        .iter()
        .any(|mark| inner.contains(mark));
    (is_plain || compiled::formula(inner, Backslashes::Stand).is_ok()).then_some(inner)
}
