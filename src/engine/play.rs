//! One play: its batches, its facts, its sections, what becomes of it when hosts fail.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures::StreamExt as _;
use rand::seq::SliceRandom as _;
use serde_json::Value as Json;

use super::event::{EventKind, NoticeLevel, Outcome};
use super::resume::StepId;
use super::runner::{Around, LostAt, Runner, select};
use super::schedule::Failure;
use super::state::{PlayView, Standing, VarsFile};
use super::{LOCALHOST, Member, tags};
use crate::facts::{Answer, FactText, FactsError};
use crate::playbook::{Frame, Order, Play, Strategy};
use crate::remote::Session;
use crate::template::{Layer, Scope, Template, truthy};

impl Runner<'_> {
    /// Runs a play, batch by batch.
    pub(super) async fn play(&self, play: &Play, step: StepId) {
        let folder = self.library.absolute(&play.folder);
        let scope_with = |answers: Vec<VarsFile>| {
            let (name, strategy) = (&play.name, Strategy::default());
            let nobody = PlayView::new(
                play,
                name,
                Vec::new(),
                Vec::new(),
                answers,
                &folder,
                strategy,
            );
            self.variables.scope(LOCALHOST, Some(&play.frame), &nobody)
        };
        let mut scope = scope_with(Vec::new());
        let answers = match self.ask_variables(play, &scope).await {
            Ok(answers) => answers,
            Err(_) if self.control.stop.is_cancelled() => return,
            Err(message) => return self.cannot_begin(play, &message),
        };
        let answered = || answers.iter().cloned().map(VarsFile::Read);
        if !answers.is_empty() {
            scope = scope_with(answered().collect());
        }
        let all = match self.hosts_of(play, &scope) {
            Ok(hosts) => hosts,
            Err(message) => return self.cannot_begin(play, &message),
        };
        let order = play.order.resolve(&scope);
        let (order, strategy) = match (order, play.strategy.resolve(&scope)) {
            (Ok(order), Ok(strategy)) => (order, strategy),
            (Err(diagnostic), _) | (_, Err(diagnostic)) => {
                return self.cannot_begin(play, &diagnostic.to_string());
            }
        };
        let hosts = in_order(order, all.clone());
        let name = Template::parse(&play.name, None)
            .and_then(|name| name.render(&scope))
            .unwrap_or_else(|_| play.name.clone());
        for state in hosts.iter().filter_map(|host| self.variables.host(host)) {
            state.begin_play();
        }
        let serial = play
            .serial
            .as_ref()
            .map(|serial| serial.resolve(&scope))
            .transpose()
            .map_err(|diagnostic| diagnostic.to_string())
            .and_then(|serial| batches(serial.flatten().as_ref(), hosts.clone()));
        let batches = match serial {
            Ok(batches) => batches,
            Err(message) => return self.cannot_begin(play, &message),
        };
        let left: Vec<String> = hosts
            .iter()
            .filter(|host| self.is_running(host))
            .cloned()
            .collect();
        self.events.send(EventKind::PlayStarted {
            name: name.clone(),
            hosts: left,
        });
        let is_serial = play.serial.is_some();
        for batch in batches {
            if self.control.stop.is_cancelled() || self.halted.load(Ordering::Relaxed) {
                return;
            }
            let before = batch.len();
            let batch: Vec<String> = batch
                .into_iter()
                .filter(|host| self.is_running(host))
                .collect();
            if batch.is_empty() {
                continue;
            }
            let is_whole = batch.len() == before;
            let files = answered().chain(self.vars_files(play)).collect();
            let view = PlayView::new(play, &name, batch, all.clone(), files, &folder, strategy);
            self.batch(play, &view, step).await;
            let is_over = view.is_over.load(Ordering::Relaxed);
            let nobody_is_left = !view.hosts.iter().any(|host| self.is_active(host));
            let goes_on = is_serial || !self.is_last(play);
            if nobody_is_left && goes_on && (is_whole || !is_serial) {
                let why = format!("no host of the play `{}` is left: the run ends", play.name);
                self.halt(&view, &why);
            }
            if is_over {
                return;
            }
        }
    }

    fn cannot_begin(&self, play: &Play, message: &str) {
        self.events.notice(
            NoticeLevel::Error,
            format!("play `{}`: {message}", play.name),
        );
        self.aborted.store(true, Ordering::Relaxed);
        self.halted.store(true, Ordering::Relaxed);
    }

    /// The hosts of a play in its order.
    fn hosts_of(&self, play: &Play, scope: &Scope) -> Result<Vec<String>, String> {
        // A list in a variable is a list of patterns.
        let pattern = match play.hosts.evaluate(scope) {
            Ok(Json::Array(items)) => {
                let items: Vec<String> = items.iter().map(crate::template::display).collect();
                items.join(",")
            }
            Ok(other) => crate::template::display(&other),
            Err(diagnostic) => return Err(diagnostic.to_string()),
        };
        let inventory = self
            .inventory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut hosts = match select(&inventory, &pattern) {
            Ok(hosts) => hosts,
            // What tasks may have added and did not is nobody.
            Err(_) if self.may_grow() => {
                let known: Vec<&str> = pattern
                    .split([',', ':'])
                    .filter(|part| {
                        let plain = part.trim().trim_start_matches(['!', '&']);
                        select(&inventory, plain).is_ok()
                    })
                    .collect();
                let message = format!("not all of the pattern `{pattern}` is known");
                self.events.notice(NoticeLevel::Warning, message);
                if known.iter().all(|part| part.starts_with(['!', '&'])) {
                    Vec::new()
                } else {
                    select(&inventory, &known.join(","))?
                }
            }
            Err(message) => return Err(message),
        };
        drop(inventory);
        hosts.retain(|host| self.is_limited_to(host));
        Ok(hosts)
    }

    /// Whether tasks may add hosts.
    fn may_grow(&self) -> bool {
        self.playbook.plays.iter().any(super::outline::adds_hosts)
    }

    /// The files of variables that can be read now.
    fn vars_files(&self, play: &Play) -> Vec<VarsFile> {
        play.vars_files
            .iter()
            .map(|names| {
                let literal: Option<Vec<&str>> = names.iter().map(Template::literal).collect();
                let Some(literal) = literal else {
                    return VarsFile::Named(names.clone());
                };
                let places = literal
                    .iter()
                    .flat_map(|name| play.frame.places("vars", name));
                for place in places {
                    if let Ok(Some(entry)) = self.library.read(&place)
                        && let Ok(variables) =
                            crate::playbook::parse_vars_file(&entry.name, &entry.bytes)
                    {
                        return VarsFile::Read(Layer::templated(variables));
                    }
                }
                VarsFile::Named(names.clone())
            })
            .collect()
    }

    /// Whether a file of variables of one of these hosts is there and cannot be used: that ends the run for all of them, as in
    /// Ansible, and before the task has begun anywhere.
    pub(super) fn cannot_go_on(&self, hosts: &[String], frame: &Frame, around: Around<'_>) -> bool {
        let is_named = |file: &VarsFile| matches!(file, VarsFile::Named(_));
        if around.view.files.iter().any(is_named) {
            for host in hosts {
                // Made once to read them.
                self.scope(host, frame, &around);
            }
        }
        let Some(diagnostic) = self.variables.unusable.get() else {
            return false;
        };
        self.end_all(around.view);
        if !self.aborted.load(Ordering::Relaxed) {
            self.cannot_begin(around.play, &diagnostic.to_string());
        }
        true
    }

    async fn batch(&self, play: &Play, view: &Arc<PlayView>, step: StepId) {
        let around = Around {
            play,
            view,
            rescuable: false,
            handler: false,
            given: &[],
            depth: 0,
            step,
        };
        if self.cannot_go_on(&view.hosts, &play.frame, around) {
            return;
        }
        if self.gathers(around) {
            self.gather_facts(around).await;
        }
        if view.is_free {
            futures::stream::iter(&view.hosts)
                .for_each_concurrent(self.options.forks.max(1), |host| async move {
                    self.sections(play, vec![host.clone()], around).await;
                })
                .await;
        } else {
            self.sections(play, view.hosts.clone(), around).await;
        }
        for state in view
            .hosts
            .iter()
            .filter_map(|host| self.variables.host(host))
        {
            state.forget_owed();
        }
    }

    async fn sections(&self, play: &Play, hosts: Vec<String>, around: Around<'_>) {
        for (index, section) in play.sections.iter().enumerate() {
            let around = Around {
                step: around.step.at(index),
                ..around
            };
            let failures = self.items(section, hosts.clone(), around).await;
            self.settle(&failures, around.view);
            self.flush_handlers(&hosts, around).await;
        }
    }

    /// Whether facts are to be gathered before the first task.
    fn gathers(&self, around: Around<'_>) -> bool {
        let first = around.view.hosts.first().map_or("", String::as_str);
        let scope = self
            .variables
            .scope(first, Some(&around.play.frame), around.view);
        let is_wanted = around
            .play
            .gather_facts
            .as_ref()
            .is_none_or(|flag| flag.evaluate(&scope).is_ok_and(|value| truthy(&value)));
        let holds = around
            .play
            .frame
            .when
            .iter()
            .all(|condition| condition.is_true(&scope).unwrap_or(true));
        // Facts are gathered whatever tags are asked for, unless `always` is left out.
        let (only, skip) = (&self.options.tags, &self.options.skip_tags);
        is_wanted && holds && tags::selects(&["always"], only, skip)
    }

    /// Hosts that failed without being rescued run nothing any more.
    pub(super) fn settle(&self, failures: &[Failure], view: &PlayView) {
        let forgiven = self.forgiven.load(Ordering::Relaxed);
        for failure in failures
            .iter()
            .filter(|failure| !failure.lost && failure.forgiven == forgiven)
        {
            if let Some(state) = self.variables.host(&failure.host) {
                state.set_standing(Standing::Failed);
                view.remove(&failure.host);
            }
        }
    }

    fn is_last(&self, play: &Play) -> bool {
        self.playbook
            .plays
            .last()
            .is_some_and(|last| std::ptr::eq(last, play))
    }

    /// Asks hosts for their facts, those that nobody has asked yet.
    async fn gather_facts(&self, around: Around<'_>) {
        let mut missing: Vec<(Arc<Member>, Scope)> = Vec::new();
        for host in &around.view.hosts {
            let scope = self
                .variables
                .scope(host, Some(&around.play.frame), around.view);
            let member = self.reach(host, &around.play.frame, &scope).await;
            let unknown = member.filter(|member| member.facts().is_none() || self.options.patient);
            missing.extend(unknown.map(|member| (member, scope)));
        }
        if missing.is_empty() {
            return;
        }
        let task = self.next_number();
        let place = around.play.hosts.place();
        self.events.send(EventKind::TaskStarted {
            task,
            name: "gather facts".to_owned(),
            role: None,
            module: "setup".to_owned(),
            place: place.map(ToString::to_string).unwrap_or_default(),
            handler: false,
            hosts: missing
                .iter()
                .map(|(member, _)| member.name.clone())
                .collect(),
        });
        let frame = &around.play.frame;
        futures::stream::iter(missing)
            .for_each_concurrent(self.options.forks.max(1), |(member, scope)| async move {
                let session = self.fact_session(&member, frame, &scope);
                let wanted = crate::facts::Wanted {
                    extent: crate::facts::Extent::System,
                    fact_path: around
                        .play
                        .fact_path
                        .as_ref()
                        .and_then(|path| path.render(&scope).ok()),
                    ..crate::facts::Wanted::default()
                };
                let asked = around.play.gather_subset.as_ref();
                let asked = asked.and_then(|asked| asked.resolve(&scope).ok().flatten());
                self.gather_facts_of(task, &member, session, &wanted, asked)
                    .await;
            })
            .await;
        for host in around
            .view
            .hosts
            .iter()
            .filter(|host| !self.is_active(host))
        {
            around.view.remove(host);
        }
    }

    async fn gather_facts_of(
        &self,
        task: u64,
        member: &Member,
        session: Result<Session, FactsError>,
        wanted: &crate::facts::Wanted,
        asked: Option<Json>,
    ) {
        let host = member.name.clone();
        let started = Instant::now();
        if self.control.stop.is_cancelled() {
            return;
        }
        self.events.send(EventKind::HostTaskStarted {
            task,
            host: host.clone(),
        });
        let facts = match session {
            Ok(session) => self.answer_of(member, &session, wanted).await,
            Err(error) => Err(error),
        };
        let state = self.variables.host(&host);
        let known = facts.and_then(|answer| {
            match (state, &asked) {
                (Some(state), None) => state.add_facts_later(move || all_facts(&answer)),
                (Some(state), Some(asked)) => {
                    let facts = of_subset(all_facts(&answer), asked)?;
                    state.add_fact_texts(facts.into_iter());
                }
                (None, _) => {}
            }
            Ok(())
        });
        let (outcome, error) = match known {
            Ok(()) => (Outcome::Ok, None),
            Err(FactsError::Transport(error)) if error.loses_host() => {
                let at = LostAt {
                    task,
                    name: "gather facts",
                    may_have_run: false,
                };
                self.lose(&host, &error, Some(at));
                (Outcome::Unreachable, Some(error.to_string()))
            }
            Err(error) => {
                if let Some(state) = self.variables.host(&host) {
                    state.set_standing(Standing::Failed);
                }
                (Outcome::Failed, Some(error.to_string()))
            }
        };
        self.count(&host, outcome);
        self.events.send(EventKind::HostTaskFinished {
            task,
            host,
            outcome,
            item: None,
            message: error,
            hint: None,
            diff: None,
            details: None,
            duration: started.elapsed(),
            delegated_to: None,
            result: None,
        });
    }

    /// The facts of a host as variables.
    pub(super) async fn facts_of(
        &self,
        member: &Member,
        session: &Session,
        wanted: &crate::facts::Wanted,
    ) -> Result<Vec<FactText>, FactsError> {
        let answer = self.answer_of(member, session, wanted).await?;
        Ok(all_facts(&answer))
    }

    /// What a host says of itself; remembered for modules as well.
    async fn answer_of(
        &self,
        member: &Member,
        session: &Session,
        wanted: &crate::facts::Wanted,
    ) -> Result<Arc<Answer>, FactsError> {
        let answer = Arc::new(crate::facts::ask(session, wanted).await?);
        member.set_answer(Ok(Arc::clone(&answer)));
        Ok(answer)
    }
}

