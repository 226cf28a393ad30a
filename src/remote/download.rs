//! Bringing a big file here: streamed with constant memory into a file beside the destination, resumed where an earlier
//! attempt was cut off, and renamed into place only when its sha256 is the one that the host's file has.
//!
//! The host sends what it was asked for and no more: a line on its standard input asks for so many blocks. So what is on its
//! way is bounded whatever the disk here does, a limit of the rate needs no more than asking later, and the host's command
//! ends by itself when nobody asks any more.

mod part;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::files::digest_function;
use super::{Progress, RemoteError, Session, Sums};
use crate::connect::{Command, Stdin};
use part::{Beside, Part};

/// Bytes of a block where nothing limits the rate.
const BLOCK: u64 = 1024 * 1024;

/// Blocks that are asked for by one line.
const BLOCKS_AT_ONCE: u64 = 4;

/// Lines that may be unanswered: one is sent while the other's blocks arrive.
const LINES_AHEAD: u64 = 2;

/// The smallest block, where the rate is limited. A block is about a quarter of what a second may bring.
const SMALLEST_BLOCK: u64 = 4 * 1024;

/// Pieces that wait for the disk here.
const QUEUE: usize = 16;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// How often a file is looked at anew because what arrived was not what had been looked at.
const ATTEMPTS: u32 = 3;

/// The most bytes of a file that has not the size it says, as those of `/proc` and `/sys`, whose texts are made when they are
/// read.
const LARGEST_MADE: u64 = 16 * 1024 * 1024;

/// `$1` path, `$2` [`LARGEST_MADE`]: how big it is, and the sha256 of so many bytes of it. It may grow meanwhile, as a log
/// does. Of a file that holds something else than its size says, and goes on saying so, the sha256 and what it held when
/// it was read, once: the next time it may be something else.
const STAMP: &str = concat!(
    digest_function!(),
    r#"
path=$1 most=$2
case $path in "~/"*) path=${HOME%/}/${path#"~/"} ;; esac
[ -f "$path" ] || { echo "it is not a file any more" >&2; exit 1; }
size=$(stat -L -c %s -- "$path") && hasher "$size" || exit 1
if [ "$size" -le "$most" ]; then
  umask 077
  copy=$(mktemp) || exit 1
  exec 3>"$copy" 4<"$copy" 5<"$copy" 6<"$copy"
  rm -f -- "$copy"
  head -c "$((most + 1))" <"$path" >&3 || exit 1
  have=$(($(wc -c <&4)))
  now=$(stat -L -c %s -- "$path") || exit 1
  if [ "$have" -ne "$size" ] && [ "$now" = "$size" ]; then
    [ "$have" -le "$most" ] || { echo "it has not the size it says, and more than $most bytes" >&2; exit 1; }
    said=$($tool <&5) && found=$(hash_of "$said") || exit 1
    printf 'made=%s\n' "$found"
    cat <&6
    exit 0
  fi
fi
said=$(head -c "$size" <"$path" | $tool) && found=$(hash_of "$said") || exit 1
printf 'size=%s\nsha256=%s\n' "$size" "$found"
"#
);

/// `$1` path, `$2` bytes of a block, `$3` how many blocks are there already, and `$4` the sha256 of those. Says from which
/// block on it sends, then sends as many as each line asks for.
const SEND: &str = concat!(
    digest_function!(),
    r#"
path=$1 block=$2 skip=$3 prefix=$4
case $path in "~/"*) path=${HOME%/}/${path#"~/"} ;; esac
[ -f "$path" ] || { echo "it is not a file any more" >&2; exit 1; }
exec 3<"$path" 4>&1 || exit 1
if [ "$skip" -gt 0 ]; then
  hasher "$((skip * block))" || exit 1
  said=$(dd bs="$block" count="$skip" <&3 2>/dev/null | $tool) && found=$(hash_of "$said") || exit 1
  if [ "$found" != "$prefix" ]; then
    skip=0
    exec 3<"$path" || exit 1
  fi
fi
printf 'from=%s\n' "$skip"
while read -r count; do
  said=$(dd bs="$block" count="$count" <&3 2>&1 >&4) || { printf '%s\n' "$said" >&2; exit 1; }
  # Less than that is the end of the file.
  case $said in "$count+0 "*) ;; *) break ;; esac
