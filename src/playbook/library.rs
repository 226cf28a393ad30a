//! Where playbooks, roles, templates and files are read from: folders, and what is embedded in the program.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::reads::Reads;
use crate::template::Layer;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");

/// Folders in the order they are searched. A file of an earlier one replaces the same file of a later one.
#[derive(Debug, Clone)]
pub struct Library {
    roots: Vec<Root>,
    /// Further folders for roles, absolute.
    roles_path: Vec<String>,
    /// What the command line says: names of imports may be made of it.
    variables: Option<Layer>,
    /// The first root as it is on this machine.
    here: Option<PathBuf>,
    /// A file that lies nowhere: its name and text.
    text: Option<(String, String)>,
    /// Remembers what was read.
    reads: Option<Arc<Reads>>,
}

#[derive(Debug, Clone)]
enum Root {
    Folder(PathBuf),
    Embedded,
}

/// One file of a library.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What messages call it.
    pub name: String,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Where it lies on this machine, unless it is embedded.
    pub path: Option<PathBuf>,
}

impl Library {
    /// The built-in playbooks, with the files of a folder of the user's in front of them.
    pub fn built_in(overlay: Option<&Path>) -> Self {
        let mut roots: Vec<Root> = overlay
            .map(|folder| Root::Folder(folder.to_owned()))
            .into_iter()
            .collect();
        roots.push(Root::Embedded);
        Self {
            roots,
            roles_path: Vec::new(),
            variables: None,
            here: overlay.map(whole),
            text: None,
            reads: None,
        }
    }

    /// A user's own playbooks: files and roles of one folder, no built-in ones.
    pub fn folder(folder: &Path) -> Self {
        Self {
            roots: vec![Root::Folder(folder.to_owned())],
            roles_path: Vec::new(),
            variables: None,
            here: Some(whole(folder)),
            text: None,
            reads: None,
        }
    }

    /// With more folders in which roles are looked for.
    #[must_use]
    pub fn with_roles_path(mut self, folders: &[PathBuf]) -> Self {
        self.roles_path = folders
            .iter()
            .map(|folder| {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                folder.display().to_string()
            })
            .collect();
        self
    }

    /// With a file that lies nowhere.
    #[must_use]
    pub fn with_text(mut self, name: &str, text: String) -> Self {
        self.text = Some((name.to_owned(), text));
        self
    }

    /// Remembers which files are read.
    #[must_use]
    pub fn with_reads(mut self, reads: Arc<Reads>) -> Self {
        self.reads = Some(reads);
        self
    }

    /// What was read so far, where that is remembered.
    pub fn reads(&self) -> Option<&Reads> {
        self.reads.as_deref()
    }

    /// With the variables of the command line.
    #[must_use]
    pub fn with_variables(mut self, variables: Layer) -> Self {
        self.variables = Some(variables);
        self
    }

    /// The variables of the command line.
    pub fn variables(&self) -> Option<&Layer> {
        self.variables.as_ref()
    }

    /// Folders for roles beside `roles/`.
    pub fn roles_path(&self) -> impl Iterator<Item = &str> {
        self.roles_path.iter().map(String::as_str)
    }

    /// A path of the library as it is on this machine; as it is for what is built in.
    pub fn absolute(&self, path: &str) -> String {
        match &self.here {
            Some(folder) if path.is_empty() => folder.display().to_string(),
            Some(folder) => folder.join(path).display().to_string(),
            None => path.to_owned(),
        }
    }

    /// Only what is built in can be left by `..`.
    fn leads_out(&self, path: &str) -> bool {
        self.roots.iter().any(|root| matches!(root, Root::Embedded)) && leads_out(path)
    }

