//! Where the passwords of encrypted files come from: files, programs, a person.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::arguments::VaultFlags;
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, Span};
use crate::report::Surroundings;
use crate::secret::{Secret, SecretString};
use crate::vault::{self, DEFAULT_LABEL, Keys};

/// Sources that stand for a person.
const PROMPTS: [&str; 2] = ["prompt", "prompt_ask_vault_pass"];

/// Gets the passwords that the flags name; from now on they open what is encrypted.
pub fn unlock(flags: &VaultFlags) -> Result<(), Diagnostics> {
    vault::unlock(keys(flags, false)?);
    Ok(())
}

/// The passwords that the flags name. A new one that a person types is asked for twice.
pub fn keys(flags: &VaultFlags, is_new: bool) -> Result<Keys, Diagnostics> {
    let mut keys = Keys::default();
    let mut found = Diagnostics::new();
    let mut add = |flag: &str, text: &str, label: &str, source: &str| match password(
        flag, text, label, source, is_new, &keys,
    ) {
        Ok(password) => keys.add(label, password),
        Err(diagnostic) => found.push(diagnostic),
    };
    for id in &flags.vault_id {
        let (label, source) = taken_apart(id);
        add("--vault-id", id, label, source);
    }
    for file in &flags.vault_password_file {
        let file = file.display().to_string();
        add("--vault-password-file", &file, DEFAULT_LABEL, &file);
    }
    if flags.ask_vault_password {
        let flag = "--ask-vault-password";
        add(flag, flag, DEFAULT_LABEL, "prompt");
    }
    found.check(keys)
}

/// The passwords that the flags name, or one that a person types where they name none.
pub fn keys_or_ask(flags: &VaultFlags, is_new: bool) -> Result<Keys, Diagnostics> {
    let given = keys(flags, is_new)?;
    if !given.is_empty() {
        return Ok(given);
    }
    if !Surroundings::read().can_ask {
        return Err(
            Diagnostic::error("no password is given, and nobody is at a terminal")
                .hint("give `--vault-password-file FILE` or `--vault-id LABEL@FILE`")
                .into(),
        );
    }
    let flags = VaultFlags {
        ask_vault_password: true,
        ..VaultFlags::default()
    };
    keys(&flags, is_new)
}

/// One new password, with its label.
pub fn new_key(flag: &str, id: &str) -> Result<Keys, Diagnostics> {
    let (label, source) = taken_apart(id);
    let mut keys = Keys::default();
    let password = password(flag, id, label, source, true, &keys)?;
    keys.add(label, password);
    Ok(keys)
}

/// Label and source of `LABEL@SOURCE`; without a label it is the source.
fn taken_apart(id: &str) -> (&str, &str) {
    match id.split_once('@') {
        Some(("", source)) => (DEFAULT_LABEL, source),
        Some(pair) => pair,
        None => (DEFAULT_LABEL, id),
    }
}

/// The password of a source. `known` opens a password file that is encrypted itself.
fn password(
    flag: &str,
    text: &str,
    label: &str,
    source: &str,
    is_new: bool,
    known: &Keys,
) -> Result<Secret<Vec<u8>>, Diagnostic> {
    let place = Place::new(
        &Source::new(flag, text),
        Span {
            start: 0,
            end: text.len(),
        },
    );
    let at = |message: String| Diagnostic::at(&place, message);
    let password = if PROMPTS.contains(&source) {
        ask(label, is_new).map_err(at)?
    } else {
        let path = expanded(source);
        let metadata = std::fs::metadata(&path).map_err(|error| {
            at(format!("cannot read the password file `{source}`: {error}"))
                .hint("a password that a person types is `LABEL@prompt`")
        })?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            said(&path, label).map_err(|message| {
                at(message).hint(
                    "a file with execute permission is run; without it the file holds the password",
                )
            })?
        } else {
            read(&path, known).map_err(at)?
        }
    };
    if password.expose().is_empty() {
        return Err(at("the password is empty".to_owned()));
    }
    if let Ok(text) = std::str::from_utf8(password.expose()) {
        vault::redactor().learn(text);
    }
    Ok(password)
}

/// The password of a login or of sudo, from a file or a program. Only the end of its line is no part of it.
pub fn of_file(flag: &str, file: &Path) -> Result<SecretString, Diagnostic> {
    let path = expanded(&file.display().to_string());
    let wrong = |message: String| Diagnostic::error(format!("`{flag}`: {message}"));
    let metadata = std::fs::metadata(&path)
        .map_err(|error| wrong(format!("cannot read `{}`: {error}", file.display())))?;
    let bytes = if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        said(&path, DEFAULT_LABEL).map_err(wrong)?
    } else {
        let bytes = std::fs::read(&path)
            .map_err(|error| wrong(format!("cannot read `{}`: {error}", file.display())))?;
        Secret::new(without_line_ends(&bytes).to_vec())
    };
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| wrong("the password is no text".to_owned()))?;
    if text.is_empty() {
        return Err(wrong("the password is empty".to_owned()));
    }
    Ok(SecretString::new(text.to_owned()))
}

