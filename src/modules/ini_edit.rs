//! An option of a section in the text of a file. Pure.

/// What a file should hold, or hold no more.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) section: Option<String>,
    pub(super) option: Option<String>,
    pub(super) values: Vec<String>,
    /// Other lines of the option go.
    pub(super) exclusive: bool,
    pub(super) is_present: bool,
    /// No blanks around the sign.
    pub(super) narrow: bool,
    pub(super) ignore_spaces: bool,
    pub(super) allow_no_value: bool,
    /// A line behind `#` or `;` counts as the option's.
    pub(super) takes_comments: bool,
}

/// A line that gives an option: whether it is behind a comment's sign, and the value, if there is one.
struct Line<'a> {
    is_comment: bool,
    value: Option<&'a str>,
}

/// What a line says about an option, if it does.
fn read<'a>(line: &'a str, option: &str) -> Option<Line<'a>> {
    let text = line.trim();
    let active = text.trim_start_matches(['#', ';', ' ', '\t']);
    let is_comment = text.starts_with(['#', ';']);
    let rest = active.strip_prefix(option)?.trim_start();
    match rest.strip_prefix('=') {
        Some(value) => Some(Line {
            is_comment,
            value: Some(value.trim()),
        }),
        None if rest.is_empty() => Some(Line {
            is_comment,
            value: None,
        }),
        None => None,
    }
}

impl Wanted {
    /// The text with what is wanted, and Ansible's words for what was done.
    pub(super) fn put_into(&self, text: &str) -> (String, &'static str) {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        if let Some(last) = lines.last_mut()
            && !last.ends_with('\n')
        {
            last.push('\n');
        }
        let before = lines.clone();
        let said = self.edit(&mut lines);
        if lines == before {
            return (text.to_owned(), "OK");
        }
        (lines.concat(), said)
    }

