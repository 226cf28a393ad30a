//! A key that is made for a run and stays in this process, and the agent that signs with it for hosts that fetch from each
//! other ([ADR 6](../../../docs/adr/0006-a-host-that-serves-its-neighbours.md)).
//!
//! The agent knows no other key, takes none, and answers only while a command that may use it runs on the connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

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

/// A key of this run. It is never written anywhere.
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

    /// The answer to one request, without its length.
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let answer = match request.split_first() {
            Some((&REQUEST_IDENTITIES, _)) => self.list(),
            Some((&SIGN_REQUEST, rest)) => self.sign(rest),
            _ => None,
        };
        answer.unwrap_or_else(|| vec![FAILURE])
    }

    fn list(&self) -> Option<Vec<u8>> {
        let mut answer = vec![IDENTITIES_ANSWER];
        1_u32.encode(&mut answer).ok()?;
        self.blob.encode(&mut answer).ok()?;
        "kk".encode(&mut answer).ok()?;
        Some(answer)
    }

    fn sign(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let (blob, rest) = field(rest)?;
        let (data, _) = field(rest)?;
        if blob != self.blob {
            return None;
        }
        let signature = self.private.key_data().try_sign(data).ok()?;
        let mut bytes = Vec::new();
        signature.encode(&mut bytes).ok()?;
        let mut answer = vec![SIGN_RESPONSE];
        bytes.encode(&mut answer).ok()?;
        Some(answer)
    }
}

/// What one connection lends, and the key by which its host is known.
#[derive(Debug, Default)]
pub(super) struct Lending {
    key: Option<Arc<LentKey>>,
    /// As a line of `known_hosts` without names. Set once the key is trusted.
    host_key: OnceLock<String>,
    borrowers: AtomicUsize,
}

impl Lending {
    pub(super) fn new(key: Option<Arc<LentKey>>) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Notes the host's key, which was found to be trusted.
    pub(super) fn trust(&self, key: &PublicKey) {
        if self.key.is_some()
            && let Some(line) = line_of(key)
        {
            // A connection keeps its host's key.
            let _ = self.host_key.set(line);
        }
    }

    /// The public halves: of the host's key and of the one that is lent.
    pub(super) fn lines(&self) -> Option<(String, String)> {
        Some((
            self.host_key.get()?.clone(),
            self.key.as_ref()?.line.clone(),
        ))
    }

    /// A command may use the key until what is returned is dropped.
    pub(super) fn borrow(self: &Arc<Self>) -> Borrowed {
        self.borrowers.fetch_add(1, Ordering::AcqRel);
        Borrowed(Arc::clone(self))
    }

    /// The key, while a command may use it.
    pub(super) fn key(&self) -> Option<Arc<LentKey>> {
        let is_borrowed = self.borrowers.load(Ordering::Acquire) > 0;
        self.key.clone().filter(|_| is_borrowed)
    }

    /// Answers requests until the other side ends, or no command may use the key any more.
    pub(super) async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(request) = read_request(&mut stream).await {
            let Some(key) = self.key() else {
                return;
            };
            let answer = key.answer(&request);
            let length = u32::try_from(answer.len()).unwrap_or(u32::MAX);
            let mut message = length.to_be_bytes().to_vec();
            message.extend(answer);
            if stream.write_all(&message).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}

/// The use of the key by one command.
pub(super) struct Borrowed(Arc<Lending>);

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.0.borrowers.fetch_sub(1, Ordering::AcqRel);
    }
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
        let lending = Arc::new(Lending::new(Some(Arc::clone(&key))));
        let (near, far) = tokio::io::duplex(LONGEST);
        let borrowed = lending.borrow();
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
        // Another key, a key to take in, anything else: nothing.
        let mut other = vec![SIGN_REQUEST, 0, 0, 0, 1, 7, 0, 0, 0, 1];
        other.push(b'x');
        for request in [&other[..], &[17, 0, 0, 0, 0], &[], &[SIGN_REQUEST, 0, 0]] {
            assert_eq!(key.answer(request), [FAILURE]);
        }
        drop(borrowed);
        assert!(agent.request_identities().await.is_err());
        serving.await.unwrap();
    }
}
