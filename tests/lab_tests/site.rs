//! What a user has: a working folder, an inventory, settings; and the program run with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use super::hosts::Host;
use super::lab::lab;
use super::program::{Ran, Running, program};

/// How a host stands in the inventory.
#[derive(Debug, Clone)]
pub struct Entry {
    name: String,
    address: String,
    user: String,
    /// Lines of the connector beside host and user: how to log in.
    login: String,
}

impl Entry {
    /// A host of the lab, as root with the lab's key.
    pub fn root(host: &Host) -> Self {
        Self::user(host, "root")
    }

    /// As another user with the lab's key.
    pub fn user(host: &Host, user: &str) -> Self {
        Self {
            name: host.name.clone(),
            address: host.address.clone(),
            user: user.to_owned(),
            login: format!("private_key: {:?}", lab().get("SSH_KEY")),
        }
    }

    /// With other lines of the connector instead of the key.
    pub fn login(mut self, login: &str) -> Self {
        login.clone_into(&mut self.login);
        self
    }

    /// The key, and more lines of the connector.
    pub fn and(mut self, more: &str) -> Self {
        self.login = format!("{}, {more}", self.login);
        self
    }

    /// At another address.
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

/// A working folder with an inventory.
pub struct Site {
    folder: Option<tempfile::TempDir>,
    known_hosts: PathBuf,
    settings: BTreeMap<String, String>,
    /// Everything that was ever a secret here: none of it may be said or logged.
    secrets: Mutex<Vec<String>>,
}

impl Site {
    /// A folder whose inventory has these hosts, the first `registries` of them in `image_registry`.
    pub fn new(entries: &[Entry], registries: usize) -> Self {
        let lab = lab();
        // A blank in the path: nothing may take it apart.
        let folder = tempfile::Builder::new()
            .prefix("site of a test ")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let settings = [
            ("image_registry.type", "docker-registry"),
            ("docker_registry_version", lab.get("REGISTRY_VERSION")),
            ("docker_version", lab.get("DOCKER_VERSION")),
            ("dockercompose_version", lab.get("COMPOSE_VERSION")),
            ("binary_dir", lab.get("BINARY_DIR")),
            ("requirements.disk_gb", "5"),
            ("requirements.memory_gb", "1"),
            // The machine of the tests is nobody's client.
            ("image_registry.trust.control_machine", "false"),
        ];
        let site = Self {
            folder: Some(folder),
            known_hosts: lab.get("KNOWN_HOSTS").into(),
            settings: settings
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            secrets: Mutex::new(vec![lab.get("PASSWORD").to_owned()]),
        };
        site.write_inventory(entries, registries);
        site
    }

    /// The same, for hosts as root.
    pub fn of(hosts: &[Host], registries: usize) -> Self {
        let entries: Vec<Entry> = hosts.iter().map(Entry::root).collect();
        Self::new(&entries, registries)
    }

    /// Writes the inventory anew.
    pub fn write_inventory(&self, entries: &[Entry], registries: usize) {
        let mut hosts = String::new();
        for entry in entries {
            hosts.push_str(&format!(
                "    {}:\n      connector: {{type: ssh, host: {}, user: {}, {}}}\n      internal_ipv4: {}\n",
                entry.name, entry.address, entry.user, entry.login, entry.address
            ));
        }
        let members: Vec<&str> = entries
            .iter()
            .take(registries)
            .map(|entry| entry.name.as_str())
            .collect();
        std::fs::write(
            self.inventory(),
            format!(
                "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nmetadata:\n  name: test\nspec:\n  hosts:\n{hosts}  groups:\n    image_registry:\n      hosts: [{}]\n",
                members.join(", ")
            ),
        )
        .unwrap();
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// The inventory.
    pub fn inventory(&self) -> PathBuf {
        self.path().join("inventory.yaml")
    }

    /// The working folder of the program.
    pub fn workdir(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Changes a setting for all runs from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// One registry on all its hosts from now on: behind the lab's virtual address, in a folder that all of them share.
    /// Its endpoint.
    pub fn share(&mut self, host: &Host) -> &'static str {
        host.sh("rm -rf /shared/* && mkdir /shared/registry");
        let vip = lab().get("VIP");
        self.set("image_registry.ha_vip", vip);
        self.set("keepalived_version", lab().get("KEEPALIVED_VERSION"));
        self.set(
            "image_registry.docker_registry.storage.filesystem.rootdir",
            "/shared/registry",
        );
        vip
    }

    /// Uses another file of known hosts from now on.
    pub fn trust(&mut self, known_hosts: PathBuf) {
        self.known_hosts = known_hosts;
    }

    /// From now on this must not be said anywhere.
    pub fn keep_secret(&self, text: &str) {
        self.secrets.lock().unwrap().push(text.to_owned());
    }

    /// A command of the program, `init registry` for instance, with inventory, working folder and settings.
    pub fn kk(&self, words: &str) -> Kk<'_> {
        Kk {
            site: self,
            words: words.split(' ').map(str::to_owned).collect(),
            more: Vec::new(),
            settings: self.settings.clone(),
            wrapper: Vec::new(),
        }
    }

