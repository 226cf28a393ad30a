//! `copy`: puts a file, a folder or a text on the host.

use std::path::Path;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::arguments::Given;
use super::attributes::{
    Attributes, BACKUP, DEFAULT_FOLDER_MODE, DEFAULT_MODE, GROUP, MODE, OWNER, UNSAFE_WRITES,
    VALIDATE, values_of,
};
use super::copy_folder::Folder;
use super::copy_remote::RemoteCopy;
use super::encrypted::DECRYPT;
use super::file_state::{Care, Source, WantedFile, host_path};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, FileSource, Look, Module, ModuleError,
    ModuleSpec, Plan, StepOutput,
};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "copy",
    aliases: &[],
    summary: "puts a file or folder of this machine or of the host, or a text, somewhere on the host",
    arguments: &[
        Argument::optional(
            "src",
            ArgumentKind::Text,
            "the file or folder, searched for in `files/` of the role; a folder with a trailing `/` gives what is in it",
        ),
        Argument::optional(
            "content",
            ArgumentKind::Any,
            "the text itself, instead of `src`",
        ),
        DEST,
        Argument::optional(
            "remote_src",
            ArgumentKind::Boolean,
            "`src` is a path of the host; false by default",
        ),
        MODE,
        Argument::optional(
            "directory_mode",
            ArgumentKind::Mode,
            "permission bits of folders that a copied folder makes; 0755 by default",
        ),
        OWNER,
        GROUP,
        FORCE,
        BACKUP,
        VALIDATE,
        FOLLOW,
        Argument::optional(
            "local_follow",
            ArgumentKind::Boolean,
            "links in a copied folder are followed here; false copies them as links; true by default",
        ),
        Argument::optional(
            "checksum",
            ArgumentKind::Text,
            "the SHA-1 that the file must have",
        ),
        DECRYPT,
        UNSAFE_WRITES,
    ],
    examples: r#"- name: settings of the service
  copy:
    src: app.conf
    dest: /etc/app/app.conf
    owner: root
    mode: "0644"
    backup: true
    validate: /usr/sbin/app --check %s

- name: a greeting
  copy:
    content: "{{ greeting }}\n"
    dest: /etc/motd

- name: a whole folder
  copy:
    src: site/
    dest: /var/www/html/
    directory_mode: "0755"
"#,
    returns: FILE_RETURNS,
    free_form: None,
    build,
    check: Some(check),
};

pub(super) const FORCE: Argument = Argument::optional(
    "force",
    ArgumentKind::Boolean,
    "false: a file that is there stays as it is; true by default",
)
.or(&["thirsty"]);
pub(super) const FOLLOW: Argument = Argument::optional(
    "follow",
    ArgumentKind::Boolean,
    "a link at `dest` is followed; otherwise it is replaced; false by default",
);
pub(super) const DEST: Argument = Argument::required(
    "dest",
    ArgumentKind::Path,
    "the path on the host; a folder (or a trailing `/`) takes the name of `src`",
);

/// Return values of everything that writes a file.
pub(super) const FILE_RETURNS: &[(&str, &str)] = &[
    ("dest", "the file on the host"),
    ("src", "where it came from"),
    ("checksum", "SHA-1 of the file, where it is known"),
    (
        "backup_file",
        "the copy of what was there, when one was made",
    ),
    ("mode", "its permission bits, as in `0644`"),
    ("owner", "its owner's name"),
    ("group", "its group's name"),
    ("uid", "its owner's number"),
    ("gid", "its group's number"),
    ("size", "its size in bytes"),
    ("state", "`file`, `directory`, `link` or `absent`"),
];

struct Copy {
    src: Option<String>,
    content: Option<Bytes>,
    dest: String,
    attributes: Attributes,
    directory_mode: Option<Mode>,
    keep_existing: bool,
    follow: bool,
    local_follow: bool,
    checksum: Option<String>,
    care: Care,
    decrypt: bool,
}

impl Module for Copy {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut attributes = self.attributes.clone();
            let source = match (&self.content, &self.src) {
                (Some(bytes), _) => Source::Bytes(Content::public(bytes.clone())),
                (None, Some(src)) => match look.files.file(src)? {
                    FileSource::Bytes(bytes) => Source::Bytes(Content::public(bytes)),
                    FileSource::Path(path) if path.is_dir() => {
                        return self.folder(src, &path)?.plan(look).await;
                    }
                    FileSource::Path(path) => {
                        if attributes.mode == Some(Mode::Preserve) {
                            attributes.mode = mode_of(&path);
                        }
                        Source::from_path(path, self.decrypt).await?
                    }
                },
                (None, None) => return Err(ModuleError::failed("neither `src` nor `content`")),
            };
            if attributes.mode == Some(Mode::Preserve) {
                attributes.mode = Some(Mode::Bits(DEFAULT_MODE));
            }
            self.check_sum(&source)?;
            let name = self.src.as_deref().map(base_name);
            let wanted = WantedFile {
                into: name.map(str::to_owned),
                keep_existing: self.keep_existing,
                follow: self.follow,
                care: self.care.clone(),
                parents: self.dest.ends_with('/').then(|| {
                    let mode = self.directory_mode.as_ref();
                    mode.map_or(DEFAULT_FOLDER_MODE, |mode| {
                        mode.bits(DEFAULT_FOLDER_MODE, true)
                    })
                }),
                ..WantedFile::new(with_name(&self.dest, name)?, source, attributes)
            };
            let plan = wanted.plan(look).await?;
            Ok(match &self.src {
                Some(src) => plan.with("src", src.as_str()),
                None => plan,
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_write(outputs))
    }
}

