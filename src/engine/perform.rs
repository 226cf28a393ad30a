//! One task on one host: conditions, loops, retries, the module's plan and its steps, the result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::event::{EventKind, Outcome};
use super::schedule::Runner;
use super::task_files::TaskFiles;
use crate::connect::TransportError;
use crate::diagnostic::Diagnostic;
use crate::modules::{
    self, Arguments, LedgerEntry, Look, ModuleError, ModuleSpec, Plan, Step, StepOutput, Verdict,
};
use crate::playbook::{Action, ArgumentValue, Task};
use crate::remote::Session;
use crate::template::{Layer, Scope, Template, display};

/// The result of a task on a host.
#[derive(Debug, Clone)]
pub(super) struct Performed {
    pub(super) outcome: Outcome,
    /// What `register` takes.
    pub(super) result: Map<String, Json>,
    /// Why the host was lost, when it was.
    pub(super) lost: Option<TransportError>,
}

/// What one attempt at one item came to, with what is only for people.
struct Attempt {
    outcome: Outcome,
    result: Map<String, Json>,
    message: Option<String>,
    hint: Option<String>,
    diff: Option<String>,
    details: Option<String>,
    lost: Option<TransportError>,
}

impl Attempt {
    fn ended(outcome: Outcome, result: Map<String, Json>) -> Self {
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

    fn skipped(reason: &str) -> Self {
        let mut attempt = Self::ended(Outcome::Skipped, Map::new());
        attempt.result.insert("skipped".to_owned(), true.into());
        attempt
            .result
            .insert("skip_reason".to_owned(), reason.into());
        attempt.message = Some(reason.to_owned());
        attempt
    }

    fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        let mut attempt = Self::ended(Outcome::Failed, Map::new());
        attempt
            .result
            .insert("msg".to_owned(), message.clone().into());
        attempt.message = Some(message);
        attempt
    }

    fn from_diagnostic(diagnostic: &Diagnostic) -> Self {
        Self {
            hint: diagnostic.hint.clone(),
            ..Self::failed(diagnostic.to_string())
        }
    }

    fn from_error(error: ModuleError) -> Self {
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

    fn from_transport(error: TransportError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let is_lost = !matches!(
            error,
            TransportError::TimedOut { .. }
                | TransportError::Privilege { .. }
                | TransportError::Cancelled
                | TransportError::TooMuchOutput
                | TransportError::NotStarted { .. }
        );
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

/// One task on one host, with everything that its parts need.
struct Doing<'r> {
    runner: &'r Runner<'r>,
    task: &'r Task,
    number: u64,
    host: &'r str,
    check_mode: bool,
    no_log: bool,
    delegate: Option<String>,
}

impl Runner<'_> {
    /// Runs a task on a host and says so. Never fails: failures are outcomes.
    pub(super) async fn perform(
        &self,
        task: &Task,
        number: u64,
        host: &str,
        play_hosts: &[String],
        rescuable: bool,
    ) -> Performed {
        let started = Instant::now();
        let scope = self.variables.scope(host, Some(&task.frame), play_hosts);
        let check_mode = task
            .frame
            .find(|frame| frame.check_mode)
            .unwrap_or(self.options.check_mode);
        let no_log = task.frame.find(|frame| frame.no_log).unwrap_or(false);
        let mut doing = Doing {
            runner: self,
            task,
            number,
            host,
            check_mode,
            no_log,
            delegate: None,
        };
        let mut attempt = doing.whole(&scope).await;
        if attempt.outcome == Outcome::Failed {
            attempt.outcome = match doing.ignores_errors(&scope) {
                true => Outcome::Ignored,
                false if rescuable => Outcome::Rescued,
                false => Outcome::Failed,
            };
        }
        doing.complete(&mut attempt.result, attempt.outcome);
        self.count(host, attempt.outcome, doing.delegate.as_deref());
        let (outcome, result, lost) = (
            attempt.outcome,
            attempt.result.clone(),
            attempt.lost.clone(),
        );
        doing.announce(attempt, None, started.elapsed());
        Performed {
            outcome,
            result,
            lost,
        }
    }

    fn count(&self, host: &str, outcome: Outcome, _delegate: Option<&str>) {
        let Some(state) = self.variables.hosts.get(host) else {
            return;
        };
        state.count(|recap| match outcome {
            Outcome::Ok => recap.ok += 1,
            Outcome::Changed => {
                recap.ok += 1;
                recap.changed += 1;
            }
            Outcome::Skipped => recap.skipped += 1,
            Outcome::Failed => recap.failed += 1,
            Outcome::Ignored => {
                recap.ok += 1;
                recap.ignored += 1;
            }
            Outcome::Rescued => recap.rescued += 1,
            Outcome::Unreachable => recap.unreachable = 1,
        });
    }
}

impl Doing<'_> {
    fn ignores_errors(&self, scope: &Scope) -> bool {
        let flag = self.task.frame.find(|frame| frame.ignore_errors.clone());
        flag.is_some_and(|flag| flag.is_true(scope).unwrap_or(false))
    }