    /// The YAML and JSON files in a folder and the folders below it, by name.
    pub fn files_below(&self, path: &str) -> Vec<String> {
        let mut files = self.files_in(path);
        files.retain(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            !name.contains('.')
                || [".yml", ".yaml", ".json"]
                    .iter()
                    .any(|ending| name.ends_with(ending))
        });
        files
    }

    /// Every file in a folder and the folders below it, by name.
    pub fn files_in(&self, path: &str) -> Vec<String> {
        let mut files = Vec::new();
        let mut open = vec![path.to_owned()];
        while let Some(folder) = open.pop() {
            for root in &self.roots {
                let Root::Folder(root) = root else {
                    continue;
                };
                let entries = std::fs::read_dir(root.join(&folder)).into_iter().flatten();
                for entry in entries.flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let path = format!("{folder}/{name}");
                    if name.starts_with('.') || name.ends_with('~') {
                        continue;
                    }
                    if entry.path().is_dir() {
                        open.push(path);
                    } else {
                        files.push(path);
                    }
                }
            }
        }
        files.sort();
        files
    }

    /// Reads a file by its path within the library. `Ok(None)` when no root has it.
    pub fn read(&self, path: &str) -> std::io::Result<Option<Entry>> {
        if let Some((name, text)) = &self.text
            && name == path
        {
            return Ok(Some(Entry {
                name: name.clone(),
                bytes: text.clone().into_bytes().into(),
                path: None,
            }));
        }
        if self.leads_out(path) {
            return Ok(None);
        }
        for root in &self.roots {
            match root {
                Root::Folder(folder) => {
                    let full = folder.join(path);
                    match std::fs::read(&full) {
                        Ok(bytes) => {
                            let name = full.display().to_string();
                            if let Some(reads) = &self.reads {
                                reads.saw(&full, &bytes);
                            }
                            return Ok(Some(Entry {
                                name,
                                bytes: bytes.into(),
                                path: Some(full),
                            }));
                        }
                        Err(error)
                            if matches!(
                                error.kind(),
                                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                            ) => {}
                        Err(error) => {
                            return Err(std::io::Error::new(
                                error.kind(),
                                format!("{}: {error}", full.display()),
                            ));
                        }
                    }
                }
                Root::Embedded => {
                    if let Some(file) = EMBEDDED.get_file(path) {
                        let name = format!("<built-in>/{path}");
                        return Ok(Some(Entry {
                            name,
                            bytes: file.contents().into(),
                            path: None,
                        }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether any root has this folder.
    pub fn has_folder(&self, path: &str) -> bool {
        let has = |root: &Root| match root {
            Root::Folder(folder) => folder.join(path).is_dir(),
            Root::Embedded => EMBEDDED.get_dir(path).is_some(),
        };
        !self.leads_out(path) && self.roots.iter().any(has)
    }

    /// Where a folder lies on this machine, when a root that is no embedded one has it.
    pub fn folder_path(&self, path: &str) -> Option<PathBuf> {
        let found = self.roots.iter().find_map(|root| match root {
            Root::Folder(folder) => Some(folder.join(path)).filter(|full| full.is_dir()),
            Root::Embedded => None,
        });
        found.filter(|_| !leads_out(path))
    }

    /// Names of the folders under a folder, for "did you mean".
    pub fn folders_in(&self, path: &str) -> Vec<String> {
        let mut names = Vec::new();
        for root in &self.roots {
            match root {
                Root::Folder(folder) => {
                    let entries = std::fs::read_dir(folder.join(path))
                        .into_iter()
                        .flatten()
                        .flatten();
                    names.extend(
                        entries
                            .filter(|entry| entry.path().is_dir())
                            .map(|entry| entry.file_name().to_string_lossy().into_owned()),
                    );
                }
                Root::Embedded => {
                    let folders = EMBEDDED.get_dir(path).into_iter().flat_map(Dir::dirs);
                    names.extend(
                        folders
                            .filter_map(|folder| folder.path().file_name())
                            .map(|name| name.to_string_lossy().into_owned()),
                    );
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Where messages say that was looked.
    pub fn describe(&self, path: &str) -> String {
        let places: Vec<String> = self
            .roots
            .iter()
            .map(|root| match root {
                Root::Folder(folder) => folder.join(path).display().to_string(),
                Root::Embedded => format!("<built-in>/{path}"),
            })
            .collect();
        places.join(", ")
    }

    /// Writes the built-in playbooks to a folder. Existing files are replaced only with `force`; answers the files
    /// written and those left alone.
    pub fn export(folder: &Path, force: bool) -> std::io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (mut written, mut kept) = (Vec::new(), Vec::new());
        let mut pending = vec![&EMBEDDED];
        while let Some(current) = pending.pop() {
            pending.extend(current.dirs());
            for file in current.files() {
                let target = folder.join(file.path());
                if target.exists() && !force {
                    kept.push(target);
                    continue;
                }
                if let Some(parent) = target.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(&target, file.contents())?;
                written.push(target);
            }
        }
        written.sort();
        kept.sort();
        Ok((written, kept))
    }
}

/// A folder as it is on this machine.
fn whole(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// A path with `..` in it may leave the library.
fn leads_out(path: &str) -> bool {
    Path::new(path)
        .components()
        .any(|part| matches!(part, std::path::Component::ParentDir))
}
