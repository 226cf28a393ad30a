//! Questions at a terminal, asked of a person who is this test: a pseudo-terminal with the program at its other end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A program at a terminal of its own.
struct Terminal {
    keyboard: fs::File,
    screen: Receiver<Vec<u8>>,
    /// The program's end, kept open to look at its modes.
    line: OwnedFd,
    program: Child,
    /// Everything that was on the screen.
    seen: String,
    /// How much of it was waited for.
    read: usize,
}

impl Terminal {
    /// Starts the program in a folder.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let line = fs::File::options()
            .read(true)
            .write(true)
            .open(&name)
            .unwrap();
        // A session whose terminal this is, so that Ctrl-C reaches the program.
        let program = Command::new("setsid")
            .arg("--ctty")
            .arg(env!("CARGO_BIN_EXE_kk"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", folder)
            .env("TERM", "xterm")
            .stdin(Stdio::from(line.try_clone().unwrap()))
            .stdout(Stdio::from(line.try_clone().unwrap()))
            .stderr(Stdio::from(line.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let keyboard = fs::File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length) = reader.read(&mut piece) {
                if length == 0 || sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            screen,
            line: line.into(),
            program,
            seen: String::new(),
            read: 0,
        }
    }

    /// Waits until a text is on the screen, after what was waited for before.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(piece) => self.seen.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("`{text}` did not come:\n{}", self.seen)
                }
            }
        }
    }

    fn has_echo(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        modes.contains(LocalModes::ECHO) && modes.contains(LocalModes::ISIG)
    }

    /// Waits for a question and answers it; what is secret must not be shown while it is typed.
    #[track_caller]
    fn answer(&mut self, question: &str, text: &str, is_secret: bool) {
        self.expect(question);
        let echo = tcgetattr(&self.line)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO);
        assert_eq!(echo, !is_secret, "the echo at `{question}`");
        self.press(&format!("{text}\n"));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The exit code, or the signal, and everything that was seen. The terminal is as it was.
    #[track_caller]
    fn end(mut self) -> (String, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(piece) = self.screen.recv_timeout(Duration::from_millis(50)) {
            self.seen.push_str(&String::from_utf8_lossy(&piece));
        }
        assert!(
            self.has_echo(),
            "the terminal shows nothing any more:\n{}",
            self.seen
        );
        (status.to_string(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn site(playbook: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.yaml"), playbook).unwrap();
    fs::write(
        folder.path().join("hosts"),
        "here ansible_connection=local\n",
    )
    .unwrap();
    folder
}

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "site.yaml", "-i", "hosts"], more].concat()
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const PROMPTS: &str = r#"- hosts: here
  gather_facts: false
  vars_prompt:
    - {name: hidden, prompt: A secret}
    - {name: twice, prompt: Another, confirm: true}
    - {name: shown, private: false}
    - {name: given, prompt: With a default, default: the default, private: false}
    - {name: crypted, prompt: To encrypt, encrypt: sha512_crypt, salt: saltsalt}
    - {name: from_outside, prompt: Never asked}
  tasks:
    - copy: {content: "{{ hidden }}|{{ twice }}|{{ shown }}|{{ given }}|{{ crypted }}|{{ from_outside }}", dest: "{{ playbook_dir }}/answers", mode: "0600"}
"#;

#[test]
fn variables_are_asked_for() {
    let folder = site(PROMPTS);
    let mut terminal = Terminal::start(folder.path(), &run(&["-e", "from_outside=outside"]));
    terminal.answer("A secret: ", "canary-hidden", true);
    terminal.answer("Another: ", "canary-first", true);
    terminal.answer("confirm Another: ", "canary-second", true);
    terminal.answer("Another: ", "canary-third", true);
    terminal.answer("confirm Another: ", "canary-third", true);
    terminal.answer("shown: ", "in the open", false);
    terminal.answer("With a default [the default]: ", "", false);
    terminal.answer("To encrypt: ", "canary-crypted", true);
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 0", "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    assert!(!seen.contains("Never asked"), "{seen}");
    let answers = text(folder.path(), "answers");
    let answers: Vec<&str> = answers.split('|').collect();
    assert_eq!(
        answers[..4],
        [
            "canary-hidden",
            "canary-third",
            "in the open",
            "the default"
        ]
    );
    assert!(
        answers[4].starts_with("$6$") && answers[4].contains("saltsalt$"),
        "{answers:?}"
    );
    assert_eq!(answers[5], "outside");
    let logs = fs::read_dir(folder.path().join("kubekey/logs")).unwrap();
    for log in logs {
        assert!(
            !fs::read_to_string(log.unwrap().path())
                .unwrap()
                .contains("canary")
        );
    }
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    let folder = site(PROMPTS);
    let output = Command::new(env!("CARGO_BIN_EXE_kk"))
        .args(run(&["-e", "from_outside=x twice=y crypted=z"]))
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(folder.path(), "answers"),
        "None|y|None|the default|z|x"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("to be asked for `hidden`"));
}

