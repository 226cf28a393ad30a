//! By which program a session becomes another user, and how that program is called. Composes only; sends nothing.

use bytes::Bytes;

use super::wrap::last_line;
use crate::connect::{Command, Output, TransportError};
use crate::secret::SecretString;

/// How to become another user on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Become {
    /// The user to become; nothing is done when the session already is that user.
    pub user: Option<String>,
    /// The password that the program asks for, sent over standard input.
    pub password: Option<SecretString>,
    /// The program.
    pub method: Method,
    /// Its options, instead of the usual ones.
    pub flags: Option<Vec<String>>,
    /// Its name or path, instead of the usual one.
    pub executable: Option<String>,
}

/// A program that starts another as another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// `sudo`, which asks for the password of the user that logged in.
    #[default]
    Sudo,
    /// `su`, which asks for the password of the user to become, unless root calls it.
    Su,
}

impl Method {
    /// All names, as a playbook writes them.
    pub const NAMES: [&'static str; 2] = ["sudo", "su"];

    /// The method of this name, with or without its collection.
    pub fn named(name: &str) -> Option<Self> {
        let short = ["ansible.builtin.", "ansible.legacy.", "community.general."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        match short {
            "sudo" => Some(Self::Sudo),
            "su" => Some(Self::Su),
            _ => None,
        }
    }

    /// The name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Su => "su",
        }
    }

    /// Why the program did not run the command, and what to do, in words.
    pub(super) fn explain(
        self,
        output: &Output,
        user: &str,
        password_given: bool,
    ) -> (String, String) {
        match self {
            Self::Sudo => explain_sudo(output, user, password_given),
            Self::Su => explain_su(output, user, password_given),
        }
    }
}

/// Runs as the other user before the command: says so on standard error and hands over.
const GATE: &str = r#"LC_ALL=C; export LC_ALL; printf '%s\n' "$1" >&2; shift; exec "$@""#;

/// The same when a password was sent. Standard input is the password, the mark and the data, a line each. When nobody
/// asked (no password is wanted, or sudo still remembers the last one), the password is still there and is dropped
/// here, so that it never becomes the command's input.
const GATE_WITH_PASSWORD: &str = r#"IFS= read -r line || exit 125
[ "$line" = "$1" ] || { IFS= read -r line || exit 125; }
[ "$line" = "$1" ] || exit 125
unset line
LC_ALL=C; export LC_ALL; printf '%s\n' "$1" >&2; shift; exec "$@""#;

/// A command as another user, and what goes before its input.
pub(super) struct Elevated {
    pub(super) command: Command,
    pub(super) prefix: Bytes,
}

impl Become {
    /// Puts the program around a command. The gate writes `mark` to standard error once the program let it through.
    pub(super) fn around(
        &self,
        command: Command,
        user: &str,
        mark: &str,
        target: &str,
    ) -> Result<Elevated, TransportError> {
        let password = self
            .password
            .as_ref()
            .map(|password| password.expose().as_str());
        if password.is_some_and(|password| password.contains(['\n', '\0'])) {
            let program = self.method.name();
            return Err(TransportError::Privilege {
                target: target.to_owned(),
                user: user.to_owned(),
                reason: format!("the password for {program} holds a line break"),
                hint: format!("{program} reads one line; check where the password comes from"),
            });
        }
        let asked = match (self.method, password) {
            (_, Some(password)) => Some(password),
            // It would take the command's input for the answer.
            (Method::Su, None) => Some(""),
            (Method::Sudo, None) => None,
        };
        let prefix = asked.map_or_else(Bytes::new, |password| {
            Bytes::from(format!("{password}\n{mark}\n"))
        });
        let gate = match asked {
            Some(_) => GATE_WITH_PASSWORD,
            None => GATE,
        };
        let gated = command.prefixed(Command::new("sh -c").arg(gate).literal("sh").arg(mark));
        let program = Command::new("env LC_ALL=C");
        let program = match (&self.executable, self.method) {
            (Some(executable), _) => program.arg(executable),
            (None, method) => program.literal(method.name()),
        };
        let command = match self.method {
            Method::Sudo => {
                let program = match &self.flags {
                    Some(flags) => program.args(flags.iter().filter(|flag| *flag != "-n")),
                    None => program.literal("-H"),
                };
                let program = match asked {
                    Some(_) => program.literal("-S -p").arg(""),
                    None => program.literal("-n"),
                };
                gated.prefixed(program.literal("-u").arg(user).literal("--"))
            }
            Method::Su => {
                let program = program.args(self.flags.iter().flatten());
                gated.for_login_shell(program.arg(user).literal("-c"))
            }
        };
        Ok(Elevated { command, prefix })
    }
}

