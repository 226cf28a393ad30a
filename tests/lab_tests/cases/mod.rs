//! The cases, by what they are about.

mod delete;
mod failover;
mod firewalls;
mod gc;
mod input;
mod jumps;
mod kills;
mod logins;
mod losses;
mod modules;
mod precheck;
mod provision;
mod registry;
mod settings;
mod signals;
mod space;
mod storage;
mod trust;
mod users;
