//! Wrong use of the command line: what `clap` found, said in the words of this program.
//!
//! Every refusal has a hint where there is a likely right form, and exit code 5. Help and version are no errors: they
//! go to standard output with code 0.

use std::ffi::OsString;
use std::io::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use super::arguments::Arguments;
use crate::diagnostic::{Colour, Diagnostic, did_you_mean, render};
use crate::exit::Exit;

/// A command line that is not to be run: help, version, or a mistake.
#[derive(Debug)]
pub enum Refusal {
    /// Text for standard output: the user asked for it.
    Shown(String),
    /// Help of a command that needs another word after it, for standard error.
    Incomplete(String),
    /// A mistake: what is wrong, the usage line of the subcommand, and where to read more.
    Wrong {
        /// What is wrong and what to do.
        diagnostic: Diagnostic,
        /// `usage: …` and the like.
        usage: String,
    },
}

impl Refusal {
    /// Prints it and says how the program ends.
    pub fn print(&self, colour: Colour) -> Exit {
        match self {
            Self::Shown(text) => {
                // A reader that has gone away has seen enough.
                let _ = anstream::stdout().write_all(text.as_bytes());
                Exit::Ok
            }
            Self::Incomplete(help) => {
                let _ = anstream::stderr().write_all(help.as_bytes());
                Exit::Usage
            }
            Self::Wrong { diagnostic, usage } => {
                let text = render(diagnostic, colour);
                let _ = writeln!(anstream::stderr(), "{text}\n\n{usage}");
                Exit::Usage
            }
        }
    }
}

/// Parses a command line, the program's name first.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, Refusal> {
    let words: Vec<OsString> = words.into_iter().collect();
    Arguments::try_parse_from(&words).map_err(|error| refusal(&error, &words))
}

fn refusal(error: &clap::Error, words: &[OsString]) -> Refusal {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return Refusal::Shown(error.render().ansi().to_string());
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Refusal::Incomplete(error.render().ansi().to_string());
        }
        _ => {}
    }
    let typed = typed_commands(words);
    let path = known_path(&typed);
    let diagnostic = match misunderstanding(&typed, words) {
        Some(diagnostic) => diagnostic,
        None => describe(error, &path),
    };
    Refusal::Wrong {
        diagnostic,
        usage: usage(&path),
    }
}

/// The words before the first flag, without the program's name.
fn typed_commands(words: &[OsString]) -> Vec<String> {
    words
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .take_while(|word| !word.starts_with('-'))
        .collect()
}

/// The longest beginning of the typed words that names a subcommand.
fn known_path(typed: &[String]) -> Vec<String> {
    let root = Arguments::command();
    let mut command = &root;
    let mut path = Vec::new();
    for word in typed {
        match command.find_subcommand(word) {
            Some(found) => {
                path.push(found.get_name().to_owned());
                command = found;
            }
            None => break,
        }
    }
    path
}

/// Words that people bring from elsewhere, and what they are called here. A `*` stands for any word.
const MISUNDERSTANDINGS: &[(&[&str], &str)] = &[
    (
        &["init", "image_registry"],
        "to bring it up, use `kk init registry`; to check first, `kk precheck image_registry`",
    ),
    (
        &["init", "image-registry"],
        "to bring it up, use `kk init registry`; to check first, `kk precheck image_registry`",
    ),
    (&["delete", "image_registry"], "use `kk delete registry`"),
    (&["delete", "image-registry"], "use `kk delete registry`"),
    (
        &["precheck", "registry"],
        "use `kk precheck image_registry`",
    ),
    (
        &["precheck", "image-registry"],
        "use `kk precheck image_registry`",
    ),
    (&["create", "registry"], "use `kk init registry`"),
    (&["create", "image_registry"], "use `kk init registry`"),
    (
        &["help", "*"],
        "use `--help` after the subcommand, as in `kk init registry --help`",
    ),
    (&["help"], "use `kk --help`"),
    (&["install", "*"], "use `kk init registry`"),
    (&["uninstall", "*"], "use `kk delete registry`"),
    (&["remove", "*"], "use `kk delete registry`"),
    (&["check", "*"], "use `kk precheck image_registry`"),
    (&["play", "*"], "use `kk run PLAYBOOK`"),
    (&["playbook", "*"], "use `kk run PLAYBOOK`"),
    (
        &["create", "cluster"],
        "this version brings up image registries only: `kk init registry`",
    ),
    (
        &["delete", "cluster"],
        "this version knows image registries only: `kk delete registry`",
    ),
    (
        &["init", "os"],
        "this version brings up image registries only, and prepares what they need by itself: `kk init registry`",
    ),
    (
        &["certs"],
        "this version makes certificates as a part of `kk init registry`",
    ),
    (
        &["certs", "*"],
        "this version makes certificates as a part of `kk init registry`",
    ),
    (
        &["artifact"],
        "this version reads offline packages from `<workdir>/kubekey`; there is no archive to export or import",
    ),
    (
        &["artifact", "*"],
        "this version reads offline packages from `<workdir>/kubekey`; there is no archive to export or import",
    ),
];

