//! Arguments of a module: their declaration, and their values once templates are resolved.

use serde_json::Value;

use super::ModuleError;
pub use super::mode::Mode;

/// One argument of a module.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Other names for it, as Ansible has them (`dest`, `path`, `name`).
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: ArgumentKind,
    /// The task is wrong without it.
    pub required: bool,
    /// What it means, with its default, in one sentence.
    pub summary: &'static str,
}

impl Argument {
    /// An optional argument.
    pub const fn optional(name: &'static str, kind: ArgumentKind, summary: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            required: false,
            summary,
        }
    }

    /// A required argument.
    pub const fn required(name: &'static str, kind: ArgumentKind, summary: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            required: true,
            summary,
        }
    }

    /// With other names.
    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
}

/// What an argument takes. A literal is checked at load time, a template once it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any text; numbers and booleans as they were written.
    Text,
    /// A text that is never shown.
    Secret,
    /// A path on the host (absolute once resolved) or here, as the module says.
    Path,
    /// A boolean, in any of Ansible's spellings.
    Boolean,
    /// A whole number.
    Integer,
    /// Permission bits: `0644`, `"0644"`, symbolic as for `chmod` (`u=rwX,go-w`), or `preserve`.
    Mode,
    /// A number, whole or not.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts; one text with commas counts as a list.
    Texts,
    /// A mapping.
    Mapping,
    /// Anything.
    Any,
}

impl ArgumentKind {
    /// The value in the shape that [`Arguments`] hands out, or what was wanted instead.
    ///
    /// Texts become strings, `Mode` a number, `Texts` an array of strings.
    pub fn coerce(self, value: &Value) -> Result<Value, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(boolean) => Some(if *boolean { "true" } else { "false" }.to_owned()),
            _ => None,
        };
        match self {
            Self::Any => Ok(value.clone()),
            Self::Text | Self::Secret | Self::Path => text(value)
                .map(Value::String)
                .ok_or_else(|| "expected a text".to_owned()),
            Self::Boolean => match value {
                Value::Bool(_) => Ok(value.clone()),
                other => match text(other).unwrap_or_default().to_lowercase().as_str() {
                    "true" | "yes" | "on" | "1" | "y" | "t" | "1.0" => Ok(true.into()),
                    "false" | "no" | "off" | "0" | "n" | "f" | "0.0" => Ok(false.into()),
                    _ => Err("expected a boolean (`true` or `false`)".to_owned()),
                },
            },
            Self::Integer => match value {
                Value::Number(number) if number.is_i64() => Ok(value.clone()),
                other => text(other)
                    .and_then(|text| text.trim().parse::<i64>().ok())
                    .map(Value::from)
                    .ok_or_else(|| "expected a whole number".to_owned()),
            },
            Self::Number => match value {
                Value::Number(_) => Ok(value.clone()),
                other => text(other)
                    .and_then(|text| text.trim().parse::<f64>().ok())
                    .and_then(serde_json::Number::from_f64)
                    .map(Value::Number)
                    .ok_or_else(|| "expected a number".to_owned()),
            },
            Self::Mode if value.is_number() => mode_of_number(value),
            Self::Mode => text(value)
                .and_then(|text| match Mode::parse(text.trim())? {
                    Mode::Bits(bits) => Some(Value::from(bits)),
                    _ => Some(Value::from(text.trim())),
                })
                .ok_or_else(|| "expected a file mode such as `0644` or `u=rw,go=r`".to_owned()),
            Self::Choice(words) => {
                let word = text(value).ok_or_else(|| "expected a text".to_owned())?;
                if words.contains(&word.as_str()) {
                    return Ok(word.into());
                }
                let hint = crate::diagnostic::did_you_mean(&word, words.iter().copied())
                    .map_or_else(String::new, |hint| format!("; {hint}"));
                Err(format!("`{word}` is not one of {}{hint}", words.join(", ")))
            }
            Self::Texts => match value {
                Value::Array(items) => items
                    .iter()
                    .map(|item| text(item).map(Value::String))
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
                    .ok_or_else(|| "expected a list of texts".to_owned()),
                Value::Null => Ok(Value::Array(Vec::new())),
                other => text(other)
                    .map(|text| {
                        text.split(',')
                            .map(|item| Value::from(item.trim()))
                            .collect()
                    })
                    .ok_or_else(|| "expected a list of texts".to_owned()),
            },
            Self::Mapping => match value {
                Value::Object(_) => Ok(value.clone()),
                _ => Err("expected a mapping".to_owned()),
            },
        }
    }
}

/// What a user wrote, before templates are resolved: for checks across arguments at load time.
pub struct Given<'a> {
    /// Canonical names of the arguments that are there.
    pub names: &'a [&'a str],
    /// Their values where they are literal.
    pub literals: &'a serde_json::Map<String, Value>,
}

impl Given<'_> {
    /// Whether an argument was given.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

/// The arguments of one task for one host: canonical names, every value of the declared kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments(pub serde_json::Map<String, Value>);

impl Arguments {
    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    /// A text that was declared as required.
    pub fn required_text(&self, name: &str) -> Result<String, ModuleError> {
        self.text(name)
            .ok_or_else(|| ModuleError::failed(format!("the argument `{name}` is missing")))
    }

    /// A boolean, or its default.
    pub fn boolean(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// Permission bits.
    pub fn mode(&self, name: &str) -> Option<Mode> {
        match self.0.get(name)? {
            Value::Number(number) => number
                .as_u64()
                .and_then(|mode| u32::try_from(mode).ok())
                .map(Mode::Bits),
            Value::String(text) => Mode::parse(text),
            _ => None,
        }
    }

    /// A number, whole or not.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// A text that is there and not empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A boolean that may not be given at all.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// A list of texts; empty when not given.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        items
            .map(|items| {
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Any value.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// A number is the bits themselves, as in Ansible: 420 is 0644. What can only be meant as octal digits is refused.
fn mode_of_number(value: &Value) -> Result<Value, String> {
    let number = value
        .as_u64()
        .filter(|number| *number <= 0o7777)
        .ok_or_else(|| "expected a file mode such as `'0644'` or `u=rw,go=r`".to_owned())?;
    let digits = number.to_string();
    // Of those below 512 what nobody means by its bits.
    let looks_octal = number >= 512 || matches!(number, 400 | 440 | 444 | 500);
    if looks_octal && digits.bytes().all(|digit| digit < b'8') {
        return Err(format!(
            "the number {digits} is the mode {number:04o}: write `'{digits:0>4}'` for the octal one"
        ));
    }
    Ok(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn coercion_takes_ansibles_spellings_and_refuses_the_rest() {
        assert_eq!(ArgumentKind::Boolean.coerce(&json!("yes")), Ok(json!(true)));
        assert_eq!(ArgumentKind::Mode.coerce(&json!("0644")), Ok(json!(0o644)));
        assert_eq!(
            ArgumentKind::Mode.coerce(&json!("rw-r")),
            Err("expected a file mode such as `0644` or `u=rw,go=r`".into())
        );
        assert_eq!(
            ArgumentKind::Texts.coerce(&json!("a, b")),
            Ok(json!(["a", "b"]))
        );
        assert_eq!(ArgumentKind::Integer.coerce(&json!("12")), Ok(json!(12)));
        assert_eq!(
            ArgumentKind::Choice(&["present", "absent"])
                .coerce(&json!("presnt"))
                .unwrap_err(),
            "`presnt` is not one of present, absent; did you mean `present`?"
        );
    }
}
