//! `kk vault`: encrypts and decrypts files and values as `ansible-vault` does.
//!
//! All files of a command are read and worked out before the first is written, and each is replaced at once. A file keeps
//! its permissions; a new one is for its owner alone.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::arguments::{
    DecryptArguments, EncryptArguments, EncryptStringArguments, RekeyArguments, VaultCommand,
    VaultFilesArguments,
};
use super::passwords::{keys_or_ask, new_key};
use super::vault_edit;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::report::Surroundings;
use crate::secret::Secret;
use crate::vault::{DEFAULT_LABEL, Envelope, Keys, is_encrypted, seal};

/// Does what the subcommand says.
pub async fn run(command: VaultCommand) -> anyhow::Result<Exit> {
    match command {
        VaultCommand::Encrypt(arguments) => encrypt(&arguments),
        VaultCommand::Decrypt(arguments) => decrypt(&arguments),
        VaultCommand::View(arguments) => view(&arguments),
        VaultCommand::Rekey(arguments) => rekey(&arguments),
        VaultCommand::EncryptString(arguments) => encrypt_string(&arguments),
        VaultCommand::Edit(arguments) => vault_edit::edit(&arguments).await,
        VaultCommand::Create(arguments) => vault_edit::create(&arguments).await,
    }
}

/// Standard input or output.
const STANDARD: &str = "-";

fn encrypt(arguments: &EncryptArguments) -> anyhow::Result<Exit> {
    let texts = read_all(&arguments.files, arguments.output.as_deref())?;
    for (path, bytes) in &texts {
        if is_encrypted(bytes.expose()) {
            let message = format!("`{}` is encrypted already", path.display());
            return Err(Diagnostic::error(message)
                .hint("`kk vault rekey` changes its password")
                .into());
        }
    }
    let keys = keys_or_ask(&arguments.vault, true)?;
    let (key, label) = encrypting(&keys, arguments.with.encrypt_vault_id.as_deref())?;
    let mut sealed = Vec::new();
    for (path, bytes) in &texts {
        let envelope = seal(bytes.expose(), key, label)?;
        sealed.push((path.clone(), Secret::new(envelope.to_text().into_bytes())));
    }
    write_all(&sealed, arguments.output.as_deref())?;
    done("encrypted");
    Ok(Exit::Ok)
}

fn decrypt(arguments: &DecryptArguments) -> anyhow::Result<Exit> {
    let texts = read_all(&arguments.files, arguments.output.as_deref())?;
    let keys = keys_or_ask(&arguments.vault, false)?;
    let mut opened = Vec::new();
    for (path, bytes) in &texts {
        let (plaintext, _) = open(path, bytes.expose(), &keys)?;
        opened.push((path.clone(), plaintext));
    }
    write_all(&opened, arguments.output.as_deref())?;
    done("decrypted");
    Ok(Exit::Ok)
}

fn view(arguments: &VaultFilesArguments) -> anyhow::Result<Exit> {
    let texts = read_all(&arguments.files, Some(Path::new(STANDARD)))?;
    let keys = keys_or_ask(&arguments.vault, false)?;
    let mut stdout = std::io::stdout();
    for (path, bytes) in &texts {
        let (plaintext, _) = open(path, bytes.expose(), &keys)?;
        stdout.write_all(plaintext.expose())?;
    }
    stdout.flush()?;
    Ok(Exit::Ok)
}

fn rekey(arguments: &RekeyArguments) -> anyhow::Result<Exit> {
    let texts = read_all(&arguments.files, None)?;
    let keys = keys_or_ask(&arguments.vault, false)?;
    let mut opened = Vec::new();
    for (path, bytes) in &texts {
        let (plaintext, _) = open(path, bytes.expose(), &keys)?;
        opened.push((path.clone(), plaintext));
    }
    let new = match (&arguments.new_vault_id, &arguments.new_vault_password_file) {
        (Some(id), _) => new_key("--new-vault-id", id)?,
        (None, Some(file)) => {
            let id = format!("{DEFAULT_LABEL}@{}", file.display());
            new_key("--new-vault-password-file", &id)?
        }
        (None, None) => new_key("--new-vault-id", "prompt")?,
    };
    let (key, label) = encrypting(&new, None)?;
    let mut sealed = Vec::new();
    for (path, plaintext) in &opened {
        let envelope = seal(plaintext.expose(), key, label)?;
        sealed.push((path.clone(), Secret::new(envelope.to_text().into_bytes())));
    }
    write_all(&sealed, None)?;
    done("rekeyed");
    Ok(Exit::Ok)
}

