//! A text file of the host that is read, edited here and written back: what `lineinfile` and `blockinfile` share.

use bytes::Bytes;

use super::attributes::Attributes;
use super::file_state::{Care, EDIT_LIMIT, Source, WantedFile};
use super::{Content, Look, ModuleError, Plan};
use crate::remote::{FileContent, FoundKind};

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
                return Err(ModuleError::failed(format!(
                    "edit `{path}`: it is {}",
                    other.describe()
                )));
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
        let wanted = WantedFile {
            care: self.care.clone(),
            ..WantedFile::new(
                path.clone(),
                Source::Bytes(Content::public(Bytes::from(new))),
                self.attributes.clone(),
            )
        };
        let plan = wanted.against(&found, is_same, look.diff)?;
        Ok((plan.with("path", path), is_there))
    }
}
