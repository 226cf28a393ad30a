//! Where a line or a block goes in a text. Pure.

use regex::Regex;

/// `insertafter` or `insertbefore`, as Ansible has them.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// At the end.
    End,
    /// At the beginning.
    Beginning,
    /// After the last line that matches, else at the end.
    After(Regex),
    /// Before the last line that matches, else at the end.
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
            (None, Some("BOF")) => Ok(Self::Beginning),
            (Some(pattern), None) => expression(pattern).map(Self::After),
            (None, Some(pattern)) => expression(pattern).map(Self::Before),
        }
    }

    /// The index at which new lines go in.
    pub(super) fn index(&self, lines: &[String]) -> usize {
        match self {
            Self::End => lines.len(),
            Self::Beginning => 0,
            Self::After(pattern) => lines
                .iter()
                .rposition(|line| pattern.is_match(line))
                .map_or(lines.len(), |index| index + 1),
            Self::Before(pattern) => lines
                .iter()
                .rposition(|line| pattern.is_match(line))
                .unwrap_or(lines.len()),
        }
    }
}

/// A regular expression of the user's, or why it is none.
pub(super) fn expression(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        format!("`{pattern}` is no regular expression: {reason}")
    })
}

/// The lines of a text, without their line feeds; a carriage return before one stays.
pub(super) fn lines_of(text: &str) -> Vec<String> {
    text.split_terminator('\n').map(str::to_owned).collect()
}

/// Whether a line of a text is this one, whatever its end.
fn is_line(old: &str, line: &str) -> bool {
    old.strip_suffix('\r').unwrap_or(old) == line
}

/// Lines as a text that ends with a line break; nothing for no lines.
pub(super) fn text_of(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The text with a line: in place of the last one that matches, else once where `place` says.
pub(super) fn with_line(text: &str, line: &str, pattern: Option<&Regex>, place: &Place) -> String {
    let mut lines = lines_of(text);
    let matching = pattern.and_then(|pattern| lines.iter().rposition(|old| pattern.is_match(old)));
    match matching {
        Some(index) => {
            if let Some(old) = lines.get_mut(index) {
                line.clone_into(old);
            }
        }
        None if lines.iter().any(|old| is_line(old, line)) => return text.to_owned(),
        None => lines.insert(place.index(&lines), line.to_owned()),
    }
    text_of(&lines)
}

/// The text without the lines that match, or, without an expression, that are this one.
pub(super) fn without_line(text: &str, line: Option<&str>, pattern: Option<&Regex>) -> String {
    let is_wanted = |old: &String| match pattern {
        Some(pattern) => !pattern.is_match(old),
        None => !line.is_some_and(|line| is_line(old, line)),
    };
    let lines = lines_of(text);
    if lines.iter().all(is_wanted) {
        return text.to_owned();
    }
    text_of(&lines.into_iter().filter(is_wanted).collect::<Vec<_>>())
}

/// The text with the block between its marker lines: where it is now, else where `place` says; an empty block takes
/// the markers out too. When the end marker is missing, only the begin marker counts as the old block.
pub(super) fn with_block(text: &str, block: &str, begin: &str, end: &str, place: &Place) -> String {
    let old = lines_of(text);
    let start = old.iter().position(|line| is_line(line, begin));
    let stop = start.and_then(|start| {
        old.iter()
            .enumerate()
            .skip(start + 1)
            .find(|(_, line)| is_line(line, end))
            .map(|(index, _)| index)
    });
    let mut lines = old.clone();
    let index = match (start, stop) {
        (Some(start), Some(stop)) => {
            lines.drain(start..=stop);
            Some(start)
        }
        (Some(start), None) => {
            lines.remove(start);
            Some(start)
        }
        (None, _) => None,
    };
    if !block.is_empty() {
        let index = index
            .unwrap_or_else(|| place.index(&lines))
            .min(lines.len());
        let mut new = vec![begin.to_owned()];
        new.extend(block.lines().map(str::to_owned));
        new.push(end.to_owned());
        lines.splice(index..index, new);
    }
    if lines == old {
        text.to_owned()
    } else {
        text_of(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(after: Option<&str>, before: Option<&str>) -> Place {
        Place::new(after, before).unwrap()
    }

    #[test]
    fn a_line_replaces_the_last_match_or_goes_where_it_is_told() {
        let end = place(None, None);
        let pattern = expression("^PORT=").unwrap();
        assert_eq!(
            with_line("a\nPORT=1\n", "PORT=2", Some(&pattern), &end),
            "a\nPORT=2\n"
        );
        assert_eq!(
            with_line("a", "PORT=2", Some(&pattern), &end),
            "a\nPORT=2\n"
        );
        let after = place(Some("^a"), None);
        assert_eq!(
            with_line("a\nb\na\nc\n", "x", None, &after),
            "a\nb\na\nx\nc\n"
        );
        let before = place(None, Some("^b"));
        assert_eq!(with_line("a\nb\n", "x", None, &before), "a\nx\nb\n");
        assert_eq!(
            with_line("a\n", "x", None, &place(None, Some("BOF"))),
            "x\na\n"
        );
        assert_eq!(without_line("a\nb\na\n", Some("a"), None), "b\n");
        assert_eq!(without_line("a", Some("b"), None), "a");
        assert_eq!(with_line("a\r\nb\r\n", "a", None, &end), "a\r\nb\r\n");
        assert_eq!(with_line("a\r\n", "b", None, &end), "a\r\nb\n");
    }

    #[test]
    fn a_block_replaces_itself_and_goes_without_a_trace() {
        let end = place(None, None);
        let (begin, stop) = ("# BEGIN", "# END");
        let first = with_block("a\n", "x\ny", begin, stop, &end);
        assert_eq!(first, "a\n# BEGIN\nx\ny\n# END\n");
        assert_eq!(
            with_block(&first, "z\n", begin, stop, &end),
            "a\n# BEGIN\nz\n# END\n"
        );
        assert_eq!(with_block(&first, "", begin, stop, &end), "a\n");
        assert_eq!(
            with_block("a\n# BEGIN\nb\n", "x", begin, stop, &end),
            "a\n# BEGIN\nx\n# END\nb\n"
        );
    }

    proptest! {
        #[test]
        fn doing_it_twice_is_doing_it_once(
            text in "([a-c#= ]{0,4}\n?){0,6}",
            line in "[a-c=]{1,4}",
            after in proptest::option::of("[a-c]"),
            with_pattern in any::<bool>(),
        ) {
            let place = Place::new(after.as_deref(), None).unwrap();
            let pattern = with_pattern.then(|| Regex::new(&format!("^{}", regex::escape(&line))).unwrap());
            let once = with_line(&text, &line, pattern.as_ref(), &place);
            prop_assert_eq!(&with_line(&once, &line, pattern.as_ref(), &place), &once);
            prop_assert!(once.lines().any(|l| l == line));
            let gone = without_line(&once, Some(&line), None);
            prop_assert!(!gone.lines().any(|l| l == line));
            prop_assert_eq!(&without_line(&gone, Some(&line), None), &gone);
            let block = with_block(&text, &line, "#B", "#E", &place);
            prop_assert_eq!(&with_block(&block, &line, "#B", "#E", &place), &block);
        }

        #[test]
        fn a_block_that_went_leaves_the_lines_that_were(
            text in "([a-c]{0,4}\n){0,6}",
            block in "[a-c]{1,4}(\n[a-c]{0,3}){0,3}",
        ) {
            let place = Place::End;
            let with = with_block(&text, &block, "#B", "#E", &place);
            prop_assert_eq!(with_block(&with, "", "#B", "#E", &place), text);
        }
    }
}
