//! Sending a file in slices, several commands at once over one connection, for lines on which one is held back by the
//! host's window.
//!
//! Slices are hashed on the host in their order, each as soon as all before it are there, by one more command. That one is
//! started when two slices are on their way at once: on a host that allows a single session it would wait for the
//! slices, and they for it. There it comes after them, and so it does when it turns out later that they wait for its channel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::super::{Progress, RemoteError, Session};
use super::scripts::{GATHER, SLICE as SEND_SLICE};
use super::source::PIECE;
use super::{Purpose, QUEUE, TICK, Upload, failure};
use crate::connect::{Command, Output, Stdin, TransportError};

/// Bytes of a slice: whole MiB.
pub(super) const SLICE: u64 = 32 * MEBIBYTE;

const MEBIBYTE: u64 = 1024 * 1024;

/// Slices on their way at once. With the command that hashes they are as many as a connection has channels.
const AT_ONCE: usize = 7;

/// What is shorter goes by one command.
const SHORTEST: u64 = 2 * SLICE;

/// A host that answers sooner takes in, by one command, more than its processor can decrypt: its window is 2 MiB.
const SHORTEST_WAY: Duration = Duration::from_millis(4);

/// For so many ticks slices wait for a channel before the command that hashes has to give up its own.
const PATIENCE: u32 = 20;

/// What is read of a slice before its command has a channel: only more than this is on its way.
const WAITING: u64 = (QUEUE * PIECE) as u64;

/// The slices that are on record and lie within what is there.
pub(super) fn whole(record: &str, have: u64, size: u64) -> BTreeSet<u64> {
    let numbers = record
        .split_whitespace()
        .filter_map(|word| word.parse().ok());
    let is_there =
        |&number: &u64| number < size.div_ceil(SLICE) && range_of(number, size).end <= have;
    numbers.filter(is_there).collect()
}

/// How many bytes are in no slice of these.
pub(super) fn missing(slices: &BTreeSet<u64>, size: u64) -> u64 {
    size.saturating_sub(bytes_of(slices, size))
}

fn bytes_of(slices: &BTreeSet<u64>, size: u64) -> u64 {
    let length = |&number: &u64| {
        let range = range_of(number, size);
        range.end.saturating_sub(range.start)
    };
    slices.iter().map(length).sum()
}

fn range_of(number: u64, size: u64) -> Range<u64> {
    let start = number.saturating_mul(SLICE).min(size);
    start..start.saturating_add(SLICE).min(size)
}

/// The command that hashes, and who tells it of slices.
struct Gathering<'a> {
    output: BoxFuture<'a, Result<Output, TransportError>>,
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    /// How many it knows of.
    told: u64,
}

impl Gathering<'_> {
    /// Tells it of all that follow what it knows.
    fn tell(&mut self, there: &BTreeSet<u64>) {
        while there.contains(&self.told) {
            let line = format!("{}\n", self.told * (SLICE / MEBIBYTE));
            // There is room for all of them; one that has ended is seen by its answer.
            let _ = self.sender.try_send(Ok(line.into()));
            self.told += 1;
        }
    }
}

impl Session {
    /// Whether so many bytes are sent faster by several commands.
    pub(super) async fn is_worth_slicing(&self, bytes: u64) -> bool {
        if bytes < SHORTEST {
            return false;
        }
        let way = self.connector.round_trip().await;
        way.is_some_and(|way| way >= SHORTEST_WAY)
    }

