//! A limit on how fast this program sends and receives, for lines that others need as well. All connections that share one share its
//! rate.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many bytes may go either way in a second, of all who share it.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: NonZeroU64,
    /// When what went so far has had its time.
    free_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many bytes in a second.
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(None),
        }
    }

    /// How many bytes that is in a second.
    pub fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.get()
    }

    /// Waits until so many bytes may go.
    pub(crate) async fn wait_for(&self, bytes: usize) {
        let nanoseconds = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let length = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        let start = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = free_at.map_or(now, |free_at| free_at.max(now));
            *free_at = Some(start.checked_add(length).unwrap_or(start));
            start
        };
        tokio::time::sleep_until(start).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_share_it_share_its_rate() {
        let pace = Pace::new(NonZeroU64::new(1_000_000).unwrap());
        let start = Instant::now();
        let one = async {
            for _ in 0..50 {
                pace.wait_for(20_000).await;
            }
        };
        let other = async {
            for _ in 0..10 {
                pace.wait_for(100_000).await;
            }
        };
        tokio::join!(one, other);
        let took = start.elapsed();
        // 2 MB in all; the last piece need not be waited for.
        assert!(
            took > Duration::from_millis(1890) && took <= Duration::from_secs(2),
            "{took:?}"
        );
        // Time in which nothing was sent is not saved up.
        tokio::time::sleep(Duration::from_secs(9)).await;
        let start = Instant::now();
        pace.wait_for(500_000).await;
        pace.wait_for(1).await;
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(500), "{took:?}");
    }
}
