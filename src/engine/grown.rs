//! Variables that are set one after the other while others still look at them.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::template::Layer;

/// A mapping in parts, the later ones stronger. Whoever looks shares the parts, so a part that is looked at cannot be
/// changed; it would be copied, and with a thousand tasks that is a thousand copies of up to a thousand results. As each
/// part is more than twice as big as the next one, there are few of them, and a value is copied as few times.
#[derive(Debug, Default)]
pub(super) struct Grown(Vec<Arc<Map<String, Json>>>);

impl Grown {
    /// Sets a variable.
    pub(super) fn insert(&mut self, name: &str, value: Json) {
        let mut last = Map::from_iter([(name.to_owned(), value)]);
        while let Some(before) = self.0.pop_if(|before| before.len() <= 2 * last.len()) {
            let mut merged = Arc::unwrap_or_clone(before);
            merged.extend(last);
            last = merged;
        }
        self.0.push(Arc::new(last));
    }

    /// The parts as layers, the weakest first.
    pub(super) fn layers(&self) -> Vec<Layer> {
        self.0
            .iter()
            .map(|part| Layer::raw(Arc::clone(part)))
            .collect()
    }

    /// All of it.
    pub(super) fn whole(&self) -> Map<String, Json> {
        self.0
            .iter()
            .flat_map(|part| part.iter())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_counts_and_nothing_is_lost() {
        let mut grown = Grown::default();
        let mut plain = Map::new();
        for number in 0..500_u32 {
            let name = format!("v{}", number * 7 % 200);
            grown.insert(&name, number.into());
            plain.insert(name, number.into());
            assert_eq!(grown.whole(), plain);
            let layers = grown.layers();
            let found = |name: &str| {
                let strongest = layers.iter().rev();
                strongest
                    .into_iter()
                    .find_map(|layer| layer.variables().get(name))
            };
            assert!(plain.iter().all(|(name, value)| found(name) == Some(value)));
        }
    }

    #[test]
    fn looking_at_it_all_the_time_copies_few_values() {
        // How many values are copied when everybody still looks at all that was there before.
        let copied = |count: u32| {
            let mut grown = Grown::default();
            let mut held = Vec::new();
            let mut copied = 0;
            for number in 0..count {
                held.push(grown.layers());
                let before: Vec<usize> = grown.0.iter().map(|part| part.len()).collect();
                grown.insert(&format!("v{number}"), number.into());
                let kept = grown.0.len() - 1;
                copied += before.iter().skip(kept).sum::<usize>();
                assert!(grown.0.len() <= 12, "{} parts", grown.0.len());
            }
            copied
        };
        let (few, many) = (copied(500), copied(2000));
        assert!(many < few * 8, "{few} values for 500, {many} for 2000");
    }
}
