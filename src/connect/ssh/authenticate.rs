//! Logging in: which ways are tried, in which order, and what is said when none works.
//!
//! What the options name comes first (key, keys of OpenSSH's configuration, then password), what the environment happens
//! to hold comes after it (agent, default key files): a server counts every attempt, and an agent full of keys must not
//! use them up. A person is asked for a passphrase only when the server would take the key, except for a key that was
//! named for this very host.

mod attempt;
mod hand;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::PublicKey;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::{MethodKind, MethodSet};
use tokio::net::UnixStream;

use super::handler::{AskClock, Client, Ending};
use super::keys::{self, Key};
use super::options::SshOptions;
use crate::connect::TransportError;
use crate::connect::known_hosts::fingerprint;
use crate::secret::SecretString;

/// How long an agent may take to say what it holds. To sign it may take longer: a person may have to agree.
const AGENT_LIMIT: Duration = Duration::from_secs(5);

/// What there is to log in with, found before anything is connected.
pub(super) struct Credentials {
    explicit: Vec<Key>,
    configured: Vec<Key>,
    defaults: Vec<Key>,
    /// Keys that cannot be used, and why.
    passed_over: Vec<String>,
}

impl Credentials {
    /// Reads the keys. An explicit key that cannot be used is an error.
    pub(super) async fn load(options: &Arc<SshOptions>) -> Result<Self, TransportError> {
        let shared = Arc::clone(options);
        let mut found = off_thread(move || {
            let explicit = keys::explicit_keys(&shared)?;
            let (configured, passed_over) = keys::configured_keys(&shared)?;
            let names_some = !explicit.is_empty() || !shared.identity_files.is_empty();
            let defaults = if names_some || shared.password.is_some() {
                Vec::new()
            } else {
                keys::default_keys(&shared)?
            };
            Ok(Self {
                explicit,
                configured,
                defaults,
                passed_over,
            })
        })
        .await?;
        for key in &mut found.explicit {
            if let Key::Locked {
                name,
                public,
                text,
                certificates,
            } = key
                && !agent_holds(options, public).await
            {
                let unlocked = match (&options.person, text) {
                    (Some(person), Some(text)) => {
                        let (person, keys) = (Arc::clone(person), Arc::clone(&options.keys));
                        let (text, name) = (Arc::clone(text), name.clone());
                        off_thread(move || Ok(keys.unlock(&text, &name, person.as_ref()))).await?
                    }
                    _ => None,
                };
                let Some(unlocked) = unlocked else {
                    return Err(keys::passphrase_missing(name));
                };
                *key = Key::Private {
                    name: std::mem::take(name),
                    key: unlocked,
                    certificates: std::mem::take(certificates),
                };
            }
        }
        Ok(found)
    }
}

/// Does what reads files, computes for long or asks a person.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransportError> + Send + 'static,
) -> Result<T, TransportError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| TransportError::Local {
            reason: format!("read the private key: {error}"),
            hint: String::new(),
        })?
}

/// Whether the agent can be used for a key.
async fn agent_holds(options: &SshOptions, public: &PublicKey) -> bool {
    let Some(mut agent) = open_agent(options).await else {
        return false;
    };
    let asking = tokio::time::timeout(AGENT_LIMIT, agent.request_identities()).await;
    asking.is_ok_and(|identities| {
        identities.is_ok_and(|identities| {
            identities
                .iter()
                .any(|identity| identity.public_key().key_data() == public.key_data())
        })
    })
}

async fn open_agent(options: &SshOptions) -> Option<AgentClient<UnixStream>> {
    let socket = options
        .agent_socket
        .as_ref()
        .filter(|_| options.use_agent)?;
    let connecting = AgentClient::connect_uds(socket);
    tokio::time::timeout(AGENT_LIMIT, connecting)
        .await
        .ok()?
        .ok()
}

/// One way to log in.
#[derive(Clone)]
enum Way {
    Key(Key),
    Agent(Box<AgentIdentity>),
    Password(SecretString),
    /// What the server asks, answered by a person: after a first proof, where a second one is demanded.
    Person,
}

/// How one way ended.
enum Verdict {
    /// Logged in.
    In,
    /// Right, but the server wants another proof as well; in words for people.
    Partial(String),
    /// Not that way; the reason for people.
    Refused(String),
}

