//! `kk vault edit` and `kk vault create`: the plain text lies in a private folder while the editor is open, and is
//! overwritten and removed afterwards, however that ends.

use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{CreateVaultArguments, VaultFilesArguments};
use super::passwords::keys_or_ask;
use super::vault::{encrypting, open, read, write};
use crate::diagnostic::Diagnostic;
use crate::env;
use crate::exit::Exit;
use crate::secret::Secret;
use crate::vault::{DEFAULT_LABEL, seal};

/// `kk vault edit`.
pub async fn edit(arguments: &VaultFilesArguments) -> anyhow::Result<Exit> {
    let mut texts = Vec::new();
    for path in &arguments.files {
        texts.push((path, read(path)?));
    }
    let keys = keys_or_ask(&arguments.vault, false)?;
    for (path, bytes) in texts {
        let (plaintext, label) = open(path, bytes.expose(), &keys)?;
        let Some(edited) = edited(path, plaintext.expose()).await? else {
            return Ok(Exit::Terminated);
        };
        if edited == plaintext {
            continue;
        }
        let (key, _) = encrypting(&keys, Some(label))?;
        // The text keeps the label that it had, whichever password opened it.
        let envelope = crate::vault::Envelope::parse(&String::from_utf8_lossy(bytes.expose()))?;
        let sealed = seal(edited.expose(), key, envelope.label.as_deref())?;
        write(path, sealed.to_text().as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// `kk vault create`.
pub async fn create(arguments: &CreateVaultArguments) -> anyhow::Result<Exit> {
    let path = &arguments.file;
    if path.exists() {
        let message = format!("`{}` is there already", path.display());
        return Err(Diagnostic::error(message)
            .hint("`kk vault edit` changes it")
            .into());
    }
    let keys = keys_or_ask(&arguments.vault, true)?;
    let (key, label) = encrypting(&keys, arguments.with.encrypt_vault_id.as_deref())?;
    let Some(edited) = edited(path, b"").await? else {
        return Ok(Exit::Terminated);
    };
    let label = label.filter(|label| *label != DEFAULT_LABEL);
    write(
        path,
        seal(edited.expose(), key, label)?.to_text().as_bytes(),
    )?;
    Ok(Exit::Ok)
}

/// A file with plain text that does not outlive its value.
struct Private {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Private {
    /// In a folder that only its owner can enter, with the ending by which an editor knows the language.
    fn new(name: &Path, plaintext: &[u8]) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("kk-vault-").tempdir()?;
        let name = name.file_name().unwrap_or_else(|| "plain".as_ref());
        let file = folder.path().join(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?
            .write_all(plaintext)?;
        Ok(Self {
            file,
            _folder: folder,
        })
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The folder goes after this, with whatever the editor left in it.
        let _ = overwrite(&self.file);
        let _ = std::fs::remove_file(&self.file);
    }
}

fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.rewind()?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

/// What a person makes of a text; `None` where the program is ended from outside meanwhile.
async fn edited(name: &Path, plaintext: &[u8]) -> anyhow::Result<Option<Secret<Vec<u8>>>> {
    let private = Private::new(name, plaintext)?;
    // Ctrl-C is the editor's.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let editor = std::env::var(env::EDITOR)
        .ok()
        .filter(|editor| !editor.trim().is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    // The shell takes the words of `$EDITOR` apart.
    let mut child = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$@\""))
        .arg(&editor)
        .arg(&private.file)
        .kill_on_drop(true)
        .spawn()?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => return Ok(None),
            _ = hang_up.recv() => return Ok(None),
        }
    };
    if !status.success() {
        let message = format!("the editor `{editor}` ended with {status}");
        return Err(Diagnostic::error(message)
            .hint("nothing was changed")
            .into());
    }
    Ok(Some(Secret::new(std::fs::read(&private.file)?)))
}
