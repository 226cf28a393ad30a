//! Doing what a plan says. The only place where modules' steps reach a host.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{LedgerEntry, ModuleError, Plan, Reconnect, Step, StepOutput};
use crate::connect::{Output, TransportError};
use crate::remote::{Note, Progress, RemoteError, Session, Upload};

/// How many bytes of lines for the ledger go with a step.
const LONGEST_NOTE: usize = 32 * 1024;

/// Does one step.
pub async fn apply(
    session: &Session,
    step: &Step,
    progress: Progress<'_>,
) -> Result<StepOutput, ModuleError> {
    match step {
        Step::Run {
            command,
            stdin,
            timeout,
            any_status,
            purpose,
        } => {
            let limited;
            let session = match (timeout, session.timeout()) {
                (Some(own), Some(task)) => {
                    limited = session.with_timeout(Some(task.min(*own)));
                    &limited
                }
                (Some(own), None) => {
                    limited = session.with_timeout(Some(*own));
                    &limited
                }
                (None, _) => session,
            };
            let input = stdin
                .as_ref()
                .map_or_else(Bytes::new, |content| content.bytes.clone());
            let output = session.run(command.clone(), input).await?;
            if output.success() || *any_status {
                Ok(StepOutput::Ran(output))
            } else {
                Err(command_failed(purpose, &output))
            }
        }
        Step::Write {
            path,
            content,
            mode,
            owner,
            group,
        } => {
            let about = session
                .write_file(
                    path,
                    &content.bytes,
                    *mode,
                    owner.as_deref(),
                    group.as_deref(),
                )
                .await?;
            Ok(StepOutput::Wrote {
                bytes_sent: content.bytes.len() as u64,
                about,
            })
        }
        Step::Upload {
            source,
            sha256,
            size,
            dest,
            mode,
            owner,
            group,
        } => {
            let upload = Upload {
                source: source.clone(),
                sha256: sha256.clone(),
                size: *size,
                dest: dest.clone(),
                mode: *mode,
                owner: owner.clone(),
                group: group.clone(),
            };
            let bytes_sent = session.upload(&upload, progress).await?;
            Ok(StepOutput::Done { bytes_sent })
        }
        Step::Tree(tree) => {
            let (bytes_sent, about) = session.send_tree(tree, progress).await?;
            Ok(StepOutput::Wrote { bytes_sent, about })
        }
        Step::Download(download) => {
            let received = session.download(download, progress).await?;
            Ok(StepOutput::Received(received))
        }
        Step::Remove { path } => {
            session.remove(path).await?;
            Ok(StepOutput::Done { bytes_sent: 0 })
        }
        Step::Reconnect(how) => reconnect(session, how).await,
        Step::Control(call) => {
            let (endpoint, cancel) = (call.endpoint(), session.cancel());
            let address = endpoint
                .connect_to
                .map_or_else(|| endpoint.name.clone(), |address| address.to_string());
            // A registry may be where only its host sees it: behind a jump host, or a firewall that lets SSH in alone.
            // A host that forwards nothing is asked directly.
            let forward = session.forward(&address, endpoint.port).await;
            let answer = match &forward {
                Ok(forward) => {
                    crate::registry::execute(&call.clone().through(forward.entrance), cancel).await
                }
                Err(error) if error.loses_host() => return Err(error.clone().into()),
                Err(_) => crate::registry::execute(call, cancel).await,
            };
            answer.map(StepOutput::Answered).map_err(|error| {
                let failed = ModuleError::failed(format!("{}: {}", call.purpose(), error.message));
                match error.hint {
                    Some(hint) => failed.with_hint(hint),
                    None => failed,
                }
            })
        }
    }
}

/// Connects again and again until the host answers as it should.
async fn reconnect(session: &Session, how: &Reconnect) -> Result<StepOutput, ModuleError> {
    let start = tokio::time::Instant::now();
    let pause = |time: Duration| async move {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = session.cancel().cancelled() => Err(TransportError::Cancelled),
        }
    };
    pause(how.delay).await?;
    let patient = session.with_timeout(Some(how.attempt));
    loop {
        let attempt = async {
            patient.reconnect().await?;
            patient.probe(how.test.clone()).await
        };
        let limited = tokio::time::timeout(how.attempt * 2, attempt);
        let answered = tokio::select! {
            answered = limited => answered,
            () = session.cancel().cancelled() => return Err(TransportError::Cancelled.into()),
        };
        let last = match answered {
            Ok(Ok(output)) if !output.success() => {
                format!("the test command ended with {}", output.status.code())
            }
            Ok(Ok(output)) if Some(output.stdout_text()) == how.unlike => {
                "the host has not gone down yet".to_owned()
            }
            Ok(Ok(_)) => return Ok(StepOutput::Answered(start.elapsed().as_secs().into())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        if start.elapsed() >= how.delay + how.timeout {
            let seconds = how.timeout.as_secs();
            return Err(ModuleError::failed(format!(
                "timed out waiting for the host, {seconds} s: {last}"
            )));
        }
        pause(how.pause).await?;
    }
}

/// Does the steps of a plan in order. What the plan creates is written to the ledger of `component` in the same round
/// trip as the first step that reaches the host, before it. Stops at the first failure.
pub async fn apply_plan(
    session: &Session,
    component: Option<&str>,
    plan: &Plan,
    progress: Progress<'_>,
) -> Result<Vec<StepOutput>, Stopped> {
    let mut outputs = Vec::with_capacity(plan.steps.len());
    match apply_steps(session, component, plan, progress, &mut outputs).await {
        Ok(()) => Ok(outputs),
        Err(error) => Err(Stopped {
            error,
            has_done_some: !outputs.is_empty(),
        }),
    }
}

/// A plan that was not done to its end.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Stopped {
    /// Why.
    pub error: ModuleError,
    /// Steps before the one that failed were done.
    pub has_done_some: bool,
}

