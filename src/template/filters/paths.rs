//! Filters on paths, in the manner of POSIX. Those that look do so on this machine.

use std::path::Path;

use minijinja::value::Value;
use minijinja::{Error, State};

use super::call::{Call, Filter};
use super::python::{self, is_list, list, tuple};

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "basename",
        parameters: &[],
        apply: |_, call| changed(call, |path| basename(path).to_owned()),
    },
    Filter {
        name: "dirname",
        parameters: &[],
        apply: |_, call| changed(call, |path| dirname(path).to_owned()),
    },
    Filter {
        name: "normpath",
        parameters: &[],
        apply: |_, call| changed(call, normal),
    },
    Filter {
        name: "expanduser",
        parameters: &[],
        apply: |_, call| changed(call, expand_user),
    },
    Filter {
        name: "expandvars",
        parameters: &[],
        apply: |_, call| changed(call, expand_variables),
    },
    Filter {
        name: "realpath",
        parameters: &[],
        apply: |_, call| changed(call, |path| real(&absolute(path))),
    },
    Filter {
        name: "relpath",
        parameters: &["start"],
        apply: relative,
    },
    Filter {
        name: "splitext",
        parameters: &[],
        apply: splitext,
    },
    Filter {
        name: "path_join",
        parameters: &[],
        apply: path_join,
    },
    Filter {
        name: "commonpath",
        parameters: &[],
        apply: common,
    },
    Filter {
        name: "win_basename",
        parameters: &[],
        apply: |_, call| changed(call, windows_basename),
    },
    Filter {
        name: "win_dirname",
        parameters: &[],
        apply: |_, call| changed(call, windows_dirname),
    },
    Filter {
        name: "win_splitdrive",
        parameters: &[],
        apply: windows_drive,
    },
    Filter {
        name: "fileglob",
        parameters: &[],
        apply: fileglob,
    },
];

fn changed(call: &Call, change: impl Fn(&str) -> String) -> Result<Value, Error> {
    Ok(Value::from(change(call.value_text()?)))
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn dirname(path: &str) -> &str {
    let end = path.rfind('/').map_or(0, |index| index + 1);
    let folder = path.get(..end).unwrap_or_default();
    let trimmed = folder.trim_end_matches('/');
    if trimmed.is_empty() { folder } else { trimmed }
}

fn splitext(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let path = call.value_text()?;
    let name = basename(path);
    let name_start = path.len() - name.len();
    // Points at the beginning of a name begin no extension.
    let dot = name.rfind('.').filter(|dot| {
        name.get(..*dot)
            .is_some_and(|stem| stem.contains(|c| c != '.'))
    });
    let (stem, extension) = path.split_at(dot.map_or(path.len(), |dot| name_start + dot));
    Ok(tuple(vec![Value::from(stem), Value::from(extension)]))
}

/// Without `.`, `..` and double slashes, links not looked at.
pub(super) fn normal(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let root = match path {
        _ if path.starts_with("//") && !path.starts_with("///") => "//",
        _ if path.starts_with('/') => "/",
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            other => parts.push(other),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() {
        ".".to_owned()
    } else {
        joined
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return normal(path);
    }
    let here = std::env::current_dir().unwrap_or_default();
    normal(&format!("{}/{path}", here.display()))
}

/// With links followed; what is not there stays as it is written.
fn real(path: &str) -> String {
    let mut done = String::new();
    let mut parts: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = parts.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                let length = dirname(&done).trim_end_matches('/').len();
                done.truncate(length);
                continue;
            }
            _ => {}
        }
        let next = format!("{done}/{part}");
        match std::fs::read_link(&next) {
            // As many as the system itself follows.
            Ok(target) if links < 40 => {
                links += 1;
                let target = target.to_string_lossy().into_owned();
                if target.starts_with('/') {
                    done.clear();
                }
                parts.extend(target.split('/').rev().map(str::to_owned));
            }
            _ => done = next,
        }
    }
    if done.is_empty() {
        "/".to_owned()
    } else {
        done
    }
}

fn relative(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let path = call.value_text()?;
    if path.is_empty() {
        return Err(call.error("the path is empty"));
    }
    let start = absolute(&call.text("start")?.unwrap_or_else(|| ".".to_owned()));
    let path = absolute(path);
    let parts = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (start, path) = (parts(&start), parts(&path));
    let common = start
        .iter()
        .zip(&path)
        .take_while(|(one, other)| one == other)
        .count();
    let up = std::iter::repeat_n("..".to_owned(), start.len() - common);
    let all: Vec<String> = up.chain(path.into_iter().skip(common)).collect();
    Ok(Value::from(if all.is_empty() {
        ".".to_owned()
    } else {
        all.join("/")
    }))
}

fn expand_user(path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else {
        return path.to_owned();
    };
    let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if name.is_empty() {
        std::env::var("HOME").ok()
    } else {
        home_of(name)
    };
    match home {
        Some(home) => {
            let expanded = format!("{}{rest}", home.trim_end_matches('/'));
            if expanded.is_empty() {
                "/".to_owned()
            } else {
                expanded
            }
        }
        None => path.to_owned(),
    }
}

fn home_of(user: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(str::to_owned)
}

/// `$NAME` and `${NAME}`; what is not set stays.
fn expand_variables(path: &str) -> String {
    let mut new = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        new.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'));
        let bare = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let (name, length) = braced.map_or_else(
            || (after.get(..bare).unwrap_or_default(), bare),
            |(name, _)| (name, name.len() + 2),
        );
        if let Some(value) = std::env::var(name).ok().filter(|_| !name.is_empty()) {
            new.push_str(&value);
        } else {
            new.push('$');
            new.push_str(after.get(..length).unwrap_or_default());
        }
        rest = after.get(length..).unwrap_or_default();
    }
    new.push_str(rest);
    new
}

