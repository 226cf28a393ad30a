//! What a host is, read in one round trip. Each fact is a probe (a piece of a POSIX script) and a parse.
//!
//! Responsible for asking a host about itself and for making sense of the answer. It may not change anything on the
//! host: no file, no service, no kernel module; and it judges nothing, which is `precheck`'s part. A probe that fails
//! leaves its fact empty and never the others.

mod ansible;
mod ansible_devices;
mod ansible_hardware;
mod ansible_links;
mod ansible_network;
mod answer;
mod clock;
mod engines;
#[cfg(test)]
mod fixtures;
mod frame;
mod gather;
mod local_facts;
mod model;
mod network;
mod peers;
mod services;
mod sockets;
mod storage;
mod subset;
mod system;
mod vars;
mod vrrp;

pub use answer::{Answer, FactText};
pub use gather::{Extent, FactsError, SCRIPT, SYSTEM_SCRIPT, Wanted, ask, gather, parse};
pub use model::{
    Container, Engine, Facts, Folder, FolderContent, Interface, Listener, Mount, Os, ServiceFact,
};
pub use peers::{PEERS_SCRIPT, PeerProbe, PeerResult, parse as parse_peers, peers};
pub use subset::Subset;
pub use system::binary_type;
pub use vrrp::{VRRP_SCRIPT, VrrpProbe, parse as parse_vrrp, vrrp};
