//! Cutting what the kept shell says: which of it is a command's, how the command ended, and what the shell says of itself.

use crate::connect::ssh::line::Progress;
use crate::connect::{ExitStatus, Output, ParentProcess};

/// What the shell says around one command.
pub(super) struct Marks {
    /// The shell's own process follows, and a colon; said once, when it starts.
    start: String,
    /// The process that the command is, where that is asked for, and a colon follow.
    begin: String,
    /// The shell is used up: the command did not begin.
    refusal: String,
    /// The status and a colon follow.
    end: String,
    end_of_errors: String,
    /// Where the command's own output begins, once it has begun.
    begun: Option<usize>,
    /// The process that began it, when the shell said so.
    process: Option<u32>,
    /// How much of each output has been searched.
    searched: [usize; 2],
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    /// The shell does not take it.
    Refused,
    Begun,
}

impl Marks {
    pub(super) fn new(marker: &str, number: u64) -> Self {
        Self {
            start: format!("{marker}.0="),
            begin: format!("{marker}.{number}?"),
            refusal: format!("{marker}.{number}!"),
            end: format!("{marker}.{number}="),
            end_of_errors: format!("{marker}.{number}:"),
            begun: None,
            process: None,
            searched: [0; 2],
        }
    }

    /// Where a mark begins, looking only at what is new.
    fn find(&mut self, stream: usize, output: &[u8], mark: &str) -> Option<usize> {
        let searched = self.searched.get_mut(stream)?;
        let from = searched.saturating_sub(mark.len());
        let found = position(output.get(from..)?, mark);
        if found.is_none() {
            *searched = output.len();
        }
        found.map(|position| position + from)
    }

    /// How far the command has come by what was said so far.
    pub(super) fn stage(&mut self, progress: &Progress) -> Stage {
        if self.begun.is_none() {
            // Nothing but the shell itself has spoken, so this is short.
            let stdout = progress.outputs().0;
            if position(stdout, &self.refusal).is_some() {
                return Stage::Refused;
            }
            if let Some(begin) = position(stdout, &self.begin).map(|begin| begin + self.begin.len())
                && let Some(rest) = stdout.get(begin..)
                && let Some(colon) = rest.iter().position(|&byte| byte == b':')
            {
                let process = rest
                    .get(..colon)
                    .and_then(|number| std::str::from_utf8(number).ok());
                self.process = process.and_then(|number| number.parse().ok());
                self.begun = Some(begin + colon + 1);
            }
        }
        match self.begun {
            Some(_) => Stage::Begun,
            None => Stage::Waiting,
        }
    }

    /// The process that the command is, once it has begun and if that was asked for.
    pub(super) fn process(&self) -> Option<u32> {
        self.process
    }

    /// The process of the shell, when it has just said it.
    pub(super) fn shell(&self, progress: &Progress) -> Option<ParentProcess> {
        let stdout = progress.outputs().0;
        let rest = stdout.get(position(stdout, &self.start)? + self.start.len()..)?;
        let colon = rest.iter().position(|&byte| byte == b':')?;
        let (process, ticks) = std::str::from_utf8(rest.get(..colon)?)
            .ok()?
            .split_once('-')?;
        Some(ParentProcess {
            number: process.parse().ok()?,
            started_ticks: ticks.parse().ok()?,
        })
    }

    /// The command's outputs and status, once both of its ends are there.
    pub(super) fn answer(&mut self, progress: &mut Progress) -> Option<Output> {
        let (stdout, stderr) = progress.outputs();
        let end_of_errors = self.end_of_errors.clone();
        let end = self.end.clone();
        let stderr_end = self.find(1, stderr, &end_of_errors)?;
        let stdout_end = self.find(0, stdout, &end)?;
        let rest = stdout.get(stdout_end + end.len()..)?;
        let colon = rest.iter().position(|&byte| byte == b':')?;
        let status = std::str::from_utf8(rest.get(..colon)?).ok()?.trim().parse();
        let begin = self.begun?;
        let output = Output {
            status: ExitStatus::Code(status.unwrap_or(255)),
            stdout: stdout.get(begin..stdout_end)?.to_vec(),
            stderr: stderr.get(..stderr_end)?.to_vec(),
        };
        progress.forget_outputs();
        Some(output)
    }

    /// What a command said whose shell ended with it.
    pub(super) fn unfinished(&self, progress: &Progress, status: ExitStatus) -> Option<Output> {
        let (stdout, stderr) = progress.outputs();
        let begin = self.begun?;
        Some(Output {
            status,
            stdout: stdout.get(begin..)?.to_vec(),
            stderr: stderr.to_vec(),
        })
    }
}

fn position(output: &[u8], mark: &str) -> Option<usize> {
    memchr::memmem::find(output, mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_in_pieces_is_found() {
        let mut marks = Marks::new("kkM", 7);
        let whole = "noise kkM.7?out kkM.7=12:";
        for cut in 0..whole.len() {
            marks.searched = [0; 2];
            assert_eq!(
                marks.find(0, &whole.as_bytes()[..cut.min(20)], "kkM.7="),
                None
            );
            assert_eq!(marks.find(0, whole.as_bytes(), "kkM.7="), Some(16));
        }
    }
}
