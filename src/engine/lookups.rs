//! The lookups behind `with_…`: lists made of terms.

use serde_json::{Value as Json, json};

use crate::playbook::With;
use crate::template::display;

/// A value as a list of terms.
pub(super) fn listed(terms: Json) -> Vec<Json> {
    match terms {
        Json::Array(items) => items,
        other => vec![other],
    }
}

/// The lookups that need nothing but their terms.
pub(super) fn pure(with: With, terms: Json) -> Result<Vec<Json>, String> {
    match with {
        With::List => Ok(listed(terms)),
        With::Items => Ok(taken_apart(listed(terms))),
        With::Flattened => Ok(flattened(listed(terms))),
        With::IndexedItems => {
            let items = taken_apart(listed(terms)).into_iter().enumerate();
            Ok(items.map(|(index, item)| json!([index, item])).collect())
        }
        With::Dict => dict(listed(terms)),
        With::Nested => nested(listed(terms)),
        With::Together => together(listed(terms)),
        With::SubElements => sub_elements(listed(terms)),
        With::Sequence => {
            let mut numbers = Vec::new();
            for term in listed(terms) {
                numbers.extend(sequence(&display(&term))?);
            }
            Ok(numbers)
        }
        With::FileGlob | With::FirstFound | With::InventoryHostnames => Ok(Vec::new()),
    }
}

/// Lists in a list taken apart, once.
fn taken_apart(items: Vec<Json>) -> Vec<Json> {
    items.into_iter().flat_map(listed).collect()
}

fn flattened(items: Vec<Json>) -> Vec<Json> {
    items
        .into_iter()
        .flat_map(|item| match item {
            Json::Array(inner) => flattened(inner),
            Json::Null => Vec::new(),
            other => vec![other],
        })
        .collect()
}

fn dict(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let mut pairs = Vec::new();
    for term in terms {
        let Json::Object(map) = term else {
            return Err("`with_dict` wants a mapping".to_owned());
        };
        pairs.extend(
            map.into_iter()
                .map(|(key, value)| json!({"key": key, "value": value})),
        );
    }
    Ok(pairs)
}

fn nested(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    if terms.is_empty() {
        return Err("`with_nested` wants at least one list".to_owned());
    }
    let mut rows: Vec<Vec<Json>> = vec![Vec::new()];
    for term in terms {
        let column = listed(term);
        rows = rows
            .into_iter()
            .flat_map(|row| {
                column.iter().map(move |item| {
                    let mut row = row.clone();
                    row.push(item.clone());
                    row
                })
            })
            .collect();
    }
    Ok(rows
        .into_iter()
        .map(|row| Json::Array(taken_apart(row)))
        .collect())
}

fn together(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let lists: Vec<Vec<Json>> = terms.into_iter().map(listed).collect();
    let length = lists.iter().map(Vec::len).max().unwrap_or(0);
    if lists.is_empty() {
        return Err("`with_together` wants at least one list".to_owned());
    }
    Ok((0..length)
        .map(|index| {
            let row = lists
                .iter()
                .map(|list| list.get(index).cloned().unwrap_or(Json::Null));
            Json::Array(taken_apart(row.collect()))
        })
        .collect())
}

fn sub_elements(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let wrong = || {
        "`with_subelements` wants a list of mappings, a key, and perhaps `{skip_missing: true}`"
            .to_owned()
    };
    let mut terms = terms.into_iter();
    let (items, key, flags) = (terms.next(), terms.next(), terms.next());
    let items = match items {
        Some(Json::Array(items)) => items,
        Some(Json::Object(map)) => map.into_iter().map(|(_, value)| value).collect(),
        _ => return Err(wrong()),
    };
    let key = key.as_ref().and_then(Json::as_str).ok_or_else(wrong)?;
    let skips = flags
        .as_ref()
        .and_then(|flags| flags.get("skip_missing"))
        .is_some_and(crate::template::truthy);
    let mut pairs = Vec::new();
    for item in items {
        let is_skipped = item
            .get("skipped")
            .is_some_and(|flag| *flag != Json::Bool(false));
        if is_skipped {
            continue;
        }
        let mut inner = Some(&item);
        for part in key.split('.') {
            inner = inner.and_then(|value| value.get(part));
        }
        match inner {
            Some(Json::Array(elements)) => {
                pairs.extend(elements.iter().map(|element| json!([item, element])));
            }
            _ if skips => {}
            Some(_) => {
                return Err(format!(
                    "`{key}` of an item of `with_subelements` is no list"
                ));
            }
            None => return Err(format!("an item of `with_subelements` has no `{key}`")),
        }
    }
    Ok(pairs)
}

