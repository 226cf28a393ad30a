//! `fetch`: a file of the host, brought to this machine.

use std::path::{Component, Path, PathBuf};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Map;

use super::copy::base_name;
use super::file_state::any_host_path;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::remote::{Download, FileContent, Found, FoundKind, Sums};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "fetch",
    aliases: &[],
    summary: "brings a file of the host to this machine",
    arguments: &[
        Argument::required("src", ArgumentKind::Path, "the file on the host"),
        Argument::required(
            "dest",
            ArgumentKind::Text,
            "the folder here, in which it goes to `HOST/path/of/the/file`; with `flat` the file itself, or a folder with `/` at its end",
        ),
        Argument::optional(
            "flat",
            ArgumentKind::Boolean,
            "no folders for host and path; false by default",
        ),
        Argument::optional(
            "fail_on_missing",
            ArgumentKind::Boolean,
            "it is a failure when the host has no such file; true by default",
        ),
        Argument::optional(
            "validate_checksum",
            ArgumentKind::Boolean,
            "check that what came is what was there; kk does that in any case",
        ),
    ],
    examples: r"- name: the log of every host, in logs/HOST/var/log/app.log
  fetch:
    src: /var/log/app.log
    dest: logs

- name: the key of the first one
  fetch:
    src: /etc/app/key.pub
    dest: keys/
    flat: true
  run_once: true
",
    returns: &[
        ("dest", "the file here"),
        ("file", "the file on the host"),
        ("checksum", "SHA-1 of the file"),
        ("remote_checksum", "the same"),
    ],
    free_form: None,
    build,
    check: None,
};

struct Fetch {
    src: String,
    dest: String,
    is_flat: bool,
    must_be_there: bool,
}

impl Module for Fetch {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if look.check_mode {
                return Ok(Plan::skipped("files are not fetched in check mode")
                    .with("msg", "check mode not (yet) supported for this module"));
            }
            let here = self.here(look)?;
            let request = FileContent {
                follow: true,
                digest: Some(None),
                ..FileContent::default()
            };
            let found = look.session.look_at(&self.src, &request).await?;
            if found.kind != FoundKind::File {
                return self.without_file(&found);
            }
            let Some(sha256) = found.sha256 else {
                return Err(ModuleError::failed(format!(
                    "fetch `{}`: the host did not say what it holds",
                    self.src
                )));
            };
            if let Some(sums) = sums_of(here.clone(), found.size).await
                && sums.sha256 == sha256
            {
                return Ok(Plan::satisfied()
                    .with("dest", here.display().to_string())
                    .with("checksum", sums.sha1)
                    .with("file", self.src.as_str()));
            }
            let step = Step::Download(Download {
                source: self.src.clone(),
                sha256,
                size: found.size,
                dest: here.clone(),
            });
            Ok(Plan::change("fetch", vec![step]).with("dest", here.display().to_string()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut result = Map::new();
        for output in outputs {
            if let StepOutput::Received(received) = output {
                result.insert("checksum".to_owned(), received.sha1.clone().into());
                result.insert("remote_checksum".to_owned(), received.sha1.clone().into());
            }
        }
        Ok(Conclusion {
            result,
            changed: None,
        })
    }
}

impl Fetch {
    /// What comes of it when there is no file.
    fn without_file(&self, found: &Found) -> Result<Plan, ModuleError> {
        let message = match found.kind {
            FoundKind::Absent => "the remote file does not exist".to_owned(),
            other => format!("the remote file is {}", other.describe()),
        };
        let said = match found.kind {
            FoundKind::Directory => {
                "remote file is a directory, fetch cannot work on directories".to_owned()
            }
            _ => format!("{message}, not transferring, ignored"),
        };
        if self.must_be_there {
            return Err(ModuleError::failed(format!("{message}: {}", found.path))
                .saying(said)
                .with_value("file", self.src.as_str()));
        }
        Ok(Plan::satisfied()
            .with("msg", said)
            .with("file", self.src.as_str()))
    }

    /// The file on this machine.
    fn here(&self, look: &Look<'_>) -> Result<PathBuf, ModuleError> {
        if !self.is_flat {
            let dest = self.dest.trim_end_matches('/');
            let source = self.src.trim_start_matches(['/', '~']);
            let path = look
                .files
                .own_path(&format!("{dest}/{}/{source}", look.host));
            let own = look.files.own_path(&format!("{dest}/"));
            // A name of the host decides nothing outside of the folder.
            if !plain(&path).starts_with(plain(&own)) {
                return Err(ModuleError::failed(format!(
                    "`{}` leads out of `{}`",
                    path.display(),
                    own.display()
                ))
                .saying(format!(
                    "Detected directory traversal, expected to be contained in '{}' but got '{}'",
                    own.display(),
                    path.display()
                )));
            }
            return Ok(path);
        }
        if self.dest.ends_with('/') {
            let path = format!("{}{}", self.dest, base_name(&self.src));
            return Ok(look.files.own_path(&path));
        }
        let path = look.files.own_path(&self.dest);
        if path.is_dir() {
            return Err(
                ModuleError::failed(format!("`{}` is a folder", path.display()))
                    .with_hint("with `/` at its end the file goes into it")
                    .saying(
                        "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
                    ),
            );
        }
        Ok(path)
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// What a file of this machine holds, when it is one of this size. The files of `/proc` have none, whatever they hold.
async fn sums_of(path: PathBuf, size: u64) -> Option<Sums> {
    let read = tokio::task::spawn_blocking(move || {
        let found = std::fs::metadata(&path).ok()?;
        if !found.is_file() || (found.len() != size && size > 0) {
            return None;
        }
        Sums::of_file(&path).ok()
    });
    read.await.ok().flatten()
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Fetch {
        src: any_host_path(&arguments, "src")?,
        dest: arguments.required_text("dest")?,
        is_flat: arguments.boolean("flat", false),
        must_be_there: arguments.boolean("fail_on_missing", true),
    }))
}
