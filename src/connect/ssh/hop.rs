//! One SSH connection up to the login: directly, or through a hop before it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{AlgorithmKind, Disconnect, Preferred, SshId, cipher, compression, kex, mac};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::time::Instant;

use super::authenticate::{Credentials, authenticate};
use super::handler::{AskClock, Client, Ending, SessionError};
use super::options::SshOptions;
use super::proxy::Proxy;
use super::session::Neighbourhood;
use super::socket::{self, Greeting, Watched};
use super::tunnel::Tunnel;
use crate::connect::TransportError;

/// Logging in may take so many times the time to connect: a host waits on purpose after a wrong password.
const LOGIN_FACTOR: u32 = 3;

/// What is read from a host at once, in bytes: the answers of most commands. Longer ones are read in longer pieces.
const READ_AHEAD: usize = 4096;

/// The wait before the second attempt; it doubles each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Best first: AES-GCM is what both ends have in hardware.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

/// Host key types, best first.
const HOST_KEYS: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// How many messages wait between a command's input and the wire, 32 KiB each. They are encrypted together and then sent:
/// more of them than a processor keeps at hand cost time, and memory for every host.
const MESSAGES: usize = 16;

/// A session that is logged in.
pub(super) struct Hop {
    /// The session.
    pub(super) handle: Handle<Client>,
    /// Why it ended, once it has.
    pub(super) ending: Ending,
    options: Arc<SshOptions>,
}

impl Hop {
    /// How other hosts reach this one.
    pub(super) fn neighbourhood(&self) -> Neighbourhood {
        let address = self.options.neighbours_address.as_ref();
        Neighbourhood {
            host: address.unwrap_or(&self.options.host).clone(),
            port: self.options.port,
            lending: Arc::clone(&self.options.lending),
        }
    }

    /// Ends the session.
    pub(super) async fn close(&self) {
        self.ending.note_closed_here();
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "")
            .await;
    }
}

/// Connects, verifies the host key and logs in.
pub(super) async fn connect(
    options: Arc<SshOptions>,
    credentials: Credentials,
    through: Option<&Hop>,
) -> Result<Hop, TransportError> {
    let config = Arc::new(config(&options));
    let (mut handle, ending) = open_patiently(&options, &config, through).await?;
    let limit = options.connect_timeout * LOGIN_FACTOR;
    let clock = AskClock::default();
    let login = authenticate(&mut handle, &options, credentials, &ending, clock.clone());
    // Most connections never need the most that it may hold.
    match clock.within(limit, Box::pin(login)).await {
        Some(result) => result?,
        None => {
            return Err(TransportError::Unreachable {
                target: options.target(),
                reason: format!("the login did not end within {} s", limit.as_secs()),
            });
        }
    }
    Ok(Hop {
        handle,
        ending,
        options,
    })
}

/// Why one attempt to connect failed.
enum Failure {
    /// It may go better in a moment: the host dropped the connection before anything was agreed on.
    Dropped(String),
    /// It will not.
    Final(TransportError),
}

/// Connects up to the end of the key exchange. Hosts that are busy drop connections (`MaxStartups`), and nothing has run
/// on them by then, so it is tried again until the time is over.
async fn open_patiently(
    options: &Arc<SshOptions>,
    config: &Arc<Config>,
    through: Option<&Hop>,
) -> Result<(Handle<Client>, Ending), TransportError> {
    let clock = AskClock::default();
    let limit = options.connect_timeout;
    let start = Instant::now();
    let mut last: Option<String> = None;
    let mut attempts = 0_u32;
    loop {
        let left = (start + limit + clock.spent()).saturating_duration_since(Instant::now());
        let attempt = open(options, config, through, &clock);
        let failure = match clock.within(left, attempt).await {
            Some(Ok(opened)) => return Ok(opened),
            Some(Err(Failure::Final(error))) => return Err(error),
            Some(Err(Failure::Dropped(reason))) => reason,
            None => {
                let reason = last.map_or_else(
                    || format!("no answer within {} s", limit.as_secs_f32()),
                    |last| format!("{last} ({attempts} attempts in {} s)", limit.as_secs_f32()),
                );
                return Err(unreachable(options, reason));
            }
        };
        attempts += 1;
        let wait = FIRST_WAIT
            .saturating_mul(2_u32.saturating_pow(attempts - 1))
            .min(LONGEST_WAIT)
            .mul_f64(rand::random_range(0.5..1.0));
        if Instant::now() + wait >= start + limit + clock.spent() {
            return Err(unreachable(
                options,
                format!("{failure} ({attempts} attempts)"),
            ));
        }
        last = Some(failure);
        tokio::time::sleep(wait).await;
    }
}

