//! Tests of the whole program: one binary, a module each.

mod cli;
mod dependencies;
mod doors;
mod registry;
mod registry_answers;
mod ssh;
