//! `format`: Python's `%` on a text.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::Call;
use super::python::{self, Number};

/// One `%…` of a text.
#[derive(Debug, Default)]
struct Field {
    key: Option<String>,
    is_left: bool,
    is_zero: bool,
    is_signed: bool,
    is_spaced: bool,
    is_alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// The widest that a field may be.
const WIDEST: usize = 100_000;

pub(super) fn format(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    if !call.rest.is_empty() && !call.named.is_empty() {
        return Err(call.error("arguments go by position or by name, not both"));
    }
    let mut arguments = call.rest.iter();
    let mut new = String::new();
    let mut rest = text.as_str();
    while let Some((literal, after)) = rest.split_once('%') {
        new.push_str(literal);
        let (field, kind, after) = read(after, &mut arguments, call)?;
        rest = after;
        if kind == '%' {
            new.push('%');
            continue;
        }
        let value = match &field.key {
            Some(key) => call
                .named
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value)
                .ok_or_else(|| call.error(&format!("there is no argument `{key}`")))?,
            None => arguments
                .next()
                .ok_or_else(|| call.error("there are fewer arguments than places for them"))?,
        };
        new.push_str(&field.write(kind, value, call)?);
    }
    new.push_str(rest);
    if arguments.next().is_some() {
        return Err(call.error("there are more arguments than places for them"));
    }
    Ok(Value::from(new))
}

/// Flags, width, precision and kind; gives the rest of the text.
fn read<'t, 'v>(
    text: &'t str,
    arguments: &mut impl Iterator<Item = &'v Value>,
    call: &Call,
) -> Result<(Field, char, &'t str), Error> {
    let unfinished = || call.error("a `%` with nothing behind it");
    let mut field = Field::default();
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('(') {
        let (key, after) = after.split_once(')').ok_or_else(unfinished)?;
        field.key = Some(key.to_owned());
        rest = after;
    }
    loop {
        let mut characters = rest.chars();
        match characters.next() {
            Some('-') => field.is_left = true,
            Some('0') => field.is_zero = true,
            Some('+') => field.is_signed = true,
            Some(' ') => field.is_spaced = true,
            Some('#') => field.is_alternate = true,
            _ => break,
        }
        rest = characters.as_str();
    }
    let mut number = |rest: &mut &'t str| -> Result<usize, Error> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let argument = arguments.next().and_then(python::number);
            return match argument {
                Some(Number::Integer(number)) => Ok(usize::try_from(number).unwrap_or_default()),
                _ => Err(call.error("a width must be a number")),
            };
        }
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        *rest = after;
        Ok(if digits.is_empty() {
            0
        } else {
            digits.parse().unwrap_or(usize::MAX)
        })
    };
    field.width = number(&mut rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        field.precision = Some(number(&mut rest)?);
    }
    if field.width > WIDEST || field.precision.is_some_and(|precision| precision > WIDEST) {
        return Err(call.error("a width is too large"));
    }
    rest = rest.trim_start_matches(['l', 'h', 'L']);
    let mut characters = rest.chars();
    let kind = characters.next().ok_or_else(unfinished)?;
    Ok((field, kind, characters.as_str()))
}

impl Field {
    fn write(&self, kind: char, value: &Value, call: &Call) -> Result<String, Error> {
        let number = || {
            python::number(value).ok_or_else(|| {
                call.error(&format!(
                    "`%{kind}` needs a number, and this is {}",
                    python::describe(value)
                ))
            })
        };
        Ok(match kind {
            's' => self.pad(&self.cut(python::text(value)?), "", false),
            'r' | 'a' => self.pad(&self.cut(format!("{value:?}")), "", false),
            'c' => self.pad(&python::text(value)?, "", false),
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let whole = match number()? {
                    Number::Integer(number) => number,
                    #[expect(clippy::cast_possible_truncation, reason = "as Python does it")]
                    Number::Float(number) if matches!(kind, 'd' | 'i' | 'u') => {
                        number.trunc() as i128
                    }
                    Number::Float(_) => {
                        return Err(call.error(&format!("`%{kind}` needs a whole number")));
                    }
                };
                let magnitude = whole.unsigned_abs();
                let (lead, digits) = match kind {
                    'x' => ("0x", format!("{magnitude:x}")),
                    'X' => ("0X", format!("{magnitude:X}")),
                    'o' => ("0o", format!("{magnitude:o}")),
                    _ => ("", magnitude.to_string()),
                };
                let least = self.precision.unwrap_or_default();
                let digits = format!("{digits:0>least$}");
                let lead = if self.is_alternate { lead } else { "" };
                self.pad(&digits, &format!("{}{lead}", self.sign(whole < 0)), true)
            }
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                let number = number()?.as_float();
                let text = float(number.abs(), kind, self.precision.unwrap_or(6));
                self.pad(
                    &text,
                    self.sign(number.is_sign_negative() && !number.is_nan()),
                    number.is_finite(),
                )
            }
            other => return Err(call.error(&format!("there is no `%{other}`"))),
        })
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn sign(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.is_signed, self.is_spaced) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn pad(&self, text: &str, lead: &str, may_zero: bool) -> String {
        let length = text.chars().count() + lead.chars().count();
        let missing = self.width.saturating_sub(length);
        if self.is_left {
            format!("{lead}{text}{}", " ".repeat(missing))
        } else if self.is_zero && may_zero {
            format!("{lead}{}{text}", "0".repeat(missing))
        } else {
            format!("{}{lead}{text}", " ".repeat(missing))
        }
    }
}

/// A number that is not negative, in the manner of C.
fn float(number: f64, kind: char, precision: usize) -> String {
    let is_upper = kind.is_ascii_uppercase();
    let text = if !number.is_finite() {
        if number.is_nan() { "nan" } else { "inf" }.to_owned()
    } else {
        match kind.to_ascii_lowercase() {
            'f' => format!("{number:.precision$}"),
            'e' => exponent(number, precision),
            _ => general(number, precision.max(1)),
        }
    };
    if is_upper { text.to_uppercase() } else { text }
}

fn exponent(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn general(number: f64, precision: usize) -> String {
    let scientific = exponent(number, precision - 1);
    let power: i32 = scientific
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok())
        .unwrap_or_default();
    let trimmed = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..limit).contains(&power) {
        let places = usize::try_from(limit - 1 - power).unwrap_or_default();
        return trimmed(&format!("{number:.places$}"));
    }
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, ""));
    format!("{}e{power}", trimmed(digits))
}
