//! Big files that a host gets from another one which has them already, and from the control machine when that does not
//! work ([ADR 6](../../../docs/adr/0006-a-host-that-serves-its-neighbours.md)). It decides who gets what from whom; the
//! file arrives by the same upload as any other.

mod scripts;
mod serve;
mod tree;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::upload::{DISCARD, SEND, SHORT, There, WRONG};
use super::{Progress, RemoteError, Session, Upload};
use crate::connect::ssh::LentKey;
use crate::connect::{Command, Neighbour, Output, Sharing, Stdin, TransportError};
use scripts::{DEAF, FETCH};
use serve::Serving;
use tree::{AT_ONCE, Choice, Source, Tree};

/// Files that are smaller are not worth the arrangements.
const SMALLEST: u64 = 16 * 1024 * 1024;

/// After so many hosts that did not get to a neighbour, and none that did, no other tries.
const HOPELESS: usize = 3;

/// What the hosts of a run have, and who fetches from whom. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Relay(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    /// Told what a user should know: why a host is sent to although others have the file.
    warn: Box<dyn Fn(String) + Send + Sync>,
    numbers: AtomicU64,
    /// How many hosts get a file.
    in_all: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// By sha256.
    trees: HashMap<String, Tree<Serving>>,
    /// Hosts that can fetch from nobody.
    deaf: HashSet<String>,
    /// How often a host got a file from a neighbour.
    fetched: usize,
    /// How often it did not get to it at all.
    unreached: usize,
    /// How often a host that has a file could not serve it.
    unserved: usize,
}

impl State {
    /// Whether the hosts seem to be kept from each other, or to serve nobody: to wait for them would be to send to one
    /// after the other.
    fn is_hopeless(&self) -> bool {
        self.fetched == 0 && self.unreached.max(self.unserved) >= HOPELESS
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Relay")
    }
}

/// What a host does now.
enum Turn {
    /// It gets the file from a neighbour.
    From(Claim),
    /// From the control machine.
    Direct(OnItsWay),
}

/// A host that is getting a file; said to be over when dropped.
struct OnItsWay {
    relay: Relay,
    sha256: String,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.relay
            .change(&self.sha256, |tree| tree.on_their_way -= 1);
    }
}

/// A place at a neighbour; free again when dropped.
struct Claim {
    way: OnItsWay,
    number: u64,
    place: usize,
    neighbour: Neighbour,
    key: Arc<LentKey>,
    user: String,
    by_pipes: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (number, place) = (self.number, self.place);
        self.way.relay.change(&self.way.sha256, |tree| {
            if let Some(source) = tree.sources.iter_mut().find(|it| it.number == number)
                && let Some(is_busy) = source.is_busy.get_mut(place)
            {
                *is_busy = false;
            }
        });
    }
}

/// What came of fetching.
enum Fetched {
    Whole,
    /// It did not, and why.
    Not(String),
}

