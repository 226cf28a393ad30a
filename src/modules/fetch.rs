//! `fetch`: a file of the host, brought to this machine.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::copy::base_name;
use super::file_state::host_path;
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan, Step,
};
use crate::remote::{FileContent, FoundKind, hexadecimal};

/// The biggest file that is brought here.
const LIMIT: u64 = 60 * 1024 * 1024;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "fetch",
    aliases: &[],
    summary: "brings a file of the host, at most 60 MiB, to this machine",
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
            let here = self.here(look);
            let old = std::fs::read(&here).ok();
            let request = FileContent {
                follow: true,
                digest: Some(None),
                limit: LIMIT,
                unless_sha256: old
                    .as_ref()
                    .map(|bytes| hexadecimal(&Sha256::digest(bytes))),
                ..FileContent::default()
            };
            let found = look.session.look_at(&self.src, &request).await?;
            if found.kind != FoundKind::File {
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
                return Ok(Plan::satisfied()
                    .with("msg", said)
                    .with("file", self.src.as_str()));
            }
            let (bytes, plan) = match (found.content, old) {
                (Some(bytes), _) => {
                    let step = Step::Save {
                        path: here.clone(),
                        content: Content::public(bytes.clone()),
                    };
                    (bytes, Plan::change("fetch", vec![step]))
                }
                (None, Some(old)) if found.sha256 == Some(hexadecimal(&Sha256::digest(&old))) => {
                    (Bytes::from(old), Plan::satisfied())
                }
                _ => {
                    return Err(ModuleError::failed(format!(
                        "fetch `{}`: it has more than {LIMIT} bytes",
                        found.path
                    )));
                }
            };
            if found.sha256 != Some(hexadecimal(&Sha256::digest(&bytes))) {
                return Err(ModuleError::failed(format!(
                    "fetch `{}`: it changed while it was read",
                    found.path
                )));
            }
            let checksum = hexadecimal(&Sha1::digest(&bytes));
            let plan = plan
                .with("dest", here.display().to_string())
                .with("checksum", checksum.as_str());
            Ok(if plan.is_satisfied() {
                plan.with("file", self.src.as_str())
            } else {
                plan.with("remote_checksum", checksum)
            })
        }
        .boxed()
    }
}

impl Fetch {
    /// The file on this machine.
    fn here(&self, look: &Look<'_>) -> std::path::PathBuf {
        let dest = if !self.is_flat {
            let dest = self.dest.trim_end_matches('/');
            format!(
                "{dest}/{}/{}",
                look.host,
                self.src.trim_start_matches(['/', '~'])
            )
        } else if self.dest.ends_with('/') {
            format!("{}{}", self.dest, base_name(&self.src))
        } else {
            self.dest.clone()
        };
        look.files.own_path(&dest)
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Fetch {
        src: host_path(&arguments, "src")?,
        dest: arguments.required_text("dest")?,
        is_flat: arguments.boolean("flat", false),
        must_be_there: arguments.boolean("fail_on_missing", true),
    }))
}
