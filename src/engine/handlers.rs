//! Handlers: who is owed which, when they run, and how a handler survives a run that is killed.
//!
//! What a task notifies stands in the host's ledger before the task changes anything, and is taken out when the handler
//! has run. A later run that finds it there owes the handler as soon as it has come past that task.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::event::NoticeLevel;
use super::runner::{Around, Runner};
use crate::modules::LedgerEntry;
use crate::playbook::Task;

/// The handlers that a name means: the last one that is called so, and every one that listens to it.
fn called(handlers: &[Arc<Task>], name: &str) -> BTreeSet<usize> {
    let named = handlers.iter().rposition(|handler| {
        let names = handler.handler_names();
        names.iter().any(|known| known == name) && !handler.listen.iter().any(|topic| topic == name)
    });
    let listening = handlers
        .iter()
        .enumerate()
        .filter(|(_, handler)| handler.listen.iter().any(|topic| topic == name))
        .map(|(index, _)| index);
    named.into_iter().chain(listening).collect()
}

impl Runner<'_> {
    /// A task has come to its end on a host without failing. What an earlier run owed because of it is owed now and not
    /// sooner: the handler may need what the tasks before it bring.
    pub(super) fn owe_recalled(&self, host: &str, names: &[String], around: &Around<'_>) {
        if let Some(state) = self.variables.hosts.get(host) {
            let recalled = state.take_recalled(names);
            self.notify(host, &recalled, around);
        }
    }

    /// A host has changed something.
    pub(super) fn notify(&self, host: &str, names: &[String], around: &Around<'_>) {
        if let Some(state) = self.variables.hosts.get(host) {
            let handlers = &around.play.handlers;
            state.owe(names.iter().flat_map(|name| called(handlers, name)));
        }
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
                rescuable: false,
                ..around
            };
            let mut done: BTreeSet<(usize, &str)> = BTreeSet::new();
            while !self.control.stop.is_cancelled() {
                let owed = |host: &str| {
                    let state = self.variables.hosts.get(host);
                    state
                        .filter(|state| state.is_running())
                        .map(|state| state.owed())
                        .unwrap_or_default()
                };
                let next = hosts
                    .iter()
                    .flat_map(|host| owed(host).into_iter().map(move |index| (index, host)))
                    .filter(|(index, host)| !done.contains(&(*index, host.as_str())))
                    .map(|(index, _)| index)
                    .min();
                let Some((index, handler)) =
                    next.and_then(|index| Some((index, around.play.handlers.get(index)?)))
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
                for host in hosts.iter().filter(|host| owing.contains(host)) {
                    done.insert((index, host));
                    if let Some(state) = self.variables.hosts.get(host) {
                        state.take_owed(index);
                    }
                }
                let failures = self.task(handler, &owing, around).await;
                self.settle(&failures);
                if self.control.stop.is_cancelled() {
                    return;
                }
                let names = handler.handler_names();
                for host in owing
                    .iter()
                    .filter(|host| !failures.iter().any(|failure| failure.host == **host))
                {
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
        let (Some(state), Some(member)) = (self.variables.hosts.get(host), self.fleet.member(host))
        else {
            return;
        };
        let owed = state.owed();
        let lines: Vec<String> = names
            .iter()
            .filter(|name| called(&around.play.handlers, name).is_disjoint(&owed))
            .filter_map(|name| {
                serde_json::to_string(&LedgerEntry::PendingHandler { name: name.clone() }).ok()
            })
            .collect();
        let Ok(session) = member.session_as("root", &self.control.cancel) else {
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
        let active = self.fleet.members().filter(|member| {
            self.inventory.hosts.contains_key(&member.name) && self.is_active(&member.name)
        });
        let reading = active.map(|member| async move {
            let session = member.session_as("root", &self.control.cancel).ok()?;
            Some((member, session.ledger(component).await))
        });
        for (member, lines) in futures::future::join_all(reading)
            .await
            .into_iter()
            .flatten()
        {
            let Some(state) = self.variables.hosts.get(&member.name) else {
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
