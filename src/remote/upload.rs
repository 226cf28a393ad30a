//! Sending a big file: streamed from a blocking reader with constant memory, resumed where an earlier attempt was cut
//! off, hashed on the host while it arrives, and renamed into place only when the sha256 is right.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::files::{digest_function, settle_function};
use super::{RemoteError, Session};
use crate::connect::{Command, Output, Stdin, TransportError};

/// Bytes per piece. Larger ones are no faster and smaller ones cost the reader's time.
const PIECE: usize = 256 * 1024;

/// Pieces that wait between the disk here and the wire.
const QUEUE: usize = 4;

/// Exit status of [`SEND`]: not all bytes arrived; the partial file stays.
const SHORT: u32 = 11;

/// Exit status of [`SEND`]: all bytes arrived and they are the wrong ones; the partial file is gone.
const WRONG: u32 = 12;

/// Makes room for an upload and answers how much of it is there (`have`), how much would fit (`free`, in KiB), and
/// `same` when the destination has the right bytes already, as after a run that was killed between sending and
/// whatever was to follow. Partial files of other contents for the same destination are of no use to anybody.
const PREPARE: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
dest=$1 part=$2 mode=$3 owner=$4 group=$5 size=$6 sum=$7 state=$8
folder=${dest%/*}
[ -n "$folder" ] || folder=/
umask 077
case $folder/ in "$state"/*) mkdir -p -- "$folder" || exit 1 ;; esac
[ -d "$folder" ] || { echo "the folder \`$folder\` is not there" >&2; exit 1; }
if [ -d "$dest" ] && [ ! -L "$dest" ]; then echo "\`$dest\` is a folder" >&2; exit 1; fi
for old in "$dest".kk-*.part; do
  if [ "$old" != "$part" ] || [ ! -f "$old" ] || [ -L "$old" ]; then rm -f -- "$old" || exit 1; fi
done
have=0
if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
if [ "$have" -gt "$size" ]; then rm -f -- "$part" || exit 1; have=0; fi
if [ -f "$dest" ] && [ ! -L "$dest" ] && [ $(($(wc -c <"$dest"))) -eq "$size" ]; then
  found=$(digest "$dest" "$size") || exit 1
  if [ "$found" = "$sum" ]; then
    attributes "$dest"
    rm -f -- "$part"
    echo same
    exit 0
  fi
fi
printf 'have=%s\n' "$have"
printf 'free=%s\n' "$(df -Pk "$folder" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9-]*%.*/\1/p')"
"#
);

const SEND: &str = concat!(
    digest_function!(),
    settle_function!(),
    r#"
dest=$1 part=$2 mode=$3 owner=$4 group=$5 size=$6 sum=$7 offset=$8
umask 077
have=0
if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
[ "$have" -eq "$offset" ] || { echo "the partial file changed while it was looked at" >&2; exit 1; }
found=$({ if [ "$offset" -gt 0 ]; then cat -- "$part"; fi; tee -a -- "$part"; } | digest - "$size") || exit 1
have=0
if [ -f "$part" ]; then have=$(($(wc -c <"$part"))); fi
if [ "$have" -ne "$size" ]; then
  printf 'free=%s\n' "$(df -Pk "$part" 2>/dev/null | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9-]*%.*/\1/p')"
  echo "only $have of $size bytes arrived" >&2
  exit 11
fi
if [ "$found" != "$sum" ]; then
  rm -f -- "$part"
  echo "the host has sha256 $found" >&2
  exit 12
fi
settle "$part" "$dest"
"#
);

/// A file of this machine and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file here.
    pub source: PathBuf,
    /// Its sha256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Absolute path there.
    pub dest: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner, or whoever owns the file now (else the session's user).
    pub owner: Option<String>,
    /// Group, likewise.
    pub group: Option<String>,
}

impl Upload {
    /// What both scripts are told first.
    fn words(&self, part: &str) -> [String; 7] {
        [
            self.dest.clone(),
            part.to_owned(),
            format!("{:04o}", self.mode),
            self.owner.clone().unwrap_or_default(),
            self.group.clone().unwrap_or_default(),
            self.size.to_string(),
            self.sha256.clone(),
        ]
    }
}