/// Logs in on a connection whose host key is verified.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    options: &SshOptions,
    credentials: Credentials,
    ending: &Ending,
    clock: AskClock,
) -> Result<(), TransportError> {
    Login {
        handle,
        options,
        ending,
        clock,
        offered: None,
        tried: credentials.passed_over.clone(),
        agent: None,
        identities: None,
    }
    .run(credentials)
    .await
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    options: &'a SshOptions,
    ending: &'a Ending,
    clock: AskClock,
    /// What the server takes; unknown before the first refusal.
    offered: Option<MethodSet>,
    /// What was tried and how it ended, for the error.
    tried: Vec<String>,
    agent: Option<AgentClient<UnixStream>>,
    /// What the agent holds, once it was asked.
    identities: Option<Vec<AgentIdentity>>,
}

impl Login<'_> {
    async fn run(mut self, credentials: Credentials) -> Result<(), TransportError> {
        let mut tried_keys = Vec::new();
        let Credentials {
            explicit,
            configured,
            defaults,
            ..
        } = credentials;
        let named: Vec<PublicKey> = explicit
            .iter()
            .chain(&configured)
            .chain(&defaults)
            .map(Key::to_public)
            .collect();
        let mut ways: VecDeque<Way> = explicit
            .into_iter()
            .chain(configured)
            .map(Way::Key)
            .collect();
        if let Some(password) = &self.options.password {
            ways.push_back(Way::Password(password.clone()));
        }
        let mut defaults = Some(defaults);
        let mut can_ask = self.options.person.is_some();
        // What is not offered now may be offered after another factor was accepted.
        let mut later: VecDeque<Way> = VecDeque::new();
        loop {
            let Some(way) = ways.pop_front() else {
                // The environment is only looked at when what the options name did not do.
                let Some(defaults) = defaults.take() else {
                    if self.offered.is_none() && self.try_none().await? {
                        return Ok(());
                    }
                    self.tried.extend(
                        later
                            .iter()
                            .map(|way| format!("{}: not asked for", label(way))),
                    );
                    return Err(self.refused());
                };
                let identities = self.agent_identities().await;
                let only_named = self.options.identities_only;
                let is_named = |identity: &AgentIdentity| {
                    let key = identity.public_key();
                    named.iter().any(|named| named.key_data() == key.key_data())
                };
                ways.extend(
                    identities
                        .into_iter()
                        .filter(|identity| !only_named || is_named(identity))
                        .map(|identity| Way::Agent(Box::new(identity))),
                );
                ways.extend(defaults.into_iter().map(Way::Key));
                continue;
            };
            // Which kind of password login there is must be known before the password is sent.
            if matches!(way, Way::Password(_)) && self.offered.is_none() && self.try_none().await? {
                return Ok(());
            }
            if !self.is_offered(&way) {
                later.push_back(way);
                continue;
            }
            if let Some(key) = public_key(&way) {
                if tried_keys.contains(&key) {
                    continue;
                }
                tried_keys.push(key);
            }
            let before = self.offered.clone();
            match self.try_way(way.clone()).await? {
                Verdict::In => return Ok(()),
                // It was not judged: another factor has to come first.
                Verdict::Refused(_) if !self.is_offered(&way) && before.is_none() => {
                    tried_keys.clear();
                    later.push_back(way);
                    continue;
                }
                Verdict::Partial(reason) => {
                    self.tried.push(reason);
                    if std::mem::take(&mut can_ask) {
                        later.push_back(Way::Person);
                    }
                }
                Verdict::Refused(reason) => self.tried.push(reason),
            }
            if self.offered != before {
                ways.extend(later.drain(..));
            }
        }
    }

    /// Whether the server wants no proof at all; tells what it takes if it does.
    async fn try_none(&mut self) -> Result<bool, TransportError> {
        let result = self.handle.authenticate_none(&self.options.user).await;
        self.note(result)
    }

    fn takes(&self, method: MethodKind) -> bool {
        self.offered
            .as_ref()
            .is_none_or(|offered| offered.contains(&method))
    }

    fn is_offered(&self, way: &Way) -> bool {
        match way {
            Way::Key(_) | Way::Agent(_) => self.takes(MethodKind::PublicKey),
            Way::Password(_) => {
                self.takes(MethodKind::Password) || self.takes(MethodKind::KeyboardInteractive)
            }
            Way::Person => self.takes(MethodKind::KeyboardInteractive),
        }
    }

    fn verdict(
        &mut self,
        result: Result<AuthResult, russh::Error>,
        label: &str,
    ) -> Result<Verdict, TransportError> {
        let is_partial = matches!(
            result,
            Ok(AuthResult::Failure {
                partial_success: true,
                ..
            })
        );
        if self.note(result)? {
            return Ok(Verdict::In);
        }
        Ok(if is_partial {
            Verdict::Partial(format!("{label}: accepted, but more is demanded"))
        } else {
            Verdict::Refused(format!("{label}: refused"))
        })
    }

    /// Whether we are in; keeps what the server offers. An error if the connection is gone.
    fn note(&mut self, result: Result<AuthResult, russh::Error>) -> Result<bool, TransportError> {
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => {
                if remaining_methods.is_empty() && self.handle.is_closed() {
                    return Err(self.broken());
                }
                self.offered = Some(remaining_methods);
                Ok(false)
            }
            Err(_) => Err(self.broken()),
        }
    }

    /// The connection ended before we were in.
    fn broken(&self) -> TransportError {
        let Some(message) = self.ending.message() else {
            return TransportError::Unreachable {
                target: self.options.target(),
                reason: format!(
                    "the connection ended during the login: {}",
                    self.ending.reason()
                ),
            };
        };
        let hint = if message.to_lowercase().contains("too many authentication") {
            "the server ends the connection after a few attempts (`MaxAuthTries`): give the right `private_key` or \
             `password` for the host, or remove keys from the agent with `ssh-add -d`"
        } else {
            "the server's own log says more"
        };
        TransportError::Authentication {
            target: self.options.target(),
            reason: format!("{message}{}", self.tried_so_far()),
            hint: hint.to_owned(),
        }
    }

    fn tried_so_far(&self) -> String {
        if self.tried.is_empty() {
            String::new()
        } else {
            format!("; tried {}", self.tried.join("; "))
        }
    }

    fn refused(&self) -> TransportError {
        let offered: Vec<&str> = self
            .offered
            .as_ref()
            .map(|offered| offered.iter().map(Into::into).collect())
            .unwrap_or_default();
        let tried = if self.tried.is_empty() {
            "there is nothing to log in with".to_owned()
        } else {
            format!("tried {}", self.tried.join("; "))
        };
        let offers = if offered.is_empty() {
            "the server offers nothing more".to_owned()
        } else {
            format!("the server offers {}", offered.join(", "))
        };
        TransportError::Authentication {
            target: self.options.target(),
            reason: format!("{tried}; {offers}"),
            hint: self.advice(&offered),
        }
    }

    fn advice(&self, offered: &[&str]) -> String {
        let takes_keys = offered.contains(&"publickey");
        let takes_passwords = offered
            .iter()
            .any(|method| ["password", "keyboard-interactive"].contains(method));
        let user = &self.options.user;
        if self.options.password.is_some() && !takes_passwords {
            format!(
                "the server does not take passwords for `{user}`: give a `private_key`, or allow \
                 `PasswordAuthentication` (for root `PermitRootLogin yes`) on the host"
            )
        } else if self.options.password.is_some() {
            format!("check the user `{user}` and its `password`")
        } else if takes_keys && takes_passwords {
            format!(
                "check that `~{user}/.ssh/authorized_keys` on the host has the key, or give a `password`"
            )
        } else if takes_passwords {
            "the server takes a `password` only".to_owned()
        } else {
            format!("check that `~{user}/.ssh/authorized_keys` on the host has the key")
        }
    }
}

