//! Values that a run was told not to show, without anybody saying that they are secret: what tasks with `no_log` said.
//!
//! They are not masked everywhere, as a [`Redactor`](super::Redactor) does: they may be words like `active`. It is only
//! asked of a text whether one is in it, before the text is kept.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

/// What was not to be shown so far.
#[derive(Debug, Default)]
pub struct Hidden {
    forms: RwLock<BTreeSet<String>>,
}

impl Hidden {
    /// Remembers every text in a value. Texts that say nothing, and those shorter than a redactor's, are left out.
    pub fn learn(&self, value: &Value) {
        match value {
            Value::String(text) => {
                let text = text.trim();
                if text.len() < super::SHORTEST {
                    return;
                }
                let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
                if forms.contains(text) {
                    return;
                }
                for part in std::iter::once(text).chain(text.lines().map(str::trim)) {
                    if part.len() >= super::SHORTEST {
                        forms.extend(super::forms_of(part));
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(map) => map.values().for_each(|item| self.learn(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether any of it is in a text.
    pub fn is_in(&self, text: &str) -> bool {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.iter().any(|form| text.contains(form.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_hidden_is_found_in_every_form() {
        let hidden = Hidden::default();
        assert!(!hidden.is_in("anything"));
        hidden
            .learn(&serde_json::json!({"stdout": "it's hidden\nline two\n", "rc": 0, "x": ["ok"]}));
        for text in ["a line two b", "echo 'it'\\''s hidden'", "bGluZSB0d28"] {
            assert!(hidden.is_in(text), "{text}");
        }
        assert!(!hidden.is_in("ok 0 line"));
    }
}