#[test]
fn ctrl_c_at_a_question_ends_the_program_and_gives_the_terminal_back() {
    let folder = site(PROMPTS);
    let vault = folder.path().join("vault.yaml");
    fs::write(&vault, "$ANSIBLE_VAULT;1.1;AES256\n00\n").unwrap();
    for (arguments, question) in [
        (run(&[]), "A secret: "),
        (run(&["-K"]), "BECOME password: "),
        (run(&["-k"]), "SSH password: "),
        (run(&["--ask-vault-pass"]), "Vault password: "),
        (vec!["vault", "view", "vault.yaml"], "Vault password: "),
    ] {
        let mut terminal = Terminal::start(folder.path(), &arguments);
        terminal.expect(question);
        terminal.press("half a canary\u{3}");
        let (status, seen) = terminal.end();
        let is_ended = status == "exit status: 130" || status.starts_with("signal: 2");
        assert!(is_ended, "{arguments:?}: {status}\n{seen}");
        assert!(!seen.contains("canary"), "{seen}");
        assert!(!folder.path().join("answers").exists());
    }
}

#[test]
fn a_pause_waits_for_a_person() {
    let folder = site(
        r#"- hosts: here
  gather_facts: false
  tasks:
    - pause: {prompt: Go on}
      register: shown
    - pause: {prompt: The code, echo: false}
      register: hidden
    - pause: {prompt: A moment, seconds: 1}
      register: timed
    - copy: {content: "{{ shown.user_input }}|{{ hidden.user_input }}|{{ timed.user_input }}|{{ timed.delta >= 1 }}", dest: "{{ playbook_dir }}/answers"}
    - pause:
    - copy: {content: never, dest: "{{ playbook_dir }}/never"}
"#,
    );
    let mut terminal = Terminal::start(folder.path(), &run(&[]));
    terminal.answer("Go on: ", "as you like", false);
    terminal.answer("The code (what you type is hidden): ", "canary-code", true);
    terminal.expect("A moment");
    terminal.expect("Press enter to go on, Ctrl-C to stop: ");
    terminal.press("\u{3}");
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 130", "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    assert_eq!(
        text(folder.path(), "answers"),
        "as you like|canary-code||True"
    );
    assert!(!folder.path().join("never").exists());
}

#[test]
fn steps_are_agreed_to_one_by_one() {
    let folder = site(
        "- hosts: here\n  gather_facts: false\n  tasks:\n    - {name: one, shell: echo one >> said}\n    - {name: two, shell: echo two >> said}\n    - {name: three, shell: echo three >> said}\n    - {name: four, shell: echo four >> said}\n",
    );
    let mut terminal = Terminal::start(folder.path(), &run(&["--step"]));
    terminal.answer("`one`? [y]es, [n]o, [c]ontinue: ", "y", false);
    terminal.answer("`two`? ", "n", false);
    terminal.answer("`three`? ", "c", false);
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 0", "{seen}");
    assert_eq!(text(folder.path(), "said"), "one\nthree\nfour\n");
    let mut terminal = Terminal::start(folder.path(), &run(&["--step"]));
    terminal.answer("`one`? [y]es, [n]o, [c]ontinue: ", "y", false);
    terminal.expect("`two`? ");
    terminal.press("\u{3}");
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 130", "{seen}");
    assert_eq!(text(folder.path(), "said"), "one\nthree\nfour\none\n");
}

