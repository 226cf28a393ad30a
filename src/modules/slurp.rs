//! `slurp`: the content of a file of the host, in base64.

use base64::Engine as _;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::file_state::{EDIT_LIMIT, host_path};
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::remote::{FileContent, FoundKind};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "slurp",
    aliases: &[],
    summary: "reads a file of the host, at most 4 MiB, as base64",
    arguments: &[
        Argument::required("src", ArgumentKind::Path, "the file on the host").or(&["path"]),
    ],
    examples: r#"- name: the key of the cluster
  slurp: {src: /etc/app/key.pub}
  register: key

- debug:
    msg: "{{ key.content | b64decode }}"
"#,
    returns: &[
        ("content", "the file's bytes in base64"),
        ("encoding", "`base64`"),
        ("source", "the file"),
    ],
    free_form: None,
    build,
    check: None,
};

struct Slurp {
    path: String,
}

impl Module for Slurp {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let request = FileContent {
                follow: true,
                limit: EDIT_LIMIT,
                ..FileContent::default()
            };
            let found = look.session.look_at(&self.path, &request).await;
            let found = found.map_err(|error| {
                let is_refused = error.to_string().contains("Permission denied");
                match ModuleError::from(error) {
                    error if is_refused => {
                        error.saying(format!("file is not readable: {}", self.path))
                    }
                    error => error,
                }
            })?;
            let path = &found.path;
            match (found.kind, &found.content) {
                (FoundKind::File, Some(bytes)) => {
                    let content = base64::engine::general_purpose::STANDARD.encode(bytes);
                    Ok(Plan::satisfied()
                        .with("content", content)
                        .with("encoding", "base64")
                        .with("source", path.as_str()))
                }
                (FoundKind::File, None) => Err(ModuleError::failed(format!(
                    "read `{path}`: it has more than {EDIT_LIMIT} bytes"
                ))),
                (FoundKind::Absent, _) if look.check_mode => Ok(Plan::unknown(
                    format!("`{path}` is not there yet"),
                    Vec::new(),
                )),
                (FoundKind::Absent, _) if is_below_file(look, path).await => {
                    let message = format!("read `{path}`: what it lies in is no folder");
                    let said = format!("unable to slurp file: not a directory: {path}");
                    Err(ModuleError::failed(message).saying(said))
                }
                (other, _) => Err(ModuleError::failed(format!(
                    "read `{path}`: it is {}",
                    other.describe()
                ))
                .saying(match other {
                    FoundKind::Directory => {
                        format!("source is a directory and must be a file: {path}")
                    }
                    _ => format!("file not found: {path}"),
                })),
            }
        }
        .boxed()
    }
}

/// Whether a file stands where the folder of a path should be.
async fn is_below_file(look: &Look<'_>, path: &str) -> bool {
    let Some((folder, _)) = path
        .rsplit_once('/')
        .filter(|(folder, _)| !folder.is_empty())
    else {
        return false;
    };
    let found = look.session.look_at(folder, &FileContent::default()).await;
    found.is_ok_and(|found| found.kind == FoundKind::File)
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Slurp {
        path: host_path(&arguments, "src")?,
    }))
}
