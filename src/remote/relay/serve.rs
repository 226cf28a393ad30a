//! A host that lets others read a file: the processes there that hold the right, from here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::scripts::{AWAIT, FEED, GRANT, NOT_YET};
use crate::connect::ssh::LentKey;
use crate::connect::{Command, Neighbour, Output, Sharing, TransportError};
use crate::remote::hold::{WhenCrowded, hold};
use crate::remote::privilege::Become;
use crate::remote::{RemoteError, Session, Upload, wrap};

/// How long a host may take to get ready, and to give back what it got.
const READY_LIMIT: Duration = Duration::from_secs(20);
const GIVE_BACK_LIMIT: Duration = Duration::from_secs(5);

/// What a failure is called.
const PURPOSE: &str = "let others read a file";

/// Why a host that allows few sessions does not serve.
const TOO_FEW: &str = "it allows too few sessions for it";

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

    /// Ends it, and waits until the host has given back what it got. Answers what the host said.
    pub(super) async fn end(mut self) -> Vec<Output> {
        self.stop.cancel();
        let ended = futures::future::join_all(self.tasks.drain(..));
        let ended = tokio::time::timeout(GIVE_BACK_LIMIT, ended).await;
        let ended = ended.unwrap_or_default().into_iter();
        ended.filter_map(|ended| ended.ok()?.ok()).collect()
    }
}

impl Session {
    /// Lets others read a file that has just arrived here. Fails with why it cannot; then nothing of it is left.
    pub(super) async fn serve(&self, upload: &Upload) -> Result<Serving, RemoteError> {
        let name = wrap::random_name();
        let serving = self.begin_to_serve(upload, &name)?;
        match self.is_ready(&serving, &name).await {
            Ok(()) => Ok(serving),
            Err(error) => {
                let said = serving.end().await;
                let failed = said.iter().find(|output| !output.success());
                Err(failed.map_or(error, |output| RemoteError::from_output(PURPOSE, output)))
            }
        }
    }

    fn begin_to_serve(&self, upload: &Upload, name: &str) -> Result<Serving, RemoteError> {
        let Some(neighbour) = self.connector.neighbour() else {
            return Err(refused("nobody can reach it"));
        };
        let key = LentKey::new().ok_or_else(|| refused("there is no key for it"))?;
        let user = self.connector.user().to_owned();
        let by_pipes = self.user() != user;
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        let (mut file, mut folder) = (upload.dest.clone(), String::new());
        if by_pipes {
            folder = format!("/tmp/kk-relay-{name}");
            let words = [folder.clone(), std::mem::take(&mut file), user.clone()];
            let feed = Command::script(FEED, words);
            tasks.push(hold_while_there_is_room(self, feed, &stop));
        }
        let words = [name.to_owned(), key.line().to_owned(), file, folder];
        let login = self.with_become(Become::default());
        let grant = Command::script(GRANT, words);
        tasks.push(hold_while_there_is_room(&login, grant, &stop));
        Ok(Serving {
            neighbour,
            key: Arc::new(key),
            user,
            by_pipes,
            stop,
            tasks,
        })
    }

    /// Waits until the right is there. Asks again and again: a question that nobody waits for any longer would take up a
    /// session.
    async fn is_ready(&self, serving: &Serving, name: &str) -> Result<(), RemoteError> {
        let began = Instant::now();
        let login = self.with_become(Become::default());
        loop {
            let seen = login.probe(Command::script(AWAIT, [name])).await?;
            if seen.success() {
                return Ok(());
            }
            if seen.status.code() != NOT_YET {
                return Err(RemoteError::from_output(PURPOSE, &seen));
            }
            if serving.stop.is_cancelled() {
                return Err(refused(TOO_FEW));
            }
            if serving.is_over() || began.elapsed() > READY_LIMIT {
                return Err(refused("it was not ready in time"));
            }
        }
    }
}

fn refused(reason: &str) -> RemoteError {
    RemoteError::failed(PURPOSE, reason)
}

fn hold_while_there_is_room(
    session: &Session,
    command: Command,
    stop: &CancellationToken,
) -> JoinHandle<Result<Output, TransportError>> {
    let stop = stop.clone();
    hold(
        session,
        command,
        Sharing::Alone,
        stop,
        WhenCrowded::GivesWay,
    )
}
