//! Adding a line to a known_hosts file.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Appends one line, given without its line end, by a single write; makes the file (0600) and its folder (0700) if
/// they are missing. Returns the number of the new line, counted from 1.
pub(super) fn append(path: &Path, line: &str) -> io::Result<usize> {
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let mut before = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut before)?;
    let lines = before.split(|&byte| byte == b'\n').count() - 1;
    // A last line without its end must not swallow the new one.
    let is_open = before.last().is_some_and(|&byte| byte != b'\n');
    let text = format!("{}{line}\n", if is_open { "\n" } else { "" });
    let written = file.write(text.as_bytes())?;
    if written != text.len() {
        return Err(io::Error::new(
            io::ErrorKind::WriteZero,
            "the line was written in part only",
        ));
    }
    // `/dev/null` and its like cannot be synchronised.
    if file.metadata()?.is_file() {
        file.sync_data()?;
    }
    Ok(lines + usize::from(is_open) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn makes_file_and_folder_for_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/.ssh/known_hosts");
        assert_eq!(append(&path, "a b c").unwrap(), 1);
        assert_eq!(append(&path, "d e f").unwrap(), 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a b c\nd e f\n");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_last_line_without_its_end_stays_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, "one\ntwo").unwrap();
        assert_eq!(append(&path, "three").unwrap(), 3);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }
}