/// A mistake that is better explained as a whole than by the letters that are wrong.
fn misunderstanding(typed: &[String], words: &[OsString]) -> Option<Diagnostic> {
    let fits = |pattern: &[&str]| {
        pattern.len() <= typed.len()
            && pattern
                .iter()
                .zip(typed)
                .all(|(wanted, word)| *wanted == "*" || wanted == word)
    };
    let longest = MISUNDERSTANDINGS
        .iter()
        .filter(|(pattern, _)| fits(pattern))
        .max_by_key(|(pattern, _)| pattern.len());
    if let Some((pattern, hint)) = longest {
        let said = typed.get(..pattern.len()).unwrap_or_default().join(" ");
        return Some(Diagnostic::error(format!("unknown command `kk {said}`")).hint(*hint));
    }
    let has = |flag: &str| {
        words.iter().filter_map(|word| word.to_str()).any(|word| {
            word == flag
                || word
                    .strip_prefix(flag)
                    .is_some_and(|rest| rest.starts_with('='))
        })
    };
    let unknown_flags = [
        (
            "-a",
            "this version reads offline packages from `<workdir>/kubekey`, or where `--set artifact.artifact_url.<name>.<arch>=FILE` says",
        ),
        (
            "--artifact",
            "this version reads offline packages from `<workdir>/kubekey`, or where `--set artifact.artifact_url.<name>.<arch>=FILE` says",
        ),
        (
            "-b",
            "privilege is taken task by task (`become: true`); for its password use `-K`",
        ),
        (
            "--become",
            "privilege is taken task by task (`become: true`); for its password use `-K`",
        ),
        ("-e", "variables are settings: `--set KEY=VALUE`"),
        ("--extra-vars", "variables are settings: `--set KEY=VALUE`"),
        (
            "--ignore-errors",
            "a check is waived by its name: `--waive CHECK=REASON`",
        ),
        (
            "--skip-check",
            "a check is waived by its name: `--waive CHECK=REASON`",
        ),
    ];
    unknown_flags
        .iter()
        .find(|(flag, _)| has(flag))
        .map(|(flag, hint)| Diagnostic::error(format!("unknown option `{flag}`")).hint(*hint))
}

