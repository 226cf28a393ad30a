//! Tests of the whole program: one binary, a module each.

mod cli;
mod doors;
mod ssh;
