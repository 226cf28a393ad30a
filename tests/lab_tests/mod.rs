//! First the tools, then the cases.

mod cases;
mod client;
mod hosts;
mod lab;
mod objects;
mod program;
mod site;
mod snapshot;
