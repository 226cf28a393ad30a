//! The channels of one connection: how many may be open, one kept ready, and what to do when the host refuses more.
//!
//! Opening a channel costs a round trip before the command can even be sent, so one channel is opened ahead while the
//! session has room. A host that allows fewer sessions than expected (`MaxSessions`) is learned from its refusals.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Disconnect};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::handler::{Client, Ending};
use super::shell::Shell;
use crate::connect::TransportError;

/// How often a refused channel is asked for again while other commands run.
const ATTEMPTS_BESIDE_OTHERS: u32 = 4;

/// How often in a row it is asked for again when no other command of ours runs: about 5 s in all.
const ATTEMPTS_ALONE: u32 = 8;

/// The wait before the second attempt; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// A host that allows fewer sessions at once has none to spare for a shell that waits.
const FEWEST_FOR_SHELL: usize = 4;

/// How often a host is asked how long it takes to answer.
const QUESTIONS: usize = 5;

/// A host that answers so soon need not be asked again.
const NEAR: Duration = Duration::from_millis(2);

/// How long a host may take to answer a question about nothing.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long closing a session may wait for commands that are being ended.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The session and its channels.
pub(super) struct Channels {
    handle: Handle<Client>,
    ending: Ending,
    target: String,
    state: Mutex<State>,
    freed: Notify,
    all_ended: Notify,
    is_closing: CancellationToken,
    /// Held by whoever uses the one channel beyond the limit.
    extra: tokio::sync::Mutex<()>,
}

/// The connection's shell.
enum Kept {
    None,
    Idle(Box<Shell>),
    InUse,
    /// The host has no room for one, or does not run it.
    Refused,
}

/// What [`Channels::borrow_shell`] gives.
pub(super) enum Borrowed {
    /// A shell that waited.
    Idle(Box<Shell>),
    /// There is none yet.
    ToStart,
}

struct State {
    /// Channels that are open or being opened, the spare one included.
    open: usize,
    /// The most there may be.
    limit: usize,
    spare: Option<Channel<Msg>>,
    shell: Kept,
    is_spare_wanted: bool,
    is_spare_coming: bool,
    is_closed: bool,
    /// Processes whose groups are to be signalled.
    signals: Vec<(u32, &'static str)>,
    /// Commands that are being ended before their time.
    ending: usize,
    /// Commands that wait for a channel.
    waiting: usize,
}

/// The right to one channel; given back when dropped.
pub(super) struct Slot(Option<Arc<Channels>>);

impl Slot {
    /// Takes over a place that is counted already.
    fn of(channels: &Arc<Channels>) -> Self {
        Self(Some(Arc::clone(channels)))
    }

    /// Leaves the place counted: the spare channel has it now.
    fn pass_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(channels) = self.0.take() {
            channels.lock().open -= 1;
            channels.freed.notify_one();
        }
    }
}

/// Counts a command that is being ended; [`Channels::close`] waits for those, and hastens them.
pub(super) struct EndingCommand(Arc<Channels>);

impl Drop for EndingCommand {
    fn drop(&mut self) {
        self.0.lock().ending -= 1;
        self.0.all_ended.notify_waiters();
    }
}

/// Counts a command that waits for a channel.
struct Waiting<'a>(&'a Channels);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// An open channel on which nothing was requested yet.
pub(super) struct Lease {
    /// The channel.
    pub(super) channel: Channel<Msg>,
    /// Kept until the channel is done with.
    pub(super) slot: Slot,
}

impl State {
    /// The shell, if it waits for a command.
    fn idle_shell(&mut self) -> Option<Box<Shell>> {
        match std::mem::replace(&mut self.shell, Kept::None) {
            Kept::Idle(shell) => Some(shell),
            other => {
                self.shell = other;
                None
            }
        }
    }
}

/// How often a channel was refused to somebody who asked for one: first while other commands ran, which may have had all
/// there are, and then alone.
#[derive(Default)]
struct Refusals {
    beside_others: u32,
    alone: u32,
}

impl Refusals {
    /// Counts one more; which it is of its kind, and how many there may be.
    const fn next(&mut self, has_others: bool) -> (u32, u32) {
        if has_others {
            self.alone = 0;
            self.beside_others += 1;
            (self.beside_others, ATTEMPTS_BESIDE_OTHERS)
        } else {
            self.alone += 1;
            (self.alone, ATTEMPTS_ALONE)
        }
    }
}