/// The facts of a host as variables.
fn all_facts(answer: &Answer) -> Vec<FactText> {
    let mut texts = answer.take_texts();
    texts.push(("module_setup".to_owned(), "true".into()));
    texts.push(("gather_subset".to_owned(), "[\"all\"]".into()));
    texts
}

/// The facts that `gather_subset` asks for, and what kk itself knows.
fn of_subset(mut facts: Vec<FactText>, asked: &Json) -> Result<Vec<FactText>, FactsError> {
    let words: Vec<String> = match asked {
        Json::Array(words) => words.iter().map(crate::template::display).collect(),
        other => crate::template::display(other)
            .split(',')
            .map(|word| word.trim().to_owned())
            .collect(),
    };
    let subset = crate::facts::Subset::parse(&words).map_err(|reason| FactsError::Incomplete {
        reason,
        details: String::new(),
    })?;
    facts.retain(|(name, _)| !name.starts_with("ansible_") || subset.takes(name));
    let said = serde_json::json!(words).to_string();
    facts.push(("gather_subset".to_owned(), said.into()));
    Ok(facts)
}

/// The hosts of a play in its order.
fn in_order(order: Order, mut hosts: Vec<String>) -> Vec<String> {
    match order {
        Order::Inventory => {}
        Order::ReverseInventory => hosts.reverse(),
        Order::Sorted => hosts.sort(),
        Order::ReverseSorted => {
            hosts.sort();
            hosts.reverse();
        }
        Order::Shuffle => hosts.shuffle(&mut rand::rng()),
    }
    hosts
}

