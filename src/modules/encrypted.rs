//! Files of this machine that are encrypted (see the room `vault`), on their way to a host.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use super::{Argument, ArgumentKind, Content, ModuleError};
use crate::vault;

/// The argument `decrypt`.
pub(super) const DECRYPT: Argument = Argument::optional(
    "decrypt",
    ArgumentKind::Boolean,
    "an encrypted file (`kk vault`) is sent decrypted; true by default",
);

/// The plain bytes of a file, where it is encrypted.
pub(crate) fn decrypted(path: &Path) -> Result<Option<Bytes>, ModuleError> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| ModuleError::failed(format!("read `{name}`: {error}"));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let length = vault::MARK.len() as u64;
    (&mut file)
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes != vault::MARK.as_bytes() {
        return Ok(None);
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    let (plain, is_encrypted) = vault::decrypt_file(&name, &bytes).map_err(|diagnostic| {
        let error = ModuleError::failed(diagnostic.message);
        match diagnostic.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })?;
    Ok(is_encrypted.then(|| plain.into_owned().into()))
}

/// The bytes of a file, decrypted where that is wanted.
pub(crate) fn read(path: &Path, decrypt: bool) -> Result<Content, ModuleError> {
    if decrypt && let Some(bytes) = decrypted(path)? {
        return Ok(Content::secret(bytes));
    }
    std::fs::read(path)
        .map(Content::public)
        .map_err(|error| ModuleError::failed(format!("read `{}`: {error}", path.display())))
}
