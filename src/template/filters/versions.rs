//! Versions in the four manners of the test `version`, and `version_sort`.

use std::cmp::Ordering;

use minijinja::value::Value;
use minijinja::{Error, State};

use super::super::environment::invalid;
use super::call::{Call, Filter};
use super::python::{self, list};

/// Of community.general.
pub(super) const GENERAL: &[Filter] = &[Filter {
    name: "version_sort",
    parameters: &["reverse"],
    apply: version_sort,
}];

/// A piece of a loose version.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Number(u128),
    Word(String),
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let is_digit = |c: char| c.is_ascii_digit();
    let is_letter = |c: char| c.is_ascii_lowercase();
    while let Some(first) = rest.chars().next() {
        let length = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let end = if is_digit(first) {
            length(|c| c.is_ascii_digit())
        } else if is_letter(first) {
            length(|c| c.is_ascii_lowercase())
        } else if first == '.' {
            1
        } else {
            rest.find(|c: char| is_digit(c) || is_letter(c) || c == '.')
                .unwrap_or(rest.len())
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        if piece == "." {
            continue;
        }
        pieces.push(match piece.parse() {
            Ok(number) if is_digit(first) => Piece::Number(number),
            _ => Piece::Word(piece.to_owned()),
        });
    }
    pieces
}

