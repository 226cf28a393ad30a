//! A screen that cannot draw: lines with the time since the start, for files, pipes and CI.

use std::time::Duration;

use super::StreamStyle;
use super::board::Board;
use super::narrator::Screen;
use super::output::Output;
use super::style::{Line, Paint};
use super::text;

/// Lines to standard error, data to standard output.
pub struct PlainScreen {
    progress: Output,
    progress_style: StreamStyle,
    data: Option<Output>,
    data_style: StreamStyle,
}

impl PlainScreen {
    /// A screen; without a stream of its own, data becomes progress.
    pub fn new(
        progress: Output,
        progress_style: StreamStyle,
        data: Option<Output>,
        data_style: StreamStyle,
    ) -> Self {
        Self {
            progress,
            progress_style,
            data,
            data_style,
        }
    }
}

impl Screen for PlainScreen {
    fn say(&mut self, at: Duration, lines: &[Line]) {
        let colour = self.progress_style.colour;
        let time = Paint::Faint.paint(&text::elapsed(at), colour);
        for line in lines {
            let line = line.render(colour);
            self.progress.line(format!("{time}  {line}").trim_end());
        }
    }

    fn data(&mut self, lines: &[Line]) {
        let (output, style) = match &mut self.data {
            Some(output) => (output, self.data_style),
            None => (&mut self.progress, self.progress_style),
        };
        output.lines(lines, style);
    }

    fn data_width(&self) -> usize {
        match self.data {
            Some(_) => self.data_style.width,
            None => self.progress_style.width,
        }
    }

    fn draw(&mut self, _: &Board, _: Duration) {}

    fn draws(&self) -> bool {
        false
    }
}
