//! One attempt to log in: by a key, by the agent, by a password.

use std::sync::Arc;

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{AgentAuthError, MethodKind};
use tokio::net::UnixStream;

use super::{Login, Verdict, Way, label, open_agent};
use crate::connect::TransportError;
use crate::connect::ssh::keys::Key;
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
            Way::Agent(identity) => self.try_agent(*identity, &label).await,
            Way::Key(Key::Locked { public, .. }) => self.try_agent(public.into(), &label).await,
            Way::Key(Key::Private {
                key, certificate, ..
            }) => {
                let is_rsa = key.algorithm().is_rsa();
                if let Some(certificate) = certificate.filter(|_| !is_rsa) {
                    let result = self
                        .handle
                        .authenticate_openssh_cert(
                            &self.options.user,
                            Arc::clone(&key),
                            *certificate,
                        )
                        .await;
                    if self.note(result)? {
                        return Ok(Verdict::In);
                    }
                }
                let hash = match self.rsa_hash(is_rsa).await {
                    Ok(hash) => hash,
                    Err(reason) => return Ok(Verdict::Refused(format!("{label}: {reason}"))),
                };
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

    async fn try_agent(
        &mut self,
        identity: AgentIdentity,
        label: &str,
    ) -> Result<Verdict, TransportError> {
        let is_rsa = identity.public_key().algorithm().is_rsa();
        let hash = match self.rsa_hash(is_rsa).await {
            Ok(hash) => hash,
            Err(reason) => return Ok(Verdict::Refused(format!("{label}: {reason}"))),
        };
        if self.agent.is_none() {
            self.agent = self.bound_agent().await;
        }
        let Some(mut agent) = self.agent.take() else {
            return Ok(Verdict::Refused(format!("{label}: the agent is gone")));
        };
        let user = &self.options.user;
        let result = match identity {
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut agent)
                    .await
            }
            AgentIdentity::PublicKey { key, .. } => {
                self.handle
                    .authenticate_publickey_with(user, key, hash, &mut agent)
                    .await
            }
        };
        self.agent = Some(agent);
        match result {
            Ok(result) => self.verdict(Ok(result), label),
            Err(AgentAuthError::Send(_)) => self.verdict(Err(russh::Error::SendError), label),
            Err(AgentAuthError::Key(_)) => Ok(Verdict::Refused(format!(
                "{label}: the agent did not sign with it"
            ))),
        }
    }

    async fn try_password(&mut self, password: &SecretString) -> Result<Verdict, TransportError> {
        let mut reasons = Vec::new();
        if self.takes(MethodKind::KeyboardInteractive) && self.offered.is_some() {
            match self.try_keyboard_interactive(password).await? {
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

    /// Answers what is asked first with the password. A server that has judged the password is not given it again.
    async fn try_keyboard_interactive(
        &mut self,
        password: &SecretString,
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
                if !prompt.echo && !is_answered {
                    is_answered = true;
                    was_password |= prompt.prompt.to_lowercase().contains("password");
                    answers.push(password.expose().clone());
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

    async fn bound_agent(&self) -> Option<AgentClient<UnixStream>> {
        let mut agent = open_agent(self.options).await?;
        if let Some(binding) = self.handle.agent_session_binding() {
            // Agents that do not know it refuse, and then have no keys that need it.
            let _ = agent.bind_session(binding, false).await;
        }
        Some(agent)
    }

    /// What the agent holds. Without an agent, or without an answer of it, nothing.
    pub(super) async fn agent_identities(&mut self) -> Vec<AgentIdentity> {
        let Some(socket) = self.options.agent_socket.as_ref() else {
            return Vec::new();
        };
        if !self.options.use_agent {
            return Vec::new();
        }
        let Some(mut agent) = self.bound_agent().await else {
            self.tried.push(format!(
                "the agent at `{}`: not reachable",
                socket.display()
            ));
            return Vec::new();
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(error) => {
                self.tried.push(format!("the agent: {error}"));
                Vec::new()
            }
        };
        self.agent = Some(agent);
        identities
    }
}
