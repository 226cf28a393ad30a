//! One request as the text that the kept shell reads: a line of seven words, the script,
//! its words, and what the command reads.

use crate::connect::wire::one_line;
use crate::connect::{Command, ExecRequest, KeptStep, Sharing, Stdin};

/// The most that is worth it, script and input together: the shell reads it byte by byte.
const LONGEST: usize = 16 * 1024;

/// Runs the words it gets as a program with its arguments.
const PROGRAM: &str = "exec \"$@\"";

/// A request that may run in the kept shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shared {
    script: Script,
    /// The script's words, the lock's folder before them when there is one.
    words: String,
    /// For `printf %b`; empty when the command reads nothing.
    feed: String,
    /// It may leave something behind, and sees what the login shell's start files say now.
    pub(super) is_step: bool,
    holds_lock: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Script {
    /// One of this program's, which the shell keeps.
    Own(&'static str),
    /// Any other, which it forgets.
    Text(String),
}

impl Script {
    fn text(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Text(text) => text,
        }
    }
}

/// The scripts that a shell keeps: each is sent once, and then named by its place here, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Scripts(Vec<&'static str>);

impl Scripts {
    /// The ones that the shell has from its start.
    pub(super) fn with(first: Option<&'static str>) -> Self {
        Self(vec![first.unwrap_or_default()])
    }

    /// A script's number, and whether the shell has it.
    fn number(&mut self, script: &'static str) -> (usize, bool) {
        // The text itself is not compared: each is one constant.
        let place = self.0.iter().position(|known| std::ptr::eq(*known, script));
        place.map_or_else(
            || {
                self.0.push(script);
                (self.0.len(), false)
            },
            |place| (place + 1, true),
        )
    }
}

impl Shared {
    /// The request as far as the shell needs to know it; `None` when it needs a session of its own.
    pub(super) fn of(request: &ExecRequest) -> Option<Self> {
        let (command, lock, is_step) = match &request.sharing {
            Sharing::Alone | Sharing::Hold | Sharing::Fetch(_) => return None,
            Sharing::Look => (&request.command, None, false),
            Sharing::Step(KeptStep { bare: None, .. }) => (&request.command, None, true),
            Sharing::Step(KeptStep {
                bare: Some((command, lock)),
                ..
            }) => (command, Some(lock), true),
        };
        let feed = match &request.stdin {
            Stdin::Empty => String::new(),
            Stdin::Bytes(bytes) if bytes.len() <= LONGEST => one_line(bytes),
            Stdin::Bytes(_) | Stdin::Stream(..) => return None,
        };
        let (script, words) = match command.to_own_script() {
            Some((script, words)) => (Script::Own(script), words),
            None if lock.is_some() => (Script::Own(PROGRAM), command.to_shell()),
            // Somebody may look for a process by its name: then it needs one of its own.
            None => (Script::Text(command.to_script()), String::new()),
        };
        let words = match lock {
            Some(lock) => format!("{} {words}", Command::program(&**lock).to_shell()),
            None => words,
        };
        let length = script.text().len() + words.len() + feed.len();
        let has_zero = script.text().contains('\0') || words.contains('\0');
        (length <= LONGEST && !has_zero).then_some(Self {
            script,
            words,
            feed,
            is_step,
            holds_lock: lock.is_some(),
        })
    }

    /// The script, if it is one that a shell keeps: a new shell gets its first one at once.
    pub(super) fn own_script(&self) -> Option<&'static str> {
        match self.script {
            Script::Own(script) => Some(script),
            Script::Text(_) => None,
        }
    }

    /// What is written to the shell. `checks` are the letters by which it looks at itself first, `last_step` is the process
    /// that the last step was.
    pub(super) fn text(
        &self,
        number: u64,
        checks: &str,
        last_step: u32,
        scripts: &mut Scripts,
    ) -> String {
        let (name, is_known) = match self.script {
            Script::Own(script) => scripts.number(script),
            Script::Text(_) => (0, false),
        };
        let lock = if self.holds_lock { "l" } else { "" };
        let (script_lines, script) = if is_known {
            ("-".to_owned(), String::new())
        } else {
            lines(self.script.text())
        };
        let (word_lines, words) = if self.words.is_empty() {
            ("-".to_owned(), String::new())
        } else {
            lines(&format!("set -- {}", self.words))
        };
        let feed = u8::from(!self.feed.is_empty());
        let mut text = format!(
            "{number} {checks}{lock} {last_step} {name} {script_lines} {word_lines} {feed}\n{script}{words}"
        );
        if feed == 1 {
            text.push_str(&self.feed);
            text.push('\n');
        }
        text
    }
}

