//! Asking a host: one request with one script, and the answer put together.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::answer::{Answer, Said};
use super::frame::Frames;
use super::model::{AnsibleFacts, Facts};
use super::{ansible, clock, engines, network, services, sockets, storage, system};
use crate::connect::{Command, Output, TransportError};
use crate::remote::Session;

/// The whole script. `$1`: programs to look for; `$2`: more systemd units; the rest: folders.
pub static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    Command::compact(concat!(
        include_str!("probes/00-prelude.sh"),
        include_str!("probes/10-system.sh"),
        include_str!("probes/20-network.sh"),
        include_str!("probes/12-limit.sh"),
        include_str!("probes/25-sockets.sh"),
        include_str!("probes/30-services.sh"),
        include_str!("probes/40-engines.sh"),
        include_str!("probes/50-storage.sh"),
        include_str!("probes/55-clock.sh"),
        include_str!("probes/60-end.sh"),
    ))
});

/// What [`Extent::System`] runs of it, for playbooks. Before the other words: the folder of local facts, if not the usual one.
pub static SYSTEM_SCRIPT: LazyLock<String> = LazyLock::new(|| {
    Command::compact(concat!(
        // Where `printf` is a program its words are limited: found by the status, as a search path without one.
        r#"facts() {
if [ -z "$by_line" ]; then
  first_path=$PATH
  PATH=/proc/self
  printf '' 2>/dev/null || exit 99
  PATH=$first_path
fi
"#,
        include_str!("probes/00-environment.sh"),
        include_str!("probes/00-prelude.sh"),
        include_str!("probes/10-system.sh"),
        include_str!("probes/12-limit.sh"),
        include_str!("probes/15-ansible.sh"),
        include_str!("probes/17-links.sh"),
        include_str!("probes/20-network.sh"),
        include_str!("probes/60-end.sh"),
        // All at once: line by line, each would cross the network alone.
        r#"
}
by_line=
collected=$(facts "$@")
if [ "$?" = 99 ]; then
  by_line=yes
  facts "$@"
else
  printf '%s\n' "$collected"
fi
"#,
    ))
});

/// The most time the whole look may take: several probes that each run into their own limit fit in it.
const LIMIT: Duration = Duration::from_secs(90);

/// How much of a host is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// Everything: services, sockets, engines and storage cost the host some 50 ms of its processor.
    #[default]
    Whole,
    /// The system itself and its network, which is what playbooks ask for; some 5 ms.
    System,
}

/// What to look at besides what is always looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// How much.
    pub extent: Extent,
    /// Folders, absolute: what they hold, and the file system they lie or would lie on.
    pub folders: Vec<String>,
    /// Names of programs to look for.
    pub tools: Vec<String>,
    /// More systemd units to ask about, with their suffix.
    pub units: Vec<String>,
    /// The folder of local facts, if not the usual one; for [`Extent::System`].
    pub fact_path: Option<String>,
}

/// Why there are no facts of a host.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The session failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The script did not run to its end, for instance because the host refused the privilege.
    #[error("read facts: {reason}")]
    Incomplete {
        /// The last line the host said on standard error, or how the script ended.
        reason: String,
        /// Everything it said there.
        details: String,
    },
}

/// Reads the facts of a host in one request. Changes nothing there.
///
/// # Errors
///
/// When the session fails, or when the script was ended before its end. A probe that fails is no error.
pub async fn gather(session: &Session, wanted: &Wanted) -> Result<Facts, FactsError> {
    let said = say(session, wanted).await?;
    let mut facts = parse(&said.text, said.sent, said.received).unwrap_or_default();
    facts.extent = said.extent;
    Ok(facts)
}

/// The same; the answer is read when it is looked at.
///
/// # Errors
///
/// As [`gather`].
pub async fn ask(session: &Session, wanted: &Wanted) -> Result<Answer, FactsError> {
    Ok(Answer::new(say(session, wanted).await?))
}

