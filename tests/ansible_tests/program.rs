//! One case under one program, in a copy of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::answer::{self, Answer};
use super::case::{self, Case, Step};
use super::oracle::Oracle;
use super::pages::Pages;
use super::server::{self, Server};
use super::users::Users;

/// Seconds after which a run is ended.
const TIME_LIMIT: &str = "120";

/// What a program said and left.
pub struct Ran {
    pub answer: Answer,
    pub said: String,
}

/// The folders of one case under one program.
pub struct Place {
    /// The copy of the case's folder; nothing else is in it.
    pub folder: PathBuf,
    /// Home, temporary files, logs.
    pub aside: PathBuf,
}

impl Place {
    /// `name` is one letter for both programs: paths of the same length give files of the same size. The copy itself
    /// has the same name under both.
    pub fn new(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.join(name).join("site"),
            aside: folder.join(format!("{name}.aside")),
        }
    }

    /// Everything that the program said.
    pub fn log(&self) -> PathBuf {
        self.aside.join("said")
    }

    fn prepare(&self, case: &Case, hosts: &Hosts) {
        for folder in [&self.folder, &self.aside] {
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
            fs::create_dir_all(folder).unwrap();
        }
        copy(&case.folder, &self.folder);
        if let Some(users) = hosts.users_of(case) {
            users.prepare(&self.folder);
        }
        fs::create_dir(self.aside.join("home")).unwrap();
    }
}

fn copy(from: &Path, into: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let dest = into.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&dest).unwrap();
            copy(&entry.path(), &dest);
        } else {
            fs::copy(entry.path(), &dest).unwrap();
        }
    }
}

/// The inventory of cases that have none: five names for this machine, in groups.
pub fn common_inventory() -> PathBuf {
    case::folder().join("inventory.ini")
}

/// What the common inventory's hosts are reached by.
pub struct Hosts {
    server: Option<Server>,
    users: Option<Users>,
    pages: Option<Pages>,
}

impl Hosts {
    /// Starts the servers, and makes the users, that cases need.
    pub fn start(cases: &[&Case]) -> Self {
        let over_ssh = cases.iter().any(|case| case.ssh);
        let with_users = cases.iter().any(|case| case.users);
        let with_pages = cases.iter().any(|case| case.pages);
        Self {
            server: (over_ssh && server::is_available()).then(Server::start),
            users: with_users.then(Users::make).flatten(),
            pages: with_pages.then(Pages::start),
        }
    }

    /// Whether there are users for the cases that need them.
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    /// The users, for a case that needs them.
    fn users_of(&self, case: &Case) -> Option<&Users> {
        self.users.as_ref().filter(|_| case.users)
    }

    /// Whether a text tells the password of the users.
    pub fn is_password_told(&self, text: &str) -> bool {
        self.users.as_ref().is_some_and(|users| users.is_told(text))
    }

    /// The folders of a case under the program of this letter.
    pub fn place(&self, case: &Case, program: &str) -> Place {
        let folder = super::scratch().join(&case.name);
        let mut place = Place::new(&folder, program);
        if let Some(users) = self.users_of(case) {
            place.folder = users.folder().join(&case.name).join(program).join("site");
        }
        place
    }

    /// Where the pages are, for the environment of a program.
    fn pages(&self) -> Option<(&'static str, String)> {
        let pages = self.pages.as_ref()?;
        Some(("KK_TEST_PAGES", pages.url()))
    }

