//! `pprint`: values as Python prints them over several lines, mappings in order.

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

use super::python::{self, items, pairs};

/// Characters that a line should have at most.
const WIDTH: usize = 80;

pub(super) fn pretty(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write(value, 0, 0, &mut out)?;
    Ok(out)
}

/// In one line.
fn short(value: &Value) -> Result<String, Error> {
    Ok(match value.kind() {
        ValueKind::Map => {
            let pairs = sorted(value)?;
            let parts = pairs
                .iter()
                .map(|(key, item)| Ok(format!("{}: {}", short(key)?, short(item)?)));
            format!(
                "{{{}}}",
                parts.collect::<Result<Vec<_>, Error>>()?.join(", ")
            )
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let all = items(value)?;
            let parts = all
                .iter()
                .map(short)
                .collect::<Result<Vec<_>, _>>()?
                .join(", ");
            match (value.is_tuple(), all.len()) {
                (true, 1) => format!("({parts},)"),
                (true, _) => format!("({parts})"),
                (false, _) => format!("[{parts}]"),
            }
        }
        ValueKind::String => format!("{value:?}"),
        _ => python::text(value)?,
    })
}

fn sorted(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    let mut all = pairs(value)?;
    all.sort_by(|(one, _), (other, _)| {
        python::compare(one, other).unwrap_or(std::cmp::Ordering::Equal)
    });
    Ok(all)
}

/// From a column on, with room left for what comes behind.
fn write(value: &Value, column: usize, behind: usize, out: &mut String) -> Result<(), Error> {
    let line = short(value)?;
    let is_long = column + line.chars().count() + behind > WIDTH;
    match value.kind() {
        ValueKind::Map if is_long => {
            out.push('{');
            let all = sorted(value)?;
            for (index, (key, item)) in all.iter().enumerate() {
                let key = short(key)?;
                if index > 0 {
                    out.push_str(&format!(",\n{}", " ".repeat(column + 1)));
                }
                out.push_str(&format!("{key}: "));
                let behind = if index + 1 == all.len() {
                    behind + 1
                } else {
                    1
                };
                write(item, column + 1 + key.chars().count() + 2, behind, out)?;
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable if is_long => {
            let (open, close) = if value.is_tuple() {
                ('(', ')')
            } else {
                ('[', ']')
            };
            out.push(open);
            let all = items(value)?;
            for (index, item) in all.iter().enumerate() {
                if index > 0 {
                    out.push_str(&format!(",\n{}", " ".repeat(column + 1)));
                }
                let behind = if index + 1 == all.len() {
                    behind + 1
                } else {
                    1
                };
                write(item, column + 1, behind, out)?;
            }
            if value.is_tuple() && all.len() == 1 {
                out.push(',');
            }
            out.push(close);
        }
        _ => out.push_str(&line),
    }
    Ok(())
}