/// `start=1 end=5 stride=2 format=%02d`, `count=4`, `1-5`, `4:host%02d`, `2-10/2`.
fn sequence(term: &str) -> Result<Vec<Json>, String> {
    let wrong = || format!("`with_sequence` does not understand `{term}`");
    let number = |text: &str| {
        let text = text.trim();
        let (digits, radix) = match text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (text, 10),
        };
        i64::from_str_radix(digits, radix).map_err(|_| wrong())
    };
    let (mut start, mut end, mut count, mut stride) = (1, None, None, None);
    let mut format = "%d".to_owned();
    if term.contains('=') {
        let words = crate::playbook::words::split(term, false)?;
        for (key, value) in &words.pairs {
            match key.as_str() {
                "start" => start = number(value)?,
                "end" => end = Some(number(value)?),
                "count" => count = Some(number(value)?),
                "stride" => stride = Some(number(value)?),
                "format" => format.clone_from(value),
                _ => return Err(wrong()),
            }
        }
    } else {
        let (rest, pattern) = match term.split_once(':') {
            Some((rest, pattern)) => (rest, Some(pattern)),
            None => (term, None),
        };
        if let Some(pattern) = pattern {
            pattern.clone_into(&mut format);
        }
        let (range, step) = match rest.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (rest, None),
        };
        stride = step;
        match range.get(1..).and_then(|tail| tail.find('-')) {
            Some(at) => {
                start = number(range.get(..=at).unwrap_or_default())?;
                end = Some(number(range.get(at + 2..).unwrap_or_default())?);
            }
            None => end = Some(number(range)?),
        }
    }
    let stride = stride.unwrap_or(1);
    let end = match (end, count) {
        (Some(end), None) => end,
        (None, Some(0)) => return Ok(Vec::new()),
        (None, Some(count)) => start + (count - 1) * stride,
        _ => {
            return Err(format!(
                "`with_sequence` wants `end` or `count`, one of them: `{term}`"
            ));
        }
    };
    if stride > 0 && end < start || stride < 0 && end > start {
        return Err(format!(
            "`with_sequence` cannot come from {start} to {end} in steps of {stride}"
        ));
    }
    let mut numbers = Vec::new();
    let mut at = start;
    while stride != 0 && (if stride > 0 { at <= end } else { at >= end }) {
        numbers.push(Json::from(formatted(&format, at).ok_or_else(wrong)?));
        at += stride;
    }
    Ok(numbers)
}

/// A number in the one `%` of a format.
fn formatted(format: &str, number: i64) -> Option<String> {
    let at = format.find('%')?;
    let (before, spec) = (format.get(..at)?, format.get(at + 1..)?);
    let end = spec.find(|c: char| c.is_ascii_alphabetic())?;
    let (flags, rest) = (spec.get(..end)?, spec.get(end..)?);
    let mut rest = rest.chars();
    let digits = match rest.next()? {
        'd' | 'i' | 'u' | 's' => number.to_string(),
        'x' => format!("{number:x}"),
        'X' => format!("{number:X}"),
        'o' => format!("{number:o}"),
        _ => return None,
    };
    let is_padded = flags.starts_with('0');
    let width: usize = flags
        .trim_start_matches(['0', '-', '+', ' '])
        .parse()
        .unwrap_or(0);
    let padded = match (is_padded, flags.starts_with('-')) {
        (true, _) => format!("{digits:0>width$}"),
        (false, true) => format!("{digits:<width$}"),
        (false, false) => format!("{digits:>width$}"),
    };
    Some(format!("{before}{padded}{}", rest.as_str()))
}

/// Files that match patterns, in the first folder that has the pattern's.
pub(super) fn file_glob(patterns: &[Json], places: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in patterns {
        for place in places(&display(pattern)) {
            let path = std::path::Path::new(&place);
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let name = name.to_string_lossy();
            let mut here: Vec<String> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_file())
                .filter(|entry| {
                    let file = entry.file_name();
                    let file = file.to_string_lossy();
                    super::schedule::matches_glob(&name, &file)
                        && (!file.starts_with('.') || name.starts_with('.'))
                })
                .map(|entry| entry.path().display().to_string())
                .collect();
            here.sort();
            if !here.is_empty() {
                found.extend(here);
                break;
            }
        }
    }
    found
}

