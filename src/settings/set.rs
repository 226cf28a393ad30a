//! `--set`, `--set-string` and `--set-file`: from what the user typed to paths and values with places.
//!
//! One flag holds one or more `key=value` with commas between. A comma inside quotes (where the value begins with
//! one), inside brackets or inside braces does not split, nor does `\,`. A key is words with dots between (`\.` is a
//! dot in a word) and `[0]` indexes. A value that begins with `{` or `[` is JSON. Whether a plain value is a number, a
//! boolean or a text is decided later, by what the setting takes.

use std::path::Path;
use std::sync::Arc;

use super::set_json::{balanced, json};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, Span};
use crate::yaml::{Kind, Node};

/// One flag of the command line that sets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFlag {
    /// Which flag.
    pub kind: SetKind,
    /// What stands behind it.
    pub text: String,
}

impl SetFlag {
    /// A `--set`.
    pub fn set(text: impl Into<String>) -> Self {
        Self {
            kind: SetKind::Set,
            text: text.into(),
        }
    }

    /// A `--set-string`.
    pub fn string(text: impl Into<String>) -> Self {
        Self {
            kind: SetKind::String,
            text: text.into(),
        }
    }

    /// A `--set-file`.
    pub fn file(text: impl Into<String>) -> Self {
        Self {
            kind: SetKind::File,
            text: text.into(),
        }
    }
}

/// How a flag's values are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`: typed where that loses nothing.
    Set,
    /// `--set-string`: always a text.
    String,
    /// `--set-file`: the name of a file whose content is the text.
    File,
}

impl SetKind {
    /// The flag as typed.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Set => "--set",
            Self::String => "--set-string",
            Self::File => "--set-file",
        }
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// An index of a list.
    Index(usize),
}

/// The highest index: a list is filled up to it, so that a slip of the keys must not fill the memory.
pub const MAX_INDEX: usize = 999;

/// One `key=value`.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The key's steps.
    pub path: Vec<Segment>,
    /// The value; a plain scalar where a type may still be chosen.
    pub value: Node,
    /// The value as typed, quotes and escapes resolved: what is taken where a text is expected.
    pub text: String,
    /// The value looks like JSON and is none: a mistake unless a text is expected.
    pub fault: Option<Diagnostic>,
    /// Where the key stands.
    pub key_place: Place,
}

/// Reads one flag.
///
/// # Errors
///
/// Every mistake in it, with its place inside the flag's text.
pub fn parse(flag: &SetFlag) -> Result<Vec<Assignment>, Diagnostics> {
    let source = Source::new(flag.kind.flag(), flag.text.as_str());
    let mut parser = Parser {
        source: &source,
        text: &flag.text,
        position: 0,
        kind: flag.kind,
    };
    let mut assignments = Vec::new();
    let mut found = Diagnostics::new();
    if flag.text.trim().is_empty() {
        return Err(
            Diagnostic::error(format!("`{}` has no value", flag.kind.flag()))
                .hint("write `key=value`, several with commas between")
                .into(),
        );
    }
    loop {
        match parser.assignment() {
            Ok(assignment) => assignments.push(assignment),
            Err(diagnostic) => {
                found.push(diagnostic);
                parser.skip_to_comma();
            }
        }
        if parser.next_char() != Some(',') {
            break;
        }
        parser.position += 1;
    }
    found.check(assignments)
}

