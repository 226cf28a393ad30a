//! What one attempt at a task came to.

use serde_json::{Map, Value as Json};

use super::event::Outcome;
use crate::connect::TransportError;
use crate::diagnostic::Diagnostic;
use crate::modules::ModuleError;
use crate::template::Template;

/// What one attempt at one item came to, with what is only for people.
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    pub(super) result: Map<String, Json>,
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) diff: Option<String>,
    pub(super) details: Option<String>,
    pub(super) lost: Option<TransportError>,
    /// A step was begun, and its end was not seen.
    pub(super) may_have_run: bool,
}

impl Attempt {
    /// Ended in this way, with nothing to say.
    pub(super) fn ended(outcome: Outcome, result: Map<String, Json>) -> Self {
        Self {
            outcome,
            result,
            message: None,
            hint: None,
            diff: None,
            details: None,
            lost: None,
            may_have_run: false,
        }
    }

    /// Not run, and why.
    pub(super) fn skipped(reason: &str) -> Self {
        let mut attempt = Self::ended(Outcome::Skipped, Map::new());
        attempt.result.insert("skipped".to_owned(), true.into());
        attempt
            .result
            .insert("skip_reason".to_owned(), reason.into());
        attempt.message = Some(reason.to_owned());
        attempt
    }

    /// Not run, because of a condition.
    pub(super) fn unmet(condition: &Template) -> Self {
        let source = condition.source();
        let mut attempt = Self::skipped(&format!("the condition `{source}` is false"));
        let shown = match source {
            "true" | "True" => true.into(),
            "false" | "False" => false.into(),
            text => Json::from(text),
        };
        attempt.result.insert("false_condition".to_owned(), shown);
        attempt.result.insert(
            "skip_reason".to_owned(),
            "Conditional result was False".into(),
        );
        attempt
    }

    /// Failed, and why.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        let mut attempt = Self::ended(Outcome::Failed, Map::new());
        attempt
            .result
            .insert("msg".to_owned(), message.clone().into());
        attempt.message = Some(message);
        attempt
    }

    /// A template that has no value. The result says it in words that playbooks look for.
    pub(super) fn from_diagnostic(diagnostic: &Diagnostic) -> Self {
        let mut attempt = Self {
            hint: diagnostic.hint.clone(),
            ..Self::failed(diagnostic.to_string())
        };
        if let Some(name) = undefined_name(&diagnostic.message) {
            let place = place_in_words(diagnostic);
            let said = format!(
                "The task includes an option with an undefined variable.. '{name}' is undefined{place}"
            );
            attempt.result.insert("msg".to_owned(), said.into());
        }
        attempt
    }

    /// A condition that has no value.
    pub(super) fn undecided(condition: &Template, diagnostic: &Diagnostic) -> Self {
        let mut attempt = Self::from_diagnostic(diagnostic);
        let source = condition.source();
        let why = match undefined_name(&diagnostic.message) {
            Some(name) => format!("'{name}' is undefined"),
            None => diagnostic.message.clone(),
        };
        let place = place_in_words(diagnostic);
        let said = format!(
            "The conditional check '{source}' failed. The error was: error while evaluating conditional ({source}): {why}{place}"
        );
        attempt.result.insert("msg".to_owned(), said.into());
        attempt
    }

    /// A module that could not do its part.
    pub(super) fn from_error(error: ModuleError) -> Self {
        match error {
            ModuleError::Transport(error) => Self::from_transport(error),
            ModuleError::Failed {
                message,
                hint,
                details,
                result,
            } => {
                let mut attempt = Self::failed(message);
                attempt.result.extend(result);
                Self {
                    hint,
                    details,
                    ..attempt
                }
            }
        }
    }

    /// A session that failed. Only what says that the host itself is gone loses it.
    pub(super) fn from_transport(error: TransportError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let is_lost = error.loses_host();
        let limit = match &error {
            TransportError::TimedOut { limit } => Some(limit.as_secs()),
            _ => None,
        };
        let mut attempt = Self {
            hint,
            ..Self::failed(error.to_string())
        };
        if let Some(limit) = limit {
            let said = format!(
                "The action failed to execute in the expected time frame ({limit}) and was terminated"
            );
            attempt.result.insert("msg".to_owned(), said.into());
        }
        if is_lost {
            attempt.outcome = Outcome::Unreachable;
            attempt.lost = Some(error);
        }
        attempt
    }
}

/// The name in `` `name` is undefined ``.
fn undefined_name(message: &str) -> Option<&str> {
    let name = message.strip_suffix("' is undefined")?.strip_prefix('\'')?;
    (!name.contains('\'')).then_some(name)
}

/// Where it stands, as a part of a message.
fn place_in_words(diagnostic: &Diagnostic) -> String {
    diagnostic
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("\n\nat {place}"))
}