#[test]
fn the_vault_password_is_asked_for() {
    let folder = site(
        "- hosts: here\n  gather_facts: false\n  vars_files: [secret.yaml]\n  tasks:\n    - copy: {content: '{{ kept }}', dest: '{{ playbook_dir }}/answers'}\n",
    );
    fs::write(folder.path().join("secret.yaml"), "kept: it was opened\n").unwrap();
    let mut terminal = Terminal::start(folder.path(), &["vault", "encrypt", "secret.yaml"]);
    terminal.answer("New vault password: ", "canary-vault", true);
    terminal.answer("Confirm the new vault password: ", "canary-vault", true);
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 0", "{seen}");
    assert!(text(folder.path(), "secret.yaml").starts_with("$ANSIBLE_VAULT"));

    let mut terminal = Terminal::start(folder.path(), &run(&["--ask-vault-pass"]));
    terminal.answer("Vault password: ", "canary-wrong", true);
    let (status, seen) = terminal.end();
    assert_ne!(status, "exit status: 0", "{seen}");
    assert!(!seen.contains("canary"), "{seen}");

    let mut terminal = Terminal::start(folder.path(), &run(&["-J"]));
    terminal.answer("Vault password: ", "canary-vault", true);
    let (status, seen) = terminal.end();
    assert_eq!(status, "exit status: 0", "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    assert_eq!(text(folder.path(), "answers"), "it was opened");
}

#[test]
fn passwords_of_login_and_sudo_are_asked_for() {
    use crate::ssh::people::{PASSWORD, User};
    use crate::ssh::server::{self, Server};
    if !server::is_available() || !server::is_root() || !Path::new("/etc/sudoers.d").is_dir() {
        return;
    }
    let server = Server::with("PasswordAuthentication yes\nSetEnv KK_TEST=1");
    let user = User::new(server.folder.path(), "/bin/sh");
    let rule = Rule::new(&user.name);
    let folder = site(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: id -un\n      register: plain\n    - command: id -un\n      become: true\n      register: elevated\n    - copy: {content: '{{ plain.stdout }} {{ elevated.stdout }}', dest: '{{ playbook_dir }}/answers'}\n      delegate_to: localhost\n",
    );
    fs::write(
        folder.path().join("hosts"),
        format!(
            "there ansible_host=127.0.0.1 ansible_port={} ansible_user={}\n",
            server.port, user.name
        ),
    )
    .unwrap();
    let known = folder.path().join("known");
    fs::write(&known, server.known_line("ed25519")).unwrap();
    let known = known.to_str().unwrap();
    for (sudo, code) in [(PASSWORD, "0"), ("", "0"), ("canary-wrong", "2")] {
        let _ = fs::remove_file(folder.path().join("answers"));
        let mut terminal = Terminal::start(folder.path(), &run(&["-kK", "--known-hosts", known]));
        terminal.answer("SSH password: ", PASSWORD, true);
        terminal.answer("BECOME password[defaults to SSH password]: ", sudo, true);
        let (status, seen) = terminal.end();
        assert_eq!(status, format!("exit status: {code}"), "{seen}");
        assert!(
            !seen.contains(PASSWORD) && !seen.contains("canary"),
            "{seen}"
        );
        if code == "0" {
            let expected = format!("{} root", user.name);
            assert_eq!(text(folder.path(), "answers"), expected);
        }
    }
    drop(rule);
}

#[test]
fn the_passphrase_of_a_key_is_asked_for_once_for_all_hosts() {
    use crate::ssh::server::{self, Server, new_key};
    if !server::is_available() {
        return;
    }
    let servers = [Server::start(), Server::start(), Server::start()];
    let folder = site("- hosts: all\n  gather_facts: false\n  tasks:\n    - command: id -un\n");
    let key = folder.path().join("locked");
    new_key(&key, &["ed25519"], "open sesame");
    let mut hosts = String::new();
    let mut known = String::new();
    for (number, server) in servers.iter().enumerate() {
        server.authorize(&key);
        hosts.push_str(&format!(
            "host{number} ansible_host=127.0.0.1 ansible_connection=ssh ansible_port={} ansible_user={}\n",
            server.port,
            server::me()
        ));
        known.push_str(&server.known_line("ed25519"));
    }
    fs::write(folder.path().join("hosts"), hosts).unwrap();
    fs::write(folder.path().join("known"), known).unwrap();
    fs::write(
        folder.path().join("config"),
        format!("IdentityFile {}\n", key.display()),
    )
    .unwrap();
    // Named by a flag, and by the configuration of ssh.
    for how in [["--private-key", "locked"].as_slice(), &["-F", "config"]] {
        let arguments = run(&[&["--known-hosts", "known"], how].concat());
        let mut terminal = Terminal::start(folder.path(), &arguments);
        terminal.answer("locked`: ", "open canary", true);
        terminal.answer("That was wrong. Passphrase of ", "open sesame", true);
        let (status, seen) = terminal.end();
        assert_eq!(status, "exit status: 0", "{how:?} {seen}");
        assert_eq!(seen.matches("Passphrase of ").count(), 2, "{seen}");
        assert!(
            !seen.contains("sesame") && !seen.contains("canary"),
            "{seen}"
        );
    }
}

/// A user's rule in sudoers: it may do everything, and is asked for its password each time.
struct Rule(std::path::PathBuf);

impl Rule {
    fn new(user: &str) -> Self {
        let file = Path::new("/etc/sudoers.d").join(user);
        let text = format!("Defaults:{user} timestamp_timeout=0\n{user} ALL=(ALL:ALL) ALL\n");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        Self(file)
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