enum Next {
    Spare(Channel<Msg>),
    Open,
    Release(Box<Shell>),
    Wait,
}

impl Channels {
    /// The channels of a session that is logged in; opens the first one ahead.
    pub(super) fn new(
        handle: Handle<Client>,
        ending: Ending,
        target: String,
        max_channels: usize,
    ) -> Arc<Self> {
        let channels = Arc::new(Self {
            handle,
            ending,
            target,
            state: Mutex::new(State {
                open: 0,
                limit: max_channels.max(1),
                spare: None,
                shell: Kept::None,
                is_spare_wanted: true,
                is_spare_coming: false,
                is_closed: false,
                signals: Vec::new(),
                ending: 0,
                waiting: 0,
            }),
            freed: Notify::new(),
            all_ended: Notify::new(),
            is_closing: CancellationToken::new(),
            extra: tokio::sync::Mutex::new(()),
        });
        channels.open_ahead();
        channels
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that begins on the host. It does not count among the sessions that the host allows.
    pub(super) async fn open_tcp(
        &self,
        address: &str,
        port: u16,
    ) -> Result<Channel<Msg>, russh::Error> {
        self.handle
            .channel_open_direct_tcpip(address, u32::from(port), "127.0.0.1", 0)
            .await
    }

    /// The shortest of some round trips: others may wait for what was sent before them, or for a busy processor.
    pub(super) async fn round_trip(&self) -> Option<Duration> {
        let mut shortest: Option<Duration> = None;
        for _ in 0..QUESTIONS {
            let start = Instant::now();
            let answered = tokio::time::timeout(ANSWER_LIMIT, self.handle.send_ping()).await;
            if !matches!(answered, Ok(Ok(()))) {
                break;
            }
            let took = start.elapsed();
            shortest = Some(shortest.map_or(took, |shortest| shortest.min(took)));
            if took < NEAR {
                break;
            }
        }
        shortest
    }

    /// The connection's shell for one command, or the right to start one; `None` when there can be none now. Given back
    /// by [`Channels::keep_shell`] or [`Channels::shell_is_gone`].
    pub(super) fn borrow_shell(&self) -> Option<Borrowed> {
        let kept = {
            let mut state = self.lock();
            if state.is_closed || state.limit < FEWEST_FOR_SHELL {
                return None;
            }
            match std::mem::replace(&mut state.shell, Kept::InUse) {
                Kept::None => return Some(Borrowed::ToStart),
                Kept::InUse => return None,
                Kept::Idle(shell) => shell,
                Kept::Refused => {
                    state.shell = Kept::Refused;
                    return None;
                }
            }
        };
        let mut shell = kept;
        if shell.is_alive() {
            return Some(Borrowed::Idle(shell));
        }
        Some(Borrowed::ToStart)
    }

    /// Keeps the shell for the next command.
    pub(super) fn keep_shell(&self, shell: Shell) {
        let left = {
            let mut state = self.lock();
            if matches!(state.shell, Kept::InUse) && !state.is_closed {
                state.shell = Kept::Idle(Box::new(shell));
                None
            } else {
                Some(shell)
            }
        };
        match left {
            Some(shell) => shell.end(),
            // Who waits for a channel may have this one.
            None => self.freed.notify_one(),
        }
    }

    /// Whoever had the shell has it no more.
    pub(super) fn shell_is_gone(&self) {
        let mut state = self.lock();
        if matches!(state.shell, Kept::InUse) {
            state.shell = Kept::None;
        }
    }

    /// No shell from now on.
    pub(super) fn refuse_shell(&self) {
        // What is dropped here locks the state itself.
        let _kept = std::mem::replace(&mut self.lock().shell, Kept::Refused);
    }

    /// Whether the session has ended, and not because it was closed here.
    pub(super) fn is_lost(&self) -> bool {
        self.handle.is_closed() && !self.lock().is_closed
    }

    /// Why the session ended.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Counts a command that is being ended until what is returned is dropped.
    pub(super) fn end_command(self: &Arc<Self>) -> EndingCommand {
        self.lock().ending += 1;
        EndingCommand(Arc::clone(self))
    }

    /// Ends the session, after the commands that are being ended, but not long after.
    pub(super) async fn close(&self) {
        self.lock().is_closed = true;
        self.is_closing.cancel();
        let ended = async {
            loop {
                let changed = self.all_ended.notified();
                if self.lock().ending == 0 || self.handle.is_closed() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_LIMIT, ended).await;
        self.refuse_shell();
        self.lock().spare = None;
        self.ending.note_closed_here();
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "")
            .await;
        self.freed.notify_waiters();
    }

    /// When the session is to be closed.
    pub(super) async fn closing(&self) {
        self.is_closing.cancelled().await;
    }

    /// A channel, as soon as there may be one more. Nothing is left behind if the caller stops waiting.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Lease, TransportError> {
        let mut refusals = Refusals::default();
        loop {
            let freed = self.freed.notified();
            let next = {
                let mut state = self.lock();
                if state.is_closed || self.handle.is_closed() {
                    return Err(self.gone());
                }
                if let Some(channel) = state.spare.take() {
                    Next::Spare(channel)
                } else if state.open < state.limit {
                    state.open += 1;
                    Next::Open
                } else if let Some(shell) = state.idle_shell() {
                    Next::Release(shell)
                } else {
                    Next::Wait
                }
            };
            match next {
                Next::Wait => self.wait(freed).await,
                Next::Release(shell) => {
                    shell.end();
                    self.wait(freed).await;
                }
                Next::Spare(mut channel) => {
                    let slot = Slot::of(self);
                    if is_usable(&mut channel) {
                        self.open_ahead();
                        return Ok(Lease { channel, slot });
                    }
                }
                Next::Open => match self.open().await {
                    Ok(lease) => {
                        self.open_ahead();
                        return Ok(lease);
                    }
                    Err((russh::Error::ChannelOpenFailure(reason), slot)) => {
                        self.after_refusal(&mut refusals, slot, reason.description())
                            .await?;
                    }
                    Err(_) => return Err(self.gone()),
                },
            }
        }
    }