    /// Fills in what every result has.
    fn complete(&self, result: &mut Map<String, Json>, outcome: Outcome) {
        let failed = matches!(
            outcome,
            Outcome::Failed | Outcome::Ignored | Outcome::Rescued
        );
        result
            .entry("changed")
            .or_insert_with(|| (outcome == Outcome::Changed).into());
        result.insert("failed".to_owned(), failed.into());
        if outcome == Outcome::Unreachable {
            result.insert("unreachable".to_owned(), true.into());
        }
        if failed && result.get("msg").is_none_or(Json::is_null) {
            result.insert("msg".to_owned(), "failed".into());
        }
    }

    fn announce(&self, attempt: Attempt, item: Option<String>, duration: Duration) {
        let hide = |text: Option<String>| {
            if self.no_log {
                text.map(|_| "hidden by `no_log`".to_owned())
            } else {
                text
            }
        };
        self.runner.events.send(EventKind::HostTaskFinished {
            task: self.number,
            host: self.host.to_owned(),
            outcome: attempt.outcome,
            item: hide(item),
            message: if attempt.outcome == Outcome::Skipped {
                attempt.message
            } else {
                hide(attempt.message)
            },
            hint: hide(attempt.hint),
            diff: if self.no_log { None } else { attempt.diff },
            details: hide(attempt.details),
            duration,
            delegated_to: self.delegate.clone(),
        });
    }

