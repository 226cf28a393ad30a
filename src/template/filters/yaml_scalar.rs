//! What a text of YAML may be written like: without quotes, in single ones, or only in double ones.

use std::sync::OnceLock;

/// What the characters of a text allow.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    pub(super) has_breaks: bool,
    pub(super) allows_plain_in_flow: bool,
    pub(super) allows_plain_in_block: bool,
    pub(super) allows_single_quotes: bool,
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_white(character: Option<char>) -> bool {
    character.is_none_or(|character| {
        is_break(character) || matches!(character, '\0' | ' ' | '\t' | '\r')
    })
}

impl Analysis {
    pub(super) fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self {
                allows_plain_in_block: true,
                allows_single_quotes: true,
                ..Self::default()
            };
        }
        let characters: Vec<char> = text.chars().collect();
        let looks_like_end = text.starts_with("---") || text.starts_with("...");
        let (mut in_flow, mut in_block) = (looks_like_end, looks_like_end);
        let mut has_breaks = false;
        let mut is_special = false;
        let mut break_then_space = false;
        let mut space_then_break = false;
        let mut before: Option<char> = None;
        for (index, character) in characters.iter().copied().enumerate() {
            let is_last_of_word = is_white(characters.get(index + 1).copied());
            match (index, character) {
                (
                    0,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                    | '%' | '@' | '`',
                ) => {
                    in_flow = true;
                    in_block = true;
                }
                (_, ':') | (0, '?') => {
                    in_flow = true;
                    in_block |= is_last_of_word;
                }
                (0, '-') if is_last_of_word => {
                    in_flow = true;
                    in_block = true;
                }
                (1.., ',' | '?' | '[' | ']' | '{' | '}') => in_flow = true,
                (1.., '#') if is_white(before) => {
                    in_flow = true;
                    in_block = true;
                }
                _ => {}
            }
            has_breaks |= is_break(character);
            is_special |= !is_printable(character);
            break_then_space |= character == ' ' && before.is_some_and(is_break);
            space_then_break |= is_break(character) && before == Some(' ');
            before = Some(character);
        }
        let is_edge =
            |character: Option<&char>| character.is_some_and(|c| *c == ' ' || is_break(*c));
        let has_edges = is_edge(characters.first()) || is_edge(characters.last());
        let is_quoted = break_then_space || space_then_break || is_special;
        let may_be_plain = !has_edges && !is_quoted && !has_breaks;
        Self {
            has_breaks,
            allows_plain_in_flow: may_be_plain && !in_flow,
            allows_plain_in_block: may_be_plain && !in_block,
            allows_single_quotes: !is_quoted,
        }
    }
}

fn is_printable(character: char) -> bool {
    matches!(
        character,
        '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}'
    )
}

/// Whether a reader of YAML 1.1 takes it for a text when it stands without quotes.
pub(super) fn is_text(text: &str) -> bool {
    static OTHERS: OnceLock<Option<regex::Regex>> = OnceLock::new();
    let others = OTHERS.get_or_init(|| {
        regex::Regex::new(concat!(
            r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
            r"|~|null|Null|NULL|<<|=|",
            r"|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
            r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
            r"|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
            r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+",
            r"|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)",
            r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$",
        ))
        .ok()
    });
    others.as_ref().is_none_or(|others| !others.is_match(text))
}