async fn say(session: &Session, wanted: &Wanted) -> Result<Said, FactsError> {
    let session = session.with_timeout(Some(LIMIT));
    let sent = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let started = Instant::now();
    let output = session.probe(command(wanted)).await?;
    let received = sent + started.elapsed();
    Ok(Said {
        text: text_of(&output)?,
        sent,
        received,
        extent: wanted.extent,
    })
}

/// The request as a command.
fn command(wanted: &Wanted) -> Command {
    let script = match wanted.extent {
        Extent::Whole => &SCRIPT,
        Extent::System => &SYSTEM_SCRIPT,
    };
    Command::script(script, arguments(wanted))
}

/// The script's arguments.
pub(super) fn arguments(wanted: &Wanted) -> Vec<String> {
    let mut arguments = vec![words(&wanted.tools), words(&wanted.units)];
    if wanted.extent == Extent::System {
        arguments.insert(0, wanted.fact_path.clone().unwrap_or_default());
    }
    // The root's file system is always of interest.
    if !wanted.folders.iter().any(|folder| folder == "/") {
        arguments.push("/".to_owned());
    }
    arguments.extend(wanted.folders.iter().cloned());
    arguments
}

/// Names for the script to split at blanks: anything that is no plain name is left out.
fn words(names: &[String]) -> String {
    let plain = |name: &&String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte))
    };
    let names: Vec<&str> = names.iter().filter(plain).map(String::as_str).collect();
    names.join(" ")
}

/// What the script said, if it came to its end.
fn text_of(output: &Output) -> Result<String, FactsError> {
    let text = output.stdout_text();
    if Frames::new(&text).has("end") {
        return Ok(text);
    }
    let details = output.stderr_text();
    let last = details.lines().rev().find(|line| !line.trim().is_empty());
    let reason = last.map_or_else(
        || {
            format!(
                "the script ended early with status {}",
                output.status.code()
            )
        },
        |line| line.trim().to_owned(),
    );
    Err(FactsError::Incomplete { reason, details })
}

/// Facts from the script's answer; `sent` and `received` are this machine's clock, as time since 1970, before the
/// request and after the answer. `None` when the answer was cut off.
pub fn parse(text: &str, sent: Duration, received: Duration) -> Option<Facts> {
    let frames = Frames::new(text);
    frames.has("end").then_some(())?;
    let mut facts = Facts::default();
    system::read(&frames, &mut facts);
    network::read(&frames, &mut facts);
    facts.listening = sockets::read(&frames);
    services::read(&frames, &mut facts);
    engines::read(&frames, &mut facts);
    storage::read(&frames, &mut facts);
    facts.ansible = AnsibleFacts::new(ansible::read(&frames));
    if let Some((offset, uncertainty)) =
        clock::offset(&frames, sent.as_secs_f64(), received.as_secs_f64())
    {
        facts.time_offset_seconds = Some(offset);
        facts.time_uncertainty_seconds = Some(uncertainty);
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_off_is_an_error_with_the_hosts_words() {
        let output = Output {
            stdout: b"\n=kk= clock-start\n1.0\n".to_vec(),
            stderr: b"sudo: a password is required\n".to_vec(),
            ..Output::default()
        };
        let error = text_of(&output).unwrap_err();
        assert_eq!(
            error.to_string(),
            "read facts: sudo: a password is required"
        );
    }

    #[test]
    fn names_that_are_no_names_do_not_reach_the_script() {
        let wanted = Wanted {
            extent: Extent::Whole,
            folders: vec!["/data x".to_owned()],
            tools: vec!["tar".to_owned(), "a;b".to_owned(), String::new()],
            units: vec!["getty@tty1.service".to_owned()],
            fact_path: None,
        };
        assert_eq!(
            arguments(&wanted),
            ["tar", "getty@tty1.service", "/", "/data x"]
        );
    }
}
