//! YAML with places: the only room that knows the YAML crate.
//!
//! The result is a tree of [`Node`]s. A scalar keeps the very characters that the user wrote and whether they were
//! quoted, so that `1.10`, `0644`, `no` and `24.0.7` are given a type only where it is known which type is wanted.
//! Anchors, aliases and `<<` merges are resolved; a document that grows past [`MAX_NODES`] by aliases is refused.

mod mapping;
mod parse;

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place, Source};

pub use mapping::Fields;
pub use parse::{MAX_DEPTH, MAX_NODES, parse, parse_documents};

/// One value of a document and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// The tag as written, for instance `!vault`, if any.
    pub tag: Option<Arc<str>>,
    /// What.
    pub kind: Kind,
}

/// The shape of a [`Node`].
#[derive(Debug, Clone)]
pub enum Kind {
    /// A scalar: text as written (escapes resolved), and whether it was plain.
    Scalar {
        /// The characters.
        text: Arc<str>,
        /// Not quoted and not a block scalar: may be a number, a boolean or null.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written; keys are unique.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// A text node that has no place in a file, for instance one that was made from the command line.
    pub fn text(source: &Arc<Source>, text: &str) -> Self {
        let span = crate::diagnostic::Span {
            start: 0,
            end: source.text.len(),
        };
        Self {
            place: Place::new(source, span),
            tag: None,
            kind: Kind::Scalar {
                text: text.into(),
                plain: false,
            },
        }
    }

    /// Moves the places of a tree that was read from a piece of a text to where the piece stands, `place`.
    pub fn move_into(&mut self, place: &Place) {
        let span = self.place.span;
        self.place = place.within(span.start, span.end.saturating_sub(span.start));
        match &mut self.kind {
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.move_into(place)),
            Kind::Mapping(pairs) => {
                for (key, value) in pairs {
                    key.move_into(place);
                    value.move_into(place);
                }
            }
        }
    }

    /// Whether it is YAML's null: nothing at all, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The type that a tag of YAML's own names, such as `int` of `!!int`.
    fn core_kind(&self) -> Option<&str> {
        let tag = self.tag.as_deref()?;
        tag.strip_prefix("tag:yaml.org,2002:")
            .or_else(|| tag.strip_prefix("!!"))
    }

    /// Whether it is a text that is encrypted (`!vault`).
    pub fn is_encrypted(&self) -> bool {
        matches!(self.kind, Kind::Scalar { .. })
            && self.tag.as_deref().is_some_and(crate::vault::is_tag)
    }

    /// The tree with every encrypted text in it decrypted.
    ///
    /// # Errors
    ///
    /// One of them cannot be decrypted.
    pub fn decrypted(&self) -> Result<Self, Diagnostic> {
        let kind = match &self.kind {
            Kind::Scalar { text, .. } if self.is_encrypted() => {
                let text = crate::vault::revealed(text).map_err(|error| {
                    let message = format!("this value cannot be used: {error}");
                    let span = self.place.span;
                    let written = self.place.source.text.get(span.start..span.end);
                    let line = written.and_then(|written| written.lines().next());
                    let place = self.place.within(0, line.map_or(0, str::len));
                    let mut diagnostic = Diagnostic::at(&place, message);
                    diagnostic.hint = error.hint().map(str::to_owned);
                    diagnostic
                })?;
                return Ok(Self {
                    place: self.place.clone(),
                    tag: None,
                    kind: Kind::Scalar {
                        text: text.into(),
                        plain: false,
                    },
                });
            }
            Kind::Scalar { .. } => self.kind.clone(),
            Kind::Sequence(items) => Kind::Sequence(
                items
                    .iter()
                    .map(Self::decrypted)
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Mapping(pairs) => Kind::Mapping(
                pairs
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.decrypted()?)))
                    .collect::<Result<_, Diagnostic>>()?,
            ),
        };
        Ok(Self {
            kind,
            ..self.clone()
        })
    }

    /// The characters of a scalar that is not null.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The characters of a scalar, or a diagnostic that says a text was wanted.
    pub fn expect_str(&self) -> Result<&str, Diagnostic> {
        self.as_str().ok_or_else(|| self.unexpected("a text"))
    }

    /// The items of a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a mapping.
    pub fn as_mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping()?
            .iter()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// A boolean in YAML 1.1's or 1.2's spelling (Ansible takes both), quoted or not.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str()?.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "0" => Some(false),
            _ => None,
        }
    }

    /// What it is, in a user's words.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { plain: true, .. } => match self.to_json() {
                serde_json::Value::Bool(_) => "a boolean",
                serde_json::Value::Number(_) => "a number",
                _ => "a text",
            },
            Kind::Scalar { .. } => "a text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// A diagnostic that says what was wanted here and what stands here instead.
    pub fn unexpected(&self, wanted: &str) -> Diagnostic {
        Diagnostic::at(
            &self.place,
            format!("expected {wanted}, found {}", self.describe()),
        )
    }

    /// The value as plain data. A plain scalar becomes a boolean, number or null only when writing that value down
    /// again gives the same characters (`1.10`, `0644` and `1_000` stay text); `yes`, `no`, `on` and `off` are
    /// booleans, as in Ansible.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Scalar { text, plain } => {
                if self.is_encrypted() {
                    Value::String(crate::vault::marked(text))
                } else if *plain && self.tag.is_none() {
                    scalar_to_json(text)
                } else if let Some(kind) = self.core_kind() {
                    core_value(kind, text)
                } else {
                    Value::String(text.to_string())
                }
            }
            Kind::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Mapping(pairs) => Value::Object(
                pairs
                    .iter()
                    .map(|(key, value)| {
                        (key.as_str().unwrap_or_default().to_owned(), value.to_json())
                    })
                    .collect(),
            ),
        }
    }
}

/// A scalar as the type that its tag names; what is none of it stays a text.
fn core_value(kind: &str, text: &str) -> serde_json::Value {
    use serde_json::Value;
    let value = match kind {
        "null" => return Value::Null,
        "int" | "float" | "bool" => scalar_to_json(text),
        _ => return Value::from(text),
    };
    match (kind, &value) {
        ("float", Value::Number(number)) => number
            .as_f64()
            .and_then(serde_json::Number::from_f64)
            .map_or(value, Value::Number),
        ("int", Value::Number(number)) if !number.is_f64() => value,
        ("bool", Value::Bool(_)) => value,
        _ => Value::from(text),
    }
}

/// The value that plain characters stand for, typed only when that loses nothing.
pub fn scalar_to_json(text: &str) -> serde_json::Value {
    use serde_json::Value;
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        if number.to_string() == text {
            return number.into();
        }
    } else if text.contains('.')
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
        && (number.to_string() == text || format!("{number:.1}") == text)
    {
        return serde_json::Number::from_f64(number).map_or_else(|| text.into(), Value::Number);
    }
    Value::String(text.to_owned())
}
