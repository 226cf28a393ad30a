//! `kk inventory list|graph|host` beside the real `ansible-inventory`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The folder of ansible-core's programs, unless there is none and it cannot be installed.
fn ansible() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("tests/support/ansible"))
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    let folder = PathBuf::from(folder.trim()).join("bin");
    if !folder.join("ansible-inventory").exists() {
        eprintln!("SKIPPED the listing of inventories: there is no ansible-inventory");
        return None;
    }
    Some(folder)
}

/// What a program prints on standard output in a folder.
fn prints(program: &Path, words: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(words)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program:?} {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const INI: &str = "\
lonely x=1
[web]
web[1:3] port=80
[db]
db1 ansible_host=10.0.0.9 ansible_user=admin
web3
[site:children]
web
db
[site:vars]
region=eu
flag=true
[web:vars]
text='a b'
";

const YAML: &str = "\
all:
  hosts:
    lonely: {list: [1, two, {three: 3}], nothing: null, sure: true}
  vars: {everywhere: 1.5}
  children:
    outer:
      vars: {o: outer}
      children:
        inner:
          hosts: {a: {}, b: {deep: {er: [x]}}}
          vars: {o: inner}
        empty: {}
    other:
      hosts: {b: {}, c: {}}
";

#[test]
fn the_same_as_ansible_inventory_prints() {
    let Some(ansible) = ansible() else {
        return;
    };
    let program = ansible.join("ansible-inventory");
    let kk = Path::new(env!("CARGO_BIN_EXE_kk"));
    for (name, text) in [("hosts.ini", INI), ("hosts.yaml", YAML)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        for (file, text) in [
            ("group_vars/all.yaml", "from_files: all\n"),
            ("group_vars/web.yaml", "from_files: web\nport: 81\n"),
            ("group_vars/inner.yaml", "from_files: inner\n"),
            ("host_vars/b.yaml", "mine: [1, 2]\n"),
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let json = |program: &Path, words: &[&str]| -> Value {
            serde_json::from_str(&prints(program, words, folder.path())).unwrap()
        };
        assert_eq!(
            json(kk, &["inventory", "list", "-i", name]),
            json(&program, &["-i", name, "--list"]),
            "{name}"
        );
        for host in ["lonely", if name == "hosts.ini" { "web3" } else { "b" }] {
            assert_eq!(
                json(kk, &["inventory", "host", host, "-i", name]),
                json(&program, &["-i", name, "--host", host]),
                "{name} {host}"
            );
        }
        for vars in [false] {
            let mut ours = vec!["inventory", "graph", "-i", name];
            let mut theirs = vec!["-i", name, "--graph"];
            if vars {
                ours.push("--vars");
                theirs.push("--vars");
            }
            assert_eq!(
                prints(kk, &ours, folder.path()).trim_end(),
                prints(&program, &theirs, folder.path()).trim_end(),
                "{name} {vars}"
            );
        }
    }
}
