//! Rewritten text that knows where it comes from.

use std::ops::Range;

/// What a part of the rewritten text was in the user's.
#[derive(Debug, Clone)]
pub(in super::super) struct Mark {
    at: Range<usize>,
    source: Range<usize>,
}

/// All marks of a text.
#[derive(Debug, Default)]
pub(in super::super) struct Marks(pub(super) Vec<Mark>);

impl Marks {
    /// The user's text behind a range of the rewritten one: the smallest part that contains its start.
    pub(in super::super) fn find(&self, range: &Range<usize>) -> Option<Range<usize>> {
        self.0
            .iter()
            .filter(|mark| mark.at.contains(&range.start))
            .min_by_key(|mark| mark.at.len())
            .map(|mark| mark.source.clone())
    }
}

/// A part of the rewritten text.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) marks: Vec<Mark>,
    /// Where it stands in the user's text.
    pub(super) source: Range<usize>,
    pub(super) level: Level,
    /// It may turn out to be undefined.
    pub(super) is_open: bool,
    /// A name and attributes that are not written yet, because that depends on how they are used.
    pub(super) path: Vec<String>,
    /// The value of a string literal.
    pub(super) literal: Option<String>,
    /// It ends with a filter that makes a text.
    pub(super) is_text: bool,
    /// The name that it is, when it is nothing else.
    pub(super) name: Option<String>,
    /// It calls something: what `call` blocks need.
    pub(super) is_call: bool,
}

/// How tightly a piece holds together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Level {
    /// A name, a literal, something in brackets.
    #[default]
    Atom,
    /// With filters behind it.
    Chain,
    /// With words between its parts.
    Loose,
}

impl Piece {
    pub(super) fn new(source: Range<usize>) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    pub(super) fn atom(text: impl Into<String>, source: Range<usize>) -> Self {
        Self {
            text: text.into(),
            source,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends another piece with its marks.
    pub(super) fn add(&mut self, other: &Self) {
        let offset = self.text.len();
        self.text.push_str(&other.text);
        self.marks.extend(other.marks.iter().map(|mark| Mark {
            at: mark.at.start + offset..mark.at.end + offset,
            source: mark.source.clone(),
        }));
    }

    /// What has been written since `start` stands for a part of the user's text.
    pub(super) fn mark(&mut self, start: usize, source: Range<usize>) {
        self.marks.push(Mark {
            at: start..self.text.len(),
            source,
        });
    }

    /// Written out, whether it is defined or not.
    pub(super) fn free(self) -> Self {
        self.written("kk_g")
    }

    /// Written out, and an error when it is undefined.
    pub(super) fn guarded(self) -> Self {
        if !self.path.is_empty() {
            return self.written("kk_v");
        }
        if !self.is_open {
            return self;
        }
        let source = self.source.clone();
        let mut piece = self.tight();
        piece.push("|kk_v");
        piece.mark(0, source);
        piece.level = Level::Chain;
        piece.is_open = false;
        piece
    }

    fn written(self, filter: &str) -> Self {
        let Some(name) = self.path.first() else {
            return self;
        };
        let mut piece = Self::new(self.source.clone());
        piece.push(name);
        piece.push("|");
        piece.push(filter);
        let quoted: Vec<String> = self.path.iter().map(|part| format!("\"{part}\"")).collect();
        piece.push(&format!("({})", quoted.join(",")));
        piece.mark(0, self.source);
        piece.level = Level::Chain;
        piece.is_open = filter != "kk_v";
        piece
    }

    /// In brackets if need be, so that a filter can follow.
    pub(super) fn tight(self) -> Self {
        let piece = self.free();
        if piece.level == Level::Loose {
            piece.bracketed()
        } else {
            piece
        }
    }

    /// In brackets unless it is an atom, so that a call or a method can follow.
    pub(super) fn solid(self) -> Self {
        let piece = self.free();
        if piece.level == Level::Atom {
            piece
        } else {
            piece.bracketed()
        }
    }

    fn bracketed(self) -> Self {
        let mut piece = Self::new(self.source.clone());
        piece.is_open = self.is_open;
        piece.push("(");
        piece.add(&self);
        piece.push(")");
        piece
    }

    /// Followed by an internal filter with these arguments; `source` is what both together were.
    pub(super) fn filtered(self, name: &str, arguments: &[Self], source: Range<usize>) -> Self {
        let mut piece = self.tight();
        let start = piece.text.len();
        piece.push("|");
        piece.push(name);
        if !arguments.is_empty() {
            piece.push("(");
            for (index, argument) in arguments.iter().enumerate() {
                if index > 0 {
                    piece.push(",");
                }
                piece.add(argument);
            }
            piece.push(")");
        }
        piece.mark(start, source.clone());
        piece.source = source;
        piece.level = Level::Chain;
        piece.is_open = false;
        piece.is_call = false;
        piece.is_text = false;
        piece.literal = None;
        piece
    }
}