/// The sha256 and the size of a file of this machine. Blocks.
pub fn sha256_of_file(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; PIECE];
    let mut size = 0_u64;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hexadecimal(&hasher.finalize()), size));
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Session {
    /// Sends a file. `progress` is told how many bytes of it the host has, of how many. Answers how many bytes went
    /// over the wire.
    ///
    /// What an earlier attempt left in `<dest>.kk-<16 digits of the sha256>.part` is continued. The whole file's sha256
    /// is compared on the host; when it is wrong the file is sent once more from its beginning.
    pub async fn upload(
        &self,
        upload: &Upload,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<u64, RemoteError> {
        let purpose = || format!("send `{}` to `{}`", upload.source.display(), upload.dest);
        if !upload.dest.starts_with('/') || upload.dest.ends_with('/') {
            return Err(RemoteError::failed(
                purpose(),
                "the destination is not an absolute path of a file",
            ));
        }
        if upload.sha256.len() != 64 {
            return Err(RemoteError::failed(purpose(), "its sha256 is not known"));
        }
        let part = format!(
            "{}.kk-{}.part",
            upload.dest,
            upload.sha256.get(..16).unwrap_or_default()
        );
        let mut sent_in_all = 0;
        for attempt in 1..=2 {
            let Some(offset) = self.prepare(upload, &part, &purpose).await? else {
                progress(upload.size, upload.size);
                return Ok(sent_in_all);
            };
            progress(offset, upload.size);
            let (output, sent) = self
                .stream(upload, &part, offset, progress, &purpose)
                .await?;
            sent_in_all += sent;
            match output.status.code() {
                0 => {
                    progress(upload.size, upload.size);
                    return Ok(sent_in_all);
                }
                // A partial file of unknown origin may have been wrong from the start, so once more from zero.
                WRONG if attempt == 1 => {}
                WRONG => {
                    return Err(RemoteError::from_output(purpose(), &output).with_hint(
                        "the file here may have changed since it was hashed, or the host's disk or memory is bad",
                    ));
                }
                SHORT if output.stderr_text().contains("No space left") => {
                    return Err(no_space(&purpose(), upload.size, free_of(&output)));
                }
                _ => return Err(RemoteError::from_output(purpose(), &output)),
            }
        }
        Err(RemoteError::failed(
            purpose(),
            "the host never had the right bytes",
        ))
    }

    /// Asks how much is there already, `None` for all of it; refuses when the rest does not fit.
    async fn prepare(
        &self,
        upload: &Upload,
        part: &str,
        purpose: &(dyn Fn() -> String + Sync),
    ) -> Result<Option<u64>, RemoteError> {
        let command = Command::script(PREPARE, upload.words(part)).arg(self.state_dir());
        let output = self.run(command, Bytes::new()).await?;
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        if output.stdout_text().lines().any(|line| line == "same") {
            return Ok(None);
        }
        let have = number_of(&output, "have=").ok_or_else(|| {
            RemoteError::failed(purpose(), "the host did not say what it has already")
        })?;
        match free_of(&output) {
            Some(free) if upload.size.saturating_sub(have) > free => Err(no_space(
                &purpose(),
                upload.size.saturating_sub(have),
                Some(free),
            )),
            _ => Ok(Some(have)),
        }
    }

    async fn stream(
        &self,
        upload: &Upload,
        part: &str,
        offset: u64,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
        purpose: &(dyn Fn() -> String + Sync),
    ) -> Result<(Output, u64), RemoteError> {
        let command = Command::script(SEND, upload.words(part)).arg(offset.to_string());
        let (sender, receiver) = mpsc::channel(QUEUE);
        let sent = Arc::new(AtomicU64::new(0));
        let reader = tokio::task::spawn_blocking({
            let source = upload.source.clone();
            let size = upload.size;
            let sent = Arc::clone(&sent);
            move || read_into(&source, offset, size, &sender, &sent)
        });
        let result = {
            let exec = self.run_reading(command, Stdin::Stream(Bytes::new(), receiver));
            tokio::pin!(exec);
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            loop {
                tokio::select! {
                    result = &mut exec => break result,
                    _ = tick.tick() => progress(offset + sent.load(Ordering::Relaxed), upload.size),
                }
            }
        };
        // The receiver is gone by now, so the reader ends. What stopped the reader is the cause of what followed.
        if let Ok(Err(error)) = reader.await {
            return Err(RemoteError::failed(
                purpose(),
                format!("read `{}`: {error}", upload.source.display()),
            ));
        }
        let output = result.map_err(|error| match error {
            TransportError::Local { reason, .. } => RemoteError::failed(purpose(), reason),
            other => RemoteError::Transport(other),
        })?;
        Ok((output, sent.load(Ordering::Relaxed)))
    }
}

/// Reads the file from `offset` and hands over the pieces, until the other side wants no more.
fn read_into(
    source: &Path,
    offset: u64,
    size: u64,
    sender: &mpsc::Sender<std::io::Result<Bytes>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let read = || -> std::io::Result<()> {
        let mut file = std::fs::File::open(source)?;
        if file.metadata()?.len() != size {
            return Err(std::io::Error::other(
                "its size changed since it was hashed",
            ));
        }
        file.seek(SeekFrom::Start(offset))?;
        loop {
            let mut piece = vec![0_u8; PIECE];
            let mut filled = 0;
            while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                match file.read(rest) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            piece.truncate(filled);
            if filled == 0 || sender.blocking_send(Ok(piece.into())).is_err() {
                return Ok(());
            }
            sent.fetch_add(filled as u64, Ordering::Relaxed);
        }
    };
    let result = read();
    if let Err(error) = &result {
        let copy = std::io::Error::new(error.kind(), error.to_string());
        let _ = sender.blocking_send(Err(copy));
    }
    result
}

fn number_of(output: &Output, key: &str) -> Option<u64> {
    output
        .stdout_text()
        .lines()
        .find_map(|line| line.strip_prefix(key).and_then(|value| value.parse().ok()))
}

fn free_of(output: &Output) -> Option<u64> {
    number_of(output, "free=").map(|kibibytes| kibibytes.saturating_mul(1024))
}

fn no_space(purpose: &str, needed: u64, free: Option<u64>) -> RemoteError {
    let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let reason = match free {
        Some(free) => format!(
            "no space left: {} MiB more are needed and {} MiB are free",
            mebibytes(needed),
            free / (1024 * 1024)
        ),
        None => "no space left".to_owned(),
    };
    RemoteError::failed(purpose, reason).with_hint(
        "make room on that file system, then run again: the upload goes on where it stopped",
    )
}
