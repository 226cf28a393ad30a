//! Lines with a meaning, and what that meaning looks like on a stream that can show colours.
//!
//! Colour never carries anything that the words do not say.

use anstyle::{AnsiColor, Style};

use crate::engine::event::{NoticeLevel, Outcome};
use crate::precheck::Status;

/// What a line is about; its colour where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Nothing special.
    Plain,
    /// A heading.
    Heading,
    /// Good news.
    Good,
    /// Something was changed.
    Changed,
    /// Less important.
    Faint,
    /// Something odd.
    Warning,
    /// Something failed.
    Bad,
}

impl Paint {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| colour.on_default();
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Good => colour(AnsiColor::Green),
            Self::Changed => colour(AnsiColor::Yellow),
            Self::Faint => Style::new().dimmed(),
            Self::Warning => colour(AnsiColor::Magenta),
            Self::Bad => colour(AnsiColor::Red),
        }
    }

    /// `text` with escape codes, or as it is.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let style = self.style();
        if colour && !text.is_empty() && style != Style::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

impl From<Outcome> for Paint {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Good,
            Outcome::Changed => Self::Changed,
            Outcome::Skipped => Self::Faint,
            Outcome::Failed | Outcome::Unreachable => Self::Bad,
            Outcome::Ignored | Outcome::Rescued => Self::Warning,
        }
    }
}

impl From<NoticeLevel> for Paint {
    fn from(level: NoticeLevel) -> Self {
        match level {
            NoticeLevel::Info => Self::Plain,
            NoticeLevel::Warning => Self::Warning,
            NoticeLevel::Error => Self::Bad,
        }
    }
}

impl From<Status> for Paint {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Good,
            Status::Warn | Status::Unknown => Self::Warning,
            Status::Fail => Self::Bad,
        }
    }
}

/// The word for an outcome.
pub fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Changed => "changed",
        Outcome::Skipped => "skipped",
        Outcome::Failed => "failed",
        Outcome::Ignored => "failed, ignored",
        Outcome::Rescued => "failed, rescued",
        Outcome::Unreachable => "unreachable",
    }
}

/// One line of text and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub paint: Paint,
    /// The text, tame, without a line end.
    pub text: String,
}

impl Line {
    /// A line.
    pub fn new(paint: Paint, text: impl Into<String>) -> Self {
        Self {
            paint,
            text: text.into(),
        }
    }

    /// The line as a stream shows it.
    pub fn render(&self, colour: bool) -> String {
        self.paint.paint(&self.text, colour)
    }
}
