//! Filters about points and lengths of time.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::moments::{Moment, formatted};
use super::numbers::parse_float;
use super::python::{self, number};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "strftime",
        parameters: &["second", "utc"],
        apply: format_time,
    },
    Filter {
        name: "to_datetime",
        parameters: &["format"],
        apply: to_datetime,
    },
];

const FACTORS: &[&str] = &["year", "month"];

/// Of community.general.
pub(super) const GENERAL: &[Filter] = &[
    Filter {
        name: "to_time_unit",
        parameters: &["unit", "year", "month"],
        apply: to_time_unit,
    },
    Filter {
        name: "to_milliseconds",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "ms"),
    },
    Filter {
        name: "to_seconds",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "s"),
    },
    Filter {
        name: "to_minutes",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "m"),
    },
    Filter {
        name: "to_hours",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "h"),
    },
    Filter {
        name: "to_days",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "d"),
    },
    Filter {
        name: "to_weeks",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "w"),
    },
    Filter {
        name: "to_months",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "mo"),
    },
    Filter {
        name: "to_years",
        parameters: FACTORS,
        apply: |_, call| length_of_time(call, "y"),
    },
];

/// The function `now`: a point in time, or its text in a format.
pub(in super::super) fn now(utc: bool, format: Option<&str>) -> Result<Value, Error> {
    let now = Timestamp::now().to_zoned(zone(utc));
    match format.filter(|format| !format.is_empty()) {
        Some(format) => Ok(Value::from(formatted(format, &now)?)),
        None => Ok(Value::from_object(Moment(now.datetime()))),
    }
}

fn zone(utc: bool) -> TimeZone {
    if utc {
        TimeZone::UTC
    } else {
        TimeZone::system()
    }
}

fn format_time(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let format = call.value_text()?;
    let timestamp = match call.optional("second")? {
        None => Timestamp::now(),
        Some(second) => {
            let seconds = match second.as_str() {
                Some(text) => parse_float(text),
                None => number(second).map(python::Number::as_float),
            };
            seconds
                .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds.floor()).ok())
                .and_then(|duration| Timestamp::from_duration(duration).ok())
                .ok_or_else(|| {
                    call.error(&format!("`{second}` is no number of seconds since 1970"))
                })?
        }
    };
    let time = timestamp.to_zoned(zone(call.flag("utc", false)?));
    Ok(Value::from(formatted(format, &time)?))
}

fn to_datetime(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?;
    let format = call
        .text("format")?
        .unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".to_owned());
    let wrong = || call.error(&format!("`{text}` does not fit the format `{format}`"));
    let parsed = strtime::parse(&format, text).map_err(|_| wrong())?;
    let date = parsed
        .to_date()
        .or_else(|_| jiff::civil::Date::new(1900, 1, 1))
        .map_err(|_| wrong())?;
    let time = parsed.to_time().unwrap_or_default();
    Ok(Value::from_object(Moment(date.to_datetime(time))))
}

/// Units, their long names, and how many milliseconds they have.
const UNITS: &[(&str, &[&str], f64)] = &[
    ("ms", &["millisecond", "msec", "msecond"], 1.0),
    ("s", &["sec", "second"], 1000.0),
    ("m", &["min", "minute"], 60_000.0),
    ("h", &["hour"], 3_600_000.0),
    ("d", &["day"], DAY),
    ("w", &["week"], 7.0 * DAY),
    ("mo", &["month"], 30.0 * DAY),
    ("y", &["year"], 365.0 * DAY),
];

const DAY: f64 = 86_400_000.0;

fn unit(call: &Call, name: &str) -> Result<f64, Error> {
    let singular = name.trim_end_matches('s');
    let Some((short, _, milliseconds)) = UNITS
        .iter()
        .find(|(_, names, _)| names.contains(&singular))
        .or_else(|| UNITS.iter().find(|(short, ..)| *short == name))
    else {
        return Err(call.error(&format!(
            "`{name}` is no unit of time: ms, s, m, h, d, w, mo, y"
        )));
    };
    let days = match *short {
        "mo" => call.optional("month")?,
        "y" => call.optional("year")?,
        _ => None,
    };
    match days {
        None => Ok(*milliseconds),
        Some(days) => number(days)
            .map(|days| days.as_float() * DAY)
            .ok_or_else(|| call.error("a length in days must be a number")),
    }
}

fn to_time_unit(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let name = call.text("unit")?.unwrap_or_else(|| "ms".to_owned());
    length_of_time(call, &name)
}

/// `1d 2h 3min` in one unit.
fn length_of_time(call: &Call, name: &str) -> Result<Value, Error> {
    let text = call.value_text()?;
    if text == "0" {
        return Ok(Value::from(0));
    }
    let mut milliseconds = 0.0;
    let wanted = unit(call, name)?;
    for part in text.split_whitespace() {
        let digits_start = usize::from(part.starts_with('-'));
        let digits = part.get(digits_start..).unwrap_or_default();
        let end = digits_start
            + digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
        let (count, name) = part.split_at(end);
        let end = name
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        let count: f64 = count
            .parse()
            .map_err(|_| call.error(&format!("`{part}` is no length of time")))?;
        milliseconds += count * unit(call, name.get(..end).unwrap_or_default())?;
    }
    let rounded = format!("{:.12}", milliseconds / wanted);
    Ok(Value::from(rounded.parse::<f64>().unwrap_or_default()))
}
