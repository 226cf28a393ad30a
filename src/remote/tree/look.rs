//! A look at many paths by one request: what is asked, and what was understood of the answer.

use bytes::Bytes;

use super::super::{Found, FoundKind, RemoteError, Session};
use super::list::coded;
use super::scripts::LOOK;
use crate::connect::Command;

/// A path to look at. `~/` is the user's home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The size of the file that it is to be: one of another size need not be hashed.
    pub size: Option<u64>,
}

/// What was found, in the order in which it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Each path. Folders missing above it are said of the first one only.
    pub found: Vec<Found>,
    /// Whether the host has what [`Session::send_tree`] needs.
    pub takes_trees: bool,
    /// Whether it has `gzip`.
    pub has_gzip: bool,
}

impl Session {
    /// Looks at many paths in one round trip. Links are not followed.
    pub async fn look_at_tree(&self, asked: &[Asked]) -> Result<Looked, RemoteError> {
        let mut input = String::new();
        for Asked { path, size } in asked {
            match size {
                Some(size) => input.push_str(&size.to_string()),
                None => input.push('-'),
            }
            input.push(' ');
            input.push_str(&coded(path));
            input.push('\n');
        }
        let command = Command::script(LOOK, [""; 0]);
        let output = self.probe_with(command, Bytes::from(input)).await?;
        let purpose = || format!("look at {} paths", asked.len());
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        parse(&output.stdout_text(), asked).ok_or_else(|| {
            RemoteError::failed(purpose(), "the host's answer was not understood").with_hint(
                "something in the login shell's start files may write to standard output",
            )
        })
    }
}

fn parse(text: &str, asked: &[Asked]) -> Option<Looked> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let home = value("home=").unwrap_or_default().trim_end_matches('/');
    let mut found: Vec<Option<Found>> = vec![None; asked.len()];
    for line in text.lines() {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = line.split_at(digits);
        let Ok(number) = number.parse::<usize>() else {
            continue;
        };
        let path = &asked.get(number)?.path;
        let path = match path.strip_prefix("~/") {
            Some(rest) => format!("{home}/{rest}"),
            None => path.clone(),
        };
        let place = found.get_mut(number)?;
        let mark = rest.chars().next()?;
        let rest = rest.get(1..)?;
        match (mark, place) {
            ('-', place @ None) => *place = Some(Found::nothing_at(&path)),
            (':', place @ None) => *place = Some(one(rest, &path)?),
            ('>', Some(found)) => found.target = Some(rest.to_owned()),
            ('#', Some(found)) if rest.len() == 64 => found.sha256 = Some(rest.to_owned()),
            _ => return None,
        }
    }
    let mut found = found.into_iter().collect::<Option<Vec<Found>>>()?;
    if let Some(first) = found.first_mut() {
        let missing = text
            .lines()
            .filter_map(|line| line.strip_prefix("missing="));
        first.missing = missing.map(str::to_owned).collect();
        first.missing.reverse();
    }
    let has = |program: &str| {
        text.lines()
            .any(|line| line.strip_prefix("has=") == Some(program))
    };
    Some(Looked {
        found,
        takes_trees: has("tar") && has("xargs"),
        has_gzip: has("gzip"),
    })
}

/// `uid:gid:owner:group:mode:links:size:kind`.
fn one(line: &str, path: &str) -> Option<Found> {
    let mut words = line.splitn(8, ':');
    let mut next = || words.next();
    Some(Found {
        uid: next()?.to_owned(),
        gid: next()?.to_owned(),
        owner: next()?.to_owned(),
        group: next()?.to_owned(),
        mode: u32::from_str_radix(next()?, 8).ok()?,
        links: next()?.parse().ok()?,
        size: next()?.parse().ok()?,
        kind: FoundKind::of(next()?),
        ..Found::nothing_at(path)
    })
}
