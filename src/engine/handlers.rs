//! Handlers: who is owed which, when they run, and how a handler survives a run that is killed.
//!
//! What a task notifies stands in the host's ledger before the task changes anything, and is taken out when the handler
//! has run. A later run that finds it there owes the handler as soon as it has come past that task.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;

use super::event::NoticeLevel;
use super::runner::{Around, Runner};
use crate::modules::LedgerEntry;
use crate::playbook::{Frame, Task};
use crate::template::{Scope, Template};

/// The handlers that a name means: one that is called so, of the last list that has one, and every one that listens to
/// it.
fn called(handlers: &[Arc<Task>], name: &str, scope: Option<&Scope>) -> BTreeSet<usize> {
    let order = lists_backwards(handlers);
    let named = order.iter().copied().find(|index| {
        handlers
            .get(*index)
            .is_some_and(|handler| is_called(handler, name, scope))
    });
    let mut titles: Vec<&str> = Vec::new();
    let mut found: BTreeSet<usize> = named.into_iter().collect();
    for (index, handler) in order
        .iter()
        .filter_map(|index| Some((*index, handlers.get(*index)?)))
    {
        if handler.listen.iter().any(|topic| topic == name) {
            // The same name twice is the same handler.
            let title = handler.name.as_ref().map(Template::source);
            if let Some(title) = title {
                if titles.contains(&title) {
                    continue;
                }
                titles.push(title);
            }
            found.insert(index);
        }
    }
    found
}

/// Handlers as Ansible looks through them: the last list first, each list from its beginning.
fn lists_backwards(handlers: &[Arc<Task>]) -> Vec<usize> {
    let mut lists: Vec<Vec<usize>> = Vec::new();
    let mut around: Option<*const Frame> = None;
    for (index, handler) in handlers.iter().enumerate() {
        let list = handler.frame.parent.as_ref().map(Arc::as_ptr);
        if list != around || lists.is_empty() {
            lists.push(Vec::new());
            around = list;
        }
        if let Some(last) = lists.last_mut() {
            last.push(index);
        }
    }
    lists.into_iter().rev().flatten().collect()
}

/// Whether a handler has this name, with or without its role before it.
fn is_called(handler: &Task, name: &str, scope: Option<&Scope>) -> bool {
    let Some(title) = &handler.name else {
        return false;
    };
    let title = match (title.literal(), scope) {
        (Some(text), _) => text.to_owned(),
        (None, Some(scope)) => title
            .render(scope)
            .unwrap_or_else(|_| title.source().to_owned()),
        (None, None) => title.source().to_owned(),
    };
    let Some(short) = name.strip_suffix(title.as_str()) else {
        return false;
    };
    short.is_empty()
        || handler.frame.role().is_some_and(|role| {
            let role = role.name.as_str();
            short == format!("{role} : ") || short == format!("{role}:")
        })
}

