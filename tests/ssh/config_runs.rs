//! The program with a configuration of ssh: what `ssh` reaches with it is reached, in the same way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::people::Agent;
use super::server::{self, Server, new_key, public_key, run, run as run_tool, signal};

/// What came of running the program.
struct Said {
    code: Option<i32>,
    text: String,
}

/// A folder with an inventory of bare names, a configuration of ssh and a home folder.
struct Bench {
    folder: tempfile::TempDir,
    /// Whose home folder: that of the tests' user, so that `ssh` is asked, or an empty one, so that this program reads.
    own_home: bool,
    agent: Option<PathBuf>,
}

impl Bench {
    fn new(own_home: bool, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("home/.ssh")).unwrap();
        fs::write(folder.path().join("config"), config).unwrap();
        fs::write(folder.path().join("inventory"), "web1\nweb2\n").unwrap();
        Self {
            folder,
            own_home,
            agent: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inventory(self, text: &str) -> Self {
        fs::write(self.path("inventory"), text).unwrap();
        self
    }

    fn agent(mut self, agent: &Agent) -> Self {
        self.agent = Some(agent.socket.clone());
        self
    }

    fn command(&self, first: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kk"));
        let home = if self.own_home {
            std::env::home_dir().unwrap()
        } else {
            self.path("home")
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home)
            .arg(first)
            .args(["--workdir", self.path("work").to_str().unwrap()])
            .args(["-i", self.path("inventory").to_str().unwrap(), "--yes"])
            .stdin(Stdio::null());
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        command
    }

    /// `kk exec` on `web1`, with the configuration.
    fn exec(&self, more: &[&str]) -> Said {
        self.exec_command(more, &["echo", "reached"])
    }

    fn exec_command(&self, more: &[&str], words: &[&str]) -> Said {
        let mut command = self.command("exec");
        command
            .args(["-F", self.path("config").to_str().unwrap()])
            .args(more)
            .args(["web1", "--"])
            .args(words);
        said(&mut command)
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        text: format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

impl Said {
    fn succeeds(&self) {
        assert_eq!(self.code, Some(0), "{}", self.text);
        assert!(self.text.contains("reached"), "{}", self.text);
    }

    /// Unreachable, and these words.
    fn refuses(&self, words: &str) {
        assert_eq!(self.code, Some(4), "{}", self.text);
        // Long lines are broken.
        let text: Vec<&str> = self.text.split_whitespace().collect();
        assert!(text.join(" ").contains(words), "{words}: {}", self.text);
    }
}

/// Whether `ssh` itself gets in with the same file.
fn ssh_gets_in(bench: &Bench, host: &str) -> bool {
    let mut command = Command::new("ssh");
    command
        .arg("-F")
        .arg(bench.path("config"))
        .args(["-o", "BatchMode=yes", host, "true"])
        .stdin(Stdio::null())
        .env_remove("SSH_AUTH_SOCK");
    if let Some(agent) = &bench.agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    command.output().unwrap().status.success()
}

/// What a configuration says about a server, all of it.
fn block(name: &str, server: &Server) -> String {
    let known = server.path("known");
    fs::write(&known, server.known_line("ed25519")).unwrap();
    format!(
        "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
        server.port,
        server::me(),
        server.path("user").display(),
        known.display()
    )
}

/// Both ways to read the configuration.
const BOTH: [bool; 2] = [true, false];

#[test]
fn an_alias_that_only_the_configuration_knows() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    for own_home in BOTH {
        let bench = Bench::new(own_home, &block("web1", &server));
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        // The same playbook as for any other host.
        let file = server.path(&format!("made{own_home}"));
        fs::write(
            bench.path("site.yaml"),
            format!(
                "- hosts: web1\n  tasks:\n  - copy: {{content: \"{{{{ inventory_hostname }}}}\", dest: {}}}\n",
                file.display()
            ),
        )
        .unwrap();
        let config = bench.path("config");
        let mut command = bench.command("run");
        command.arg("-F").arg(&config).arg(bench.path("site.yaml"));
        let outcome = said(&mut command);
        assert_eq!(outcome.code, Some(0), "{}", outcome.text);
        assert_eq!(fs::read_to_string(&file).unwrap(), "web1");
    }
}

#[test]
fn the_home_folders_configuration_is_read_unless_none_is_wanted() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let bench = Bench::new(false, "");
    fs::write(bench.path("home/.ssh/config"), block("web1", &server)).unwrap();
    let run = |flags: &[&str]| {
        let mut command = bench.command("exec");
        command
            .args(flags)
            .args(["--timeout", "3s", "web1", "--", "echo", "reached"]);
        said(&mut command)
    };
    run(&[]).succeeds();
    for flags in [
        ["-F", "none"],
        ["--ssh-config", "none"],
        ["-F", "/dev/null"],
    ] {
        let outcome = run(&flags);
        assert_eq!(outcome.code, Some(4), "{flags:?}: {}", outcome.text);
        assert!(
            outcome.text.contains("connect to web1:22"),
            "{}",
            outcome.text
        );
    }
    run(&["-F", "/no/such/file"]).refuses("there is no file `/no/such/file`");
    // What a shell makes of `-F <(…)` is read once.
    let pipe = bench.path("pipe");
    run_tool("mkfifo", &[pipe.to_str().unwrap()]);
    let (text, into) = (block("web1", &server), pipe.clone());
    let writer = std::thread::spawn(move || fs::write(into, text).unwrap());
    let bench = Bench {
        own_home: true,
        ..bench
    };
    let mut command = bench.command("exec");
    command
        .arg("-F")
        .arg(&pipe)
        .args(["web1", "--", "echo", "reached"]);
    said(&mut command).succeeds();
    writer.join().unwrap();
}

#[test]
fn what_the_inventory_and_the_flags_say_goes_first() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let good = block("web1", &server);
    let wrong = server.path("wrong");
    new_key(&wrong, &["ed25519"], "");
    let bad = good
        .replace(
            &format!("Port {}", server.port),
            &format!("Port {}", server::free_port()),
        )
        .replace(
            &format!("User {}", server::me()),
            "User nobody-of-that-name",
        )
        .replace(
            &format!("IdentityFile {}", server.path("user").display()),
            &format!("IdentityFile {}", wrong.display()),
        );
    let (port, me, key) = (server.port, server::me(), server.path("user"));
    for own_home in BOTH {
        let bench = Bench::new(own_home, &bad);
        assert_eq!(bench.exec(&["--timeout", "3s"]).code, Some(4));
        let bench = bench.inventory(&format!(
            "web1 ansible_port={port} ansible_user={me} ansible_ssh_private_key_file={}\n",
            key.display()
        ));
        bench.exec(&[]).succeeds();
        let bench = bench.inventory(&format!("web1 ansible_port={port}\n"));
        bench
            .exec(&["-u", &me, "--private-key", key.to_str().unwrap()])
            .succeeds();
        // A port that is the usual one counts as much as any other.
        let bench = bench.inventory("web1 ansible_port=22\n");
        bench.exec(&["--timeout", "3s"]).refuses("127.0.0.1:22");
        // The address of the inventory is what the configuration is asked about.
        let bench = Bench::new(own_home, &good.replace("Host web1", "Host other"));
        let bench = bench.inventory("web1 ansible_host=other\n");
        bench.exec(&[]).succeeds();
    }
}

