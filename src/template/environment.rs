//! The environment: undefined values, Ansible's filters and tests, and the check of a template before it is used.

use std::sync::OnceLock;

use base64::Engine as _;
use minijinja::machinery::{Instruction, Instructions, get_compiled_template};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use super::scope::MISSING;
use crate::diagnostic::{Diagnostic, Place, nearest};

/// Filters that minijinja brings; it offers no way to list them.
const BUILTIN_FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

const BUILTIN_TESTS: &[&str] = &[
    "undefined",
    "defined",
    "none",
    "safe",
    "escaped",
    "boolean",
    "odd",
    "even",
    "divisibleby",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "startingwith",
    "endingwith",
    "lower",
    "upper",
    "sameas",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
    "in",
    "true",
    "false",
    "filter",
    "test",
];

/// Ansible's filters that are added here.
const OWN_FILTERS: &[&str] = &[
    "b64decode",
    "b64encode",
    "basename",
    "combine",
    "dict2items",
    "difference",
    "dirname",
    "flatten",
    "from_json",
    "intersect",
    "ipwrap",
    "items2dict",
    "mandatory",
    "quote",
    "regex_replace",
    "regex_search",
    "splitext",
    "ternary",
    "to_json",
    "to_nice_json",
    "to_nice_yaml",
    "to_yaml",
    "union",
];

const OWN_TESTS: &[&str] = &[
    "changed",
    "contains",
    "failed",
    "match",
    "search",
    "skipped",
    "succeeded",
    "success",
    "version",
];

const GLOBALS: &[&str] = &["range", "dict", "namespace", "omit", "loop", "lookup"];

/// Whether a name is a function of the environment and no variable.
pub(super) fn is_global(name: &str) -> bool {
    GLOBALS.contains(&name)
}

/// The one environment.
pub(super) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(build)
}

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    // Gives errors their range; what it records of variables is never shown.
    environment.set_debug(true);
    if let Ok(syntax) = SyntaxConfig::builder()
        .trim_blocks(true)
        .keep_trailing_newline(true)
        .build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(20_000_000));
    // Chaining is allowed so that `a.b | default(x)` works; what was missing is counted in the scope.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, state, value| {
        if value.is_undefined() {
            return Err(Error::new(
                ErrorKind::UndefinedError,
                "an undefined value is printed",
            ));
        }
        match value.kind() {
            ValueKind::Bool => out
                .write_str(if value.is_true() { "True" } else { "False" })
                .map_err(Error::from),
            ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => {
                out.write_str(&json_text(value, None)?).map_err(Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        }
    });
    add_filters(&mut environment);
    add_tests(&mut environment);
    environment
}

/// Takes back one count of a missing variable: the template asked whether it is there.
fn forgive(value: &Value) {
    if value.is_undefined() {
        MISSING.with_borrow_mut(Vec::pop);
    }
}

