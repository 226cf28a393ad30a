//! What goes around a command on its way to the host: the locale, becoming another user, and for steps the own
//! session, the step lock and the ledger. Composes and judges only; sends nothing.
//!
//! No wrapper costs a round trip of its own. With sudo the wrapped script writes a random mark to standard error once
//! it runs: what stands before the mark is sudo's, what follows is the command's, and no mark means that the command
//! did not run.

use bytes::Bytes;

use super::privilege::Method;
use super::{Become, Note};
use crate::connect::{Command, KeptStep, Output, Sharing, Stdin, TransportError};

/// Around every command that changes something: `$0` is the name by which [`stop`](super::stop) finds it, `$1` the
/// state folder, `$2` the ledger's file, `$3` the number of ledger lines, then the lines, then the command.
///
/// The lock is held by this shell and closed in the command, so a daemon that a step leaves behind does not keep it.
const STEP: &str = r#"LC_ALL=C; export LC_ALL
state=$1 ledger=$2 count=$3
shift 3
if [ -r "$state/step.lock" ] && command -v flock >/dev/null 2>&1; then
  exec 9<"$state/step.lock"
  flock -s 9
fi
if [ "$count" -gt 0 ]; then
  (
    umask 077
    mkdir -p -- "$state" "$state/ledger" || exit 1
    new=
    number=0
    for line; do
      [ "$number" -lt "$count" ] || break
      number=$((number + 1))
      [ -f "$ledger" ] && grep -qxF -e "$line" -- "$ledger" && continue
      new="$new$line
"
    done
    [ -n "$new" ] || exit 0
    { if [ -f "$ledger" ]; then cat -- "$ledger"; fi && printf '%s' "$new"; } >"$ledger.new" || exit 1
    sync -- "$ledger.new" 2>/dev/null || :
    mv -f -- "$ledger.new" "$ledger"
  ) || { echo "kk: cannot write the ledger \`$ledger\`" >&2; exit 1; }
  shift "$count"
fi
if command -v setsid >/dev/null 2>&1; then
  setsid "$@" 9<&-
else
  "$@" 9<&-
fi
exit $?"#;

/// The same for a command that puts nothing into the ledger, as most do: `$1` the state folder, then the command.
/// One line of characters that every login shell leaves alone, so that it goes over the wire as it is. A kept shell does
/// this itself.
const BARE_STEP: &str = concat!(
    r#"if [ -r "$1/step.lock" ]&&command -v flock >/dev/null 2>&1;then exec 9<"$1/step.lock";flock -s 9;fi;shift;"#,
    r#"if command -v setsid >/dev/null 2>&1;then setsid "$@" 9<&-;else "$@" 9<&-;fi;exit $?"#
);

/// The start of the name of a step's wrapper among the host's processes.
pub(super) const STEP_NAME: &str = "kk-step-";

/// A command made ready for the host, and what is needed to understand the answer.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) command: Command,
    /// Goes before the command's own input.
    prefix: Bytes,
    /// What the gate writes to standard error once sudo let it through.
    mark: Option<String>,
    /// Whom the program is asked for, which program that is, and whether it got a password.
    user: String,
    method: Method,
    password_given: bool,
}

/// Sixteen random hexadecimal digits.
pub(super) fn random_name() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Puts the step's wrapper around a command. `name` is what [`super::stop`] looks for.
pub(super) fn step(command: Command, name: &str, state: &str, note: Option<&Note>) -> Command {
    let shell = Command::new("sh -c");
    let name = format!("{STEP_NAME}{name}");
    let wrapper = match note {
        None => shell.arg(BARE_STEP).arg(name).arg(state),
        Some(note) => shell
            .arg(STEP)
            .arg(name)
            .arg(state)
            .arg(super::ledger::file(state, &note.component))
            .arg(note.lines.len().to_string())
            .args(&note.lines),
    };
    command.prefixed(wrapper)
}

/// Puts privilege around a command.
pub(super) fn privilege(
    command: Command,
    privilege: &Become,
    session_user: &str,
    target: &str,
) -> Result<Wrapped, TransportError> {
    let user = match &privilege.user {
        Some(user) if user != session_user => user.clone(),
        _ => {
            // The connector's own shell has the locale; only what does not start there needs to be told.
            let command = if command.is_script() {
                command
            } else {
                command.prefixed(Command::new("env LC_ALL=C"))
            };
            return Ok(Wrapped {
                command,
                prefix: Bytes::new(),
                mark: None,
                user: session_user.to_owned(),
                method: privilege.method,
                password_given: false,
            });
        }
    };
    let mark = format!("kk-{}", random_name());
    let elevated = privilege.around(command, &user, &mark, target)?;
    Ok(Wrapped {
        command: elevated.command,
        prefix: elevated.prefix,
        mark: Some(mark),
        user,
        method: privilege.method,
        password_given: privilege.password.is_some(),
    })
}

impl Wrapped {
    /// How it may share a shell: what runs as somebody else has to be told what a step is by its wrapper.
    pub(super) fn sharing(&self, sharing: Sharing) -> Sharing {
        match sharing {
            Sharing::Step(step) if self.mark.is_some() => {
                Sharing::Step(KeptStep { bare: None, ..step })
            }
            sharing => sharing,
        }
    }

    /// The input that the host gets for what the command is to read.
    pub(super) fn stdin(&self, stdin: Stdin) -> Stdin {
        after(&self.prefix, stdin)
    }

    /// The command's own output, or why sudo did not let it run.
    pub(super) fn judge(&self, mut output: Output, target: &str) -> Result<Output, TransportError> {
        let Some(mark) = &self.mark else {
            return Ok(output);
        };
        let line = format!("{mark}\n");
        let found = memchr::memmem::find(&output.stderr, line.as_bytes());
        if let Some(start) = found {
            output.stderr.drain(..start + line.len());
            return Ok(output);
        }
        let (reason, hint) = self
            .method
            .explain(&output, &self.user, self.password_given);
        Err(TransportError::Privilege {
            target: target.to_owned(),
            user: self.user.clone(),
            reason,
            hint,
        })
    }
}

/// Input with something before it.
pub(super) fn after(prefix: &Bytes, stdin: Stdin) -> Stdin {
    if prefix.is_empty() {
        return stdin;
    }
    let join = |bytes: &Bytes| {
        let mut joined = Vec::with_capacity(prefix.len() + bytes.len());
        joined.extend_from_slice(prefix);
        joined.extend_from_slice(bytes);
        Bytes::from(joined)
    };
    match stdin {
        Stdin::Empty => Stdin::Bytes(prefix.clone()),
        Stdin::Bytes(bytes) => Stdin::Bytes(join(&bytes)),
        Stdin::Stream(first, rest) => Stdin::Stream(join(&first), rest),
    }
}

/// The last line that says something.
pub(crate) fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}
