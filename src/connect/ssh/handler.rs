//! What the protocol library asks during a connection: is this host key trusted, and why did the session end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelOpenFailure};
use tokio::time::Instant;

use super::options::{HostKeyPolicy, HostKeyQuestion, SshOptions};
use crate::connect::TransportError;
use crate::connect::known_hosts::{Decision, KnownKey, fingerprint, lookup_name};

/// Why a session ended, once it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<OnceLock<Cause>>);

#[derive(Debug)]
enum Cause {
    /// The host said so, in these words.
    Message(String),
    /// It broke.
    Broken(String),
}

impl Ending {
    /// The reason for people.
    pub(super) fn reason(&self) -> String {
        match self.0.get() {
            Some(Cause::Message(message)) => format!("the host ended it: {message}"),
            Some(Cause::Broken(reason)) => reason.clone(),
            None => "the other end closed it".to_owned(),
        }
    }

    /// What the host said when it ended the session, if it did.
    pub(super) fn message(&self) -> Option<&str> {
        match self.0.get() {
            Some(Cause::Message(message)) => Some(message),
            _ => None,
        }
    }

    // What is noted first stays.
    fn note(&self, cause: Cause) {
        let _ = self.0.set(cause);
    }

    /// This side ends the session.
    pub(super) fn note_closed_here(&self) {
        self.note(Cause::Broken("the session is closed".to_owned()));
    }
}

/// How long a person was asked: that time counts against no limit.
#[derive(Debug, Clone, Default)]
pub(super) struct AskClock(Arc<Mutex<AskTimes>>);

#[derive(Debug, Default)]
struct AskTimes {
    past: Duration,
    since: Option<Instant>,
}

impl AskClock {
    pub(super) fn start(&self) {
        self.lock().since = Some(Instant::now());
    }

    pub(super) fn stop(&self) {
        let mut times = self.lock();
        if let Some(since) = times.since.take() {
            times.past += since.elapsed();
        }
    }

    /// All the time so far.
    pub(super) fn spent(&self) -> Duration {
        let times = self.lock();
        times.past + times.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AskTimes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a future for at most `limit`, not counting the time a person is asked. `None` if the limit passed.
    pub(super) async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::pin!(future);
        let start = Instant::now();
        let asked_before = self.spent();
        loop {
            let allowed = limit + self.spent().saturating_sub(asked_before);
            tokio::select! {
                output = &mut future => return Some(output),
                () = tokio::time::sleep_until(start + allowed) => {
                    if start.elapsed() >= limit + self.spent().saturating_sub(asked_before) {
                        return None;
                    }
                }
            }
            // While a person is asked the limit moves on with the clock.
            if self.lock().since.is_some() {
                tokio::select! {
                    output = &mut future => return Some(output),
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                }
            }
        }
    }
}

/// An error inside the session.
#[derive(Debug)]
pub(super) enum SessionError {
    /// Of the protocol.
    Protocol(russh::Error),
    /// The host key is not trusted.
    HostKey(Box<TransportError>),
}

impl From<russh::Error> for SessionError {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

/// The callbacks of one session.
pub(super) struct Client {
    pub(super) options: Arc<SshOptions>,
    pub(super) ending: Ending,
    pub(super) clock: AskClock,
}

impl Handler for Client {
    type Error = SessionError;

    async fn check_server_key(
        &mut self,
        presented: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        self.verify(presented)
            .await
            .map_err(|error| SessionError::HostKey(Box::new(error)))?;
        self.options.lending.trust(&presented.public_key());
        Ok(true)
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Without a command that may use it there is no agent, whoever asks.
        if !self.options.lending.is_borrowed() {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Ok(());
        }
        reply.accept().await;
        let lending = Arc::clone(&self.options.lending);
        tokio::spawn(async move { lending.serve(channel.into_stream()).await });
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.ending
                    .note(Cause::Message(info.message.trim().to_owned()));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                if let SessionError::Protocol(error) = &error {
                    self.ending
                        .note(Cause::Broken(describe(error, &self.options)));
                }
                Err(error)
            }
        }
    }
}

/// An error of a session that was up, for people.
fn describe(error: &russh::Error, options: &SshOptions) -> String {
    match error {
        russh::Error::KeepaliveTimeout => format!(
            "nothing came from the host for {} s",
            (options.keepalive_interval * options.keepalive_count).as_secs()
        ),
        russh::Error::Disconnect | russh::Error::HUP => "the other end closed it".to_owned(),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the other end closed it".to_owned()
        }
        other => other.to_string(),
    }
}

