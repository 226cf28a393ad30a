//! The doors between the rooms of `src/`, and the house rules that a text search can keep.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rooms that everyone may use. They use nothing but each other.
const LEAVES: &[&str] = &[
    "diagnostic",
    "secret",
    "vault",
    "yaml",
    "env",
    "exit",
    "python_regex",
];

/// Which room may use which (`docs/architecture.md`). Leaves are allowed everywhere; `engine::event` is a door of its
/// own, because renderers see what happened and nothing else of the engine.
const DOORS: &[(&str, &[&str])] = &[
    ("diagnostic", &[]),
    ("secret", &[]),
    ("vault", &[]),
    ("yaml", &[]),
    ("env", &[]),
    ("exit", &[]),
    ("python_regex", &[]),
    ("template", &[]),
    ("settings", &[]),
    ("connect", &[]),
    ("pki", &[]),
    ("registry", &["pki"]),
    ("inventory", &[]),
    ("artifact", &["settings"]),
    ("remote", &["connect"]),
    ("facts", &["remote", "connect"]),
    ("precheck", &["facts", "settings", "inventory", "artifact"]),
    ("playbook", &["template", "modules"]),
    (
        "modules",
        &[
            "remote", "facts", "registry", "pki", "artifact", "connect", "template",
        ],
    ),
    (
        "engine",
        &[
            "inventory",
            "playbook",
            "modules",
            "facts",
            "precheck",
            "connect",
            "remote",
            "artifact",
            "settings",
            "template",
            "pki",
        ],
    ),
    ("report", &["engine::event", "precheck"]),
    ("cli", &["*"]),
];

/// Lines of a file of `src/`, its unit tests not counted, past which the tests fail. From 400 on it should be asked
/// whether it is two.
const LONGEST_FILE: usize = 700;

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    into.sort();
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Unit tests that have a file of their own: `tests.rs`, `tests/…`, `sudo_tests.rs`.
fn is_test_file(name: &str) -> bool {
    let mut parts = name.trim_end_matches(".rs").split('/');
    parts.any(|part| part == "tests" || part.ends_with("_tests"))
}

/// Every file of `src/` with its path below it, unit tests that have a file of their own left out.
fn sources() -> Vec<(String, String)> {
    let root = source_folder();
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .filter(|(name, _)| !is_test_file(name))
        .collect()
}

/// The room of a file: its folder, or its own name; the roots of the crate belong to none.
fn room_of(name: &str) -> Option<&str> {
    let room = name.split('/').next().unwrap().trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// The text without comments, strings and characters, lines kept, so that a search finds code and nothing else.
fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut index = 0;
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    while index < characters.len() {
        match (at(index), at(index + 1)) {
            ('/', '/') => {
                while index < characters.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        ('\n', _) => {
                            code.push('\n');
                            index += 1;
                            continue;
                        }
                        _ => {
                            index += 1;
                            if index >= characters.len() {
                                break;
                            }
                            continue;
                        }
                    }
                    index += 2;
                    if depth == 0 {
                        break;
                    }
                }
            }
            ('r', '"' | '#')
                if !code.ends_with(|last: char| last.is_alphanumeric() || last == '_') =>
            {
                let mut hashes = 0;
                while at(index + 1 + hashes) == '#' {
                    hashes += 1;
                }
                if at(index + 1 + hashes) != '"' {
                    code.push('r');
                    index += 1;
                    continue;
                }
                index += hashes + 2;
                let end: String = std::iter::once('"')
                    .chain("#".repeat(hashes).chars())
                    .collect();
                let end: Vec<char> = end.chars().collect();
                while index < characters.len() && !characters[index..].starts_with(&end) {
                    if at(index) == '\n' {
                        code.push('\n');
                    }
                    index += 1;
                }
                index += end.len();
                code.push_str("\"\"");
            }
            ('"', _) => {
                index += 1;
                while index < characters.len() && at(index) != '"' {
                    if at(index) == '\\' {
                        index += 1;
                    }
                    if at(index) == '\n' {
                        code.push('\n');
                    }
                    index += 1;
                }
                index += 1;
                code.push_str("\"\"");
            }
            // A character, not a lifetime.
            ('\'', '\\') => {
                index += 3;
                while at(index) != '\'' && index < characters.len() {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (other, _) => {
                code.push(other);
                index += 1;
            }
        }
    }
    code
}

/// The code without what is compiled for tests only: the body of every item under `#[cfg(test)]`.
fn shipped_code(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut shipped = String::new();
    let mut rest = code;
    while let Some(found) = rest.find(MARK) {
        shipped.push_str(&rest[..found]);
        let after = &rest[found..];
        let opening = after.find('{').unwrap_or(after.len());
        let semicolon = after.find(';').unwrap_or(after.len());
        let end = if semicolon < opening {
            semicolon + 1
        } else {
            let mut depth = 0;
            after
                .char_indices()
                .skip_while(|(index, _)| *index < opening)
                .find_map(|(index, character)| {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    (depth == 0).then_some(index + 1)
                })
                .unwrap_or(after.len())
        };
        shipped.extend(after[..end].chars().filter(|character| *character == '\n'));
        rest = &after[end..];
    }
    shipped.push_str(rest);
    shipped
}

