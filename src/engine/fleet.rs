//! The hosts of a run and their connections: one each, kept for the whole command.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use crate::connect::{Connector, TransportError};
use crate::facts::{Answer, Facts, FactsError};
use crate::inventory::{Connection, Host, Inventory};
use crate::remote::{Become, Session};
use crate::secret::SecretString;

/// The name of this machine, in every inventory.
pub const LOCALHOST: &str = "localhost";

/// Opens connections. The program's own dials SSH; tests give scripted ones.
pub trait Dial: Send + Sync {
    /// Connects to a host of the inventory.
    fn dial<'a>(
        &'a self,
        host: &'a Host,
    ) -> BoxFuture<'a, Result<Arc<dyn Connector>, TransportError>>;
}

/// One host and its connection.
pub struct Member {
    /// Its name.
    pub name: String,
    /// The connection, or why there is none.
    pub link: Result<Arc<dyn Connector>, TransportError>,
    become_password: Option<SecretString>,
    refusal: Mutex<Option<String>>,
    facts: Mutex<Option<Result<Arc<Answer>, Arc<FactsError>>>>,
}

impl Member {
    /// A session as the user that logged in.
    pub fn session(&self, cancel: &CancellationToken) -> Result<Session, TransportError> {
        let connector = self.link.clone()?;
        Ok(Session::new(connector, Become::default(), cancel.clone()))
    }

    /// A session as another user, when there is one to become.
    pub(super) fn session_as(
        &self,
        privilege: Option<Become>,
        cancel: &CancellationToken,
    ) -> Result<Session, TransportError> {
        let session = self.session(cancel)?;
        Ok(match privilege {
            Some(privilege) => session.with_become(privilege),
            None => session,
        })
    }

    /// A session as root, by sudo.
    pub fn session_as_root(&self, cancel: &CancellationToken) -> Result<Session, TransportError> {
        let privilege = Become {
            user: Some("root".to_owned()),
            password: self.become_password(),
            ..Become::default()
        };
        self.session_as(Some(privilege), cancel)
    }

    /// The password of sudo that was typed, or that the inventory has.
    pub(super) fn become_password(&self) -> Option<SecretString> {
        self.become_password.clone()
    }

