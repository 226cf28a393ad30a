//! The shell that a connection keeps. A command of its own costs the host a session, a login shell and its start files;
//! one that reads nothing can run in a shell that is there already, one after the other, for a line on its input.
//!
//! What the shell says is cut by marks that nobody can guess: one before the command, so that a command which certainly
//! did not start is told from one whose end was not seen, and one on each output behind it.

use std::sync::Arc;

use russh::ChannelMsg;

use super::channels::{Borrowed, Channels};
use super::line::{Abandon, Line, Progress};
use super::session::SshConnector;
use crate::connect::wire::{login_shell_text, one_line};
use crate::connect::{Command, ExecRequest, ExitStatus, Output, Stdin, TransportError, expiry};

/// The longest script that is worth it: the shell reads it byte by byte.
const LONGEST_SCRIPT: usize = 8 * 1024;

/// `$1` the mark. Each line of input is a number and a script for `printf %b`.
const LOOP: &str = r#"kk_mark=$1
while IFS= read -r kk_line; do
  kk_number=${kk_line%% *} kk_line=${kk_line#* }
  printf '%s.%s?' "$kk_mark" "$kk_number"
  (eval "set --;$(printf %b "$kk_line")") </dev/null
  printf '%s.%s=%s:' "$kk_mark" "$kk_number" "$?"
  printf '%s.%s:' "$kk_mark" "$kk_number" >&2
done"#;

/// A shell that waits for its next command.
pub(super) struct Shell {
    line: Line,
    number: u64,
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

/// What the shell says around one command.
struct Marks {
    begin: String,
    /// The status and a colon follow.
    end: String,
    end_of_errors: String,
    /// How much of each output has been searched.
    searched: [usize; 2],
}

impl Marks {
    fn new(marker: &str, number: u64) -> Self {
        Self {
            begin: format!("{marker}.{number}?"),
            end: format!("{marker}.{number}="),
            end_of_errors: format!("{marker}.{number}:"),
            searched: [0; 2],
        }
    }

    /// Where a mark begins, looking only at what is new.
    fn find(&mut self, stream: usize, output: &[u8], mark: &str) -> Option<usize> {
        let searched = self.searched.get_mut(stream)?;
        let from = searched.saturating_sub(mark.len());
        let found = output
            .get(from..)?
            .windows(mark.len())
            .position(|window| window == mark.as_bytes());
        if found.is_none() {
            *searched = output.len();
        }
        found.map(|position| position + from)
    }

    fn has_begun(&self, progress: &Progress) -> bool {
        progress
            .outputs()
            .0
            .windows(self.begin.len())
            .any(|window| window == self.begin.as_bytes())
    }

    /// The command's outputs and status, once both of its ends are there.
    fn answer(&mut self, progress: &mut Progress) -> Option<Output> {
        let (stdout, stderr) = progress.outputs();
        let end_of_errors = self.end_of_errors.clone();
        let end = self.end.clone();
        let stderr_end = self.find(1, stderr, &end_of_errors)?;
        let stdout_end = self.find(0, stdout, &end)?;
        let rest = stdout.get(stdout_end + end.len()..)?;
        let colon = rest.iter().position(|&byte| byte == b':')?;
        let status = std::str::from_utf8(rest.get(..colon)?).ok()?.trim().parse();
        let begin = stdout
            .windows(self.begin.len())
            .position(|window| window == self.begin.as_bytes())?
            + self.begin.len();
        let output = Output {
            status: ExitStatus::Code(status.unwrap_or(255)),
            stdout: stdout.get(begin..stdout_end)?.to_vec(),
            stderr: stderr.get(..stderr_end)?.to_vec(),
        };
        progress.forget_outputs();
        Some(output)
    }
}

/// Whether a request may run in the kept shell, and the script for it.
fn shared_script(request: &ExecRequest) -> Option<String> {
    let reads_nothing = match &request.stdin {
        Stdin::Empty => true,
        Stdin::Bytes(bytes) => bytes.is_empty(),
        Stdin::Stream(..) => false,
    };
    if !request.is_shared || !reads_nothing {
        return None;
    }
    let (name, script) = request.command.to_named_script();
    // Somebody looks for a process of that name: it needs one of its own.
    let script = if name == "sh" {
        script
    } else {
        request.command.to_script()
    };
    (script.len() <= LONGEST_SCRIPT && !script.contains('\0')).then_some(script)
}

impl SshConnector {
    /// Runs a command in the connection's shell. `None` when there is none for it now, and when it certainly did not
    /// run there: it is to run on a channel of its own.
    pub(super) async fn run_shared(
        &self,
        request: &ExecRequest,
    ) -> Option<Result<Output, TransportError>> {
        let script = shared_script(request)?;
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
            result = self.talk_to_shell(&mut turn, &script) => result,
            () = request.cancel.cancelled() => Err(TransportError::Cancelled),
            limit = &mut expired => Err(TransportError::TimedOut { limit }),
        };
        match &result {
            Ok(_) => {
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
                turn.abandon(Abandon::Linger("TERM"));
            }
            Err(_) => turn.abandon(Abandon::Close),
        }
        Some(result)
    }

    async fn talk_to_shell(
        &self,
        turn: &mut Turn<'_>,
        script: &str,
    ) -> Result<Output, TransportError> {
        let shell = match &mut turn.shell {
            Some(shell) => shell,
            none => none.insert(self.new_shell().await?),
        };
        shell.number += 1;
        let text = format!("{} {}\n", shell.number, one_line(script));
        let mut marks = Marks::new(&self.marker, shell.number);
        let line = &mut shell.line;
        line.progress.forget_outputs();
        if line.writer.data_bytes(text).await.is_err() {
            return Err(self.channels.gone());
        }
        loop {
            let Some(message) = line.reader.wait().await else {
                return Err(TransportError::Lost {
                    target: self.name.clone(),
                    reason: self.channels.ending().reason(),
                });
            };
            if line.progress.take(message, self)? {
                // Closed in order: what the shell said before has all arrived.
                if !marks.has_begun(&line.progress) {
                    return Err(self.not_started("the shell there has ended".to_owned()));
                }
                return Err(TransportError::Lost {
                    target: self.name.clone(),
                    reason: "the shell there ended with the command".to_owned(),
                });
            }
            if let Some(output) = marks.answer(&mut line.progress) {
                return Ok(output);
            }
        }
    }

    /// Starts a shell; that it did is seen with its first command.
    async fn new_shell(&self) -> Result<Shell, TransportError> {
        let command = Command::script(LOOP, [self.marker.as_str()]);
        let (name, script) = command.to_named_script();
        let text = login_shell_text(&name, &script, &self.marker)
            .map_err(|reason| self.not_started(reason))?;
        let lease = self.channels.acquire().await?;
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
        Ok(Shell { line, number: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command as Process, Stdio};

    use super::*;

    /// What the loop says, in a shell, for some lines.
    fn say(shell: &[&str], lines: &str) -> (String, String) {
        let mut child = Process::new(shell[0])
            .args(&shell[1..])
            .args(["-c", LOOP, "sh", "M"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell:?}: {output:?}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    }

    #[test]
    fn every_shell_runs_the_loop() {
        let mut lines = String::new();
        for (number, script) in [
            "echo a; echo b >&2; exit 3",
            "set -- \"x y\" '\\z'; printf '%s|' \"$@\"; printf '\n\n'; read -r x; echo $?",
            "exit 0\n",
            "kk_mark=other; kk_number=9; cd /; exec false",
            "echo $#",
        ]
        .iter()
        .enumerate()
        {
            lines.push_str(&format!("{number} {}\n", one_line(script)));
        }
        let stdout = "M.0?a\nM.0=3:M.1?x y|\\z|\n\n1\nM.1=0:M.2?M.2=0:M.3?M.3=1:M.4?0\nM.4=0:";
        let stderr = "b\nM.0:M.1:M.2:M.3:M.4:";
        let mut tried = 0;
        for shell in [
            &["sh"][..],
            &["dash"],
            &["bash"],
            &["bash", "--posix"],
            &["busybox", "sh"],
            &["ksh"],
            &["mksh"],
            &["yash"],
        ] {
            if Process::new(shell[0])
                .arg("--help")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .stdin(Stdio::null())
                .status()
                .is_err()
            {
                continue;
            }
            assert_eq!(
                say(shell, &lines),
                (stdout.to_owned(), stderr.to_owned()),
                "{shell:?}"
            );
            tried += 1;
        }
        assert!(tried >= 4);
    }

    #[test]
    fn only_what_reads_nothing_and_is_short_shares() {
        let request =
            |script: &'static str| ExecRequest::new(Command::script(script, ["a b"])).shared();
        assert_eq!(shared_script(&request("id")).unwrap(), "set -- 'a b';id");
        assert_eq!(shared_script(&ExecRequest::new(Command::new("id"))), None);
        assert_eq!(
            shared_script(&request("id").stdin(Stdin::Bytes("x".into()))),
            None
        );
        assert!(shared_script(&request("id").stdin(Stdin::Bytes("".into()))).is_some());
        let long = ExecRequest::new(Command::script("id", ["a".repeat(LONGEST_SCRIPT)]));
        assert_eq!(shared_script(&long.shared()), None);
        let named = Command::new("sh -c").arg("id").arg("kk-step-1");
        let named = ExecRequest::new(named).shared();
        assert_eq!(shared_script(&named).unwrap(), "exec sh -c id kk-step-1");
    }

    #[test]
    fn a_mark_in_pieces_is_found() {
        let mut marks = Marks::new("kkM", 7);
        let whole = "noise kkM.7?out kkM.7=12:";
        for cut in 0..whole.len() {
            marks.searched = [0; 2];
            assert_eq!(
                marks.find(0, &whole.as_bytes()[..cut.min(20)], "kkM.7="),
                None
            );
            assert_eq!(marks.find(0, whole.as_bytes(), "kkM.7="), Some(16));
        }
    }
}
