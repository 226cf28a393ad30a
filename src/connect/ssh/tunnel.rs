//! The way through a jump host: a channel of its session that carries the session behind it.
//!
//! The session inside writes all that it has before it reads on. Would what arrives for it wait for that, it would keep
//! the session outside from reading, also that the jump host takes in more: and then neither ever goes on. So what arrives
//! is taken at once. How much that can be is limited by what the session inside has asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// More than this never waits: each channel inside has a window of 2 MiB, and there are some ten. A jump host that sends
/// more sends what nobody asked for.
const MOST: usize = 64 * 1024 * 1024;

/// Room for one packet.
const PIECE: usize = 32 * 1024;

/// Both directions of a stream.
pub(super) struct Tunnel<S> {
    writer: WriteHalf<S>,
    pieces: UnboundedReceiver<Bytes>,
    /// Bytes that wait in `pieces`.
    waiting: Arc<AtomicUsize>,
    piece: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Tunnel<S> {
    /// Over the stream of a channel. It ends when that does.
    pub(super) fn new(stream: S) -> Self {
        let (mut reader, writer) = io::split(stream);
        let (sender, pieces) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let waiting = Arc::clone(&waiting);
            async move {
                let mut buffer = BytesMut::new();
                loop {
                    buffer.reserve(PIECE);
                    let length = tokio::select! {
                        length = reader.read_buf(&mut buffer) => length.unwrap_or(0),
                        () = sender.closed() => break,
                    };
                    let before = waiting.fetch_add(length, Ordering::Relaxed);
                    if length == 0
                        || before + length > MOST
                        || sender.send(buffer.split().freeze()).is_err()
                    {
                        break;
                    }
                }
            }
        });
        Self {
            writer,
            pieces,
            waiting,
            piece: Bytes::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Tunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            match ready!(self.pieces.poll_recv(context)) {
                Some(piece) => {
                    self.waiting.fetch_sub(piece.len(), Ordering::Relaxed);
                    self.piece = piece;
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = buffer.remaining().min(self.piece.len());
        buffer.put_slice(self.piece.get(..length).unwrap_or_default());
        self.piece.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Tunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}
