//! Python's two ways to write values into a text: `'%05.1f' % x` and `'{:>5}'.format(x)`.

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

use super::access;
use super::environment::invalid;
use super::missing::defined;
use super::python::{repr, text, type_name};

/// The widest field.
const WIDEST: usize = 100_000;

/// How a value is written.
#[derive(Debug, Clone, Default)]
struct Field {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    is_alternate: bool,
    groups: Option<char>,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

/// `format % values`.
pub(super) fn printf(format: &str, values: &Value) -> Result<String, Error> {
    defined(values)?;
    let is_map = values.kind() == ValueKind::Map;
    let mut rest: Vec<Value> = if values.is_tuple() {
        values.try_iter()?.collect()
    } else {
        vec![values.clone()]
    };
    rest.reverse();
    let short = || invalid("not enough arguments for format string");
    let mut is_named = false;
    let mut out = String::new();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut named = None;
        if characters.peek() == Some(&'(') {
            characters.next();
            let name: String = characters.by_ref().take_while(|c| *c != ')').collect();
            if !is_map {
                return Err(invalid("format requires a mapping"));
            }
            is_named = true;
            named = Some(access::item(values.clone(), &Value::from(name))?);
        }
        let mut field = Field::default();
        while let Some(flag) = characters.next_if(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => field.align = Some('<'),
                '+' => field.sign = Some('+'),
                ' ' => field.sign = field.sign.or(Some(' ')),
                '#' => field.is_alternate = true,
                _ => field.fill = Some('0'),
            }
        }
        let mut number = |characters: &mut std::iter::Peekable<std::str::Chars>| -> Result<Option<usize>, Error> {
            if characters.next_if_eq(&'*').is_some() {
                let given = rest.pop().ok_or_else(short)?;
                return given.as_usize().map(Some).ok_or_else(|| invalid("* wants int"));
            }
            let mut digits = String::new();
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            Ok(digits.parse().ok())
        };
        field.width = number(&mut characters)?.unwrap_or_default();
        if characters.next_if_eq(&'.').is_some() {
            field.precision = Some(number(&mut characters)?.unwrap_or_default());
        }
        while characters
            .next_if(|c| matches!(c, 'h' | 'l' | 'L'))
            .is_some()
        {}
        let kind = characters
            .next()
            .ok_or_else(|| invalid("incomplete format"))?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match named {
            Some(value) => value,
            None => rest.pop().ok_or_else(short)?,
        };
        defined(&value)?;
        if field.align.is_some() {
            field.fill = None;
        }
        field.kind = kind;
        out.push_str(&written(&value, field)?);
    }
    if !rest.is_empty() && !is_named && !is_map {
        return Err(invalid(
            "not all arguments converted during string formatting",
        ));
    }
    Ok(out)
}

/// A value by one `%` of a format.
fn written(value: &Value, mut field: Field) -> Result<String, Error> {
    match field.kind {
        's' | 'r' | 'a' => {
            let whole = if field.kind == 's' {
                text(value)?
            } else {
                repr(value)?
            };
            field.fill = None;
            field.align = field.align.or(Some('>'));
            Ok(padded(&cut(&whole, field.precision), "", &field))
        }
        'c' => {
            let code = value.as_usize().and_then(|code| u32::try_from(code).ok());
            let character = code.and_then(char::from_u32).map(String::from);
            let character = character.or_else(|| value.as_str().map(str::to_owned));
            let character = character.filter(|text| text.chars().count() == 1);
            let character = character.ok_or_else(|| invalid("%c requires int or char"))?;
            field.align = field.align.or(Some('>'));
            Ok(padded(&character, "", &field))
        }
        'd' | 'i' | 'u' => {
            let whole = match (value.is_integer(), value.kind()) {
                (true, _) | (_, ValueKind::Bool) => integer(value),
                (_, ValueKind::Number) => float_of(value).map(truncated),
                _ => None,
            };
            let whole = whole.ok_or_else(|| {
                invalid(format!(
                    "%{} format: a real number is required, not {}",
                    field.kind,
                    type_name(value)
                ))
            })?;
            field.kind = 'd';
            number(&Value::from(whole), field)
        }
        'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            if !matches!(value.kind(), ValueKind::Number | ValueKind::Bool) {
                let message = format!("must be real number, not {}", type_name(value));
                return Err(invalid(message));
            }
            number(value, field)
        }
        other => Err(invalid(format!("unsupported format character '{other}'"))),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as int() of Python, for numbers that fit"
)]
fn truncated(float: f64) -> i128 {
    float.trunc() as i128
}

fn integer(value: &Value) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "as in Python")]
fn float_of(value: &Value) -> Option<f64> {
    match integer(value) {
        Some(whole) => Some(whole as f64),
        None if value.kind() == ValueKind::Number => f64::try_from(value.clone()).ok(),
        None => None,
    }
}