    /// `init registry` with `-o json`, which has to end with this code.
    #[track_caller]
    pub fn init(&self, code: i32) -> Ran {
        self.kk("init registry -o json").run().expect(code)
    }

    /// The registry's password, from the file that the program keeps.
    #[track_caller]
    pub fn password(&self) -> String {
        self.secret("image_registry.auth.password")
            .expect("a password in secrets.yaml")
    }

    /// A line of `secrets.yaml`.
    pub fn secret(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.workdir().join("secrets.yaml")).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}: ")))?;
        Some(line.trim_matches('"').to_owned())
    }

    /// Logs of all runs, together.
    pub fn logs(&self) -> String {
        let folder = self.workdir().join("logs");
        let mut text = String::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            text.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        text
    }

    /// Every secret of this site so far, the generated ones included.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.secrets.lock().unwrap();
        for key in [
            "image_registry.auth.password",
            "image_registry.http_secret",
            "image_registry.ha_password",
        ] {
            if let Some(secret) = self.secret(key)
                && !secrets.contains(&secret)
            {
                secrets.push(secret);
            }
        }
        secrets.clone()
    }

    /// No secret is in what a run said or logged.
    #[track_caller]
    fn assert_kept_secret(&self, ran: &Ran) {
        let logs = self.logs();
        for secret in self.secrets() {
            for (place, text) in [
                ("standard output", &ran.stdout),
                ("standard error", &ran.stderr),
                ("a log", &logs),
            ] {
                let line = text.lines().find(|line| line.contains(&secret));
                assert_eq!(line, None, "a secret is in {place} of `{}`", ran.line);
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            println!("kept: {}", folder.keep().display());
        }
    }
}

/// A command of the program.
pub struct Kk<'a> {
    site: &'a Site,
    words: Vec<String>,
    more: Vec<String>,
    settings: BTreeMap<String, String>,
    wrapper: Vec<String>,
}

impl Kk<'_> {
    /// One more word.
    pub fn arg(mut self, word: impl Into<String>) -> Self {
        self.more.push(word.into());
        self
    }

    /// A setting for this run.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Runs it under another command.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let program = program();
        let mut words = self.wrapper.clone();
        words.push(program.display().to_string());
        words.extend(self.words.clone());
        let site = self.site;
        for (flag, path) in [
            ("-i", &site.inventory()),
            ("--workdir", &site.workdir()),
            ("--known-hosts", &site.known_hosts),
        ] {
            words.extend([flag.to_owned(), path.display().to_string()]);
        }
        for (key, value) in &self.settings {
            words.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        words.extend(self.more.clone());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir(site.path())
            .env("HOME", site.path())
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("KK_INVENTORY")
            .env_remove("KK_WORKDIR");
        let line = format!("kk {} {}", self.words.join(" "), self.more.join(" "));
        Running::start(command, line.trim_end().to_owned(), None)
    }

    /// Runs it to its end. No secret may be in anything that it said.
    #[track_caller]
    pub fn run(self) -> Ran {
        let site = self.site;
        let ran = self.start().wait();
        site.over(&ran);
        ran
    }
}

impl Site {
    /// What is looked at after every run.
    #[track_caller]
    pub fn over(&self, ran: &Ran) {
        println!(
            "           {:5.1} s  exit {:<3}  {}",
            ran.took.as_secs_f64(),
            ran.code.map_or("-".to_owned(), |code| code.to_string()),
            ran.line
        );
        self.assert_kept_secret(ran);
    }

    /// Time for anything that a host does by itself.
    pub const PATIENCE: Duration = Duration::from_secs(30);
}
