//! `wordwrap`: lines of at most some characters.

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::Call;
use super::text::lines;

/// How to wrap.
struct Wrap {
    width: usize,
    break_long_words: bool,
    break_on_hyphens: bool,
}

pub(super) fn wordwrap(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let text = call.value_as_text()?;
    let wrap = Wrap {
        width: call.count("width", 79)?,
        break_long_words: call.flag("break_long_words", true)?,
        break_on_hyphens: call.flag("break_on_hyphens", true)?,
    };
    if wrap.width == 0 {
        return Err(call.error("the width must be more than 0"));
    }
    let newline = call.text("wrapstring")?.unwrap_or_else(|| "\n".to_owned());
    let wrapped: Vec<String> = lines(&text)
        .into_iter()
        .map(|line| wrap.line(line).join(&newline))
        .collect();
    Ok(Value::from(wrapped.join(&newline)))
}

impl Wrap {
    fn line(&self, text: &str) -> Vec<String> {
        let mut chunks = self.chunks(text);
        chunks.reverse();
        let mut wrapped: Vec<String> = Vec::new();
        while !chunks.is_empty() {
            let mut line: Vec<Vec<char>> = Vec::new();
            let mut length = 0;
            // A line but the first does not begin with spaces.
            if !wrapped.is_empty() && chunks.last().is_some_and(|chunk| is_blank(chunk)) {
                chunks.pop();
            }
            while let Some(chunk) = chunks.last() {
                if length + chunk.len() > self.width {
                    break;
                }
                length += chunk.len();
                line.extend(chunks.pop());
            }
            if chunks.last().is_some_and(|chunk| chunk.len() > self.width) {
                self.long_word(&mut chunks, &mut line, self.width - length);
            }
            if line.last().is_some_and(|chunk| is_blank(chunk)) {
                line.pop();
            }
            if !line.is_empty() {
                wrapped.push(line.into_iter().flatten().collect());
            }
        }
        wrapped
    }

    /// A word that fits no line: what of it fits this one, or all of it where words stay whole.
    fn long_word(&self, chunks: &mut Vec<Vec<char>>, line: &mut Vec<Vec<char>>, room: usize) {
        if self.break_long_words {
            let Some(mut chunk) = chunks.pop() else {
                return;
            };
            let mut end = room.max(1).min(chunk.len());
            if self.break_on_hyphens && chunk.len() > room {
                let start = chunk.get(..end).unwrap_or_default();
                let hyphen = start.iter().rposition(|c| *c == '-').filter(|at| *at > 0);
                if let Some(hyphen) = hyphen.filter(|at| start.iter().take(*at).any(|c| *c != '-'))
                {
                    end = hyphen + 1;
                }
            }
            let after = chunk.split_off(end);
            line.push(chunk);
            chunks.push(after);
        } else if line.is_empty() {
            line.extend(chunks.pop());
        }
    }

    /// Spaces and words in turn, words with hyphens in their parts.
    fn chunks(&self, text: &str) -> Vec<Vec<char>> {
        let mut chunks: Vec<Vec<char>> = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for (index, character) in characters.iter().enumerate() {
            let before = index
                .checked_sub(1)
                .and_then(|before| characters.get(before));
            let is_new = match before {
                None => true,
                Some(before) if is_space(*before) != is_space(*character) => true,
                Some('-') => self.break_on_hyphens && breaks_at(&characters, index - 1),
                Some(_) => false,
            };
            match chunks.last_mut() {
                Some(chunk) if !is_new => chunk.push(*character),
                _ => chunks.push(vec![*character]),
            }
        }
        chunks
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn is_blank(chunk: &[char]) -> bool {
    chunk.iter().all(|character| is_space(*character))
}

/// Whether a word may be parted behind the hyphen at an index: letters before it, letters after it.
fn breaks_at(characters: &[char], hyphen: usize) -> bool {
    let letter = |index: Option<usize>| {
        let character = index.and_then(|index| characters.get(index));
        character.is_some_and(|character| character.is_alphabetic() || *character == '_')
    };
    let is = |index: Option<usize>, wanted: char| {
        index
            .and_then(|index| characters.get(index))
            .is_some_and(|found| *found == wanted)
    };
    let before = |distance: usize| hyphen.checked_sub(distance);
    let after = |distance: usize| Some(hyphen + distance);
    let begins =
        letter(before(1)) && (letter(before(2)) || is(before(2), '-') && letter(before(3)));
    let goes_on = letter(after(1)) && (letter(after(2)) || is(after(2), '-') && letter(after(3)));
    begins && goes_on
}