impl Client {
    async fn verify(&self, presented: &PublicKeyOrCertificate) -> Result<(), TransportError> {
        let options = &self.options;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (name, port) = options.known_as();
        let decision = options.known_hosts.check(name, port, presented, now);
        let key = presented.public_key();
        let algorithm = key.algorithm().as_str().to_owned();
        let shown = fingerprint(key.key_data());
        match decision {
            Decision::Trusted => Ok(()),
            Decision::Revoked { by } => Err(self.refused(
                format!("its key {algorithm} {shown} is revoked by {by}"),
                "somebody may be using a stolen key: do not connect before this is cleared up"
                    .to_owned(),
            )),
            Decision::Changed { known, certificate } => {
                Err(self.changed(&algorithm, &shown, &known, certificate))
            }
            Decision::Unknown { certificate } => {
                let accepted = match &options.host_key_policy {
                    HostKeyPolicy::Strict => false,
                    HostKeyPolicy::AcceptNew => true,
                    HostKeyPolicy::Ask(asker) => {
                        self.clock.start();
                        let answer = asker
                            .ask(HostKeyQuestion {
                                address: options.address(),
                                algorithm: algorithm.clone(),
                                fingerprint: shown.clone(),
                                file: options.known_hosts.writable_file().map(Into::into),
                            })
                            .await;
                        self.clock.stop();
                        answer
                    }
                };
                if accepted {
                    options
                        .known_hosts
                        .remember(name, port, key.key_data())
                        .map(|_| ())
                        .map_err(|reason| TransportError::Local {
                            reason: format!(
                                "remember the host key of {}: {reason}",
                                options.address()
                            ),
                            hint: "make the file writable, or add the key to it by hand".to_owned(),
                        })
                } else {
                    Err(self.unknown(&algorithm, &shown, certificate))
                }
            }
        }
    }

    fn refused(&self, reason: String, hint: String) -> TransportError {
        TransportError::HostKey {
            target: self.options.address(),
            reason,
            hint,
        }
    }

    fn unknown(&self, algorithm: &str, shown: &str, certificate: Option<String>) -> TransportError {
        let SshOptions { host, port, .. } = &*self.options;
        let mut reason = format!("it is not known; it presents {algorithm} {shown}");
        if let Some(why) = certificate {
            reason.push_str(" and a certificate that does not count: ");
            reason.push_str(&why);
        }
        let file = self
            .options
            .known_hosts
            .writable_file()
            .map_or_else(|| "~/.ssh/known_hosts".to_owned(), shell_path);
        let kind = scan_type(algorithm);
        let how = match &self.options.host_key_alias {
            Some(alias) => format!("to {file} under the name `{alias}`"),
            None => format!("`ssh-keyscan -p {port} -t {kind} {host} >> {file}`"),
        };
        self.refused(
            reason,
            format!(
                "compare the fingerprint with what `ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` shows on the \
                 host itself, then add the key: {how}; to trust every host on first contact: \
                 `--host-key-checking accept-new`"
            ),
        )
    }

    fn changed(
        &self,
        algorithm: &str,
        shown: &str,
        known: &[KnownKey],
        certificate: Option<String>,
    ) -> TransportError {
        let listed: Vec<String> = known.iter().map(ToString::to_string).collect();
        let mut reason = format!(
            "it has changed; it presents {algorithm} {shown}, and known is {}",
            listed.join(", ")
        );
        if let Some(why) = certificate {
            reason.push_str("; its certificate does not count: ");
            reason.push_str(&why);
        }
        let (name, port) = self.options.known_as();
        let name = lookup_name(name, port);
        let mut files: Vec<String> = known.iter().map(|key| shell_path(&key.file)).collect();
        files.dedup();
        let commands: Vec<String> = files
            .iter()
            .map(|file| format!("`ssh-keygen -f {file} -R '{name}'`"))
            .collect();
        self.refused(
            reason,
            format!(
                "either the host was installed anew or somebody is listening in; if it was, forget the old key with {} \
                 and verify the new one",
                commands.join(" and ")
            ),
        )
    }
}

/// A path for a command line that a person copies.
fn shell_path(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-~+".contains(&byte))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The name of a key type for `ssh-keyscan -t` and in file names.
fn scan_type(algorithm: &str) -> &'static str {
    if algorithm.starts_with("ecdsa") {
        "ecdsa"
    } else if algorithm.contains("rsa") {
        "rsa"
    } else {
        "ed25519"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn asking_a_person_stops_the_clock() {
        let clock = AskClock::default();
        let inner = clock.clone();
        let work = async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            inner.start();
            tokio::time::sleep(Duration::from_secs(300)).await;
            inner.stop();
            tokio::time::sleep(Duration::from_secs(4)).await;
            7
        };
        assert_eq!(clock.within(Duration::from_secs(10), work).await, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_otherwise() {
        let clock = AskClock::default();
        let start = Instant::now();
        let result = clock
            .within(Duration::from_secs(10), std::future::pending::<()>())
            .await;
        assert!(result.is_none());
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
