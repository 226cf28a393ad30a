//! Users of this machine for the cases about privilege, an OpenSSH server that lets them in, and a place that all of
//! them can reach. Everything goes with the value.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::people::{PASSWORD, User};
use super::server::{self, Server, Setup};

/// What cases call them, and their rule in sudoers.
const RULES: [(&str, &str); 4] = [
    ("@LOGIN@", "USER ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    (
        "@ASKS@",
        "Defaults:USER timestamp_timeout=0\nUSER ALL=(ALL) ALL\n",
    ),
    ("@OTHER@", ""),
    ("@THIRD@", ""),
];

/// The users of all cases.
pub struct Users {
    users: Vec<(&'static str, User)>,
    rules: Vec<PathBuf>,
    server: Server,
    folder: tempfile::TempDir,
}

impl Users {
    /// Makes them. Only root can, and only where there is sudo.
    pub fn make() -> Option<Self> {
        let has_sudo = Path::new("/etc/sudoers.d").is_dir();
        if !rustix::process::geteuid().is_root() || !has_sudo || !server::is_available() {
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("kk-users.")
            .tempdir()
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Its own home for each: the setting of the server for all other cases would win.
        let server = Server::set_up(&Setup {
            config: "SetEnv KK_TEST=1".to_owned(),
            ..Setup::default()
        });
        let mut made = Self {
            users: Vec::new(),
            rules: Vec::new(),
            server,
            folder,
        };
        for (word, rule) in RULES {
            let user = User::new(made.folder.path(), "/bin/sh");
            if !rule.is_empty() {
                let file = PathBuf::from("/etc/sudoers.d").join(&user.name);
                made.rules.push(file.clone());
                fs::write(&file, rule.replace("USER", &user.name)).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
            }
            made.users.push((word, user));
        }
        Some(made)
    }

    /// Where the copies of cases lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The line of known_hosts for the server.
    pub fn known_line(&self) -> String {
        self.server.known_line("ed25519")
    }

    /// What stands for what in the files of a case.
    fn words(&self) -> Vec<(&'static str, String)> {
        let names = self.users.iter();
        let mut words: Vec<(&str, String)> = names
            .map(|(word, user)| (*word, user.name.clone()))
            .collect();
        words.push(("@HOMES@", self.folder.path().display().to_string()));
        words.push(("@PASSWORD@", PASSWORD.to_owned()));
        let reached = format!(
            "ansible_host=127.0.0.1 ansible_port={} ansible_ssh_private_key_file={}",
            self.server.port,
            self.server.path("user").display()
        );
        words.push(("@REACHED@", reached));
        words
    }

    /// A text of a case with the users of now.
    pub fn fill(&self, text: &str) -> String {
        let words = self.words();
        words.iter().fold(text.to_owned(), |text, (word, value)| {
            text.replace(word, value)
        })
    }

    /// Fills in every file of a copied case, which all users may write to.
    pub fn prepare(&self, folder: &Path) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.prepare(&path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                fs::write(&path, self.fill(&text)).unwrap();
            }
        }
    }

    /// What was left, in the words of the case.
    pub fn hide(&self, files: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let words = self.words();
        let hide = |text: String| {
            words
                .iter()
                .fold(text, |text, (word, value)| text.replace(value, word))
        };
        files
            .into_iter()
            .map(|(path, what)| (hide(path), hide(what)))
            .collect()
    }

    /// Whether a text tells the password.
    pub fn is_told(&self, text: &str) -> bool {
        text.contains(PASSWORD)
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        for rule in &self.rules {
            let _ = fs::remove_file(rule);
        }
    }
}