fn expanded(source: &str) -> PathBuf {
    match (source.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => source.into(),
    }
}

fn read(path: &Path, known: &Keys) -> Result<Secret<Vec<u8>>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("cannot read the password file `{shown}`: {error}"))?;
    if !vault::is_encrypted(&bytes) {
        return Ok(Secret::new(bytes.trim_ascii().to_vec()));
    }
    let opened = vault::Envelope::parse(&String::from_utf8_lossy(&bytes))
        .and_then(|envelope| known.open(&envelope).map(|(plaintext, _)| plaintext));
    match opened {
        Ok(plaintext) => Ok(Secret::new(plaintext.expose().trim_ascii().to_vec())),
        Err(error) => Err(format!(
            "the password file `{shown}` is encrypted itself and cannot be read: {error}"
        )),
    }
}

/// What a program prints. One whose name ends with `-client` is told the label.
fn said(path: &Path, label: &str) -> Result<Secret<Vec<u8>>, String> {
    let shown = path.display();
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut command = Command::new(&whole);
    let is_client = path
        .file_stem()
        .is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    if is_client {
        command.args(["--vault-id", label]);
    }
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run the password program `{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(match output.status.code() {
            Some(2) if is_client => {
                format!("the password program `{shown}` knows no password for `{label}`")
            }
            Some(code) => format!("the password program `{shown}` ended with {code}"),
            None => format!("the password program `{shown}` was ended by a signal"),
        });
    }
    Ok(Secret::new(without_line_ends(&output.stdout).to_vec()))
}

fn ask(label: &str, is_new: bool) -> Result<Secret<Vec<u8>>, String> {
    if !Surroundings::read().can_ask {
        return Err("a password is to be typed, and nobody is at a terminal".to_owned());
    }
    let of = if label == DEFAULT_LABEL {
        String::new()
    } else {
        format!(" ({label})")
    };
    let typed = |prompt: String| {
        super::terminal::ask_first(&prompt, false)
            .map_err(|error| format!("ask for the password: {error}"))
    };
    if !is_new {
        return Ok(Secret::new(
            typed(format!("Vault password{of}: "))?.into_bytes(),
        ));
    }
    let first = typed(format!("New vault password{of}: "))?;
    if typed(format!("Confirm the new vault password{of}: "))? != first {
        return Err("the two passwords differ".to_owned());
    }
    Ok(Secret::new(first.into_bytes()))
}

/// A text without the ends of lines before and after it.
fn without_line_ends(mut text: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    while let [rest @ .., last] = text
        && is_end(last)
    {
        text = rest;
    }
    while let [first, rest @ ..] = text
        && is_end(first)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    #[test]
    fn ids_have_a_label_and_a_source() {
        assert_eq!(taken_apart("dev@a@b"), ("dev", "a@b"));
        assert_eq!(taken_apart("file"), (DEFAULT_LABEL, "file"));
        assert_eq!(taken_apart("@prompt"), (DEFAULT_LABEL, "prompt"));
    }

    #[test]
    fn passwords_come_from_files_and_programs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "  from file \n").unwrap();
        let flags = VaultFlags {
            vault_password_file: vec![
                file.clone(),
                script(
                    folder.path(),
                    "ask",
                    "#!/bin/sh\nprintf ' from program \\r\\n\\n'\n",
                ),
            ],
            vault_id: vec![format!(
                "dev@{}",
                script(folder.path(), "dev-client", "#!/bin/sh\necho \"$1 $2\"\n").display()
            )],
            ..VaultFlags::default()
        };
        let keys = keys(&flags, false).unwrap();
        assert_eq!(keys.labels(), ["dev", "default"]);
        let of = |label: &str| String::from_utf8(keys.of_label(label).unwrap().expose().clone());
        assert_eq!(of("dev").unwrap(), "--vault-id dev");
        assert_eq!(of("default").unwrap(), "from file");
    }

    #[test]
    fn a_source_that_gives_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let fails = script(folder.path(), "fails", "#!/bin/sh\nexit 3\n");
        let flags = VaultFlags {
            vault_password_file: vec![empty, fails, folder.path().join("absent")],
            ..VaultFlags::default()
        };
        let found = keys(&flags, false).unwrap_err();
        let said: Vec<&str> = found.0.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(said[0], "the password is empty");
        assert!(said[1].ends_with("ended with 3"), "{said:?}");
        assert!(
            said[2].contains("cannot read the password file"),
            "{said:?}"
        );
    }
}