/// A text as lines, and how many they are; none when it is one line for `printf %b`.
fn lines(text: &str) -> (String, String) {
    let is_plain = |byte: u8| matches!(byte, b'\n' | b'\t' | b' ') || byte.is_ascii_graphic();
    if text.bytes().all(is_plain) {
        (text.split('\n').count().to_string(), format!("{text}\n"))
    } else {
        ("0".to_owned(), format!("{}\n", one_line(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Command;

    #[test]
    fn only_what_is_short_shares() {
        let request =
            |script: &'static str| ExecRequest::new(Command::script(script, ["a b"])).shared();
        let look = Shared::of(&request("id")).unwrap();
        assert_eq!(look.script, Script::Own("id"));
        assert_eq!(look.words, "'a b'");
        assert_eq!(Shared::of(&ExecRequest::new(Command::new("id"))), None);
        let much = request("id").stdin(Stdin::Bytes(vec![0; LONGEST / 4].into()));
        assert_eq!(Shared::of(&much), None);
        let long = ExecRequest::new(Command::script("id", ["a".repeat(LONGEST)]));
        assert_eq!(Shared::of(&long.shared()), None);
    }

    #[test]
    fn a_script_is_sent_once() {
        const SCRIPT: &str = "id \"$1\"\ntrue";
        let mut scripts = Scripts::with(Some("first"));
        let request = ExecRequest::new(Command::script(SCRIPT, ["a b"])).shared();
        let shared = Shared::of(&request.stdin(Stdin::Bytes("x\n\\".into()))).unwrap();
        assert_eq!(
            shared.text(3, "h", 77, &mut scripts),
            "3 h 77 2 2 1 1\nid \"$1\"\ntrue\nset -- 'a b'\nx\\n\\0134\n"
        );
        assert_eq!(
            shared.text(4, "-", 0, &mut scripts),
            "4 - 0 2 - 1 1\nset -- 'a b'\nx\\n\\0134\n"
        );
    }

    #[test]
    fn a_step_without_its_wrapper_is_a_program_or_a_script() {
        const SCRIPT: &str = "true";
        let step = |bare| {
            let request = ExecRequest::new(Command::new("sh -c").arg("wrapper").arg("kk-step-1"));
            let request = request.shared_step(KeptStep {
                bare,
                ..KeptStep::default()
            });
            let mut scripts = Scripts::with(None);
            Shared::of(&request).unwrap().text(1, "s", 0, &mut scripts)
        };
        let folder = || std::sync::Arc::from("/a b");
        assert_eq!(step(None), "1 s 0 0 1 - 0\nexec sh -c wrapper kk-step-1\n");
        assert_eq!(
            step(Some((Command::program("id").arg("-u"), folder()))),
            "1 sl 0 2 1 1 0\nexec \"$@\"\nset -- '/a b' id -u\n"
        );
        assert_eq!(
            step(Some((Command::script(SCRIPT, ["c"]), folder()))),
            "1 sl 0 2 1 1 0\ntrue\nset -- '/a b' c\n"
        );
    }

    #[test]
    fn lines_go_as_they_are_and_other_bytes_do_not() {
        assert_eq!(lines("a\n\\b"), ("2".to_owned(), "a\n\\b\n".to_owned()));
        assert_eq!(
            lines("a\n\u{e4}"),
            ("0".to_owned(), "a\\n\\0303\\0244\n".to_owned())
        );
    }
}