/// Why sudo did not run the command.
fn explain_sudo(output: &Output, user: &str, password_given: bool) -> (String, String) {
    let stderr = output.stderr_text();
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    let answer = |reason: &str, hint: &str| (reason.to_owned(), hint.to_owned());
    if output.status.code() == 127 || says(&["sudo: not found", "sudo: command not found"]) {
        return answer(
            "`sudo` is not installed",
            "install sudo on the host, or log in as root",
        );
    }
    if says(&["you must have a tty"]) {
        return answer(
            "sudo wants a terminal (`requiretty`)",
            "take `Defaults requiretty` out of the host's sudoers, or add `Defaults:<user> !requiretty`",
        );
    }
    if says(&[
        "not in the sudoers file",
        "is not allowed to",
        "may not run sudo",
    ]) {
        return answer(
            "the login user is not allowed to by sudoers",
            "add the user to the host's `sudo` or `wheel` group, or log in as another user",
        );
    }
    if says(&["unknown user"]) {
        return (
            format!("there is no user `{user}` on the host"),
            "correct the name of the user to become".to_owned(),
        );
    }
    if says(&["must be owned by uid 0", "effective uid is not 0", "nosuid"]) {
        return (
            format!("sudo itself does not work: {}", last_line(&stderr)),
            "repair sudo on the host, or log in as root".to_owned(),
        );
    }
    if says(&[
        "account validation failure",
        "account is locked",
        "Account expired",
    ]) {
        return (
            format!("the account may not be used: {}", last_line(&stderr)),
            "unlock the login user's account on the host".to_owned(),
        );
    }
    if says(&[
        "a password is required",
        "a terminal is required",
        "no tty present",
    ]) && !password_given
    {
        return answer(
            "sudo asks for a password and none was given",
            "give the host a `become_password`, or `-K` to be asked for it, or allow the user `NOPASSWD` in sudoers",
        );
    }
    if says(&[
        "incorrect password",
        "Sorry, try again",
        "no password was provided",
        "a password is required",
        "Authentication failure",
    ]) {
        return answer(
            "sudo did not take the password",
            "check the sudo password of this host; it is the login user's, not root's",
        );
    }
    if stderr.trim().is_empty() {
        return (
            format!(
                "sudo ended with status {} and said nothing",
                output.status.code()
            ),
            format!("try `sudo -u {user} id` on the host"),
        );
    }
    (
        last_line(&stderr),
        format!("try `sudo -u {user} id` on the host"),
    )
}

/// Why su did not run the command.
fn explain_su(output: &Output, user: &str, password_given: bool) -> (String, String) {
    let stderr = output.stderr_text();
    let said = format!("{stderr}{}", output.stdout_text());
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let try_it = format!("try `su {user} -c id` on the host");
    if output.status.code() == 127 && says(&["No such file", "not found"]) {
        return (
            "`su` is not there".to_owned(),
            "correct `become_exe`, or use `become_method: sudo`".to_owned(),
        );
    }
    if says(&["does not exist", "unknown user", "No passwd entry"]) {
        return (
            format!("there is no user `{user}` on the host"),
            "correct the name of the user to become".to_owned(),
        );
    }
    if says(&["account is currently not available", "nologin"]) {
        return (
            format!("`{user}` has no login shell"),
            "give su one with `become_flags: -s /bin/sh`, or use `become_method: sudo`".to_owned(),
        );
    }
    if says(&["Authentication failure", "incorrect password"]) {
        return if password_given {
            (
                "su did not take the password".to_owned(),
                format!("check the password; for su it is that of `{user}`"),
            )
        } else {
            (
                "su asks for a password and none was given".to_owned(),
                format!(
                    "give the password of `{user}` as `ansible_become_password` or with `-K`, or log in as root"
                ),
            )
        };
    }
    let reason = match last_line(&stderr) {
        line if line.is_empty() => format!(
            "su ended with status {} and said nothing",
            output.status.code()
        ),
        line => line,
    };
    (reason, try_it)
}
