//! The shell that a connection keeps. A command of its own costs the host a session, a login shell and its start files;
//! a short one can run in a shell that is there already, one after the other, for some lines on its input.
//!
//! What the shell says is cut by marks that nobody can guess: one before the command, so that a command which certainly
//! did not start is told from one whose end was not seen, and one on each output behind it.
//!
//! Before a command the shell looks whether it is still as good as a new one, and refuses when it is not; then the command
//! certainly did not start. It is used up when a process that an earlier step left behind still holds its outputs, and
//! could speak into a later command's, or is in its process group, where it would be ended with a later command: of the
//! processes that were started since that step, each that can be of it is looked at. And when a file that
//! a login shell reads at its start was written since the shell has started: a step must see what an earlier one wrote.
//! The comparison is with the time of an open pipe, which the shell makes at its start. All of this is done without
//! a program by the very process that then becomes the command.
//!
//! A script of this program is sent to a shell once, the first with the shell's own: a shell reads its input byte by byte.
//! Signals that a command sends to its whole process group do not end the shell.

mod marks;
mod request;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use russh::ChannelMsg;

use super::channels::{Borrowed, Channels};
use super::line::{Abandon, Line, Progress};
use super::session::SshConnector;
use crate::connect::wire::login_shell_text;
use crate::connect::{
    Command, ExecRequest, ExitStatus, Output, ParentProcess, Sharing, TransportError, expiry,
};
use marks::{Marks, Stage};
use request::{Scripts, Shared};

/// `$1` the mark, `$2` script number 1. Reads, a line: the number of a command; the checks that go before it (`h`: did the last
/// step leave something behind; `r`: were start files written; `s`: it is a step, say its process; `l`: its first word is the
/// folder of a lock to hold); the process that the last step was; the number of the script, 0 when it is not kept; how
/// many lines the script has (0: one line for `printf %b`, `-`: it is there), and the command that sets its words; and
/// whether a line for `printf %b` follows that the command reads.
static LOOP: LazyLock<String> = LazyLock::new(|| Command::compact(include_str!("shell/loop.sh")));

/// How long a step that is broken off at once may wait to learn who will have run it.
const INTRODUCTION_LIMIT: Duration = Duration::from_secs(1);

/// A shell that waits for its next command.
pub(super) struct Shell {
    line: Line,
    number: u64,
    /// Known once it has said so.
    process: Option<ParentProcess>,
    scripts: Scripts,
    /// The process that the last step was.
    last_step: u32,
    /// A step ran, and whether it left something behind was not looked at yet.
    is_unchecked: bool,
}

/// Why a command has no answer.
enum Missing {
    /// It certainly did not start: the shell is used up.
    UsedUp,
    Error(TransportError),
}

impl From<TransportError> for Missing {
    fn from(error: TransportError) -> Self {
        Self::Error(error)
    }
}

impl Shell {
    /// Whether the host has not ended it while it waited.
    pub(super) fn is_alive(&mut self) -> bool {
        use futures::FutureExt as _;
        loop {
            match self.line.reader.wait().now_or_never() {
                None => return true,
                Some(None | Some(ChannelMsg::Close | ChannelMsg::Eof)) => return false,
                Some(Some(_)) => {}
            }
        }
    }

    /// The checks that go before the next command.
    fn checks(&self, is_step: bool) -> String {
        let mut checks = String::from("-");
        if self.is_unchecked {
            checks.push('h');
        }
        if is_step {
            checks.push('s');
            // The first command of a shell sees it as new as it can be.
            if self.number > 0 {
                checks.push('r');
            }
        }
        checks
    }

    /// Ends it, and gives its channel back once it is closed.
    pub(super) fn end(self) {
        tokio::spawn(async move {
            let Line { writer, slot, .. } = self.line;
            let _ = writer.close().await;
            drop(slot);
        });
    }
}

/// The right to the connection's shell, until it is dropped.
struct Turn<'a> {
    channels: &'a Arc<Channels>,
    shell: Option<Shell>,
    is_given_back: bool,
}