async fn open(
    options: &Arc<SshOptions>,
    config: &Arc<Config>,
    through: Option<&Hop>,
    clock: &AskClock,
) -> Result<(Handle<Client>, Ending), Failure> {
    match through {
        None => {
            if let Some(command) = &options.proxy_command {
                return open_by_command(command, options, config, clock).await;
            }
            let stream = socket::connect(&options.host, options.port, options.address_family)
                .await
                .map_err(|error| not_connected(options, &error))?;
            exchange(stream, options, config, clock).await
        }
        Some(hop) => {
            let channel = hop
                .handle
                .channel_open_direct_tcpip(&options.host, u32::from(options.port), "127.0.0.1", 0)
                .await
                .map_err(|error| not_forwarded(options, hop, &error))?;
            exchange(Tunnel::new(channel.into_stream()), options, config, clock).await
        }
    }
}

/// Over the input and output of a `ProxyCommand`.
async fn open_by_command(
    command: &str,
    options: &Arc<SshOptions>,
    config: &Arc<Config>,
    clock: &AskClock,
) -> Result<(Handle<Client>, Ending), Failure> {
    let proxy = Proxy::start(command).map_err(|error| {
        Failure::Final(unreachable(
            options,
            format!("start the `ProxyCommand`: {}", plain(&error)),
        ))
    })?;
    let fate = proxy.fate();
    let failure = match exchange(proxy, options, config, clock).await {
        Ok(opened) => return Ok(opened),
        Err(failure) => failure,
    };
    Err(match failure {
        Failure::Dropped(reason) => match fate.told(&reason).await {
            (reason, true) => Failure::Final(unreachable(options, reason)),
            (reason, false) => Failure::Dropped(reason),
        },
        Failure::Final(TransportError::Unreachable { reason, .. }) => {
            Failure::Final(unreachable(options, fate.told(&reason).await.0))
        }
        other @ Failure::Final(_) => other,
    })
}

/// The protocol from its first byte to the verified host key.
async fn exchange<S>(
    stream: S,
    options: &Arc<SshOptions>,
    config: &Arc<Config>,
    clock: &AskClock,
) -> Result<(Handle<Client>, Ending), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stall = options.keepalive_interval * options.keepalive_count.max(1);
    // The protocol is read in pieces of some bytes; a packet is one system call this way.
    let stream = BufReader::with_capacity(READ_AHEAD, stream);
    let stream = Watched::new(stream, stall);
    let greeting = stream.greeting();
    let ending = Ending::default();
    let client = Client {
        options: Arc::clone(options),
        ending: ending.clone(),
        clock: clock.clone(),
    };
    match russh::client::connect_stream(Arc::clone(config), stream, client).await {
        Ok(handle) => Ok((handle, ending)),
        Err(SessionError::HostKey(error)) => Err(Failure::Final(*error)),
        Err(SessionError::Protocol(error)) => Err(failure(options, &greeting, error)),
    }
}

