//! The engine on scripted hosts.