fn add_filters(environment: &mut Environment<'static>) {
    let default = |value: Value,
                   other: Option<Value>,
                   lax: Option<bool>,
                   kwargs: Kwargs|
     -> Result<Value, Error> {
        forgive(&value);
        let lax = lax.or(kwargs.get("boolean")?).unwrap_or(false);
        kwargs.assert_all_used()?;
        let missing = value.is_undefined() || lax && !value.is_true();
        Ok(if missing {
            other.unwrap_or_else(|| Value::from(""))
        } else {
            value
        })
    };
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("mandatory", |value: Value, message: Option<String>| {
        if value.is_undefined() {
            return Err(invalid(
                message.unwrap_or_else(|| "a mandatory variable is undefined".to_owned()),
            ));
        }
        Ok(value)
    });
    environment.add_filter("bool", |value: Value| {
        let text = value.as_str().map(str::to_lowercase);
        match text.as_deref() {
            Some("yes" | "on" | "1" | "true" | "t" | "y") => true,
            Some(_) => false,
            None => value.is_true(),
        }
    });
    environment.add_filter("basename", |path: String| {
        path.rsplit('/').next().unwrap_or_default().to_owned()
    });
    environment.add_filter("dirname", |path: String| match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((directory, _)) => directory.to_owned(),
        None => String::new(),
    });
    environment.add_filter("splitext", |path: String| {
        let name_start = path.rfind('/').map_or(0, |index| index + 1);
        match path
            .get(name_start..)
            .and_then(|name| name.rfind('.'))
            .filter(|index| *index > 0)
        {
            Some(index) => {
                let (stem, extension) = path.split_at(name_start + index);
                vec![stem.to_owned(), extension.to_owned()]
            }
            None => vec![path, String::new()],
        }
    });
    environment.add_filter(
        "ternary",
        |value: Value, yes: Value, no: Value, none: Option<Value>| match none {
            Some(none) if value.is_none() => none,
            _ if value.is_true() => yes,
            _ => no,
        },
    );
    environment.add_filter("quote", |text: String| {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
        if !text.is_empty() && text.chars().all(harmless) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\"'\"'"))
        }
    });
    environment.add_filter("b64encode", |text: String| {
        base64::engine::general_purpose::STANDARD.encode(text)
    });
    environment.add_filter("b64decode", |text: String| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        let bytes = bytes.map_err(|error| invalid(format!("not base64: {error}")))?;
        String::from_utf8(bytes).map_err(|error| invalid(format!("not text: {error}")))
    });
    environment.add_filter(
        "to_json",
        |value: Value, kwargs: Kwargs| -> Result<String, Error> {
            let indent: Option<usize> = kwargs.get("indent")?;
            kwargs.assert_all_used()?;
            json_text(&value, indent)
        },
    );
    environment.add_filter(
        "to_nice_json",
        |value: Value, kwargs: Kwargs| -> Result<String, Error> {
            let indent: Option<usize> = kwargs.get("indent")?;
            kwargs.assert_all_used()?;
            json_text(&value, Some(indent.unwrap_or(4)))
        },
    );
    environment.add_filter("from_json", |text: String| {
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| invalid(format!("not JSON: {error}")))?;
        Ok::<_, Error>(value_of(&json))
    });
    environment.add_filter("to_yaml", |value: Value| yaml_of(&value, 2));
    environment.add_filter("to_nice_yaml", |value: Value, kwargs: Kwargs| {
        let indent: Option<usize> = kwargs.get("indent")?;
        kwargs.assert_all_used()?;
        yaml_of(&value, indent.unwrap_or(4))
    });
    environment.add_filter(
        "regex_replace",
        |text: String, pattern: String, with: Option<String>| {
            let regex = regex(&pattern)?;
            let with = python_replacement(&with.unwrap_or_default());
            Ok::<_, Error>(regex.replace_all(&text, with.as_str()).into_owned())
        },
    );
    environment.add_filter("regex_search", |text: String, pattern: String| {
        Ok::<_, Error>(
            regex(&pattern)?
                .find(&text)
                .map_or_else(|| Value::from(()), |found| Value::from(found.as_str())),
        )
    });
    environment.add_filter("combine", |value: Value, others: Rest<Value>| {
        let mut merged = object_of(&value)?;
        for other in others
            .iter()
            .filter(|other| other.kind() == ValueKind::Map && !other.is_kwargs())
        {
            merged.extend(object_of(other)?);
        }
        Ok::<_, Error>(value_of(&serde_json::Value::Object(merged)))
    });
    environment.add_filter("dict2items", |value: Value| {
        let items: Vec<_> = object_of(&value)?
            .into_iter()
            .map(|(key, value)| serde_json::json!({"key": key, "value": value}))
            .collect();
        Ok::<_, Error>(value_of(&serde_json::Value::Array(items)))
    });
    environment.add_filter("items2dict", |value: Value| {
        let mut map = serde_json::Map::new();
        for item in value.try_iter()? {
            let key = item.get_attr("key")?;
            map.insert(
                key.as_str().unwrap_or_default().to_owned(),
                json_of(&item.get_attr("value")?)?,
            );
        }
        Ok::<_, Error>(value_of(&serde_json::Value::Object(map)))
    });
    environment.add_filter("flatten", |value: Value| {
        let mut flat = Vec::new();
        flatten(&value, &mut flat)?;
        Ok::<_, Error>(Value::from(flat))
    });
    environment.add_filter("difference", |left: Vec<Value>, right: Vec<Value>| {
        left.into_iter()
            .filter(|item| !right.contains(item))
            .collect::<Vec<_>>()
    });
    environment.add_filter("intersect", |left: Vec<Value>, right: Vec<Value>| {
        left.into_iter()
            .filter(|item| right.contains(item))
            .collect::<Vec<_>>()
    });
    environment.add_filter("union", |left: Vec<Value>, right: Vec<Value>| {
        let mut all: Vec<Value> = Vec::new();
        for item in left.into_iter().chain(right) {
            if !all.contains(&item) {
                all.push(item);
            }
        }
        all
    });
    environment.add_filter("ipwrap", |text: String| {
        if text.parse::<std::net::Ipv6Addr>().is_ok() {
            format!("[{text}]")
        } else {
            text
        }
    });
}