/// What a person calls a way to log in.
fn label(way: &Way) -> String {
    let (name, key) = match way {
        Way::Password(_) => return "the password".to_owned(),
        Way::Person => return "keyboard-interactive".to_owned(),
        Way::Agent(identity) => (
            format!("the agent's key `{}`", identity.comment()),
            identity.public_key().key_data().clone(),
        ),
        Way::Key(Key::Private { name, key, .. }) => {
            (name.clone(), key.public_key().key_data().clone())
        }
        Way::Key(Key::Locked { name, public, .. }) => (name.clone(), public.key_data().clone()),
    };
    format!("{name} ({})", fingerprint(&key))
}

/// What makes a key attempt a repetition of another: certificates are something else than their keys.
fn public_key(way: &Way) -> Option<Vec<u8>> {
    match way {
        Way::Key(Key::Private { key, .. }) => key.public_key().to_bytes().ok(),
        Way::Key(Key::Locked { public, .. }) => public.to_bytes().ok(),
        Way::Agent(identity) => match identity.as_ref() {
            AgentIdentity::PublicKey { key, .. } => key.to_bytes().ok(),
            AgentIdentity::Certificate { certificate, .. } => certificate.to_bytes().ok(),
        },
        Way::Password(_) | Way::Person => None,
    }
}
