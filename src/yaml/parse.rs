//! From the parser's events to a tree of nodes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Kind, Node};
use crate::diagnostic::{Diagnostic, Place, Source, Span};

/// The most nodes of one text, aliases counted as what they stand for.
pub const MAX_NODES: usize = 2_000_000;

/// How deep lists and mappings may be nested.
pub const MAX_DEPTH: usize = 128;

/// The one document of a source; an empty one is a null node.
pub fn parse(source: &Arc<Source>) -> Result<Node, Diagnostic> {
    let mut documents = parse_documents(source)?;
    match documents.len() {
        0 => Ok(null(source)),
        1 => Ok(documents.remove(0)),
        _ => {
            let place = documents.get(1).map(|node| node.place.clone());
            let diagnostic = Diagnostic::error("expected one YAML document, found more");
            Err(Diagnostic {
                place,
                ..diagnostic
            }
            .hint("remove the `---` line between them"))
        }
    }
}

/// All documents of a source.
pub fn parse_documents(source: &Arc<Source>) -> Result<Vec<Node>, Diagnostic> {
    let mut text: Cow<'_, str> = Cow::Borrowed(&source.text);
    for _ in 0..MAX_CLOSED {
        let mut builder = Builder::new(source);
        let mut documents = Vec::new();
        let mut closed = None;
        for event in Parser::new_from_str(&text) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = builder.byte(error.marker().index());
                    closed =
                        Some(closing_joined(&text, at).ok_or_else(|| builder.scan_error(&error))?);
                    break;
                }
            };
            if let Some(document) = builder.event(event, span)? {
                documents.push(document);
            }
        }
        match closed {
            Some(joined) => text = Cow::Owned(joined),
            None => return Ok(documents),
        }
    }
    let place = Place::new(source, Span::default());
    Err(Diagnostic::at(
        &place,
        "too many brackets are closed at the left edge",
    ))
}

/// How many brackets of a text may be closed further left than YAML allows.
const MAX_CLOSED: usize = 1000;

/// PyYAML lets the bracket that closes a list or a mapping stand at the very left, the parser here does not: such a line
/// is joined to the one before it. No character moves, so that places stay right. `None` where the error at `at` is
/// another one.
fn closing_joined(text: &str, at: usize) -> Option<String> {
    let start = text.get(..at)?.rfind('\n')?;
    let line = text.get(start + 1..)?.trim_start_matches([' ', '\t']);
    let before = text.get(..start)?.rsplit('\n').next()?;
    if !line.starts_with(['}', ']']) || before.contains('#') {
        return None;
    }
    let mut joined = text.to_owned();
    joined.replace_range(start..=start, " ");
    Some(joined)
}

fn null(source: &Arc<Source>) -> Node {
    let place = Place::new(source, Span::default());
    Node {
        place,
        tag: None,
        kind: Kind::Scalar {
            text: "".into(),
            plain: true,
        },
    }
}

