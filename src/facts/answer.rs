//! What a host said of itself, kept as it came until somebody wants to know: most plays look at few hosts' facts, and
//! making sense of an answer costs more than to get it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::{Extent, Facts, gather::parse};

/// The name of a fact as a variable, and its value as a JSON text.
pub type FactText = (String, Arc<str>);

/// An answer that came to its end.
#[derive(Debug, Default)]
pub struct Answer {
    said: Mutex<Option<Said>>,
    facts: OnceLock<Arc<Facts>>,
    texts: Mutex<Vec<FactText>>,
}

/// The text, with the clock here before the request and after the answer, as time since 1970.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) sent: Duration,
    pub(super) received: Duration,
    pub(super) extent: Extent,
}

impl Answer {
    pub(super) fn new(said: Said) -> Self {
        Self {
            said: Mutex::new(Some(said)),
            ..Self::default()
        }
    }

    /// What modules look at; without the hundreds of variables by Ansible's names, which they do not.
    pub fn facts(&self) -> Arc<Facts> {
        let read = || {
            let said = lock(&self.said).take();
            let mut facts = said
                .and_then(|said| {
                    let facts = parse(&said.text, said.sent, said.received)?;
                    Some(Facts {
                        extent: said.extent,
                        ..facts
                    })
                })
                .unwrap_or_default();
            *lock(&self.texts) = facts.to_texts().collect();
            drop(std::mem::take(&mut facts.ansible));
            Arc::new(facts)
        };
        Arc::clone(self.facts.get_or_init(read))
    }

    /// All of it as variables, once: whoever asks keeps them.
    pub fn take_texts(&self) -> Vec<FactText> {
        self.facts();
        std::mem::take(&mut lock(&self.texts))
    }
}

impl From<Facts> for Answer {
    fn from(facts: Facts) -> Self {
        Self {
            facts: OnceLock::from(Arc::new(facts)),
            ..Self::default()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
