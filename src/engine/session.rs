//! The session of the host that does a task's work: connection, user, environment, limit.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::attempt::Attempt;
use super::fleet::Member;
use super::perform::Doing;
use super::runner::Runner;
use super::told::Told;
use crate::connect::TransportError;
use crate::diagnostic::Diagnostic;
use crate::facts::{Answer, FactsError};
use crate::modules::ModuleError;
use crate::playbook::{ArgumentValue, Frame};
use crate::remote::Session;
use crate::template::{Scope, Template, display};

impl Doing<'_> {
    /// The session of the host that does the work, as the user that the task asks for; and what is known of the host.
    pub(super) async fn session(
        &self,
        scope: &Scope,
    ) -> Result<(Session, Option<Arc<Answer>>), Box<Attempt>> {
        let failed = |diagnostic: Diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic));
        let target = self.target();
        let frame = &self.task.frame;
        let plain = Frame::default();
        let around = if self.delegate.is_some() {
            &plain
        } else {
            frame
        };
        let Some(member) = self.runner.reach(target, around, scope).await else {
            let message =
                format!("the task is delegated to `{target}`, which is no host of this run");
            return Err(Box::new(Attempt::failed(message)));
        };
        if let Some(reason) = member.refusal() {
            let message = format!("`{target}` must not be changed: {reason}");
            return Err(Box::new(Attempt::failed(message)));
        }
        let of_host = self
            .delegate
            .as_deref()
            .map(|delegate| self.runner.scope(delegate, frame, self.around));
        let of_host = of_host.as_ref().unwrap_or(scope);
        let privilege = self
            .runner
            .privilege(&member, frame, scope, of_host)
            .map_err(failed)?;
        let session = member.session_as(privilege, &self.runner.control.cancel);
        let session = if self.runner.options.verbosity > 2 && !self.no_log {
            session.map(|session| {
                session.through(|inner| {
                    Arc::new(Told {
                        inner,
                        events: self.runner.events.clone(),
                        task: self.number,
                        host: self.host.to_owned(),
                    })
                })
            })
        } else {
            session
        };
        let mut limit = self.runner.options.task_timeout;
        let timeout = frame.chain().find_map(|frame| frame.timeout.as_ref());
        let background = self.task.asynchronous.as_ref();
        for (keyword, template) in [("timeout", timeout), ("async", background)] {
            if let Some(template) = template
                && let Some(seconds) = seconds(keyword, template, scope)?
            {
                limit = Some(seconds);
            }
        }
        let session = session
            .map(|session| {
                session
                    .with_timeout(limit)
                    .with_relay(self.runner.relay.clone())
            })
            .map_err(|error| Box::new(self.broken(error.into())))?;
        let environment = environment(frame, scope).map_err(failed)?;
        for (name, value) in &environment {
            if let Err(reason) = crate::remote::check_variable(name, value) {
                return Err(Box::new(Attempt::failed(format!(
                    "`environment`: {reason}"
                ))));
            }
        }
        let session = if environment.is_empty() {
            session
        } else {
            session.with_environment(&environment)
        };
        let facts = member.answer().or_else(|| {
            let member = self.runner.fleet.member(target)?;
            member.answer()
        });
        Ok((session, facts))
    }

    /// The host that does the work.
    pub(super) fn target(&self) -> &str {
        self.delegate.as_deref().unwrap_or(self.host)
    }

    /// What a module or its session could not do. When another host did the work and was lost, this one is still
    /// there.
    pub(super) fn broken(&self, error: ModuleError) -> Attempt {
        let is_late = matches!(
            error,
            ModuleError::Transport(TransportError::TimedOut { .. })
        );
        let mut attempt = Attempt::from_error(error);
        if is_late && let Some(Json::String(said)) = attempt.result.get_mut("msg") {
            let action = format!("The {} action", self.task.action.name());
            *said = said.replacen("The action", &action, 1);
        }
        if self.delegate.is_some() && attempt.lost.take().is_some() {
            attempt.outcome = super::event::Outcome::Failed;
        }
        attempt
    }
}

impl Runner<'_> {
    /// The session in which a play gathers facts: as the user and in the environment that the play asks for.
    pub(super) fn fact_session(
        &self,
        member: &Member,
        frame: &Frame,
        scope: &Scope,
    ) -> Result<Session, FactsError> {
        let privilege = self
            .privilege(member, frame, scope, scope)
            .map_err(|diagnostic| FactsError::Incomplete {
                reason: diagnostic.to_string(),
                details: String::new(),
            })?;
        let session = member.session_as(privilege, &self.control.cancel)?;
        let environment = environment_of_facts(frame, scope);
        Ok(if environment.is_empty() {
            session
        } else {
            session.with_environment(&environment)
        })
    }
}

/// A limit in seconds; none for 0.
fn seconds(
    keyword: &str,
    template: &Template,
    scope: &Scope,
) -> Result<Option<Duration>, Box<Attempt>> {
    let text = template
        .render(scope)
        .map_err(|diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic)))?;
    let seconds: u64 = text.trim().parse().map_err(|_| {
        Box::new(Attempt::failed(format!(
            "`{keyword}: {text}` is not a number of seconds"
        )))
    })?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// The environment of a play as far as it is known before there are facts: it may be put together of them.
fn environment_of_facts(frame: &Frame, scope: &Scope) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in &frame.environment {
        let raw = match entry {
            ArgumentValue::Literal(raw) | ArgumentValue::Templated { raw, .. } => raw,
        };
        let entries = match raw {
            Json::Object(map) => map.clone(),
            other => match scope.resolve(other) {
                Ok(Json::Object(map)) => map,
                _ => continue,
            },
        };
        for (name, value) in entries {
            if let Ok(value) = scope.resolve(&value) {
                all.push((name, display(&value)));
            }
        }
    }
    all
}

/// The environment variables that the keywords around a task set, the innermost stronger.
fn environment(frame: &Frame, scope: &Scope) -> Result<Vec<(String, String)>, Diagnostic> {
    let mut all: Vec<(String, String)> = Vec::new();
    let frames: Vec<&Frame> = frame.chain().collect();
    for entry in frames
        .into_iter()
        .rev()
        .flat_map(|frame| &frame.environment)
    {
        let value = entry.resolve(scope)?;
        let Some(Json::Object(map)) = value else {
            continue;
        };
        for (name, value) in map {
            all.retain(|(known, _)| *known != name);
            all.push((name, display(&value)));
        }
    }
    Ok(all)
}
