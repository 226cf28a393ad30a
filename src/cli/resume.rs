//! `kk run --resume`: which run it goes on from, and whether that is still the same playbook on the same hosts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::history::{known, read};
use super::prepare::Prepared;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::event::Note;
use crate::engine::{EventKind, Resume, Source};
use crate::playbook::Reads;
use crate::report::history::{self, Summary};
use crate::template::Layer;

const RUN_AGAIN: &str = "run without `--resume`: tasks that are done already change nothing";

/// What a run is made of: what was read so far, and what was given.
pub fn source(playbooks: &[PathBuf], prepared: &Prepared, extra: &Layer, reads: &Reads) -> Source {
    let prints = reads.fingerprints();
    let hosts: serde_json::Map<String, Value> = prepared
        .inventory
        .host_vars_of_all()
        .into_iter()
        .map(|(name, variables)| (name.to_owned(), Value::Object(variables)))
        .collect();
    let groups: Vec<_> = prepared
        .inventory
        .groups
        .keys()
        .map(|name| (name, prepared.inventory.hosts_of(name)))
        .collect();
    let inventory = json!({"hosts": hosts, "groups": groups});
    let variables = json!({"settings": prepared.settings.tree, "extra": extra.variables()});
    Source {
        playbooks: absolute(playbooks),
        files: reads.take().into_iter().collect(),
        inventory: prints.of(inventory.to_string().as_bytes()),
        variables: prints.of(variables.to_string().as_bytes()),
        resumes: None,
    }
}

fn absolute(playbooks: &[PathBuf]) -> Vec<String> {
    playbooks
        .iter()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
        .map(|path| path.display().to_string())
        .collect()
}

/// Which run `--resume` means, and its playbooks where none is named. The word after `--resume` may be a playbook.
pub fn choose(
    workdir: &Path,
    word: &str,
    playbooks: &mut Vec<PathBuf>,
) -> Result<Summary, Diagnostic> {
    let runs = history::list(workdir);
    let mut wanted = Some(word).filter(|word| !word.is_empty());
    if let Some(path) = wanted.filter(|word| Path::new(word).is_file())
        && !runs.iter().any(|run| run.run == path)
    {
        playbooks.insert(0, path.into());
        wanted = None;
    }
    let names = absolute(playbooks);
    let summary = match wanted {
        Some(name) => known(&runs, name)?,
        None => last_of(&runs, &names, workdir)?,
    };
    let run = &summary.run;
    if summary.playbooks.is_empty() {
        let message = format!(
            "run {run} was `kk {}`, no run of a playbook",
            summary.command
        );
        return Err(Diagnostic::error(message).hint("`kk history` lists the runs"));
    }
    if summary.check_mode {
        return Err(Diagnostic::error(format!(
            "run {run} changed nothing (`--check`): nothing can go on from it"
        )));
    }
    if names.is_empty() {
        playbooks.extend(summary.playbooks.iter().map(PathBuf::from));
    } else if names != summary.playbooks {
        return Err(Diagnostic::error(format!(
            "run {run} ran `{}`, not `{}`",
            summary.playbooks.join("`, `"),
            names.join("`, `")
        )));
    }
    Ok(summary.clone())
}

/// The last run of these playbooks, or of any where none is named, unless it came to its end.
fn last_of<'r>(
    runs: &'r [Summary],
    playbooks: &[String],
    workdir: &Path,
) -> Result<&'r Summary, Diagnostic> {
    let is_it = |run: &&Summary| {
        !run.check_mode
            && !run.playbooks.is_empty()
            && (playbooks.is_empty() || run.playbooks == playbooks)
    };
    let Some(last) = runs.iter().find(is_it) else {
        let what = match playbooks {
            [] => "a playbook".to_owned(),
            names => format!("`{}`", names.join("`, `")),
        };
        let message = format!("no run of {what} is known in `{}`", workdir.display());
        return Err(Diagnostic::error(message).hint(
            "`kk history` lists the runs; another working folder is named with `--workdir`",
        ));
    };
    if last.is_complete() {
        let message = format!("run {} ended well: nothing is left to do", last.run);
        return Err(Diagnostic::error(message)
            .hint("`--resume RUN` goes on from an older one; `kk history` lists the runs"));
    }
    Ok(last)
}

/// What hosts were done with in a run. Refuses when the run was made of something else, and notes in `now` that it is
/// gone on from.
pub fn open(
    workdir: &Path,
    summary: &Summary,
    now: &mut Source,
    reads: &Reads,
) -> Result<Arc<Resume>, Diagnostics> {
    let run = &summary.run;
    let mut found = Diagnostics::new();
    let past = match read(workdir, run) {
        Ok(past) => past,
        Err(diagnostic) => {
            found.push(diagnostic);
            return Err(found);
        }
    };
    if past.is_running {
        found.push(
            Diagnostic::error(format!("run {run} still goes on")).hint("wait for it, or end it"),
        );
        return Err(found);
    }
    let mut source: Option<&Source> = None;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for event in &past.events {
        match &event.kind {
            EventKind::Journal(Note::Source(noted)) => {
                files.extend(noted.files.clone());
                source = Some(noted);
            }
            EventKind::Journal(Note::Files { files: more }) => files.extend(more.clone()),
            _ => {}
        }
    }
    let Some(source) = source else {
        found.push(
            Diagnostic::error(format!("the journal of run {run} is cut off")).hint(RUN_AGAIN),
        );
        return Err(found);
    };
    let mut changed: Vec<&str> = reads.changed(&files);
    let is_new = |path: &&String| !files.contains_key(*path);
    changed.extend(now.files.keys().filter(is_new).map(String::as_str));
    for path in changed {
        let message = format!("`{path}` is not what it was in run {run}");
        found.push(Diagnostic::error(message).hint(RUN_AGAIN));
    }
    if source.inventory != now.inventory {
        let message = format!("the inventory or a variable in it is not what it was in run {run}");
        found.push(Diagnostic::error(message).hint(RUN_AGAIN));
    }
    if source.variables != now.variables {
        let message = format!("settings or `-e` are not what they were in run {run}");
        found.push(Diagnostic::error(message).hint("give the same, or run without `--resume`"));
    }
    now.resumes = Some(run.clone());
    // Whoever goes on from this run needs what was read for the tasks that do not run again.
    for (path, print) in files {
        now.files.entry(path).or_insert(print);
    }
    found.check(Arc::new(Resume::new(run, &past.events)))
}
