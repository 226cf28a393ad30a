//! Jinja2's expressions, from the loosest operator to the tightest.

use std::ops::Range;

use minijinja::machinery::Token;

use super::literal::{quoted, unescaped};
use super::piece::{Level, Piece};
use super::tokens::Cursor;
use super::{Backslashes, Mistake};
use crate::template::known;

/// Words that are no names.
const WORDS: &[&str] = &["and", "or", "not", "if", "else", "in", "is"];

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

/// Names that the engine itself gives a meaning.
const GIVEN: &[&str] = &["caller", "loop", "self", "super"];

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
    /// Other templates may give it more names.
    pub(super) has_parts: bool,
    /// What ends a line of the text around tags.
    pub(super) newline: String,
    depth: usize,
}

/// An argument of a call.
pub(super) struct Argument {
    prefix: String,
    pub(super) value: Piece,
    name_range: Option<Range<usize>>,
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

    fn postfix(&mut self, mut piece: Piece, start: usize) -> Result<Piece, Mistake> {
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

    fn attribute(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
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

    fn subscript(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
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

    fn filters(&mut self, mut piece: Piece, start: usize) -> Result<Piece, Mistake> {
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

    fn test(&mut self, piece: Piece, start: usize) -> Result<Piece, Mistake> {
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
