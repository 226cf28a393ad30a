//! A command as tokens: what is fixed in this program and what comes from elsewhere never mix.

use std::fmt;

/// One piece of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Written in this program: goes to the shell as it is.
    Literal(&'static str),
    /// A script of this program for a shell: one quoted word.
    Script(&'static str),
    /// From anywhere else: always quoted.
    Quoted(String),
}

impl Token {
    /// What it says, without quotes.
    fn word(&self) -> &str {
        match self {
            Self::Literal(words) | Self::Script(words) => words,
            Self::Quoted(word) => word,
        }
    }
}

/// A command for a POSIX shell, as tokens. There is no conversion from a text: quoting is structural.
///
/// Secrets do not belong in a command at all (anybody on the host can read its arguments): they go over standard
/// input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    tokens: Vec<Token>,
}

impl Command {
    /// Starts with words that are fixed in this program.
    pub fn new(words: &'static str) -> Self {
        Self {
            tokens: vec![Token::Literal(words)],
        }
    }

    /// A program named by data.
    pub fn program(name: impl Into<String>) -> Self {
        Self {
            tokens: vec![Token::Quoted(name.into())],
        }
    }

    /// A script of this program with data as `$1`, `$2` …; runs under a POSIX `sh`, whatever the login shell is.
    pub fn script<A: Into<String>>(
        script: &'static str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Self::new("sh -c");
        command.tokens.push(Token::Script(script));
        command.literal("sh").args(arguments)
    }

    /// A script of this program without what only its readers need: comments, indentation and empty lines. A host's shells
    /// read it several times, and byte by byte. Such lines must not be part of what it says.
    pub fn compact(script: &str) -> String {
        let mut text = String::with_capacity(script.len());
        for line in script.lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// A text that a user wrote for `/bin/sh` (or another shell).
    pub fn user_shell(shell: &str, text: impl Into<String>) -> Self {
        Self::program(shell).literal("-c").arg(text)
    }

    /// Adds words that are fixed in this program.
    #[must_use]
    pub fn literal(mut self, words: &'static str) -> Self {
        self.tokens.push(Token::Literal(words));
        self
    }

    /// Adds one argument that comes from data.
    #[must_use]
    pub fn arg(mut self, word: impl Into<String>) -> Self {
        self.tokens.push(Token::Quoted(word.into()));
        self
    }

    /// Adds arguments that come from data.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.tokens
            .extend(words.into_iter().map(|word| Token::Quoted(word.into())));
        self
    }

    /// Puts another command before this one, as `sudo … --` does: this one becomes its arguments.
    #[must_use]
    pub fn prefixed(self, mut prefix: Command) -> Self {
        prefix.tokens.extend(self.tokens);
        prefix
    }

    /// Makes this whole command one quoted argument of another: `prefix 'this'`.
    #[must_use]
    pub fn quoted_into(self, prefix: Command) -> Self {
        let text = self.to_shell();
        prefix.arg(text)
    }

    /// Makes this whole command one argument of a program that gives it to a login shell, whichever that is.
    #[must_use]
    pub fn for_login_shell(self, prefix: Command) -> Command {
        let text = super::wire::any_shell_text("sh", "", &self.to_script());
        prefix.arg(text)
    }

    /// The text for the shell that a connector starts for this command alone: where the command is one program, that
    /// shell gives way to it, so that signals and their effect on the status are the program's own.
    pub(in crate::connect) fn to_script(&self) -> String {
        let text = self.to_shell();
        if self.is_one_program() {
            format!("exec {text}")
        } else {
            text
        }
    }

    /// The same for a shell of which the connector chooses the name, `$0`: a script with its arguments runs in that
    /// shell itself, which spares the host the start of another one.
    pub(in crate::connect) fn to_named_script(&self) -> (String, String) {
        let is_name = |word: &str| {
            word.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if self.is_script()
            && let [_, script, name, arguments @ ..] = self.tokens.as_slice()
            && is_name(name.word())
        {
            let script = script.word();
            let text = if arguments.is_empty() {
                script.to_owned()
            } else {
                format!("set -- {};{script}", to_text(arguments))
            };
            return (name.word().to_owned(), text);
        }
        ("sh".to_owned(), self.to_script())
    }

    /// A script of this program with the words it gets, when the command is that and nothing else.
    pub(in crate::connect) fn to_own_script(&self) -> Option<(&'static str, String)> {
        if self.is_script()
            && let [
                _,
                Token::Script(script),
                Token::Literal("sh"),
                arguments @ ..,
            ] = self.tokens.as_slice()
        {
            return Some((script, to_text(arguments)));
        }
        None
    }

    /// Whether this is `sh -c` with a script and nothing but words after it.
    pub(crate) fn is_script(&self) -> bool {
        matches!(
            self.tokens.as_slice(),
            [
                Token::Literal("sh -c"),
                Token::Script(_) | Token::Quoted(_),
                ..
            ]
        ) && self.is_one_program()
    }

    /// Whether this is certain to be one program with arguments, not something that only a shell can do.
    fn is_one_program(&self) -> bool {
        let is_plain = |words: &str| {
            words
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b" -_./".contains(&byte))
        };
        let Some(Token::Literal(first)) = self.tokens.first() else {
            return false;
        };
        let program = first.split(' ').next().unwrap_or_default();
        ["sh", "sudo", "env"].contains(&program)
            && self.tokens.iter().all(|token| match token {
                Token::Literal(words) => is_plain(words),
                Token::Script(_) | Token::Quoted(_) => true,
            })
    }

