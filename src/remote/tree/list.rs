//! What is to be done with many paths, as the lines that the host reads: a line `what:mode:owner:group:rest`, then a line with
//! a space before each path that this is done to. And under which name each file is in the archive.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::{Belongs, Branch, BranchKind, Leaf, Tree};

/// The longest name that a file has in the archive; tar's own limit is 100.
const LONGEST_NAME: usize = 80;

/// The lines, and the files.
pub(super) struct List {
    /// What the host reads.
    pub(super) lines: String,
    /// The folders of the archive.
    pub(super) folders: Vec<String>,
    /// Names in the archive, without anything that a shell or a program could take for something else, and what they hold.
    pub(super) files: Vec<(String, Leaf)>,
}

/// A path in one line for `printf %b`.
pub(super) fn coded(path: &str) -> String {
    if path.contains(['\\', '\n']) {
        path.replace('\\', r"\\").replace('\n', r"\n")
    } else {
        path.to_owned()
    }
}

impl List {
    /// Of a tree. Paths with the same to be done to them come together.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut all = Self {
            lines: String::new(),
            folders: Vec::new(),
            files: Vec::new(),
        };
        // Folders and what is there anyway may have to be passed through by what follows, so they keep their order.
        let mut heading = String::new();
        let folders = tree
            .branches
            .iter()
            .filter(|branch| branch.kind == BranchKind::Folder);
        for branch in folders {
            let next = head("folder", branch, "");
            if next != heading {
                all.lines.push_str(&next);
                heading = next;
            }
            all.path(&branch.path);
        }
        let files = all.gather_files(tree);
        for (heading, paths) in files {
            all.lines.push_str(&heading);
            for path in paths {
                all.path(&path);
            }
        }
        for branch in &tree.branches {
            match &branch.kind {
                BranchKind::There => all.lines.push_str(&head("there", branch, "")),
                BranchKind::Link(target) => all.lines.push_str(&head("link", branch, target)),
                BranchKind::Folder | BranchKind::File(_) => continue,
            }
            all.path(&branch.path);
        }
        all
    }

    fn path(&mut self, path: &str) {
        self.lines.push(' ');
        self.lines.push_str(&coded(path));
        self.lines.push('\n');
    }

    /// Gives every file its name in the archive; answers what is to be done with them.
    fn gather_files(&mut self, tree: &Tree) -> IndexMap<String, Vec<String>> {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut groups: IndexMap<String, Vec<String>> = IndexMap::new();
        let mut odd = 0;
        for branch in &tree.branches {
            let BranchKind::File(leaf) = &branch.kind else {
                continue;
            };
            let (folder, name) = match branch.path.rsplit_once('/') {
                Some(("", name)) => ("/", name),
                Some(parts) => parts,
                None => (".", branch.path.as_str()),
            };
            if is_plain(name) {
                let next = numbers.len();
                let number = *numbers.entry(folder).or_insert(next);
                if number == next {
                    self.folders.push(number.to_string());
                }
                let staged = format!("{number}/{name}");
                groups
                    .entry(head("file", branch, folder))
                    .or_default()
                    .push(staged.clone());
                self.files.push((staged, leaf.clone()));
            } else {
                if odd == 0 {
                    self.folders.push("odd".to_owned());
                }
                groups
                    .entry(head("odd", branch, folder))
                    .or_default()
                    .push(format!("{odd} {name}"));
                self.files.push((format!("odd/{odd}"), leaf.clone()));
                odd += 1;
            }
        }
        groups
    }
}

/// `what:mode:owner:group:rest`.
fn head(what: &str, branch: &Branch, rest: &str) -> String {
    let belongs = |to: &Belongs| match to {
        Belongs::Any => String::new(),
        Belongs::Keep(number) => format!("={number}"),
        Belongs::To(name) => name.clone(),
    };
    let mode = branch
        .mode
        .map_or_else(String::new, |mode| format!("{mode:04o}"));
    format!(
        "{what}:{mode}:{}:{}:{}\n",
        belongs(&branch.owner),
        belongs(&branch.group),
        coded(rest)
    )
}

/// Whether a name means nothing else to any program, and is not too long.
fn is_plain(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@=,%~".contains(&byte);
    name.len() <= LONGEST_NAME && !name.is_empty() && name.bytes().all(is_fine)
}
