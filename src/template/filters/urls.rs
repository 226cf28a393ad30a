//! Filters on addresses of the web, and what they are made of.

use std::fmt::Write as _;

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::python::{self, is_list, is_mapping, items, mapping};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "urlencode",
        parameters: &[],
        apply: urlencode,
    },
    Filter {
        name: "urldecode",
        parameters: &["encoding", "errors"],
        apply: urldecode,
    },
    Filter {
        name: "urlsplit",
        parameters: &["query"],
        apply: urlsplit,
    },
];

fn quoted(text: &str, safe: &str) -> String {
    let mut new = String::with_capacity(text.len());
    for byte in text.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric()
            || "_.-~".contains(character)
            || safe.contains(character)
        {
            new.push(character);
        } else {
            let _ = write!(new, "%{byte:02X}");
        }
    }
    new
}

fn urlencode(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let pairs: Vec<(Value, Value)> = if is_mapping(&call.value) {
        python::pairs(&call.value)?
    } else if is_list(&call.value) {
        let mut pairs = Vec::new();
        for pair in call.value_items()? {
            let Ok([key, value]) = <[Value; 2]>::try_from(items(&pair)?) else {
                return Err(call.error("a list of pairs is needed"));
            };
            pairs.push((key, value));
        }
        pairs
    } else {
        return Ok(Value::from(quoted(&call.value_as_text()?, "/")));
    };
    let part =
        |value: &Value| python::text(value).map(|text| quoted(&text, "").replace("%20", "+"));
    let parts = pairs
        .iter()
        .map(|(key, value)| Ok(format!("{}={}", part(key)?, part(value)?)));
    Ok(Value::from(
        parts.collect::<Result<Vec<_>, Error>>()?.join("&"),
    ))
}

fn urldecode(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_text()?.replace('+', " ");
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let code = text
            .get(index + 1..index + 3)
            .filter(|_| *byte == b'%')
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        index += if code.is_some() { 3 } else { 1 };
    }
    Ok(Value::from(String::from_utf8_lossy(&decoded)))
}

/// The parts of an address of the web.
#[derive(Debug, Default)]
pub(in super::super) struct Url {
    pub(in super::super) scheme: String,
    pub(in super::super) place: String,
    path: String,
    query: String,
    fragment: String,
}

impl Url {
    /// Takes any text apart; nothing where the brackets of an address do not fit.
    pub(in super::super) fn split(text: &str) -> Option<Self> {
        let text: String = text
            .trim_start_matches(|c: char| c <= ' ')
            .chars()
            .filter(|c| !matches!(c, '\t' | '\r' | '\n'))
            .collect();
        let mut url = Self::default();
        let mut rest = text.as_str();
        if let Some((scheme, after)) = rest.split_once(':')
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        {
            url.scheme = scheme.to_lowercase();
            rest = after;
        }
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find(['/', '?', '#']).unwrap_or(after.len());
            let (place, after) = after.split_at(end);
            if place.contains('[') != place.contains(']') {
                return None;
            }
            place.clone_into(&mut url.place);
            rest = after;
        }
        if let Some((before, fragment)) = rest.split_once('#') {
            fragment.clone_into(&mut url.fragment);
            rest = before;
        }
        if let Some((before, query)) = rest.split_once('?') {
            query.clone_into(&mut url.query);
            rest = before;
        }
        rest.clone_into(&mut url.path);
        Some(url)
    }

    fn user(&self) -> (Option<&str>, Option<&str>) {
        let Some((user, _)) = self.place.rsplit_once('@') else {
            return (None, None);
        };
        match user.split_once(':') {
            Some((name, password)) => (Some(name), Some(password)),
            None => (Some(user), None),
        }
    }

    fn host(&self) -> (Option<String>, Option<&str>) {
        let place = self
            .place
            .rsplit_once('@')
            .map_or(self.place.as_str(), |(_, place)| place);
        let (host, port) = match place
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, after)) => (host, after.strip_prefix(':')),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let host = (!host.is_empty()).then(|| host.to_lowercase());
        (host, port.filter(|port| !port.is_empty()))
    }
}

fn urlsplit(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let url =
        Url::split(call.value_text()?).ok_or_else(|| call.error("the brackets do not fit"))?;
    let (name, password) = url.user();
    let (host, port) = url.host();
    let port = match port {
        None => Value::from(()),
        Some(port) => Value::from(
            port.parse::<u16>()
                .map_err(|_| call.error(&format!("`{port}` is no port")))?,
        ),
    };
    let text = |text: &str| Value::from(text);
    let optional = |text: Option<&str>| text.map_or_else(|| Value::from(()), Value::from);
    let parts = [
        ("fragment", text(&url.fragment)),
        ("hostname", optional(host.as_deref())),
        ("netloc", text(&url.place)),
        ("password", optional(password)),
        ("path", text(&url.path)),
        ("port", port),
        ("query", text(&url.query)),
        ("scheme", text(&url.scheme)),
        ("username", optional(name)),
    ];
    let Some(query) = call.text("query")?.filter(|query| !query.is_empty()) else {
        return Ok(mapping(
            parts
                .into_iter()
                .map(|(name, part)| (Value::from(name), part))
                .collect(),
        ));
    };
    parts
        .into_iter()
        .find(|(name, _)| *name == query)
        .map(|(_, part)| part)
        .ok_or_else(|| call.error(&format!("unknown URL component: {query}")))
}
