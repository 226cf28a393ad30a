//! Strings as Python reads them, written as the engine reads them.

use std::fmt::Write as _;

/// The value of what stands between the quotes.
pub(super) fn unescaped(raw: &str, is_raw: bool) -> String {
    if !raw.contains('\\') {
        return raw.to_owned();
    }
    let mut text = String::new();
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        let mut after = rest.clone();
        let Some(escaped) = after.next() else {
            text.push('\\');
            break;
        };
        if is_raw {
            if !matches!(escaped, '\'' | '"') {
                text.push('\\');
            }
            text.push(escaped);
            rest = after;
            continue;
        }
        let simple = match escaped {
            '\\' | '\'' | '"' => Some(escaped),
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            _ => None,
        };
        if let Some(simple) = simple {
            text.push(simple);
            rest = after;
            continue;
        }
        let (digits, radix, at_least) = match escaped {
            'x' => (2, 16, 2),
            'u' => (4, 16, 4),
            'U' => (8, 16, 8),
            '0'..='7' => {
                after = rest.clone();
                (3, 8, 1)
            }
            '\n' => {
                rest = after;
                continue;
            }
            _ => {
                text.push('\\');
                text.push(escaped);
                rest = after;
                continue;
            }
        };
        let number: String = after
            .clone()
            .take(digits)
            .take_while(|digit| digit.is_digit(radix))
            .collect();
        let code = u32::from_str_radix(&number, radix)
            .ok()
            .and_then(char::from_u32);
        match code.filter(|_| number.len() >= at_least) {
            Some(code) => {
                text.push(code);
                rest = after;
                for _ in 0..number.len() {
                    rest.next();
                }
            }
            None => text.push('\\'),
        }
    }
    text
}

/// A string literal of the engine.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(literal, "\\u{:04x}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}