    fn edit(&self, lines: &mut Vec<String>) -> &'static str {
        let section = self.find_section(lines);
        let Some(option) = &self.option else {
            return match (section, self.is_present) {
                (Some((start, end)), false) => {
                    lines.drain(start.saturating_sub(1)..end);
                    "section removed"
                }
                (None, true) => {
                    self.add_section(lines);
                    "only section added"
                }
                _ => "OK",
            };
        };
        match (section, self.is_present) {
            (Some((start, end)), true) => self.set(lines, start, end, option),
            (None, true) => {
                let end = self.add_section(lines);
                lines.splice(end..end, self.new_lines(option));
                "section and option added"
            }
            (Some((start, end)), false) => self.take_out(lines, start, end, option),
            (None, false) => "OK",
        }
    }

    /// The lines of the section, its header not among them.
    fn find_section(&self, lines: &[String]) -> Option<(usize, usize)> {
        let is_header = |line: &String| line.trim_start().starts_with('[');
        let start = match &self.section {
            None => 0,
            Some(name) => {
                let header = format!("[{name}]");
                lines
                    .iter()
                    .position(|line| line.trim().starts_with(&header))?
                    + 1
            }
        };
        let end = lines
            .iter()
            .skip(start)
            .position(is_header)
            .map_or(lines.len(), |count| start + count);
        Some((start, end))
    }

    /// Adds the section at the end; answers where its lines go.
    fn add_section(&self, lines: &mut Vec<String>) -> usize {
        if let Some(name) = &self.section {
            lines.push(format!("[{name}]\n"));
        }
        lines.len()
    }

    fn new_line(&self, option: &str, value: &str) -> String {
        if self.narrow {
            format!("{option}={value}\n")
        } else {
            format!("{option} = {value}\n")
        }
    }

    fn new_lines(&self, option: &str) -> Vec<String> {
        if self.values.is_empty() && self.allow_no_value {
            return vec![format!("{option}\n")];
        }
        self.values
            .iter()
            .map(|value| self.new_line(option, value))
            .collect()
    }

    fn set(&self, lines: &mut Vec<String>, start: usize, end: usize, option: &str) -> &'static str {
        let mut missing = self.new_lines(option);
        let mut taken = vec![false; end - start];
        // What is there already stays as it is.
        for (line, taken) in lines.iter().skip(start).zip(&mut taken) {
            let Some(found) = read(line, option).filter(|found| !found.is_comment) else {
                continue;
            };
            let same = missing.iter().position(|new| {
                new == line
                    || self.ignore_spaces
                        && read(new, option).is_some_and(|new| new.value == found.value)
            });
            if let Some(index) = same {
                missing.remove(index);
                *taken = true;
            }
        }
        let mut said = "option added";
        // Then the lines of the option change, comments too when they may.
        for (index, taken) in taken.iter_mut().enumerate() {
            if missing.is_empty() || *taken {
                continue;
            }
            let Some(line) = lines.get_mut(start + index) else {
                continue;
            };
            let may = match read(line, option) {
                Some(found) if found.is_comment => self.takes_comments,
                Some(_) => self.exclusive,
                None => false,
            };
            if may {
                *line = missing.remove(0);
                *taken = true;
                said = "option changed";
            }
        }
        if self.exclusive {
            let mut index = start;
            for taken in &taken {
                let line = lines.get(index).cloned().unwrap_or_default();
                let is_other = !taken && read(&line, option).is_some_and(|found| !found.is_comment);
                if is_other {
                    lines.remove(index);
                    said = "option changed";
                } else {
                    index += 1;
                }
            }
        }
        if !missing.is_empty() {
            let (_, mut end) = self.find_section(lines).unwrap_or((start, lines.len()));
            // Behind the last line that says something.
            while end > start
                && lines
                    .get(end - 1)
                    .is_some_and(|line| line.trim().is_empty())
            {
                end -= 1;
            }
            lines.splice(end..end, missing);
        }
        said
    }

    fn take_out(
        &self,
        lines: &mut Vec<String>,
        start: usize,
        end: usize,
        option: &str,
    ) -> &'static str {
        let mut said = "OK";
        let mut index = start;
        for _ in start..end {
            let line = lines.get(index).cloned().unwrap_or_default();
            let goes = read(&line, option).is_some_and(|found| {
                let is_wanted = self.exclusive
                    || self.values.is_empty()
                    || found
                        .value
                        .is_some_and(|value| self.values.iter().any(|wanted| wanted == value));
                !found.is_comment && is_wanted
            });
            if goes {
                lines.remove(index);
                said = "option changed";
            } else {
                index += 1;
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(section: Option<&str>, option: &str, values: &[&str]) -> Wanted {
        Wanted {
            section: section.map(str::to_owned),
            option: Some(option.to_owned()),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            exclusive: true,
            is_present: true,
            narrow: false,
            ignore_spaces: false,
            allow_no_value: false,
            takes_comments: true,
        }
    }

    #[test]
    fn options_go_where_they_belong() {
        let text = "top=1\n[a]\nx = 1\n\n[b]\n# y = 2\n";
        for (wanted, new, said) in [
            (wanted(Some("a"), "x", &["1"]), text, "OK"),
            (
                wanted(Some("a"), "x", &["2"]),
                "top=1\n[a]\nx = 2\n\n[b]\n# y = 2\n",
                "option changed",
            ),
            (
                wanted(Some("a"), "z", &["3"]),
                "top=1\n[a]\nx = 1\nz = 3\n\n[b]\n# y = 2\n",
                "option added",
            ),
            (
                wanted(Some("b"), "y", &["2"]),
                "top=1\n[a]\nx = 1\n\n[b]\ny = 2\n",
                "option changed",
            ),
            (
                wanted(Some("c"), "z", &["3"]),
                "top=1\n[a]\nx = 1\n\n[b]\n# y = 2\n[c]\nz = 3\n",
                "section and option added",
            ),
            (
                Wanted {
                    narrow: true,
                    ..wanted(None, "top", &["2"])
                },
                "top=2\n[a]\nx = 1\n\n[b]\n# y = 2\n",
                "option changed",
            ),
            (
                Wanted {
                    is_present: false,
                    ..wanted(Some("a"), "x", &[])
                },
                "top=1\n[a]\n\n[b]\n# y = 2\n",
                "option changed",
            ),
            (
                Wanted {
                    is_present: false,
                    option: None,
                    ..wanted(Some("a"), "", &[])
                },
                "top=1\n[b]\n# y = 2\n",
                "section removed",
            ),
            (
                Wanted {
                    ignore_spaces: true,
                    ..wanted(None, "top", &["1"])
                },
                text,
                "OK",
            ),
            (
                wanted(Some("a"), "x", &["1", "2"]),
                "top=1\n[a]\nx = 1\nx = 2\n\n[b]\n# y = 2\n",
                "option added",
            ),
        ] {
            assert_eq!(wanted.put_into(text), (new.to_owned(), said), "{wanted:?}");
            assert_eq!(wanted.put_into(new).0, new, "{wanted:?} twice");
        }
    }
}