impl Relay {
    /// For one run. `warn` is told why a host is sent to although others have the file.
    pub fn new(warn: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Notify::new(),
            warn: Box::new(warn),
            numbers: AtomicU64::new(0),
            in_all: AtomicUsize::new(usize::MAX),
        }))
    }

    /// So many hosts will ask for the same files from now on. Who is not told supposes that there are always more.
    pub fn expect(&self, hosts: usize) {
        self.0.in_all.store(hosts, Ordering::Release);
    }

    /// Ends all serving, and waits until the hosts have given back what they got.
    pub async fn release(&self) {
        let trees = std::mem::take(&mut self.lock().trees);
        let sources = trees.into_values().flat_map(|tree| tree.sources);
        futures::future::join_all(sources.map(|source| source.host.end())).await;
    }

    /// Whether a file is worth it, for a host that can take part: the agent is the login user's, and root may use it.
    pub(super) fn is_for(session: &Session, upload: &Upload) -> bool {
        let user = session.user();
        upload.size >= SMALLEST
            && session.connector.neighbour().is_some()
            && (user == "root" || user == session.connector.user())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, sha256: &str, change: impl FnOnce(&mut Tree<Serving>)) {
        if let Some(tree) = self.lock().trees.get_mut(sha256) {
            change(tree);
        }
        self.0.changed.notify_waiters();
    }

    fn warn(&self, words: String) {
        (self.0.warn)(words);
    }

    /// What a host does next; waits for its turn.
    async fn turn(&self, host: &str, sha256: &str, tried: &[u64]) -> Turn {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(turn) = self.turn_now(host, sha256, tried) {
                return turn;
            }
            changed.await;
        }
    }

    fn turn_now(&self, host: &str, sha256: &str, tried: &[u64]) -> Option<Turn> {
        let mut state = self.lock();
        let is_deaf = state.deaf.contains(host) || state.is_hopeless();
        let tree = state.trees.entry(sha256.to_owned()).or_default();
        for source in &mut tree.sources {
            source.is_over |= source.host.is_over();
        }
        let choice = if is_deaf {
            Choice::Direct
        } else {
            tree.choose(tried)
        };
        let way = || OnItsWay {
            relay: self.clone(),
            sha256: sha256.to_owned(),
        };
        let turn = match choice {
            Choice::Wait => return None,
            Choice::Direct => Turn::Direct(way()),
            Choice::From(index, place) => {
                let source = tree.sources.get_mut(index)?;
                *source.is_busy.get_mut(place)? = true;
                Turn::From(Claim {
                    way: way(),
                    number: source.number,
                    place,
                    neighbour: source.host.neighbour.clone(),
                    key: Arc::clone(&source.host.key),
                    user: source.host.user.clone(),
                    by_pipes: source.host.by_pipes,
                })
            }
        };
        tree.on_their_way += 1;
        Some(turn)
    }

    /// A host has the file: it serves it, if that is of use to somebody.
    async fn arrived(&self, session: &Session, upload: &Upload, way: OnItsWay) {
        let in_all = self.0.in_all.load(Ordering::Acquire);
        let mut is_needed = false;
        self.change(&upload.sha256, |tree| {
            // It is not on its way any more, but counted there until it serves.
            tree.arrived += 1;
            tree.on_their_way -= 1;
            is_needed = tree.needs_more(in_all);
            tree.on_their_way += 1;
        });
        if !is_needed || self.lock().is_hopeless() {
            return;
        }
        match session.serve(upload).await {
            Ok(serving) => {
                let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
                self.change(&upload.sha256, |tree| {
                    tree.sources.push(Source {
                        number,
                        host: serving,
                        is_busy: [false; AT_ONCE],
                        is_over: false,
                    });
                });
            }
            Err(error) => {
                self.warn(format!(
                    "{} serves no neighbour: {error}",
                    session.describe()
                ));
                self.lock().unserved += 1;
                self.0.changed.notify_waiters();
            }
        }
        drop(way);
    }
}

impl Session {
    /// An upload of a file that other hosts have, or will have.
    pub(super) async fn upload_among(
        &self,
        relay: &Relay,
        upload: &Upload,
        progress: Progress<'_>,
    ) -> Result<u64, RemoteError> {
        let host = self.describe();
        let mut tried = Vec::new();
        loop {
            let turn = tokio::select! {
                turn = relay.turn(&host, &upload.sha256, &tried) => turn,
                () = self.cancel().cancelled() => return Err(TransportError::Cancelled.into()),
            };
            let claim = match turn {
                Turn::Direct(way) => {
                    let sent = self.upload_from_here(upload, progress).await?;
                    relay.arrived(self, upload, way).await;
                    return Ok(sent);
                }
                Turn::From(claim) => claim,
            };
            match self.fetch_from(&claim, relay, upload, progress).await? {
                Fetched::Whole => {
                    progress(upload.size, upload.size);
                    let way = OnItsWay {
                        relay: relay.clone(),
                        sha256: upload.sha256.clone(),
                    };
                    relay.change(&upload.sha256, |tree| tree.on_their_way += 1);
                    drop(claim);
                    relay.arrived(self, upload, way).await;
                    return Ok(0);
                }
                Fetched::Not(reason) => {
                    let from = &claim.neighbour.host;
                    relay.warn(format!(
                        "{host} does not get `{}` from its neighbour {from}: {reason}",
                        upload.dest
                    ));
                    tried.push(claim.number);
                }
            }
        }
    }