impl Runner<'_> {
    /// A task has come to its end on a host without failing. What an earlier run owed because of it is owed now and not
    /// sooner: the handler may need what the tasks before it bring.
    pub(super) fn owe_recalled(&self, host: &str, names: &[String], around: &Around<'_>) {
        if let Some(state) = self.variables.host(host) {
            let recalled = state.take_recalled(names);
            let scope = self.scope(host, &around.play.frame, around);
            self.notify(host, &recalled, &scope, around, true);
        }
    }

    /// A host has changed something. Answers the names that mean a handler.
    pub(super) fn notify<'n>(
        &self,
        host: &str,
        names: &'n [String],
        scope: &Scope,
        around: &Around<'_>,
        is_fresh: bool,
    ) -> Vec<&'n String> {
        let handlers = around.view.handlers();
        let mut known = Vec::new();
        if let Some(state) = self.variables.host(host) {
            for name in names {
                let found = called(&handlers, name, Some(scope));
                if !found.is_empty() {
                    known.push(name);
                }
                state.owe(found, is_fresh);
            }
        }
        known
    }

    /// A task notifies a handler that is not there: the run cannot go on as it was meant.
    pub(super) fn no_handler(&self, task: &Task, name: &str, around: &Around<'_>) {
        self.aborted.store(true, Ordering::Relaxed);
        let why = format!("{}: there is no handler `{name}`: the run ends", task.place);
        self.halt(around.view, &why);
    }

    /// Runs the handlers that hosts are owed, in the order in which they are written. A handler may notify others, also
    /// those before it; each runs once.
    pub(super) fn flush_handlers<'s>(
        &'s self,
        hosts: &'s [String],
        around: Around<'s>,
    ) -> BoxFuture<'s, ()> {
        Box::pin(async move {
            let around = Around {
                handler: true,
                step: around.step.named(b"handlers"),
                rescuable: false,
                ..around
            };
            let force = around
                .play
                .force_handlers
                .unwrap_or(self.options.force_handlers);
            let mut done: BTreeSet<(usize, &str)> = BTreeSet::new();
            while !self.control.stop.is_cancelled() {
                let owed = |host: &str| {
                    let state = self.variables.host(host);
                    state
                        .filter(|state| state.can_flush(force))
                        .map(|state| state.owed())
                        .unwrap_or_default()
                };
                let next = hosts
                    .iter()
                    .flat_map(|host| owed(host).into_iter().map(move |index| (index, host)))
                    .filter(|(index, host)| !done.contains(&(*index, host.as_str())))
                    .map(|(index, _)| index)
                    .min();
                let handlers = around.view.handlers();
                let Some((index, handler)) =
                    next.and_then(|index| Some((index, handlers.get(index)?)))
                else {
                    return;
                };
                let owing: Vec<String> = hosts
                    .iter()
                    .filter(|host| {
                        owed(host).contains(&index) && !done.contains(&(index, host.as_str()))
                    })
                    .cloned()
                    .collect();
                let step = around.step.at(index).named(handler.title().as_bytes());
                let owe: HashSet<&str> = owing.iter().map(String::as_str).collect();
                for host in hosts.iter().filter(|host| owe.contains(host.as_str())) {
                    done.insert((index, host));
                    let is_fresh = self
                        .variables
                        .host(host)
                        .is_some_and(|state| state.take_owed(index));
                    // What has changed since makes it run again, whatever an earlier run did.
                    if let (true, Some(resume)) = (is_fresh, &self.options.resume) {
                        resume.forget(host, step);
                    }
                }
                let around = Around { step, ..around };
                let failures = self.task(handler, &owing, around).await;
                self.settle(&failures, around.view);
                if self.control.stop.is_cancelled() {
                    return;
                }
                let names = handler.handler_names();
                let failed = super::schedule::failed_hosts(&failures);
                for host in owing.iter().filter(|host| !failed.contains(host.as_str())) {
                    self.forget_pending(host, &names, &around).await;
                }
            }
        })
    }

    /// The ledger of a host need not remember these names any more, unless another handler that they call is still
    /// owed.
    pub(super) async fn forget_pending(&self, host: &str, names: &[String], around: &Around<'_>) {
        let (Some(component), false) = (&self.options.ledger, self.options.check_mode) else {
            return;
        };
        let (Some(state), Some(member)) = (self.variables.host(host), self.fleet.member(host))
        else {
            return;
        };
        let owed = state.owed();
        let lines: Vec<String> = names
            .iter()
            .filter(|name| called(&around.view.handlers(), name, None).is_disjoint(&owed))
            .filter_map(|name| {
                serde_json::to_string(&LedgerEntry::PendingHandler { name: name.clone() }).ok()
            })
            .collect();
        let Ok(session) = member.session_as_root(&self.control.cancel) else {
            return;
        };
        if let Err(error) = session.ledger_forget(component, &lines).await {
            self.events.notice(
                NoticeLevel::Warning,
                format!("{host}: cannot note that a handler ran: {error}"),
            );
        }
    }

    /// Reads from the ledgers which handlers an earlier run notified and did not live to run.
    pub(super) async fn recall_pending(&self) {
        let (Some(component), false) = (&self.options.ledger, self.options.check_mode) else {
            return;
        };
        let active = self
            .fleet
            .members()
            .filter(|member| self.is_active(&member.name) && self.is_of_inventory(&member.name));
        let reading = active.map(|member| async move {
            let session = member.session_as_root(&self.control.cancel).ok()?;
            Some((member, session.ledger(component).await))
        });
        for (member, lines) in futures::future::join_all(reading)
            .await
            .into_iter()
            .flatten()
        {
            let Some(state) = self.variables.host(&member.name) else {
                continue;
            };
            let lines = lines.unwrap_or_else(|error| {
                self.events.notice(
                    NoticeLevel::Warning,
                    format!(
                        "{}: cannot read what an earlier run left to do: {error}",
                        member.name
                    ),
                );
                Vec::new()
            });
            for line in lines {
                if let Ok(LedgerEntry::PendingHandler { name }) = serde_json::from_str(&line) {
                    state.recall(name);
                }
            }
        }
    }
}
