//! `template`: a copied file whose text is rendered for each host.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::copy::{DEST, GROUP, MODE, OWNER, base_name, with_name};
use super::file_state::{Attributes, Source, WantedFile, host_path};
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan,
};

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
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "false: a file that is there stays as it is; true by default",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

struct Template {
    src: String,
    dest: String,
    attributes: Attributes,
    keep_existing: bool,
}

impl Module for Template {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let text = look.files.template(&self.src)?;
            let full = base_name(&self.src);
            let name = full.strip_suffix(".j2").unwrap_or(full);
            let wanted = WantedFile {
                path: with_name(&self.dest, Some(name))?,
                into: Some(name.to_owned()),
                source: Source::Bytes(Content::public(Bytes::from(text))),
                attributes: self.attributes.clone(),
                keep_existing: self.keep_existing,
            };
            Ok(wanted.plan(look).await?.with("src", self.src.as_str()))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Template {
        src: arguments.required_text("src")?,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
        keep_existing: !arguments.boolean("force", true),
    }))
}
