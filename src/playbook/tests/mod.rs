//! Playbooks as users write them, right and wrong.

mod mistakes;
mod model;
mod properties;

use super::*;
use crate::diagnostic::{Colour, Diagnostics, render_all};

/// A folder with these files: path and text.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Loads `site.yaml` of such a folder.
fn read(files: &[(&str, &str)]) -> Result<Playbook, Diagnostics> {
    let folder = folder(files);
    load(&Library::folder(folder.path()), "site.yaml")
}

/// Everything that is wrong, as the user sees it; the folder is called `site`.
fn shown(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    match load(&Library::folder(folder.path()), "site.yaml") {
        Ok(playbook) => format!("no mistake was found: {playbook:#?}"),
        Err(found) => {
            assert!(found.has_errors());
            let text = render_all(&found, Colour::Never);
            text.replace(folder.path().to_str().unwrap(), "site")
        }
    }
}
