//! Methods of Python's texts.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::environment::invalid;
use super::format;
use super::methods::Arguments;
use super::python::type_name;
use super::values::tuple;

/// Calls a method of a text.
pub(super) fn call(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    changed(text, arguments)
        .or_else(|| asked(text, arguments))
        .or_else(|| divided(text, arguments))
        .unwrap_or_else(|| Err(Error::from(ErrorKind::UnknownMethod)))
}

type Answer = Option<Result<Value, Error>>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "what the families of methods answer"
)]
fn made(text: impl Into<String>) -> Answer {
    Some(Ok(Value::from(text.into())))
}

/// Methods that give another text.
fn changed(text: &str, arguments: &Arguments) -> Answer {
    match arguments.method {
        "upper" => made(text.to_uppercase()),
        "lower" | "casefold" => made(text.to_lowercase()),
        "capitalize" => {
            let mut rest = text.chars();
            let first: String = rest
                .next()
                .map(|c| c.to_uppercase().collect())
                .unwrap_or_default();
            made(first + &rest.as_str().to_lowercase())
        }
        "title" => made(titled(text)),
        "swapcase" => made(text.chars().flat_map(swapped).collect::<String>()),
        "strip" | "lstrip" | "rstrip" => Some(stripped(text, arguments)),
        "center" | "ljust" | "rjust" => Some(padded(text, arguments)),
        "zfill" => Some(arguments.number(0, "width").map(|width| {
            let missing = usize::try_from(width.unwrap_or_default())
                .unwrap_or_default()
                .min(1_000_000)
                .saturating_sub(text.chars().count());
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        })),
        "replace" => Some(replaced(text, arguments)),
        "removeprefix" => Some(
            arguments
                .text(0, "prefix")
                .map(|prefix| Value::from(text.strip_prefix(prefix.as_str()).unwrap_or(text))),
        ),
        "removesuffix" => Some(
            arguments
                .text(0, "suffix")
                .map(|suffix| Value::from(text.strip_suffix(suffix.as_str()).unwrap_or(text))),
        ),
        "expandtabs" => Some(
            arguments
                .number(0, "tabsize")
                .map(|size| Value::from(expanded(text, size.unwrap_or(8)))),
        ),
        "join" => Some(joined(text, arguments)),
        "format" => {
            let named = arguments.named.as_ref().map_or_else(
                || Value::from_pairs(Vec::<(String, Value)>::new()),
                |named| {
                    Value::from_pairs(
                        named
                            .args()
                            .filter_map(|name| Some((name, named.get::<Value>(name).ok()?))),
                    )
                },
            );
            Some(format::format(text, arguments.positional, &named).map(Value::from))
        }
        "format_map" => Some(
            arguments
                .required(0, "mapping")
                .and_then(|map| format::format(text, &[], &map))
                .map(Value::from),
        ),
        "encode" => Some(Ok(Value::from_bytes(text.as_bytes().to_vec()))),
        _ => None,
    }
}

fn swapped(character: char) -> Vec<char> {
    if character.is_uppercase() {
        character.to_lowercase().collect()
    } else {
        character.to_uppercase().collect()
    }
}

