//! What stands behind a value: attributes, subscripts, calls, filters and tests.

use std::ops::Range;

use minijinja::machinery::Token;

use super::Mistake;
use super::expression::{Argument, GIVEN, Reader};
use super::literal::quoted;
use super::piece::{Level, Piece};
use crate::template::known;

/// Methods that change what they are called on.
const CHANGING: &[&str] = &[
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
];

impl Reader<'_> {
    pub(super) fn postfix(&mut self, mut piece: Piece, start: usize) -> Result<Piece, Mistake> {
        loop {
            match self.cursor.peek() {
                Some(Token::Dot) => {
                    self.cursor.advance();
                    piece = self.attribute(piece, start)?;
                }
                Some(Token::BracketOpen) => {
                    self.cursor.advance();
                    piece = self.subscript(piece, start)?;
                }
                Some(Token::ParenOpen) => piece = self.call(piece, start)?,
                _ => return Ok(piece),
            }
        }
    }

    pub(super) fn attribute(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
        if let Some(Token::Int(index)) = self.cursor.peek() {
            self.cursor.advance();
            let index = Piece::atom(index.to_string(), 0..0);
            return Ok(opened(piece.filtered(
                "kk_item",
                &[index],
                start..self.cursor.end(),
            )));
        }
        let name = self.cursor.name()?;
        if matches!(self.cursor.peek(), Some(Token::ParenOpen)) {
            self.mutates |= CHANGING.contains(&name);
            let from = self.cursor.start();
            let arguments = self.arguments()?;
            let is_given = GIVEN.contains(&piece.text.as_str());
            let object = if is_given {
                piece
            } else {
                piece.guarded().solid()
            };
            let mut call = Piece::new(start..self.cursor.end());
            call.add(&object);
            let at = call.text.len();
            call.push(".");
            call.push(name);
            write_arguments(&mut call, arguments, Piece::free);
            call.mark(at, from.saturating_sub(name.len())..self.cursor.end());
            call.is_open = true;
            call.is_call = true;
            return Ok(call);
        }
        let source = start..self.cursor.end();
        let mut piece = piece;
        if piece.path.is_empty() {
            let name = Piece::atom(format!("\"{name}\""), 0..0);
            return Ok(opened(piece.filtered("kk_attribute", &[name], source)));
        }
        piece.path.push(name.to_owned());
        piece.source = source;
        Ok(piece)
    }

    pub(super) fn subscript(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
        let none = || Piece::atom("none", 0..0);
        let mut parts = Vec::new();
        let mut is_slice = false;
        let mut is_expected = true;
        while !self
            .cursor
            .takes(|token| matches!(token, Token::BracketClose))
        {
            if self.cursor.takes(|token| matches!(token, Token::Colon)) {
                if is_expected {
                    parts.push(none());
                }
                (is_slice, is_expected) = (true, true);
                continue;
            }
            if !is_expected {
                return Err(self.cursor.unexpected("`]`"));
            }
            parts.push(self.tuple()?.guarded());
            is_expected = false;
        }
        if parts.is_empty() || parts.len() > 3 {
            return Err(self.cursor.unexpected("an index"));
        }
        let source = start..self.cursor.end();
        if is_slice {
            parts.resize_with(3, none);
            return Ok(piece.guarded().filtered("kk_slice", &parts, source));
        }
        Ok(opened(piece.filtered("kk_item", &parts, source)))
    }

    pub(super) fn call(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
        let arguments = self.arguments()?;
        let source = start..self.cursor.end();
        let mut call = Piece::new(source.clone());
        let name = match piece.path.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        };
        let asks = name
            .as_deref()
            .is_some_and(|name| matches!(name, "lookup" | "q" | "query"));
        if let Some(asked) = arguments.first().filter(|_| asks) {
            let source = &asked.value.source;
            if let Some(lookup) = literal_name(self.cursor.text(source)) {
                known::known_lookup(lookup).map_err(|mistake| mistake.at(source.clone()))?;
            }
        }
        let is_strict = asks || name.as_deref() == Some("range");
        let stays_text = |argument: &Argument| {
            let value = self.cursor.text(&argument.value.source);
            argument.prefix == "convert_data=" && matches!(value, "false" | "False")
        };
        let is_text = asks && arguments.iter().any(stays_text);
        match &name {
            Some(name) => {
                let written = self.cursor.text(&piece.source);
                if written == name.as_str() {
                    self.calls.push((written, piece.source.clone()));
                }
                call.push(name);
            }
            None => call.add(&piece.guarded().solid()),
        }
        write_arguments(&mut call, arguments, |piece| {
            if is_strict {
                piece.guarded()
            } else {
                piece.free()
            }
        });
        call.mark(0, source);
        call.is_open = true;
        call.is_call = true;
        call.is_text = is_text;
        Ok(call)
    }

    pub(super) fn arguments(&mut self) -> Result<Vec<Argument>, Mistake> {
        self.cursor
            .expect("`(`", |token| matches!(token, Token::ParenOpen))?;
        let mut arguments = Vec::new();
        while !self
            .cursor
            .takes(|token| matches!(token, Token::ParenClose))
        {
            if !arguments.is_empty() {
                self.cursor
                    .expect("`,` or `)`", |token| matches!(token, Token::Comma))?;
                if self
                    .cursor
                    .takes(|token| matches!(token, Token::ParenClose))
                {
                    break;
                }
            }
            let mut name_range = None;
            let prefix = if self.cursor.takes(|token| matches!(token, Token::Mul)) {
                "*".to_owned()
            } else if self.cursor.takes(|token| matches!(token, Token::Pow)) {
                "**".to_owned()
            } else if let (Some(name), Some(Token::Assign)) =
                (self.cursor.word(), self.cursor.ahead(1))
            {
                let start = self.cursor.start();
                self.cursor.advance();
                name_range = Some(start..self.cursor.end());
                self.cursor.advance();
                format!("{name}=")
            } else {
                String::new()
            };
            let value = self.expression()?;
            arguments.push(Argument {
                prefix,
                value,
                name_range,
            });
        }
        Ok(arguments)
    }

    pub(super) fn filters(&mut self, mut piece: Piece, start: usize) -> Result<Piece, Mistake> {
        loop {
            match self.cursor.peek() {
                Some(Token::Pipe) => {
                    self.cursor.advance();
                    piece = self.filter(Some(piece), start)?;
                }
                Some(Token::Ident("is")) => {
                    self.cursor.advance();
                    piece = self.test(piece, start)?;
                }
                Some(Token::ParenOpen) => piece = self.call(piece, start)?,
                _ => return Ok(piece),
            }
        }
    }

    /// A name with dots, and where it stands.
    pub(super) fn dotted(&mut self) -> Result<(String, Range<usize>), Mistake> {
        let start = self.cursor.start();
        let mut name = self.cursor.name()?.to_owned();
        while self.cursor.takes(|token| matches!(token, Token::Dot)) {
            name.push('.');
            name.push_str(self.cursor.name()?);
        }
        Ok((name, start..self.cursor.end()))
    }

    /// A filter; without a piece before it, the start of a chain in a tag.
    pub(super) fn filter(&mut self, piece: Option<Piece>, start: usize) -> Result<Piece, Mistake> {
        let (name, range) = self.dotted()?;
        let name = known::known_filter(&name).map_err(|mistake| mistake.at(range.clone()))?;
        let mut arguments = if matches!(self.cursor.peek(), Some(Token::ParenOpen)) {
            self.arguments()?
        } else {
            Vec::new()
        };
        check_callee(name, &mut arguments)?;
        let is_lenient = known::TAKES_UNDEFINED.contains(&name);
        let mut chain = match piece {
            Some(piece) if is_lenient => piece.tight(),
            Some(piece) => piece.guarded().tight(),
            None => Piece::new(start..start),
        };
        if !chain.text.is_empty() {
            chain.push("|");
        }
        let at = chain.text.len();
        chain.push(name);
        if !arguments.is_empty() {
            let is_lenient = known::TAKES_UNDEFINED_ARGUMENTS.contains(&name);
            write_arguments(&mut chain, arguments, |piece| {
                if is_lenient {
                    piece.free()
                } else {
                    piece.guarded()
                }
            });
        }
        chain.mark(at, range.start..self.cursor.end());
        chain.source = start..self.cursor.end();
        chain.level = Level::Chain;
        chain.is_open = known::GIVES_UNDEFINED.contains(&name);
        chain.is_call = false;
        chain.literal = None;
        chain.is_text = known::MAKES_TEXT.contains(&name);
        Ok(chain)
    }

    pub(super) fn test(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
        let is_negated = self.cursor.takes_word("not");
        let (name, range) = self.dotted()?;
        let name = known::known_test(&name).map_err(|mistake| mistake.at(range.clone()))?;
        let takes_one = match self.cursor.peek() {
            Some(Token::Ident(word)) => {
                !matches!(*word, "else" | "or" | "and" | "is" | "if" | "in" | "not")
            }
            Some(
                Token::Str(_)
                | Token::String(_)
                | Token::Int(_)
                | Token::Int128(_)
                | Token::Float(_)
                | Token::BracketOpen
                | Token::BraceOpen,
            ) => true,
            _ => false,
        };
        let arguments = if matches!(self.cursor.peek(), Some(Token::ParenOpen)) {
            self.arguments()?
        } else if takes_one {
            let from = self.cursor.start();
            let value = self.primary()?;
            let value = self.postfix(value, from)?;
            vec![Argument {
                prefix: String::new(),
                value,
                name_range: None,
            }]
        } else {
            Vec::new()
        };
        let is_lenient = known::TESTS_UNDEFINED.contains(&name);
        let value = if is_lenient {
            piece.tight()
        } else {
            piece.guarded().tight()
        };
        let mut asked = Piece::new(start..self.cursor.end());
        asked.push("(");
        asked.add(&value);
        asked.push(if is_negated { " is not " } else { " is " });
        let at = asked.text.len();
        asked.push(name);
        if !arguments.is_empty() {
            write_arguments(&mut asked, arguments, Piece::guarded);
        }
        asked.mark(at, range.start..self.cursor.end());
        asked.push(")");
        Ok(asked)
    }

    /// Every function that is called must be there.
    pub(super) fn check_calls(&self) -> Result<(), Mistake> {
        if self.has_parts {
            return Ok(());
        }
        for (name, range) in &self.calls {
            if !self.locals.contains(name) {
                known::known_function(name).map_err(|mistake| mistake.at(range.clone()))?;
            }
        }
        Ok(())
    }
}

