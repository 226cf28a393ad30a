//! This machine behind the same trait as a remote host: `sh -c`, in a process group of its own.

mod tree;

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Connector, Duplex, ExecRequest, ExitStatus, OUTPUT_LIMIT, Output, Stdin, TransportError, expiry,
};
use tree::Tree;

/// How long a command may take to end when it is asked to; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How much is read from a pipe at once.
const READ_SIZE: usize = 64 * 1024;

/// Runs commands on this machine as the current user.
#[derive(Debug)]
pub struct LocalConnector {
    user: String,
    closed: CancellationToken,
    grace: Duration,
}

impl LocalConnector {
    /// A connector for the user of this process.
    pub fn new() -> Self {
        Self {
            user: current_user(),
            closed: CancellationToken::new(),
            grace: GRACE,
        }
    }

    async fn run(&self, request: ExecRequest) -> Result<Output, TransportError> {
        let not_started = |reason: String| TransportError::NotStarted {
            target: self.describe(),
            reason,
        };
        if self.closed.is_cancelled() {
            return Err(not_started("the session is closed".to_owned()));
        }
        if request.cancel.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        let mut child = tokio::process::Command::new("sh")
            .arg("-c")
            .arg(request.command.to_script())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| not_started(error.to_string()))?;
        // Stays open until the command is ended: one whose input broke off must not see a proper end of it.
        let mut input = child.stdin.take();
        // Dropped before the input.
        let tree = Tree::of(&child);
        let outcome = {
            let talk = talk(&mut child, &mut input, request.stdin, request.taker);
            tokio::pin!(talk);
            tokio::select! {
                outcome = &mut talk => outcome,
                () = request.cancel.cancelled() => Err(TransportError::Cancelled),
                () = self.closed.cancelled() => Err(TransportError::Cancelled),
                limit = expiry(request.timeout) => Err(TransportError::TimedOut { limit }),
            }
        };
        match outcome {
            Ok(output) => {
                tree.leave();
                Ok(output)
            }
            Err(error) => {
                let killer = tree.end();
                let grace = self.grace;
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(grace, child.wait()).await;
                    drop(killer);
                    drop(input);
                });
                Err(error)
            }
        }
    }
}

impl Default for LocalConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector for LocalConnector {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        self.run(request).boxed()
    }

    fn open_tcp<'a>(
        &'a self,
        address: &'a str,
        port: u16,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Duplex>>, TransportError>> {
        async move {
            let stream = TcpStream::connect((address, port)).await.ok();
            Ok(stream.map(|stream| Box::new(stream) as Box<dyn Duplex>))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.cancel();
        futures::future::ready(()).boxed()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn describe(&self) -> String {
        "local".to_owned()
    }

    fn is_local(&self) -> bool {
        true
    }
}

/// Feeds the child, reads both outputs and waits for its end, all at once.
async fn talk(
    child: &mut Child,
    input: &mut Option<ChildStdin>,
    stdin: Stdin,
    taker: Option<mpsc::Sender<Bytes>>,
) -> Result<Output, TransportError> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // The command need not read its input to the end, so feeding may still be waiting when it has ended.
    let feed = async {
        if let Some(pipe) = input.as_mut() {
            feed(pipe, stdin).await?;
        }
        *input = None;
        Ok::<_, TransportError>(())
    };
    let end = async {
        let (stdout, stderr) = tokio::try_join!(collect(stdout, taker), collect(stderr, None))?;
        let status = child.wait().await.map_err(|error| lost(&error))?;
        Ok::<_, TransportError>(Output {
            status: exit_status(status),
            stdout,
            stderr,
        })
    };
    tokio::pin!(feed, end);
    let mut is_all_sent = false;
    loop {
        tokio::select! {
            output = &mut end => return output,
            result = &mut feed, if !is_all_sent => {
                result?;
                is_all_sent = true;
            }
        }
    }
}

async fn feed(pipe: &mut ChildStdin, stdin: Stdin) -> Result<(), TransportError> {
    let (first, rest) = match stdin {
        Stdin::Empty => return Ok(()),
        Stdin::Bytes(bytes) => (bytes, None),
        Stdin::Stream(bytes, receiver) => (bytes, Some(receiver)),
    };
    // A command that does not want more input is no failure: its status tells.
    if pipe.write_all(&first).await.is_err() {
        return Ok(());
    }
    if let Some(mut receiver) = rest {
        while let Some(piece) = receiver.recv().await {
            let piece = piece.map_err(|error| TransportError::Input {
                reason: error.to_string(),
            })?;
            if pipe.write_all(&piece).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What a pipe says, or nothing when there is somebody who takes it.
async fn collect(
    pipe: Option<impl AsyncRead + Unpin>,
    taker: Option<mpsc::Sender<Bytes>>,
) -> Result<Vec<u8>, TransportError> {
    let mut collected = Vec::new();
    let Some(mut pipe) = pipe else {
        return Ok(collected);
    };
    loop {
        collected.reserve(READ_SIZE);
        let count = pipe
            .read_buf(&mut collected)
            .await
            .map_err(|error| lost(&error))?;
        if count == 0 {
            return Ok(collected);
        }
        if let Some(taker) = &taker {
            // Who takes no more has given up; what still comes is for nobody.
            let _ = taker.send(std::mem::take(&mut collected).into()).await;
        }
        if collected.len() > OUTPUT_LIMIT {
            return Err(TransportError::TooMuchOutput);
        }
    }
}

fn lost(error: &std::io::Error) -> TransportError {
    TransportError::Lost {
        target: "local".to_owned(),
        reason: error.to_string(),
    }
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitStatus::Code(u32::try_from(code).unwrap_or(255)),
        (None, Some(signal)) => ExitStatus::Signal(signal_name(signal)),
        (None, None) => ExitStatus::Code(255),
    }
}

/// The name as SSH has it, without `SIG`.
fn signal_name(number: i32) -> String {
    match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        other => return other.to_string(),
    }
    .to_owned()
}

/// The name of the effective user, from the passwd file, or its number.
fn current_user() -> String {
    let number = rustix::process::geteuid().as_raw();
    let wanted = number.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == wanted).then(|| name.to_owned())
        })
        .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
        .unwrap_or(wanted)
}

#[cfg(test)]
mod tests;