impl Turn<'_> {
    /// Lets whoever asked for a step know under which process it still runs.
    fn tell(&self, sharing: &Sharing) {
        if let Sharing::Step(step) = sharing
            && let Some(process) = self.shell.as_ref().and_then(|shell| shell.process)
        {
            let _ = step.parent.set(process);
        }
    }

    /// The command's end was not seen: it is ended with the shell.
    fn abandon(&mut self, how: Abandon) {
        let Some(shell) = self.shell.take() else {
            return;
        };
        let channels = Arc::clone(self.channels);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let ending = channels.end_command();
            runtime.spawn(async move {
                // After its command there is no other.
                let _ = shell.line.writer.eof().await;
                shell.line.end(channels, how).await;
                drop(ending);
            });
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.abandon(Abandon::Signal("TERM"));
        if !self.is_given_back {
            self.channels.shell_is_gone();
        }
    }
}

impl SshConnector {
    /// Runs a command in the connection's shell. `None` when there is none for it now, and when it certainly did not
    /// run there: it is to run on a channel of its own.
    pub(super) async fn run_shared(
        &self,
        request: &ExecRequest,
    ) -> Option<Result<Output, TransportError>> {
        let shared = Shared::of(request)?;
        let shell = match self.channels.borrow_shell()? {
            Borrowed::Idle(shell) => Some(*shell),
            Borrowed::ToStart => None,
        };
        let mut turn = Turn {
            channels: &self.channels,
            shell,
            is_given_back: false,
        };
        let expired = expiry(request.timeout);
        tokio::pin!(expired);
        let result = tokio::select! {
            result = self.in_some_shell(&mut turn, &shared) => result,
            () = request.cancel.cancelled() => Err(TransportError::Cancelled),
            limit = &mut expired => Err(TransportError::TimedOut { limit }),
        };
        match &result {
            Ok(_) => {
                // One that its command ended is none any more.
                if let Some(shell) = turn.shell.take() {
                    turn.is_given_back = true;
                    self.channels.keep_shell(shell);
                }
            }
            Err(TransportError::NotStarted { .. }) => {
                turn.abandon(Abandon::Close);
                self.channels.refuse_shell();
                return None;
            }
            Err(TransportError::Cancelled | TransportError::TimedOut { .. }) => {
                if let (Sharing::Step(_), Some(shell)) = (&request.sharing, &mut turn.shell) {
                    let introduced = self.introduce(shell);
                    let _ = tokio::time::timeout(INTRODUCTION_LIMIT, introduced).await;
                }
                turn.tell(&request.sharing);
                turn.abandon(Abandon::Linger("TERM"));
            }
            Err(_) => {
                turn.tell(&request.sharing);
                turn.abandon(Abandon::Close);
            }
        }
        Some(result)
    }

    /// In the shell that is there, or in a new one when that is used up.
    async fn in_some_shell(
        &self,
        turn: &mut Turn<'_>,
        shared: &Shared,
    ) -> Result<Output, TransportError> {
        for _ in 0..2 {
            match self.talk_to_shell(turn, shared).await {
                Ok(output) => return Ok(output),
                Err(Missing::UsedUp) => {
                    if let Some(shell) = turn.shell.take() {
                        shell.end();
                    }
                }
                Err(Missing::Error(error)) => return Err(error),
            }
        }
        Err(self.not_started("the shell there takes no command".to_owned()))
    }

