//! Filters with chance. With a `seed` they give what Python gives for it, so that a playbook's choice stays the same.

use minijinja::value::Value;
use minijinja::{Error, State};
use sha2::{Digest as _, Sha512};

use super::call::{Call, Filter};
use super::python::{self, Number, list, number};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "random",
        parameters: &["start", "step", "seed"],
        apply: random,
    },
    Filter {
        name: "shuffle",
        parameters: &["seed"],
        apply: shuffle,
    },
];

/// Python's generator: the Mersenne Twister.
struct Twister {
    state: Vec<u32>,
    index: usize,
}

const SIZE: usize = 624;
const SHIFT: usize = 397;

impl Twister {
    fn from_seed(seed: &Value) -> Option<Self> {
        let bytes: Vec<u8> = match (seed.as_str(), number(seed)) {
            (Some(text), _) => {
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend(Sha512::digest(text.as_bytes()));
                bytes
            }
            (None, Some(Number::Integer(number))) => number.unsigned_abs().to_be_bytes().to_vec(),
            _ => return None,
        };
        let mut words: Vec<u32> = bytes
            .rchunks(4)
            .map(|chunk| {
                chunk
                    .iter()
                    .fold(0, |word, byte| word << 8 | u32::from(*byte))
            })
            .collect();
        while words.len() > 1 && words.last() == Some(&0) {
            words.pop();
        }
        Some(Self::from_words(&words))
    }

    fn at(&self, index: usize) -> u32 {
        self.state.get(index).copied().unwrap_or_default()
    }

    fn set(&mut self, index: usize, value: u32) {
        if let Some(slot) = self.state.get_mut(index) {
            *slot = value;
        }
    }

    fn from_words(words: &[u32]) -> Self {
        let mut twister = Self {
            state: vec![0; SIZE],
            index: SIZE,
        };
        twister.set(0, 19_650_218);
        for (index, add) in (1..SIZE).zip(1_u32..) {
            let last = twister.at(index - 1);
            let next = 1_812_433_253_u32
                .wrapping_mul(last ^ last >> 30)
                .wrapping_add(add);
            twister.set(index, next);
        }
        let (mut index, mut word) = (1, 0_usize);
        for _ in 0..SIZE.max(words.len()) {
            let last = twister.at(index - 1);
            let mixed = twister.at(index) ^ (last ^ last >> 30).wrapping_mul(1_664_525);
            let seed = words.get(word).copied().unwrap_or_default();
            let position = u32::try_from(word).unwrap_or_default();
            twister.set(index, mixed.wrapping_add(seed).wrapping_add(position));
            index = twister.advance(index);
            word = (word + 1) % words.len().max(1);
        }
        for _ in 0..SIZE - 1 {
            let last = twister.at(index - 1);
            let mixed = twister.at(index) ^ (last ^ last >> 30).wrapping_mul(1_566_083_941);
            twister.set(
                index,
                mixed.wrapping_sub(u32::try_from(index).unwrap_or_default()),
            );
            index = twister.advance(index);
        }
        twister.set(0, 0x8000_0000);
        twister
    }

    fn advance(&mut self, index: usize) -> usize {
        if index + 1 < SIZE {
            return index + 1;
        }
        let last = self.at(SIZE - 1);
        self.set(0, last);
        1
    }

    fn next(&mut self) -> u32 {
        if self.index >= SIZE {
            for index in 0..SIZE {
                let joined =
                    self.at(index) & 0x8000_0000 | self.at((index + 1) % SIZE) & 0x7fff_ffff;
                let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                let new = self.at((index + SHIFT) % SIZE) ^ joined >> 1 ^ odd;
                self.set(index, new);
            }
            self.index = 0;
        }
        let mut word = self.at(self.index);
        self.index += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }
}

/// Where numbers come from.
enum Chance {
    Seeded(Box<Twister>),
    System,
}

impl Chance {
    fn of(call: &Call) -> Result<Self, Error> {
        match call.optional("seed")? {
            None => Ok(Self::System),
            Some(seed) => Twister::from_seed(seed)
                .map(|twister| Self::Seeded(Box::new(twister)))
                .ok_or_else(|| call.error("`seed` must be a text or a whole number")),
        }
    }

    /// One of so many.
    fn below(&mut self, limit: u64) -> u64 {
        if limit <= 1 {
            // Python asks its generator all the same.
            if limit == 1 {
                while self.bits(1) >= 1 {}
            }
            return 0;
        }
        let bits = 64 - limit.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < limit {
                return number;
            }
        }
    }

    fn bits(&mut self, bits: u32) -> u64 {
        match self {
            Self::Seeded(twister) if bits <= 32 => u64::from(twister.next() >> (32 - bits)),
            Self::Seeded(twister) => {
                let low = u64::from(twister.next());
                low | u64::from(twister.next() >> (64 - bits)) << 32
            }
            Self::System => rand::random::<u64>() >> (64 - bits),
        }
    }
}

fn random(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut chance = Chance::of(call)?;
    if let Some(Number::Integer(end)) = number(&call.value) {
        let start = i128::from(call.integer("start")?.unwrap_or(0));
        let step = match call.integer("step")? {
            None | Some(0) => 1,
            Some(step) => i128::from(step),
        };
        let width = end - start;
        let count = if step > 0 {
            (width + step - 1) / step
        } else {
            (width + step + 1) / step
        };
        let count = u64::try_from(count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| call.error("there is no number to choose from"))?;
        return Ok(python::integer(
            start + step * i128::from(chance.below(count)),
        ));
    }
    if call.optional("start")?.is_some() || call.optional("step")?.is_some() {
        return Err(call.error("`start` and `step` are for numbers"));
    }
    if python::is_mapping(&call.value) {
        return Err(call.error("a list or a number is needed"));
    }
    let mut all = call.value_items()?;
    if all.is_empty() {
        return Err(call.error("there is nothing to choose from"));
    }
    let index = usize::try_from(chance.below(all.len() as u64)).unwrap_or_default();
    Ok(all.swap_remove(index))
}

fn shuffle(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let Ok(mut all) = call.value_items() else {
        return Ok(call.value.clone());
    };
    let is_seeded = call.optional("seed")?.is_some_and(python::truth);
    let mut chance = if is_seeded {
        Chance::of(call)?
    } else {
        Chance::System
    };
    for index in (1..all.len()).rev() {
        let other = usize::try_from(chance.below(index as u64 + 1)).unwrap_or_default();
        all.swap(index, other);
    }
    Ok(list(all))
}
