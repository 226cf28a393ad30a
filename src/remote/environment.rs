//! The environment variables of a task on their way to the host: over standard input, before what the command itself
//! reads. They may be secrets, and whoever has an account on a host can read the arguments of every process there.

use bytes::Bytes;

use crate::connect::{Command, one_line};

/// Reads variables, a line `NAME=value` each with what no line can hold as for `printf %b`, up to an empty line, and
/// hands over to its arguments. `read` takes its input byte by byte, so all that follows is the command's.
const GATE: &str = concat!(
    r#"while IFS= read -r kk_line;do [ -n "$kk_line" ]||{ unset kk_line kk_value;exec "$@";};kk_value=${kk_line#*=};"#,
    r#"case $kk_value in *\\*)kk_value=$(printf %b. "$kk_value");kk_value=${kk_value%.};;esac;"#,
    r#"export "${kk_line%%=*}=$kk_value";done;echo "kk: the environment did not arrive">&2;exit 125"#
);

/// Variables for commands, ready to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    /// What goes before the command's own input; empty without variables.
    input: Bytes,
}

impl Environment {
    /// These variables; a later one of the same name is the stronger.
    pub(super) fn new(variables: &[(String, String)]) -> Self {
        let mut input = String::new();
        for (name, value) in variables {
            input.push_str(name);
            input.push('=');
            input.push_str(&one_line(value));
            input.push('\n');
        }
        if !input.is_empty() {
            input.push('\n');
        }
        Self {
            input: input.into(),
        }
    }

    /// The command, which reads its variables first.
    pub(super) fn around(&self, command: Command) -> Command {
        if self.input.is_empty() {
            return command;
        }
        command.prefixed(Command::script(GATE, [""; 0]))
    }

    /// What goes before the command's own input.
    pub(super) fn input(&self) -> &Bytes {
        &self.input
    }
}

/// Why this cannot be a variable of a command's environment, if so: names are those of a shell.
pub fn check_variable(name: &str, value: &str) -> Result<(), String> {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let is_name = name.bytes().next().is_some_and(is_letter)
        && name
            .bytes()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit());
    if !is_name {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    if value.contains('\0') {
        return Err(format!("the value of `{name}` holds a zero byte"));
    }
    Ok(())
}
