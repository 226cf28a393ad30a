//! `-e`: variables of the command line.

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Place, Source, Span};
use crate::playbook::{parse_variables, words};

/// What all `-e` say together, later ones stronger.
pub fn variables(flags: &[String]) -> Result<Map<String, Value>, Diagnostic> {
    let mut all = Map::new();
    for flag in flags {
        all.extend(one(flag)?);
    }
    Ok(all)
}

fn one(flag: &str) -> Result<Map<String, Value>, Diagnostic> {
    let source = Source::new("-e", flag);
    let whole = Span {
        start: 0,
        end: flag.len(),
    };
    let place = Place::new(&source, whole);
    if let Some(file) = flag.strip_prefix('@') {
        let bytes = std::fs::read(file)
            .map_err(|error| Diagnostic::at(&place, format!("cannot read `{file}`: {error}")))?;
        return parse_variables(file, &bytes);
    }
    if flag.trim_start().starts_with(['{', '[']) {
        return parse_variables("-e", flag.as_bytes());
    }
    let words = words::split(flag, false).map_err(|message| Diagnostic::at(&place, message))?;
    if !words.rest.is_empty() || words.pairs.is_empty() {
        return Err(Diagnostic::at(&place, "expected `name=value`").hint("or JSON, or `@FILE`"));
    }
    Ok(words
        .pairs
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn variables_come_as_words_or_as_json() {
        let all = |flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            match variables(&flags) {
                Ok(map) => serde_json::Value::Object(map).to_string(),
                Err(diagnostic) => diagnostic.to_string(),
            }
        };
        assert_eq!(all(&["a=1 b='x y'", "a=2"]), r#"{"a":"2","b":"x y"}"#);
        assert_eq!(all(&[r#"{"a": [1, true]}"#]), r#"{"a":[1,true]}"#);
        assert_eq!(all(&["a"]), "-e:1:1: expected `name=value`");
        assert_eq!(
            all(&["@/no/such/file"]),
            "-e:1:1: cannot read `/no/such/file`: No such file or directory (os error 2)"
        );
    }
}
