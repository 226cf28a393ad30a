//! The SSH connector against a real OpenSSH server on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_push_string,
    clippy::indexing_slicing,
    reason = "test code, also outside of test functions"
)]

mod commands;
mod config;
mod config_runs;
mod differential;
mod differential_options;
mod downloads;
mod environment;
mod faults;
mod files;
mod folders;
mod host_keys;
mod keys;
mod links;
mod login;
mod losses;
pub mod people;
mod privilege;
mod process;
mod proxy;
mod relay;
mod rounds;
mod routes;
mod runs;
pub mod server;
mod shell;
mod soak;
mod steps;
mod uploads;
