//! Ansible's INI inventory: `[group]` with a host per line, `[group:children]`, `[group:vars]`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::raw::{Raw, Reference, Variables, merge};
use super::{UNGROUPED, ansible};
use crate::diagnostic::{Diagnostic, Place, Source, Span};
use crate::yaml::{self, Kind, Node};

/// What the lines below a heading are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// Reads a text.
pub fn read(source: &Arc<Source>, raw: &mut Raw) {
    let mut reader = Reader {
        source,
        group: UNGROUPED.to_owned(),
        heading: Place::new(source, Span::default()),
        section: Section::Hosts,
        vars_headings: HashMap::new(),
        declared: Vec::new(),
    };
    let mut offset = 0;
    for line in source.text.split_inclusive('\n') {
        let start = offset + (line.len() - line.trim_start().len());
        offset += line.len();
        let text = line.trim();
        if !text.is_empty() && !text.starts_with(['#', ';']) {
            reader.line(text, start, raw);
        }
    }
    reader.check_vars_headings(raw);
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    group: String,
    heading: Place,
    section: Section,
    /// Groups that have a `[group:vars]`, with its first place.
    vars_headings: HashMap<String, Place>,
    /// Groups that have another heading or are named as children.
    declared: Vec<String>,
}

impl Reader<'_> {
    fn place(&self, start: usize, length: usize) -> Place {
        let end = start + length;
        Place::new(self.source, Span { start, end })
    }

    fn line(&mut self, text: &str, start: usize, raw: &mut Raw) {
        if text.starts_with('[') && self.is_heading(text) {
            return self.heading(text, start, raw);
        }
        match self.section {
            Section::Hosts => self.host(text, start, raw),
            Section::Children => self.child(text, start, raw),
            Section::Vars => self.variable(text, start, raw),
        }
    }

    /// A heading, and no host line that begins with an IPv6 address or a range in brackets.
    fn is_heading(&self, text: &str) -> bool {
        let Some((inner, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            return true;
        };
        let after = after.trim_start();
        let is_range = self.section == Section::Hosts
            && inner.contains(':')
            && !inner.ends_with(":vars")
            && !inner.ends_with(":children")
            && !inner.ends_with(":hosts")
            && !after.is_empty()
            && !after.starts_with(['#', ';']);
        !is_range
    }

    fn heading(&mut self, text: &str, start: usize, raw: &mut Raw) {
        let Some((inner, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            raw.found.push(
                Diagnostic::at(&self.place(start, text.len()), "the heading is not closed")
                    .hint("write `[group]`"),
            );
            return;
        };
        let after = after.trim();
        if !after.is_empty() && !after.starts_with(['#', ';']) {
            let place = self.place(start + text.len() - after.len(), after.len());
            raw.found.push(
                Diagnostic::at(&place, "nothing but a comment may follow a heading")
                    .hint("hosts stand on the lines below"),
            );
        }
        let (name, section) = match inner.rsplit_once(':') {
            None => (inner, Section::Hosts),
            Some((name, "hosts")) => (name, Section::Hosts),
            Some((name, "children")) => (name, Section::Children),
            Some((name, "vars")) => (name, Section::Vars),
            Some((name, other)) => {
                let place = self.place(start + 1 + name.len() + 1, other.len());
                raw.found.push(
                    Diagnostic::at(&place, format!("unknown kind of section `{other}`"))
                        .hint("known here: children, vars; nothing for a list of hosts")
                        .suggest(other, ["children", "vars", "hosts"]),
                );
                (name, Section::Hosts)
            }
        };
        let place = self.place(start + 1, name.len());
        let is_fine = raw.check_name("group", name, &place);
        self.section = section;
        self.heading = place.clone();
        if is_fine {
            name.clone_into(&mut self.group);
        }
        if section == Section::Vars {
            self.vars_headings
                .entry(self.group.clone())
                .or_insert(place);
        } else {
            self.declared.push(self.group.clone());
            raw.group(&self.group, &place);
        }
    }

    /// `name key=value key="a value" # comment`.
    fn host(&mut self, text: &str, start: usize, raw: &mut Raw) {
        let words = match split(text) {
            Ok(words) => words,
            Err(offset) => {
                raw.found.push(
                    Diagnostic::at(&self.place(start + offset, 1), "this quote is not closed")
                        .hint("write `\\'` or `\\\"` for a quote that belongs to the value"),
                );
                return;
            }
        };
        let Some((name, rest)) = words.split_first() else {
            return;
        };
        if name.text.contains('=') {
            raw.found.push(
                Diagnostic::at(
                    &self.place(start + name.start, name.length),
                    "expected a host's name, found a variable",
                )
                .hint(format!(
                    "variables of a group stand below `[{}:vars]`",
                    self.group
                )),
            );
            return;
        }
        let mut vars = Variables::new();
        for word in rest {
            let place = self.place(start + word.start, word.length);
            match word.text.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    let key_place = self.place(start + word.start, key.len());
                    let value_start = start + word.start + key.len() + 1;
                    let value_place =
                        self.place(value_start, word.length.saturating_sub(key.len() + 1));
                    merge(
                        &mut vars,
                        [(key_node(key, &key_place), value_node(value, &value_place))],
                    );
                }
                _ => raw.found.push(
                    Diagnostic::at(
                        &place,
                        format!("expected `key=value`, found `{}`", word.text),
                    )
                    .hint("write no blanks around `=`, and quote a value that has blanks in it"),
                ),
            }
        }
        let place = self.place(start + name.start, name.length);
        let names = ansible::declare_hosts(&name.text, &place, &vars, raw);
        raw.group(&self.group, &self.heading).hosts.extend(names);
    }

    fn child(&mut self, text: &str, start: usize, raw: &mut Raw) {
        let name = text.split(['#', ';']).next().unwrap_or_default().trim_end();
        let place = self.place(start, name.len());
        if raw.check_name("group", name, &place) {
            raw.group(&self.group, &self.heading)
                .groups
                .push(Reference {
                    name: name.to_owned(),
                    place,
                });
        }
    }

    /// `key = value`, the value up to the end of the line.
    fn variable(&mut self, text: &str, start: usize, raw: &mut Raw) {
        let Some((key, value)) = text.split_once('=') else {
            raw.found.push(
                Diagnostic::at(
                    &self.place(start, text.len()),
                    format!("expected `key=value`, found `{text}`"),
                )
                .hint(format!("hosts stand below `[{}]`", self.group)),
            );
            return;
        };
        let key = key.trim_end();
        let value = value.trim_start();
        let place = self.place(start + text.len() - value.len(), value.len());
        let node = value_node(value, &place);
        let pair = (key_node(key, &self.place(start, key.len())), node);
        merge(&mut raw.group(&self.group, &self.heading).vars, [pair]);
    }

    /// Variables of a group that nothing else in the inventory speaks of.
    fn check_vars_headings(&self, raw: &mut Raw) {
        let declared: HashSet<&String> = self.declared.iter().collect();
        let nested: HashSet<String> = raw
            .groups
            .values()
            .flat_map(|group| group.groups.iter().map(|child| child.name.clone()))
            .collect();
        for (name, place) in &self.vars_headings {
            let is_elsewhere = raw.groups.get(name).is_some_and(|group| {
                group
                    .place
                    .as_ref()
                    .is_some_and(|other| other.source != *self.source)
            });
            let is_known = declared.contains(name)
                || is_elsewhere
                || nested.contains(name)
                || [super::ALL, UNGROUPED].contains(&name.as_str());
            if !is_known {
                let known = self.declared.iter().map(String::as_str);
                raw.found.push(
                    Diagnostic::at(
                        place,
                        format!("variables for the group `{name}`, which is not declared"),
                    )
                    .hint(format!("declare it with `[{name}]`"))
                    .suggest(name, known),
                );
            }
        }
    }
}

