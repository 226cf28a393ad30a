//! `template`: a copied file whose text is rendered for each host.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::attributes::{
    Attributes, BACKUP, DEFAULT_FOLDER_MODE, GROUP, MODE, OWNER, UNSAFE_WRITES, VALIDATE,
};
use super::copy::{DEST, FILE_RETURNS, FOLLOW, FORCE, base_name, conclude_write, with_name};
use super::file_state::{Care, Source, WantedFile, host_path};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, Look, Module, ModuleError, ModuleSpec,
    Plan, StepOutput,
};
use crate::template::Syntax;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "template",
    aliases: &[],
    summary: "renders a template of this machine onto the host",
    arguments: &[
        Argument::required(
            "src",
            ArgumentKind::Text,
            "the template, searched for in `templates/` of the role",
        ),
        DEST,
        MODE,
        OWNER,
        GROUP,
        FORCE,
        BACKUP,
        VALIDATE,
        FOLLOW,
        Argument::optional(
            "newline_sequence",
            ArgumentKind::Choice(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"]),
            "what ends a line; `\\n` by default",
        ),
        Argument::optional(
            "trim_blocks",
            ArgumentKind::Boolean,
            "the line break after a tag goes; true by default",
        ),
        Argument::optional(
            "lstrip_blocks",
            ArgumentKind::Boolean,
            "the white space before a tag that begins a line goes; false by default",
        ),
        Argument::optional(
            "variable_start_string",
            ArgumentKind::Text,
            "what begins an expression; `{{` by default",
        ),
        Argument::optional(
            "variable_end_string",
            ArgumentKind::Text,
            "what ends an expression; `}}` by default",
        ),
        Argument::optional(
            "block_start_string",
            ArgumentKind::Text,
            "what begins a tag; `{%` by default",
        ),
        Argument::optional(
            "block_end_string",
            ArgumentKind::Text,
            "what ends a tag; `%}` by default",
        ),
        Argument::optional(
            "comment_start_string",
            ArgumentKind::Text,
            "what begins a comment; `{#` by default",
        ),
        Argument::optional(
            "comment_end_string",
            ArgumentKind::Text,
            "what ends a comment; `#}` by default",
        ),
        Argument::optional(
            "output_encoding",
            ArgumentKind::Choice(&["utf-8", "UTF-8", "utf8"]),
            "the encoding of the file; only UTF-8, the default",
        ),
        UNSAFE_WRITES,
    ],
    examples: r#"- name: settings with the host's own address
  template:
    src: app.conf.j2
    dest: /etc/app.conf
    owner: root
    group: app
    mode: "0640"
    validate: /usr/sbin/app --check %s
  notify: app restarts
"#,
    returns: FILE_RETURNS,
    free_form: None,
    build,
    check: Some(super::copy::check_validate),
};

struct Template {
    src: String,
    dest: String,
    attributes: Attributes,
    keep_existing: bool,
    follow: bool,
    syntax: Syntax,
    care: Care,
}

impl Module for Template {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let text = look.files.template(&self.src, &self.syntax, &self.dest)?;
            let mut attributes = self.attributes.clone();
            if attributes.mode == Some(Mode::Preserve) {
                attributes.mode = look.files.template_mode(&self.src).map(Mode::Bits);
            }
            // As in Ansible, only `dest` as a folder takes the source's name, and it keeps its ending.
            let name = base_name(&self.src);
            let wanted = WantedFile {
                into: Some(name.to_owned()),
                keep_existing: self.keep_existing,
                follow: self.follow,
                care: self.care.clone(),
                parents: self.dest.ends_with('/').then_some(DEFAULT_FOLDER_MODE),
                ..WantedFile::new(
                    with_name(&self.dest, Some(name))?,
                    Source::Bytes(if look.files.template_is_encrypted(&self.src) {
                        Content::secret(Bytes::from(text))
                    } else {
                        Content::public(Bytes::from(text))
                    }),
                    attributes,
                )
            };
            Ok(wanted.plan(look).await?.with("src", self.src.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_write(outputs))
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Template {
        src: arguments.required_text("src")?,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
        keep_existing: !arguments.boolean("force", true),
        follow: arguments.boolean("follow", false),
        syntax: Syntax::from_arguments(|name| arguments.value(name).cloned()),
        care: Care::from_arguments(&arguments)?,
    }))
}
