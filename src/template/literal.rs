//! Data written as Python literals, as `ast.literal_eval` reads them; `true`, `false` and `null` of JSON too.

use serde_json::{Map, Value as Json};

/// The value of a text that is one literal.
pub(super) fn evaluate(text: &str) -> Option<Json> {
    let mut reader = Reader { rest: text };
    reader.spaces();
    let value = reader.value(0)?;
    reader.spaces();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn spaces(&mut self) {
        self.rest = self
            .rest
            .trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    }

    fn takes(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > 90 {
            return None;
        }
        self.spaces();
        match self.rest.chars().next()? {
            '[' => self.items(']', depth).map(|(items, _)| Json::Array(items)),
            '(' => {
                let (mut items, has_comma) = self.items(')', depth)?;
                if items.len() == 1 && !has_comma {
                    return items.pop();
                }
                Some(Json::Array(items))
            }
            '{' => self.mapping(depth),
            '\'' | '"' => self.string().map(Json::String),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            _ => self.number(),
        }
    }

    fn items(&mut self, close: char, depth: usize) -> Option<(Vec<Json>, bool)> {
        self.rest = self.rest.get(1..)?;
        let mut close_text = [0; 4];
        let close: &str = close.encode_utf8(&mut close_text);
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            self.spaces();
            if self.takes(close) {
                return Some((items, has_comma));
            }
            if !items.is_empty() && !has_comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            self.spaces();
            let more = self.takes(",");
            has_comma |= more;
            self.spaces();
            if !more && !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Option<Json> {
        self.rest = self.rest.get(1..)?;
        let mut map = Map::new();
        let mut set = Vec::new();
        let mut may_go_on = true;
        loop {
            self.spaces();
            if self.takes("}") {
                break;
            }
            if !may_go_on {
                return None;
            }
            let key = self.value(depth + 1)?;
            self.spaces();
            if self.takes(":") {
                if key.is_array() || key.is_object() || !set.is_empty() {
                    return None;
                }
                let value = self.value(depth + 1)?;
                map.insert(super::display(&key), value);
            } else if map.is_empty() {
                set.push(key);
            } else {
                return None;
            }
            self.spaces();
            may_go_on = self.takes(",");
        }
        Some(if set.is_empty() {
            Json::Object(map)
        } else {
            Json::Array(set)
        })
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(quote @ ('\'' | '"')) = self.rest.chars().next() {
            let triple = quote.to_string().repeat(3);
            let (mark, body) = match self.rest.strip_prefix(&triple) {
                Some(body) => (triple, body),
                None => (quote.to_string(), self.rest.get(1..)?),
            };
            let mut end = 0;
            loop {
                let rest = body.get(end..)?;
                if rest.starts_with(&mark) {
                    break;
                }
                let mut characters = rest.chars();
                let first = characters.next()?;
                if first == '\n' && mark.len() == 1 {
                    return None;
                }
                end += first.len_utf8();
                if first == '\\' {
                    end += characters.next()?.len_utf8();
                }
            }
            text.push_str(&super::rewrite::unescaped(body.get(..end)?));
            self.rest = body.get(end + mark.len()..)?;
            self.spaces();
        }
        Some(text)
    }

    fn word(&mut self) -> Option<Json> {
        let length = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        let value = match word {
            "True" | "true" => Json::Bool(true),
            "False" | "false" => Json::Bool(false),
            "None" | "null" => Json::Null,
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    fn number(&mut self) -> Option<Json> {
        let mut is_negative = false;
        while let Some(sign @ ('+' | '-')) = self.rest.chars().next() {
            is_negative ^= sign == '-';
            self.rest = self.rest.get(1..)?;
            self.spaces();
        }
        let mut length = 0;
        let mut last = ' ';
        for character in self.rest.chars() {
            let is_exponent_sign = matches!(character, '+' | '-') && matches!(last, 'e' | 'E');
            if !(character.is_ascii_alphanumeric()
                || matches!(character, '.' | '_')
                || is_exponent_sign)
            {
                break;
            }
            last = character;
            length += 1;
        }
        let (digits, rest) = self.rest.split_at(length);
        if digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') {
            return None;
        }
        self.rest = rest;
        let digits = digits.replace('_', "").to_lowercase();
        let radix = match digits.get(..2) {
            Some("0x") => 16,
            Some("0o") => 8,
            Some("0b") => 2,
            _ => 10,
        };
        if radix != 10 {
            let number = i64::from_str_radix(digits.get(2..)?, radix).ok()?;
            return Some(Json::from(if is_negative { -number } else { number }));
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            if digits.len() > 1
                && digits.starts_with('0')
                && digits.bytes().any(|byte| byte != b'0')
            {
                return None;
            }
            if let Ok(number) = digits.parse::<i64>() {
                return Some(Json::from(if is_negative { -number } else { number }));
            }
            return digits
                .parse::<u64>()
                .ok()
                .filter(|_| !is_negative)
                .map(Json::from);
        }
        let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-'));
        let number: f64 = digits.parse().ok().filter(|_| is_float)?;
        serde_json::Number::from_f64(if is_negative { -number } else { number }).map(Json::Number)
    }
}
