//! Python's operators.

use std::cmp::Ordering;

use minijinja::value::{Rest, Tuple, Value, ValueKind};
use minijinja::{Environment, Error};

use super::environment::invalid;
use super::filters::time_between;
use super::format::printf;
use super::missing::defined;
use super::python::{text, type_name};

/// The most characters or elements that `*` may make.
const LONGEST: usize = 20_000_000;

/// Adds the filters that stand for operators in the rewritten text.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("kk_add", |left: Value, right: Value| {
        add_values(&left, &right)
    });
    environment.add_filter(
        "kk_subtract",
        |left: Value, right: Value| match time_between(&left, &right) {
            Some(between) => Ok(between),
            None => arithmetic("-", &left, &right, i128::checked_sub, |a, b| a - b),
        },
    );
    environment.add_filter("kk_multiply", |left: Value, right: Value| {
        multiply(&left, &right)
    });
    environment.add_filter("kk_divide", |left: Value, right: Value| {
        let (a, b) = numbers("/", &left, &right)?;
        let (a, b) = (a.as_float(), b.as_float());
        if b == 0.0 {
            return Err(invalid("division by zero"));
        }
        Ok(Value::from(a / b))
    });
    environment.add_filter("kk_floor", |left: Value, right: Value| floor(&left, &right));
    environment.add_filter("kk_modulo", |left: Value, right: Value| {
        modulo(&left, &right)
    });
    environment.add_filter("kk_power", |left: Value, right: Value| power(&left, &right));
    environment.add_filter("kk_join", |left: Value, right: Value| {
        Ok::<_, Error>(Value::from(text(&left)? + &text(&right)?))
    });
    environment.add_filter("kk_negate", |value: Value| {
        defined(&value)?;
        match number(&value) {
            Some(Number::Integer(integer)) => integer.checked_neg().map(whole).ok_or_else(too_big),
            Some(Number::Float(float)) => Ok(Value::from(-float)),
            None => Err(bad_unary("-", &value)),
        }
    });
    environment.add_filter("kk_plus", |value: Value| {
        defined(&value)?;
        match number(&value) {
            Some(Number::Integer(integer)) => Ok(whole(integer)),
            Some(Number::Float(float)) => Ok(Value::from(float)),
            None => Err(bad_unary("+", &value)),
        }
    });
    environment.add_filter("kk_compare", |first: Value, rest: Rest<Value>| {
        compare(&first, &rest)
    });
}

enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "as in Python")]
    fn as_float(&self) -> f64 {
        match self {
            Self::Integer(integer) => *integer as f64,
            Self::Float(float) => *float,
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Integer(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).ok().map(Number::Integer)
        }
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

fn whole(integer: i128) -> Value {
    match i64::try_from(integer) {
        Ok(small) => Value::from(small),
        Err(_) => Value::from(integer),
    }
}

fn too_big() -> Error {
    invalid("the number is too big")
}

fn bad_unary(operator: &str, value: &Value) -> Error {
    invalid(format!(
        "bad operand type for unary {operator}: '{}'",
        type_name(value)
    ))
}

fn unsupported(operator: &str, left: &Value, right: &Value) -> Error {
    invalid(format!(
        "unsupported operand type(s) for {operator}: '{}' and '{}'",
        type_name(left),
        type_name(right)
    ))
}

fn numbers(operator: &str, left: &Value, right: &Value) -> Result<(Number, Number), Error> {
    defined(left)?;
    defined(right)?;
    match (number(left), number(right)) {
        (Some(a), Some(b)) => Ok((a, b)),
        _ => Err(unsupported(operator, left, right)),
    }
}

fn arithmetic(
    operator: &str,
    left: &Value,
    right: &Value,
    integers: impl Fn(i128, i128) -> Option<i128>,
    floats: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    match numbers(operator, left, right)? {
        (Number::Integer(a), Number::Integer(b)) => integers(a, b).map(whole).ok_or_else(too_big),
        (a, b) => Ok(Value::from(floats(a.as_float(), b.as_float()))),
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn add_values(left: &Value, right: &Value) -> Result<Value, Error> {
    defined(left)?;
    defined(right)?;
    if let Some(start) = left.as_str() {
        return match right.as_str() {
            Some(end) => Ok(Value::from([start, end].concat())),
            None => Err(invalid(format!(
                "can only concatenate str (not \"{}\") to str",
                type_name(right)
            ))),
        };
    }
    if is_list(left) && is_list(right) && left.is_tuple() == right.is_tuple() {
        let items: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).collect();
        return Ok(if left.is_tuple() {
            Value::from(Tuple::from(items))
        } else {
            Value::from(items)
        });
    }
    if is_list(left) {
        let kind = type_name(left);
        let message = format!(
            "can only concatenate {kind} (not \"{}\") to {kind}",
            type_name(right)
        );
        return Err(invalid(message));
    }
    arithmetic("+", left, right, i128::checked_add, |a, b| a + b)
}

fn multiply(left: &Value, right: &Value) -> Result<Value, Error> {
    defined(left)?;
    defined(right)?;
    for (many, times) in [(left, right), (right, left)] {
        let Some(Number::Integer(times)) = number(times) else {
            continue;
        };
        let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
        let fits = |length: usize| {
            length
                .checked_mul(times)
                .is_some_and(|length| length <= LONGEST)
        };
        if let Some(text) = many.as_str() {
            if !fits(text.len()) {
                return Err(invalid(format!(
                    "the text would have more than {LONGEST} bytes"
                )));
            }
            return Ok(Value::from(text.repeat(times)));
        }
        if is_list(many) {
            let items: Vec<Value> = many.try_iter()?.collect();
            if items
                .len()
                .checked_mul(times)
                .is_none_or(|length| length > super::environment::MAX_ELEMENTS)
            {
                let most = super::environment::MAX_ELEMENTS;
                return Err(invalid(format!("the value has more than {most} elements")));
            }
            let repeated: Vec<Value> = std::iter::repeat_n(items, times).flatten().collect();
            return Ok(if many.is_tuple() {
                Value::from(Tuple::from(repeated))
            } else {
                Value::from(repeated)
            });
        }
    }
    arithmetic("*", left, right, i128::checked_mul, |a, b| a * b)
}

fn floor(left: &Value, right: &Value) -> Result<Value, Error> {
    match numbers("//", left, right)? {
        (Number::Integer(_), Number::Integer(0)) => {
            Err(invalid("integer division or modulo by zero"))
        }
        (Number::Integer(a), Number::Integer(b)) => {
            let quotient = a.checked_div(b).ok_or_else(too_big)?;
            let is_below = a % b != 0 && (a < 0) != (b < 0);
            Ok(whole(quotient - i128::from(is_below)))
        }
        (a, b) => {
            let (a, b) = (a.as_float(), b.as_float());
            if b == 0.0 {
                return Err(invalid("float floor division by zero"));
            }
            Ok(Value::from((a / b).floor()))
        }
    }
}

fn modulo(left: &Value, right: &Value) -> Result<Value, Error> {
    defined(left)?;
    defined(right)?;
    if let Some(format) = left.as_str() {
        return printf(format, right).map(Value::from);
    }
    match numbers("%", left, right)? {
        (Number::Integer(_), Number::Integer(0)) => Err(invalid("integer modulo by zero")),
        (Number::Integer(a), Number::Integer(b)) => {
            let rest = a.checked_rem(b).unwrap_or_default();
            let is_other_side = rest != 0 && (rest < 0) != (b < 0);
            Ok(whole(if is_other_side { rest + b } else { rest }))
        }
        (a, b) => {
            let (a, b) = (a.as_float(), b.as_float());
            if b == 0.0 {
                return Err(invalid("float modulo"));
            }
            let rest = a % b;
            let is_other_side = rest != 0.0 && (rest < 0.0) != (b < 0.0);
            Ok(Value::from(if is_other_side { rest + b } else { rest }))
        }
    }
}

fn power(left: &Value, right: &Value) -> Result<Value, Error> {
    match numbers("**", left, right)? {
        (Number::Integer(a), Number::Integer(b)) if b >= 0 => {
            let exponent = u32::try_from(b).map_err(|_| too_big())?;
            a.checked_pow(exponent).map(whole).ok_or_else(too_big)
        }
        (a, b) => {
            let (a, b) = (a.as_float(), b.as_float());
            if a == 0.0 && b < 0.0 {
                return Err(invalid("0.0 cannot be raised to a negative power"));
            }
            Ok(Value::from(a.powf(b)))
        }
    }
}

/// `a < b <= c`: an operator and an operand after the other.
fn compare(first: &Value, rest: &[Value]) -> Result<bool, Error> {
    let mut left = first;
    for pair in rest.chunks(2) {
        let [operator, right] = pair else {
            return Err(invalid("a comparison without an operand"));
        };
        if !holds(left, operator.as_str().unwrap_or_default(), right)? {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

fn holds(left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    defined(left)?;
    defined(right)?;
    match operator {
        "==" => Ok(is_equal(left, right)),
        "!=" => Ok(!is_equal(left, right)),
        "in" => contains(right, left),
        "not in" => Ok(!contains(right, left)?),
        _ => {
            let Some(order) = order(left, right, operator)? else {
                return Ok(false);
            };
            Ok(match operator {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

/// Python's `==`.
pub(super) fn is_equal(left: &Value, right: &Value) -> bool {
    match (number(left), number(right)) {
        (Some(Number::Integer(a)), Some(Number::Integer(b))) => return a == b,
        #[expect(clippy::float_cmp, reason = "as in Python")]
        (Some(a), Some(b)) => return a.as_float() == b.as_float(),
        (None, None) => {}
        _ => return false,
    }
    match (left.kind(), right.kind()) {
        (ValueKind::Map, ValueKind::Map) => {
            let (Ok(keys), true) = (left.try_iter(), left.len() == right.len()) else {
                return false;
            };
            let mut keys = keys;
            keys.all(|key| match (left.get_item(&key), right.get_item(&key)) {
                (Ok(a), Ok(b)) => !b.is_undefined() && is_equal(&a, &b),
                _ => false,
            })
        }
        _ if is_list(left) && is_list(right) => {
            if left.is_tuple() != right.is_tuple() {
                return false;
            }
            let (Ok(mut a), Ok(mut b)) = (left.try_iter(), right.try_iter()) else {
                return false;
            };
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return true,
                    (Some(a), Some(b)) if is_equal(&a, &b) => {}
                    _ => return false,
                }
            }
        }
        _ => left == right,
    }
}

/// How two values are ordered; nothing for what is not a number.
pub(super) fn order(
    left: &Value,
    right: &Value,
    operator: &str,
) -> Result<Option<Ordering>, Error> {
    match (number(left), number(right)) {
        (Some(Number::Integer(a)), Some(Number::Integer(b))) => return Ok(Some(a.cmp(&b))),
        (Some(a), Some(b)) => return Ok(a.as_float().partial_cmp(&b.as_float())),
        _ => {}
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Ok(Some(a.cmp(b)));
    }
    if is_list(left) && is_list(right) && left.is_tuple() == right.is_tuple() {
        let (mut a, mut b) = (left.try_iter()?, right.try_iter()?);
        loop {
            match (a.next(), b.next()) {
                (None, None) => return Ok(Some(Ordering::Equal)),
                (None, Some(_)) => return Ok(Some(Ordering::Less)),
                (Some(_), None) => return Ok(Some(Ordering::Greater)),
                (Some(a), Some(b)) if is_equal(&a, &b) => {}
                (Some(a), Some(b)) => return order(&a, &b, operator),
            }
        }
    }
    Err(invalid(format!(
        "'{operator}' not supported between instances of '{}' and '{}'",
        type_name(left),
        type_name(right)
    )))
}

/// Python's `in`.
pub(super) fn contains(container: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        return match item.as_str() {
            Some(part) => Ok(text.contains(part)),
            None => Err(invalid(format!(
                "'in <string>' requires string as left operand, not {}",
                type_name(item)
            ))),
        };
    }
    match container.kind() {
        ValueKind::Map => {
            let found = container.get_item(item)?;
            Ok(!found.is_undefined()
                || item.is_integer() && !container.get_attr(&item.to_string())?.is_undefined())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            Ok(container.try_iter()?.any(|other| is_equal(&other, item)))
        }
        _ => Err(invalid(format!(
            "argument of type '{}' is not iterable",
            type_name(container)
        ))),
    }
}