#[test]
fn jump_hosts_with_a_configuration_of_their_own() {
    if !server::is_available() {
        return;
    }
    let (first, second, last) = (Server::start(), Server::start(), Server::start());
    let all = |of_last: &str, of_second: &str| {
        format!(
            "{}{}{}  {of_second}\n{}  {of_last}\n",
            block("nobody", &first),
            block("first", &first),
            block("second", &second),
            block("web1", &last)
        )
    };
    for own_home in BOTH {
        for (of_last, of_second) in [
            ("ProxyJump second", ""),
            ("ProxyJump first,second", ""),
            // The second one has a way of its own.
            ("ProxyJump second", "ProxyJump first"),
            // Where a first one is named it does not count.
            ("ProxyJump first,second", "ProxyJump nowhere"),
        ] {
            let bench = Bench::new(own_home, &all(of_last, of_second));
            let before = (first.log(), second.log());
            bench.exec(&[]).succeeds();
            assert!(ssh_gets_in(&bench, "web1"), "{of_last}, {of_second}");
            let came = |server: &Server, before: &str| {
                server.log().matches("Accepted publickey").count()
                    - before.matches("Accepted publickey").count()
            };
            // Once for us, once for ssh.
            assert_eq!(came(&second, &before.1), 2);
            let through_first = of_last.contains("first") || of_second.contains("first");
            assert_eq!(came(&first, &before.0), if through_first { 2 } else { 0 });
        }
        // The way of the inventory goes first.
        let bench = Bench::new(own_home, &all("ProxyJump nowhere", ""))
            .inventory("web1 ansible_ssh_common_args='-J second'\n");
        bench.exec(&[]).succeeds();
        let bench = Bench::new(own_home, &all("ProxyJump second", "ProxyJump web1"));
        // (`ssh` itself starts processes without an end here.)
        bench.exec(&[]).refuses("lead to each other without an end");
    }
}