done
"#
);

/// A file of the host as it was looked at, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The path there; `~/` is the user's home folder.
    pub source: String,
    /// Its sha256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The file here. Folders above it are made.
    pub dest: PathBuf,
}

/// What was brought here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Bytes that went over the wire.
    pub bytes: u64,
    /// The file's size.
    pub size: u64,
    /// Its sha256.
    pub sha256: String,
    /// Its SHA-1.
    pub sha1: String,
}

impl Session {
    /// Brings a file here. `progress` is told how many bytes of it are here, of how many.
    ///
    /// What an earlier attempt left in `<dest>.kk-<16 digits of the sha256>.part` is continued, when the host's file begins
    /// like it. The file takes its place when the whole has the sha256 that was looked at; when it has not, because it
    /// changed there, it is looked at anew, a few times.
    pub async fn download(
        &self,
        download: &Download,
        progress: Progress<'_>,
    ) -> Result<Received, RemoteError> {
        let purpose = || {
            let dest = download.dest.display();
            format!("fetch `{}` to `{dest}`", download.source)
        };
        let mut wanted = download.clone();
        let mut bytes = 0;
        for attempt in 1..=ATTEMPTS {
            if attempt > 1 {
                match self.stamp(&wanted, &purpose).await? {
                    Stamp::Looked(looked) => wanted = looked,
                    Stamp::Made(looked, text) => {
                        let beside = beside(&looked, BLOCK);
                        bytes += looked.size;
                        let part = blocking(move || {
                            let mut part = Part::open(&beside)?;
                            part.hold(&text)?;
                            Ok(part)
                        })
                        .await
                        .map_err(|reason| RemoteError::failed(purpose(), reason))?;
                        let sums = part.sums();
                        if sums.sha256 != looked.sha256 {
                            let _ = blocking(move || part.discard()).await;
                            continue;
                        }
                        return settled(part, bytes, progress, &purpose).await;
                    }
                }
            }
            let (sums, came, part) = self.attempt(&wanted, progress, &purpose).await?;
            bytes += came;
            if sums.sha256 == wanted.sha256 && sums.size == wanted.size {
                return settled(part, bytes, progress, &purpose).await;
            }
            // Of no use to anybody: it is not what it is called after.
            let _ = blocking(move || part.discard()).await;
        }
        Err(
            RemoteError::failed(purpose(), "it changed while it was read")
                .with_hint("stop what writes it meanwhile, or fetch a copy of it"),
        )
    }

    /// Looks at the file anew.
    async fn stamp(
        &self,
        download: &Download,
        purpose: &(dyn Fn() -> String + Sync),
    ) -> Result<Stamp, RemoteError> {
        let command =
            Command::script(STAMP, [download.source.as_str()]).arg(LARGEST_MADE.to_string());
        let output = self.probe(command).await?;
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        let line = output.stdout.strip_prefix(b"made=");
        if let Some((sum, text)) = line.and_then(|line| line.split_at_checked(64))
            && let Some(text) = text.strip_prefix(b"\n")
        {
            let looked = Download {
                size: text.len() as u64,
                sha256: String::from_utf8_lossy(sum).into_owned(),
                ..download.clone()
            };
            return Ok(Stamp::Made(looked, Bytes::copy_from_slice(text)));
        }
        let text = output.stdout_text();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        match (
            value("size=").and_then(|size| size.parse().ok()),
            value("sha256="),
        ) {
            (Some(size), Some(sha256)) => Ok(Stamp::Looked(Download {
                size,
                sha256: sha256.to_owned(),
                ..download.clone()
            })),
            _ => Err(RemoteError::failed(
                purpose(),
                "the host's answer was not understood",
            )),
        }
    }

