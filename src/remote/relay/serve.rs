//! A host that lets others read a file: the processes there that hold the right, from here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::scripts::{AWAIT, FEED, GRANT};
use crate::connect::ssh::LentKey;
use crate::connect::{Command, Neighbour, Output, Sharing, Stdin, TransportError};
use crate::remote::privilege::Become;
use crate::remote::{RemoteError, Session, Upload, wrap};

/// How often the host hears from us; it gives up after 90 seconds of silence.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How often it is looked whether a command waits for a session that this takes up.
const LOOK: Duration = Duration::from_millis(250);

/// How long a host may take to get ready, and to give back what it got.
const READY_LIMIT: Duration = Duration::from_secs(20);
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(5);

/// A host that serves. Dropping it ends that without waiting.
#[derive(Debug)]
pub(super) struct Serving {
    /// How it is reached.
    pub(super) neighbour: Neighbour,
    /// What lets one read there.
    pub(super) key: Arc<LentKey>,
    /// Who logs in there.
    pub(super) user: String,
    /// It is asked for a pipe by its number.
    pub(super) by_pipes: bool,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<Output, TransportError>>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Serving {
    /// Whether it has ended by itself: the connection was lost, or another command needed its session.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Ends it, and waits until the host has given back what it got.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        let ended = futures::future::join_all(self.tasks.drain(..));
        let _ = tokio::time::timeout(GIVE_BACK_LIMIT, ended).await;
    }
}

impl Session {
    /// Lets others read a file that has just arrived here. Fails with why it cannot.
    pub(super) async fn serve(&self, upload: &Upload) -> Result<Serving, RemoteError> {
        let ready = tokio::time::timeout(READY_LIMIT, self.begin_to_serve(upload)).await;
        ready.unwrap_or_else(|_| Err(refused("it was not ready in time")))
    }

    async fn begin_to_serve(&self, upload: &Upload) -> Result<Serving, RemoteError> {
        let Some(neighbour) = self.connector.neighbour() else {
            return Err(refused("nobody can reach it"));
        };
        let key = LentKey::new().ok_or_else(|| refused("there is no key for it"))?;
        let key = Arc::new(key);
        let user = self.connector.user().to_owned();
        let by_pipes = self.user() != user;
        let name = wrap::random_name();
        let folder = format!("/tmp/kk-relay-{name}");
        let stop = CancellationToken::new();
        let login = self.with_become(Become::default());
        let mut serving = Serving {
            user: user.clone(),
            by_pipes,
            stop,
            tasks: Vec::new(),
            neighbour,
            key: Arc::clone(&key),
        };
        if by_pipes {
            let words = [folder.clone(), upload.dest.clone(), user];
            serving.tasks.push(hold(
                self,
                Command::script(FEED, words),
                serving.stop.clone(),
            ));
        }
        let (file, folder) = if by_pipes {
            (String::new(), folder)
        } else {
            (upload.dest.clone(), String::new())
        };
        let words = [name.clone(), key.line().to_owned(), file, folder];
        serving.tasks.push(hold(
            &login,
            Command::script(GRANT, words),
            serving.stop.clone(),
        ));
        let seen = login.probe(Command::script(AWAIT, [name]));
        let early = futures::future::select_all(serving.tasks.iter_mut());
        tokio::select! {
            seen = seen => {
                let seen = seen?;
                if !seen.success() {
                    return Err(RemoteError::from_output("serve a file", &seen));
                }
            }
            (ended, ..) = early => {
                let output = ended.map_err(|error| refused(&error.to_string()))??;
                if output.success() {
                    return Err(refused("it allows too few sessions for it"));
                }
                return Err(RemoteError::from_output("serve a file", &output));
            }
        }
        Ok(serving)
    }
}

fn refused(reason: &str) -> RemoteError {
    RemoteError::failed("serve a file", reason)
}

/// Runs a command for as long as nobody stops it and nothing else needs its session; it reads a line now and then.
fn hold(
    session: &Session,
    command: Command,
    stop: CancellationToken,
) -> JoinHandle<Result<Output, TransportError>> {
    let session = session
        .with_cancel(CancellationToken::new())
        .with_timeout(None);
    tokio::spawn(async move {
        let (sender, receiver) = mpsc::channel(2);
        let connector = Arc::clone(&session.connector);
        let exec = session.send(
            command,
            Stdin::Stream(Bytes::new(), receiver),
            Sharing::Alone,
        );
        tokio::pin!(exec);
        let mut beat = tokio::time::interval(HEARTBEAT);
        let mut look = tokio::time::interval(LOOK);
        let mut was_crowded = false;
        loop {
            tokio::select! {
                result = &mut exec => return result,
                () = stop.cancelled() => break,
                _ = beat.tick() => {
                    let _ = sender.try_send(Ok(Bytes::from_static(b"alive\n")));
                }
                _ = look.tick() => {
                    let is_crowded = connector.is_crowded();
                    if is_crowded && was_crowded {
                        break;
                    }
                    was_crowded = is_crowded;
                }
            }
        }
        stop.cancel();
        drop(sender);
        exec.await
    })
}