fn add_tests(environment: &mut Environment<'static>) {
    environment.add_test("defined", |value: Value| {
        forgive(&value);
        !value.is_undefined()
    });
    environment.add_test("undefined", |value: Value| {
        forgive(&value);
        value.is_undefined()
    });
    for (name, key, expected) in [
        ("failed", "failed", true),
        ("changed", "changed", true),
        ("skipped", "skipped", true),
        ("succeeded", "failed", false),
        ("success", "failed", false),
    ] {
        environment.add_test(name, move |value: Value| {
            if value.kind() != ValueKind::Map {
                return Err(invalid(format!("`is {name}` needs the result of a task")));
            }
            Ok(value.get_attr(key)?.is_true() == expected)
        });
    }
    environment.add_test("match", |text: String, pattern: String| {
        Ok::<_, Error>(regex(&format!("^(?:{pattern})"))?.is_match(&text))
    });
    environment.add_test("search", |text: String, pattern: String| {
        Ok::<_, Error>(regex(&pattern)?.is_match(&text))
    });
    environment.add_test("contains", |value: Value, item: Value| {
        match value.as_str() {
            Some(text) => Ok(item.as_str().is_some_and(|part| text.contains(part))),
            None => Ok::<_, Error>(value.try_iter()?.any(|other| other == item)),
        }
    });
    environment.add_test(
        "version",
        |left: String, right: String, operator: Option<String>| {
            let order = compare_versions(&left, &right);
            Ok(match operator.as_deref().unwrap_or("eq") {
                "eq" | "==" | "=" => order.is_eq(),
                "ne" | "!=" | "<>" => order.is_ne(),
                "lt" | "<" => order.is_lt(),
                "le" | "<=" => order.is_le(),
                "gt" | ">" => order.is_gt(),
                "ge" | ">=" => order.is_ge(),
                other => {
                    return Err(invalid(format!(
                        "`{other}` is not a comparison of versions"
                    )));
                }
            })
        },
    );
}

/// Compares versions piece by piece: numbers as numbers, a leading `v` is ignored, a pre-release comes before.
fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    let split = |text: &str| -> (Vec<u64>, String) {
        let text = text.trim().trim_start_matches(['v', 'V']);
        let (numbers, rest) = text.split_once(['-', '+']).unwrap_or((text, ""));
        (
            numbers
                .split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect(),
            rest.to_owned(),
        )
    };
    let ((mut left, left_rest), (mut right, right_rest)) = (split(left), split(right));
    let length = left.len().max(right.len());
    left.resize(length, 0);
    right.resize(length, 0);
    left.cmp(&right)
        .then_with(|| match (left_rest.is_empty(), right_rest.is_empty()) {
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            _ => left_rest.cmp(&right_rest),
        })
}