fn describe(error: &clap::Error, path: &[String]) -> Diagnostic {
    let context = |kind| error.get(kind).map(in_words).unwrap_or_default();
    let argument = context(ContextKind::InvalidArg);
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let command = find(path);
            let flags: Vec<String> = command
                .get_arguments()
                .filter_map(clap::Arg::get_long)
                .map(|long| format!("--{long}"))
                .collect();
            if argument.starts_with('-') {
                Diagnostic::error(format!("unknown option `{argument}`"))
                    .suggest(&argument, flags.iter().map(String::as_str))
            } else {
                Diagnostic::error(format!("unexpected word `{argument}`"))
            }
        }
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand);
            let command = find(path);
            let names: Vec<&str> = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            let diagnostic = Diagnostic::error(format!("unknown command `{}`", said(path, &word)));
            match did_you_mean(&word, names.iter().copied()) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic.hint(format!("there is {}", names.join(", "))),
            }
        }
        ErrorKind::MissingSubcommand => {
            let command = find(path);
            let names: Vec<&str> = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            Diagnostic::error(format!("`{}` needs a command after it", said(path, "")))
                .hint(format!("there is {}", names.join(", ")))
        }
        ErrorKind::InvalidValue => {
            let choices: Vec<String> = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(choices)) => choices.clone(),
                _ => Vec::new(),
            };
            if value.is_empty() {
                return Diagnostic::error(format!("`{argument}` needs a value"));
            }
            Diagnostic::error(format!("`{value}` is not a value that `{argument}` takes"))
                .hint(format!("use one of {}", choices.join(", ")))
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            Diagnostic::error(format!("`{value}` is not a value that `{argument}` takes"))
                .hint(reason)
        }
        ErrorKind::MissingRequiredArgument => {
            let diagnostic = Diagnostic::error(format!("`{argument}` is missing"));
            match argument.as_str() {
                "--check" => diagnostic.hint("`--exit-code` is about what `--check` finds"),
                "--output <FILE>" => diagnostic.hint("`--force` is about the file to write"),
                _ => diagnostic,
            }
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg);
            if other.is_empty() || other == argument {
                Diagnostic::error(format!("`{argument}` was given twice"))
            } else {
                Diagnostic::error(format!("`{argument}` and `{other}` exclude each other"))
            }
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            Diagnostic::error(format!("`{argument}` needs a value"))
        }
        ErrorKind::TooManyValues => {
            Diagnostic::error(format!("unexpected word `{value}` after `{argument}`"))
        }
        ErrorKind::InvalidUtf8 => Diagnostic::error("the command line is not valid UTF-8"),
        _ => Diagnostic::error(
            error
                .to_string()
                .trim()
                .trim_start_matches("error: ")
                .to_owned(),
        ),
    }
}

fn in_words(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join("`, `"),
        other => other.to_string(),
    }
}

fn said(path: &[String], word: &str) -> String {
    let mut words = vec!["kk"];
    words.extend(path.iter().map(String::as_str));
    if !word.is_empty() {
        words.push(word);
    }
    words.join(" ")
}

/// The subcommand of a path that [`known_path`] made, with the global flags.
fn find(path: &[String]) -> clap::Command {
    let mut root = Arguments::command();
    root.build();
    let mut command = root;
    for word in path {
        match command.find_subcommand(word) {
            Some(found) => command = found.clone(),
            None => break,
        }
    }
    command
}

fn usage(path: &[String]) -> String {
    let line = find(path).render_usage().to_string();
    let line = line.trim_start_matches("Usage:").trim().to_owned();
    format!("usage: {line}\nmore: {} --help", said(path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        match parse(line.split(' ').map(OsString::from)) {
            Err(refusal @ Refusal::Wrong { .. }) => {
                let Refusal::Wrong { diagnostic, usage } = &refusal else {
                    unreachable!()
                };
                format!("{}\n{usage}", render(diagnostic, Colour::Never))
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_misunderstanding_is_really_refused() {
        for (pattern, hint) in MISUNDERSTANDINGS {
            let line = format!("kk {}", pattern.join(" ").replace('*', "thing"));
            assert!(wrong(&line).contains(hint), "{line}");
        }
    }

    #[test]
    fn a_hint_names_commands_that_exist() {
        for (_, hint) in MISUNDERSTANDINGS {
            for quoted in hint.split('`').skip(1).step_by(2) {
                let Some(line) = quoted.strip_prefix("kk ") else {
                    continue;
                };
                let words: Vec<String> = line
                    .split(' ')
                    .take_while(|word| !word.starts_with('-') && *word != "PLAYBOOK")
                    .map(str::to_owned)
                    .collect();
                assert_eq!(known_path(&words), words, "{hint}");
            }
        }
    }

    #[test]
    fn a_flag_with_a_wrong_letter_is_suggested() {
        let text = wrong("kk init registry --fork 3");
        assert!(text.contains("unknown option `--fork`"), "{text}");
        assert!(text.contains("did you mean `--forks`?"), "{text}");
        assert!(text.contains("usage: kk init registry"), "{text}");
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for line in ["kk --help", "kk --version", "kk init registry -h"] {
            let parsed = parse(line.split(' ').map(OsString::from));
            assert!(matches!(parsed, Err(Refusal::Shown(_))), "{line}");
        }
    }
}
