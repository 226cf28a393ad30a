//! What the program was started in: terminals, their width, and what the user's environment says about colours.

use std::ffi::OsString;
use std::os::fd::AsFd;

use crate::env;

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStyle {
    /// Escape codes for colours may be written.
    pub colour: bool,
    /// Columns.
    pub width: usize,
}

/// Columns where nothing says how many there are.
pub const DEFAULT_WIDTH: usize = 100;

/// What the program was started in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// Standard output.
    pub stdout: StreamStyle,
    /// Standard error.
    pub stderr: StreamStyle,
    /// Standard error is a terminal on which lines can be drawn over.
    pub live: bool,
    /// Both standard input and standard error are terminals: a person can be asked.
    pub can_ask: bool,
}

impl Surroundings {
    /// Looks at the streams and the environment of this process.
    pub fn read() -> Self {
        let terminal = |stream: &dyn Stream| stream.columns();
        Self::of(
            terminal(&std::io::stdin()).is_some(),
            terminal(&std::io::stdout()),
            terminal(&std::io::stderr()),
            |name| std::env::var_os(name),
        )
    }

    /// The same from its parts: whether standard input is a terminal, the columns of the two output streams where
    /// they are terminals, and a look into the environment.
    pub fn of(
        stdin_is_terminal: bool,
        stdout_columns: Option<usize>,
        stderr_columns: Option<usize>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let dumb = variable(env::TERM).is_none_or(|term| term.is_empty() || term == "dumb");
        let continuous_integration = is_set(env::CI);
        let colour = !dumb && !continuous_integration && !is_set(env::NO_COLOR);
        let style = |columns: Option<usize>| StreamStyle {
            colour: colour && columns.is_some(),
            width: columns
                .filter(|columns| *columns >= 40)
                .unwrap_or(DEFAULT_WIDTH),
        };
        Self {
            stdout: style(stdout_columns),
            stderr: style(stderr_columns),
            live: stderr_columns.is_some() && !dumb && !continuous_integration,
            can_ask: stdin_is_terminal && stderr_columns.is_some(),
        }
    }

    /// The same without colours.
    #[must_use]
    pub fn without_colour(mut self) -> Self {
        self.stdout.colour = false;
        self.stderr.colour = false;
        self
    }
}

/// A stream that may be a terminal.
trait Stream {
    /// Its columns, if it is one; 0 when it does not say.
    fn columns(&self) -> Option<usize>;
}

impl<T: AsFd> Stream for T {
    fn columns(&self) -> Option<usize> {
        if !rustix::termios::isatty(self) {
            return None;
        }
        Some(rustix::termios::tcgetwinsize(self).map_or(0, |size| usize::from(size.ws_col)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings::of(true, Some(120), Some(80), |name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_terminal_has_colours_and_live_progress() {
        let surroundings = with(&[("TERM", "xterm")]);
        assert!(surroundings.stdout.colour && surroundings.stderr.colour && surroundings.live);
        assert_eq!(surroundings.stdout.width, 120);
        assert_eq!(surroundings.stderr.width, 80);
        assert!(!surroundings.without_colour().stderr.colour);
    }

    #[test]
    fn the_environment_turns_them_off() {
        let no_color = with(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
        assert!(!no_color.stderr.colour && no_color.live);
        for variables in [
            &[("TERM", "dumb")][..],
            &[],
            &[("TERM", "xterm"), ("CI", "true")],
        ] {
            let surroundings = with(variables);
            assert!(!surroundings.stderr.colour, "{variables:?}");
            assert!(!surroundings.live, "{variables:?}");
        }
        // An empty NO_COLOR says nothing.
        assert!(with(&[("TERM", "xterm"), ("NO_COLOR", "")]).stderr.colour);
    }

    #[test]
    fn a_pipe_has_neither() {
        let surroundings = Surroundings::of(false, None, None, |_| Some("xterm".into()));
        assert!(!surroundings.stdout.colour && !surroundings.live && !surroundings.can_ask);
        assert_eq!(surroundings.stdout.width, DEFAULT_WIDTH);
    }
}