/// Every path below `crate::` in the code with its line, braces taken apart: `crate::{a, b::c}` is two.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let before = code[..index].chars().next_back();
        if before.is_some_and(|last| last.is_alphanumeric() || last == '_' || last == '$') {
            continue;
        }
        let line = code[..index].matches('\n').count() + 1;
        let rest = &code[index + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let end = group
                .char_indices()
                .find_map(|(index, character)| {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    (depth == 0).then_some(index)
                })
                .unwrap();
            let mut depth = 0;
            for part in group[..end].split(|character| {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                character == ',' && depth == 0
            }) {
                if !part.trim().is_empty() {
                    found.push((line, part.trim().to_owned()));
                }
            }
        } else {
            let path: String = rest
                .chars()
                .take_while(|character| {
                    character.is_alphanumeric() || matches!(character, '_' | ':')
                })
                .collect();
            found.push((line, path));
        }
    }
    found
}

fn is_allowed(room: &str, path: &str) -> bool {
    let target = path.split("::").next().unwrap();
    if target == room || LEAVES.contains(&target) {
        return true;
    }
    let Some((_, doors)) = DOORS.iter().find(|(name, _)| *name == room) else {
        return false;
    };
    doors.iter().any(|door| {
        *door == "*"
            || path == *door
            || path
                .strip_prefix(door)
                .is_some_and(|rest| rest.starts_with("::"))
    })
}

#[test]
fn every_room_uses_only_its_doors() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some(room) = room_of(&name) else { continue };
        for (line, path) in crate_paths(&shipped_code(&code_only(&text))) {
            if !is_allowed(room, &path) {
                wrong.push(format!(
                    "src/{name}:{line}: `{room}` has no door to `crate::{path}`"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nhint: move the code to the room it belongs to, hand the value in as a parameter, or, when the plan of \
         the house is what is wrong, change it in docs/architecture.md and in the table of tests/doors.rs together",
        wrong.join("\n")
    );
}

#[test]
fn the_plan_names_every_room_once() {
    let rooms: BTreeSet<String> = sources()
        .iter()
        .filter_map(|(name, _)| room_of(name))
        .map(str::to_owned)
        .collect();
    let planned: BTreeSet<String> = DOORS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(planned.len(), DOORS.len());
    assert_eq!(rooms, planned, "rooms of src/ and of the table");
}

/// Lines up to the module of unit tests, which by the house's habit ends a file.
fn lines_without_tests(text: &str) -> usize {
    let end = text.find("\n#[cfg(test)]\nmod tests {");
    text[..end.unwrap_or(text.len())].lines().count()
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(name, text)| (name, lines_without_tests(text)))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(name, lines)| format!("src/{name} has {lines} lines, more than {LONGEST_FILE}"))
        .collect();
    assert!(
        long.is_empty(),
        "{}\nhint: a file that long is two things; give each a file of its own",
        long.join("\n")
    );
}

#[test]
fn nothing_unfinished_and_nothing_that_prints_elsewhere() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let code = shipped_code(&code_only(&text));
        let printing_room = matches!(room_of(&name), None | Some("report" | "cli"));
        for (number, line) in code.lines().enumerate() {
            let mut banned = vec!["todo!", "unimplemented!", "dbg!"];
            if !printing_room {
                banned.extend(["println!", "eprintln!", "print!", "eprint!"]);
            }
            for word in banned {
                let is_word = |index: usize| {
                    !line[..index].ends_with(|last: char| last.is_alphanumeric() || last == '_')
                };
                if line.match_indices(word).any(|(index, _)| is_word(index)) {
                    wrong.push(format!("src/{name}:{}: `{word}`", number + 1));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nhint: send an event and let `report` show it; finish what is not finished",
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_allowed_without_a_reason() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let code = code_only(&text);
        for (number, line) in code.lines().enumerate() {
            if line.contains("#[allow(") || line.contains("#![allow(") {
                wrong.push(format!("src/{name}:{}: {}", number + 1, line.trim()));
            }
        }
        for (number, line) in code.lines().enumerate() {
            let attribute = line.trim_start().strip_prefix("#[");
            if attribute.is_some_and(|attribute| attribute.starts_with("ignore")) {
                wrong.push(format!(
                    "src/{name}:{}: a test that does not run",
                    number + 1
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nhint: use `#[expect(lint, reason = \"…\")]`, or change the code so that the lint is content",
        wrong.join("\n")
    );
}

#[test]
fn the_search_sees_code_and_nothing_else() {
    let text = r##"
        //! crate::engine in a comment
        /* crate::engine /* nested */ crate::engine */
        use crate::{yaml::{Node, Kind}, engine::event::Event};
        const A: &str = "crate::engine \" println!"; const B: char = '"'; const C: char = '\'';
        const D: &str = r#"crate::engine "quoted" "#;
        fn f<'a>(x: &'a crate::secret::Redactor) { mycrate::engine(); $crate::engine(); }
        #[cfg(test)]
        mod tests { use crate::cli::Arguments; fn g() { { println!() } } }
        fn after() { crate::modules::specs(); }
    "##;
    let code = shipped_code(&code_only(text));
    let paths: Vec<String> = crate_paths(&code)
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    assert_eq!(
        paths,
        [
            "yaml::{Node, Kind}",
            "engine::event::Event",
            "secret::Redactor",
            "modules::specs"
        ]
    );
    assert_eq!(crate_paths(&code)[3].0, 10, "lines are kept");
    assert!(!code.contains("println"));
    assert!(is_allowed("report", "engine::event::Event") && !is_allowed("report", "engine::run"));
    assert!(!is_allowed("report", "engine::eventual") && !is_allowed("connect", "remote::Session"));
}