    /// The text as a person would type it.
    pub(in crate::connect) fn to_shell(&self) -> String {
        to_text(&self.tokens)
    }
}

fn to_text(tokens: &[Token]) -> String {
    let words: Vec<String> = tokens
        .iter()
        .map(|token| match token {
            Token::Literal(words) => (*words).to_owned(),
            Token::Script(word) => quote(word),
            Token::Quoted(word) => quote(word),
        })
        .collect();
    words.join(" ")
}

/// For people: the same text the shell gets.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_shell())
    }
}

/// One word for a POSIX shell. Words of harmless characters stay bare, all others are put in single quotes.
fn quote(word: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(harmless) && !word.starts_with(['=', '%']) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_always_one_word() {
        let command = Command::new("mkdir -p --")
            .arg("/a b")
            .arg("it's")
            .arg("")
            .arg("$(reboot)")
            .arg("plain-1.2");
        assert_eq!(
            command.to_string(),
            r"mkdir -p -- '/a b' 'it'\''s' '' '$(reboot)' plain-1.2"
        );
    }

    #[test]
    fn a_script_gets_its_data_as_arguments() {
        let command = Command::script("echo \"$1\"", ["a;b"]);
        assert_eq!(command.to_string(), "sh -c 'echo \"$1\"' sh 'a;b'");
    }

    #[test]
    fn only_what_is_one_program_replaces_the_shell() {
        for (command, expected) in [
            (Command::script("a; b", ["c"]), "exec sh -c 'a; b' sh c"),
            (
                Command::script("a", ["b"]).prefixed(Command::new("sudo -n --")),
                "exec sudo -n -- sh -c a sh b",
            ),
            (Command::new("cd").arg("/"), "cd /"),
            (Command::new("sh -c").arg("a").literal("; b"), "sh -c a ; b"),
            (Command::new("sh -c a && b"), "sh -c a && b"),
            (Command::program("cd"), "cd"),
        ] {
            assert_eq!(command.to_script(), expected);
        }
    }

    #[test]
    fn a_script_runs_in_the_shell_that_is_there_anyway() {
        let named = |command: Command| command.to_named_script();
        let text = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            named(Command::script("a \"$1\"", ["b c", "$d"])),
            text("sh", "set -- 'b c' '$d';a \"$1\"")
        );
        assert_eq!(
            named(
                Command::new("sh -c")
                    .arg("a")
                    .arg("kk-step-1")
                    .literal("id -u")
            ),
            text("kk-step-1", "set -- id -u;a")
        );
        assert_eq!(
            named(Command::new("sh -c").arg("a").arg("kk-step-1")),
            text("kk-step-1", "a")
        );
        // No name, a name that is none, something that the outer shell must do, another program.
        for command in [
            Command::new("sh -c").arg("a"),
            Command::new("sh -c").arg("a").arg("-x"),
            Command::script("a", ["b"]).literal("; c"),
            Command::script("a", ["b"]).prefixed(Command::new("sudo -n --")),
            Command::new("id"),
        ] {
            let expected = command.to_script();
            assert_eq!(named(command), text("sh", &expected));
        }
    }

    #[test]
    fn any_word_survives_a_real_shell() {
        use proptest::prelude::*;
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 64,
            ..ProptestConfig::default()
        });
        runner
            .run(&"[^\0]{0,40}", |word| {
                let text = Command::new("printf %s").arg(word.clone()).to_shell();
                let output = std::process::Command::new("sh")
                    .arg("-c")
                    .arg(text)
                    .output()
                    .unwrap();
                prop_assert_eq!(String::from_utf8_lossy(&output.stdout).into_owned(), word);
                Ok(())
            })
            .unwrap();
    }
}
