//! Runs playbooks: schedule, loops, handlers, retries, limits, cancellation.

pub mod event;
