//! Playbooks: loaded whole, with every argument typed and every template compiled.
#![no_main]

use std::sync::LazyLock;

use kk::diagnostic::{Colour, render_all};
use kk::playbook::Library;
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let role = folder.path().join("roles/one/tasks");
    std::fs::create_dir_all(&role).expect("a role");
    std::fs::write(role.join("main.yaml"), "- debug: {msg: one}\n").expect("a task");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let folder = FOLDER.path();
    std::fs::write(folder.join("play.yaml"), bytes).expect("write");
    if let Err(found) = kk::playbook::load(&Library::folder(folder), "play.yaml") {
        assert!(found.has_errors());
        render_all(&found, Colour::Never);
    }
});
