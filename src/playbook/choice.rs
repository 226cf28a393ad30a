//! Keywords of a play that are one of a few words: `strategy` and `order`.

use super::load::Loader;
use super::{Frame, Order, Strategy};
use crate::diagnostic::{Diagnostic, Place};
use crate::template::{Scope, Template};
use crate::yaml::Fields;

/// A word, or a template that becomes one when the play begins.
#[derive(Debug, Clone)]
pub enum Choice<T> {
    /// It stands there.
    Known(T),
    /// It is made of variables.
    Late(Template),
}

/// What a word can be.
pub trait Word: Copy + Default + 'static {
    /// The words.
    const WORDS: &'static [(&'static str, Self)];

    /// What to say of another word.
    fn unknown(text: &str, place: Option<&Place>) -> Diagnostic;
}

impl<T: Default> Default for Choice<T> {
    fn default() -> Self {
        Self::Known(T::default())
    }
}

impl<T: Word> Choice<T> {
    /// The word for a play.
    pub fn resolve(&self, scope: &Scope) -> Result<T, Diagnostic> {
        match self {
            Self::Known(word) => Ok(*word),
            Self::Late(template) => read(&template.render(scope)?, template.place()),
        }
    }
}

fn read<T: Word>(text: &str, place: Option<&Place>) -> Result<T, Diagnostic> {
    let short = text.strip_prefix("ansible.builtin.").unwrap_or(text);
    let known = T::WORDS.iter().find(|(word, _)| *word == short);
    known
        .map(|(_, word)| *word)
        .ok_or_else(|| T::unknown(text, place))
}

fn diagnostic(message: String, place: Option<&Place>) -> Diagnostic {
    match place {
        Some(place) => Diagnostic::at(place, message),
        None => Diagnostic::error(message),
    }
}

impl Word for Strategy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("linear", Self::Linear),
        ("free", Self::Free),
        ("host_pinned", Self::Free),
    ];

    fn unknown(text: &str, place: Option<&Place>) -> Diagnostic {
        diagnostic(format!("the strategy `{text}` is not supported"), place)
            .hint("there are `linear`, `free` and `host_pinned`")
    }
}

impl Word for Order {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("inventory", Self::Inventory),
        ("reverse_inventory", Self::ReverseInventory),
        ("sorted", Self::Sorted),
        ("reverse_sorted", Self::ReverseSorted),
        ("shuffle", Self::Shuffle),
    ];

    fn unknown(text: &str, place: Option<&Place>) -> Diagnostic {
        let names: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        let mut unknown = diagnostic(format!("unknown `order` `{text}`"), place)
            .suggest(text, names.iter().copied());
        unknown
            .hint
            .get_or_insert_with(|| format!("there are: {}", names.join(", ")));
        unknown
    }
}

impl Loader<'_> {
    /// A word of a play. What is known before the run is checked now.
    pub(super) fn choice<T: Word>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
        frame: &Frame,
    ) -> Choice<T> {
        let template = fields.value(key).and_then(|node| self.template_of(node));
        let Some(template) = template else {
            return Choice::default();
        };
        let literal = template.literal().map(str::to_owned);
        let known = literal.or_else(|| self.surely_known(&template, frame));
        let Some(text) = known else {
            return Choice::Late(template);
        };
        match read(&text, template.place()) {
            Ok(word) => Choice::Known(word),
            Err(diagnostic) => {
                self.found.push(diagnostic);
                Choice::default()
            }
        }
    }
}