/// The hosts of a play in batches, by `serial`: a number, a share in per cent, or a list of them whose last one stands
/// for all that is left.
fn batches(serial: Option<&Json>, hosts: Vec<String>) -> Result<Vec<Vec<String>>, String> {
    let Some(serial) = serial else {
        return Ok(vec![hosts]);
    };
    let sizes = match serial {
        Json::Array(sizes) => sizes.as_slice(),
        one => std::slice::from_ref(one),
    };
    let all = hosts.len();
    let mut sizes = sizes
        .iter()
        .map(|size| size_of(size, all))
        .collect::<Result<Vec<usize>, String>>()?
        .into_iter();
    let mut left = hosts.into_iter().peekable();
    let mut batches = Vec::new();
    let mut size = sizes.next().unwrap_or(0);
    while left.peek().is_some() {
        if size == 0 {
            batches.push(left.by_ref().collect());
            break;
        }
        batches.push(left.by_ref().take(size).collect());
        size = sizes.next().unwrap_or(size);
    }
    Ok(batches)
}

fn size_of(size: &Json, all: usize) -> Result<usize, String> {
    let text = crate::template::display(size);
    let wrong = || format!("`serial: {text}` is neither a number of hosts nor a share in per cent");
    let text = text.trim();
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of a number of hosts"
            )]
            let share = (percent / 100.0 * all as f64) as usize;
            Ok(share.max(1))
        }
        None => text.parse().map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::batches;
    use serde_json::json;

    #[test]
    fn serial_parts_the_hosts() {
        let hosts: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
        let sizes = |serial: serde_json::Value| -> Vec<usize> {
            let batches = batches(Some(&serial), hosts.clone()).unwrap();
            batches.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(json!(3)), [3, 3, 3, 1]);
        assert_eq!(sizes(json!("30%")), [3, 3, 3, 1]);
        assert_eq!(sizes(json!([1, 5, "20%"])), [1, 5, 2, 2]);
        assert_eq!(sizes(json!(0)), [10]);
        assert_eq!(sizes(json!("1%")), [1; 10]);
        assert!(batches(Some(&json!("x")), hosts).is_err());
    }
}