#[test]
fn a_proxy_command_is_the_connection() {
    if !server::is_available() {
        return;
    }
    let (jump, last) = (Server::start(), Server::start());
    for own_home in BOTH {
        let bench = Bench::new(own_home, "");
        let config = bench.path("config");
        let through = format!(
            "{}{}  ProxyCommand ssh -F {} -W [%h]:%p jump\n",
            block("jump", &jump),
            block("web1", &last),
            config.display()
        );
        fs::write(&config, &through).unwrap();
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        // Bytes in both directions, more than any buffer.
        let outcome = bench.exec_command(
            &[],
            &["sh", "-c", "head -c 300000 /dev/zero | wc -c; echo reached"],
        );
        outcome.succeeds();
        assert!(outcome.text.contains("300000"), "{}", outcome.text);
        // Nothing of it is left.
        let left = run(
            "sh",
            &[
                "-c",
                "ps -e -o args= | grep -F -- \"$0\" | grep -v grep || true",
                "-W [127.0.0.1]:",
            ],
        );
        assert!(!left.contains(&last.port.to_string()), "{left}");
        for (command, words) in [
            (
                "echo no way out >&2; exit 3",
                "ended with status 3; the `ProxyCommand` says `no way out`",
            ),
            (
                "/no/such/program %h",
                "the `ProxyCommand` ended with status 127",
            ),
            ("true", "the `ProxyCommand` ended ("),
            ("sleep 60", "no answer within 2 s"),
        ] {
            fs::write(
                &config,
                format!("{}  ProxyCommand sh -c '{command}'\n", block("web1", &last)),
            )
            .unwrap();
            bench.exec(&["--timeout", "2s"]).refuses(words);
        }
    }
}