/// Checks syntax and the names of filters and tests. `shown` is the part of `text` that the user wrote.
pub(super) fn check(text: &str, place: Option<&Place>, shown: &str) -> Result<(), Diagnostic> {
    let at = |message: String| match place {
        Some(place) => Diagnostic::at(place, message),
        None => Diagnostic::error(format!("{message} (in `{shown}`)")),
    };
    let template = environment()
        .template_from_str(text)
        .map_err(|error| at(format!("template: {}", describe(&error))))?;
    let compiled = get_compiled_template(&template);
    for instructions in std::iter::once(&compiled.instructions).chain(compiled.blocks.values()) {
        check_instructions(instructions).map_err(|(kind, name, known)| {
            let diagnostic = at(format!("unknown {kind} `{name}`"));
            match nearest(name, known) {
                Some(other) => diagnostic.hint(format!("did you mean `{other}`?")),
                None => diagnostic.hint(format!("`kk doc` lists every {kind} there is")),
            }
        })?;
    }
    Ok(())
}

type Unknown<'a> = (&'static str, &'a str, Vec<&'static str>);

fn check_instructions<'a>(instructions: &'a Instructions<'_>) -> Result<(), Unknown<'a>> {
    let mut index = 0;
    while let Some(instruction) = instructions.get(index) {
        let (kind, name, known) = match instruction {
            Instruction::ApplyFilter(name, ..) => {
                ("filter", *name, [BUILTIN_FILTERS, OWN_FILTERS].concat())
            }
            Instruction::PerformTest(name, ..) => {
                ("test", *name, [BUILTIN_TESTS, OWN_TESTS].concat())
            }
            Instruction::CallFunction(name, _)
                if !["range", "dict", "namespace"].contains(name)
                    && !is_macro(instructions, name) =>
            {
                ("function", *name, vec!["range", "dict", "namespace"])
            }
            _ => {
                index += 1;
                continue;
            }
        };
        if kind == "function" || !known.contains(&name) {
            return Err((kind, name, known));
        }
        index += 1;
    }
    Ok(())
}

/// Whether the template defines a macro of that name itself.
fn is_macro(instructions: &Instructions<'_>, name: &str) -> bool {
    let mut index = 0;
    while let Some(instruction) = instructions.get(index) {
        if matches!(instruction, Instruction::StoreLocal(local) if *local == name) {
            return true;
        }
        index += 1;
    }
    false
}

/// An error of the template engine in one line, without the engine's own preamble.
pub(super) fn describe(error: &Error) -> String {
    let mut message = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, Some("an undefined value is printed")) => {
            let text = error
                .range()
                .and_then(|range| error.template_source()?.get(range));
            format!(
                "`{}` is undefined",
                text.unwrap_or("a value").trim_matches(['{', '}', ' '])
            )
        }
        (
            ErrorKind::UndefinedError | ErrorKind::InvalidOperation | ErrorKind::SyntaxError,
            Some(detail),
        ) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<Error>()
            && let Some(detail) = inner.detail()
            && !message.contains(detail)
        {
            message = format!("{message}: {detail}");
        }
        source = inner.source();
    }
    message
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn regex(pattern: &str) -> Result<regex::Regex, Error> {
    regex::Regex::new(pattern)
        .map_err(|error| invalid(format!("`{pattern}` is not a regular expression: {error}")))
}

/// `\1` and `\g<name>` of Python as `${1}` and `${name}`.
fn python_replacement(text: &str) -> String {
    let mut converted = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '$' => converted.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    converted.push_str(&format!("${{{digit}}}"))
                }
                Some('g') if characters.peek() == Some(&'<') => {
                    characters.next();
                    let name: String = characters.by_ref().take_while(|c| *c != '>').collect();
                    converted.push_str(&format!("${{{name}}}"));
                }
                Some('n') => converted.push('\n'),
                Some(other) => converted.push(other),
                None => converted.push('\\'),
            },
            other => converted.push(other),
        }
    }
    converted
}

