//! The text of a source with everything masked that may be a secret, so that a line can be shown.
//!
//! A mistake may stand in any line, also in one that holds a password, and it may be so bad that the file cannot be
//! read at all. So this looks at characters alone: what stands behind a key whose name says that it is secret, and
//! private keys. Every byte keeps its offset.

use std::sync::LazyLock;

use regex::Regex;

use super::Source;
use crate::secret::is_secret_name;

/// A key and what separates it from its value.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z0-9_.-]+)(?:\[[0-9]*\])*["']?[ \t]*([:=])"#).ok());

/// What may be shown of a source.
pub fn conceal(source: &Source) -> String {
    let text = source.text.as_str();
    let mut bytes = text.as_bytes().to_vec();
    if source.is_hidden {
        let end = bytes.len();
        mask(&mut bytes, 0, end);
        return String::from_utf8(bytes).unwrap_or_default();
    }
    let is_flag = source.name.starts_with("--");
    let mut in_key = false;
    // Lines that are indented deeper than this belong to a secret value.
    let mut below: Option<usize> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            in_key = true;
            if let Some(after) = line.find("KEY-----") {
                mask(&mut bytes, start + after + "KEY-----".len(), offset);
            }
            continue;
        }
        if line.contains("-----END ") {
            in_key = false;
        }
        let indentation = line.len() - line.trim_start().len();
        let is_blank = line.trim().is_empty();
        if in_key || below.is_some_and(|key| is_blank || indentation > key) {
            mask(&mut bytes, start, offset);
            continue;
        }
        below = None;
        let mut from = 0;
        while let Some(secret) = next_secret(line, from, is_flag) {
            mask(&mut bytes, start + secret.start, start + secret.end);
            if secret.may_go_on {
                below = Some(secret.key);
            }
            from = secret.end.max(from + 1);
        }
    }
    // Only whole characters were replaced, each by as many bytes as it had.
    String::from_utf8(bytes).unwrap_or_default()
}

fn mask(bytes: &mut [u8], start: usize, end: usize) {
    for byte in bytes.get_mut(start..end).unwrap_or_default() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

/// A value in a line that must not be shown.
struct Found {
    /// Where its key begins.
    key: usize,
    start: usize,
    end: usize,
    /// It may go on in the lines below that are indented deeper.
    may_go_on: bool,
}

fn next_secret(line: &str, from: usize, is_flag: bool) -> Option<Found> {
    let regex = KEY.as_ref()?;
    let mut at = from;
    loop {
        let found = regex.captures_at(line, at)?;
        let (whole, name, separator) = (found.get(0)?, found.get(1)?, found.get(2)?);
        at = whole.end();
        let rest = line.get(at..)?;
        let is_pair = separator.as_str() == "="
            || rest.is_empty()
            || rest.starts_with(|next: char| next.is_whitespace() || "\"'[{|>&!".contains(next));
        if !is_pair || !is_secret_name(name.as_str()) {
            continue;
        }
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let start = at + blanks;
        let value = line.get(start..)?.trim_end_matches(['\n', '\r']);
        let before = line.get(..name.start()).unwrap_or_default();
        let is_first = before
            .trim_matches([' ', '\t', '-', '"', '\'', '?'])
            .is_empty();
        let quote = value
            .chars()
            .next()
            .filter(|quote| ['"', '\''].contains(quote));
        let is_flow = before.contains(['{', '[']);
        let end = match quote {
            Some(quote) => quoted(value, quote),
            None if separator.as_str() == "=" && is_flag => up_to_comma(value),
            None if separator.as_str() == "=" && !is_first => value.find(char::is_whitespace),
            None if is_flow && value.starts_with(['{', '[']) => value.rfind(['}', ']']),
            None if is_flow => value.find([',', '}', ']']),
            None => None,
        };
        return Some(Found {
            key: name.start(),
            start,
            end: start + end.unwrap_or(value.len()),
            may_go_on: separator.as_str() == ":" && !is_flow,
        });
    }
}

/// The end of a quoted value; `None` where the quote is not closed.
fn quoted(value: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in value.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if quote == '"' && character == '\\' {
            escaped = true;
        } else if character == quote {
            let end = index + character.len_utf8();
            // Twice is a quote inside single quotes.
            if quote == '\'' && value.get(end..).is_some_and(|rest| rest.starts_with('\'')) {
                escaped = true;
                continue;
            }
            return Some(end);
        }
    }
    None
}

/// The end of a value in a flag: a comma that no backslash stands before.
fn up_to_comma(value: &str) -> Option<usize> {
    if value.starts_with(['{', '[']) {
        return None;
    }
    let mut escaped = false;
    for (index, character) in value.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => return Some(index),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, text: &str) -> String {
        let shown = conceal(&Source::new(name, text));
        assert_eq!(shown.len(), text.len());
        shown
    }

    #[test]
    fn values_of_secret_keys_are_masked_in_every_form() {
        let text = "\
user: root
password: hunter2 # not shown either
- become_password: 'it''s'
{user: root, password: hunter2, port: 22}
\"secretkey\": \"a\\\"b\", \"bucket\": \"c\"
http_secret: |
  several
  lines

accesskey:
  deeper
port: 22
password_file: /etc/shown
private_key: ~/.ssh/id_ed25519
";
        insta::assert_snapshot!(shown("inventory.yaml", text), @r#"
        user: root
        password: **************************
        - become_password: *******
        {user: root, password: *******, port: 22}
        "secretkey": ******, "bucket": "c"
        http_secret: *
        *********
        *******

        accesskey:
        ********
        port: 22
        password_file: /etc/shown
        private_key: ~/.ssh/id_ed25519
        "#);
    }

    #[test]
    fn flags_and_ini_lines_are_masked() {
        insta::assert_snapshot!(shown(
            "--set",
            r"a.password=x\,y,b.type=z,c.token=[1,2],d=e"
        ), @"a.password=****,b.type=z,c.token=*********");
        insta::assert_snapshot!(shown(
            "hosts.ini",
            "node1 ansible_password=hunter2 ansible_port=22\nansible_become_pass=a b c\nansible_password = a b\n"
        ), @r"
        node1 ansible_password=******* ansible_port=22
        ansible_become_pass=*****
        ansible_password = ***
        ");
    }

    #[test]
    fn nothing_is_shown_of_what_was_encrypted() {
        let shown = conceal(&Source::hidden("vars.yaml", "a: \u{e4}\nb: c\n"));
        assert_eq!(shown, "*****\n****\n");
    }

    #[test]
    fn private_keys_are_masked() {
        insta::assert_snapshot!(shown(
            "inventory.yaml",
            "x: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  b3BlbnNzaC1r\n  -----END OPENSSH PRIVATE KEY-----\ny: 1\n"
        ), @r"
        x: |
          -----BEGIN OPENSSH PRIVATE KEY-----
        **************
          -----END OPENSSH PRIVATE KEY-----
        y: 1
        ");
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_length(text in "(?s)[a-z_:= \"',{}\n\u{e4}password|-]{0,80}") {
            let shown = shown("f", &text);
            proptest::prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
        }
    }
}