/// A list or mapping whose end has not been seen yet.
struct Open {
    start: usize,
    anchor: usize,
    tag: Option<Arc<str>>,
    items: Vec<Node>,
    is_mapping: bool,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    /// Byte offset of each character, and of the end.
    offsets: Vec<usize>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>) -> Self {
        let offsets = source
            .text
            .char_indices()
            .map(|(index, _)| index)
            .chain([source.text.len()])
            .collect();
        Self {
            source,
            offsets,
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
        }
    }

    fn byte(&self, character: usize) -> usize {
        self.offsets
            .get(character)
            .copied()
            .unwrap_or(self.source.text.len())
    }

    fn place(&self, start: usize, end: usize) -> Place {
        Place::new(
            self.source,
            Span {
                start,
                end: end.max(start),
            },
        )
    }

    fn scan_error(&self, error: &saphyr_parser::ScanError) -> Diagnostic {
        let start = self.byte(error.marker().index());
        let text = &self.source.text;
        let end = text
            .get(start..)
            .and_then(|rest| rest.chars().next())
            .map_or(start, |next| start + next.len_utf8());
        let diagnostic = Diagnostic::at(
            &self.place(start, end),
            format!("invalid YAML: {}", error.info()),
        );
        let line = text
            .get(..start)
            .map_or("", |before| before.rsplit('\n').next().unwrap_or_default());
        if line.contains('\t') || text.get(start..).is_some_and(|rest| rest.starts_with('\t')) {
            diagnostic.hint("YAML does not allow tabs as indentation: use spaces")
        } else {
            diagnostic
        }
    }

    fn event(
        &mut self,
        event: Event<'_>,
        span: saphyr_parser::Span,
    ) -> Result<Option<Node>, Diagnostic> {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        let name = |tag: Option<std::borrow::Cow<'_, saphyr_parser::Tag>>| -> Option<Arc<str>> {
            tag.map(|tag| format!("{}{}", tag.handle, tag.suffix).into())
        };
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let kind = Kind::Scalar {
                    text: text.as_ref().into(),
                    plain,
                };
                let node = Node {
                    place: self.place(start, end),
                    tag: name(tag),
                    kind,
                };
                (defused(node), anchor)
            }
            Event::Alias(anchor) => {
                let place = self.place(start, end);
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Diagnostic::at(
                        &place,
                        "an alias to something that is not finished or not there",
                    ));
                };
                self.count(size, &place)?;
                (Node { place, ..node }, 0)
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if self.stack.len() >= MAX_DEPTH =>
            {
                let _ = (anchor, tag);
                return Err(Diagnostic::at(
                    &self.place(start, end),
                    format!("nested deeper than {MAX_DEPTH} levels"),
                ));
            }
            Event::SequenceStart(anchor, tag) => {
                self.stack.push(Open {
                    start,
                    anchor,
                    tag: name(tag),
                    items: Vec::new(),
                    is_mapping: false,
                });
                return Ok(None);
            }
            Event::MappingStart(anchor, tag) => {
                self.stack.push(Open {
                    start,
                    anchor,
                    tag: name(tag),
                    items: Vec::new(),
                    is_mapping: true,
                });
                return Ok(None);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else {
                    return Ok(None);
                };
                // The parser ends a block where the next thing begins; only a bracket belongs to a list.
                let end = open.items.last().map_or(end, |last| {
                    let last = last.place.span.end;
                    let after = self.source.text.get(last..end).unwrap_or_default();
                    if after.trim_end().ends_with(']') && !open.is_mapping {
                        end
                    } else {
                        last
                    }
                });
                let place = self.place(open.start, end);
                let kind = if open.is_mapping {
                    Self::mapping(open.items)?
                } else {
                    Kind::Sequence(open.items)
                };
                let node = Node {
                    place,
                    tag: open.tag,
                    kind,
                };
                (defused(node), open.anchor)
            }
            _ => return Ok(None),
        };
        self.count(1, &node.place)?;
        if anchor > 0 {
            let size = size_of(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.stack.last_mut() {
            Some(open) => {
                open.items.push(node);
                Ok(None)
            }
            None => Ok(Some(node)),
        }
    }

    fn count(&mut self, more: usize, place: &Place) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            return Err(Diagnostic::at(
                place,
                format!("the document has more than {MAX_NODES} values"),
            )
            .hint("aliases that contain aliases multiply: write the values out"));
        }
        Ok(())
    }

    /// Keys must be unique texts; `<<` takes over keys that are not written out.
    fn mapping(items: Vec<Node>) -> Result<Kind, Diagnostic> {
        let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(items.len() / 2);
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut merges: Vec<Node> = Vec::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            let Kind::Scalar { text, plain } = &key.kind else {
                return Err(key
                    .unexpected("a text as key")
                    .hint("a value that starts with `{{` must be quoted"));
            };
            if text.as_ref() == "<<" && *plain {
                merges.push(value);
                continue;
            }
            if let Some(first) = seen.insert(text.to_string(), key.place.clone()) {
                return Err(
                    Diagnostic::at(&key.place, format!("the key `{text}` is given twice"))
                        .related(&first, "first here"),
                );
            }
            // A null key has no text to look it up by; keep its characters.
            let text = Arc::clone(text);
            pairs.push((
                Node {
                    kind: Kind::Scalar { text, plain: false },
                    ..key
                },
                value,
            ));
        }
        for merge in merges {
            let sources = match merge.kind {
                Kind::Sequence(nodes) => nodes,
                _ => vec![merge],
            };
            for node in sources {
                let Kind::Mapping(more) = node.kind else {
                    return Err(node.unexpected("a mapping to merge"));
                };
                for (key, value) in more {
                    if let Some(text) = key.as_str()
                        && !seen.contains_key(text)
                    {
                        seen.insert(text.to_owned(), key.place.clone());
                        pairs.push((key, value));
                    }
                }
            }
        }
        Ok(Kind::Mapping(pairs))
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::Sequence(items) => items.iter().map(size_of).sum(),
        Kind::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| size_of(key) + size_of(value))
            .sum(),
    }
}

