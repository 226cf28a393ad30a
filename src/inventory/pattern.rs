//! Host patterns: which hosts a play or `--limit` means.
//!
//! Parts stand with `,` or `:` between. A part is a host, a group, `all` or `*`, a glob (`node*`), a regular
//! expression (`~node\d+`, matched from the start of the name), or a group with an index (`web[0]`, `web[-1]`) or a
//! range (`web[1:3]`, both ends included). `&part` keeps only what is in the part too, `!part` takes out what is in
//! it; both apply after all other parts, wherever they stand.

use indexmap::IndexSet;
use regex::Regex;

use super::{ALL, Inventory, LOCALHOST};
use crate::diagnostic::{Diagnostic, Place, did_you_mean};

/// Why a pattern selects nothing that can be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host pattern `{pattern}`: {reason}")]
pub struct PatternError {
    /// The whole pattern.
    pub pattern: String,
    /// Where in it the wrong part stands, in bytes.
    pub span: (usize, usize),
    /// What is wrong with it.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

impl PatternError {
    /// The error at the place where the pattern is written.
    pub fn at(&self, place: &Place) -> Diagnostic {
        let written = place
            .source
            .text
            .get(place.span.start..place.span.end)
            .and_then(|text| text.find(&self.pattern));
        let (start, end) = self.span;
        let narrow = match written {
            Some(offset) => place.within(offset + start, end - start),
            None => place.clone(),
        };
        let diagnostic = Diagnostic::at(&narrow, self.reason.clone());
        match &self.hint {
            Some(hint) => diagnostic.hint(hint.clone()),
            None => diagnostic,
        }
    }
}

/// How a part acts on what the others select.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Add,
    Keep,
    Remove,
}

struct Part<'a> {
    action: Action,
    text: &'a str,
    start: usize,
}

impl Inventory {
    /// The hosts that a pattern means, each once: by part in the order written, and within a part in the order of the
    /// group or inventory. `localhost` is understood even where the inventory has no such host (see
    /// [`Inventory::host`]).
    ///
    /// # Errors
    ///
    /// A part that is malformed, or that names a host or group which is not there.
    pub fn select(&self, pattern: &str) -> Result<Vec<String>, PatternError> {
        let parts = self.parts(pattern);
        if parts.is_empty() {
            return Err(PatternError {
                pattern: pattern.to_owned(),
                span: (0, pattern.len()),
                reason: "the host pattern is empty".to_owned(),
                hint: Some("write `all` for all hosts".to_owned()),
            });
        }
        let mut selected: IndexSet<String> = IndexSet::new();
        if !parts.iter().any(|part| part.action == Action::Add) {
            selected.extend(self.named(ALL));
        }
        for action in [Action::Add, Action::Keep, Action::Remove] {
            for part in parts.iter().filter(|part| part.action == action) {
                let hosts = self
                    .matching(part.text)
                    .map_err(|(reason, hint)| PatternError {
                        pattern: pattern.to_owned(),
                        span: (part.start, part.start + part.text.len()),
                        reason,
                        hint,
                    })?;
                match action {
                    Action::Add => selected.extend(hosts),
                    Action::Keep => selected.retain(|host| hosts.contains(host)),
                    Action::Remove => selected.retain(|host| !hosts.contains(host)),
                }
            }
        }
        Ok(selected.into_iter().collect())
    }