impl From<Stopped> for ModuleError {
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

async fn apply_steps(
    session: &Session,
    component: Option<&str>,
    plan: &Plan,
    progress: Progress<'_>,
    outputs: &mut Vec<StepOutput>,
) -> Result<(), ModuleError> {
    let mut note = component
        .map(|component| {
            Ok::<_, ModuleError>(Note {
                component: component.to_owned(),
                lines: ledger_lines(&plan.creates)?,
            })
        })
        .transpose()?
        .filter(|note| !note.lines.is_empty());
    if let Some(long) = note.take_if(|note| length(&note.lines) > LONGEST_NOTE) {
        // More than a command can carry as its words.
        let mut lines = Vec::new();
        for line in long.lines {
            lines.push(line);
            if length(&lines) > LONGEST_NOTE {
                let full = std::mem::take(&mut lines);
                session.ledger_add(&long.component, full).await?;
            }
        }
        session.ledger_add(&long.component, lines).await?;
    }
    for step in &plan.steps {
        let output = match note.take() {
            // A call of this machine does not carry the note to the host.
            Some(pending)
                if matches!(
                    step,
                    Step::Control(_) | Step::Download(_) | Step::Reconnect(_)
                ) =>
            {
                session
                    .ledger_add(&pending.component, pending.lines)
                    .await?;
                apply(session, step, progress).await?
            }
            Some(pending) => apply(&session.noting(Some(pending)), step, progress).await?,
            None => apply(session, step, progress).await?,
        };
        outputs.push(output);
    }
    Ok(())
}

/// How many bytes lines have.
fn length(lines: &[String]) -> usize {
    lines.iter().map(String::len).sum()
}

/// Ledger entries as the lines of the ledger.
pub fn ledger_lines(entries: &[LedgerEntry]) -> Result<Vec<String>, ModuleError> {
    entries
        .iter()
        .map(|entry| {
            serde_json::to_string(entry)
                .map_err(|error| ModuleError::failed(format!("write the ledger: {error}")))
        })
        .collect()
}

/// The failure of a command that ran, with everything it said.
pub(crate) fn command_failed(purpose: &str, output: &Output) -> ModuleError {
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    let last = [&stderr, &stdout]
        .into_iter()
        .map(|text| crate::remote::last_line(text))
        .find(|line| !line.is_empty());
    let status = match &output.status {
        crate::connect::ExitStatus::Code(code) => format!("exit status {code}"),
        crate::connect::ExitStatus::Signal(name) => format!("ended by signal {name}"),
    };
    let details = if stderr.trim().is_empty() {
        stdout
    } else {
        stderr
    };
    ModuleError::Failed {
        message: match last {
            Some(line) => format!("{purpose}: {status}: {line}"),
            None => format!("{purpose}: {status}"),
        },
        hint: None,
        details: Some(details).filter(|text| !text.trim().is_empty()),
        result: {
            let mut result = output_values(output);
            result.extend(ansible_words(&result_text(&result)));
            result
        },
    }
}

/// What the last line on standard error of a result was.
fn result_text(result: &Map<String, Value>) -> String {
    let text = result.get("stderr").and_then(Value::as_str);
    crate::remote::last_line(text.unwrap_or_default())
}

/// What the scripts that write files complain of, as the `msg` that playbooks know.
fn ansible_words(line: &str) -> Option<(String, Value)> {
    let said = if line.starts_with("failed to validate: ") {
        line.to_owned()
    } else {
        let folder = line.split_once("the folder `")?.1;
        let folder = folder.strip_suffix("` is not there")?;
        format!("Destination directory {folder} does not exist")
    };
    Some(("msg".to_owned(), said.into()))
}

/// `rc`, `stdout`, `stderr` and their lines, as Ansible returns them.
pub(crate) fn output_values(output: &Output) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("rc".to_owned(), output.status.code().into());
    for (name, text) in [
        ("stdout", output.stdout_text()),
        ("stderr", output.stderr_text()),
    ] {
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        let lines: Vec<Value> = text.lines().map(Value::from).collect();
        result.insert(format!("{name}_lines"), lines.into());
        result.insert(name.to_owned(), text.into());
    }
    result
}

impl From<RemoteError> for ModuleError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Transport(error) => Self::Transport(error),
            RemoteError::Failed {
                purpose,
                reason,
                details,
                hint,
            } => Self::Failed {
                hint,
                details: Some(details).filter(|text| !text.trim().is_empty()),
                result: ansible_words(&reason).into_iter().collect(),
                message: format!("{purpose}: {reason}"),
            },
        }
    }
}
