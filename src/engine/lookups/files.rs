//! Lookups of files on this machine, where the files of a task are looked for.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::options::Options;
use super::{Asker, own_path};
use crate::template::{Layer, Syntax, converted, display, render_file, truthy};

/// The texts of files.
pub(super) fn file(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let (strips_start, strips_end) = (options.flag("lstrip", false), options.flag("rstrip", true));
    let mut texts = Vec::new();
    for term in terms {
        let (_, text) = asker.read("files", &display(term))?;
        let mut text = text.as_str();
        if strips_start {
            text = text.trim_start();
        }
        if strips_end {
            text = text.trim_end();
        }
        texts.push(Json::from(text));
    }
    Ok(texts)
}

/// The texts of files, decrypted, to the last byte.
pub(super) fn unvault(terms: &[Json], asker: &Asker<'_>) -> Result<Vec<Json>, String> {
    let text = |term: &Json| Ok(asker.read("files", &display(term))?.1.into());
    terms.iter().map(text).collect()
}

/// What templates become.
pub(super) fn template(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let more = match options.value("template_vars") {
        None => Map::new(),
        Some(Json::Object(more)) => more.clone(),
        Some(_) => return Err("`template_vars` is not a mapping".to_owned()),
    };
    let scope = asker.scope.with(Layer::raw(more));
    let mut syntax = Syntax::default();
    for (name, delimiter) in [
        ("variable_start_string", &mut syntax.variable.0),
        ("variable_end_string", &mut syntax.variable.1),
        ("comment_start_string", &mut syntax.comment.0),
        ("comment_end_string", &mut syntax.comment.1),
    ] {
        if let Some(text) = options.text(name) {
            *delimiter = text;
        }
    }
    let mut texts = Vec::new();
    for term in terms {
        let (name, text) = asker.read("templates", &display(term))?;
        let text = render_file(&name, &text, &syntax, &scope).map_err(|found| found.to_string())?;
        texts.push(if options.flag("convert_data", true) {
            converted(text)
        } else {
            text.into()
        });
    }
    Ok(texts)
}

/// Files whose names match patterns, each in the first folder that has any.
pub(super) fn glob(terms: &[Json], asker: &Asker<'_>) -> Vec<Json> {
    let mut found = Vec::new();
    for term in terms {
        let term = display(term);
        let (folders, pattern): (Vec<PathBuf>, &str) =
            if let Some((folder, pattern)) = term.rsplit_once('/') {
                let folder = if folder.is_empty() { "/" } else { folder };
                (asker.find("files", folder).into_iter().collect(), pattern)
            } else {
                let folders = asker.frame.search_path();
                let whole = folders
                    .iter()
                    .map(|folder| PathBuf::from(asker.library.absolute(folder)));
                let both = whole.flat_map(|folder| [folder.join("files"), folder]);
                (both.collect(), term.as_str())
            };
        let here = folders.iter().map(|folder| matching(folder, pattern));
        found.extend(here.into_iter().find(|here| !here.is_empty()));
    }
    found.into_iter().flatten().map(Json::from).collect()
}

/// The files of a folder whose names match, by name.
fn matching(folder: &Path, pattern: &str) -> Vec<String> {
    let Some(expression) = expression_of(pattern) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            expression.is_match(&name) && (!name.starts_with('.') || pattern.starts_with('.'))
        })
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .map(|path| path.display().to_string())
        .collect();
    found.sort();
    found
}

/// A pattern of the shell's with `*`, `?` and `[…]`, which stand for what they are where no `]` closes them.
fn expression_of(pattern: &str) -> Option<regex::Regex> {
    let mut expression = String::from("(?s)^");
    let mut rest = pattern;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..)?;
        match character {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                let (negated, inner) = match rest.strip_prefix('!') {
                    Some(inner) => ("^", inner),
                    None => ("", rest),
                };
                // A `]` right at the beginning is one of the characters.
                let end = inner.char_indices().skip(1).find(|(_, c)| *c == ']');
                match end.and_then(|(end, _)| Some((inner.get(..end)?, inner.get(end + 1..)?))) {
                    Some((characters, after)) => {
                        let escaped = characters
                            .replace('\\', "\\\\")
                            .replace('[', "\\[")
                            .replace(']', "\\]")
                            .replace('^', "\\^")
                            .replace("&&", "&\\&");
                        expression.push_str(&format!("[{negated}{escaped}]"));
                        rest = after;
                    }
                    None => expression.push_str("\\["),
                }
            }
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    expression.push('$');
    regex::Regex::new(&expression).ok()
}

