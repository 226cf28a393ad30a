//! Keys that are made for a transfer between hosts and stay in this process, and the agent that signs with them for hosts
//! that fetch from each other ([ADR 6](../../../docs/adr/0006-a-host-that-serves-its-neighbours.md)).
//!
//! To a connection the agent knows the keys of the commands that run on it now. It takes none.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Numbers of the agent protocol.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// The longest request, in bytes: what is signed for a login is a fraction of it.
const LONGEST: usize = 16 * 1024;

/// A key that lets a host read one file of another. It is never written anywhere.
pub struct LentKey {
    private: PrivateKey,
    /// Its public half as the protocol has it.
    blob: Vec<u8>,
    /// The same as a line of `authorized_keys`, without a comment.
    line: String,
}

impl std::fmt::Debug for LentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LentKey")
    }
}

impl LentKey {
    /// A new one; `None` if it cannot be written down, which an Ed25519 key always can.
    pub fn new() -> Option<Self> {
        let pair = Ed25519Keypair::from_seed(&rand::random::<[u8; 32]>());
        let private = PrivateKey::from(pair);
        let public = private.public_key();
        let blob = public.to_bytes().ok()?;
        let line = line_of(public)?;
        Some(Self {
            private,
            blob,
            line,
        })
    }

    /// Its public half as a line of `authorized_keys`, without a comment.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// What is lent to commands of one connection, and the key by which its host is known.
#[derive(Debug, Default)]
pub(super) struct Lending {
    /// Whether anything is lent at all.
    is_on: bool,
    /// As a line of `known_hosts` without names. Set once the key is trusted.
    host_key: OnceLock<String>,
    /// A key for each command that runs.
    keys: Mutex<Vec<Arc<LentKey>>>,
}

impl Lending {
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            ..Self::default()
        }
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Arc<LentKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the host's key, which was found to be trusted.
    pub(super) fn trust(&self, key: &PublicKey) {
        if self.is_on
            && let Some(line) = line_of(key)
        {
            // A connection keeps its host's key.
            let _ = self.host_key.set(line);
        }
    }

    /// The host's key, where keys are lent.
    pub(super) fn host_key(&self) -> Option<&str> {
        self.host_key.get().map(String::as_str)
    }

    /// A command may use a key until what is returned is dropped.
    pub(super) fn borrow(self: &Arc<Self>, key: &Arc<LentKey>) -> Borrowed {
        self.keys().push(Arc::clone(key));
        Borrowed {
            lending: Arc::clone(self),
            key: Arc::clone(key),
        }
    }

    /// Whether a command may use a key now.
    pub(super) fn is_borrowed(&self) -> bool {
        !self.keys().is_empty()
    }

    /// Answers requests until the other side ends, or no command may use a key any more.
    pub(super) async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(request) = read_request(&mut stream).await {
            let keys = self.keys().clone();
            if keys.is_empty() {
                return;
            }
            let answer = answer(&keys, &request);
            let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
            let mut message = length.to_be_bytes().to_vec();
            message.extend(answer);
            if stream.write_all(&message).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// The use of a key by one command.
pub(super) struct Borrowed {
    lending: Arc<Lending>,
    key: Arc<LentKey>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut keys = self.lending.keys();
        if let Some(place) = keys.iter().position(|key| Arc::ptr_eq(key, &self.key)) {
            keys.swap_remove(place);
        }
    }
}

/// The answer to one request, without its length.
fn answer(keys: &[Arc<LentKey>], request: &[u8]) -> Vec<u8> {
    let answer = match request.split_first() {
        Some((&REQUEST_IDENTITIES, _)) => list(keys),
        Some((&SIGN_REQUEST, rest)) => sign(keys, rest),
        _ => None,
    };
    answer.unwrap_or_else(|| vec![FAILURE])
}

fn list(keys: &[Arc<LentKey>]) -> Option<Vec<u8>> {
    let mut answer = vec![IDENTITIES_ANSWER];
    u32::try_from(keys.len()).ok()?.encode(&mut answer).ok()?;
    for key in keys {
        key.blob.encode(&mut answer).ok()?;
        "kk".encode(&mut answer).ok()?;
    }
    Some(answer)
}

fn sign(keys: &[Arc<LentKey>], rest: &[u8]) -> Option<Vec<u8>> {
    let (blob, rest) = field(rest)?;
    let (data, _) = field(rest)?;
    let key = keys.iter().find(|key| key.blob == blob)?;
    let signature = key.private.key_data().try_sign(data).ok()?;
    let mut bytes = Vec::new();
    signature.encode(&mut bytes).ok()?;
    let mut answer = vec![SIGN_RESPONSE];
    bytes.encode(&mut answer).ok()?;
    Some(answer)
}

/// Type and key, without a comment.
fn line_of(key: &PublicKey) -> Option<String> {
    let mut bare = key.clone();
    bare.set_comment("");
    let line = bare.to_openssh().ok()?;
    Some(line.trim_end().to_owned())
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?;
    if length > LONGEST {
        return None;
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

/// A piece with its length before it, and what follows.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use russh::keys::Algorithm;
    use russh::keys::agent::client::AgentClient;
    use russh::keys::ssh_encoding::Decode as _;
    use russh::keys::ssh_key::Signature;

    use super::*;

    #[tokio::test]
    async fn the_agent_lists_and_signs_with_its_key_while_it_is_lent() {
        let key = Arc::new(LentKey::new().unwrap());
        let lending = Arc::new(Lending::new(true));
        let (near, far) = tokio::io::duplex(LONGEST);
        let borrowed = lending.borrow(&key);
        let of_another = Arc::new(LentKey::new().unwrap());
        let serving = tokio::spawn({
            let lending = Arc::clone(&lending);
            async move { lending.serve(far).await }
        });
        let mut agent = AgentClient::connect(near);
        let known = agent.request_identities().await.unwrap();
        assert_eq!(known.len(), 1);
        let public = key.private.public_key();
        assert_eq!(public.algorithm(), Algorithm::Ed25519);
        assert_eq!(known[0].public_key().key_data(), public.key_data());
        let signed = agent
            .sign_request(&known[0], None, b"words".to_vec())
            .await
            .unwrap();
        let (signature, _) = field(&signed[5..]).unwrap();
        let signature = Signature::decode(&mut &*signature).unwrap();
        russh::keys::signature::Verifier::verify(public, b"words", &signature).unwrap();
        // A key that another command has, a key to take in, anything else: nothing.
        let mut other = vec![SIGN_REQUEST];
        of_another.blob.encode(&mut other).unwrap();
        "words".encode(&mut other).unwrap();
        assert_ne!(answer(&[of_another], &other), [FAILURE]);
        for request in [&other[..], &[17, 0, 0, 0, 0], &[], &[SIGN_REQUEST, 0, 0]] {
            assert_eq!(answer(&[Arc::clone(&key)], request), [FAILURE]);
        }
        drop(borrowed);
        assert!(agent.request_identities().await.is_err());
        serving.await.unwrap();
    }
}
