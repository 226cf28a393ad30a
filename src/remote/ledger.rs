//! The ledger: what kk made on a host and may take away again, one JSON object per line in
//! `<state>/ledger/<component>.jsonl`, a folder only root can read. Lines are texts here; what they mean is the modules'
//! part. Writing ahead of a step is [`Session::noting`].

use bytes::Bytes;

use super::{RemoteError, Session};
use crate::connect::{Command, Stdin};

/// Keeps only the lines that standard input does not have, and drops the file when none is left.
const FORGET: &str = r#"
ledger=$1 size=$2
[ -f "$ledger" ] || exit 0
umask 077
trap 'rm -f -- "$ledger.gone" "$ledger.new"' EXIT
cat >"$ledger.gone" || exit 1
have=$(($(wc -c <"$ledger.gone")))
[ "$have" -eq "$size" ] || { echo "only $have of $size bytes arrived" >&2; exit 1; }
grep -vxF -f "$ledger.gone" -- "$ledger" >"$ledger.new"
[ "$?" -le 1 ] || exit 1
if [ -s "$ledger.new" ]; then
  sync -- "$ledger.new" 2>/dev/null || :
  mv -f -- "$ledger.new" "$ledger" || exit 1
else
  rm -f -- "$ledger" "$ledger.gone" "$ledger.new" || exit 1
  rmdir -- "${ledger%/*}" 2>/dev/null || :
fi
exit 0
"#;

const READ: &str = r#"
if [ -d "$1" ]; then
  cd -- "$1" || exit 1
  for file in *.jsonl; do
    [ -f "$file" ] || continue
    printf 'ledger %s\n' "${file%.jsonl}"
    cat -- "$file" || exit 1
    echo
  done
  exit 0
fi
said=$(ls -d -- "$1" 2>&1) && { echo "\`$1\` is not a folder" >&2; exit 1; }
case $said in
  *"No such file or directory"*) exit 0 ;;
  *) printf '%s\n' "$said" >&2; exit 1 ;;
esac
"#;

/// The file of a ledger.
pub(super) fn file(state: &str, component: &str) -> String {
    format!("{state}/ledger/{component}.jsonl")
}

/// Whether a text can name a ledger.
fn check_name(component: &str) -> Result<(), RemoteError> {
    let fine =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if !component.is_empty() && component.bytes().all(fine) {
        return Ok(());
    }
    Err(
        RemoteError::failed("use the ledger", format!("`{component}` cannot name one"))
            .with_hint("use lower-case letters, digits, `-` and `_`"),
    )
}

impl Session {
    /// Every ledger of the host with its lines, by name. An absent folder is no ledger; a folder that cannot be read
    /// is an error.
    pub async fn ledgers(&self) -> Result<Vec<(String, Vec<String>)>, RemoteError> {
        let folder = format!("{}/ledger", self.state_dir());
        let output = self.probe(Command::script(READ, [folder])).await?;
        if !output.success() {
            return Err(RemoteError::from_output("read the ledger", &output));
        }
        let mut ledgers: Vec<(String, Vec<String>)> = Vec::new();
        for line in output.stdout_text().lines() {
            if let Some(name) = line.strip_prefix("ledger ") {
                ledgers.push((name.to_owned(), Vec::new()));
            } else if let Some((_, lines)) = ledgers.last_mut()
                && line.starts_with('{')
            {
                lines.push(line.to_owned());
            }
        }
        Ok(ledgers)
    }

    /// The lines of one ledger; none when there is no such ledger.
    pub async fn ledger(&self, component: &str) -> Result<Vec<String>, RemoteError> {
        check_name(component)?;
        let ledgers = self.ledgers().await?;
        Ok(ledgers
            .into_iter()
            .find(|(name, _)| name == component)
            .map(|(_, lines)| lines)
            .unwrap_or_default())
    }

    /// Adds lines that are not there yet.
    pub async fn ledger_add(&self, component: &str, lines: Vec<String>) -> Result<(), RemoteError> {
        check_name(component)?;
        if lines.is_empty() {
            return Ok(());
        }
        let noting = self.noting(Some(super::Note {
            component: component.to_owned(),
            lines,
        }));
        let output = noting.run(Command::new("true"), Bytes::new()).await?;
        if output.success() {
            Ok(())
        } else {
            Err(RemoteError::from_output("write the ledger", &output))
        }
    }

    /// The command that takes lines out of a ledger, and what it reads.
    pub(crate) fn forgetting(
        &self,
        component: &str,
        lines: &[String],
    ) -> Result<(Command, Bytes), RemoteError> {
        check_name(component)?;
        let gone: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let command = Command::script(
            FORGET,
            [file(self.state_dir(), component), gone.len().to_string()],
        );
        Ok((command, gone.into()))
    }

    /// Takes lines out; the last one takes the file with it.
    pub async fn ledger_forget(
        &self,
        component: &str,
        lines: &[String],
    ) -> Result<(), RemoteError> {
        if lines.is_empty() {
            return Ok(());
        }
        let (command, input) = self.forgetting(component, lines)?;
        let output = self.run_reading(command, Stdin::Bytes(input)).await?;
        if output.success() {
            Ok(())
        } else {
            Err(RemoteError::from_output("write the ledger", &output))
        }
    }
}
