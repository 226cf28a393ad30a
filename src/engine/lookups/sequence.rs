//! The lookup `sequence`: numbers from here to there.

use serde_json::Value as Json;

use super::options::Options;
use crate::template::display;

/// What one term asks for.
#[derive(Clone)]
struct Asked {
    start: i64,
    end: Option<i64>,
    count: Option<i64>,
    stride: i64,
    format: String,
}

/// The numbers of all terms, as texts.
pub(super) fn all(terms: &[Json], options: &Options<'_>) -> Result<Vec<Json>, String> {
    let mut given = Asked {
        start: 1,
        end: None,
        count: None,
        stride: 1,
        format: "%d".to_owned(),
    };
    for name in ["start", "end", "count", "stride", "format"] {
        if let Some(text) = options.text(name) {
            given.set(name, &text).ok_or_else(|| wrong(name, &text))?;
        }
    }
    let mut numbers = Vec::new();
    for term in terms {
        let term = display(term);
        numbers.extend(given.clone().with(&term)?.numbers()?);
    }
    Ok(numbers)
}

fn wrong(key: &str, value: &str) -> String {
    format!("Invalid type for `{key}` of with_sequence: `{value}` is no number")
}

fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (text.get(2..)?, 16),
        Some("0o" | "0O") => (text.get(2..)?, 8),
        _ => (text, 10),
    };
    i64::from_str_radix(digits, radix).ok()
}

impl Asked {
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "start" => self.start = number(value)?,
            "end" => self.end = Some(number(value)?),
            "count" => self.count = Some(number(value)?),
            "stride" => self.stride = number(value)?,
            "format" => value.clone_into(&mut self.format),
            _ => return None,
        }
        Some(())
    }

    /// `start=1 end=5 stride=2 format=%02d`, `count=4`, `1-5`, `4:host%02d`, `2-10/2`.
    fn with(mut self, term: &str) -> Result<Self, String> {
        if term.contains('=') {
            let pairs = crate::playbook::words::split(term, false)?.pairs;
            let known = |key: &str| ["start", "end", "count", "stride", "format"].contains(&key);
            let unknown: Vec<String> = pairs
                .iter()
                .filter(|(key, _)| !known(key))
                .map(|(key, _)| format!("'{key}'"))
                .collect();
            if !unknown.is_empty() {
                let unknown = unknown.join(", ");
                return Err(format!(
                    "unrecognized arguments to with_sequence: [{unknown}]"
                ));
            }
            for (key, value) in &pairs {
                self.set(key, value).ok_or_else(|| wrong(key, value))?;
            }
            return Ok(self);
        }
        let (rest, pattern) = match term.split_once(':') {
            Some((rest, pattern)) => (rest, Some(pattern)),
            None => (term, None),
        };
        let (range, step) = match rest.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (rest, None),
        };
        let parts = match range.get(1..).and_then(|tail| tail.find('-')) {
            Some(at) => [range.get(..=at), range.get(at + 2..)],
            None => [None, Some(range)],
        };
        let given = [
            ("start", parts[0]),
            ("end", parts[1]),
            ("stride", step),
            ("format", pattern),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                self.set(key, value).ok_or_else(|| wrong(key, value))?;
            }
        }
        Ok(self)
    }

    fn numbers(&self) -> Result<Vec<Json>, String> {
        let (start, stride) = (self.start, self.stride);
        let end = match (self.end, self.count) {
            (Some(end), None) => end,
            (None, Some(0)) => return Ok(Vec::new()),
            (None, Some(count)) => start + count * stride - 1,
            (None, None) => return Err("must specify count or end in with_sequence".to_owned()),
            (Some(_), Some(_)) => {
                return Err("can't specify both count and end in with_sequence".to_owned());
            }
        };
        if stride > 0 && end < start {
            return Err("to count backwards make stride negative".to_owned());
        }
        if stride < 0 && end > start {
            return Err("to count forward don't make stride negative".to_owned());
        }
        let mut numbers = Vec::new();
        let mut at = start;
        while stride != 0 && (if stride > 0 { at <= end } else { at >= end }) {
            let text = formatted(&self.format, at);
            numbers.push(Json::from(
                text.ok_or_else(|| format!("bad formatting string: {}", self.format))?,
            ));
            at += stride;
        }
        Ok(numbers)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_counted_as_ansible_counts() {
        let none = serde_json::Map::new();
        let options = Options::new(&[], &none).unwrap();
        for (term, expected) in [
            ("count=3", r#"["1","2","3"]"#),
            ("1-3", r#"["1","2","3"]"#),
            ("5", r#"["1","2","3","4","5"]"#),
            ("2-10/4", r#"["2","6","10"]"#),
            ("2:host%02d", r#"["host01","host02"]"#),
            ("start=4 end=0 stride=-2", r#"["4","2","0"]"#),
            (
                "start=0x0f end=0x11 format=%04x",
                r#"["000f","0010","0011"]"#,
            ),
            ("start=1 count=5 stride=2", r#"["1","3","5","7","9"]"#),
            ("count=0", "[]"),
            (
                "x",
                "Invalid type for `end` of with_sequence: `x` is no number",
            ),
            ("start=1", "must specify count or end in with_sequence"),
            ("start=2 end=1", "to count backwards make stride negative"),
        ] {
            let found = match all(&[json!(term)], &options) {
                Ok(numbers) => Json::Array(numbers).to_string(),
                Err(message) => message,
            };
            assert_eq!(found, expected, "{term}");
        }
    }
}
