//! Lookups that need nothing but their terms: lists made of lists.

use serde_json::{Value as Json, json};

/// A value as a list of terms.
pub(in crate::engine) fn listed(terms: Json) -> Vec<Json> {
    match terms {
        Json::Array(items) => items,
        other => vec![other],
    }
}

/// Lists in a list taken apart, once.
pub(super) fn taken_apart(items: Vec<Json>) -> Vec<Json> {
    items.into_iter().flat_map(listed).collect()
}

pub(super) fn flattened(items: Vec<Json>) -> Vec<Json> {
    items
        .into_iter()
        .flat_map(|item| match item {
            Json::Array(inner) => flattened(inner),
            Json::Null => Vec::new(),
            other => vec![other],
        })
        .collect()
}

/// Items with their index.
pub(super) fn indexed(terms: Vec<Json>) -> Vec<Json> {
    let items = taken_apart(terms).into_iter().enumerate();
    items.map(|(index, item)| json!([index, item])).collect()
}

pub(super) fn dict(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let mut pairs = Vec::new();
    for term in terms {
        let Json::Object(map) = term else {
            return Err("with_dict expects a dict, found something else".to_owned());
        };
        pairs.extend(
            map.into_iter()
                .map(|(key, value)| json!({"key": key, "value": value})),
        );
    }
    Ok(pairs)
}

/// Every combination; a list within a list is taken apart each time that it is put into one.
pub(super) fn nested(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let mut terms = terms.into_iter();
    let Some(first) = terms.next() else {
        return Err("with_nested requires at least one element in the nested list".to_owned());
    };
    let mut rows = listed(first);
    for term in terms {
        let column = listed(term);
        rows = rows
            .iter()
            .flat_map(|row| column.iter().map(move |item| json!([row, item])))
            .map(|pair| Json::Array(taken_apart(listed(pair))))
            .collect();
    }
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| Json::Array(taken_apart(listed(row))))
        .collect())
}

pub(super) fn together(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let lists: Vec<Vec<Json>> = terms.into_iter().map(listed).collect();
    let length = lists.iter().map(Vec::len).max().unwrap_or(0);
    if lists.is_empty() {
        return Err("with_together requires at least one element in each list".to_owned());
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

pub(super) fn sub_elements(terms: Vec<Json>) -> Result<Vec<Json>, String> {
    let wrong =
        |what: &str| format!("subelements lookup expects a list of two or three items, {what}");
    if !(2..=3).contains(&terms.len()) {
        return Err(wrong(""));
    }
    let mut terms = terms.into_iter();
    let (items, key, flags) = (terms.next(), terms.next(), terms.next());
    let kinds = || wrong("first a dict or a list, second a string pointing to the subkey");
    let items = match items {
        Some(Json::Array(items)) => items,
        Some(Json::Object(map)) if is_skipped(&map) => return Ok(Vec::new()),
        Some(Json::Object(map)) => map.into_iter().map(|(_, value)| value).collect(),
        // One value is a list of it.
        Some(other) if key.as_ref().is_some_and(Json::is_string) => vec![other],
        _ => return Err(kinds()),
    };
    let key = key.as_ref().and_then(Json::as_str).ok_or_else(kinds)?;
    if flags.as_ref().is_some_and(|flags| !flags.is_object()) {
        return Err(wrong(
            "the optional third item must be a dict with flags ('skip_missing',)",
        ));
    }
    let skips = flags
        .as_ref()
        .and_then(|flags| flags.get("skip_missing"))
        .is_some_and(crate::template::truthy);
    let mut pairs = Vec::new();
    for item in items {
        let Json::Object(map) = &item else {
            let shown = crate::template::display(&item);
            return Err(format!(
                "subelements lookup expects a dictionary, got '{shown}'"
            ));
        };
        if is_skipped(map) {
            continue;
        }
        let mut item = item;
        // What an item is gone through for is no longer part of it.
        match taken(&mut item, key) {
            Some(Json::Array(elements)) => {
                pairs.extend(elements.iter().map(|element| json!([item, element])));
            }
            _ if skips => {}
            Some(_) => return Err(format!("the key {key} should point to a list")),
            None if leads_astray(&item, key) => {
                return Err(format!("the key {key} should point to a dictionary"));
            }
            None => {
                let last = key.rsplit('.').next().unwrap_or(key);
                return Err(format!("could not find '{last}' key in iterated item"));
            }
        }
    }
    Ok(pairs)
}

/// Whether a registered result says that it was skipped.
fn is_skipped(map: &serde_json::Map<String, Json>) -> bool {
    map.get("skipped")
        .is_some_and(|flag| *flag != Json::Bool(false))
}

/// Whether what stands under all but the last part of `a.b.c` is there and no mapping.
fn leads_astray(item: &Json, key: &str) -> bool {
    match key.split_once('.') {
        Some((first, rest)) => item
            .get(first)
            .is_some_and(|inner| !inner.is_object() || leads_astray(inner, rest)),
        None => false,
    }
}

/// Takes out what stands under `a.b.c`.
fn taken(item: &mut Json, key: &str) -> Option<Json> {
    match key.split_once('.') {
        Some((first, rest)) => taken(item.get_mut(first)?, rest),
        None => item.as_object_mut()?.shift_remove(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Listing<'a> = &'a dyn Fn(Json) -> Result<Vec<Json>, String>;

    #[test]
    fn lists_are_made_as_ansible_makes_them() {
        let items = |terms: Json| Ok(taken_apart(listed(terms)));
        let whole = |terms: Json| Ok(flattened(listed(terms)));
        let counted = |terms: Json| Ok(indexed(listed(terms)));
        let pairs = |terms: Json| dict(listed(terms));
        let combined = |terms: Json| nested(listed(terms));
        let zipped = |terms: Json| together(listed(terms));
        let below = |terms: Json| sub_elements(listed(terms));
        let cases: &[(Listing<'_>, Json, &str)] = &[
            (&items, json!([1, [2, [3]], 4]), "[1,2,[3],4]"),
            (&items, json!("a"), r#"["a"]"#),
            (&whole, json!([1, [2, [3, []]]]), "[1,2,3]"),
            (&counted, json!(["a", ["b"]]), r#"[[0,"a"],[1,"b"]]"#),
            (&pairs, json!({"a": 1}), r#"[{"key":"a","value":1}]"#),
            (
                &pairs,
                json!(["a"]),
                "with_dict expects a dict, found something else",
            ),
            (
                &combined,
                json!([["a", "b"], [1, 2]]),
                r#"[["a",1],["a",2],["b",1],["b",2]]"#,
            ),
            (&combined, json!([["a"], [[1, [2]]]]), r#"[["a",1,2]]"#),
            (&zipped, json!([["a", "b"], [1]]), r#"[["a",1],["b",null]]"#),
            (
                &below,
                json!([[{"n": 1, "k": ["x", "y"]}], "k"]),
                r#"[[{"n":1},"x"],[{"n":1},"y"]]"#,
            ),
            (
                &below,
                json!([[{"n": 1}], "k", {"skip_missing": true}]),
                "[]",
            ),
            (
                &below,
                json!([[{"n": 1}], "k"]),
                "could not find 'k' key in iterated item",
            ),
            (&below, json!([{"skipped": true, "n": 1}, "k"]), "[]"),
        ];
        for (lookup, terms, expected) in cases {
            let found = match lookup(terms.clone()) {
                Ok(items) => Json::Array(items).to_string(),
                Err(message) => message,
            };
            assert_eq!(found, *expected, "{terms}");
        }
    }
}