    async fn talk_to_shell(&self, turn: &mut Turn<'_>, shared: &Shared) -> Result<Output, Missing> {
        let shell = match &mut turn.shell {
            Some(shell) => shell,
            none => none.insert(self.new_shell(shared.own_script()).await?),
        };
        let checks = shell.checks(shared.is_step);
        shell.number += 1;
        let mut marks = Marks::new(&self.marker, shell.number);
        shell.line.progress.forget_outputs();
        let text = shared.text(shell.number, &checks, shell.last_step, &mut shell.scripts);
        let mut is_closed = self.give(&mut shell.line, text).await?;
        loop {
            let line = &mut shell.line;
            if shell.process.is_none() {
                shell.process = marks.shell(&line.progress);
            }
            let stage = marks.stage(&line.progress);
            if stage == Stage::Refused {
                return Err(Missing::UsedUp);
            }
            if is_closed {
                return match stage {
                    Stage::Begun => self.after_end(turn, &marks, shared.is_step),
                    _ => Err(self.not_started("the shell there has ended".to_owned())),
                }
                .map_err(Missing::Error);
            }
            if let Some(output) = marks.answer(&mut line.progress) {
                shell.is_unchecked = shared.is_step;
                if shared.is_step {
                    // None: then the next command is refused.
                    shell.last_step = marks.process().unwrap_or_default();
                }
                return Ok(output);
            }
            let Some(message) = line.reader.wait().await else {
                return Err(self.lost().into());
            };
            is_closed = line.progress.take(message, self)?;
        }
    }

    /// Hands a text to the shell, and takes what comes meanwhile; whether that was the last. A host takes in nothing
    /// before it has started the shell, so to wait only for that would be to wait for ever when it is gone.
    async fn give(&self, line: &mut Line, text: String) -> Result<bool, Missing> {
        let giving = line.writer.data_bytes(text);
        tokio::pin!(giving);
        loop {
            tokio::select! {
                biased;
                given = &mut giving => {
                    return match given {
                        Ok(()) => Ok(false),
                        Err(_) => Err(self.channels.gone().into()),
                    };
                }
                message = line.reader.wait() => {
                    let Some(message) = message else {
                        return Err(self.lost().into());
                    };
                    if line.progress.take(message, self)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The error for a command whose end can not be seen any more.
    fn lost(&self) -> TransportError {
        TransportError::Lost {
            target: self.name.clone(),
            reason: self.channels.ending().reason(),
        }
    }

    /// The shell has ended, in order and under a command.
    fn after_end(
        &self,
        turn: &mut Turn<'_>,
        marks: &Marks,
        is_step: bool,
    ) -> Result<Output, TransportError> {
        // A step may end the shell that it runs in, as it may one of its own.
        if is_step
            && let Some(shell) = &turn.shell
            && let Some(status) = shell.line.progress.status()
            && *status != ExitStatus::Code(0)
            && let Some(output) = marks.unfinished(&shell.line.progress, status.clone())
        {
            turn.shell = None;
            return Ok(output);
        }
        Err(TransportError::Lost {
            target: self.name.clone(),
            reason: "the shell there ended with the command".to_owned(),
        })
    }

    /// Waits until a shell that was only just started says which process it is.
    async fn introduce(&self, shell: &mut Shell) {
        let marks = Marks::new(&self.marker, shell.number);
        while shell.process.is_none()
            && let Some(message) = shell.line.reader.wait().await
            && shell.line.progress.take(message, self) == Ok(false)
        {
            shell.process = marks.shell(&shell.line.progress);
        }
    }

    /// Starts a shell; that it did is seen with its first command.
    async fn new_shell(&self, first: Option<&'static str>) -> Result<Shell, TransportError> {
        // The script is long, and would be kept twice while a channel is waited for.
        let text = {
            let words = [self.marker.as_str(), first.unwrap_or_default()];
            let (name, script) = Command::script(&LOOP, words).to_named_script();
            login_shell_text(&name, &script, &self.marker)
        }
        .map_err(|reason| self.not_started(reason))?;
        let lease = self.channels.acquire_one().await?;
        let (reader, writer) = lease.channel.split();
        let line = Line {
            reader,
            writer,
            slot: lease.slot,
            progress: Progress::new(&self.marker),
            is_requested: true,
        };
        if line.writer.exec(true, text).await.is_err() {
            return Err(self.channels.gone());
        }
        Ok(Shell {
            line,
            number: 0,
            process: None,
            scripts: Scripts::with(first),
            last_step: 0,
            is_unchecked: false,
        })
    }
}

#[cfg(test)]
mod tests;
