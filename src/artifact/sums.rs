//! Who says what the sha256 of a package must be: the settings, the catalogue, and files beside it.

use std::path::Path;

use super::catalogue::Item;
use crate::settings::Settings;

/// A sha256 and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// 64 lower-case hexadecimal digits.
    pub digits: String,
    /// For messages: the setting with backticks, or the file.
    pub source: String,
}

/// Larger checksum files are not read.
const LARGEST: u64 = 1024 * 1024;

/// Every sha256 that is known for a package; the catalogue's only where the settings have none. Fails, in words, where something that claims to be one is none.
pub fn known(
    settings: &Settings,
    item: &Item,
    version: &str,
    arch: &str,
    path: &Path,
) -> Result<Vec<Sum>, String> {
    let mut sums = Vec::new();
    sums.extend(from_settings(settings, item, arch));
    // Who repacks a package says so in the settings; that goes before what its publisher names.
    if sums.is_empty()
        && let Some(digits) = item.published_sha256(version, arch)
    {
        sums.push(Sum {
            digits: digits.to_owned(),
            source: "the catalogue of published packages".to_owned(),
        });
    }
    sums.extend(from_own_file(path)?);
    sums.extend(from_list(path));
    Ok(sums)
}

/// What the user set; settings have every name in its usual spelling, and every sum was checked.
fn from_settings(settings: &Settings, item: &Item, arch: &str) -> Option<Sum> {
    let key = (item.name.clone(), arch.to_owned());
    let digits = settings.artifact_sha256.get(&key)?.clone();
    Some(Sum {
        digits,
        source: format!("`artifact.sha256.{}.{arch}`", item.name),
    })
}

/// `<file>.sha256`: the digits alone, or a line of `sha256sum`.
fn from_own_file(path: &Path) -> Result<Option<Sum>, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    let Some(text) = small_text(Path::new(&name)) else {
        return Ok(None);
    };
    let source = format!("`{}`", Path::new(&name).display());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    // A publisher's file may name the package as it was called before it was renamed into the layout.
    let lines: Vec<(String, String)> = text.lines().filter_map(parse_line).collect();
    let line = lines
        .iter()
        .find(|(_, name)| *name == file)
        .or(match lines.as_slice() {
            [only] => Some(only),
            _ => None,
        });
    match line {
        Some((digits, _)) => Ok(Some(Sum {
            digits: digits.clone(),
            source,
        })),
        None => Err(format!("{source} holds no sha256 for this file")),
    }
}

/// `SHA256SUMS` in the same folder, if it has a line for the file.
fn from_list(path: &Path) -> Option<Sum> {
    let list = path.parent()?.join("SHA256SUMS");
    let text = small_text(&list)?;
    let file = path.file_name()?.to_str()?;
    let (digits, _) = text
        .lines()
        .filter_map(parse_line)
        .find(|(_, name)| name == file)?;
    Some(Sum {
        digits,
        source: format!("`{}`", list.display()),
    })
}

/// Digits and file name of a line as `sha256sum` writes it (also with `--tag`); the name may be missing.
fn parse_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("SHA256 (") {
        let (name, digits) = rest.rsplit_once(") = ")?;
        let digits = digits.trim().to_lowercase();
        return is_sha256(&digits).then(|| (digits, base_name(name)));
    }
    let (digits, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let digits = digits.to_lowercase();
    let digits = digits.strip_prefix("sha256:").unwrap_or(&digits).to_owned();
    is_sha256(&digits).then(|| (digits, base_name(name.trim_start().trim_start_matches('*'))))
}

fn base_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn small_text(path: &Path) -> Option<String> {
    let size = std::fs::metadata(path).ok()?.len();
    (size <= LARGEST).then(|| std::fs::read_to_string(path).ok())?
}

/// Whether a text is 64 lower-case hexadecimal digits.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn lines_of_every_tool() {
        for line in [
            format!("{A}  docker.tgz"),
            format!("{A} *dist/docker.tgz"),
            format!("SHA256 (docker.tgz) = {A}"),
            format!("{}\tdocker.tgz", A.to_uppercase()),
        ] {
            assert_eq!(
                parse_line(&line),
                Some((A.to_owned(), "docker.tgz".to_owned())),
                "{line}"
            );
        }
        assert_eq!(parse_line(A), Some((A.to_owned(), String::new())));
        assert_eq!(parse_line("# comment"), None);
    }

    #[test]
    fn files_beside_the_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.tgz");
        assert_eq!(from_own_file(&path), Ok(None));
        std::fs::write(
            folder.path().join("docker.tgz.sha256"),
            format!("{A}  docker-linux-x86_64.tgz\n"),
        )
        .unwrap();
        assert_eq!(from_own_file(&path).unwrap().unwrap().digits, A);
        std::fs::write(
            folder.path().join("SHA256SUMS"),
            format!("{A}  other\n{B}  docker.tgz\n"),
        )
        .unwrap();
        assert_eq!(from_list(&path).unwrap().digits, B);
        std::fs::write(folder.path().join("docker.tgz.sha256"), "not found\n").unwrap();
        assert!(
            from_own_file(&path)
                .unwrap_err()
                .contains("holds no sha256")
        );
    }
}
