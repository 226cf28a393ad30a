//! `package_file`: one file of an offline package, known by its sha256, on the host.

use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::attributes::{Attributes, GROUP, MODE, OWNER};
use super::file_state::{Source, WantedFile, host_path};
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "package_file",
    aliases: &[],
    summary: "puts a file that is known by its sha256 on the host; nothing is sent when it is there already",
    arguments: &[
        SOURCE,
        SHA256,
        SIZE,
        Argument::required("dest", ArgumentKind::Path, "the path on the host"),
        MODE,
        OWNER,
        GROUP,
    ],
    examples: r#"- name: compose lies where Docker looks for it
  package_file:
    src: docker-compose-linux-x86_64
    sha256: 4b1e8d5b2c0f4f8f4b5e6c3d0d8f6a1b9a7c5e3d1f0e2c4b6a8d9f7e5c3b1a00
    size: 61000000
    dest: /usr/local/lib/docker/cli-plugins/docker-compose
    mode: "0755"
"#,
    returns: &[
        ("dest", "the path on the host"),
        ("size", "its size in bytes"),
        ("mode", "its permission bits"),
    ],
    free_form: None,
    build,
    check: None,
};

pub(super) const SOURCE: Argument =
    Argument::required("src", ArgumentKind::Path, "the file on this machine").or(&["package"]);
pub(super) const SHA256: Argument = Argument::required(
    "sha256",
    ArgumentKind::Text,
    "its sha256, 64 hexadecimal digits",
);
pub(super) const SIZE: Argument =
    Argument::required("size", ArgumentKind::Integer, "its size in bytes");

/// A file of this machine that was hashed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Package {
    /// From the arguments that the modules for packages share.
    pub(super) fn from_arguments(arguments: &Arguments) -> Result<Self, ModuleError> {
        let sha256 = arguments.required_text("sha256")?.to_lowercase();
        if !is_sha256(&sha256) {
            return Err(ModuleError::failed(format!("`{sha256}` is no sha256"))
                .with_hint("it has 64 hexadecimal digits"));
        }
        let size = arguments
            .integer("size")
            .and_then(|size| u64::try_from(size).ok())
            .ok_or_else(|| ModuleError::failed("`size` is no number of bytes"))?;
        Ok(Self {
            path: arguments.required_text("src")?.into(),
            sha256,
            size,
        })
    }
}

/// Whether a text is a sha256 in lower case.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

struct PackageFile {
    package: Package,
    dest: String,
    attributes: Attributes,
}

impl Module for PackageFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let wanted = WantedFile::new(
                self.dest.clone(),
                Source::File {
                    path: self.package.path.clone(),
                    sha256: self.package.sha256.clone(),
                    sha1: None,
                    size: self.package.size,
                },
                self.attributes.clone(),
            );
            wanted.plan(look).await
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(PackageFile {
        package: Package::from_arguments(&arguments)?,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
    }))
}