fn texts(call: &Call) -> Result<Vec<String>, Error> {
    call.value_items()?
        .iter()
        .map(|item| {
            item.as_str().map(str::to_owned).ok_or_else(|| {
                call.error(&format!(
                    "every part must be a text, and one is {}",
                    python::describe(item)
                ))
            })
        })
        .collect()
}

fn path_join(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if call.value.as_str().is_some() {
        return Ok(call.value.clone());
    }
    if !is_list(&call.value) {
        return Err(call.error("a list of parts is needed"));
    }
    let mut parts = texts(call)?.into_iter();
    let mut joined = parts
        .next()
        .ok_or_else(|| call.error("the list is empty"))?;
    for part in parts {
        if part.starts_with('/') {
            joined = part;
        } else {
            if !joined.is_empty() && !joined.ends_with('/') {
                joined.push('/');
            }
            joined.push_str(&part);
        }
    }
    Ok(Value::from(joined))
}

fn common(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    if !is_list(&call.value) {
        return Err(call.error("a list of paths is needed"));
    }
    let paths = texts(call)?;
    let rooted = paths.iter().filter(|path| path.starts_with('/')).count();
    if paths.is_empty() || rooted != 0 && rooted != paths.len() {
        return Err(call.error("either all paths begin with `/`, or none does"));
    }
    let split = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect()
    };
    let mut parts = paths.iter().map(|path| split(path));
    let mut shared = parts.next().unwrap_or_default();
    for other in parts {
        let length = shared
            .iter()
            .zip(&other)
            .take_while(|(one, other)| one == other)
            .count();
        shared.truncate(length);
    }
    let root = if rooted > 0 { "/" } else { "" };
    Ok(Value::from(format!("{root}{}", shared.join("/"))))
}

/// Files of this machine whose names fit, in order.
fn fileglob(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let pattern = call.value_text()?;
    let (start, rest) = match pattern.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", pattern),
    };
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let mut found = Vec::new();
    descend(start, &parts, &mut found);
    found.retain(|path| Path::new(path).is_file());
    found.sort();
    Ok(list(found.into_iter().map(Value::from).collect()))
}

fn descend(folder: &str, parts: &[&str], found: &mut Vec<String>) {
    let Some((part, rest)) = parts.split_first() else {
        if Path::new(folder).symlink_metadata().is_ok() {
            found.push(folder.to_owned());
        }
        return;
    };
    let join = |name: &str| match folder {
        "" => name.to_owned(),
        _ if folder.ends_with('/') => format!("{folder}{name}"),
        _ => format!("{folder}/{name}"),
    };
    if !part.contains(['*', '?', '[']) {
        descend(&join(part), rest, found);
        return;
    }
    let here = if folder.is_empty() { "." } else { folder };
    let pattern: Vec<char> = part.chars().collect();
    let entries = std::fs::read_dir(here).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_hidden = name.starts_with('.') && !part.starts_with('.');
        let characters: Vec<char> = name.chars().collect();
        if !is_hidden && fits(&pattern, &characters) {
            descend(&join(&name), rest, found);
        }
    }
}

/// Whether a name fits `*`, `?` and `[a-z]`.
fn fits(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', pattern @ ..], _) => {
            (0..=name.len()).any(|skipped| fits(pattern, name.get(skipped..).unwrap_or_default()))
        }
        (['?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        (['[', class @ ..], [first, rest @ ..]) => {
            let end = class
                .iter()
                .skip(1)
                .position(|c| *c == ']')
                .map(|end| end + 1);
            let Some(end) = end else {
                return *first == '[' && fits(class, rest);
            };
            let (class, pattern) = (
                class.get(..end).unwrap_or_default(),
                class.get(end + 1..).unwrap_or_default(),
            );
            let (is_inverse, class) = match class {
                ['!', class @ ..] => (true, class),
                class => (false, class),
            };
            in_class(class, *first) != is_inverse && fits(pattern, rest)
        }
        ([one, pattern @ ..], [first, name @ ..]) => one == first && fits(pattern, name),
        _ => false,
    }
}

fn in_class(class: &[char], wanted: char) -> bool {
    match class {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&wanted) || in_class(rest, wanted),
        [one, rest @ ..] => *one == wanted || in_class(rest, wanted),
        [] => false,
    }
}

/// The drive of a path of Windows, and the rest of it.
fn split_drive(path: &str) -> (&str, &str) {
    let is_separator = |c: char| c == '\\' || c == '/';
    let mut characters = path.chars();
    let start = (characters.next(), characters.next());
    if let (Some(one), Some(other)) = start
        && is_separator(one)
        && is_separator(other)
    {
        // `\\server\share`.
        let rest = characters.as_str();
        let end = rest
            .match_indices(is_separator)
            .nth(1)
            .map_or(path.len(), |(index, _)| index + 2);
        return path.split_at(end);
    }
    match start {
        (Some(letter), Some(':')) => path.split_at(letter.len_utf8() + 1),
        _ => ("", path),
    }
}

fn windows_basename(path: &str) -> String {
    let (_, rest) = split_drive(path);
    rest.rsplit(['\\', '/'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn windows_dirname(path: &str) -> String {
    let (drive, rest) = split_drive(path);
    let end = rest.rfind(['\\', '/']).map_or(0, |index| index + 1);
    let folder = rest.get(..end).unwrap_or_default();
    let trimmed = folder.trim_end_matches(['\\', '/']);
    format!(
        "{drive}{}",
        if trimmed.is_empty() { folder } else { trimmed }
    )
}

fn windows_drive(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let (drive, rest) = split_drive(call.value_text()?);
    Ok(tuple(vec![Value::from(drive), Value::from(rest)]))
}
