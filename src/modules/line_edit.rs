//! Where a line or a block goes in a text. Pure.

use crate::python_regex::{Captures, Flags, PythonRegex as Regex};

/// `insertafter` or `insertbefore`, as Ansible has them.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// At the end.
    End,
    /// At the beginning.
    Beginning,
    /// After a line that matches, else at the end.
    After(Regex),
    /// Before a line that matches, else at the end.
    Before(Regex),
}

impl Place {
    /// From the two arguments, of which at most one is given.
    pub(super) fn new(after: Option<&str>, before: Option<&str>) -> Result<Self, String> {
        match (after, before) {
            (Some(_), Some(_)) => {
                Err("`insertafter` and `insertbefore` exclude each other".to_owned())
            }
            (None | Some("EOF"), None) => Ok(Self::End),
            (None, Some("BOF")) | (Some("BOF"), None) => Ok(Self::Beginning),
            (Some(pattern), None) => expression(pattern).map(Self::After),
            (None, Some(pattern)) => expression(pattern).map(Self::Before),
        }
    }

    /// The index at which a block goes in: an expression with `(?m)` is looked for in the whole text.
    fn index_in(&self, text: &str, lines: &[String]) -> usize {
        let breaks = |end: usize| text.get(..end).map_or(0, |text| text.matches('\n').count());
        let found = match self {
            Self::After(pattern) if is_multi_line(pattern) => pattern
                .first(text)
                .and_then(|found| found.get(0))
                .map(|found| breaks(found.end()) + 1),
            Self::Before(pattern) if is_multi_line(pattern) => pattern
                .first(text)
                .and_then(|found| found.get(0))
                .map(|found| breaks(found.start())),
            _ => return self.index(lines, false),
        };
        found.unwrap_or(lines.len()).min(lines.len())
    }

    /// The index at which new lines go in: by the last line that matches, or by the first.
    fn index(&self, lines: &[String], first: bool) -> usize {
        let find = |pattern: &Regex| {
            let is_match = |line: &String| pattern.is_match(bare(line));
            if first {
                lines.iter().position(is_match)
            } else {
                lines.iter().rposition(is_match)
            }
        };
        match self {
            Self::End => lines.len(),
            Self::Beginning => 0,
            Self::After(pattern) => find(pattern).map_or(lines.len(), |index| index + 1),
            Self::Before(pattern) => find(pattern).unwrap_or(lines.len()),
        }
    }
}

/// Whether an expression begins with the flag that lets it match over several lines: `(?m)`.
fn is_multi_line(pattern: &Regex) -> bool {
    let flags = pattern.as_str().strip_prefix("(?");
    flags.is_some_and(|rest| {
        let letters = rest.split(|c: char| !c.is_ascii_alphabetic()).next();
        letters.is_some_and(|letters| letters.contains('m'))
    })
}

/// A regular expression of the user's, or why it is none.
pub(super) fn expression(pattern: &str) -> Result<Regex, String> {
    expression_with(pattern, "")
}

/// The same with flags such as `m`.
pub(super) fn expression_with(pattern: &str, flags: &str) -> Result<Regex, String> {
    let flags = Flags {
        multi_line: flags.contains('m'),
        dot_all: flags.contains('s'),
        ignore_case: false,
    };
    Regex::new(pattern, flags)
}

