//! Jinja2's tags.

use minijinja::machinery::Token;

use super::expression::Reader;
use super::literal::quoted;
use super::piece::Piece;
use super::tokens::CLOSERS;
use super::{BLOCK, Mistake, VARIABLE};
use crate::template::macros::ASKED;

impl<'a> Reader<'a> {
    /// A whole template.
    pub(super) fn template(&mut self) -> Result<Piece, Mistake> {
        let mut body = Piece::default();
        while let Some(token) = self.cursor.peek() {
            let start = self.cursor.start();
            self.cursor.advance();
            let at = body.text.len();
            match token {
                Token::TemplateData(text) => data(&mut body, text, &self.newline),
                Token::VariableStart => {
                    self.in_variable = true;
                    let value = self.tuple()?.free();
                    self.cursor.expect("end of variable block", |token| {
                        matches!(token, Token::VariableEnd)
                    })?;
                    body.push(VARIABLE.0);
                    body.add(&value);
                    body.push(VARIABLE.1);
                    body.mark(at, value.source);
                }
                Token::BlockStart => {
                    self.in_variable = false;
                    let tag = self.tag()?;
                    let end = self.cursor.end();
                    self.cursor
                        .expect("end of block", |token| matches!(token, Token::BlockEnd))?;
                    body.push(BLOCK.0);
                    body.push(" ");
                    body.add(&tag);
                    body.push(" ");
                    body.push(BLOCK.1);
                    if tag.text == "endmacro"
                        && let Some((name, [varargs, kwargs])) = self.macros.pop()
                    {
                        let filter =
                            format!(" set {name} = {name} | kk_macro({varargs}, {kwargs}) ");
                        body.push(BLOCK.0);
                        body.push(&filter);
                        body.push(BLOCK.1);
                    }
                    body.mark(at, start..end);
                }
                _ => return Err(self.cursor.unexpected("text")),
            }
        }
        self.check_calls()?;
        Ok(body)
    }

    fn tag(&mut self) -> Result<Piece, Mistake> {
        let start = self.cursor.start();
        let wrong = self.cursor.unexpected("a statement");
        let word = self.cursor.name().map_err(|_| wrong)?;
        let mut tag = Piece::atom(word, start..start);
        match word {
            "for" => self.loop_tag(&mut tag)?,
            "if" | "elif" => {
                let condition = self.tuple()?.guarded();
                tag.push(" ");
                tag.add(&condition.tight());
            }
            "set" => self.set_tag(&mut tag)?,
            "with" => self.with_tag(&mut tag)?,
            "macro" => {
                let name = self.cursor.name()?;
                self.locals.push(name);
                tag.push(" ");
                tag.push(name);
                let named = self.parameters(&mut tag)?;
                self.asked(name, &named, &mut tag);
            }
            "call" => {
                if matches!(self.cursor.peek(), Some(Token::ParenOpen)) {
                    self.parameters(&mut tag)?;
                } else {
                    // A bracket would open the parameters, and what is called may begin with one.
                    tag.push("()");
                }
                let wrong = self.cursor.unexpected("a call");
                let call = self.expression()?;
                if !call.is_call {
                    return Err(wrong);
                }
                tag.push(" ");
                tag.add(&call.free());
            }
            "filter" => self.filter_tag(&mut tag)?,
            "do" => {
                let value = self.tuple()?.free();
                tag = Piece::atom("set kk_done = ", start..start);
                tag.add(&value);
            }
            "include" | "extends" | "import" | "from" => self.other_template(word, &mut tag)?,
            "block" => {
                tag.push(" ");
                tag.push(self.cursor.name()?);
                for flag in ["scoped", "required"] {
                    if self.cursor.takes_word(flag) && flag == "required" {
                        tag.push(" required");
                    }
                }
            }
            "autoescape" => {
                self.expression()?;
                tag.push(" false");
            }
            "break" | "continue" => {}
            closer if CLOSERS.contains(&closer) => {
                // `endblock name` and `endmacro name`.
                if let (Some(name), true) = (self.cursor.word(), closer.starts_with("end")) {
                    self.cursor.advance();
                    if closer == "endblock" {
                        tag.push(" ");
                        tag.push(name);
                    }
                }
            }
            other => {
                return Err(Mistake {
                    message: format!("template: unknown statement {other}"),
                    hint: None,
                    range: Some(start..self.cursor.end()),
                });
            }
        }
        Ok(tag)
    }

