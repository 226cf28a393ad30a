//! `kk run PLAYBOOK…` and `kk validate PLAYBOOK…`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::{
    DataFormat, GlobalFlags, PlaybookFlags, RunArguments, TargetFlags, ValidateArguments,
};
use super::execution::{carry_out, options, pending};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::local::print_json;
use super::prepare::Prepared;
use super::{extra, outline, resume};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::engine::event::Note;
use crate::engine::{self, Ask, EventKind, NoticeLevel, Refresh, RunOptions, Step, StepAnswer};
use crate::exit::Exit;
use crate::inventory::{Inventory, LocalMachine};
use crate::playbook::{Library, Playbook, Reads, load_all};
use crate::report::{FindingsView, Surroundings, journal};
use crate::secret::fingerprint::Fingerprints;
use crate::template::Layer;

/// Playbooks that were read, and what they are read with.
struct Read {
    prepared: Prepared,
    library: Library,
    playbook: Playbook,
    extra: Layer,
    reads: Arc<Reads>,
}

/// Reads everything; says everything that is wrong at once.
fn read(
    playbooks: &[PathBuf],
    flags: &PlaybookFlags,
    target: &TargetFlags,
    prints: impl FnOnce(&Path) -> anyhow::Result<Fingerprints>,
) -> anyhow::Result<Read> {
    let mut found = Diagnostics::new();
    let prepared = match Prepared::load(target) {
        Ok(prepared) => Some(prepared),
        Err(diagnostics) => {
            found.extend(diagnostics);
            None
        }
    };
    let extra = extra::variables(&flags.extra_vars).unwrap_or_else(|diagnostic| {
        found.push(diagnostic);
        serde_json::Map::new()
    });
    let extra = Layer::templated(extra);
    let folder = folder_of(playbooks.first().map_or(Path::new("."), PathBuf::as_path));
    let prints = match &prepared {
        Some(prepared) => prints(&prepared.work_dir)?,
        None => Fingerprints::new(Vec::new()),
    };
    let reads = Arc::new(Reads::new(prints));
    let library = Library::folder(folder)
        .with_reads(Arc::clone(&reads))
        .with_roles_path(&flags.roles_path)
        .with_variables(extra.clone());
    let mut whole = Playbook {
        name: String::new(),
        plays: Vec::new(),
        warnings: Diagnostics::new(),
    };
    for (index, path) in playbooks.iter().enumerate() {
        // The first one is the library's own; others are named whole.
        let name = if index == 0 {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
        } else {
            std::path::absolute(path)?.display().to_string()
        };
        let (playbook, wrong) = load_all(&library, &name);
        whole.plays.extend(playbook.plays);
        found.extend(wrong);
        if index == 0 {
            whole.name = name;
        }
    }
    let Some(mut prepared) = prepared else {
        return Err(found.into());
    };
    found.extend(prepared.inventory.add_playbook_variables(folder));
    for (_, variables) in prepared.inventory.host_vars_of_all() {
        prepared
            .redactor
            .learn_named(&serde_json::Value::Object(variables));
    }
    if let Err(diagnostics) = engine::validate(&whole, &prepared.inventory) {
        found.extend(diagnostics);
    }
    if found.has_errors() {
        return Err(found.into());
    }
    prepared.warnings.extend(found);
    prepared
        .redactor
        .learn_named(&serde_json::Value::Object(extra.variables().clone()));
    Ok(Read {
        prepared,
        library,
        playbook: whole,
        extra,
        reads,
    })
}