/// The first file that is there. Terms are names, or mappings with `files`, `paths` and `skip`.
pub(super) fn first_found(
    terms: &Json,
    places: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<String>, String> {
    let mut candidates: Vec<String> = Vec::new();
    let mut skips = false;
    let names = |value: Option<&Json>| -> Vec<String> {
        match value {
            Some(Json::Array(items)) => items.iter().map(display).collect(),
            Some(Json::String(text)) => text
                .split([',', ';'])
                .map(|part| part.trim().to_owned())
                .collect(),
            _ => Vec::new(),
        }
    };
    let list = listed(terms.clone());
    for term in flattened(list) {
        match &term {
            Json::Object(map) => {
                skips |= map.get("skip").is_some_and(crate::template::truthy);
                let (files, paths) = (names(map.get("files")), names(map.get("paths")));
                if paths.is_empty() {
                    candidates.extend(files);
                } else if files.is_empty() {
                    candidates.extend(paths);
                } else {
                    for path in &paths {
                        let path = path.trim_end_matches('/');
                        candidates.extend(files.iter().map(|file| format!("{path}/{file}")));
                    }
                }
            }
            other => candidates.push(display(other)),
        }
    }
    for candidate in candidates.iter().filter(|name| !name.is_empty()) {
        for place in places(candidate) {
            if std::path::Path::new(&place).exists() {
                return Ok(vec![place]);
            }
        }
    }
    if skips {
        return Ok(Vec::new());
    }
    Err(format!(
        "`with_first_found` found none of {}",
        candidates.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(with: With, terms: Json) -> String {
        match pure(with, terms) {
            Ok(items) => Json::Array(items).to_string(),
            Err(message) => message,
        }
    }

    #[test]
    fn lists_are_made_as_ansible_makes_them() {
        for (with, terms, expected) in [
            (With::Items, json!([1, [2, [3]], 4]), "[1,2,[3],4]"),
            (With::Items, json!("a"), r#"["a"]"#),
            (With::List, json!([1, [2]]), "[1,[2]]"),
            (With::Flattened, json!([1, [2, [3, []]]]), "[1,2,3]"),
            (
                With::IndexedItems,
                json!(["a", ["b"]]),
                r#"[[0,"a"],[1,"b"]]"#,
            ),
            (With::Dict, json!({"a": 1}), r#"[{"key":"a","value":1}]"#),
            (With::Dict, json!(["a"]), "`with_dict` wants a mapping"),
            (
                With::Nested,
                json!([["a", "b"], [1, 2]]),
                r#"[["a",1],["a",2],["b",1],["b",2]]"#,
            ),
            (
                With::Together,
                json!([["a", "b"], [1]]),
                r#"[["a",1],["b",null]]"#,
            ),
            (
                With::SubElements,
                json!([[{"n": 1, "k": ["x", "y"]}], "k"]),
                r#"[[{"n":1,"k":["x","y"]},"x"],[{"n":1,"k":["x","y"]},"y"]]"#,
            ),
            (
                With::SubElements,
                json!([[{"n": 1}], "k", {"skip_missing": true}]),
                "[]",
            ),
            (
                With::SubElements,
                json!([[{"n": 1}], "k"]),
                "an item of `with_subelements` has no `k`",
            ),
            (With::Sequence, json!("count=3"), r#"["1","2","3"]"#),
            (With::Sequence, json!("1-3"), r#"["1","2","3"]"#),
            (With::Sequence, json!("5"), r#"["1","2","3","4","5"]"#),
            (With::Sequence, json!("2-10/4"), r#"["2","6","10"]"#),
            (
                With::Sequence,
                json!("2:host%02d"),
                r#"["host01","host02"]"#,
            ),
            (
                With::Sequence,
                json!("start=4 end=0 stride=-2"),
                r#"["4","2","0"]"#,
            ),
            (
                With::Sequence,
                json!("start=0x0f end=0x11 format=%04x"),
                r#"["000f","0010","0011"]"#,
            ),
            (With::Sequence, json!("count=0"), "[]"),
            (
                With::Sequence,
                json!("x"),
                "`with_sequence` does not understand `x`",
            ),
        ] {
            assert_eq!(all(with, terms.clone()), expected, "{with:?} {terms}");
        }
    }
}