    /// The parts of a pattern. A comma splits before a colon does, and neither inside brackets; a name that is known
    /// (an IPv6 address) is not split.
    fn parts<'a>(&self, pattern: &'a str) -> Vec<Part<'a>> {
        let separators: &[char] = if pattern.contains(',') {
            &[',']
        } else {
            &[':']
        };
        let mut parts = Vec::new();
        let mut start = 0;
        // How many brackets of this part are open.
        let mut open = 0_i32;
        for (index, character) in pattern.char_indices().chain([(pattern.len(), '\0')]) {
            let is_end = index == pattern.len();
            if !is_end && (!separators.contains(&character) || open > 0) {
                open += i32::from(character == '[') - i32::from(character == ']');
                continue;
            }
            open = 0;
            parts.extend(pattern.get(start..index).and_then(|text| part(text, start)));
            start = index + character.len_utf8();
        }
        // An IPv6 address is full of colons.
        let whole = part(pattern, 0).filter(|whole| {
            separators == [':'] && whole.text.contains(':') && self.is_known(whole.text)
        });
        match whole {
            Some(whole) => vec![whole],
            None => parts,
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.hosts.contains_key(name) || self.groups.contains_key(name)
    }

    /// The hosts of one part, or what is wrong with it and what to do.
    fn matching(&self, text: &str) -> Result<IndexSet<String>, (String, Option<String>)> {
        if let Some(expression) = text.strip_prefix('~') {
            let anchored = format!("^(?:{expression})");
            let regex = Regex::new(&anchored)
                .map_err(|_| (format!("`{expression}` is not a regular expression"), None))?;
            return Ok(self.by_name(|name| regex.is_match(name)));
        }
        if self.is_known(text) || text == "*" {
            return Ok(self.named(text));
        }
        if text == LOCALHOST {
            return Ok(IndexSet::from([LOCALHOST.to_owned()]));
        }
        if let Some((base, subscript)) = split_subscript(text) {
            // `node[24]` is a set of characters where there is no group `node`.
            let set = glob(text).map(|regex| self.by_name(|name| regex.is_match(name)));
            let is_other = self.is_known(base) || base.contains(['*', '?', '[']);
            if let Some(hosts) = set.filter(|hosts| !is_other && !hosts.is_empty()) {
                return Ok(hosts);
            }
            let hosts: Vec<String> = self.matching(base)?.into_iter().collect();
            return subscript.of(&hosts).ok_or_else(|| {
                (
                    format!(
                        "`{base}` has {} hosts, and none at {subscript}",
                        hosts.len()
                    ),
                    None,
                )
            });
        }
        if text.contains(['*', '?', '[']) {
            let Some(regex) = glob(text) else {
                return Err((format!("`{text}` is not a pattern of names"), None));
            };
            return Ok(self.by_name(|name| regex.is_match(name)));
        }
        let known = self.hosts.keys().chain(self.groups.keys());
        let hint = did_you_mean(text, known.map(String::as_str));
        Err((
            format!("no host or group is called `{text}`"),
            hint.or_else(|| Some("`kk inventory list` shows what there is".to_owned())),
        ))
    }

    /// The hosts of a group, or one host.
    fn named(&self, name: &str) -> IndexSet<String> {
        if name == "*" {
            return self.named(ALL);
        }
        if self.groups.contains_key(name) {
            return self.hosts_of(name).into_iter().map(str::to_owned).collect();
        }
        IndexSet::from([name.to_owned()])
    }

    /// The hosts of the groups whose name matches, and the hosts whose own name does.
    fn by_name(&self, matches: impl Fn(&str) -> bool) -> IndexSet<String> {
        let mut hosts = IndexSet::new();
        for name in self.groups.keys().filter(|name| matches(name)) {
            hosts.extend(self.named(name));
        }
        hosts.extend(self.hosts.keys().filter(|name| matches(name)).cloned());
        hosts
    }
}

fn part(text: &str, start: usize) -> Option<Part<'_>> {
    let trimmed = text.trim();
    let start = start + (text.len() - text.trim_start().len());
    let (action, rest) = match trimmed.chars().next()? {
        '&' => (Action::Keep, trimmed.get(1..)?),
        '!' => (Action::Remove, trimmed.get(1..)?),
        _ => (Action::Add, trimmed),
    };
    let start = start + (trimmed.len() - rest.len());
    Some(Part {
        action,
        text: rest,
        start,
    })
}

/// An index or a range of a group's hosts.
#[derive(Clone, Copy)]
enum Subscript {
    Index(i64),
    Range(usize, Option<usize>),
}

impl std::fmt::Display for Subscript {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(formatter, "[{index}]"),
            Self::Range(first, Some(last)) => write!(formatter, "[{first}:{last}]"),
            Self::Range(first, None) => write!(formatter, "[{first}:]"),
        }
    }
}

impl Subscript {
    /// What it stands for; `None` where there is nothing at its start.
    fn of(self, hosts: &[String]) -> Option<IndexSet<String>> {
        match self {
            Self::Index(index) => {
                let index = if index < 0 {
                    hosts
                        .len()
                        .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
                } else {
                    usize::try_from(index).ok()?
                };
                Some(IndexSet::from([hosts.get(index)?.clone()]))
            }
            Self::Range(first, last) => {
                let last = last.unwrap_or(usize::MAX).min(hosts.len().checked_sub(1)?);
                let range = hosts.get(first..=last)?;
                (!range.is_empty()).then(|| range.iter().cloned().collect())
            }
        }
    }
}

/// `name[2]`, `name[-1]`, `name[1:3]`, `name[1:]`, `name[:3]`.
fn split_subscript(text: &str) -> Option<(&str, Subscript)> {
    let (base, inner) = text.strip_suffix(']')?.rsplit_once('[')?;
    if base.is_empty() {
        return None;
    }
    let subscript = match inner.split_once([':', '-']) {
        Some((first, last)) if !inner.starts_with('-') => {
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(first) || !is_number(last) || first.is_empty() && last.is_empty() {
                return None;
            }
            let last = match last {
                "" => None,
                last => Some(last.parse().ok()?),
            };
            let first = if first.is_empty() {
                0
            } else {
                first.parse().ok()?
            };
            Subscript::Range(first, last)
        }
        _ => Subscript::Index(inner.parse().ok()?),
    };
    Some((base, subscript))
}

/// A shell's glob as a regular expression for whole names.
fn glob(text: &str) -> Option<Regex> {
    let mut expression = String::from("^(?s:");
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        rest = rest.get(next.len_utf8()..)?;
        match next {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                let (set, after) = rest.split_once(']')?;
                let (negation, set) = match set.strip_prefix('!') {
                    Some(set) => ("^", set),
                    None => ("", set),
                };
                if set.is_empty() {
                    return None;
                }
                let escaped: String = set
                    .chars()
                    .flat_map(|character| {
                        let escape = !character.is_alphanumeric() && character != '-';
                        escape.then_some('\\').into_iter().chain([character])
                    })
                    .collect();
                expression.push_str(&format!("[{negation}{escaped}]"));
                rest = after;
            }
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push_str(")$");
    Regex::new(&expression).ok()
}
