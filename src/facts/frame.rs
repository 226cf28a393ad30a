//! The script's answer, cut into its sections.

use std::collections::BTreeMap;

/// What a section's heading begins with, on a line of its own.
const MARK: &str = "=kk= ";

/// Sections of an answer in the order they came; a name may come more than once.
pub(super) struct Frames<'a> {
    sections: Vec<(&'a str, &'a str)>,
}

impl<'a> Frames<'a> {
    /// Cuts an answer; whatever comes before the first heading (a greeting of the login shell) is dropped.
    pub(super) fn new(text: &'a str) -> Self {
        let mut sections = Vec::new();
        let mut current: Option<(&str, usize)> = None;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if let Some(name) = line.strip_prefix(MARK) {
                if let Some((name, start)) = current {
                    sections.push((name, body(text, start, offset)));
                }
                current = Some((name.trim_end(), offset + line.len()));
            }
            offset += line.len();
        }
        if let Some((name, start)) = current {
            sections.push((name, body(text, start, text.len())));
        }
        Self { sections }
    }

    /// Whether a section came at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|(found, _)| *found == name)
    }

    /// The text of the first section of this name; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// The texts of all sections of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.sections
            .iter()
            .filter(move |(found, _)| *found == name)
            .map(|(_, text)| *text)
    }

    /// The lines of the first section of this name, empty ones left out.
    pub(super) fn lines(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.text(name)
            .lines()
            .filter(|line| !line.trim().is_empty())
    }

    /// The `key=value` lines of the first section of this name.
    pub(super) fn values(&self, name: &str) -> BTreeMap<&'a str, &'a str> {
        values(self.text(name))
    }
}

/// The `key=value` lines of a text; those with an empty value are left out.
pub(super) fn values(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key, value.trim()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn body(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end)
        .unwrap_or_default()
        .trim_end_matches('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_headings_and_drops_a_greeting() {
        let frames = Frames::new("Welcome!\n=kk= a\nx=1\ny=\nno newline\n=kk= b\n\n=kk= a\nz\n");
        assert_eq!(frames.text("a"), "x=1\ny=\nno newline");
        assert_eq!(frames.text("b"), "");
        assert!(frames.has("b") && !frames.has("c"));
        assert_eq!(frames.all("a").count(), 2);
        assert_eq!(frames.values("a"), BTreeMap::from([("x", "1")]));
    }
}