fn config(options: &SshOptions) -> Config {
    let mut config = Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-kk_",
            env!("CARGO_PKG_VERSION")
        ))),
        keepalive_interval: Some(options.keepalive_interval),
        // The library gives up at the interval after this many.
        keepalive_max: usize::try_from(options.keepalive_count.saturating_sub(1).max(1))
            .unwrap_or(1),
        nodelay: true,
        channel_buffer_size: MESSAGES,
        ..Config::default()
    };
    let (name, port) = options.known_as();
    config.preferred = Preferred {
        kex: Cow::Borrowed(KEY_EXCHANGES),
        key: Cow::Owned(host_key_order(options)),
        host_key_certificates: if options.known_hosts.has_authority(name, port) {
            Cow::Borrowed(&HOST_KEYS)
        } else {
            Cow::Borrowed(&[])
        },
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    };
    config
}

/// Types of which a key is known come first, so that the host presents that one.
fn host_key_order(options: &SshOptions) -> Vec<Algorithm> {
    let (name, port) = options.known_as();
    let known = options.known_hosts.known_algorithms(name, port);
    let is_known = |algorithm: &Algorithm| {
        known.iter().any(|known| match (known, algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (known, algorithm) => known == algorithm,
        })
    };
    let (mut first, rest): (Vec<Algorithm>, Vec<Algorithm>) =
        HOST_KEYS.into_iter().partition(is_known);
    first.extend(rest);
    first
}

fn unreachable(options: &SshOptions, reason: String) -> TransportError {
    TransportError::Unreachable {
        target: options.address(),
        reason,
    }
}

fn not_connected(options: &SshOptions, error: &io::Error) -> Failure {
    let reason = plain(error);
    if is_drop(error.kind()) {
        Failure::Dropped(reason)
    } else {
        Failure::Final(unreachable(options, reason))
    }
}

fn not_forwarded(options: &SshOptions, hop: &Hop, error: &russh::Error) -> Failure {
    let by = hop.options.target();
    let reason = match error {
        russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::AdministrativelyProhibited) => {
            format!("the jump host {by} does not forward (`AllowTcpForwarding`, `PermitOpen`)")
        }
        russh::Error::ChannelOpenFailure(failure) => {
            format!(
                "the jump host {by} cannot connect to it: {}",
                failure.description().to_lowercase()
            )
        }
        _ => format!(
            "the connection to the jump host {by} is gone: {}",
            hop.ending.reason()
        ),
    };
    Failure::Final(unreachable(options, reason))
}

/// What an error before the end of the key exchange means.
fn failure(options: &SshOptions, greeting: &Greeting, error: russh::Error) -> Failure {
    let complaint = greeting.complaint();
    let closed = || {
        complaint.clone().map_or_else(
            || "the host closed the connection at once".to_owned(),
            |said| format!("the host closed the connection and said `{said}`"),
        )
    };
    match error {
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::RecvError => {
            Failure::Dropped(closed())
        }
        russh::Error::IO(error) if is_drop(error.kind()) => {
            if error.kind() == io::ErrorKind::UnexpectedEof || complaint.is_some() {
                Failure::Dropped(closed())
            } else {
                Failure::Dropped(plain(&error))
            }
        }
        russh::Error::IO(error) => Failure::Final(unreachable(options, plain(&error))),
        russh::Error::Version => Failure::Final(unreachable(
            options,
            complaint.map_or_else(
                || "it does not speak SSH".to_owned(),
                |said| format!("it does not speak SSH; it says `{said}`"),
            ),
        )),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => Failure::Final(unreachable(
            options,
            format!(
                "the host and this program have no {} in common; it offers {}",
                algorithm_kind(&kind),
                theirs.join(", ")
            ),
        )),
        other => Failure::Final(unreachable(options, other.to_string().to_lowercase())),
    }
}

fn algorithm_kind(kind: &AlgorithmKind) -> &'static str {
    match kind {
        AlgorithmKind::Kex => "key exchange method",
        AlgorithmKind::Key => "host key type",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "message authentication code",
    }
}

/// Whether a connection was there and was dropped, as busy hosts do.
fn is_drop(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

/// A system error without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((before, _)) => before.to_lowercase(),
        None => text,
    }
}
