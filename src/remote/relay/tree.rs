//! Who gets a file from whom. Plain data: asks nobody and waits for nothing.

/// How many hosts one serves at a time.
pub(super) const AT_ONCE: usize = 2;

/// After so many neighbours that could not help a host gets the file from the control machine.
const MOST_TRIES: usize = 2;

/// One file, and the hosts that have it.
#[derive(Debug)]
pub(super) struct Tree<S> {
    pub(super) sources: Vec<Source<S>>,
    /// Hosts that are getting it now.
    pub(super) on_their_way: usize,
    /// Hosts that have got it.
    pub(super) arrived: usize,
}

impl<S> Default for Tree<S> {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            on_their_way: 0,
            arrived: 0,
        }
    }
}

/// A host that serves it.
#[derive(Debug)]
pub(super) struct Source<S> {
    pub(super) number: u64,
    pub(super) host: S,
    pub(super) is_busy: [bool; AT_ONCE],
    /// It serves nobody any more.
    pub(super) is_over: bool,
}

/// What a host does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It gets the file from a source, at this one of its places: indexes.
    From(usize, usize),
    /// It gets it from the control machine.
    Direct,
    /// It waits until something has changed.
    Wait,
}

impl<S> Tree<S> {
    /// What a host does that these sources could not help.
    pub(super) fn choose(&self, tried: &[u64]) -> Choice {
        if tried.len() >= MOST_TRIES {
            return Choice::Direct;
        }
        let usable = |source: &&Source<S>| !source.is_over && !tried.contains(&source.number);
        let free = |source: &Source<S>| source.is_busy.iter().position(|busy| !busy);
        // Whoever serves fewest, so that they share the work.
        let least = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| usable(source))
            .min_by_key(|(_, source)| source.is_busy.iter().filter(|busy| **busy).count());
        match least {
            Some((index, source)) => match free(source) {
                Some(place) => Choice::From(index, place),
                None => Choice::Wait,
            },
            // Whoever gets it now will serve it.
            None if self.on_their_way > 0 => Choice::Wait,
            None => Choice::Direct,
        }
    }

    /// Whether somebody may still need one more host that serves, when so many get the file in all.
    pub(super) fn needs_more(&self, in_all: usize) -> bool {
        self.arrived.saturating_add(self.on_their_way) < in_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u64, is_busy: [bool; AT_ONCE]) -> Source<()> {
        Source {
            number,
            host: (),
            is_busy,
            is_over: false,
        }
    }

    #[test]
    fn the_first_is_sent_to_and_the_others_wait_for_it() {
        let mut tree = Tree::<()>::default();
        assert_eq!(tree.choose(&[]), Choice::Direct);
        tree.on_their_way = 1;
        assert_eq!(tree.choose(&[]), Choice::Wait);
        tree.on_their_way = 0;
        // It could not serve.
        assert_eq!(tree.choose(&[]), Choice::Direct);
        tree.sources.push(source(1, [true, false]));
        tree.sources.push(source(2, [false, false]));
        tree.sources.push(source(3, [true, true]));
        assert_eq!(tree.choose(&[]), Choice::From(1, 0));
        assert_eq!(tree.choose(&[2]), Choice::From(0, 1));
        assert_eq!(tree.choose(&[1, 2]), Choice::Direct);
        tree.sources[0].is_over = true;
        tree.sources[1].is_over = true;
        assert_eq!(tree.choose(&[]), Choice::Wait);
        tree.sources[2].is_over = true;
        assert_eq!(tree.choose(&[]), Choice::Direct);
    }

    #[test]
    fn nobody_serves_when_all_have_it_or_are_getting_it() {
        let mut tree = Tree::<()>::default();
        (tree.arrived, tree.on_their_way) = (1, 2);
        assert!(tree.needs_more(4));
        assert!(!tree.needs_more(3));
        assert!(tree.needs_more(usize::MAX));
    }
}