    /// Sends the slices that are not there.
    pub(super) async fn send_slices(
        &self,
        upload: &Upload,
        mut there: BTreeSet<u64>,
        progress: Progress<'_>,
        purpose: Purpose<'_>,
    ) -> Result<(Output, u64), RemoteError> {
        let size = upload.size;
        let had = bytes_of(&there, size);
        let mut to_send: VecDeque<u64> = (0..size.div_ceil(SLICE))
            .filter(|number| !there.contains(number))
            .collect();
        // They may have come otherwise, and not be on record.
        let mut to_record: Vec<u64> = there.iter().copied().collect();
        let mut on_their_way: BTreeMap<u64, Arc<AtomicU64>> = BTreeMap::new();
        let mut arrived = 0;
        let mut running = FuturesUnordered::new();
        let mut gathering: Option<Gathering<'_>> = None;
        let mut tick = tokio::time::interval(TICK);
        // For how many ticks no slice was on its way beside the command that hashes.
        let mut starved = 0;
        let mut may_gather = true;
        loop {
            while running.len() < AT_ONCE
                && let Some(number) = to_send.pop_front()
            {
                let sent = Arc::new(AtomicU64::new(0));
                on_their_way.insert(number, Arc::clone(&sent));
                let known = std::mem::take(&mut to_record);
                running.push(self.send_slice(upload, number, known, sent, purpose));
            }
            tokio::select! {
                done = running.next() => {
                    let Some(done) = done else { break };
                    let number = done?;
                    on_their_way.remove(&number);
                    arrived += bytes_of(&BTreeSet::from([number]), size);
                    there.insert(number);
                    if let Some(gathering) = &mut gathering {
                        gathering.tell(&there);
                    }
                }
                _ = tick.tick() => {
                    let moving = on_their_way.values().map(|sent| sent.load(Ordering::Relaxed));
                    let (count, bytes) = moving.fold((0, 0), |(count, bytes), sent| {
                        (count + usize::from(sent > WAITING), bytes + sent)
                    });
                    progress((had + arrived + bytes).min(size.saturating_sub(1)), size);
                    starved = if count == 0 && gathering.is_some() { starved + 1 } else { 0 };
                    if starved >= PATIENCE {
                        // There is one channel for both after all.
                        gathering = None;
                        may_gather = false;
                    } else if count > 1 && may_gather && gathering.is_none() {
                        gathering.insert(self.gather(upload)).tell(&there);
                    }
                }
                output = ended(&mut gathering) => {
                    // Before all were there: it cannot be good.
                    return Err(failure(upload, &output?, purpose));
                }
            }
        }
        let mut gathering = gathering.unwrap_or_else(|| self.gather(upload));
        gathering.tell(&there);
        let Gathering { output, sender, .. } = gathering;
        drop(sender);
        Ok((output.await?, arrived))
    }

    /// Sends one slice; answers its number.
    async fn send_slice(
        &self,
        upload: &Upload,
        number: u64,
        known: Vec<u64>,
        sent: Arc<AtomicU64>,
        purpose: Purpose<'_>,
    ) -> Result<u64, RemoteError> {
        let range = range_of(number, upload.size);
        let length = range.end - range.start;
        let command = Command::script(SEND_SLICE, upload.words())
            .arg(number.to_string())
            .arg((range.start / MEBIBYTE).to_string())
            .arg(length.to_string())
            .args(known.iter().map(u64::to_string));
        let output = self
            .send_range(command, upload, range, &sent, purpose)
            .await?;
        if !output.success() {
            return Err(failure(upload, &output, purpose));
        }
        if sent.load(Ordering::Relaxed) != length {
            return Err(RemoteError::failed(
                purpose(),
                "the file became shorter while it was read",
            ));
        }
        Ok(number)
    }

    /// Starts what hashes the slices.
    fn gather<'a>(&'a self, upload: &Upload) -> Gathering<'a> {
        let count = usize::try_from(upload.size.div_ceil(SLICE)).unwrap_or(usize::MAX / 2);
        let (sender, receiver) = mpsc::channel(count.clamp(1, usize::MAX >> 4));
        let command = Command::script(GATHER, upload.words()).arg((SLICE / MEBIBYTE).to_string());
        Gathering {
            output: self
                .run_reading(command, Stdin::Stream(Bytes::new(), receiver))
                .boxed(),
            sender,
            told: 0,
        }
    }
}

/// The answer of the command that hashes, once there is one.
async fn ended(gathering: &mut Option<Gathering<'_>>) -> Result<Output, TransportError> {
    match gathering {
        Some(gathering) => (&mut gathering.output).await,
        None => std::future::pending().await,
    }
}
