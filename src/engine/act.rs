//! Doing a task once: the module's plan and its steps, or what the engine does itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::attempt::Attempt;
use super::event::{EventKind, Outcome};
use super::perform::{Doing, notified};
use super::task_files::TaskFiles;
use crate::diagnostic::Diagnostic;
use crate::modules::{
    self, ArgumentKind, Arguments, LedgerEntry, Look, ModuleError, ModuleSpec, Plan, Step,
    StepOutput, Verdict,
};
use crate::playbook::{Action, ArgumentValue};
use crate::remote::Session;
use crate::template::{Scope, Template, display};

impl Doing<'_> {
    /// Does it once.
    pub(super) async fn attempt(&self, scope: &Scope) -> Attempt {
        let engine = |result: Result<Attempt, Diagnostic>| {
            result.unwrap_or_else(|diagnostic| Attempt::from_diagnostic(&diagnostic))
        };
        match &self.task.action {
            Action::Module { spec, arguments } => self.module(spec, arguments, scope).await,
            Action::SetFact(pairs) => engine(self.set_fact(pairs, scope)),
            Action::Debug { message, variable } => {
                engine(debug(message.as_ref(), variable.as_ref(), scope))
            }
            Action::Assert {
                that,
                fail_message,
                success_message,
            } => engine(assert(
                that,
                fail_message.as_ref(),
                success_message.as_ref(),
                scope,
            )),
            Action::Fail { message } => match message.render(scope) {
                Ok(text) => Attempt::failed(text),
                Err(diagnostic) => Attempt::from_diagnostic(&diagnostic),
            },
            // The schedule runs these.
            Action::Include { .. } | Action::Meta(_) => Attempt::ended(Outcome::Ok, Map::new()),
        }
    }

    fn set_fact(
        &self,
        pairs: &[(String, ArgumentValue)],
        scope: &Scope,
    ) -> Result<Attempt, Diagnostic> {
        let mut facts = Map::new();
        for (name, value) in pairs {
            let value = value.resolve(scope)?.unwrap_or(Json::Null);
            facts.insert(name.clone(), value);
        }
        self.runner
            .events
            .redactor()
            .learn_named(&Json::Object(facts.clone()));
        for host in self.receivers {
            if let Some(state) = self.runner.variables.hosts.get(host) {
                for (name, value) in &facts {
                    state.set_variable(name, value.clone());
                }
            }
        }
        Ok(Attempt::ended(
            Outcome::Ok,
            Map::from_iter([("ansible_facts".to_owned(), Json::Object(facts))]),
        ))
    }

    async fn module(
        &self,
        spec: &'static ModuleSpec,
        given: &[(&'static str, ArgumentValue)],
        scope: &Scope,
    ) -> Attempt {
        let mut arguments = Map::new();
        for (name, value) in given {
            match value.resolve(scope) {
                Ok(Some(value)) => {
                    arguments.insert((*name).to_owned(), value);
                }
                Ok(None) => {}
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            }
        }
        for argument in spec
            .arguments
            .iter()
            .filter(|argument| argument.kind == ArgumentKind::Secret)
        {
            if let Some(Json::String(secret)) = arguments.get(argument.name) {
                self.runner.events.redactor().learn(secret);
            }
        }
        if let Some(argument) = spec
            .arguments
            .iter()
            .find(|argument| argument.required && !arguments.contains_key(argument.name))
        {
            return Attempt::failed(format!(
                "`{}` needs the argument `{}`",
                spec.name, argument.name
            ));
        }
        let module = match (spec.build)(Arguments(arguments)) {
            Ok(module) => module,
            Err(error) => return Attempt::from_error(error),
        };
        let session = match self.session(scope) {
            Ok(session) => session,
            Err(attempt) => return *attempt,
        };
        let target = self.target();
        let facts = self
            .runner
            .fleet
            .member(target)
            .and_then(|member| member.facts());
        let files = TaskFiles {
            library: self.runner.library,
            role: self.task.frame.role().map(Arc::as_ref),
            scope,
        };
        let look = Look {
            session: &session,
            host: self.host,
            facts: facts.as_deref(),
            files: &files,
            check_mode: self.check_mode,
            diff: self.runner.options.diff && !self.no_log,
        };
        let plan = match module.plan(&look).await {
            Ok(plan) => plan,
            Err(error) => return self.broken(error),
        };
        let (summary, diff) = match &plan.verdict {
            Verdict::Satisfied => {
                let mut attempt = Attempt::ended(Outcome::Ok, plan.result);
                attempt.message = attempt
                    .result
                    .get("msg")
                    .and_then(Json::as_str)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned);
                return attempt;
            }
            Verdict::Change(change) => (
                Some(change.summary.clone()).filter(|text| !text.is_empty()),
                change.diff.clone(),
            ),
            Verdict::Skipped { reason } => {
                let mut attempt = Attempt::skipped(reason);
                attempt.result.extend(plan.result);
                return attempt;
            }
            Verdict::Unknown { reason } if self.check_mode && spec.free_form.is_some() => {
                return Attempt::skipped(&format!("not run in check mode: {reason}"));
            }
            Verdict::Unknown { reason } => (
                self.check_mode
                    .then(|| format!("not known before it is done: {reason}")),
                None,
            ),
        };
        let mut attempt = Attempt::ended(Outcome::Changed, plan.result.clone());
        (attempt.message, attempt.diff) = (summary, diff);
        if self.check_mode {
            attempt.result.insert("changed".to_owned(), true.into());
            return attempt;
        }
        let done = self.execute(&session, plan, scope).await;
        let outputs = match done {
            Ok(outputs) => outputs,
            Err(error) => {
                return Attempt {
                    diff: attempt.diff,
                    ..self.broken(error)
                };
            }
        };
        match module.conclude(&outputs) {
            Ok(conclusion) => {
                attempt.result.extend(conclusion.result);
                let changed = conclusion.changed.unwrap_or(true);
                attempt.outcome = if changed {
                    Outcome::Changed
                } else {
                    Outcome::Ok
                };
                attempt.result.insert("changed".to_owned(), changed.into());
                attempt
            }
            Err(error) => Attempt {
                diff: attempt.diff,
                ..Attempt::from_error(error)
            },
        }
    }

    /// The session of the host that does the work, as the user that the task asks for.
    fn session(&self, scope: &Scope) -> Result<Session, Box<Attempt>> {
        let failed = |diagnostic: Diagnostic| Box::new(Attempt::from_diagnostic(&diagnostic));
        let target = self.target();
        let Some(member) = self.runner.fleet.member(target) else {
            let message =
                format!("the task is delegated to `{target}`, which is no host of this run");
            return Err(Box::new(Attempt::failed(message)));
        };
        if let Some(reason) = member.refusal() {
            let message = format!("`{target}` must not be changed: {reason}");
            return Err(Box::new(Attempt::failed(message)));
        }
        let elevate = match self.task.frame.find(|frame| frame.elevate.clone()) {
            Some(flag) => flag.is_true(scope).map_err(failed)?,
            None => false,
        };
        let cancel = &self.runner.control.cancel;
        let session = if elevate {
            let user = match self.task.frame.find(|frame| frame.become_user.clone()) {
                Some(user) => user.render(scope).map_err(failed)?,
                None => "root".to_owned(),
            };
            member.session_as(&user, cancel)
        } else {
            member.session(cancel)
        };
        let mut limit = self.runner.options.task_timeout;
        if let Some(template) = &self.task.timeout {
            let text = template.render(scope).map_err(failed)?;
            let seconds: u64 = text.trim().parse().map_err(|_| {
                Box::new(Attempt::failed(format!(
                    "`timeout: {text}` is not a number of seconds"
                )))
            })?;
            limit = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        session
            .map(|session| session.with_timeout(limit))
            .map_err(|error| Box::new(self.broken(error.into())))
    }

    /// The host that does the work.
    fn target(&self) -> &str {
        self.delegate.as_deref().unwrap_or(self.host)
    }

    /// What a module or its session could not do. When another host did the work and was lost, this one is still
    /// there.
    fn broken(&self, error: ModuleError) -> Attempt {
        let mut attempt = Attempt::from_error(error);
        if self.delegate.is_some() && attempt.lost.take().is_some() {
            attempt.outcome = Outcome::Failed;
        }
        attempt
    }

    /// Runs the steps of a plan. What they create, and which handlers they owe, is in the ledger before the first of
    /// them runs: a killed run leaves nothing that the next one does not know of.
    async fn execute(
        &self,
        session: &Session,
        mut plan: Plan,
        scope: &Scope,
    ) -> Result<Vec<StepOutput>, ModuleError> {
        let (component, target) = (self.runner.options.ledger.as_deref(), self.target());
        if component.is_some() && self.delegate.is_none() && !self.task.notify.is_empty() {
            let names = notified(self.task, scope).into_iter();
            plan.creates
                .extend(names.map(|name| LedgerEntry::PendingHandler { name }));
            self.is_noted.store(true, Ordering::Relaxed);
        }
        let uploaded = plan.steps.iter().find_map(|step| match step {
            Step::Upload { source, .. } => source
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            _ => None,
        });
        let name = uploaded.unwrap_or_default();
        let progress = |done: u64, total: u64| {
            let (host, name) = (target.to_owned(), name.clone());
            self.runner.events.send(EventKind::Transfer {
                host,
                name,
                done,
                total,
                finished: done >= total,
            });
        };
        let outputs = modules::apply_plan(session, component, &plan, &progress).await?;
        if let Some(state) = self.runner.variables.hosts.get(target) {
            let sent = outputs.iter().map(|output| match output {
                StepOutput::Done { bytes_sent } | StepOutput::Wrote { bytes_sent, .. } => {
                    *bytes_sent
                }
                _ => 0,
            });
            let sent: u64 = sent.sum();
            state.count(|recap| recap.bytes_sent += sent);
        }
        Ok(outputs)
    }
}

fn debug(
    message: Option<&ArgumentValue>,
    variable: Option<&Template>,
    scope: &Scope,
) -> Result<Attempt, Diagnostic> {
    let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
    let (name, value) = match (variable, message) {
        (Some(variable), _) => {
            let value = match variable.evaluate_if_defined(scope)? {
                Some(value) => value,
                None => json!("not defined"),
            };
            (variable.source().to_owned(), value)
        }
        (None, Some(message)) => {
            let value = message.resolve(scope)?;
            ("msg".to_owned(), value.unwrap_or(Json::Null))
        }
        (None, None) => ("msg".to_owned(), json!("Hello world!")),
    };
    attempt.message = Some(display(&value));
    attempt.result.insert(name, value);
    Ok(attempt)
}

fn assert(
    that: &[Template],
    fail_message: Option<&Template>,
    success_message: Option<&Template>,
    scope: &Scope,
) -> Result<Attempt, Diagnostic> {
    for condition in that {
        if !condition.is_true(scope)? {
            let message = match fail_message {
                Some(message) => message.render(scope)?,
                None => format!("the assertion `{}` does not hold", condition.source()),
            };
            let mut attempt = Attempt::failed(message);
            attempt
                .result
                .insert("assertion".to_owned(), condition.source().into());
            return Ok(attempt);
        }
    }
    let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
    let message = match success_message {
        Some(message) => message.render(scope)?,
        None => "all assertions hold".to_owned(),
    };
    attempt.result.insert("msg".to_owned(), message.into());
    Ok(attempt)
}
