//! One line of an ssh_config file as its keyword and its words.

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// In lower case.
    pub(super) keyword: String,
    /// What follows, split as OpenSSH splits it.
    pub(super) words: Vec<String>,
    /// What follows, as it stands there: commands are taken whole.
    pub(super) rest: String,
}

/// Reads one line without its line end. `None` for an empty line or a comment.
pub(super) fn read(line: &str) -> Option<Result<Parsed, String>> {
    let line = line.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    Some(read_line(line))
}

fn read_line(line: &str) -> Result<Parsed, String> {
    let end = line.find([' ', '\t', '=', '"']).unwrap_or(line.len());
    let (keyword, after) = line.split_at(end);
    if keyword.is_empty() || after.starts_with('"') {
        return Err("a line begins with a keyword, without quotes".to_owned());
    }
    let after = after.trim_start_matches([' ', '\t']);
    let rest = after
        .strip_prefix('=')
        .unwrap_or(after)
        .trim_start_matches([' ', '\t']);
    if rest.is_empty() {
        return Err(format!("`{keyword}` has no value"));
    }
    Ok(Parsed {
        keyword: keyword.to_ascii_lowercase(),
        words: split(rest)?,
        rest: rest.to_owned(),
    })
}

/// Words between blanks; quotes of both kinds keep them together, a `#` at the beginning of a word ends the line.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters
            .next_if(|character| matches!(character, ' ' | '\t'))
            .is_some()
        {}
        match characters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(character) = characters.next() {
            match (character, quote) {
                ('\\', _) => {
                    let escaped = characters.next_if(|next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(character),
                (_, Some(open)) if character == open => quote = None,
                _ => word.push(character),
            }
        }
        if quote.is_some() {
            return Err("a quote is not closed".to_owned());
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        read(line).unwrap().unwrap().words
    }

    #[test]
    fn keywords_and_values() {
        for line in [
            "Port 22",
            " port=22",
            "PORT = 22 ",
            "\tPort\t22\r",
            "Port \"22\"",
            "port 22 # comment",
        ] {
            let read = read(line).unwrap().unwrap();
            assert_eq!(
                (read.keyword.as_str(), read.words.as_slice()),
                ("port", ["22".to_owned()].as_slice()),
                "{line}"
            );
        }
        assert!(read("").is_none());
        assert!(read("  # Port 22").is_none());
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(words(r#"Host "a b" c'd 'e"#), ["a b", "cd e"]);
        assert_eq!(words(r"Host a\ b \# \x"), ["a b", r"\#", r"\x"]);
        assert_eq!(words(r#"Host "a\"b" x#y #z"#), [r#"a"b"#, "x#y"]);
        assert!(read("Host \"a").unwrap().is_err());
        assert!(read("Host").unwrap().is_err());
        assert!(read("Host =").unwrap().is_err());
        assert!(read("\"Host\" a").unwrap().is_err());
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC{0,60}") {
            let _ = read(&line);
        }
    }
}
