//! Who signs with a key: this program, the agent, or this program once a person has given the passphrase.
//!
//! The protocol library lets an agent sign and nobody else, so a hand is an agent that it talks to inside this process.

use std::convert::Infallible;
use std::sync::Arc;

use russh::AgentAuthError;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::UnixStream;

use crate::connect::ssh::handler::{AskClock, Client};
use crate::connect::ssh::keys::KeyCache;
use crate::connect::ssh::options::AskPerson;

/// Numbers of the agent's protocol.
const FAILURE: u8 = 5;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The longest request, in bytes: a certificate and what is signed.
const LONGEST: usize = 256 * 1024;

/// The one that signs. With a certificate it is the key below it that signs.
pub(super) enum Hand<'a> {
    /// A key that is at hand.
    Key(Arc<PrivateKey>),
    /// The agent.
    Agent(&'a mut AgentClient<UnixStream>),
    /// A key that is encrypted; the passphrase is asked for when the server has said that it takes the key.
    Locked {
        text: Arc<str>,
        name: String,
        keys: Arc<KeyCache>,
        person: Arc<dyn AskPerson>,
        clock: AskClock,
    },
}

/// What is shown to the server.
pub(super) struct Shown<'a> {
    pub(super) user: &'a str,
    pub(super) public: &'a PublicKey,
    pub(super) certificate: Option<&'a Certificate>,
    pub(super) hash: Option<HashAlg>,
}

impl Hand<'_> {
    /// Shows a key or a certificate, and signs when the server would take it.
    pub(super) async fn log_in(
        &mut self,
        handle: &mut Handle<Client>,
        shown: &Shown<'_>,
    ) -> Result<AuthResult, AgentAuthError> {
        let (near, far) = tokio::io::duplex(LONGEST);
        let mut agent = AgentClient::connect(near);
        let (user, hash) = (shown.user, shown.hash);
        let login = async {
            match shown.certificate {
                Some(certificate) => {
                    handle
                        .authenticate_certificate_with(user, certificate.clone(), hash, &mut agent)
                        .await
                }
                None => {
                    handle
                        .authenticate_publickey_with(user, shown.public.clone(), hash, &mut agent)
                        .await
                }
            }
        };
        tokio::select! {
            result = login => result,
            never = self.serve(shown, far) => match never {},
        }
    }

    /// Answers requests until nobody waits for an answer any more.
    async fn serve(&mut self, shown: &Shown<'_>, mut stream: DuplexStream) -> Infallible {
        while let Some(data) = read_request(&mut stream).await {
            let mut answer = Vec::new();
            match self.sign(shown, &data).await {
                Some(signature) => {
                    answer.push(SIGN_RESPONSE);
                    answer.extend(signature);
                }
                None => answer.push(FAILURE),
            }
            let length = u32::try_from(answer.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes();
            let _ = stream.write_all(&length).await;
            let _ = stream.write_all(&answer).await;
        }
        std::future::pending().await
    }

    /// The signature as the protocol has it, with its length before it.
    async fn sign(&mut self, shown: &Shown<'_>, data: &[u8]) -> Option<Vec<u8>> {
        let key = match self {
            Self::Agent(agent) => {
                // An agent that was given the certificate knows it by that; all know the key.
                let of_certificate =
                    shown
                        .certificate
                        .map(|certificate| AgentIdentity::Certificate {
                            certificate: certificate.clone(),
                            comment: String::new(),
                        });
                let of_key = AgentIdentity::from(shown.public.clone());
                for identity in of_certificate.into_iter().chain([of_key]) {
                    let signed = agent
                        .sign_request(&identity, shown.hash, data.to_vec())
                        .await;
                    if let Ok(signed) = signed {
                        return signed.get(data.len()..).map(<[u8]>::to_vec);
                    }
                }
                return None;
            }
            Self::Key(key) => Arc::clone(key),
            Self::Locked {
                text,
                name,
                keys,
                person,
                clock,
            } => {
                let (text, name) = (Arc::clone(text), name.clone());
                let (keys, person) = (Arc::clone(keys), Arc::clone(person));
                clock.start();
                let unlocked =
                    tokio::task::spawn_blocking(move || keys.unlock(&text, &name, person.as_ref()))
                        .await;
                clock.stop();
                unlocked.ok().flatten()?
            }
        };
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, shown.hash).try_sign(data),
            pair => pair.try_sign(data),
        };
        let bytes = signature.ok()?.encode_vec().ok()?;
        let mut answer = Vec::new();
        bytes.encode(&mut answer).ok()?;
        Some(answer)
    }
}

/// What is to be signed.
async fn read_request(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?;
    if length > LONGEST {
        return None;
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.ok()?;
    let (&kind, rest) = request.split_first()?;
    if kind != SIGN_REQUEST {
        return None;
    }
    let (_, rest) = field(rest)?;
    let (data, _) = field(rest)?;
    Some(data.to_vec())
}

/// A piece with its length before it, and what follows.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}
