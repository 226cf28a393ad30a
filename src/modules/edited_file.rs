//! A text file of the host that is read, edited here and written back: what `lineinfile` and `blockinfile` share.

use bytes::Bytes;

use super::attributes::{Attributes, DEFAULT_FOLDER_MODE, DEFAULT_MODE};
use super::file_state::{Care, EDIT_LIMIT, Source, WantedFile, is_private};
use super::{Content, Look, ModuleError, Plan};
use crate::remote::{FileContent, Found, FoundKind};

/// The file to edit.
pub(super) struct EditedFile {
    pub(super) path: String,
    pub(super) attributes: Attributes,
    /// A file that is not there is made; otherwise that is an error.
    pub(super) create: bool,
    pub(super) care: Care,
    /// What Ansible's message calls a file that is not there.
    pub(super) word: &'static str,
}

impl EditedFile {
    /// Reads the file, lets `edit` say what it should hold, and plans the difference. The flag in the answer says that
    /// the file was there.
    pub(super) async fn plan(
        &self,
        look: &Look<'_>,
        edit: impl FnOnce(&str) -> String,
    ) -> Result<(Plan, bool), ModuleError> {
        let request = FileContent {
            follow: true,
            limit: EDIT_LIMIT,
            ..FileContent::default()
        };
        let found = look.session.look_at(&self.path, &request).await?;
        let path = found.path.clone();
        let is_there = found.kind == FoundKind::File;
        let old = match (found.kind, &found.content) {
            (FoundKind::File, Some(bytes)) => String::from_utf8(bytes.to_vec())
                .map_err(|_| ModuleError::failed(format!("edit `{path}`: it is not UTF-8 text")))?,
            (FoundKind::File, None) => {
                return Err(ModuleError::failed(format!(
                    "edit `{path}`: it has more than {EDIT_LIMIT} bytes"
                )));
            }
            (FoundKind::Absent, _) => String::new(),
            (other, _) => {
                let error =
                    ModuleError::failed(format!("edit `{path}`: it is {}", other.describe()));
                return Err(match other {
                    FoundKind::Directory => error
                        .saying(format!("{} {path} is a directory !", self.word))
                        .with_value("rc", 256),
                    _ => error,
                });
            }
        };
        let new = edit(&old);
        if !is_there && new.is_empty() {
            return Ok((Plan::satisfied().with("path", path), false));
        }
        if !is_there && !self.create {
            if look.check_mode {
                let plan = Plan::unknown(format!("`{path}` is not there yet"), Vec::new());
                return Ok((plan, false));
            }
            return Err(
                ModuleError::failed(format!("edit `{path}`: it is not there"))
                    .with_hint("set `create: true` to make it")
                    .saying(format!("{} {path} does not exist !", self.word))
                    .with_value("rc", 257),
            );
        }
        let is_same = is_there && new == old;
        let shown = may_show(look, &found, self.attributes.mode_for(&found, DEFAULT_MODE))
            .then(|| content_diff(&path, &old, &new));
        let wanted = WantedFile {
            care: self.care.clone(),
            // A folder that is not there is made too.
            parents: Some(DEFAULT_FOLDER_MODE),
            ..WantedFile::new(
                path.clone(),
                Source::Bytes(Content::public(Bytes::from(new))),
                self.attributes.clone(),
            )
        };
        let plan = wanted.against(&found, is_same, look.diff)?;
        let plan = match shown {
            Some(shown) => plan.with("diff", shown),
            None => plan,
        };
        Ok((plan.with("path", path), is_there))
    }
}

/// Whether a result may hold what is in a file: only when diffs are wanted, and never of what only its owner may read.
fn may_show(look: &Look<'_>, found: &Found, mode: u32) -> bool {
    look.diff && !is_private(mode) && (found.kind != FoundKind::File || !is_private(found.mode))
}

/// The value `diff` of a result: a part for the content and, as Ansible has it, one for the attributes.
fn content_diff(path: &str, old: &str, new: &str) -> serde_json::Value {
    let (content, attributes) = (
        format!("{path} (content)"),
        format!("{path} (file attributes)"),
    );
    serde_json::json!([
        {"before_header": content, "after_header": content, "before": old, "after": new},
        {"before_header": attributes, "after_header": attributes},
    ])
}
