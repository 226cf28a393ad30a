//! By which program a session becomes another user, and how that program is called. Composes only; sends nothing.

mod refusals;

use bytes::Bytes;

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
    /// `doas`, which reads passwords from a terminal only: it must not ask for one.
    Doas,
}

impl Method {
    /// All names, as a playbook writes them.
    pub const NAMES: [&'static str; 3] = ["sudo", "su", "doas"];

    /// The method of this name, with or without its collection.
    pub fn named(name: &str) -> Option<Self> {
        let short = ["ansible.builtin.", "ansible.legacy.", "community.general."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        match short {
            "sudo" => Some(Self::Sudo),
            "su" => Some(Self::Su),
            "doas" => Some(Self::Doas),
            _ => None,
        }
    }

    /// The name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Doas => "doas",
        }
    }

    /// Why the program did not run the command, and what to do, in words.
    pub(super) fn explain(
        self,
        output: &Output,
        user: &str,
        password_given: bool,
    ) -> (String, String) {
        refusals::explain(self, output, user, password_given)
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
            (Method::Doas, _) | (Method::Sudo, None) => None,
            (_, Some(password)) => Some(password),
            // It would take the command's input for the answer.
            (Method::Su, None) => Some(""),
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
            Method::Doas => {
                let flags = self.flags.iter().flatten().filter(|flag| *flag != "-n");
                let program = program.args(flags).literal("-n -u").arg(user);
                gated.prefixed(program.literal("--"))
            }
            Method::Su => {
                let program = program.args(self.flags.iter().flatten());
                gated.for_login_shell(program.arg(user).literal("-c"))
            }
        };
        Ok(Elevated { command, prefix })
    }
}