#[test]
fn host_keys_as_the_configuration_says() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let other = server.path("other");
    new_key(&other, &["ed25519"], "");
    let key = public_key(&server.path("host_ed25519"));
    let wrong = public_key(&other);
    let address = format!("[127.0.0.1]:{}", server.port);
    let good = block("web1", &server);
    for own_home in BOTH {
        let bench = Bench::new(own_home, "");
        let known = bench.path("known");
        let global = bench.path("global");
        let plain: String = good
            .lines()
            .filter(|line| !line.contains("UserKnownHostsFile"))
            .map(|line| format!("{line}\n"))
            .collect();
        let with = |lines: &str, text: &str, of_system: &str| {
            fs::write(&known, text).unwrap();
            fs::write(&global, of_system).unwrap();
            fs::write(
                bench.path("config"),
                format!(
                    "{plain}  UserKnownHostsFile {}\n  GlobalKnownHostsFile {}\n  {lines}\n",
                    known.display(),
                    global.display()
                ),
            )
            .unwrap();
        };
        let line = format!("{address} {key}\n");
        let changed = format!("{address} {wrong}\n");
        // The system's file alone, and an alias in place of the address.
        with("", "", &line);
        bench.exec(&[]).succeeds();
        with("HostKeyAlias The.Web", &format!("the.web {key}\n"), "");
        bench.exec(&[]).succeeds();
        with("HostKeyAlias The.Web", &line, "");
        bench.exec(&[]).refuses("under the name `the.web`");
        // Unknown.
        for (lines, is_accepted) in [
            ("", false),
            ("StrictHostKeyChecking yes", false),
            ("StrictHostKeyChecking ask", false),
            ("StrictHostKeyChecking accept-new", true),
            ("StrictHostKeyChecking no", true),
            ("StrictHostKeyChecking accept-new\n  HostKeyAlias web", true),
        ] {
            with(lines, "", "");
            let outcome = bench.exec(&[]);
            let written = fs::read_to_string(&known).unwrap();
            if is_accepted {
                outcome.succeeds();
                let name = if lines.contains("Alias") {
                    "web"
                } else {
                    &address
                };
                assert!(
                    written.starts_with(&format!("{name} ssh-ed25519 ")),
                    "{written}"
                );
            } else {
                outcome.refuses("it is not known");
                assert_eq!(written, "");
            }
            assert_eq!(
                outcome.text.contains("StrictHostKeyChecking no"),
                lines.ends_with(" no"),
                "{}",
                outcome.text
            );
            // The command line goes first.
            with(lines, "", "");
            bench
                .exec(&["--host-key-checking", "strict"])
                .refuses("it is not known");
            with(lines, "", "");
            bench
                .exec(&["--host-key-checking", "accept-new"])
                .succeeds();
            // One that has changed is never taken.
            let changed = changed.replace(
                &address,
                if lines.contains("Alias") {
                    "web"
                } else {
                    &address
                },
            );
            with(lines, &changed, "");
            bench.exec(&[]).refuses("it has changed");
        }
        // Into nowhere: nothing is remembered, and nothing fails.
        with("StrictHostKeyChecking no\n", "", "");
        let text = fs::read_to_string(bench.path("config")).unwrap();
        let text = text.replace(known.to_str().unwrap(), "/dev/null");
        fs::write(bench.path("config"), text).unwrap();
        bench.exec(&[]).succeeds();
        // Revoked by a file of its own, even with a file of the command line.
        let revoked = bench.path("revoked");
        with(&format!("RevokedHostKeys {}", revoked.display()), &line, "");
        fs::write(&revoked, format!("# stolen\n{key}\n")).unwrap();
        bench.exec(&[]).refuses("is revoked by");
        bench
            .exec(&["--known-hosts", known.to_str().unwrap()])
            .refuses("is revoked by");
        assert!(!ssh_gets_in(&bench, "web1"));
        fs::write(&revoked, format!("{wrong}\n")).unwrap();
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        fs::write(&revoked, "SSHKRL\n\0rest").unwrap();
        bench.exec(&[]).refuses("a key revocation list");
        fs::remove_file(&revoked).unwrap();
        bench.exec(&[]).refuses("revoked");
        assert!(!ssh_gets_in(&bench, "web1"));
    }
}

