//! Jinja2's expressions, from the loosest operator to the tightest.

use std::ops::Range;

use minijinja::machinery::Token;

use super::literal::{quoted, unescaped};
use super::piece::{Level, Piece};
use super::tokens::Cursor;
use super::{Backslashes, Mistake};

/// Words that are no names.
const WORDS: &[&str] = &["and", "or", "not", "if", "else", "in", "is"];

/// Names that the engine itself gives a meaning.
pub(super) const GIVEN: &[&str] = &["caller", "loop", "self", "super"];

/// Deeper nesting than this is a mistake, as it is for the engine.
const DEEPEST: usize = 120;

/// Reads expressions and writes them in the engine's words.
pub(super) struct Reader<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) backslashes: Backslashes,
    /// Within `{{ }}`, not within `{% %}`.
    pub(super) in_variable: bool,
    /// Lists and mappings must be such that methods can change them.
    pub(super) keeps_mutable: bool,
    pub(super) mutates: bool,
    /// Names that the template gives itself.
    pub(super) locals: Vec<&'a str>,
    /// What it calls, and where.
    pub(super) calls: Vec<(&'a str, Range<usize>)>,
    /// Macros that are being read: their names, and which of [`ASKED`] they ask for.
    pub(super) macros: Vec<(&'a str, [bool; 2])>,
    /// Other templates may give it more names.
    pub(super) has_parts: bool,
    /// What ends a line of the text around tags.
    pub(super) newline: String,
    depth: usize,
}

/// An argument of a call.
pub(super) struct Argument {
    pub(super) prefix: String,
    pub(super) value: Piece,
    pub(super) name_range: Option<Range<usize>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(cursor: Cursor<'a>, backslashes: Backslashes) -> Self {
        Self {
            cursor,
            backslashes,
            in_variable: true,
            keeps_mutable: false,
            mutates: false,
            locals: Vec::new(),
            calls: Vec::new(),
            macros: Vec::new(),
            has_parts: false,
            newline: "\n".to_owned(),
            depth: 0,
        }
    }

    /// A text that is one expression.
    pub(super) fn whole(&mut self) -> Result<Piece, Mistake> {
        let piece = self.tuple()?;
        let name = match piece.path.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        };
        let mut piece = piece.free();
        piece.name = name;
        if self.cursor.peek().is_some() {
            return Err(self.cursor.unexpected("end of the expression"));
        }
        self.check_calls()?;
        Ok(piece)
    }

    /// One expression, or several with commas between them.
    pub(super) fn tuple(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let first = self.expression()?;
        if !matches!(self.cursor.peek(), Some(Token::Comma)) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.cursor.takes(|token| matches!(token, Token::Comma)) {
            let is_over = match self.cursor.peek() {
                None
                | Some(
                    Token::ParenClose
                    | Token::BracketClose
                    | Token::VariableEnd
                    | Token::BlockEnd
                    | Token::Assign,
                ) => true,
                Some(Token::Ident(word)) => matches!(*word, "in" | "if" | "recursive"),
                _ => false,
            };
            if is_over {
                break;
            }
            items.push(self.expression()?);
        }
        let source = start..self.cursor.end();
        Ok(tuple_of(items, source))
    }

    /// One expression.
    pub(super) fn expression(&mut self) -> Result<Piece, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Mistake {
                message: "template: the expression is nested too deeply".to_owned(),
                hint: None,
                range: Some(self.cursor.start()..self.cursor.start() + 1),
            });
        }
        let start = self.cursor.start();
        let mut piece = self.or()?;
        while self.cursor.takes_word("if") {
            let condition = self.or()?.guarded();
            let other = if self.cursor.takes_word("else") {
                self.expression()?.free()
            } else {
                let mut nothing = Piece::atom("\"\"|kk_else", 0..0);
                nothing.level = Level::Chain;
                nothing
            };
            let source = start..self.cursor.end();
            let mut chosen = Piece::new(source.clone());
            chosen.add(&piece.tight());
            chosen.push(" if ");
            chosen.add(&condition.tight());
            chosen.push(" else ");
            chosen.add(&other.tight());
            chosen.mark(0, source);
            chosen.level = Level::Loose;
            chosen.is_open = true;
            piece = chosen;
        }
        self.depth -= 1;
        Ok(piece)
    }

    /// What may follow `in` of a loop: no `if`.
    pub(super) fn without_if(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let first = self.or()?;
        if !matches!(self.cursor.peek(), Some(Token::Comma)) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.cursor.takes(|token| matches!(token, Token::Comma)) {
            if matches!(self.cursor.peek(), Some(Token::BlockEnd)) {
                break;
            }
            items.push(self.or()?);
        }
        Ok(tuple_of(items, start..self.cursor.end()))
    }

    pub(super) fn or(&mut self) -> Result<Piece, Mistake> {
        self.either("or", Self::and)
    }

    fn and(&mut self) -> Result<Piece, Mistake> {
        self.either("and", Self::not)
    }

    fn either(
        &mut self,
        word: &str,
        next: impl Fn(&mut Self) -> Result<Piece, Mistake>,
    ) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let first = next(self)?;
        if self.cursor.word() != Some(word) {
            return Ok(first);
        }
        let mut all = Piece::new(start..start);
        all.add(&first.guarded().tight());
        while self.cursor.takes_word(word) {
            let operand = next(self)?;
            // The last one is the value, and may be asked whether it is there.
            let operand = operand.guarded();
            all.push(&format!(" {word} "));
            all.add(&operand.tight());
        }
        all.source = start..self.cursor.end();
        all.level = Level::Loose;
        Ok(all)
    }

    fn not(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        if !self.cursor.takes_word("not") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.cursor.unexpected("something less deep"));
        }
        let operand = self.not()?.guarded();
        self.depth -= 1;
        let mut piece = Piece::new(start..self.cursor.end());
        piece.push("not ");
        piece.add(&operand.tight());
        piece.level = Level::Loose;
        Ok(piece)
    }

    fn comparison(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let first = self.sum()?;
        let mut rest: Vec<Piece> = Vec::new();
        loop {
            let operator = match self.cursor.peek() {
                Some(Token::Eq) => "==",
                Some(Token::Ne) => "!=",
                Some(Token::Lt) => "<",
                Some(Token::Lte) => "<=",
                Some(Token::Gt) => ">",
                Some(Token::Gte) => ">=",
                Some(Token::Ident("in")) => "in",
                Some(Token::Ident("not"))
                    if matches!(self.cursor.ahead(1), Some(Token::Ident("in"))) =>
                {
                    self.cursor.advance();
                    "not in"
                }
                _ => break,
            };
            self.cursor.advance();
            rest.push(Piece::atom(format!("\"{operator}\""), 0..0));
            rest.push(self.sum()?.free());
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let source = start..self.cursor.end();
        Ok(first.filtered("kk_compare", &rest, source))
    }

    fn sum(&mut self) -> Result<Piece, Mistake> {
        self.binary(Self::concatenation, |token| match token {
            Token::Plus => Some("kk_add"),
            Token::Minus => Some("kk_subtract"),
            _ => None,
        })
    }

    fn concatenation(&mut self) -> Result<Piece, Mistake> {
        self.binary(Self::product, |token| match token {
            Token::Tilde => Some("kk_join"),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<Piece, Mistake> {
        self.binary(Self::power, |token| match token {
            Token::Mul => Some("kk_multiply"),
            Token::Div => Some("kk_divide"),
            Token::FloorDiv => Some("kk_floor"),
            Token::Mod => Some("kk_modulo"),
            _ => None,
        })
    }

    fn power(&mut self) -> Result<Piece, Mistake> {
        self.binary(
            |reader| reader.unary(true),
            |token| match token {
                Token::Pow => Some("kk_power"),
                _ => None,
            },
        )
    }

    fn binary(
        &mut self,
        next: impl Fn(&mut Self) -> Result<Piece, Mistake>,
        name: impl Fn(&Token) -> Option<&'static str>,
    ) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let mut left = next(self)?;
        while let Some(name) = self.cursor.peek().and_then(&name) {
            self.cursor.advance();
            let right = next(self)?.free();
            left = left.filtered(name, &[right], start..self.cursor.end());
        }
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let sign = match self.cursor.peek() {
            Some(Token::Minus) => Some("kk_negate"),
            Some(Token::Plus) => Some("kk_plus"),
            _ => None,
        };
        let mut piece = match sign {
            Some(name) => {
                self.cursor.advance();
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.cursor.unexpected("something less deep"));
                }
                let operand = self.unary(false)?;
                self.depth -= 1;
                operand.filtered(name, &[], start..self.cursor.end())
            }
            None => self.primary()?,
        };
        piece = self.postfix(piece, start)?;
        if with_filters {
            piece = self.filters(piece, start)?;
        }
        Ok(piece)
    }

    pub(super) fn primary(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let wrong = self.cursor.unexpected("an expression");
        let Some(spanned) = self.cursor.advance() else {
            return Err(wrong);
        };
        let range = spanned.range.clone();
        let literal = |text: String| Ok(Piece::atom(text, range.clone()));
        match &spanned.token {
            Token::Ident(word) => match *word {
                "true" | "True" => literal("true".to_owned()),
                "false" | "False" => literal("false".to_owned()),
                "none" | "None" => literal("none".to_owned()),
                word if WORDS.contains(&word) => Err(wrong),
                name if GIVEN.contains(&name) => Ok(Piece::atom(name, range)),
                name => {
                    let mut piece = Piece::new(range);
                    piece.path = vec![name.to_owned()];
                    piece.is_open = true;
                    Ok(piece)
                }
            },
            Token::Int(number) => literal(number.to_string()),
            Token::Int128(number) => literal(number.to_string()),
            Token::Float(number) if number.is_finite() => literal(format!("{number:?}")),
            Token::Str(_) | Token::String(_) => {
                let mut text = self.string(&range);
                while let Some(Token::Str(_) | Token::String(_)) = self.cursor.peek() {
                    if let Some(next) = self.cursor.advance() {
                        text.push_str(&self.string(&next.range));
                    }
                }
                let mut piece = Piece::atom(quoted(&text), start..self.cursor.end());
                piece.literal = Some(text);
                Ok(piece)
            }
            Token::ParenOpen => self.brackets(start),
            Token::BracketOpen => self.list(start),
            Token::BraceOpen => self.mapping(start),
            _ => Err(wrong),
        }
    }

    fn string(&self, range: &Range<usize>) -> String {
        let written = self.cursor.text(range);
        let inner = written
            .get(1..written.len().saturating_sub(1))
            .unwrap_or_default();
        unescaped(
            inner,
            self.in_variable && self.backslashes == Backslashes::Stand,
        )
    }

    fn brackets(&mut self, start: usize) -> Result<Piece, Mistake> {
        if self
            .cursor
            .takes(|token| matches!(token, Token::ParenClose))
        {
            return Ok(Piece::atom("()", start..self.cursor.end()));
        }
        let mut inner = self.tuple()?;
        self.cursor
            .expect("`)`", |token| matches!(token, Token::ParenClose))?;
        inner.source = start..self.cursor.end();
        Ok(inner)
    }

    fn list(&mut self, start: usize) -> Result<Piece, Mistake> {
        let mut piece = Piece::new(start..start);
        piece.push("[");
        let mut is_first = true;
        while !self
            .cursor
            .takes(|token| matches!(token, Token::BracketClose))
        {
            if !is_first {
                self.cursor
                    .expect("`,` or `]`", |token| matches!(token, Token::Comma))?;
                if self
                    .cursor
                    .takes(|token| matches!(token, Token::BracketClose))
                {
                    break;
                }
                piece.push(",");
            }
            is_first = false;
            piece.add(&self.expression()?.free());
        }
        piece.push("]");
        piece.source = start..self.cursor.end();
        Ok(self.own(piece))
    }

    fn mapping(&mut self, start: usize) -> Result<Piece, Mistake> {
        let mut piece = Piece::new(start..start);
        piece.push("{");
        let mut is_first = true;
        while !self
            .cursor
            .takes(|token| matches!(token, Token::BraceClose))
        {
            if !is_first {
                self.cursor
                    .expect("`,` or `}`", |token| matches!(token, Token::Comma))?;
                if self
                    .cursor
                    .takes(|token| matches!(token, Token::BraceClose))
                {
                    break;
                }
                piece.push(",");
            }
            is_first = false;
            piece.add(&self.expression()?.guarded());
            self.cursor
                .expect("`:`", |token| matches!(token, Token::Colon))?;
            piece.push(":");
            piece.add(&self.expression()?.free());
        }
        piece.push("}");
        piece.source = start..self.cursor.end();
        Ok(self.own(piece))
    }

    /// A list or mapping that can be changed, where something may change it.
    pub(super) fn own(&self, piece: Piece) -> Piece {
        if !self.keeps_mutable {
            return piece;
        }
        let source = piece.source.clone();
        piece.filtered("kk_own", &[], source)
    }
}

fn tuple_of(items: Vec<Piece>, source: Range<usize>) -> Piece {
    let mut piece = Piece::new(source);
    piece.push("(");
    for item in items {
        piece.add(&item.free());
        piece.push(",");
    }
    piece.push(")");
    piece
}
