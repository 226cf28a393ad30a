//! The one template dialect: minijinja with Ansible's habits.
//!
//! A [`Template`] is checked when it is made: syntax, unknown filters and unknown tests are found before the first
//! connection, with their place. Rendering is lazy in Ansible's way: a variable whose value is itself a template is
//! resolved when it is used (see [`Scope`]). This room knows nothing of tasks, hosts or files.

mod environment;
mod scope;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, Place};

pub use scope::{Layer, MAX_RECURSION, Scope};

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
        environment::check(text, place, text)?;
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
            let inner = sole_expression(text).ok_or_else(|| {
                let message = "expected an expression without `{{ }}`";
                place
                    .map_or_else(
                        || Diagnostic::error(message),
                        |place| Diagnostic::at(place, message),
                    )
                    .hint("a condition is an expression already: write `name == 'x'`")
            })?;
            return Self::expression(inner, place);
        }
        environment::check(&format!("{{{{ {text} }}}}"), place, text)?;
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
        };
        result.map_err(|message| self.located(&message))
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
        let start: usize = text.lines().take(line - 1).map(|line| line.len() + 1).sum();
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
    environment::check(text, Some(&place), text)
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
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    (!inner.contains("}}") && !inner.contains("{{") && !inner.contains("{%"))
        .then_some(inner.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, Source, Span, render};
    use serde_json::json;

    fn scope(value: Json) -> Scope {
        let Json::Object(map) = value else {
            unreachable!()
        };
        Scope::new(vec![Layer::templated(map)])
    }

    fn value(text: &str, variables: Json) -> Result<Json, String> {
        let template = Template::parse(text, None).map_err(|error| error.message)?;
        template
            .evaluate(&scope(variables))
            .map_err(|error| error.message)
    }

    #[test]
    fn a_sole_expression_keeps_its_type() {
        assert_eq!(
            value("{{ a }}", json!({"a": [1, {"b": true}]})),
            Ok(json!([1, {"b": true}]))
        );
        assert_eq!(value("{{ a }}/x", json!({"a": 1})), Ok(json!("1/x")));
        assert_eq!(
            value("{{ a | bool }}", json!({"a": "yes"})),
            Ok(json!(true))
        );
    }

    #[test]
    fn variables_are_resolved_lazily_and_in_depth() {
        let variables = json!({"a": "{{ b }}/c", "b": "{{ d.e }}", "d": {"e": "x"}});
        assert_eq!(value("{{ a }}", variables), Ok(json!("x/c")));
        assert_eq!(
            value("{{ d }}", json!({"d": {"e": "x", "f": "{{ b }}"}, "b": 1})),
            Ok(json!({"e": "x", "f": 1}))
        );
    }

    #[test]
    fn a_loop_of_variables_is_an_error() {
        assert!(
            value("{{ a }}", json!({"a": "{{ b }}", "b": "{{ a }}"}))
                .unwrap_err()
                .contains("recursive")
        );
    }

    #[test]
    fn undefined_is_an_error_unless_it_is_asked_for() {
        assert_eq!(value("{{ a }}", json!({})).unwrap_err(), "`a` is undefined");
        assert_eq!(
            value("x{{ a.b }}", json!({"a": {}})).unwrap_err(),
            "`a.b` is undefined"
        );
        assert_eq!(value("{{ a.b | default('x') }}", json!({})), Ok(json!("x")));
        assert_eq!(value("{{ a.b.c is defined }}", json!({})), Ok(json!(false)));
        assert_eq!(
            value("{{ a is defined and a == 1 }}", json!({})),
            Ok(json!(false))
        );
        assert_eq!(
            value("{{ a == 1 }}", json!({})).unwrap_err(),
            "`a` is undefined"
        );
        assert_eq!(value("{{ b | default(a) }}", json!({"a": 1})), Ok(json!(1)));
    }

    #[test]
    fn raw_layers_are_not_templates() {
        let raw = json!({"password": "{{ nope }}"})
            .as_object()
            .cloned()
            .unwrap_or_default();
        let scope = Scope::new(vec![Layer::raw(raw)]);
        let template = Template::parse("{{ password }}", None).unwrap();
        assert_eq!(template.evaluate(&scope), Ok(json!("{{ nope }}")));
    }

    #[test]
    fn mistakes_are_found_without_rendering() {
        let source = Source::new("play.yaml", "when: a | defualt(1)\nb: \"{{ a b }}\"\n");
        let place = Place::new(&source, Span { start: 6, end: 20 });
        let error = Template::expression("a | defualt(1)", Some(&place)).unwrap_err();
        insta::assert_snapshot!(render(&error, Colour::Never), @r"
        error: unknown filter `defualt`
         --> play.yaml:1:7
          |
        1 | when: a | defualt(1)
          |       ^^^^^^^^^^^^^^
          |
          = hint: did you mean `default`?
        ");
        assert!(Template::parse("{{ a b }}", None).is_err());
        assert!(
            Template::expression("a is defind", None)
                .unwrap_err()
                .message
                .contains("unknown test `defind`")
        );
    }

    #[test]
    fn conditions_read_texts_by_their_words() {
        for (text, expected) in [
            ("'no'", false),
            ("'yes'", true),
            ("0", false),
            ("[]", false),
            ("none", false),
        ] {
            let template = Template::expression(text, None).unwrap();
            assert_eq!(
                template.is_true(&scope(json!({}))).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn ansible_filters() {
        for (text, expected) in [
            ("{{ 'a/b/c.txt' | basename }}", json!("c.txt")),
            ("{{ 'a/b/c.txt' | dirname }}", json!("a/b")),
            ("{{ 'abc' | regex_replace('b', 'x') }}", json!("axc")),
            ("{{ 'abc' | regex_search('b.') }}", json!("bc")),
            (
                "{{ {'a': 1} | combine({'b': 2}) }}",
                json!({"a": 1, "b": 2}),
            ),
            ("{{ 'ab' | b64encode | b64decode }}", json!("ab")),
            ("{{ '1.10.2' is version('1.9', '>') }}", json!(true)),
            ("{{ [1, [2, 3]] | flatten }}", json!([1, 2, 3])),
            ("{{ [1, 2] | difference([2]) }}", json!([1])),
            ("{{ [1, 2] | union([2, 3]) }}", json!([1, 2, 3])),
            (
                "{{ {'a': 1} | dict2items }}",
                json!([{"key": "a", "value": 1}]),
            ),
            ("{{ true | ternary('a', 'b') }}", json!("a")),
            ("{{ \"it's\" | quote }}", json!("'it'\"'\"'s'")),
            ("{{ {'a': [1]} | to_json }}", json!("{\"a\": [1]}")),
            ("{{ '[1, 2]' | from_json }}", json!([1, 2])),
            ("{{ 'a,b'.split(',') }}", json!(["a", "b"])),
            ("{{ 'ABC'.lower() }}", json!("abc")),
        ] {
            assert_eq!(value(text, json!({})), Ok(expected), "{text}");
        }
    }

    #[test]
    fn to_yaml_text_of_nested_data() {
        let text = value(
            "{{ a | to_nice_yaml }}",
            json!({"a": {"b": "yes", "c": [1, "x: y"], "d": {}, "e": null}}),
        );
        assert_eq!(
            text,
            Ok(json!(
                "b: \"yes\"\nc:\n    - 1\n    - \"x: y\"\nd: {}\ne: null\n"
            ))
        );
    }
}