impl Copy {
    fn folder(&self, src: &str, path: &Path) -> Result<Folder, ModuleError> {
        if self.checksum.is_some() {
            return Err(ModuleError::failed("`checksum` is for one file"));
        }
        Folder::read(
            src,
            path,
            &self.dest,
            self.attributes.clone(),
            self.directory_mode.clone(),
            self.local_follow,
        )
        .map(|mut folder| {
            folder.keep_existing = self.keep_existing;
            folder.care = self.care.clone();
            folder.decrypt = self.decrypt;
            folder
        })
    }

    fn check_sum(&self, source: &Source) -> Result<(), ModuleError> {
        let Some(wanted) = &self.checksum else {
            return Ok(());
        };
        let Some(found) = source.sha1() else {
            return Err(ModuleError::failed("the file's checksum is not known"));
        };
        if found.eq_ignore_ascii_case(wanted) {
            Ok(())
        } else {
            Err(ModuleError::failed(format!(
                "the file's checksum is {found}, not {wanted}"
            )))
        }
    }
}

/// The values of a file that was written, and where the copy of the old one lies.
pub(super) fn conclude_write(outputs: &[StepOutput]) -> Conclusion {
    let mut result = values_of(outputs);
    for output in outputs {
        if let StepOutput::Ran(output) = output {
            let text = output.stdout_text();
            let backup = text
                .lines()
                .find_map(|line| line.strip_prefix("backup_file="));
            if let Some(backup) = backup {
                result.insert("backup_file".to_owned(), backup.into());
            }
        }
    }
    Conclusion {
        result,
        changed: None,
    }
}

/// The permission bits of a file of this machine.
pub(super) fn mode_of(path: &Path) -> Option<Mode> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some(Mode::Bits(metadata.permissions().mode() & 0o7777))
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// `dest`, completed by the file's name when it ends with `/`.
pub(super) fn with_name(dest: &str, name: Option<&str>) -> Result<String, ModuleError> {
    if !dest.ends_with('/') {
        return Ok(dest.to_owned());
    }
    match name {
        Some(name) => Ok(format!("{dest}{name}")),
        None => Err(ModuleError::failed(format!("`{dest}` is a folder"))
            .with_hint("with `content`, `dest` must name the file")),
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let content = match arguments.value("content") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Bytes::from(text.clone())),
        Some(data @ (Value::Array(_) | Value::Object(_))) => {
            Some(Bytes::from(crate::template::json_text(data)))
        }
        Some(other) => Some(Bytes::from(crate::template::display(other))),
    };
    let src = arguments.filled("src");
    if content.is_some() == src.is_some() {
        return Err(ModuleError::failed("give either `src` or `content`"));
    }
    let care = Care::from_arguments(&arguments)?;
    let attributes = Attributes::from_arguments(&arguments);
    let dest = host_path(&arguments, "dest")?;
    let keep_existing = !arguments.boolean("force", true);
    let checksum = arguments.filled("checksum");
    if arguments.boolean("remote_src", false) && src.is_some() {
        return Ok(Box::new(RemoteCopy {
            src: host_path(&arguments, "src")?,
            dest,
            attributes,
            directory_mode: arguments.mode("directory_mode"),
            keep_existing,
            care,
            checksum,
        }));
    }
    Ok(Box::new(Copy {
        src,
        content,
        dest,
        attributes,
        directory_mode: arguments.mode("directory_mode"),
        keep_existing,
        follow: arguments.boolean("follow", false),
        local_follow: arguments.boolean("local_follow", true),
        checksum,
        care,
        decrypt: arguments.boolean("decrypt", true),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    match (given.has("src"), given.has("content")) {
        (true, true) => Err("`src` and `content` exclude each other".to_owned()),
        (false, false) => Err("give either `src` or `content`".to_owned()),
        _ => check_validate(given),
    }
}

/// `validate` without `%s` would check something else.
pub(super) fn check_validate(given: &Given<'_>) -> Result<(), String> {
    match given.literals.get("validate").and_then(Value::as_str) {
        Some(text) if !text.is_empty() && !text.contains("%s") => {
            Err(format!("validate must contain %s: {text}"))
        }
        _ => Ok(()),
    }
}
