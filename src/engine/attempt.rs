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
        let mut attempt = Self::skipped("Conditional result was False");
        attempt
            .result
            .insert("false_condition".to_owned(), condition.source().into());
        attempt.message = Some(format!("the condition `{}` is false", condition.source()));
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

    /// A template that has no value.
    pub(super) fn from_diagnostic(diagnostic: &Diagnostic) -> Self {
        Self {
            hint: diagnostic.hint.clone(),
            ..Self::failed(diagnostic.to_string())
        }
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
        let mut attempt = Self {
            hint,
            ..Self::failed(error.to_string())
        };
        if is_lost {
            attempt.outcome = Outcome::Unreachable;
            attempt.lost = Some(error);
        }
        attempt
    }
}