fn encrypt_string(arguments: &EncryptStringArguments) -> anyhow::Result<Exit> {
    let mut texts: Vec<(Option<&String>, Secret<Vec<u8>>)> = Vec::new();
    let mut names = arguments.name.iter();
    if arguments.prompt {
        let text = if arguments.show_input {
            super::terminal::ask_first("Text to encrypt: ", true)?
        } else {
            super::terminal::ask_first("Text to encrypt (hidden): ", false)?
        };
        texts.push((names.next(), Secret::new(text.into_bytes())));
    }
    for text in arguments.texts.iter().filter(|text| *text != STANDARD) {
        texts.push((names.next(), Secret::new(text.clone().into_bytes())));
    }
    let asks_for_stdin = arguments.stdin_name.is_some()
        || arguments.texts.iter().any(|text| text == STANDARD)
        || texts.is_empty();
    if asks_for_stdin {
        let name = arguments.stdin_name.as_ref().or_else(|| names.next());
        texts.push((name, read(Path::new(STANDARD))?));
    }
    if let Some(name) = names.next() {
        let message = format!("there is no text for `--name {name}`");
        return Err(Diagnostic::error(message).into());
    }
    let keys = keys_or_ask(&arguments.vault, true)?;
    let (key, label) = encrypting(&keys, arguments.with.encrypt_vault_id.as_deref())?;
    let mut all = String::new();
    for (name, text) in texts {
        if text.expose().is_empty() {
            return Err(Diagnostic::error("the text to encrypt is empty").into());
        }
        if let Some(name) = name {
            all.push_str(&format!("{name}: "));
        }
        all.push_str("!vault |\n");
        for line in seal(text.expose(), key, label)?.to_text().lines() {
            all.push_str(&format!("          {line}\n"));
        }
    }
    let all = Secret::new(all.into_bytes());
    write(
        arguments.output.as_deref().unwrap_or(Path::new(STANDARD)),
        all.expose(),
    )?;
    done("encrypted");
    Ok(Exit::Ok)
}

/// The password that encrypts, and the label that the text gets; none for the default.
pub fn encrypting<'a>(
    keys: &'a Keys,
    wanted: Option<&'a str>,
) -> Result<(&'a Secret<Vec<u8>>, Option<&'a str>), Diagnostic> {
    let labels = keys.labels();
    let label = match (wanted, labels.as_slice()) {
        (Some(wanted), _) => wanted,
        (None, [only]) => only,
        (None, _) => {
            return Err(
                Diagnostic::error("several passwords could encrypt this").hint(format!(
                    "choose with `--encrypt-vault-id`: {}",
                    labels.join(", ")
                )),
            );
        }
    };
    let key = keys.of_label(label).ok_or_else(|| {
        let message = format!("no password has the label `{label}`");
        Diagnostic::error(message).hint(format!("there are: {}", labels.join(", ")))
    })?;
    Ok((key, Some(label).filter(|label| *label != DEFAULT_LABEL)))
}

/// Decrypts the bytes of a file; answers the label of the password that did it, too.
pub fn open<'a>(
    path: &Path,
    bytes: &[u8],
    keys: &'a Keys,
) -> Result<(Secret<Vec<u8>>, &'a str), Diagnostic> {
    let name = path.display();
    if !is_encrypted(bytes) {
        return Err(Diagnostic::error(format!("`{name}` is not encrypted")));
    }
    let opened =
        Envelope::parse(&String::from_utf8_lossy(bytes)).and_then(|envelope| keys.open(&envelope));
    opened.map_err(|error| {
        let diagnostic = Diagnostic::error(format!("`{name}` cannot be decrypted: {error}"));
        match error.hint() {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    })
}

type Texts = Vec<(PathBuf, Secret<Vec<u8>>)>;

/// The bytes of files; of standard input, where there are none.
fn read_all(files: &[PathBuf], output: Option<&Path>) -> anyhow::Result<Texts> {
    let standard = [PathBuf::from(STANDARD)];
    let files = if files.is_empty() { &standard } else { files };
    if files.len() > 1 && output.is_some_and(|path| path != Path::new(STANDARD)) {
        return Err(Diagnostic::error("`--output` takes what one file becomes")
            .hint("without it each file is replaced")
            .into());
    }
    let mut texts = Vec::new();
    for path in files {
        texts.push((path.clone(), read(path)?));
    }
    Ok(texts)
}

/// The bytes of a file or of standard input.
pub fn read(path: &Path) -> Result<Secret<Vec<u8>>, Diagnostic> {
    let read = if path == Path::new(STANDARD) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map(Secret::new)
        .map_err(|error| Diagnostic::error(format!("cannot read `{}`: {error}", path.display())))
}

fn write_all(texts: &Texts, output: Option<&Path>) -> anyhow::Result<()> {
    for (path, bytes) in texts {
        write(output.unwrap_or(path), bytes.expose())?;
    }
    Ok(())
}

/// Replaces a file at once, or writes to standard output. A file keeps its permissions and links keep pointing at it; a
/// new one is for its owner alone.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path == Path::new(STANDARD) {
        let mut stdout = std::io::stdout();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        Diagnostic::error(format!("cannot write `{}`: {error}", path.display()))
    };
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match real.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Made with 0600.
    let mut file = tempfile::Builder::new()
        .prefix(".kk-vault-")
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Ok(old) = std::fs::metadata(&real) {
        let permissions = std::fs::Permissions::from_mode(old.permissions().mode() & 0o7777);
        file.as_file()
            .set_permissions(permissions)
            .map_err(failed)?;
        // Only root can, and only root need.
        let (owner, group) = {
            use std::os::unix::fs::MetadataExt as _;
            (old.uid(), old.gid())
        };
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(owner), Some(group));
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&real).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Says that it is done to a person.
pub fn done(what: &str) {
    if Surroundings::read().can_ask {
        let _ = writeln!(anstream::stderr(), "{what}");
    }
}
