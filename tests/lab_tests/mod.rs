//! First the tools, then the cases.

mod cases;
mod client;
mod hosts;
mod lab;
mod program;
mod site;
mod snapshot;
