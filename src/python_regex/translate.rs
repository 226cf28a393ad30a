//! Python's syntax, rewritten where the engine's differs.

use super::Flags;

/// Characters that mean something outside of a class.
const SPECIAL: &str = "\\.+*?()|[]{}^$#&-~ ";

pub(super) fn translate(pattern: &str, flags: Flags) -> Result<String, String> {
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 8),
        multi_line: flags.multi_line,
        verbose: false,
    };
    translator.global_flags()?;
    while let Some(character) = translator.next() {
        translator.one(character)?;
    }
    Ok(translator.out)
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    multi_line: bool,
    verbose: bool,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// `(?im)` at the start, which hold for the whole expression.
    fn global_flags(&mut self) -> Result<(), String> {
        while let Some((letters, rest)) = self
            .rest
            .strip_prefix("(?")
            .and_then(|rest| rest.split_once(')'))
            .filter(|(letters, _)| {
                !letters.is_empty() && letters.chars().all(|c| c.is_ascii_alphabetic())
            })
        {
            let kept = self.letters(letters)?;
            if !kept.is_empty() {
                self.out.push_str(&format!("(?{kept})"));
            }
            self.rest = rest;
        }
        Ok(())
    }

    /// Flags that the engine has too: everything is Unicode already.
    fn letters(&mut self, letters: &str) -> Result<String, String> {
        let mut kept = String::new();
        for letter in letters.chars() {
            match letter {
                'm' => {
                    self.multi_line = true;
                    kept.push('m');
                }
                'x' => {
                    self.verbose = true;
                    kept.push('x');
                }
                'i' | 's' => kept.push(letter),
                'u' | 'a' | 'L' => {}
                other => return Err(format!("there is no flag `{other}`")),
            }
        }
        Ok(kept)
    }

    fn one(&mut self, character: char) -> Result<(), String> {
        match character {
            '\\' => self.escape(false)?,
            '[' => self.class()?,
            '$' if self.multi_line => self.out.push_str("(?m:$)"),
            // Before a line break at the very end as well.
            '$' => self.out.push_str(r"(?=\n?\z)"),
            '{' => match repetition(self.rest) {
                Some((text, length)) => {
                    self.out.push_str(&text);
                    self.skip(length);
                }
                None => self.out.push_str(r"\{"),
            },
            '}' => self.out.push_str(r"\}"),
            '#' if self.verbose => while self.next().is_some_and(|next| next != '\n') {},
            '(' if self.rest.starts_with("?#") => {
                let end = self.rest.find(')').ok_or("a comment has no end")?;
                self.skip(end + 1);
            }
            '(' if self.rest.starts_with("?<")
                && !self.rest.starts_with("?<=")
                && !self.rest.starts_with("?<!") =>
            {
                return Err("a named group is written `(?P<name>…)`".to_owned());
            }
            '(' if self.rest.starts_with('?') => {
                // `(?i:…)` and `(?-i:…)`.
                let letters: String = self
                    .rest
                    .chars()
                    .skip(1)
                    .take_while(|c| c.is_ascii_alphabetic() || *c == '-')
                    .collect();
                let length = 1 + letters.len();
                let ends = self
                    .rest
                    .get(length..)
                    .is_some_and(|rest| rest.starts_with(':'));
                if !letters.is_empty() && ends {
                    let kept: String = letters.chars().filter(|c| !"uaL".contains(*c)).collect();
                    self.out.push_str(&format!("(?{kept}:"));
                    self.skip(length + 1);
                } else {
                    self.out.push('(');
                }
            }
            other => self.out.push(other),
        }
        Ok(())
    }

    /// What comes after a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let character = self.next().ok_or("a backslash at the end")?;
        match character {
            'Z' if !in_class => self.out.push_str(r"\z"),
            'A' | 'B' | 'b' if !in_class => {
                self.out.push('\\');
                self.out.push(character);
            }
            'b' => self.out.push_str(r"\x08"),
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                self.out.push('\\');
                self.out.push(character);
            }
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0' => {
                let digits = octal(self.rest, 2);
                self.octal(digits, "0");
            }
            '1'..='9' => {
                if ('1'..='3').contains(&character) && octal(self.rest, 2) == 2 {
                    self.octal(2, character.encode_utf8(&mut [0; 4]));
                } else if in_class {
                    return Err(format!("`\\{character}` in a class"));
                } else {
                    let mut number = character.to_string();
                    if let Some(digit) = self.rest.chars().next().filter(char::is_ascii_digit) {
                        number.push(digit);
                        self.skip(1);
                    }
                    self.out.push_str(&format!(r"(?:\{number})"));
                }
            }
            letter if letter.is_ascii_alphabetic() => {
                return Err(format!("`\\{letter}` means nothing"));
            }
            other => self.literal(other),
        }
        Ok(())
    }

    fn literal(&mut self, character: char) {
        if SPECIAL.contains(character) {
            self.out.push('\\');
        }
        self.out.push(character);
    }

    fn code(&mut self, digits: usize) -> Result<(), String> {
        let code = self
            .rest
            .get(..digits)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32)
            .ok_or_else(|| format!("{digits} hexadecimal digits are expected"))?;
        self.skip(digits);
        self.out.push_str(&format!(r"\x{{{:x}}}", u32::from(code)));
        Ok(())
    }

    fn octal(&mut self, length: usize, first: &str) {
        let digits = format!("{first}{}", self.rest.get(..length).unwrap_or_default());
        self.skip(length);
        let code = u32::from_str_radix(&digits, 8).unwrap_or_default();
        self.out.push_str(&format!(r"\x{{{code:x}}}"));
    }

    /// `[…]`: what the engine would take for a class in a class or for an operation on classes is plain in Python.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.starts_with('^') {
            self.out.push('^');
            self.skip(1);
        }
        if self.rest.starts_with(']') {
            self.out.push_str(r"\]");
            self.skip(1);
        }
        let mut is_first = true;
        loop {
            match self.next().ok_or("a class has no `]`")? {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '-' if is_first || self.rest.starts_with(']') => self.out.push_str(r"\-"),
                '-' => self.out.push('-'),
                special @ ('[' | '&' | '~' | '^' | '#' | ' ') => {
                    self.out.push('\\');
                    self.out.push(special);
                }
                other => self.out.push(other),
            }
            is_first = false;
        }
    }
}

fn octal(text: &str, most: usize) -> usize {
    text.bytes()
        .take(most)
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count()
}

/// What stands behind `{`, if it is a repetition, and its length: Python reads any other brace as itself.
fn repetition(rest: &str) -> Option<(String, usize)> {
    let (inside, _) = rest.split_once('}')?;
    let length = inside.len() + 1;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None if !inside.is_empty() && is_number(inside) => Some((format!("{{{inside}}}"), length)),
        Some((least, most)) if is_number(least) && is_number(most) => {
            let least = if least.is_empty() { "0" } else { least };
            Some((format!("{{{least},{most}}}"), length))
        }
        _ => None,
    }
}
