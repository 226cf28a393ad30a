//! Throw-away users of this machine, and throw-away agents.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::server::run;

/// The password of every throw-away user.
pub const PASSWORD: &str = "correct horse! 'battery' \\ staple";

/// A user that is removed when dropped. Only root can make one.
pub struct User {
    pub name: String,
    pub home: PathBuf,
}

/// Two changes of the user database at once would fail on its lock.
static DATABASE: Mutex<()> = Mutex::new(());

impl User {
    /// With a login shell, and a home in this folder.
    pub fn new(folder: &Path, shell: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "kkt{}x{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let home = folder.join(&name);
        {
            let _alone = DATABASE
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            run(
                "useradd",
                &[
                    "-m",
                    "-k",
                    "/nonexistent",
                    "-d",
                    home.to_str().unwrap(),
                    "-s",
                    shell,
                    &name,
                ],
            );
        }
        let user = Self { name, home };
        user.set_password(PASSWORD);
        user
    }

    fn set_password(&self, password: &str) {
        use std::io::Write as _;
        let _alone = DATABASE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut change = Command::new("chpasswd")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let line = format!("{}:{password}\n", self.name);
        change
            .stdin
            .take()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        assert!(change.wait().unwrap().success());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _alone = DATABASE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // The processes of a killed session may take a moment to end.
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let _ = Command::new("pkill")
                .args(["-KILL", "-u", &self.name])
                .status();
            let removed = Command::new("userdel")
                .args(["-r", &self.name])
                .stderr(Stdio::null())
                .status();
            // 12: the home could not be removed; its folder goes with the server.
            if removed.is_ok_and(|status| matches!(status.code(), Some(0 | 6 | 12))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A running ssh-agent; ends when dropped.
pub struct Agent {
    pub socket: PathBuf,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Agent {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // The socket is there a moment before somebody listens.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "ssh-agent did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            socket,
            process,
            _folder: folder,
        }
    }

    /// Loads a key without a passphrase.
    pub fn add(&self, key: &Path) {
        let output = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Unloads all keys.
    pub fn clear(&self) {
        let status = Command::new("ssh-add")
            .args(["-q", "-D"])
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