    /// The inventories of a case, and arguments for a program that reaches hosts over SSH.
    fn inventories(&self, case: &Case, place: &Place) -> Vec<String> {
        if let Some(server) = self.server.as_ref().filter(|_| case.ssh) {
            let text = fs::read_to_string(common_inventory()).unwrap().replace(
                "ansible_connection=local",
                &format!(
                    "ansible_host=127.0.0.1 ansible_port={} ansible_user={} ansible_ssh_private_key_file={}",
                    server.port,
                    server::me(),
                    server.path("user").display()
                ),
            );
            let file = place.aside.join("inventory.ini");
            fs::write(&file, text).unwrap();
            fs::write(
                place.aside.join("known_hosts"),
                server.known_line("ed25519"),
            )
            .unwrap();
            return vec![file.display().to_string()];
        }
        if let Some(users) = self.users_of(case) {
            fs::write(place.aside.join("known_hosts"), users.known_line()).unwrap();
        }
        if case.inventories.is_empty() {
            return vec![common_inventory().display().to_string()];
        }
        case.inventories.clone()
    }
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Runs a case under ansible-core.
pub fn run_ansible(oracle: &Oracle, case: &Case, place: &Place, hosts: &Hosts) -> Ran {
    place.prepare(case, hosts);
    let bin = oracle.environment.join("bin");
    let aside = |name: &str| place.aside.join(name).display().to_string();
    let inventories = hosts.inventories(case, place);
    let ssh = format!(
        "-F none -o ControlMaster=auto -o ControlPersist=5 -o UserKnownHostsFile={}",
        aside("known_hosts")
    );
    let settings = [
        ("ANSIBLE_CONFIG", aside("ansible.cfg")),
        ("ANSIBLE_HOME", aside("ansible")),
        ("ANSIBLE_REMOTE_TEMP", aside("remote")),
        ("ANSIBLE_ASYNC_DIR", aside("async")),
        (
            "ANSIBLE_SSH_CONTROL_PATH_DIR",
            "/tmp/kk-ansible-control".to_owned(),
        ),
        ("ANSIBLE_SSH_ARGS", ssh),
        (
            "ANSIBLE_PYTHON_INTERPRETER",
            bin.join("python3").display().to_string(),
        ),
        ("ANSIBLE_PIPELINING", "1".to_owned()),
        ("ANSIBLE_NOCOLOR", "1".to_owned()),
        ("ANSIBLE_NOCOWS", "1".to_owned()),
        ("ANSIBLE_DEPRECATION_WARNINGS", "0".to_owned()),
        ("ANSIBLE_RETRY_FILES_ENABLED", "0".to_owned()),
    ];
    fs::write(place.aside.join("ansible.cfg"), "").unwrap();
    let mut answer = Answer::default();
    let mut said = String::new();
    for step in &case.steps {
        let mut command = command(&bin.join("ansible-playbook"), place);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.envs(hosts.pages());
        if case.users {
            // Every user has folders and an interpreter that it can reach.
            command
                .env_remove("ANSIBLE_REMOTE_TEMP")
                .env_remove("ANSIBLE_ASYNC_DIR");
            command.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3");
            command.env("ANSIBLE_SSH_TRANSFER_METHOD", "piped");
            // There need not be ACLs for what one user hands to another.
            command.env("ANSIBLE_SHELL_ALLOW_WORLD_READABLE_TEMP", "1");
        }
        words(&mut command, step, &inventories, hosts.users_of(case));
        let output = finish(command, &mut said);
        answer.exits.push(output.status.code().unwrap_or(-1));
        answer
            .recaps
            .push(recap_of_ansible(&String::from_utf8_lossy(&output.stdout)));
    }
    complete(answer, said, place, hosts.users_of(case))
}

/// Runs a case under kk.
pub fn run_kk(case: &Case, place: &Place, hosts: &Hosts) -> Ran {
    place.prepare(case, hosts);
    let program =
        std::env::var_os("KK").map_or_else(|| env!("CARGO_BIN_EXE_kk").into(), PathBuf::from);
    let inventories = hosts.inventories(case, place);
    let mut answer = Answer::default();
    let mut said = String::new();
    for step in &case.steps {
        let mut command = command(&program, place);
        command.arg("run").envs(hosts.pages());
        words(&mut command, step, &inventories, hosts.users_of(case));
        command.args(["--yes", "-o", "jsonl", "--workdir"]);
        command.arg(place.aside.join("work"));
        command
            .arg("--known-hosts")
            .arg(place.aside.join("known_hosts"));
        let output = finish(command, &mut said);
        answer.exits.push(output.status.code().unwrap_or(-1));
        answer
            .recaps
            .push(recap_of_kk(&String::from_utf8_lossy(&output.stdout)));
    }
    complete(answer, said, place, hosts.users_of(case))
}

fn complete(mut answer: Answer, said: String, place: &Place, users: Option<&Users>) -> Ran {
    answer.files = answer::snapshot(&place.folder);
    if let Some(users) = users {
        answer.files = users.hide(answer.files);
    }
    fs::write(place.log(), &said).unwrap();
    Ran { answer, said }
}

/// A program in the copy, with nothing of the user's environment and a time limit.
fn command(program: &Path, place: &Place) -> Command {
    let mut command = Command::new("timeout");
    command
        .args([
            "-k",
            "5",
            TIME_LIMIT,
            "sh",
            "-c",
            "umask 022; exec \"$@\"",
            "sh",
        ])
        .arg(program)
        .current_dir(&place.folder)
        .stdin(Stdio::null())
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", place.aside.join("home"))
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("KK_TEST_WORD", "a word of the environment");
    command
}

fn words(command: &mut Command, step: &Step, inventories: &[String], users: Option<&Users>) {
    command.arg(&step.playbook);
    for argument in &step.arguments {
        command.arg(users.map_or_else(|| argument.clone(), |users| users.fill(argument)));
    }
    for inventory in inventories {
        command.arg("-i").arg(inventory);
    }
}

fn finish(mut command: Command, said: &mut String) -> std::process::Output {
    let output = command.output().unwrap();
    let words: Vec<_> = command
        .get_args()
        .skip(6)
        .map(|word| word.to_string_lossy())
        .collect();
    said.push_str(&format!("$ {}\n", words.join(" ")));
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said.push_str(&format!("ended: {}\n", output.status));
    output
}

const COUNTERS: [&str; 7] = [
    "ok",
    "changed",
    "unreachable",
    "failed",
    "skipped",
    "rescued",
    "ignored",
];

/// The lines below `PLAY RECAP`.
fn recap_of_ansible(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("PLAY RECAP"));
    lines
        .skip(1)
        .filter_map(|line| {
            let (host, counters) = line.split_once(" : ")?;
            let counters = counters.split_whitespace().collect::<Vec<_>>().join(" ");
            Some((host.trim().to_owned(), counters))
        })
        .collect()
}

/// The counters of the last event. A host that did nothing is not in Ansible's recap.
fn recap_of_kk(text: &str) -> BTreeMap<String, String> {
    let finished = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        .find(|event| event["event"] == "run_finished");
    let Some(hosts) = finished
        .as_ref()
        .and_then(|event| event["recap"].as_array())
    else {
        return BTreeMap::new();
    };
    hosts
        .iter()
        .filter(|host| COUNTERS.iter().any(|counter| host[1][counter] != 0))
        .map(|host| {
            let counters = COUNTERS.map(|counter| format!("{counter}={}", host[1][counter]));
            (
                host[0].as_str().unwrap_or_default().to_owned(),
                counters.join(" "),
            )
        })
        .collect()
}
