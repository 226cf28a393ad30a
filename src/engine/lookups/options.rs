//! The named arguments of a lookup.

use serde_json::{Map, Value as Json};

use crate::diagnostic::nearest;
use crate::template::{display, truthy};

/// What a lookup can be told by name. Those that take everything they are told are not here.
pub(super) fn known(name: &str) -> &'static [&'static str] {
    match name {
        "csvfile" => &["file", "col", "keycol", "delimiter", "default", "encoding"],
        "env" | "vars" => &["default"],
        "file" => &["lstrip", "rstrip"],
        "first_found" => &["files", "paths", "skip"],
        "ini" => &[
            "file",
            "section",
            "type",
            "re",
            "encoding",
            "default",
            "case_sensitive",
            "allow_no_value",
            "allow_none",
        ],
        "password" => &["length", "chars", "encrypt", "ident", "seed"],
        "sequence" => &["start", "end", "count", "stride", "format"],
        "template" => &[
            "convert_data",
            "template_vars",
            "variable_start_string",
            "variable_end_string",
            "comment_start_string",
            "comment_end_string",
            "jinja2_native",
        ],
        "url" => &[
            "validate_certs",
            "split_lines",
            "use_proxy",
            "username",
            "password",
            "headers",
            "force",
            "timeout",
            "http_agent",
            "force_basic_auth",
            "follow_redirects",
            "ca_path",
            "unredirected_headers",
        ],
        _ => &[],
    }
}

/// Named arguments, checked by name.
pub(super) struct Options<'a>(&'a Map<String, Json>);

impl<'a> Options<'a> {
    /// Refuses names that are not known.
    pub(super) fn new(known: &[&str], options: &'a Map<String, Json>) -> Result<Self, String> {
        for name in options.keys() {
            if known.contains(&name.as_str()) {
                continue;
            }
            let hint = nearest(name, known.iter().copied()).map_or_else(
                || match known {
                    [] => "it takes none by name".to_owned(),
                    known => format!("it takes {}", known.join(", ")),
                },
                |meant| format!("did you mean `{meant}`?"),
            );
            return Err(format!("it has no argument `{name}`: {hint}"));
        }
        Ok(Self(options))
    }

    /// A value that is not null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(display)
    }

    /// A boolean.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.value(name).map_or(default, truthy)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.trim().parse();
        number
            .map(Some)
            .map_err(|_| format!("`{name}` is not a whole number: `{text}`"))
    }
}
