//! `kk vault` and the real `ansible-vault`, exchanging files both ways; and that nothing encrypted is ever shown.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// The oracle's folder (`tests/support/ansible` installs it once).
static ORACLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/ansible");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    PathBuf::from(text(&output.stdout).trim())
});

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with passwords in it, in which both programs run.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("one", "the first password\n");
        site.write("two", "the second password\n");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        let metadata = std::fs::metadata(self.path(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    fn start(&self, program: &Path, words: &[&str], stdin: &str, editor: &str) -> Output {
        let mut child = Command::new(program)
            .args(words)
            .env_clear()
            .env("HOME", self.0.path())
            .env("TMPDIR", self.0.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LC_ALL", "C.UTF-8")
            .env("EDITOR", editor)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    fn kk(&self, words: &[&str], stdin: &str) -> Output {
        self.start(Path::new(env!("CARGO_BIN_EXE_kk")), words, stdin, "false")
    }

    /// What `kk vault …` prints; it must succeed.
    fn vault(&self, words: &[&str], stdin: &str) -> String {
        let words: Vec<&str> = std::iter::once("vault")
            .chain(words.iter().copied())
            .collect();
        let output = self.kk(&words, stdin);
        assert!(
            output.status.success(),
            "{words:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// What `ansible-vault …` prints; it must succeed.
    fn ansible(&self, words: &[&str], stdin: &str) -> String {
        let program = ORACLE.join("bin/ansible-vault");
        let output = self.start(&program, words, stdin, "false");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }
}

const ONE: [&str; 2] = ["--vault-password-file", "one"];
const TWO: [&str; 2] = ["--vault-id", "prod@two"];

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

#[test]
fn files_go_both_ways() {
    let site = Site::new();
    let plain = "a: 1\n# z\u{f6}lf\n";
    for (flags, header) in [
        (ONE, "$ANSIBLE_VAULT;1.1;AES256\n"),
        (TWO, "$ANSIBLE_VAULT;1.2;AES256;prod\n"),
    ] {
        site.write("file", plain);
        site.vault(&with(&["encrypt", "file"], &flags), "");
        assert!(site.read("file").starts_with(header));
        assert_eq!(site.ansible(&with(&["view", "file"], &flags), ""), plain);
        site.ansible(&with(&["decrypt", "file"], &flags), "");
        assert_eq!(site.read("file"), plain);
        site.ansible(&with(&["encrypt", "file"], &flags), "");
        assert!(site.read("file").starts_with(header));
        assert_eq!(site.vault(&with(&["view", "file"], &flags), ""), plain);
        site.vault(&with(&["decrypt", "file"], &flags), "");
        assert_eq!(site.read("file"), plain);
    }
}

#[test]
fn passwords_change_both_ways() {
    let site = Site::new();
    site.write("file", "text\n");
    site.vault(&with(&["encrypt", "file"], &ONE), "");
    site.vault(
        &with(&["rekey", "file", "--new-vault-id", "prod@two"], &ONE),
        "",
    );
    assert_eq!(site.ansible(&with(&["view", "file"], &TWO), ""), "text\n");
    site.ansible(
        &with(&["rekey", "file", "--new-vault-password-file", "one"], &TWO),
        "",
    );
    assert_eq!(site.vault(&with(&["view", "file"], &ONE), ""), "text\n");
    let refused = site.kk(&with(&["vault", "view", "file"], &TWO), "");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stdout), "");
}

#[test]
fn standard_input_and_output() {
    let site = Site::new();
    let sealed = site.vault(&with(&["encrypt"], &ONE), "from a pipe");
    assert_eq!(
        site.ansible(&with(&["decrypt", "-"], &ONE), &sealed),
        "from a pipe"
    );
    let sealed = site.ansible(&with(&["encrypt", "-"], &TWO), "from a pipe");
    assert_eq!(
        site.vault(&with(&["decrypt", "-"], &TWO), &sealed),
        "from a pipe"
    );
    site.write("file", "kept");
    let sealed = site.vault(&with(&["encrypt", "file", "--output", "-"], &ONE), "");
    assert_eq!(site.read("file"), "kept");
    assert_eq!(site.vault(&with(&["decrypt"], &ONE), &sealed), "kept");
    site.vault(&with(&["encrypt", "file", "--output", "other"], &ONE), "");
    assert_eq!(site.mode("other"), 0o600);
}

#[test]
fn a_file_keeps_its_permissions_and_links_point_at_it() {
    let site = Site::new();
    site.write("file", "text\n");
    std::fs::set_permissions(site.path("file"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("file", site.path("link")).unwrap();
    site.vault(&with(&["encrypt", "link"], &ONE), "");
    assert_eq!(site.mode("file"), 0o640);
    assert!(site.path("link").is_symlink());
    assert!(site.read("file").starts_with("$ANSIBLE_VAULT"));
}

#[test]
fn nothing_is_written_where_one_file_cannot_be() {
    let site = Site::new();
    site.write("good", "text\n");
    site.write("bad", "$ANSIBLE_VAULT;1.1;AES256\n");
    let words = with(&["vault", "encrypt", "good", "bad"], &ONE);
    let output = site.kk(&words, "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(site.read("good"), "text\n");
    let words = with(&["vault", "decrypt", "good"], &ONE);
    let output = site.kk(&words, "");
    assert_eq!(text(&output.stderr), "error: `good` is not encrypted\n");
}

#[test]
fn several_passwords_need_a_choice() {
    let site = Site::new();
    site.write("file", "text\n");
    let both = ["--vault-id", "dev@one", "--vault-id", "prod@two"];
    let output = site.kk(&with(&["vault", "encrypt", "file"], &both), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--encrypt-vault-id"));
    let words = ["encrypt", "file", "--encrypt-vault-id", "prod"];
    site.vault(&with(&words, &both), "");
    assert_eq!(site.ansible(&with(&["view", "file"], &TWO), ""), "text\n");
}

/// Everything below the site's folder that a temporary file would be in.
fn left_over(site: &Site) -> Vec<String> {
    let entries = std::fs::read_dir(site.0.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("kk-vault")).collect()
}

#[test]
fn editing_leaves_no_plain_text_behind() {
    let site = Site::new();
    site.write("file", "old: 1\n");
    site.ansible(&with(&["encrypt", "file"], &TWO), "");
    let program = Path::new(env!("CARGO_BIN_EXE_kk"));
    let words = with(&["vault", "edit", "file"], &TWO);
    let before = site.read("file");
    let output = site.start(program, &words, "", "false");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(site.read("file"), before);
    assert_eq!(left_over(&site), [""; 0]);
    // One that changes nothing leaves the file as it is.
    let output = site.start(program, &words, "", "true");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(site.read("file"), before);
    let output = site.start(program, &words, "", "sed -i 's/old: 1/new: 2/'");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(site.ansible(&with(&["view", "file"], &TWO), ""), "new: 2\n");
    assert!(
        site.read("file")
            .starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n")
    );
    let words = with(&["vault", "create", "made"], &ONE);
    let output = site.start(program, &words, "", "sh -c 'stat -c %a \"$1\" >\"$1\"' sh");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(site.ansible(&with(&["view", "made"], &ONE), ""), "600\n");
    assert_eq!(site.mode("made"), 0o600);
    let output = site.start(program, &words, "", "true");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(left_over(&site), [""; 0]);
}

#[test]
fn an_editor_that_is_left_open_when_the_program_is_ended() {
    let site = Site::new();
    site.write("file", "text\n");
    site.vault(&with(&["encrypt", "file"], &ONE), "");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kk"))
        .args(with(&["vault", "edit", "file"], &ONE))
        .env("EDITOR", "sh -c 'touch open; exec sleep 60' sh")
        .env("TMPDIR", site.0.path())
        .current_dir(site.0.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if site.path("open").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(left_over(&site).len(), 1);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(left_over(&site), [""; 0]);
}

#[test]
fn texts_for_a_yaml_file() {
    let site = Site::new();
    let words = with(&["encrypt-string", "--name", "named", "a text"], &ONE);
    let mut all = site.vault(&words, "");
    let words = with(&["encrypt-string", "--stdin-name", "piped"], &TWO);
    all.push_str(&site.vault(&words, "from a pipe"));
    site.write(
        "play.yaml",
        &format!(
            "- hosts: localhost\n  gather_facts: false\n  vars:\n{}  tasks:\n    - copy: {{dest: \"{{{{ playbook_dir }}}}/out\", content: \"<{{{{ named }}}}> <{{{{ piped }}}}>\"}}\n",
            all.lines()
                .map(|line| format!("    {line}\n"))
                .collect::<String>()
        ),
    );
    let program = ORACLE.join("bin/ansible-playbook");
    let words = with(&with(&["play.yaml"], &ONE), &TWO);
    let output = site.start(&program, &words, "", "false");
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert_eq!(site.read("out"), "<a text> <from a pipe>");
    std::fs::remove_file(site.path("out")).unwrap();
    let output = site.kk(&with(&with(&["run", "play.yaml", "-y"], &ONE), &TWO), "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(site.read("out"), "<a text> <from a pipe>");
}

/// A playbook with secrets of every kind, some tasks of which say what they know.
fn leaky(site: &Site) {
    let inline = site.vault(
        &with(&["encrypt-string", "--name", "inline"], &ONE),
        "canary-inline",
    );
    let indented: String = inline.lines().map(|line| format!("    {line}\n")).collect();
    site.write("vars.yaml", "from_file: canary-file\nnumber: 918273645\n");
    site.write("page.j2", "canary-template {{ inline }}\n");
    site.write("sealed.txt", "canary-copied\n");
    site.vault(
        &with(&["encrypt", "vars.yaml", "page.j2", "sealed.txt"], &ONE),
        "",
    );
    site.write(
        "play.yaml",
        &format!(
            "- hosts: localhost
  gather_facts: false
  vars_files: [vars.yaml]
  vars:
{indented}  tasks:
    - debug: {{msg: \"{{{{ inline }}}} {{{{ from_file }}}} {{{{ number }}}}\"}}
    - debug: {{var: inline}}
    - copy: {{dest: \"{{{{ playbook_dir }}}}/out\", content: \"{{{{ inline }}}} {{{{ from_file }}}}\"}}
    - copy: {{src: sealed.txt, dest: \"{{{{ playbook_dir }}}}/out2\"}}
    - template: {{src: page.j2, dest: \"{{{{ playbook_dir }}}}/out3\"}}
    - command: echo \"{{{{ inline }}}}\"
    - fail: {{msg: \"{{{{ from_file }}}}\"}}
"
        ),
    );
}

#[test]
fn what_was_encrypted_is_never_shown() {
    let site = Site::new();
    leaky(&site);
    for output in ["text", "json", "jsonl"] {
        let words = ["run", "play.yaml", "-y", "--diff", "-vvv", "-o", output];
        let output = site.kk(&with(&words, &ONE), "");
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            !said.contains("canary") && !said.contains("918273645"),
            "{said}"
        );
        assert!(!said.contains("the first password"), "{said}");
        assert!(said.contains(kk::secret::MASK), "{said}");
    }
    assert_eq!(site.read("out"), "canary-inline canary-file");
    assert_eq!(site.read("out2"), "canary-copied\n");
    assert_eq!(site.read("out3"), "canary-template canary-inline\n");
    let mut logs = 0;
    for entry in std::fs::read_dir(site.path("kubekey/logs")).unwrap() {
        let log = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!log.contains("canary"), "{log}");
        logs += 1;
    }
    assert_eq!(logs, 3);
}

#[test]
fn mistakes_in_what_is_encrypted_show_no_line_of_it() {
    let site = Site::new();
    site.write("vars.yaml", "good: canary-good\nbad: [canary-bad\n");
    site.write(
        "tasks.yaml",
        "- copi: {content: canary-task, dest: /tmp/x}\n",
    );
    site.vault(&with(&["encrypt", "vars.yaml", "tasks.yaml"], &ONE), "");
    site.write(
        "play.yaml",
        "- hosts: localhost\n  vars_files: [vars.yaml]\n  tasks:\n    - import_tasks: tasks.yaml\n",
    );
    let output = site.kk(&with(&["validate", "play.yaml"], &ONE), "");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("tasks.yaml:1:3") && said.contains("did you mean `copy`?"),
        "{said}"
    );
    assert!(said.contains("vars.yaml:2:18"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_missing_or_wrong_password_is_said_before_any_connection() {
    let site = Site::new();
    leaky(&site);
    let missing = site.kk(&["validate", "play.yaml"], "");
    assert_eq!(missing.status.code(), Some(1));
    insta::assert_snapshot!("missing-password", text(&missing.stderr));
    let wrong = site.kk(&with(&["validate", "play.yaml"], &TWO), "");
    assert_eq!(wrong.status.code(), Some(1));
    insta::assert_snapshot!("wrong-password", text(&wrong.stderr));
}