    /// The host must not be changed in this run, for instance because another one holds its lock.
    pub fn refuse(&self, reason: String) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Why the host must not be changed in this run, if it must not.
    pub fn refusal(&self) -> Option<String> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The facts, once they were gathered.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.facts_result()?.ok()
    }

    /// The same; read when it is looked at.
    pub(super) fn answer(&self) -> Option<Arc<Answer>> {
        self.known()?.ok()
    }

    fn known(&self) -> Option<Result<Arc<Answer>, Arc<FactsError>>> {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The facts or why there are none; `None` when nobody has asked the host yet.
    pub fn facts_result(&self) -> Option<Result<Arc<Facts>, Arc<FactsError>>> {
        Some(self.known()?.map(|answer| answer.facts()))
    }

    /// Remembers facts, or why there are none.
    pub fn set_facts(&self, facts: Result<Facts, Arc<FactsError>>) {
        self.set_answer(facts.map(|facts| Arc::new(facts.into())));
    }

    /// Remembers what a host said, or why it said nothing.
    pub(super) fn set_answer(&self, answer: Result<Arc<Answer>, Arc<FactsError>>) {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

/// The password of sudo on a host: its own of the inventory, what the user typed, its login password.
fn sudo_password_of(host: &Host, typed: Option<&SecretString>) -> Option<SecretString> {
    let of_login = match &host.connection {
        Connection::Ssh(ssh) => ssh.password.as_ref(),
        Connection::Local => None,
    };
    let of_inventory = host.become_password.as_ref();
    of_inventory
        .filter(|password| of_login != Some(password))
        .or(typed)
        .or(of_inventory)
        .cloned()
}

/// Every host of a command, and this machine.
#[derive(Default)]
pub struct Fleet {
    members: IndexMap<String, Arc<Member>>,
    /// Connects to hosts that nobody thought of before: added ones, those that tasks are delegated to, and hosts that a
    /// task reaches in another way than the inventory says.
    dial: Option<Arc<dyn Dial>>,
    late: tokio::sync::Mutex<IndexMap<String, Arc<Member>>>,
    sudo_password: Option<SecretString>,
}

impl Fleet {
    /// Connects to hosts, at most `forks` at once. A host that cannot be reached is a member all the same: its link
    /// says why. This machine is always a member. `sudo_password` is what the user typed; what
    /// the inventory says about a host goes before it.
    pub async fn connect(
        inventory: &Inventory,
        names: &[String],
        dial: &dyn Dial,
        forks: usize,
        sudo_password: Option<&SecretString>,
    ) -> Self {
        let local = Host::new(LOCALHOST, Connection::Local);
        let mut hosts: Vec<&Host> = names
            .iter()
            .filter_map(|name| inventory.hosts.get(name))
            .collect();
        if !hosts.iter().any(|host| host.name == LOCALHOST) {
            hosts.push(inventory.hosts.get(LOCALHOST).unwrap_or(&local));
        }
        let connecting = hosts.into_iter().map(|host| async move {
            let become_password = sudo_password_of(host, sudo_password);
            let link = dial.dial(host).await;
            let member = Member {
                name: host.name.clone(),
                link,
                become_password,
                refusal: Mutex::default(),
                facts: Mutex::default(),
            };
            (host.name.clone(), Arc::new(member))
        });
        let connecting: Vec<_> = connecting.collect();
        let connected: Vec<(String, Arc<Member>)> = futures::stream::iter(connecting)
            .buffered(forks.max(1))
            .collect()
            .await;
        Self {
            members: connected.into_iter().collect(),
            dial: None,
            late: tokio::sync::Mutex::default(),
            sudo_password: sudo_password.cloned(),
        }
    }

    /// With connections to more hosts when a task needs them.
    #[must_use]
    pub fn with_dial(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = Some(dial);
        self
    }

    /// The member for a host, connected to it now if need be. `how` tells apart ways to reach the same host.
    pub(super) async fn reach(&self, how: &str, host: &Host) -> Option<Arc<Member>> {
        if how == host.name
            && let Some(member) = self.members.get(how)
        {
            return Some(Arc::clone(member));
        }
        let dial = self.dial.as_ref()?;
        let mut late = self.late.lock().await;
        if let Some(member) = late.get(how) {
            return Some(Arc::clone(member));
        }
        let member = Arc::new(Member {
            name: host.name.clone(),
            link: dial.dial(host).await,
            become_password: sudo_password_of(host, self.sudo_password.as_ref()),
            refusal: Mutex::default(),
            facts: Mutex::default(),
        });
        late.insert(how.to_owned(), Arc::clone(&member));
        Some(member)
    }

    /// Closes a connection that was opened late; the next task opens another.
    pub(super) async fn forget(&self, host: &str) {
        let mut late = self.late.lock().await;
        let gone: Vec<String> = late
            .values()
            .filter(|member| member.name == host)
            .map(|member| member.name.clone())
            .collect();
        late.retain(|_, member| !gone.contains(&member.name));
    }

    /// The members of these names.
    pub fn named<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Arc<Member>> {
        names.iter().filter_map(|name| self.member(name))
    }

    /// A member by its name.
    pub fn member(&self, name: &str) -> Option<&Arc<Member>> {
        self.members.get(name)
    }

    /// All members, in inventory order, this machine last unless the inventory has it.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.values()
    }

    /// Ends all connections politely.
    pub async fn close(&self) {
        let late = self.late.lock().await;
        futures::future::join_all(
            self.members
                .values()
                .chain(late.values())
                .filter_map(|member| member.link.as_ref().ok())
                .map(|link| link.close()),
        )
        .await;
    }
}