    fn loop_tag(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        tag.push(" ");
        self.target(tag, false)?;
        if !self.cursor.takes_word("in") {
            return Err(self.cursor.unexpected("in"));
        }
        let start = self.cursor.start();
        let items = self.without_if()?;
        let source = start..self.cursor.end();
        tag.push(" in ");
        tag.add(&items.filtered("kk_each", &[], source));
        if self.cursor.takes_word("if") {
            let condition = self.expression()?.guarded();
            tag.push(" if ");
            tag.add(&condition.tight());
        }
        if self.cursor.takes_word("recursive") {
            tag.push(" recursive");
        }
        Ok(())
    }

    /// What is assigned to: names, attributes of namespaces, several of them.
    fn target(&mut self, tag: &mut Piece, may_have_dots: bool) -> Result<(), Mistake> {
        loop {
            if self.cursor.takes(|token| matches!(token, Token::ParenOpen)) {
                tag.push("(");
                self.target(tag, may_have_dots)?;
                self.cursor
                    .expect("`)`", |token| matches!(token, Token::ParenClose))?;
                tag.push(")");
            } else {
                let name = self.cursor.name()?;
                self.locals.push(name);
                tag.push(name);
                while may_have_dots && self.cursor.takes(|token| matches!(token, Token::Dot)) {
                    tag.push(".");
                    tag.push(self.cursor.name()?);
                }
            }
            if !self.cursor.takes(|token| matches!(token, Token::Comma)) {
                return Ok(());
            }
            tag.push(",");
            if matches!(
                self.cursor.peek(),
                Some(Token::Assign | Token::ParenClose | Token::Ident("in"))
            ) {
                return Ok(());
            }
        }
    }

    fn set_tag(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        tag.push(" ");
        self.target(tag, true)?;
        if self.cursor.takes(|token| matches!(token, Token::Assign)) {
            let value = self.tuple()?.free();
            tag.push(" = ");
            tag.add(&self.own(value));
        } else if self.cursor.takes(|token| matches!(token, Token::Pipe)) {
            tag.push(" | ");
            self.chain(tag)?;
        }
        Ok(())
    }

    fn chain(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        let start = self.cursor.start();
        let mut chain = self.filter(None, start)?;
        while self.cursor.takes(|token| matches!(token, Token::Pipe)) {
            chain = self.filter(Some(chain), start)?;
        }
        tag.add(&chain);
        Ok(())
    }

    fn filter_tag(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        tag.push(" ");
        self.chain(tag)
    }

    fn with_tag(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        let mut is_first = true;
        while !matches!(self.cursor.peek(), Some(Token::BlockEnd) | None) {
            if !is_first {
                self.cursor
                    .expect("`,`", |token| matches!(token, Token::Comma))?;
                tag.push(",");
            }
            is_first = false;
            tag.push(" ");
            let name = self.cursor.name()?;
            self.locals.push(name);
            tag.push(name);
            self.cursor
                .expect("`=`", |token| matches!(token, Token::Assign))?;
            tag.push(" = ");
            let value = self.expression()?.free();
            tag.add(&self.own(value));
        }
        Ok(())
    }

    /// Parameters for what the macro asks for beyond those that it names.
    fn asked(&mut self, name: &'a str, named: &[&str], tag: &mut Piece) {
        let body = self.cursor.up_to("macro", "endmacro");
        let asked = ASKED.map(|wanted| {
            let is_read =
                |token: &Token<'_>| matches!(token, Token::Ident(word) if *word == wanted);
            !named.contains(&wanted) && body.iter().any(|spanned| is_read(&spanned.token))
        });
        for (wanted, _) in ASKED.iter().zip(asked).filter(|(_, is_asked)| *is_asked) {
            self.locals.push(wanted);
            if tag.text.ends_with(')') {
                tag.text.pop();
            }
            if !tag.text.ends_with('(') {
                tag.push(", ");
            }
            tag.push(wanted);
            // Behind parameters that need not be given.
            tag.push("=none)");
        }
        self.macros.push((name, asked));
    }