fn cut(text: &str, most: Option<usize>) -> String {
    text.chars().take(most.unwrap_or(usize::MAX)).collect()
}

/// A number by a field: sign, base, digits, grouping.
fn number(value: &Value, mut field: Field) -> Result<String, Error> {
    let wrong = || {
        invalid(format!(
            "unknown format code '{}' for object of type '{}'",
            field.kind,
            type_name(value)
        ))
    };
    let (is_negative, mut digits, prefix) = match field.kind {
        'd' | 'n' | 'b' | 'o' | 'x' | 'X' => {
            let whole = integer(value).ok_or_else(wrong)?;
            let size = whole.unsigned_abs();
            let (digits, prefix) = match field.kind {
                'b' => (format!("{size:b}"), "0b"),
                'o' => (format!("{size:o}"), "0o"),
                'x' => (format!("{size:x}"), "0x"),
                'X' => (format!("{size:X}"), "0X"),
                _ => (size.to_string(), ""),
            };
            (
                whole < 0,
                digits,
                if field.is_alternate { prefix } else { "" },
            )
        }
        _ => {
            let float = float_of(value).ok_or_else(wrong)?;
            (float.is_sign_negative(), digits_of(float.abs(), &field), "")
        }
    };
    if let Some(groups) = field.groups {
        digits = grouped(&digits, groups);
    }
    if field.kind == '%' {
        digits.push('%');
    }
    let sign = match (is_negative, field.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        _ => "",
    };
    field.align = field
        .align
        .or(Some(if field.fill == Some('0') { '=' } else { '>' }));
    Ok(padded(&digits, &format!("{sign}{prefix}"), &field))
}

fn digits_of(value: f64, field: &Field) -> String {
    let precision = field.precision.unwrap_or(6).min(WIDEST);
    let digits = match field.kind {
        'e' | 'E' => scientific(value, precision),
        'f' | 'F' => format!("{value:.precision$}"),
        '%' => format!("{:.precision$}", value * 100.0),
        _ => general(value, precision.max(1), field.is_alternate),
    };
    if field.kind.is_ascii_uppercase() {
        digits.to_uppercase()
    } else {
        digits
    }
}

fn scientific(value: f64, precision: usize) -> String {
    let written = format!("{value:.precision$e}");
    match written.split_once('e') {
        Some((mantissa, exponent)) => {
            let exponent: i32 = exponent.parse().unwrap_or_default();
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        None => written,
    }
}

fn general(value: f64, precision: usize, keeps_zeros: bool) -> String {
    let rounded = format!("{value:.*e}", precision - 1);
    let exponent: i64 = rounded
        .split_once('e')
        .and_then(|(_, text)| text.parse().ok())
        .unwrap_or_default();
    let most = i64::try_from(precision).unwrap_or(i64::MAX);
    let trim = |text: String| {
        if keeps_zeros || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if (-4..most).contains(&exponent) {
        let decimals = usize::try_from(most - 1 - exponent).unwrap_or_default();
        return trim(format!("{value:.decimals$}"));
    }
    let written = scientific(value, precision - 1);
    match written.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trim(mantissa.to_owned())),
        None => written,
    }
}

fn grouped(digits: &str, mark: char) -> String {
    let (whole, rest) = digits.split_at(digits.find(['.', 'e']).unwrap_or(digits.len()));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(mark);
        }
        out.push(digit);
    }
    out + rest
}

fn padded(body: &str, sign: &str, field: &Field) -> String {
    let length = body.chars().count() + sign.chars().count();
    let missing = field.width.min(WIDEST).saturating_sub(length);
    let fill = |count: usize| field.fill.unwrap_or(' ').to_string().repeat(count);
    match field.align {
        Some('=') => format!("{sign}{}{body}", fill(missing)),
        Some('>') => format!("{}{sign}{body}", fill(missing)),
        Some('^') => format!(
            "{}{sign}{body}{}",
            fill(missing / 2),
            fill(missing - missing / 2)
        ),
        _ => format!("{sign}{body}{}", fill(missing)),
    }
}

/// `template.format(*positional, **named)`.
pub(super) fn format(template: &str, positional: &[Value], named: &Value) -> Result<String, Error> {
    let mut next = 0;
    formatted(template, positional, named, &mut next, 0)
}

