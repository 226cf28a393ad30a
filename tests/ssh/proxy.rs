//! A line between the program and a host that is long, that is cut, or that hangs: a TCP proxy that a test commands.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kk::connect::ssh::SshOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::server::{self, Server};

/// A line to one server. Dropped, all its connections are cut.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    /// How long a byte is on its way, in one direction.
    delay: Duration,
    /// How many bytes, of both directions, still pass before the end that was chosen.
    left: AtomicU64,
    /// At that end the line hangs; otherwise it is cut.
    hangs: AtomicBool,
    links: Mutex<Vec<CancellationToken>>,
    opened: AtomicU64,
    /// Whom the next connections reach.
    host: AtomicU16,
}

impl Proxy {
    /// A line on which a byte needs so long.
    pub async fn new(server: &Server, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            delay,
            left: AtomicU64::new(u64::MAX),
            hangs: AtomicBool::new(false),
            links: Mutex::new(Vec::new()),
            opened: AtomicU64::new(0),
            host: AtomicU16::new(server.port),
        });
        let accepting = Arc::downgrade(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Some(state) = accepting.upgrade() else {
                    break;
                };
                let host = state.host.load(Ordering::Acquire);
                let far = TcpStream::connect(("127.0.0.1", host)).await.unwrap();
                let end = CancellationToken::new();
                state.links.lock().unwrap().push(end.clone());
                state.opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(link(near, far, end, state));
            }
        });
        Self { port, state }
    }

    /// The server's options, over this line.
    pub fn options(&self, server: &Server) -> SshOptions {
        let mut options = server.options();
        let key = server::public_key(&server.path("host_ed25519"));
        options.known_hosts = server.known_hosts(&format!("[127.0.0.1]:{} {key}\n", self.port));
        options.port = self.port;
        options
    }

    /// Cuts every connection at once, as a firewall does that resets them.
    pub fn cut(&self) {
        for end in self.state.links.lock().unwrap().drain(..) {
            end.cancel();
        }
    }

    /// So many more bytes pass, of all connections and directions; then each connection is cut, or hangs.
    pub fn end_after(&self, bytes: u64, hangs: bool) {
        self.state.hangs.store(hangs, Ordering::Release);
        self.state.left.store(bytes, Ordering::Release);
    }

    /// Everything passes again.
    pub fn mend(&self) {
        self.state.left.store(u64::MAX, Ordering::Release);
        self.state.hangs.store(false, Ordering::Release);
    }

    /// New connections reach another server, as when somebody has taken the host's address.
    pub fn lead_to(&self, server: &Server) {
        self.state.host.store(server.port, Ordering::Release);
    }

    /// How many connections were made.
    pub fn opened(&self) -> u64 {
        self.state.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn link(mut near: TcpStream, mut far: TcpStream, end: CancellationToken, state: Arc<State>) {
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let both = async {
            tokio::join!(
                pass_on(near_read, far_write, &state, &end),
                pass_on(far_read, near_write, &state, &end)
            )
        };
        tokio::select! {
            _ = both => return,
            () = end.cancelled() => {}
        }
    }
    let _ = near.set_zero_linger();
    let _ = far.set_zero_linger();
}

async fn pass_on(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    state: &State,
    end: &CancellationToken,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let read = async {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut piece).await {
            let due = tokio::time::Instant::now() + state.delay;
            if count == 0 || sender.send((due, piece[..count].to_vec())).is_err() {
                break;
            }
        }
        drop(sender);
    };
    let write = async {
        while let Some((due, mut piece)) = receiver.recv().await {
            if !state.delay.is_zero() {
                tokio::time::sleep_until(due).await;
            }
            let length = piece.len() as u64;
            let left = state.left.load(Ordering::Acquire);
            let may_pass = left.min(length);
            if left != u64::MAX {
                state.left.store(left - may_pass, Ordering::Release);
            }
            piece.truncate(usize::try_from(may_pass).unwrap());
            if to.write_all(&piece).await.is_err() {
                return;
            }
            if may_pass < length {
                if !state.hangs.load(Ordering::Acquire) {
                    end.cancel();
                }
                std::future::pending::<()>().await;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
