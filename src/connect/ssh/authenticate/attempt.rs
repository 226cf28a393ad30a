//! One attempt to log in: by a key, by the agent, by a password.

use std::sync::Arc;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse, Prompt};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodKind};
use tokio::net::UnixStream;

use super::hand::{Hand, Shown};
use super::{AGENT_LIMIT, Login, Verdict, Way, label, off_thread, open_agent};
use crate::connect::TransportError;
use crate::connect::ssh::keys::Key;
use crate::connect::ssh::options::PersonQuestion;
use crate::secret::SecretString;

/// The most times a server may ask in one keyboard-interactive login.
const MOST_ROUNDS: usize = 4;

/// What a keyboard-interactive login came to.
enum Asked {
    /// Logged in.
    In,
    /// It asked for the password, and did not like it.
    Password,
    /// It asked for something else.
    Other(String),
}

impl Login<'_> {
    /// Tries one way.
    pub(super) async fn try_way(&mut self, way: Way) -> Result<Verdict, TransportError> {
        let label = label(&way);
        match way {
            Way::Password(password) => self.try_password(&password).await,
            Way::Person => match self.try_keyboard_interactive(None).await? {
                Asked::In => Ok(Verdict::In),
                Asked::Password => Ok(Verdict::Refused(format!("{label}: refused"))),
                Asked::Other(reason) => Ok(Verdict::Refused(reason)),
            },
            Way::Agent(identity) => {
                let public = identity.public_key().into_owned();
                let certificate = match *identity {
                    AgentIdentity::Certificate { certificate, .. } => Some(certificate),
                    AgentIdentity::PublicKey { .. } => None,
                };
                self.try_agent(&public, certificate, &label).await
            }
            Way::Key(Key::Locked {
                name,
                public,
                text,
                certificates,
            }) => {
                self.try_locked(&name, &public, text, certificates, &label)
                    .await
            }
            Way::Key(Key::Private {
                key, certificates, ..
            }) => {
                let hash = match self.rsa_hash(key.algorithm().is_rsa()).await {
                    Ok(hash) => hash,
                    Err(reason) => return Ok(Verdict::Refused(format!("{label}: {reason}"))),
                };
                let public = key.public_key().clone();
                for certificate in &certificates {
                    let mut hand = Hand::Key(Arc::clone(&key));
                    let verdict = self
                        .show(&public, Some(certificate), hash, &mut hand, &label)
                        .await?;
                    match verdict {
                        Verdict::Refused(reason) => self.tried.push(reason),
                        better => return Ok(better),
                    }
                }
                let result = self
                    .handle
                    .authenticate_publickey(
                        &self.options.user,
                        PrivateKeyWithHashAlg::new(key, hash),
                    )
                    .await;
                self.verdict(result, &label)
            }
        }
    }

    /// A key that is encrypted: by the agent if it has it, else by a person's passphrase.
    async fn try_locked(
        &mut self,
        name: &str,
        public: &PublicKey,
        text: Option<Arc<str>>,
        certificates: Vec<Certificate>,
        label: &str,
    ) -> Result<Verdict, TransportError> {
        let identities = self.agent_identities().await;
        let is_held = identities
            .iter()
            .any(|identity| identity.public_key().key_data() == public.key_data());
        if is_held {
            let label = format!("{label}, by the agent");
            for certificate in certificates {
                match self.try_agent(public, Some(certificate), &label).await? {
                    Verdict::Refused(reason) => self.tried.push(reason),
                    better => return Ok(better),
                }
            }
            return self.try_agent(public, None, &label).await;
        }
        let (Some(text), Some(person)) = (text, self.options.person.clone()) else {
            return Ok(Verdict::Refused(format!(
                "{label}: neither is it in the agent nor is there a passphrase for it"
            )));
        };
        let hash = match self.rsa_hash(public.algorithm().is_rsa()).await {
            Ok(hash) => hash,
            Err(reason) => return Ok(Verdict::Refused(format!("{label}: {reason}"))),
        };
        let mut hand = Hand::Locked {
            text,
            name: name.to_owned(),
            keys: Arc::clone(&self.options.keys),
            person,
            clock: self.clock.clone(),
        };
        for certificate in &certificates {
            let verdict = self
                .show(public, Some(certificate), hash, &mut hand, label)
                .await?;
            match verdict {
                Verdict::Refused(reason) => self.tried.push(reason),
                better => return Ok(better),
            }
        }
        self.show(public, None, hash, &mut hand, label).await
    }

    async fn try_agent(
        &mut self,
        public: &PublicKey,
        certificate: Option<Certificate>,
        label: &str,
    ) -> Result<Verdict, TransportError> {
        let hash = match self.rsa_hash(public.algorithm().is_rsa()).await {
            Ok(hash) => hash,
            Err(reason) => return Ok(Verdict::Refused(format!("{label}: {reason}"))),
        };
        if self.agent.is_none() {
            self.agent = self.bound_agent().await.ok();
        }
        let Some(mut agent) = self.agent.take() else {
            return Ok(Verdict::Refused(format!("{label}: the agent is gone")));
        };
        let mut hand = Hand::Agent(&mut agent);
        let verdict = self
            .show(public, certificate.as_ref(), hash, &mut hand, label)
            .await;
        self.agent = Some(agent);
        verdict
    }

    /// Shows a key or a certificate for it to the server, and lets a hand sign.
    async fn show(
        &mut self,
        public: &PublicKey,
        certificate: Option<&Certificate>,
        hash: Option<HashAlg>,
        hand: &mut Hand<'_>,
        label: &str,
    ) -> Result<Verdict, TransportError> {
        let label = match certificate {
            Some(certificate) => {
                format!("{label} with the certificate `{}`", certificate.key_id())
            }
            None => label.to_owned(),
        };
        let unsigned = match hand {
            Hand::Locked { .. } => "no passphrase for it was given",
            Hand::Agent(_) => "the agent did not sign with it",
            Hand::Key(_) => "it cannot be signed with",
        };
        let shown = Shown {
            user: &self.options.user,
            public,
            certificate,
            hash,
        };
        match hand.log_in(self.handle, &shown).await {
            Ok(result) => self.verdict(Ok(result), &label),
            Err(AgentAuthError::Send(_)) => self.verdict(Err(russh::Error::SendError), &label),
            Err(AgentAuthError::Key(_)) => Ok(Verdict::Refused(format!("{label}: {unsigned}"))),
        }
    }

    async fn try_password(&mut self, password: &SecretString) -> Result<Verdict, TransportError> {
        let mut reasons = Vec::new();
        if self.takes(MethodKind::KeyboardInteractive) && self.offered.is_some() {
            match self.try_keyboard_interactive(Some(password)).await? {
                Asked::In => return Ok(Verdict::In),
                Asked::Password => {
                    return Ok(Verdict::Refused("the password: refused".to_owned()));
                }
                Asked::Other(reason) => reasons.push(reason),
            }
        }
        if self.takes(MethodKind::Password) {
            let result = self
                .handle
                .authenticate_password(&self.options.user, password.expose())
                .await;
            match self.verdict(result, "the password")? {
                Verdict::Refused(reason) => reasons.push(reason),
                better => return Ok(better),
            }
        }
        Ok(Verdict::Refused(reasons.join(", ")))
    }

    /// Answers what is asked first with the password, and leaves the rest to a person. A server that has judged the
    /// password is not given it again.
    async fn try_keyboard_interactive(
        &mut self,
        password: Option<&SecretString>,
    ) -> Result<Asked, TransportError> {
        let mut reply = self
            .handle
            .authenticate_keyboard_interactive_start(&self.options.user, None)
            .await;
        let mut was_password = false;
        let mut others = Vec::new();
        let mut is_answered = false;
        for _ in 0..MOST_ROUNDS {
            let prompts = match reply {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Asked::In),
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    self.note(Ok(AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    }))?;
                    break;
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(_) => return Err(self.broken()),
            };
            let mut answers = Vec::new();
            for prompt in &prompts {
                if let Some(password) = password.filter(|_| !prompt.echo && !is_answered) {
                    is_answered = true;
                    was_password |= prompt.prompt.to_lowercase().contains("password");
                    answers.push(password.expose().clone());
                } else if let Some(answer) = self.answer_of_person(prompt).await? {
                    answers.push(answer.expose().clone());
                } else {
                    others.push(prompt.prompt.trim().to_owned());
                    answers.push(String::new());
                }
            }
            reply = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await;
        }
        if let Some(other) = others.first() {
            return Ok(Asked::Other(format!(
                "keyboard-interactive: the server asks `{other}`, and only a password can be given"
            )));
        }
        if was_password {
            Ok(Asked::Password)
        } else {
            Ok(Asked::Other("keyboard-interactive: refused".to_owned()))
        }
    }

    /// What a person answers to what the host asks, if there is one.
    async fn answer_of_person(
        &self,
        prompt: &Prompt,
    ) -> Result<Option<SecretString>, TransportError> {
        let Some(person) = self.options.person.clone() else {
            return Ok(None);
        };
        let question = PersonQuestion::Prompt {
            target: self.options.target(),
            words: prompt.prompt.trim().to_owned(),
            echo: prompt.echo,
        };
        self.clock.start();
        let answer = off_thread(move || Ok(person.ask(&question))).await;
        self.clock.stop();
        answer
    }

    /// The hash for a signature with an RSA key; the reason if the server takes none that is safe.
    async fn rsa_hash(&self, is_rsa: bool) -> Result<Option<HashAlg>, String> {
        if !is_rsa {
            return Ok(None);
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(None)) => {
                Err("the server takes RSA keys with SHA-1 only, which is not safe".to_owned())
            }
            Ok(Some(hash)) => Ok(hash),
            Ok(None) | Err(_) => Ok(Some(HashAlg::Sha256)),
        }
    }

    /// The agent, bound to this session; why not.
    async fn bound_agent(&self) -> Result<AgentClient<UnixStream>, String> {
        let mut agent = open_agent(self.options)
            .await
            .ok_or_else(|| "not reachable".to_owned())?;
        if let Some(binding) = self.handle.agent_session_binding() {
            // Agents that do not know it refuse, and then have no keys that need it.
            let _ = in_time(agent.bind_session(binding, false)).await?;
        }
        Ok(agent)
    }

    /// What the agent holds. Without an agent, or without an answer of it, nothing.
    pub(super) async fn agent_identities(&mut self) -> Vec<AgentIdentity> {
        if let Some(known) = &self.identities {
            return known.clone();
        }
        let found = self.ask_agent().await;
        self.identities = Some(found.clone());
        found
    }

    async fn ask_agent(&mut self) -> Vec<AgentIdentity> {
        let Some(socket) = self.options.agent_socket.as_ref() else {
            return Vec::new();
        };
        if !self.options.use_agent {
            return Vec::new();
        }
        let asking = async {
            let mut agent = self.bound_agent().await?;
            let identities = in_time(agent.request_identities()).await?;
            Ok((agent, identities.map_err(|error| error.to_string())?))
        };
        let asked: Result<_, String> = asking.await;
        match asked {
            Ok((agent, identities)) => {
                self.agent = Some(agent);
                identities
            }
            Err(reason) => {
                let socket = socket.display();
                self.tried
                    .push(format!("the agent at `{socket}`: {reason}"));
                Vec::new()
            }
        }
    }
}

/// What an agent answers soon; it may also hang.
async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(AGENT_LIMIT, answer)
        .await
        .map_err(|_| format!("no answer within {} s", AGENT_LIMIT.as_secs()))
}