/// What is looked for, and whether it is no mistake when nothing is there.
#[derive(Default)]
struct Search {
    names: Vec<String>,
    paths: Vec<String>,
    skips: bool,
}

impl Search {
    /// As Ansible does: what a mapping says about `paths` and `skip` holds for the terms after it, too.
    fn add(&mut self, term: &Json) -> Result<(), String> {
        let files = match term {
            Json::Object(told) => {
                self.paths = told
                    .get("paths")
                    .map_or_else(Vec::new, |paths| parts(paths, ",:;"));
                self.skips = told.get("skip").is_some_and(truthy);
                told.get("files")
                    .map_or_else(Vec::new, |files| parts(files, ",;"))
            }
            Json::String(_) => parts(term, ",;"),
            Json::Array(terms) => return terms.iter().try_for_each(|term| self.add(term)),
            other => return Err(format!("`{}` is no name of a file", display(other))),
        };
        if self.paths.is_empty() {
            self.names.extend(files.iter().cloned());
        }
        for path in &self.paths {
            let joined = files.iter().map(|file| Path::new(path).join(file));
            let joined = joined.map(|path| path.display().to_string());
            self.names.extend(joined);
        }
        Ok(())
    }
}

/// A list of texts, each of which may be several.
fn parts(value: &Json, separators: &str) -> Vec<String> {
    match value {
        Json::Array(items) => items
            .iter()
            .flat_map(|item| parts(item, separators))
            .collect(),
        Json::Null => Vec::new(),
        other => {
            let text = display(other);
            text.split(|c| separators.contains(c))
                .map(str::to_owned)
                .collect()
        }
    }
}

/// The first file that is there. Terms are names, or mappings with `files`, `paths` and `skip`.
pub(super) fn first_found(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let mut search = Search {
        names: Vec::new(),
        paths: options
            .value("paths")
            .map_or_else(Vec::new, |paths| parts(paths, ",:;")),
        skips: options.flag("skip", false),
    };
    match options.value("files") {
        Some(files) if terms.is_empty() => search.add(&Json::Array(
            parts(files, ",;").into_iter().map(Json::from).collect(),
        ))?,
        _ => terms.iter().try_for_each(|term| search.add(term))?,
    }
    for name in &search.names {
        if let Some(path) = asker.find(asker.subfolder, name) {
            return Ok(vec![normal(&path).into()]);
        }
    }
    if search.skips {
        return Ok(Vec::new());
    }
    Err(format!(
        "none of these files is there: {}",
        search.names.join(", ")
    ))
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal.display().to_string()
}

/// A path that starts at the playbook's folder, where it is not whole already.
pub(super) fn beside_playbook(path: &str, asker: &Asker<'_>) -> PathBuf {
    own_path(path).unwrap_or_else(|| asker.folder().join(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txtx", false),
            ("?[ab]", "xa", true),
            ("[!a]x", "bx", true),
            ("[!a]x", "ax", false),
            ("[]]", "]", true),
            ("a[b", "a[b", true),
            ("a.c", "abc", false),
            ("[a-c]", "b", true),
        ] {
            let expression = expression_of(pattern).unwrap();
            assert_eq!(expression.is_match(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn names_and_paths_are_combined() {
        let names = |terms: Json| {
            let mut search = Search::default();
            search.add(&terms).unwrap();
            search.names.join(" ")
        };
        assert_eq!(names(json!("a,b;c")), "a b c");
        assert_eq!(names(json!([["a"], "b"])), "a b");
        assert_eq!(
            names(json!([{"files": ["a", "b"], "paths": "x:y"}, "c"])),
            "x/a x/b y/a y/b x/c y/c"
        );
        assert_eq!(names(json!({"files": "a"})), "a");
    }
}
