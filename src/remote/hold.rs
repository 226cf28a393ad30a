//! Commands that hold something on a host until nobody needs it any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Session;
use crate::connect::{Command, Output, Sharing, Stdin, TransportError};

/// How often such a command hears from us; it gives up after 90 seconds of silence.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How often it is looked whether other commands wait for its session.
const LOOK: Duration = Duration::from_millis(250);

/// Whether it is ended when other commands wait for a session and there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenCrowded {
    Stays,
    GivesWay,
}

/// Runs a command, which reads a line now and then, until it is stopped; that it was is seen by `stop` as well.
pub(super) fn hold(
    session: &Session,
    command: Command,
    sharing: Sharing,
    stop: CancellationToken,
    when_crowded: WhenCrowded,
) -> JoinHandle<Result<Output, TransportError>> {
    let session = session
        .with_cancel(CancellationToken::new())
        .with_timeout(None);
    tokio::spawn(async move {
        let (sender, receiver) = mpsc::channel(2);
        let connector = Arc::clone(&session.connector);
        let exec = session.send(command, Stdin::Stream(Bytes::new(), receiver), sharing);
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
                _ = look.tick(), if when_crowded == WhenCrowded::GivesWay => {
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
