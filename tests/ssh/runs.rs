//! The program over a playbook on some hosts.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::server::{self, Server, public_key};

/// A folder with a playbook, an inventory and host keys, which is the home folder as well.
pub struct Play {
    folder: tempfile::TempDir,
}

impl Play {
    /// Tasks for hosts `web0`, `web1` and so on, each behind a port; `at` is a folder of its own.
    pub fn new<'a>(hosts: impl IntoIterator<Item = (&'a Server, u16)>, tasks: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        let (mut inventory, mut known) = (String::new(), String::new());
        for (number, (server, port)) in hosts.into_iter().enumerate() {
            inventory.push_str(&format!(
                "web{number} ansible_connection=ssh ansible_host=127.0.0.1 ansible_port={port} ansible_user={} \
                 ansible_ssh_private_key_file={} at={}\n",
                server::me(),
                server.path("user").display(),
                server.folder.path().display(),
            ));
            let key = public_key(&server.path("host_ed25519"));
            known.push_str(&format!("[127.0.0.1]:{port} {key}\n"));
        }
        write("inventory", inventory);
        write("known", known);
        write(
            "play.yaml",
            format!("- hosts: all\n  gather_facts: false\n  tasks:\n{tasks}"),
        );
        Self { folder }
    }

    pub fn start(&self, more: &[&str]) -> Child {
        let folder = self.folder.path();
        Command::new(env!("CARGO_BIN_EXE_kk"))
            .args(["run", "play.yaml", "-i", "inventory"])
            .args(["-F", "none", "--known-hosts", "known"])
            .args(more)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}