    /// The task with its loop.
    async fn whole(&mut self, scope: &Scope) -> Attempt {
        if let Some(template) = self.task.frame.find(|frame| frame.delegate_to.clone()) {
            match template.render(scope) {
                Ok(name) => self.delegate = Some(name),
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            }
        }
        let Some(repeat) = &self.task.repeat else {
            return self.tries(scope).await;
        };
        // Without an item no condition that needs it can hold; one that does not is asked first, because the list
        // itself may not be there then.
        if let Some(skipped) = self.condition_without_item(scope) {
            return skipped;
        }
        let items = match repeat.items.resolve(scope) {
            Ok(Some(Json::Array(items))) => items,
            Ok(Some(Json::Null) | None) => Vec::new(),
            Ok(Some(_)) => return Attempt::failed("the value of `loop` is not a list"),
            Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
        };
        let mut results: Vec<Json> = Vec::new();
        let mut whole = Attempt::ended(Outcome::Skipped, Map::new());
        for (index, item) in items.iter().enumerate() {
            let mut extra = Map::new();
            extra.insert(repeat.variable.clone(), item.clone());
            if let Some(name) = &repeat.index_variable {
                extra.insert(name.clone(), index.into());
            }
            let scope = scope.with(Layer::raw(extra));
            let started = Instant::now();
            let mut attempt = self.tries(&scope).await;
            let label = match &repeat.label {
                Some(label) => label.render(&scope).unwrap_or_else(|_| display(item)),
                None => display(item),
            };
            self.complete(&mut attempt.result, attempt.outcome);
            attempt.result.insert(repeat.variable.clone(), item.clone());
            results.push(Json::Object(attempt.result.clone()));
            whole.outcome = match (whole.outcome, attempt.outcome) {
                (_, Outcome::Unreachable) => Outcome::Unreachable,
                (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
                (Outcome::Changed, _) | (_, Outcome::Changed) => Outcome::Changed,
                (Outcome::Skipped, other) => other,
                (other, _) => other,
            };
            let lost = attempt.lost.clone();
            self.announce(attempt, Some(label), started.elapsed());
            if lost.is_some() {
                whole.lost = lost;
                break;
            }
        }
        whole
            .result
            .insert("results".to_owned(), Json::Array(results));
        whole.result.insert(
            "changed".to_owned(),
            (whole.outcome == Outcome::Changed).into(),
        );
        match whole.outcome {
            Outcome::Failed => whole.message = Some("one or more items failed".to_owned()),
            Outcome::Skipped => {
                whole.result.insert("skipped".to_owned(), true.into());
                whole.message = Some(
                    if items.is_empty() {
                        "no items in the list"
                    } else {
                        "all items were skipped"
                    }
                    .to_owned(),
                );
            }
            _ => {}
        }
        if let Some(message) = &whole.message {
            whole
                .result
                .insert("msg".to_owned(), message.clone().into());
        }
        whole
    }

    /// The first condition that is false without an item, as a skipped task.
    fn condition_without_item(&self, scope: &Scope) -> Option<Attempt> {
        self.conditions()
            .into_iter()
            .find(|condition| condition.is_true(scope) == Ok(false))
            .map(|condition| {
                Attempt::skipped(&format!("the condition `{}` is false", condition.source()))
            })
    }

    /// All conditions, the outermost first.
    fn conditions(&self) -> Vec<&Template> {
        let frames: Vec<_> = self.task.frame.chain().collect();
        frames
            .into_iter()
            .rev()
            .flat_map(|frame| frame.when.iter())
            .collect()
    }

    /// One item: conditions, then attempts until it is well.
    async fn tries(&self, scope: &Scope) -> Attempt {
        for condition in self.conditions() {
            match condition.is_true(scope) {
                Ok(true) => {}
                Ok(false) => {
                    return Attempt::skipped(&format!(
                        "the condition `{}` is false",
                        condition.source()
                    ));
                }
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            }
        }
        let number = |template: &Option<Template>, default: u64| -> Result<u64, Diagnostic> {
            let Some(template) = template else {
                return Ok(default);
            };
            let text = template.render(scope)?;
            text.trim()
                .parse::<f64>()
                .map(|number| number.max(0.0).round() as u64)
                .map_err(|_| {
                    let message = format!("expected a number, found `{text}`");
                    template.place().map_or_else(
                        || Diagnostic::error(message.clone()),
                        |place| Diagnostic::at(place, message.clone()),
                    )
                })
        };
        let retries = number(
            &self.task.retries,
            if self.task.until.is_some() { 3 } else { 0 },
        );
        let (retries, delay) = match (retries, number(&self.task.delay, 5)) {
            (Ok(retries), Ok(delay)) => (retries, delay),
            (Err(diagnostic), _) | (_, Err(diagnostic)) => {
                return Attempt::from_diagnostic(&diagnostic);
            }
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let mut attempt = self.attempt(scope).await;
            let seen = scope.with(self.registered(&attempt));
            self.judge(&mut attempt, &seen);
            let again = match &self.task.until {
                Some(until) => match until.is_true(&scope.with(self.registered(&attempt))) {
                    Ok(well) => !well,
                    Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
                },
                None => attempt.outcome == Outcome::Failed,
            };
            if tried > 1 {
                attempt.result.insert("attempts".to_owned(), tried.into());
            }
            if !again || attempt.lost.is_some() || self.check_mode && self.task.until.is_some() {
                return attempt;
            }
            if tried > retries || self.runner.control.stop.is_cancelled() {
                if self.task.until.is_some() && attempt.outcome != Outcome::Failed {
                    attempt.outcome = Outcome::Failed;
                    let until = self.task.until.as_ref().map_or("", Template::source);
                    attempt.message =
                        Some(format!("`{until}` did not become true in {tried} attempts"));
                }
                return attempt;
            }
            self.runner.events.send(EventKind::HostTaskRetry {
                task: self.number,
                host: self.host.to_owned(),
                attempt: u32::try_from(tried).unwrap_or(u32::MAX),
                attempts: u32::try_from(retries + 1).unwrap_or(u32::MAX),
                message: if self.no_log {
                    String::new()
                } else {
                    attempt.message.clone().unwrap_or_default()
                },
            });
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(delay)) => {}
                () = self.runner.control.stop.cancelled() => {}
            }
        }
    }

    fn registered(&self, attempt: &Attempt) -> Layer {
        let mut extra = Map::new();
        if let Some(name) = &self.task.register {
            let mut result = attempt.result.clone();
            self.complete(&mut result, attempt.outcome);
            extra.insert(name.clone(), Json::Object(result));
        }
        Layer::raw(extra)
    }

    /// Applies `changed_when` and `failed_when`.
    fn judge(&self, attempt: &mut Attempt, scope: &Scope) {
        if attempt.lost.is_some() || attempt.outcome == Outcome::Skipped {
            return;
        }
        let all = |conditions: &[Template]| -> Result<Option<bool>, Diagnostic> {
            let mut verdict = None;
            for condition in conditions {
                verdict = Some(verdict.unwrap_or(true) && condition.is_true(scope)?);
            }
            Ok(verdict)
        };
        let verdicts = all(&self.task.changed_when)
            .and_then(|changed| Ok((changed, all(&self.task.failed_when)?)));
        let (changed, failed) = match verdicts {
            Ok(verdicts) => verdicts,
            Err(diagnostic) => {
                *attempt = Attempt::from_diagnostic(&diagnostic);
                return;
            }
        };
        match failed {
            Some(true) => {
                attempt.outcome = Outcome::Failed;
                attempt
                    .message
                    .get_or_insert_with(|| "`failed_when` holds".to_owned());
            }
            Some(false) if attempt.outcome == Outcome::Failed => {
                let changed = attempt
                    .result
                    .get("changed")
                    .and_then(Json::as_bool)
                    .unwrap_or(false);
                attempt.outcome = if changed {
                    Outcome::Changed
                } else {
                    Outcome::Ok
                };
            }
            _ => {}
        }
        if let (Some(changed), Outcome::Ok | Outcome::Changed) = (changed, attempt.outcome) {
            attempt.outcome = if changed {
                Outcome::Changed
            } else {
                Outcome::Ok
            };
            attempt.result.insert("changed".to_owned(), changed.into());
        }
    }

    /// Does it once.
    async fn attempt(&self, scope: &Scope) -> Attempt {
        let engine = |result: Result<Attempt, Diagnostic>| {
            result.unwrap_or_else(|diagnostic| Attempt::from_diagnostic(&diagnostic))
        };
        match &self.task.action {
            Action::Module { spec, arguments } => self.module(spec, arguments, scope).await,
            Action::SetFact(pairs) => engine(self.set_fact(pairs, scope)),
            Action::Debug { message, variable } => {
                engine(debug(message.as_ref(), variable.as_ref(), scope))
            }
            Action::Assert { that, fail_message } => {
                engine(assert(that, fail_message.as_ref(), scope))
            }
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
        if let Some(state) = self.runner.variables.hosts.get(self.host) {
            for (name, value) in &facts {
                state.set_variable(name, value.clone());
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
            .filter(|argument| argument.kind == crate::modules::ArgumentKind::Secret)
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
        let target = self.delegate.as_deref().unwrap_or(self.host);
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
            facts: facts.as_deref(),
            files: &files,
            check_mode: self.check_mode,
            diff: self.runner.options.diff && !self.no_log,
        };
        let plan = match module.plan(&look).await {
            Ok(plan) => plan,
            Err(error) => return Attempt::from_error(error),
        };
        let (summary, diff) = match &plan.verdict {
            Verdict::Satisfied => {
                let mut attempt = Attempt::ended(Outcome::Ok, plan.result);
                attempt.message = attempt
                    .result
                    .get("msg")
                    .and_then(Json::as_str)
                    .map(str::to_owned);
                return attempt;
            }
            Verdict::Change(change) => (
                Some(change.summary.clone()).filter(|text| !text.is_empty()),
                change.diff.clone(),
            ),
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
        let done = self.execute(&session, plan, target).await;
        let outputs = match done {
            Ok(outputs) => outputs,
            Err(error) => {
                return Attempt {
                    diff: attempt.diff,
                    ..Attempt::from_error(error)
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
        let target = self.delegate.as_deref().unwrap_or(self.host);
        let Some(member) = self.runner.fleet.member(target) else {
            let message =
                format!("the task is delegated to `{target}`, which is no host of this run");
            return Err(Box::new(Attempt::failed(message)));
        };
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
            .map_err(|error| Box::new(Attempt::from_transport(error)))
    }

    /// Runs the steps of a plan. What they create, and which handlers they owe, is in the ledger before the first of
    /// them runs: a killed run leaves nothing that the next one does not know of.
    async fn execute(
        &self,
        session: &Session,
        mut plan: Plan,
        target: &str,
    ) -> Result<Vec<StepOutput>, ModuleError> {
        let component = self.runner.options.ledger.as_deref();
        if component.is_some() && self.delegate.is_none() {
            let names = self.task.notify.iter().map(|name| name.source().to_owned());
            plan.creates
                .extend(names.map(|name| LedgerEntry::PendingHandler { name }));
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
                StepOutput::Done { bytes_sent } => *bytes_sent,
                _ => 0,
            });
            let sent: u64 = sent.sum();
            state.count(|recap| recap.bytes_sent += sent);
        }
        Ok(outputs)
    }
}

fn debug(
    message: Option<&Template>,
    variable: Option<&Template>,
    scope: &Scope,
) -> Result<Attempt, Diagnostic> {
    let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
    let (name, value) = match (variable, message) {
        (Some(variable), _) => (variable.source().to_owned(), variable.evaluate(scope)?),
        (None, Some(message)) => ("msg".to_owned(), message.evaluate(scope)?),
        (None, None) => ("msg".to_owned(), json!("Hello world!")),
    };
    attempt.message = Some(display(&value));
    attempt.result.insert(name, value);
    Ok(attempt)
}

fn assert(
    that: &[Template],
    fail_message: Option<&Template>,
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
    attempt
        .result
        .insert("msg".to_owned(), "All assertions passed".into());
    Ok(attempt)
}
