//! `blockinfile`: several lines of a file between two marker lines.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::arguments::Given;
use super::attributes::{Attributes, BACKUP, GROUP, MODE, OWNER, UNSAFE_WRITES, VALIDATE};
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::line_edit::{Place, WantedBlock};
use super::lineinfile::{
    CREATE, INSERT_AFTER, INSERT_BEFORE, PATH, STATE, check_expressions, check_places,
    conclude_edit,
};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, LedgerEntry, Look, Module, ModuleError,
    ModuleSpec, Plan, StepOutput,
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
        Argument::optional(
            "marker_begin",
            ArgumentKind::Text,
            "what `{mark}` is in the first line; `BEGIN` by default",
        ),
        Argument::optional(
            "marker_end",
            ArgumentKind::Text,
            "what `{mark}` is in the last line; `END` by default",
        ),
        STATE,
        INSERT_AFTER,
        INSERT_BEFORE,
        Argument::optional(
            "append_newline",
            ArgumentKind::Boolean,
            "an empty line follows the block; false by default",
        ),
        Argument::optional(
            "prepend_newline",
            ArgumentKind::Boolean,
            "an empty line goes before the block; false by default",
        ),
        CREATE,
        BACKUP,
        VALIDATE,
        MODE,
        OWNER,
        GROUP,
        UNSAFE_WRITES,
    ],
    examples: r##"- name: names of the cluster
  blockinfile:
    path: /etc/hosts
    marker: "# {mark} cluster"
    block: |
      10.0.0.11 node1
      10.0.0.12 node2
"##,
    returns: &[
        (
            "msg",
            "`Block inserted`, `Block removed`, `File created`, or nothing",
        ),
        (
            "backup_file",
            "the copy of what was there, when one was made",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

struct BlockInFile {
    file: EditedFile,
    wanted: WantedBlock,
    marker: String,
    /// `{mark}` stands for what the ledger takes it for.
    has_plain_marks: bool,
}

impl Module for BlockInFile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut had_block = false;
            let edit = |old: &str| {
                had_block = self.wanted.is_in(old);
                self.wanted.put_into(old)
            };
            let (mut plan, is_there) = self.file.plan(look, edit).await?;
            let is_gone = self.wanted.block.is_empty();
            // A file that was there before keeps everything but the block; a new one goes as a whole.
            if is_there && !had_block && !is_gone && self.has_plain_marks && !plan.steps.is_empty()
            {
                plan.creates.push(LedgerEntry::Block {
                    path: self.file.path.clone(),
                    marker: self.marker.clone(),
                });
            }
            let said = match (plan.is_satisfied(), is_there) {
                (true, _) => "",
                (false, false) => "File created",
                (false, true) if is_gone => "Block removed",
                (false, true) => "Block inserted",
            };
            Ok(plan.with("msg", said))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(conclude_edit(outputs))
    }
}

/// The two marker lines of a marker's text.
pub(super) fn marker_lines(marker: &str, begin: &str, end: &str) -> (String, String) {
    (
        marker.replace("{mark}", begin),
        marker.replace("{mark}", end),
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
    let begin = text("marker_begin").unwrap_or_else(|| "BEGIN".to_owned());
    let end = text("marker_end").unwrap_or_else(|| "END".to_owned());
    let has_plain_marks = begin == "BEGIN" && end == "END";
    let (begin, end) = marker_lines(&marker, &begin, &end);
    let block = match text("state").as_deref() {
        Some("absent") => String::new(),
        _ => text("block").unwrap_or_default(),
    };
    if block.lines().any(|line| line == begin || line == end) {
        return Err(ModuleError::failed(
            "`block` holds one of its own marker lines",
        ));
    }
    let place = Place::new(
        text("insertafter").as_deref(),
        text("insertbefore").as_deref(),
    );
    Ok(Box::new(BlockInFile {
        file: EditedFile {
            path: host_path(&arguments, "path")?,
            attributes: Attributes::from_arguments(&arguments),
            create: arguments.boolean("create", false),
            care: Care::from_arguments(&arguments)?,
            word: "Path",
        },
        wanted: WantedBlock {
            block,
            begin,
            end,
            place: place.map_err(ModuleError::failed)?,
            blank_before: arguments.boolean("prepend_newline", false),
            blank_after: arguments.boolean("append_newline", false),
        },
        marker,
        has_plain_marks,
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    check_places(given)?;
    check_expressions(given, &["insertafter", "insertbefore"])?;
    super::copy::check_validate(given)
}