fn key_node(text: &str, place: &Place) -> Node {
    Node {
        place: place.clone(),
        tag: None,
        kind: Kind::Scalar {
            text: text.into(),
            plain: false,
        },
    }
}

/// A value as Ansible reads it in INI: a quoted text, a number, `True`, `False`, `None`, a list or a mapping;
/// everything else (`yes` too) is a text. Quotes around a word of a host line are gone before, as in Ansible.
fn value_node(text: &str, place: &Place) -> Node {
    if text.starts_with(['[', '{'])
        && let Ok(mut node) = yaml::parse(&Source::new(place.source.name.clone(), text))
    {
        node.move_into(place);
        return node;
    }
    let unquoted = ['"', '\''].iter().find_map(|quote| {
        text.strip_prefix(*quote)
            .and_then(|rest| rest.strip_suffix(*quote))
            .filter(|inner| !inner.contains(*quote))
    });
    let is_typed = matches!(text, "True" | "False") || yaml::scalar_to_json(text).is_number();
    let (text, plain) = match unquoted {
        Some(inner) => (inner, false),
        None if text == "None" => ("null", true),
        None => (text, is_typed),
    };
    Node {
        place: place.clone(),
        tag: None,
        kind: Kind::Scalar {
            text: text.into(),
            plain,
        },
    }
}

/// One word of a line.
struct Word {
    text: String,
    start: usize,
    length: usize,
}

/// Splits a line at blanks as a shell would, up to a comment.
///
/// # Errors
///
/// The offset of a quote that is not closed.
fn split(line: &str) -> Result<Vec<Word>, usize> {
    let mut words: Vec<Word> = Vec::new();
    let mut current: Option<Word> = None;
    let mut quote: Option<(char, usize)> = None;
    let mut characters = line.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(current.take().map(|word| Word {
                length: index - word.start,
                ..word
            }));
            continue;
        }
        if quote.is_none() && current.is_none() && character == '#' {
            break;
        }
        let word = current.get_or_insert_with(|| Word {
            text: String::new(),
            start: index,
            length: 0,
        });
        match (quote, character) {
            (None, '"' | '\'') => {
                quote = Some((character, index));
            }
            (Some((open, _)), _) if character == open => quote = None,
            (None | Some(('"', _)), '\\') => {
                let next = characters.peek().map(|(_, next)| *next);
                let is_escape = quote.is_none() || matches!(next, Some('"' | '\\'));
                match next.filter(|_| is_escape) {
                    Some(next) => {
                        word.text.push(next);
                        characters.next();
                    }
                    None => word.text.push('\\'),
                }
            }
            _ => word.text.push(character),
        }
    }
    if let Some((_, index)) = quote {
        return Err(index);
    }
    words.extend(current.map(|word| Word {
        length: line.trim_end().len().saturating_sub(word.start),
        ..word
    }));
    Ok(words)
}
