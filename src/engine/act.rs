//! Doing a task once: the module's plan and its steps, or what the engine does itself.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value as Json, json};

use super::attempt::Attempt;
use super::event::{EventKind, Outcome};
use super::perform::{Doing, notified};
use super::task_files::TaskFiles;
use crate::diagnostic::Diagnostic;
use crate::modules::{
    self, ArgumentKind, Arguments, LedgerEntry, Look, ModuleError, ModuleSpec, Plan, Step,
    StepOutput, Stopped, Verdict,
};
use crate::playbook::{Action, ArgumentValue};
use crate::remote::Session;
use crate::template::{Scope, Template, display};

impl Doing<'_> {
    /// Does it once.
    pub(super) async fn attempt(&self, scope: &Scope) -> Attempt {
        let Action::Late(late) = &self.task.action else {
            return self.act(&self.task.action, scope).await;
        };
        match late.action(self.runner.library, &self.task.frame, scope) {
            Ok(action) => {
                self.note_late(&action);
                self.act(&action, scope).await
            }
            Err(diagnostic) => Attempt::from_diagnostic(&diagnostic),
        }
    }

    fn note_late(&self, action: &Arc<Action>) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        *late = Some(Arc::clone(action));
    }

    async fn act(&self, action: &Action, scope: &Scope) -> Attempt {
        let engine = |result: Result<Attempt, Diagnostic>| {
            result.unwrap_or_else(|diagnostic| Attempt::from_diagnostic(&diagnostic))
        };
        match action {
            Action::Module {
                spec,
                arguments,
                more,
            } => self.module(spec, arguments, more.as_ref(), scope).await,
            Action::SetFact {
                pairs,
                more,
                cacheable,
            } => engine(self.set_fact(pairs, more.as_ref(), cacheable.as_ref(), scope)),
            Action::Debug {
                message,
                variable,
                verbosity,
            } => match self.is_too_quiet(verbosity.as_ref(), scope) {
                Ok(true) => {
                    let mut attempt = Attempt::skipped("Verbosity threshold not met.");
                    let reason = attempt.result.remove("skip_reason").unwrap_or_default();
                    attempt.result.insert("skipped_reason".to_owned(), reason);
                    attempt.result.insert("failed".to_owned(), false.into());
                    attempt
                }
                Ok(false) => engine(debug(message.as_ref(), variable.as_ref(), scope)),
                Err(diagnostic) => Attempt::from_diagnostic(&diagnostic),
            },
            Action::Engine {
                kind,
                arguments,
                more,
            } => {
                self.engine_action(*kind, arguments, more.as_ref(), scope)
                    .await
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
            Action::Mistaken {
                message,
                hint,
                result,
                ..
            } => {
                let mut attempt = Attempt::failed(message.as_str());
                attempt.hint.clone_from(hint);
                attempt
                    .result
                    .insert("msg".to_owned(), result.as_str().into());
                if [
                    "no command given",
                    "only command or argv can be given, not both",
                ]
                .contains(&result.as_str())
                {
                    attempt.result.insert("rc".to_owned(), 256.into());
                }
                attempt
            }
            // The schedule runs these, and what is late has become something else.
            Action::Include(_) | Action::Meta(_) | Action::Late(_) => {
                Attempt::ended(Outcome::Ok, Map::new())
            }
        }
    }

    fn is_too_quiet(
        &self,
        verbosity: Option<&ArgumentValue>,
        scope: &Scope,
    ) -> Result<bool, Diagnostic> {
        let Some(verbosity) = verbosity else {
            return Ok(false);
        };
        let wanted = verbosity.resolve(scope)?;
        let wanted = wanted.as_ref().and_then(Json::as_i64).unwrap_or(0);
        Ok(wanted > i64::from(self.runner.options.verbosity))
    }

    fn set_fact(
        &self,
        pairs: &[(ArgumentValue, ArgumentValue)],
        more: Option<&Template>,
        cacheable: Option<&Template>,
        scope: &Scope,
    ) -> Result<Attempt, Diagnostic> {
        let mut facts = Map::new();
        let cacheable = cacheable.map_or(Ok(false), |flag| flag.is_true(scope))?;
        if let Some(Json::Object(more)) = more.map(|more| more.evaluate(scope)).transpose()? {
            facts.extend(more);
        }
        for (name, value) in pairs {
            let name = name
                .resolve(scope)?
                .map_or_else(String::new, |name| display(&name));
            // `omit` leaves the variable as it is.
            let Some(mut value) = value.resolve(scope)? else {
                continue;
            };
            // Ansible without native types takes these words for booleans.
            if let Json::String(text) = &value {
                match text.to_lowercase().as_str() {
                    "true" | "yes" => value = true.into(),
                    "false" | "no" => value = false.into(),
                    _ => {}
                }
            }
            facts.insert(name, value);
        }
        self.runner
            .events
            .redactor()
            .learn_named(&Json::Object(facts.clone()));
        for host in self.fact_receivers(scope) {
            if let Some(state) = self.runner.variables.host(&host) {
                for (name, value) in &facts {
                    state.set_variable(name, value.clone());
                }
                if cacheable {
                    state.add_facts(&facts);
                }
            }
        }
        Ok(Attempt::ended(
            Outcome::Ok,
            Map::from_iter([("ansible_facts".to_owned(), Json::Object(facts))]),
        ))
    }

    /// The hosts whose facts a task sets: with `delegate_facts` the one that does the work.
    pub(super) fn fact_receivers(&self, scope: &Scope) -> Vec<String> {
        let is_delegated = super::keywords::is_set(&self.task.frame, scope, |frame| {
            frame.delegate_facts.as_ref()
        });
        match (&self.delegate, is_delegated) {
            (Some(delegate), Some(true)) => vec![delegate.clone()],
            _ => self.receivers.to_vec(),
        }
    }

    async fn module(
        &self,
        spec: &'static ModuleSpec,
        given: &[(&'static str, ArgumentValue)],
        more: Option<&Template>,
        scope: &Scope,
    ) -> Attempt {
        let mut arguments = Map::new();
        if let Some(more) = more {
            let late = match more.evaluate(scope) {
                Ok(Json::Object(map)) => crate::playbook::late(spec, &map),
                Ok(_) => Err("the template of the arguments is no mapping".to_owned()),
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            };
            match late {
                Ok(late) => arguments.extend(
                    late.into_iter()
                        .map(|(name, value)| (name.to_owned(), value)),
                ),
                Err(message) => return Attempt::failed(message),
            }
        }
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
        let (session, facts) = match self.session(scope).await {
            Ok(session) => session,
            Err(attempt) => return *attempt,
        };
        if let Err(error) = super::homes::fill_in(&session, spec, &mut arguments).await {
            return self.broken(error.into());
        }
        if session.is_local() && spec.name != "fetch" {
            from_here(&mut arguments);
        }
        let module = match (spec.build)(Arguments(arguments)) {
            Ok(module) => module,
            Err(error) => return Attempt::from_error(error),
        };
        let files = TaskFiles {
            library: self.runner.library,
            frame: &self.task.frame,
            scope,
        };
        let look = Look {
            session: &session,
            host: self.host,
            facts: facts.as_deref(),
            files: &files,
            check_mode: self.check_mode,
            diff: self.diff && !self.no_log,
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
                attempt.result.remove("skip_reason");
                attempt.result.insert("failed".to_owned(), false.into());
                attempt.result.extend(plan.result);
                return attempt;
            }
            Verdict::Unknown { reason } if self.check_mode && spec.free_form.is_some() => {
                return not_run(&plan, reason);
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
            Err(Stopped {
                error,
                has_done_some,
            }) => {
                let may_have_run = matches!(
                    &error,
                    ModuleError::Transport(error) if has_done_some || !error.did_not_run()
                );
                return Attempt {
                    diff: attempt.diff,
                    may_have_run,
                    ..changed_by(spec, self.broken(error))
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
                ..changed_by(spec, Attempt::from_error(error))
            },
        }
    }

    /// Runs the steps of a plan. What they create, and which handlers they owe, is in the ledger before the first of
    /// them runs: a killed run leaves nothing that the next one does not know of.
    async fn execute(
        &self,
        session: &Session,
        mut plan: Plan,
        scope: &Scope,
    ) -> Result<Vec<StepOutput>, Stopped> {
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
            Step::Tree(tree) => tree.name.rsplit('/').next().map(str::to_owned),
            Step::Download(download) => download.source.rsplit('/').next().map(str::to_owned),
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
        if let Some(state) = self.runner.variables.host(target) {
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
                None => json!("VARIABLE IS NOT DEFINED!"),
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
    fail_message: Option<&ArgumentValue>,
    success_message: Option<&ArgumentValue>,
    scope: &Scope,
) -> Result<Attempt, Diagnostic> {
    for condition in that {
        if !condition.is_true(scope)? {
            let message = match fail_message {
                Some(message) => said(message, scope)?,
                None => format!("the assertion `{}` does not hold", condition.source()),
            };
            let mut attempt = Attempt::failed(message);
            if fail_message.is_none() {
                attempt
                    .result
                    .insert("msg".to_owned(), "Assertion failed".into());
            }
            attempt
                .result
                .insert("evaluated_to".to_owned(), false.into());
            attempt
                .result
                .insert("assertion".to_owned(), condition.source().into());
            return Ok(attempt);
        }
    }
    let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
    let message = match success_message {
        Some(message) => said(message, scope)?,
        None => "All assertions passed".to_owned(),
    };
    attempt.result.insert("msg".to_owned(), message.into());
    Ok(attempt)
}

/// On this machine a path may begin in the folder that kk runs in.
fn from_here(arguments: &mut Map<String, Json>) {
    for name in ["dest", "path"] {
        let Some(Json::String(path)) = arguments.get_mut(name) else {
            continue;
        };
        if let Ok(folder) = std::env::current_dir()
            && !path.is_empty()
            && !path.starts_with(['/', '~'])
        {
            *path = folder
                .join(path.strip_prefix("./").unwrap_or(path))
                .to_string_lossy()
                .into_owned();
        }
    }
}

/// A command that check mode does not run: what it would have said is empty.
fn not_run(plan: &Plan, reason: &str) -> Attempt {
    let mut attempt = Attempt::skipped(&format!("not run in check mode: {reason}"));
    for name in ["stdout", "stderr"] {
        attempt.result.insert(name.to_owned(), "".into());
        attempt.result.insert(format!("{name}_lines"), json!([]));
    }
    attempt.result.insert("rc".to_owned(), 0.into());
    attempt.result.insert(
        "msg".to_owned(),
        "Command would have run if not in check mode".into(),
    );
    attempt.result.extend(plan.result.clone());
    attempt
}

/// A command that ran and failed may have changed something: Ansible says that it did.
fn changed_by(spec: &ModuleSpec, mut attempt: Attempt) -> Attempt {
    if spec.free_form.is_some() && attempt.result.contains_key("rc") {
        attempt.result.entry("changed").or_insert(true.into());
    }
    attempt
}

/// A message that may be a list of lines.
fn said(message: &ArgumentValue, scope: &Scope) -> Result<String, Diagnostic> {
    Ok(match message.resolve(scope)? {
        Some(Json::Array(lines)) => {
            let lines: Vec<String> = lines.iter().map(display).collect();
            lines.join("\n")
        }
        Some(other) => display(&other),
        None => String::new(),
    })
}
