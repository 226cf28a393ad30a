//! Lookups that ask this machine: its environment and its programs.

use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::Asker;
use super::options::Options;
use crate::template::display;

/// Environment variables.
pub(super) fn environment(terms: &[Json], options: &Options<'_>) -> Vec<Json> {
    let default = options.value("default").cloned();
    let default = default.unwrap_or_else(|| Json::from(""));
    let value = |term: &Json| {
        let term = display(term);
        let name = term.split_whitespace().next().unwrap_or_default();
        match std::env::var_os(name) {
            Some(value) => Json::from(value.to_string_lossy().into_owned()),
            None => default.clone(),
        }
    };
    terms.iter().map(value).collect()
}

/// What programs print, a text each.
pub(super) fn pipe(terms: &[Json], asker: &Asker<'_>) -> Result<Vec<Json>, String> {
    let mut texts = Vec::new();
    for term in terms {
        texts.push(Json::from(printed(&display(term), asker)?.trim_end()));
    }
    Ok(texts)
}

/// The lines that programs print.
pub(super) fn lines(terms: &[Json], asker: &Asker<'_>) -> Result<Vec<Json>, String> {
    let mut lines = Vec::new();
    for term in terms {
        lines.extend(printed(&display(term), asker)?.lines().map(Json::from));
    }
    Ok(lines)
}

/// Runs a line of shell in the playbook's folder.
fn printed(line: &str, asker: &Asker<'_>) -> Result<String, String> {
    let output = blocking(|| {
        Command::new("/bin/sh")
            .args(["-c", line])
            .current_dir(asker.folder())
            .stdin(Stdio::null())
            .output()
    })
    .map_err(|error| format!("cannot run `{line}`: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        return Err(match output.status.code() {
            Some(code) => format!("`{line}` ended with {code}{said}"),
            None => format!("`{line}` was ended by a signal{said}"),
        });
    }
    String::from_utf8(output.stdout).map_err(|_| format!("what `{line}` prints is not UTF-8 text"))
}

/// Does something that takes its time, while other hosts go on.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