    fn parameters(&mut self, tag: &mut Piece) -> Result<Vec<&'a str>, Mistake> {
        let mut named = Vec::new();
        self.cursor
            .expect("`(`", |token| matches!(token, Token::ParenOpen))?;
        tag.push("(");
        let mut is_first = true;
        while !self
            .cursor
            .takes(|token| matches!(token, Token::ParenClose))
        {
            if !is_first {
                self.cursor
                    .expect("`,` or `)`", |token| matches!(token, Token::Comma))?;
                if self
                    .cursor
                    .takes(|token| matches!(token, Token::ParenClose))
                {
                    break;
                }
                tag.push(",");
            }
            is_first = false;
            let name = self.cursor.name()?;
            named.push(name);
            self.locals.push(name);
            tag.push(name);
            if self.cursor.takes(|token| matches!(token, Token::Assign)) {
                tag.push("=");
                tag.add(&self.expression()?.free().tight());
            }
        }
        tag.push(")");
        Ok(named)
    }

    /// Tags that name another template.
    fn other_template(&mut self, word: &str, tag: &mut Piece) -> Result<(), Mistake> {
        self.has_parts |= matches!(word, "include" | "extends");
        let start = self.cursor.start();
        let name = self.expression()?.guarded();
        let source = start..self.cursor.end();
        tag.push(" ");
        let is_optional =
            word == "include" && matches!(self.cursor.peek(), Some(Token::Ident("ignore")));
        let filter = if is_optional {
            "kk_maybe"
        } else {
            "kk_template"
        };
        tag.add(&name.filtered(filter, &[], source));
        if is_optional {
            self.cursor.advance();
            if !self.cursor.takes_word("missing") {
                return Err(self.cursor.unexpected("missing"));
            }
            tag.push(" ignore missing");
        }
        match word {
            "import" => {
                if !self.cursor.takes_word("as") {
                    return Err(self.cursor.unexpected("as"));
                }
                let name = self.cursor.name()?;
                self.locals.push(name);
                tag.push(" as ");
                tag.push(name);
            }
            "from" => {
                if !self.cursor.takes_word("import") {
                    return Err(self.cursor.unexpected("import"));
                }
                tag.push(" import ");
                self.imported(tag)?;
            }
            _ => {}
        }
        if matches!(self.cursor.word(), Some("with" | "without")) {
            self.cursor.advance();
            if !self.cursor.takes_word("context") {
                return Err(self.cursor.unexpected("context"));
            }
        }
        Ok(())
    }

    fn imported(&mut self, tag: &mut Piece) -> Result<(), Mistake> {
        let mut is_first = true;
        loop {
            let is_context = matches!(self.cursor.word(), Some("with" | "without"))
                && matches!(self.cursor.ahead(1), Some(Token::Ident("context")));
            if is_context || matches!(self.cursor.peek(), Some(Token::BlockEnd) | None) {
                return Ok(());
            }
            if !is_first {
                tag.push(", ");
            }
            is_first = false;
            let name = self.cursor.name()?;
            tag.push(name);
            let mut local = name;
            if self.cursor.takes_word("as") {
                local = self.cursor.name()?;
                tag.push(" as ");
                tag.push(local);
            }
            self.locals.push(local);
            if !self.cursor.takes(|token| matches!(token, Token::Comma)) {
                return Ok(());
            }
        }
    }
}

/// Text outside of tags.
fn data(body: &mut Piece, text: &str, newline: &str) {
    for character in text.chars() {
        match character {
            '\u{2}' | '\u{3}' => {
                body.push(VARIABLE.0);
                body.push(&quoted(character.encode_utf8(&mut [0; 4])));
                body.push(VARIABLE.1);
            }
            '\n' => body.push(newline),
            other => body.text.push(other),
        }
    }
}
