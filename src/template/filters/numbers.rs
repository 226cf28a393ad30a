//! Filters that make and change numbers.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::python::{self, Number, attribute, integer, is_list, list, number};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "abs",
        parameters: &[],
        apply: absolute,
    },
    Filter {
        name: "int",
        parameters: &["default", "base"],
        apply: int,
    },
    Filter {
        name: "float",
        parameters: &["default"],
        apply: float,
    },
    Filter {
        name: "round",
        parameters: &["precision", "method"],
        apply: round,
    },
    Filter {
        name: "sum",
        parameters: &["attribute", "start"],
        apply: sum,
    },
    Filter {
        name: "log",
        parameters: &["base"],
        apply: log,
    },
    Filter {
        name: "pow",
        parameters: &["y"],
        apply: power,
    },
    Filter {
        name: "root",
        parameters: &["base"],
        apply: root,
    },
    Filter {
        name: "filesizeformat",
        parameters: &["binary"],
        apply: file_size,
    },
    Filter {
        name: "human_readable",
        parameters: &["isbits", "unit"],
        apply: human_readable,
    },
    Filter {
        name: "human_to_bytes",
        parameters: &["default_unit", "isbits"],
        apply: human_to_bytes,
    },
];

fn value_number(call: &Call) -> Result<Number, Error> {
    number(&call.value).ok_or_else(|| {
        call.error(&format!(
            "a number is needed, and this is {}",
            python::describe(&call.value)
        ))
    })
}

fn absolute(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    Ok(match value_number(call)? {
        Number::Integer(number) => integer(number.saturating_abs()),
        Number::Float(number) => Value::from(number.abs()),
    })
}

/// A text as a whole number, as Python reads it.
pub(super) fn parse_integer(text: &str, base: u32) -> Option<i128> {
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match (lower.get(..2), base) {
        (Some("0x"), 16 | 0) => (16, lower.get(2..)?),
        (Some("0o"), 8 | 0) => (8, lower.get(2..)?),
        (Some("0b"), 2 | 0) => (2, lower.get(2..)?),
        (_, 0) => (10, lower.as_str()),
        (_, base) => (base, lower.as_str()),
    };
    let is_plain = digits.starts_with(|c: char| c.is_alphanumeric())
        && !digits.contains("__")
        && !digits.ends_with('_');
    if !is_plain || !(2..=36).contains(&base) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// A text as a number, as Python reads it.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let unsigned = text.trim_start_matches(['+', '-']);
    let is_word = matches!(unsigned, "inf" | "infinity" | "nan");
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && !unsigned.contains("__")
        && !unsigned.ends_with('_');
    (is_word || is_number)
        .then(|| text.replace('_', "").parse().ok())
        .flatten()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number without its fraction"
)]
fn truncated(number: f64) -> Option<i128> {
    (number.is_finite() && number.abs() < 1e38).then(|| number.trunc() as i128)
}

