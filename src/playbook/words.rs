//! `key=value` texts: the short form of a task's arguments, split as Ansible splits it.

/// What a text of words says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// `key=value` words, quotes taken off.
    pub pairs: Vec<(String, String)>,
    /// Everything else, as it was written.
    pub rest: String,
}

/// Keys that a free-form module takes out of its text; any other `a=b` in it belongs to the command.
const OF_COMMANDS: &[&str] = &[
    "chdir",
    "creates",
    "executable",
    "removes",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
    "warn",
];

/// Splits a text. For a command only the keys that every command takes count as pairs. Fails on quotes or template
/// markup that is not closed.
pub fn split(text: &str, is_command: bool) -> Result<Words, String> {
    let mut words = Words::default();
    let mut end_of_last = 0;
    let (mut is_joined, mut is_changed) = (false, false);
    for (start, end) in pieces(text)? {
        let piece = text.get(start..end).unwrap_or_default();
        match pair(piece) {
            Some((key, value)) if !is_command || OF_COMMANDS.contains(&key.as_str()) => {
                words.pairs.push((key, value));
            }
            // A line that goes on in the next one: Ansible makes one of them.
            _ if piece == "\\" => {
                let goes_on = text.get(end..).is_some_and(|rest| rest.starts_with('\n'));
                end_of_last = end + usize::from(goes_on);
                (is_joined, is_changed) = (true, true);
                continue;
            }
            _ => {
                // What stands between two words that belong together is kept as it is.
                let mut gap = text.get(end_of_last..start).unwrap_or_default();
                if is_joined && gap.is_empty() {
                    gap = " ";
                }
                if !words.rest.is_empty() {
                    words.rest.push_str(gap);
                }
                words.rest.push_str(piece);
            }
        }
        end_of_last = end;
        is_joined = false;
    }
    let tail = text.get(end_of_last..).unwrap_or_default();
    if is_changed && !is_joined && words.pairs.is_empty() && tail.contains('\n') {
        words.rest.push('\n');
    }
    Ok(words)
}

/// The first word of a text and what stands behind it; markup is a part of its word, whatever is in it.
pub fn first(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = match pieces(text).as_deref() {
        Ok([(_, end), ..]) => *end,
        // What is not closed is found when it is read.
        _ => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (word, rest.trim())
}

/// Where the words of a text stand: white space parts them, except within quotes and template markup.
fn pieces(text: &str) -> Result<Vec<(usize, usize)>, String> {
    let mut pieces = Vec::new();
    let mut start: Option<usize> = None;
    let mut quote: Option<char> = None;
    let mut closing: Option<&str> = None;
    let mut skip = 0;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        let rest = text.get(index..).unwrap_or_default();
        if skip > 0 {
            skip -= 1;
        } else if let Some(end) = closing {
            if rest.starts_with(end) {
                closing = None;
                skip = 1;
            }
        } else if let Some(end) = ["{{", "{%", "{#"]
            .iter()
            .position(|mark| rest.starts_with(mark))
            .and_then(|at| ["}}", "%}", "#}"].get(at))
        {
            closing = Some(end);
            start.get_or_insert(index);
            skip = 1;
        } else if let Some(open) = quote {
            if c == open && before != '\\' {
                quote = None;
            }
        } else if c.is_whitespace() {
            if let Some(start) = start.take() {
                pieces.push((start, index));
            }
        } else {
            start.get_or_insert(index);
            if matches!(c, '"' | '\'') && before != '\\' {
                quote = Some(c);
            }
        }
        before = c;
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if closing.is_some() {
        return Err("template markup is not closed".to_owned());
    }
    pieces.extend(start.map(|start| (start, text.len())));
    Ok(pieces)
}

/// `key=value`, if a word is one: the first `=` without a backslash before it.
fn pair(word: &str) -> Option<(String, String)> {
    // The name of a fact may be a template, or have one in it.
    let (mut from, mut is_templated) = (0, false);
    let at = loop {
        let rest = word.get(from..)?;
        let at = from + rest.find('=')?;
        if let Some(open) = rest.find("{{").filter(|open| from + open < at) {
            from += open + rest.get(open..)?.find("}}")? + 2;
            is_templated = true;
            continue;
        }
        if !word.get(..at)?.ends_with('\\') {
            break at;
        }
        from = at + 1;
    };
    let key = word.get(..at)?.trim();
    let is_key = !key.is_empty()
        && (is_templated
            || key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
    if !is_key {
        return None;
    }
    let value = word.get(at + 1..)?.trim();
    Some((key.to_owned(), unescaped(unquoted(value))))
}

/// Without the quotes around it.
fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| {
            let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.ends_with('\\')).then_some(inner)
        })
        .unwrap_or(value)
}