/// What `\1`, `\g<name>` and the like in a replacement stand for, as in Python.
pub(super) fn expanded(template: &str, found: &Captures<'_>) -> String {
    let group = |name: &str| {
        let group = match name.parse::<usize>() {
            Ok(number) => found.get(number),
            Err(_) => found.name(name),
        };
        group.map_or("", |group| group.as_str()).to_owned()
    };
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(index) = rest.find('\\') {
        let (before, after) = rest.split_at(index);
        text.push_str(before);
        let mut letters = after.chars().skip(1);
        let Some(letter) = letters.next() else {
            text.push('\\');
            return text;
        };
        let mut used = 1 + letter.len_utf8();
        match letter {
            '1'..='9' => {
                let more = letters.next().filter(char::is_ascii_digit);
                let mut name = letter.to_string();
                if let Some(more) = more {
                    name.push(more);
                    used += 1;
                }
                text.push_str(&group(&name));
            }
            'g' if after.starts_with("\\g<") => match after.find('>') {
                Some(end) => {
                    text.push_str(&group(after.get(3..end).unwrap_or_default()));
                    used = end + 1;
                }
                None => text.push_str("\\g"),
            },
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '\\' => text.push('\\'),
            other => text.extend(['\\', other]),
        }
        rest = after.get(used..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// The lines of a text, each with its end.
pub(super) fn lines_of(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// A line without its end.
fn bare(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// By what a line is found.
#[derive(Debug, Clone, Default)]
pub(super) struct Finder {
    /// A regular expression.
    pub(super) pattern: Option<Regex>,
    /// A text that is in it.
    pub(super) text: Option<String>,
}

impl Finder {
    /// Whether there is anything to find by.
    pub(super) fn is_given(&self) -> bool {
        self.pattern.is_some() || self.text.is_some()
    }

    fn finds(&self, line: &str) -> bool {
        match (&self.pattern, &self.text) {
            (Some(pattern), _) => pattern.is_match(bare(line)),
            (None, Some(text)) => line.contains(text.as_str()),
            (None, None) => false,
        }
    }
}

/// How a line goes into a text.
#[derive(Debug, Clone)]
pub(super) struct WantedLine {
    pub(super) line: String,
    pub(super) finder: Finder,
    pub(super) place: Place,
    /// The first line that matches counts, not the last.
    pub(super) first: bool,
    /// Groups of the expression go into the line, and nothing is done when it matches nowhere.
    pub(super) back_references: bool,
}

impl WantedLine {
    /// The text with the line, and Ansible's words for what was done.
    pub(super) fn put_into(&self, text: &str) -> (String, &'static str) {
        let mut lines = lines_of(text);
        let finds = |line: &String| self.finder.finds(line);
        let matching = if self.first {
            lines.iter().position(finds)
        } else {
            lines.iter().rposition(finds)
        };
        let index = matching.or_else(|| lines.iter().rposition(|old| bare(old) == self.line));
        if let Some(old) = index.and_then(|index| lines.get_mut(index)) {
            let mut new = match (&self.finder.pattern, matching) {
                (Some(pattern), Some(_)) if self.back_references => pattern
                    .first(bare(old))
                    .map_or_else(|| self.line.clone(), |found| expanded(&self.line, &found)),
                _ => self.line.clone(),
            };
            if bare(old) == new && (old.ends_with('\n') || matching.is_none()) {
                return (text.to_owned(), "");
            }
            if !new.ends_with('\n') {
                new.push('\n');
            }
            *old = new;
            return (lines.concat(), "line replaced");
        }
        if self.back_references {
            return (text.to_owned(), "");
        }
        let index = self.place.index(&lines, self.first);
        insert(&mut lines, index, vec![format!("{}\n", self.line)]);
        (lines.concat(), "line added")
    }

    /// The text without the lines that are found, or, with nothing to find by, that are this one; and how many.
    pub(super) fn take_out_of(&self, text: &str) -> (String, usize) {
        let lines = lines_of(text);
        let is_wanted = |old: &&String| {
            if self.finder.is_given() {
                !self.finder.finds(old)
            } else {
                bare(old) != self.line
            }
        };
        let kept: Vec<&String> = lines.iter().filter(is_wanted).collect();
        let count = lines.len() - kept.len();
        let text = kept.into_iter().map(String::as_str).collect();
        (text, count)
    }
}

/// Puts lines in, after making sure that the one before them has an end.
fn insert(lines: &mut Vec<String>, index: usize, new: Vec<String>) {
    let index = index.min(lines.len());
    if let Some(before) = index.checked_sub(1).and_then(|index| lines.get_mut(index))
        && !before.ends_with('\n')
    {
        before.push('\n');
    }
    lines.splice(index..index, new);
}

/// A block between its marker lines.
#[derive(Debug, Clone)]
pub(super) struct WantedBlock {
    /// Its lines; nothing takes the markers out too.
    pub(super) block: String,
    pub(super) begin: String,
    pub(super) end: String,
    /// Where it goes when it is new.
    pub(super) place: Place,
    /// An empty line goes before it, or after it.
    pub(super) blank_before: bool,
    pub(super) blank_after: bool,
}

impl WantedBlock {
    /// A block that is to go.
    pub(super) fn gone(begin: String, end: String) -> Self {
        Self {
            block: String::new(),
            begin,
            end,
            place: Place::End,
            blank_before: false,
            blank_after: false,
        }
    }

    /// Where the block is now: its first and last line.
    fn found(&self, lines: &[String]) -> Option<(usize, usize)> {
        let last = |mark: &str| {
            lines
                .iter()
                .rposition(|line| line.strip_suffix('\n') == Some(mark))
        };
        let (begin, end) = (last(&self.begin)?, last(&self.end)?);
        Some((begin.min(end), begin.max(end)))
    }

    /// Whether a text has the block.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.found(&lines_of(text)).is_some()
    }

    /// The text with the block where it is now, else where its place says.
    pub(super) fn put_into(&self, text: &str) -> String {
        let mut lines = lines_of(text);
        let mut index = match self.found(&lines) {
            Some((begin, end)) => {
                lines.drain(begin..=end);
                begin
            }
            None if self.block.is_empty() => return text.to_owned(),
            None => self.place.index_in(text, &lines),
        };
        if self.block.is_empty() {
            return lines.concat();
        }
        let is_blank = |line: Option<&String>| line.is_none_or(|line| line == "\n");
        if self.blank_before
            && let Some(before) = index.checked_sub(1)
            && !is_blank(lines.get(before))
        {
            insert(&mut lines, index, vec!["\n".to_owned()]);
            index += 1;
        }
        let mut new = vec![format!("{}\n", self.begin)];
        new.extend(lines_of(&self.block));
        if let Some(last) = new.last_mut()
            && !last.ends_with('\n')
        {
            last.push('\n');
        }
        new.push(format!("{}\n", self.end));
        let after = index + new.len();
        insert(&mut lines, index, new);
        if self.blank_after && after < lines.len() && !is_blank(lines.get(after)) {
            lines.insert(after, "\n".to_owned());
        }
        lines.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(
        line: &str,
        pattern: Option<&str>,
        after: Option<&str>,
        before: Option<&str>,
    ) -> WantedLine {
        WantedLine {
            line: line.to_owned(),
            finder: Finder {
                pattern: pattern.map(|pattern| expression(pattern).unwrap()),
                text: None,
            },
            place: Place::new(after, before).unwrap(),
            first: false,
            back_references: false,
        }
    }

    fn block(text: &str) -> WantedBlock {
        WantedBlock {
            block: text.to_owned(),
            ..WantedBlock::gone("# BEGIN".into(), "# END".into())
        }
    }

    #[test]
    fn a_line_replaces_the_last_match_or_goes_where_it_is_told() {
        let port = wanted("PORT=2", Some("^PORT="), None, None);
        for (old, new, said) in [
            ("a\nPORT=1\n", "a\nPORT=2\n", "line replaced"),
            ("PORT=1\nPORT=0", "PORT=1\nPORT=2\n", "line replaced"),
            ("a", "a\nPORT=2\n", "line added"),
            ("PORT=2\n", "PORT=2\n", ""),
        ] {
            assert_eq!(port.put_into(old), (new.to_owned(), said), "{old:?}");
        }
        let into = |wanted: WantedLine, text: &str| wanted.put_into(text).0;
        assert_eq!(
            into(wanted("x", None, Some("^a"), None), "a\nb\na\nc\n"),
            "a\nb\na\nx\nc\n"
        );
        let first = WantedLine {
            first: true,
            ..wanted("x", None, Some("^a"), None)
        };
        assert_eq!(first.put_into("a\nb\na\nc\n").0, "a\nx\nb\na\nc\n");
        assert_eq!(
            into(wanted("x", None, None, Some("^b")), "a\nb\n"),
            "a\nx\nb\n"
        );
        assert_eq!(into(wanted("x", None, None, Some("BOF")), "a\n"), "x\na\n");
        assert_eq!(
            into(wanted("a", None, None, None), "a\r\nb\r\n"),
            "a\r\nb\r\n"
        );
        assert_eq!(into(wanted("b", None, None, None), "a\r\n"), "a\r\nb\n");
        assert_eq!(
            wanted("a", None, None, None).take_out_of("a\nb\na\n"),
            ("b\n".into(), 2)
        );
        assert_eq!(
            wanted("b", None, None, None).take_out_of("a"),
            ("a".into(), 0)
        );
    }

    #[test]
    fn groups_go_into_the_line() {
        let wanted = WantedLine {
            back_references: true,
            ..wanted(
                r"\g<name>=\2 # \\1",
                Some(r"^(?P<name>\w+)=(\d)\d*"),
                None,
                None,
            )
        };
        assert_eq!(wanted.put_into("a=12\n").0, "a=1 # \\1\n");
        assert_eq!(wanted.put_into("nothing\n"), ("nothing\n".into(), ""));
    }

    #[test]
    fn a_block_replaces_itself_and_goes_without_a_trace() {
        let first = block("x\ny").put_into("a\n");
        assert_eq!(first, "a\n# BEGIN\nx\ny\n# END\n");
        assert_eq!(block("z\n").put_into(&first), "a\n# BEGIN\nz\n# END\n");
        assert_eq!(block("").put_into(&first), "a\n");
        // Half a block is none, as in Ansible.
        assert_eq!(
            block("x").put_into("a\n# BEGIN\nb\n"),
            "a\n# BEGIN\nb\n# BEGIN\nx\n# END\n"
        );
        let airy = WantedBlock {
            blank_before: true,
            blank_after: true,
            place: Place::new(Some("a"), None).unwrap(),
            ..block("x")
        };
        let once = airy.put_into("a\nb\n");
        assert_eq!(once, "a\n\n# BEGIN\nx\n# END\n\nb\n");
        assert_eq!(airy.put_into(&once), once);
    }

    proptest! {
        #[test]
        fn doing_it_twice_is_doing_it_once(
            text in "([a-c#= ]{0,4}\n?){0,6}",
            line in "[a-c=]{1,4}",
            after in proptest::option::of("[a-c]"),
            with_pattern in any::<bool>(),
        ) {
            let pattern = with_pattern.then(|| format!("^{}", regex::escape(&line)));
            let wanted = wanted(&line, pattern.as_deref(), after.as_deref(), None);
            let once = wanted.put_into(&text).0;
            prop_assert_eq!(&wanted.put_into(&once).0, &once);
            prop_assert!(once.lines().any(|l| l == line));
            let plain = WantedLine { finder: Finder::default(), ..wanted };
            let (gone, _) = plain.take_out_of(&once);
            prop_assert!(!gone.lines().any(|l| l == line));
            prop_assert_eq!(plain.take_out_of(&gone), (gone.clone(), 0));
            let with = WantedBlock { place: plain.place.clone(), ..block(&line) };
            let once = with.put_into(&text);
            prop_assert_eq!(with.put_into(&once), once);
        }

        #[test]
        fn a_block_that_went_leaves_the_lines_that_were(
            text in "([a-c]{0,4}\n){0,6}",
            content in "[a-c]{1,4}(\n[a-c]{0,3}){0,3}",
        ) {
            let with = block(&content).put_into(&text);
            prop_assert_eq!(block("").put_into(&with), text);
        }
    }
}
