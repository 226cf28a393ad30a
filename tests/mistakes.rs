//! Mistakes of every kind in several files at once: `kk validate` and `kk run` say the same, all of it, and touch no host.

use std::process::{Command, Stdio};

const FILES: &[(&str, &str)] = &[
    (
        "site.yaml",
        "- hosts: wbe
  tasks:
    - coppy: {src: a, dest: /b}
    - copy: {scr: a, dest: /b}
    - debug: {msg: '{{ name | uper }}'}
      whenn: true
    - debug: {msg: a}
      when: name is defnied
    - debug: {msg: a}
      when: \"'always'\"
    - debug: {msg: '{{ name'}
    - file: {path: /a, state: foldr, mode: '0999'}
    - copy: {content: a, dest: /b}
      file: {path: /b}
      notify: nobody
    - include_role: {name: wbe}
    - import_tasks: more.yaml
    - template: {src: gone.j2, dest: /b}
- hosts: 'web:!nobody'
  serial: many
  roles: [web]
",
    ),
    (
        "more.yaml",
        "- stat: {}\n- systemd: {name: a, enabled: perhaps}\n- copy: {content: a, dest: /b}\n  notify: restart wbe\n",
    ),
    (
        "roles/web/tasks/main.yaml",
        "- debgu: {}\n- meta: flush_handler\n",
    ),
    (
        "roles/web/handlers/main.yaml",
        "- name: restart web\n  debug: {mgs: a}\n",
    ),
    ("inventory.ini", "[web]\na ansible_connection=local\n"),
];

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn kk(folder: &tempfile::TempDir, words: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kk"))
        .args(words.split(' '))
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn all_mistakes_are_found_in_one_run_by_validate_and_by_run() {
    let folder = site();
    let (code, stdout, stderr) = kk(&folder, "validate site.yaml -i inventory.ini");
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!("mistakes", stderr);
    let (code, stdout, same) = kk(&folder, "run site.yaml -i inventory.ini");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(same, stderr);
    assert!(
        !folder.path().join("kubekey").exists(),
        "nothing is written"
    );

    let (code, stdout, _) = kk(&folder, "validate site.yaml -i inventory.ini -o json");
    assert_eq!(code, 1);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let found = json["found"].as_array().unwrap();
    assert_eq!(found.len(), stderr.matches("error: ").count());
    for one in found {
        assert_eq!(one["severity"], "error", "{one}");
        assert!(
            one["file"].is_string() && one["line"].is_u64() && one["column"].is_u64(),
            "{one}"
        );
    }
}

#[test]
fn what_is_right_is_said_in_json_too() {
    let folder = site();
    std::fs::write(
        folder.path().join("site.yaml"),
        "- hosts: web\n  tasks: [{ping: {}}]\n",
    )
    .unwrap();
    let (code, stdout, _) = kk(&folder, "validate site.yaml -i inventory.ini -o json");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["found"]), (0, &serde_json::json!([])));
    assert_eq!(kk(&folder, "validate site.yaml -i inventory.ini").0, 0);
}
