//! A real OpenSSH server on loopback, with throw-away keys and configuration.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kk::connect::Connector;
use kk::connect::known_hosts::KnownHosts;
use kk::connect::ssh::SshOptions;
use kk::remote::{Become, Session};
use tokio_util::sync::CancellationToken;

/// Whether a server can run here; says loudly if not.
pub fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/install-openssh");
        let done = Command::new(script)
            .status()
            .is_ok_and(|status| status.success());
        if !done {
            eprintln!("SKIPPED: the SSH tests need OpenSSH's server and client");
        }
        done
    })
}

/// Whether the tests may make users.
pub fn is_root() -> bool {
    let root = run("id", &["-u"]).trim() == "0";
    if !root {
        eprintln!("SKIPPED: this SSH test needs root");
    }
    root
}

/// The user that runs the tests.
pub fn me() -> String {
    run("id", &["-un"]).trim().to_owned()
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A new key pair in a file.
pub fn new_key(path: &Path, kind: &[&str], passphrase: &str) {
    let mut arguments = vec![
        "-q",
        "-N",
        passphrase,
        "-C",
        "test",
        "-f",
        path.to_str().unwrap(),
    ];
    arguments.push("-t");
    arguments.extend(kind);
    run("ssh-keygen", &arguments);
}

/// The one-line public half of a key file.
pub fn public_key(path: &Path) -> String {
    fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

/// A running server. Dropped, it and its sessions end.
pub struct Server {
    pub folder: tempfile::TempDir,
    pub port: u16,
    process: Child,
}

/// How to run one.
#[derive(Default)]
pub struct Setup {
    /// More lines of sshd_config; they come first, so they win.
    pub config: String,
    /// Host key types; Ed25519 if empty.
    pub host_keys: Vec<&'static str>,
    /// The name of the server's program, after which PAM calls its service; `sshd` if empty.
    pub program: String,
    /// Where it listens, beside 127.0.0.1.
    pub listen: Vec<&'static str>,
}

impl Server {
    /// With an Ed25519 host key, for the user that runs the tests with the key `user`.
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more configuration.
    pub fn with(config: &str) -> Self {
        Self::set_up(&Setup {
            config: config.to_owned(),
            ..Setup::default()
        })
    }

    /// With everything.
    pub fn set_up(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        // The users of the password tests must be able to read their authorized keys.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        // Of this setting the last one counts, of all others the first.
        let mut config = format!("MaxStartups 100\n{}\n", setup.config);
        let kinds = if setup.host_keys.is_empty() {
            vec!["ed25519"]
        } else {
            setup.host_keys.clone()
        };
        for kind in kinds {
            let file = path.join(format!("host_{kind}"));
            new_key(&file, &[kind], "");
            config.push_str(&format!("HostKey {}\n", file.display()));
        }
        new_key(&path.join("user"), &["ed25519"], "");
        fs::copy(path.join("user.pub"), path.join("authorized_keys")).unwrap();
        // The start files of whoever runs the tests are no part of them.
        fs::create_dir(path.join("home")).unwrap();
        let port = free_port();
        config.push_str(&format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\n\
             AuthorizedKeysFile {0}/authorized_keys\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n\
             PrintMotd no\nSetEnv HOME={0}/home\n",
            path.display()
        ));
        for address in &setup.listen {
            config.push_str(&format!("ListenAddress {address}\n"));
        }
        fs::write(path.join("sshd_config"), config).unwrap();
        let process = launch(path, &setup.program);
        let server = Self {
            folder,
            port,
            process,
        };
        server.wait_until_up();
        server
    }

    /// One that trusts users whom the key `authority` in this folder certifies; the key is made.
    pub fn trusting(folder: &Path) -> Self {
        let authority = folder.join("authority");
        new_key(&authority, &["ed25519"], "");
        Self::with(&format!("TrustedUserCAKeys {}.pub", authority.display()))
    }

    /// One that is reached by IPv6 alone; `None` where this machine has none.
    pub async fn on_ipv6() -> Option<Self> {
        if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
            eprintln!("SKIPPED: this machine has no IPv6");
            return None;
        }
        Some(Self::set_up(&Setup {
            listen: vec!["::1"],
            ..Setup::default()
        }))
    }

    /// One with a banner, whose users have their own homes: that of its setup would hide them.
    pub async fn with_banner(folder: &Path, text: &str) -> Self {
        let banner = folder.join("banner");
        fs::write(&banner, text).unwrap();
        let server = Self::with(&format!("Banner {}", banner.display()));
        let config = server.path("sshd_config");
        let text = fs::read_to_string(&config).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("SetEnv"));
        fs::write(
            &config,
            lines.map(|line| format!("{line}\n")).collect::<String>(),
        )
        .unwrap();
        signal(server.id(), "HUP");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets a key in.
    pub fn authorize(&self, key: &Path) {
        let mut all = fs::read_to_string(self.path("authorized_keys")).unwrap();
        all.push_str(&public_key(key));
        all.push('\n');
        fs::write(self.path("authorized_keys"), all).unwrap();
    }

    /// A line of known_hosts for one of the host keys.
    pub fn known_line(&self, kind: &str) -> String {
        let key = public_key(&self.path(&format!("host_{kind}")));
        format!("[127.0.0.1]:{} {key}\n", self.port)
    }

    /// known_hosts with this text, in a file of its own.
    pub fn known_hosts(&self, text: &str) -> Arc<KnownHosts> {
        let file = self.path("known_hosts");
        fs::write(&file, text).unwrap();
        let (known, warnings) = KnownHosts::load(&[file], &[]);
        assert!(warnings.0.is_empty(), "{warnings}");
        Arc::new(known)
    }

    /// Options that work: the right host key, the key `user`, nothing of this machine's environment.
    pub fn options(&self) -> SshOptions {
        let kind = ["ed25519", "ecdsa", "rsa"]
            .into_iter()
            .find(|kind| self.path(&format!("host_{kind}")).exists())
            .unwrap();
        let mut options = SshOptions::new(
            "127.0.0.1",
            self.port,
            me(),
            self.known_hosts(&self.known_line(kind)),
        );
        options.use_agent = false;
        options.agent_socket = None;
        options.default_keys = Vec::new();
        options.private_key = Some(self.path("user"));
        options
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// The process that listens.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the server and all its sessions at once, as a crash of the host would.
    pub fn kill(&mut self) {
        for id in self.sessions() {
            signal(id, "KILL");
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The processes of its sessions: its descendants.
    pub fn sessions(&self) -> Vec<u32> {
        let table = run("ps", &["-e", "-o", "pid=,ppid="]);
        let pairs: Vec<(u32, u32)> = table
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace().map(|word| word.parse().unwrap());
                (words.next().unwrap(), words.next().unwrap())
            })
            .collect();
        let mut found = vec![self.process.id()];
        let mut at = 0;
        while let Some(&parent) = found.get(at) {
            found.extend(
                pairs
                    .iter()
                    .filter(|pair| pair.1 == parent)
                    .map(|pair| pair.0),
            );
            at += 1;
        }
        found.remove(0);
        found
    }

    /// Waits until nothing of them is left.
    pub async fn no_session_left(&self) {
        let began = Instant::now();
        loop {
            let left = self.sessions();
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let mut start = [0; 4];
                if stream.read_exact(&mut start).is_ok() && &start == b"SSH-" {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("sshd did not start: {}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(folder: &Path, name: &str) -> Child {
    let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut program = PathBuf::from(sshd);
    if !name.is_empty() {
        program = folder.join(name);
        std::os::unix::fs::symlink(sshd, &program).unwrap();
    }
    Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A session of the user who logs in, which nobody cancels.
pub fn session_over(connector: Arc<dyn Connector>) -> Session {
    Session::new(connector, Become::default(), CancellationToken::new())
}

/// Sends a signal to one process.
pub fn signal(id: u32, name: &str) {
    let _ = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// A port of loopback that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