    /// Lets the host take the file from a neighbour.
    async fn fetch_from(
        &self,
        claim: &Claim,
        relay: &Relay,
        upload: &Upload,
        progress: Progress<'_>,
    ) -> Result<Fetched, RemoteError> {
        let purpose = || format!("fetch `{}`", upload.dest);
        let offset = match self.prepare(upload, &purpose).await? {
            There::All => return Ok(Fetched::Whole),
            There::Start(offset) => offset,
            There::Slices(_) => {
                // What lies between them has not arrived, and the neighbour is near.
                self.discard(upload).await?;
                0
            }
        };
        progress(offset, upload.size);
        let neighbour = &claim.neighbour;
        let asked = if claim.by_pipes {
            (claim.place + 1).to_string()
        } else {
            "file".to_owned()
        };
        let command = Command::script(FETCH, upload.words())
            .arg(offset.to_string())
            .arg(&neighbour.host)
            .arg(neighbour.port.to_string())
            .arg(&claim.user)
            .arg(&neighbour.host_key)
            .arg(key_types(&neighbour.host_key))
            .arg(asked)
            .arg(Command::compact(SEND))
            .literal("\"$SSH_AUTH_SOCK\"");
        // Its input ends with this program.
        let (held, receiver) = mpsc::channel(1);
        let output = self
            .run_step(command, Stdin::Stream(Bytes::new(), receiver), |_| {
                Sharing::Fetch(Arc::clone(&claim.key))
            })
            .await;
        let output = match output {
            // The neighbour may say what it likes, and this host passes it on.
            Err(error @ TransportError::TooMuchOutput) => {
                return Ok(Fetched::Not(error.to_string()));
            }
            other => other?,
        };
        drop(held);
        let reason = first_words(&output);
        match output.status.code() {
            0 => {
                relay.lock().fetched += 1;
                return Ok(Fetched::Whole);
            }
            // Nothing of it came.
            SHORT if output.stderr_text().contains(&format!("only {offset} of ")) => {
                let mut state = relay.lock();
                state.unreached += 1;
                if state.is_hopeless() && state.unreached == HOPELESS {
                    drop(state);
                    relay.warn(
                        "no host gets to its neighbours: what is big is sent from here to each"
                            .to_owned(),
                    );
                    relay.0.changed.notify_waiters();
                }
            }
            DEAF => {
                relay.lock().deaf.insert(self.describe());
            }
            WRONG => {
                self.discard(upload).await?;
                relay.change(&upload.sha256, |tree| {
                    let source = tree.sources.iter_mut().find(|it| it.number == claim.number);
                    if let Some(source) = source {
                        source.is_over = true;
                    }
                });
                return Ok(Fetched::Not(format!(
                    "what it sent is another file ({reason})"
                )));
            }
            // Not all has arrived; or what is wrong with the destination is said by the upload that follows.
            _ => {}
        }
        Ok(Fetched::Not(reason))
    }

    /// Takes away what has arrived of a file.
    async fn discard(&self, upload: &Upload) -> Result<(), RemoteError> {
        let parts = [upload.part("part"), upload.part("slices.part")];
        self.run(Command::script(DISCARD, parts), Bytes::new())
            .await?;
        Ok(())
    }
}

/// What the client, or whoever spoke first, said.
fn first_words(output: &Output) -> String {
    let text = output.stderr_text();
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    match first {
        Some(line) => line.to_owned(),
        None => format!("exit status {}", output.status.code()),
    }
}

/// The algorithms that a key of the host signs with.
fn key_types(host_key: &str) -> &str {
    match host_key.split(' ').next().unwrap_or_default() {
        "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256",
        kind => kind,
    }
}