fn formatted(
    template: &str,
    positional: &[Value],
    named: &Value,
    next: &mut usize,
    depth: usize,
) -> Result<String, Error> {
    let mut out = String::new();
    let mut characters = template.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' if characters.next_if_eq(&'{').is_some() => out.push('{'),
            '}' if characters.next_if_eq(&'}').is_some() => out.push('}'),
            '}' => return Err(invalid("Single '}' encountered in format string")),
            '{' => {
                let mut inner = String::new();
                let mut open = 1;
                for character in characters.by_ref() {
                    match character {
                        '{' => open += 1,
                        '}' => open -= 1,
                        _ => {}
                    }
                    if open == 0 {
                        break;
                    }
                    inner.push(character);
                }
                if open > 0 || depth > 2 {
                    return Err(invalid("Single '{' encountered in format string"));
                }
                let (target, spec) = inner.split_once(':').unwrap_or((&inner, ""));
                let (target, conversion) = target.split_once('!').unwrap_or((target, ""));
                let value = looked_up(target, positional, named, next)?;
                let spec = formatted(spec, positional, named, next, depth + 1)?;
                let value = match conversion {
                    "" => value,
                    "s" => Value::from(text(&value)?),
                    _ => Value::from(repr(&value)?),
                };
                out.push_str(&by_specification(&value, &spec)?);
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn looked_up(
    target: &str,
    positional: &[Value],
    named: &Value,
    next: &mut usize,
) -> Result<Value, Error> {
    let end = target.find(['.', '[']).unwrap_or(target.len());
    let (first, mut rest) = target.split_at(end);
    let mut value = if first.is_empty() || first.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = first.parse().unwrap_or(*next);
        if first.is_empty() {
            *next += 1;
        }
        let missing = || {
            invalid(format!(
                "Replacement index {index} out of range for positional args tuple"
            ))
        };
        positional.get(index).cloned().ok_or_else(missing)?
    } else {
        let found = access::item(named.clone(), &Value::from(first))?;
        if super::missing::is_undefined(&found) {
            return Err(invalid(format!("'{first}'")));
        }
        found
    };
    while !rest.is_empty() {
        let (key, after) = if let Some(inner) = rest.strip_prefix('[') {
            inner.split_once(']').unwrap_or((inner, ""))
        } else {
            let inner = rest.strip_prefix('.').unwrap_or(rest);
            inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()))
        };
        let key = key
            .parse::<i64>()
            .map_or_else(|_| Value::from(key), Value::from);
        value = access::item(value, &key)?;
        rest = after;
    }
    defined(&value)?;
    Ok(value)
}

/// Python's `format()` of a value.
fn by_specification(value: &Value, specification: &str) -> Result<String, Error> {
    if specification.is_empty() {
        return text(value);
    }
    let mut field = Field::default();
    let all: Vec<char> = specification.chars().collect();
    let is_align = |index: usize| all.get(index).is_some_and(|c| "<>=^".contains(*c));
    let mut at = 0;
    if is_align(1) {
        field.fill = all.first().copied();
        field.align = all.get(1).copied();
        at = 2;
    } else if is_align(0) {
        field.align = all.first().copied();
        at = 1;
    }
    let mut take = |wanted: &str| {
        let found = all.get(at).copied().filter(|c| wanted.contains(*c));
        at += usize::from(found.is_some());
        found
    };
    field.sign = take("+- ");
    field.is_alternate = take("#").is_some();
    if take("0").is_some() && field.fill.is_none() {
        field.fill = Some('0');
        field.align = field.align.or(Some('='));
    }
    let mut digits = String::new();
    while let Some(digit) = take("0123456789") {
        digits.push(digit);
    }
    field.width = digits.parse().unwrap_or_default();
    field.groups = take(",_");
    if take(".").is_some() {
        let mut digits = String::new();
        while let Some(digit) = take("0123456789") {
            digits.push(digit);
        }
        field.precision = digits.parse().ok();
    }
    let kind = take("bcdeEfFgGnosxX%");
    if at < all.len() {
        return Err(invalid(format!(
            "Invalid format specifier '{specification}'"
        )));
    }
    match (value.kind(), kind) {
        (ValueKind::Number | ValueKind::Bool, Some('s')) => Err(invalid(format!(
            "Unknown format code 's' for object of type '{}'",
            type_name(value)
        ))),
        (ValueKind::Bool, None) => Ok(plain(&text(value)?, field, '<')),
        (ValueKind::Number, None) if !value.is_integer() && field.precision.is_none() => {
            let written = text(value)?;
            let (sign, digits) = written.split_at(usize::from(written.starts_with('-')));
            field.align = field.align.or(Some('>'));
            let digits = field
                .groups
                .map_or(digits.to_owned(), |mark| grouped(digits, mark));
            Ok(padded(&digits, sign, &field))
        }
        (ValueKind::Number | ValueKind::Bool, kind) => {
            field.kind = kind.unwrap_or(if value.is_integer() { 'd' } else { 'g' });
            number(value, field)
        }
        (_, None | Some('s')) => Ok(plain(&text(value)?, field, '<')),
        (_, Some(kind)) => Err(invalid(format!(
            "Unknown format code '{kind}' for object of type '{}'",
            type_name(value)
        ))),
    }
}

fn plain(text: &str, mut field: Field, align: char) -> String {
    field.align = field.align.or(Some(align));
    padded(&cut(text, field.precision), "", &field)
}
