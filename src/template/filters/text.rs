//! Filters that change texts.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::super::environment::invalid;
use super::super::format::printf;
use super::call::{Call, Filter};
use super::python::{self, list};
use super::{MAX_ELEMENTS, text_wrap};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "upper",
        parameters: &[],
        apply: |_, call| changed(call, str::to_uppercase),
    },
    Filter {
        name: "lower",
        parameters: &[],
        apply: |_, call| changed(call, str::to_lowercase),
    },
    Filter {
        name: "capitalize",
        parameters: &[],
        apply: |_, call| changed(call, capitalized),
    },
    Filter {
        name: "title",
        parameters: &[],
        apply: |_, call| changed(call, title),
    },
    Filter {
        name: "string",
        parameters: &[],
        apply: |_, call| changed(call, str::to_owned),
    },
    Filter {
        name: "trim",
        parameters: &["chars"],
        apply: trim,
    },
    Filter {
        name: "replace",
        parameters: &["old", "new", "count"],
        apply: replace,
    },
    Filter {
        name: "split",
        parameters: &["sep", "maxsplit"],
        apply: split,
    },
    Filter {
        name: "center",
        parameters: &["width"],
        apply: center,
    },
    Filter {
        name: "truncate",
        parameters: &["length", "killwords", "end", "leeway"],
        apply: truncate,
    },
    Filter {
        name: "wordcount",
        parameters: &[],
        apply: word_count,
    },
    Filter {
        name: "wordwrap",
        parameters: &[
            "width",
            "break_long_words",
            "wrapstring",
            "break_on_hyphens",
        ],
        apply: text_wrap::wordwrap,
    },
    Filter {
        name: "indent",
        parameters: &["width", "first", "blank"],
        apply: indent,
    },
    Filter {
        name: "format",
        parameters: &["*", "**"],
        apply: format,
    },
    Filter {
        name: "quote",
        parameters: &[],
        apply: quote,
    },
    Filter {
        name: "comment",
        parameters: &["style", "**"],
        apply: comment,
    },
];

fn changed(call: &Call, change: impl Fn(&str) -> String) -> Result<Value, Error> {
    Ok(Value::from(change(&call.value_as_text()?)))
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first
            .to_uppercase()
            .chain(characters.flat_map(char::to_lowercase))
            .collect()
    })
}

/// Words begin behind spaces, hyphens and opening brackets.
fn title(text: &str) -> String {
    let mut is_start = true;
    let mut new = String::with_capacity(text.len());
    for character in text.chars() {
        let is_gap = character.is_whitespace() || "-({[<".contains(character);
        if is_start && !is_gap {
            new.extend(character.to_uppercase());
        } else {
            new.extend(character.to_lowercase());
        }
        is_start = is_gap;
    }
    new
}

fn trim(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    Ok(Value::from(match call.text("chars")? {
        Some(characters) => text.trim_matches(|c| characters.contains(c)),
        None => text.trim(),
    }))
}

fn replace(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let old = python::text(call.required("old")?)?;
    let new = python::text(call.required("new")?)?;
    let places = if old.is_empty() {
        text.len()
    } else {
        text.matches(&old).count()
    };
    if places.saturating_mul(new.len()) > MAX_ELEMENTS * 16 {
        return Err(python::too_many());
    }
    Ok(Value::from(match call.integer("count")? {
        Some(count) if count >= 0 => {
            text.replacen(&old, &new, usize::try_from(count).unwrap_or(usize::MAX))
        }
        _ => text.replace(&old, &new),
    }))
}

fn split(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let most = call
        .integer("maxsplit")?
        .and_then(|most| usize::try_from(most).ok());
    let parts: Vec<&str> = match call.text("sep")? {
        Some(separator) if separator.is_empty() => return Err(call.error("the separator is empty")),
        Some(separator) => match most {
            Some(most) => text.splitn(most + 1, separator.as_str()).collect(),
            None => text.split(separator.as_str()).collect(),
        },
        None => words(text, most),
    };
    Ok(list(parts.into_iter().map(Value::from).collect()))
}

