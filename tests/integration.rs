//! Tests of the whole program: one binary, a module each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that cannot go on is a test that failed, one that is skipped says so; clippy knows that of `#[test]` alone, not of what it calls"
)]

mod built_in_playbooks;
mod cli;
mod dependencies;
mod documents;
mod doors;
mod facts;
mod inventory_listing;
mod mistakes;
mod module_fixtures;
mod modules_for_real;
mod registry;
mod registry_answers;
mod resume;
mod rootfs;
mod scale;
mod ssh;
mod storage_parameters;
mod terminal;
mod timings;
mod vault;
