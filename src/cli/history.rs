//! `kk history`: what earlier runs came to.

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::arguments::{DataFormat, HistoryArguments, HistoryCommand, HistoryShowArguments};
use super::local::{print, print_json};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::report::history::{self, Report, Summary};
use crate::report::journal::{self, Past};
use crate::report::timings::Timings;

/// `kk history` and `kk history show`.
pub fn run(arguments: &HistoryArguments) -> anyhow::Result<Exit> {
    if let Some(HistoryCommand::Show(show)) = &arguments.command {
        return one(&arguments.workdir, show);
    }
    let runs = history::list(&arguments.workdir);
    match arguments.output {
        DataFormat::Json => print_json(&json!(runs)),
        DataFormat::Text if runs.is_empty() => print(&format!(
            "no run is known in `{}`\n",
            arguments.workdir.display()
        )),
        DataFormat::Text => print(&history::table(&runs)),
    }
}

fn one(workdir: &Path, arguments: &HistoryShowArguments) -> anyhow::Result<Exit> {
    let runs = history::list(workdir);
    let run = match (&arguments.run, runs.first()) {
        (Some(run), _) => known(&runs, run)?.run.clone(),
        (None, Some(last)) => last.run.clone(),
        (None, None) => {
            let message = format!("no run is known in `{}`", workdir.display());
            return Err(Diagnostic::error(message).into());
        }
    };
    let past = read(workdir, &run)?;
    if let Some(given) = &arguments.timings {
        let path = super::live::timings_path(given, workdir, &run);
        Timings::of(&past.events)
            .write(&path)
            .with_context(|| format!("write the timings `{}`", path.display()))?;
        return print(&format!("{}\n", path.display()));
    }
    let report = Report::new(&run, &past);
    match arguments.output {
        DataFormat::Json => print_json(&report.json()),
        DataFormat::Text => print(&report.text()),
    }
}

/// The run of this name.
pub fn known<'r>(runs: &'r [Summary], name: &str) -> Result<&'r Summary, Diagnostic> {
    runs.iter().find(|run| run.run == name).ok_or_else(|| {
        let mut diagnostic = Diagnostic::error(format!("there is no run `{name}`"))
            .suggest(name, runs.iter().map(|run| run.run.as_str()));
        diagnostic
            .hint
            .get_or_insert_with(|| "`kk history` lists the runs".to_owned());
        diagnostic
    })
}

/// The journal of a run.
pub fn read(workdir: &Path, run: &str) -> Result<Past, Diagnostic> {
    journal::read(workdir, run).map_err(|error| {
        let path = journal::path_of(workdir, run);
        Diagnostic::error(format!("read the journal `{}`: {error}", path.display()))
    })
}
