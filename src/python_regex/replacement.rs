//! What goes in a match's place: `\1`, `\g<name>`, `\n`.

use super::{Captures, PythonRegex};

/// A template of Python's `re.sub`.
#[derive(Debug, Clone)]
pub struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads a template; its groups must be in the expression.
    pub fn new(template: &str, regex: &PythonRegex) -> Result<Self, String> {
        let mut reader = Reader {
            regex,
            parts: Vec::new(),
        };
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('\\') {
            reader.text(literal);
            rest = reader.escape(after, template)?;
        }
        reader.text(rest);
        Ok(Self {
            parts: reader.parts,
        })
    }

    /// A text that is meant as it is.
    pub fn literal(text: &str) -> Self {
        Self {
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// Writes it for one match; a group that did not take part is nothing.
    pub fn expand(&self, captures: &Captures<'_>, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(number) => {
                    out.push_str(captures.get(*number).map_or("", |group| group.as_str()));
                }
            }
        }
    }
}

struct Reader<'a> {
    regex: &'a PythonRegex,
    parts: Vec<Part>,
}

impl Reader<'_> {
    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    fn group(&mut self, number: usize, template: &str) -> Result<(), String> {
        if number > self.regex.groups() {
            return Err(format!(
                "`{template}` names group {number}, which is not in the expression"
            ));
        }
        self.parts.push(Part::Group(number));
        Ok(())
    }

    /// What comes after a backslash; gives the rest.
    fn escape<'t>(&mut self, after: &'t str, template: &str) -> Result<&'t str, String> {
        let bad =
            || format!("`{template}` is no replacement: a backslash before nothing that it knows");
        let mut characters = after.chars();
        let Some(character) = characters.next() else {
            return Err(bad());
        };
        let rest = characters.as_str();
        match character {
            'g' => {
                let (name, rest) = rest
                    .strip_prefix('<')
                    .and_then(|rest| rest.split_once('>'))
                    .ok_or_else(bad)?;
                let number = match name.parse() {
                    Ok(number) => number,
                    Err(_) => self.regex.group_called(name).ok_or_else(|| {
                        format!("`{template}` names the group `{name}`, which is not there")
                    })?,
                };
                self.group(number, template)?;
                return Ok(rest);
            }
            '0' => {
                let digits = octal(rest, 2);
                self.octal(rest.get(..digits).unwrap_or_default());
                return Ok(rest.get(digits..).unwrap_or_default());
            }
            '1'..='9' => {
                // Three octal digits are a character.
                if ('1'..='3').contains(&character) && octal(rest, 2) == 2 {
                    self.octal(after.get(..3).unwrap_or_default());
                    return Ok(after.get(3..).unwrap_or_default());
                }
                let length = 1 + usize::from(rest.starts_with(|next: char| next.is_ascii_digit()));
                let (digits, rest) = after.split_at(length);
                self.group(digits.parse().unwrap_or_default(), template)?;
                return Ok(rest);
            }
            'n' => self.text("\n"),
            't' => self.text("\t"),
            'r' => self.text("\r"),
            'a' => self.text("\u{7}"),
            'b' => self.text("\u{8}"),
            'f' => self.text("\u{c}"),
            'v' => self.text("\u{b}"),
            '\\' => self.text("\\"),
            letter if letter.is_ascii_alphabetic() => return Err(bad()),
            other => {
                self.text("\\");
                self.text(other.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(rest)
    }

    fn octal(&mut self, digits: &str) {
        let code = u32::from_str_radix(digits, 8).unwrap_or_default();
        let character = char::from_u32(code).unwrap_or_default();
        self.text(character.encode_utf8(&mut [0; 4]));
    }
}

fn octal(text: &str, most: usize) -> usize {
    text.bytes()
        .take(most)
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count()
}
