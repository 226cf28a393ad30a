//! The tree of settings that templates see.

use serde_json::{Map, Value};

use super::drivers;
use super::schema::{SETTINGS, Setting};
use super::set::Segment;
use super::value::Kind;

/// The default of a setting in its shape; an empty text where nothing is set.
pub fn default_of(path: &str) -> Value {
    SETTINGS
        .iter()
        .find(|setting| setting.path == path)
        .map_or_else(|| Value::String(String::new()), default)
}

fn default(setting: &Setting) -> Value {
    let text = setting.default.as_str();
    match setting.kind {
        Kind::Boolean => Value::Bool(text == "true"),
        Kind::Port | Kind::Count | Kind::Decimal => text
            .parse::<u64>()
            .map_or(Value::String(String::new()), Value::from),
        _ => text.into(),
    }
}

/// Every setting with its default, and of the storage drivers the chosen one's.
pub fn defaults(driver: &str) -> Map<String, Value> {
    let mut root = Map::new();
    for setting in SETTINGS.iter().filter(|setting| !setting.is_pattern()) {
        let words: Vec<&str> = setting.path.split('.').collect();
        if setting.kind == Kind::Nothing {
            continue;
        }
        match drivers::parameter(&setting.path) {
            // What an object store is not told is not written down.
            Some((owner, _)) if owner.name != driver || owner.name != drivers::FILESYSTEM => {}
            _ => set(&mut root, &words, default(setting)),
        }
    }
    let words: Vec<&str> = super::schema::STORAGE.split('.').chain([driver]).collect();
    if get(&root, &words).is_none() {
        set(&mut root, &words, Value::Object(Map::new()));
    }
    root
}

/// The value at a path.
pub fn get<'a>(root: &'a Map<String, Value>, words: &[&str]) -> Option<&'a Value> {
    let (first, rest) = words.split_first()?;
    rest.iter()
        .try_fold(root.get(*first)?, |value, word| value.get(word))
}

/// Puts a value at a path; mappings on the way are made where they are missing.
pub fn set(root: &mut Map<String, Value>, words: &[&str], value: Value) {
    let Some((last, before)) = words.split_last() else {
        return;
    };
    let mut map = root;
    for word in before {
        let next = map
            .entry(*word)
            .or_insert_with(|| Value::Object(Map::new()));
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        let Value::Object(next) = next else { return };
        map = next;
    }
    map.insert((*last).to_owned(), value);
}

/// Puts a value below a setting that takes anything, through mappings and lists.
///
/// # Errors
///
/// Why it cannot: an index that leaves a gap, or a step into something that is neither list nor mapping.
pub fn set_below(
    root: &mut Map<String, Value>,
    path: &str,
    below: &[Segment],
    value: Value,
) -> Result<(), String> {
    let words: Vec<&str> = path.split('.').collect();
    let mut whole = get(root, &words).cloned().unwrap_or(Value::Null);
    put(&mut whole, below, value, path)?;
    set(root, &words, whole);
    Ok(())
}

fn put(slot: &mut Value, steps: &[Segment], value: Value, path: &str) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else {
        *slot = value;
        return Ok(());
    };
    match first {
        Segment::Key(word) => {
            if slot.is_null() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(map) = slot else {
                return Err(format!(
                    "`{path}` is not a mapping, so that `{word}` cannot be set in it"
                ));
            };
            let next = map.entry(word.clone()).or_insert(Value::Null);
            put(next, rest, value, &format!("{path}.{word}"))
        }
        Segment::Index(index) => {
            if slot.is_null() {
                *slot = Value::Array(Vec::new());
            }
            let Value::Array(items) = slot else {
                return Err(format!(
                    "`{path}` is not a list, so that item {index} cannot be set in it"
                ));
            };
            if *index > items.len() {
                return Err(format!(
                    "`{path}` has {} items, so that item {index} would leave a gap",
                    items.len()
                ));
            }
            if *index == items.len() {
                items.push(Value::Null);
            }
            match items.get_mut(*index) {
                Some(next) => put(next, rest, value, &format!("{path}[{index}]")),
                None => Ok(()),
            }
        }
    }
}

/// Adds the long spelling of everything that has one.
pub fn add_long_spellings(root: &mut Map<String, Value>) {
    for setting in SETTINGS.iter().filter(|setting| !setting.is_pattern()) {
        let Some(long) = &setting.long else { continue };
        let short: Vec<&str> = setting.path.split('.').collect();
        if let Some(value) = get(root, &short).cloned() {
            let long: Vec<&str> = long.split('.').collect();
            set(root, &long, value);
        }
    }
    for key in ["artifact_url", "sha256"] {
        if get(root, &["artifact", key]).is_none() {
            set(root, &["artifact", key], Value::Object(Map::new()));
        }
    }
    if let Some(urls) = get(root, &["artifact", "artifact_url"]).cloned() {
        set(root, &["download", "artifact_url"], urls);
    }
}
