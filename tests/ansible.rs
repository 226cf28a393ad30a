//! The program against ansible-core: every playbook of `tests/ansible/cases` runs under both, and both must leave the same
//! files, the same exit codes and the same recap. See `tests/ansible/README.md`.
//!
//! `cargo test --test ansible` runs all cases, words behind `--` only those whose names have one of them. A harness of
//! its own: a case is a folder, not a function.
//!
//! | environment | |
//! | --- | --- |
//! | `KK` | the program to test, the one Cargo built when absent |
//! | `KK_ANSIBLE_FRESH` | set to anything: ask ansible-core again, also where its answer is known |
//! | `KK_ANSIBLE_JOBS` | cases at the same time |

mod ansible_tests;

fn main() -> std::process::ExitCode {
    ansible_tests::main()
}