#[test]
fn keys_agents_and_certificates_of_the_configuration() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("MaxAuthTries 3");
    let good = block("web1", &server);
    let without: String = good
        .lines()
        .filter(|line| !line.contains("IdentityFile"))
        .map(|line| format!("{line}\n"))
        .collect();
    let key = server.path("user");
    let full = Agent::start();
    for number in 0..6 {
        let useless = server.path(&format!("useless{number}"));
        new_key(&useless, &["ed25519"], "");
        full.add(&useless);
    }
    let holder = Agent::start();
    holder.add(&key);
    let public = server.path("only-public");
    fs::write(public.with_extension("pub"), public_key(&key)).unwrap();
    for own_home in BOTH {
        let with = |lines: &str| Bench::new(own_home, &format!("{without}  {lines}\n"));
        // A file that is missing is passed over, and an agent full of other keys does not get into the way.
        let lines = format!(
            "IdentityFile /no/such/key\n  IdentityFile {}\n  IdentitiesOnly yes",
            key.display()
        );
        let bench = with(&lines).agent(&full);
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        // The agent that the configuration names, not that of the environment.
        let bench = with(&format!("IdentityAgent {}", holder.socket.display())).agent(&full);
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        let bench = with("IdentityAgent none").agent(&holder);
        assert_eq!(bench.exec(&[]).code, Some(4));
        // The public half names the agent's key.
        let bench = with(&format!(
            "IdentityFile {}\n  IdentitiesOnly yes",
            public.display()
        ))
        .agent(&holder);
        bench.exec(&[]).succeeds();
        assert!(ssh_gets_in(&bench, "web1"));
        // Of the agent's keys only those that are named.
        let bench = with("IdentityFile /no/such/key\n  IdentitiesOnly yes").agent(&holder);
        assert_eq!(bench.exec(&[]).code, Some(4));
        assert!(!ssh_gets_in(&bench, "web1"));
    }
}

#[test]
fn limits_of_the_configuration() {
    if !server::is_available() {
        return;
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = format!("Host web1\n HostName 127.0.0.1\n Port {port}\n ConnectTimeout 1\n");
    for own_home in BOTH {
        let bench = Bench::new(own_home, &config);
        bench.exec(&[]).refuses("no answer within 1 s");
        bench
            .exec(&["--timeout", "2s"])
            .refuses("no answer within 2 s");
    }
    let bench = Bench::new(false, &format!("{config} AddressFamily inet6\n"));
    bench.exec(&[]).refuses("no address");
}

#[test]
fn signs_of_life_as_the_configuration_says() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let config = format!(
        "{}  ServerAliveInterval 1\n  ServerAliveCountMax 2\n",
        block("web1", &server)
    );
    let bench = Bench::new(false, &config);
    let mut command = bench.command("exec");
    command
        .arg("-F")
        .arg(bench.path("config"))
        .args(["web1", "--", "sleep", "61"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !run("ps", &["-e", "-o", "args="])
        .lines()
        .any(|line| line.trim() == "sleep 61")
    {
        assert!(Instant::now() < deadline, "the command did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let sessions = server.sessions();
    for id in &sessions {
        signal(*id, "STOP");
    }
    let start = Instant::now();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let status = child.wait().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    assert_ne!(status.code(), Some(0), "{text}");
    for id in sessions {
        signal(id, "KILL");
    }
}

#[test]
fn a_match_that_runs_a_command_is_left_to_ssh() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag");
    let config = format!(
        "Match originalhost web1 exec \"test -e {}\"\n{}",
        flag.display(),
        block("x", &server).replace("Host x\n", "")
    );
    let bench = Bench::new(true, &config);
    assert_eq!(bench.exec(&["--timeout", "2s"]).code, Some(4));
    fs::write(&flag, "").unwrap();
    bench.exec(&[]).succeeds();
    // Without it the place is told.
    let bench = Bench::new(false, &config);
    bench.exec(&[]).refuses("config:1: `Match exec`");
}

#[test]
fn a_mistake_in_the_configuration_has_its_place() {
    let config = "Host web1\n  Prot 22\n";
    for (own_home, place) in [
        (true, "line 2"),
        (false, "config:2: unknown keyword `prot`"),
    ] {
        if own_home && !server::is_available() {
            continue;
        }
        let bench = Bench::new(own_home, &format!("{config}  Port 22\n"));
        bench.exec(&[]).refuses(place);
        assert!(bench.exec(&[]).text.contains("--ssh-config none"));
    }
}

/// A host that says something in its own words, for `nc`-like commands.
#[test]
fn a_proxy_command_without_a_word_of_ssh_is_told_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let bench = Bench::new(
        false,
        &format!("Host web1\n ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3'\n"),
    );
    assert!(Path::new("/bin/bash").exists());
    bench
        .exec(&["--timeout", "3s"])
        .refuses("HTTP/1.1 400 Bad Request");
}
