//! What `to_datetime` gives: Python's `datetime` and `timedelta`, as far as templates use them.

use std::sync::Arc;

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind, State};

use super::super::environment::invalid;

/// Formats as Python does; `%c`, `%x` and `%X` in the manner of the locale C.
pub(super) fn formatted(format: &str, time: &Zoned) -> Result<String, Error> {
    let format = format
        .replace("%c", "%a %b %e %H:%M:%S %Y")
        .replace("%x", "%m/%d/%y")
        .replace("%X", "%H:%M:%S");
    strtime::format(&format, time)
        .map_err(|error| invalid(format!("`{format}` is no format of a time: {error}")))
}

/// A point in time, without a zone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) DateTime);

/// The time between two points, in microseconds.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Duration(i128);

/// `left - right` of points in time.
pub(in super::super) fn difference(left: &Value, right: &Value) -> Option<Value> {
    let left = left.downcast_object_ref::<Moment>()?;
    let right = right.downcast_object_ref::<Moment>()?;
    let between = left.0.duration_since(right.0);
    Some(Value::from_object(Duration(between.as_micros())))
}

impl Moment {
    /// As it is written where nothing else is said.
    fn iso(&self, separator: char) -> String {
        let fraction = self.0.subsec_nanosecond() / 1000;
        let fraction = if fraction == 0 {
            String::new()
        } else {
            format!(".{fraction:06}")
        };
        format!(
            "{}{separator}{}{fraction}",
            self.0.date(),
            self.0.strftime("%H:%M:%S")
        )
    }

    fn in_zone(&self, zone: TimeZone) -> Result<Zoned, Error> {
        self.0
            .to_zoned(zone)
            .map_err(|error| invalid(error.to_string()))
    }
}

fn unknown_method(method: &str, arguments: &[Value]) -> Error {
    Error::new(
        ErrorKind::UnknownMethod,
        format!(
            "a point in time has no method `{method}` with {} arguments",
            arguments.len()
        ),
    )
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "year" => Value::from(self.0.year()),
            "month" => Value::from(self.0.month()),
            "day" => Value::from(self.0.day()),
            "hour" => Value::from(self.0.hour()),
            "minute" => Value::from(self.0.minute()),
            "second" => Value::from(self.0.second()),
            "microsecond" => Value::from(self.0.subsec_nanosecond() / 1000),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match (method, arguments) {
            ("strftime", [format]) => {
                let format = format
                    .as_str()
                    .ok_or_else(|| invalid("`strftime` needs a format"))?;
                formatted(format, &self.in_zone(TimeZone::UTC)?).map(Value::from)
            }
            ("isoformat", []) => Ok(Value::from(self.iso('T'))),
            ("timestamp", []) => {
                let zoned = self.in_zone(TimeZone::system())?;
                Ok(Value::from(zoned.timestamp().as_duration().as_secs_f64()))
            }
            ("date", []) => Ok(Value::from(self.0.date().to_string())),
            ("time", []) => Ok(Value::from(self.0.strftime("%H:%M:%S").to_string())),
            ("weekday", []) => Ok(Value::from(self.0.weekday().to_monday_zero_offset())),
            ("isoweekday", []) => Ok(Value::from(self.0.weekday().to_monday_one_offset())),
            _ => Err(unknown_method(method, arguments)),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.iso(' '))
    }
}

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

impl Object for Duration {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let number = match key.as_str()? {
            "days" => self.0.div_euclid(DAY),
            "seconds" => self.0.rem_euclid(DAY) / SECOND,
            "microseconds" => self.0.rem_euclid(SECOND),
            _ => return None,
        };
        Some(super::python::integer(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        match (method, arguments) {
            ("total_seconds", []) => Ok(Value::from(self.0 as f64 / SECOND as f64)),
            _ => Err(unknown_method(method, arguments)),
        }
    }

    fn render(self: &Arc<Self>, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        if days != 0 {
            let plural = if days.abs() == 1 { "" } else { "s" };
            write!(formatter, "{days} day{plural}, ")?;
        }
        let seconds = rest / SECOND;
        write!(
            formatter,
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        match rest % SECOND {
            0 => Ok(()),
            micro => write!(formatter, ".{micro:06}"),
        }
    }
}