fn int(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let base = u32::try_from(call.integer("base")?.unwrap_or(10)).unwrap_or(10);
    let found = match (call.value.as_str(), number(&call.value)) {
        (Some(text), _) => {
            parse_integer(text, base).or_else(|| parse_float(text).and_then(truncated))
        }
        (None, Some(Number::Integer(number))) => Some(number),
        (None, Some(Number::Float(number))) => truncated(number),
        (None, None) => None,
    };
    Ok(match found {
        Some(number) => integer(number),
        None => call
            .raw("default")
            .cloned()
            .unwrap_or_else(|| Value::from(0)),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "one of a table")]
fn float(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let found = match call.value.as_str() {
        Some(text) => parse_float(text),
        None => number(&call.value).map(Number::as_float),
    };
    Ok(match found {
        Some(number) => Value::from(number),
        None => call
            .raw("default")
            .cloned()
            .unwrap_or_else(|| Value::from(0.0)),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "places beyond some hundred change nothing"
)]
fn round(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let places = call.integer("precision")?.unwrap_or(0).clamp(-400, 400) as i32;
    let given = value_number(call)?;
    let method = call.text("method")?.unwrap_or_else(|| "common".to_owned());
    let scale = 10_f64.powi(places);
    match (method.as_str(), given) {
        ("common", Number::Integer(number)) if places >= 0 => Ok(integer(number)),
        ("common", Number::Integer(number)) => {
            let unit = 10_i128
                .checked_pow(places.unsigned_abs())
                .unwrap_or(i128::MAX);
            Ok(integer(half_even(number, unit)))
        }
        ("common", Number::Float(number)) => Ok(Value::from(rounded(number, places))),
        ("ceil", number) => Ok(Value::from((number.as_float() * scale).ceil() / scale)),
        ("floor", number) => Ok(Value::from((number.as_float() * scale).floor() / scale)),
        (other, _) => Err(call.error(&format!("`{other}` is none of common, ceil, floor"))),
    }
}

fn half_even(number: i128, unit: i128) -> i128 {
    let (quotient, rest) = (number.div_euclid(unit), number.rem_euclid(unit));
    let is_up = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    (quotient + i128::from(is_up)) * unit
}

/// To the nearest, a half to the even one, by the exact value of the number.
fn rounded(number: f64, places: i32) -> f64 {
    if !number.is_finite() {
        return number;
    }
    if let Ok(places) = usize::try_from(places) {
        return format!("{number:.places$}").parse().unwrap_or(number);
    }
    let scale = 10_f64.powi(-places);
    (number / scale).round_ties_even() * scale
}

/// Numbers are added up, lists are put together.
fn sum(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut total = call
        .optional("start")?
        .cloned()
        .unwrap_or_else(|| Value::from(0));
    let path = call.optional("attribute")?;
    for item in call.value_items()? {
        let item = path.map_or_else(|| item.clone(), |path| attribute(&item, path, None));
        if super::super::missing::is_undefined(&item) {
            return Err(super::refusal(&item));
        }
        total = match (number(&total), number(&item)) {
            (Some(Number::Integer(one)), Some(Number::Integer(other))) => {
                integer(one.saturating_add(other))
            }
            (Some(one), Some(other)) => Value::from(one.as_float() + other.as_float()),
            _ if is_list(&total) && is_list(&item) => {
                let mut all = python::items(&total)?;
                all.extend(python::items(&item)?);
                if all.len() > super::MAX_ELEMENTS {
                    return Err(python::too_many());
                }
                list(all)
            }
            _ => {
                return Err(call.error(&format!(
                    "{} and {} cannot be added",
                    python::describe(&total),
                    python::describe(&item)
                )));
            }
        };
    }
    Ok(total)
}

fn log(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let of = value_number(call)?.as_float();
    if of <= 0.0 {
        return Err(call.error("the number must be more than 0"));
    }
    let base = match call.optional("base")? {
        None => return Ok(Value::from(of.ln())),
        Some(base) => number(base)
            .ok_or_else(|| call.error("`base` must be a number"))?
            .as_float(),
    };
    if (base - 10.0).abs() < f64::EPSILON {
        return Ok(Value::from(of.log10()));
    }
    if base <= 0.0 || (base - 1.0).abs() < f64::EPSILON {
        return Err(call.error("`base` must be more than 0, and not 1"));
    }
    Ok(Value::from(of.ln() / base.ln()))
}

fn power(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let of = value_number(call)?.as_float();
    let to = number(call.required("y")?)
        .ok_or_else(|| call.error("`y` must be a number"))?
        .as_float();
    let result = of.powf(to);
    if result.is_nan() && !of.is_nan() && !to.is_nan()
        || result.is_infinite() && of.is_finite() && to.is_finite()
    {
        return Err(call.error("the result is no number, or too large"));
    }
    Ok(Value::from(result))
}

fn root(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let of = value_number(call)?.as_float();
    let base = match call.optional("base")? {
        None => 2.0,
        Some(base) => number(base)
            .ok_or_else(|| call.error("`base` must be a number"))?
            .as_float(),
    };
    if of < 0.0 || base == 0.0 {
        return Err(call.error("there is no such root"));
    }
    if (base - 2.0).abs() < f64::EPSILON {
        return Ok(Value::from(of.sqrt()));
    }
    Ok(Value::from(of.powf(1.0 / base)))
}

fn file_size(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let bytes = match call.value.as_str() {
        Some(text) => parse_float(text).ok_or_else(|| call.error("this is no number"))?,
        None => value_number(call)?.as_float(),
    };
    let is_binary = call.flag("binary", false)?;
    let base: f64 = if is_binary { 1024.0 } else { 1000.0 };
    if (bytes - 1.0).abs() < f64::EPSILON {
        return Ok(Value::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", bytes.trunc())));
    }
    let mut unit = base;
    for prefix in "kMGTPEZY".chars() {
        unit *= base;
        if bytes < unit || prefix == 'Y' {
            let name = if is_binary {
                format!("{}iB", prefix.to_ascii_uppercase())
            } else {
                format!("{prefix}B")
            };
            return Ok(Value::from(format!("{:.1} {name}", base * bytes / unit)));
        }
    }
    Ok(Value::from(""))
}

/// Units, the largest first, and their powers of two.
const UNITS: &[(char, i32)] = &[
    ('Y', 80),
    ('Z', 70),
    ('E', 60),
    ('P', 50),
    ('T', 40),
    ('G', 30),
    ('M', 20),
    ('K', 10),
    ('B', 0),
];

fn human_readable(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let size = value_number(call)?.as_float();
    let is_bits = call.flag("isbits", false)?;
    let wanted = call.text("unit")?.map(|unit| unit.to_uppercase());
    let (letter, power) = UNITS
        .iter()
        .find(|(letter, power)| match &wanted {
            Some(wanted) => *wanted == letter.to_string(),
            None => size >= 2_f64.powi(*power),
        })
        .copied()
        .unwrap_or(('B', 0));
    let unit = match (power, is_bits) {
        (0, true) => "bits".to_owned(),
        (0, false) => "Bytes".to_owned(),
        (_, true) => format!("{letter}b"),
        (_, false) => format!("{letter}B"),
    };
    Ok(Value::from(format!(
        "{:.2} {unit}",
        size / 2_f64.powi(power)
    )))
}

fn human_to_bytes(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let trimmed = text.trim_start();
    let mut end = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    if let Some(fraction) = trimmed.get(end..).and_then(|rest| rest.strip_prefix('.')) {
        end += 1 + fraction
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(fraction.len());
    }
    let (digits, rest) = trimmed.split_at(end);
    let number: f64 = digits
        .parse()
        .map_err(|_| call.error(&format!("`{text}` does not begin with a number")))?;
    let unit: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let unit = if unit.is_empty() {
        call.text("default_unit")?.unwrap_or_default()
    } else {
        unit
    };
    let Some(first) = unit.chars().next().map(|first| first.to_ascii_uppercase()) else {
        return Ok(truncated(rounded(number, 0)).map_or_else(|| Value::from(0), integer));
    };
    let Some((_, power)) = UNITS.iter().find(|(letter, _)| *letter == first) else {
        return Err(call.error(&format!("`{unit}` is no unit: Y, Z, E, P, T, G, M, K, B")));
    };
    let (class, class_name) = if call.flag("isbits", false)? {
        ('b', "bit")
    } else {
        ('B', "byte")
    };
    let is_expected = match unit.chars().nth(1) {
        None => true,
        Some(second) => unit.to_lowercase().contains(class_name) || second == class,
    };
    if !is_expected {
        return Err(call.error(&format!(
            "`{unit}` is no unit here: write `{first}{class}` or `{first}`"
        )));
    }
    let bytes = rounded(number * 2_f64.powi(*power), 0);
    truncated(bytes)
        .map(integer)
        .ok_or_else(|| call.error("the number is too large"))
}