    /// Waits for a channel that may have become free.
    async fn wait(&self, freed: impl Future<Output = ()>) {
        self.lock().waiting += 1;
        let _counted = Waiting(self);
        freed.await;
    }

    /// Whether a command waits for a channel.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().waiting > 0
    }

    /// Signals the process groups of commands, as far as the login user may. The caller sets the time limit.
    ///
    /// sshd passes on a signal request for ordinary users only, so it is done by a command on a channel beyond the
    /// limit. There is one such channel; what was asked for while it was in use is done together.
    pub(super) async fn signal(&self, process: u32, signal: &'static str) {
        self.lock().signals.push((process, signal));
        let _alone = self.extra.lock().await;
        let signals = std::mem::take(&mut self.lock().signals);
        if signals.is_empty() {
            return;
        }
        let Some(mut channel) = self.extra().await else {
            return;
        };
        // The group is the whole command, unless the login shell kept a process for itself.
        let commands: Vec<String> = signals
            .iter()
            .map(|(process, signal)| {
                format!("kill -s {signal} -- -{process}||kill -s {signal} {process}")
            })
            .collect();
        // Plain words, for any login shell.
        let text = format!("exec sh -c 'exec 2>/dev/null;{}'", commands.join(";"));
        if channel.exec(false, text).await.is_ok() {
            let _ = channel.eof().await;
            while let Some(message) = channel.wait().await {
                if matches!(message, ChannelMsg::Close) {
                    break;
                }
            }
        }
    }

    /// The spare channel, or one beyond the limit.
    async fn extra(&self) -> Option<Channel<Msg>> {
        let spare = {
            let mut state = self.lock();
            let spare = state.spare.take();
            // From here on it counts as the one beyond the limit.
            state.open -= usize::from(spare.is_some());
            spare
        };
        if let Some(mut channel) = spare
            && is_usable(&mut channel)
        {
            return Some(channel);
        }
        loop {
            match self.handle.channel_open_session().await {
                Ok(channel) => return Some(channel),
                // Sessions that have just ended may still count on the host.
                Err(russh::Error::ChannelOpenFailure(_)) => {
                    tokio::time::sleep(FIRST_WAIT * 4).await;
                }
                Err(_) => return None,
            }
        }
    }

    /// Opens a channel in a task of its own, so that a caller that stops waiting leaves no open channel behind.
    async fn open(self: &Arc<Self>) -> Result<Lease, (russh::Error, Slot)> {
        let (sender, receiver) = oneshot::channel();
        let slot = Slot::of(self);
        let channels = Arc::clone(self);
        tokio::spawn(async move {
            let result = channels.handle.channel_open_session().await;
            if let Err((Ok(channel), slot)) = sender.send((result, slot)) {
                channels.keep(channel, slot);
            }
        });
        match receiver.await {
            Ok((Ok(channel), slot)) => Ok(Lease { channel, slot }),
            Ok((Err(error), slot)) => Err((error, slot)),
            // Only a runtime that is shut down drops the task.
            Err(_) => Err((russh::Error::RecvError, Slot(None))),
        }
    }

    /// Waits before the next attempt, or learns that there cannot be so many channels.
    async fn after_refusal(
        self: &Arc<Self>,
        refusals: &mut Refusals,
        slot: Slot,
        reason: &str,
    ) -> Result<(), TransportError> {
        let idle = {
            let mut state = self.lock();
            let idle = state.idle_shell();
            // A host that counts has none to spare for later.
            if !matches!(state.shell, Kept::InUse) {
                state.shell = Kept::Refused;
            }
            idle
        };
        if let Some(shell) = idle {
            shell.end();
        }
        let others = self.lock().open.saturating_sub(1);
        let (attempt, attempts) = refusals.next(others > 0);
        if attempt < attempts {
            // A session that has just ended may still count on the host.
            let wait = FIRST_WAIT * 2_u32.pow(attempt - 1);
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.75..1.25))).await;
        } else if others > 0 {
            let mut state = self.lock();
            state.limit = others;
            state.is_spare_wanted = false;
            *refusals = Refusals::default();
        } else {
            return Err(TransportError::NotStarted {
                target: self.target.clone(),
                reason: format!(
                    "the host opens no session ({reason}); sshd's `MaxSessions` may be too small"
                ),
            });
        }
        drop(slot);
        Ok(())
    }

    /// Opens the next channel while this one is used, if there is room for it.
    fn open_ahead(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            let has_room = state.open < state.limit;
            let is_there = state.spare.is_some() || state.is_spare_coming;
            if !state.is_spare_wanted || !has_room || is_there || state.is_closed {
                return;
            }
            state.open += 1;
            state.is_spare_coming = true;
        }
        let slot = Slot::of(self);
        let channels = Arc::clone(self);
        tokio::spawn(async move {
            let result = channels.handle.channel_open_session().await;
            channels.lock().is_spare_coming = false;
            match result {
                Ok(channel) => channels.keep(channel, slot),
                // It was only ahead of need: the next command asks for itself.
                Err(_) => channels.lock().is_spare_wanted = false,
            }
        });
    }

    /// Keeps an unused channel for the next command, or closes it if there is one.
    fn keep(self: &Arc<Self>, channel: Channel<Msg>, slot: Slot) {
        let rest = {
            let mut state = self.lock();
            if state.spare.is_none() && !state.is_closed {
                state.spare = Some(channel);
                None
            } else {
                Some(channel)
            }
        };
        match rest {
            None => {
                slot.pass_on();
                self.freed.notify_one();
            }
            Some(channel) => {
                tokio::spawn(async move {
                    let _ = channel.close().await;
                    drop(slot);
                });
            }
        }
    }

    /// The error for a command that cannot start any more.
    pub(super) fn gone(&self) -> TransportError {
        TransportError::NotStarted {
            target: self.target.clone(),
            reason: format!("the connection is gone: {}", self.ending.reason()),
        }
    }
}

/// Whether the host has not closed a channel that was waiting.
fn is_usable(channel: &mut Channel<Msg>) -> bool {
    loop {
        match channel.wait().now_or_never() {
            None => return true,
            Some(Some(ChannelMsg::WindowAdjusted { .. })) => {}
            Some(_) => return false,
        }
    }
}