/// `\n`, `\t`, `\x41` and the like as the characters that they mean, in Python's notation.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let mean = match characters.peek() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('v') => '\u{b}',
            Some('f') => '\u{c}',
            Some(other @ ('\\' | '\'' | '"' | '=')) => *other,
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let number: String = characters.clone().skip(1).take(digits).collect();
                let is_number =
                    number.len() == digits && number.chars().all(|c| c.is_ascii_hexdigit());
                let letter = u32::from_str_radix(&number, 16)
                    .ok()
                    .and_then(char::from_u32);
                match letter.filter(|_| is_number) {
                    Some(letter) => {
                        text.push(letter);
                        characters.by_ref().take(digits + 1).for_each(drop);
                    }
                    None => text.push('\\'),
                }
                continue;
            }
            _ => {
                text.push('\\');
                continue;
            }
        };
        characters.next();
        text.push(mean);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, is_command: bool) -> String {
        match split(text, is_command) {
            Ok(words) => {
                let pairs: Vec<String> = words
                    .pairs
                    .iter()
                    .map(|(key, value)| format!("{key}<{value}>"))
                    .collect();
                format!("{} | {}", pairs.join(" "), words.rest)
            }
            Err(message) => format!("error: {message}"),
        }
    }

    #[test]
    fn the_first_word_has_its_markup_whole() {
        for (text, expected) in [
            ("copy src=a dest=b", ("copy", "src=a dest=b")),
            (" ping\n", ("ping", "")),
            ("{{ a }} x={{ b }}", ("{{ a }}", "x={{ b }}")),
            (
                "{{ a | d('x y') }}_{{ b }} c=d",
                ("{{ a | d('x y') }}_{{ b }}", "c=d"),
            ),
            (
                "{% if a b %}c{% endif %} d",
                ("{% if a b %}c{% endif %}", "d"),
            ),
            ("shell echo 'a", ("shell", "echo 'a")),
            ("", ("", "")),
        ] {
            assert_eq!(first(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_split_as_ansible_splits_them() {
        for (text, expected) in [
            ("src=a dest=b", "src<a> dest<b> | "),
            ("  src=a   dest=b\n", "src<a> dest<b> | "),
            ("msg='a b' x=\"c d\"", "msg<a b> x<c d> | "),
            (
                "msg={{ a | d('x y') }} b=1",
                "msg<{{ a | d('x y') }}> b<1> | ",
            ),
            ("msg=\"{{ a }} b\"", "msg<{{ a }} b> | "),
            ("line=a\\=b x=1", "line<a=b> x<1> | "),
            ("msg=\"a\\nb\"", "msg<a\nb> | "),
            ("regexp='^a=b' line=\"c=d\"", "regexp<^a=b> line<c=d> | "),
            ("main.yml", " | main.yml"),
            ("{{ a == b }}=c", "{{ a == b }}<c> | "),
            (
                "user_{{ a == b }}_x={{ c }} d=e",
                "user_{{ a == b }}_x<{{ c }}> d<e> | ",
            ),
            ("{{ a == b }}.yml", " | {{ a == b }}.yml"),
            ("a='b", "error: a quote is not closed"),
            ("a={{ b", "error: template markup is not closed"),
            ("it\\'s=1 b=2", "b<2> | it\\'s=1"),
            ("", " | "),
        ] {
            assert_eq!(shown(text, false), expected, "{text}");
        }
        for (text, expected) in [
            ("echo  a   b", " | echo  a   b"),
            ("echo a=b chdir=/tmp", "chdir</tmp> | echo a=b"),
            ("creates=/x touch /x", "creates</x> | touch /x"),
            ("FOO=1 env 'a  b'", " | FOO=1 env 'a  b'"),
            ("echo a\necho b", " | echo a\necho b"),
            (
                "echo a \\\nb \\\n    c  d\\\ne \\\n",
                " | echo a b    c  d\\\ne",
            ),
            ("echo a \\ b", " | echo a b"),
            ("echo a \\\nb\n", " | echo a b\n"),
        ] {
            assert_eq!(shown(text, true), expected, "{text}");
        }
    }
}
