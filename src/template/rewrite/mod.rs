//! Jinja2's grammar, in words that the template engine means in the same way.
//!
//! The engine parses almost everything that Jinja2 does, but its operators, attributes and undefined values follow
//! rules of its own. So a text is read here by Jinja2's grammar and written anew: `a.b + c` becomes
//! `a|kk_g("a","b")|kk_add(c|kk_g("c"))`, where the filters `kk_…` do what Python does (see `operators` and
//! `access`). Tags get delimiters that no text contains, so one environment serves every choice of delimiters, and
//! white space is already trimmed. Marks lead from a place in the new text back to the user's.

mod expression;
mod literal;
mod piece;
mod statement;
mod tokens;

use std::ops::Range;

use minijinja::machinery::tokenize;
use minijinja::syntax::SyntaxConfig;

pub(super) use piece::Marks;

use expression::Reader;
use tokens::Cursor;

/// Delimiters of the rewritten text.
pub(super) const BLOCK: (&str, &str) = ("\u{2}%", "%\u{3}");
/// Delimiters of its expressions.
pub(super) const VARIABLE: (&str, &str) = ("\u{2}{", "}\u{3}");
/// Delimiters of its comments, of which it has none.
pub(super) const COMMENT: (&str, &str) = ("\u{2}#", "#\u{3}");

/// What a backslash in a string means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Backslashes {
    /// As in Python: in template files and conditions.
    Escape,
    /// Itself, within `{{ }}`: in playbooks, where YAML has had its turn.
    Stand,
}

/// A mistake in the user's text.
#[derive(Debug, Clone)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Where, in the user's text.
    pub(super) range: Option<Range<usize>>,
}

/// A text in the engine's words.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    pub(super) marks: Marks,
    /// It calls a method that changes a list or a mapping.
    pub(super) mutates: bool,
    /// It ends with a filter that makes a text.
    pub(super) is_text: bool,
    /// It is this name and nothing else.
    pub(super) name: Option<String>,
}

/// Rewrites a template.
pub(super) fn template(
    source: &str,
    syntax: &SyntaxConfig,
    backslashes: Backslashes,
    newline: &str,
) -> Result<Rewritten, Mistake> {
    let tokens = read(source, false, syntax)?;
    let cursor = Cursor::new(source, &tokens);
    twice(cursor, backslashes, |reader| {
        newline.clone_into(&mut reader.newline);
        reader.template()
    })
}

/// Rewrites the inside of `{{ }}`, or a condition.
pub(super) fn expression(source: &str, backslashes: Backslashes) -> Result<Rewritten, Mistake> {
    let tokens = read(source, true, &SyntaxConfig::default())?;
    let cursor = Cursor::new(source, &tokens);
    twice(cursor, backslashes, Reader::whole)
}

/// Most templates change nothing; one that does is read again with that in mind.
fn twice<'a>(
    cursor: Cursor<'a>,
    backslashes: Backslashes,
    read: impl Fn(&mut Reader<'a>) -> Result<piece::Piece, Mistake>,
) -> Result<Rewritten, Mistake> {
    let mut reader = Reader::new(cursor, backslashes);
    let mut piece = read(&mut reader)?;
    let is_text = piece.is_text;
    let name = piece.name.take();
    let mutates = reader.mutates;
    if mutates {
        reader = Reader::new(cursor, backslashes);
        reader.keeps_mutable = true;
        piece = read(&mut reader)?;
    }
    Ok(Rewritten {
        text: piece.text,
        marks: Marks(piece.marks),
        mutates,
        is_text,
        name,
    })
}

/// The value of what stands between the quotes of a Python string.
pub(super) fn unescaped(raw: &str) -> String {
    literal::unescaped(raw, false)
}

fn read<'source>(
    source: &'source str,
    is_expression: bool,
    syntax: &SyntaxConfig,
) -> Result<Vec<tokens::Spanned<'source>>, Mistake> {
    tokenize(source, is_expression, syntax.clone())
        .map(|token| {
            token
                .map(|(token, span)| {
                    let range = span.start_offset as usize..span.end_offset as usize;
                    tokens::Spanned { token, range }
                })
                .map_err(|error| Mistake {
                    message: super::environment::describe(&error),
                    hint: None,
                    range: error.range(),
                })
        })
        .collect()
}
