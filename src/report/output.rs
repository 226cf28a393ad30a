//! Streams that go quiet when nobody reads them any more.

use std::io::Write;

use super::StreamStyle;
use super::style::Line;

/// A stream for lines. After the first error (a pipe that was closed, a disk that is full) it takes no more and says
/// so; it never ends a run.
pub struct Output {
    writer: Box<dyn Write + Send>,
    failure: Option<std::io::Error>,
}

impl Output {
    /// A stream over any writer.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Box::new(writer),
            failure: None,
        }
    }

    /// Standard output.
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }

    /// Standard error.
    pub fn stderr() -> Self {
        Self::new(std::io::stderr())
    }

    /// Writes text as it is and flushes it.
    pub fn write(&mut self, text: &str) {
        if self.failure.is_some() {
            return;
        }
        let written = self.writer.write_all(text.as_bytes());
        if let Err(error) = written.and_then(|()| self.writer.flush()) {
            self.failure = Some(error);
        }
    }

    /// Writes a line.
    pub fn line(&mut self, line: &str) {
        // One write per line, so that lines of two streams do not mix in a terminal or a pipe.
        self.write(&format!("{line}\n"));
    }

    /// Writes lines that mean something, in one go.
    pub fn lines(&mut self, lines: &[Line], style: StreamStyle) {
        let text: String = lines
            .iter()
            .map(|line| format!("{}\n", line.render(style.colour)))
            .collect();
        self.write(&text);
    }

    /// The error that made this stream quiet, once.
    pub fn take_failure(&mut self) -> Option<std::io::Error> {
        let failure = self.failure.take()?;
        self.writer = Box::new(std::io::sink());
        Some(failure)
    }
}

#[cfg(test)]
pub mod testing {
    //! A stream that a test can read.

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::Output;

    /// What was written so far.
    #[derive(Clone, Default)]
    pub struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        /// A stream into it.
        pub fn output(&self) -> Output {
            Output::new(self.clone())
        }

        /// The text.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_broken_pipe_makes_it_quiet() {
        let mut output = Output::new(Broken);
        output.line("one");
        output.line("two");
        let failure = output.take_failure().unwrap();
        assert_eq!(failure.kind(), std::io::ErrorKind::BrokenPipe);
        output.line("three");
        assert!(output.take_failure().is_none());
    }
}