struct Parser<'a> {
    source: &'a Arc<Source>,
    text: &'a str,
    /// Byte offset of what is looked at; always on a character boundary.
    position: usize,
    kind: SetKind,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn next_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn place(&self, start: usize, end: usize) -> Place {
        Place::new(self.source, Span { start, end })
    }

    /// A place that a caret can be seen at, even at the end of the text.
    fn here(&self) -> Place {
        let length = self.next_char().map_or(0, char::len_utf8);
        self.place(self.position, self.position + length)
    }

    fn skip_to_comma(&mut self) {
        let length = self.rest().find(',').unwrap_or(self.rest().len());
        self.position += length;
    }

    fn assignment(&mut self) -> Result<Assignment, Diagnostic> {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.position += blanks;
        let start = self.position;
        let path = self.key()?;
        let key_place = self.place(start, self.position);
        // The `=`.
        self.position += 1;
        let start = self.position;
        let scanned = self.value()?;
        let place = self.place(start, self.position);
        let (value, fault) = self.node(&scanned, &place)?;
        let text = match &value.kind {
            Kind::Scalar { text, .. } => text.to_string(),
            _ => scanned.text,
        };
        Ok(Assignment {
            path,
            value,
            text,
            fault,
            key_place,
        })
    }

    /// The steps up to the `=`, which is left to be read.
    fn key(&mut self) -> Result<Vec<Segment>, Diagnostic> {
        let start = self.position;
        let mut path = Vec::new();
        let mut word = String::new();
        // A word may follow at the start and behind a dot, and must.
        let mut expects_word = true;
        loop {
            let Some(next) = self.next_char() else {
                return Err(self.no_value(start));
            };
            match next {
                '=' | '.' | '[' => {
                    if !word.is_empty() {
                        path.push(Segment::Key(std::mem::take(&mut word)));
                        expects_word = false;
                    }
                    if expects_word {
                        return Err(Diagnostic::at(&self.here(), "a word of the key is missing")
                            .label("expected a word here")
                            .hint("a key looks like `image_registry.type`"));
                    }
                    match next {
                        '=' => return Ok(path),
                        '.' => {
                            expects_word = true;
                            self.position += 1;
                        }
                        _ => path.push(self.index()?),
                    }
                }
                ',' => return Err(self.no_value(start)),
                '\\' => {
                    self.position += 1;
                    if let Some(escaped) = self.next_char() {
                        word.push(escaped);
                        self.position += escaped.len_utf8();
                    }
                }
                other if other.is_whitespace() || other.is_control() => {
                    let blanks = self.rest().len() - self.rest().trim_start().len();
                    if self.rest().trim_start().starts_with('=') && blanks > 0 {
                        return Err(Diagnostic::at(&self.here(), "white space before `=`")
                            .hint("write `key=value` without blanks"));
                    }
                    return Err(Diagnostic::at(&self.here(), "white space in a key")
                        .hint("give several settings with commas between, and no blanks"));
                }
                other => {
                    if !expects_word && word.is_empty() {
                        return Err(Diagnostic::at(
                            &self.here(),
                            "expected `.`, `[` or `=` behind an index",
                        ));
                    }
                    word.push(other);
                    self.position += other.len_utf8();
                }
            }
        }
    }

    fn no_value(&self, start: usize) -> Diagnostic {
        let key = self.text.get(start..self.position).unwrap_or_default();
        if key.trim().is_empty() {
            let diagnostic = Diagnostic::at(&self.here(), "expected `key=value`");
            return if self.next_char().is_none() && start > 0 {
                diagnostic.hint("remove the comma at the end")
            } else {
                diagnostic.hint("remove one of the commas")
            };
        }
        let diagnostic = Diagnostic::at(
            &self.place(start, self.position),
            format!("`{key}` has no value"),
        );
        if start == 0 {
            diagnostic.hint(format!("write `{key}=value`"))
        } else {
            diagnostic.hint(format!(
                "write `{key}=value`; a comma that belongs to the value before is written `\\,`"
            ))
        }
    }

    /// `[3]`.
    fn index(&mut self) -> Result<Segment, Diagnostic> {
        let start = self.position;
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(length) = inner.find(']') else {
            return Err(Diagnostic::at(&self.here(), "this `[` is not closed")
                .hint("an index looks like `key[0]=value`"));
        };
        let digits = inner.get(..length).unwrap_or_default().to_owned();
        let place = self.place(start, start + length + 2);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse::<usize>() {
            Ok(index) if is_number && index <= MAX_INDEX => {
                self.position += length + 2;
                Ok(Segment::Index(index))
            }
            _ if is_number => Err(Diagnostic::at(
                &place,
                format!("an index is at most {MAX_INDEX}"),
            )),
            _ => Err(
                Diagnostic::at(&place, format!("`{digits}` is not an index"))
                    .hint("an index is a whole number that counts from 0, as in `key[0]=value`"),
            ),
        }
    }

    /// The characters of a value, up to the comma that ends it.
    fn value(&mut self) -> Result<Scanned, Diagnostic> {
        match self.next_char() {
            Some(quote @ ('"' | '\'')) => return self.quoted(quote),
            Some(open @ ('{' | '[')) if self.kind == SetKind::Set => {
                let Some(length) = balanced(self.rest()) else {
                    let key = "--set-string";
                    return Err(Diagnostic::at(
                        &self.here(),
                        format!("this `{open}` is not closed"),
                    )
                    .hint(format!(
                        "`{key}` takes a value as a text, whatever it holds"
                    )));
                };
                let after = self
                    .rest()
                    .get(length..)
                    .and_then(|rest| rest.chars().next());
                if matches!(after, None | Some(',')) {
                    let text = self.rest().get(..length).unwrap_or_default().to_owned();
                    self.position += length;
                    return Ok(Scanned {
                        text,
                        shape: Shape::Json,
                    });
                }
            }
            _ => {}
        }
        Ok(self.plain())
    }

    fn quoted(&mut self, quote: char) -> Result<Scanned, Diagnostic> {
        let opening = self.here();
        self.position += 1;
        let mut text = String::new();
        loop {
            let Some(next) = self.next_char() else {
                return Err(
                    Diagnostic::at(&opening, "this quote is not closed").hint(format!(
                        "a value that begins with a quote of its own is written `\\{quote}`"
                    )),
                );
            };
            self.position += next.len_utf8();
            if next == quote {
                break;
            }
            let escaped = self.next_char();
            if next == '\\'
                && quote == '"'
                && let Some(escaped @ ('"' | '\\')) = escaped
            {
                self.position += 1;
                text.push(escaped);
            } else {
                text.push(next);
            }
        }
        if !matches!(self.next_char(), None | Some(',')) {
            return Err(
                Diagnostic::at(&self.here(), "expected a comma behind the closing quote").hint(
                    "a quote that belongs to the value is written `\\\"` inside double quotes",
                ),
            );
        }
        Ok(Scanned {
            text,
            shape: Shape::Text,
        })
    }

    fn plain(&mut self) -> Scanned {
        let mut text = String::new();
        let mut shape = Shape::Plain;
        let first = self.position;
        while let Some(next) = self.next_char() {
            match next {
                ',' => break,
                '\\' => {
                    let run = self
                        .rest()
                        .bytes()
                        .take_while(|byte| *byte == b'\\')
                        .count();
                    let after = self.rest().get(run..).and_then(|rest| rest.chars().next());
                    if after == Some(',') {
                        // Before a comma a pair is one backslash, and an odd one takes the comma along.
                        text.extend(std::iter::repeat_n('\\', run / 2));
                        self.position += run;
                        if run % 2 == 1 {
                            text.push(',');
                            self.position += 1;
                        }
                        continue;
                    }
                    let is_first = self.position == first;
                    if is_first && let Some('"' | '\'' | '{' | '[') = after {
                        text.extend(std::iter::repeat_n('\\', run - 1));
                        text.extend(after);
                        self.position += run + 1;
                        shape = Shape::Text;
                        continue;
                    }
                    text.extend(std::iter::repeat_n('\\', run));
                    self.position += run;
                }
                '{' | '[' => {
                    let length = balanced(self.rest()).unwrap_or(1);
                    text.push_str(self.rest().get(..length).unwrap_or_default());
                    self.position += length;
                }
                other => {
                    text.push(other);
                    self.position += other.len_utf8();
                }
            }
        }
        Scanned { text, shape }
    }

    /// The value as a node, and what is wrong with it as JSON.
    fn node(
        &self,
        scanned: &Scanned,
        place: &Place,
    ) -> Result<(Node, Option<Diagnostic>), Diagnostic> {
        let scalar = |text: &str, plain: bool| Node {
            place: place.clone(),
            tag: None,
            kind: Kind::Scalar {
                text: text.into(),
                plain,
            },
        };
        match (self.kind, scanned.shape) {
            (SetKind::File, _) => Ok((scalar(&file(&scanned.text, place)?, false), None)),
            (SetKind::String, _) | (SetKind::Set, Shape::Text) => {
                Ok((scalar(&scanned.text, false), None))
            }
            (SetKind::Set, Shape::Plain) => Ok((scalar(&scanned.text, true), None)),
            (SetKind::Set, Shape::Json) => match json(&scanned.text, place) {
                Ok(node) => Ok((node, None)),
                Err(fault) => Ok((scalar(&scanned.text, false), Some(fault))),
            },
        }
    }
}

/// A value's characters and what they may be.
struct Scanned {
    text: String,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// May be given a type.
    Plain,
    /// Quoted: a text.
    Text,
    /// Between braces or brackets.
    Json,
}

/// The content of a file that `--set-file` names, without the line end that editors put at the end.
fn file(path: &str, place: &Place) -> Result<String, Diagnostic> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
            std::io::ErrorKind::IsADirectory => "is a folder".to_owned(),
            std::io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Diagnostic::at(place, format!("the file `{path}` {reason}"))
            .hint("`--set-file key=PATH` takes the content of PATH as the value")
    })?;
    let without = text
        .strip_suffix('\n')
        .map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(without.unwrap_or(&text).to_owned())
}