fn titled(text: &str) -> String {
    let mut out = String::new();
    let mut is_within = false;
    for character in text.chars() {
        if is_within {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        is_within = character.is_alphabetic();
    }
    out
}

fn stripped(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let set: Option<Vec<char>> = match arguments.get(0, "chars")? {
        Some(_) => Some(arguments.text(0, "chars")?.chars().collect()),
        None => None,
    };
    let goes = |c: char| {
        set.as_ref()
            .map_or_else(|| c.is_whitespace(), |set| set.contains(&c))
    };
    Ok(Value::from(match arguments.method {
        "strip" => text.trim_matches(goes),
        "lstrip" => text.trim_start_matches(goes),
        _ => text.trim_end_matches(goes),
    }))
}

fn padded(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let width =
        usize::try_from(arguments.number(0, "width")?.unwrap_or_default()).unwrap_or_default();
    let fill = match arguments.get(1, "fillchar")? {
        Some(_) => arguments.text(1, "fillchar")?,
        None => " ".to_owned(),
    };
    let missing = width.min(1_000_000).saturating_sub(text.chars().count());
    let (before, after) = match arguments.method {
        "ljust" => (0, missing),
        "rjust" => (missing, 0),
        // Python puts the odd one before where the width is odd.
        _ => {
            let before = missing / 2 + (missing & width & 1);
            (before, missing - before)
        }
    };
    Ok(Value::from(format!(
        "{}{text}{}",
        fill.repeat(before),
        fill.repeat(after)
    )))
}

fn replaced(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let (old, new) = (arguments.text(0, "old")?, arguments.text(1, "new")?);
    let most = arguments
        .number(2, "count")?
        .and_then(|count| usize::try_from(count).ok());
    Ok(Value::from(match most {
        Some(most) => text.replacen(&old, &new, most),
        None => text.replace(&old, &new),
    }))
}

fn expanded(text: &str, size: i64) -> String {
    let size = usize::try_from(size).unwrap_or_default().min(1000);
    let (mut out, mut column) = (String::new(), 0);
    for character in text.chars() {
        match character {
            '\t' => {
                let spaces = if size == 0 { 0 } else { size - column % size };
                out.push_str(&" ".repeat(spaces));
                column += spaces;
            }
            '\n' | '\r' => {
                out.push(character);
                column = 0;
            }
            _ => {
                out.push(character);
                column += 1;
            }
        }
    }
    out
}

fn joined(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let mut parts = Vec::new();
    for (index, item) in arguments.required(0, "iterable")?.try_iter()?.enumerate() {
        super::missing::defined(&item)?;
        let wrong = || {
            invalid(format!(
                "sequence item {index}: expected str instance, {} found",
                type_name(&item)
            ))
        };
        parts.push(item.as_str().ok_or_else(wrong)?.to_owned());
    }
    Ok(Value::from(parts.join(text)))
}

/// Methods that answer a question.
fn asked(text: &str, arguments: &Arguments) -> Answer {
    let all =
        |is: fn(char) -> bool| Some(Ok(Value::from(!text.is_empty() && text.chars().all(is))));
    match arguments.method {
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdigit" | "isdecimal" => all(|c| c.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "isascii" => Some(Ok(Value::from(text.is_ascii()))),
        "isprintable" => Some(Ok(Value::from(!text.chars().any(char::is_control)))),
        "isidentifier" => {
            let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
            Some(Ok(Value::from(
                starts && text.chars().all(|c| c.is_alphanumeric() || c == '_'),
            )))
        }
        "isupper" => {
            let has = text.chars().any(char::is_uppercase);
            Some(Ok(Value::from(
                has && !text.chars().any(char::is_lowercase),
            )))
        }
        "islower" => {
            let has = text.chars().any(char::is_lowercase);
            Some(Ok(Value::from(
                has && !text.chars().any(char::is_uppercase),
            )))
        }
        "istitle" => Some(Ok(Value::from(
            text.chars().any(char::is_alphabetic) && titled(text) == text,
        ))),
        "startswith" | "endswith" => Some(starts_or_ends(text, arguments)),
        "find" | "rfind" | "index" | "rindex" => Some(found(text, arguments)),
        "count" => Some(within(text, arguments, 1).and_then(|(part, _)| {
            let wanted = arguments.text(0, "sub")?;
            Ok(Value::from(part.matches(wanted.as_str()).count()))
        })),
        _ => None,
    }
}

/// The part of a text that the arguments `start` and `end` leave, and how many characters are before it.
fn within(text: &str, arguments: &Arguments, first: usize) -> Result<(String, usize), Error> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let placed = |index: Option<i64>, otherwise: i64| {
        let index = index.unwrap_or(otherwise);
        let index = if index < 0 { index + length } else { index };
        usize::try_from(index.clamp(0, length)).unwrap_or_default()
    };
    let start = placed(arguments.number(first, "start")?, 0);
    let end = placed(arguments.number(first + 1, "end")?, length);
    let part = text
        .chars()
        .skip(start)
        .take(end.saturating_sub(start))
        .collect();
    Ok((part, start))
}

