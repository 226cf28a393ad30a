//! No text makes the loader panic.

use proptest::prelude::*;

use super::*;

/// Every built-in YAML file: its path and text.
fn built_in() -> Vec<(String, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let mut files = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                files.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// What a mistake may put in.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "{{",
    "}}",
    "{%",
    "#",
    "&a ",
    "*a",
    "!t ",
    "|",
    ">",
    "\t",
    "block:",
    "loop: ",
    "when: ",
    "~",
    "0",
    "é",
    "\u{feff}",
    "<<: ",
    "hosts: all",
    "include_role: {name: docker}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_file_is_a_mistake_and_no_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES)), 1..4),
    ) {
        let files = built_in();
        let (name, text) = which.get(&files).clone();
        let mut characters: Vec<char> = text.chars().collect();
        for (at, remove, insert) in changes {
            let start = at.index(characters.len() + 1);
            let end = (start + remove).min(characters.len());
            characters.splice(start..end, insert.chars());
        }
        let folder = folder(&[(&name, &characters.into_iter().collect::<String>())]);
        let library = Library::built_in(Some(folder.path()));
        for playbook in ["init_registry.yaml", "prove_registry.yaml", "delete_registry.yaml"] {
            if let Err(found) = load(&library, playbook) {
                prop_assert!(found.has_errors());
                prop_assert!(!render_all(&found, Colour::Never).is_empty());
            }
        }
    }

    #[test]
    fn any_text_is_a_mistake_and_no_panic(text in any::<String>()) {
        let _ = read(&[("site.yaml", &text)]);
        let _ = read(&[("site.yaml", &format!("- hosts: all\n  tasks:\n    - {text}\n"))]);
    }
}
