//! Questions to a person at the terminal. What is secret is not shown while it is typed, and the terminal is as it was
//! before, whatever ends the question: Ctrl-C, too, is read like a letter.

use std::io::{Error, ErrorKind, Result, Write as _};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::exit::Exit;

/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// A question before anything has begun: Ctrl-C leaves the program.
pub fn ask_first(prompt: &str, echo: bool) -> Result<String> {
    let answer = ask(prompt, echo);
    if let Err(error) = &answer
        && error.kind() == ErrorKind::Interrupted
    {
        #[expect(
            clippy::exit,
            reason = "there is nothing to end and nothing to say, and the signal itself would come some time later"
        )]
        std::process::exit(i32::from(Exit::Interrupted.code()));
    }
    answer
}

/// Shows a prompt and reads a line, without its end. What is typed is shown or not. Ctrl-C is an error of the kind
/// [`ErrorKind::Interrupted`].
pub fn ask(prompt: &str, echo: bool) -> Result<String> {
    let Ok(before) = tcgetattr(std::io::stdin()) else {
        if !echo {
            return Err(Error::other("standard input is no terminal"));
        }
        show(prompt)?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        return Ok(answer.trim_end_matches(['\r', '\n']).to_owned());
    };
    let mut during = before.clone();
    during.local_modes.remove(LocalModes::ISIG);
    during.local_modes.set(LocalModes::ECHO, echo);
    during.local_modes.insert(LocalModes::ECHONL);
    // It ends a line, so that it is not waited for the next one.
    during.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    let line = {
        let _back = Back(before);
        // What was typed before the question was shown is no answer to it.
        let when = if echo {
            OptionalActions::Drain
        } else {
            OptionalActions::Flush
        };
        tcsetattr(std::io::stdin(), when, &during)?;
        show(prompt)?;
        read_line()
    };
    let line = line?;
    match line.as_slice() {
        [] => Err(Error::from(ErrorKind::UnexpectedEof)),
        [.., INTERRUPT] => {
            show("\n")?;
            Err(Error::from(ErrorKind::Interrupted))
        }
        [line @ .., b'\n'] | line => String::from_utf8(line.to_vec())
            .map_err(|_| Error::new(ErrorKind::InvalidData, "the answer is no text in UTF-8")),
    }
}

/// Gives the terminal back as it was.
struct Back(Termios);

impl Drop for Back {
    fn drop(&mut self) {
        // There is nothing left to do where that fails.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}

fn show(text: &str) -> Result<()> {
    let mut stderr = anstream::stderr();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

/// The terminal gives whole lines.
fn read_line() -> Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let length = match rustix::io::read(std::io::stdin(), &mut piece) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let piece = piece.get(..length).unwrap_or_default();
        line.extend_from_slice(piece);
        if piece.is_empty() || matches!(piece.last(), Some(b'\n' | &INTERRUPT)) {
            return Ok(line);
        }
    }
}
