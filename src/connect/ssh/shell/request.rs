//! One request as the text that the kept shell reads: a line of four words, the script, and what the command reads.

use crate::connect::wire::one_line;
use crate::connect::{ExecRequest, Sharing, Stdin};

/// The most that is worth it, script and input together: the shell reads it byte by byte.
const LONGEST: usize = 16 * 1024;

/// A request that may run in the kept shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shared {
    script: String,
    /// For `printf %b`; empty when the command reads nothing.
    feed: String,
    /// It may leave something behind, and sees what the login shell's start files say now.
    pub(super) is_step: bool,
}

impl Shared {
    /// The request as far as the shell needs to know it; `None` when it needs a session of its own.
    pub(super) fn of(request: &ExecRequest) -> Option<Self> {
        let is_step = match &request.sharing {
            Sharing::Alone => return None,
            Sharing::Look => false,
            Sharing::Step(_) => true,
        };
        let feed = match &request.stdin {
            Stdin::Empty => String::new(),
            Stdin::Bytes(bytes) if bytes.len() <= LONGEST => one_line(bytes),
            Stdin::Bytes(_) | Stdin::Stream(..) => return None,
        };
        let (name, script) = request.command.to_named_script();
        // Somebody looks for a process of that name: it needs one of its own. A step is found by the shell's process.
        let script = if name == "sh" || is_step {
            script
        } else {
            request.command.to_script()
        };
        (script.len() + feed.len() <= LONGEST && !script.contains('\0')).then_some(Self {
            script,
            feed,
            is_step,
        })
    }

    /// What is written to the shell. `checks` are the letters by which it looks at itself first.
    pub(super) fn text(&self, number: u64, checks: &str) -> String {
        let is_plain = |byte: u8| matches!(byte, b'\n' | b'\t' | b' ') || byte.is_ascii_graphic();
        let feed = u8::from(!self.feed.is_empty());
        let mut text = if self.script.bytes().all(is_plain) {
            let lines = self.script.split('\n').count();
            format!("{number} {checks} {lines} {feed}\n{}\n", self.script)
        } else {
            format!("{number} {checks} 0 {feed}\n{}\n", one_line(&self.script))
        };
        if feed == 1 {
            text.push_str(&self.feed);
            text.push('\n');
        }
        text
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
        let script = |request: &ExecRequest| Shared::of(request).map(|shared| shared.script);
        assert_eq!(script(&request("id")).unwrap(), "set -- 'a b';id");
        assert_eq!(script(&ExecRequest::new(Command::new("id"))), None);
        let fed = request("id").stdin(Stdin::Bytes("x\n\\".into()));
        let fed = Shared::of(&fed).unwrap();
        assert_eq!(fed.feed, r"x\0012\0134");
        assert_eq!(
            fed.text(3, "h"),
            "3 h 1 1\nset -- 'a b';id\nx\\0012\\0134\n"
        );
        let much = request("id").stdin(Stdin::Bytes(vec![0; LONGEST / 4].into()));
        assert_eq!(script(&much), None);
        let long = ExecRequest::new(Command::script("id", ["a".repeat(LONGEST)]));
        assert_eq!(script(&long.shared()), None);
        let named = || ExecRequest::new(Command::new("sh -c").arg("id").arg("kk-step-1"));
        assert_eq!(
            script(&named().shared()).unwrap(),
            "exec sh -c id kk-step-1"
        );
        let step = named().shared_step(std::sync::Arc::default());
        assert_eq!(script(&step).unwrap(), "id");
    }

    #[test]
    fn lines_go_as_they_are_and_other_bytes_do_not() {
        let text = |script: &str| {
            Shared {
                script: script.to_owned(),
                feed: String::new(),
                is_step: false,
            }
            .text(1, "-")
        };
        assert_eq!(text("a\n\\b"), "1 - 2 0\na\n\\b\n");
        assert_eq!(text("a\n\u{e4}"), "1 - 0 0\na\\0012\\0303\\0244\n");
    }
}