fn folder_of(playbook: &Path) -> &Path {
    playbook
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Says everything that is wrong, and touches no host.
pub fn validate(arguments: &ValidateArguments) -> anyhow::Result<Exit> {
    // Nothing is compared here, and nothing is written.
    let read = read(
        &arguments.files,
        &arguments.playbook,
        &arguments.target,
        |_| Ok(Fingerprints::new(Vec::new())),
    );
    let found = match read {
        Ok(read) => read.prepared.warnings,
        Err(error) if arguments.output == DataFormat::Json => error.downcast::<Diagnostics>()?,
        Err(error) => return Err(error),
    };
    if arguments.output == DataFormat::Json {
        print_json(&json!({"found": described(&found)}))?;
        let is_wrong = found.has_errors();
        return Ok(if is_wrong { Exit::Error } else { Exit::Ok });
    }
    let mut stderr = anstream::stderr();
    for warning in &found.0 {
        let text = crate::diagnostic::render(warning, crate::diagnostic::Colour::Never);
        std::io::Write::write_all(&mut stderr, format!("{text}\n").as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// What was found, for programs.
fn described(found: &Diagnostics) -> Vec<Value> {
    let described = found.0.iter().map(|diagnostic| {
        let place = diagnostic.place.as_ref();
        let (line, column) = place
            .map(|place| place.source.line_column(place.span.start))
            .unzip();
        json!({
            "severity": if diagnostic.severity == Severity::Error { "error" } else { "warning" },
            "message": diagnostic.message,
            "file": place.map(|place| place.source.name.clone()),
            "line": line,
            "column": column,
            "hint": diagnostic.hint,
        })
    });
    described.collect()
}

/// Runs a user's playbooks.
pub async fn playbook(mut arguments: RunArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let earlier = match &arguments.resume {
        Some(word) => {
            // Settings may name another working folder.
            let prepared = Prepared::load(&arguments.target)?;
            let chosen = resume::choose(&prepared.work_dir, word, &mut arguments.files)?;
            Some(chosen)
        }
        None => None,
    };
    let Read {
        prepared,
        library,
        playbook,
        extra,
        reads,
    } = read(
        &arguments.files,
        &arguments.playbook,
        &arguments.target,
        |work_dir| Ok(journal::fingerprints(work_dir)?),
    )?;
    let part = &arguments.part;
    let target = &arguments.target;
    let settings = Layer::raw(prepared.settings.tree.clone());
    // Settings that nobody gave are there for playbooks that ask, and stronger than nothing.
    let is_given = target.config.is_some()
        || !target.set.is_empty()
        || !target.set_string.is_empty()
        || !target.set_file.is_empty();
    let (weakest, mut strongest) = if is_given {
        (Vec::new(), vec![settings])
    } else {
        (vec![settings], Vec::new())
    };
    strongest.push(extra.clone());
    let can_ask = Surroundings::read().can_ask;
    let mut run_options = RunOptions {
        variables: strongest,
        weakest,
        limit_pattern: prepared.limit.clone(),
        verbosity: global.verbose,
        force_handlers: part.force_handlers,
        elevate: arguments.privilege.elevate,
        become_user: arguments.privilege.become_user.clone(),
        become_method: arguments.privilege.become_method,
        start_at: part.start_at_task.clone(),
        patient: true,
        refresh: Some(refresh(
            target,
            folder_of(
                arguments
                    .files
                    .first()
                    .map_or(Path::new("."), PathBuf::as_path),
            ),
        )),
        ..options(&prepared, &arguments.connection, &arguments.execution)
    };
    if part.list_hosts || part.list_tasks || part.list_tags {
        let outlined = engine::outline(&playbook, &prepared.inventory, &run_options);
        let text = outline::text(&outlined, part);
        std::io::Write::write_all(&mut anstream::stdout(), text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "the playbook")?;
    }
    if part.step && !can_ask {
        return Err(
            Diagnostic::error("`--step` asks before each task, and this is no terminal")
                .hint("leave `--step` out, or choose tasks with `--tags`")
                .into(),
        );
    }
    let mut source = resume::source(&arguments.files, &prepared, &extra, &reads);
    if let Some(earlier) = &earlier {
        let opened = resume::open(&prepared.work_dir, earlier, &mut source, &reads)?;
        run_options.resume = Some(opened);
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let names: Vec<String> = arguments
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let command = format!("run {}", names.join(" "));
    let live_options = LiveOptions {
        command: &command,
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
        timings: arguments.timings.as_deref(),
    };
    journal::keep(reads.fingerprints(), &prepared.work_dir)?;
    let live = Live::start(&prepared, &live_options)?;
    live.events.send(EventKind::Journal(Note::Source(source)));
    if can_ask {
        let terminal = live.asker();
        let person = terminal.clone();
        run_options.ask = Some(Ask(Arc::new(move |prompt, echo| {
            person.ask(&format!("{prompt}: "), echo)
        })));
        if part.step {
            run_options.step = Some(Step(Arc::new(move |task| {
                let prompt = format!("Run the task `{task}`? [y]es, [n]o, [c]ontinue: ");
                match terminal.ask(&prompt, true).as_deref() {
                    Some("y" | "yes") => StepAnswer::Yes,
                    Some("c" | "continue") => StepAnswer::Continue,
                    _ => StepAnswer::No,
                }
            })));
        }
    }
    if let Some(resume) = &run_options.resume {
        let (results, hosts) = resume.size();
        let words = format!("{results} results of {hosts} hosts can be taken over");
        live.events.notice(NoticeLevel::Info, words);
    }
    let report = carry_out(
        &live,
        &prepared,
        &library,
        &playbook,
        &arguments.connection,
        &asked,
        &run_options,
    )
    .await;
    let exit = pending(&arguments.execution, &report);
    Ok(live.finish(&report, exit).await)
}

/// Reads the inventory again, as it was read at the start.
fn refresh(target: &TargetFlags, folder: &Path) -> Refresh {
    let (paths, folder) = (target.inventory.clone(), folder.to_owned());
    Refresh(Arc::new(move || {
        let loaded = Inventory::load(&paths, &LocalMachine::gather())?;
        let mut inventory = loaded.inventory;
        let found = inventory.add_playbook_variables(&folder);
        found.check(inventory)
    }))
}