/// Plain data as a value of the template engine.
pub(super) fn value_of(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(boolean) => Value::from(*boolean),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(
            map.iter()
                .map(|(key, item)| (Value::from(key.as_str()), value_of(item))),
        ),
    }
}

fn json_of(value: &Value) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| invalid(format!("the value cannot be written as JSON: {error}")))
}

fn object_of(value: &Value) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    match json_of(value)? {
        serde_json::Value::Object(map) => Ok(map),
        _ => Err(invalid("expected a mapping")),
    }
}

/// JSON with Python's spacing, so that both programs write the same bytes.
fn json_text(value: &Value, indent: Option<usize>) -> Result<String, Error> {
    let json = json_of(value)?;
    let mut text = String::new();
    write_json(&json, indent, 0, &mut text);
    Ok(text)
}

fn write_json(json: &serde_json::Value, indent: Option<usize>, level: usize, out: &mut String) {
    use serde_json::Value as Json;
    let newline = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * level));
        }
    };
    let separator = if indent.is_some() { "," } else { ", " };
    match json {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                newline(out, level + 1);
                write_json(item, indent, level + 1, out);
            }
            newline(out, level);
            out.push(']');
        }
        Json::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(separator);
                }
                newline(out, level + 1);
                out.push_str(&Json::String(key.clone()).to_string());
                out.push_str(": ");
                write_json(item, indent, level + 1, out);
            }
            newline(out, level);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn yaml_of(value: &Value, indent: usize) -> Result<String, Error> {
    let mut text = String::new();
    write_yaml(&json_of(value)?, indent, 0, &mut text);
    Ok(text)
}

/// Block style; every text that could be read as anything else is quoted as JSON, which YAML reads.
fn write_yaml(json: &serde_json::Value, indent: usize, level: usize, out: &mut String) {
    use serde_json::Value as Json;
    let pad = " ".repeat(indent * level);
    let nested = |item: &Json| {
        matches!(item, Json::Array(items) if !items.is_empty())
            || matches!(item, Json::Object(map) if !map.is_empty())
    };
    match json {
        Json::Object(map) if !map.is_empty() => {
            for (key, item) in map {
                out.push_str(&format!(
                    "{pad}{}:",
                    yaml_scalar(&Json::String(key.clone()))
                ));
                if nested(item) {
                    out.push('\n');
                    let deeper = if item.is_array() && indent == 2 {
                        level
                    } else {
                        level + 1
                    };
                    write_yaml(item, indent, deeper, out);
                } else {
                    out.push_str(&format!(" {}\n", yaml_scalar(item)));
                }
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                if nested(item) {
                    let mut inner = String::new();
                    write_yaml(item, indent, 0, &mut inner);
                    for (index, line) in inner.lines().enumerate() {
                        let lead = if index == 0 {
                            format!("{pad}- ")
                        } else {
                            format!("{pad}  ")
                        };
                        out.push_str(&format!("{lead}{line}\n"));
                    }
                } else {
                    out.push_str(&format!("{pad}- {}\n", yaml_scalar(item)));
                }
            }
        }
        other => out.push_str(&format!("{}\n", yaml_scalar(other))),
    }
}

fn yaml_scalar(json: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match json {
        Json::String(text) => {
            let typed = crate::yaml::scalar_to_json(text) != Json::String(text.clone());
            let plain = text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c))
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
            if plain && !typed && !text.is_empty() {
                text.clone()
            } else {
                json.to_string()
            }
        }
        Json::Array(_) => "[]".to_owned(),
        Json::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

fn flatten(value: &Value, out: &mut Vec<Value>) -> Result<(), Error> {
    for item in value.try_iter()? {
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
            flatten(&item, out)?;
        } else {
            out.push(item);
        }
    }
    Ok(())
}
