//! `copy`: puts a file or a text on the host.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::arguments::Given;
use super::file_state::{Attributes, Source, WantedFile, host_path};
use super::{
    Argument, ArgumentKind, Arguments, Content, FileSource, Look, Module, ModuleError, ModuleSpec,
    Plan,
};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "copy",
    aliases: &[],
    summary: "puts a file of this machine, or a text, on the host",
    arguments: &[
        Argument::optional(
            "src",
            ArgumentKind::Text,
            "the file, searched for in `files/` of the role",
        ),
        Argument::optional(
            "content",
            ArgumentKind::Any,
            "the text itself, instead of `src`",
        ),
        DEST,
        MODE,
        OWNER,
        GROUP,
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "false: a file that is there stays as it is; true by default",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

pub(super) const DEST: Argument = Argument::required(
    "dest",
    ArgumentKind::Path,
    "the path on the host; a folder (or a trailing `/`) takes the name of `src`",
)
.or(&["path"]);
pub(super) const MODE: Argument = Argument::optional(
    "mode",
    ArgumentKind::Mode,
    "permission bits; those it has, else 0644 for a new file",
);
pub(super) const OWNER: Argument = Argument::optional(
    "owner",
    ArgumentKind::Text,
    "owner, by name or number; unchanged by default",
);
pub(super) const GROUP: Argument = Argument::optional(
    "group",
    ArgumentKind::Text,
    "group, by name or number; unchanged by default",
);

struct Copy {
    src: Option<String>,
    content: Option<Bytes>,
    dest: String,
    attributes: Attributes,
    keep_existing: bool,
}

impl Module for Copy {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let source = match (&self.content, &self.src) {
                (Some(bytes), _) => Source::Bytes(Content::public(bytes.clone())),
                (None, Some(src)) => match look.files.file(src)? {
                    FileSource::Bytes(bytes) => Source::Bytes(Content::public(bytes)),
                    FileSource::Path(path) if path.is_dir() => {
                        return Err(ModuleError::failed(format!("`{src}` is a folder"))
                            .with_hint("copy takes single files; loop over them"));
                    }
                    FileSource::Path(path) => Source::from_path(path).await?,
                },
                (None, None) => return Err(ModuleError::failed("neither `src` nor `content`")),
            };
            let name = self.src.as_deref().map(base_name);
            let wanted = WantedFile {
                path: with_name(&self.dest, name)?,
                into: name.map(str::to_owned),
                source,
                attributes: self.attributes.clone(),
                keep_existing: self.keep_existing,
            };
            let plan = wanted.plan(look).await?;
            Ok(match &self.src {
                Some(src) => plan.with("src", src.as_str()),
                None => plan,
            })
        }
        .boxed()
    }
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
        Some(other) => Some(Bytes::from(other.to_string())),
    };
    let src = arguments.text("src");
    if content.is_some() == src.is_some() {
        return Err(ModuleError::failed("give either `src` or `content`"));
    }
    Ok(Box::new(Copy {
        src,
        content,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
        keep_existing: !arguments.boolean("force", true),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    match (given.has("src"), given.has("content")) {
        (true, true) => Err("`src` and `content` exclude each other".to_owned()),
        (false, false) => Err("give either `src` or `content`".to_owned()),
        _ => Ok(()),
    }
}
