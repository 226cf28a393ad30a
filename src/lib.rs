//! `kk` provisions hosts over SSH from one control machine, with nothing on the hosts but sshd and a POSIX shell.
//!
//! The rooms and the doors between them are described in `docs/architecture.md`; a test reads `src/` and fails on a
//! door that is not there.

pub mod artifact;
pub mod cli;
pub mod connect;
pub mod diagnostic;
pub mod engine;
pub mod env;
pub mod exit;
pub mod facts;
pub mod inventory;
pub mod modules;
pub mod pki;
pub mod playbook;
pub mod precheck;
pub mod python_regex;
pub mod registry;
pub mod remote;
pub mod report;
pub mod secret;
pub mod settings;
pub mod template;
pub mod vault;
pub mod yaml;
