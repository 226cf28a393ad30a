//! The program on real hosts: the lab of `tests/lab`, three machines with systemd and sshd and nothing else.
//!
//! `cargo test --test lab -- --test-threads=1 --nocapture` runs all of it, a name behind `--` one case. The lab is
//! brought up where it is not there (root on Debian 12). A case resets the hosts that it uses, so cases can run in any
//! order, and at the same time as long as they use different hosts.
//!
//! | environment | |
//! | --- | --- |
//! | `KK_LAB_TARGET` | where the lab's files lie, `target/lab` |
//! | `KK` | the program to test, the one Cargo built when absent |
//! | `KK_LAB_SEED` | seed of the random moments of `kills`, to see a failure again |

#[cfg(test)]
mod lab_tests;
