//! The delimiters and white space of a template file: arguments of the `template` module, and the file's own first line.

use minijinja::syntax::SyntaxConfig;
use serde_json::Value as Json;

use super::literal;

/// What a template file that wants its own begins with.
const HEADER: &str = "#jinja2:";

/// What can be said about it, by Ansible's names.
const KEYS: [&str; 9] = [
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "variable_start_string",
    "variable_end_string",
    "block_start_string",
    "block_end_string",
    "comment_start_string",
    "comment_end_string",
];

/// How the tags of a template look, and what becomes of the white space around them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Syntax {
    /// The line break after a tag goes.
    pub trim_blocks: bool,
    /// The white space before a tag that begins a line goes.
    pub lstrip_blocks: bool,
    /// What ends a line.
    pub newline: String,
    /// `{{` and `}}`.
    pub variable: (String, String),
    /// `{%` and `%}`.
    pub block: (String, String),
    /// `{#` and `#}`.
    pub comment: (String, String),
}

impl Default for Syntax {
    fn default() -> Self {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        Self {
            trim_blocks: true,
            lstrip_blocks: false,
            newline: "\n".to_owned(),
            variable: pair("{{", "}}"),
            block: pair("{%", "%}"),
            comment: pair("{#", "#}"),
        }
    }
}

impl Syntax {
    /// The one that the arguments of the `template` module ask for.
    pub fn from_arguments(argument: impl Fn(&str) -> Option<Json>) -> Self {
        let mut syntax = Self::default();
        for key in KEYS {
            if let Some(value) = argument(key) {
                syntax.set(key, Some(&value));
            }
        }
        // In YAML that is not quoted, these are two characters.
        syntax.newline = syntax.newline.replace("\\r", "\r").replace("\\n", "\n");
        syntax
    }

    /// For the engine's lexer. The last line break of a template is no part of it.
    pub(super) fn config(&self) -> Result<SyntaxConfig, minijinja::Error> {
        SyntaxConfig::builder()
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .keep_trailing_newline(false)
            .variable_delimiters(self.variable.0.clone(), self.variable.1.clone())
            .block_delimiters(self.block.0.clone(), self.block.1.clone())
            .comment_delimiters(self.comment.0.clone(), self.comment.1.clone())
            .build()
    }

    /// Takes the first line of a file that says how it wants to be read: this syntax, and how long the line is.
    ///
    /// # Errors
    ///
    /// A part of the line that has no colon.
    pub(super) fn of_file(&self, text: &str) -> Result<(Self, usize), String> {
        let mut syntax = self.clone();
        let Some(rest) = text.strip_prefix(HEADER) else {
            return Ok((syntax, 0));
        };
        let line = rest.split('\n').next().unwrap_or_default();
        for pair in line.split(',') {
            let Some((key, value)) = pair.split_once(':') else {
                return Err(format!(
                    "`{}` after `{HEADER}` is no `name: value`",
                    pair.trim()
                ));
            };
            let value = literal::evaluate(value.trim());
            syntax.set(key.trim(), value.as_ref());
        }
        Ok((syntax, (HEADER.len() + line.len() + 1).min(text.len())))
    }

    fn set(&mut self, key: &str, value: Option<&Json>) {
        let flag = value.is_some_and(super::truthy);
        let text = || value.and_then(Json::as_str).map(str::to_owned);
        let place = match key {
            "trim_blocks" => return self.trim_blocks = flag,
            "lstrip_blocks" => return self.lstrip_blocks = flag,
            "newline_sequence" => &mut self.newline,
            "variable_start_string" => &mut self.variable.0,
            "variable_end_string" => &mut self.variable.1,
            "block_start_string" => &mut self.block.0,
            "block_end_string" => &mut self.block.1,
            "comment_start_string" => &mut self.comment.0,
            "comment_end_string" => &mut self.comment.1,
            _ => return,
        };
        if let Some(text) = text() {
            *place = text;
        }
    }
}