/// Numbers as numbers, words as words; a number and a word in the same place cannot be compared.
pub(in super::super) fn loose_order(one: &str, other: &str) -> Result<Ordering, Error> {
    let (left, right) = (pieces(one), pieces(other));
    for pair in left.iter().zip(&right) {
        let order = match pair {
            (Piece::Number(one), Piece::Number(other)) => one.cmp(other),
            (Piece::Word(one), Piece::Word(other)) => one.cmp(other),
            _ => {
                return Err(invalid(format!(
                    "the versions `{one}` and `{other}` cannot be compared: a number stands where the other has a word"
                )));
            }
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(left.len().cmp(&right.len()))
}

/// Two or three numbers, and `a` or `b` with a number.
pub(in super::super) fn strict_order(one: &str, other: &str) -> Result<Ordering, Error> {
    Ok(strict(one)?.cmp(&strict(other)?))
}

/// Numbers, and what comes before the release itself; without one, the greatest.
type Strict = (Vec<u128>, (u32, u128));

fn strict(text: &str) -> Result<Strict, Error> {
    let wrong = || {
        invalid(format!(
            "`{text}` is no strict version: two or three numbers, then perhaps a1 or b1"
        ))
    };
    let (numbers, before) = match text.find(['a', 'b']) {
        Some(index) => {
            let (numbers, before) = text.split_at(index);
            let (letter, number) = before.split_at(1);
            (
                numbers,
                (
                    u32::from(letter == "b"),
                    plain_number(number).ok_or_else(wrong)?,
                ),
            )
        }
        None => (text, (2, 0)),
    };
    let mut numbers = numbers
        .split('.')
        .map(plain_number)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(wrong)?;
    if !(2..=3).contains(&numbers.len()) {
        return Err(wrong());
    }
    numbers.resize(3, 0);
    Ok((numbers, before))
}

fn plain_number(text: &str) -> Option<u128> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Semantic versions: three numbers, then perhaps `-pre.1` and `+build`.
pub(in super::super) fn semantic_order(one: &str, other: &str) -> Result<Ordering, Error> {
    let (one, other) = (semantic(one)?, semantic(other)?);
    Ok(one
        .0
        .cmp(&other.0)
        .then_with(|| match (one.1.is_empty(), other.1.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => one.1.cmp(&other.1),
        }))
}

/// A part of what stands before a release: numbers come first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u128),
    Word(String),
}

fn semantic(text: &str) -> Result<(Vec<u128>, Vec<Part>), Error> {
    let wrong = || {
        invalid(format!(
            "`{text}` is no semantic version, such as 1.2.3-rc.1"
        ))
    };
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest
        .split_once('-')
        .map_or((rest, None), |(core, before)| (core, Some(before)));
    let without_zero = |part: &&str| *part == "0" || !part.starts_with('0');
    let is_word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let numbers = core
        .split('.')
        .map(|part| Some(part).filter(without_zero).and_then(plain_number))
        .collect::<Option<Vec<_>>>()
        .filter(|numbers| numbers.len() == 3)
        .ok_or_else(wrong)?;
    let mut parts = Vec::new();
    for part in before.into_iter().flat_map(|before| before.split('.')) {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_word(part) || is_number && !without_zero(&part) {
            return Err(wrong());
        }
        parts.push(match plain_number(part) {
            Some(number) => Part::Number(number),
            None => Part::Word(part.to_owned()),
        });
    }
    if build.is_some_and(|build| !build.split('.').all(is_word)) {
        return Err(wrong());
    }
    Ok((numbers, parts))
}

/// Versions of Python packages.
pub(in super::super) fn python_order(one: &str, other: &str) -> Result<Ordering, Error> {
    Ok(package(one)?.cmp(&package(other)?))
}

/// Epoch, release, then what makes it earlier or later, then the local part.
type Package = (
    u128,
    Vec<u128>,
    (i8, u128),
    (i8, u128),
    (i8, u128),
    Vec<(i8, u128, String)>,
);

fn package(text: &str) -> Result<Package, Error> {
    let wrong = || invalid(format!("`{text}` is no version of a Python package"));
    let lower = text.trim().to_lowercase();
    let rest = lower.strip_prefix('v').unwrap_or(&lower);
    let (rest, local) = rest
        .split_once('+')
        .map_or((rest, None), |(rest, local)| (rest, Some(local)));
    let (epoch, rest) = match rest.split_once('!') {
        Some((epoch, rest)) => (plain_number(epoch).ok_or_else(wrong)?, rest),
        None => (0, rest),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (release, rest) = rest.split_at(end);
    let trimmed = release.trim_end_matches('.');
    let mut rest = format!("{}{rest}", release.get(trimmed.len()..).unwrap_or_default());
    let mut numbers = trimmed
        .split('.')
        .map(plain_number)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(wrong)?;
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    let mut take = |names: &[(&str, i8)]| -> Option<(i8, u128)> {
        let body = rest.trim_start_matches(['.', '-', '_']);
        let (name, rank) = names.iter().find(|(name, _)| body.starts_with(name))?;
        let after = body.get(name.len()..).unwrap_or_default();
        let number = after.strip_prefix(['.', '-', '_']).unwrap_or(after);
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        let (digits, left) = number.split_at(end);
        let found = (*rank, plain_number(digits).unwrap_or(0));
        rest = if digits.is_empty() {
            after.to_owned()
        } else {
            left.to_owned()
        };
        Some(found)
    };
    let before = take(&[
        ("alpha", 1),
        ("a", 1),
        ("beta", 2),
        ("b", 2),
        ("preview", 3),
        ("pre", 3),
        ("rc", 3),
        ("c", 3),
    ]);
    let after = take(&[("post", 1), ("rev", 1), ("r", 1)]);
    let development = take(&[("dev", 0)]);
    let after = match rest.strip_prefix('-').and_then(plain_number) {
        Some(number) if after.is_none() && development.is_none() => {
            rest.clear();
            Some((1, number))
        }
        _ => after,
    };
    if !rest.is_empty() {
        return Err(wrong());
    }
    // Development alone comes before everything of the release, without it a release comes last.
    let before_rank = match (before, after, development) {
        (Some(before), ..) => before,
        (None, None, Some(_)) => (0, 0),
        _ => (4, 0),
    };
    let local = local
        .into_iter()
        .flat_map(|local| {
            local
                .split(['.', '-', '_'])
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|part| {
            plain_number(&part)
                .map_or_else(|| (0, 0, part.clone()), |number| (1, number, String::new()))
        })
        .collect();
    Ok((
        epoch,
        numbers,
        before_rank,
        after.unwrap_or((0, 0)),
        development.unwrap_or((1, 0)),
        local,
    ))
}

fn version_sort(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let mut all = call
        .value_items()?
        .into_iter()
        .map(|item| python::text(&item).map(|text| (text, item)))
        .collect::<Result<Vec<_>, _>>()?;
    let is_reverse = call.flag("reverse", false)?;
    let mut trouble = None;
    all.sort_by(|(one, _), (other, _)| {
        let order = loose_order(one, other).unwrap_or_else(|error| {
            trouble.get_or_insert(error);
            Ordering::Equal
        });
        if is_reverse { order.reverse() } else { order }
    });
    match trouble {
        Some(error) => Err(error),
        None => Ok(list(all.into_iter().map(|(_, item)| item).collect())),
    }
}
