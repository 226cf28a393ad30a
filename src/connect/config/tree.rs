//! The files of a client's configuration, `Include` resolved, as one list in the order in which OpenSSH reads them.

use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::words;
use super::{Mistake, Surroundings};
use crate::connect::known_hosts::matches;

/// How deep files may include each other.
const DEEPEST: usize = 16;

/// The biggest file that is read, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) file: Arc<Path>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl At {
    pub(super) fn mistake(&self, reason: impl std::fmt::Display) -> Mistake {
        Mistake(format!("{}:{}: {reason}", self.file.display(), self.line))
    }
}

/// When lines count.
#[derive(Debug)]
pub(super) struct Condition {
    /// The condition around a file that is included.
    pub(super) parent: Option<usize>,
    pub(super) test: Test,
    pub(super) at: At,
}

/// What is asked about a host.
#[derive(Debug)]
pub(super) enum Test {
    Always,
    /// Patterns of the name as it was given.
    Host(Vec<String>),
    /// Criteria with their values.
    Match(Vec<String>),
}

/// A line with a value.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) condition: usize,
    pub(super) keyword: String,
    pub(super) words: Vec<String>,
    pub(super) rest: String,
    pub(super) at: At,
}

/// What is read one after another.
#[derive(Debug)]
pub(super) enum Item {
    /// From here on this condition holds.
    Enter(usize),
    Setting(Setting),
}

/// All files.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) conditions: Vec<Condition>,
    pub(super) items: Vec<Item>,
}

/// Whose file it is, which decides about relative paths and about `~`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    System,
}

impl Tree {
    /// Reads a file and what it includes. One that does not exist says nothing.
    pub(super) fn add(
        &mut self,
        path: &Path,
        owner: Owner,
        checks_permissions: bool,
        surroundings: &Surroundings,
    ) -> Result<(), Mistake> {
        Reader {
            tree: self,
            owner,
            surroundings,
        }
        .file(path, None, checks_permissions, 0)
        .map(|_| ())
    }

    /// Whether the lines count for a host, as far as its name alone decides: `None` where more than that is asked.
    pub(super) fn decided_by_name(&self, host: &str) -> Vec<Option<bool>> {
        let mut decided: Vec<Option<bool>> = Vec::with_capacity(self.conditions.len());
        for condition in &self.conditions {
            let around = match condition.parent {
                Some(parent) => decided.get(parent).copied().flatten(),
                None => Some(true),
            };
            let own = match &condition.test {
                Test::Always => Some(true),
                Test::Host(patterns) => Some(is_meant(patterns, host)),
                Test::Match(_) => None,
            };
            decided.push(match (around, own) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            });
        }
        decided
    }
}

/// Whether the patterns of a `Host` line are about a name.
pub(super) fn is_meant(patterns: &[String], host: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, host) => return false,
            Some(_) => {}
            None => found |= matches(pattern, host),
        }
    }
    found
}

struct Reader<'a> {
    tree: &'a mut Tree,
    owner: Owner,
    surroundings: &'a Surroundings,
}

impl Reader<'_> {
    fn file(
        &mut self,
        path: &Path,
        parent: Option<usize>,
        checks_permissions: bool,
        depth: usize,
    ) -> Result<bool, Mistake> {
        let unreadable = |error: io::Error| Mistake(format!("read `{}`: {error}", path.display()));
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        };
        let is_safe = (metadata.uid() == 0 || metadata.uid() == self.surroundings.user_id)
            && metadata.mode() & 0o022 == 0;
        if checks_permissions && !is_safe {
            return Err(Mistake(format!(
                "`{}` can be written by others, so that its settings are not trusted",
                path.display()
            )));
        }
        if depth > DEEPEST {
            return Err(Mistake(format!(
                "`{}` is included by files that include each other",
                path.display()
            )));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(Mistake(format!("`{}` is too long", path.display())));
        }
        let text = String::from_utf8_lossy(&bytes);
        let file: Arc<Path> = Arc::from(path);
        let start = At {
            file: Arc::clone(&file),
            line: 1,
        };
        let mut condition = self.enter(parent, Test::Always, start);
        for (index, line) in text.lines().enumerate() {
            let at = At {
                file: Arc::clone(&file),
                line: index + 1,
            };
            let Some(words) = words::read(line) else {
                continue;
            };
            let words = words.map_err(|reason| at.mistake(reason))?;
            match words.keyword.as_str() {
                "host" => condition = self.enter(parent, Test::Host(words.words), at),
                "match" => condition = self.enter(parent, Test::Match(words.words), at),
                "include" => {
                    for word in &words.words {
                        for path in self.included(word, &at)? {
                            self.file(&path, Some(condition), true, depth + 1)?;
                        }
                    }
                }
                _ => self.tree.items.push(Item::Setting(Setting {
                    condition,
                    keyword: words.keyword,
                    words: words.words,
                    rest: words.rest,
                    at,
                })),
            }
        }
        Ok(true)
    }

    fn enter(&mut self, parent: Option<usize>, test: Test, at: At) -> usize {
        let number = self.tree.conditions.len();
        self.tree.conditions.push(Condition { parent, test, at });
        self.tree.items.push(Item::Enter(number));
        number
    }

    /// The files that a word behind `Include` means.
    fn included(&self, word: &str, at: &At) -> Result<Vec<PathBuf>, Mistake> {
        if word.contains(['%', '$', '[', '{', '\\']) {
            return Err(at.mistake(format!(
                "`Include {word}`: of patterns only `*` and `?` are known here"
            )));
        }
        let path = match (word.strip_prefix("~/"), self.owner) {
            (Some(rest), Owner::User) => self.surroundings.home.join(rest),
            _ if word.starts_with('~') => {
                return Err(
                    at.mistake(format!("`Include {word}` is not a path that is known here"))
                );
            }
            (_, Owner::User) => self.surroundings.home.join(".ssh").join(word),
            (_, Owner::System) => Path::new("/etc/ssh").join(word),
        };
        Ok(expand(&path))
    }
}

/// The files that a pattern names, sorted; names that begin with a dot only where the pattern does.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?']) {
            for path in &mut found {
                path.push(part.as_ref());
            }
            continue;
        }
        found = found
            .iter()
            .flat_map(|folder| {
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                let mut names: Vec<String> = entries
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .filter(|name| name.starts_with('.') <= part.starts_with('.'))
                    .filter(|name| matches(&part, name))
                    .collect();
                names.sort();
                names.into_iter().map(|name| folder.join(name))
            })
            .collect();
    }
    found.retain(|path| path.exists());
    found
}
