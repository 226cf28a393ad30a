//! The byte stream under a connection: how it is opened, and how a peer that stopped reading is noticed.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::connect::config::AddressFamily;

/// How long one address is tried alone before the next one is tried beside it.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How much of what comes before the protocol is kept for messages, in bytes.
const GREETING_KEPT: usize = 256;

/// Connects to the first address of a host that answers. The caller sets the time limit.
pub(super) async fn connect(host: &str, port: u16, family: AddressFamily) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await?
        .filter(|address| match family {
            AddressFamily::Any => true,
            AddressFamily::V4 => address.is_ipv4(),
            AddressFamily::V6 => address.is_ipv6(),
        })
        .collect();
    let mut attempts = FuturesUnordered::new();
    let waiting = addresses.into_iter();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in waiting {
        attempts.push(TcpStream::connect(address));
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return ready(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER) => {}
        }
    }
    while let Some(result) = attempts.next().await {
        match result {
            Ok(stream) => return ready(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Small packets at once: waiting for more to send costs 40 ms for every command.
fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The first bytes that the other end said, for messages about servers that are not SSH or do not want us.
#[derive(Debug, Clone, Default)]
pub(super) struct Greeting(Arc<Mutex<Vec<u8>>>);

impl Greeting {
    /// What was said before the identification of the protocol, if anything.
    pub(super) fn complaint(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let before: Vec<&str> = text
            .lines()
            .take_while(|line| !line.starts_with("SSH-"))
            .collect();
        let shown: String = before
            .join(" ")
            .chars()
            .filter(|character| !character.is_control())
            .collect();
        let shown = shown.trim();
        (!shown.is_empty()).then(|| shown.to_owned())
    }

    fn note(&self, data: &[u8]) {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = GREETING_KEPT.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(data.get(..room).unwrap_or_default());
    }
}

/// A stream whose writing fails when the other end takes nothing for too long. While a write waits, the protocol
/// above cannot send its signs of life, so a dead link would never be noticed during an upload.
pub(super) struct Watched<S> {
    inner: S,
    greeting: Greeting,
    greeting_is_full: bool,
    stall: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Watches a stream; `stall` is how long a single write may wait.
    pub(super) fn new(inner: S, stall: Duration) -> Self {
        Self {
            inner,
            greeting: Greeting::default(),
            greeting_is_full: false,
            stall,
            waiting: None,
        }
    }

    /// What the other end says first.
    pub(super) fn greeting(&self) -> Greeting {
        self.greeting.clone()
    }

    fn settle<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let until = Instant::now() + self.stall;
        let timer = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the host took no data for {} s", self.stall.as_secs()),
            ))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if !self.greeting_is_full && result.is_ready() {
            let new = buffer.filled().get(before..).unwrap_or_default();
            self.greeting.note(new);
            let length = self
                .greeting
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .len();
            self.greeting_is_full = length >= GREETING_KEPT;
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, data);
        self.settle(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(context);
        self.settle(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(context);
        self.settle(context, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_noticed() {
        let (near, _far) = tokio::io::duplex(16);
        let mut near = Watched::new(near, Duration::from_secs(45));
        let start = Instant::now();
        let error = near.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 45);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_waited_for() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Watched::new(near, Duration::from_secs(45));
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            let mut piece = [0; 16];
            while let Ok(count) = tokio::io::AsyncReadExt::read(&mut far, &mut piece).await {
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&piece[..count]);
                tokio::time::sleep(Duration::from_secs(40)).await;
            }
            all.len()
        });
        near.write_all(&[0; 64]).await.unwrap();
        near.shutdown().await.unwrap();
        drop(near);
        assert_eq!(reader.await.unwrap(), 64);
    }

    #[test]
    fn complaints_come_before_the_identification() {
        let greeting = Greeting::default();
        greeting.note(b"Exceeded MaxStartups\r\n");
        assert_eq!(greeting.complaint().unwrap(), "Exceeded MaxStartups");
        let greeting = Greeting::default();
        greeting.note(b"SSH-2.0-OpenSSH_9.2\r\n\0\0");
        assert_eq!(greeting.complaint(), None);
    }
}
