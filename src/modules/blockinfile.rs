//! `blockinfile`: several lines of a file between two marker lines.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::edited_file::EditedFile;
use super::file_state::{Attributes, host_path};
use super::line_edit::{Place, with_block};
use super::lineinfile::{CREATE, INSERT_AFTER, INSERT_BEFORE, PATH, STATE};
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "blockinfile",
    aliases: &[],
    summary: "keeps lines between two marker lines in a file, or out of it",
    arguments: &[
        PATH,
        Argument::optional(
            "block",
            ArgumentKind::Text,
            "the lines; without them the block is taken out",
        )
        .or(&["content"]),
        Argument::optional(
            "marker",
            ArgumentKind::Text,
            "the marker lines, `{mark}` stands for BEGIN and END; `# {mark} ANSIBLE MANAGED BLOCK` by default",
        ),
        STATE,
        INSERT_AFTER,
        INSERT_BEFORE,
        CREATE,
        super::copy::MODE,
        super::copy::OWNER,
        super::copy::GROUP,
    ],
    free_form: None,
    build,
    check: None,
};

struct BlockInFile {
    file: EditedFile,
    block: String,
    marker: String,
    begin: String,
    end: String,
    place: Place,
}

impl Module for BlockInFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut had_block = false;
            let edit = |old: &str| {
                had_block = old.lines().any(|line| line == self.begin);
                with_block(old, &self.block, &self.begin, &self.end, &self.place)
            };
            let (mut plan, is_there) = self.file.plan(look, edit).await?;
            // A file that was there before keeps everything but the block; a new one goes as a whole.
            if is_there && !had_block && !self.block.is_empty() && !plan.steps.is_empty() {
                plan.creates.push(LedgerEntry::Block {
                    path: self.file.path.clone(),
                    marker: self.marker.clone(),
                });
            }
            Ok(plan)
        }
        .boxed()
    }
}

/// The two marker lines of a marker's text.
pub(super) fn marker_lines(marker: &str) -> (String, String) {
    (
        marker.replace("{mark}", "BEGIN"),
        marker.replace("{mark}", "END"),
    )
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = |name: &str| arguments.text(name);
    let marker = text("marker").unwrap_or_else(|| "# {mark} ANSIBLE MANAGED BLOCK".to_owned());
    if !marker.contains("{mark}") || marker.contains('\n') {
        return Err(
            ModuleError::failed("`marker` must be one line with `{mark}` in it")
                .with_hint("for instance `# {mark} kk registry`"),
        );
    }
    let (begin, end) = marker_lines(&marker);
    let block = match text("state").as_deref() {
        Some("absent") => String::new(),
        _ => text("block").unwrap_or_default(),
    };
    if block.lines().any(|line| line == begin || line == end) {
        return Err(ModuleError::failed(
            "`block` holds one of its own marker lines",
        ));
    }
    Ok(Box::new(BlockInFile {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: arguments.boolean("create", false),
        },
        block,
        marker,
        begin,
        end,
        place: Place::new(
            text("insertafter").as_deref(),
            text("insertbefore").as_deref(),
        )
        .map_err(ModuleError::failed)?,
    }))
}
