//! The run lock: one kk at a time changes a host. It is held by the connection itself, so that it goes when kk is
//! killed, when its machine dies, or when the network is cut for longer than a heartbeat.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::hold::{WhenCrowded, hold};
use super::{RemoteError, Session};
use crate::connect::{Command, Output, Sharing, Stdin, TransportError};

/// Takes the lock, from a silent holder as soon as that gives up; waits for a step that a killed run left behind, says so
/// in the lock's file, and holds on as long as something arrives on standard input.
const HOLD: &str = r#"
state=$1 id=$2 holder=$3 wait=$4
umask 077
command -v flock >/dev/null 2>&1 || { mkdir -p -- "$state" || exit 1; exit 20; }
tries=0
# A run that ends at this moment takes file and folder away: then it is begun again.
while :; do
  mkdir -p -- "$state" || exit 1
  if command exec 8>>"$state/lock"; then
    until flock -n 8; do
      # A holder that was not heard of for two heartbeats has lost its machine or its network and is about to give up.
      heard=$(stat -c %Y -- "$state/lock" 2>/dev/null) || heard=$(date +%s)
      if [ "$(($(date +%s) - heard))" -lt 45 ]; then cat -- "$state/lock"; exit 21; fi
      sleep 1 8>&-
    done
    [ "$state/lock" -ef "/proc/$$/fd/8" ] && break
  fi
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || exit 1
done
printf '%s\n' "$holder" >"$state/lock" || exit 1
exec 9>>"$state/step.lock"
tries=0
until flock -n 9; do
  tries=$((tries + 1))
  if [ "$tries" -gt "$wait" ]; then : >"$state/lock"; exit 22; fi
  sleep 1 9>&- 8>&-
done
exec 9>&-
printf '%s\nheld %s\n' "$holder" "$id" >"$state/lock" || exit 1
while :; do
  if command -v timeout >/dev/null 2>&1; then line=$(timeout 90 head -n 1); else IFS= read -r line || line=; fi
  [ -n "$line" ] || break
  touch -c -- "$state/lock"
done
: >"$state/lock"
# Where nothing of ours is left the locks go too, unless a step of a killed run goes on.
exec 9<"$state/step.lock" && flock -n 9 || exit 0
for name in "$state"/* "$state"/.[!.]*; do
  case $name in "$state/lock"|"$state/step.lock") continue ;; esac
  if [ -e "$name" ]; then exit 0; fi
done
rm -f -- "$state/lock" "$state/step.lock"
rmdir -- "$state" 2>/dev/null
exit 0
"#;

/// Waits until the lock's file names this run.
const AWAIT: &str = r#"
tries=$((($3 + 5) * 25))
until grep -qxF -e "held $2" -- "$1/lock" 2>/dev/null; do
  [ "$tries" -gt 0 ] || exit 1
  sleep 0.04 2>/dev/null || { sleep 1; tries=$((tries - 24)); }
  tries=$((tries - 1))
done
"#;

/// Waits until no step of a killed run is left. Writes nothing.
const SETTLE: &str = r#"
[ -r "$1/step.lock" ] || exit 0
command -v flock >/dev/null 2>&1 || exit 0
exec 9<"$1/step.lock"
tries=$(($2 * 5))
until flock -n 9; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 0.2 9<&- 2>/dev/null || { sleep 1 9<&-; tries=$((tries - 4)); }
done
exit 0
"#;

/// A held lock. Dropping it lets go without waiting; [`RunLock::release`] waits until the host has let go.
#[derive(Debug)]
pub struct RunLock {
    stop: CancellationToken,
    task: JoinHandle<Result<Output, TransportError>>,
}

impl RunLock {
    /// Whether the lock is still ours, as far as can be known from here.
    pub fn is_held(&self) -> bool {
        !self.task.is_finished()
    }

    /// Lets go and waits until the host has done so, at most five seconds.
    pub async fn release(mut self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(5), &mut self.task).await;
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Session {
    /// Waits, at most for `wait`, until no step that a killed run left behind is at work any more; whether that is so.
    /// Writes nothing on the host. Who looks at the host before would see it in the middle of a change.
    pub async fn settle(&self, wait: Duration) -> Result<bool, TransportError> {
        let words = [self.state_dir().to_owned(), wait.as_secs().to_string()];
        let output = self.probe(Command::script(SETTLE, words)).await?;
        Ok(output.success())
    }

    /// Takes the host's run lock. `holder` is what another kk tells its user meanwhile: who, from where, since when.
    /// Waits at most `wait` for a step of a killed run to end.
    ///
    /// `Ok(None)` when the host has no `flock`: then there is no lock, and the caller says so.
    pub async fn lock(
        &self,
        run_id: &str,
        holder: &str,
        wait: Duration,
    ) -> Result<Option<RunLock>, RemoteError> {
        const PURPOSE: &str = "take the host's run lock";
        let holder: String = holder
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        let script = Command::script(
            HOLD,
            [
                self.state_dir().to_owned(),
                run_id.to_owned(),
                holder,
                wait.as_secs().to_string(),
            ],
        );
        let stop = CancellationToken::new();
        let session = self
            .with_cancel(CancellationToken::new())
            .with_timeout(None);
        let mut task = hold(
            &session,
            script,
            Sharing::Hold,
            stop.clone(),
            WhenCrowded::Stays,
        );
        let lock_dropped = stop.clone().drop_guard();
        let seen = session.send(
            Command::script(
                AWAIT,
                [
                    self.state_dir().to_owned(),
                    run_id.to_owned(),
                    wait.as_secs().to_string(),
                ],
            ),
            Stdin::Empty,
            Sharing::Look,
        );
        let output = tokio::select! {
            ended = &mut task => match ended {
                Ok(result) => result?,
                Err(error) => return Err(RemoteError::failed(PURPOSE, error.to_string())),
            },
            seen = seen => {
                let seen = seen?;
                if seen.success() {
                    lock_dropped.disarm();
                    return Ok(Some(RunLock { stop, task }));
                }
                return Err(RemoteError::from_output(PURPOSE, &seen));
            }
            () = self.cancel().cancelled() => return Err(TransportError::Cancelled.into()),
        };
        match output.status.code() {
            20 => Ok(None),
            21 => {
                let text = output.stdout_text();
                let who = text.lines().next().filter(|line| !line.is_empty());
                Err(RemoteError::failed(
                    PURPOSE,
                    format!("another run holds it: {}", who.unwrap_or("it did not say who")),
                )
                .with_hint("wait until it ends; when its machine is gone, the lock goes within two minutes"))
            }
            22 => Err(RemoteError::failed(
                PURPOSE,
                format!(
                    "a step of an earlier run has been going on for more than {} s",
                    wait.as_secs()
                ),
            )
            .with_hint("look for `kk-step` among the host's processes; end it, or wait for it, then run again")),
            _ => Err(RemoteError::from_output(PURPOSE, &output)),
        }
    }
}