    /// Brings what is missing; answers what is here then, and how many bytes came.
    async fn attempt(
        &self,
        download: &Download,
        progress: Progress<'_>,
        purpose: &(dyn Fn() -> String + Sync),
    ) -> Result<(Sums, u64, Part), RemoteError> {
        let failed = |reason: String| RemoteError::failed(purpose(), reason);
        let pace = self.connector.pace();
        let (block, at_once) = match &pace {
            None => (BLOCK, BLOCKS_AT_ONCE),
            Some(pace) => {
                let share = pace.bytes_per_second() / 4;
                (share.clamp(SMALLEST_BLOCK, BLOCK), 1)
            }
        };
        let beside = beside(download, block);
        let part = blocking(move || Part::open(&beside))
            .await
            .map_err(failed)?;
        let (skip, prefix) = part.begun();
        let command = Command::script(SEND, [download.source.as_str()])
            .arg(block.to_string())
            .arg(skip.to_string())
            .arg(prefix);
        let (taker, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let (tell, here) = watch::channel(None);
        let writing = tokio::task::spawn_blocking(move || {
            let mut part = part;
            let came = part.take(&mut pieces, &tell);
            (part, came)
        });
        let (lines, stdin) = mpsc::channel(1);
        let ask = ask(
            lines,
            here.clone(),
            download.size,
            block * at_once,
            |count| {
                let pace = pace.clone();
                async move {
                    if let Some(pace) = pace {
                        pace.wait_for(usize::try_from(count).unwrap_or(usize::MAX))
                            .await;
                    }
                    count.div_ceil(block)
                }
            },
        );
        let exec = self.probe_into(command, Stdin::Stream(Bytes::new(), stdin), taker);
        let both = async { tokio::join!(exec, ask).0 };
        let output = {
            tokio::pin!(both);
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    output = &mut both => break output,
                    _ = tick.tick() => {
                        let bytes = here.borrow().as_ref().map(|here| here.end);
                        // Only what is in its place is all of it.
                        let most = download.size.saturating_sub(1);
                        if let Some(bytes) = bytes
                            && most > 0
                        {
                            progress(bytes.min(most), download.size);
                        }
                    }
                }
            }
        };
        // Nobody hands it anything any more, so it ends. What stopped it is the cause of what followed.
        let (part, came) = writing.await.map_err(|error| failed(error.to_string()))?;
        let came = came.map_err(failed)?;
        let output = output?;
        if !output.success() {
            return Err(RemoteError::from_output(purpose(), &output));
        }
        Ok((part.sums(), came, part))
    }
}

/// A file that was looked at anew.
enum Stamp {
    Looked(Download),
    /// What it held, when it has not the size it says.
    Made(Download, Bytes),
}

/// Where a download grows.
fn beside(download: &Download, block: u64) -> Beside {
    Beside {
        dest: download.dest.clone(),
        sha256: download.sha256.clone(),
        size: download.size,
        block,
    }
}

/// Puts a whole file in its place.
async fn settled(
    part: Part,
    bytes: u64,
    progress: Progress<'_>,
    purpose: &(dyn Fn() -> String + Sync),
) -> Result<Received, RemoteError> {
    let sums = part.sums();
    blocking(move || part.settle())
        .await
        .map_err(|reason| RemoteError::failed(purpose(), reason))?;
    progress(sums.size, sums.size);
    Ok(Received {
        bytes,
        size: sums.size,
        sha256: sums.sha256,
        sha1: sums.sha1,
    })
}

/// Asks for blocks as what was asked for arrives, so that two lines at most are unanswered, until all is `here`. `turn` waits
/// until so many bytes may come, and says how many blocks that is.
async fn ask<Turn: Future<Output = u64>>(
    lines: mpsc::Sender<std::io::Result<Bytes>>,
    mut here: watch::Receiver<Option<Range<u64>>>,
    size: u64,
    most: u64,
    turn: impl Fn(u64) -> Turn,
) {
    let mut asked = 0;
    loop {
        let there = here.borrow_and_update().clone();
        let end = there.as_ref().map_or(0, |there| there.start) + asked;
        let has_room = match there {
            // One line need not wait to learn where the host begins.
            None => asked == 0,
            Some(_) if asked > 0 && end >= size => return,
            Some(there) => end.saturating_sub(there.end) < LINES_AHEAD * most,
        };
        if has_room {
            let left = size.saturating_sub(end);
            let length = most.min(left).max(1);
            let blocks = turn(length).await;
            if lines.send(Ok(format!("{blocks}\n").into())).await.is_err() {
                return;
            }
            asked += length;
            continue;
        }
        // Nobody writes any more.
        if here.changed().await.is_err() {
            return;
        }
    }
}

/// Runs what may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(error.to_string()),
    }
}