fn write_arguments(call: &mut Piece, arguments: Vec<Argument>, finish: impl Fn(Piece) -> Piece) {
    call.push("(");
    for (index, argument) in arguments.into_iter().enumerate() {
        if index > 0 {
            call.push(",");
        }
        let start = call.text.len();
        call.push(&argument.prefix);
        if let Some(range) = argument.name_range {
            call.mark(start, range);
        }
        let value = finish(argument.value);
        call.add(&value);
    }
    call.push(")");
}

/// The inside of a name in quotes.
fn literal_name(text: &str) -> Option<&str> {
    let text = text.trim();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let name = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    name.chars().all(is_plain).then_some(name)
}

fn opened(mut piece: Piece) -> Piece {
    piece.is_open = true;
    piece
}

/// Filters that take the name of a filter or a test: that must be there too, and have no prefix.
fn check_callee(filter: &str, arguments: &mut [Argument]) -> Result<(), Mistake> {
    let index = match filter {
        "map" | "select" | "reject" => 0,
        "selectattr" | "rejectattr" => 1,
        _ => return Ok(()),
    };
    let Some(argument) = arguments
        .get_mut(index)
        .filter(|argument| argument.prefix.is_empty())
    else {
        return Ok(());
    };
    let Some(name) = argument.value.literal.clone() else {
        return Ok(());
    };
    let known = if filter == "map" {
        known::known_filter(&name)
    } else {
        known::known_test(&name)
    };
    let range = argument.value.source.clone();
    let known = known.map_err(|mistake| mistake.at(range.clone()))?;
    argument.value = Piece::atom(quoted(known), range);
    Ok(())
}
