//! SSH: one connection per host, many commands on it at once.
//!
//! The protocol is `russh`; what is decided here is whom to trust ([`known_hosts`](super::known_hosts)), how to log in,
//! how many channels are open, and what an end that was not seen means. It knows neither the inventory nor sudo.

mod authenticate;
mod channels;
mod handler;
mod hop;
mod keys;
mod lent;
mod line;
mod options;
mod pace;
mod proxy;
mod redial;
mod session;
mod shell;
mod short_key;
mod socket;
mod tunnel;

use std::sync::Arc;

pub use keys::KeyCache;
pub use lent::LentKey;
pub use options::{
    AskHostKey, AskPerson, HostKeyPolicy, HostKeyQuestion, PersonQuestion, SshOptions,
};
pub use pace::Pace;

use super::wire::new_marker;
use super::{Connector, TransportError};
use authenticate::Credentials;
use channels::Channels;
use hop::Hop;
use lent::Lending;
use redial::Redialing;
use session::SshConnector;

/// Connects to a host, through its jump hosts if there are any, and logs in.
///
/// Keys are read before anything is connected. A host that drops the connection before the key exchange is tried again
/// within the time limit; nothing has run on it by then. Every error is one that
/// [`did_not_run`](TransportError::did_not_run).
pub async fn connect(options: SshOptions) -> Result<Arc<dyn Connector>, TransportError> {
    let current = open(options.clone()).await?;
    Ok(Arc::new(Redialing::new(options, current)))
}

/// One connection.
async fn open(options: SshOptions) -> Result<Arc<SshConnector>, TransportError> {
    let mut options = options;
    let jumps = std::mem::take(&mut options.proxy_jump);
    let max_channels = options.max_channels;
    let pace = options.pace.take();
    let user = options.user.clone();
    let mut name = options.target();
    if !jumps.is_empty() {
        let through: Vec<String> = jumps.iter().map(SshOptions::target).collect();
        name = format!("{name} through {}", through.join(", "));
    }
    let mut route = Vec::new();
    for options in jumps.into_iter().chain([options]) {
        let lending = Arc::new(Lending::new(options.lends_keys));
        let options = Arc::new(SshOptions { lending, ..options });
        let credentials = Credentials::load(&options).await?;
        route.push((options, credentials));
    }
    let mut hops: Vec<Hop> = Vec::new();
    for (options, credentials) in route {
        let hop = hop::connect(options, credentials, hops.last()).await?;
        hops.push(hop);
    }
    let Some(last) = hops.pop() else {
        return Err(TransportError::Local {
            reason: "there is no host to connect to".to_owned(),
            hint: String::new(),
        });
    };
    let neighbourhood = last.neighbourhood();
    let channels = Channels::new(last.handle, last.ending, name.clone(), max_channels);
    Ok(Arc::new(SshConnector {
        channels,
        user,
        name,
        marker: new_marker(),
        hops,
        pace,
        neighbourhood,
    }))
}
