//! `kk history` and `kk run --resume`: the real program on this machine, killed in the middle of a run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder with a playbook for two names of this machine.
struct Site {
    folder: tempfile::TempDir,
}

const PLAYBOOK: &str = "- hosts: all
  gather_facts: false
  tasks:
    - name: one
      shell: echo one >> ran-{{ inventory_hostname }}; echo hello
      args: {chdir: '{{ playbook_dir }}'}
      register: said
    - {name: fact, set_fact: {greeting: '{{ said.stdout }} you'}}
    - name: two
      shell: echo two >> ran-{{ inventory_hostname }}
      args: {chdir: '{{ playbook_dir }}'}
      notify: restart
    - name: wait
      shell: if test -e block-{{ inventory_hostname }}; then sleep 60; fi; test ! -e fail-{{ inventory_hostname }}
      args: {chdir: '{{ playbook_dir }}'}
    - name: three
      shell: echo 'three {{ greeting }}' >> ran-{{ inventory_hostname }}
      args: {chdir: '{{ playbook_dir }}'}
  handlers:
    - name: restart
      shell: echo restart >> ran-{{ inventory_hostname }}
      args: {chdir: '{{ playbook_dir }}'}
";

impl Site {
    fn new() -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        site.write("site.yaml", PLAYBOOK);
        site.write(
            "inventory.ini",
            "a ansible_connection=local\nb ansible_connection=local\n",
        );
        site
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).unwrap();
    }

    fn read(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kk"));
        command
            .args(words.split(' '))
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("KK_INVENTORY", "inventory.ini")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it; its exit code and what it said on both streams.
    fn kk(&self, words: &str) -> (i32, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(words).output().unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8(stdout).unwrap(),
            String::from_utf8(stderr).unwrap()
        );
        (status.code().unwrap(), self.plain(&text))
    }

    /// A text without what is different each time.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.path().display().to_string(), "SITE");
        let mut plain = text;
        for (pattern, word) in [
            (r"\d{8}-\d{6}-[0-9a-f]{6}", "RUN"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN"),
            (r"\d+\.\d s\b", "TIME"),
            (r"(?m)[ \t]+$", ""),
        ] {
            plain = regex::Regex::new(pattern)
                .unwrap()
                .replace_all(&plain, word)
                .into_owned();
        }
        plain
    }

    fn spawn(&self, words: &str) -> Child {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Waits until a journal says something.
    fn until_noted(&self, words: &str) {
        let started = Instant::now();
        loop {
            let journals = std::fs::read_dir(self.path().join("kubekey/runs"))
                .into_iter()
                .flatten();
            let is_there = journals.flatten().any(|entry| {
                std::fs::read(entry.path())
                    .is_ok_and(|text| String::from_utf8_lossy(&text).contains(words))
            });
            if is_there {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "{words}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let site = Site::new();
    site.write("block-b", "");
    let mut running = site.spawn("run site.yaml");
    // `a` is past the task, `b` is in the middle of it.
    site.until_noted(r#""event":"host_task_finished","task":4,"host":"a""#);
    let (code, said) = site.kk("run --resume");
    assert!(code == 1 && said.contains("still goes on"), "{said}");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(site.read("ran-b"), ["one", "two"]);

    let (code, said) = site.kk("history");
    assert_eq!(code, 0);
    assert!(said.contains("cut off"), "{said}");
    let (_, said) = site.kk("history show");
    assert!(
        said.contains("not done: b: [wait] at ./site.yaml:"),
        "{said}"
    );

    site.remove("block-b");
    let (code, said) = site.kk("run --resume site.yaml");
    assert_eq!(code, 0, "{said}");
    for host in ["a", "b"] {
        assert_eq!(
            site.read(&format!("ran-{host}")),
            ["one", "two", "three hello you", "restart"],
            "{said}"
        );
    }
    let (code, said) = site.kk("run --resume");
    assert!(code == 1 && said.contains("ended well"), "{said}");
}

#[test]
fn a_run_that_failed_is_in_the_history_and_goes_on() {
    let site = Site::new();
    site.write("fail-b", "");
    let (code, _) = site.kk("run site.yaml");
    assert_eq!(code, 2);
    insta::assert_snapshot!("history", site.kk("history").1);
    insta::assert_snapshot!("history-show", site.kk("history show").1);
    let output = site.command("history show -o json").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["run"]["result"], "failed");
    assert_eq!(json["recap"]["b"]["failed"], 1);
    assert_eq!(json["troubles"][0]["host"], "b");

    site.remove("fail-b");
    let (code, said) = site.kk("run --resume");
    assert_eq!(code, 0);
    assert!(
        said.contains("results of 2 hosts can be taken over"),
        "{said}"
    );
    let whole = ["one", "two", "three hello you", "restart"];
    assert_eq!(site.read("ran-a"), whole);
    assert_eq!(site.read("ran-b"), whole);
    let output = site.command("history -o json").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[0]["resumes"], json[1]["run"]);
}

#[test]
fn what_has_changed_since_is_refused_by_name() {
    let site = Site::new();
    site.write("fail-b", "");
    let mut all = String::new();
    let mut say = |what: &str, (code, text): (i32, String)| {
        assert_eq!(code, 1, "{text}");
        all.push_str(&format!("# {what}\n{text}\n"));
    };
    say("nothing has run", site.kk("run --resume"));
    say("no such run", site.kk("run --resume nothing site.yaml"));
    assert_eq!(site.kk("run site.yaml --check").0, 0);
    say("only a check", site.kk("run --resume site.yaml"));
    assert_eq!(site.kk("run site.yaml -e x=1").0, 2);
    say("other variables", site.kk("run --resume -e x=2"));
    site.write("other.yaml", PLAYBOOK);
    say("another playbook", site.kk("run --resume other.yaml"));
    site.write(
        "inventory.ini",
        "a ansible_connection=local\nb ansible_connection=local y=1\n",
    );
    site.write("site.yaml", &PLAYBOOK.replace("name: three", "name: four"));
    say("inventory and playbook", site.kk("run --resume -e x=1"));
    insta::assert_snapshot!("resume-refused", all);
}

#[test]
fn journals_are_for_their_owner_and_old_ones_go() {
    let site = Site::new();
    let runs = site.path().join("kubekey/runs");
    std::fs::create_dir_all(&runs).unwrap();
    for number in 0..120 {
        site.write(
            &format!("kubekey/runs/20200101-000000-{number:06x}.jsonl"),
            "{}\n",
        );
    }
    assert_eq!(site.kk("run site.yaml").0, 0);
    let mut names: Vec<String> = std::fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 100);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&runs.join(names.last().unwrap())), 0o600);
    assert_eq!(mode(&runs.join("key")), 0o600);
}
