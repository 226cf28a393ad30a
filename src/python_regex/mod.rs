//! Python's regular expressions, for filters, tests and modules whose users write them.
//!
//! The engine behind is fancy-regex, which knows look-around and back-references; [`translate`] rewrites what Python
//! writes differently. This room knows texts and nothing else.

mod replacement;
mod translate;

use fancy_regex::RegexBuilder;

pub use replacement::Replacement;

/// What one match found: its groups.
pub type Captures<'t> = fancy_regex::Captures<'t, str>;

/// What one group found.
pub type Match<'t> = fancy_regex::Match<'t>;

/// How often an expression may go back before it is given up: a nested repetition takes for ever.
const BACKTRACK_LIMIT: usize = 2_000_000;

/// Python's flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// `re.I`.
    pub ignore_case: bool,
    /// `re.M`: `^` and `$` match at every line.
    pub multi_line: bool,
    /// `re.S`: `.` matches a line break too.
    pub dot_all: bool,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct PythonRegex {
    /// As it was written.
    pattern: String,
    regex: fancy_regex::Regex,
}

impl std::fmt::Display for PythonRegex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.pattern)
    }
}

impl PythonRegex {
    /// Compiles what a user wrote; the error says what is wrong with it.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{pattern}` is no regular expression: {reason}");
        let translated = translate::translate(pattern, flags).map_err(|reason| wrong(&reason))?;
        RegexBuilder::new(&translated)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_all)
            .backtrack_limit(BACKTRACK_LIMIT)
            .build()
            .map(|regex| Self {
                pattern: pattern.to_owned(),
                regex,
            })
            .map_err(|error| wrong(&reason(&error)))
    }

    /// `search`: the first match anywhere.
    pub fn search<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, String> {
        self.regex.captures(text).map_err(|error| error.to_string())
    }

    /// The first match; an expression that takes too long matches nothing.
    pub fn first<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.search(text).ok().flatten()
    }

    /// Whether it matches anywhere; an expression that takes too long matches nothing.
    pub fn is_match(&self, text: &str) -> bool {
        self.first(text).is_some()
    }

    /// `match`: a match at the start.
    pub fn match_start<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, String> {
        let anchored = fancy_regex::RegexInput::new(text).anchored(true);
        self.regex
            .captures_input(anchored)
            .map_err(|error| error.to_string())
    }

    /// `finditer`: all matches, at most `limit` of them where it is given. Unlike Rust's, an empty match may follow
    /// another one at once.
    pub fn find_all<'t>(
        &self,
        text: &'t str,
        limit: Option<usize>,
    ) -> Result<Vec<Captures<'t>>, String> {
        let mut all: Vec<Captures<'t>> = Vec::new();
        let mut position = 0;
        while position <= text.len() && limit.is_none_or(|limit| all.len() < limit) {
            let found = self
                .regex
                .captures_from_pos(text, position)
                .map_err(|error| error.to_string())?;
            let Some((found, range)) = found.and_then(|found| {
                found
                    .get(0)
                    .map(|whole| whole.range())
                    .map(|range| (found, range))
            }) else {
                break;
            };
            position = if range.is_empty() {
                let next = text.get(range.end..).and_then(|rest| rest.chars().next());
                range.end + next.map_or(1, char::len_utf8)
            } else {
                range.end
            };
            all.push(found);
        }
        Ok(all)
    }

    /// `subn`: the text with matches replaced, at most `limit` of them where it is given, and how many there were.
    pub fn replace(
        &self,
        text: &str,
        with: &Replacement,
        limit: Option<usize>,
    ) -> Result<(String, usize), String> {
        let found = self.find_all(text, limit)?;
        let new = spliced(text, &found, |captures, new| with.expand(captures, new));
        Ok((new, found.len()))
    }

    /// The text with every match replaced by what is written for it; an expression that takes too long matches nothing.
    pub fn replace_with(
        &self,
        text: &str,
        write: impl FnMut(&Captures<'_>, &mut String),
    ) -> String {
        spliced(text, &self.find_all(text, None).unwrap_or_default(), write)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// The names of groups that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }

    /// How many groups there are, the whole match not counted.
    pub fn groups(&self) -> usize {
        self.regex.captures_len().saturating_sub(1)
    }

    /// The number of the group with that name.
    pub fn group_called(&self, name: &str) -> Option<usize> {
        self.regex
            .capture_names()
            .position(|other| other == Some(name))
    }
}

fn spliced(
    text: &str,
    found: &[Captures<'_>],
    mut write: impl FnMut(&Captures<'_>, &mut String),
) -> String {
    let mut new = String::with_capacity(text.len());
    let mut position = 0;
    for captures in found {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        new.push_str(text.get(position..whole.start()).unwrap_or_default());
        write(captures, &mut new);
        position = whole.end();
    }
    new.push_str(text.get(position..).unwrap_or_default());
    new
}

/// Why an expression is none, in one line and without the engine's own preamble.
fn reason(error: &fancy_regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = match line.split_once(": ") {
        Some((start, rest)) if start.starts_with("Parsing error at") => rest,
        _ => line,
    };
    let mut characters = line.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

/// `re.escape`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests;
