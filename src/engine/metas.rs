//! What `meta` tasks do.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::event::{EventKind, NoticeLevel, Outcome};
use super::runner::{Around, Runner};
use super::schedule::Failure;
use super::state::HostState;
use crate::diagnostic::Diagnostic;
use crate::playbook::{Meta, Task};

impl Runner<'_> {
    pub(super) async fn meta(
        &self,
        meta: Meta,
        task: &Task,
        hosts: &[String],
        around: Around<'_>,
    ) -> Vec<Failure> {
        let mut chosen = Vec::new();
        let mut failures = Vec::new();
        // These have no condition in Ansible.
        let is_plain = matches!(
            meta,
            Meta::Noop | Meta::RefreshInventory | Meta::ResetConnection
        );
        for host in hosts {
            if is_plain {
                chosen.push(host.clone());
                continue;
            }
            let scope = self.scope(host, &task.frame, &around);
            let mut conditions = task.frame.chain().flat_map(|frame| &frame.when);
            let holds = conditions.try_fold(true, |all, condition| {
                Ok::<_, Diagnostic>(all && condition.is_true(&scope)?)
            });
            match holds {
                Ok(true) => chosen.push(host.clone()),
                Ok(false) => {}
                Err(diagnostic) => failures.push(self.meta_failed(task, host, &diagnostic, around)),
            }
        }
        // The first host decides for all, as in Ansible.
        let first = chosen.first() == hosts.first();
        let batch = if first {
            around.view.hosts.as_slice()
        } else {
            &[]
        };
        match meta {
            Meta::FlushHandlers => self.flush_handlers(&chosen, around).await,
            Meta::EndHost => {
                self.each(&chosen, HostState::end);
                for host in &chosen {
                    around.view.remove(host);
                }
            }
            Meta::EndBatch => self.each(batch, HostState::end),
            Meta::EndPlay => {
                if first {
                    around.view.is_over.store(true, Ordering::Relaxed);
                }
                self.each(batch, HostState::end);
            }
            Meta::EndRole => self.each(&chosen, |state| state.set_role_ended(true)),
            Meta::ClearFacts => self.each(batch, HostState::clear_facts),
            Meta::ClearHostErrors => {
                if first {
                    self.each(&around.view.all, HostState::forgive);
                    self.forgiven.fetch_add(1, Ordering::Relaxed);
                    self.halted.store(false, Ordering::Relaxed);
                    self.failed.store(false, Ordering::Relaxed);
                }
            }
            Meta::RefreshInventory => self.refresh(),
            Meta::ResetConnection => {
                for host in &chosen {
                    self.fleet.forget(host).await;
                }
            }
            Meta::Noop => {}
        }
        failures
    }

    fn each(&self, hosts: &[String], change: impl Fn(&HostState)) {
        for state in hosts.iter().filter_map(|host| self.variables.host(host)) {
            change(&state);
        }
    }

    /// Reads the inventory again. Hosts and groups that tasks added stay.
    fn refresh(&self) {
        let Some(refresh) = &self.options.refresh else {
            return;
        };
        let mut fresh = match (refresh.0)() {
            Ok(fresh) => fresh,
            Err(found) => {
                self.events.notice(
                    NoticeLevel::Warning,
                    format!("the inventory stays as it was: {found}"),
                );
                return;
            }
        };
        {
            let mut inventory = self
                .inventory
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let added = self
                .added
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            for name in added {
                if let Some(host) = inventory.hosts.get(&name) {
                    fresh.hosts.entry(name).or_insert_with(|| host.clone());
                }
            }
            for (name, group) in &inventory.groups {
                let known = fresh
                    .groups
                    .entry(name.clone())
                    .or_insert_with(|| group.clone());
                for host in &group.hosts {
                    if fresh.hosts.contains_key(host) && !known.hosts.contains(host) {
                        known.hosts.push(host.clone());
                    }
                }
            }
            *inventory = fresh;
        }
        self.tell_hosts();
        self.tell_groups();
    }

    /// The condition of a `meta` task has no value.
    fn meta_failed(
        &self,
        task: &Task,
        host: &str,
        diagnostic: &Diagnostic,
        around: Around<'_>,
    ) -> Failure {
        let outcome = if around.rescuable {
            Outcome::Rescued
        } else {
            Outcome::Failed
        };
        self.count(host, outcome);
        let number = self.next_number();
        self.events.send(EventKind::TaskStarted {
            task: number,
            name: task.title().to_owned(),
            role: task.frame.role().map(|role| role.name.clone()),
            module: task.action.name().to_owned(),
            place: task.place.to_string(),
            handler: around.handler,
            hosts: vec![host.to_owned()],
        });
        self.events.send(EventKind::HostTaskFinished {
            task: number,
            host: host.to_owned(),
            outcome,
            item: None,
            message: Some(diagnostic.to_string()),
            hint: diagnostic.hint.clone(),
            diff: None,
            details: None,
            duration: std::time::Duration::ZERO,
            delegated_to: None,
            result: None,
        });
        let result = json!({ "failed": true, "changed": false, "msg": diagnostic.to_string() });
        Failure {
            host: host.to_owned(),
            task: task.title().to_owned(),
            action: "meta".to_owned(),
            result: result.as_object().cloned().unwrap_or_default(),
            lost: false,
            forgiven: self.forgiven.load(Ordering::Relaxed),
        }
    }
}