/// A text that is tagged `!unsafe` is no template: it becomes one that gives the text as it is.
fn defused(node: Node) -> Node {
    if node.tag.as_deref() != Some("!unsafe") {
        return node;
    }
    let mut data = as_data(node);
    data.tag = None;
    if let Kind::Scalar { plain, .. } = &mut data.kind {
        *plain = false;
    }
    data
}

fn as_data(node: Node) -> Node {
    let kind = match node.kind {
        Kind::Scalar { text, .. } if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
            let text = if text.contains("endraw") {
                // Within a tag, unlike within braces, a backslash is an escape.
                let quoted = serde_json::Value::from(text.as_ref()).to_string();
                format!("{{% set text = {quoted} %}}{{{{ text }}}}")
            } else {
                format!("{{% raw %}}{text}{{% endraw %}}")
            };
            Kind::Scalar {
                text: text.into(),
                plain: false,
            }
        }
        Kind::Sequence(items) => Kind::Sequence(items.into_iter().map(as_data).collect()),
        Kind::Mapping(pairs) => Kind::Mapping(
            pairs
                .into_iter()
                .map(|(key, value)| (key, as_data(value)))
                .collect(),
        ),
        kind @ Kind::Scalar { .. } => kind,
    };
    Node { kind, ..node }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn json_of(text: &str) -> serde_json::Value {
        parse(&Source::new("t", text)).unwrap().to_json()
    }

    fn error_of(text: &str) -> String {
        let diagnostic = parse(&Source::new("t", text)).unwrap_err();
        crate::diagnostic::render(&diagnostic, crate::diagnostic::Colour::Never)
    }

    #[test]
    fn types_only_what_loses_nothing() {
        let text = "a: 1\nb: 1.10\nc: 0644\nd: 24.0.7\ne: yes\nf: 'yes'\ng: ~\nh:\ni: 1.5\nj: v2.20.3\nk: 1e3\nl: 123456\nm: 2.0\n";
        let expected = json!({"a": 1, "b": "1.10", "c": "0644", "d": "24.0.7", "e": true, "f": "yes", "g": null, "h": null, "i": 1.5, "j": "v2.20.3", "k": "1e3", "l": 123_456, "m": 2.0});
        assert_eq!(json_of(text), expected);
    }

    #[test]
    fn anchors_and_merges() {
        assert_eq!(
            json_of("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n"),
            json!({"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}, "c": {"p": 1, "q": 2}})
        );
    }

    #[test]
    fn empty_is_null() {
        assert!(parse(&Source::new("t", "# nothing\n")).unwrap().is_null());
    }

    #[test]
    fn a_duplicate_key_is_refused_at_both_places() {
        insta::assert_snapshot!(error_of("a: 1\nb: 2\na: 3\n"), @r"
        error: the key `a` is given twice
         --> t:3:1
          |
        1 | a: 1
          | - first here
        2 | b: 2
        3 | a: 3
          | ^
        ");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = level - 1;
            let items = vec![format!("*a{previous}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(error_of(&text).contains("more than"));
    }

    #[test]
    fn spans_cover_multibyte_text() {
        let node = parse(&Source::new("t", "\u{e4}: \u{f6}x\nb: c\n")).unwrap();
        assert_eq!(node.get("b").unwrap().place.to_string(), "t:2:4");
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(error_of(&"[".repeat(200)).contains("nested deeper"));
    }
}
