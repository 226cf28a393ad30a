//! The environment: the template engine with Python's habits.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use super::missing::{is_harmless, undefined_error};
use super::rewrite::{BLOCK, COMMENT, VARIABLE};
use super::{
    access, filters, functions, macros, methods, operators, outside, python, tests_of_values,
    values,
};

/// The most elements that one value may have: `[1] * 24 ** 5` would fill the memory.
pub(super) const MAX_ELEMENTS: usize = 2_000_000;

pub(super) use values::{json_of, value_of};

/// The one environment, without templates.
pub(super) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(build)
}

/// Rewritten templates have delimiters of their own, and their white space is as it shall be.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .variable_delimiters(VARIABLE.0, VARIABLE.1)
        .block_delimiters(BLOCK.0, BLOCK.1)
        .comment_delimiters(COMMENT.0, COMMENT.1)
        .keep_trailing_newline(true)
        .build()
        .unwrap_or_default()
}

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    // What it would record are values of variables, and they may be secret.
    environment.set_debug(false);
    environment.set_syntax(syntax());
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(20_000_000));
    // The rewritten text asks itself, wherever something undefined is an error.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, _, value| {
        if let Some(text) = value.as_str() {
            return out.write_str(text).map_err(Error::from);
        }
        match undefined_error(value) {
            Some(_) if is_harmless(value) => return Ok(()),
            Some(error) => return Err(error),
            None => {}
        }
        if value.kind() == ValueKind::None {
            return Ok(());
        }
        out.write_str(&python::text(value)?).map_err(Error::from)
    });
    filters::add(&mut environment);
    tests_of_values::add(&mut environment);
    outside::add(&mut environment);
    functions::add(&mut environment);
    access::add(&mut environment);
    operators::add(&mut environment);
    macros::add(&mut environment);
    environment.add_filter("kk_own", |value: Value| values::owned(&value));
    environment
}

/// An error of the template engine in one line, without the engine's own preamble.
pub(super) fn describe(error: &Error) -> String {
    let mut message = match (error.kind(), error.detail()) {
        (
            ErrorKind::UndefinedError | ErrorKind::InvalidOperation | ErrorKind::SyntaxError,
            Some(detail),
        ) => detail.to_owned(),
        (ErrorKind::BadInclude, _) => String::new(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<Error>()
            && let Some(detail) = inner.detail()
            && !message.contains(detail)
        {
            message = if message.is_empty() {
                detail.to_owned()
            } else {
                format!("{message}: {detail}")
            };
        }
        source = inner.source();
    }
    message
}

/// An error in words.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