fn starts_or_ends(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let (part, _) = within(text, arguments, 1)?;
    let wanted = arguments.required(0, "prefix")?;
    let wanted: Vec<Value> = if wanted.kind() == ValueKind::String {
        vec![wanted]
    } else {
        wanted.try_iter()?.collect()
    };
    let matches = |affix: &str| {
        if arguments.method == "startswith" {
            part.starts_with(affix)
        } else {
            part.ends_with(affix)
        }
    };
    Ok(Value::from(
        wanted.iter().filter_map(Value::as_str).any(matches),
    ))
}

fn found(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let (part, before) = within(text, arguments, 1)?;
    let wanted = arguments.text(0, "sub")?;
    let byte = if arguments.method.starts_with('r') {
        part.rfind(&wanted)
    } else {
        part.find(&wanted)
    };
    match byte {
        Some(byte) => {
            let index = part.get(..byte).map_or(0, |start| start.chars().count());
            Ok(Value::from(before + index))
        }
        None if arguments.method.ends_with("index") => Err(invalid("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

/// Methods that take a text apart.
fn divided(text: &str, arguments: &Arguments) -> Answer {
    match arguments.method {
        "split" | "rsplit" => Some(split(text, arguments)),
        "splitlines" => Some(lines(text, arguments)),
        "partition" | "rpartition" => Some(arguments.text(0, "sep").map(|separator| {
            let is_last = arguments.method == "rpartition";
            let parts = if is_last {
                text.rsplit_once(&separator)
            } else {
                text.split_once(&separator)
            };
            let parts = match parts {
                Some((before, after)) => [before, separator.as_str(), after],
                None if is_last => ["", "", text],
                None => [text, "", ""],
            };
            tuple(parts.into_iter().map(Value::from).collect())
        })),
        _ => None,
    }
}

fn split(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let most = arguments
        .number(1, "maxsplit")?
        .and_then(|most| usize::try_from(most).ok());
    let is_last = arguments.method == "rsplit";
    let parts: Vec<String> = match arguments.get(0, "sep")? {
        Some(_) => {
            let separator = arguments.text(0, "sep")?;
            if separator.is_empty() {
                return Err(invalid("empty separator"));
            }
            let parts: Vec<&str> = match (most, is_last) {
                (None, _) => text.split(&separator).collect(),
                (Some(most), false) => text.splitn(most + 1, &separator).collect(),
                (Some(most), true) => {
                    let mut parts: Vec<&str> = text.rsplitn(most + 1, &separator).collect();
                    parts.reverse();
                    parts
                }
            };
            parts.into_iter().map(str::to_owned).collect()
        }
        None => by_spaces(text, most.unwrap_or(usize::MAX), is_last),
    };
    Ok(Value::from(parts))
}

fn by_spaces(text: &str, most: usize, from_the_end: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let cut = if from_the_end {
            rest.rsplit_once(char::is_whitespace)
                .map(|(before, part)| (part, before.trim_end()))
        } else {
            rest.split_once(char::is_whitespace)
                .map(|(part, after)| (part, after.trim_start()))
        };
        let Some((part, left)) = cut.filter(|_| parts.len() < most) else {
            parts.push(rest.to_owned());
            break;
        };
        parts.push(part.to_owned());
        rest = left;
    }
    // With a limit, what is left keeps the spaces at its outer end.
    if parts.len() > most
        && let Some(last) = parts.last_mut()
    {
        let kept = if from_the_end {
            text.get(..text.len() - text.trim_start().len())
                .unwrap_or_default()
                .to_owned()
                + last
        } else {
            last.clone() + text.get(text.trim_end().len()..).unwrap_or_default()
        };
        *last = kept;
    }
    if from_the_end {
        parts.reverse();
    }
    parts
}

fn lines(text: &str, arguments: &Arguments) -> Result<Value, Error> {
    let keeps_ends = arguments
        .get(0, "keepends")?
        .is_some_and(|flag| flag.is_true());
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.find([
            '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ]);
        let (line, after) = rest.split_at(at.unwrap_or(rest.len()));
        let length = match after.get(..2) {
            Some("\r\n") => 2,
            _ => after.chars().next().map_or(0, char::len_utf8),
        };
        let (end, after) = after.split_at(length);
        lines.push(Value::from(if keeps_ends {
            format!("{line}{end}")
        } else {
            line.to_owned()
        }));
        rest = after;
    }
    Ok(Value::from(lines))
}
