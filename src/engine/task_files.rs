//! Files and templates of the running task.

use std::path::Path;
use std::sync::Arc;

use super::outside::Beside;
use super::template_facts;
use crate::modules::{FileSource, Files, ModuleError};
use crate::playbook::{Frame, Library};
use crate::template::{Layer, Scope, Syntax, render_file};
use crate::vault;

/// Looks in the role's folder first, then beside the file of the task, then beside the playbook.
pub(super) struct TaskFiles<'a> {
    pub(super) library: &'a Library,
    pub(super) frame: &'a Frame,
    pub(super) scope: &'a Scope,
}

impl TaskFiles<'_> {
    /// A file or folder of this machine that is sent as it is.
    fn sent(&self, path: std::path::PathBuf) -> FileSource {
        if let Some(reads) = self.library.reads() {
            reads.saw_whole(&path);
        }
        FileSource::Path(path)
    }

    fn find(&self, folder: &str, src: &str) -> Result<crate::playbook::Entry, ModuleError> {
        let candidates = self.frame.places(folder, src);
        for candidate in &candidates {
            let entry = self.library.read(candidate);
            if let Some(entry) =
                entry.map_err(|error| ModuleError::failed(format!("read `{src}`: {error}")))?
            {
                return Ok(entry);
            }
        }
        let looked: Vec<String> = candidates
            .iter()
            .map(|candidate| self.library.describe(candidate))
            .collect();
        Err(ModuleError::failed(format!("there is no file `{src}`"))
            .with_hint(format!("looked for {}", looked.join(", "))))
    }
}

/// A path on this machine that is no part of a library.
fn own_path(src: &str) -> Option<std::path::PathBuf> {
    if let Some(rest) = src.strip_prefix("~/") {
        return std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(rest));
    }
    src.starts_with('/').then(|| src.into())
}

impl Files for TaskFiles<'_> {
    fn file(&self, src: &str) -> Result<FileSource, ModuleError> {
        if let Some(path) = own_path(src) {
            return Ok(self.sent(path));
        }
        let folders = self.frame.places("files", src);
        let folder = folders
            .iter()
            .find_map(|candidate| self.library.folder_path(candidate.trim_end_matches('/')));
        if let Some(folder) = folder {
            return Ok(self.sent(folder));
        }
        let entry = self.find("files", src)?;
        Ok(entry.path.map_or_else(
            || FileSource::Bytes(entry.bytes.into_owned().into()),
            FileSource::Path,
        ))
    }

    fn own_path(&self, path: &str) -> std::path::PathBuf {
        own_path(path).unwrap_or_else(|| match self.library.folder_path("") {
            Some(folder) => folder.join(path),
            None => path.into(),
        })
    }

    fn template_mode(&self, src: &str) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = own_path(src).or_else(|| self.find("templates", src).ok()?.path)?;
        let metadata = std::fs::metadata(path).ok()?;
        Some(metadata.permissions().mode() & 0o7777)
    }

    fn template_is_encrypted(&self, src: &str) -> bool {
        let bytes = match own_path(src) {
            Some(path) => std::fs::read(path).ok(),
            None => self
                .find("templates", src)
                .ok()
                .map(|entry| entry.bytes.into_owned()),
        };
        bytes.is_some_and(|bytes| vault::is_encrypted(&bytes))
    }

    fn template(&self, src: &str, syntax: &Syntax, dest: &str) -> Result<String, ModuleError> {
        let (name, bytes, path) = if let Some(path) = own_path(src) {
            let bytes = std::fs::read(&path).map_err(|error| {
                ModuleError::failed(format!("read the template `{src}`: {error}"))
            })?;
            if let Some(reads) = self.library.reads() {
                reads.saw(&path, &bytes);
            }
            (src.to_owned(), bytes, Some(path))
        } else {
            let entry = self.find("templates", src)?;
            (entry.name, entry.bytes.into_owned(), entry.path)
        };
        let (bytes, _) = vault::decrypt_file(&name, &bytes).map_err(|diagnostic| {
            let error = ModuleError::failed(diagnostic.message);
            match diagnostic.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ModuleError::failed(format!("the template `{src}` is not UTF-8 text")))?;
        let about = template_facts::about(src, path.as_deref(), dest);
        let mut scope = self.scope.with(Layer::raw(about));
        if let (Some(outside), Some(folder)) =
            (scope.outside(), path.as_deref().and_then(Path::parent))
        {
            let outside = Arc::new(Beside {
                outside: Arc::clone(outside),
                folder: folder.to_owned(),
            });
            scope = scope.with_outside(outside);
        }
        render_file(&name, text, syntax, &scope)
            .map_err(|diagnostic| ModuleError::failed(diagnostic.to_string()))
    }
}