/// Words between spaces; what is left over when there are enough keeps its spaces inside.
fn words(text: &str, most: Option<usize>) -> Vec<&str> {
    let mut rest = text.trim_start();
    let mut words = Vec::new();
    while !rest.is_empty() {
        if most.is_some_and(|most| words.len() >= most) {
            words.push(rest);
            break;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn center(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let width = call.count("width", 80)?;
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    let left = missing / 2 + (missing & width & 1);
    Ok(Value::from(format!(
        "{}{text}{}",
        " ".repeat(left),
        " ".repeat(missing - left)
    )))
}

fn truncate(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let length = call.count("length", 255)?;
    let end = call.text("end")?.unwrap_or_else(|| "...".to_owned());
    let leeway = call.count("leeway", 5)?;
    let characters: Vec<char> = text.chars().collect();
    let end_length = end.chars().count();
    if end_length > length {
        return Err(call.error(&format!(
            "the length must be at least {end_length}, that of the end"
        )));
    }
    if characters.len() <= length + leeway {
        return Ok(Value::from(text));
    }
    let kept: String = characters.iter().take(length - end_length).collect();
    if call.flag("killwords", false)? {
        return Ok(Value::from(kept + &end));
    }
    let kept = kept
        .rsplit_once(' ')
        .map_or(kept.as_str(), |(kept, _)| kept);
    Ok(Value::from(format!("{kept}{end}")))
}

fn word_count(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let words = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    Ok(Value::from(words.count()))
}

/// Lines as Python sees them: more characters than one break a line.
pub(super) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_break = |c: char| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                    ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let Some(end) = rest.find(is_break) else {
            lines.push(rest);
            break;
        };
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after
            .strip_prefix("\r\n")
            .unwrap_or_else(|| after.trim_start_matches_once());
    }
    lines
}

/// One character less.
trait WithoutFirst {
    fn trim_start_matches_once(&self) -> &str;
}

impl WithoutFirst for str {
    fn trim_start_matches_once(&self) -> &str {
        let mut characters = self.chars();
        characters.next();
        characters.as_str()
    }
}

fn indent(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut text = call.value_as_text()?;
    let lead = match call.optional("width")? {
        Some(width) if width.kind() == ValueKind::String => {
            width.as_str().unwrap_or_default().to_owned()
        }
        _ => " ".repeat(call.count("width", 4)?),
    };
    let is_blank = call.flag("blank", false)?;
    // So that a text that ends with a line break keeps it.
    text.push('\n');
    let mut new = String::with_capacity(text.len());
    let all = lines(&text);
    if all.len().saturating_mul(lead.len()) > MAX_ELEMENTS * 16 {
        return Err(python::too_many());
    }
    for (index, line) in all.into_iter().enumerate() {
        if index > 0 {
            new.push('\n');
        }
        let is_led = if index == 0 {
            call.flag("first", false)?
        } else {
            is_blank || !line.is_empty()
        };
        if is_led {
            new.push_str(&lead);
        }
        new.push_str(line);
    }
    Ok(Value::from(new))
}

/// Python's `%`.
fn format(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let values = match (call.rest.is_empty(), call.named.is_empty()) {
        (false, false) => return Err(call.error("arguments go by position or by name, not both")),
        (true, false) => {
            let named = call.named.iter();
            python::mapping(
                named
                    .map(|(name, value)| (Value::from(name.as_str()), value.clone()))
                    .collect(),
            )
        }
        _ => python::tuple(call.rest.clone()),
    };
    printf(&text, &values).map(Value::from)
}

fn quote(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if call.value.is_none() {
        return Ok(Value::from("''"));
    }
    let text = call.value_as_text()?;
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    Ok(Value::from(
        if !text.is_empty() && text.chars().all(harmless) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\"'\"'"))
        },
    ))
}

/// How a kind of file comments: the first line, what stands before every line, the last line.
const COMMENT_STYLES: &[(&str, &str, &str, &str)] = &[
    ("plain", "", "# ", ""),
    ("erlang", "", "% ", ""),
    ("c", "", "// ", ""),
    ("cblock", "/*", " * ", " */"),
    ("xml", "<!--", " - ", "-->"),
];

fn comment(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let style = call.text("style")?.unwrap_or_else(|| "plain".to_owned());
    let Some((_, beginning, decoration, end)) =
        COMMENT_STYLES.iter().find(|(name, ..)| *name == style)
    else {
        let known: Vec<&str> = COMMENT_STYLES.iter().map(|(name, ..)| *name).collect();
        return Err(call.error(&format!(
            "there is no style `{style}`, only {}",
            known.join(", ")
        )));
    };
    let option = |name: &str| {
        call.named
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let text_option = |name: &str, default: &str| -> Result<String, Error> {
        option(name).map_or_else(|| Ok(default.to_owned()), python::text)
    };
    let count = |name: &str| -> Result<usize, Error> {
        match option(name) {
            None => Ok(1),
            Some(value) => python::text(value)?
                .trim()
                .parse()
                .ok()
                .filter(|count| *count < 10_000)
                .ok_or_else(|| call.error(&format!("`{name}` must be a number"))),
        }
    };
    let newline = text_option("newline", "\n")?;
    let decoration = text_option("decoration", decoration)?;
    let beginning = text_option("beginning", beginning)?;
    let end = text_option("end", end)?;
    let prefix = text_option("prefix", decoration.trim_end())?;
    let postfix = text_option("postfix", decoration.trim_end())?;
    let mut new = String::new();
    if !beginning.is_empty() {
        new.push_str(&format!("{beginning}{newline}"));
    }
    if prefix == newline {
        new.push_str(&newline.repeat(count("prefix_count")?));
    } else if !prefix.is_empty() {
        new.push_str(&format!("{prefix}{newline}").repeat(count("prefix_count")?));
    }
    if newline.is_empty() {
        return Err(call.error("the line break is empty"));
    }
    let body = format!(
        "{decoration}{}",
        text.replace(&newline, &format!("{newline}{decoration}"))
    );
    // A line without words has no space at its end.
    new.push_str(&body.replace(
        &format!("{decoration}{newline}"),
        &format!("{}{newline}", decoration.trim_end()),
    ));
    for _ in 0..count("postfix_count")? {
        new.push_str(&format!("{newline}{postfix}"));
    }
    if !end.is_empty() {
        new.push_str(&format!("{newline}{end}"));
    }
    if new.len() > MAX_ELEMENTS * 16 {
        return Err(invalid("the comment is too long"));
    }
    Ok(Value::from(new))
}
