//! The tokens of a text, one after the other.

use std::ops::Range;

use minijinja::machinery::Token;

use super::Mistake;

/// Words that end a body.
pub(super) const CLOSERS: &[&str] = &[
    "else",
    "elif",
    "endif",
    "endfor",
    "endset",
    "endwith",
    "endmacro",
    "endcall",
    "endfilter",
    "endblock",
    "endautoescape",
];

/// A token and where it stands.
#[derive(Debug)]
pub(super) struct Spanned<'source> {
    pub(super) token: Token<'source>,
    pub(super) range: Range<usize>,
}

/// A place among the tokens.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) source: &'a str,
    tokens: &'a [Spanned<'a>],
    next: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: &'a str, tokens: &'a [Spanned<'a>]) -> Self {
        Self {
            source,
            tokens,
            next: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Token<'a>> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, count: usize) -> Option<&'a Token<'a>> {
        self.tokens
            .get(self.next + count)
            .map(|spanned| &spanned.token)
    }

    pub(super) fn advance(&mut self) -> Option<&'a Spanned<'a>> {
        let spanned = self.tokens.get(self.next)?;
        self.next += 1;
        Some(spanned)
    }

    /// Where the next token starts.
    pub(super) fn start(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.source.len(), |spanned| spanned.range.start)
    }

    /// Where the last token ended.
    pub(super) fn end(&self) -> usize {
        self.next
            .checked_sub(1)
            .and_then(|index| self.tokens.get(index))
            .map_or(0, |spanned| spanned.range.end)
    }

    pub(super) fn word(&self) -> Option<&'a str> {
        match self.peek() {
            Some(Token::Ident(name)) => Some(name),
            _ => None,
        }
    }

    /// Takes this word if it comes next.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let is_next = self.word() == Some(word);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes a token if it comes next.
    pub(super) fn takes(&mut self, is_it: impl Fn(&Token) -> bool) -> bool {
        let is_next = self.peek().is_some_and(is_it);
        self.next += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(
        &mut self,
        what: &str,
        is_it: impl Fn(&Token) -> bool,
    ) -> Result<(), Mistake> {
        if self.takes(is_it) {
            return Ok(());
        }
        Err(self.unexpected(what))
    }

    pub(super) fn name(&mut self) -> Result<&'a str, Mistake> {
        match self.peek() {
            Some(Token::Ident(name)) => {
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// What comes up to the tag that closes the one that is being read.
    pub(super) fn up_to(&self, opener: &str, closer: &str) -> &'a [Spanned<'a>] {
        let rest = self.tokens.get(self.next..).unwrap_or_default();
        let mut depth = 0_usize;
        let end = rest.windows(2).position(|pair| {
            let [before, word] = pair else {
                return false;
            };
            if !matches!(before.token, Token::BlockStart) {
                return false;
            }
            let is = |wanted: &str| matches!(word.token, Token::Ident(name) if name == wanted);
            depth += usize::from(is(opener));
            let is_end = is(closer) && depth == 0;
            depth = depth.saturating_sub(usize::from(is(closer)));
            is_end
        });
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    /// The mistake of what comes next.
    pub(super) fn unexpected(&self, expected: &str) -> Mistake {
        let end = self.source.len();
        let (found, range) = self.tokens.get(self.next).map_or_else(
            || ("end of input".to_owned(), self.end().min(end)..end),
            |spanned| (spanned.token.to_string(), spanned.range.clone()),
        );
        Mistake {
            message: format!("template: unexpected {found}, expected {expected}"),
            hint: None,
            range: Some(range),
        }
    }

    pub(super) fn text(&self, range: &Range<usize>) -> &'a str {
        self.source.get(range.clone()).unwrap_or_default()
    }
}
